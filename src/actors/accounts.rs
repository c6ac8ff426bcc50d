//! Which accounts exist, and what the front door may ask about that.
//!
//! Accounts lie in the shards that their names hash to, so a request that names several touches several shards, each
//! of which carries out its part in one entry. Source: docs/spec/accounts.md, docs/spec/errors.md 6.

use std::time::Instant;

use futures::FutureExt;
use futures::future::{join_all, try_join_all};
use muster_cluster::{DiskError, Rows, ShardId};
use rustc_hash::FxHashMap;

use super::quota::must_exist;
use super::registry::Route;
use super::service::{unreadable, within};
use super::{ReadError, Service, SubmitError};
use crate::group::Command;
use crate::id::{AccountId, AppId};
use crate::shard::{IdentityChange, Looks, identities, slot_of_account};

/// Who exists besides those who were imported.
#[derive(Debug)]
pub struct Existing {
    /// Everybody does, from the first mention.
    pub everybody: bool,
    /// Those whom the configuration names.
    pub configured: FxHashMap<AppId, Vec<AccountId>>,
}

impl Default for Existing {
    fn default() -> Self {
        Self { everybody: true, configured: FxHashMap::default() }
    }
}

/// An account to be imported; a text of `None` is left as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportAccount {
    pub account: AccountId,
    pub nick: Option<String>,
    pub face_url: Option<String>,
}

impl Service {
    /// Makes accounts known: whoever gets `Ok` is, also after a crash. One result per account, in that order.
    ///
    /// # Errors
    /// [`SubmitError`] for each account whose shard did not answer; never `Refused`. Importing again does no harm.
    pub async fn import_accounts(
        &self,
        app: AppId,
        accounts: Vec<ImportAccount>,
        deadline: Instant,
    ) -> Vec<Result<(), SubmitError>> {
        let imported = |import: ImportAccount| IdentityChange::imported(import.account, import.nick, import.face_url);
        let changes = accounts.into_iter().map(imported).collect();
        let results = self.change_accounts(app, changes, deadline).await;
        results.into_iter().map(|result| result.map(|_| ())).collect()
    }

    /// Forgets accounts; groups keep them as members until somebody removes them. One result per account, in that
    /// order: whether it had been imported.
    ///
    /// # Errors
    /// As [`Service::import_accounts`].
    pub async fn delete_accounts(
        &self,
        app: AppId,
        accounts: Vec<AccountId>,
        deadline: Instant,
    ) -> Vec<Result<bool, SubmitError>> {
        self.change_accounts(app, accounts.into_iter().map(IdentityChange::deleted).collect(), deadline).await
    }

    /// Carries changes out, all shards at the same time; for each whether the account was known before.
    async fn change_accounts(
        &self,
        app: AppId,
        changes: Vec<IdentityChange>,
        deadline: Instant,
    ) -> Vec<Result<bool, SubmitError>> {
        let mut results = vec![Ok(true); changes.len()];
        let mut asked = Vec::new();
        for (shard, places) in self.by_shard(app, changes.iter().map(IdentityChange::account)) {
            let of_shard = places.iter().map(|place| changes[*place].clone()).collect();
            asked.push(self.change_of_shard(shard, app, of_shard, deadline).map(|outcome| (places, outcome)));
        }
        for (places, outcome) in join_all(asked).await {
            match outcome {
                Ok(unknown) => unknown.into_iter().for_each(|position| results[places[position]] = Ok(false)),
                Err(error) => places.into_iter().for_each(|place| results[place] = Err(error.clone())),
            }
        }
        results
    }

    /// At the leader of the shard, wherever it is.
    async fn change_of_shard(
        &self,
        shard: ShardId,
        app: AppId,
        changes: Vec<IdentityChange>,
        deadline: Instant,
    ) -> Result<Vec<usize>, SubmitError> {
        if self.neighbours.is_here(shard) {
            self.takes_writes()?;
        }
        self.neighbours.change_accounts(shard, app, changes, deadline).await
    }

    /// Reads whether accounts exist, in that order. Where everybody does, those are meant of whom something is
    /// stored: they were imported, or have been in a group.
    ///
    /// # Errors
    /// [`ReadError`], without an answer for any of them.
    pub async fn accounts_known(
        &self,
        app: AppId,
        accounts: &[AccountId],
        deadline: Instant,
    ) -> Result<Vec<bool>, ReadError> {
        let accounts: Vec<&AccountId> = accounts.iter().collect();
        within(deadline, self.known(app, &accounts)).await
    }

