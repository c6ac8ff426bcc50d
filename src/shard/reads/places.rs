//! Which place in join order holds the member of an offset, and where members are at all, when some places have been
//! left.
//!
//! Counters say how many of a block of places were left, and are there only where somebody has left. A walk goes from
//! counter to counter; between two of them every place is taken, so nothing has to be counted there.

use std::ops::Range;

/// What a walk over counters found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The very place.
    Place(u64),
    /// A block of places; so many members of it come before.
    Within(Range<u64>, u64),
}

/// A walk over the places of a group or of a block, in order.
#[derive(Debug)]
pub(super) struct Walk {
    /// Places not yet passed.
    places: Range<u64>,
    /// Members still to be passed over.
    skip: u64,
}

impl Walk {
    pub fn new(places: Range<u64>, skip: u64) -> Self {
        Self { places, skip }
    }

    /// Passes the places before a block, which are all taken, and the block itself, in which so many were left.
    /// Blocks come in order; the last one may reach beyond the places.
    pub fn pass(&mut self, block: Range<u64>, left: u64) -> Option<Found> {
        let block = block.start..block.end.min(self.places.end);
        if let Some(place) = self.taken_before(block.start) {
            return Some(Found::Place(place));
        }
        let members = (block.end - block.start).saturating_sub(left);
        if self.skip < members {
            return Some(Found::Within(block, self.skip));
        }
        self.skip -= members;
        self.places.start = block.end;
        None
    }

    /// Passes what is behind the last block; `None`: there are fewer members.
    pub fn end(mut self) -> Option<Found> {
        self.taken_before(self.places.end).map(Found::Place)
    }

    fn taken_before(&mut self, end: u64) -> Option<u64> {
        let taken = end - self.places.start;
        if self.skip < taken {
            return Some(self.places.start + self.skip);
        }
        self.skip -= taken;
        self.places.start = end;
        None
    }
}

/// Finds what is left of places without the blocks that everybody has left.
#[derive(Debug)]
pub(super) struct Inhabited {
    /// Places not yet passed.
    places: Range<u64>,
    /// The first place that nobody was given yet.
    next: u64,
    found: Vec<Range<u64>>,
}

impl Inhabited {
    pub fn new(places: Range<u64>, next: u64) -> Self {
        Self { places, next, found: Vec::new() }
    }

    /// Passes a block in which so many were left. Blocks come in order; the first one may begin before the places.
    pub fn pass(&mut self, block: Range<u64>, left: u64) {
        if left < block.end.min(self.next).saturating_sub(block.start) {
            return;
        }
        self.find(block.start);
        self.places.start = self.places.start.max(block.end);
    }

    /// What was found, in order.
    pub fn end(mut self) -> Vec<Range<u64>> {
        self.find(self.places.end);
        self.found
    }

    fn find(&mut self, end: u64) {
        if self.places.start < end {
            self.found.push(self.places.start..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Small enough that every case has several blocks of both sizes.
    const BITS: [u8; 2] = [4, 2];

    fn counters(left: &BTreeSet<u64>, bits: u8) -> BTreeMap<u64, u64> {
        let mut counters = BTreeMap::new();
        left.iter().for_each(|place| *counters.entry(place >> bits).or_default() += 1);
        counters
    }

    /// As [`super::super::members`] does it over rows.
    fn search(left: &BTreeSet<u64>, next: u64, offset: u64) -> Option<(u64, u64)> {
        let (mut places, mut skip) = (0..next, offset);
        for bits in BITS {
            let mut walk = Walk::new(places.clone(), skip);
            let blocks = counters(left, bits);
            let mut among = blocks.range(places.start >> bits..places.end.div_ceil(1 << bits));
            let found = among.find_map(|(block, left)| walk.pass(block << bits..(block + 1) << bits, *left));
            match found.or_else(|| walk.end())? {
                Found::Place(place) => return Some((place, 0)),
                Found::Within(block, before) => (places, skip) = (block, before),
            }
        }
        Some((places.start, skip))
    }

    /// As [`super::super::members`] does it over rows.
    fn inhabited(left: &BTreeSet<u64>, next: u64, places: Range<u64>, bits: &[u8]) -> Vec<Range<u64>> {
        let Some((bits, smaller)) = bits.split_first() else { return vec![places] };
        let mut walk = Inhabited::new(places.clone(), next);
        for (block, left) in counters(left, *bits).range(places.start >> bits..places.end.div_ceil(1 << bits)) {
            walk.pass(block << bits..(block + 1) << bits, *left);
        }
        walk.end().into_iter().flat_map(|places| inhabited(left, next, places, smaller)).collect()
    }

    proptest! {
        #[test]
        fn nobody_is_missed_and_no_block_is_walked_that_all_have_left(
            next in 1_u64..100,
            // Mostly runs, as single places seldom make up a block.
            gone in prop::collection::vec((0_u64..100, 1_u64..40), 0..5),
            from in 0_u64..100,
        ) {
            let left: BTreeSet<u64> = gone.iter().flat_map(|(at, len)| *at..at + len).filter(|place| *place < next).collect();
            let from = from.min(next);
            let ranges = inhabited(&left, next, from..next, &BITS);
            let walked: Vec<u64> = ranges.iter().cloned().flatten().collect();
            prop_assert!(walked.is_sorted_by(|a, b| a < b), "{:?}", ranges);
            let seen: Vec<u64> = walked.iter().copied().filter(|place| !left.contains(place)).collect();
            prop_assert_eq!(seen, (from..next).filter(|place| !left.contains(place)).collect::<Vec<u64>>());
            for place in walked {
                let block = place >> BITS[1] << BITS[1];
                let all_left = (block..(block + (1 << BITS[1])).min(next)).all(|place| left.contains(&place));
                prop_assert!(!all_left, "place {} of {:?}, left {:?}", place, ranges, left);
            }
        }

        #[test]
        fn the_member_of_every_offset_is_found(next in 0_u64..100, gone in prop::collection::btree_set(0_u64..100, 0..100)) {
            let left: BTreeSet<u64> = gone.into_iter().filter(|place| *place < next).collect();
            let members: Vec<u64> = (0..next).filter(|place| !left.contains(place)).collect();
            for offset in 0..next + 2 {
                let found = search(&left, next, offset);
                let member = found.map(|(from, skip)| {
                    // What is passed over one by one stays within the smallest block.
                    assert!(skip < 1 << BITS[1]);
                    (from..next).filter(|place| !left.contains(place)).nth(skip as usize).expect("a member")
                });
                prop_assert_eq!(member, members.get(offset as usize).copied(), "offset {} of {:?}", offset, members);
            }
        }
    }
}
