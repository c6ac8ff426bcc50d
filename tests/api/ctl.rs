//! `muster ctl` and the endpoint that answers it: who is let in, what is said of a node that is well, and the exit codes.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster::config::{ADMIN_KEY_FILE, Admin};
use serde_json::{Value, json};

use crate::support::{APP, Client, KEY, Node, Settings, ctl, try_start, until};

/// How long a node may take to apply what it has committed, once nobody asks for anything.
const REST_TIMEOUT: Duration = Duration::from_secs(10);

fn key_file(node: &Node) -> PathBuf {
    node.data_dir().join(ADMIN_KEY_FILE)
}

/// Sends a request with what it shows as a key; status and body.
async fn shown(node: &Node, key: Option<&str>, path: &str) -> (u16, String) {
    let mut client = Client::connect(node.admin_address(), APP, KEY).await;
    client.authorization = key.map(str::to_owned);
    let (status, body) = client.bare("GET", path).await.expect("an answer");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn whoever_has_no_key_learns_nothing() {
    let node = Node::start();
    let key = std::fs::read_to_string(key_file(&node)).expect("a key that was made at the start");
    let mode = std::fs::metadata(key_file(&node)).expect("a key file").permissions().mode();
    assert_eq!((key.trim().len(), mode & 0o777), (64, 0o600), "readable by its owner only");
    let nothing = (401, r#"{"error":"unauthorized"}"#.to_owned());
    for path in ["/admin/status", "/admin/doctor", "/elsewhere"] {
        for wrong in [None, Some("Bearer"), Some("Bearer 0123456789abcdef"), Some(KEY)] {
            assert_eq!(shown(&node, wrong, path).await, nothing, "{path} {wrong:?}");
        }
    }
    let right = format!("Bearer {}", key.trim());
    assert_eq!(shown(&node, Some(&right), "/admin/status").await.0, 200);
    assert_eq!(shown(&node, Some(&right), "/elsewhere").await.0, 404);
    // The port of the API knows nothing of it, whatever is shown there.
    let mut client = node.client().await;
    client.authorization = Some(right);
    let (_, body) = client.bare("GET", "/admin/status").await.expect("an answer");
    assert!(!String::from_utf8_lossy(&body).contains("shards"), "{body:?}");
}

/// Asks until every replica has applied what is committed: after the last answer, shards still tell each other of it.
async fn at_rest(mut ask: impl FnMut() -> Value) -> Value {
    let mut status = Value::Null;
    let has_applied_all = || {
        status = ask();
        let shards = status["shards"].as_array().expect("a list");
        let mut replicas = shards.iter().flat_map(|shard| shard["replicas"].as_array().expect("a list"));
        replicas.all(|replica| replica["lag"] == 0)
    };
    until("every replica has applied what is committed", REST_TIMEOUT, has_applied_all).await;
    status
}

#[tokio::test]
async fn a_node_alone_is_well() {
    let node = Node::start_with(Settings { toml: "[cluster]\nshards = 3\n".into(), ..Settings::default() });
    let mut client = node.client().await;
    for n in 0..20 {
        let members = json!([{"Member_Account": "bob"}, {"Member_Account": format!("guest-{n}")}]);
        let body = json!({"Type": "Public", "Name": "club", "Owner_Account": format!("o-{n}"), "MemberList": members});
        client.ok("create_group", body).await;
    }
    let ask = |command: &[&str]| ctl(command, node.admin_address(), &key_file(&node));
    let status = at_rest(|| {
        let said = ask(&["status", "--json"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        serde_json::from_str(&said.out).expect("JSON")
    })
    .await;
    assert_eq!(status["findings"], json!([]));
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(1));
    assert_eq!((&status["nodes"][0]["number"], &status["nodes"][0]["leads"]), (&json!(1), &json!(3)));
    let shards = status["shards"].as_array().expect("a list");
    // The meta group has no number and comes last.
    assert_eq!(
        shards.iter().map(|shard| &shard["shard"]).collect::<Vec<_>>(),
        [&json!(0), &json!(1), &json!(2), &json!(null)]
    );
    assert!(shards.iter().all(|shard| shard["leader"] == 1 && shard["replicas"][0]["lag"] == 0), "{shards:?}");
    let said = ask(&["status"]);
    assert!(said.code == 0 && said.out.starts_with("all is well: 1 node; 3 shards, each with a leader\n"), "{said:?}");

    let said = ask(&["doctor", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&report["drift"], &report["not_compared"]), (&json!(0), &json!([])));
    assert_eq!((&report["groups"], &report["members"], &report["replicas"]), (&json!(20), &json!(60), &json!(4)));
    let said = ask(&["doctor"]);
    assert!(said.code == 0 && said.out.starts_with("drift 0\n"), "{said:?}");
}

#[tokio::test]
async fn what_is_wrong_with_the_question_is_one_line() {
    let node = Node::start();
    let other_key = node.folder.path().join("other.key");
    std::fs::write(&other_key, "0123456789abcdef0123456789abcdef\n").expect("a key");
    let nobody: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let address = node.admin_address();
    for (admin, key, names) in [
        (address, other_key.as_path(), [address.to_string(), other_key.display().to_string()]),
        (address, Path::new("/nowhere/key"), ["/nowhere/key".into(), "No such file".into()]),
        (nobody, &key_file(&node), ["127.0.0.1:1".into(), "admin.listen".into()]),
    ] {
        for command in ["status", "doctor"] {
            let said = ctl(&[command], admin, key);
            assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (2, "", 1), "{said:?}");
            assert!(names.iter().all(|name| said.err.contains(name)), "{names:?} in {said:?}");
        }
    }
}

/// Two nodes of one machine start beside each other; where an operator has named the place, it is a matter for them.
#[tokio::test]
async fn a_port_that_is_taken_stops_a_node_only_if_it_was_asked_for() {
    let default = Admin::default().listen.expect("a default");
    // If somebody else has it, it is taken all the same.
    let _taken = TcpListener::bind(default);
    let settings = |listen: SocketAddr| Settings {
        environment: vec![("MUSTER__ADMIN__LISTEN".into(), listen.to_string())],
        ..Settings::default()
    };
    let node = Node::start_with(settings(default));
    node.client().await.ok("create_group", json!({"Type": "Public", "Name": "club"})).await;
    assert!(node.log().contains("muster ctl cannot ask this node"), "{}", node.log());

    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let asked_for = other.local_addr().expect("its address");
    let said = try_start(settings(asked_for)).err().expect("the port is taken");
    let expected = format!("admin.listen {asked_for}");
    assert!(said.lines().any(|line| line.starts_with("muster: ") && line.contains(&expected)), "{said}");
}
