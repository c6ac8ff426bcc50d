//! One event of a group, folded into its rows and then into its facts.

use muster_cluster::{DiskError, Slot};

use super::Turn;
use crate::group::{self, Created, Event, Facts, Group, Kind, Notice, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::shard::codes::kind_byte;
use crate::shard::rows::change_texts;
use crate::store::{BanRow, JoinedRow, ProfileRow, encode};
use crate::time::Stamp;

/// One group's change while it is applied.
pub(super) struct Change {
    pub app: AppId,
    pub id: GroupId,
    pub slot: Slot,
    pub gno: Gno,
    pub at: Stamp,
    pub operator: AccountId,
    pub is_new: bool,
    /// The group's name, once somebody needed it.
    pub name: Option<String>,
    pub joined: Vec<(AccountId, JoinedRow)>,
    pub left: Vec<AccountId>,
    /// Those who stay, with what their joined lists are to say now.
    pub relisted: Vec<(AccountId, JoinedRow)>,
    pub mute_count: u32,
    pub ban_count: u32,
    /// What it was, once it is disbanded.
    pub ended: Option<Ended>,
}

/// What is asked about a group that is no more.
pub(super) struct Ended {
    pub kind: Kind,
    pub owner: Option<AccountId>,
    pub member_count: usize,
}

impl Change {
    pub fn existing<'g>(&self, group: &'g mut Option<Group>) -> &'g mut Group {
        group.as_mut().unwrap_or_else(|| panic!("something happens to group {} which does not exist", self.id))
    }

    /// What a member's joined list says of the group.
    pub fn listing(&self, facts: &Facts, joined: Stamp, join_seq: u64, is_owner: bool) -> JoinedRow {
        JoinedRow {
            group: self.id.clone().into(),
            kind: kind_byte(facts.kind),
            joined: joined.0,
            join_seq,
            flags: JoinedRow::flags(is_owner, facts.active, facts.support_topic),
        }
    }
}

impl Turn<'_, '_> {
    /// Folds one event into rows and facts.
    pub(super) fn event(
        &mut self,
        group: &mut Option<Group>,
        event: &Event,
        change: &mut Change,
        notices: &[Notice],
    ) -> Result<(), DiskError> {
        match event {
            Event::Created(created) => self.create(created, change)?,
            Event::MembersAdded { members, at } => {
                self.add(change.existing(group), members, *at, change, notices)?;
            }
            Event::MembersImported { members } => self.import(change.existing(group), members, change)?,
            Event::MembersRemoved { accounts, .. } => self.remove(change.existing(group), accounts, change)?,
            Event::ProfileChanged { changes, .. } => {
                let mut profile = self.writer.profile(change.slot, change.gno)?;
                change_texts(&mut profile, changes);
                self.writer.set_profile(change.slot, change.gno, &profile);
            }
            Event::MemberChanged { account, changes } => {
                self.change_member(change.existing(group), account, changes, change)?;
            }
            Event::OwnerChanged { from, to, .. } => {
                let group = change.existing(group);
                if let Some(from) = from {
                    self.change_owner(group, from, Role::Member, change)?;
                }
                self.change_owner(group, to, Role::Owner, change)?;
            }
            Event::Muted { accounts, until_secs, .. } => self.mute(accounts, *until_secs, change)?,
            Event::AttributesChanged { set, removed } => self.change_attributes(set, removed, change),
            Event::CountersChanged { set, removed } => self.change_counters(set, removed, change),
            Event::Banned { accounts, until_secs, description, .. } => {
                let ban = BanRow {
                    until: *until_secs,
                    description: description.clone(),
                    operator: change.operator.as_str().to_owned(),
                };
                self.ban(accounts, Some(&ban), change)?;
            }
            Event::Unbanned { accounts } => self.ban(accounts, None, change)?,
            Event::LiveAdminsChanged { appointed, dismissed, at } => {
                self.change_live_admins(change.existing(group), appointed, dismissed, *at, change)?;
            }
            Event::Destroyed { .. } => {
                let facts = change.existing(group).facts();
                change.ended = Some(Ended {
                    kind: facts.kind,
                    owner: facts.owner.clone(),
                    member_count: facts.member_count as usize,
                });
            }
        }
        group::evolve(group, event);
        Ok(())
    }

    fn create(&mut self, created: &Created, change: &mut Change) -> Result<(), DiskError> {
        let profile = ProfileRow {
            name: created.name.clone(),
            introduction: created.introduction.clone(),
            notification: created.notification.clone(),
            face_url: created.face_url.clone(),
            custom: created.custom.clone(),
        };
        self.writer.set_profile(change.slot, change.gno, &profile);
        let index = self.writer.keys.index(change.slot, change.app, kind_byte(created.kind), change.gno);
        self.writer.tx.put(index, change.id.as_str().as_bytes().to_vec());
        change.name = Some(profile.name);
        self.writer.count_groups(change.app, kind_byte(created.kind), 1)
    }

    fn mute(&mut self, accounts: &[AccountId], until: u64, change: &mut Change) -> Result<(), DiskError> {
        let (slot, gno, count) = (change.slot, change.gno, &mut change.mute_count);
        for account in accounts {
            self.writer.mute(slot, gno, account, until, count)?;
        }
        match accounts.iter().max() {
            Some(last) => self.writer.sweep_mutes(slot, gno, last, change.at.secs(), count),
            None => Ok(()),
        }
    }

    fn ban(&mut self, accounts: &[AccountId], ban: Option<&BanRow>, change: &mut Change) -> Result<(), DiskError> {
        let (slot, gno, count) = (change.slot, change.gno, &mut change.ban_count);
        for account in accounts {
            self.writer.ban(slot, gno, account, ban, count)?;
        }
        match accounts.iter().max() {
            Some(last) => self.writer.sweep_bans(slot, gno, last, change.at.secs(), count),
            None => Ok(()),
        }
    }

    fn change_attributes(&mut self, set: &[(String, String)], removed: &[String], change: &Change) {
        let (keys, slot, gno) = (self.writer.keys, change.slot, change.gno);
        removed.iter().for_each(|name| self.writer.tx.delete(keys.attribute(slot, gno, name)));
        set.iter().for_each(|(name, value)| self.writer.tx.put(keys.attribute(slot, gno, name), encode(value)));
    }

    fn change_counters(&mut self, set: &[(String, i64)], removed: &[String], change: &Change) {
        let (keys, slot, gno) = (self.writer.keys, change.slot, change.gno);
        removed.iter().for_each(|name| self.writer.tx.delete(keys.counter(slot, gno, name)));
        set.iter().for_each(|(name, value)| self.writer.tx.put(keys.counter(slot, gno, name), encode(value)));
    }
}
