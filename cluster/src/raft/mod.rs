//! Consensus: one openraft group per shard, glued to the disk. Nothing outside this crate sees openraft.

mod codec;
mod log_store;
mod machine;
mod mark;
mod network;
mod replica;
mod report;
mod snapshot;
mod steward;
mod types;

pub(crate) use codec::{Kind, decode, decode_entry, encode, encode_entry, log_key, starts_key, stored_meta};
pub(crate) use machine::Applied;
pub(crate) use mark::Looking;
pub(crate) use network::{Peers, Way};
pub(crate) use replica::{Begin, RunningReplica, Timings, stored_rows};
pub use report::{Move, PeerReport, ReplicaReport};
pub(crate) use types::{LogId, Types, Vote, voters_of};
