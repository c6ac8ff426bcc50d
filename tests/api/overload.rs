//! More requests than a node takes: 60018, and nothing happened (docs/spec/README.md, docs/spec/errors.md).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{APP, Client, KEY, Node, Settings};

/// Callers that ask at the same time, of a node that takes two requests at a time.
const CALLERS: usize = 64;
const UNDER_WAY_MAX: usize = 2;
/// So often they try to meet at the door.
const ROUNDS: usize = 50;

fn code(answer: &Value) -> u64 {
    answer["ErrorCode"].as_u64().expect("a code")
}

/// Each caller creates the group of its number in this round; whether it was let in.
async fn round(node: &Node, number: usize) -> Vec<bool> {
    let start = Arc::new(Barrier::new(CALLERS));
    let mut calls = JoinSet::new();
    for caller in 0..CALLERS {
        let (start, address) = (start.clone(), node.address);
        calls.spawn(async move {
            let mut client = Client::connect(address, APP, KEY).await;
            start.wait().await;
            let body = json!({"Type": "Public", "Name": "club", "GroupId": format!("g{number}.{caller}")});
            let answer = client.call("create_group", body).await;
            match code(&answer) {
                0 => (caller, true),
                60018 => {
                    assert_eq!(answer["ActionStatus"], "FAIL", "{answer}");
                    let info = answer["ErrorInfo"].as_str().expect("a text");
                    assert!(info.starts_with("overloaded: "), "{answer}");
                    // The connection goes on: what was not let in was read to its end.
                    assert!(
                        [0, 60018].contains(&code(&client.call("get_group_info", json!({"GroupIdList": ["g"]})).await))
                    );
                    (caller, false)
                }
                _ => panic!("{answer}"),
            }
        });
    }
    let mut outcomes = calls.join_all().await;
    outcomes.sort_unstable();
    outcomes.into_iter().map(|(_, is_let_in)| is_let_in).collect()
}

#[tokio::test]
async fn what_the_door_refuses_has_not_happened() {
    let toml = format!("[actors]\ninflight_max = {UNDER_WAY_MAX}\n");
    let node = Node::start_with(Settings { toml, ..Settings::default() });
    let mut client = node.client().await;
    for number in 0..ROUNDS {
        let let_in = round(&node, number).await;
        for (caller, is_let_in) in let_in.iter().enumerate() {
            let group = format!("g{number}.{caller}");
            let answer = client.call("get_group_info", json!({"GroupIdList": [group]})).await;
            let expected = if *is_let_in { 0 } else { 10010 };
            assert_eq!(answer["GroupInfo"][0]["ErrorCode"], expected, "{group}: {answer}");
        }
        assert!(let_in.contains(&true), "somebody is always let in");
        if let_in.contains(&false) {
            let (_, metrics) = client.raw("GET", "/metrics", "").await.expect("an answer");
            let metrics = String::from_utf8(metrics.to_vec()).expect("text");
            let line = metrics.lines().find(|line| line.starts_with("muster_http_overload_refusals_total "));
            let count: usize = line.and_then(|l| l.rsplit(' ').next()?.parse().ok()).expect("a number");
            assert!(count >= let_in.iter().filter(|is_let_in| !**is_let_in).count(), "{line:?}");
            // And the door is open again.
            client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": "after"})).await;
            return;
        }
    }
    panic!("{CALLERS} callers at once, {ROUNDS} times, and each found room for {UNDER_WAY_MAX}");
}
