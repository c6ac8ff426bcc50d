//! Each fault, done to a cluster under load. `MUSTER_FAULT_ROUNDS` repeats all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checker::check;
use crate::clients::{Remembered, Worker, World};
use crate::faults;
use crate::history::{Action, Answer};
use crate::nodes::{Nodes, Setup};
use crate::random::Random;
use crate::run::{Must, Run, turn, world};
use crate::settled::settle;

const ROUNDS_VARIABLE: &str = "MUSTER_FAULT_ROUNDS";
/// A shard keeps so much of its log for followers that lag; the least that can be set.
const LOG_BYTES: usize = 1 << 20;
/// A small log, and small files, so that all of it is written, cut and read again within a run.
const SMALL_LOG: &str = "[storage]\nlog_bytes_max = 1048576\nmemtable_bytes = 4194304\nwal_bytes = 4194304\n";
/// How long voters may take to be where zones want them.
const ZONES_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a paused leader is woken in one run.
const PAUSES: usize = 3;
/// How often a lonely node is killed and started again.
const KILLS: usize = 3;

fn rounds() -> usize {
    match std::env::var(ROUNDS_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{ROUNDS_VARIABLE}={text}: {e}")),
        Err(_) => 1,
    }
}

/// Does something to a fresh cluster in each round.
async fn under(name: &'static str, setup: Setup, must: Must, fault: impl AsyncFn(&mut Run)) {
    for _ in 0..rounds() {
        let mut run = Run::begin(name, setup.clone()).await;
        fault(&mut run).await;
        run.end(must).await;
    }
}

fn three() -> Setup {
    Setup::default()
}

/// What one of the nodes does, all of them show: there is one cluster.
pub async fn are_one(nodes: &Nodes) {
    let (world, remembered) = make_groups(nodes, &nodes.up().collect::<Vec<_>>()).await;
    all_show(nodes, world, remembered).await;
}

/// Has these nodes make all groups, each some of them.
pub async fn make_groups(nodes: &Nodes, asked: &[usize]) -> (World, Remembered) {
    let world = World { nodes: asked.iter().map(|number| nodes.address(*number)).collect(), ..world(nodes) };
    let mut client = Worker::new(world.clone(), 0, Random::of_seed(0), Arc::default());
    for group in 0..world.groups.len() {
        let answer = client.ask(group % world.nodes.len(), group, Action::Create(0)).await;
        assert_eq!(answer, Some(Answer::Done), "the cluster is ready");
    }
    (world, client.finish())
}

/// All nodes that run belong together, and show what was acknowledged, to whomever of them it was said.
pub async fn all_show(nodes: &Nodes, mut world: World, mut remembered: Remembered) {
    let mut numbers = BTreeSet::new();
    for node in nodes.up() {
        numbers.extend(nodes.metrics(node).await.map(|metrics| metrics.node_number()));
    }
    assert!(numbers.len() == nodes.up().count() && !numbers.contains(&0), "each node has a number: {numbers:?}");
    world.nodes = nodes.up().map(|number| nodes.address(number)).collect();
    assert_eq!(settle(&world, &mut remembered).await, Vec::<String>::new());
    assert_eq!(check(&remembered.history), vec![]);
}

/// One shard has one leader, so the other nodes are followers and nothing else.
fn one_shard() -> Setup {
    Setup { shards: 1, ..three() }
}

/// What holds for a cluster holds for a node that is alone; and so the tests are tested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_is_killed_again_and_again() {
    let setup = Setup { nodes: 1, ..three() };
    under("a node alone", setup, Must::Nothing, async |run| {
        for _ in 0..KILLS {
            run.serve_calmly().await;
            faults::kill_all(run).await;
            run.nodes.recover().await;
        }
    })
    .await;
}

