//! The host of one shard on this node: finds the group's actor, hands proposals to the log, and passes on what the
//! log says.
//!
//! Everything it holds belongs to one leadership and is dropped with it. It decides nothing about groups.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use muster_cluster::{DiskError, Leadership, Lookup, Rows, ShardHandle, ShardId};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use self::limits::count_unreadable;
use super::SubmitError;
use super::active::{Active, ActiveGroups};
use super::courier::Courier;
use super::group::{ACTIVE_GROUP_BYTES, GroupActor};
use super::inbox::{Held, Inbox};
use super::message::{
    Again, AppliedEntries, Badge, ChangeAccounts, EntryOrigin, Flush, GroupKey, Introduced, LeadershipChanged, Loaded,
    Mint, MintOrigin, Origin, ProposalRefused, Recovered, Reserved, RowsReplaced, Settled, Submit, Turn, TurnFor,
};
use super::neighbours::Neighbours;
use super::recovering::Recovering;
use super::reservations::Reservations;
use super::words::Unconfirmed;
use crate::id::{AccountId, AppId};
use crate::metrics;
use crate::shard::{
    AccountsEntry, AppliedProposal, Head, InFlight, Item, Job, Lookups, Outcome, Proposer, RequestAnswer,
    buckets_searched, minted_of, recover, shard_of_account,
};
use crate::time::{Clock, Stamp};

mod delivery;
mod limits;

/// How the hosts of a node are set up; by section, from the configuration.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Messages a host's mailbox holds; beyond it commands are refused before any work.
    pub mailbox_max: usize,
    /// Entries that wait for the log of one shard.
    pub queue_max: usize,
    /// Estimated bytes of active groups in one shard.
    pub active_bytes_max: usize,
    /// A group that nobody commands for so long is let go.
    pub idle_timeout: Duration,
    /// How long an answer waits for the indexes of the accounts it names.
    pub index_wait: Duration,
    /// Outbox rows that one target may owe; beyond it commands are refused before any work.
    pub outbox_rows_max: usize,
    /// Turns that one group's mailbox holds; beyond it commands are refused before any work.
    pub pending_per_group_max: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            mailbox_max: 8192,
            queue_max: 8192,
            active_bytes_max: 32 * 1024 * 1024,
            idle_timeout: Duration::from_secs(60),
            index_wait: Duration::from_millis(1000),
            outbox_rows_max: 10_000,
            pending_per_group_max: 4096,
        }
    }
}

/// How often idle groups are looked for and lost deliveries repeated.
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// A pause between two steps of a disband, so that it yields to commands.
const JOB_PAUSE: Duration = Duration::from_millis(1);
/// Proposals between a host and its log: more than may be in flight never wait here.
const PROPOSE_CHANNEL: usize = 4;

/// Which shards led here have recovered, by shard.
///
/// A leadership has once it holds again whatever earlier ones had received from other shards: from then on a read of
/// an account waits for everything that was acknowledged before.
#[derive(Clone)]
pub struct Recoveries(Arc<[AtomicU64]>);

impl Recoveries {
    pub fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| AtomicU64::new(0)).collect())
    }

    /// `None`: no leadership of this process has, or it is over.
    fn set(&self, shard: ShardId, term: Option<u64>) {
        self.0[usize::from(shard.0)].store(term.unwrap_or(0), Ordering::Release);
    }

    /// Whether that leadership has. Terms begin at 1.
    pub fn contains(&self, shard: ShardId, leadership: Leadership) -> bool {
        self.0[usize::from(shard.0)].load(Ordering::Acquire) == leadership.term
    }
}

/// What a host and the groups of one leadership share on their arbiter.
pub struct Shared {
    pub(super) term: u64,
    pub(super) handle: ShardHandle,
    pub(super) lookups: Lookups,
    pub(super) proposer: RefCell<Proposer<Origin>>,
    clock: Arc<dyn Clock>,
    last_stamp: Cell<u64>,
    activations: Cell<u64>,
    /// A flush is on its way through the mailbox.
    flushing: Cell<bool>,
    /// Groups that stopped by themselves.
    stopped: RefCell<Vec<GroupKey>>,
    host: Addr<ShardHost>,
    neighbours: Neighbours,
}

