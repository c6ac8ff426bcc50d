//! Re-derives from the rows of a whole node what other rows say, and reports every difference.
//!
//! Counts against members, indexes and the census against headers, mutes of members against those of accounts, joined
//! lists against rosters (with messages still on their way folded in), sequences against the rows that they number.
//! It changes nothing and needs no running node; `running.rs` has it look through one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use muster_cluster::{SLOTS, ShardId, Slot, shard_of_slot};

use self::lists::{Lists, Suspects};
use self::one_group::OneGroup;
use super::codes::{Head, kind_byte};
use super::entry::Effect;
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys;
use crate::store::{
    AccountHeader, BanRow, GroupHeader, IdentityRow, JobRow, Key, MemberRow, OutboxHead, ShardRow, decode,
};

mod accounts;
mod lists;
mod one_group;
mod queues;
mod running;

pub use running::{Examined, examine};

/// Differences that are listed; the rest are counted.
pub const DIFFERENCES_LISTED_MAX: usize = 1000;
/// Differences that are kept until it is known which of them stay: some 10 MB.
const DIFFERENCES_KEPT_MAX: usize = 100_000;

type GroupNo = (Slot, Gno);

/// What the doctor found.
#[derive(Debug)]
pub struct Findings {
    pub rows: u64,
    pub groups: usize,
    pub members: usize,
    /// Messages between shards that are still on their way: no difference.
    pub on_their_way: usize,
    /// The first [`DIFFERENCES_LISTED_MAX`].
    pub differences: Vec<String>,
    pub difference_count: usize,
}

/// Looks through the rows of a node. `scan` reads those of a range of slots in key order, with their slots, and must
/// read the same ones each time: a second time when joined lists differ from rosters, to say which.
///
/// What it needs in memory does not grow with the rows there are: those of one slot, a thousandth of all or some 300
/// bytes for each member of a huge group; messages on their way; sums of a few megabytes, see `lists.rs`.
///
/// # Errors
/// Those of `scan`.
pub fn look_through<E>(
    shard_count: u16,
    scan: impl FnMut(Range<u16>, &mut dyn FnMut(u16, &[u8], &[u8])) -> Result<(), E>,
) -> Result<Findings, E> {
    let mut findings = look_through_unlisted(shard_count, scan)?;
    findings.differences.truncate(DIFFERENCES_LISTED_MAX);
    Ok(findings)
}

/// The same with up to [`DIFFERENCES_KEPT_MAX`] differences.
fn look_through_unlisted<E>(
    shard_count: u16,
    mut scan: impl FnMut(Range<u16>, &mut dyn FnMut(u16, &[u8], &[u8])) -> Result<(), E>,
) -> Result<Findings, E> {
    let mut doctor = Doctor::new(shard_count, Lists::summed(shard_count));
    doctor.read(&mut scan)?;
    let (mut findings, suspects) = doctor.finish();
    if let Some(suspects) = suspects {
        let mut again = Doctor::new(shard_count, Lists::of(suspects, shard_count));
        again.read(&mut scan)?;
        let found = again.finish_lists();
        findings.difference_count += found.count;
        findings.differences.extend(found.kept);
    }
    findings.differences.sort();
    Ok(findings)
}

/// Differences in the order in which they are met.
#[derive(Default)]
struct Differences {
    kept: Vec<String>,
    count: usize,
}

impl Differences {
    fn push(&mut self, what: String) {
        self.count += 1;
        if self.kept.len() < DIFFERENCES_KEPT_MAX {
            self.kept.push(what);
        }
    }
}

/// Takes rows of shards as a whole, then those of slots, and compares the rows of each slot behind its last one. What
/// remains are joined lists and rosters, which lie in different slots.
struct Doctor {
    shard_count: u16,
    groups: BTreeMap<GroupNo, OneGroup>,
    lists: Lists,
    joined_counts: HashMap<(AppId, AccountId), u64>,
    census: BTreeMap<(ShardId, AppId, u8), u64>,
    accounts: HashMap<(AppId, AccountId), AccountHeader>,
    feeds: HashMap<(AppId, AccountId), BTreeSet<u64>>,
    shards: HashMap<ShardId, ShardRow>,
    heads: HashMap<(ShardId, ShardId), OutboxHead>,
    outbox: BTreeMap<(ShardId, ShardId, u64), Vec<Effect>>,
    cursors: HashMap<(ShardId, ShardId), u64>,
    /// Headers by kind.
    headers: BTreeMap<(ShardId, AppId, u8), u64>,
    group_count: usize,
    member_count: usize,
    differences: Differences,
    rows: u64,
}

