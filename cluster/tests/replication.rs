//! One replica at work: order, outcomes, barriers, leaderships, many shards.

use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{Leadership, ProposeError};

use crate::recorder::{Recorder, count_key, lead, number, put, run, start, started, stored_data};

#[test]
fn proposals_are_applied_once_and_in_order() {
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 1).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        let mut outcomes = Vec::new();
        for i in 0..1000_u64 {
            let payload = i.to_be_bytes().to_vec();
            outcomes.push(shard.propose(leadership, payload.into()).await.expect("taken"));
        }
        for outcome in outcomes {
            outcome.await.expect("applied");
        }
        let seen: Vec<u64> = machine.data().iter().map(|bytes| number(bytes)).collect();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        let stored: Vec<u64> = stored_data(&shard).iter().map(|bytes| number(bytes)).collect();
        assert_eq!(stored, seen, "rows in the order of the log");
        let count = shard.rows().read(&count_key(0), number).expect("read");
        assert_eq!(count, Some(1000), "each apply saw the rows of the one before");
        cluster.stop().await;
    });
}

#[test]
fn an_outcome_comes_after_the_rows_and_the_release() {
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 1).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        for i in 1..=50_u64 {
            put(&shard, leadership, vec![7; 10]).await;
            assert_eq!(shard.rows().view().read(&count_key(0), number).expect("read"), Some(i));
            let last = machine.seen.lock().last().expect("applied").0;
            assert_eq!(machine.released.lock().last(), Some(&last));
        }
        cluster.stop().await;
    });
}

#[test]
fn a_proposal_for_another_leadership_never_reaches_the_log() {
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 1).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        for term in [leadership.term - 1, leadership.term + 1] {
            let refused = shard.propose(Leadership { term }, "late".into()).await;
            assert!(matches!(refused.err(), Some(ProposeError::NotLeader)));
        }
        put(&shard, leadership, "in time").await;
        assert_eq!(machine.data(), ["in time"]);
        cluster.stop().await;
    });
}

#[test]
fn a_barrier_shows_every_earlier_write() {
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 1).expect("opened");
        let machine = Recorder::default();
        let (shard, leadership) = started(&cluster, &machine).await;
        for i in 1..=20_u64 {
            let outcome = shard.propose(leadership, "x".into()).await.expect("taken");
            outcome.await.expect("applied");
            let (a, b) = tokio::join!(shard.read_barrier(), shard.read_barrier());
            a.and(b).expect("the leader answers");
            assert_eq!(shard.rows().view().read(&count_key(0), number).expect("read"), Some(i));
        }
        cluster.stop().await;
        shard.read_barrier().await.expect_err("a stopped replica answers nothing");
    });
}

#[test]
fn a_leadership_ends_with_the_replica_and_the_next_has_a_later_term() {
    run(async {
        let store = MemoryStore::new();
        let cluster = testing::open(&store, 1).expect("opened");
        let (shard, first) = started(&cluster, &Recorder::default()).await;
        cluster.stop().await;
        let mut leadership = shard.leadership();
        leadership.wait_for(Option::is_none).await.expect("still there to be asked");
        assert!(shard.propose(first, "late".into()).await.is_err());

        let cluster = testing::open(&store.after_kill(), 1).expect("opened again");
        let (_, second) = started(&cluster, &Recorder::default()).await;
        assert!(second.term > first.term, "{second:?} after {first:?}");
        cluster.stop().await;
    });
}

#[test]
fn eight_shards_keep_apart() {
    run(async {
        let cluster = testing::open(&MemoryStore::new(), 8).expect("opened");
        let machines: Vec<Recorder> = (0..8).map(Recorder::of).collect();
        let mut shards = Vec::new();
        for (id, machine) in (0..).zip(&machines) {
            shards.push(start(&cluster, id, machine).await);
        }
        let mut tasks = Vec::new();
        for shard in shards.clone() {
            tasks.push(tokio::spawn(async move {
                let leadership = lead(&shard).await;
                for i in 0..100_u64 {
                    put(&shard, leadership, [u64::from(shard.id().0), i].map(u64::to_be_bytes).concat()).await;
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        for (id, (machine, shard)) in (0_u64..).zip(machines.iter().zip(&shards)) {
            let wanted: Vec<Vec<u8>> = (0..100_u64).map(|i| [id, i].map(u64::to_be_bytes).concat()).collect();
            assert_eq!(machine.data(), wanted);
            assert_eq!(stored_data(shard), wanted);
        }
        cluster.stop().await;
    });
}
