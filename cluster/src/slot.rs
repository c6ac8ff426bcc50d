//! Slots: the fixed places that ids hash to; a shard holds a contiguous range of them.

use std::ops::Range;

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

/// The shard whose rows lie in a slot: the reverse of [`places`].
pub(crate) fn shard_at(slot: u16, shards: u16) -> ShardId {
    match slot.checked_sub(SLOTS) {
        None => shard_of_slot(Slot(slot), shards),
        Some(shard) if shard < shards => ShardId(shard),
        // That of the meta group, as `places` says.
        Some(_) => ShardId(slot),
    }
}

/// The slots that rows of a shard lie in: those that ids hash to, and one behind all of these for what belongs to the
/// shard as a whole. The meta group has one slot of its own.
pub(crate) fn places(shard: ShardId, shards: u16) -> Vec<Range<u16>> {
    let own = |slot: u16| slot..slot + 1;
    if shard.0 >= shards {
        return Vec::from([own(shard.0)]);
    }
    let first = |shard: u16| (u32::from(shard) * u32::from(SLOTS)).div_ceil(u32::from(shards)) as u16;
    vec![first(shard.0)..first(shard.0 + 1), own(SLOTS + shard.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::META;

    #[test]
    fn every_slot_has_one_shard() {
        for shards in [1, 2, 3, 4, 7, 64, 1000, 1024] {
            let mut next = 0;
            for shard in 0..shards {
                let places = places(ShardId(shard), shards);
                assert_eq!(places[0].start, next);
                next = places[0].end;
                assert!(places[0].clone().all(|slot| shard_of_slot(Slot(slot), shards) == ShardId(shard)), "{shards}");
                assert_eq!(places[1], SLOTS + shard..SLOTS + shard + 1);
            }
            assert_eq!(next, SLOTS);
            let all = (0..shards).map(ShardId).chain([META]);
            for (shard, slot) in
                all.flat_map(|shard| places(shard, shards).into_iter().flatten().map(move |s| (shard, s)))
            {
                assert_eq!(shard_at(slot, shards), shard, "{slot} of {shards}");
            }
        }
    }
}
