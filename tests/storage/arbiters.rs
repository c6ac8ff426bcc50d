//! Shards on several arbiters: a kill under load, and limits under concurrency, with as many arbiters and shards as a
//! node may have or more than it has cores.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::check::check;
use crate::crash::{SETTINGS, start};
use crate::load::{Load, make_shared_group};
use crate::model::Model;
use crate::random::Random;
use crate::support::{Node, Settings, until};

/// Arbiters and shards. With one shard all other arbiters are idle; with four, three arbiters have unequal parts.
const NODES: [(usize, u16); 6] = [(2, 1), (2, 4), (2, 16), (3, 1), (3, 4), (3, 16)];
const CLIENTS: usize = 12;
/// Of each node, each after at most so many changes.
const KILLS: usize = 3;
const CHANGES_MAX: u64 = 1_000;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
const THREADS_TIMEOUT: Duration = Duration::from_secs(10);
const GROUPS_PER_USER: usize = 3;
const HTTP_WORKERS: usize = 1;
/// The one of the admin endpoint.
const ADMIN_WORKERS: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_on_several_arbiters_lose_nothing_and_keep_their_limits() {
    let mut random = Random::of_test("arbiters");
    for (arbiters, shards) in NODES {
        let toml = format!(
            "{SETTINGS}[http]\nworkers = {HTTP_WORKERS}\n[actors]\narbiters = {arbiters}\n[cluster]\nshards = {shards}\n"
        );
        let folder = tempfile::tempdir().expect("a folder for the node");
        let mut node = start(folder, Settings { toml: toml.clone(), ..Settings::default() });
        insist_on_threads(&node, arbiters).await;
        make_shared_group(&mut node.client().await).await;
        let mut model = Model::new(CLIENTS, &mut random);
        for round in 1..=KILLS {
            let load = Load::start(node.address, model);
            let enough = random.between(1, CHANGES_MAX);
            until("changes under way", LOAD_TIMEOUT, || load.acknowledged() >= enough).await;
            let mut stopped = node.kill();
            let tally;
            (model, tally) = load.finish().await;
            println!("{arbiters} arbiters, {shards} shards: {tally:?}");
            assert_eq!(tally.unavailable.values().sum::<u64>() + tally.unknown, 0, "the node was well: {tally:?}");
            if round == KILLS {
                // Nobody of the load could live with this; those who join below are held to it.
                let limit = format!("[limits]\ngroups_per_user = {GROUPS_PER_USER}\n");
                stopped.settings.toml = toml.replacen("[limits]\n", &limit, 1);
            }
            node = stopped.start();
            let differences = check(&mut node.client().await, &mut model).await;
            assert!(differences.is_empty(), "{arbiters} arbiters, {shards} shards:\n{}", differences.join("\n"));
        }
        places_are_given_once(&node).await;
        an_account_joins_as_many_groups_as_it_may(&node).await;
        let (stopped, status) = tokio::task::spawn_blocking(|| node.terminate()).await.expect("its end");
        assert_eq!(status.code(), Some(0), "{status}");
        stopped.examine();
    }
}

/// Whether the node has the threads that it was asked for: HTTP workers are arbiters, too.
///
/// Source: actix-rt 2, arbiter.rs (names of threads); proc(5), /proc/pid/task/tid/comm (their first 15 bytes).
async fn insist_on_threads(node: &Node, arbiters: usize) {
    let arbiters_now = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", node.pid())).expect("the node's threads");
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("actix-rt|")).count()
    };
    // A thread has the name of the one that made it until it runs first.
    let all = arbiters + HTTP_WORKERS + ADMIN_WORKERS;
    until("a thread for each arbiter", THREADS_TIMEOUT, || arbiters_now() == all).await;
}

/// Many who want the last places of one group.
async fn places_are_given_once(node: &Node) {
    const PLACES: usize = 10;
    const CALLERS: usize = 40;
    let mut client = node.client().await;
    let group = json!({ "Type": "Public", "Name": "n", "GroupId": "places", "MaxMemberCount": PLACES });
    client.ok("create_group", group).await;
    let join = |n: usize| ("places".to_owned(), format!("guest-{n}"));
    let codes = join_at_once(node, (0..CALLERS).map(join).collect()).await;
    assert_eq!(codes, BTreeMap::from([(0, PLACES), (10014, CALLERS - PLACES)]));
    let group = client.ok("get_group_member_info", json!({ "GroupId": "places" })).await;
    assert_eq!(group["MemberNum"], PLACES, "{group}");
}

/// One account that is added to many groups, which lie in all shards, and is counted in one.
async fn an_account_joins_as_many_groups_as_it_may(node: &Node) {
    const GROUPS: usize = 24;
    let mut client = node.client().await;
    for n in 0..GROUPS {
        client.ok("create_group", json!({ "Type": "Public", "Name": "n", "GroupId": format!("many-{n}") })).await;
    }
    let join = |n: usize| (format!("many-{n}"), "busy".to_owned());
    let codes = join_at_once(node, (0..GROUPS).map(join).collect()).await;
    assert_eq!(codes, BTreeMap::from([(0, GROUPS_PER_USER), (10037, GROUPS - GROUPS_PER_USER)]));
    let list = client.ok("get_joined_group_list", json!({ "Member_Account": "busy" })).await;
    assert_eq!(list["TotalCount"], GROUPS_PER_USER, "{list}");
}

/// Every account joins its group, all at the same time; how often each code was answered.
async fn join_at_once(node: &Node, joins: Vec<(String, String)>) -> BTreeMap<u64, usize> {
    let all_connected = std::sync::Arc::new(Barrier::new(joins.len()));
    let mut calls = JoinSet::new();
    for (group, account) in joins {
        let mut client = node.client().await;
        // Opens the connection.
        client.ok("get_group_info", json!({ "GroupIdList": [group] })).await;
        let all_connected = all_connected.clone();
        calls.spawn(async move {
            all_connected.wait().await;
            let body = json!({ "GroupId": group, "MemberList": [{ "Member_Account": account }] });
            client.call("add_group_member", body).await
        });
    }
    let mut codes = BTreeMap::new();
    for answer in calls.join_all().await {
        *codes.entry(answer["ErrorCode"].as_u64().unwrap_or_else(|| panic!("{answer}"))).or_default() += 1;
    }
    codes
}
