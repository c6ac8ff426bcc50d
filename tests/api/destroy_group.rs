//! Disbanding: docs/spec/rest-api.md 4.10, docs/spec/identifiers.md 1.4.

use serde_json::json;

use crate::expect::{self, ALL, PUBLIC, group, member, settled};
use crate::shared::{
    accounts, client, create, create_as, info, joined, listed, members, refused, unique, unique_id, with,
};
use crate::support::now_secs;

#[tokio::test]
async fn every_type_ends_and_is_gone_at_once() {
    let mut client = client().await;
    for kind in ALL {
        let names = accounts("m", 3);
        let fields = match kind.wire {
            "AVChatRoom" => json!({"Owner_Account": names[0]}),
            _ => json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])}),
        };
        let id = create(&mut client, kind.wire, fields).await;
        let answer = client.call("destroy_group", json!({"GroupId": id})).await;
        assert_eq!(answer, expect::ok(json!({})), "{}", kind.wire);

        let gone = json!({"GroupId": id, "ErrorCode": 10010, "ErrorInfo": "this group does not exist"});
        let answer = client.call("get_group_info", json!({"GroupIdList": [id]})).await;
        assert_eq!(answer, expect::group_info(gone));
        for name in &names {
            assert_eq!(joined(&mut client, name).await, [""; 0], "{}", kind.wire);
        }
        for (command, body) in [
            ("get_group_member_info", json!({"GroupId": id})),
            ("add_group_member", json!({"GroupId": id, "MemberList": listed(&names)})),
            ("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": names})),
            ("modify_group_base_info", json!({"GroupId": id, "Name": "new"})),
            ("destroy_group", json!({"GroupId": id})),
        ] {
            refused(&mut client, command, body, 10010).await;
        }
    }
}

#[tokio::test]
async fn an_id_is_free_again_and_the_new_group_inherits_nothing() {
    let mut client = client().await;
    for kind in ALL {
        let names = accounts("m", 2);
        let id = unique_id(kind.wire);
        for round in 0..3 {
            let stored = kind.wire != "AVChatRoom";
            let mut fields = json!({
                "Owner_Account": names[0], "Name": "old", "Introduction": "walks", "Notification": "note",
                "FaceUrl": "http://face", "MaxMemberCount": 17, "InviteJoinOption": "NeedPermission",
                "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
            });
            if stored {
                fields["MemberList"] = listed(&names[1..]);
            }
            create_as(&mut client, &id, kind.wire, fields).await;
            let change = json!({"GroupId": id, "Name": format!("old{round}")});
            client.ok("modify_group_base_info", change).await;
            client.ok("destroy_group", json!({"GroupId": id})).await;

            let since = now_secs();
            create_as(&mut client, &id, kind.wire, json!({})).await;
            assert_eq!(settled(info(&mut client, &id).await, since), group(kind, &id), "round {round}");
            for name in &names {
                assert_eq!(joined(&mut client, name).await, [""; 0], "{} round {round}", kind.wire);
            }
            client.ok("destroy_group", json!({"GroupId": id})).await;
        }
    }
}

#[tokio::test]
async fn the_next_group_of_an_id_may_be_of_another_type() {
    let mut client = client().await;
    let names = accounts("m", 2);
    let id = create(&mut client, "Work", json!({"MemberList": listed(&names)})).await;
    client.ok("destroy_group", json!({"GroupId": id})).await;
    let since = now_secs();
    create_as(&mut client, &id, "Public", json!({"Owner_Account": names[1]})).await;
    let changes = json!({
        "Owner_Account": names[1], "MemberNum": 1, "MemberList": [member(&PUBLIC, &names[1], "Owner")],
    });
    assert_eq!(settled(info(&mut client, &id).await, since), with(group(&PUBLIC, &id), changes));
    assert_eq!(joined(&mut client, &names[0]).await, [""; 0]);
    assert_eq!(joined(&mut client, &names[1]).await, [id.as_str()]);
}

#[tokio::test]
async fn a_large_group_ends_for_all_its_members_at_once() {
    let mut client = client().await;
    let names = accounts("m", 1200);
    let id = create(&mut client, "Public", json!({})).await;
    for part in names.chunks(300) {
        client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(part)})).await;
    }
    let other = create(&mut client, "Public", json!({"MemberList": listed(&names[..2])})).await;
    client.ok("destroy_group", json!({"GroupId": id})).await;
    // The first, the last and some between, while the rows may still be on their way out.
    for name in names.iter().step_by(97).chain(names.last()) {
        let expected: &[&str] = if name == &names[0] { &[other.as_str()] } else { &[] };
        assert_eq!(joined(&mut client, name).await, expected, "{name}");
    }
    // The id can be used while they are.
    create_as(&mut client, &id, "Public", json!({"MemberList": listed(&names[5..7])})).await;
    assert_eq!(members(&mut client, &id).await, names[5..7]);
    assert_eq!(joined(&mut client, &names[5]).await, [id.as_str()]);
    assert_eq!(joined(&mut client, &names[7]).await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_disbanded() {
    let mut client = client().await;
    for (body, code) in [
        (json!({}), 10004),
        (json!({"GroupId": null}), 10004),
        (json!({"GroupId": ""}), 10004),
        (json!({"GroupId": 7}), 10004),
        (json!({"GroupId": ["g"]}), 10004),
        (json!({"GroupId": "x".repeat(49)}), 10015),
        (json!({"GroupId": "k\u{e4}se"}), 10015),
        (json!({"GroupId": "a\u{0}"}), 10015),
        (json!({"GroupId": unique("absent")}), 10010),
        (json!({"GroupId": "@TGS#2AAAAAAAAAAAAA"}), 10010),
    ] {
        refused(&mut client, "destroy_group", body, code).await;
    }
}
