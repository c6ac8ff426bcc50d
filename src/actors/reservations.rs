//! Limits that span shards, held by the leader of the shard where the count is.
//!
//! A place is held from the moment it is asked for until its settling message changes the count, it is given back,
//! or [`HELD_FOR`] has passed. The answer rests on committed count + places held, so concurrent callers cannot
//! both have the last one.

use std::time::{Duration, Instant};

use muster_cluster::DiskError;
use rustc_hash::FxHashMap;

use super::message::{Cancel, Grant};
use crate::group::Limits;
use crate::id::{AccountId, AppId};
use crate::shard::Lookups;

/// A place that is neither settled nor given back by then is free again.
const HELD_FOR: Duration = Duration::from_secs(10);

/// Places held of one limit: when each falls back.
type Held = Vec<Instant>;

/// Places held in one leadership.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    accounts: FxHashMap<(AppId, AccountId), Held>,
    quotas: FxHashMap<(AppId, i32), Held>,
}

impl Reservations {
    /// Holds what there is room for.
    ///
    /// # Errors
    /// A count that cannot be read: nothing is held.
    pub fn grant(
        &mut self,
        lookups: &Lookups,
        app: AppId,
        limits: &Limits,
        accounts: Vec<AccountId>,
        quota_day: Option<i32>,
        now: Instant,
    ) -> Result<Grant, DiskError> {
        let mut grant = Grant::default();
        let mut counts = Vec::with_capacity(accounts.len());
        for account in accounts {
            let joined_count = lookups.joined_count(app, &account)?;
            counts.push((account, joined_count));
        }
        let net = match quota_day {
            Some(day) => lookups.net_groups(app, day)?,
            None => 0,
        };
        for (account, joined_count) in counts {
            let held = self.accounts.entry((app, account.clone())).or_default();
            if limits.groups_per_user > 0 && joined_count + held.len() as u64 >= limits.groups_per_user {
                grant.full.push(account);
            } else {
                held.push(now + HELD_FOR);
                grant.held.push(account);
            }
        }
        if let Some(day) = quota_day {
            let held = self.quotas.entry((app, day)).or_default();
            let limit = i64::try_from(limits.daily_net_groups).unwrap_or(i64::MAX);
            if net.saturating_add(held.len() as i64) >= limit {
                grant.quota_spent = true;
            } else {
                held.push(now + HELD_FOR);
                grant.quota_held = true;
            }
        }
        Ok(grant)
    }

    /// An account's count has changed: the place is counted now.
    pub fn settle_account(&mut self, app: AppId, account: &AccountId) {
        if !self.accounts.is_empty() {
            release(&mut self.accounts, &(app, account.clone()));
        }
    }

    /// A day's count has changed; only a new group had a place.
    pub fn settle_quota(&mut self, app: AppId, day: i32, delta: i64) {
        for _ in 0..delta {
            release(&mut self.quotas, &(app, day));
        }
    }

    pub fn cancel(&mut self, cancel: Cancel) {
        for account in cancel.accounts {
            release(&mut self.accounts, &(cancel.app, account));
        }
        if let Some(day) = cancel.quota_day {
            release(&mut self.quotas, &(cancel.app, day));
        }
    }

    pub fn expire(&mut self, now: Instant) {
        self.accounts.retain(|_, held| {
            held.retain(|until| *until > now);
            !held.is_empty()
        });
        self.quotas.retain(|_, held| {
            held.retain(|until| *until > now);
            !held.is_empty()
        });
    }
}

fn release<K: std::hash::Hash + Eq>(places: &mut FxHashMap<K, Held>, key: &K) {
    if let Some(held) = places.get_mut(key) {
        held.pop();
        if held.is_empty() {
            places.remove(key);
        }
    }
}