impl Shared {
    pub(super) fn next_activation(&self) -> u64 {
        let number = self.activations.get() + 1;
        self.activations.set(number);
        number
    }

    /// max(the clock, the last stamp of the shard): stamps never go back.
    pub(super) fn stamp(&self) -> Stamp {
        let now = self.clock.now().max(self.last_stamp.get());
        self.last_stamp.set(now);
        Stamp(now)
    }

    pub(super) fn push(&self, item: Vec<u8>, origin: Origin) {
        if let Origin::Entry(_) | Origin::Accounts(_) = origin {
            metrics::get().proposals.increment(1);
        }
        self.proposer.borrow_mut().push(item, origin);
        if !self.flushing.replace(true) {
            self.host.do_send(Flush);
        }
    }

    pub(super) fn again(&self, again: Again) {
        self.host.do_send(again);
    }

    pub(super) fn deactivate(&self, key: &GroupKey) {
        self.stopped.borrow_mut().push(key.clone());
    }

    /// Gives back what was reserved for a command that changed nothing.
    pub(super) fn cancel(&self, key: &GroupKey, reserved: &Reserved) {
        self.neighbours.cancel(key.app, reserved);
    }
}

/// What a leading host holds.
struct Leading {
    shared: Rc<Shared>,
    groups: ActiveGroups,
    /// Commands for groups whose header is being read.
    loading: FxHashMap<GroupKey, Vec<(Turn, Instant)>>,
    courier: Courier,
    inbox: Inbox,
    reservations: Reservations,
    /// Answers that wait until the shards of the accounts they name know of them.
    unindexed: Vec<Unindexed>,
    recovering: Recovering,
    unconfirmed: Unconfirmed,
    /// Everything that was granted before this leadership is counted, or was never used.
    is_counted: bool,
    /// What was received is going to be proposed in a while.
    is_lingering: bool,
    /// Records of requests before this bucket were dropped, or are being.
    requests_dropped: u32,
}

struct Unindexed {
    /// Outbox sequence by target that must have been received.
    needs: Vec<(ShardId, u64)>,
    since: Instant,
    entries: Vec<EntryOrigin>,
}

/// The host of one shard.
pub struct ShardHost {
    shard: ShardId,
    shards: u16,
    handle: ShardHandle,
    rows: Rows,
    options: HostOptions,
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
    held: Held,
    proposals: mpsc::Sender<(Leadership, u64, Bytes)>,
    leading: Option<Leading>,
    /// Proposals of leaderships that ended, until the log tells what became of them.
    orphans: Vec<InFlight<Origin>>,
}

impl ShardHost {
    /// Starts the host on the calling arbiter.
    pub fn start_here(
        handle: ShardHandle,
        shards: u16,
        options: HostOptions,
        clock: Arc<dyn Clock>,
        neighbours: Neighbours,
        held: Held,
    ) -> Addr<Self> {
        Self::create(move |ctx| {
            ctx.set_mailbox_capacity(options.mailbox_max);
            let (proposals, queue) = mpsc::channel(PROPOSE_CHANNEL);
            actix_rt::spawn(propose_in_order(handle.clone(), queue, ctx.address()));
            let rows = handle.rows().clone();
            Self {
                shard: handle.id(),
                shards,
                handle,
                rows,
                options,
                clock,
                neighbours,
                held,
                proposals,
                leading: None,
                orphans: Vec::new(),
            }
        })
    }

    fn shard_of_account(&self, app: AppId, account: &AccountId) -> ShardId {
        shard_of_account(app, account, self.shards)
    }

    /// Drops everything that belonged to a leadership.
    fn step_down(&mut self) {
        let Some(leading) = self.leading.take() else { return };
        self.neighbours.recovered().set(self.shard, None);
        self.neighbours.disbanding().step_down(self.shard);
        let mut proposer = leading.shared.proposer.borrow_mut();
        for origin in proposer.end() {
            self.fail(origin, SubmitError::Unavailable { what: "the leadership of the shard ended" });
        }
        self.orphans.extend(proposer.settle_before(u64::MAX));
        for unindexed in leading.unindexed {
            unindexed.entries.into_iter().for_each(answer);
        }
        // Groups stop when their addresses are dropped; what rests in them is answered by their end.
    }

