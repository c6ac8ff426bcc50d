//! Raft's copy of a shard: the rows themselves, never a second one.
//!
//! A snapshot says up to where the log is in the rows, so that it may be cut there. No rows are copied and no
//! RocksDB snapshot is held: held between two cuts it would keep every overwritten row alive. A peer that needs the
//! rows gets them as they are when it asks, from one view, with what they hold as that view says: at least what the
//! snapshot names, which is all a peer needs.
//!
//! ```text
//! view ──► parts of 256 KiB ──► one call each ──► rows under a generation of their own
//!                                    last part ──► openraft: install ──► one batch: generation, applied index
//! ```
//!
//! Rows under way are invisible: keys carry the generation, and readers use the current one. A transfer that breaks off
//! leaves rows that nobody reads, which the next one, or the next start, deletes.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use openraft::RaftSnapshotBuilder;
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;

use super::codec::{self, Kind};
use super::machine::Applied;
use super::types::{Snapshot, SnapshotMeta, Types};
use crate::disk::{Batch, Disk, DiskError, Family, Rows};
use crate::net::wire::SnapshotPart;
use crate::slot::ShardId;

/// Keys and values in one part.
const PART_BYTES: usize = 256 << 10;
/// Parts read ahead of the one that is being sent.
const PARTS_AHEAD: usize = 2;
/// Where a key has its slot, and its generation.
const SLOT: Range<usize> = 0..2;
const GENERATION: Range<usize> = 2..6;

/// What openraft hands from those who receive rows to those who install them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardSnapshot {
    /// Under which the rows have been received; `None`: they are at their sender.
    pub(crate) received: Option<u32>,
}

pub(crate) struct Builder(pub(crate) SnapshotMeta);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = ShardSnapshot;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Ok(Snapshot { meta: self.0.clone(), snapshot: ShardSnapshot { received: None } })
    }
}

/// Rows, and with the last of them what all hold.
pub(crate) struct Part {
    pub(crate) rows: Vec<(ByteBuf, ByteBuf)>,
    pub(crate) applied: Option<ByteBuf>,
}

/// Reads the rows of a shard from one view, on a thread that may wait for the disk.
pub(crate) fn read_parts(
    rows: Rows,
    shard: ShardId,
    places: Vec<Range<u16>>,
) -> mpsc::Receiver<Result<Part, DiskError>> {
    let (sender, parts) = mpsc::channel(PARTS_AHEAD);
    let disk = rows.disk().clone();
    disk.run_aside(move |may_wait| {
        let send = |part| match may_wait {
            true => sender.blocking_send(part).is_ok(),
            // A simulation's shard is smaller than what may be read ahead, or else the transfer breaks off.
            false => sender.try_send(part).is_ok(),
        };
        if let Err(error) = send_parts(&rows, shard, places, &send) {
            // Nobody listens: the transfer was given up.
            send(Err(error));
        }
    });
    parts
}

fn send_parts(
    rows: &Rows,
    shard: ShardId,
    places: Vec<Range<u16>>,
    send: &dyn Fn(Result<Part, DiskError>) -> bool,
) -> Result<(), DiskError> {
    let view = rows.view();
    let applied = view.get(Family::Meta, &codec::meta_key(shard, Kind::Applied), <[u8]>::to_vec)?.unwrap_or_default();
    let generation = view.generation();
    let (mut part, mut bytes, mut is_wanted) = (Vec::new(), 0, true);
    for slot in places.into_iter().flatten() {
        let (from, to) = range(slot, generation);
        view.scan(&from, &to, |key, value| {
            bytes += key.len() + value.len();
            part.push((ByteBuf::from(key), ByteBuf::from(value)));
            if bytes >= PART_BYTES {
                bytes = 0;
                is_wanted = send(Ok(Part { rows: std::mem::take(&mut part), applied: None }));
            }
            is_wanted
        })?;
        if !is_wanted {
            return Ok(());
        }
    }
    let last = Part { rows: part, applied: Some(ByteBuf::from(applied)) };
    send(Ok(last));
    Ok(())
}

