//! Changing one member: docs/spec/rest-api.md 4.9, docs/spec/group-types.md 6.4.
//!
//! Which answers show each field: [`fields`](crate::fields).

use serde_json::{Value, json};

use crate::expect::{self, Kind, STORED, group, member, settled};
use crate::shared::{accounts, client, create, info, listed, refused_without_effect, unique, with};
use crate::support::{Client, Node, now_secs};

/// A group with an owner and a member, and their names.
async fn a_pair(client: &mut Client, kind: &str) -> (String, Vec<String>) {
    let names = accounts("m", 2);
    let id = create(client, kind, json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])})).await;
    (id, names)
}

async fn refused(client: &mut Client, id: &str, account: &str, change: Value, code: u32) {
    let body = with(json!({"GroupId": id, "Member_Account": account}), change);
    refused_without_effect(client, id, "modify_group_member_info", body, code).await;
}

/// Appointments and mutes leave a tip where there are such tips: docs/spec/events.md 2.2.
fn stores_rank_tips(kind: &Kind) -> bool {
    matches!(kind.wire, "Public" | "Community")
}

#[tokio::test]
async fn several_fields_at_once() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let (id, names) = a_pair(&mut client, kind.wire).await;
        let data = json!([{"Key": "badge", "Value": "7"}, {"Key": "seat", "Value": "2"}]);
        let change = json!({
            "GroupId": id, "Member_Account": names[1], "NameCard": "Lena (maps)", "MsgFlag": "Discard",
            "AppMemberDefinedData": data,
        });
        let with_role = kind.wire != "Private";
        let change = if with_role { with(change, json!({"Role": "Admin", "MuteTime": 0})) } else { change };
        assert_eq!(client.call("modify_group_member_info", change.clone()).await, expect::ok(json!({})));

        let shown = json!({"NameCard": "Lena (maps)", "MsgFlag": "Discard", "AppMemberDefinedData": data});
        let role = if with_role { "Admin" } else { "Member" };
        let members = [member(kind, &names[0], "Owner"), with(member(kind, &names[1], role), shown)];
        // The appointment leaves a tip; that nobody was silenced leaves none.
        let tips = u32::from(kind.stores_member_tips) + u32::from(stores_rank_tips(kind));
        let changes = json!({
            "Owner_Account": names[0], "MemberNum": 2, "NextMsgSeq": 1 + tips, "MemberList": members,
        });
        let expected = with(group(kind, &id), changes);
        assert_eq!(settled(info(&mut client, &id).await, since), expected);
        // Again: nothing changes, nothing is told. Neither does a call that names nothing.
        let nothing = json!({"GroupId": id, "Member_Account": names[1]});
        for body in [change, nothing.clone(), with(nothing, json!({"Unknown": 1, "JoinTime": 1, "MsgSeq": 9}))] {
            assert_eq!(client.call("modify_group_member_info", body).await, expect::ok(json!({})));
            assert_eq!(settled(info(&mut client, &id).await, since), expected);
        }
    }
}

#[tokio::test]
async fn admins_come_and_go() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let (id, names) = a_pair(&mut client, kind).await;
        for role in ["Admin", "Member", "Member", "Admin"] {
            let body = json!({"GroupId": id, "Member_Account": names[1], "Role": role});
            client.ok("modify_group_member_info", body).await;
            assert_eq!(info(&mut client, &id).await["MemberList"][1]["Role"], role);
        }
        // The profile is not what changed.
        assert_eq!(info(&mut client, &id).await["InfoSeq"], 1);
    }
}

#[tokio::test]
async fn custom_fields_are_merged() {
    let mut client = client().await;
    let fields = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
    };
    let (id, names) = a_pair(&mut client, "Public").await;
    for (change, left) in [
        (fields(&[("a", "1"), ("b", "2")]), fields(&[("a", "1"), ("b", "2")])),
        (fields(&[("b", "3"), ("c", "4")]), fields(&[("a", "1"), ("b", "3"), ("c", "4")])),
        (fields(&[("a", "")]), fields(&[("b", "3"), ("c", "4")])),
        (fields(&[("x", ""), ("b", "3")]), fields(&[("b", "3"), ("c", "4")])),
        (json!([{"Key": "b", "Value": 7}, {"Key": "c", "Value": true}]), fields(&[("b", "7"), ("c", "true")])),
        (json!([{"Key": "b"}, {"Key": "c", "Value": null}]), Value::Null),
    ] {
        let body = json!({"GroupId": id, "Member_Account": names[1], "AppMemberDefinedData": change});
        client.ok("modify_group_member_info", body).await;
        assert_eq!(info(&mut client, &id).await["MemberList"][1]["AppMemberDefinedData"], left, "{change}");
    }
    // Five keys are full, and one may take another's place.
    let five: Value = (0..5).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect();
    let body = json!({"GroupId": id, "Member_Account": names[1], "AppMemberDefinedData": five});
    client.ok("modify_group_member_info", body).await;
    refused(&mut client, &id, &names[1], json!({"AppMemberDefinedData": fields(&[("more", "v")])}), 10004).await;
    let swap = fields(&[("more", "v"), ("k0", "")]);
    let body = json!({"GroupId": id, "Member_Account": names[1], "AppMemberDefinedData": swap});
    client.ok("modify_group_member_info", body).await;
    let long = "x".repeat(64);
    let body = json!({"GroupId": id, "Member_Account": names[1], "AppMemberDefinedData": fields(&[("k1", &long)])});
    client.ok("modify_group_member_info", body).await;
}

