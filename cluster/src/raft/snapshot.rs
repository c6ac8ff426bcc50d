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
//! leaves rows that nobody reads, which the next one, or the next start, deletes. One that arrived whole is left to the
//! next installation, or the next start: that it was asked for is known here, and not what came of it.
//!
//! Whoever takes a part may be cut off wherever it waits, as its caller's deadline ends it. So what belongs to the first
//! part goes with it however often it comes.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use openraft::RaftSnapshotBuilder;
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;

use super::codec::{self, Kind};
use super::machine::Applied;
use super::types::{Snapshot, SnapshotMeta, Types};
use crate::disk::{Batch, Disk, DiskError, Family, GENERATION, Rows};
use crate::net::wire::SnapshotPart;
use crate::slot::ShardId;

/// Keys and values in one part.
const PART_BYTES: usize = 256 << 10;
/// Parts read ahead of the one that is being sent.
const PARTS_AHEAD: usize = 2;
/// Where a key has its slot.
const SLOT: Range<usize> = 0..2;

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
    generation: u32,
    /// All of it is there: the generation may be the shard's by now, or become it.
    is_whole: bool,
    /// The last generation before this one that is, or may become, the shard's. Those in between broke off.
    kept: u32,
}

/// What came of a part.
pub(crate) enum Taken {
    /// The next one may come.
    Part,
    /// That was all: to be installed.
    All(Applied, u32),
}

impl Incoming {
    /// A transfer after the last one, if there was one.
    fn new(transfer: u64, last: Option<&Self>, rows: &Rows) -> Self {
        let generation = last.map_or(rows.generation(), |incoming| incoming.generation) + 1;
        let kept = match last {
            None => rows.generation(),
            Some(last) if last.is_whole => last.generation,
            Some(last) => last.kept,
        };
        Self { transfer, next: 0, generation, is_whole: false, kept }
    }

    /// What goes with the first part: the word for the next start that rows are under way, and the end of those that
    /// broke off before. Whatever was still to be written of them is in the disk's queue already.
    fn begin(&self, batch: &mut Batch, (shard, places): (ShardId, &[Range<u16>])) -> Result<(), String> {
        let marker = codec::encode(&self.generation).map_err(|error| error.to_string())?;
        batch.put(Family::Meta, codec::meta_key(shard, Kind::Incoming), marker);
        if self.kept + 1 < self.generation {
            for slot in places.iter().cloned().flatten() {
                batch.delete_range(Family::State, range(slot, self.kept).1, range(slot, self.generation).0);
            }
        }
        Ok(())
    }

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
        if part.part == 0 && current.as_ref().is_none_or(|incoming| incoming.transfer != part.transfer) {
            *current = Some(Self::new(part.transfer, current.as_ref(), rows));
        }
        let Some(incoming) = current.as_mut().filter(|incoming| incoming.transfer == part.transfer) else {
            return Err("another transfer has begun".into());
        };
        if part.part > incoming.next {
            return Err(format!("part {} came where {} was expected", part.part, incoming.next));
        }
        if part.part == incoming.next {
            let mut batch = Batch::default();
            if part.part == 0 {
                incoming.begin(&mut batch, (shard, places))?;
            }
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
        // From here on the generation may be installed at any time, also if nobody waits for it any more.
        incoming.is_whole = true;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use super::super::types::Vote;
    use super::*;
    use crate::disk::{DiskObserver, FIRST_GENERATION, MemoryStore};

    const SHARD: ShardId = ShardId(0);
    const SLOT: u16 = 3;
    const PLACES: &[Range<u16>] = &[0..4, 4..8];

    /// A replica that is filled.
    struct Filled {
        store: MemoryStore,
        rows: Rows,
        current: Option<Incoming>,
    }

    fn filled() -> Filled {
        let store = MemoryStore::new();
        let disk = Disk::start(Arc::new(store.clone()), true, 0, DiskObserver::default()).expect("threads");
        Filled { store, rows: Rows::new(disk, |_| false, FIRST_GENERATION), current: None }
    }

    /// A part with one row, which has its name.
    fn part(transfer: u64, part: u64, is_last: bool) -> SnapshotPart {
        let key = [&range(SLOT, 77).0[..], &[transfer as u8, part as u8]].concat();
        let applied = is_last.then(|| ByteBuf::from(codec::encode(&Applied::default()).expect("encoded")));
        let rows = vec![(ByteBuf::from(key), ByteBuf::from("value"))];
        SnapshotPart { vote: Vote::new_committed(1, 1).into(), transfer, part, rows, applied }
    }

    impl Filled {
        async fn take(&mut self, part: SnapshotPart) -> Result<Taken, String> {
            Incoming::take(&mut self.current, part, (SHARD, PLACES), &self.rows).await
        }

        /// The generations that have rows.
        fn generations(&self) -> Vec<u32> {
            let generation = |key: &Bytes| u32::from_be_bytes(key[GENERATION].try_into().expect("four bytes"));
            let mut generations: Vec<u32> = self.store.rows().iter().map(|(key, _)| generation(key)).collect();
            generations.dedup();
            generations
        }
    }

    #[tokio::test]
    async fn a_first_part_that_is_cut_off_leaves_no_rows_without_a_marker() {
        let mut filled = filled();
        let disk = filled.rows.disk().clone();
        let mut places = Vec::new();
        while let Ok(place) = disk.try_reserve() {
            places.push(place);
        }
        assert!(filled.take(part(1, 0, false)).now_or_never().is_none(), "it waits for a place in the queue");
        drop(places);
        filled.take(part(1, 0, false)).await.expect("taken");
        assert_eq!(filled.generations(), [FIRST_GENERATION + 1]);
        let marker = codec::read_meta::<u32>(&disk, SHARD, Kind::Incoming).expect("read");
        assert_eq!(marker, Some(FIRST_GENERATION + 1), "the next start would not look for the rows");
    }

    #[tokio::test]
    async fn a_transfer_deletes_the_rows_of_those_that_broke_off() {
        let mut filled = filled();
        for transfer in 1..=3 {
            filled.take(part(transfer, 0, false)).await.expect("taken");
            filled.take(part(transfer, 1, false)).await.expect("taken");
            assert_eq!(filled.generations(), [FIRST_GENERATION + transfer as u32]);
        }
    }

    #[tokio::test]
    async fn rows_that_may_be_installed_outlive_the_transfers_behind_them() {
        let mut filled = filled();
        filled.take(part(1, 0, false)).await.expect("taken");
        // Nobody hears of what comes of it: whoever asked for the installation may be gone, and it happens all the same.
        assert!(matches!(filled.take(part(1, 1, true)).await, Ok(Taken::All(_, 2))));
        for transfer in 2..=4 {
            filled.take(part(transfer, 0, false)).await.expect("taken");
            assert_eq!(filled.generations(), [2, 1 + transfer as u32]);
        }
        assert!(matches!(filled.take(part(4, 1, true)).await, Ok(Taken::All(_, 5))));
        filled.take(part(5, 0, false)).await.expect("taken");
        assert_eq!(filled.generations(), [2, 5, 6]);
    }
}
