//! All rows of a running node at one moment, for those who compare them: replicas with each other, rows with rows.
//!
//! Reads go to the database beside everything else and leave its cache alone. Nothing is held longer than a view is.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3Default;

use crate::disk::{Disk, DiskError, FIRST_GENERATION, Family, GENERATION, Snapshot};
use crate::handle::Cluster;
use crate::meta::META;
use crate::raft::{Applied, Kind, stored_meta};
use crate::slot::{ShardId, places, shard_at};

/// How often somebody who waits for an index looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Rows that are read before it is asked whether to go on.
const ROWS_PER_LOOK: u64 = 1024;

/// The rows of all shards of a node at one moment.
pub struct NodeView<'a> {
    disk: &'a Disk,
    snapshot: Box<dyn Snapshot + 'a>,
    shards: u16,
}

/// What the rows of a slot come to. Equal rows have equal hashes on every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHash {
    pub slot: u16,
    pub rows: u64,
    pub hash: u128,
}

/// Why nobody looked at the rows at an index.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Missed {
    #[error("there is no replica of the shard")]
    NoReplica,
    #[error("its rows are at {applied} already")]
    Passed { applied: u64 },
    #[error("its rows are only at {applied}")]
    NotReached { applied: u64 },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Cluster {
    /// All rows as they are now.
    pub fn view(&self) -> NodeView<'_> {
        let disk = self.disk();
        NodeView { disk, snapshot: disk.storage().snapshot(), shards: self.shards() }
    }

    /// Looks at the rows of a shard (`None`: of the meta group) when its log has been applied up to exactly `index`, and
    /// waits for that at most so long. Blocks the thread. Apply stops for the moment in which the view is taken.
    ///
    /// # Errors
    /// [`Missed`].
    pub fn look_at<T>(
        &self,
        shard: Option<ShardId>,
        index: u64,
        within: Duration,
        look: impl FnOnce(NodeView<'_>) -> T,
    ) -> Result<T, Missed> {
        let shard = shard.unwrap_or(META);
        let replica = self.inner.replica(shard).ok_or(Missed::NoReplica)?;
        let reached = replica.mark().set(index);
        let view = self.until_at(shard, index, within, &reached);
        replica.mark().lift(index);
        Ok(look(view?))
    }

    fn until_at(
        &self,
        shard: ShardId,
        index: u64,
        within: Duration,
        reached: &std::sync::mpsc::Receiver<crate::raft::Looking>,
    ) -> Result<NodeView<'_>, Missed> {
        let until = Instant::now() + within;
        let mut wait = Duration::ZERO;
        loop {
            // Held while the view is taken. Rows that have been at the index for a while tell nobody.
            let _looking = match reached.recv_timeout(wait) {
                Ok(looking) => Some(looking),
                Err(RecvTimeoutError::Timeout) => None,
                // Somebody else has marked another place.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(wait);
                    None
                }
            };
            let view = self.view();
            let applied = view.applied(shard)?;
            match applied.cmp(&index) {
                Ordering::Equal => return Ok(view),
                Ordering::Greater => return Err(Missed::Passed { applied }),
                Ordering::Less if Instant::now() >= until => return Err(Missed::NotReached { applied }),
                Ordering::Less => wait = LOOK_EVERY,
            }
        }
    }
}

