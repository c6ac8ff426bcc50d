//! What the front door may ask of a node: commands, and reads of the committed state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use actix::dev::SendError;
use bytes::Bytes;
use muster_cluster::{Cluster, DiskError, Health, Leadership, NodeId, Rows, ShardId, Slot};
use rustc_hash::{FxHashMap, FxHashSet};

use super::accounts::Existing;
use super::attendant::attend;
use super::call::call;
use super::host::ShardHost;
use super::message::{GroupKey, Submit};
use super::mint::Minter;
use super::neighbours::{Endings, Neighbours};
use super::registry::{Route, RoutesChanged, Routing, RoutingTable};
use super::{
    AllGroupsPage, AllGroupsQuery, BanPage, BanQuery, GroupView, JoinedGroup, JoinedList, JoinedQuery, KeyValues,
    Looks, MemberPage, MemberQuery, MutedList, NamedMembers,
};
use crate::group::{Answer, Command, Kind, Limits, Refusal};
use crate::id::{AccountId, AppId, GroupId};
use crate::shard::reads::{self, Joined};
use crate::shard::{
    ClientRequest, Head, Job, LiveAdmins, RequestAnswer, RequestForm, Version, slot_of, slot_of_account,
};
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
    /// Another node leads the shard, as far as this one knows, and has to be asked; nothing happened.
    #[error("unavailable: node {leader} leads the shard")]
    Elsewhere { leader: NodeId },
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
    pub(super) routing: Routing,
    routes_changed: RoutesChanged,
    cluster: Cluster,
    limits: AppLimits,
    pub(super) existing: Arc<Existing>,
    minter: Arc<Minter<SystemClock>>,
    pub(super) neighbours: Neighbours,
    /// Reads take the rows as they are here.
    is_stale: bool,
}

/// Ids minted in search of one whose shard is led here. Of three nodes one leads a third of the shards: the search fails
/// once in half a million times, and then the request takes the way to another node.
const MINTS_FOR_A_LED_SHARD_MAX: u32 = 32;

const UNREADABLE: ReadError = ReadError::Unavailable { what: "rows cannot be read" };

/// Why a message did not get into the mailbox of a host: nothing happened.
pub(super) fn not_sent<T>(error: &SendError<T>) -> SubmitError {
    SubmitError::Overloaded {
        what: match error {
            SendError::Full(_) => "the shard's mailbox is full",
            SendError::Closed(_) => "the node is stopping",
        },
    }
}

pub(super) fn unreadable(error: DiskError) -> ReadError {
    tracing::error!(%error, "rows cannot be read");
    UNREADABLE
}

pub(super) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(result) => result,
        Err(_) => Err(ReadError::Unavailable { what: "the deadline passed" }),
    }
}

/// Rows that a read walks over on the worker that asks. Short reads are the many, and for them the way to the pool and
/// back costs more than they do; a walk over more of them would hold up every other request of the worker.
const INLINE_ROWS_MAX: u64 = 500;

/// Rows that are read of a joined group, about: its header, its texts, and its member by name and by place.
const ROWS_OF_JOINED: u64 = 4;

/// Reads here if it is about so many rows, else where waiting is allowed.
async fn walk<T: Send + 'static>(
    rows: u64,
    read: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
) -> Result<T, ReadError> {
    match rows <= INLINE_ROWS_MAX {
        true => read().map_err(unreadable),
        false => on_the_pool(read).await,
    }
}

async fn on_the_pool<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(unreadable),
        // Rows that do not decode stop whoever reads them, there as here.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ReadError::Unavailable { what: "the node is stopping" }),
        },
    }
}

impl Service {
    pub(crate) fn new(
        routing: Routing,
        routes_changed: RoutesChanged,
        cluster: Cluster,
        limits: AppLimits,
        minter: Arc<Minter<SystemClock>>,
        neighbours: Neighbours,
    ) -> Self {
        let existing = Arc::default();
        Self { routing, routes_changed, cluster, limits, existing, minter, neighbours, is_stale: false }
    }

    /// Says which accounts exist; unless told, everybody does.
    pub fn with_accounts(self, existing: Existing) -> Self {
        Self { existing: Arc::new(existing), ..self }
    }

    /// Tells of every change of who leads, from now on: to be asked for before a route is looked up, so that a change
    /// in between is not missed.
    pub fn routes_changed(&self) -> RoutesChanged {
        let mut changed = self.routes_changed.clone();
        changed.mark_unchanged();
        changed
    }

