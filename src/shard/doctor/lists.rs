//! Joined lists against rosters: what lies in slots of accounts with what lies in slots of groups.
//!
//! All of both do not fit into memory. So the first time both sides are only summed up, in many parts by the hash of who
//! has joined what; and where sums differ, the rows of those parts are compared one with another the second time.

use std::collections::{BTreeMap, HashMap, HashSet};

use muster_cluster::{ShardId, Slot, shard_of_slot};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Differences, GroupNo};
use crate::id::{AccountId, AppId, Gno};
use crate::shard::entry::Effect;
use crate::store::{AccountText, JoinedRow, encode};

/// Parts that are summed up: of 30 million rows some 500 in each. 4 MB.
const BUCKETS: usize = 1 << 16;
/// Rows of buckets with different sums that are compared one with another, give or take a bucket: some 200 MB.
const SUSPECT_ROWS_MAX: u64 = 1_000_000;
/// Groups that lists say too much of, whose rows are compared one with another.
const SUSPECT_GROUPS_MAX: usize = 1_000;
/// Groups whose flags lie in one block.
const BLOCK_GROUPS: u64 = u64::BITS as u64;
/// That a group became active, or got topics, no joined row is told: it may lag behind, and not be ahead.
const LAGGING: [u8; 2] = [JoinedRow::ACTIVE, JoinedRow::TOPICS];

/// Who has joined what.
pub(super) type JoinedKey = (AppId, AccountId, Slot, Gno);

/// Takes what is on its way and what is ending; then joined rows and members, in any order.
pub(super) struct Lists {
    shard_count: u16,
    look: Look,
    changes: HashMap<JoinedKey, Change>,
    on_their_way: usize,
    /// Groups whose members are being told: nobody knows any more what else their joined rows should say.
    ending: HashSet<GroupNo>,
}

enum Look {
    Sums(Sums),
    Rows { suspects: Suspects, rows: Sides<BTreeMap<JoinedKey, Option<JoinedRow>>> },
}

/// What is compared: of each the same for joined lists and for rosters.
#[derive(Clone, Copy, Default)]
struct Sides<T> {
    joined: T,
    members: T,
}

#[derive(Clone, Copy)]
enum Side {
    Joined,
    Members,
}

impl<T> Sides<T> {
    fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Joined => &mut self.joined,
            Side::Members => &mut self.members,
        }
    }
}

/// What messages on their way will make of a joined row.
enum Change {
    Becomes(Option<JoinedRow>),
    /// Nothing, if there is none.
    BecomesIfListed(JoinedRow),
}

impl Lists {
    /// To be summed up.
    pub fn summed(shard_count: u16) -> Self {
        Self::new(Look::Sums(Sums::default()), shard_count)
    }

    /// To be compared row by row, as far as they are suspect.
    pub fn of(suspects: Suspects, shard_count: u16) -> Self {
        Self::new(Look::Rows { suspects, rows: Sides::default() }, shard_count)
    }

    fn new(look: Look, shard_count: u16) -> Self {
        Self { shard_count, look, changes: HashMap::new(), on_their_way: 0, ending: HashSet::new() }
    }

    /// A group is being disbanded.
    pub fn ends(&mut self, group: GroupNo) {
        self.ending.insert(group);
    }

    /// A message that its target has not applied yet; those of one shard to another in their order.
    pub fn will_happen(&mut self, effects: Vec<Effect>) {
        self.on_their_way += effects.len();
        let key = |app: u32, account: AccountText, slot: u16, gno: u64| (AppId(app), account.0, Slot(slot), Gno(gno));
        for effect in effects {
            match effect {
                Effect::Joined { app, account, slot, gno, row, .. } => {
                    self.changes.insert(key(app, account, slot, gno), Change::Becomes(Some(row)));
                }
                Effect::Left { app, account, slot, gno, .. } => {
                    self.changes.insert(key(app, account, slot, gno), Change::Becomes(None));
                }
                Effect::Ended { app, accounts, slot, gno, .. } => {
                    let keys = accounts.into_iter().map(|account| key(app, account, slot, gno));
                    self.changes.extend(keys.map(|key| (key, Change::Becomes(None))));
                }
                Effect::JoinedChanged { app, account, slot, gno, row } => {
                    let change = self.changes.entry(key(app, account, slot, gno));
                    match change.or_insert_with(|| Change::BecomesIfListed(row.clone())) {
                        Change::Becomes(None) => {}
                        Change::Becomes(Some(joined)) | Change::BecomesIfListed(joined) => *joined = row,
                    }
                }
                Effect::Quota { .. } | Effect::Told { .. } => {}
            }
        }
    }

