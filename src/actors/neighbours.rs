//! The hosts of all shards, wherever they are led: in this process, or on another node.
//!
//! Whoever speaks to a shard's host speaks through here and does not care where it is. Who leads is a hint: what
//! reaches a host that leads no more is not heard, and what has to rest on its leadership is confirmed by it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::{Addr, Handler};
use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use muster_cluster::{CallError, Leadership, NodeId, ShardHandle, ShardId};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{oneshot, watch};

use super::call::{Caller, call};
use super::coalesced::Coalesced;
use super::disbanding::{Disbanding, Ending, EndingHere};
use super::host::{Recoveries, ShardHost};
use super::inbox::Held;
use super::line::{Calls, Line};
use super::message::{Cancel, ChangeAccounts, Grant, Mint, Reserve, Reserved, SettleInbox};
use super::registry::Hosted;
use super::service::not_sent;
use super::wire::{self, AnswerForm, Note, QuestionForm, app_limit_bytes, decode_answer, encode_question};
use super::{AppLimits, ReadError, SubmitError};
use crate::group::{AppLimit, Limits};
use crate::id::{AccountId, AppId, GroupId};
use crate::shard::{
    IdentityChange, Job, Lookups, RequestAnswer, RequestForm, shard_of_account, shard_of_app, shard_of_quota,
};

/// How long another node may take to say what many wait for; each of them has a deadline of its own besides.
const ASK_FOR: Duration = Duration::from_secs(2);
/// How long a node waits for its own shards before it says which of them it leads.
pub(super) const CONFIRM_FOR: Duration = Duration::from_secs(1);

const NO_LEADER: ReadError = ReadError::Unavailable { what: "no leader is known for the account's shard" };
const RECOVERING: ReadError = ReadError::Unavailable { what: "the account's shard is recovering" };
const NOT_CONFIRMED: ReadError = ReadError::Unavailable { what: "no leader answers for the shard" };
const NO_ANSWER: ReadError = ReadError::Unavailable { what: "the node that leads the account's shard does not answer" };
const NO_HOLDER: SubmitError = SubmitError::Unavailable { what: "the holder of a limit does not answer" };

/// One shard's replica on this node.
#[derive(Clone)]
pub struct Peer {
    pub host: Addr<ShardHost>,
    pub handle: ShardHandle,
    pub lookups: Lookups,
    pub held: Held,
    leadership: watch::Receiver<Option<Leadership>>,
    leader: watch::Receiver<Option<NodeId>>,
}

impl Peer {
    pub fn new(hosted: &Hosted) -> Self {
        Self {
            host: hosted.host.clone(),
            handle: hosted.handle.clone(),
            lookups: Lookups::new(hosted.handle.rows().clone()),
            held: hosted.held.clone(),
            leadership: hosted.handle.leadership(),
            leader: hosted.handle.leader(),
        }
    }

    /// The leadership of this process, if it has one.
    pub fn leadership(&self) -> Option<Leadership> {
        *self.leadership.borrow()
    }
}

/// Where a shard's host is, as far as is known.
enum Place<'a> {
    Here(&'a Peer),
    There(NodeId),
    Nowhere,
}

/// Shared by the hosts of a node and those who ask them. Cheap to clone.
#[derive(Clone)]
pub struct Neighbours(Arc<Inner>);

struct Inner {
    here: NodeId,
    calls: Calls,
    /// Of this node, by shard; set once all are started.
    peers: OnceLock<Vec<Peer>>,
    limits: AppLimits,
    disbanding: Disbanding,
    recovered: Recoveries,
    /// One for each node that was ever spoken to.
    lines: Mutex<FxHashMap<NodeId, Line>>,
    settling: Coalesced<(NodeId, ShardId), Result<(), ReadError>>,
    endings: Coalesced<NodeId, Option<Arc<EndingThere>>>,
    /// The hosts of this node are spoken to as if they were another's.
    #[cfg(test)]
    calls_itself: bool,
}

/// An account's shard has applied what it had received; what is left to do before its rows are read.
#[derive(Clone, Copy, Debug)]
pub enum Settled {
    /// By this process, which has to confirm that it led.
    Here(Leadership),
    /// By another node: the rows have to catch up.
    There,
}

/// The groups of the shards that another node leads for sure.
#[derive(Debug, Default)]
pub(super) struct EndingThere {
    pub led: Vec<ShardId>,
    pub groups: Ending,
}

