//! Counters: docs/spec/rest-api.md 4.24 to 4.26.

use serde_json::{Value, json};

use crate::concurrency::at_once;
use crate::expect;
use crate::shared::{address, client, create, create_as, info, refused, unique};
use crate::support::{Client, Node};

/// The types that have counters.
pub const COUNTING: [&str; 4] = ["Work", "Public", "Meeting", "AVChatRoom"];

/// Counters as requests and answers have them.
pub fn pairs<S: AsRef<str>>(pairs: &[(S, i64)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"Key": key.as_ref(), "Value": value})).collect()
}

/// All counters of a group.
pub async fn counters(client: &mut Client, id: &str) -> Value {
    client.ok("get_group_counter", json!({"GroupId": id})).await["GroupCounter"].clone()
}

async fn update(client: &mut Client, id: &str, mode: Value, items: Value) -> Value {
    client.call("update_group_counter", json!({"GroupId": id, "Mode": mode, "GroupCounter": items})).await
}

#[tokio::test]
async fn the_answer_says_what_they_are_now() {
    let mut client = client().await;
    for kind in COUNTING {
        let id = create(&mut client, kind, json!({})).await;
        let before = info(&mut client, &id).await;
        for (mode, asked, now) in [
            (json!("Set"), pairs(&[("likes", 15), ("votes", -2)]), pairs(&[("likes", 15), ("votes", -2)])),
            (json!("Increase"), pairs(&[("likes", 3)]), pairs(&[("likes", 18)])),
            (json!("Decrease"), pairs(&[("votes", 5), ("likes", -1)]), pairs(&[("votes", -7), ("likes", 19)])),
            // What is not there begins at 0; without a mode it is set.
            (json!("Increase"), pairs(&[("new", -4)]), pairs(&[("new", -4)])),
            (json!("Decrease"), pairs(&[("newer", 4)]), pairs(&[("newer", -4)])),
            (Value::Null, pairs(&[("likes", 1)]), pairs(&[("likes", 1)])),
            (json!("Increase"), pairs(&[("likes", 0)]), pairs(&[("likes", 1)])),
            // One after the other.
            (
                json!("Increase"),
                pairs(&[("likes", 100), ("votes", 1), ("likes", -98)]),
                pairs(&[("likes", 3), ("votes", -6)]),
            ),
            (json!("Set"), pairs(&[("likes", 100), ("likes", 2)]), pairs(&[("likes", 2)])),
            (json!("Set"), json!([{"Key": "likes", "Value": "-9"}]), pairs(&[("likes", -9)])),
        ] {
            let answer = update(&mut client, &id, mode.clone(), asked.clone()).await;
            assert_eq!(answer, expect::ok(json!({"GroupCounter": now})), "{mode} {asked}");
        }
        let left = pairs(&[("likes", -9), ("new", -4), ("newer", -4), ("votes", -6)]);
        assert_eq!(counters(&mut client, &id).await, left);
        assert_eq!(info(&mut client, &id).await, before, "they are no part of the profile");
    }
}

#[tokio::test]
async fn numbers_have_64_bits_and_do_not_overflow() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let extremes = pairs(&[("most", i64::MAX), ("least", i64::MIN)]);
    assert_eq!(
        update(&mut client, &id, json!("Set"), extremes.clone()).await,
        expect::ok(json!({"GroupCounter": extremes}))
    );
    let left = pairs(&[("least", i64::MIN), ("most", i64::MAX)]);
    for (mode, items) in [
        ("Increase", pairs(&[("most", 1)])),
        ("Decrease", pairs(&[("most", -1)])),
        ("Decrease", pairs(&[("least", 1)])),
        ("Increase", pairs(&[("least", -1)])),
        ("Decrease", pairs(&[("new", i64::MIN)])),
        // All or nothing.
        ("Increase", pairs(&[("other", 1), ("most", 1)])),
        ("Set", json!([{"Key": "k", "Value": 9_223_372_036_854_775_808_u64}])),
        ("Set", json!([{"Key": "k", "Value": 1.5}])),
        ("Set", json!([{"Key": "k"}])),
        ("set", pairs(&[("k", 1)])),
    ] {
        let body = json!({"GroupId": id, "Mode": mode, "GroupCounter": items});
        refused(&mut client, "update_group_counter", body, 10004).await;
        assert_eq!(counters(&mut client, &id).await, left, "{mode} {items}");
    }
}

