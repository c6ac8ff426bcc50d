//! Single rows of a shard, for those who decide: from memory where an arbiter asks, from the disk where it may wait.

use muster_cluster::{DiskError, Lookup, Rows, ShardId, Slot, shard_of_slot};

use super::codes::{Head, member_of};
use crate::group::{Member, Profile};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys::{self, slot_of_group, slot_of_quota};
use crate::store::{AccountHeader, GroupHeader, Keys, MemberKey, ProfileRow, decode};

/// The slot of a group.
pub fn slot_of(app: AppId, group: &GroupId) -> Slot {
    slot_of_group(app, group)
}

/// The slot of an account.
pub fn slot_of_account(app: AppId, account: &AccountId) -> Slot {
    keys::slot_of_account(app, account)
}

/// The shard of an account, among so many.
pub fn shard_of_account(app: AppId, account: &AccountId, shards: u16) -> ShardId {
    shard_of_slot(slot_of_account(app, account), shards)
}

/// The shard that holds an app's quota of one day, among so many.
pub fn shard_of_quota(app: AppId, day: i32, shards: u16) -> ShardId {
    shard_of_slot(slot_of_quota(app, day), shards)
}

/// Looks single rows up. What ends in `_now` answers from memory or says that only the disk can tell.
#[derive(Clone)]
pub struct Lookups {
    rows: Rows,
    keys: Keys,
}

/// One of the three answers, with another value in it.
fn map<T, U>(lookup: Lookup<T>, with: impl FnOnce(T) -> U) -> Lookup<U> {
    match lookup {
        Lookup::Found(value) => Lookup::Found(with(value)),
        Lookup::Absent => Lookup::Absent,
        Lookup::Cold => Lookup::Cold,
    }
}

impl Lookups {
    pub fn new(rows: Rows) -> Self {
        let keys = Keys::new(rows.generation());
        Self { rows, keys }
    }

    /// # Errors
    /// A row that cannot be read; so everywhere here.
    pub fn header_now(&self, app: AppId, group: &GroupId) -> Result<Lookup<Head>, DiskError> {
        Ok(map(self.rows.read_cached(&self.keys.header(app, group), decode::<GroupHeader>)?, Head::from))
    }

    pub fn header(&self, app: AppId, group: &GroupId) -> Result<Option<Head>, DiskError> {
        Ok(self.rows.read(&self.keys.header(app, group), decode::<GroupHeader>)?.map(Head::from))
    }

    pub fn profile_now(&self, slot: Slot, gno: Gno) -> Result<Lookup<Profile>, DiskError> {
        Ok(map(self.rows.read_cached(&self.keys.profile(slot, gno), decode::<ProfileRow>)?, Profile::from))
    }

    pub fn profile(&self, slot: Slot, gno: Gno) -> Result<Option<Profile>, DiskError> {
        Ok(self.rows.read(&self.keys.profile(slot, gno), decode::<ProfileRow>)?.map(Profile::from))
    }

    pub fn member_now(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Lookup<Member>, DiskError> {
        let key = self.keys.member_key(slot, gno, account);
        Ok(map(self.rows.read_cached(&key, decode::<MemberKey>)?, |row| member_of(&row)))
    }

    pub fn member(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Option<Member>, DiskError> {
        let key = self.keys.member_key(slot, gno, account);
        Ok(self.rows.read(&key, decode::<MemberKey>)?.map(|row| member_of(&row)))
    }

    /// Joined groups of an account; `Absent`: none yet.
    pub fn joined_count_now(&self, app: AppId, account: &AccountId) -> Result<Lookup<u64>, DiskError> {
        let key = self.keys.account(app, account);
        Ok(map(self.rows.read_cached(&key, decode::<AccountHeader>)?, |row| row.joined_count))
    }

    pub fn joined_count(&self, app: AppId, account: &AccountId) -> Result<u64, DiskError> {
        let key = self.keys.account(app, account);
        Ok(self.rows.read(&key, decode::<AccountHeader>)?.unwrap_or_default().joined_count)
    }

    /// Groups made that day less groups disbanded.
    pub fn net_groups(&self, app: AppId, day: i32) -> Result<i64, DiskError> {
        Ok(self.rows.read(&self.keys.quota(app, day), decode::<i64>)?.unwrap_or(0))
    }
}