    fn fail(&self, origin: Origin, error: SubmitError) {
        match origin {
            Origin::Entry(entry) => {
                let EntryOrigin { key, group, ticket, call, reserved, busy, .. } = *entry;
                self.neighbours.cancel(key.app, &reserved);
                call.answer(Err(error));
                drop(busy);
                group.do_send(Settled { ticket, applied: false });
            }
            Origin::Accounts(call) => call.answer(Err(error)),
            Origin::Mint(origin) => {
                let _ = origin.reply.send(Err(error));
            }
            Origin::Inbox { .. } | Origin::OutboxAck { .. } | Origin::Job(_) | Origin::DropRequests => {}
        }
    }

    /// Why nothing that was routed by that leadership, and has until then, is taken up.
    fn declines(&self, leadership: Leadership, deadline: Instant) -> Option<SubmitError> {
        let what = match self.leading.as_ref() {
            None => "this node does not lead the shard",
            Some(leading) if leading.shared.term != leadership.term => "the leadership of the shard changed",
            Some(_) if Instant::now() >= deadline => "the deadline passed",
            Some(_) => return None,
        };
        Some(SubmitError::Unavailable { what })
    }

    fn forget_stopped(&mut self) {
        if let Some(leading) = self.leading.as_mut() {
            for key in leading.shared.stopped.borrow_mut().drain(..) {
                leading.groups.remove(&key);
            }
        }
    }

    /// A command whose reservations are made: to its group, activated if dormant.
    fn dispatch(&mut self, key: GroupKey, turn: Turn, ctx: &mut Context<Self>) {
        self.forget_stopped();
        let Some(leading) = self.leading.as_mut() else {
            turn.call.answer(Err(SubmitError::Unavailable { what: "the leadership of the shard ended" }));
            return;
        };
        if let Some(active) = leading.groups.get(&key, Instant::now()) {
            if active.group.connected() {
                send_turn(active, turn, &leading.shared, &key);
                return;
            }
            leading.groups.remove(&key);
        }
        if let Some(waiting) = leading.loading.get_mut(&key) {
            waiting.push((turn, Instant::now()));
            return;
        }
        match leading.shared.lookups.header_now(key.app, &key.id) {
            Ok(Lookup::Found(header)) => self.activate(key, Some(header), vec![turn]),
            Ok(Lookup::Absent) => self.activate(key, None, vec![turn]),
            Ok(Lookup::Cold) => {
                leading.loading.insert(key.clone(), vec![(turn, Instant::now())]);
                let (lookups, term) = (leading.shared.lookups.clone(), leading.shared.term);
                let host = ctx.address();
                let id = key.clone();
                let header = read_aside(move || lookups.header(id.app, &id.id));
                actix_rt::spawn(async move {
                    if let Some(header) = header.await {
                        host.do_send(Loaded { key, term, header });
                    }
                });
            }
            Err(error) => {
                turn.call.span().in_scope(|| tracing::error!(%error, "a group's header cannot be read"));
                leading.shared.cancel(&key, &turn.reserved);
                turn.call.answer(Err(SubmitError::Unavailable { what: "the group's rows cannot be read" }));
            }
        }
    }

    fn activate(&mut self, key: GroupKey, header: Option<Head>, turns: Vec<Turn>) {
        let mailbox_max = self.options.pending_per_group_max;
        let Some(leading) = self.leading.as_mut() else { return };
        let badge = Badge::new(key.clone());
        let group = GroupActor::start_here(badge.clone(), leading.shared.clone(), header, mailbox_max);
        let active = Active::new(group, badge);
        for turn in turns {
            send_turn(&active, turn, &leading.shared, &key);
        }
        leading.groups.insert(active, Instant::now());
    }

    /// Says what rests on this leadership: at once if that is known to last, else once it is confirmed. Not at all, if it
    /// is not: who waits for it asks again, and whoever leads then answers.
    fn say_once_confirmed(&mut self, ctx: &mut Context<Self>) {
        let Some(leading) = self.leading.as_mut() else { return };
        let Some(words) = leading.unconfirmed.begin() else { return };
        let (handle, leadership) = (self.handle.clone(), Leadership { term: leading.shared.term });
        let mut confirmed = Box::pin(async move { handle.confirm(leadership).await.is_ok() });
        match (&mut confirmed).now_or_never() {
            Some(is_confirmed) => self.say_confirmed(words, is_confirmed),
            None => {
                ctx.spawn(confirmed.into_actor(self).map(move |is_confirmed, host, ctx| {
                    if host.leading.as_ref().is_some_and(|l| l.shared.term == leadership.term) {
                        host.say_confirmed(words, is_confirmed);
                        // What came meanwhile.
                        host.say_once_confirmed(ctx);
                    }
                }));
            }
        }
    }

