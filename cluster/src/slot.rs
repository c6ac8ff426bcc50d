//! Slots: the fixed places that ids hash to; a shard holds a contiguous range of them.

use xxhash_rust::xxh3::Xxh3Default;

/// How many slots there are, for ever: stored keys begin with one.
pub const SLOTS: u16 = 1024;

/// A place that ids hash to, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// One replicated log with its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// The slot of an id: xxh3-64, seed 0, of the kind byte, the app id (big endian) and the id.
pub fn slot_of(kind: u8, app: u32, id: &[u8]) -> Slot {
    let mut hash = Xxh3Default::new();
    hash.update(&[kind]);
    hash.update(&app.to_be_bytes());
    hash.update(id);
    Slot((hash.digest() % u64::from(SLOTS)) as u16)
}

/// The shard that holds a slot when `shards` of them share the slots in even, contiguous ranges.
pub fn shard_of_slot(slot: Slot, shards: u16) -> ShardId {
    ShardId((u32::from(slot.0) * u32::from(shards) / u32::from(SLOTS)) as u16)
}
