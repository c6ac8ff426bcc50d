//! Re-derives from the rows of a whole node what other rows say, and reports every difference.
//!
//! Counts against members, indexes against headers, joined lists against rosters (with messages still on their way
//! folded in), sequences against the rows that they number. It changes nothing and needs no running node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muster_cluster::{ShardId, Slot, shard_of_slot};

use super::codes::{Head, kind_byte, role_byte, role_of};
use super::entry::Effect;
use super::rows::FEED_ROWS_MAX;
use crate::group::{Facts, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys::{self, PLACE_SHIFT};
use crate::store::{AccountHeader, GroupHeader, JobRow, Key, MemberKey, MemberRow, OutboxHead, ShardRow, decode};

/// Differences that are listed; the rest are counted.
pub const DIFFERENCES_LISTED_MAX: usize = 1000;

type GroupNo = (Slot, Gno);
type JoinedKey = (AppId, AccountId, Slot, Gno);

#[derive(Default)]
struct OneGroup {
    header: Option<(AppId, GroupId, Facts)>,
    has_profile: bool,
    /// By join sequence.
    members: BTreeMap<u64, (AccountId, Role)>,
    keys: HashMap<AccountId, (u64, Role)>,
    places: BTreeMap<u64, u64>,
    roles: BTreeSet<(u8, u64)>,
    log: BTreeSet<u64>,
    indexed: Option<(AppId, u8, GroupId)>,
    job: bool,
}

/// Takes rows in any order and compares them in the end.
#[derive(Default)]
pub struct Doctor {
    groups: HashMap<GroupNo, OneGroup>,
    joined: BTreeSet<JoinedKey>,
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
                one.header = Some((app, group, Head::from(row).facts));
            }
            Key::Profile { slot, gno } => self.groups.entry((slot, gno)).or_default().has_profile = true,
            Key::Member { slot, gno, join_seq } => {
                let row: MemberRow = decode(value);
                let role = role_of(row.role);
                self.groups.entry((slot, gno)).or_default().members.insert(join_seq, (row.account.0, role));
            }
            Key::Place { slot, gno, place } => {
                let count = u64::from(decode::<u16>(value));
                self.groups.entry((slot, gno)).or_default().places.insert(place, count);
            }
            Key::MemberKey { slot, gno, account } => {
                let row: MemberKey = decode(value);
                self.groups.entry((slot, gno)).or_default().keys.insert(account, (row.join_seq, role_of(row.role)));
            }
            Key::Role { slot, gno, role, join_seq } => {
                self.groups.entry((slot, gno)).or_default().roles.insert((role, join_seq));
            }
            Key::GroupLog { slot, gno, seq } => {
                self.groups.entry((slot, gno)).or_default().log.insert(seq);
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
                self.joined.insert((app, account, group_slot, gno));
            }
            Key::Feed { app, account, seq, .. } => {
                self.feeds.entry((app, account)).or_default().insert(seq);
            }
            Key::Quota { .. } => {}
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
        let mut members = BTreeSet::new();
        for ((slot, gno), group) in &groups {
            self.group(*slot, *gno, group, shard_count);
            if let Some((app, ..)) = &group.header {
                members.extend(group.keys.keys().map(|account| (*app, account.clone(), *slot, *gno)));
            }
        }
        self.queues();
        let on_their_way = self.joined_lists(&groups, &members);
        self.counts();
        self.differences.sort();
        let difference_count = self.differences.len();
        self.differences.truncate(DIFFERENCES_LISTED_MAX);
        Findings {
            rows: self.rows,
            groups: groups.values().filter(|g| g.header.is_some()).count(),
            members: members.len(),
            on_their_way,
            differences: self.differences,
            difference_count,
        }
    }

    fn group(&mut self, slot: Slot, gno: Gno, group: &OneGroup, shard_count: u16) {
        let shard = shard_of_slot(slot, shard_count);
        let next_gno = self.shards.get(&shard).copied().unwrap_or_default().next_gno;
        if gno.0 >= next_gno {
            self.differs(format!("gno {gno} exists but shard {} gives {next_gno} next", shard.0));
        }
        let Some((app, id, facts)) = &group.header else {
            if !group.job {
                self.differs(format!("rows of slot {} gno {gno} belong to no group and to no disband", slot.0));
            }
            return;
        };
        let mut wrong = |what: String| self.differences.push(format!("group {id} of app {app}: {what}"));
        if group.job {
            wrong("exists and is being disbanded".into());
        }
        if !group.has_profile {
            wrong("has no profile row".into());
        }
        match &group.indexed {
            Some((a, kind, indexed)) if a == app && *kind == kind_byte(facts.kind) && indexed == id => {}
            other => wrong(format!("the index of the app's groups says {other:?}")),
        }
        let count = facts.member_count as usize;
        if group.keys.len() != count || group.members.len() != count {
            wrong(format!(
                "counts {count} members, has {} by name, {} by place",
                group.keys.len(),
                group.members.len()
            ));
        }
        for (join_seq, (account, role)) in &group.members {
            match group.keys.get(account) {
                Some((seq, key_role)) if seq == join_seq && key_role == role => {}
                other => wrong(format!("{account} is {role:?} at {join_seq} by place and {other:?} by name")),
            }
        }
        if let Some((last, _)) = group.members.last_key_value()
            && *last >= facts.next_join_seq
        {
            wrong(format!("a member has place {last}, the next is {}", facts.next_join_seq));
        }
        let mut places = BTreeMap::new();
        for join_seq in group.members.keys() {
            *places.entry(join_seq >> PLACE_SHIFT).or_insert(0) += 1;
        }
        if places != group.places {
            wrong(format!("place counters are {:?}, members are at {places:?}", group.places));
        }
        let admins = group.members.values().filter(|(_, role)| *role == Role::Admin).count();
        if admins != facts.admin_count as usize {
            wrong(format!("counts {} admins, has {admins}", facts.admin_count));
        }
        let roles: BTreeSet<(u8, u64)> = group
            .members
            .iter()
            .filter(|(_, (_, role))| *role != Role::Member)
            .map(|(join_seq, (_, role))| (role_byte(*role), *join_seq))
            .collect();
        if roles != group.roles {
            wrong(format!("lists {:?} as owner and admins, members say {roles:?}", named(&group.roles)));
        }
        let owners: Vec<&AccountId> =
            group.members.values().filter(|(_, role)| *role == Role::Owner).map(|(account, _)| account).collect();
        if facts.kind.stores_members() && owners != facts.owner.iter().collect::<Vec<_>>() {
            wrong(format!("names {:?} as owner, members say {owners:?}", facts.owner));
        }
        if !group.log.iter().copied().eq(1..facts.next_msg_seq) {
            wrong(format!("its log has {} rows, the next sequence is {}", group.log.len(), facts.next_msg_seq));
        }
    }

    fn queues(&mut self) {
        let mut differences = Vec::new();
        for ((source, target), head) in &self.heads {
            let seqs =
                self.outbox.range((*source, *target, 0)..=(*source, *target, u64::MAX)).map(|((.., seq), _)| *seq);
            if !seqs.eq(head.first..head.next) {
                differences.push(format!("outbox {} → {} does not hold {:?}", source.0, target.0, head));
            }
            let cursor = self.cursors.get(&(*source, *target)).copied().unwrap_or(0);
            if cursor + 1 < head.first || cursor >= head.next {
                differences.push(format!(
                    "shard {} has applied {cursor} of shard {}, which holds {head:?}",
                    target.0, source.0
                ));
            }
        }
        for (source, target, seq) in self.outbox.keys() {
            if !self.heads.contains_key(&(*source, *target)) {
                differences.push(format!("outbox {} → {} has row {seq} and no head", source.0, target.0));
            }
        }
        for ((source, target), cursor) in &self.cursors {
            if *cursor > 0 && !self.heads.contains_key(&(*source, *target)) {
                differences
                    .push(format!("shard {} has applied {cursor} of shard {}, which sent none", target.0, source.0));
            }
        }
        self.differences.extend(differences);
    }

    /// Joined rows with what is on its way folded in, against the rosters.
    fn joined_lists(&mut self, groups: &HashMap<GroupNo, OneGroup>, members: &BTreeSet<JoinedKey>) -> usize {
        let mut joined = self.joined.clone();
        let mut on_their_way = 0;
        for ((source, target, seq), effects) in &self.outbox {
            if *seq <= self.cursors.get(&(*source, *target)).copied().unwrap_or(0) {
                continue;
            }
            for effect in effects {
                on_their_way += 1;
                match effect {
                    Effect::Joined { app, account, slot, gno, .. } => {
                        joined.insert((AppId(*app), account.0.clone(), Slot(*slot), Gno(*gno)));
                    }
                    Effect::Left { app, account, slot, gno, .. } => {
                        joined.remove(&(AppId(*app), account.0.clone(), Slot(*slot), Gno(*gno)));
                    }
                    Effect::Quota { .. } | Effect::Told { .. } => {}
                }
            }
        }
        // Members that a disband has not reached yet still have the group in their lists.
        let disbanding = |(_, account, slot, gno): &JoinedKey| {
            groups.get(&(*slot, *gno)).is_some_and(|g| g.job && g.keys.contains_key(account))
        };
        for (app, account, slot, gno) in joined.difference(members).filter(|key| !disbanding(key)) {
            self.differences
                .push(format!("{account} of app {app} has joined slot {} gno {gno}, where it is no member", slot.0));
        }
        for (app, account, slot, gno) in members.difference(&joined) {
            self.differences
                .push(format!("{account} of app {app} is a member of slot {} gno {gno} and has not joined it", slot.0));
        }
        on_their_way
    }

    fn counts(&mut self) {
        let mut counts: HashMap<(AppId, AccountId), u64> = HashMap::new();
        for (app, account, ..) in &self.joined {
            *counts.entry((*app, account.clone())).or_default() += 1;
        }
        for (key, header) in &self.accounts {
            let count = counts.remove(key).unwrap_or(0);
            if count != header.joined_count {
                self.differences.push(format!("{} counts {} groups, has {count}", key.1, header.joined_count));
            }
            let feed = self.feeds.remove(key).unwrap_or_default();
            let first = header.feed_seq.saturating_sub(FEED_ROWS_MAX) + 1;
            if !feed.iter().copied().eq(first..header.feed_seq + 1) {
                self.differences.push(format!(
                    "the feed of {} has {} rows up to {}",
                    key.1,
                    feed.len(),
                    header.feed_seq
                ));
            }
        }
        for (_, account) in counts.keys().chain(self.feeds.keys()) {
            self.differences.push(format!("{account} has rows and no account row"));
        }
    }
}

fn named(roles: &BTreeSet<(u8, u64)>) -> Vec<(Role, u64)> {
    roles.iter().map(|(role, join_seq)| (role_of(*role), *join_seq)).collect()
}
