//! Reading attributes: docs/spec/rest-api.md 4.19.

use serde_json::{Value, json};

use crate::expect;
use crate::set_group_attr::pairs;
use crate::shared::{client, create};
use crate::support::{ADMIN, APP, KEY, query};

#[tokio::test]
async fn by_key_and_under_every_service() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let attr = pairs(&[("route", "north"), ("Leader", "otto"), ("leader", "mira")]);
    client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": attr})).await;
    let expected =
        expect::ok(json!({"GroupAttrAry": pairs(&[("Leader", "otto"), ("leader", "mira"), ("route", "north")])}));
    // Documented under a service of its own, and called under the common one by some clients.
    for service in ["group_open_attr_http_svc", "group_open_http_svc"] {
        let path = format!("/v4/{service}/get_group_attr?{}", query(APP, KEY, ADMIN));
        let (status, body) = client.raw("POST", &path, json!({"GroupId": id}).to_string()).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((status, answer), (200, expected.clone()), "{service}");
    }
}