    async fn known(&self, app: AppId, accounts: &[&AccountId]) -> Result<Vec<bool>, ReadError> {
        let by_mention = self.existing.everybody;
        let ready = |route: Route| async move {
            if by_mention {
                // A mention comes from the group's shard, as a message.
                let settled = self.neighbours.settle(route.shard).await?;
                self.neighbours.catch_up(route.shard, settled).await
            } else {
                Self::barrier(&route).await
            }
        };
        let read = |rows: &Rows, named: &[&AccountId]| identities::known(rows, app, named, by_mention);
        let mut known = self.read_each(app, accounts, ready, read).await?;
        for (known, account) in known.iter_mut().zip(accounts) {
            *known |= self.is_configured(app, account);
        }
        Ok(known)
    }

    /// Reads what accounts look like, in that order.
    pub(super) async fn looks(&self, app: AppId, accounts: &[&AccountId]) -> Result<Vec<Looks>, ReadError> {
        let read = |rows: &Rows, named: &[&AccountId]| identities::looks(rows, app, named);
        self.read_each(app, accounts, |route: Route| async move { self.fresh(&route).await }, read).await
    }

    /// Reads something of each account where it lies, in that order, once the rows of all their shards are ready.
    async fn read_each<T: Clone + Default, R: Future<Output = Result<(), ReadError>>>(
        &self,
        app: AppId,
        accounts: &[&AccountId],
        ready: impl Fn(Route) -> R,
        read: impl Fn(&Rows, &[&AccountId]) -> Result<Vec<T>, DiskError>,
    ) -> Result<Vec<T>, ReadError> {
        let by_shard = self.by_shard(app, accounts.iter().copied());
        let routing = self.routing.load_full();
        let route = |shard: ShardId| routing.routes()[usize::from(shard.0)].clone();
        let by_route: Vec<(Route, Vec<usize>)> =
            by_shard.into_iter().map(|(shard, places)| (route(shard), places)).collect();
        // All at once: each is one round for its shard, and none waits for another.
        let waits: Vec<R> = by_route.iter().map(|(route, _)| ready(route.clone())).collect();
        try_join_all(waits).await?;
        let mut all = vec![T::default(); accounts.len()];
        for (route, places) in by_route {
            let named: Vec<&AccountId> = places.iter().map(|place| accounts[*place]).collect();
            let found = read(&route.rows, &named).map_err(unreadable)?;
            places.into_iter().zip(found).for_each(|(place, found)| all[place] = found);
        }
        Ok(all)
    }

    /// The accounts that a command relies on and that do not exist; where everybody exists this costs nothing.
    pub(super) async fn unknown_to(
        &self,
        app: AppId,
        command: &Command,
        deadline: Instant,
    ) -> Result<Vec<AccountId>, SubmitError> {
        if self.existing.everybody {
            return Ok(Vec::new());
        }
        let mut accounts = must_exist(command);
        accounts.retain(|account| !self.is_configured(app, account));
        let known = within(deadline, self.known(app, &accounts)).await.map_err(|error| match error {
            ReadError::Overloaded { what } => SubmitError::Overloaded { what },
            ReadError::Unavailable { what } => SubmitError::Unavailable { what },
            ReadError::NoSuchGroup | ReadError::NotSupported => {
                SubmitError::Unavailable { what: "accounts cannot be looked up" }
            }
        })?;
        Ok(accounts.into_iter().zip(known).filter(|(_, known)| !known).map(|(account, _)| account.clone()).collect())
    }

    fn is_configured(&self, app: AppId, account: &AccountId) -> bool {
        self.existing.configured.get(&app).is_some_and(|accounts| accounts.contains(account))
    }

    /// The shards that accounts lie in, each with the places of its accounts in the list.
    fn by_shard<'a>(&self, app: AppId, accounts: impl Iterator<Item = &'a AccountId>) -> Vec<(ShardId, Vec<usize>)> {
        let routing = self.routing.load();
        let mut by_shard: Vec<(ShardId, Vec<usize>)> = Vec::new();
        for (place, account) in accounts.enumerate() {
            let shard = routing.route(slot_of_account(app, account)).shard;
            match by_shard.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, places)) => places.push(place),
                None => by_shard.push((shard, vec![place])),
            }
        }
        by_shard
    }
}
