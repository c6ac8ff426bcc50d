//! Making another member the owner: docs/spec/rest-api.md 4.16, docs/spec/README.md.

use serde_json::json;

use crate::expect::{self, STORED, group, member, settled};
use crate::shared::{accounts, client, create, info, joined, listed, refused, refused_without_effect, unique, with};
use crate::support::{Node, now_secs};

#[tokio::test]
async fn the_former_owner_becomes_a_member() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let names = accounts("m", 3);
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind.wire, fields).await;
        let body = json!({"GroupId": id, "NewOwner_Account": names[2]});
        assert_eq!(client.call("change_group_owner", body).await, expect::ok(json!({})));
        let tips = u32::from(kind.stores_member_tips) + u32::from(kind.stores_text_tips);
        let members =
            [member(kind, &names[0], "Member"), member(kind, &names[1], "Member"), member(kind, &names[2], "Owner")];
        let changes = json!({
            "Owner_Account": names[2], "MemberNum": 3, "InfoSeq": 2, "NextMsgSeq": 1 + tips, "MemberList": members,
        });
        assert_eq!(settled(info(&mut client, &id).await, since), with(group(kind, &id), changes));
        for name in &names {
            assert_eq!(joined(&mut client, name).await, [id.as_str()]);
        }
        // The new owner stands where the former one stood.
        if kind.wire != "Private" {
            let body = json!({"GroupId": id, "MemberToDel_Account": [names[2]]});
            refused_without_effect(&mut client, &id, "delete_group_member", body, 10004).await;
        }
        client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [names[0]]})).await;
        let back = json!({"GroupId": id, "NewOwner_Account": names[1], "From_Account": names[2]});
        client.ok("change_group_owner", back).await;
        assert_eq!(info(&mut client, &id).await["Owner_Account"], names[1]);
    }
}

#[tokio::test]
async fn an_ownerless_group_gets_an_owner() {
    let mut client = client().await;
    for kind in STORED {
        let names = accounts("m", 2);
        let id = create(&mut client, kind.wire, json!({"MemberList": listed(&names)})).await;
        client.ok("change_group_owner", json!({"GroupId": id, "NewOwner_Account": names[1]})).await;
        let info = info(&mut client, &id).await;
        assert_eq!((&info["Owner_Account"], &info["MemberList"][1]["Role"]), (&json!(names[1]), &json!("Owner")));
    }
}

#[tokio::test]
async fn an_admin_may_become_the_owner_and_is_counted_once() {
    let mut client = client().await;
    let names = accounts("m", 2);
    let admin = json!({"Member_Account": names[1], "Role": "Admin"});
    let id = create(&mut client, "Public", json!({"Owner_Account": names[0], "MemberList": [admin]})).await;
    client.ok("change_group_owner", json!({"GroupId": id, "NewOwner_Account": names[1]})).await;
    client.ok("change_group_owner", json!({"GroupId": id, "NewOwner_Account": names[0]})).await;
    let body = json!({"GroupId": id, "User_Account": names});
    let roles = client.ok("get_role_in_group", body).await;
    let expected = json!([
        {"Member_Account": names[0], "Role": "Owner"}, {"Member_Account": names[1], "Role": "Member"},
    ]);
    assert_eq!(roles["UserIdList"], expected);
}

#[tokio::test]
async fn what_cannot_be_handed_over() {
    let mut client = client().await;
    let names = accounts("m", 2);
    let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
    let id = create(&mut client, "Public", fields).await;
    for (change, code) in [
        (json!({"NewOwner_Account": unique("stranger")}), 10004),
        // To whom it belongs already.
        (json!({"NewOwner_Account": names[0]}), 10004),
        (json!({"NewOwner_Account": null}), 10004),
        (json!({"NewOwner_Account": 7}), 60015),
        (json!({"From_Account": 7}), 60015),
        (json!({"From_Account": "k\u{e4}se"}), 10012),
    ] {
        let body = with(json!({"GroupId": id, "NewOwner_Account": names[1]}), change);
        refused_without_effect(&mut client, &id, "change_group_owner", body, code).await;
    }
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": names[0]})).await;
    let body = json!({"GroupId": live, "NewOwner_Account": names[1]});
    refused_without_effect(&mut client, &live, "change_group_owner", body, 10007).await;
    let body = json!({"GroupId": unique("absent"), "NewOwner_Account": names[1]});
    refused(&mut client, "change_group_owner", body, 10010).await;
}

#[tokio::test]
async fn an_owner_is_the_owner_after_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    let body = json!({
        "Type": "Public", "Name": "club", "GroupId": "g", "Owner_Account": "ann", "MemberList": listed(&["bob"]),
    });
    client.ok("create_group", body).await;
    client.ok("change_group_owner", json!({"GroupId": "g", "NewOwner_Account": "bob"})).await;
    let before = info(&mut client, "g").await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(info(&mut client, "g").await, before);
    refused(&mut client, "change_group_owner", json!({"GroupId": "g", "NewOwner_Account": "bob"}), 10004).await;
    client.ok("change_group_owner", json!({"GroupId": "g", "NewOwner_Account": "ann"})).await;
}