    fn flush(&mut self) {
        let Some(leading) = self.leading.as_ref() else { return };
        let leadership = Leadership { term: leading.shared.term };
        loop {
            let Some((seq, payload)) = leading.shared.proposer.borrow_mut().take() else { return };
            if self.proposals.try_send((leadership, seq, payload)).is_err() {
                // The task that proposes ended with the replica: the log can no longer be asked.
                tracing::error!(shard = self.shard.0, "the shard's log takes no proposals");
                return;
            }
        }
    }

    fn proposal(&mut self, term: u64, proposal: AppliedProposal, ctx: &mut Context<Self>) {
        let in_flight = match self.leading.as_ref() {
            Some(leading) => leading.shared.proposer.borrow_mut().settle(term, proposal.seq),
            None => None,
        };
        let in_flight = in_flight.or_else(|| {
            let at = self.orphans.iter().position(|o| o.term == term && o.seq == proposal.seq)?;
            Some(self.orphans.swap_remove(at))
        });
        metrics::get().entries_applied.increment(1);
        let mut entries = Vec::new();
        let mut unknown = proposal.unknown.into_iter().peekable();
        let items = in_flight.into_iter().flat_map(|f| f.origins).zip(&proposal.outcomes);
        for (place, (origin, outcome)) in items.enumerate() {
            match (origin, outcome) {
                (Origin::Accounts(call), Outcome::Applied) => {
                    let of_item = unknown.next_if(|(item, _)| *item == place);
                    call.answer(Ok(of_item.map(|(_, positions)| positions).unwrap_or_default()));
                }
                (origin @ Origin::Accounts(_), Outcome::Conflict) => {
                    self.fail(origin, SubmitError::Unavailable { what: "the leadership of the shard ended" });
                }
                (Origin::Entry(entry), Outcome::Applied) => {
                    entry.group.do_send(Settled { ticket: entry.ticket, applied: true });
                    entries.push(*entry);
                }
                (origin @ Origin::Entry(_), Outcome::Conflict) => {
                    metrics::get().conflicts.increment(1);
                    tracing::warn!(shard = self.shard.0, "an entry was decided on a state that is no more");
                    self.fail(origin, SubmitError::Unavailable { what: "the group changed hands" });
                }
                (Origin::Inbox { source }, _) => {
                    if let Some(leading) = self.leading.as_mut() {
                        leading.inbox.landed(source);
                    }
                }
                (Origin::OutboxAck { target, through }, _) => {
                    if let Some(leading) = self.leading.as_mut() {
                        leading.courier.acknowledged(target, through);
                    }
                }
                (Origin::Job(_) | Origin::DropRequests, _) => {}
                (Origin::Mint(origin), _) => self.minted(*origin),
            }
        }
        let needs: Vec<(ShardId, u64)> = proposal.outbox.iter().map(|row| (row.target, row.seq)).collect();
        for entry in entries.extract_if(.., |entry| !entry.reserved.app_held.is_empty()).collect::<Vec<_>>() {
            self.give_back(entry, needs.clone(), ctx);
        }
        let Some(leading) = self.leading.as_mut() else {
            entries.into_iter().for_each(answer);
            return;
        };
        for count in &proposal.counts {
            leading.reservations.settle(count);
        }
        for job in &proposal.jobs {
            self.neighbours.disbanding().begin(self.shard, *job);
        }
        leading.courier.take(proposal.outbox);
        for job in &proposal.jobs_done {
            self.neighbours.disbanding().begin(self.shard, *job);
            leading.courier.when_delivered(*job);
        }
        for (source, through) in &proposal.deliveries {
            leading.inbox.applied(*source, *through);
        }
        if !entries.is_empty() {
            leading.unindexed.push(Unindexed { needs, since: Instant::now(), entries });
        }
        if let Some(before) = proposal.requests_left {
            self.drop_requests(before, ctx);
        }
        for (source, through) in proposal.deliveries {
            // What is applied stays so, whoever leads.
            self.say_received(source, through, false, false);
        }
        for job in proposal.jobs {
            self.continue_job(job, ctx);
        }
        self.deliver();
        // What came while an inbox entry was under way.
        self.schedule_inbox(ctx);
        self.catch_up();
        self.release_indexed();
    }

