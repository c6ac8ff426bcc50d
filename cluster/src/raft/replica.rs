//! A running replica of one shard: its Raft, and the tasks beside it.
//!
//! Five tasks, each with one duty: say who leads, answer read barriers, cut the log, bring the membership to what is
//! planned (`steward.rs`), and end the Raft when the disk has failed. They run on the runtime that started the replica
//! and end with it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ClientWriteError, ForwardReason, RaftError};
use openraft::impls::ProgressResponder;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{Config, LinearizerOption, RaftState, ServerState, SnapshotPolicy};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::codec::{self, Kind};
use super::log_store::LogStore;
use super::machine::{self, Progress, Replica, Reports};
use super::mark::Mark;
use super::network::{Fills, Peers};
use super::report::{self, ReplicaReport};
use super::snapshot::{Incoming, ShardSnapshot, Taken, clean_up};
use super::steward::Steward;
use super::types::{Proposal, Raft, Snapshot, SnapshotMeta, Types, Vote};
use crate::application::{Keeps, ShardMachine};
use crate::disk::{Disk, DiskError, FIRST_GENERATION, Rows};
use crate::handle::{BarrierError, Leadership, ProposeError, Proposed, ReadPolicy};
use crate::meta::META;
use crate::net::wire::{Appended, RaftAnswer, RaftCall, SnapshotPart, WireVote, transfer_request};
use crate::peer::NodeId;
use crate::placement::Plan;
use crate::sleep::SleepWatch;
use crate::slot::ShardId;

/// Barriers answered together.
const BARRIERS_MAX: usize = 1024;

/// Cuts of the log that are left out, one after the other, for the sake of peers that are being filled: the log has then
/// grown to so many halves of its limit.
const CUTS_LEFT_OUT_MAX: u32 = 64;

/// A barrier that has waited for rows for so long is given up; whoever waits for it has given up before.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(5);

/// A leader whose lease has run out asks again after this; an answer of a peer is usually closer than that.
const LEASE_RETRY: Duration = Duration::from_millis(10);

/// Of the longest election timeout, how much a lease is good for: clocks of two nodes run apart.
const LEASE_PERCENT: u32 = 70;

/// When the disk has failed, calls under way are not waited for any longer: one may wait for a flush that never ends.
const LAST_CALLS_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls to the core at the same time; a replica has a handful of callers.
const CALLS_MAX: u32 = 1 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Timings {
    pub(crate) heartbeat: Duration,
    pub(crate) election_min: Duration,
    pub(crate) election_max: Duration,
    pub(crate) log_bytes_max: u64,
    pub(crate) reads: ReadPolicy,
}

/// What a replica begins with.
pub(crate) struct Begin {
    /// Makes the shard, with itself as the only voter, unless it is there already.
    pub(crate) founds: bool,
    /// Where the shard should be.
    pub(crate) plan: watch::Receiver<Plan>,
    /// The slots that its rows lie in.
    pub(crate) places: Vec<Range<u16>>,
    /// Says when this node is about to stop.
    pub(crate) leaving: watch::Receiver<bool>,
    pub(crate) sleep: Arc<SleepWatch>,
}

/// A replica as its handles share it.
pub(crate) struct RunningReplica {
    shard: ShardId,
    node: u64,
    rows: Rows,
    raft: Raft,
    leadership: watch::Receiver<Option<Leadership>>,
    leader: watch::Receiver<Option<NodeId>>,
    barriers: mpsc::Sender<BarrierReply>,
    /// How long a proposal waits for a lease that has run out.
    lease_wait: Duration,
    lease: Lease,
    cutter: AbortHandle,
    steward: AbortHandle,
    ender: AbortHandle,
    gate: Gate,
    disk: Disk,
    /// Before this moment the replica helps nobody to be elected: what it granted before it was started is forgotten.
    votes_from: Instant,
    places: Vec<Range<u16>>,
    /// When a leader last said how far the shard is, and that was written here.
    heard: parking_lot::Mutex<Option<Instant>>,
    /// Rows that are being received.
    incoming: tokio::sync::Mutex<Option<Incoming>>,
    /// By the last membership that its log holds, this replica is the only voter.
    is_sole_voter: Arc<AtomicBool>,
    progress: watch::Receiver<Progress>,
    leaving: watch::Receiver<bool>,
    retiring: watch::Sender<bool>,
    /// Where somebody wants to look at the rows.
    mark: Arc<Mark>,
    /// Where the shard should be, as its steward knows it.
    plan: watch::Receiver<Plan>,
}

