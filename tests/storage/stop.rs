//! SIGTERM under load: whoever was heard is answered, nothing is left to repair, and the end is quiet; or there is an end
//! all the same, with a reason.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::check::check;
use crate::crash::{SETTINGS, start};
use crate::load::{Answer, Load, ask, make_shared_group};
use crate::model::Model;
use crate::random::Random;
use crate::shim::{Shim, Tail};
use crate::support::{Client, Node, Settings, Stopped, until};

const CLIENTS: usize = 16;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The disk holds every answer back until the node has been told to stop: all of them are in flight for certain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_in_flight_at_sigterm_is_answered() {
    let shim = Shim::build();
    let folder = tempfile::tempdir().expect("a folder for the node");
    let settings = shim.under(folder.path(), SETTINGS);
    let node = start(folder, settings);
    let clients = clients_with_groups(&node).await;

    shim.hang_flushes();
    let asked = add_to_groups(clients);
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
    insist_on_a_quiet_end(&stopped);
    stopped.examine();
    insist_on_additions(&stopped.start()).await;
}

/// Callers have given up by then, and what they asked for is still on its way into the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_quietly_what_its_callers_no_longer_wait_for() {
    let shim = Shim::build();
    let folder = tempfile::tempdir().expect("a folder for the node");
    let impatient = "[http]\ntimeout_ms = 200\nshutdown_timeout_ms = 0\n[api]\nindex_wait_ms = 200\n";
    let settings = shim.under(folder.path(), &format!("{SETTINGS}{impatient}"));
    let node = start(folder, settings);
    let clients = clients_with_groups(&node).await;

    shim.hang_flushes();
    for (i, answer) in add_to_groups(clients).into_iter().enumerate() {
        assert_eq!(answer.await.expect("a client"), Answer::Unknown, "client {i}");
    }
    node.signal_term();
    until("the node closes its shards", LOAD_TIMEOUT, || node.log().contains("closing the shards")).await;
    shim.lift();
    let (stopped, status) = node.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    insist_on_a_quiet_end(&stopped);
    stopped.examine();
}

/// The line that says why must come before somebody loses patience and kills the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_waits_for_the_disk_ends_with_a_reason() {
    const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
    /// That, what the disk gets in addition (5 s), and a margin for two busy cores.
    const END_TIMEOUT: Duration = Duration::from_secs(12);
    let mut random = Random::of_test("stop on a hanging disk");
    let shim = Shim::build();
    let folder = tempfile::tempdir().expect("a folder for the node");
    let timeout = format!("[http]\nshutdown_timeout_ms = {}\n", SHUTDOWN_TIMEOUT.as_millis());
    let settings = shim.under(folder.path(), &format!("{SETTINGS}{timeout}"));
    let node = start(folder, settings);
    make_shared_group(&mut node.client().await).await;
    let load = Load::start(node.address, Model::new(CLIENTS, &mut random));
    until("changes under way", LOAD_TIMEOUT, || load.acknowledged() >= CLIENTS as u64).await;

    shim.hang_flushes();
    until("requests held back by the disk", LOAD_TIMEOUT, || shim.flushes_hanging() > 0).await;
    let told = Instant::now();
    let (stopped, status) = tokio::task::spawn_blocking(|| node.terminate()).await.expect("its end");
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(told.elapsed() < END_TIMEOUT, "it took {:?}", told.elapsed());
    let log = std::fs::read_to_string(stopped.folder.path().join("log")).expect("the log");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("muster: the node did not stop within 6000 ms: a write or a flush"), "{log}");
    let (mut model, tally) = load.finish().await;
    println!("{tally:?}");

    // The machine goes down with it: what was acknowledged is there, what was not may be.
    let cut = shim.cut_power(&stopped.data_dir(), Tail::Gone, &mut random);
    println!("{cut:?}");
    shim.lift();
    let node = stopped.start();
    let differences = check(&mut node.client().await, &mut model).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Clients with a group each; every one has its connection.
async fn clients_with_groups(node: &Node) -> Vec<Client> {
    let mut clients = Vec::new();
    for i in 0..CLIENTS {
        let mut client = node.client().await;
        client.ok("create_group", json!({ "Type": "Public", "Name": "n", "GroupId": format!("g{i}") })).await;
        clients.push(client);
    }
    clients
}

/// Every client asks for a member in its group, all at once.
fn add_to_groups(clients: Vec<Client>) -> Vec<JoinHandle<Answer>> {
    let add = |(i, mut client): (usize, Client)| {
        let body = json!({ "GroupId": format!("g{i}"), "MemberList": [{ "Member_Account": "ann" }] });
        tokio::spawn(async move { ask(&mut client, "add_group_member", &body).await })
    };
    clients.into_iter().enumerate().map(add).collect()
}

/// Whether every group has the member that was asked for.
async fn insist_on_additions(node: &Node) {
    let mut client = node.client().await;
    for i in 0..CLIENTS {
        let group = client.ok("get_group_member_info", json!({ "GroupId": format!("g{i}") })).await;
        assert_eq!(group["MemberNum"], 1, "{group}");
    }
}

/// A stop is nothing to be warned of: whoever reads an error in a log must be able to take it for one.
fn insist_on_a_quiet_end(stopped: &Stopped) {
    let log = std::fs::read_to_string(stopped.folder.path().join("log")).expect("the log");
    let loud: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).collect();
    assert!(loud.is_empty(), "{}", loud.join("\n"));
    assert!(log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");
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
        insist_on_a_quiet_end(&stopped);
        stopped.examine();
        node = stopped.start();
        let differences = check(&mut node.client().await, &mut model).await;
        assert!(differences.is_empty(), "round {round}:\n{}", differences.join("\n"));
    }
}
