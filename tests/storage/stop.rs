//! SIGTERM under load: whoever was heard is answered, and nothing is left to repair.

use std::time::Duration;

use serde_json::json;

use crate::check::check;
use crate::crash::{SETTINGS, start};
use crate::load::{Answer, Load, ask, make_shared_group};
use crate::model::Model;
use crate::random::Random;
use crate::shim::Shim;
use crate::support::Settings;
use crate::until::until;

const CLIENTS: usize = 16;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The disk holds every answer back until the node has been told to stop: all of them are in flight for certain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_in_flight_at_sigterm_is_answered() {
    let shim = Shim::build();
    let folder = tempfile::tempdir().expect("a folder for the node");
    let settings = shim.under(folder.path(), SETTINGS);
    let node = start(folder, settings);
    // Every client has its connection before.
    let mut clients = Vec::new();
    for i in 0..CLIENTS {
        let mut client = node.client().await;
        client.ok("create_group", json!({ "Type": "Public", "Name": "n", "GroupId": format!("g{i}") })).await;
        clients.push(client);
    }

    shim.hang_flushes();
    let asked = clients.into_iter().enumerate().map(|(i, mut client)| {
        let body = json!({ "GroupId": format!("g{i}"), "MemberList": [{ "Member_Account": "ann" }] });
        tokio::spawn(async move { ask(&mut client, "add_group_member", &body).await })
    });
    let asked: Vec<_> = asked.collect();
    until("requests held back by the disk", LOAD_TIMEOUT, || shim.flushes_hanging() > 0).await;
    until("every request reached the node", LOAD_TIMEOUT, || !has_unread_requests(node.address.port())).await;
    node.signal_term();
    until("the node stops", LOAD_TIMEOUT, || node.log().contains("stopping")).await;
    shim.lift();
    for (i, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.await.expect("a client"), Answer::Acknowledged, "client {i}");
    }
    let (stopped, status) = node.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    stopped.examine();

    let node = stopped.start();
    let mut client = node.client().await;
    for i in 0..CLIENTS {
        let group = client.ok("get_group_member_info", json!({ "GroupId": format!("g{i}") })).await;
        assert_eq!(group["MemberNum"], 1, "{group}");
    }
}

/// Whether bytes sent to a port on this machine wait to be read.
///
/// Source: proc(5), /proc/net/tcp: local address, remote address, state, then transmit and receive queue in hex.
fn has_unread_requests(port: u16) -> bool {
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            (fields.next()? == local).then(|| fields.nth(2)).flatten()
        })
        .any(|queues| queues.split_once(':').is_some_and(|(_, unread)| unread.bytes().any(|digit| digit != b'0')))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing_and_leaves_nothing_to_repair() {
    const ROUNDS: usize = 3;
    const CHANGES_MAX: u64 = 800;
    let mut random = Random::of_test("stop");
    let mut node = start(
        tempfile::tempdir().expect("a folder for the node"),
        Settings { toml: SETTINGS.into(), ..Settings::default() },
    );
    make_shared_group(&mut node.client().await).await;
    let mut model = Model::new(CLIENTS, &mut random);
    for round in 0..ROUNDS {
        let load = Load::start(node.address, model);
        let enough = random.between(1, CHANGES_MAX);
        until("changes under way", LOAD_TIMEOUT, || load.acknowledged() >= enough).await;
        let (stopped, status) = tokio::task::spawn_blocking(|| node.terminate()).await.expect("its end");
        let tally;
        (model, tally) = load.finish().await;
        println!("round {round}: {tally:?}");
        assert_eq!(status.code(), Some(0), "{status}");
        stopped.examine();
        node = stopped.start();
        let differences = check(&mut node.client().await, &mut model).await;
        assert!(differences.is_empty(), "round {round}:\n{}", differences.join("\n"));
    }
}