/// The rows of a shard as they were left, whether or not its replica runs yet.
pub(crate) fn stored_rows(disk: &Disk, shard: ShardId, keeps: Keeps) -> Result<Rows, DiskError> {
    let generation = codec::read_meta(disk, shard, Kind::Generation)?.unwrap_or(FIRST_GENERATION);
    Ok(Rows::new(disk.clone(), keeps, generation))
}

impl RunningReplica {
    /// Starts the replica `node` of a shard on the calling runtime; the only voter campaigns at once, others after
    /// one lease.
    ///
    /// # Errors
    /// What was stored cannot be read, or the timings contradict each other; in words.
    pub(crate) async fn start(
        disk: &Disk,
        node: u64,
        shard: ShardId,
        machine: Box<dyn ShardMachine>,
        timings: &Timings,
        peers: Peers,
        begin: Begin,
    ) -> Result<Self, String> {
        let config = Arc::new(config(shard, timings).validate().map_err(|error| error.to_string())?);
        let applied = machine::read_applied(disk, shard).map_err(|error| error.to_string())?;
        let reports = Reports::new(&applied);
        let words = |error: DiskError| error.to_string();
        let rows = stored_rows(disk, shard, machine.keeps()).map_err(words)?;
        if codec::read_meta::<u32>(disk, shard, Kind::Incoming).map_err(words)?.is_some() {
            clean_up(disk, shard, &begin.places, rows.generation()).await.map_err(words)?;
        }
        let peers = peers.with_rows(rows.clone(), begin.places.clone());
        // Half is cut when half has grown: what a peer may still want is kept a while.
        let log = LogStore::new(shard, disk.clone(), applied.0, timings.log_bytes_max / 2);
        let replica = Replica::new(
            shard,
            rows.clone(),
            log.clone(),
            applied,
            machine,
            reports.clone(),
            (begin.places.clone(), peers.observer().filled),
        );
        let raft =
            Raft::new(node, config, peers.clone(), log.clone(), replica).await.map_err(|error| error.to_string())?;
        let (leading, leadership) = watch::channel(None);
        let (known, leader_known) = watch::channel(None);
        let (retiring, retires) = watch::channel(false);
        let is_sole_voter = Arc::new(AtomicBool::new(false));
        let has_company = Arc::new(AtomicBool::new(false));
        let leader =
            Leader { node, leading, known, is_sole_voter: is_sole_voter.clone(), has_company: has_company.clone() };
        tokio::spawn(watch_leadership(leader, raft.server_metrics(), reports.clone(), retires));
        let lease = timings.election_max * LEASE_PERCENT / 100;
        let votes_from = Instant::now() + lease;
        let gate = Gate::default();
        begin_election(&raft, &gate, node, &begin, votes_from).await?;
        let steward = Steward {
            shard,
            node,
            raft: raft.clone(),
            gate: gate.clone(),
            plan: begin.plan.clone(),
            has_company,
            disk: disk.clone(),
            leaving: begin.leaving.clone(),
        };
        let steward = tokio::spawn(steward.run()).abort_handle();

        let progress = reports.progress.subscribe();
        let (barriers, requests) = mpsc::channel(BARRIERS_MAX);
        let lease = Lease { longest: lease, policy: timings.reads, sleep: begin.sleep };
        let fills = peers.fills();
        let asked = Asked { disk: disk.clone(), raft: raft.clone(), gate: gate.clone(), lease: lease.clone(), peers };
        tokio::spawn(answer_barriers(asked, progress.clone(), requests));
        let cutter = tokio::spawn(cut_log(raft.clone(), gate.clone(), log, fills)).abort_handle();
        let ender = tokio::spawn(end_with_disk(shard, disk.until_failed(), raft.clone(), gate.clone())).abort_handle();
        let lease_wait = timings.election_max;
        let disk = disk.clone();
        Ok(Self {
            shard,
            node,
            rows,
            raft,
            leadership,
            leader: leader_known,
            barriers,
            lease_wait,
            lease,
            cutter,
            steward,
            ender,
            gate,
            disk,
            votes_from,
            places: begin.places,
            heard: parking_lot::Mutex::default(),
            incoming: tokio::sync::Mutex::default(),
            is_sole_voter,
            progress,
            leaving: begin.leaving,
            retiring,
            mark: reports.mark,
            plan: begin.plan,
        })
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.leadership.clone()
    }

