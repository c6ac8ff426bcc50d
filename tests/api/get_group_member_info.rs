//! Paging through members: docs/spec/rest-api.md 4.4, 3.6 and 3.8.

use serde_json::{Value, json};

use crate::expect::{self, COMMUNITY, STORED, THEN, member, settled};
use crate::shared::{accounts, client, create, listed, names, refused, unique, with};
use crate::support::{Client, now_secs};

async fn page(client: &mut Client, id: &str, changes: Value) -> Value {
    let body = with(json!({"GroupId": id, "MemberInfoFilter": ["Member_Account"]}), changes);
    client.ok("get_group_member_info", body).await
}

/// A group of that type: an owner, two admins and seven members, in this order.
async fn ten(client: &mut Client, kind: &str) -> (String, Vec<String>) {
    let names = accounts("m", 10);
    let mut members: Vec<Value> = names[1..].iter().map(|name| json!({"Member_Account": name})).collect();
    members[0]["Role"] = json!("Admin");
    members[1]["Role"] = json!("Admin");
    (create(client, kind, json!({"Owner_Account": names[0], "MemberList": members})).await, names)
}

#[tokio::test]
async fn without_a_filter_everything() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let names = accounts("m", 2);
        let badge = json!({"AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]});
        let bob = with(json!({"Member_Account": names[1]}), badge.clone());
        let id = create(&mut client, kind.wire, json!({"Owner_Account": names[0], "MemberList": [bob]})).await;
        let answer = client.call("get_group_member_info", json!({"GroupId": id})).await;
        let members = [member(kind, &names[0], "Owner"), with(member(kind, &names[1], "Member"), badge)];
        let mut expected = expect::ok(json!({"MemberNum": 2, "MemberList": members}));
        if kind.wire == "Community" {
            expected["Next"] = json!("");
        }
        assert_eq!(settled(answer, since), expected);
    }
}

#[tokio::test]
async fn filters_restrict() {
    let mut client = client().await;
    let since = now_secs();
    let names = accounts("m", 2);
    let custom = json!([{"Key": "badge", "Value": "7"}, {"Key": "seat", "Value": "2"}]);
    let bob = json!({"Member_Account": names[1], "AppMemberDefinedData": custom});
    let id = create(&mut client, "Public", json!({"Owner_Account": names[0], "MemberList": [bob]})).await;

    let [ann, bob] = [&names[0], &names[1]];
    for (filter, of_ann, of_bob) in [
        (json!({"MemberInfoFilter": ["Role"]}), json!({"Role": "Owner"}), json!({"Role": "Member"})),
        (json!({"MemberInfoFilter": ["Account"]}), json!({}), json!({})),
        (json!({"MemberInfoFilter": ["Nonsense"]}), json!({}), json!({})),
        (
            json!({"MemberInfoFilter": ["JoinTime", "MsgSeq", "MsgFlag", "LastSendMsgTime", "NameCard"]}),
            json!({"JoinTime": THEN, "MsgSeq": 0, "MsgFlag": "AcceptAndNotify", "LastSendMsgTime": 0, "NameCard": ""}),
            json!({"JoinTime": THEN, "MsgSeq": 0, "MsgFlag": "AcceptAndNotify", "LastSendMsgTime": 0, "NameCard": ""}),
        ),
        (json!({"MemberInfoFilter": ["MuteUntil"]}), json!({"MuteUntil": 0}), json!({"MuteUntil": 0})),
        (json!({"MemberInfoFilter": ["ShutUpUntil"]}), json!({"ShutUpUntil": 0}), json!({"ShutUpUntil": 0})),
        (
            json!({"MemberInfoFilter": ["Role"], "AppDefinedDataFilter_GroupMember": ["seat", "badge"]}),
            json!({"Role": "Owner"}),
            json!({"Role": "Member", "AppMemberDefinedData": [
                {"Key": "seat", "Value": "2"}, {"Key": "badge", "Value": "7"},
            ]}),
        ),
        // Custom data has a name among the fields.
        (json!({"MemberInfoFilter": ["AppMemberDefinedData"]}), json!({}), json!({"AppMemberDefinedData": custom})),
        (
            json!({"MemberInfoFilter": ["NameCard"], "AppDefinedDataFilter_GroupMember": ["badge", "none"]}),
            json!({"NameCard": ""}),
            json!({"NameCard": "", "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]}),
        ),
    ] {
        let answer = client.call("get_group_member_info", with(json!({"GroupId": id}), filter.clone())).await;
        let members = [with(json!({"Member_Account": ann}), of_ann), with(json!({"Member_Account": bob}), of_bob)];
        let expected = expect::ok(json!({"MemberNum": 2, "MemberList": members}));
        assert_eq!(settled(answer, since), expected, "{filter}");
    }
}

#[tokio::test]
async fn pages_by_offset_cover_the_list() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting"] {
        let names = accounts("m", 10);
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind, fields).await;
        for (offset, limit, expected) in [
            (0, 4, &names[0..4]),
            (4, 4, &names[4..8]),
            (8, 4, &names[8..]),
            (9, 1, &names[9..]),
            (10, 4, &[][..]),
            (11, 1, &[]),
            (4_000_000_000_u64, 6000, &[]),
            (0, 6001, &names),
            (0, 4_000_000_000_u64, &names),
        ] {
            let answer = page(&mut client, &id, json!({"Limit": limit, "Offset": offset})).await;
            assert_eq!(
                answer,
                expect::ok(json!({"MemberNum": 10, "MemberList": listed(expected)})),
                "{offset} {limit}"
            );
        }
        // Zero, null and absent are one; numbers may be text.
        for changes in [json!({}), json!({"Limit": 0, "Offset": 0}), json!({"Limit": "0", "Offset": "0"})] {
            let answer = page(&mut client, &id, changes).await;
            assert_eq!(crate::shared::names(&answer["MemberList"], "Member_Account"), names);
        }
        let answer = page(&mut client, &id, json!({"Limit": "3", "Offset": "2"})).await;
        assert_eq!(crate::shared::names(&answer["MemberList"], "Member_Account"), names[2..5]);
    }
}