    /// Gives back the places of a group that is counted now, and answers when that is done: whoever asks after its
    /// caller has heard of it finds the group counted once.
    fn give_back(&mut self, entry: EntryOrigin, needs: Vec<(ShardId, u64)>, ctx: &mut Context<Self>) {
        let until = Instant::now() + self.options.index_wait;
        let given_back = self.neighbours.give_back(entry.key.app, &entry.reserved, until);
        match given_back {
            None => self.answer_indexed(entry, needs),
            Some(given_back) => {
                ctx.spawn(given_back.into_actor(self).map(|(), host, _| {
                    host.answer_indexed(entry, needs);
                    host.release_indexed();
                }));
            }
        }
    }

    /// Answers when the shards of the accounts it names know of it.
    fn answer_indexed(&mut self, entry: EntryOrigin, needs: Vec<(ShardId, u64)>) {
        match self.leading.as_mut() {
            Some(leading) => {
                leading.unindexed.push(Unindexed { needs, since: Instant::now(), entries: vec![entry] });
            }
            None => answer(entry),
        }
    }

    fn continue_job(&self, job: Job, ctx: &mut Context<Self>) {
        ctx.run_later(JOB_PAUSE, move |host, _| {
            if let Some(leading) = &host.leading {
                leading.shared.push(Item::DisbandStep { gno: job.gno.0 }.encode(), Origin::Job(job));
            }
        });
    }

    /// Drops further records of requests in a while, so that it yields to commands.
    fn drop_requests(&self, before: u32, ctx: &mut Context<Self>) {
        ctx.run_later(JOB_PAUSE, move |host, _| {
            if let Some(leading) = &host.leading {
                leading.shared.push(Item::DropRequests { before }.encode(), Origin::DropRequests);
            }
        });
    }

    /// The request has a record now: the one that was proposed, or an earlier one.
    fn minted(&self, origin: MintOrigin) {
        let Some(leading) = &self.leading else {
            let _ = origin.reply.send(Err(SubmitError::Unavailable { what: "the leadership of the shard ended" }));
            return;
        };
        let MintOrigin { app, request, reply } = origin;
        let (lookups, shard, at) = (leading.shared.lookups.clone(), self.shard, leading.shared.stamp());
        let answer = |record: Option<RequestAnswer>| match record {
            Some(record) => Ok(minted_of(record)),
            None => Err(SubmitError::Unavailable { what: "the record of the request is gone" }),
        };
        match lookups.request_now(shard, request.name(app, None), at) {
            Ok(Lookup::Found(record)) => {
                let _ = reply.send(answer(Some(record)));
            }
            // What was written a moment ago may be on disk only by now.
            _ => {
                tokio::task::spawn_blocking(move || {
                    let record = lookups.request(shard, request.name(app, None), at);
                    let _ = reply.send(record.map_err(|error| count_unreadable(&error)).and_then(answer));
                });
            }
        }
    }

    fn sweep(&mut self) {
        self.forget_stopped();
        let Some(leading) = self.leading.as_mut() else { return };
        let now = Instant::now();
        let groups_max = (self.options.active_bytes_max / ACTIVE_GROUP_BYTES).max(1);
        let let_go = leading.groups.sweep(now, self.options.idle_timeout, groups_max);
        metrics::get().passivations.increment(let_go as u64);
        leading.reservations.expire(now);
        let [_, before] = buckets_searched(Stamp(self.clock.now()));
        if leading.requests_dropped < before {
            leading.requests_dropped = before;
            leading.shared.push(Item::DropRequests { before }.encode(), Origin::DropRequests);
        }
        leading.courier.repeat_lost(now);
        for (target, through) in leading.courier.unacknowledged() {
            let item = Item::OutboxAck { target: target.0, through };
            leading.shared.push(item.encode(), Origin::OutboxAck { target, through });
        }
        self.deliver();
        self.ask_sources();
        self.release_indexed();
    }
}