    /// Messages on their way.
    pub fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// A row of a joined list.
    pub fn joined(&mut self, key: JoinedKey, row: JoinedRow) {
        match self.changes.remove(&key) {
            None => self.take(Side::Joined, key, Some(row)),
            Some(Change::Becomes(Some(row)) | Change::BecomesIfListed(row)) => self.take(Side::Joined, key, Some(row)),
            Some(Change::Becomes(None)) => {}
        }
    }

    /// A member, and what its joined list should say of the group; of one that is being disbanded nobody knows what.
    pub fn member(&mut self, key: JoinedKey, row: Option<JoinedRow>) {
        self.take(Side::Members, key, row);
    }

    /// Rows that will be there when all messages have arrived, behind the last of those that are.
    fn settle(&mut self) {
        for (key, change) in std::mem::take(&mut self.changes) {
            if let Change::Becomes(Some(row)) = change {
                self.take(Side::Joined, key, Some(row));
            }
        }
    }

    fn take(&mut self, side: Side, key: JoinedKey, row: Option<JoinedRow>) {
        let row = row.filter(|_| !self.ending.contains(&(key.2, key.3)));
        match &mut self.look {
            Look::Sums(sums) => sums.add(side, &key, row.as_ref(), self.shard_count),
            Look::Rows { suspects, rows } => {
                if suspects.have(&key, self.shard_count) {
                    rows.of(side).insert(key, row);
                }
            }
        }
    }

    /// Whom sums differ for; `None`: for nobody.
    pub fn suspects(mut self) -> Option<Suspects> {
        self.settle();
        match &self.look {
            Look::Sums(sums) => sums.suspects(SUSPECT_ROWS_MAX),
            Look::Rows { .. } => None,
        }
    }

    /// What suspects differ in. Sums that differ for no reason are a difference, too.
    pub fn compare(mut self, found: &mut Differences) {
        self.settle();
        let Look::Rows { suspects, rows: Sides { joined, members } } = self.look else { return };
        for (key, row) in &joined {
            let (app, account, slot, gno) = key;
            let place = format!("slot {} gno {gno}", slot.0);
            match (row, members.get(key)) {
                (_, None) => found.push(format!("{account} of app {app} has joined {place}, where it is no member")),
                (Some(row), Some(Some(member))) if !is_listed(row, member) => {
                    found.push(format!("{account} of app {app} lists {place} as {row:?}, not {member:?}"));
                }
                _ => {}
            }
        }
        for (app, account, slot, gno) in members.keys().filter(|key| !joined.contains_key(key)) {
            let place = format!("slot {} gno {gno}", slot.0);
            found.push(format!("{account} of app {app} is a member of {place} and has not joined it"));
        }
        if found.count == 0 {
            found.push("joined lists and rosters have different sums, and no row of them differs".to_owned());
        }
        if suspects.left_out > 0 {
            found.push(format!("joined lists and rosters differ in {} more parts at least", suspects.left_out));
        }
    }
}

/// What the row says that must be what the member's row says.
fn fixed(row: &JoinedRow) -> JoinedRow {
    let may_lag = LAGGING.iter().fold(0, |flags, flag| flags | flag);
    JoinedRow { flags: row.flags & !may_lag, ..row.clone() }
}

/// Whether a joined row says what it should.
fn is_listed(row: &JoinedRow, member: &JoinedRow) -> bool {
    fixed(row) == fixed(member) && LAGGING.iter().all(|flag| row.flags & flag <= member.flags & flag)
}

/// Both sides of every part, and what no sum tells.
struct Sums {
    buckets: Vec<Sides<Sum>>,
    claims: Claims,
}

/// Of hashes, whatever their order.
#[derive(Clone, Copy, Default, PartialEq)]
struct Sum {
    rows: u64,
    hash: u128,
}

