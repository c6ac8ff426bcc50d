//! Raft's copy of a shard: the rows themselves, never a second one.
//!
//! A snapshot says up to where the log is in the rows, so that it may be cut there. No rows are copied and no
//! RocksDB snapshot is held: held between two cuts it would keep every overwritten row alive. The rows at the
//! moment a peer asks are at least as new as what the snapshot names, which is all a peer needs.

use std::io;

use openraft::RaftSnapshotBuilder;

use super::types::{Snapshot, SnapshotMeta, Types};

/// What travels to a peer. Empty until there are peers: rows will be streamed from a view taken then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardSnapshot;

pub(crate) struct Builder(pub(crate) SnapshotMeta);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = ShardSnapshot;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Ok(Snapshot { meta: self.0.clone(), snapshot: ShardSnapshot })
    }
}