/// Reads rows on the pool. One that does not decode panics there, as everywhere; whoever waits for it hears of that as
/// of a row that cannot be read. `None`: the node stops.
pub(super) async fn read_aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
) -> Option<Result<T, DiskError>> {
    let panic = match tokio::task::spawn_blocking(read).await {
        Ok(read) => return Some(read),
        Err(error) => error.try_into_panic().ok()?,
    };
    let reason = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Some(Err(DiskError::Corrupt(reason.unwrap_or("a read panicked").to_owned())))
}

/// Hands proposals to the log one after the other, so that they keep their order.
async fn propose_in_order(
    handle: ShardHandle,
    mut queue: mpsc::Receiver<(Leadership, u64, Bytes)>,
    host: Addr<ShardHost>,
) {
    while let Some((leadership, seq, payload)) = queue.recv().await {
        let refused = ProposalRefused { term: leadership.term, seq };
        match handle.propose(leadership, payload).await {
            Ok(proposed) => {
                let host = host.clone();
                actix_rt::spawn(async move {
                    // Applied entries speak for themselves, and an unknown outcome is the log's to tell.
                    if let Err(muster_cluster::ProposeError::NotLeader) = proposed.await {
                        host.do_send(refused);
                    }
                });
            }
            Err(muster_cluster::ProposeError::NotLeader) => host.do_send(refused),
            Err(muster_cluster::ProposeError::Unknown) => {}
        }
    }
    // A host ends with its arbiter, and this task with it; before that, only by a panic, as on a row that does not
    // decode. The replica would lead on, and nobody serve. No damage to be remembered: a start may well help.
    handle.fail(&DiskError::Failed(format!("the host of shard {} has panicked, the log says why", handle.id().0)));
}

fn send_turn(active: &Active, turn: Turn, shared: &Shared, key: &GroupKey) {
    let busy = active.badge.enter();
    if let Err(error) = active.group.try_send(TurnFor { turn, busy }) {
        let TurnFor { turn, busy } = match error {
            actix::dev::SendError::Full(turn) | actix::dev::SendError::Closed(turn) => turn,
        };
        drop(busy);
        shared.cancel(key, &turn.reserved);
        turn.call.answer(Err(SubmitError::Overloaded { what: "the group's mailbox is full" }));
    }
}

fn answer(entry: EntryOrigin) {
    let EntryOrigin { call, answer, busy, .. } = entry;
    call.answer(Ok(answer));
    drop(busy);
}

impl Actor for ShardHost {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let leadership = self.handle.leadership();
        let changes = futures::stream::unfold((leadership, true), |(mut watch, first)| async move {
            if !first && watch.changed().await.is_err() {
                return None;
            }
            let now = *watch.borrow_and_update();
            Some((now, (watch, false)))
        });
        let host = ctx.address();
        ctx.spawn(
            changes
                .for_each(move |leadership| {
                    host.do_send(LeadershipChanged(leadership));
                    futures::future::ready(())
                })
                .into_actor(self),
        );
        ctx.run_interval(SWEEP_EVERY, |host, _| host.sweep());
    }
}

impl Handler<LeadershipChanged> for ShardHost {
    type Result = ();

    fn handle(&mut self, LeadershipChanged(leadership): LeadershipChanged, ctx: &mut Self::Context) {
        if self.leading.as_ref().map(|l| l.shared.term) == leadership.map(|l| l.term) {
            return;
        }
        self.step_down();
        let Some(leadership) = leadership else { return };
        let (rows, shard, shards, host) = (self.rows.clone(), self.shard, self.shards, ctx.address());
        let state = read_aside(move || recover(&rows, shard, shards));
        actix_rt::spawn(async move {
            if let Some(state) = state.await {
                host.do_send(Recovered { leadership, state });
            }
        });
    }
}

impl Handler<Recovered> for ShardHost {
    type Result = ();

