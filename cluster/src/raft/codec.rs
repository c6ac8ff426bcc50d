//! Stored bytes of the log and meta families. Every value begins with its version.
//!
//! | Family | Key | Value | Written by |
//! |---|---|---|---|
//! | log | shard, index | entry | append |
//! | meta | shard, 1 | vote | save_vote |
//! | meta | shard, 2 | log id the log was cut up to | purge |
//! | meta | shard, 3 | applied log id and membership | apply, in the batch of its rows |
//! | meta | shard, 4 | generation of the rows, if it is not the first | installing a snapshot |
//! | meta | shard, 5 | generation of rows that are being received | taking the first part of a snapshot |
//! | meta | 0xffff, 1 | counter of starts | opening |
//!
//! Numbers in keys are big endian: a shard 2 bytes, an index 8, a kind 1. Kinds and tags are never used again.

use std::io;

use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::{Entry, LogId, Proposal};
use crate::disk::{Disk, DiskError, Family};
use crate::slot::ShardId;

/// The version written; the only one there has been.
const VERSION: u8 = 1;

/// No shard has this number: slots are far fewer.
const NODE: u16 = u16::MAX;

#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    Vote = 1,
    Purged = 2,
    Applied = 3,
    Generation = 4,
    Incoming = 5,
}

pub(crate) fn log_key(shard: ShardId, index: u64) -> Vec<u8> {
    [&shard.0.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// The first key behind the log of a shard.
pub(crate) fn log_end(shard: ShardId) -> Vec<u8> {
    log_key(ShardId(shard.0 + 1), 0)
}

pub(crate) fn meta_key(shard: ShardId, kind: Kind) -> Vec<u8> {
    [&shard.0.to_be_bytes()[..], &[kind as u8]].concat()
}

/// Reads what a replica knows about itself.
///
/// # Errors
/// Stored bytes that make no sense: nothing that this replica says can be trusted, so the disk has failed then.
pub(crate) fn read_meta<T: DeserializeOwned>(disk: &Disk, shard: ShardId, kind: Kind) -> Result<Option<T>, DiskError> {
    disk.checked(stored_meta(shard, kind, |key, found| disk.storage().get(Family::Meta, key, found)))
}

/// The same of whatever `read` reads; a disk in use has failed with it.
pub(crate) fn stored_meta<T: DeserializeOwned>(
    shard: ShardId,
    kind: Kind,
    read: impl FnOnce(&[u8], &mut dyn FnMut(&[u8])) -> Result<(), DiskError>,
) -> Result<Option<T>, DiskError> {
    let mut stored = None;
    read(&meta_key(shard, kind), &mut |value| stored = Some(decode(value)))?;
    let damaged =
        |error: io::Error| DiskError::Corrupt(format!("meta row {} of shard {}: {error}", kind as u8, shard.0));
    stored.transpose().map_err(damaged)
}

/// Where a node counts its starts.
pub(crate) fn starts_key() -> Vec<u8> {
    [&NODE.to_be_bytes()[..], &[1]].concat()
}

/// An entry as stored: its term, its index, and what it is.
#[derive(Serialize, Deserialize)]
struct StoredEntry<'a>(u64, u64, #[serde(borrow)] StoredPayload<'a>);

#[derive(Serialize, Deserialize)]
enum StoredPayload<'a> {
    #[serde(rename = "b")]
    Blank,
    #[serde(rename = "d")]
    Data(#[serde(borrow)] &'a serde_bytes::Bytes),
    #[serde(rename = "m")]
    Membership(openraft::Membership<u64, ()>),
}

pub(crate) fn encode_entry(entry: &Entry) -> Result<Vec<u8>, io::Error> {
    let payload = match &entry.payload {
        EntryPayload::Blank => StoredPayload::Blank,
        EntryPayload::Normal(Proposal(bytes)) => StoredPayload::Data(serde_bytes::Bytes::new(bytes)),
        EntryPayload::Membership(membership) => StoredPayload::Membership(membership.clone()),
    };
    encode(&StoredEntry(entry.log_id.committed_leader_id().term, entry.index(), payload))
}

pub(crate) fn decode_entry(bytes: &[u8]) -> Result<Entry, io::Error> {
    let StoredEntry(term, index, payload) = decode_borrowed(bytes)?;
    let payload = match payload {
        StoredPayload::Blank => EntryPayload::Blank,
        StoredPayload::Data(bytes) => EntryPayload::Normal(Proposal(bytes::Bytes::copy_from_slice(bytes))),
        StoredPayload::Membership(membership) => EntryPayload::Membership(membership),
    };
    Ok(Entry { log_id: LogId::new(term.into(), index), payload })
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, io::Error> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, value).map_err(io::Error::other)?;
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, io::Error> {
    decode_borrowed(bytes)
}

fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, io::Error> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            rmp_serde::from_slice(body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
        }
        Some((version, _)) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("version {version} is not known")))
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "an empty value has no version")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::raft::types::{Membership, Vote};

    fn entry(payload: EntryPayload<Proposal, u64, ()>) -> Entry {
        Entry { log_id: LogId::new(3.into(), 7), payload }
    }

    #[test]
    fn entries_keep_their_layout() {
        let golden: [(_, &[u8]); 2] = [
            (entry(EntryPayload::Blank), &[1, 0x93, 3, 7, 0xa1, b'b']),
            (
                entry(EntryPayload::Normal(Proposal("hi".into()))),
                &[1, 0x93, 3, 7, 0x81, 0xa1, b'd', 0xc4, 2, b'h', b'i'],
            ),
        ];
        for (entry, bytes) in golden {
            assert_eq!(encode_entry(&entry).expect("encoded"), bytes);
            assert_eq!(decode_entry(bytes).expect("decoded"), entry);
        }
    }

    #[test]
    fn what_openraft_defines_survives_a_round_trip() {
        let membership = openraft::Membership::new_with_defaults(vec![BTreeSet::from([1, 2])], [3]);
        let change = entry(EntryPayload::Membership(membership.clone()));
        assert_eq!(decode_entry(&encode_entry(&change).expect("encoded")).expect("decoded"), change);
        let vote = Vote::new_committed(4, 9);
        assert_eq!(decode::<Vote>(&encode(&vote).expect("encoded")).expect("decoded"), vote);
        let applied = (Some(change.log_id), Membership::new(Some(change.log_id), membership));
        assert_eq!(
            decode::<(Option<LogId>, Membership)>(&encode(&applied).expect("encoded")).expect("decoded"),
            applied
        );
    }

    #[test]
    fn an_unknown_version_is_no_entry() {
        let mut bytes = encode_entry(&entry(EntryPayload::Blank)).expect("encoded");
        bytes[0] = 2;
        assert!(decode_entry(&bytes).is_err());
        assert!(decode_entry(&[]).is_err());
    }

    #[test]
    fn keys_sort_by_shard_and_index() {
        let keys = [log_key(ShardId(1), 255), log_key(ShardId(1), 256), log_end(ShardId(1)), log_key(ShardId(2), 1)];
        assert!(keys.is_sorted());
        assert_eq!(keys[1], [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(meta_key(ShardId(1), Kind::Applied), [0, 1, 3]);
        assert_eq!(starts_key(), [0xff, 0xff, 1]);
    }
}
