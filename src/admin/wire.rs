//! What nodes ask each other on behalf of those who look after them, as bytes.
//!
//! ```text
//! call     kind  version  MessagePack of a question
//! answer         version  MessagePack of an answer
//! ```
//!
//! Structures travel with the names of their fields: these calls are few, and a release may say more than the last one.

use bytes::Bytes;
use muster_cluster::SlotHash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::NodeStatus;

/// The first byte of every call; tells it from whatever else nodes say to each other.
pub const KIND: u8 = b'A';
/// Counts changes that an older node would misread.
const VERSION: u8 = 1;

/// Bytes that are no question or no answer of a version that is known here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// What a release answers that knows no such calls.
    #[error("it runs a release that does not answer this")]
    Silent,
    #[error("it speaks version {0}, which is not known here")]
    Version(u8),
    #[error("what it says cannot be read: {0}")]
    Form(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// How do you fare?
    Status {},
    /// Up to where is the log of a shard in its rows? No shard: the meta group.
    Applied { shard: Option<u16> },
    /// Hash the rows of a shard as they are at this index, and no other.
    Hash { shard: Option<u16>, index: u64, job: u64 },
    /// What did they come to?
    Hashed { job: u64 },
}

/// What the rows of a slot come to; the hash in two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SlotForm {
    pub(super) slot: u16,
    pub(super) rows: u64,
    pub(super) hash: (u64, u64),
}

impl From<SlotHash> for SlotForm {
    fn from(SlotHash { slot, rows, hash }: SlotHash) -> Self {
        Self { slot, rows, hash: ((hash >> 64) as u64, hash as u64) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Answer {
    Status(NodeStatus),
    Applied {
        index: u64,
    },
    /// The rows are being hashed as they are at the index asked for.
    Seen {},
    /// They were never seen there; they are here now.
    Missed {
        applied: u64,
    },
    /// So many rows by now.
    Hashing {
        rows: u64,
    },
    Hashed {
        slots: Vec<SlotForm>,
    },
    /// Nothing was done, and why.
    Failed {
        reason: String,
    },
}

impl Question {
    /// With the kind in front.
    pub(super) fn encode(&self) -> Bytes {
        pack(&[KIND, VERSION], self)
    }

    /// Without the kind.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        unpack(bytes)
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Bytes {
        pack(&[VERSION], self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        unpack(bytes)
    }
}

fn pack<T: Serialize>(head: &[u8], value: &T) -> Bytes {
    let mut bytes = head.to_vec();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value.serialize(&mut serializer).expect("wire forms hold nothing that MessagePack cannot");
    bytes.into()
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => rmp_serde::from_slice(body).map_err(|error| WireError::Form(error.to_string())),
        Some((version, _)) => Err(WireError::Version(*version)),
        None => Err(WireError::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let call = Question::Status {}.encode();
        assert_eq!(call[0], KIND);
        assert_eq!(Question::decode(&call[1..]), Ok(Question::Status {}));
        let slot = SlotForm::from(SlotHash { slot: 3, rows: 9, hash: 7 << 64 | 8 });
        assert_eq!(slot.hash, (7, 8));
        for answer in [Answer::Failed { reason: "why".into() }, Answer::Hashed { slots: vec![slot] }, Answer::Seen {}] {
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    /// A changed byte here is a node that its neighbours do not understand.
    #[test]
    fn the_bytes_are_these() {
        let call = Question::Status {}.encode();
        assert_eq!(call[..], [b'A', 1, 0x81, 0xa6, b'S', b't', b'a', b't', b'u', b's', 0x80]);
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        assert_eq!(Answer::decode(&[]), Err(WireError::Silent));
        assert_eq!(Answer::decode(&[9, 0]), Err(WireError::Version(9)));
        assert!(matches!(Answer::decode(&[VERSION, 0xc1]), Err(WireError::Form(_))));
    }
}
