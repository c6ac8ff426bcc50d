//! Removing members: docs/spec/rest-api.md 4.8.

use serde_json::json;

use crate::expect::{self, STORED, group, member, settled};
use crate::shared::{
    accounts, client, create, info, joined, listed, members, refused, refused_without_effect, unique, with,
};
use crate::support::now_secs;

#[tokio::test]
async fn every_type_but_the_live_room_lets_members_go() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let names = accounts("m", 4);
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind.wire, fields).await;
        let body = json!({"GroupId": id, "MemberToDel_Account": [names[1], names[3]]});
        assert_eq!(client.call("delete_group_member", body).await, expect::ok(json!({})));

        let changes = json!({
            "Owner_Account": names[0],
            "MemberNum": 2,
            "NextMsgSeq": 1 + 2 * u32::from(kind.stores_member_tips),
            "MemberList": [member(kind, &names[0], "Owner"), member(kind, &names[2], "Member")],
        });
        assert_eq!(settled(info(&mut client, &id).await, since), with(group(kind, &id), changes));
        for (name, groups) in [(&names[0], 1), (&names[1], 0), (&names[2], 1), (&names[3], 0)] {
            assert_eq!(joined(&mut client, name).await.len(), groups, "{name} {}", kind.wire);
        }
    }
}

#[tokio::test]
async fn who_is_not_in_is_gone_already() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names[..2])})).await;
    let before = info(&mut client, &id).await;
    let body = json!({"GroupId": id, "MemberToDel_Account": [names[2], "nobody"]});
    assert_eq!(client.call("delete_group_member", body).await, expect::ok(json!({})));
    assert_eq!(info(&mut client, &id).await, before);
    // Among others, and twice.
    let body = json!({"GroupId": id, "MemberToDel_Account": [names[2], names[0], names[0]]});
    assert_eq!(client.call("delete_group_member", body).await, expect::ok(json!({})));
    assert_eq!(members(&mut client, &id).await, names[1..2]);
    assert_eq!(info(&mut client, &id).await["MemberNum"], 1);
}

#[tokio::test]
async fn an_admin_may_be_removed_and_comes_back_as_a_member() {
    let mut client = client().await;
    let bob = unique("bob");
    let fields = json!({"MemberList": [{"Member_Account": bob, "Role": "Admin"}]});
    let id = create(&mut client, "Public", fields).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})).await;
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&bob])})).await;
    assert_eq!(info(&mut client, &id).await["MemberList"][0]["Role"], "Member");
}

#[tokio::test]
async fn the_owner_leaves_a_work_group_only() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let names = accounts("m", 3);
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind, fields).await;
        for list in [&names[..1], &names[..], &[names[1].clone(), names[0].clone()]] {
            let body = json!({"GroupId": id, "MemberToDel_Account": list});
            refused_without_effect(&mut client, &id, "delete_group_member", body, 10004).await;
        }
        assert_eq!(joined(&mut client, &names[0]).await, [id.as_str()]);
    }
    let names = accounts("m", 2);
    let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
    let id = create(&mut client, "Work", fields).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [names[0]]})).await;
    let info = info(&mut client, &id).await;
    assert_eq!((&info["Owner_Account"], &info["MemberNum"]), (&json!(""), &json!(1)), "{info}");
    // Somebody who returns is an ordinary member.
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&names[..1])})).await;
    let info = crate::shared::info(&mut client, &id).await;
    assert_eq!((&info["Owner_Account"], &info["MemberList"][1]["Role"]), (&json!(""), &json!("Member")), "{info}");
}

#[tokio::test]
async fn a_group_outlives_its_last_member() {
    let mut client = client().await;
    let names = accounts("m", 2);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names)})).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": names})).await;
    let left = info(&mut client, &id).await;
    assert_eq!((&left["ErrorCode"], &left["MemberNum"], &left["MemberList"]), (&json!(0), &json!(0), &json!([])));
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&names)})).await;
    assert_eq!(members(&mut client, &id).await, names);
}

#[tokio::test]
async fn silence_leaves_no_tip_and_a_reason_is_bounded() {
    let mut client = client().await;
    let names = accounts("m", 4);
    let id = create(&mut client, "Public", json!({"Owner_Account": names[0]})).await;
    let body = json!({"GroupId": id, "Silence": 1, "MemberList": listed(&names[1..])});
    client.ok("add_group_member", body).await;
    for (name, fields, next_seq) in [
        (&names[1], json!({"Silence": 1, "Reason": "moved away"}), 1),
        (&names[2], json!({"Silence": 0, "Reason": "x".repeat(256)}), 2),
        (&names[3], json!({"Silence": null, "Reason": null}), 3),
    ] {
        let mut body = json!({"GroupId": id, "MemberToDel_Account": [name]});
        // `with` would take nulls away; they are what is tested.
        for (key, value) in fields.as_object().expect("fields") {
            body[key] = value.clone();
        }
        client.ok("delete_group_member", body).await;
        assert_eq!(info(&mut client, &id).await["NextMsgSeq"], next_seq, "{fields}");
    }
    let body = json!({"GroupId": id, "MemberToDel_Account": [names[0]], "Reason": "x".repeat(257)});
    refused_without_effect(&mut client, &id, "delete_group_member", body, 10004).await;
}

#[tokio::test]
async fn a_list_holds_one_to_five_hundred() {
    let mut client = client().await;
    let names = accounts("m", 501);
    let id = create(&mut client, "Public", json!({})).await;
    for part in names.chunks(300) {
        client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(part)})).await;
    }
    let body = json!({"GroupId": id, "MemberToDel_Account": names});
    refused_without_effect(&mut client, &id, "delete_group_member", body, 10005).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": names[1..]})).await;
    assert_eq!(members(&mut client, &id).await, names[..1]);
}

#[tokio::test]
async fn what_cannot_be_removed() {
    let mut client = client().await;
    let bob = unique("bob");
    let id = create(&mut client, "Public", json!({"MemberList": listed(&[&bob])})).await;
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": bob})).await;
    for (changes, code) in [
        (json!({"GroupId": null}), 10004),
        (json!({"GroupId": 7}), 10004),
        (json!({"GroupId": "x".repeat(49)}), 10015),
        (json!({"GroupId": unique("absent")}), 10010),
        // Not 10007: clients know this one as 10004.
        (json!({"GroupId": live}), 10004),
        (json!({"MemberToDel_Account": null}), 10004),
        (json!({"MemberToDel_Account": []}), 10004),
        (json!({"MemberToDel_Account": [7]}), 60015),
        (json!({"MemberToDel_Account": [bob, {"Member_Account": bob}]}), 60015),
        (json!({"MemberToDel_Account": [bob, ""]}), 10004),
        (json!({"MemberToDel_Account": [bob, "x".repeat(33)]}), 10004),
        (json!({"MemberToDel_Account": [bob, "k\u{e4}se"]}), 10004),
        (json!({"Reason": 7}), 10004),
        (json!({"Silence": []}), 10004),
        (json!({"GroupId": unique("absent"), "MemberToDel_Account": vec![&bob; 501]}), 10005),
    ] {
        let body = with(json!({"GroupId": id, "MemberToDel_Account": [bob]}), changes);
        refused_without_effect(&mut client, &id, "delete_group_member", body, code).await;
    }
    refused(&mut client, "delete_group_member", json!({}), 10004).await;
}
