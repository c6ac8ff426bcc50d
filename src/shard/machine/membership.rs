//! Who joins, who leaves, and what becomes of a member in between.

use muster_cluster::DiskError;

use super::Turn;
use super::events::Change;
use crate::group::{AddedMember, Facts, Group, ImportedMember, MemberChange, Notice, Role};
use crate::id::AccountId;
use crate::shard::codes::{member_of, msg_flag_byte};
use crate::shard::rows::{Newcomer, Stored, set_custom};
use crate::time::Stamp;

impl Turn<'_, '_> {
    pub(super) fn add(
        &mut self,
        group: &mut Group,
        members: &[AddedMember],
        at: Stamp,
        change: &mut Change,
        notices: &[Notice],
    ) -> Result<(), DiskError> {
        let facts = group.facts().clone();
        // A newcomer has nothing unread, the tip about the joining included.
        let tips = notices.iter().filter(|n| matches!(n, Notice::Tip { .. })).count() as u64;
        let msg_seq = if change.is_new { 0 } else { facts.next_msg_seq - 1 + tips };
        for (member, join_seq) in members.iter().zip(facts.next_join_seq..) {
            let mute_until = self.mute_that_held(&member.account, change)?;
            let AddedMember { account, role, custom } = member;
            let newcomer = Newcomer { account, role: *role, joined: at, msg_seq, mute_until, custom };
            self.seat(group, &facts, join_seq, &newcomer, change)?;
        }
        Ok(())
    }

    pub(super) fn import(
        &mut self,
        group: &mut Group,
        members: &[ImportedMember],
        change: &mut Change,
    ) -> Result<(), DiskError> {
        let facts = group.facts().clone();
        for (member, join_seq) in members.iter().zip(facts.next_join_seq..) {
            let mute_until = self.mute_that_held(&member.account, change)?;
            let ImportedMember { account, role, joined, msg_seq } = member;
            let newcomer =
                Newcomer { account, role: *role, joined: *joined, msg_seq: *msg_seq, mute_until, custom: &[] };
            self.seat(group, &facts, join_seq, &newcomer, change)?;
        }
        Ok(())
    }

    /// A mute outlives the membership: docs/spec/group-types.md 4. Groups that muted nobody are not asked.
    fn mute_that_held(&self, account: &AccountId, change: &Change) -> Result<u64, DiskError> {
        match change.mute_count {
            0 => Ok(0),
            _ => self.writer.muted_until(change.slot, change.gno, account),
        }
    }

    fn seat(
        &mut self,
        group: &mut Group,
        facts: &Facts,
        join_seq: u64,
        newcomer: &Newcomer<'_>,
        change: &mut Change,
    ) -> Result<(), DiskError> {
        self.writer.insert_member(change.slot, change.gno, join_seq, newcomer)?;
        group.learn(newcomer.account.clone(), None);
        let is_owner = facts.owner.as_ref() == Some(newcomer.account);
        let row = change.listing(facts, newcomer.joined, join_seq, is_owner);
        change.joined.push((newcomer.account.clone(), row));
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        group: &mut Group,
        accounts: &[AccountId],
        change: &mut Change,
    ) -> Result<(), DiskError> {
        for account in accounts {
            let Some(row) = self.writer.member_key(change.slot, change.gno, account)? else {
                panic!("{account} is removed from group {} but is no member", change.id);
            };
            group.learn(account.clone(), Some(member_of(&row)));
            self.writer.delete_member(change.slot, change.gno, account, row)?;
            change.left.push(account.clone());
        }
        Ok(())
    }

    /// A member that the log says is one; the group knows it afterwards.
    fn stored(&self, group: &mut Group, account: &AccountId, change: &Change) -> Result<Stored, DiskError> {
        let Some(stored) = self.writer.stored(change.slot, change.gno, account)? else {
            panic!("{account} of group {} is changed but is no member", change.id);
        };
        group.learn(account.clone(), Some(member_of(&stored.key)));
        Ok(stored)
    }

    pub(super) fn change_member(
        &mut self,
        group: &mut Group,
        account: &AccountId,
        changes: &[MemberChange],
        change: &Change,
    ) -> Result<(), DiskError> {
        let (slot, gno) = (change.slot, change.gno);
        let mut stored = self.stored(group, account, change)?;
        for field in changes {
            match field {
                MemberChange::Role(role) => self.writer.change_role(slot, gno, &mut stored, *role),
                MemberChange::MsgFlag(flag) => stored.row.msg_flag = msg_flag_byte(*flag),
                MemberChange::NameCard(text) => stored.row.name_card.clone_from(text),
                MemberChange::Custom(field) => set_custom(&mut stored.row.custom, field),
            }
        }
        self.writer.put_member_row(slot, gno, &stored);
        Ok(())
    }

    pub(super) fn change_owner(
        &mut self,
        group: &mut Group,
        account: &AccountId,
        role: Role,
        change: &mut Change,
    ) -> Result<(), DiskError> {
        let (slot, gno) = (change.slot, change.gno);
        let mut stored = self.stored(group, account, change)?;
        self.writer.change_role(slot, gno, &mut stored, role);
        self.writer.put_member_row(slot, gno, &stored);
        let joined = Stamp(stored.row.joined);
        let row = change.listing(group.facts(), joined, stored.key.join_seq, role == Role::Owner);
        change.relisted.push((account.clone(), row));
        Ok(())
    }

    /// Nobody's joined list shows it: ordinary members of a live room are not stored, and neither is this membership.
    pub(super) fn change_live_admins(
        &mut self,
        group: &mut Group,
        appointed: &[AccountId],
        dismissed: &[AccountId],
        at: Stamp,
        change: &Change,
    ) -> Result<(), DiskError> {
        let (slot, gno) = (change.slot, change.gno);
        for (account, join_seq) in appointed.iter().zip(group.facts().next_join_seq..) {
            let mute_until = self.mute_that_held(account, change)?;
            let newcomer = Newcomer { account, role: Role::Admin, joined: at, msg_seq: 0, mute_until, custom: &[] };
            self.writer.insert_member(slot, gno, join_seq, &newcomer)?;
        }
        for account in dismissed {
            let Some(admin) = self.writer.member_key(slot, gno, account)? else {
                panic!("{account} of live room {} is dismissed but is no admin", change.id);
            };
            group.learn(account.clone(), Some(member_of(&admin)));
            self.writer.delete_live_admin(slot, gno, account, admin);
        }
        Ok(())
    }
}
