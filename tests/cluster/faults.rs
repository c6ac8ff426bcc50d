//! What can happen to nodes, disks and links. Each is done to a cluster under load, lasts until the cluster has had
//! the time to be wrong, and leaves it to [`Run::end`] to undo it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history::Action;
use crate::links::Rule;
use crate::run::Run;
use crate::support::{APP, Client, KEY};

/// Answers OK that the others have to give while one of them is in trouble: that much a stale one does not know.
const ANSWERS_MEANWHILE: u64 = 100;
/// Longer than any election and any lease (ARCHITECTURE.md, timings): who was cut off has noticed.
const LONG: Duration = Duration::from_secs(4);
/// Requests have arrived at a paused node, and wait there.
const ARRIVED: Duration = Duration::from_millis(50);
/// More than an append may take.
const SLOW: Duration = Duration::from_secs(3);
/// Less than heartbeats of all shards take.
const SLOW_BYTES_PER_SEC: u32 = 200;
/// A busy link between two places.
const FAR: Duration = Duration::from_millis(40);
/// Callers that find out what a cluster bears, and for how long.
const CROWD: usize = 64;
const PEAK_TIME: Duration = Duration::from_secs(2);
/// Members of a group that is made only to fill the log.
const FILLER_MEMBERS: usize = 100;
/// What such a group takes in the log, at least.
const FILLER_BYTES: usize = 4 * 1024;

pub async fn kill_leader(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} is killed"));
    run.nodes.kill(leader);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// The same under half of the load that the cluster bears.
pub async fn kill_leader_of_a_crowd(run: &mut Run) {
    let crowd = run.crowd(CROWD);
    tokio::time::sleep(PEAK_TIME).await;
    let (before, began) = (crowd.done(), Instant::now());
    tokio::time::sleep(PEAK_TIME).await;
    let peak = (crowd.done() - before) as f64 / began.elapsed().as_secs_f64();
    crowd.set_rate(peak / 2.0);
    tokio::time::sleep(PEAK_TIME).await;
    run.note(format!("{CROWD} callers got {peak:.0} answers OK a second, and now ask for half"));
    kill_leader(run).await;
    run.remembered.add(crowd.finish().await);
}

/// A node is told to stop that has just got to lead something: it hands over first, and nobody who asks meanwhile hears
/// that it failed. (Connections that the port had taken when it closed are cut, so whoever asks the node to the very end
/// may get no answer: `/readyz` says before that it is time to go elsewhere.)
pub async fn stop_leader(run: &mut Run) {
    run.until_even().await;
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} is told to stop"));
    run.nodes.stop(leader);
    run.note(format!("node {leader} has ended"));
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// A majority is left, and with it the leader.
pub async fn kill_follower(run: &mut Run) {
    let (_, follower) = run.leader_and_follower().await;
    run.note(format!("node {follower} is killed"));
    run.nodes.kill(follower);
    run.serve(ANSWERS_MEANWHILE).await;
}

pub async fn kill_all(run: &mut Run) {
    run.note("all nodes are killed");
    for node in 0..run.nodes.count() {
        run.nodes.kill(node);
    }
}

/// The leader stops where it stands, others take over and decide; when it goes on it takes itself for the leader. What
/// it is asked in its sleep is what it answers first.
pub async fn pause_leader(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} is paused"));
    run.nodes.pause(leader);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;

    let mut asleep = Vec::new();
    for group in 0..run.world.groups.len() {
        // A name that nobody else gives: the other clients count their requests, and this counts nanoseconds.
        let name = run.world.clock.now().0;
        for action in [Action::ReadProfile, Action::Rename(name)] {
            let mut sleeper = run.another_client();
            asleep.push(tokio::spawn(async move {
                sleeper.ask(leader, group, action).await;
                sleeper.finish()
            }));
        }
    }
    tokio::time::sleep(ARRIVED).await;
    run.note(format!("node {leader} goes on, with {} requests waiting", asleep.len()));
    run.nodes.resume(leader);
    for sleeper in asleep {
        run.remembered.add(sleeper.await.expect("a client that did not panic"));
    }
    run.nodes.until_ready().await;
}

/// The leader keeps its clients and loses all other nodes: a minority of one.
pub async fn isolate_leader(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} neither hears nor is heard"));
    run.nodes.links.set_from(leader, Rule::Hold);
    run.nodes.links.set_to(leader, Rule::Hold);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
    tokio::time::sleep(LONG).await;
}

/// A follower is alone. When it comes back it must not unseat anybody.
pub async fn isolate_follower(run: &mut Run) {
    let (_, follower) = run.leader_and_follower().await;
    run.note(format!("node {follower} neither hears nor is heard"));
    run.nodes.links.set_from(follower, Rule::Hold);
    run.nodes.links.set_to(follower, Rule::Hold);
    tokio::time::sleep(LONG).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// The others hear nothing of the leader, and the leader hears them.
pub async fn mute_leader(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} is not heard"));
    run.nodes.links.set_from(leader, Rule::Hold);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
    tokio::time::sleep(LONG).await;
}

