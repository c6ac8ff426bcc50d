//! What was acknowledged survives; what cannot survive is not acknowledged.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{Cluster, Health, ProposeError};

use crate::recorder::{Recorder, lead, put, run, start, started, stored_data};

/// Long enough for anything that does not wait for a flush.
const A_WHILE: Duration = Duration::from_millis(200);

#[test]
fn no_outcome_before_the_flush() {
    run(async {
        let store = MemoryStore::new();
        let cluster = testing::open(&store, 1).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        store.hang_flushes();
        let mut outcome = shard.propose(leadership, "waits".into()).await.expect("taken");
        tokio::time::sleep(A_WHILE).await;
        assert!(outcome.as_mut().now_or_never().is_none(), "acknowledged before it was flushed");
        assert_eq!(machine.data(), Vec::<Bytes>::new(), "applied before it was committed");
        store.resume_flushes();
        outcome.await.expect("applied");
        assert_eq!(machine.data(), ["waits"]);
        cluster.stop().await;
    });
}

#[test]
fn a_flush_that_hangs_shows_as_a_stall() {
    run(async {
        let store = MemoryStore::new();
        let cluster = testing::open(&store, 1).expect("opened");
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        assert_eq!(cluster.health(), Health::Serving);
        store.hang_flushes();
        let outcome = shard.propose(leadership, "waits".into()).await.expect("taken");
        while !matches!(cluster.health(), Health::Stalled { millis } if millis >= 1000) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.resume_flushes();
        outcome.await.expect("applied");
        while cluster.health() != Health::Serving {
            tokio::task::yield_now().await;
        }
        cluster.stop().await;
    });
}

#[test]
fn a_failed_flush_acknowledges_nothing_and_ends_everything() {
    run(async {
        let store = MemoryStore::new();
        let cluster = testing::open(&store, 3).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        let other = start(&cluster, 1, &Recorder::of(1)).await;
        let others = lead(&other).await;
        let idle = start(&cluster, 2, &Recorder::of(2)).await;
        lead(&idle).await;
        put(&shard, leadership, "safe").await;

        store.fail_flushes();
        // The failure may be noticed while the proposal is handed over, or after.
        let outcome = match shard.propose(leadership, "lost".into()).await {
            Ok(outcome) => outcome.await,
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(ProposeError::Unknown)), "{outcome:?}");
        assert!(matches!(cluster.health(), Health::Failed { reason } if reason.contains("flush")));
        // Flushes that would work again change nothing: nobody knows what the failed one left behind.
        store.resume_flushes();
        if let Ok(outcome) = other.propose(others, "after".into()).await {
            outcome.await.expect_err("acknowledged after a failed flush");
        }
        other.leadership().wait_for(Option::is_none).await.expect("still there to be asked");
        other.read_barrier().await.expect_err("a read after a failure");
        // Who has nothing to write meets no failure, and would send heartbeats for ever.
        idle.leadership().wait_for(Option::is_none).await.expect("still there to be asked");
        assert_eq!(machine.data(), ["safe"]);
        cluster.stop().await;
    });
}

/// Writes in several rounds; after each, the store as power loss and as a kill would leave it must hold every
/// acknowledged entry, and the rows must be the log replayed.
#[test]
fn every_acknowledged_entry_survives_kill_and_power_loss() {
    let store = MemoryStore::new();
    let mut crashed = Vec::new();
    run(async {
        let cluster = testing::open(&store, 1).expect("opened");
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        for i in 0..30_u8 {
            put(&shard, leadership, vec![i; 100]).await;
            if i % 5 == 4 {
                crashed.push((usize::from(i) + 1, store.after_power_loss()));
                crashed.push((usize::from(i) + 1, store.after_kill()));
            }
        }
        // One more that nobody is told of: it may be there afterwards or not.
        store.hang_flushes();
        let _outcome = shard.propose(leadership, "perhaps".into()).await.expect("taken");
        tokio::time::sleep(A_WHILE).await;
        crashed.push((30, store.after_power_loss()));
        crashed.push((30, store.after_kill()));
        store.resume_flushes();
        cluster.stop().await;
    });
    for (acknowledged, store) in crashed {
        run(reopen_and_check(store, acknowledged));
    }
}

async fn reopen_and_check(store: MemoryStore, acknowledged: usize) {
    let cluster = testing::open(&store, 1).expect("opened again");
    let (shard, leadership) = started(&cluster, &Recorder::default()).await;
    let stored = stored_data(&shard);
    let wanted: Vec<Vec<u8>> = (0..acknowledged as u8).map(|i| vec![i; 100]).collect();
    assert_eq!(stored[..acknowledged], wanted);
    assert!(stored[acknowledged..].iter().all(|row| row == "perhaps"), "{stored:?}");
    put(&shard, leadership, "goes on").await;
    assert_eq!(stored_data(&shard).last().map(|row| &row[..]), Some(&b"goes on"[..]));
    cluster.stop().await;
}

#[test]
fn rows_that_were_lost_are_replayed_once() {
    let store = MemoryStore::new();
    let mut lost = None;
    run(async {
        let cluster = testing::open(&store, 1).expect("opened");
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        for i in 0..10_u8 {
            put(&shard, leadership, vec![i]).await;
        }
        // The rows of the last entry follow its flush, so without another flush power loss takes them.
        lost = Some(store.after_power_loss());
        cluster.stop().await;
    });
    let lost = lost.expect("taken");
    assert!(lost.rows().len() < store.rows().len(), "nothing was lost, the test shows nothing");
    run(async {
        let cluster = testing::open(&lost, 1).expect("opened again");
        let machine = Recorder::default();
        let (_shard, _) = started(&cluster, &machine).await;
        assert_eq!(lost.rows(), store.rows(), "the rows are the log replayed");
        let replayed = machine.data().len();
        assert!((1..10).contains(&replayed), "replayed {replayed} of 10: only what was missing");
        cluster.stop().await;
    });
}

#[test]
fn the_log_is_cut_and_a_restart_finds_everything() {
    let store = MemoryStore::new();
    let options = |store: &MemoryStore| -> Cluster {
        let mut options = testing::options("memory", 1);
        options.log_bytes_max = 100_000;
        testing::open_with(store, options).expect("opened")
    };
    run(async {
        let cluster = options(&store);
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        let mut most = 0;
        for i in 0..1000_u64 {
            put(&shard, leadership, [&i.to_be_bytes()[..], &[0; 992]].concat()).await;
            most = most.max(store.log_entries());
        }
        assert!(most > 60, "cut too early to be of use to a peer: {most}");
        assert!(most < 300, "a log of 100 kB holds {most} entries of 1 kB");
        cluster.stop().await;
    });
    let store = store.after_power_loss();
    run(async {
        let cluster = options(&store);
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        assert_eq!(stored_data(&shard).len(), 1000);
        put(&shard, leadership, "goes on").await;
        assert_eq!(stored_data(&shard).len(), 1001);
        cluster.stop().await;
    });
}

#[test]
fn every_start_mints_under_another_number() {
    let store = MemoryStore::new();
    let first = testing::open(&store, 1).expect("opened").mint_slot();
    let second = testing::open(&store.after_power_loss(), 1).expect("opened").mint_slot();
    assert_eq!(second, first + 1);
}
