//! All groups of an app, over all shards.

use muster_cluster::{DiskError, Rows, SLOTS, ShardId, Slot, View, shard_of_slot};

use crate::group::Kind;
use crate::id::{AppId, Gno, GroupId};
use crate::shard::codes::kind_byte;
use crate::shard::view::{AllGroupsPage, AllGroupsQuery};
use crate::store::{Key, Keys, decode};

/// Bits of a place in the order of all groups: slot, kind, number. Together 53, which JSON numbers hold exactly.
const KIND_BITS: u32 = 3;
const GNO_BITS: u32 = 40;

/// A place in the order of all groups; there is none at 0, since kinds begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: Slot,
    kind: u8,
    gno: Gno,
}

impl Place {
    const FIRST: Place = Place { slot: Slot(0), kind: 0, gno: Gno(0) };

    /// # Panics
    /// If a shard has given more than 2^40 numbers.
    fn pack(self) -> u64 {
        assert!(self.gno.0 >> GNO_BITS == 0, "gno {} is too large to be packed", self.gno);
        u64::from(self.slot.0) << (KIND_BITS + GNO_BITS) | u64::from(self.kind) << GNO_BITS | self.gno.0
    }

    /// `None`: behind every slot.
    fn unpack(packed: u64) -> Option<Self> {
        let slot = u16::try_from(packed >> (KIND_BITS + GNO_BITS)).ok().filter(|slot| *slot < SLOTS)?;
        let kind = (packed >> GNO_BITS) as u8 & ((1 << KIND_BITS) - 1);
        Some(Place { slot: Slot(slot), kind, gno: Gno(packed & ((1 << GNO_BITS) - 1)) })
    }
}

/// A page of them; `shards` holds the rows of every shard, in order.
///
/// A page begins at the place of the first group that the page before it had no room for. Places never change and are
/// never given again, so a group that is there throughout is in one page and in no other.
pub fn all_groups(shards: &[Rows], app: AppId, query: &AllGroupsQuery) -> Result<AllGroupsPage, DiskError> {
    let views: Vec<View<'_>> = shards.iter().map(Rows::view).collect();
    let mut page = AllGroupsPage { total: 0, ids: Vec::new(), next: 0 };
    for (shard, view) in (0..).map(ShardId).zip(&views) {
        let keys = Keys::new(view.generation());
        for kind in kinds(query.kind) {
            page.total += view.read(&keys.census(shard, app, kind_byte(kind)), decode::<u64>)?.unwrap_or(0);
        }
    }
    let start = if query.next == 0 { Some(Place::FIRST) } else { Place::unpack(query.next) };
    let Some(start) = start else { return Ok(page) };
    for slot in (start.slot.0..SLOTS).map(Slot) {
        let view = &views[usize::from(shard_of_slot(slot, views.len() as u16).0)];
        let start = Some(start).filter(|start| start.slot == slot);
        slot_page(view, slot, app, start, query, &mut page)?;
        if page.next != 0 {
            break;
        }
    }
    Ok(page)
}

fn kinds(kind: Option<Kind>) -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(move |k| kind.is_none_or(|kind| kind == *k))
}

fn slot_page(
    view: &View<'_>,
    slot: Slot,
    app: AppId,
    start: Option<Place>,
    query: &AllGroupsQuery,
    page: &mut AllGroupsPage,
) -> Result<(), DiskError> {
    let keys = Keys::new(view.generation());
    let (first, end) = match query.kind {
        Some(kind) => (kind_byte(kind), kind_byte(kind) + 1),
        None => (0, u8::MAX),
    };
    let mut from = keys.index(slot, app, first, Gno(0));
    if let Some(start) = start {
        from = from.max(keys.index(slot, app, start.kind, start.gno));
    }
    let to = keys.index(slot, app, end, Gno(0));
    view.scan(&from, &to, |key, value| {
        let Some(Key::Index { kind, gno, .. }) = Key::parse(key) else { return true };
        if page.ids.len() == query.limit {
            page.next = Place { slot, kind, gno }.pack();
            return false;
        }
        let id = std::str::from_utf8(value).ok().and_then(|id| GroupId::parse(id).ok());
        page.ids.push(id.unwrap_or_else(|| panic!("the index of slot {} gno {gno} names no group id", slot.0)));
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_that_json_holds() {
        let last = Place { slot: Slot(SLOTS - 1), kind: 7, gno: Gno((1 << GNO_BITS) - 1) };
        assert_eq!(last.pack(), (1 << 53) - 1);
        for place in
            [last, Place { slot: Slot(0), kind: 1, gno: Gno(1) }, Place { slot: Slot(9), kind: 5, gno: Gno(0) }]
        {
            assert_eq!(Place::unpack(place.pack()), Some(place));
            assert_ne!(place.pack(), 0);
        }
        assert_eq!(Place::unpack(1 << 53), None);
        assert_eq!(Place::unpack(u64::MAX), None);
    }
}