    fn handle(&mut self, recovered: Recovered, ctx: &mut Self::Context) {
        if *self.handle.leadership().borrow() != Some(recovered.leadership) {
            return;
        }
        let recovery = match recovered.state {
            Ok(recovery) => recovery,
            Err(error) => {
                tracing::error!(shard = self.shard.0, %error, "the shard's rows cannot be read: it is not served");
                // Its heartbeats would keep the shard from those who can read theirs.
                self.handle.fail(&error);
                return;
            }
        };
        let term = recovered.leadership.term;
        let shared = Rc::new(Shared {
            term,
            handle: self.handle.clone(),
            lookups: Lookups::new(self.rows.clone()),
            proposer: RefCell::new(Proposer::new(term, self.options.queue_max)),
            clock: self.clock.clone(),
            last_stamp: Cell::new(recovery.last_stamp),
            activations: Cell::new(0),
            flushing: Cell::new(false),
            stopped: RefCell::new(Vec::new()),
            host: ctx.address(),
            neighbours: self.neighbours.clone(),
        });
        let ending = recovery.jobs.iter().chain(&recovery.untold).copied();
        self.neighbours.disbanding().lead(self.shard, term, ending);
        let mut courier = Courier::new(recovery.heads, recovery.outbox, self.options.outbox_rows_max);
        recovery.untold.into_iter().for_each(|job| courier.when_delivered(job));
        let sources = (0..self.shards).map(ShardId).filter(|source| *source != self.shard);
        self.leading = Some(Leading {
            shared,
            recovering: Recovering::new(sources),
            unconfirmed: Unconfirmed::default(),
            is_counted: false,
            is_lingering: false,
            requests_dropped: 0,
            groups: ActiveGroups::new(Instant::now()),
            loading: FxHashMap::default(),
            courier,
            inbox: Inbox::new(recovery.cursors, self.held.clone()),
            reservations: Reservations::new(term),
            unindexed: Vec::new(),
        });
        for job in recovery.jobs {
            self.continue_job(job, ctx);
        }
        self.begin();
        self.release_indexed();
    }
}

impl Handler<Introduced> for ShardHost {
    type Result = ();

    fn handle(&mut self, _: Introduced, _ctx: &mut Self::Context) {
        self.begin();
    }
}

impl Handler<Submit> for ShardHost {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        if let Some(error) = self.declines(submit.leadership, submit.call.deadline()) {
            submit.call.answer(Err(error));
            return;
        }
        if self.leading.as_ref().is_some_and(|leading| leading.courier.is_full()) {
            submit.call.answer(Err(SubmitError::Overloaded { what: "a neighbouring shard does not keep up" }));
            return;
        }
        self.reserve(submit, ctx);
    }
}

impl Handler<ChangeAccounts> for ShardHost {
    type Result = ();

    /// No actor decides: an import or a deletion holds whatever was there before.
    fn handle(&mut self, change: ChangeAccounts, _ctx: &mut Self::Context) {
        let ChangeAccounts { app, changes, leadership, call } = change;
        if let Some(error) = self.declines(leadership, call.deadline()) {
            call.answer(Err(error));
            return;
        }
        let Some(leading) = self.leading.as_ref() else { return };
        if !leading.shared.proposer.borrow().has_room() {
            call.answer(Err(SubmitError::Overloaded { what: "the shard's queue is full" }));
            return;
        }
        if !call.begin() {
            call.answer(Err(SubmitError::Unavailable { what: "the deadline passed" }));
            return;
        }
        let entry = AccountsEntry { app: app.0, at: leading.shared.stamp().0, changes };
        leading.shared.push(Item::Accounts(entry).encode(), Origin::Accounts(call));
    }
}

impl Handler<Again> for ShardHost {
    type Result = ();

    fn handle(&mut self, again: Again, ctx: &mut Self::Context) {
        let Again { key, command, limits, request, unknown, call } = again;
        let Some(leading) = self.leading.as_ref() else {
            call.answer(Err(SubmitError::Unavailable { what: "the leadership of the shard ended" }));
            return;
        };
        let leadership = Leadership { term: leading.shared.term };
        self.handle(Submit { key, command, limits, request, unknown, leadership, call }, ctx);
    }
}

impl Handler<Loaded> for ShardHost {
    type Result = ();

    fn handle(&mut self, loaded: Loaded, _ctx: &mut Self::Context) {
        let Some(leading) = self.leading.as_mut() else { return };
        if leading.shared.term != loaded.term {
            return;
        }
        let Some(waiting) = leading.loading.remove(&loaded.key) else { return };
        let turns: Vec<Turn> = waiting.into_iter().map(|(turn, _)| turn).collect();
        match loaded.header {
            Ok(header) => self.activate(loaded.key, header, turns),
            Err(error) => {
                tracing::error!(%error, "a group's header cannot be read");
                for turn in turns {
                    leading.shared.cancel(&loaded.key, &turn.reserved);
                    turn.call.answer(Err(SubmitError::Unavailable { what: "the group's rows cannot be read" }));
                }
            }
        }
    }
}

