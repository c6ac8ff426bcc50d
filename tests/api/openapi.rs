//! The document that a node serves about itself. That every answer is as it says is checked wherever a test asks
//! (`support::contract`); here, that the document is whole and its examples are right.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::shared::client;
use crate::support::contract::{check, complaint, learn};

async fn document() -> &'static Value {
    let (status, body) = client().await.raw("GET", "/openapi.json", "").await.expect("an answer");
    assert_eq!(status, 200);
    let served: Value = serde_json::from_slice(&body).expect("JSON");
    let known = learn(&body);
    assert_eq!(&served, known, "every node serves the same");
    known
}

/// The operations of commands with their paths.
fn operations(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let items = document["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v4/"));
    items.map(|(path, item)| (path, &item["post"]))
}

#[tokio::test]
async fn every_command_is_there_once() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let groups = document["paths"].as_object().expect("paths").keys().filter(|path| path.contains("group_open"));
    // The 29 commands of docs/spec/rest-api.md 1, and the two about admins of live rooms.
    assert_eq!(groups.count(), 31);
    for command in ["account_import", "multiaccount_import", "account_check", "account_delete"] {
        assert!(document["paths"].get(format!("/v4/im_open_login_svc/{command}")).is_some(), "{command}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/settings", "/openapi.json"] {
        assert!(document["paths"][path]["get"].is_object(), "{path}");
    }
    let ids: Vec<&Value> = operations(document).map(|(_, operation)| &operation["operationId"]).collect();
    let names: Vec<&str> = operations(document).filter_map(|(path, _)| path.rsplit('/').next()).collect();
    assert_eq!(ids, names);
    let by_get: Vec<&String> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .filter(|(path, item)| path.starts_with("/v4/") && item["get"].is_object())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(by_get, ["/v4/group_open_http_svc/get_appid_group_list"]);
}

#[tokio::test]
async fn every_example_is_as_described() {
    let document = document().await;
    for (path, operation) in operations(document) {
        let request = &operation["requestBody"]["content"]["application/json"];
        check(document, &request["schema"], &request["example"]).unwrap_or_else(|why| panic!("{path}: {why}"));
        let answer = &operation["responses"]["200"]["content"]["application/json"]["example"];
        assert_eq!(complaint(path, answer.to_string().as_bytes()), None);
    }
}

#[tokio::test]
async fn whatever_is_referred_to_is_there_and_nothing_else() {
    fn gather<'a>(value: &'a Value, out: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                out.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| gather(value, out));
            }
            Value::Array(items) => items.iter().for_each(|value| gather(value, out)),
            _ => {}
        }
    }
    let document = document().await;
    let mut references = BTreeSet::new();
    gather(document, &mut references);
    let mut there = BTreeSet::new();
    for kind in ["schemas", "parameters"] {
        let names = document["components"][kind].as_object().expect(kind).keys();
        there.extend(names.map(|name| format!("#/components/{kind}/{name}")));
    }
    assert_eq!(references.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), there);
}

#[tokio::test]
async fn what_is_not_as_described_is_seen() {
    document().await;
    let ok = json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0});
    let role = |role: Value| json!([{"Member_Account": "a", "Role": role}]);
    for (change, is_right) in [
        (json!({"UserIdList": []}), true),
        (json!({"UserIdList": role(json!("NotMember"))}), true),
        (json!({}), false),
        (json!({"UserIdList": {}}), false),
        (json!({"UserIdList": role(json!("Boss"))}), false),
        (json!({"UserIdList": role(json!(7))}), false),
        (json!({"UserIdList": [{"Member_Account": "a"}]}), false),
        (json!({"UserIdList": [{"Member_Account": "a", "Role": "Admin", "Rank": 1}]}), false),
        (json!({"UserIdList": [], "Next": 0}), false),
        (json!({"UserIdList": [], "ErrorCode": 10004}), false),
        (json!({"UserIdList": [], "ErrorCode": null}), false),
        (json!({"ActionStatus": "FAIL", "ErrorCode": 10010}), true),
        // A code that this command does not answer.
        (json!({"ActionStatus": "FAIL", "ErrorCode": 10021}), false),
        (json!({"ActionStatus": "FAIL", "ErrorCode": 0}), false),
        (json!({"ActionStatus": "FAIL", "ErrorCode": 10010, "UserIdList": []}), false),
    ] {
        let answer = crate::shared::with(ok.clone(), change);
        let complaint = complaint("/v4/group_open_http_svc/get_role_in_group?a=b", answer.to_string().as_bytes());
        assert_eq!(complaint.is_none(), is_right, "{answer}: {complaint:?}");
    }
}