    /// The same service, whose reads take the rows as they are here: no leader is asked and nothing is waited for.
    /// [`Service::staleness`] says how far they may be behind. Who exists is still looked up as ever.
    pub fn stale(&self) -> Self {
        Self { is_stale: true, ..self.clone() }
    }

    /// How long ago every change was here that had been acknowledged anywhere by then; `None`: that cannot be said.
    pub fn staleness(&self) -> Option<Duration> {
        let routing = self.routing.load();
        routing
            .routes()
            .iter()
            .map(|route| route.handle.heard())
            .try_fold(Duration::ZERO, |most, of| Some(most.max(of?)))
    }

    /// Whether what is unavailable now may be available in a moment.
    pub fn may_recover(&self) -> bool {
        !matches!(self.cluster.health(), Health::Failed { .. })
    }

    /// Returns when it may be worth asking again for what was unavailable: when somebody leads something new, though not
    /// before `at_least`, and after `at_most` in any case.
    pub async fn until_routes_change(&self, at_least: Duration, at_most: Duration) {
        let mut changed = self.routes_changed();
        let pause = tokio::time::timeout(at_most, async {
            // Leaders change together, as when a node is lost: not everybody is to ask again for each of them.
            tokio::time::sleep(at_least).await;
            if changed.changed().await.is_err() {
                // The registry ended with the node: nothing changes any more.
                std::future::pending::<()>().await;
            }
        });
        let _ = pause.await;
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.cluster.node()
    }

    /// Why this node cannot serve; `None`: it can.
    pub fn not_ready(&self) -> Option<String> {
        match self.cluster.health() {
            Health::Failed { reason } => return Some(format!("storage failed: {reason}")),
            Health::Stalled { millis } => return Some(format!("storage is stalled: a flush takes {millis} ms so far")),
            Health::Serving => {}
        }
        let routing = self.routing.load();
        let leaderless = routing.leaderless(self.cluster.node());
        if !leaderless.is_empty() {
            return Some(format!("{} shards have no leader", leaderless.len()));
        }
        let recovers = |route: &&Route| {
            route.leadership.is_some_and(|led| !self.neighbours.recovered().contains(route.shard, led))
        };
        let missing = routing.routes().iter().filter(recovers).count();
        (missing > 0).then(|| format!("{missing} shards are recovering"))
    }

    /// Mints an id that no group has had, of a shard that is led here if there is one: whoever creates a group without
    /// an id is then answered by the node that it asked. Source: docs/spec/identifiers.md 5.
    ///
    /// # Errors
    /// [`SubmitError::Unavailable`] while the clock is more than 5 s behind what was minted.
    pub fn mint(&self, app: AppId, kind: Kind) -> Result<GroupId, SubmitError> {
        let routing = self.routing.load();
        let is_led_here = |id: &GroupId| routing.route(slot_of(app, id)).leadership.is_some();
        let mint = || {
            self.minter.mint(kind).map_err(|error| {
                tracing::error!(%error, "no id can be minted");
                SubmitError::Unavailable { what: "the clock of the node went back" }
            })
        };
        let mut id = mint()?;
        if routing.routes().iter().all(|route| route.leadership.is_none()) {
            return Ok(id);
        }
        for _ in 1..MINTS_FOR_A_LED_SHARD_MAX {
            if is_led_here(&id) {
                break;
            }
            id = mint()?;
        }
        Ok(id)
    }

    /// Mints an id for a request that carries a name of its caller's: a repeated one gets the id of the first.
    ///
    /// # Errors
    /// As [`Service::mint`], and what [`Service::submit`] says of a change that did not happen: an id that was
    /// recorded and not used is no change.
    pub async fn mint_once(
        &self,
        app: AppId,
        kind: Kind,
        request: ClientRequest,
        deadline: Instant,
    ) -> Result<GroupId, SubmitError> {
        let id = self.mint(app, kind)?;
        let shard = self.routing.load().route(slot_of_account(app, &request.caller)).shard;
        self.mint_at(shard, app, request, id, deadline).await
    }

    /// Gives a request its id at the leader of its caller's shard, wherever it is: `id`, unless it has one.
    ///
    /// # Errors
    /// As [`Service::mint_once`].
    pub(super) async fn mint_at(
        &self,
        shard: ShardId,
        app: AppId,
        request: ClientRequest,
        id: GroupId,
        deadline: Instant,
    ) -> Result<GroupId, SubmitError> {
        let request = RequestForm::new(&request, RequestAnswer::Minted(id.into()));
        self.neighbours.mint(shard, app, request, deadline).await
    }

