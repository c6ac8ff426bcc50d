//! Adding and changing attributes: docs/spec/rest-api.md 4.21. Limits: [`set_group_attr`](crate::set_group_attr).

use serde_json::json;

use crate::set_group_attr::{becomes, pairs};
use crate::shared::{client, create};

#[tokio::test]
async fn what_is_named_changes_and_the_others_stay() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        let id = create(&mut client, kind, json!({})).await;
        let command = "modify_group_attr";
        becomes(&mut client, &id, command, pairs(&[("b", "1"), ("a", "2")]), &[("a", "2"), ("b", "1")]).await;
        becomes(&mut client, &id, command, pairs(&[("c", "3"), ("a", "4")]), &[("a", "4"), ("b", "1"), ("c", "3")])
            .await;
        // Nothing new; empty is a value; the last of two counts.
        becomes(&mut client, &id, command, pairs(&[("b", "1")]), &[("a", "4"), ("b", "1"), ("c", "3")]).await;
        let attr = pairs(&[("b", ""), ("c", "5"), ("c", "6")]);
        becomes(&mut client, &id, command, attr, &[("a", "4"), ("b", ""), ("c", "6")]).await;
    }
}

#[tokio::test]
async fn changes_of_full_attributes_fit() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let full: Vec<(String, String)> = (0..16).map(|n| (format!("k{n:02}"), "v".to_owned())).collect();
    client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": pairs(&full)})).await;
    client.ok("modify_group_attr", json!({"GroupId": id, "GroupAttr": pairs(&[("k03", "new")])})).await;
}
