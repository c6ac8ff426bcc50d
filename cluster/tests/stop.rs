//! A stop under load: what the log has taken is carried out, what comes later is refused, and nobody is warned.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{BarrierError, Leadership, ProposeError, ShardHandle};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::recorder::{Recorder, lead, run, start, stored_data};

const SHARDS: u16 = 4;
/// Of each shard.
const PROPOSERS: usize = 8;
const READERS: usize = 4;
/// Long enough for all of them to be at work.
const LOAD_TIME: Duration = Duration::from_millis(100);
const ROUNDS: usize = 10;

#[test]
fn a_stop_under_load_keeps_what_was_acknowledged_and_warns_of_nothing() {
    let warnings = Warnings::default();
    // All tasks of a test run on its thread, and so does what the consensus says.
    let _guard = tracing::subscriber::set_default(warnings.clone());
    for round in 0..ROUNDS {
        run(async {
            let store = MemoryStore::new();
            let cluster = testing::open(&store, SHARDS).expect("opened");
            let mut at_work = JoinSet::new();
            let mut shards = Vec::new();
            for shard in 0..SHARDS {
                let handle = start(&cluster, shard, &Recorder::of(shard)).await;
                let leadership = lead(&handle).await;
                for _ in 0..PROPOSERS {
                    at_work.spawn(propose_until_refused(handle.clone(), leadership));
                }
                for _ in 0..READERS {
                    at_work.spawn(read_until_refused(handle.clone()));
                }
                shards.push(handle);
            }
            // What openraft says of an election is not looked at here.
            warnings.0.lock().clear();
            tokio::time::sleep(LOAD_TIME).await;
            cluster.stop().await;
            let acknowledged: usize = at_work.join_all().await.into_iter().sum();
            let stored: usize = shards.iter().map(|shard| stored_data(shard).len()).sum();
            assert!(acknowledged > 0, "nothing was at work");
            assert_eq!(stored, acknowledged, "round {round}");
        });
        let warned = warnings.0.lock();
        assert!(warned.is_empty(), "round {round}:\n{}", warned.join("\n"));
    }
}

/// Returns how many proposals were acknowledged.
async fn propose_until_refused(shard: ShardHandle, leadership: Leadership) -> usize {
    let mut acknowledged = 0;
    loop {
        match shard.propose(leadership, "payload".into()).await {
            Ok(outcome) => outcome.await.expect("what the log has taken is carried out"),
            Err(ProposeError::NotLeader) => return acknowledged,
            Err(ProposeError::Unknown) => panic!("a stop leaves no outcome unknown"),
        }
        acknowledged += 1;
    }
}

async fn read_until_refused(shard: ShardHandle) -> usize {
    loop {
        match shard.read_barrier().await {
            // A reader that never waits would let nobody else run.
            Ok(()) => tokio::task::yield_now().await,
            Err(BarrierError::NotLeader | BarrierError::Stopped) => return 0,
        }
    }
}

/// Remembers warnings and errors, in words.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut words);
        self.0.lock().push(words.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}
