//! How nodes become a cluster: once and only once, whenever they start and whoever hears of whom.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::clients::{Remembered, World};
use crate::links::Rule;
use crate::nodes::{Nodes, Setup};
use crate::random::Random;
use crate::run::turn;
use crate::scenarios::{all_show, are_one, make_groups};
use crate::support::until;

/// How often nodes start in an order of chance.
const ORDERS: usize = 3;
/// The longest between two of these starts, in milliseconds: a cluster is formed meanwhile, or not.
const GAP_MS_MAX: u64 = 800;
/// Nodes that look for each other have asked everybody they can reach several times.
const MANY_ROUNDS: Duration = Duration::from_secs(4);
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a node says that finds another one with its name.
const IS_A_COPY: &str = "one of the two is a copy";

/// Five seeds, of which three are to be there.
fn five() -> Setup {
    Setup { nodes: 5, expect: Some(3), ..Setup::default() }
}

/// The clusters that nodes say they have formed or joined, and how many of them formed one.
fn clusters(nodes: &Nodes) -> (BTreeSet<String>, usize) {
    let (mut clusters, mut founders) = (BTreeSet::new(), 0);
    for node in nodes.up() {
        let log = nodes.log(node);
        let founds = log.lines().filter(|line| line.contains("forming a cluster"));
        let of = |line: &str| Some(line.split_once("cluster=")?.1.split_whitespace().next()?.to_owned());
        let joins = log.lines().filter(|line| line.contains(": joined "));
        clusters.extend(founds.clone().chain(joins).filter_map(of));
        founders += usize::from(founds.count() > 0);
    }
    (clusters, founders)
}

fn are_of_one_cluster(nodes: &Nodes) {
    let (clusters, founders) = clusters(nodes);
    assert!(clusters.len() == 1 && founders == 1, "{founders} nodes formed {clusters:?}");
}

