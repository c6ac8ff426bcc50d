//! The admins of a live room: docs/spec/rest-api-messages.md 3.5, docs/spec/group-types.md 6.4.

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{accounts, client, create, create_as, info, joined, refused, refused_without_effect, unique, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, query};

/// The whole answer that lists those admins.
fn listing(names: &[&str]) -> Value {
    let list: Value = names.iter().map(|name| json!({"Admin_Account": name, "NickName": "", "Avatar": ""})).collect();
    expect::ok(json!({"Admin_List": list}))
}

async fn change(client: &mut Client, id: &str, command: u32, names: &[&str]) {
    let body = json!({"GroupId": id, "CommandType": command, "Admin_Account": names});
    assert_eq!(client.call("modify_admin", body).await, expect::ok(json!({})));
}

#[tokio::test]
async fn they_are_appointed_and_dismissed() {
    let mut client = client().await;
    let names = accounts("m", 4);
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| names[n].as_str());
    let id = create(&mut client, "AVChatRoom", json!({"Owner_Account": d})).await;
    let before = info(&mut client, &id).await;
    for (command, list, left) in [
        // In the order of their appointment.
        (1, &[c, a, c][..], &[c, a][..]),
        (1, &[a, b], &[c, a, b]),
        (2, &[c, "nobody"], &[a, b]),
        (2, &["nobody"], &[a, b]),
        (1, &[c], &[a, b, c]),
        (2, &[a, b, c], &[]),
    ] {
        change(&mut client, &id, command, list).await;
        let answer = client.call("get_admin_list", json!({"GroupId": id})).await;
        assert_eq!(answer, listing(left), "{command} {list:?}");
    }
    // They are no members, and the profile knows nothing of them.
    change(&mut client, &id, 1, &[a]).await;
    assert_eq!(info(&mut client, &id).await, before);
    assert!(joined(&mut client, a).await.is_empty());
}

#[tokio::test]
async fn there_are_at_most_five() {
    let mut client = client().await;
    let names = accounts("m", 6);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let body = |names: &[&str]| json!({"GroupId": id, "CommandType": 1, "Admin_Account": names});
    refused(&mut client, "modify_admin", body(&names), 10005).await;
    change(&mut client, &id, 1, &names[..4]).await;
    refused(&mut client, "modify_admin", body(&names[4..]), 10004).await;
    assert_eq!(client.call("get_admin_list", json!({"GroupId": id})).await, listing(&names[..4]));
    change(&mut client, &id, 1, &names[3..5]).await;
    refused(&mut client, "modify_admin", body(&names[5..]), 10004).await;
    change(&mut client, &id, 2, &names[..1]).await;
    change(&mut client, &id, 1, &names[5..]).await;
    assert_eq!(client.call("get_admin_list", json!({"GroupId": id})).await, listing(&names[1..]));
}

#[tokio::test]
async fn the_owner_is_above_them_and_passed_over() {
    let mut client = client().await;
    let (ann, bob) = (unique("ann"), unique("bob"));
    let id = create(&mut client, "AVChatRoom", json!({"Owner_Account": ann})).await;
    for (command, named, admins) in
        [(1, &[&ann][..], &[][..]), (1, &[&bob, &ann], &[&bob]), (2, &[&ann], &[&bob]), (2, &[&ann, &bob], &[])]
    {
        let body = json!({"GroupId": id, "CommandType": command, "Admin_Account": named});
        client.ok("modify_admin", body).await;
        let admins: Vec<&str> = admins.iter().map(|name| name.as_str()).collect();
        assert_eq!(client.call("get_admin_list", json!({"GroupId": id})).await, listing(&admins));
        assert_eq!(info(&mut client, &id).await["Owner_Account"], ann);
    }
}

#[tokio::test]
async fn only_live_rooms_have_them() {
    let mut client = client().await;
    let mut ids: Vec<(String, u32)> = vec![(unique("absent"), 10010), ("x".repeat(49), 10015)];
    for kind in ["Work", "Public", "Meeting", "Community"] {
        ids.push((create(&mut client, kind, json!({})).await, 10007));
    }
    for (id, code) in ids {
        let body = json!({"GroupId": id, "CommandType": 1, "Admin_Account": ["eve"]});
        for command in ["modify_admin", "get_admin_list"] {
            refused(&mut client, command, body.clone(), code).await;
        }
    }
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    for (changes, code) in [
        (json!({"CommandType": null}), 10004),
        (json!({"CommandType": 0}), 10004),
        (json!({"CommandType": 3}), 10004),
        (json!({"Admin_Account": null}), 10004),
        (json!({"Admin_Account": []}), 10004),
        (json!({"Admin_Account": [7]}), 60015),
    ] {
        let body = with(json!({"GroupId": id, "CommandType": 1, "Admin_Account": ["eve"]}), changes);
        refused_without_effect(&mut client, &id, "modify_admin", body, code).await;
    }
}

#[tokio::test]
async fn the_service_of_live_rooms_has_them() {
    let mut client = client().await;
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let query = query(APP, KEY, ADMIN);
    let path = |command| format!("/v4/group_open_avchatroom_http_svc/{command}?{query}");
    let body = json!({"GroupId": id, "CommandType": 1, "Admin_Account": ["eve"]}).to_string();
    for (command, expected) in [("modify_admin", expect::ok(json!({}))), ("get_admin_list", listing(&["eve"]))] {
        let (_, answer) = client.raw("POST", &path(command), body.clone()).await.expect("an answer");
        assert_eq!(serde_json::from_slice::<Value>(&answer).expect("JSON"), expected, "{command}");
    }
}

#[tokio::test]
async fn they_end_with_their_room_and_outlive_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    create_as(&mut client, "live", "AVChatRoom", json!({})).await;
    change(&mut client, "live", 1, &["zoe", "amy", "bob"]).await;
    change(&mut client, "live", 2, &["amy"]).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(client.call("get_admin_list", json!({"GroupId": "live"})).await, listing(&["zoe", "bob"]));
    client.ok("destroy_group", json!({"GroupId": "live"})).await;
    create_as(&mut client, "live", "AVChatRoom", json!({})).await;
    assert_eq!(client.call("get_admin_list", json!({"GroupId": "live"})).await, listing(&[]));
}
