//! Replicated shards of bytes.
//!
//! This crate knows bytes, slots, shards and nodes; it knows no groups. It promises, per shard:
//! one order of entries, entries flushed on a majority before they are committed, at most one leader per
//! term, and rows written in log order, before anybody is told of them.

pub mod application;
pub mod disk;
mod examine;
mod forming;
pub mod handle;
mod inspect;
mod meta;
mod net;
pub mod peer;
mod placement;
mod process;
mod raft;
mod reception;
mod replaced;
pub mod simulation;
mod sleep;
pub mod slot;
pub mod testing;

pub use application::{Committed, Keeps, Payload, Release, ShardMachine, Transaction};
pub use disk::{Batch, Disk, DiskError, DiskObserver, DiskOptions, Family, Health, Lookup, Row, Rows, View};
pub use examine::StoppedNode;
pub use handle::{
    BarrierError, Cluster, ClusterOptions, Leadership, NodesObserver, NodesOptions, OpenError, ProposeError, Proposed,
    ReadPolicy, ShardHandle,
};
pub use inspect::{Missed, NodeView, SlotHash};
pub use meta::{Members, NodeCard};
pub use net::{NetOptions, Tls, TlsError, TlsFiles};
pub use peer::{Attendant, CallError, NodeId};
pub use process::{disable_huge_pages, raise_file_limit, step_back};
pub use raft::{Move, PeerReport, ReplicaReport};
pub use slot::{SLOTS, ShardId, Slot, shard_of_slot, slot_of};
