//! Re-derives from the rows of a whole node what other rows say, and reports every difference.
//!
//! Counts against members, indexes and the census against headers, mutes of members against those of accounts, joined
//! lists against rosters (with messages still on their way folded in), sequences against the rows that they number.
//! It changes nothing and needs no running node; `running.rs` has it look through one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use muster_cluster::{ShardId, Slot, shard_of_slot};

use self::one_group::OneGroup;
use super::codes::{Head, kind_byte};
use super::entry::Effect;
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys;
use crate::store::{
    AccountHeader, BanRow, GroupHeader, IdentityRow, JobRow, JoinedRow, Key, MemberRow, OutboxHead, ShardRow, decode,
};

mod accounts;
mod one_group;
mod queues;
mod running;

pub use running::{Examined, examine};

/// Differences that are listed; the rest are counted.
pub const DIFFERENCES_LISTED_MAX: usize = 1000;

type GroupNo = (Slot, Gno);
type JoinedKey = (AppId, AccountId, Slot, Gno);

/// Takes rows in any order and compares them in the end.
///
/// Whoever has them by slot may [close](Doctor::close) each slot behind its last row, and needs memory for one slot at a
/// time; rows of shards as a whole must have come before. What remains are joined lists and rosters, which lie in
/// different slots: of these it may take a [`Part`] of the accounts and look again for the next.
#[derive(Default)]
pub struct Doctor {
    part: Part,
    groups: BTreeMap<GroupNo, OneGroup>,
    joined: BTreeMap<JoinedKey, JoinedRow>,
    joined_counts: HashMap<(AppId, AccountId), u64>,
    census: BTreeMap<(ShardId, AppId, u8), u64>,
    accounts: HashMap<(AppId, AccountId), AccountHeader>,
    feeds: HashMap<(AppId, AccountId), BTreeSet<u64>>,
    shards: HashMap<ShardId, ShardRow>,
    heads: HashMap<(ShardId, ShardId), OutboxHead>,
    outbox: BTreeMap<(ShardId, ShardId, u64), Vec<Effect>>,
    cursors: HashMap<(ShardId, ShardId), u64>,
    /// Of slots that are closed: what joined lists should say, headers by kind, members still to be told of the end.
    members: BTreeMap<JoinedKey, JoinedRow>,
    headers: BTreeMap<(ShardId, AppId, u8), u64>,
    disbanding: HashMap<GroupNo, HashSet<AccountId>>,
    group_count: usize,
    member_count: usize,
    differences: Vec<String>,
    rows: u64,
}

/// Some of the accounts, by their slots: the `index`th of `of` parts.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub index: u16,
    pub of: u16,
}

impl Default for Part {
    /// All of them.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Part {
    fn has(self, slot: Slot) -> bool {
        slot.0 % self.of == self.index
    }

    fn has_account(self, app: AppId, account: &AccountId) -> bool {
        self.of == 1 || self.has(keys::slot_of_account(app, account))
    }
}

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

impl Doctor {
    /// Compares joined lists and rosters for some of the accounts only.
    pub fn of_part(part: Part) -> Self {
        Self { part, ..Self::default() }
    }

    fn differs(&mut self, what: String) {
        self.differences.push(what);
    }

    /// Takes one row.
    pub fn row(&mut self, key: &[u8], value: &[u8]) {
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
                if self.part.has(slot) {
                    self.joined.insert((app, account, group_slot, gno), decode(value));
                }
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
            Key::Job { shard, gno } => {
                let row: JobRow = decode(value);
                let slot = Slot(row.slot);
                let _ = shard;
                self.groups.entry((slot, gno)).or_default().job = true;
            }
        }
    }

    /// Compares the rows of all slots up to this one, of which no more may come, and keeps of them only what rows of
    /// other slots are compared with.
    pub fn close(&mut self, through: Slot, shard_count: u16) {
        let later = self.groups.split_off(&(Slot(through.0.saturating_add(1)), Gno(0)));
        let groups = std::mem::replace(&mut self.groups, later);
        for ((slot, gno), group) in groups {
            self.group(slot, gno, &group, shard_count);
            if group.job {
                self.disbanding.insert((slot, gno), group.keys.keys().cloned().collect());
            }
            let Some((app, id, head)) = &group.header else { continue };
            self.group_count += 1;
            self.member_count += group.keys.len();
            let kind = (shard_of_slot(slot, shard_count), *app, kind_byte(head.facts.kind));
            *self.headers.entry(kind).or_default() += 1;
            let part = self.part;
            let listed = group.joined_rows(id, &head.facts).into_iter();
            let listed = listed.filter(|(account, _)| part.has_account(*app, account));
            self.members.extend(listed.map(|(account, row)| ((*app, account, slot, gno), row)));
        }
        self.counts();
    }

    /// Compares what was taken.
    pub fn finish(self, shard_count: u16) -> Findings {
        let mut findings = self.finish_unlimited(shard_count);
        findings.differences.truncate(DIFFERENCES_LISTED_MAX);
        findings
    }

    /// The same with all differences listed.
    fn finish_unlimited(mut self, shard_count: u16) -> Findings {
        self.close(Slot(u16::MAX), shard_count);
        self.take_census();
        self.queues();
        let on_their_way = self.joined_lists();
        self.differences.sort();
        Findings {
            rows: self.rows,
            groups: self.group_count,
            members: self.member_count,
            on_their_way,
            difference_count: self.differences.len(),
            differences: self.differences,
        }
    }

    /// Groups of each kind against the shards' own counts.
    fn take_census(&mut self) {
        let mut counted = std::mem::take(&mut self.headers);
        let mut census = std::mem::take(&mut self.census);
        // A shard of before there was a census counts when it next applies an entry.
        let has_census = |shard: &ShardId| self.shards.get(shard).copied().unwrap_or_default().has_census;
        counted.retain(|(shard, ..), _| has_census(shard));
        census.retain(|(shard, ..), _| has_census(shard));
        if census != counted {
            self.differs(format!("the census says {census:?}, the headers {counted:?}"));
        }
    }
}
