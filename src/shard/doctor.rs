//! Re-derives from the rows of a whole node what other rows say, and reports every difference.
//!
//! Counts against members, indexes and the census against headers, mutes of members against those of accounts, joined
//! lists against rosters (with messages still on their way folded in), sequences against the rows that they number.
//! It changes nothing and needs no running node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// Differences that are listed; the rest are counted.
pub const DIFFERENCES_LISTED_MAX: usize = 1000;

type GroupNo = (Slot, Gno);
type JoinedKey = (AppId, AccountId, Slot, Gno);

/// Takes rows in any order and compares them in the end.
#[derive(Default)]
pub struct Doctor {
    groups: HashMap<GroupNo, OneGroup>,
    joined: BTreeMap<JoinedKey, JoinedRow>,
    census: BTreeMap<(ShardId, AppId, u8), u64>,
    accounts: HashMap<(AppId, AccountId), AccountHeader>,
    feeds: HashMap<(AppId, AccountId), BTreeSet<u64>>,
    shards: HashMap<ShardId, ShardRow>,
    heads: HashMap<(ShardId, ShardId), OutboxHead>,
    outbox: BTreeMap<(ShardId, ShardId, u64), Vec<Effect>>,
    cursors: HashMap<(ShardId, ShardId), u64>,
    differences: Vec<String>,
    rows: u64,
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
                self.joined.insert((app, account, group_slot, gno), decode(value));
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

    /// Compares what was taken.
    pub fn finish(mut self, shard_count: u16) -> Findings {
        let groups = std::mem::take(&mut self.groups);
        let mut members = BTreeMap::new();
        let mut ordinary = 0;
        for ((slot, gno), group) in &groups {
            self.group(*slot, *gno, group, shard_count);
            if let Some((app, id, head)) = &group.header {
                ordinary += group.keys.len();
                let listed = group.joined_rows(id, &head.facts);
                members.extend(listed.into_iter().map(|(account, row)| ((*app, account, *slot, *gno), row)));
            }
        }
        self.take_census(&groups, shard_count);
        self.queues();
        let on_their_way = self.joined_lists(&groups, &members);
        self.counts();
        self.differences.sort();
        let difference_count = self.differences.len();
        self.differences.truncate(DIFFERENCES_LISTED_MAX);
        Findings {
            rows: self.rows,
            groups: groups.values().filter(|g| g.header.is_some()).count(),
            members: ordinary,
            on_their_way,
            differences: self.differences,
            difference_count,
        }
    }

    /// Groups of each kind against the shards' own counts.
    fn take_census(&mut self, groups: &HashMap<GroupNo, OneGroup>, shard_count: u16) {
        let mut counted: BTreeMap<(ShardId, AppId, u8), u64> = BTreeMap::new();
        for ((slot, _), group) in groups {
            let Some((app, _, head)) = &group.header else { continue };
            let key = (shard_of_slot(*slot, shard_count), *app, kind_byte(head.facts.kind));
            *counted.entry(key).or_default() += 1;
        }
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
