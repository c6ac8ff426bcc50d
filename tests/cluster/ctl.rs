//! What `muster ctl` says of several nodes while all is well, when one is dead, and when it is back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::nodes::{Nodes, Setup};
use crate::run::turn;
use crate::support::{APP, Client, CtlSaid, KEY};

const GROUPS: usize = 30;
/// Elections, and leaders that go where they are planned.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn parsed(said: &CtlSaid) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Asks until the exit code is the one that is waited for.
async fn until(nodes: &Nodes, asked: usize, command: &[&str], code: i32) -> CtlSaid {
    let until = Instant::now() + SETTLED_WITHIN;
    loop {
        let said = nodes.ctl(asked, command);
        if said.code == code {
            return said;
        }
        assert!(Instant::now() < until, "{command:?} does not end with {code}: {said:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn fill(address: SocketAddr) {
    let mut client = Client::connect(address, APP, KEY).await;
    for n in 0..GROUPS {
        let members = json!([{"Member_Account": "bob"}, {"Member_Account": format!("guest-{n}")}]);
        let body = json!({"Type": "Public", "Name": "club", "Owner_Account": format!("o-{n}"), "MemberList": members});
        client.ok("create_group", body).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_shards_and_what_is_wrong_with_them() {
    let _turn = turn().await;
    let mut nodes = Nodes::start(Setup { shards: 4, ..Setup::default() }).await;
    fill(nodes.address(1)).await;

    let status = parsed(&until(&nodes, 0, &["status", "--json"], 0).await);
    let names: Vec<&Value> = status["nodes"].as_array().expect("a list").iter().map(|node| &node["name"]).collect();
    assert!((0..3).all(|n| names.contains(&&json!(format!("node {n}")))), "{names:?}");
    let shards = status["shards"].as_array().expect("a list");
    assert_eq!(shards.len(), 5, "four, and the meta group");
    for shard in shards {
        assert!(shard["leader"].is_u64(), "{shard}");
        let replicas = shard["replicas"].as_array().expect("a list");
        assert_eq!(replicas.iter().filter(|replica| replica["leads"] == true).count(), 1, "{shard}");
        assert_eq!(replicas.len(), 3, "{shard}");
    }
    let report = parsed(&until(&nodes, 2, &["doctor", "--json"], 0).await);
    let counted = ["drift", "nodes", "shards", "replicas", "groups", "members"].map(|what| report[what].clone());
    assert_eq!(counted, [0, 3, 5, 15, GROUPS, 3 * GROUPS].map(|count| json!(count)), "{report}");

    nodes.kill(1);
    let said = until(&nodes, 0, &["status"], 1).await;
    let first: Vec<&str> = said.out.lines().take(8).collect();
    assert!(first[0].contains("attention"), "{first:?}");
    assert!(first.iter().any(|line| line.contains("(node 1)") && line.contains("is not heard")), "{first:?}");
    // Other leaders are found, and what is left to complain of is the node.
    let until_elected = Instant::now() + SETTLED_WITHIN;
    loop {
        let status = parsed(&nodes.ctl(0, &["status", "--json"]));
        if status["findings"].as_array().map(Vec::len) == Some(1) {
            break;
        }
        assert!(Instant::now() < until_elected, "{status}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let said = nodes.ctl(2, &["doctor", "--json"]);
    let report = parsed(&said);
    assert_eq!((said.code, &report["drift"]), (1, &json!(0)), "who is not heard is not well: {report}");
    assert!(report["not_compared"].to_string().contains("(node 1)"), "{report}");
    let said = nodes.ctl(1, &["status"]);
    assert!(said.code == 2 && said.err.contains("cannot be reached"), "{said:?}");

    // It comes back with nothing, as another incarnation, and is filled from the others.
    nodes.wipe(1);
    nodes.recover().await;
    let report = parsed(&until(&nodes, 1, &["doctor", "--json"], 0).await);
    assert_eq!((&report["replicas"], &report["members"]), (&json!(15), &json!(3 * GROUPS)), "{report}");
    until(&nodes, 1, &["status"], 0).await;
}