    /// See [`crate::ShardHandle::heard`].
    pub(crate) fn heard(&self) -> Option<Duration> {
        match self.leadership.borrow().is_some() {
            true => Some(Duration::ZERO),
            false => self.heard.lock().map(|at| at.elapsed()),
        }
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// What the replica says of itself.
    pub(crate) fn report(&self) -> ReplicaReport {
        let of_raft = report::of_raft(&self.raft, self.node, &self.plan.borrow());
        let progress = *self.progress.borrow();
        ReplicaReport {
            shard: (self.shard != META).then_some(self.shard),
            leads: self.leadership.borrow().is_some_and(|leadership| leadership.term == of_raft.term),
            stopped: of_raft.stopped || progress.stopped,
            applied: progress.written,
            heard: self.heard(),
            ..of_raft
        }
    }

    pub(crate) fn votes(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let now = metrics.borrow_watched();
        now.committed_membership_config.voter_ids().any(|voter| voter == self.node)
    }

    /// Whether nothing is lost to anybody when this replica stops: another one leads, as far as this one knows, nobody
    /// else can, or its core has ended already.
    pub(crate) fn is_free(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let now = metrics.borrow_watched();
        let has_others = now.membership_config.voter_ids().any(|voter| voter != self.node);
        let others_lead = now.current_leader.is_some_and(|leader| leader != self.node);
        !has_others || others_lead || self.progress.borrow().stopped
    }

    pub(crate) fn leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.leader.clone()
    }

    /// See [`crate::ShardHandle::propose`].
    pub(crate) async fn propose(&self, leadership: Leadership, payload: Bytes) -> Result<Proposed, ProposeError> {
        let proposal = Proposal(payload);
        let deadline = Instant::now() + self.lease_wait;
        loop {
            let call = self.gate.enter().await.ok_or(ProposeError::NotLeader)?;
            let (responder, mut outcome) = ProgressResponder::complete_only();
            let sent = self.raft.write(proposal.clone()).responder(responder).with_leader(leadership.term).await;
            // A core that has stopped did not take the message.
            sent.map_err(|_| ProposeError::NotLeader)?;
            // The core takes messages in order: once it has answered this one, the proposal is in its log or
            // refused. Only then may the next proposal follow, or it could overtake this one's retry. If the
            // core stopped in between, the outcome tells.
            let _ = self.raft.with_raft_state(|_| ()).await;
            drop(call);
            match outcome.try_recv() {
                Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
                    if forward.reason != ForwardReason::LeaseExpired || Instant::now() >= deadline {
                        return Err(ProposeError::NotLeader);
                    }
                }
                Ok(result) => {
                    let result = result.map(|_| ()).map_err(|_| ProposeError::Unknown);
                    return Ok(Box::pin(async move { result }));
                }
                Err(TryRecvError::Empty) => {
                    return Ok(Box::pin(async move {
                        match outcome.await {
                            Ok(Ok(_)) => Ok(()),
                            Ok(Err(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::NotLeader),
                            // Discarded here, it may still be committed by another leader; gone, nobody knows.
                            Ok(Err(_)) | Err(_) => Err(ProposeError::Unknown),
                        }
                    }));
                }
                Err(TryRecvError::Closed) => return Err(ProposeError::Unknown),
            }
            tokio::time::sleep(LEASE_RETRY).await;
        }
    }

    /// See [`crate::ShardHandle::read_barrier`].
    pub(crate) async fn read_barrier(&self) -> Result<(), BarrierError> {
        match self.leads_alone() {
            Some(_) => Ok(()),
            None => self.barrier().await.map(|_| ()),
        }
    }

    /// See [`crate::ShardHandle::confirm`].
    pub(crate) async fn confirm(&self, leadership: Leadership) -> Result<(), BarrierError> {
        let term = match self.leads_alone() {
            Some(alone) => Some(alone.term),
            None => self.barrier().await?,
        };
        match term == Some(leadership.term) {
            true => Ok(()),
            false => Err(BarrierError::NotLeader),
        }
    }

