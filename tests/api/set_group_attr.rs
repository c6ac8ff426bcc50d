//! Replacing all attributes, and what all writes of attributes share: docs/spec/rest-api.md 4.19 to 4.23.

use serde_json::{Value, json};

use crate::expect::{self, ALL};
use crate::shared::{client, create, create_as, info, refused, unique};
use crate::support::{Client, Node, Settings};

/// Attributes as requests and answers have them.
pub fn pairs<S: AsRef<str>>(pairs: &[(S, S)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key.as_ref(), "value": value.as_ref()})).collect()
}

/// The whole answer that shows a group's attributes.
pub async fn attributes(client: &mut Client, id: &str) -> Value {
    client.call("get_group_attr", json!({"GroupId": id})).await
}

/// A write that succeeds, and the attributes afterwards.
pub async fn becomes(client: &mut Client, id: &str, command: &str, attr: Value, expected: &[(&str, &str)]) {
    let body = json!({"GroupId": id, "GroupAttr": attr});
    assert_eq!(client.call(command, body).await, expect::ok(json!({})), "{command} {attr}");
    assert_eq!(attributes(client, id).await, expect::ok(json!({"GroupAttrAry": pairs(expected)})), "{command} {attr}");
}

/// A write that is refused and changes nothing.
pub async fn unchanged(client: &mut Client, id: &str, command: &str, attr: Value, code: u32) {
    let before = (attributes(client, id).await, info(client, id).await);
    refused(client, command, json!({"GroupId": id, "GroupAttr": attr}), code).await;
    assert_eq!((attributes(client, id).await, info(client, id).await), before, "{command} {attr}");
}

#[tokio::test]
async fn every_type_has_attributes() {
    let mut client = client().await;
    for kind in ALL {
        let id = create(&mut client, kind.wire, json!({})).await;
        let before = info(&mut client, &id).await;
        assert_eq!(attributes(&mut client, &id).await, expect::ok(json!({"GroupAttrAry": []})));
        let attr = pairs(&[("route", "north"), ("leader", "otto")]);
        becomes(&mut client, &id, "set_group_attr", attr, &[("leader", "otto"), ("route", "north")]).await;
        // All that was there before goes; of a key that comes twice the last value counts.
        let attr = pairs(&[("b", "1"), ("a", ""), ("b", "2")]);
        becomes(&mut client, &id, "set_group_attr", attr, &[("a", ""), ("b", "2")]).await;
        let attr = pairs(&[("a", "\u{0}\"\u{7fa4}")]);
        becomes(&mut client, &id, "set_group_attr", attr, &[("a", "\u{0}\"\u{7fa4}")]).await;
        assert_eq!(info(&mut client, &id).await, before, "they are no part of the profile");
    }
}

#[tokio::test]
async fn limits_are_those_of_what_is_left() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let key = |n: usize| format!("key{n:02}");
    let count = |from: usize, to: usize, value: &str| {
        let list: Vec<(String, String)> = (from..to).map(|n| (key(n), value.to_owned())).collect();
        pairs(&list)
    };
    for command in ["set_group_attr", "modify_group_attr"] {
        for (attr, code) in [
            (count(0, 17, "v"), 10047),
            (pairs(&[("x".repeat(33), "v".to_owned())]), 10045),
            (pairs(&[("\u{e4}".repeat(17), "v".to_owned())]), 10045),
            (pairs(&[("k".to_owned(), "v".repeat(4001))]), 10046),
            // Keys and values count: five of 5 + 3,196 bytes are more than 16,000.
            (count(0, 5, &"v".repeat(3196)), 10048),
            (pairs(&[("", "v")]), 10004),
            (json!([]), 10004),
            (json!([{"Key": "k", "Value": "v"}]), 10004),
            (json!([{"key": "k"}]), 10004),
            (json!([{"key": "k", "value": 7}]), 10004),
        ] {
            unchanged(&mut client, &id, command, attr, code).await;
        }
    }
    for attr in [
        count(0, 16, "v"),
        pairs(&[("x".repeat(32), "v".to_owned())]),
        pairs(&[("k".to_owned(), "v".repeat(4000))]),
        count(0, 5, &"v".repeat(3195)),
    ] {
        client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": attr})).await;
    }
    // Replacing is not adding.
    client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": count(20, 36, "v")})).await;
    unchanged(&mut client, &id, "modify_group_attr", pairs(&[("more", "v")]), 10047).await;
}

#[tokio::test]
async fn writes_have_a_rate_for_each_group() {
    // The limit's own default: five in a second.
    let node = Node::start_with(Settings { toml: "[limits]\ndaily_net_groups = 0\n".into(), ..Settings::default() });
    let mut client = node.client().await;
    let [one, other] = ["one", "other"];
    create_as(&mut client, one, "Public", json!({})).await;
    create_as(&mut client, other, "Public", json!({})).await;
    let commands = ["set_group_attr", "modify_group_attr", "delete_group_attr", "clear_group_attr"];
    let mut codes = Vec::new();
    for n in 0..40 {
        let body = json!({"GroupId": one, "GroupAttr": pairs(&[("k", "v")])});
        codes.push(client.call(commands[n % 4], body).await["ErrorCode"].clone());
    }
    assert!(codes[..5].iter().all(|code| *code == 0), "{codes:?}");
    assert!(codes.contains(&json!(10049)), "{codes:?}");
    // Another group has a rate of its own; reading has none.
    client.ok("set_group_attr", json!({"GroupId": other, "GroupAttr": pairs(&[("k", "v")])})).await;
    for _ in 0..40 {
        client.ok("get_group_attr", json!({"GroupId": one})).await;
    }
    // What was refused changed nothing, and the rate recovers.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    client.ok("set_group_attr", json!({"GroupId": one, "GroupAttr": pairs(&[("k", "last")])})).await;
    assert_eq!(attributes(&mut client, one).await["GroupAttrAry"], pairs(&[("k", "last")]));
}

#[tokio::test]
async fn attributes_end_with_their_group_and_outlive_kill_9() {
    let node = Node::start_with(Settings::default());
    let mut client = node.client().await;
    create_as(&mut client, "g", "Public", json!({})).await;
    client.ok("set_group_attr", json!({"GroupId": "g", "GroupAttr": pairs(&[("a", "1"), ("b", "2")])})).await;
    client.ok("delete_group_attr", json!({"GroupId": "g", "GroupAttr": [{"key": "a"}]})).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(attributes(&mut client, "g").await["GroupAttrAry"], pairs(&[("b", "2")]));
    client.ok("destroy_group", json!({"GroupId": "g"})).await;
    refused(&mut client, "get_group_attr", json!({"GroupId": "g"}), 10010).await;
    create_as(&mut client, "g", "Public", json!({})).await;
    assert_eq!(attributes(&mut client, "g").await["GroupAttrAry"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_addressed() {
    let mut client = client().await;
    for command in ["set_group_attr", "modify_group_attr", "delete_group_attr", "clear_group_attr", "get_group_attr"] {
        for (id, code) in
            [(Value::Null, 10004), (json!(""), 10004), (json!("x".repeat(49)), 10015), (json!(unique("absent")), 10010)]
        {
            refused(&mut client, command, json!({"GroupId": id, "GroupAttr": pairs(&[("k", "v")])}), code).await;
        }
    }
}
