//! A machine that writes down what it was told, and helpers around it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use muster_cluster::{
    Cluster, Committed, DiskError, Leadership, Payload, Release, ShardHandle, ShardId, ShardMachine, Transaction,
};
use parking_lot::Mutex;

/// Longer than anything here takes; a test that reaches it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes every payload as a row under its index, and a row that counts them, read back on every apply.
#[derive(Clone, Default)]
pub struct Recorder {
    pub seen: Arc<Mutex<Vec<(u64, Payload)>>>,
    pub released: Arc<Mutex<Vec<u64>>>,
    shard: u16,
}

impl Recorder {
    pub fn of(shard: u16) -> Self {
        Self { shard, ..Self::default() }
    }

    pub fn data(&self) -> Vec<Bytes> {
        let seen = self.seen.lock();
        seen.iter()
            .filter_map(|(_, payload)| if let Payload::Data(bytes) = payload { Some(bytes.clone()) } else { None })
            .collect()
    }
}

pub fn row_key(shard: u16, index: u64) -> Vec<u8> {
    [&shard.to_be_bytes()[..], b"r", &index.to_be_bytes()].concat()
}

pub fn count_key(shard: u16) -> Vec<u8> {
    [&shard.to_be_bytes()[..], b"c"].concat()
}

pub fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

impl ShardMachine for Recorder {
    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        for entry in entries {
            if let Payload::Data(bytes) = &entry.payload {
                let count = tx.read(&count_key(self.shard), number)?.unwrap_or(0);
                tx.put(count_key(self.shard), (count + 1).to_be_bytes().to_vec());
                tx.put(row_key(self.shard, entry.index), bytes.to_vec());
            }
            self.seen.lock().push((entry.index, entry.payload.clone()));
        }
        let (released, last) = (self.released.clone(), entries.last().map_or(0, |entry| entry.index));
        Ok(Some(Box::new(move || released.lock().push(last))))
    }
}

/// Runs a test as the product runs shards: on one thread.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") });
}

pub async fn start(cluster: &Cluster, shard: u16, machine: &Recorder) -> ShardHandle {
    cluster.start_shard(ShardId(shard), Box::new(machine.clone())).await.expect("a shard that starts")
}

pub async fn lead(shard: &ShardHandle) -> Leadership {
    let mut leadership = shard.leadership();
    let leads = leadership.wait_for(Option::is_some).await.expect("a shard that runs");
    leads.expect("just waited for")
}

/// Proposes and waits for the outcome.
pub async fn put(shard: &ShardHandle, leadership: Leadership, payload: impl Into<Bytes>) {
    shard.propose(leadership, payload.into()).await.expect("taken").await.expect("applied");
}

pub async fn started(cluster: &Cluster, machine: &Recorder) -> (ShardHandle, Leadership) {
    let shard = start(cluster, 0, machine).await;
    let leadership = lead(&shard).await;
    (shard, leadership)
}

pub fn stored_data(shard: &ShardHandle) -> Vec<Bytes> {
    let mut found = Vec::new();
    let id = shard.id().0;
    let view = shard.rows().view();
    let each = |_: &[u8], value: &[u8]| {
        found.push(Bytes::copy_from_slice(value));
        true
    };
    view.scan(&row_key(id, 0), &row_key(id, u64::MAX), each).expect("rows that can be read");
    found
}