    /// Nobody else can have been elected, and what this replica has acknowledged is in its rows: there is nobody to ask
    /// and nothing to wait for. Whoever becomes a voter beside it needs its vote before anybody can lead without it.
    fn leads_alone(&self) -> Option<Leadership> {
        let leadership = (*self.leadership.borrow()).filter(|_| self.is_sole_voter.load(Ordering::Acquire))?;
        self.disk.failure().is_none().then_some(leadership)
    }

    async fn barrier(&self) -> Result<Option<u64>, BarrierError> {
        let (done, answer) = oneshot::channel();
        self.barriers.send(done).await.map_err(|_| BarrierError::Stopped)?;
        answer.await.unwrap_or(Err(BarrierError::Stopped))
    }

    /// Answers another replica of the shard.
    ///
    /// # Errors
    /// Why not, in words; then nothing was done.
    pub(crate) async fn serve(&self, call: RaftCall) -> Result<RaftAnswer, String> {
        let _call = self.gate.enter().await.ok_or("the replica is stopping")?;
        let words = |error: &dyn std::fmt::Display| error.to_string();
        match call {
            RaftCall::Append(append) => {
                let request = append.request().map_err(|e| words(&e))?;
                let commit = request.leader_commit.map_or(0, |id| id.index());
                let response = self.raft.append_entries(request).await.map_err(|e| words(&e))?;
                if response.is_success() && self.progress.borrow().written >= commit {
                    *self.heard.lock() = Some(Instant::now());
                }
                Ok(RaftAnswer::Appended(Appended::from(response)))
            }
            RaftCall::Vote(candidacy) => {
                self.may_vote()?;
                Ok(self.raft.vote(candidacy.into()).await.map_err(|e| words(&e))?.into())
            }
            RaftCall::PreVote(candidacy) => {
                self.may_vote()?;
                Ok(self.raft.pre_vote(candidacy.into()).await.map_err(|e| words(&e))?.into())
            }
            RaftCall::Transfer { to, .. } if to == self.node && *self.leaving.borrow() => {
                Err("it is about to stop".into())
            }
            RaftCall::Transfer { from, to, last } => {
                let request = transfer_request(from, to, last);
                match self.raft.handle_transfer_leader(request).await.map_err(|e| words(&e))? {
                    Ok(()) => Ok(RaftAnswer::Transferring),
                    Err(error) => Err(words(&error)),
                }
            }
            RaftCall::ReadIndex => {
                let index = read_index(&self.raft, &self.lease).await.map_err(|e| words(&e))?;
                Ok(RaftAnswer::ReadIndex(index))
            }
            RaftCall::Snapshot(part) => Ok(RaftAnswer::Snapshot(self.take_part(part).await?)),
        }
    }

    /// Takes a part of the rows of a leader, and installs them when it was the last one; the vote that this replica
    /// holds says whether it was one.
    async fn take_part(&self, part: SnapshotPart) -> Result<WireVote, String> {
        let theirs = part.vote;
        let mine = self.raft.server_metrics().borrow_watched().vote;
        if mine > Vote::from(theirs) {
            return Ok(mine.into());
        }
        let mut incoming = self.incoming.lock().await;
        let taken = Incoming::take(&mut incoming, part, (self.shard, &self.places), &self.rows).await?;
        let (applied, generation) = match taken {
            Taken::Part => return Ok(theirs),
            Taken::All(applied, generation) => (applied, generation),
        };
        let meta = SnapshotMeta { last_log_id: applied.0, last_membership: applied.1 };
        let snapshot = Snapshot { meta, snapshot: ShardSnapshot { received: Some(generation) } };
        let installed = self.raft.install_full_snapshot(theirs.into(), snapshot).await;
        Ok(installed.map_err(|error| error.to_string())?.vote.into())
    }

