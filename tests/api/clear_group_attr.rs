//! Dropping all attributes: docs/spec/rest-api.md 4.22.

use serde_json::json;

use crate::expect;
use crate::set_group_attr::{attributes, pairs};
use crate::shared::{client, create, info};

#[tokio::test]
async fn nothing_is_left_whatever_was_there() {
    let mut client = client().await;
    // Of every type: the newest page that names them all wins over one that leaves communities out.
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        let id = create(&mut client, kind, json!({})).await;
        client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": pairs(&[("a", "1"), ("b", "2")])})).await;
        let before = info(&mut client, &id).await;
        for _ in 0..2 {
            let answer = client.call("clear_group_attr", json!({"GroupId": id})).await;
            assert_eq!(answer, expect::ok(json!({})));
            assert_eq!(attributes(&mut client, &id).await, expect::ok(json!({"GroupAttrAry": []})));
        }
        assert_eq!(info(&mut client, &id).await, before);
        client.ok("modify_group_attr", json!({"GroupId": id, "GroupAttr": pairs(&[("a", "3")])})).await;
        assert_eq!(attributes(&mut client, &id).await["GroupAttrAry"], pairs(&[("a", "3")]));
    }
}