impl Doctor {
    fn new(shard_count: u16, lists: Lists) -> Self {
        Self {
            shard_count,
            lists,
            groups: BTreeMap::new(),
            joined_counts: HashMap::new(),
            census: BTreeMap::new(),
            accounts: HashMap::new(),
            feeds: HashMap::new(),
            shards: HashMap::new(),
            heads: HashMap::new(),
            outbox: BTreeMap::new(),
            cursors: HashMap::new(),
            headers: BTreeMap::new(),
            group_count: 0,
            member_count: 0,
            differences: Differences::default(),
            rows: 0,
        }
    }

    fn read<E>(
        &mut self,
        scan: &mut impl FnMut(Range<u16>, &mut dyn FnMut(u16, &[u8], &[u8])) -> Result<(), E>,
    ) -> Result<(), E> {
        scan(SLOTS..SLOTS + self.shard_count, &mut |_, key, value| self.row(key, value))?;
        self.queues();
        let mut current = None;
        scan(0..SLOTS, &mut |slot, key, value| {
            if let Some(done) = current.replace(slot).filter(|done| *done != slot) {
                self.close(Slot(done));
            }
            self.row(key, value);
        })?;
        self.close(Slot(u16::MAX));
        Ok(())
    }

    fn differs(&mut self, what: String) {
        self.differences.push(what);
    }

    /// Takes one row.
    fn row(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        let Some(parsed) = Key::parse(key) else {
            self.differs(format!("a key that no row has: {key:02x?}"));
            return;
        };
        match parsed {
            Key::Header { slot, app, group } => {
                let row: GroupHeader = decode(value);
                if keys::slot_of_group(app, &group) != slot {
                    self.differs(format!("group {group} of app {app} lies in slot {}", slot.0));
                }
                let one = self.groups.entry((slot, Gno(row.gno))).or_default();
                one.header = Some((app, group, Head::from(row)));
            }
            Key::Profile { slot, gno } => self.groups.entry((slot, gno)).or_default().has_profile = true,
            Key::Member { slot, gno, join_seq } => {
                // Nothing else says what these should be, and of millions of members they are the most of a row.
                let row = MemberRow { name_card: String::new(), custom: Vec::new(), ..decode(value) };
                self.groups.entry((slot, gno)).or_default().members.insert(join_seq, row);
            }
            Key::Left { slot, gno, bits, block } => {
                self.groups.entry((slot, gno)).or_default().left.insert((bits, block), decode(value));
            }
            Key::MemberKey { slot, gno, account } => {
                self.groups.entry((slot, gno)).or_default().keys.insert(account, decode(value));
            }
            Key::Role { slot, gno, role, join_seq } => {
                let account = String::from_utf8_lossy(value).into_owned();
                self.groups.entry((slot, gno)).or_default().roles.insert((role, join_seq), account);
            }
            Key::GroupLog { slot, gno, seq } => {
                self.groups.entry((slot, gno)).or_default().log.insert(seq);
            }
            Key::Mute { slot, gno, account } => {
                self.groups.entry((slot, gno)).or_default().mutes.insert(account, decode(value));
            }
            Key::Attribute { slot, gno, .. } => {
                let _: String = decode(value);
                self.groups.entry((slot, gno)).or_default().attributes += 1;
            }
            Key::Counter { slot, gno, .. } => {
                let _: i64 = decode(value);
                self.groups.entry((slot, gno)).or_default().counters += 1;
            }
            Key::Ban { slot, gno, .. } => {
                let _: BanRow = decode(value);
                self.groups.entry((slot, gno)).or_default().bans += 1;
            }
            Key::Index { slot, app, kind, gno } => match std::str::from_utf8(value).map(GroupId::parse) {
                Ok(Ok(id)) => self.groups.entry((slot, gno)).or_default().indexed = Some((app, kind, id)),
                _ => self.differs(format!("the index of slot {} gno {gno} names no group id", slot.0)),
            },
            Key::Account { app, account, .. } => {
                self.accounts.insert((app, account), decode(value));
            }
            Key::Joined { app, account, group_slot, gno, slot } => {
                if keys::slot_of_account(app, &account) != slot {
                    self.differs(format!("a joined row of {account} lies in slot {}", slot.0));
                }
                *self.joined_counts.entry((app, account.clone())).or_default() += 1;
                self.lists.joined((app, account, group_slot, gno), decode(value));
            }
            Key::Feed { app, account, seq, .. } => {
                self.feeds.entry((app, account)).or_default().insert(seq);
            }
            Key::Quota { .. } | Key::Request { .. } => {}
            Key::Identity { slot, app, account } => {
                let _: IdentityRow = decode(value);
                if keys::slot_of_account(app, &account) != slot {
                    self.differs(format!("the identity of {account} lies in slot {}", slot.0));
                }
            }
            Key::Shard { shard } => {
                self.shards.insert(shard, decode(value));
            }
            Key::Outbox { source, target, seq } => {
                self.outbox.insert((source, target, seq), decode(value));
            }
            Key::OutboxHead { source, target } => {
                self.heads.insert((source, target), decode(value));
            }
            Key::InboxCursor { target, source } => {
                self.cursors.insert((source, target), decode(value));
            }
            Key::Census { shard, app, kind } => {
                self.census.insert((shard, app, kind), decode(value));
            }
            Key::Job { gno, .. } => {
                let row: JobRow = decode(value);
                let place = (Slot(row.slot), gno);
                self.lists.ends(place);
                self.groups.entry(place).or_default().job = Some((AppId(row.app), row.kind));
            }
        }
    }

