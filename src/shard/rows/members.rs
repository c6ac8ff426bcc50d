//! The rows of one member: by name, by place and by role; and the counters of places that were left.

use muster_cluster::{DiskError, Slot};

use super::Writer;
use crate::group::{CustomField, Role};
use crate::id::{AccountId, Gno};
use crate::shard::codes::{role_byte, role_of};
use crate::store::keys::LEFT_BITS;
use crate::store::{MemberKey, MemberRow, decode, encode};
use crate::time::Stamp;

/// An account as it becomes a member.
pub(in crate::shard) struct Newcomer<'a> {
    pub account: &'a AccountId,
    pub role: Role,
    pub joined: Stamp,
    pub msg_seq: u64,
    /// Unix seconds; 0 not muted.
    pub mute_until: u64,
    pub custom: &'a [CustomField],
}

/// A member as its two rows have it.
pub(in crate::shard) struct Stored {
    pub key: MemberKey,
    pub row: MemberRow,
}

impl Writer<'_, '_> {
    pub fn member_key(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Option<MemberKey>, DiskError> {
        self.tx.read(&self.keys.member_key(slot, gno, account), decode::<MemberKey>)
    }

    /// # Panics
    /// If a member is known by name and not by place.
    pub fn stored(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Option<Stored>, DiskError> {
        let Some(key) = self.member_key(slot, gno, account)? else { return Ok(None) };
        let row = self.tx.read(&self.keys.member(slot, gno, key.join_seq), MemberRow::decode)?;
        let row = row.unwrap_or_else(|| panic!("{account} of gno {gno} has no row at {}", key.join_seq));
        Ok(Some(Stored { key, row }))
    }

    pub fn put_member_row(&mut self, slot: Slot, gno: Gno, stored: &Stored) {
        self.tx.put(self.keys.member(slot, gno, stored.key.join_seq), encode(&stored.row));
    }

    pub fn put_member_key(&mut self, slot: Slot, gno: Gno, stored: &Stored) {
        self.tx.put(self.keys.member_key(slot, gno, &stored.row.account.0), encode(&stored.key));
    }

    /// Gives a member another role by name and in the index; the row by place is the caller's to put.
    pub fn change_role(&mut self, slot: Slot, gno: Gno, stored: &mut Stored, role: Role) {
        self.delete_role(slot, gno, stored.key);
        (stored.key.role, stored.row.role) = (role_byte(role), role_byte(role));
        self.put_role(slot, gno, role, stored.key.join_seq, &stored.row.account.0);
        self.put_member_key(slot, gno, stored);
    }

    fn put_role(&mut self, slot: Slot, gno: Gno, role: Role, join_seq: u64, account: &AccountId) {
        if role != Role::Member {
            let key = self.keys.role(slot, gno, role_byte(role), join_seq);
            self.tx.put(key, account.as_str().as_bytes().to_vec());
        }
    }

    fn delete_role(&mut self, slot: Slot, gno: Gno, member: MemberKey) {
        if role_of(member.role) != Role::Member {
            self.tx.delete(self.keys.role(slot, gno, member.role, member.join_seq));
        }
    }

    fn count_left(&mut self, slot: Slot, gno: Gno, join_seq: u64) -> Result<(), DiskError> {
        for bits in LEFT_BITS {
            let key = self.keys.left(slot, gno, bits, join_seq);
            let count = match self.left.get(&key) {
                Some(count) => *count,
                None => self.tx.read(&key, decode::<u32>)?.unwrap_or(0),
            };
            self.left.insert(key, count + 1);
        }
        Ok(())
    }

    /// # Panics
    /// If the account is a member already: the log says it joins, so the rows are wrong.
    pub fn insert_member(
        &mut self,
        slot: Slot,
        gno: Gno,
        join_seq: u64,
        newcomer: &Newcomer<'_>,
    ) -> Result<(), DiskError> {
        let Newcomer { account, role, mute_until, .. } = *newcomer;
        let key = self.keys.member_key(slot, gno, account);
        if let Some(present) = self.tx.read(&key, decode::<MemberKey>)? {
            panic!("{account} joins gno {gno} at {join_seq} but is a member since {}", present.join_seq);
        }
        self.tx.put(key, encode(&MemberKey { join_seq, role: role_byte(role), mute_until }));
        let row = MemberRow {
            account: account.clone().into(),
            role: role_byte(role),
            joined: newcomer.joined.0,
            msg_seq: newcomer.msg_seq,
            msg_flag: 0,
            last_send: 0,
            mute_until,
            name_card: String::new(),
            custom: newcomer.custom.to_vec(),
        };
        self.tx.put(self.keys.member(slot, gno, join_seq), encode(&row));
        self.put_role(slot, gno, role, join_seq, account);
        Ok(())
    }

    pub fn delete_member(
        &mut self,
        slot: Slot,
        gno: Gno,
        account: &AccountId,
        member: MemberKey,
    ) -> Result<(), DiskError> {
        self.delete_live_admin(slot, gno, account, member);
        self.count_left(slot, gno, member.join_seq)
    }

    /// The same of an admin of a live room, whose place nobody counts.
    pub fn delete_live_admin(&mut self, slot: Slot, gno: Gno, account: &AccountId, member: MemberKey) {
        self.tx.delete(self.keys.member_key(slot, gno, account));
        self.tx.delete(self.keys.member(slot, gno, member.join_seq));
        self.delete_role(slot, gno, member);
    }

    /// Writes a group's counters that were kept back: its rows are to be walked over, and there must be as many of them
    /// whatever else is in this apply.
    pub fn settle_left(&mut self, slot: Slot, gno: Gno) {
        let (from, to) = self.keys.all_left(slot, gno);
        for (key, count) in self.left.extract_if(|key, _| from <= *key && *key < to) {
            self.tx.put(key, encode(&count));
        }
    }
}
