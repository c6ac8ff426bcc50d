//! Dropping named attributes: docs/spec/rest-api.md 4.23.

use serde_json::{Value, json};

use crate::set_group_attr::{becomes, pairs, unchanged};
use crate::shared::{client, create};

fn keys(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"key": key})).collect()
}

#[tokio::test]
async fn all_that_are_named_or_none() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        let id = create(&mut client, kind, json!({})).await;
        let command = "delete_group_attr";
        unchanged(&mut client, &id, command, keys(&["a"]), 10050).await;
        let four = pairs(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": four})).await;
        becomes(&mut client, &id, command, keys(&["b"]), &[("a", "1"), ("c", "3"), ("d", "4")]).await;
        unchanged(&mut client, &id, command, keys(&["a", "b"]), 10050).await;
        // Keys are compared byte by byte.
        unchanged(&mut client, &id, command, keys(&["A"]), 10050).await;
        // Twice is once; a value beside the key says nothing.
        becomes(&mut client, &id, command, keys(&["c", "c"]), &[("a", "1"), ("d", "4")]).await;
        becomes(&mut client, &id, command, json!([{"key": "a", "value": 7}]), &[("d", "4")]).await;
        becomes(&mut client, &id, command, keys(&["d"]), &[]).await;
    }
}

#[tokio::test]
async fn what_is_no_key() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": pairs(&[("a", "1")])})).await;
    for (attr, code) in [
        (json!([]), 10004),
        (json!(null), 10004),
        (json!(["a"]), 10004),
        (json!([{}]), 10004),
        (json!([{"Key": "a"}]), 10004),
        (keys(&[""]), 10004),
        (keys(&["x".repeat(33).as_str()]), 10045),
    ] {
        unchanged(&mut client, &id, "delete_group_attr", attr, code).await;
    }
}