    /// Compares the rows of all slots up to this one, of which no more may come, and keeps of them only what rows of
    /// other slots are compared with.
    fn close(&mut self, through: Slot) {
        let later = self.groups.split_off(&(Slot(through.0.saturating_add(1)), Gno(0)));
        let groups = std::mem::replace(&mut self.groups, later);
        for ((slot, gno), group) in groups {
            self.group(slot, gno, &group);
            let Some((app, id, head)) = &group.header else {
                group.still_to_be_told().for_each(|(app, account)| self.lists.member((app, account, slot, gno), None));
                continue;
            };
            self.group_count += 1;
            self.member_count += group.keys.len();
            let kind = (shard_of_slot(slot, self.shard_count), *app, kind_byte(head.facts.kind));
            *self.headers.entry(kind).or_default() += 1;
            for (account, row) in group.joined_rows(id, &head.facts) {
                self.lists.member((*app, account, slot, gno), Some(row));
            }
        }
        self.counts();
    }

    /// Compares what was taken; names those whose joined lists are to be looked at again.
    fn finish(mut self) -> (Findings, Option<Suspects>) {
        self.take_census();
        let on_their_way = self.lists.on_their_way();
        let suspects = self.lists.suspects();
        let findings = Findings {
            rows: self.rows,
            groups: self.group_count,
            members: self.member_count,
            on_their_way,
            difference_count: self.differences.count,
            differences: self.differences.kept,
        };
        (findings, suspects)
    }

    /// What joined lists and rosters differ in.
    fn finish_lists(self) -> Differences {
        let mut found = Differences::default();
        self.lists.compare(&mut found);
        found
    }

    /// Groups of each kind against the shards' own counts.
    fn take_census(&mut self) {
        let mut counted = std::mem::take(&mut self.headers);
        let mut census = std::mem::take(&mut self.census);
        // A shard of before there was a census counts when it next applies an entry.
        let has_census = |shard: &ShardId| self.shards.get(shard).copied().unwrap_or_default().has_census;
        counted.retain(|(shard, ..), _| has_census(shard));
        census.retain(|(shard, ..), _| has_census(shard));
        let keys: BTreeSet<_> = census.keys().chain(counted.keys()).copied().collect();
        for key in keys {
            let count = |of: &BTreeMap<_, u64>| i128::from(of.get(&key).copied().unwrap_or(0));
            let more = count(&census) - count(&counted);
            if more != 0 {
                let (shard, app, kind) = key;
                self.differs(format!(
                    "the census of shard {} says {more:+} groups of kind {kind} in app {app} beside the headers",
                    shard.0
                ));
            }
        }
    }
}

/// What is wrong with sequences that should be those of `expected`.
///
/// Like all that is said of counts it names what is missing or too much, and no totals: these change while a node is
/// looked at, and what differs is to be known again in the next look.
fn gap(found: &BTreeSet<u64>, expected: Range<u64>) -> Option<String> {
    if found.iter().copied().eq(expected.clone()) {
        return None;
    }
    if let Some(missing) = expected.clone().find(|seq| !found.contains(seq)) {
        return Some(format!("has no row {missing}"));
    }
    let beyond = found.iter().find(|seq| !expected.contains(seq))?;
    Some(format!("has row {beyond}, which nobody counts"))
}