async fn until_ready(nodes: &Nodes, numbers: &[usize]) {
    let until = Instant::now() + READY_TIMEOUT;
    for number in numbers {
        while !matches!(nodes.ready(*number).await, Ok((200, _))) {
            assert!(Instant::now() < until, "node {number}: {:?}", nodes.ready(*number).await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// None of these is part of a cluster, and each says what it waits for.
async fn all_wait(nodes: &Nodes, numbers: &[usize]) {
    for number in numbers {
        let said = nodes.ready(*number).await;
        assert!(matches!(&said, Ok((503, why)) if why.contains("waits for")), "node {number}: {said:?}");
        assert_eq!(nodes.metrics(*number).await.map(|metrics| metrics.node_number()), Some(0), "node {number}");
    }
}

/// Starts two halves that do not reach each other.
async fn apart(halves: [&[usize]; 2], rule: Rule) -> Nodes {
    let mut nodes = Nodes::prepare(five());
    for one in halves[0] {
        halves[1].iter().for_each(|other| nodes.links.set_both(*one, *other, rule));
    }
    nodes.launch(&halves.concat());
    nodes
}

/// The half with the first seed has no majority, and the majority has not the first seed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_of_which_neither_may_form_a_cluster_wait_for_each_other() {
    let _turn = turn().await;
    for rule in [Rule::Cut, Rule::Hold] {
        let nodes = apart([&[0, 1], &[2, 3, 4]], rule).await;
        tokio::time::sleep(MANY_ROUNDS).await;
        all_wait(&nodes, &[0, 1, 2, 3, 4]).await;
        assert_eq!(clusters(&nodes), (BTreeSet::new(), 0));
        nodes.links.heal();
        nodes.until_ready().await;
        are_of_one_cluster(&nodes);
        are_one(&nodes).await;
        nodes.examine();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_that_forms_a_cluster_is_joined_by_the_other_and_loses_nothing() {
    let _turn = turn().await;
    let nodes = apart([&[0, 1, 2], &[3, 4]], Rule::Cut).await;
    until_ready(&nodes, &[0, 1, 2]).await;
    let (world, remembered) = make_groups(&nodes, &[0, 1, 2]).await;
    tokio::time::sleep(MANY_ROUNDS).await;
    all_wait(&nodes, &[3, 4]).await;
    nodes.links.heal();
    nodes.until_ready().await;
    are_of_one_cluster(&nodes);
    all_show(&nodes, world, remembered).await;
    nodes.examine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_seed_that_dies_while_it_collects_promises_forms_the_same_cluster_later() {
    let _turn = turn().await;
    let mut random = Random::of_test("a first seed dies");
    let mut nodes = Nodes::prepare(five());
    nodes.launch(&[0, 1, 2, 3, 4]);
    for _ in 0..ORDERS {
        tokio::time::sleep(Duration::from_millis(random.below(GAP_MS_MAX))).await;
        nodes.kill(0);
        // Without it the others form nothing; if it has formed something before, they are part of that already.
        tokio::time::sleep(Duration::from_millis(random.below(GAP_MS_MAX))).await;
        nodes.launch(&[0]);
    }
    nodes.until_ready().await;
    are_of_one_cluster(&nodes);
    are_one(&nodes).await;
    nodes.examine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_form_one_cluster_in_any_order() {
    let _turn = turn().await;
    let mut random = Random::of_test("three nodes form one cluster");
    for _ in 0..ORDERS {
        let mut nodes = Nodes::prepare(Setup::default());
        let mut left = vec![0, 1, 2];
        while !left.is_empty() {
            let next = left.swap_remove(random.below(left.len() as u64) as usize);
            nodes.launch(&[next]);
            tokio::time::sleep(Duration::from_millis(random.below(GAP_MS_MAX))).await;
            if random.below(3) == 0 {
                nodes.kill(next);
                nodes.launch(&[next]);
            }
        }
        nodes.until_ready().await;
        are_of_one_cluster(&nodes);
        are_one(&nodes).await;
        nodes.examine();
    }
}

/// Waits until a node has ended by itself, and says why.
async fn refuses_to_run(nodes: &mut Nodes, number: usize, why: &str) {
    let until = Instant::now() + READY_TIMEOUT;
    while !nodes.log(number).contains(why) {
        assert!(Instant::now() < until, "node {number} does not say {why:?}: {:?}", nodes.ready(number).await);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    while nodes.ready(number).await.is_ok() {
        assert!(Instant::now() < until, "node {number} goes on");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    nodes.kill(number);
}

/// Three nodes with groups; the last one is down, and a fourth one has a copy of its folder.
async fn with_a_copy_of_node_2() -> (Nodes, World, Remembered) {
    let mut nodes = Nodes::start(Setup { joining: 1, ..Setup::default() }).await;
    let (world, remembered) = make_groups(&nodes, &[0, 1, 2]).await;
    // A folder whose log has not told of its own node yet makes a copy that nobody knows, and that knows nobody.
    nodes.until_it_votes(2, READY_TIMEOUT).await;
    nodes.kill(2);
    nodes.copy_folder(2, 3);
    (nodes, world, remembered)
}

/// Neither was there when the other one looked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_that_start_together_one_runs_at_most() {
    let _turn = turn().await;
    let (mut nodes, world, remembered) = with_a_copy_of_node_2().await;
    nodes.launch(&[2, 3]);
    let is_refused = || [2, 3].iter().any(|number| nodes.log(*number).contains(IS_A_COPY));
    until("one of the two is refused", READY_TIMEOUT, is_refused).await;
    nodes.kill(2);
    nodes.kill(3);
    nodes.launch(&[3]);
    nodes.until_ready().await;
    all_show(&nodes, world, remembered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_folder_runs_instead_of_the_first_one_and_never_beside_it() {
    let _turn = turn().await;
    let (mut nodes, world, remembered) = with_a_copy_of_node_2().await;
    nodes.launch(&[2]);
    nodes.until_ready().await;
    nodes.launch(&[3]);
    refuses_to_run(&mut nodes, 3, IS_A_COPY).await;

    // A node that has moved to another machine, with all it had.
    nodes.kill(2);
    nodes.copy_folder(2, 3);
    nodes.launch(&[3]);
    nodes.until_ready().await;
    nodes.launch(&[2]);
    refuses_to_run(&mut nodes, 2, IS_A_COPY).await;
    nodes.until_ready().await;
    all_show(&nodes, world, remembered).await;
}