    /// Answers a call of another node's hosts: one that began with [`HOST_CALL`], given without that byte.
    pub async fn attend(&self, from: NodeId, call: Bytes, deadline: Instant) -> Bytes {
        attend(&self.neighbours, || self.takes_writes(), from, &call, deadline).await
    }

    /// The host of a slot's shard, if it is led here.
    fn leader_of(&self, slot: Slot) -> Result<(Addr<ShardHost>, Leadership), SubmitError> {
        let routing = self.routing.load();
        let route = routing.route(slot);
        match (route.leadership, route.leader) {
            (Some(leadership), _) => Ok((route.host.clone(), leadership)),
            // One that was elected here a moment ago leads once it has applied the first entry of its term.
            (None, Some(leader)) if leader != self.cluster.node() => Err(SubmitError::Elsewhere { leader }),
            (None, _) => Err(SubmitError::Unavailable { what: "no leader is known for the group's shard" }),
        }
    }

    /// Carries a command out: when it returns `Ok`, the change is flushed and every later read sees it.
    ///
    /// A command under a `request` that has been carried out in the last ten minutes is not carried out again: the
    /// first answer is given once more.
    ///
    /// # Errors
    /// [`SubmitError`]; only `Indeterminate` may have changed anything.
    pub async fn submit(
        &self,
        app: AppId,
        group: GroupId,
        command: Command,
        request: Option<ClientRequest>,
        deadline: Instant,
    ) -> Result<Answer, SubmitError> {
        self.takes_writes()?;
        let Some(limits) = self.limits.get(&app).cloned() else {
            return Err(SubmitError::Unavailable { what: "the app is not served here" });
        };
        let unknown = self.unknown_to(app, &command, deadline).await?;
        let (host, leadership) = self.leader_of(slot_of(app, &group))?;
        let (call, caller) = call(deadline);
        let key = GroupKey { app, id: group };
        let submit = Submit { key, command, limits, request, unknown, leadership, call };
        host.try_send(submit).map_err(|error| not_sent(&error))?;
        caller.wait().await
    }

    pub(super) fn takes_writes(&self) -> Result<(), SubmitError> {
        match self.cluster.health() {
            Health::Serving => Ok(()),
            Health::Stalled { .. } => Err(SubmitError::Overloaded { what: "the disk does not keep up" }),
            Health::Failed { .. } => Err(SubmitError::Overloaded { what: "the disk takes no writes" }),
        }
    }

    pub(super) async fn barrier(route: &Route) -> Result<(), ReadError> {
        route
            .handle
            .read_barrier()
            .await
            .map_err(|_| ReadError::Unavailable { what: "no leader answers for the shard" })
    }

    /// Waits until the rows of a shard hold every change acknowledged so far, unless they are taken as they are.
    pub(super) async fn fresh(&self, route: &Route) -> Result<(), ReadError> {
        if self.is_stale { Ok(()) } else { Self::barrier(route).await }
    }

    /// The same for the shards of some slots, all at once: each is one round, and none waits for another.
    async fn fresh_all(&self, routing: &RoutingTable, slots: impl IntoIterator<Item = Slot>) -> Result<(), ReadError> {
        let shards: FxHashSet<ShardId> = slots.into_iter().map(|slot| routing.route(slot).shard).collect();
        let barriers = routing.routes().iter().filter(|route| shards.contains(&route.shard));
        futures::future::try_join_all(barriers.map(|route| self.fresh(route))).await?;
        Ok(())
    }

    /// Waits until the rows of a group are as they are to be read.
    async fn up_to_date(&self, app: AppId, group: &GroupId) -> Result<Route, ReadError> {
        let route = self.routing.load().route(slot_of(app, group)).clone();
        self.fresh(&route).await?;
        Ok(route)
    }

    /// The same, and looks at the group's header.
    async fn current(&self, app: AppId, group: &GroupId) -> Result<(Route, Head), ReadError> {
        let route = self.up_to_date(app, group).await?;
        let head = reads::head(&route.rows, app, group).map_err(unreadable)?.ok_or(ReadError::NoSuchGroup)?;
        Ok((route, head))
    }