/// The keys of a slot in one generation.
pub(crate) fn range(slot: u16, generation: u32) -> (Vec<u8>, Vec<u8>) {
    let begin = |generation: u32| [&slot.to_be_bytes()[..], &generation.to_be_bytes()].concat();
    (begin(generation), begin(generation + 1))
}

/// Deletes the rows of a shard that are older than a generation.
pub(crate) fn delete_older(batch: &mut Batch, places: &[Range<u16>], generation: u32) {
    for slot in places.iter().cloned().flatten() {
        batch.delete_range(Family::State, slot.to_be_bytes().to_vec(), range(slot, generation).0);
    }
}

/// Deletes the rows of a shard that are newer than a generation: those of transfers that broke off.
fn delete_newer(batch: &mut Batch, places: &[Range<u16>], generation: u32) {
    for slot in places.iter().cloned().flatten() {
        batch.delete_range(Family::State, range(slot, generation).1, (slot + 1).to_be_bytes().to_vec());
    }
}

/// Deletes what transfers have left behind before this start.
pub(crate) async fn clean_up(
    disk: &Disk,
    shard: ShardId,
    places: &[Range<u16>],
    generation: u32,
) -> Result<(), DiskError> {
    let mut batch = Batch::default();
    delete_older(&mut batch, places, generation);
    delete_newer(&mut batch, places, generation);
    batch.delete(Family::Meta, codec::meta_key(shard, Kind::Incoming));
    disk.submit(batch).await
}

/// A transfer to this replica.
#[derive(Debug)]
pub(crate) struct Incoming {
    transfer: u64,
    next: u64,
    pub(crate) generation: u32,
}

/// What came of a part.
pub(crate) enum Taken {
    /// The next one may come.
    Part,
    /// That was all: to be installed.
    All(Applied, u32),
}

impl Incoming {
    /// Takes a part; one that was taken before is no error, as its sender may not have heard of it.
    ///
    /// # Errors
    /// In words: parts are missing, or it is none.
    pub(crate) async fn take(
        current: &mut Option<Self>,
        part: SnapshotPart,
        (shard, places): (ShardId, &[Range<u16>]),
        rows: &Rows,
    ) -> Result<Taken, String> {
        let mut batch = Batch::default();
        if part.part == 0 && current.as_ref().is_none_or(|incoming| incoming.transfer != part.transfer) {
            let generation = current.as_ref().map_or(rows.generation(), |incoming| incoming.generation) + 1;
            let marker = codec::encode(&generation).map_err(|error| error.to_string())?;
            batch.put(Family::Meta, codec::meta_key(shard, Kind::Incoming), marker);
            *current = Some(Self { transfer: part.transfer, next: 0, generation });
        }
        let Some(incoming) = current.as_mut().filter(|incoming| incoming.transfer == part.transfer) else {
            return Err("another transfer has begun".into());
        };
        if part.part > incoming.next {
            return Err(format!("part {} came where {} was expected", part.part, incoming.next));
        }
        if part.part == incoming.next {
            for (key, value) in part.rows {
                let key = under(key.into_vec(), incoming.generation, places)?;
                batch.put(Family::State, key, value.into_vec());
            }
            let place = rows.disk().reserve().await.map_err(|error| error.to_string())?;
            place.write(batch).await.map_err(|error| error.to_string())?;
            incoming.next += 1;
        }
        let Some(applied) = part.applied else { return Ok(Taken::Part) };
        let applied = codec::decode::<Applied>(&applied).map_err(|error| error.to_string())?;
        Ok(Taken::All(applied, incoming.generation))
    }
}

/// The key of a row in another generation.
fn under(mut key: Vec<u8>, generation: u32, places: &[Range<u16>]) -> Result<Bytes, String> {
    let slot = key.get(SLOT).and_then(|slot| Some(u16::from_be_bytes(slot.try_into().ok()?)));
    match (slot, key.get_mut(GENERATION)) {
        (Some(slot), Some(place)) if places.iter().any(|of_shard| of_shard.contains(&slot)) => {
            place.copy_from_slice(&generation.to_be_bytes());
            Ok(key.into())
        }
        _ => Err("a row of another shard".into()),
    }
}