#[tokio::test]
async fn a_group_has_up_to_twenty() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let list = |from: usize, to: usize| -> Value {
        pairs(&(from..to).map(|n| (format!("k{n:02}"), n as i64)).collect::<Vec<_>>())
    };
    for (items, code) in
        [(list(0, 21), 10063), (json!([]), 10004), (pairs(&[("", 1)]), 10004), (pairs(&[("x".repeat(129), 1)]), 10004)]
    {
        refused(&mut client, "update_group_counter", json!({"GroupId": id, "GroupCounter": items}), code).await;
    }
    assert_eq!(counters(&mut client, &id).await, json!([]));
    client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": list(0, 20)})).await;
    let body = json!({"GroupId": id, "GroupCounter": pairs(&[("more", 1), ("k03", 9)])});
    refused(&mut client, "update_group_counter", body, 10063).await;
    assert_eq!(counters(&mut client, &id).await, list(0, 20));
    client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": list(5, 20), "Mode": "Increase"})).await;
    client.ok("delete_group_counter", json!({"GroupId": id, "GroupCounterKeys": ["k00"]})).await;
    client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": pairs(&[("x".repeat(128), 1)])})).await;
}

#[tokio::test]
async fn increments_at_the_same_time_all_count() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let bodies = (0..100)
        .map(|n| {
            let (mode, by) = if n % 2 == 0 { ("Increase", 3) } else { ("Decrease", 1) };
            json!({"GroupId": id, "Mode": mode, "GroupCounter": pairs(&[("likes", by), ("votes", 1)])})
        })
        .collect();
    let answers = at_once(address(), "update_group_counter", bodies).await;
    // Each answer is a state that the counters were in.
    let mut seen: Vec<(i64, i64)> = answers
        .iter()
        .map(|answer| {
            let value = |n: usize| answer["GroupCounter"][n]["Value"].as_i64().unwrap_or_else(|| panic!("{answer}"));
            (value(0), value(1))
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(counters(&mut client, &id).await, pairs(&[("likes", 100), ("votes", 0)]));
    assert!(seen.len() > 50, "{} different states of 100 updates", seen.len());
}

#[tokio::test]
async fn what_has_no_counters() {
    let mut client = client().await;
    let community = create(&mut client, "Community", json!({})).await;
    for (id, code) in [(community, 10007), (unique("absent"), 10010), ("x".repeat(49), 10015)] {
        let body = json!({"GroupId": id, "GroupCounter": pairs(&[("k", 1)])});
        for command in ["get_group_counter", "update_group_counter", "delete_group_counter"] {
            refused(&mut client, command, body.clone(), code).await;
        }
    }
}

#[tokio::test]
async fn counters_end_with_their_group_and_outlive_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    create_as(&mut client, "g", "Public", json!({})).await;
    update(&mut client, "g", json!("Set"), pairs(&[("a", -1), ("b", i64::MAX), ("c", 3)])).await;
    client.ok("delete_group_counter", json!({"GroupId": "g", "GroupCounterKeys": ["c"]})).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(counters(&mut client, "g").await, pairs(&[("a", -1), ("b", i64::MAX)]));
    let answer = update(&mut client, "g", json!("Increase"), pairs(&[("a", 1), ("c", 1)])).await;
    assert_eq!(answer["GroupCounter"], pairs(&[("a", 0), ("c", 1)]));
    client.ok("destroy_group", json!({"GroupId": "g"})).await;
    create_as(&mut client, "g", "Public", json!({})).await;
    assert_eq!(counters(&mut client, "g").await, json!([]));
}
