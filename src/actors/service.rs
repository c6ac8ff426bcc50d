//! What the front door may ask of a node: commands, and reads of the committed state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_cluster::{Cluster, DiskError, Health};
use rustc_hash::FxHashMap;

use super::call::call;
use super::disbanding::Disbanding;
use super::host::Recoveries;
use super::message::{GroupKey, SettleInbox, Submit};
use super::mint::Minter;
use super::registry::{Route, Routing};
use super::{GroupView, JoinedGroup, JoinedList, JoinedQuery, MemberPage, MemberQuery};
use crate::group::{Answer, Command, Kind, Limits, Refusal};
use crate::id::{AccountId, AppId, GroupId};
use crate::shard::{Job, reads, slot_of, slot_of_account};
use crate::time::SystemClock;

/// Why a command has no outcome, or a refusing one. The three are told apart on the wire.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The rules said no; nothing happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A queue is full or the node sheds load; nothing happened (60018).
    #[error("overloaded: {what}")]
    Overloaded { what: &'static str },
    /// No leader, no quorum, or the deadline passed before the proposal was made; nothing happened (60008).
    #[error("unavailable: {what}")]
    Unavailable { what: &'static str },
    /// Perhaps something happened (10002, `outcome unknown:`).
    #[error("outcome unknown: {what}")]
    Indeterminate { what: &'static str },
}

/// Why a read has no answer; a read changes nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadError {
    #[error("this group does not exist")]
    NoSuchGroup,
    #[error("not supported by this type of group")]
    NotSupported,
    #[error("overloaded: {what}")]
    Overloaded { what: &'static str },
    #[error("unavailable: {what}")]
    Unavailable { what: &'static str },
}

/// The limits of every app of this node.
pub type AppLimits = Arc<FxHashMap<AppId, Arc<Limits>>>;

/// The node's groups and accounts, as HTTP workers see them. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    routing: Routing,
    cluster: Cluster,
    limits: AppLimits,
    minter: Arc<Minter<SystemClock>>,
    disbanding: Disbanding,
    recovered: Recoveries,
}

const UNREADABLE: ReadError = ReadError::Unavailable { what: "rows cannot be read" };

fn unreadable(error: DiskError) -> ReadError {
    tracing::error!(%error, "rows cannot be read");
    UNREADABLE
}

async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(result) => result,
        Err(_) => Err(ReadError::Unavailable { what: "the deadline passed" }),
    }
}

impl Service {
    pub(crate) fn new(
        routing: Routing,
        cluster: Cluster,
        limits: AppLimits,
        minter: Arc<Minter<SystemClock>>,
        disbanding: Disbanding,
        recovered: Recoveries,
    ) -> Self {
        Self { routing, cluster, limits, minter, disbanding, recovered }
    }

    /// Why this node cannot serve; `None`: it can.
    pub fn not_ready(&self) -> Option<String> {
        match self.cluster.health() {
            Health::Failed { reason } => return Some(format!("storage failed: {reason}")),
            Health::Stalled { millis } => return Some(format!("storage is stalled: a flush takes {millis} ms so far")),
            Health::Serving => {}
        }
        let leaderless = self.routing.load().leaderless();
        if !leaderless.is_empty() {
            return Some(format!("{} shards have no leader here", leaderless.len()));
        }
        let missing = self.recovered.missing();
        (missing > 0).then(|| format!("{missing} shards are recovering"))
    }

    /// Mints an id that no group has had. Source: docs/spec/identifiers.md 5.
    ///
    /// # Errors
    /// [`SubmitError::Unavailable`] while the clock is more than 5 s behind what was minted.
    pub fn mint(&self, kind: Kind) -> Result<GroupId, SubmitError> {
        self.minter.mint(kind).map_err(|error| {
            tracing::error!(%error, "no id can be minted");
            SubmitError::Unavailable { what: "the clock of the node went back" }
        })
    }