/// The proof that the tests here can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_that_loses_its_disk_is_found_out() {
    let mut run = Run::begin("a node alone without its disk", Setup { nodes: 1, ..three() }).await;
    run.nodes.kill(0);
    run.nodes.wipe(0);
    let (_, judgement) = run.judge().await;
    assert!(!judgement.wrong.is_empty(), "everything was lost, and nobody noticed");
    judgement.wrong.iter().for_each(|wrong| println!("{wrong}"));
}

/// Of two zones each has voters of every shard: the only node of one votes in all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_node_of_a_zone_votes_in_every_shard() {
    let _turn = turn().await;
    let nodes =
        Nodes::start(Setup { nodes: 4, shards: 4, zones: &["north", "north", "north", "south"], ..three() }).await;
    let until = Instant::now() + ZONES_TIMEOUT;
    loop {
        let mut votes = Vec::new();
        for node in nodes.up() {
            votes.push(nodes.metrics(node).await.unwrap_or_default().shards_voting());
        }
        if votes[3] == 4 && votes.iter().sum::<u64>() == 12 && votes[..3].iter().all(|votes| (2..=3).contains(votes)) {
            break;
        }
        assert!(Instant::now() < until, "the nodes vote in {votes:?} shards");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    are_one(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed_where_nodes_speak_tls() {
    let setup = Setup { has_tls: true, ..three() };
    under("the leader is killed, TLS", setup, Must::ChangeLeader, faults::kill_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed() {
    under("the leader is killed", three(), Must::ChangeLeader, faults::kill_leader).await;
}

/// Four shards, as nodes on two cores make by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn the_leader_is_killed_at_half_of_the_peak() {
    let setup = Setup { shards: 4, ..three() };
    under("the leader is killed at half of the peak", setup, Must::ChangeLeader, faults::kill_leader_of_a_crowd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_leader_that_is_told_to_stop_hands_over_first() {
    under("the leader is told to stop", three(), Must::FailNobody, faults::stop_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_killed() {
    under("a follower is killed", one_shard(), Must::KeepLeader, faults::kill_follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_killed() {
    // Who is started again counts from 0, so nobody is left who has noticed.
    under("all are killed", three(), Must::Nothing, faults::kill_all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_paused_leader_answers_nothing_stale() {
    under("the leader is paused", three(), Must::ChangeLeader, async |run| {
        for _ in 0..PAUSES {
            faults::pause_leader(run).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn the_leader_is_alone() {
    under("the leader is alone", three(), Must::ChangeLeader, faults::isolate_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_follower_is_alone_and_unseats_nobody() {
    under("a follower is alone", one_shard(), Must::KeepLeader, faults::isolate_follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn the_leader_is_not_heard() {
    under("the leader is not heard", three(), Must::ChangeLeader, faults::mute_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn the_leader_hears_nobody() {
    under("the leader hears nobody", three(), Must::ChangeLeader, faults::deafen_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn two_nodes_lose_each_other() {
    under("two nodes lose each other", three(), Must::Bite, faults::break_one_link).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn links_are_slow() {
    under("links are slow", three(), Must::Bite, faults::slow_links).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_lost() {
    under("a disk is lost", three(), Must::ChangeLeader, faults::lose_disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_folder_is_set_back() {
    under("a folder is set back", one_shard(), Must::Bite, faults::set_back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_disk_is_full() {
    under("a disk is full", Setup { has_shims: true, ..three() }, Must::ChangeLeader, faults::fill_disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn flushes_hang() {
    under("flushes hang", Setup { has_shims: true, ..three() }, Must::ChangeLeader, faults::hang_flushes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_follower_misses_more_than_is_kept() {
    let setup = Setup { toml: SMALL_LOG.into(), shards: 2, ..three() };
    under("a follower falls behind", setup, Must::InstallSnapshot, async |run| {
        faults::fall_behind(run, LOG_BYTES).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: make faults"]
async fn a_fourth_node_joins() {
    let setup = Setup { joining: 1, shards: 4, ..three() };
    under("a node joins", setup, Must::ChangeLeader, async |run| faults::join(run, 3).await).await;
}