#[tokio::test]
async fn roles_are_filtered_before_paging() {
    let mut client = client().await;
    for kind in ["Public", "Meeting"] {
        let (id, names) = ten(&mut client, kind).await;
        for (roles, offset, limit, expected) in [
            (json!(["Owner"]), 0, 10, &names[..1]),
            (json!(["Admin"]), 0, 10, &names[1..3]),
            (json!(["Member"]), 0, 10, &names[3..]),
            (json!(["Owner", "Admin"]), 0, 10, &names[..3]),
            (json!(["Admin", "Owner"]), 1, 1, &names[1..2]),
            (json!(["Admin"]), 1, 10, &names[2..3]),
            (json!(["Admin"]), 2, 10, &[][..]),
            (json!(["Member"]), 5, 10, &names[8..]),
            (json!(["Member"]), 1, 2, &names[4..6]),
            (json!(["Owner", "Admin", "Member"]), 2, 2, &names[2..4]),
            (json!([]), 0, 10, &names[..]),
        ] {
            let changes = json!({"MemberRoleFilter": roles, "Offset": offset, "Limit": limit});
            let answer = page(&mut client, &id, changes).await;
            // MemberNum counts the whole group whatever is filtered.
            let expected = expect::ok(json!({"MemberNum": 10, "MemberList": listed(expected)}));
            assert_eq!(answer, expected, "{roles} {offset} {limit}");
        }
    }
}

#[tokio::test]
async fn a_community_is_paged_by_its_cursor() {
    let mut client = client().await;
    let names = accounts("m", 250);
    let id = create(&mut client, "Community", json!({"Owner_Account": names[0]})).await;
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&names[1..])})).await;
    for (limit, largest) in [(7, 7), (100, 100), (101, 100), (6000, 100)] {
        let (mut seen, mut next, mut pages) = (Vec::new(), json!(""), 0);
        loop {
            let answer = page(&mut client, &id, json!({"Limit": limit, "Next": next})).await;
            assert_eq!(answer["MemberNum"], 250);
            let here = crate::shared::names(&answer["MemberList"], "Member_Account");
            assert!(here.len() <= largest, "{limit}: {}", here.len());
            seen.extend(here);
            pages += 1;
            next = answer["Next"].clone();
            assert!(next.is_string(), "{answer}");
            if next == "" {
                break;
            }
        }
        assert_eq!(seen, names, "{limit}");
        assert_eq!(pages, 250_usize.div_ceil(largest));
    }
    // An offset is no way in; the first page it is.
    let answer = page(&mut client, &id, json!({"Limit": 5, "Offset": 100})).await;
    assert_eq!(crate::shared::names(&answer["MemberList"], "Member_Account"), names[..5]);
    // Absent: as many as a page has.
    let answer = page(&mut client, &id, json!({})).await;
    assert_eq!(crate::shared::names(&answer["MemberList"], "Member_Account"), names[..100]);
    for next in [json!("nonsense"), json!(5), json!({"a": 1})] {
        let body = json!({"GroupId": id, "Limit": 5, "Next": next});
        refused(&mut client, "get_group_member_info", body, 10004).await;
    }
}

