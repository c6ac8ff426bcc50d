//! Groups from elsewhere: docs/spec/rest-api.md 4.17.

use serde_json::{Value, json};

use crate::expect::{self, STORED, THEN, group, member, settled};
use crate::shared::{client, info, joined, listed, refused, unique, unique_id, with};
use crate::support::{ADMIN, Node, now_secs};

const THEN_SECS: u64 = 1_561_000_000;

/// The group with its old moments replaced, if they are the moment of the import.
fn settled_import(mut shown: Value) -> Value {
    for field in ["CreateTime", "LastInfoTime"] {
        assert_eq!(shown[field], THEN_SECS, "{field}");
        shown[field] = json!(THEN);
    }
    for member in shown["MemberList"].as_array_mut().expect("members") {
        assert_eq!(member["JoinTime"], THEN_SECS);
        member["JoinTime"] = json!(THEN);
    }
    shown
}

#[tokio::test]
async fn a_group_begins_in_the_past_and_silently() {
    let mut client = client().await;
    for kind in STORED {
        for name in kind.names {
            let (id, mira) = (unique_id(kind.wire), unique("mira"));
            let body = json!({
                "Type": name, "Name": "club", "GroupId": id, "Owner_Account": mira, "CreateTime": THEN_SECS,
                // Members follow by a command of their own.
                "MemberList": listed(&["ignored"]),
            });
            assert_eq!(client.call("import_group", body).await, expect::ok(json!({"GroupId": id})));
            let changes = json!({"Owner_Account": mira, "MemberNum": 1, "MemberList": [member(kind, &mira, "Owner")]});
            assert_eq!(settled_import(info(&mut client, &id).await), with(group(kind, &id), changes));
            assert_eq!(joined(&mut client, &mira).await, [id.as_str()]);
            // Active from the start, of every type: messages will follow by import.
            let bob = unique("bob");
            client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&bob])})).await;
            let answer = client.ok("get_joined_group_list", json!({"Member_Account": bob})).await;
            assert_eq!(answer["GroupIdList"], json!([{"GroupId": id}]), "{name}");
        }
    }
}

#[tokio::test]
async fn without_a_moment_and_an_id_it_begins_now_under_a_minted_one() {
    let mut client = client().await;
    for kind in STORED {
        for moment in [Value::Null, json!(0), json!("0")] {
            let since = now_secs();
            let body = json!({"Type": kind.wire, "Name": "club", "CreateTime": moment});
            let answer = client.ok("import_group", body).await;
            let id = answer["GroupId"].as_str().expect("an id").to_owned();
            assert_eq!(answer, expect::ok(json!({"GroupId": id})));
            let prefix = if kind.wire == "Community" { "@TGS#_@TGS#c" } else { "@TGS#2" };
            assert!(id.starts_with(prefix), "{id}");
            assert_eq!(settled(info(&mut client, &id).await, since), group(kind, &id));
        }
    }
}

#[tokio::test]
async fn it_is_refused_as_a_creation_is() {
    let mut client = client().await;
    let bad = [
        (json!({"Type": null}), 10004),
        (json!({"Type": "BChatRoom"}), 10004),
        (json!({"Type": "AVChatRoom"}), 10007),
        (json!({"Name": null}), 10004),
        (json!({"Name": ""}), 10004),
        (json!({"Name": "x".repeat(31)}), 10004),
        (json!({"MaxMemberCount": 6001}), 10004),
        (json!({"GroupId": "@TGS#1"}), 10004),
        (json!({"CreateTime": now_secs() + 3600}), 10004),
        (json!({"CreateTime": u64::MAX}), 10004),
        // Milliseconds are far off.
        (json!({"CreateTime": 1_561_000_000_000_u64}), 10004),
        (json!({"CreateTime": -1}), 10004),
        (json!({"Owner_Account": 7}), 60015),
    ];
    for (change, code) in bad {
        let id = unique("g");
        let body = with(json!({"Type": "Public", "Name": "club", "GroupId": id}), change);
        refused(&mut client, "import_group", body, code).await;
        assert_eq!(info(&mut client, &id).await["ErrorCode"], 10010);
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_taken() {
    let mut client = client().await;
    let mira = unique("mira");
    for command in ["create_group", "import_group"] {
        let id = unique("g");
        let body = json!({"Type": "Public", "Name": "club", "GroupId": id, "Owner_Account": mira});
        client.ok(command, body.clone()).await;
        let before = info(&mut client, &id).await;
        for command in ["create_group", "import_group"] {
            refused(&mut client, command, body.clone(), 10025).await;
            refused(&mut client, command, with(body.clone(), json!({"Owner_Account": unique("other")})), 10021).await;
            refused(&mut client, command, with(body.clone(), json!({"Owner_Account": null})), 10021).await;
        }
        assert_eq!(info(&mut client, &id).await, before);
        client.ok("destroy_group", json!({"GroupId": id})).await;
        // Nobody named: the caller is meant.
        let own = with(body, json!({"Owner_Account": ADMIN}));
        client.ok(command, own.clone()).await;
        refused(&mut client, "import_group", with(own, json!({"Owner_Account": null})), 10025).await;
    }
}

#[tokio::test]
async fn an_import_is_there_after_kill_9_and_counts_in_no_quota() {
    let node = Node::start_with(crate::support::Settings {
        toml: "[limits]\ndaily_net_groups = 1\n".into(),
        ..Default::default()
    });
    let mut client = node.client().await;
    for n in 0..3 {
        let body = json!({"Type": "Work", "Name": "club", "GroupId": format!("g{n}"), "CreateTime": THEN_SECS});
        client.ok("import_group", body).await;
    }
    client.ok("create_group", json!({"Type": "Work", "Name": "club"})).await;
    refused(&mut client, "create_group", json!({"Type": "Work", "Name": "club"}), 10006).await;
    client.ok("import_group", json!({"Type": "Work", "Name": "club", "GroupId": "g3"})).await;
    let before = info(&mut client, "g0").await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(info(&mut client, "g0").await, before);
    client.ok("import_group", json!({"Type": "Work", "Name": "club", "GroupId": "g4"})).await;
}
