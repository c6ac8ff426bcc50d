//! Single rows of a shard, for those who decide: from memory where an arbiter asks, from the disk where it may wait.

use std::collections::BTreeMap;

use muster_cluster::{DiskError, Lookup, Rows, ShardId, Slot, shard_of_slot};
use serde::de::DeserializeOwned;

use super::codes::{Head, card_of, kind_byte, member_of};
use super::requests::buckets_searched;
use crate::group::{Card, Kind, Member, Profile, Restriction};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys::{self, RequestName, slot_of_app, slot_of_group, slot_of_quota};
use crate::store::{
    AccountHeader, BanRow, GroupHeader, Key, Keys, MemberKey, MemberRow, ProfileRow, RequestAnswer, RequestRow, decode,
};
use crate::time::Stamp;

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

/// The shard that holds places in the limits of an app as a whole, among so many.
pub fn shard_of_app(app: AppId, shards: u16) -> ShardId {
    shard_of_slot(slot_of_app(app), shards)
}

/// Looks single rows up. What ends in `_now` answers from memory or says that only the disk can tell.
#[derive(Clone)]
pub struct Lookups {
    rows: Rows,
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
        Self { rows }
    }

    /// Of the generation that the rows have now: a follower may be filled anew.
    fn keys(&self) -> Keys {
        Keys::new(self.rows.generation())
    }

    /// # Errors
    /// A row that cannot be read; so everywhere here.
    pub fn header_now(&self, app: AppId, group: &GroupId) -> Result<Lookup<Head>, DiskError> {
        Ok(map(self.rows.read_cached(&self.keys().header(app, group), decode::<GroupHeader>)?, Head::from))
    }

    pub fn header(&self, app: AppId, group: &GroupId) -> Result<Option<Head>, DiskError> {
        Ok(self.rows.read(&self.keys().header(app, group), decode::<GroupHeader>)?.map(Head::from))
    }

    pub fn profile_now(&self, slot: Slot, gno: Gno) -> Result<Lookup<Profile>, DiskError> {
        Ok(map(self.rows.read_cached(&self.keys().profile(slot, gno), decode::<ProfileRow>)?, Profile::from))
    }

    pub fn profile(&self, slot: Slot, gno: Gno) -> Result<Option<Profile>, DiskError> {
        Ok(self.rows.read(&self.keys().profile(slot, gno), decode::<ProfileRow>)?.map(Profile::from))
    }

    pub fn member_now(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Lookup<Member>, DiskError> {
        let key = self.keys().member_key(slot, gno, account);
        Ok(map(self.rows.read_cached(&key, decode::<MemberKey>)?, |row| member_of(&row)))
    }

    pub fn member(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Option<Member>, DiskError> {
        let key = self.keys().member_key(slot, gno, account);
        Ok(self.rows.read(&key, decode::<MemberKey>)?.map(|row| member_of(&row)))
    }

    /// What a member of a group of that kind looks like, by its place in join order.
    pub fn card_now(&self, slot: Slot, gno: Gno, join_seq: u64, kind: Kind) -> Result<Lookup<Card>, DiskError> {
        let key = self.keys().member(slot, gno, join_seq);
        Ok(map(self.rows.read_cached(&key, MemberRow::decode)?, |row| card_of(row, kind)))
    }

    pub fn card(&self, slot: Slot, gno: Gno, join_seq: u64, kind: Kind) -> Result<Option<Card>, DiskError> {
        let key = self.keys().member(slot, gno, join_seq);
        Ok(self.rows.read(&key, MemberRow::decode)?.map(|row| card_of(row, kind)))
    }

    /// Unix seconds until which an account is muted, member or not; may be over. `Absent`: it has no row.
    pub fn muted_until_now(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Lookup<u64>, DiskError> {
        self.rows.read_cached(&self.keys().mute(slot, gno, account), decode::<u64>)
    }

    /// The same; 0: it has no row.
    pub fn muted_until(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<u64, DiskError> {
        Ok(self.rows.read(&self.keys().mute(slot, gno, account), decode::<u64>)?.unwrap_or(0))
    }

    /// Unix seconds until which an account is banned; may be over. `Absent`: it has no row.
    pub fn banned_until_now(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Lookup<u64>, DiskError> {
        self.rows.read_cached(&self.keys().ban(slot, gno, account), |bytes| decode::<BanRow>(bytes).until)
    }

    /// The same; 0: it has no row.
    pub fn banned_until(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<u64, DiskError> {
        let key = self.keys().ban(slot, gno, account);
        Ok(self.rows.read(&key, |bytes| decode::<BanRow>(bytes).until)?.unwrap_or(0))
    }

    /// What an account may not do; never `Absent`. Only a live room has bans.
    pub fn restriction_now(
        &self,
        slot: Slot,
        gno: Gno,
        account: &AccountId,
        kind: Kind,
    ) -> Result<Lookup<Restriction>, DiskError> {
        let until = |lookup| match lookup {
            Lookup::Found(until) => Some(until),
            Lookup::Absent => Some(0),
            Lookup::Cold => None,
        };
        let muted = until(self.muted_until_now(slot, gno, account)?);
        let banned = match kind {
            Kind::AvChatRoom => until(self.banned_until_now(slot, gno, account)?),
            _ => Some(0),
        };
        Ok(match muted.zip(banned) {
            Some((muted_until, banned_until)) => Lookup::Found(Restriction { muted_until, banned_until }),
            None => Lookup::Cold,
        })
    }

    pub fn restriction(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Restriction, DiskError> {
        Ok(Restriction {
            muted_until: self.muted_until(slot, gno, account)?,
            banned_until: self.banned_until(slot, gno, account)?,
        })
    }

    /// All attributes of a group. There is no form that ends in `_now`: a scan cannot say what it would read.
    pub fn attributes(&self, slot: Slot, gno: Gno) -> Result<BTreeMap<String, String>, DiskError> {
        self.named(self.keys().attributes(slot, gno))
    }

    /// All counters of a group.
    pub fn counters(&self, slot: Slot, gno: Gno) -> Result<BTreeMap<String, i64>, DiskError> {
        self.named(self.keys().counters(slot, gno))
    }

    /// Newest applied values, as single rows give them: a view may be older than the header that was read before.
    fn named<V: DeserializeOwned>(&self, (from, to): (Vec<u8>, Vec<u8>)) -> Result<BTreeMap<String, V>, DiskError> {
        let rows = self.rows.scan_newest(&from, &to, usize::MAX)?;
        let named = rows.into_iter().filter_map(|(key, value)| match Key::parse(&key)? {
            Key::Attribute { name, .. } | Key::Counter { name, .. } => Some((name, decode(&value))),
            _ => None,
        });
        Ok(named.collect())
    }

    /// Groups of an app, of these kinds, in this shard, which must be `shard`.
    pub fn groups(&self, shard: ShardId, app: AppId, kinds: &[Kind]) -> Result<u64, DiskError> {
        let mut sum = 0;
        for kind in kinds {
            sum += self.rows.read(&self.keys().census(shard, app, kind_byte(*kind)), decode::<u64>)?.unwrap_or(0);
        }
        Ok(sum)
    }

    /// Joined groups of an account; `Absent`: none yet.
    pub fn joined_count_now(&self, app: AppId, account: &AccountId) -> Result<Lookup<u64>, DiskError> {
        let key = self.keys().account(app, account);
        Ok(map(self.rows.read_cached(&key, decode::<AccountHeader>)?, |row| row.joined_count))
    }

    pub fn joined_count(&self, app: AppId, account: &AccountId) -> Result<u64, DiskError> {
        let key = self.keys().account(app, account);
        Ok(self.rows.read(&key, decode::<AccountHeader>)?.unwrap_or_default().joined_count)
    }

    /// What became of a request by now; `group` is `None` for a minted id.
    pub fn request_now(
        &self,
        shard: ShardId,
        name: RequestName<'_>,
        at: Stamp,
    ) -> Result<Lookup<RequestAnswer>, DiskError> {
        let mut is_cold = false;
        for bucket in buckets_searched(at) {
            let key = self.keys().request(shard, bucket, name);
            match self.rows.read_cached(&key, decode::<RequestRow>)? {
                Lookup::Found(row) => return Ok(Lookup::Found(row.answer)),
                Lookup::Absent => {}
                Lookup::Cold => is_cold = true,
            }
        }
        Ok(if is_cold { Lookup::Cold } else { Lookup::Absent })
    }

    pub fn request(
        &self,
        shard: ShardId,
        name: RequestName<'_>,
        at: Stamp,
    ) -> Result<Option<RequestAnswer>, DiskError> {
        for bucket in buckets_searched(at) {
            let key = self.keys().request(shard, bucket, name);
            if let Some(row) = self.rows.read(&key, decode::<RequestRow>)? {
                return Ok(Some(row.answer));
            }
        }
        Ok(None)
    }

    /// Groups made that day less groups disbanded.
    pub fn net_groups(&self, app: AppId, day: i32) -> Result<i64, DiskError> {
        Ok(self.rows.read(&self.keys().quota(app, day), decode::<i64>)?.unwrap_or(0))
    }
}
