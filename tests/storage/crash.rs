//! `kill -9` and power loss at any moment under load.

use std::time::Duration;

use crate::check::check;
use crate::load::{Load, Tally, ask_again, make_shared_group};
use crate::model::Model;
use crate::random::Random;
use crate::shim::{Shim, Tail};
use crate::support::{Node, Settings, until};

const CLIENTS: usize = 12;
/// Changes acknowledged in one round, at most; few, so that also the first ones after a start are hit.
const CHANGES_PER_ROUND_MAX: u64 = 1_500;
/// How long so many may take on a slow disk.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);
/// A start is killed somewhere in it.
const START_KILL_MS_MAX: u64 = 700;

/// Small memtables and logs: tables are written, logs are cut and changed while the load runs.
pub const SETTINGS: &str = "[limits]\ndaily_net_groups = 0\nattr_write_per_sec = 0\n[storage]\nmemtable_bytes = 4194304\nwal_bytes = 4194304\nlog_bytes_max = 1048576\n";

#[derive(Clone, Copy, Debug)]
enum End {
    /// The process dies, the machine lives: what was written is there.
    Killed,
    /// The machine dies: what was flushed is there.
    PowerLost(Tail),
    /// The machine dies, and once more while the node recovers.
    PowerLostTwice,
}

const ROUNDS: [End; 12] = [
    End::PowerLost(Tail::Gone),
    End::Killed,
    End::PowerLost(Tail::Torn),
    End::PowerLostTwice,
    End::PowerLost(Tail::Gone),
    End::Killed,
    End::PowerLost(Tail::Torn),
    End::PowerLostTwice,
    End::Killed,
    End::PowerLost(Tail::Gone),
    End::Killed,
    End::PowerLost(Tail::Torn),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill_or_a_power_cut() {
    let mut random = Random::of_test("crash");
    let shim = Shim::build();
    let folder = tempfile::tempdir().expect("a folder for the node");
    let settings = shim.under(folder.path(), SETTINGS);
    let mut node = start(folder, settings);
    make_shared_group(&mut node.client().await).await;
    let mut model = Model::new(CLIENTS, &mut random);
    let mut total = Tally::default();

    for (round, end) in ROUNDS.into_iter().enumerate() {
        let load = Load::start(node.address, model);
        let enough = random.between(1, CHANGES_PER_ROUND_MAX);
        until("changes under way", ROUND_TIMEOUT, || load.acknowledged() >= enough).await;
        let mut stopped = node.kill();
        let tally;
        (model, tally) = load.finish().await;
        match end {
            End::Killed => println!("round {round}: killed; {tally:?}"),
            End::PowerLost(tail) => {
                let cut = shim.cut_power(&stopped.data_dir(), tail, &mut random);
                println!("round {round}: {end:?}, {cut:?}; {tally:?}");
            }
            End::PowerLostTwice => {
                let first = shim.cut_power(&stopped.data_dir(), Tail::Gone, &mut random);
                let after = Duration::from_millis(random.below(START_KILL_MS_MAX));
                stopped = stopped.start_and_kill(after);
                let second = shim.cut_power(&stopped.data_dir(), Tail::Gone, &mut random);
                println!("round {round}: {first:?}, again {after:?} into the start, {second:?}; {tally:?}");
            }
        }
        assert_eq!(
            tally.unavailable.values().sum::<u64>() + tally.unknown,
            0,
            "the node was well until it died: {tally:?}"
        );
        total.acknowledged += tally.acknowledged;
        total.refused += tally.refused;
        total.unanswered += tally.unanswered;
        node = stopped.start();
        let mut client = node.client().await;
        let asked_again = ask_again(&mut client, &mut model, &mut random).await;
        println!("round {round}: {asked_again} asked again");
        let differences = check(&mut client, &mut model).await;
        assert!(differences.is_empty(), "round {round}, {end:?}:\n{}", differences.join("\n"));
    }
    assert!(total.refused > 0 && total.unanswered > 0, "the rounds were too tame to show anything: {total:?}");

    let (stopped, status) = node.terminate();
    assert!(status.success(), "{status}");
    stopped.examine();
}

/// The proof that the test above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flush_a_power_cut_loses_what_was_acknowledged() {
    const ATTEMPTS_MAX: usize = 5;
    const CHANGES: u64 = 300;
    let mut random = Random::of_test("crash without flush");
    for attempt in 0..ATTEMPTS_MAX {
        let shim = Shim::build();
        let folder = tempfile::tempdir().expect("a folder for the node");
        let settings = shim
            .under(folder.path(), "[limits]\ndaily_net_groups = 0\nattr_write_per_sec = 0\n[storage]\nflush = false\n");
        let node = start(folder, settings);
        make_shared_group(&mut node.client().await).await;
        let load = Load::start(node.address, Model::new(CLIENTS, &mut random));
        until("changes under way", ROUND_TIMEOUT, || load.acknowledged() >= CHANGES).await;
        let stopped = node.kill();
        let (mut model, tally) = load.finish().await;
        let cut = shim.cut_power(&stopped.data_dir(), Tail::Gone, &mut random);
        let node = stopped.start();
        let differences = check(&mut node.client().await, &mut model).await;
        println!("attempt {attempt}: {cut:?}, {tally:?}, {} differences", differences.len());
        if differences.iter().any(|difference| difference.contains("acknowledged")) {
            return;
        }
    }
    panic!("no power cut lost anything in {ATTEMPTS_MAX} attempts: the test cannot see a loss");
}

pub fn start(folder: tempfile::TempDir, settings: Settings) -> Node {
    Node::try_start_in(folder, settings).unwrap_or_else(|(_, said)| panic!("the node did not start: {said}"))
}