#[tokio::test]
async fn a_cursor_neither_skips_nor_repeats_while_members_come_and_go() {
    let mut client = client().await;
    let names = accounts("m", 60);
    let id = create(&mut client, "Community", json!({"MemberList": listed(&names[..50])})).await;
    let first = page(&mut client, &id, json!({"Limit": 20, "Next": ""})).await;
    // One of the first page, the first of the second page and one later leave; others join.
    let gone = json!([names[3], names[20], names[30]]);
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": gone})).await;
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&names[50..])})).await;
    let mut seen = crate::shared::names(&first["MemberList"], "Member_Account");
    let mut next = first["Next"].clone();
    while next != "" {
        let answer = page(&mut client, &id, json!({"Limit": 20, "Next": next})).await;
        seen.extend(crate::shared::names(&answer["MemberList"], "Member_Account"));
        next = answer["Next"].clone();
    }
    let mut expected: Vec<String> = names.clone();
    expected.retain(|name| *name != names[20] && *name != names[30]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_community_is_filtered_by_role_too() {
    let mut client = client().await;
    let (id, all) = ten(&mut client, "Community").await;
    let mut seen = Vec::new();
    let mut next = json!("");
    loop {
        let changes = json!({"MemberRoleFilter": ["Member"], "Limit": 3, "Next": next});
        let answer = page(&mut client, &id, changes).await;
        assert_eq!(answer["MemberNum"], 10);
        seen.extend(names(&answer["MemberList"], "Member_Account"));
        next = answer["Next"].clone();
        if next == "" {
            break;
        }
    }
    assert_eq!(seen, all[3..]);
    let since = now_secs() - 60;
    let body = json!({"GroupId": id, "MemberRoleFilter": ["Owner", "Admin"], "Next": ""});
    let answer = settled(client.ok("get_group_member_info", body).await, since);
    let members = [
        member(&COMMUNITY, &all[0], "Owner"),
        member(&COMMUNITY, &all[1], "Admin"),
        member(&COMMUNITY, &all[2], "Admin"),
    ];
    assert_eq!(answer, expect::ok(json!({"MemberNum": 10, "MemberList": members, "Next": ""})));
}

#[tokio::test]
async fn a_group_that_was_emptied_has_no_members() {
    let mut client = client().await;
    let names = accounts("m", 2);
    for kind in ["Work", "Public", "Meeting"] {
        let id = create(&mut client, kind, json!({"MemberList": listed(&names)})).await;
        client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": names})).await;
        let answer = client.call("get_group_member_info", json!({"GroupId": id})).await;
        assert_eq!(answer, expect::ok(json!({"MemberNum": 0, "MemberList": []})), "{kind}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let live = create(&mut client, "AVChatRoom", json!({})).await;
    for (body, code) in [
        (json!({}), 10004),
        (json!({"GroupId": ""}), 10004),
        (json!({"GroupId": 7}), 10004),
        (json!({"GroupId": [id]}), 10004),
        (json!({"GroupId": "x".repeat(49)}), 10015),
        (json!({"GroupId": "k\u{e4}se"}), 10015),
        (json!({"GroupId": unique("absent")}), 10010),
        (json!({"GroupId": live}), 10007),
        // Shape is looked at before the group.
        (json!({"GroupId": unique("absent"), "Limit": -1}), 10004),
        (json!({"GroupId": "x".repeat(49), "Limit": "many"}), 10004),
        (json!({"GroupId": id, "Limit": 1.5}), 10004),
        (json!({"GroupId": id, "Offset": -1}), 10004),
        (json!({"GroupId": id, "Offset": "x"}), 10004),
        (json!({"GroupId": id, "MemberInfoFilter": "Role"}), 10004),
        (json!({"GroupId": id, "MemberInfoFilter": [1]}), 10004),
        (json!({"GroupId": id, "MemberRoleFilter": "Owner"}), 10004),
        (json!({"GroupId": id, "AppDefinedDataFilter_GroupMember": {}}), 10004),
    ] {
        refused(&mut client, "get_group_member_info", body, code).await;
    }
    // What a Go client sends for what it leaves out.
    let body = json!({
        "GroupId": id, "Limit": 0, "Offset": 0, "MemberInfoFilter": null, "MemberRoleFilter": null,
        "AppDefinedDataFilter_GroupMember": null,
    });
    let answer = client.call("get_group_member_info", body).await;
    assert_eq!(answer, expect::ok(json!({"MemberNum": 0, "MemberList": []})));
}
