//! openraft with this crate's types.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use serde::{Deserialize, Serialize};

use super::machine::Replica;
use super::snapshot::ShardSnapshot;

openraft::declare_raft_types!(
    /// One leader per term (the textbook leader id), so that a term alone names a leadership.
    pub(crate) Types:
        D = Proposal,
        R = (),
        NodeId = u64,
        Node = (),
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

pub(crate) type Raft = openraft::Raft<Types, Replica>;
pub(crate) type Entry = EntryOf<Types>;
pub(crate) type LogId = LogIdOf<Types>;
pub(crate) type Vote = VoteOf<Types>;
pub(crate) type Membership = StoredMembershipOf<Types>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<Types, ShardSnapshot>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;

/// Whose majorities count from an entry on, if it is one that says so.
pub(crate) fn voters_of(entry: &Entry) -> Option<Vec<BTreeSet<u64>>> {
    match &entry.payload {
        EntryPayload::Membership(membership) => Some(membership.get_joint_config().clone()),
        EntryPayload::Blank | EntryPayload::Normal(_) => None,
    }
}

/// The bytes of one proposal; cloning shares them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal(#[serde(with = "serde_bytes_shared")] pub(crate) Bytes);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

mod serde_bytes_shared {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Bytes::from)
    }
}
