//! The rows of one group against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muster_cluster::{Slot, shard_of_slot};

use super::{Doctor, gap};
use crate::group::{Facts, Kind, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::shard::codes::{Head, is_over, kind_byte, kind_of, role_byte, role_of};
use crate::store::keys::LEFT_BITS;
use crate::store::{JoinedRow, MemberKey, MemberRow, ShardRow};
use crate::time::Stamp;

#[derive(Default)]
pub(super) struct OneGroup {
    pub header: Option<(AppId, GroupId, Head)>,
    pub has_profile: bool,
    /// By join sequence.
    pub members: BTreeMap<u64, MemberRow>,
    pub keys: HashMap<AccountId, MemberKey>,
    /// Counters of places that were left, by their bits and number.
    pub left: BTreeMap<(u8, u64), u32>,
    pub roles: BTreeMap<(u8, u64), String>,
    pub log: BTreeSet<u64>,
    pub mutes: BTreeMap<AccountId, u64>,
    pub attributes: usize,
    pub counters: usize,
    pub bans: usize,
    pub indexed: Option<(AppId, u8, GroupId)>,
    /// It is being disbanded: its app and kind.
    pub job: Option<(AppId, u8)>,
}

impl Doctor {
    pub(super) fn group(&mut self, slot: Slot, gno: Gno, group: &OneGroup) {
        let shard = shard_of_slot(slot, self.shard_count);
        let ShardRow { next_gno, last_stamp, .. } = self.shards.get(&shard).copied().unwrap_or_default();
        if gno.0 >= next_gno {
            self.differs(format!("gno {gno} exists but shard {} gives {next_gno} next", shard.0));
        }
        let Some((app, id, head)) = &group.header else {
            if group.job.is_none() {
                self.differs(format!("rows of slot {} gno {gno} belong to no group and to no disband", slot.0));
            }
            return;
        };
        let mut wrong = |what: String| self.differences.push(format!("group {id} of app {app}: {what}"));
        group.whole(*app, id, &head.facts, &mut wrong);
        group.counts(&head.facts, &mut wrong);
        group.order(&head.facts, &mut wrong);
        group.ranks(&head.facts, &mut wrong);
        group.restrictions(head, Stamp(last_stamp).secs(), &mut wrong);
    }
}

impl OneGroup {
    /// What the joined lists of its members should say.
    pub fn joined_rows(&self, id: &GroupId, facts: &Facts) -> impl Iterator<Item = (AccountId, JoinedRow)> {
        let members = facts.kind.stores_members().then_some(&self.members).into_iter().flatten();
        members.map(move |(join_seq, member)| {
            let account = member.account.0.clone();
            let is_owner = facts.owner.as_ref() == Some(&account);
            let row = JoinedRow {
                group: id.clone().into(),
                kind: kind_byte(facts.kind),
                joined: member.joined,
                join_seq: *join_seq,
                flags: JoinedRow::flags(is_owner, facts.active, facts.support_topic),
            };
            (account, row)
        })
    }

    /// Members whom a disband has not reached yet: they still have the group in their lists. Admins of a live room
    /// never had.
    pub fn still_to_be_told(&self) -> impl Iterator<Item = (AppId, AccountId)> {
        let job = self.job.filter(|(_, kind)| kind_of(*kind).stores_members());
        job.into_iter().flat_map(|(app, _)| self.keys.keys().map(move |account| (app, account.clone())))
    }

    /// Rows that every group has once, and those that its kind has none of.
    fn whole(&self, app: AppId, id: &GroupId, facts: &Facts, wrong: &mut impl FnMut(String)) {
        if self.job.is_some() {
            wrong("exists and is being disbanded".into());
        }
        if !self.has_profile {
            wrong("has no profile row".into());
        }
        match &self.indexed {
            Some((a, kind, indexed)) if *a == app && *kind == kind_byte(facts.kind) && indexed == id => {}
            other => wrong(format!("the index of the app's groups says {other:?}")),
        }
        if let Some(gap) = gap(&self.log, 1..facts.next_msg_seq) {
            wrong(format!("its log {gap}"));
        }
        if facts.kind == Kind::Community && self.counters > 0 {
            wrong(format!("a community has {} counters", self.counters));
        }
        if facts.kind != Kind::AvChatRoom && self.bans > 0 {
            wrong(format!("a {:?} group has {} bans", facts.kind, self.bans));
        }
    }

    /// Members by name, by place, by counter and in the header. Admins of a live room have rows and are no members.
    fn counts(&self, facts: &Facts, wrong: &mut impl FnMut(String)) {
        let members = facts.member_count as usize;
        let count = if facts.kind.stores_members() { members } else { facts.admin_count as usize };
        if self.keys.len() != count || self.members.len() != count {
            let more = |rows: usize| rows as i64 - count as i64;
            let (by_name, by_place) = (more(self.keys.len()), more(self.members.len()));
            wrong(format!("has {by_name:+} members by name and {by_place:+} by place beside those that it counts"));
        }
        if !facts.kind.stores_members() && members > 0 {
            wrong(format!("a live room counts {members} members"));
        }
        for (join_seq, row) in &self.members {
            let key = MemberKey { join_seq: *join_seq, role: row.role, mute_until: row.mute_until };
            match self.keys.get(&row.account.0) {
                Some(by_name) if *by_name == key => {}
                other => wrong(format!("{} is {key:?} by place and {other:?} by name", row.account.0)),
            }
        }
        if facts.kind.stores_members() {
            LEFT_BITS.iter().for_each(|bits| self.places_left(*bits, facts.next_join_seq, wrong));
            if let Some((bits, block)) = self.left.keys().find(|(bits, _)| !LEFT_BITS.contains(bits)) {
                wrong(format!("counter {block} of places left has {bits} bits"));
            }
        } else if !self.left.is_empty() {
            wrong(format!("a live room has counters of places left: {:?}", self.left));
        }
    }

    /// Every place before the next one is a member's, or was left: so say the counters that there are, and together
    /// they leave none over. Asked in this way it costs what there is, whatever a damaged header says of the next place.
    fn places_left(&self, bits: u8, next: u64, wrong: &mut impl FnMut(String)) {
        let mut uncounted = next - self.members.range(..next).count() as u64;
        for ((_, block), left) in self.left.range((bits, 0)..=(bits, u64::MAX)) {
            let places = first_of(*block, bits).min(next)..first_of(block.saturating_add(1), bits).min(next);
            let members = self.members.range(places.clone()).count() as u64;
            let found = (places.end - places.start).saturating_sub(members);
            if u64::from(*left) != found || found == 0 {
                wrong(format!("{left} places left are counted in {places:?}, members say {found}"));
            }
            uncounted = uncounted.saturating_sub(found);
        }
        if uncounted > 0 {
            wrong(format!("{uncounted} places were left and are in no counter of {bits} bits"));
        }
    }

    /// Places against the next one, joining times against what the header says of them.
    fn order(&self, facts: &Facts, wrong: &mut impl FnMut(String)) {
        if let Some((last, _)) = self.members.last_key_value()
            && *last >= facts.next_join_seq
        {
            wrong(format!("a member has place {last}, the next is {}", facts.next_join_seq));
        }
        if !facts.kind.stores_members() {
            return;
        }
        if facts.joins_in_order && !self.members.values().is_sorted_by_key(|row| row.joined) {
            wrong("says that all joined in order, members say no".into());
        }
        if let Some(row) = self.members.values().find(|row| row.joined > facts.last_joined.0) {
            wrong(format!("{} joined at {}, the last is {}", row.account.0, row.joined, facts.last_joined.0));
        }
    }

    fn ranks(&self, facts: &Facts, wrong: &mut impl FnMut(String)) {
        let of = |role: Role| self.members.values().filter(move |row| role_of(row.role) == role);
        let admins = of(Role::Admin).count();
        if admins != facts.admin_count as usize {
            wrong(format!("counts {} admins, has {admins}", facts.admin_count));
        }
        let ranked = self.members.iter().filter(|(_, row)| role_of(row.role) != Role::Member);
        let roles: BTreeMap<(u8, u64), String> =
            ranked.map(|(join_seq, row)| ((row.role, *join_seq), row.account.0.as_str().to_owned())).collect();
        if roles != self.roles {
            wrong(format!("lists {:?} as owner and admins, members say {roles:?}", self.roles));
        }
        let owners: Vec<&AccountId> = of(Role::Owner).map(|row| &row.account.0).collect();
        if facts.kind.stores_members() && owners != facts.owner.iter().collect::<Vec<_>>() {
            wrong(format!("names {:?} as owner, members say {owners:?}", facts.owner));
        }
        if !facts.kind.stores_members()
            && let Some(row) = self.members.values().find(|row| row.role != role_byte(Role::Admin))
        {
            wrong(format!("{} is stored in a live room and is no admin", row.account.0));
        }
    }

    fn restrictions(&self, head: &Head, now_secs: u64, wrong: &mut impl FnMut(String)) {
        for (what, count, rows) in [("mutes", head.mute_count, self.mutes.len()), ("bans", head.ban_count, self.bans)] {
            if count as usize != rows {
                wrong(format!("counts {count} {what}, has {rows}"));
            }
        }
        for member in self.members.values() {
            let agrees = match self.mutes.get(&member.account.0) {
                Some(until) => *until == member.mute_until,
                // A row that was over may have been swept away, and the copies of it not.
                None => is_over(member.mute_until, now_secs),
            };
            if !agrees {
                let row = self.mutes.get(&member.account.0);
                wrong(format!("{} is muted until {}, its mute says {row:?}", member.account.0, member.mute_until));
            }
        }
    }
}

/// The first place of a block of so many bits.
fn first_of(block: u64, bits: u8) -> u64 {
    block.saturating_mul(1 << bits)
}
