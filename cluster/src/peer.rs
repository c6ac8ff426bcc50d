//! The other nodes of a cluster, as the program above this crate speaks to them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;

/// One incarnation of one node: the node's number in the high half, the incarnation of its data folder in the low
/// one. It is the name of the node's replica in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The node's number, which it keeps when its folder is replaced.
    pub fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.number(), self.0 as u32)
    }
}

/// Why a call of another node has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It has not left this node: nothing happened.
    #[error("the node cannot be reached")]
    NotSent,
    /// It may have arrived, and may yet be carried out.
    #[error("the node did not answer in time")]
    Lost,
}

/// What a node does with the calls of others: the program above this crate, which alone knows what they mean.
pub trait Attendant: Send + Sync + 'static {
    /// Answers a call of `from`, which waits for it until `deadline`. Runs on the runtime of the connections, so it
    /// must not block.
    fn answer(&self, from: NodeId, call: Bytes, deadline: Instant) -> Pin<Box<dyn Future<Output = Bytes> + Send>>;
}
