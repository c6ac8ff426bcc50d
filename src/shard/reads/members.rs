//! Stored members of one group.

use std::ops::Range;

use muster_cluster::{DiskError, Rows, Slot, View};

use super::places::{Found, Inhabited, Walk};
use super::{Opened, open};
use crate::group::{Facts, Kind, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::shard::codes::{member_msg_flag, role_of};
use crate::shard::view::{LiveAdmins, MemberPage, MemberQuery, MemberView, NamedMembers, PageStart};
use crate::store::keys::{LEFT_BITS, join_seq_of_member};
use crate::store::{Key, Keys, MemberKey, MemberRow, decode};
use crate::time::Stamp;

/// Places that the smallest counter covers.
const SMALLEST_BLOCK: u64 = 1 << LEFT_BITS[1];

pub(super) fn member_view(row: MemberRow, kind: Kind) -> MemberView {
    MemberView {
        msg_flag: member_msg_flag(&row, kind),
        role: role_of(row.role),
        account: row.account.0,
        joined: Stamp(row.joined),
        msg_seq: row.msg_seq,
        last_send: Stamp(row.last_send),
        name_card: row.name_card,
        mute_until: row.mute_until,
        custom: row.custom,
    }
}

/// Join order is join time already; only members of one moment are put in order of their ids.
pub(super) fn by_join_time(members: &mut [MemberView]) {
    if !members.is_sorted_by(|a, b| (a.joined, &a.account) <= (b.joined, &b.account)) {
        members.sort_by(|a, b| (a.joined, &a.account).cmp(&(b.joined, &b.account)));
    }
}

/// The members of a group, by place in join order.
pub(super) struct Roster<'v, 'r> {
    pub view: &'v View<'r>,
    pub keys: Keys,
    pub slot: Slot,
    pub gno: Gno,
    pub facts: &'v Facts,
}

impl Roster<'_, '_> {
    /// Whether whole blocks of places may have been left.
    pub fn is_sparse(&self) -> bool {
        let left = self.facts.next_join_seq.saturating_sub(self.facts.member_count.into());
        left >= SMALLEST_BLOCK
    }

    /// Every member from a place on, until `each` says that it is enough; about so many are `wanted`.
    ///
    /// Who has left is a deleted row until the database has cleaned up, and a scan passes those one by one. It goes
    /// around the blocks that everybody has left: otherwise a group whose members come and go is read ever more slowly.
    pub fn each(&self, from: u64, wanted: u64, mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskError> {
        let next = self.facts.next_join_seq;
        let from = from.min(next);
        // Mostly they are right there, and no counter has to be read.
        let near = match self.is_sparse() {
            true => from.saturating_add(wanted).min(next).next_multiple_of(SMALLEST_BLOCK).min(next),
            false => next,
        };
        if !self.scan(from..near, &mut each)? || near == next {
            return Ok(());
        }
        // Block after block: the small counters of all that follows would be thousands, and mostly a few members are
        // missing.
        let large = self.inhabited(LEFT_BITS[0], near..next)?;
        for places in large.into_iter().flat_map(|places| cut(places, LEFT_BITS[0])) {
            for places in self.inhabited(LEFT_BITS[1], places)? {
                if !self.scan(places, &mut each)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Gives whether it is not yet enough.
    fn scan(&self, places: Range<u64>, mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<bool, DiskError> {
        let (from, to) = self.keys.members_among(self.slot, self.gno, &places);
        let mut goes_on = true;
        self.view.scan(&from, &to, |key, value| {
            goes_on = each(key, value);
            goes_on
        })?;
        Ok(goes_on)
    }

    fn inhabited(&self, bits: u8, places: Range<u64>) -> Result<Vec<Range<u64>>, DiskError> {
        let mut inhabited = Inhabited::new(places.clone(), self.facts.next_join_seq);
        self.each_left(bits, &places, |block, left| {
            inhabited.pass(block, left);
            true
        })?;
        Ok(inhabited.end())
    }

    /// Every counter of so many bits that covers some of the places.
    fn each_left(
        &self,
        bits: u8,
        places: &Range<u64>,
        mut each: impl FnMut(Range<u64>, u64) -> bool,
    ) -> Result<(), DiskError> {
        let (from, to) = self.keys.left_among(self.slot, self.gno, bits, places);
        self.view.scan(&from, &to, |key, value| match Key::parse(key) {
            Some(Key::Left { block, .. }) => each(block << bits..(block + 1) << bits, decode::<u32>(value).into()),
            _ => true,
        })
    }
}

/// Places, cut where blocks of so many bits begin.
fn cut(places: Range<u64>, bits: u8) -> impl Iterator<Item = Range<u64>> {
    let Range { mut start, end } = places;
    std::iter::from_fn(move || {
        let part = start..(((start >> bits) + 1) << bits).min(end);
        start = part.end;
        (!part.is_empty()).then_some(part)
    })
}

/// Member rows that a page walks over at most, those of its place included: what decides who reads it.
pub fn members_walked(facts: &Facts, query: &MemberQuery) -> u64 {
    let ranked = u64::from(facts.admin_count) + 1;
    if !wants(query, Role::Member) {
        return ranked;
    }
    let limit = query.limit as u64;
    let walked = match query.from {
        PageStart::Offset(_) if !facts.joins_in_order => u64::MAX,
        PageStart::Offset(_) if query.roles.is_empty() => limit.saturating_add(SMALLEST_BLOCK),
        PageStart::Offset(offset) => limit.saturating_add(offset).saturating_add(ranked),
        PageStart::JoinSeq(_) => limit.saturating_add(ranked),
    };
    walked.min(facts.member_count.into())
}

fn wants(query: &MemberQuery, role: Role) -> bool {
    query.roles.is_empty() || query.roles.contains(&role)
}

/// A page of members. Offsets count in the order of joining times; the cursor walks the order of joining.
///
/// The two orders are one, unless an import put somebody in who had joined elsewhere before others did here, or in the same
/// second.
pub fn members(rows: &Rows, app: AppId, id: &GroupId, query: &MemberQuery) -> Result<Option<MemberPage>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let facts = &group.facts;
    let mut page = MemberPage {
        version: group.version,
        kind: facts.kind,
        member_count: facts.member_count,
        members: Vec::new(),
        next: None,
    };
    if !facts.kind.stores_members() {
        return Ok(Some(page));
    }
    match (wants(query, Role::Member), &query.from) {
        // Owner and admins have an index of their own, so their page costs what they are.
        (false, _) => listed_by_role(&group, query, &mut page)?,
        (true, PageStart::Offset(offset)) if !facts.joins_in_order => {
            page.members = sorted(&group, query, *offset)?;
        }
        (true, _) => in_join_order(&group, query, &mut page)?,
    }
    Ok(Some(page))
}

fn in_join_order(group: &Opened<'_>, query: &MemberQuery, page: &mut MemberPage) -> Result<(), DiskError> {
    let (mut skip, start) = match query.from {
        PageStart::JoinSeq(join_seq) => (0, join_seq),
        PageStart::Offset(offset) if query.roles.is_empty() => {
            let Some((start, skip)) = place_of(group, offset)? else { return Ok(()) };
            (skip, start)
        }
        PageStart::Offset(offset) => (offset, 0),
    };
    group.roster().each(start, skip.saturating_add(query.limit as u64), |key, value| {
        let row = MemberRow::decode(value);
        if !wants(query, role_of(row.role)) {
            return true;
        }
        if skip > 0 {
            skip -= 1;
            return true;
        }
        if page.members.len() == query.limit {
            page.next = join_seq_of_member(key);
            return false;
        }
        page.members.push(member_view(row, group.facts.kind));
        true
    })
}

/// Everybody is read for it: no row says how many joined before a moment. The cap of members bounds it.
fn sorted(group: &Opened<'_>, query: &MemberQuery, offset: u64) -> Result<Vec<MemberView>, DiskError> {
    let mut all = Vec::new();
    group.roster().each(0, group.facts.member_count.into(), |_, value| {
        let row = MemberRow::decode(value);
        if wants(query, role_of(row.role)) {
            all.push(member_view(row, group.facts.kind));
        }
        true
    })?;
    by_join_time(&mut all);
    Ok(all.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(query.limit).collect())
}

/// Where the member of that offset is: a place in join order, and how many members to pass over from there.
fn place_of(group: &Opened<'_>, offset: u64) -> Result<Option<(u64, u64)>, DiskError> {
    let (count, next) = (u64::from(group.facts.member_count), group.facts.next_join_seq);
    if count == next {
        // Nobody has left: every place is taken, and members are counted by it.
        return Ok((offset < count).then_some((offset, 0)));
    }
    let (mut places, mut skip) = (0..next, offset);
    for bits in LEFT_BITS {
        match find(group, bits, places, skip)? {
            Some(Found::Place(place)) => return Ok(Some((place, 0))),
            Some(Found::Within(block, before)) => (places, skip) = (block, before),
            None => return Ok(None),
        }
    }
    Ok(Some((places.start, skip)))
}

fn find(group: &Opened<'_>, bits: u8, places: Range<u64>, skip: u64) -> Result<Option<Found>, DiskError> {
    let mut walk = Walk::new(places.clone(), skip);
    let mut found = None;
    group.roster().each_left(bits, &places, |block, left| {
        found = walk.pass(block, left);
        found.is_none()
    })?;
    Ok(found.or_else(|| walk.end()))
}

fn listed_by_role(group: &Opened<'_>, query: &MemberQuery, page: &mut MemberPage) -> Result<(), DiskError> {
    let mut places = Vec::new();
    let (from, to) = group.keys.roles(group.slot, group.gno);
    group.view.scan(&from, &to, |key, _| {
        if let Some(Key::Role { role, join_seq, .. }) = Key::parse(key)
            && query.roles.contains(&role_of(role))
        {
            places.push(join_seq);
        }
        true
    })?;
    places.sort_unstable();
    match query.from {
        PageStart::Offset(offset) => {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            if group.facts.joins_in_order {
                places.drain(..places.len().min(offset));
                places.truncate(query.limit);
                page.members = at_places(group, &places)?;
            } else {
                let mut all = at_places(group, &places)?;
                by_join_time(&mut all);
                page.members = all.into_iter().skip(offset).take(query.limit).collect();
            }
        }
        PageStart::JoinSeq(from) => {
            places.drain(..places.partition_point(|p| *p < from));
            page.next = places.get(query.limit).copied();
            places.truncate(query.limit);
            page.members = at_places(group, &places)?;
        }
    }
    Ok(())
}

fn at_places(group: &Opened<'_>, places: &[u64]) -> Result<Vec<MemberView>, DiskError> {
    let mut members = Vec::with_capacity(places.len());
    for join_seq in places {
        let key = group.keys.member(group.slot, group.gno, *join_seq);
        if let Some(row) = group.view.read(&key, MemberRow::decode)? {
            members.push(member_view(row, group.facts.kind));
        }
    }
    Ok(members)
}

/// Members by name, one per account in that order.
pub fn named_members(
    rows: &Rows,
    app: AppId,
    id: &GroupId,
    accounts: &[AccountId],
) -> Result<Option<NamedMembers>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let kind = group.facts.kind;
    let mut members = Vec::with_capacity(accounts.len());
    for account in accounts {
        let key = group.keys.member_key(group.slot, group.gno, account);
        let row = match group.view.read(&key, decode::<MemberKey>)? {
            Some(key) => {
                let key = group.keys.member(group.slot, group.gno, key.join_seq);
                group.view.read(&key, MemberRow::decode)?
            }
            None => None,
        };
        members.push(row.map(|row| member_view(row, kind)));
    }
    Ok(Some(NamedMembers { kind, members }))
}

/// The admins of a live room, whose index by role is in the order of their appointment.
pub fn live_admins(rows: &Rows, app: AppId, id: &GroupId) -> Result<Option<LiveAdmins>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let mut admins = Vec::new();
    let (from, to) = group.keys.roles(group.slot, group.gno);
    group.view.scan(&from, &to, |_, value| {
        let account = std::str::from_utf8(value).ok().and_then(|id| AccountId::parse(id).ok());
        admins.push(account.unwrap_or_else(|| panic!("the role index of group {id} names no account: {value:02x?}")));
        true
    })?;
    Ok(Some(LiveAdmins { kind: group.facts.kind, admins }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_cut_where_blocks_begin() {
        let parts = |places: Range<u64>| cut(places, 4).collect::<Vec<_>>();
        assert_eq!(parts(3..40), [3..16, 16..32, 32..40]);
        assert_eq!(parts(16..48), [16..32, 32..48]);
        assert_eq!(parts(5..5), Vec::<Range<u64>>::new());
    }
}