    /// A leader's lease rests on what its followers have promised, which is not stored: whoever was just started may
    /// have promised something.
    fn may_vote(&self) -> Result<(), &'static str> {
        match Instant::now() < self.votes_from {
            true => Err("it was started less than a lease ago"),
            false => Ok(()),
        }
    }

    /// Leads no more and takes no further proposals and barriers; to be followed by [`RunningReplica::stop`].
    pub(crate) async fn retire(&self) {
        self.retiring.send_replace(true);
        self.cutter.abort();
        self.steward.abort();
        self.ender.abort();
        self.gate.close().await;
    }

    /// Carries out what the log has taken, then ends.
    pub(crate) async fn stop(&self) {
        self.settle().await;
        end_core(self.shard, &self.raft).await;
    }

    /// Waits until all of the log is applied and its rows are written, or never will be.
    ///
    /// A core that ends before leaves proposals without an outcome, and complains of whatever reports to it later.
    async fn settle(&self) {
        let mut progress = self.progress.clone();
        if progress.borrow().stopped {
            return;
        }
        // What a follower's log ends with may never be committed.
        let of_leader = |state: &RaftState<Types>| match state.server_state {
            ServerState::Leader => state.log_ids.last().map(|id| id.index()),
            _ => None,
        };
        let Ok(Some(last)) = self.raft.with_raft_state(of_leader).await else { return };
        // Both may fail only because the core has ended.
        let _ = self.raft.wait(None).applied_index_at_least(Some(last), "stop").await;
        let _ = progress.wait_for(|progress| progress.stopped || progress.written >= last).await;
    }
}

/// Lets calls to the core pass until the replica retires.
///
/// A call that finds the core gone, or is dropped by it, is an error to openraft and is logged as one. It is none in
/// a stop: so the last call is over before the core ends.
#[derive(Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CALLS_MAX as usize)))
    }
}

impl Gate {
    /// To be held during a call; `None`: the gate is closed.
    pub(super) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }

    /// Returns when everybody who passed has left, and nobody passes any more.
    async fn close(&self) {
        // Those who come later stand in line behind this one, and find the gate closed.
        let all = self.0.acquire_many(CALLS_MAX).await;
        self.0.close();
        drop(all);
    }
}

fn config(shard: ShardId, timings: &Timings) -> Config {
    let millis = |duration: Duration| duration.as_millis() as u64;
    Config {
        cluster_name: format!("shard {}", shard.0),
        heartbeat_interval: millis(timings.heartbeat),
        // A peer that has just answered an append needs no heartbeat.
        heartbeat_min_interval: Some(millis(timings.heartbeat)),
        election_timeout_min: millis(timings.election_min),
        election_timeout_max: millis(timings.election_max),
        enable_pre_vote: Some(true),
        // Switched on one lease after the start, see `begin_election`.
        enable_elect: false,
        // A restarted leader must win an election before it serves: it may have been replaced, and its rows
        // may be behind what it acknowledged until its first entry is committed.
        enable_leader_restore: Some(false),
        // A follower that has lost entries it had acknowledged, by an old copy of its folder, is filled again. By default
        // its leader ends itself, and so does the next one: one replica that forgets would stop the whole shard.
        allow_log_reversion: Some(true),
        // Logs are cut by bytes, see `cut_log`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    }
}

/// Makes the first membership of a new shard, if it is to be made here; has the only voter campaign at once, as nobody
/// else will, and everybody else wait for one lease.
async fn begin_election(raft: &Raft, gate: &Gate, node: u64, begin: &Begin, votes_from: Instant) -> Result<(), String> {
    if begin.founds && !raft.is_initialized().await.map_err(|error| error.to_string())? {
        raft.initialize(BTreeSet::from([node])).await.map_err(|error| error.to_string())?;
    } else if raft.voter_ids().eq([node]) {
        // No pre-vote: there is nobody to ask.
        raft.trigger().elect(false).await.map_err(|error| error.to_string())?;
    }
    let (raft, gate, mut leaving) = (raft.clone(), gate.clone(), begin.leaving.clone());
    tokio::spawn(async move {
        tokio::time::sleep_until(votes_from).await;
        if gate.enter().await.is_some() {
            raft.runtime_config().elect(true);
        }
        // Who hands over what it leads does not ask for it back.
        if leaving.wait_for(|leaving| *leaving).await.is_ok() && gate.enter().await.is_some() {
            raft.runtime_config().elect(false);
        }
    });
    Ok(())
}

/// Whom a replica tells about its leadership.
struct Leader {
    node: u64,
    leading: watch::Sender<Option<Leadership>>,
    known: watch::Sender<Option<NodeId>>,
    is_sole_voter: Arc<AtomicBool>,
    /// Others may vote soon, whatever the membership says by now.
    has_company: Arc<AtomicBool>,
}

/// Says since which term this process leads, once the first entry of the term is written.
async fn watch_leadership(
    leader: Leader,
    mut metrics: WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    reports: Reports,
    mut retires: watch::Receiver<bool>,
) {
    let Leader { node, leading, known, is_sole_voter, has_company } = leader;
    let mut blank = reports.blank_term.subscribe();
    loop {
        let (led, alone, leader) = {
            let now = metrics.borrow_watched();
            (led_term(node, &now), now.membership_config.voter_ids().eq([node]), now.current_leader.map(NodeId))
        };
        is_sole_voter.store(alone && !has_company.load(Ordering::Acquire), Ordering::Release);
        known.send_if_modified(|current| std::mem::replace(current, leader) != leader);
        let written = *blank.borrow_and_update();
        let leadership = led.filter(|&term| term == written).map(|term| Leadership { term });
        leading.send_if_modified(|current| std::mem::replace(current, leadership) != leadership);
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() { break },
            changed = blank.changed() => if changed.is_err() { break },
            () = told(&mut retires) => {
                // The core goes on until its log is carried out; who leads is nobody's business any more.
                leading.send_replace(None);
                while metrics.changed().await.is_ok() {}
                break;
            }
        }
    }
    // The core is gone. Whoever waits for it to write must not wait for ever.
    leading.send_replace(None);
    reports.stopped();
}