#[tokio::test]
async fn a_name_card_ends_at_its_limit() {
    let mut client = client().await;
    let (id, names) = a_pair(&mut client, "Public").await;
    for card in ["x".repeat(50), format!("{}ab", "\u{7fa4}".repeat(16))] {
        client
            .ok("modify_group_member_info", json!({"GroupId": id, "Member_Account": names[1], "NameCard": card}))
            .await;
        assert_eq!(info(&mut client, &id).await["MemberList"][1]["NameCard"], card);
    }
    for card in ["x".repeat(51), "\u{7fa4}".repeat(17)] {
        refused(&mut client, &id, &names[1], json!({"NameCard": card}), 10004).await;
    }
}

#[tokio::test]
async fn who_and_what_cannot_be_changed() {
    let mut client = client().await;
    for (kind, on_owner, change, code) in [
        ("Work", false, json!({"Role": "Admin"}), 10007),
        ("Work", false, json!({"MuteTime": 60}), 10007),
        ("Work", false, json!({"ShutUpUntil": 60}), 10007),
        ("Public", true, json!({"Role": "Member"}), 10004),
        ("Public", true, json!({"Role": "Admin"}), 10004),
        ("Public", true, json!({"MuteTime": 60}), 10004),
        ("Public", false, json!({"Role": "Owner"}), 10004),
        ("Meeting", true, json!({"Role": "Member"}), 10004),
        ("Community", true, json!({"Role": "Member"}), 10004),
    ] {
        let (id, names) = a_pair(&mut client, kind).await;
        let name = &names[usize::from(!on_owner)];
        refused(&mut client, &id, name, change.clone(), code).await;
        // All or nothing.
        refused(&mut client, &id, name, with(change, json!({"NameCard": "new", "MsgFlag": "Discard"})), code).await;
    }
    let (id, names) = a_pair(&mut client, "Public").await;
    for change in [json!({}), json!({"NameCard": "x"}), json!({"Role": "Admin"}), json!({"MuteTime": 60})] {
        refused(&mut client, &id, &unique("stranger"), change, 10004).await;
    }
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": names[0]})).await;
    for change in [json!({}), json!({"NameCard": "x"}), json!({"Role": "Admin"}), json!({"MuteTime": 60})] {
        refused(&mut client, &live, &names[1], change, 10007).await;
    }
    let body = json!({"GroupId": unique("absent"), "Member_Account": names[1], "NameCard": "x"});
    crate::shared::refused(&mut client, "modify_group_member_info", body, 10010).await;
}

#[tokio::test]
async fn a_member_that_leaves_takes_its_fields_along_but_not_its_silence() {
    let mut client = client().await;
    let (id, names) = a_pair(&mut client, "Public").await;
    let change = json!({
        "GroupId": id, "Member_Account": names[1], "Role": "Admin", "NameCard": "Card", "MsgFlag": "Discard",
        "MuteTime": u32::MAX, "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}],
    });
    client.ok("modify_group_member_info", change).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": names[1..]})).await;
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&names[1..])})).await;
    let back = info(&mut client, &id).await["MemberList"][1].clone();
    assert_eq!(
        (&back["Role"], &back["NameCard"], &back["MsgFlag"]),
        (&json!("Member"), &json!(""), &json!("AcceptAndNotify"))
    );
    assert_eq!((&back["MuteUntil"], back.get("AppMemberDefinedData")), (&json!(u32::MAX), None));
}

#[tokio::test]
async fn a_member_is_the_same_after_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    let body = json!({
        "Type": "Public", "Name": "club", "GroupId": "g", "Owner_Account": "ann", "MemberList": listed(&["bob"]),
    });
    client.ok("create_group", body).await;
    let change = json!({
        "GroupId": "g", "Member_Account": "bob", "Role": "Admin", "NameCard": "Card", "MsgFlag": "Discard",
        "MuteTime": 100_000, "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}],
    });
    client.ok("modify_group_member_info", change).await;
    let before = info(&mut client, "g").await;
    let node = node.kill().start();
    assert_eq!(info(&mut node.client().await, "g").await, before);
}