/// Groups that joined lists leave out, as those say who lead.
pub struct Endings {
    here: Arc<EndingHere>,
    there: Vec<Arc<EndingThere>>,
}

impl Endings {
    /// Whether the group is left out.
    pub fn contains(&self, shard: ShardId, job: Job) -> bool {
        let group = (shard, job);
        self.here.groups.contains(&group) || self.there.iter().any(|there| there.groups.contains(&group))
    }
}

/// What is asked of the holder of some limits.
pub struct Wanted {
    pub app: AppId,
    pub limits: Arc<Limits>,
    pub accounts: Vec<AccountId>,
    pub quota_day: Option<i32>,
    pub app_limits: Vec<AppLimit>,
}

impl Neighbours {
    pub fn new(here: NodeId, calls: Calls, shards: u16, limits: AppLimits) -> Self {
        Self(Arc::new(Inner {
            here,
            calls,
            peers: OnceLock::new(),
            limits,
            disbanding: Disbanding::default(),
            recovered: Recoveries::new(shards),
            lines: Mutex::default(),
            settling: Coalesced::default(),
            endings: Coalesced::default(),
            #[cfg(test)]
            calls_itself: false,
        }))
    }

    /// The same, where every word and every question travels as a call, to this node itself.
    #[cfg(test)]
    pub fn by_calls_alone(mut self) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.calls_itself = true;
        }
        self
    }

    /// Makes the hosts of this node known to each other, once.
    pub fn introduce(&self, peers: Vec<Peer>) {
        let _ = self.0.peers.set(peers);
    }

    /// The replicas of this node, by shard; none before they are introduced.
    pub fn peers(&self) -> &[Peer] {
        self.0.peers.get().map_or(&[], Vec::as_slice)
    }

    pub fn peer(&self, shard: ShardId) -> Option<&Peer> {
        self.peers().get(usize::from(shard.0))
    }

    pub fn disbanding(&self) -> &Disbanding {
        &self.0.disbanding
    }

    pub fn recovered(&self) -> &Recoveries {
        &self.0.recovered
    }

    pub(super) fn limits_of(&self, app: AppId) -> Option<Arc<Limits>> {
        self.0.limits.get(&app).cloned()
    }

    fn place(&self, shard: ShardId) -> Place<'_> {
        let Some(peer) = self.peer(shard) else { return Place::Nowhere };
        #[cfg(test)]
        if self.0.calls_itself {
            return Place::There(self.0.here);
        }
        if peer.leadership().is_some() {
            return Place::Here(peer);
        }
        match *peer.leader.borrow() {
            Some(leader) if leader != self.0.here => Place::There(leader),
            _ => Place::Nowhere,
        }
    }

    /// Whether this process leads the shard.
    pub fn is_here(&self, shard: ShardId) -> bool {
        matches!(self.place(shard), Place::Here(_))
    }

    /// Says something to a shard's host. Whether it is heard nobody knows: what matters is to be said again.
    pub(super) fn tell<M>(&self, shard: ShardId, message: M)
    where
        M: Note + actix::Message<Result = ()> + Send + 'static,
        ShardHost: Handler<M>,
    {
        match self.place(shard) {
            Place::Here(peer) => peer.host.do_send(message),
            Place::There(node) => self.line(node).say(message.encode(shard)),
            Place::Nowhere => {}
        }
    }

    fn line(&self, node: NodeId) -> Line {
        self.0.lines.lock().entry(node).or_insert_with(|| Line::new(node, self.0.calls.clone())).clone()
    }

    async fn question(&self, node: NodeId, question: QuestionForm, deadline: Instant) -> Result<AnswerForm, CallError> {
        let answer: Bytes = (self.0.calls)(node, encode_question(&question), deadline).await?;
        decode_answer(&answer).map_err(|error| {
            tracing::warn!(%node, %error, "an answer cannot be read");
            CallError::Lost
        })
    }

    /// Gives back what was reserved for a command that changed nothing.
    pub(super) fn cancel(&self, app: AppId, reserved: &Reserved) {
        let shards = self.peers().len() as u16;
        for (account, place) in &reserved.held {
            let cancel = Cancel { accounts: vec![account.clone()], ..Cancel::nothing(app, *place) };
            self.tell(shard_of_account(app, account, shards), cancel);
        }
        if let (Some(place), Some(day)) = (reserved.quota_held, reserved.quota_day) {
            let cancel = Cancel { quota_day: Some(day), ..Cancel::nothing(app, place) };
            self.tell(shard_of_quota(app, day, shards), cancel);
        }
        if !reserved.app_held.is_empty() {
            let app_limits = reserved.app_held.clone();
            self.tell(shard_of_app(app, shards), Cancel { app_limits, ..Cancel::nothing(app, reserved.app_place) });
        }
    }

    /// Gives back places in limits on all groups of an app, as the group they were held for is counted where it is.
    /// `None`: that is done; else it is when the future ends, or falls back by itself.
    pub(super) fn give_back(
        &self,
        app: AppId,
        reserved: &Reserved,
        deadline: Instant,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let shard = shard_of_app(app, self.peers().len() as u16);
        let cancel = Cancel { app_limits: reserved.app_held.clone(), ..Cancel::nothing(app, reserved.app_place) };
        let node = match self.place(shard) {
            Place::Here(peer) => {
                peer.host.do_send(cancel);
                return None;
            }
            Place::There(node) => node,
            Place::Nowhere => return None,
        };
        let neighbours = self.clone();
        Some(async move {
            let question = QuestionForm::GiveBack { shard: shard.0, cancel: (&cancel).into() };
            if let Err(error) = neighbours.question(node, question, deadline).await {
                tracing::debug!(%node, %error, "places in limits of an app fall back by themselves");
            }
        })
    }

    /// Asks the holder of some limits for room.
    ///
    /// # Errors
    /// [`SubmitError`]; places that were held all the same fall back by themselves.
    pub(super) async fn reserve(
        &self,
        shard: ShardId,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<Grant, SubmitError> {
        let Wanted { app, limits, accounts, quota_day, app_limits } = wanted;
        let node = match self.place(shard) {
            Place::Here(peer) => {
                let (reply, answer) = oneshot::channel();
                peer.host.do_send(Reserve { app, limits, accounts, quota_day, app_limits, reply });
                return answer.await.unwrap_or(Err(NO_HOLDER));
            }
            Place::There(node) => node,
            Place::Nowhere => return Err(NO_HOLDER),
        };
        let (accounts, app_limits) = (wire::texts(&accounts), app_limit_bytes(&app_limits));
        let question = QuestionForm::Reserve { shard: shard.0, app: app.0, accounts, quota_day, app_limits };
        match self.question(node, question, deadline).await {
            Ok(AnswerForm::Failed { failure }) => match wire::failure_of(failure) {
                SubmitError::Indeterminate { .. } => Err(NO_HOLDER),
                error => Err(error),
            },
            Ok(answer) => wire::grant_of(answer).ok_or(NO_HOLDER),
            Err(_) => Err(NO_HOLDER),
        }
    }

    /// Gives a request its id, the first time it is asked for; the id of `request` itself unless it has one.
    ///
    /// # Errors
    /// [`SubmitError`]; a record that was made and not used is no change.
    pub(super) async fn mint(
        &self,
        shard: ShardId,
        app: AppId,
        request: RequestForm,
        deadline: Instant,
    ) -> Result<GroupId, SubmitError> {
        let unavailable = |what| Err(SubmitError::Unavailable { what });
        let node = match self.place(shard) {
            Place::Here(_) => return self.mint_here(shard, app, request, deadline).await,
            Place::There(node) => node,
            Place::Nowhere => return unavailable("no leader is known for the caller's shard"),
        };
        let RequestForm { caller, command, id, answer } = request;
        let RequestAnswer::Minted(group) = answer else { return unavailable("a request is given an id alone") };
        let question = QuestionForm::Mint { shard: shard.0, app: app.0, caller, command, id, group };
        match self.question(node, question, deadline).await {
            Ok(AnswerForm::Minted { group }) => Ok(group.0),
            Ok(AnswerForm::Failed { failure: 1 }) => Err(wire::failure_of(1)),
            _ => unavailable("the node that leads the caller's shard does not answer"),
        }
    }

    /// The same, if the shard is led here.
    ///
    /// # Errors
    /// As [`Neighbours::mint`].
    pub(super) async fn mint_here(
        &self,
        shard: ShardId,
        app: AppId,
        request: RequestForm,
        deadline: Instant,
    ) -> Result<GroupId, SubmitError> {
        let (host, leadership) = self.led_here(shard)?;
        let (reply, minted) = oneshot::channel();
        host.try_send(Mint { app, request, leadership, reply }).map_err(|error| not_sent(&error))?;
        match tokio::time::timeout_at(deadline.into(), minted).await {
            Ok(Ok(minted)) => minted,
            Ok(Err(_)) => Err(SubmitError::Unavailable { what: "the leadership of the shard ended" }),
            Err(_) => Err(SubmitError::Unavailable { what: "the deadline passed before the change was proposed" }),
        }
    }

    fn led_here(&self, shard: ShardId) -> Result<(&Addr<ShardHost>, Leadership), SubmitError> {
        let led = self.peer(shard).and_then(|peer| Some((&peer.host, peer.leadership()?)));
        led.ok_or(SubmitError::Unavailable { what: "this node does not lead the shard" })
    }

    /// Imports or forgets accounts of a shard; the answer is the positions of those that were not known before.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub(super) async fn change_accounts(
        &self,
        shard: ShardId,
        app: AppId,
        changes: Vec<IdentityChange>,
        deadline: Instant,
    ) -> Result<Vec<usize>, SubmitError> {
        let node = match self.place(shard) {
            Place::Here(_) => return self.change_accounts_here(shard, app, changes, deadline)?.wait().await,
            Place::There(node) => node,
            Place::Nowhere => {
                return Err(SubmitError::Unavailable { what: "no leader is known for the account's shard" });
            }
        };
        let count = changes.len();
        let question = QuestionForm::ChangeAccounts { shard: shard.0, app: app.0, changes };
        match self.question(node, question, deadline).await {
            Ok(AnswerForm::Changed { unknown }) if unknown.iter().all(|at| (*at as usize) < count) => {
                Ok(unknown.into_iter().map(|at| at as usize).collect())
            }
            Ok(AnswerForm::Failed { failure }) => Err(wire::failure_of(failure)),
            Err(CallError::NotSent) => {
                Err(SubmitError::Unavailable { what: "the node that leads the account's shard cannot be reached" })
            }
            Ok(_) | Err(CallError::Lost) => {
                Err(SubmitError::Indeterminate { what: "the node that leads the account's shard did not answer" })
            }
        }
    }

    /// The same, if the shard is led here.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub(super) fn change_accounts_here(
        &self,
        shard: ShardId,
        app: AppId,
        changes: Vec<IdentityChange>,
        deadline: Instant,
    ) -> Result<Caller<Vec<usize>>, SubmitError> {
        let (host, leadership) = self.led_here(shard)?;
        let (call, caller) = call(deadline);
        host.try_send(ChangeAccounts { app, changes, leadership, call }).map_err(|error| not_sent(&error))?;
        Ok(caller)
    }

    /// Has a shard apply everything that it has received by now, wherever it is led.
    ///
    /// # Errors
    /// [`ReadError`]; also while its leader has not yet heard again of all that earlier ones had received.
    pub async fn settle(&self, shard: ShardId) -> Result<Settled, ReadError> {
        match self.place(shard) {
            Place::Here(peer) => self.settle_here(shard, peer).await.map(Settled::Here),
            Place::There(node) => {
                let neighbours = self.clone();
                let ask = move |(node, shard)| neighbours.clone().settle_there(node, shard);
                self.0.settling.ask((node, shard), ask).await.unwrap_or(Err(NO_ANSWER))?;
                Ok(Settled::There)
            }
            Place::Nowhere => Err(NO_LEADER),
        }
    }

    async fn settle_here(&self, shard: ShardId, peer: &Peer) -> Result<Leadership, ReadError> {
        let leadership = peer.leadership().ok_or(NO_LEADER)?;
        if !self.0.recovered.contains(shard, leadership) {
            return Err(RECOVERING);
        }
        if !peer.held.is_none() {
            let (reply, settled) = oneshot::channel();
            let full = |_| ReadError::Overloaded { what: "the shard's mailbox is full" };
            peer.host.try_send(SettleInbox { reply }).map_err(full)?;
            settled.await.unwrap_or(Err(ReadError::Unavailable { what: "the leadership of the shard ended" }))?;
        }
        Ok(leadership)
    }

    async fn settle_there(self, node: NodeId, shard: ShardId) -> Result<(), ReadError> {
        match self.question(node, QuestionForm::Settle { shard: shard.0 }, Instant::now() + ASK_FOR).await {
            Ok(AnswerForm::Done {}) => Ok(()),
            Ok(AnswerForm::Failed { failure: 1 }) => {
                Err(ReadError::Overloaded { what: "the node that leads the account's shard has too much to do" })
            }
            Ok(_) => Err(RECOVERING),
            Err(_) => Err(NO_ANSWER),
        }
    }

    /// Waits until the rows of a shard that has settled hold what it had received, and everything acknowledged.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn catch_up(&self, shard: ShardId, settled: Settled) -> Result<(), ReadError> {
        let peer = self.peer(shard).ok_or(NO_LEADER)?;
        let caught_up = match settled {
            Settled::Here(leadership) => peer.handle.confirm(leadership).await,
            Settled::There => peer.handle.read_barrier().await,
        };
        caught_up.map_err(|_| NOT_CONFIRMED)
    }

    /// The same two as one, for another node: this one leads the shard, and it has applied what it had received.
    pub(super) async fn settle_for_another(&self, shard: ShardId) -> Result<(), ReadError> {
        let peer = self.peer(shard).ok_or(NO_LEADER)?;
        let settled = self.settle_here(shard, peer).await?;
        self.catch_up(shard, Settled::Here(settled)).await
    }

    /// Which groups are left out of joined lists as far as this node knows; nobody is asked.
    pub fn endings_here(&self) -> Endings {
        Endings { here: self.0.disbanding.now(), there: Vec::new() }
    }

    /// Which groups are left out of joined lists that are read from rows newer than this, as far as the leaders of
    /// all shards answer.
    pub async fn endings(&self) -> Endings {
        let here = self.0.disbanding.now();
        let mut nodes = FxHashSet::default();
        for shard in 0..self.peers().len() as u16 {
            if let Place::There(node) = self.place(ShardId(shard)) {
                nodes.insert(node);
            }
        }
        let asked = nodes.into_iter().map(|node| {
            let neighbours = self.clone();
            self.0.endings.ask(node, move |node| neighbours.clone().endings_there(node))
        });
        Endings { here, there: join_all(asked).await.into_iter().flatten().flatten().collect() }
    }

    async fn endings_there(self, node: NodeId) -> Option<Arc<EndingThere>> {
        match self.question(node, QuestionForm::Endings {}, Instant::now() + ASK_FOR).await {
            Ok(AnswerForm::Endings { led, groups }) => {
                let groups = groups.into_iter().map(wire::ending_of).collect();
                Some(Arc::new(EndingThere { led: led.into_iter().map(ShardId).collect(), groups }))
            }
            _ => None,
        }
    }

    /// The endings of the shards that this node leads for sure, for another.
    pub(super) async fn endings_for_another(&self) -> EndingThere {
        let here = self.0.disbanding.now();
        let confirmed = here.led.iter().map(|(shard, term)| async move {
            let peer = self.peer(*shard)?;
            let confirmed = peer.handle.confirm(Leadership { term: *term });
            // One shard without a quorum must not keep all others waiting.
            matches!(tokio::time::timeout(CONFIRM_FOR, confirmed).await, Ok(Ok(()))).then_some(*shard)
        });
        let led: Vec<ShardId> = join_all(confirmed).await.into_iter().flatten().collect();
        let groups = here.groups.iter().filter(|(shard, _)| led.contains(shard)).copied().collect();
        EndingThere { led, groups }
    }

    /// Waits until it is known that those who said which groups are ending were the leaders of these shards.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`]: of one of them nobody can say it.
    pub async fn confirm_endings(&self, endings: &Endings, shards: &[ShardId]) -> Result<(), ReadError> {
        let is_confirmed_there = |shard: &&ShardId| endings.there.iter().any(|there| there.led.contains(shard));
        let confirmed = shards.iter().filter(|shard| !is_confirmed_there(shard)).map(|shard| async move {
            let (Some(peer), Some(term)) = (self.peer(*shard), endings.here.led.get(shard)) else {
                return Err(ReadError::Unavailable { what: "no leader answers for the shard of a group" });
            };
            peer.handle.confirm(Leadership { term: *term }).await.map_err(|_| NOT_CONFIRMED)
        });
        try_join_all(confirmed).await.map(|_| ())
    }
}
