//! Who may not speak, under the new and the old name: docs/spec/rest-api.md 4.14 and 4.15.
//!
//! Topics: [`forbid_send_msg`](crate::forbid_send_msg).

use serde_json::{Value, json};

use crate::expect::{self, ALL, THEN};
use crate::shared::{accounts, client, create, listed, refused, unique};
use crate::support::now_secs;

#[tokio::test]
async fn both_names_say_the_same() {
    let mut client = client().await;
    for kind in ALL {
        let names = accounts("m", 3);
        let is_live = kind.wire == "AVChatRoom";
        let fields = if is_live { json!({}) } else { json!({"MemberList": listed(&names)}) };
        let id = create(&mut client, kind.wire, fields).await;
        let mut muted: Vec<&String> = Vec::new();
        let since = now_secs();
        if kind.wire != "Private" {
            muted.extend([&names[0], &names[2]]);
            let body = json!({"GroupId": id, "Members_Account": [names[2], names[0]], "MuteTime": 3600});
            client.ok("forbid_send_msg", body).await;
        }
        for (command, list, until) in [
            ("get_group_muted_account", "MutedAccountList", "MutedUntil"),
            ("get_group_shutted_uin", "ShuttedUinList", "ShuttedUntil"),
        ] {
            let mut answer = client.call(command, json!({"GroupId": id})).await;
            for entry in answer[list].as_array_mut().expect("a list") {
                let end = entry[until].as_u64().unwrap_or_else(|| panic!("{until}: {entry}"));
                assert!((since + 3600..=now_secs() + 3600).contains(&end), "{entry}");
                entry[until] = json!(THEN);
            }
            let expected: Value = muted.iter().map(|name| json!({"Member_Account": name, until: THEN})).collect();
            assert_eq!(answer, expect::ok(json!({"GroupId": id, list: expected})), "{}", kind.wire);
        }
    }
}

#[tokio::test]
async fn a_new_group_under_an_old_id_has_nobody_silenced() {
    let mut client = client().await;
    let bob = unique("bob");
    let id = create(&mut client, "Public", json!({"MemberList": listed(&[&bob])})).await;
    client.ok("forbid_send_msg", json!({"GroupId": id, "Members_Account": [bob], "MuteTime": 3600})).await;
    client.ok("destroy_group", json!({"GroupId": id})).await;
    for command in ["get_group_muted_account", "get_group_shutted_uin"] {
        refused(&mut client, command, json!({"GroupId": id}), 10010).await;
    }
    crate::shared::create_as(&mut client, &id, "Public", json!({"MemberList": listed(&[&bob])})).await;
    let answer = client.call("get_group_muted_account", json!({"GroupId": id})).await;
    assert_eq!(answer, expect::ok(json!({"GroupId": id, "MutedAccountList": []})));
}

#[tokio::test]
async fn what_cannot_be_answered() {
    let mut client = client().await;
    for command in ["get_group_muted_account", "get_group_shutted_uin"] {
        for (body, code) in [
            (json!({}), 10004),
            (json!({"GroupId": "x".repeat(49)}), 10015),
            (json!({"GroupId": unique("absent")}), 10010),
        ] {
            refused(&mut client, command, body, code).await;
        }
    }
}
