//! What nodes ask each other on behalf of those who look after them, as bytes.
//!
//! ```text
//! call     kind  version  MessagePack of a question
//! answer         version  MessagePack of an answer
//! ```
//!
//! Structures travel with the names of their fields: these calls are few, and a release may say more than the last one.

use bytes::Bytes;
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
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Answer {
    Status(NodeStatus),
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
        let answer = Answer::Failed { reason: "why".into() };
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
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