impl Handler<Flush> for ShardHost {
    type Result = ();

    fn handle(&mut self, _: Flush, _ctx: &mut Self::Context) {
        if let Some(leading) = self.leading.as_ref() {
            leading.shared.flushing.set(false);
            if !leading.shared.proposer.borrow().is_empty() {
                self.propose_inbox();
            }
        }
        self.flush();
    }
}

impl Handler<AppliedEntries> for ShardHost {
    type Result = ();

    fn handle(&mut self, AppliedEntries(entries): AppliedEntries, ctx: &mut Self::Context) {
        for applied in entries {
            // Entries may be heard of before the end of the leadership that they end.
            if self.leading.as_ref().is_some_and(|leading| leading.shared.term < applied.term) {
                self.step_down();
            }
            // The first entry of a later term says that older proposals, if not applied by now, did not happen.
            if !self.orphans.is_empty() {
                for orphan in self.orphans.extract_if(.., |o| o.term < applied.term).collect::<Vec<_>>() {
                    for origin in orphan.origins {
                        self.fail(origin, SubmitError::Unavailable { what: "another leadership began" });
                    }
                }
            }
            if let Some(proposal) = applied.proposal {
                self.proposal(applied.term, proposal, ctx);
            }
        }
        self.flush();
    }
}

impl Handler<RowsReplaced> for ShardHost {
    type Result = ();

    fn handle(&mut self, _: RowsReplaced, _ctx: &mut Self::Context) {
        // Whoever is filled from another replica does not lead, whether that has been said by now or not.
        self.step_down();
        for orphan in std::mem::take(&mut self.orphans) {
            for origin in orphan.origins {
                self.fail(origin, SubmitError::Indeterminate { what: "the node was filled from another one" });
            }
        }
    }
}

impl Handler<ProposalRefused> for ShardHost {
    type Result = ();

    fn handle(&mut self, refused: ProposalRefused, ctx: &mut Self::Context) {
        let in_flight = match self.leading.as_ref() {
            Some(leading) => leading.shared.proposer.borrow_mut().settle(refused.term, refused.seq),
            None => None,
        };
        let in_flight = in_flight.or_else(|| {
            let at = self.orphans.iter().position(|o| o.term == refused.term && o.seq == refused.seq)?;
            Some(self.orphans.swap_remove(at))
        });
        for origin in in_flight.into_iter().flat_map(|f| f.origins) {
            match origin {
                Origin::Inbox { source } => {
                    if let Some(leading) = self.leading.as_mut() {
                        leading.inbox.landed(source);
                    }
                    self.schedule_inbox(ctx);
                }
                Origin::OutboxAck { target, .. } => {
                    if let Some(leading) = self.leading.as_mut() {
                        leading.courier.not_acknowledged(target);
                    }
                }
                Origin::Job(job) => self.continue_job(job, ctx),
                // The next leadership begins again.
                Origin::DropRequests => {}
                origin => self.fail(origin, SubmitError::Unavailable { what: "the leadership of the shard ended" }),
            }
        }
        // The leadership may go on, and what waited behind that proposal has nothing else to send it.
        self.flush();
    }
}

impl Handler<Mint> for ShardHost {
    type Result = ();

    fn handle(&mut self, mint: Mint, _ctx: &mut Self::Context) {
        let Mint { app, request, leadership, reply } = mint;
        let led = self.leading.as_ref().filter(|leading| leading.shared.term == leadership.term);
        let Some(leading) = led else {
            let _ = reply.send(Err(SubmitError::Unavailable { what: "the leadership of the shard changed" }));
            return;
        };
        if !leading.shared.proposer.borrow().has_room() {
            let _ = reply.send(Err(SubmitError::Overloaded { what: "the shard's queue is full" }));
            return;
        }
        let item = Item::Mint { app: app.0, request: request.clone(), at: leading.shared.stamp().0 };
        leading.shared.push(item.encode(), Origin::Mint(Box::new(MintOrigin { app, request, reply })));
    }
}