    /// The version that a group has now; `None`: there is none of that name.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn version(&self, app: AppId, group: &GroupId, deadline: Instant) -> Result<Option<Version>, ReadError> {
        within(deadline, async {
            let route = self.up_to_date(app, group).await?;
            reads::version(&route.rows, app, group).map_err(unreadable)
        })
        .await
    }

    /// Reads a group, with its members if wanted and if it is small enough to list.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn group(
        &self,
        app: AppId,
        id: &GroupId,
        with_members: bool,
        deadline: Instant,
    ) -> Result<GroupView, ReadError> {
        within(deadline, async {
            if !with_members {
                let route = self.up_to_date(app, id).await?;
                let view = reads::group(&route.rows, app, id, false).map_err(unreadable)?;
                return view.ok_or(ReadError::NoSuchGroup);
            }
            let (route, head) = self.current(app, id).await?;
            let id = id.clone();
            let view = walk(head.facts.member_count.into(), move || reads::group(&route.rows, app, &id, true)).await?;
            view.ok_or(ReadError::NoSuchGroup)
        })
        .await
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
            let (route, head) = self.current(app, group).await?;
            if !head.facts.kind.stores_members() {
                return Err(ReadError::NotSupported);
            }
            let (walked, group) = (reads::members_walked(&head.facts, &query), group.clone());
            let page = walk(walked, move || reads::members(&route.rows, app, &group, &query)).await?;
            page.ok_or(ReadError::NoSuchGroup)
        })
        .await
    }

    /// Reads members by name.
    ///
    /// # Errors
    /// [`ReadError`]; `NotSupported` for a live room.
    pub async fn named_members(
        &self,
        app: AppId,
        group: &GroupId,
        accounts: &[AccountId],
        deadline: Instant,
    ) -> Result<NamedMembers, ReadError> {
        within(deadline, async {
            let (route, head) = self.current(app, group).await?;
            if !head.facts.kind.stores_members() {
                return Err(ReadError::NotSupported);
            }
            // One row by name and one by place.
            let looked_up = 2 * accounts.len() as u64;
            let (group, accounts) = (group.clone(), accounts.to_vec());
            let named = walk(looked_up, move || reads::named_members(&route.rows, app, &group, &accounts)).await?;
            named.ok_or(ReadError::NoSuchGroup)
        })
        .await
    }

    /// Reads who may not speak at `now_secs` (Unix seconds).
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn muted(
        &self,
        app: AppId,
        group: &GroupId,
        now_secs: u64,
        deadline: Instant,
    ) -> Result<MutedList, ReadError> {
        within(deadline, async {
            let (route, head) = self.current(app, group).await?;
            let group = group.clone();
            let list = walk(head.mute_count.into(), move || reads::muted(&route.rows, app, &group, now_secs)).await?;
            list.ok_or(ReadError::NoSuchGroup)
        })
        .await
    }

    /// Reads the attributes of a group.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn attributes(
        &self,
        app: AppId,
        group: &GroupId,
        deadline: Instant,
    ) -> Result<KeyValues<String>, ReadError> {
        within(deadline, async {
            let route = self.up_to_date(app, group).await?;
            // As few as their limit allows; so too the counters.
            reads::attributes(&route.rows, app, group).map_err(unreadable)?.ok_or(ReadError::NoSuchGroup)
        })
        .await
    }

    /// Reads the counters of a group.
    ///
    /// # Errors
    /// [`ReadError`]; `NotSupported` for a community.
    pub async fn counters(&self, app: AppId, group: &GroupId, deadline: Instant) -> Result<KeyValues<i64>, ReadError> {
        within(deadline, async {
            let route = self.up_to_date(app, group).await?;
            let counters = reads::counters(&route.rows, app, group).map_err(unreadable)?;
            let counters = counters.ok_or(ReadError::NoSuchGroup)?;
            match counters.kind {
                Kind::Community => Err(ReadError::NotSupported),
                _ => Ok(counters),
            }
        })
        .await
    }

    /// Reads a page of the bans of a live room.
    ///
    /// # Errors
    /// [`ReadError`]; `NotSupported` for other kinds.
    pub async fn bans(
        &self,
        app: AppId,
        group: &GroupId,
        query: BanQuery,
        deadline: Instant,
    ) -> Result<BanPage, ReadError> {
        within(deadline, async {
            let (route, head) = self.current(app, group).await?;
            if head.facts.kind != Kind::AvChatRoom {
                return Err(ReadError::NotSupported);
            }
            let group = group.clone();
            let page = walk(head.ban_count.into(), move || reads::bans(&route.rows, app, &group, &query)).await?;
            page.ok_or(ReadError::NoSuchGroup)
        })
        .await
    }

    /// Reads the admins of a live room in the order of their appointment, and what they look like.
    ///
    /// # Errors
    /// [`ReadError`]; `NotSupported` for other kinds.
    pub async fn live_admins(
        &self,
        app: AppId,
        group: &GroupId,
        deadline: Instant,
    ) -> Result<Vec<(AccountId, Looks)>, ReadError> {
        within(deadline, async {
            let route = self.up_to_date(app, group).await?;
            let admins = reads::live_admins(&route.rows, app, group).map_err(unreadable)?;
            let LiveAdmins { kind, admins } = admins.ok_or(ReadError::NoSuchGroup)?;
            if kind != Kind::AvChatRoom {
                return Err(ReadError::NotSupported);
            }
            let looks = self.looks(app, &admins.iter().collect::<Vec<_>>()).await?;
            Ok(admins.into_iter().zip(looks).collect())
        })
        .await
    }

    /// Reads a page of all groups of an app.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn all_groups(
        &self,
        app: AppId,
        query: AllGroupsQuery,
        deadline: Instant,
    ) -> Result<AllGroupsPage, ReadError> {
        within(deadline, async {
            let routing = self.routing.load_full();
            // All at once: each is one round for its shard, and none waits for another.
            let barriers = routing.routes().iter().map(|route| self.fresh(route));
            futures::future::try_join_all(barriers).await?;
            // A seek for every slot, whatever the page: always on the pool.
            on_the_pool(move || {
                let shards: Vec<Rows> = routing.routes().iter().map(|route| route.rows.clone()).collect();
                reads::all_groups(&shards, app, &query)
            })
            .await
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
            let shard = routing.route(slot_of_account(app, account)).shard;
            let all = match self.is_stale {
                true => {
                    self.all_joined(&routing, Arc::new(self.neighbours.endings_here()), app, account, &query).await?
                }
                false => self.all_joined_by_now(&routing, shard, app, account, &query).await?,
            };
            let (total, page) = reads::page(all, &query);
            if !query.with_group && !query.with_own {
                return Ok(reads::ids_only(total, page));
            }
            self.fresh_all(&routing, page.iter().map(|joined| joined.slot)).await?;
            let (routing, account) = (routing.clone(), account.clone());
            let groups = walk(ROWS_OF_JOINED * page.len() as u64, move || {
                let group_of = |joined: &Joined| {
                    let rows = &routing.route(joined.slot).rows;
                    reads::joined_group(rows, app, &account, joined, &query).transpose()
                };
                page.iter().filter_map(group_of).collect::<Result<Vec<JoinedGroup>, _>>()
            });
            Ok(JoinedList { total, groups: groups.await? })
        })
        .await
    }

    /// The whole list that matches, with everything that was acknowledged before the call.
    async fn all_joined_by_now(
        &self,
        routing: &Arc<RoutingTable>,
        shard: ShardId,
        app: AppId,
        account: &AccountId,
        query: &JoinedQuery,
    ) -> Result<Vec<Joined>, ReadError> {
        // Who leads the groups' shards says which are ending before the rows are looked at: what has ended by then is
        // in the rows.
        let endings = async { Ok(Arc::new(self.neighbours.endings().await)) };
        let (endings, settled) = futures::try_join!(endings, self.neighbours.settle(shard))?;
        self.neighbours.catch_up(shard, settled).await?;
        let all = self.all_joined(routing, endings.clone(), app, account, query).await?;
        let mut shards: Vec<ShardId> = all.iter().map(|joined| routing.route(joined.slot).shard).collect();
        shards.sort_unstable();
        shards.dedup();
        self.neighbours.confirm_endings(&endings, &shards).await?;
        Ok(all)
    }

    /// The whole list that matches, from the account's rows and, where those do not say, from the groups'.
    async fn all_joined(
        &self,
        routing: &Arc<RoutingTable>,
        endings: Arc<Endings>,
        app: AppId,
        account: &AccountId,
        query: &JoinedQuery,
    ) -> Result<Vec<Joined>, ReadError> {
        let rows = routing.route(slot_of_account(app, account)).rows.clone();
        let count = reads::joined_count(&rows, app, account).map_err(unreadable)?;
        let all = walk(count, {
            let (routing, account, query) = (routing.clone(), account.clone(), query.clone());
            move || {
                let leaves_out = |slot, gno| endings.contains(routing.route(slot).shard, Job { slot, gno });
                reads::joined(&rows, app, &account, &query, leaves_out)
            }
        })
        .await?;
        let Some(has_topics) = query.support_topic else { return Ok(all) };
        let asked: Vec<Slot> = all.iter().filter(|j| j.may_have_topics()).map(|j| j.slot).collect();
        let count = asked.len() as u64;
        self.fresh_all(routing, asked).await?;
        let routing = routing.clone();
        walk(count, move || reads::keep_by_topics(all, |slot| &routing.route(slot).rows, app, has_topics)).await
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