impl Default for Sums {
    fn default() -> Self {
        Self { buckets: vec![Sides::default(); BUCKETS], claims: Claims::default() }
    }
}

impl Sums {
    fn add(&mut self, side: Side, key: &JoinedKey, row: Option<&JoinedRow>, shard_count: u16) {
        let mut bytes = bytes_of(key);
        let sum = self.buckets[bucket_of(&bytes)].of(side);
        bytes.extend(encode(&row.map(fixed)));
        sum.rows += 1;
        sum.hash = sum.hash.wrapping_add(xxh3_128(&bytes));
        if let Some(row) = row {
            self.claims.add(side, key, row.flags, shard_count);
        }
    }

    fn suspects(&self, rows_max: u64) -> Option<Suspects> {
        let mut suspects = Suspects::default();
        let mut room = rows_max;
        let differing = self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.joined != bucket.members);
        for (n, bucket) in differing {
            if room == 0 {
                suspects.left_out += 1;
                continue;
            }
            room = room.saturating_sub(bucket.joined.rows + bucket.members.rows);
            suspects.buckets.insert(n);
        }
        for group in self.claims.untrue() {
            if suspects.groups.len() == SUSPECT_GROUPS_MAX {
                suspects.left_out += 1;
                continue;
            }
            suspects.groups.insert(group);
        }
        let there_are = !suspects.buckets.is_empty() || !suspects.groups.is_empty();
        there_are.then_some(suspects)
    }
}

fn bytes_of((app, account, slot, gno): &JoinedKey) -> Vec<u8> {
    encode(&(app.0, account.as_str(), slot.0, gno.0))
}

fn bucket_of(bytes: &[u8]) -> usize {
    xxh3_64(bytes) as usize % BUCKETS
}

/// What joined rows say of groups that they may know late, and what is true. Group numbers are dense in each shard.
#[derive(Default)]
struct Claims(HashMap<(ShardId, u64), Sides<Flags>>);

/// For each lagging flag one bit per group.
type Flags = [u64; LAGGING.len()];

impl Claims {
    fn add(&mut self, side: Side, (_, _, slot, gno): &JoinedKey, flags: u8, shard_count: u16) {
        if !LAGGING.iter().any(|flag| flags & flag != 0) {
            return;
        }
        let block = self.0.entry((shard_of_slot(*slot, shard_count), gno.0 / BLOCK_GROUPS)).or_default();
        for (bits, flag) in block.of(side).iter_mut().zip(LAGGING) {
            *bits |= u64::from(flags & flag != 0) << (gno.0 % BLOCK_GROUPS);
        }
    }

    /// Groups that some joined row says too much of.
    fn untrue(&self) -> impl Iterator<Item = (ShardId, Gno)> {
        self.0.iter().flat_map(|((shard, n), block)| {
            let untrue = block.joined.iter().zip(block.members).fold(0, |all, (claimed, is)| all | claimed & !is);
            let groups = (0..BLOCK_GROUPS).filter(move |bit| untrue >> bit & 1 == 1);
            groups.map(move |bit| (*shard, Gno(n * BLOCK_GROUPS + bit)))
        })
    }
}

/// Whose joined lists are to be compared with rosters row by row.
#[derive(Default)]
pub(super) struct Suspects {
    buckets: HashSet<usize>,
    groups: HashSet<(ShardId, Gno)>,
    /// Buckets and groups that differ, and for which there is no room.
    left_out: usize,
}

