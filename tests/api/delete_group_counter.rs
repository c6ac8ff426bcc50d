//! Dropping counters: docs/spec/rest-api.md 4.26.

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{client, create, refused};
use crate::update_group_counter::{COUNTING, counters, pairs};

#[tokio::test]
async fn those_named_or_all() {
    let mut client = client().await;
    for kind in COUNTING {
        let id = create(&mut client, kind, json!({})).await;
        for (keys, left) in [
            (json!(["b", "none", "b"]), pairs(&[("a", 1), ("c", 3)])),
            (json!(["none"]), pairs(&[("a", 1), ("b", 2), ("c", 3)])),
            (json!(["a", "b", "c"]), json!([])),
            (Value::Null, json!([])),
            (json!([]), json!([])),
        ] {
            let items = pairs(&[("a", 1), ("b", 2), ("c", 3)]);
            client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": items})).await;
            let body = json!({"GroupId": id, "GroupCounterKeys": keys});
            // Gone already is gone, too.
            for _ in 0..2 {
                assert_eq!(client.call("delete_group_counter", body.clone()).await, expect::ok(json!({})));
                assert_eq!(counters(&mut client, &id).await, left, "{keys}");
            }
        }
        // It begins again at 0.
        let body = json!({"GroupId": id, "Mode": "Increase", "GroupCounter": pairs(&[("a", 5)])});
        assert_eq!(
            client.call("update_group_counter", body).await,
            expect::ok(json!({"GroupCounter": pairs(&[("a", 5)])}))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_named() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": pairs(&[("a", 1)])})).await;
    let keys: Vec<String> = (0..21).map(|n| format!("k{n}")).collect();
    for (keys, code) in [(json!(keys), 10063), (json!("a"), 10004), (json!([""]), 10004), (json!(["a", 1]), 10004)] {
        refused(&mut client, "delete_group_counter", json!({"GroupId": id, "GroupCounterKeys": keys}), code).await;
        assert_eq!(counters(&mut client, &id).await, pairs(&[("a", 1)]));
    }
}