/// Returns when the watch says so.
async fn told(watch: &mut watch::Receiver<bool>) {
    if watch.wait_for(|&told| told).await.is_err() {
        // Whoever could have said so is gone.
        std::future::pending().await
    }
}

/// Ends the core once the disk has failed.
///
/// Heartbeats need no disk: a leader that has nothing to write would go on for ever, and keep its shard from those who
/// could serve it.
async fn end_with_disk(shard: ShardId, failure: impl Future<Output = ()>, raft: Raft, gate: Gate) {
    failure.await;
    if tokio::time::timeout(LAST_CALLS_TIMEOUT, gate.close()).await.is_err() {
        tracing::warn!(shard = shard.0, "calls to a replica whose disk has failed do not end");
    }
    end_core(shard, &raft).await;
}

async fn end_core(shard: ShardId, raft: &Raft) {
    if let Err(error) = raft.shutdown().await {
        tracing::error!(shard = shard.0, %error, "a replica did not stop cleanly");
    }
}

fn led_term(node: u64, metrics: &RaftServerMetrics<Types>) -> Option<u64> {
    let vote = &metrics.vote;
    let leads = metrics.state == ServerState::Leader && vote.committed && vote.leader_id.voted_for == node;
    leads.then_some(vote.leader_id.term)
}

/// How old the word of a majority may be for a leader to answer reads alone.
#[derive(Clone)]
struct Lease {
    longest: Duration,
    policy: ReadPolicy,
    sleep: Arc<SleepWatch>,
}

impl Lease {
    /// What a majority said before the machine slept is worth nothing: it may have waited for longer than it seems.
    fn age_max(&self) -> Duration {
        match self.policy {
            ReadPolicy::Lease => self.longest.min(self.sleep.awake_for()),
            ReadPolicy::Quorum => Duration::ZERO,
        }
    }
}

/// The term under which the barrier was had, if this replica led; else somebody else did.
type BarrierReply = oneshot::Sender<Result<Option<u64>, BarrierError>>;

/// Who must agree to a barrier.
struct Asked {
    disk: Disk,
    raft: Raft,
    gate: Gate,
    lease: Lease,
    peers: Peers,
}