impl NodeView<'_> {
    /// Up to where the log of a shard is in these rows.
    fn applied(&self, shard: ShardId) -> Result<u64, DiskError> {
        let applied: Option<Applied> = self.meta(shard, Kind::Applied)?;
        Ok(applied.and_then(|(last, _)| last).map_or(0, |id| id.index()))
    }

    fn meta<T: serde::de::DeserializeOwned>(&self, shard: ShardId, kind: Kind) -> Result<Option<T>, DiskError> {
        self.disk.checked(stored_meta(shard, kind, |key, found| self.snapshot.get(Family::Meta, key, found)))
    }

    /// How many shards there are beside the meta group.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// Calls `each` with the rows of a range of slots in key order until it breaks off. Rows of generations that are
    /// not, or not yet, their shard's are left out.
    ///
    /// To be called for many slots at a time: rows in memory are put in order anew for every call.
    ///
    /// # Errors
    /// The disk has failed.
    pub fn scan(
        &self,
        slots: Range<u16>,
        each: impl FnMut(u16, &[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), DiskError> {
        self.disk.checked(scan_current(&*self.snapshot, self.shards, slots, each))
    }

    /// The same for the rows of a slot whose keys go on with one byte: cheap, however few they are.
    ///
    /// # Errors
    /// As [`NodeView::scan`].
    pub fn scan_kind(&self, slot: u16, kind: u8, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), DiskError> {
        let generation = self.disk.checked(generation(&*self.snapshot, self.shards, slot))?.to_be_bytes();
        let prefix = |kind: u8| [&slot.to_be_bytes()[..], &generation, &[kind]].concat();
        let (from, to) = (prefix(kind), prefix(kind + 1));
        let mut row = |key: &[u8], value: &[u8]| {
            each(key, value);
            true
        };
        self.disk.checked(self.snapshot.skim(&from, &to, &mut row))
    }

    /// Hashes the rows of a shard (`None`: of the meta group) slot by slot: all of them but for the generation in their
    /// keys. Slots without rows are left out. `None`: `go_on` said no, which hears now and then how many rows have been
    /// read since it was last asked.
    ///
    /// # Errors
    /// As [`NodeView::scan`].
    pub fn hash(
        &self,
        shard: Option<ShardId>,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Option<Vec<SlotHash>>, DiskError> {
        let mut slots: Vec<(SlotHash, Xxh3Default)> = Vec::new();
        let (mut unsaid, mut is_wanted) = (0, true);
        for range in places(shard.unwrap_or(META), self.shards) {
            self.scan(range, |slot, key, value| {
                if slots.last().is_none_or(|(of, _)| of.slot != slot) {
                    slots.push((SlotHash { slot, rows: 0, hash: 0 }, Xxh3Default::new()));
                }
                if let Some((of, hash)) = slots.last_mut() {
                    of.rows += 1;
                    add(hash, key, value);
                }
                unsaid += 1;
                if unsaid == ROWS_PER_LOOK {
                    is_wanted = go_on(std::mem::take(&mut unsaid));
                }
                if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        let is_wanted = is_wanted && go_on(unsaid);
        let hashes = slots.into_iter().map(|(of, hash)| SlotHash { hash: hash.digest128(), ..of });
        Ok(is_wanted.then(|| hashes.collect()))
    }
}

/// As [`NodeView::scan`], of whatever snapshot.
pub(crate) fn scan_current(
    snapshot: &dyn Snapshot,
    shards: u16,
    slots: Range<u16>,
    mut each: impl FnMut(u16, &[u8], &[u8]) -> ControlFlow<()>,
) -> Result<(), DiskError> {
    let (mut current, mut failed) = (None, None);
    let mut row = |key: &[u8], value: &[u8]| {
        let Some((slot, found)) = place(key) else { return true };
        let known = current.filter(|(of, _)| *of == slot).map(|(_, generation)| generation);
        let wanted = match known.map_or_else(|| generation(snapshot, shards, slot), Ok) {
            Ok(wanted) => wanted,
            Err(error) => {
                failed = Some(error);
                return false;
            }
        };
        current = Some((slot, wanted));
        found != wanted || each(slot, key, value).is_continue()
    };
    let (from, to) = (slots.start.to_be_bytes(), slots.end.to_be_bytes());
    snapshot.skim(&from, &to, &mut row)?;
    failed.map_or(Ok(()), Err)
}

/// The generation that rows of a slot are current under.
fn generation(snapshot: &dyn Snapshot, shards: u16, slot: u16) -> Result<u32, DiskError> {
    let found =
        stored_meta(shard_at(slot, shards), Kind::Generation, |key, found| snapshot.get(Family::Meta, key, found))?;
    Ok(found.unwrap_or(FIRST_GENERATION))
}

/// The slot and the generation that a key begins with.
fn place(key: &[u8]) -> Option<(u16, u32)> {
    let (slot, rest) = key.split_first_chunk()?;
    let (generation, _) = rest.split_first_chunk()?;
    Some((u16::from_be_bytes(*slot), u32::from_be_bytes(*generation)))
}

/// Adds a row to a hash. Lengths too, or a byte could move from a key to its value.
fn add(hash: &mut Xxh3Default, key: &[u8], value: &[u8]) {
    for part in [&key[..GENERATION.start], &key[GENERATION.end..], value] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
}

impl fmt::Debug for NodeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeView").field("shards", &self.shards).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &[u8], value: &[u8]) -> u128 {
        let mut hash = Xxh3Default::new();
        add(&mut hash, key, value);
        hash.digest128()
    }

    #[test]
    fn everything_but_the_generation_is_hashed() {
        let row = hash(b"\0\x01\0\0\0\x01key", b"value");
        assert_eq!(row, hash(b"\0\x01\0\0\0\x07key", b"value"), "another generation");
        for (key, value) in [
            (&b"\0\x02\0\0\0\x01key"[..], &b"value"[..]),
            (b"\0\x01\0\0\0\x01kez", b"value"),
            (b"\0\x01\0\0\0\x01key", b"valuf"),
            (b"\0\x01\0\0\0\x01keyv", b"alue"),
            (b"\0\x01\0\0\0\x01", b"keyvalue"),
        ] {
            assert_ne!(row, hash(key, value), "{key:?} {value:?}");
        }
    }
}
