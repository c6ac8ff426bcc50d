//! Calls per second, where the configuration limits them (docs/spec/rest-api.md 2.5, docs/spec/limits.md 6).

use serde_json::{Value, json};

use crate::shared::refused;
use crate::support::{ADMIN, APP, Client, Node, OTHER_APP, OTHER_KEY, Settings, query};

/// Calls that a node surely does not take a second for.
const CALLS_MAX: usize = 1_000;

fn node_with(toml: &str) -> Node {
    Node::start_with(Settings { toml: toml.to_owned(), ..Settings::default() })
}

/// The code of the first call that is not answered.
async fn first_refusal(client: &mut Client, command: &str) -> u64 {
    for _ in 0..CALLS_MAX {
        let answer = client.call(command, json!({"GroupIdList": ["g"], "GroupId": "g"})).await;
        match answer["ErrorCode"].as_u64().expect("a code") {
            0 | 10010 => {}
            code => return code,
        }
    }
    panic!("{CALLS_MAX} calls of {command} and none was refused");
}

#[tokio::test]
async fn calls_of_a_command() {
    let node = node_with("[rate]\nrest_per_command = 1\n");
    let mut client = node.client().await;
    assert_eq!(first_refusal(&mut client, "get_group_info").await, 60007);
    // Another command and another app have rates of their own.
    refused(&mut client, "destroy_group", json!({"GroupId": "g"}), 10010).await;
    let mut there = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    there.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
}

#[tokio::test]
async fn calls_of_an_app() {
    let node = node_with("[rate]\nrest_per_app = 2\n");
    let mut client = node.client().await;
    assert_eq!(first_refusal(&mut client, "get_group_info").await, 60011);
    let mut there = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    there.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
    // Commands that do not exist count, too; what was signed badly does not, and is told so.
    let mut codes = Vec::new();
    for _ in 0..CALLS_MAX {
        let answer = there.call("no_such_command", json!({})).await;
        codes.push(answer["ErrorCode"].as_u64().expect("a code"));
        if codes.last() == Some(&60011) {
            break;
        }
        assert_eq!(codes.last(), Some(&10003));
    }
    assert_eq!(codes.last(), Some(&60011));
    let path = format!("/v4/group_open_http_svc/get_group_info?{}", query(APP, OTHER_KEY, ADMIN));
    let (_, answer) = there.raw("POST", &path, r#"{"GroupIdList":["g"]}"#).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["ErrorCode"], 70009);
}

/// 5 writes a second by default: docs/spec/limits.md 2.
#[tokio::test]
async fn writes_of_attributes() {
    let node = node_with("");
    let mut client = node.client().await;
    client.ok("create_group", json!({"GroupId": "g", "Type": "Public", "Name": "g"})).await;
    let write = |id: &str| json!({"GroupId": id, "GroupAttr": [{"key": "k", "value": "v"}]});
    let mut codes = Vec::new();
    while codes.last() != Some(&10049) && codes.len() < CALLS_MAX {
        let answer = client.call("set_group_attr", write("g")).await;
        codes.push(answer["ErrorCode"].as_u64().expect("a code"));
    }
    let (last, others) = codes.split_last().expect("some");
    assert!(*last == 10049 && others.len() >= 5 && others.iter().all(|code| *code == 0), "{codes:?}");
    // Of a group that is not there nobody hears that it is written too often.
    for _ in 0..20 {
        refused(&mut client, "set_group_attr", write("absent"), 10010).await;
    }
}