impl Asked {
    /// Up to where rows must be written so that a read begun now is linearizable; asked of the leader, be it here or
    /// elsewhere.
    async fn read_index(&self) -> Result<(u64, Option<u64>), BarrierError> {
        let call = self.gate.enter().await.ok_or(BarrierError::Stopped)?;
        let (leads, leader) = {
            let metrics = self.raft.server_metrics();
            let now = metrics.borrow_watched();
            (now.state == ServerState::Leader, now.current_leader)
        };
        if leads {
            let index = read_index(&self.raft, &self.lease).await?;
            // Asked after it: terms only grow, so it led under this one if it had led under it before.
            let of_leader = |state: &RaftState<Types>| {
                (state.server_state == ServerState::Leader).then(|| state.vote_ref().leader_id.term)
            };
            let term = self.raft.with_raft_state(of_leader).await.map_err(|_| BarrierError::Stopped)?;
            return Ok((index, term));
        }
        drop(call);
        let leader = leader.ok_or(BarrierError::NotLeader)?;
        match self.peers.call(leader, RaftCall::ReadIndex, self.lease.longest).await {
            Ok(RaftAnswer::ReadIndex(index)) => Ok((index, None)),
            _ => Err(BarrierError::NotLeader),
        }
    }
}

/// Under the lease; if it has run out, a round of heartbeats renews it, within one election timeout.
async fn read_index(raft: &Raft, lease: &Lease) -> Result<u64, BarrierError> {
    let option = LinearizerOption::new(Some(lease.age_max()), true);
    let linearizer = raft.get_read_linearizer(option).await.map_err(|error| match error {
        RaftError::Fatal(_) => BarrierError::Stopped,
        RaftError::APIError(_) => BarrierError::NotLeader,
    })?;
    Ok(linearizer.read_log_id().index())
}

/// Answers all barriers that wait with one; those that come meanwhile get the next.
async fn answer_barriers(
    asked: Asked,
    mut progress: watch::Receiver<Progress>,
    mut requests: mpsc::Receiver<BarrierReply>,
) {
    let mut waiting = Vec::new();
    while requests.recv_many(&mut waiting, BARRIERS_MAX).await > 0 {
        let answer = barrier(&asked, &mut progress).await;
        for request in waiting.drain(..) {
            // Who asked may have given up.
            let _ = request.send(answer.clone());
        }
    }
}

async fn barrier(asked: &Asked, progress: &mut watch::Receiver<Progress>) -> Result<Option<u64>, BarrierError> {
    // Of a disk that has lied once nothing is told, though this read may meet what is whole.
    if asked.disk.failure().is_some() {
        return Err(BarrierError::Stopped);
    }
    let (index, term) = asked.read_index().await?;
    let reached = progress.wait_for(|progress| progress.stopped || progress.written >= index);
    match tokio::time::timeout(BARRIER_TIMEOUT, reached).await {
        Ok(Ok(progress)) if progress.written >= index => Ok(term),
        Ok(_) => Err(BarrierError::Stopped),
        // The leader that named the index may have been lost before it could commit anything there, and a quiet log
        // does not get that far for hours. Those who ask next ask the leader of now.
        Err(_) => Err(BarrierError::NotLeader),
    }
}

/// Keeps the log below its limit: whenever it has grown by half of it, the half before that is cut.
///
/// The log found at the start is cut at once, so that many short runs do not add up. While a peer is filled it is left
/// as it is, up to a bound.
async fn cut_log(raft: Raft, gate: Gate, log: LogStore, fills: Fills) {
    let mut older = last_index(&raft);
    let mut upto = older;
    let mut cuts_left_out = 0;
    loop {
        if let Some(index) = upto {
            if cuts_left_out < CUTS_LEFT_OUT_MAX && fills.need(index, |node| replicated(&raft, node)) {
                cuts_left_out += 1;
            } else if cut(&raft, &gate, index).await.is_some() {
                cuts_left_out = 0;
            } else {
                return;
            }
        }
        log.growth().due.notified().await;
        log.growth().restart();
        upto = older;
        older = last_index(&raft);
    }
}

/// `None`: the core has stopped, or is about to.
async fn cut(raft: &Raft, gate: &Gate, upto: u64) -> Option<()> {
    raft.wait(None).applied_index_at_least(Some(upto), "cut the log").await.ok()?;
    let call = gate.enter().await?;
    raft.trigger().snapshot().await.ok()?;
    drop(call);
    let covered = |metrics: &openraft::RaftMetrics<Types>| metrics.snapshot.is_some_and(|id| id.index() >= upto);
    raft.wait(None).metrics(covered, "cut the log").await.ok()?;
    let _call = gate.enter().await?;
    raft.trigger().purge_log(upto).await.ok()
}