/// The others hear the leader, which hears nobody: no append of it is ever acknowledged, so it must make room.
pub async fn deafen_leader(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("node {leader} hears nobody"));
    run.nodes.links.set_to(leader, Rule::Hold);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
    tokio::time::sleep(LONG).await;
}

/// Two nodes have lost each other and both have the third: whoever leads, somebody has a majority, and it must last.
pub async fn break_one_link(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    run.note(format!("nodes {leader} and {follower} are cut off from each other"));
    run.nodes.links.set_both(leader, follower, Rule::Cut);
    tokio::time::sleep(LONG).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// All links are long, and one follower is behind a link that takes almost nothing.
pub async fn slow_links(run: &mut Run) {
    let (_, follower) = run.leader_and_follower().await;
    run.note(format!("all links are slow, those to node {follower} very"));
    for node in 0..run.nodes.count() {
        run.nodes.links.set_from(node, Rule::Delay(FAR));
    }
    run.nodes.links.set_to(follower, Rule::Throttle(SLOW_BYTES_PER_SEC));
    tokio::time::sleep(LONG).await;
    run.note(format!("everything reaches node {follower} too late"));
    run.nodes.links.set_to(follower, Rule::Delay(SLOW));
    tokio::time::sleep(LONG).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// A node comes back with nothing, under the same start line, and is rebuilt while the cluster serves. Then another one
/// dies: what was acknowledged before is on the rebuilt one, or lost.
pub async fn lose_disk(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    run.note(format!("node {follower} loses its disk"));
    run.nodes.kill(follower);
    run.nodes.wipe(follower);
    run.serve(ANSWERS_MEANWHILE).await;
    run.nodes.launch(&[follower]);
    run.until_it_votes(follower).await;
    run.note(format!("node {leader} is killed"));
    let number = run.number_of(leader).await;
    run.nodes.kill(leader);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// A follower comes back with a copy of its folder that is older than what it has acknowledged. The others have it all, and
/// go on.
pub async fn set_back(run: &mut Run) {
    let (_, follower) = run.leader_and_follower().await;
    run.nodes.kill(follower);
    let copied = run.nodes.back_up(follower);
    run.nodes.launch(&[follower]);
    run.nodes.until_ready().await;
    run.serve_calmly().await;
    run.note(format!("node {follower} gets an old copy of its folder"));
    run.nodes.kill(follower);
    run.nodes.restore(follower, &copied);
    run.nodes.launch(&[follower]);
    run.nodes.until_ready().await;
    run.serve(ANSWERS_MEANWHILE).await;
}

/// The leader's disk takes nothing more: it says so, and others lead.
pub async fn fill_disk(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("the disk of node {leader} is full"));
    run.nodes.disk(leader).fill(0);
    run.until_others_lead(follower, number).await;
    run.serve(ANSWERS_MEANWHILE).await;
    assert!(run.nodes.disk(leader).writes_refused() > 0, "node {leader} never met its full disk");
}

/// Flushes of the leader do not end: it acknowledges nothing and hands over what it leads.
pub async fn hang_flushes(run: &mut Run) {
    let (leader, follower) = run.leader_and_follower().await;
    let number = run.number_of(leader).await;
    run.note(format!("flushes of node {leader} hang"));
    run.nodes.disk(leader).hang_flushes();
    run.until_others_lead(follower, number).await;
    assert!(run.nodes.disk(leader).flushes_hanging() > 0, "no flush of node {leader} hangs");
    run.serve(ANSWERS_MEANWHILE).await;
}

/// A follower misses more than is kept of the log, and has to take snapshots.
pub async fn fall_behind(run: &mut Run, kept_bytes: usize) {
    let (leader, follower) = run.leader_and_follower().await;
    run.note(format!("node {follower} is killed and misses more than is kept"));
    run.nodes.kill(follower);
    fill_logs(run, leader, 2 * kept_bytes * usize::from(run.nodes.shards())).await;
    run.serve(ANSWERS_MEANWHILE).await;
    run.nodes.launch(&[follower]);
    run.nodes.until_ready().await;
    run.note(format!("node {follower} is back"));
}

/// A node joins and takes its part, while clients go on.
pub async fn join(run: &mut Run, node: usize) {
    run.note(format!("node {node} joins"));
    run.nodes.launch(&[node]);
    run.nodes.until_ready().await;
    run.until_even().await;
    run.serve(ANSWERS_MEANWHILE).await;
    // It is asked in the end as the others are.
    run.world.nodes.push(run.nodes.address(node));
}

/// Makes groups that no client knows, until their entries have taken so many bytes of the logs.
async fn fill_logs(run: &Run, node: usize, bytes: usize) {
    let mut client = Client::to(run.nodes.address(node), APP, KEY);
    for n in 0..bytes.div_ceil(FILLER_BYTES) {
        let members: Value =
            (0..FILLER_MEMBERS).map(|i| json!({"Member_Account": format!("filler-of-the-log-{n}-{i}")})).collect();
        let group =
            json!({"Type": "Public", "GroupId": format!("filler-{n}"), "Name": "filler", "MemberList": members});
        // Whatever it is answered: it was in the log, or there is one more.
        let _ = client.try_call("create_group", &group).await;
    }
}
