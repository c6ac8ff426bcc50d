//! Reading counters: docs/spec/rest-api.md 4.24.

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{client, create, refused};
use crate::update_group_counter::{COUNTING, pairs};

#[tokio::test]
async fn all_or_those_asked_for() {
    let mut client = client().await;
    for kind in COUNTING {
        let id = create(&mut client, kind, json!({})).await;
        let mut expected = json!([]);
        for _ in 0..2 {
            for keys in [Value::Null, json!([])] {
                let answer = client.call("get_group_counter", json!({"GroupId": id, "GroupCounterKeys": keys})).await;
                assert_eq!(answer, expect::ok(json!({"GroupCounter": expected})));
            }
            let items = pairs(&[("b", -2), ("a", 1), ("c", 0)]);
            client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": items})).await;
            expected = pairs(&[("a", 1), ("b", -2), ("c", 0)]);
        }
        // What does not exist is left out; the order is that of the request.
        let body = json!({"GroupId": id, "GroupCounterKeys": ["c", "none", "a"]});
        let answer = client.call("get_group_counter", body).await;
        assert_eq!(answer, expect::ok(json!({"GroupCounter": pairs(&[("c", 0), ("a", 1)])})));
        let body = json!({"GroupId": id, "GroupCounterKeys": ["none"]});
        assert_eq!(client.call("get_group_counter", body).await, expect::ok(json!({"GroupCounter": []})));
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let keys: Vec<String> = (0..21).map(|n| format!("k{n}")).collect();
    client.ok("get_group_counter", json!({"GroupId": id, "GroupCounterKeys": keys[..20]})).await;
    for (keys, code) in [(json!(keys), 10063), (json!("a"), 10004), (json!([""]), 10004), (json!([1]), 10004)] {
        refused(&mut client, "get_group_counter", json!({"GroupId": id, "GroupCounterKeys": keys}), code).await;
    }
}
