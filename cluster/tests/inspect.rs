//! Rows of two nodes are equal, or are found not to be; and a view shows exactly the index that was asked for.

use std::time::Duration;

use bytes::Bytes;
use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{
    Cluster, Committed, DiskError, Leadership, Missed, Payload, Release, ShardHandle, ShardId, ShardMachine, SlotHash,
    Transaction,
};

use crate::recorder::{lead, number, put, run};

const SHARD: Option<ShardId> = Some(ShardId(0));
const SOON: Duration = Duration::from_secs(10);

/// Writes every payload under its index and counts them, under keys as the program has them: slot, generation, place.
struct Keyed;

const ROW: &[u8] = b"row";
const COUNT: &[u8] = b"count";

fn key(generation: u32, place: &[u8]) -> Vec<u8> {
    [&0_u16.to_be_bytes()[..], &generation.to_be_bytes(), place].concat()
}

impl ShardMachine for Keyed {
    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        let generation = tx.generation();
        for entry in entries {
            if let Payload::Data(bytes) = &entry.payload {
                let count = tx.read(&key(generation, COUNT), number)?.unwrap_or(0);
                tx.put(key(generation, COUNT), (count + 1).to_be_bytes().to_vec());
                tx.put(key(generation, &[ROW, &entry.index.to_be_bytes()].concat()), bytes.to_vec());
            }
        }
        Ok(None)
    }
}

async fn started(cluster: &Cluster) -> (ShardHandle, Leadership) {
    let shard = cluster.start_shard(ShardId(0), Box::new(Keyed)).await.expect("a shard that starts");
    let leadership = lead(&shard).await;
    (shard, leadership)
}

fn hashes(cluster: &Cluster) -> Vec<SlotHash> {
    cluster.view().hash(SHARD, |_| true).expect("read").expect("not given up")
}

/// A node alone with a few rows.
async fn filled() -> (MemoryStore, Cluster) {
    let store = MemoryStore::new();
    let cluster = testing::open(&store, 1).expect("opened");
    let (shard, leadership) = started(&cluster).await;
    for n in 0..20_u8 {
        put(&shard, leadership, vec![n; 10]).await;
    }
    (store, cluster)
}

#[test]
fn one_changed_row_changes_the_hash_of_its_slot() {
    run(async {
        let (_, one) = filled().await;
        let (store, other) = filled().await;
        assert_eq!(hashes(&one), hashes(&other));
        let rows: u64 = hashes(&one).iter().map(|slot| slot.rows).sum();
        assert_eq!(rows, store.rows().len() as u64);
        let (key, value) = store.rows().last().cloned().expect("rows");
        let mut changed = value.to_vec();
        changed[0] ^= 1;
        store.damage(&key, &changed);
        let slot = u16::from_be_bytes([key[0], key[1]]);
        let (before, after) = (hashes(&one), hashes(&other));
        let different: Vec<u16> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.slot).collect();
        assert_eq!(different, [slot]);
        store.damage(&key, &value);
        assert_eq!(hashes(&one), hashes(&other));
        one.stop().await;
        other.stop().await;
    });
}

#[test]
fn a_hash_is_given_up_when_nobody_wants_it() {
    run(async {
        let (_, cluster) = filled().await;
        let view = cluster.view();
        assert!(view.hash(SHARD, |_| false).expect("read").is_none());
        drop(view);
        cluster.stop().await;
    });
}

/// While entries come as fast as they can, the rows are looked at where they were asked for, and nowhere else.
#[test]
fn rows_are_seen_at_exactly_the_index() {
    const ROUNDS: u64 = 10;
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 1).expect("opened");
        let (shard, leadership) = started(&cluster).await;
        put(&shard, leadership, "first").await;
        let applied = |cluster: &Cluster| cluster.report()[0].applied;
        // The count of entries that each apply saw, and the index, go up together.
        let (base, counted) = (applied(&cluster), 1);
        let (mut looked, mut passed) = (0, 0);
        while looked < ROUNDS {
            let index = applied(&cluster) + 50;
            let of_thread = cluster.clone();
            let looker = std::thread::spawn(move || {
                of_thread.look_at(SHARD, index, SOON, |view| {
                    let mut seen = None;
                    view.scan_kind(0, COUNT[0], |_, value| seen = Some(number(value))).expect("read");
                    seen
                })
            });
            let mut outcomes = Vec::new();
            while !looker.is_finished() {
                outcomes.push(shard.propose(leadership, Bytes::from("x")).await.expect("taken"));
            }
            for outcome in outcomes {
                outcome.await.expect("applied");
            }
            match looker.join().expect("no panic") {
                Ok(seen) => {
                    assert_eq!(seen, Some(counted + index - base), "round {looked}");
                    looked += 1;
                }
                // The thread got its core only when the entries had gone by, or apply had waited long enough for it.
                Err(missed @ Missed::Passed { .. }) => {
                    passed += 1;
                    assert!(passed <= ROUNDS, "{looked} looks, and {passed} times {missed}");
                }
                Err(missed) => panic!("round {looked}: {missed}"),
            }
        }
        let passed = cluster.look_at(SHARD, 1, SOON, |_| ()).expect_err("long ago");
        assert!(matches!(passed, Missed::Passed { .. }), "{passed}");
        let far = applied(&cluster) + 1_000;
        let missed = cluster.look_at(SHARD, far, Duration::from_millis(20), |_| ()).expect_err("not yet");
        assert!(matches!(missed, Missed::NotReached { .. }), "{missed}");
        assert!(cluster.look_at(SHARD, applied(&cluster), SOON, |_| ()).is_ok(), "where they are");
        assert!(
            matches!(cluster.look_at(None, 1, SOON, |_| ()), Err(Missed::NoReplica)),
            "alone, without a meta group"
        );
        cluster.stop().await;
    });
}