impl Suspects {
    fn have(&self, key: &JoinedKey, shard_count: u16) -> bool {
        let (_, _, slot, gno) = key;
        self.groups.contains(&(shard_of_slot(*slot, shard_count), *gno))
            || self.buckets.contains(&bucket_of(&bytes_of(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::account;
    use crate::id::GroupId;

    const SHARDS: u16 = 2;
    const GROUPS: u64 = 1_000;

    fn key(gno: u64) -> JoinedKey {
        (AppId(1), account("ann"), Slot(7), Gno(gno))
    }

    fn row() -> JoinedRow {
        let group = GroupId::parse("@TGS#1").expect("an id");
        JoinedRow { group: group.into(), kind: 2, joined: 5, join_seq: 3, flags: JoinedRow::flags(true, true, true) }
    }

    /// What is found when these are joined rows, and every group has its member.
    fn found(look: impl Fn() -> Lists, joined: &[(JoinedKey, JoinedRow)]) -> Lists {
        let mut lists = look();
        joined.iter().for_each(|(key, row)| lists.joined(key.clone(), row.clone()));
        (0..GROUPS).rev().for_each(|gno| lists.member(key(gno), Some(row())));
        lists
    }

    #[test]
    fn sums_tell_all_that_a_row_must_say() {
        let all: Vec<_> = (0..GROUPS).map(|gno| (key(gno), row())).collect();
        assert!(found(|| Lists::summed(SHARDS), &all).suspects().is_none(), "whatever the order");
        let mut lagging = all.clone();
        lagging[9].1.flags = JoinedRow::flags(true, false, false);
        assert!(found(|| Lists::summed(SHARDS), &lagging).suspects().is_none(), "a row may lag behind");
        for change in [
            |row: &mut JoinedRow| row.group = GroupId::parse("@TGS#2").expect("an id").into(),
            |row: &mut JoinedRow| row.kind += 1,
            |row: &mut JoinedRow| row.joined += 1,
            |row: &mut JoinedRow| row.join_seq += 1,
            |row: &mut JoinedRow| row.flags = JoinedRow::flags(false, true, true),
        ] {
            let mut changed = all.clone();
            change(&mut changed[9].1);
            assert!(found(|| Lists::summed(SHARDS), &changed).suspects().is_some_and(|of| of.have(&key(9), SHARDS)));
        }
        // Rows of the wrong groups are no less wrong for being as many.
        let mut swapped = all.clone();
        (swapped[1].1.join_seq, swapped[2].1.join_seq) = (2, 4);
        let suspects = found(|| Lists::summed(SHARDS), &swapped).suspects().expect("two of them");
        assert!(suspects.have(&key(1), SHARDS) && suspects.have(&key(2), SHARDS));
        let mut differences = Differences::default();
        found(|| Lists::of(sums_of(&swapped).suspects(1_000_000).expect("two"), SHARDS), &swapped)
            .compare(&mut differences);
        assert_eq!(differences.count, 2, "{:?}", differences.kept);
    }

    fn sums_of(joined: &[(JoinedKey, JoinedRow)]) -> Sums {
        match found(|| Lists::summed(SHARDS), joined).look {
            Look::Sums(sums) => sums,
            Look::Rows { .. } => unreachable!("sums were asked for"),
        }
    }

    #[test]
    fn a_flag_that_is_ahead_is_found_where_others_lag() {
        let (on, off) = (row(), JoinedRow { flags: JoinedRow::flags(true, false, true), ..row() });
        let mut lists = Lists::summed(SHARDS);
        // As many rows say so as groups are active.
        for (gno, claims, is) in [(64, &off, &on), (65, &on, &off), (66, &on, &on)] {
            lists.joined(key(gno), claims.clone());
            lists.member(key(gno), Some(is.clone()));
        }
        let suspects = lists.suspects().expect("one is ahead");
        let is_suspect = |gno: u64| suspects.groups.contains(&(ShardId(0), Gno(gno)));
        assert_eq!((is_suspect(64), is_suspect(65), is_suspect(66)), (false, true, false));
    }

    #[test]
    fn there_is_room_for_so_many_suspects() {
        let sums = sums_of(&[]);
        let differing = sums.buckets.iter().filter(|bucket| bucket.members.rows > 0).count();
        let suspects = sums.suspects(10).expect("nobody has joined");
        assert!(suspects.buckets.len() <= 10 && suspects.buckets.len() + suspects.left_out == differing);
        let mut differences = Differences::default();
        found(|| Lists::of(sums.suspects(10).expect("as before"), SHARDS), &[]).compare(&mut differences);
        assert!((10..GROUPS as usize).contains(&differences.count), "{}", differences.count);
        assert!(differences.kept.iter().any(|difference| difference.contains("more parts at least")));
    }

    #[test]
    fn sums_that_differ_for_no_reason_are_named() {
        let all: Vec<_> = (0..GROUPS).map(|gno| (key(gno), row())).collect();
        let mut differences = Differences::default();
        found(|| Lists::of(Suspects::default(), SHARDS), &all).compare(&mut differences);
        assert_eq!(differences.count, 1, "{:?}", differences.kept);
    }
}
