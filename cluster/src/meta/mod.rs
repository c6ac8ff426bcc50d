//! The meta group: a Raft group like those of the shards, about the nodes themselves.
//!
//! Its rows say which nodes there are and where. Shards serve without it: every node remembers what it was last told.

mod machine;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use machine::{MetaMachine, NODES_MAX};

use crate::peer::NodeId;
use crate::slot::ShardId;

/// The meta group's place among the logs. No shard has this number: slots are far fewer.
pub(crate) const META: ShardId = ShardId(u16::MAX - 1);

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCard {
    /// Its present incarnation.
    pub node: u64,
    /// What others dial.
    pub address: String,
    /// For people.
    pub name: String,
    /// Nodes of one zone fail together.
    pub zone: String,
}

impl NodeCard {
    pub fn id(&self) -> NodeId {
        NodeId(self.node)
    }
}

/// The nodes of a cluster at one moment, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    nodes: Vec<NodeCard>,
}

impl Members {
    pub(crate) fn new(mut nodes: Vec<NodeCard>) -> Arc<Self> {
        nodes.sort_by_key(|card| card.node);
        Arc::new(Self { nodes })
    }

    pub fn nodes(&self) -> &[NodeCard] {
        &self.nodes
    }

    pub(crate) fn at(&self, address: &str) -> Option<&NodeCard> {
        self.nodes.iter().find(|card| card.address == address)
    }
}

/// A change of the nodes, as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MetaChange {
    /// Lets a node in, or the next incarnation of one that is there: whoever comes from its address. The number is
    /// given at apply.
    #[serde(rename = "a")]
    Admit { address: String, name: String, zone: String, incarnation: u32 },
    /// A node says where it is now, and what it is called.
    #[serde(rename = "m")]
    Moved(NodeCard),
}
