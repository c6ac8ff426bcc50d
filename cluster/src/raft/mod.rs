//! Consensus: one openraft group per shard, glued to the disk. Nothing outside this crate sees openraft.

mod codec;
mod log_store;
mod machine;
mod network;
mod replica;
mod snapshot;
mod types;

pub(crate) use codec::{decode, encode, starts_key};
pub(crate) use replica::{RunningReplica, Timings};