    /// Carries a command out: when it returns `Ok`, the change is flushed and every later read sees it.
    ///
    /// # Errors
    /// [`SubmitError`]; only `Indeterminate` may have changed anything.
    pub async fn submit(
        &self,
        app: AppId,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Answer, SubmitError> {
        match self.cluster.health() {
            Health::Serving => {}
            Health::Stalled { .. } => return Err(SubmitError::Overloaded { what: "the disk does not keep up" }),
            Health::Failed { .. } => return Err(SubmitError::Overloaded { what: "the disk takes no writes" }),
        }
        let Some(limits) = self.limits.get(&app).cloned() else {
            return Err(SubmitError::Unavailable { what: "the app is not served here" });
        };
        let (host, leadership) = {
            let routing = self.routing.load();
            let route = routing.route(slot_of(app, &group));
            (route.host.clone(), route.leadership)
        };
        let Some(leadership) = leadership else {
            return Err(SubmitError::Unavailable { what: "no leader is known for the group's shard" });
        };
        let (call, caller) = call(deadline);
        let submit = Submit { key: GroupKey { app, id: group }, command, limits, leadership, call };
        if let Err(error) = host.try_send(submit) {
            let what = match &error {
                actix::dev::SendError::Full(_) => "the shard's mailbox is full",
                actix::dev::SendError::Closed(_) => "the node is stopping",
            };
            return Err(SubmitError::Overloaded { what });
        }
        caller.wait().await
    }

    fn route_of(&self, app: AppId, group: &GroupId) -> Result<Route, ReadError> {
        let routing = self.routing.load();
        let route = routing.route(slot_of(app, group));
        match route.leadership {
            Some(_) => Ok(route.clone()),
            None => Err(ReadError::Unavailable { what: "no leader is known for the group's shard" }),
        }
    }

    async fn barrier(route: &Route) -> Result<(), ReadError> {
        route
            .handle
            .read_barrier()
            .await
            .map_err(|_| ReadError::Unavailable { what: "no leader answers for the shard" })
    }

    /// Reads groups, one result per id in the same order.
    pub async fn groups(
        &self,
        app: AppId,
        ids: &[GroupId],
        with_members: bool,
        deadline: Instant,
    ) -> Vec<Result<GroupView, ReadError>> {
        let mut results = Vec::with_capacity(ids.len());
        for id in ids {
            let read = within(deadline, async {
                let route = self.route_of(app, id)?;
                Self::barrier(&route).await?;
                reads::group(&route.rows, app, id, with_members).map_err(unreadable)?.ok_or(ReadError::NoSuchGroup)
            });
            results.push(read.await);
        }
        results
    }

    /// Reads a page of members.
    ///
    /// # Errors
    /// [`ReadError`]; `NotSupported` for a live room.
    pub async fn members(
        &self,
        app: AppId,
        group: &GroupId,
        query: MemberQuery,
        deadline: Instant,
    ) -> Result<MemberPage, ReadError> {
        within(deadline, async {
            let route = self.route_of(app, group)?;
            Self::barrier(&route).await?;
            let page = reads::members(&route.rows, app, group, &query).map_err(unreadable)?;
            let page = page.ok_or(ReadError::NoSuchGroup)?;
            if !page.kind.stores_members() {
                return Err(ReadError::NotSupported);
            }
            Ok(page)
        })
        .await
    }

    /// Reads what an account has joined; an account nobody has heard of has joined nothing.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn joined(
        &self,
        app: AppId,
        account: &AccountId,
        query: JoinedQuery,
        deadline: Instant,
    ) -> Result<JoinedList, ReadError> {
        within(deadline, async {
            let routing = self.routing.load_full();
            let route = routing.route(slot_of_account(app, account));
            if route.leadership.is_none() {
                return Err(ReadError::Unavailable { what: "no leader is known for the account's shard" });
            }
            if self.recovered.missing() > 0 {
                return Err(ReadError::Unavailable { what: "the node is recovering" });
            }
            // Before the wait: a disband that ends during it may have messages here that are not waited for.
            let ending = self.disbanding.now();
            let (reply, settled) = tokio::sync::oneshot::channel();
            route
                .host
                .try_send(SettleInbox { reply })
                .map_err(|_| ReadError::Overloaded { what: "the shard's mailbox is full" })?;
            settled.await.unwrap_or(Err(ReadError::Unavailable { what: "the leadership of the shard ended" }))?;
            Self::barrier(route).await?;
            let leaves_out =
                |slot, gno| !ending.is_empty() && ending.contains(&(routing.route(slot).shard, Job { slot, gno }));
            let all = reads::joined(&route.rows, app, account, &query, leaves_out).map_err(unreadable)?;
            let (total, page) = reads::page(all, &query);
            if !query.with_group && !query.with_own {
                return Ok(reads::ids_only(total, page));
            }
            let mut groups: Vec<JoinedGroup> = Vec::with_capacity(page.len());
            for joined in page {
                let of_group = self.route_of(app, &joined.row.group.0)?;
                Self::barrier(&of_group).await?;
                groups.extend(reads::joined_group(&of_group.rows, app, account, &joined, &query).map_err(unreadable)?);
            }
            Ok(JoinedList { total, groups })
        })
        .await
    }

    /// Waits until every shard is led here and has recovered, or the time is over.
    pub async fn until_ready(&self, at_most: Duration) -> Result<(), String> {
        let until = Instant::now() + at_most;
        loop {
            match self.not_ready() {
                None => return Ok(()),
                Some(reason) if Instant::now() >= until => return Err(reason),
                Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