/// Up to where a node has the log, as far as a leader knows.
fn replicated(raft: &Raft, node: u64) -> Option<u64> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.replication.as_ref()?.get(&node)?.as_ref().map(|id| id.index())
}

fn last_index(raft: &Raft) -> Option<u64> {
    raft.metrics().borrow_watched().last_log_index
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry;
    use openraft::raft::AppendEntriesRequest;
    use serde_bytes::ByteBuf;

    use super::super::types::{Entry, LogId, Membership};
    use super::*;
    use crate::application::{Committed, Release, Transaction};
    use crate::disk::{DiskObserver, MemoryStore};
    use crate::handle::NodesObserver;
    use crate::net::wire::Append;

    const SHARD: ShardId = ShardId(0);
    const ME: u64 = 2;
    const OTHER: u64 = 1;

    struct Indifferent;

    impl ShardMachine for Indifferent {
        fn apply(&mut self, _: &[Committed], _: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
            Ok(None)
        }
    }

    async fn follower(disk: &Disk) -> RunningReplica {
        let timings = Timings {
            heartbeat: Duration::from_secs(60),
            election_min: Duration::from_secs(600),
            election_max: Duration::from_secs(900),
            log_bytes_max: 1 << 20,
            reads: ReadPolicy::Lease,
        };
        let peers = Peers::new(SHARD, None, timings.election_min, NodesObserver::default());
        let (_, plan) = watch::channel(Plan::default());
        let (_, leaving) = watch::channel(false);
        let sleep = Arc::new(SleepWatch::of_system());
        let begin = Begin { founds: false, plan, places: crate::slot::places(SHARD, 1), leaving, sleep };
        let started = RunningReplica::start(disk, ME, SHARD, Box::new(Indifferent), &timings, peers, begin);
        started.await.expect("started")
    }

    fn voters(of: &[u64]) -> openraft::Membership<u64, ()> {
        openraft::Membership::new_with_defaults(vec![of.iter().copied().collect()], [])
    }

    fn entry(term: u64, index: u64, payload: EntryPayload<Proposal, u64, ()>) -> Entry {
        Entry::new(LogId::new(term.into(), index), payload)
    }

    /// Who would have to agree if this replica wanted to be elected.
    fn electorate(replica: &RunningReplica) -> Vec<u64> {
        replica.raft.metrics().borrow_watched().membership_config.membership().voter_ids().collect()
    }

    /// Rows that are taken over end the log that was there, and with it a change of voters that was never committed: by
    /// its voters this replica would be elected without those who have committed what the rows hold.
    ///
    /// Source: issue 1808 of openraft.
    #[tokio::test]
    async fn a_change_of_voters_that_rows_have_overtaken_is_forgotten() {
        let disk = Disk::start(Arc::new(MemoryStore::new()), true, 0, DiskObserver::default()).expect("threads");
        let replica = follower(&disk).await;
        let append = AppendEntriesRequest {
            vote: Vote::new_committed(1, OTHER),
            prev_log_id: None,
            entries: vec![
                entry(0, 0, EntryPayload::Membership(voters(&[OTHER]))),
                entry(1, 1, EntryPayload::Blank),
                entry(1, 2, EntryPayload::Membership(voters(&[ME, 3]))),
            ],
            leader_commit: Some(LogId::new(1.into(), 1)),
        };
        let append = Append::new(append).expect("encoded");
        replica.serve(RaftCall::Append(append)).await.expect("appended");
        assert_eq!(electorate(&replica), [ME, 3], "a change counts from when it is in the log");

        let first = Membership::new(Some(LogId::new(0.into(), 0)), voters(&[OTHER]));
        let applied: machine::Applied = (Some(LogId::new(2.into(), 9)), first);
        let part = SnapshotPart {
            vote: Vote::new_committed(2, OTHER).into(),
            transfer: 1,
            part: 0,
            rows: Vec::new(),
            applied: Some(ByteBuf::from(codec::encode(&applied).expect("encoded"))),
        };
        replica.serve(RaftCall::Snapshot(part)).await.expect("taken");
        assert_eq!(electorate(&replica), [OTHER]);
        replica.retire().await;
        replica.stop().await;
        disk.close().await;
    }
}
