//! What a node does with its shards: propose, wait for a read barrier, watch who leads.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use serde_bytes::ByteBuf;
use tokio::sync::watch;

use crate::application::ShardMachine;
use crate::disk::{
    self, Batch, Disk, DiskError, DiskOptions, Family, Folder, Health, Identity, Rocks, Rows, Runner, Storage,
};
use crate::forming::{Formed, Forming};
use crate::meta::{META, Members, MetaChange, MetaMachine, NODES_MAX, NodeCard};
use crate::net::wire::{Answer, Call, JoinAnswer, JoinCall};
use crate::net::{Name, Net, NetOptions};
use crate::peer::{Attendant, CallError, NodeId};
use crate::placement::{Plan, Planner};
use crate::raft::{self, Begin, Peers, ReplicaReport, RunningReplica, Timings, Way};
use crate::reception::Reception;
use crate::replaced::{Replaced, in_the_place_of};
use crate::sleep::SleepWatch;
use crate::slot::{ShardId, places};

/// Ids are minted under one of these, unique among live nodes.
///
/// Source: docs/spec/identifiers.md section 5.
const MINT_SLOTS: u64 = 4096;

/// A node takes another one of its own at every start.
const MINT_SLOTS_PER_NODE: u64 = MINT_SLOTS / NODES_MAX as u64;

/// How long a node asks others about itself before it takes part.
const TWIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long whoever has the address of a newcomer is asked whether it is still there; the newcomer waits twice as long.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a node looks whether the cluster knows where it is.
const INTRODUCE_EVERY: Duration = Duration::from_millis(250);

/// One leadership of one shard by this process: it begins when the process has applied the blank entry of its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leadership {
    pub term: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data folder {path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("data folder {path} was written by format {found}, this binary reads up to {known}")]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    #[error("data folder {path} was written by format {found}, this binary reads from {oldest} on")]
    OlderFormat { path: PathBuf, found: u32, oldest: u32 },
    #[error(
        "data folder {path} holds {found} shards, cluster.shards asks for {wanted}; the number is fixed when the folder is made"
    )]
    ShardsDiffer { path: PathBuf, found: u16, wanted: u16 },
    #[error(
        "data folder {path} is that of node {node}, which runs at {address}: one of the two is a copy; a further node starts with an empty folder"
    )]
    Copied { path: PathBuf, node: NodeId, address: String },
    #[error("data folder {path} is damaged: {reason}")]
    Corrupt { path: PathBuf, reason: String },
    #[error("data folder {path} cannot be used: {reason}")]
    Failed { path: PathBuf, reason: String },
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Refused before it was appended: it did not and will not happen.
    #[error("not the leader of this shard in that term")]
    NotLeader,
    /// It may yet be committed; the log will tell.
    #[error("the outcome is known to the log alone")]
    Unknown,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum BarrierError {
    #[error("not the leader of this shard, or no quorum answers")]
    NotLeader,
    #[error("the replica has stopped")]
    Stopped,
}

#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub data_dir: PathBuf,
    /// Of a new cluster; a node that is let in takes over what the cluster has. Fixed from then on.
    pub shards: u16,
    pub disk: DiskOptions,
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
    /// A shard's log beyond this is cut behind what is applied and durable.
    pub log_bytes_max: u64,
    pub reads: ReadPolicy,
    pub nodes: NodesOptions,
}

/// What a leader rests on when it says up to where rows must be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadPolicy {
    /// On its lease: the word of a majority that is not old, by the clocks of these nodes.
    #[default]
    Lease,
    /// On no clock: a majority is asked anew.
    Quorum,
}

/// Who is told how replicas fare; must not wait.
#[derive(Clone, Copy, Debug)]
pub struct NodesObserver {
    /// An append to a replica on another node came to nothing.
    pub append_failed: fn(),
    /// A replica here was filled from the rows of another node.
    pub filled: fn(),
}

impl Default for NodesObserver {
    /// Nobody.
    fn default() -> Self {
        Self { append_failed: || {}, filled: || {} }
    }
}

/// The other nodes, and what they are told of this one.
#[derive(Clone, Debug)]
pub struct NodesOptions {
    /// `None`: the node neither listens nor calls, and stays alone.
    pub net: Option<NetOptions>,
    /// Where a new node looks for a cluster, or for others to form one with; empty: it is a cluster of its own.
    pub seeds: Vec<String>,
    /// How many nodes must be there before a cluster is formed; more than half of the seeds in any case.
    pub bootstrap_expect: usize,
    /// Copies of every shard, if there are so many nodes.
    pub copies: usize,
    /// For people.
    pub name: String,
    /// Nodes of one zone fail together.
    pub zone: String,
    pub observer: NodesObserver,
    /// Told what a node that is not part of a cluster yet waits for.
    pub waits_for: watch::Sender<String>,
}

impl Default for NodesOptions {
    /// Alone.
    fn default() -> Self {
        Self {
            net: None,
            seeds: Vec::new(),
            bootstrap_expect: 1,
            copies: 3,
            name: String::new(),
            zone: String::new(),
            observer: NodesObserver::default(),
            waits_for: watch::Sender::default(),
        }
    }
}

impl NodesOptions {
    /// How many nodes must have promised themselves before a cluster is formed.
    pub(crate) fn expected(&self) -> usize {
        self.bootstrap_expect.max(self.seeds.len() / 2 + 1)
    }
}

/// Resolves when the proposal was refused, or applied by this replica and its rows are written.
pub type Proposed = Pin<Box<dyn Future<Output = Result<(), ProposeError>> + Send>>;

/// A node's part in its shards. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    options: ClusterOptions,
    disk: Disk,
    identity: Identity,
    mint_slot: u16,
    /// Shards that were started: a second replica on the same log would ruin it.
    started: Mutex<BTreeSet<ShardId>>,
    replicas: RwLock<FxHashMap<ShardId, Arc<RunningReplica>>>,
    planner: Planner,
    plans: Mutex<FxHashMap<ShardId, watch::Sender<Plan>>>,
    /// Which nodes there are, as far as this one knows.
    members: watch::Sender<Arc<Members>>,
    /// This node is about to stop.
    leaving: watch::Sender<bool>,
    /// Who answers the calls of other nodes.
    attendant: OnceLock<Arc<dyn Attendant>>,
    net: Option<Net>,
    /// How replicas reach each other.
    way: Option<Way>,
    sleep: Arc<SleepWatch>,
}

impl Cluster {
    /// How many shards a data folder holds; `None`: it was never made.
    ///
    /// # Errors
    /// Its format file cannot be read, or is damaged or newer.
    pub fn shards_of(data_dir: &Path) -> Result<Option<u16>, OpenError> {
        Ok(Folder::identity_of(data_dir)?.map(|identity| identity.shards))
    }

    /// Opens the data folder of a node among others, and makes it part of its cluster: a new folder waits until the
    /// node is let in, or a cluster is formed; without seeds it is a cluster of one that others may join.
    ///
    /// # Errors
    /// See [`OpenError`]; the port cannot be opened, or the cluster does not let the node in.
    pub async fn enter(mut options: ClusterOptions) -> Result<Self, OpenError> {
        let path = options.data_dir.clone();
        let failed = |error: std::io::Error| OpenError::Failed { path: path.clone(), reason: error.to_string() };
        let Some(net_options) = options.nodes.net.clone() else { return Self::open(options) };
        let reception = Reception::new(options.data_dir.clone())?;
        let net = Net::start(&net_options, reception.clone()).map_err(|error| OpenError::Failed {
            path: path.clone(),
            reason: format!("the port for other nodes cannot be opened: {error}"),
        })?;
        let known = Folder::identity_of(&options.data_dir)?;
        let formed = match known {
            Some(identity) => Formed { identity, members: Vec::new() },
            None if options.nodes.seeds.is_empty() => {
                Formed { identity: Identity::new(options.shards).map_err(failed)?, members: Vec::new() }
            }
            None => Forming { options: &options, net: &net, reception: &reception }.run().await?,
        };
        let Formed { identity, members } = formed;
        if known.is_none() {
            options.shards = identity.shards;
        }
        let folder = Folder::open_as(&options.data_dir, options.shards, || Ok(identity))?;
        let identity = folder.identity();
        net.set_name(Name { cluster: Some(identity.cluster), node: Some(identity.node) });
        let storage = Rocks::open(folder, &options.disk)?;
        let cluster = Self::start(Arc::new(storage), identity, options, Some(net))?;
        cluster.inner.begin_meta(members).await?;
        reception.opened(&cluster.inner);
        Ok(cluster)
    }

    /// Opens the data folder, making it if absent.
    ///
    /// Reads the whole write-ahead log, and tables up to [`DiskOptions::start_check_bytes_max`]; damage there is found
    /// here. Damage elsewhere fails the disk when it is read, see [`Cluster::remember_damage`].
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed unless the folder is new.
    pub fn open(options: ClusterOptions) -> Result<Self, OpenError> {
        let folder = Folder::open(&options.data_dir, options.shards)?;
        let identity = folder.identity();
        let storage = Rocks::open(folder, &options.disk)?;
        Self::start(Arc::new(storage), identity, options, None)
    }

    /// Starts the disk's threads on a store that is open.
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        identity: Identity,
        options: ClusterOptions,
        net: Option<Net>,
    ) -> Result<Self, OpenError> {
        let way = net.as_ref().map(|net| Way::Links(net.links().clone()));
        Self::start_by(Runner::Threads, storage, identity, options, (net, way), SleepWatch::of_system())
    }

    pub(crate) fn start_by(
        runner: Runner,
        storage: Arc<dyn Storage>,
        identity: Identity,
        options: ClusterOptions,
        (net, way): (Option<Net>, Option<Way>),
        sleep: SleepWatch,
    ) -> Result<Self, OpenError> {
        let path = &options.data_dir;
        let mint_slot = mint_slot(&*storage, NodeId(identity.node)).map_err(|error| OpenError::of(path, error))?;
        let DiskOptions { flush, row_cache_bytes, observer, .. } = options.disk;
        let disk = Disk::start_by(runner, storage, flush, row_cache_bytes, observer)
            .map_err(|error| OpenError::Failed { path: path.clone(), reason: error.to_string() })?;
        Ok(Self {
            inner: Arc::new(Inner {
                planner: Planner::new(options.shards, options.nodes.copies),
                options,
                disk,
                identity,
                mint_slot,
                started: Mutex::default(),
                replicas: RwLock::default(),
                plans: Mutex::default(),
                members: watch::Sender::new(Arc::default()),
                leaving: watch::Sender::new(false),
                attendant: OnceLock::new(),
                net,
                way,
                sleep: Arc::new(sleep),
            }),
        })
    }

    /// How many shards the folder holds.
    pub fn shards(&self) -> u16 {
        self.inner.options.shards
    }

    /// This node's number among its cluster's id slots, below 4096; a fresh one at every start.
    pub fn mint_slot(&self) -> u16 {
        self.inner.mint_slot
    }

    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// This incarnation of this node.
    pub fn node(&self) -> NodeId {
        NodeId(self.inner.identity.node)
    }

    /// Says who answers the calls of other nodes; the first one stays.
    pub fn attend(&self, attendant: Arc<dyn Attendant>) {
        let _ = self.inner.attendant.set(attendant);
    }

    /// Has another node's [`Attendant`] answer a call.
    ///
    /// # Errors
    /// [`CallError`]; only [`CallError::Lost`] may have been carried out.
    pub async fn call(&self, node: NodeId, call: Bytes, deadline: Instant) -> Result<Bytes, CallError> {
        let Some(net) = &self.inner.net else { return Err(CallError::NotSent) };
        match net.links().call(node.0, Call::Above(ByteBuf::from(call.to_vec())), deadline).await? {
            Answer::Above(answer) => Ok(answer.into_vec().into()),
            // It says that it did nothing.
            _ => Err(CallError::NotSent),
        }
    }

    /// Which nodes there are, as far as this one knows.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.inner.members.subscribe()
    }

    /// What this node's replicas say of themselves: by shard, the meta group last.
    pub fn report(&self) -> Vec<ReplicaReport> {
        let mut replicas: Vec<_> = self.inner.replicas.read().values().cloned().collect();
        replicas.sort_by_key(|replica| replica.shard());
        replicas.iter().map(|replica| replica.report()).collect()
    }

    /// Names the cluster; it got the name when it was formed.
    pub fn id(&self) -> u64 {
        self.inner.identity.cluster
    }

    pub fn health(&self) -> Health {
        self.inner.disk.health()
    }

    /// What a flush of the disk takes these days; 0 before the first.
    pub fn flush_time(&self) -> Duration {
        self.inner.disk.flush_time()
    }

    /// How long the flush that is under way has lasted; 0 if none is.
    pub fn current_flush(&self) -> Duration {
        self.inner.disk.current_flush()
    }

    /// The damage that failed the disk, if it was damage: [`OpenError::Corrupt`] with file and place.
    ///
    /// It is remembered in the folder: the next start reads every table to the end, whatever its options say, and
    /// refuses the folder while the damage is there.
    pub fn remember_damage(&self) -> Option<OpenError> {
        let reason = self.inner.disk.damage()?;
        let path = self.inner.options.data_dir.clone();
        if let Err(error) = disk::mark_damaged(&path, &reason) {
            tracing::error!(%error, "the damage cannot be remembered for the next start");
        }
        Some(OpenError::Corrupt { path, reason })
    }

    /// Starts this node's replica of a shard; its tasks run on the calling runtime.
    ///
    /// On the node that founded the cluster the first start makes the shard, with this node as its only voter.
    ///
    /// # Errors
    /// What was stored cannot be read, the timings contradict each other, there is no such shard, or it was
    /// started before.
    pub async fn start_shard(&self, shard: ShardId, machine: Box<dyn ShardMachine>) -> Result<ShardHandle, OpenError> {
        if shard.0 >= self.inner.options.shards {
            return Err(self.inner.shard_failed(shard, "it does not exist"));
        }
        let replica = self.inner.start_replica(shard, machine).await?;
        Ok(ShardHandle { replica })
    }

    /// Hands over what this node leads, to nodes that can lead it; `false`: not all of it went within that time.
    ///
    /// From now on it neither takes a leadership nor campaigns for one: to be followed by [`Cluster::stop`].
    pub async fn hand_over(&self, within: Duration) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        self.inner.leaving.send_replace(true);
        let replicas: Vec<_> = self.inner.replicas.read().values().cloned().collect();
        let handed = async {
            while !replicas.iter().all(|replica| replica.is_free()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(within, handed).await.is_ok()
    }

    /// Stops all replicas, ends the disk's threads. What a log has taken is carried out; what comes later is refused.
    ///
    /// Waits for a flush under way, however long it takes.
    /// The folder is free for another process when the last handle to the cluster, its shards and rows is gone.
    pub async fn stop(&self) {
        let replicas: Vec<_> = std::mem::take(&mut *self.inner.replicas.write()).into_values().collect();
        // All before any: a shard must not be asked by another one when it is gone.
        for replica in &replicas {
            replica.retire().await;
        }
        for replica in &replicas {
            replica.stop().await;
        }
        if let Some(net) = &self.inner.net {
            net.close().await;
        }
        self.inner.disk.close().await;
    }
}

impl Inner {
    /// Which nodes there are, of a node that has no meta group to ask.
    pub(crate) fn is_told(&self, members: Arc<Members>) {
        self.members.send_replace(members);
    }

    pub(crate) fn cluster_id(&self) -> u64 {
        self.identity.cluster
    }

    pub(crate) fn replica(&self, shard: ShardId) -> Option<Arc<RunningReplica>> {
        self.replicas.read().get(&shard).cloned()
    }

    pub(crate) fn attendant(&self) -> Option<Arc<dyn Attendant>> {
        self.attendant.get().cloned()
    }

    fn shard_failed(&self, shard: ShardId, reason: &str) -> OpenError {
        let path = self.options.data_dir.clone();
        OpenError::Failed { path, reason: format!("shard {}: {reason}", shard.0) }
    }

    async fn start_replica(
        &self,
        shard: ShardId,
        machine: Box<dyn ShardMachine>,
    ) -> Result<Arc<RunningReplica>, OpenError> {
        let Self { options, disk, identity, .. } = self;
        if !self.started.lock().insert(shard) {
            return Err(self.shard_failed(shard, "it was started before"));
        }
        let timings = Timings {
            heartbeat: options.heartbeat,
            election_min: options.election_min,
            election_max: options.election_max,
            log_bytes_max: options.log_bytes_max,
            reads: options.reads,
        };
        let peers = Peers::new(shard, self.way.clone(), options.election_min, options.nodes.observer);
        let members = self.members.borrow().clone();
        let planned = self.planner.plans(&members).of(shard);
        let (plan, plans) = watch::channel(planned);
        self.plans.lock().insert(shard, plan);
        let begin = Begin {
            founds: identity.founder,
            plan: plans,
            places: places(shard, options.shards),
            leaving: self.leaving.subscribe(),
            sleep: self.sleep.clone(),
        };
        let replica = RunningReplica::start(disk, identity.node, shard, machine, &timings, peers, begin).await;
        let replica = Arc::new(replica.map_err(|reason| match disk.failure() {
            Some(error) => OpenError::of(&options.data_dir, error),
            None => self.shard_failed(shard, &reason),
        })?);
        self.replicas.write().insert(shard, replica.clone());
        Ok(replica)
    }

    /// Starts the meta group's replica, and keeps addresses and plans up to date with what it says.
    async fn begin_meta(self: &Arc<Self>, told: Vec<NodeCard>) -> Result<(), OpenError> {
        let Some(runtime) = self.net.as_ref().map(|net| net.runtime().clone()) else { return Ok(()) };
        // Until the log says more: whoever let this node in has told it where the others are.
        self.members.send_replace(Members::new(told));
        let machine = MetaMachine::new(self.members.clone());
        let stored = raft::stored_rows(&self.disk, META, machine.keeps()).and_then(|rows| MetaMachine::read(&rows));
        let stored = stored.map_err(|error| OpenError::of(&self.options.data_dir, error))?;
        if !stored.nodes().is_empty() {
            self.members.send_replace(stored);
        }
        self.follow(&self.members.borrow().clone());
        // Before any replica of this name can say anything.
        self.refuse_twins().await?;
        let inner = self.clone();
        let started = runtime.spawn(async move { inner.start_replica(META, Box::new(machine)).await });
        let replica = match started.await {
            Ok(started) => started?,
            Err(error) => return Err(self.shard_failed(META, &error.to_string())),
        };
        self.follow(&self.members.borrow().clone());
        let (weak, mut members) = (Arc::downgrade(self), self.members.subscribe());
        runtime.spawn(async move {
            while members.changed().await.is_ok() {
                let now = members.borrow_and_update().clone();
                let Some(inner) = weak.upgrade() else { return };
                inner.follow(&now);
            }
        });
        runtime.spawn(introduce(Arc::downgrade(self), replica));
        Ok(())
    }

    /// Refuses to go on where another node runs with a copy of this data folder: two replicas of one name would both
    /// vote, and acknowledge what the other has not.
    async fn refuse_twins(&self) -> Result<(), OpenError> {
        let Some(net) = &self.net else { return Ok(()) };
        let (members, number) = (self.members.borrow().clone(), NodeId(self.identity.node).number());
        let deadline = Instant::now() + TWIN_TIMEOUT;
        let others = members.nodes().iter().filter(|card| card.id().number() != number);
        let asked = others.map(|card| net.links().call(card.node, Call::Where(number), deadline));
        let mut addresses: BTreeSet<String> = self.address_of(number).into_iter().collect();
        for answer in futures::future::join_all(asked).await {
            if let Ok(Answer::At(Some(address))) = answer {
                addresses.insert(address);
            }
        }
        addresses.remove(net.advertised());
        let deadline = Instant::now() + TWIN_TIMEOUT;
        for address in addresses {
            if net.is_twin(&address, deadline).await {
                let path = self.options.data_dir.clone();
                return Err(OpenError::Copied { path, node: NodeId(self.identity.node), address });
            }
        }
        Ok(())
    }

    pub(crate) fn address_of(&self, number: u32) -> Option<String> {
        let members = self.members.borrow();
        members.nodes().iter().find(|card| card.id().number() == number).map(|card| card.address.clone())
    }

    /// Takes over which nodes there are.
    fn follow(&self, members: &Arc<Members>) {
        if let Some(net) = &self.net {
            net.links().set_addresses(members.nodes().iter().map(|card| (card.node, card.address.clone())));
        }
        let plans = self.planner.plans(members);
        for (shard, planned) in &*self.plans.lock() {
            let next = plans.of(*shard);
            planned.send_if_modified(|known| {
                *known != next && {
                    *known = next;
                    true
                }
            });
        }
    }

    /// Has the meta group carry a change of this node's card out, wherever it is led.
    async fn carry_out(&self, meta: &RunningReplica, change: MetaChange) {
        let deadline = Instant::now() + INTRODUCE_EVERY;
        if propose(meta, &change, deadline).await {
            return;
        }
        let leader = *meta.leader().borrow();
        if let (Some(leader), Some(net), MetaChange::Moved(card)) = (leader, &self.net, change) {
            // Tried again in a while, whatever came of it.
            let _ = net.links().call(leader.0, Call::Moved(card), deadline).await;
        }
    }

    /// Notes where a node is now, if the meta group is led here.
    pub(crate) async fn note(&self, card: NodeCard, deadline: Instant) -> bool {
        let Some(meta) = self.replica(META) else { return false };
        propose(&meta, &MetaChange::Moved(card), deadline).await
    }

    /// What somebody is told who wants to join under the address of a node that is still there; `None`: there is none.
    ///
    /// The newcomer would get that node's number, and nobody would speak to that node any more. One that lost its folder
    /// comes from its own address, too, but nobody answers there under its old name.
    async fn keeps_out(&self, address: &str, incarnation: u32, deadline: Instant) -> Option<JoinAnswer> {
        let net = self.net.as_ref()?;
        let known = self.members.borrow().at(address).filter(|card| card.node as u32 != incarnation)?.clone();
        let is_there = match known.node == self.identity.node {
            true if net.advertised() == address => true,
            // This node has moved, and the log is about to say so.
            true => return Some(JoinAnswer::Ask(None)),
            false => {
                let deadline = deadline.min(Instant::now() + ADDRESS_TIMEOUT);
                net.links().dialler().is_at(address, known.node, deadline).await
            }
        };
        is_there.then(|| {
            let number = known.id().number();
            tracing::warn!(address, number, "a node that wants to join goes by the address of another one");
            JoinAnswer::Refused(format!(
                "it goes by the address {address}, where node {number} answers; every node advertises an address of its own"
            ))
        })
    }

    /// Lets a node in, if the meta group is led here.
    pub(crate) async fn admit(&self, join: JoinCall, deadline: Instant) -> JoinAnswer {
        let cluster = self.identity.cluster;
        if let Some(other) = join.promised.filter(|promised| *promised != cluster) {
            return JoinAnswer::Refused(format!(
                "it has promised itself to cluster {other:016x}, and this is {cluster:016x}; if that one never came \
                 about, remove its data folder"
            ));
        }
        let Some(meta) = self.replica(META) else { return JoinAnswer::Ask(None) };
        if self.members.borrow().nodes().iter().all(|card| card.node != self.identity.node) {
            // The first number is the founder's, who has not been given it yet.
            return JoinAnswer::Ask(None);
        }
        let JoinCall { address, name, zone, incarnation, .. } = join;
        let leads = meta.leadership().borrow().is_some();
        if leads && let Some(answer) = self.keeps_out(&address, incarnation, deadline).await {
            return answer;
        }
        let change = MetaChange::Admit { address: address.clone(), name, zone, incarnation };
        if !propose(&meta, &change, deadline).await {
            let leader = *meta.leader().borrow();
            let members = self.members.borrow();
            let card = members.nodes().iter().find(|card| Some(card.id()) == leader && card.node != self.identity.node);
            return JoinAnswer::Ask(card.map(|card| card.address.clone()));
        }
        let members = self.members.borrow().clone();
        match members.at(&address).filter(|card| card.node as u32 == incarnation) {
            Some(card) => JoinAnswer::Welcome {
                cluster,
                node: card.node,
                shards: self.options.shards,
                members: members.nodes().to_vec(),
            },
            None => JoinAnswer::Refused("the cluster has as many nodes as it may have".into()),
        }
    }
}

/// Has the meta group carry a change out; `false`: it is not led here, or not in time.
async fn propose(meta: &RunningReplica, change: &MetaChange, deadline: Instant) -> bool {
    let Some(leadership) = *meta.leadership().borrow() else { return false };
    let Ok(payload) = raft::encode(change) else { return false };
    let proposed = async {
        match meta.propose(leadership, payload.into()).await {
            Ok(outcome) => outcome.await.is_ok(),
            Err(_) => false,
        }
    };
    tokio::time::timeout_at(deadline.into(), proposed).await.unwrap_or(false)
}

/// Sees to it that the meta group knows where this node is and what it is called.
async fn introduce(inner: Weak<Inner>, meta: Arc<RunningReplica>) {
    let mut replaced = Replaced::default();
    loop {
        {
            let Some(inner) = inner.upgrade() else { return };
            let Some(net) = &inner.net else { return };
            let (nodes, node) = (&inner.options.nodes, inner.identity.node);
            let card = NodeCard {
                node,
                address: net.advertised().to_owned(),
                name: nodes.name.clone(),
                zone: nodes.zone.clone(),
            };
            let members = inner.members.borrow().clone();
            let known = members.nodes().iter().find(|known| known.node == node).cloned();
            let other = in_the_place_of(&card, &members).cloned();
            if let Some(other) = replaced.lasts(other.as_ref(), Instant::now()) {
                tracing::error!(
                    node = format_args!("{node:016x}"),
                    other = format_args!("{:016x}", other.node),
                    address = other.address,
                    "the cluster has another node under this node's number or address, and speaks to that one: stop one \
                     of the two, and start this one with an address of its own and an empty folder"
                );
            }
            if let Some(known) = known.as_ref().filter(|known| known.address != card.address)
                && net.is_twin(&known.address, Instant::now() + TWIN_TIMEOUT).await
            {
                // Both were started before either could be found: whoever notices ends, and is refused when it comes back.
                let reason = format!("a copy of this data folder runs at {}", known.address);
                inner.disk.fail(&DiskError::Failed(reason));
                return;
            }
            let change = match known {
                Some(known) if known == card => None,
                Some(_) => Some(MetaChange::Moved(card)),
                None if inner.identity.founder && other.is_none() => Some(MetaChange::Admit {
                    address: card.address,
                    name: card.name,
                    zone: card.zone,
                    incarnation: node as u32,
                }),
                // The log has not told of this node yet, or tells of another one in its place.
                None => None,
            };
            if let Some(change) = change {
                inner.carry_out(&meta, change).await;
            }
        }
        tokio::time::sleep(INTRODUCE_EVERY).await;
    }
}

impl OpenError {
    pub(crate) fn of(path: &Path, error: DiskError) -> Self {
        let path = path.to_owned();
        match error {
            DiskError::Corrupt(reason) => Self::Corrupt { path, reason },
            DiskError::Failed(reason) => Self::Failed { path, reason },
        }
    }
}

/// Counts a start, durably, and returns what this run mints ids under: no node has that of another one, nor a run that
/// of the runs before it.
///
/// Flushed before it is used: an id minted under a number that a crash takes back could be minted again.
fn mint_slot(storage: &dyn Storage, node: NodeId) -> Result<u16, DiskError> {
    let mut before = Ok(0);
    storage.get(Family::Meta, &raft::starts_key(), &mut |value| before = raft::decode::<u64>(value))?;
    let starts = before.map_err(|error| DiskError::Corrupt(format!("counter of starts: {error}")))? + 1;
    let mut batch = Batch::default();
    let value = raft::encode(&starts).map_err(|error| DiskError::Failed(error.to_string()))?;
    batch.put(Family::Meta, raft::starts_key(), value);
    storage.write(&[batch])?;
    storage.flush()?;
    let nodes_before = u64::from(node.number().saturating_sub(1)) % NODES_MAX as u64;
    Ok((nodes_before * MINT_SLOTS_PER_NODE + starts % MINT_SLOTS_PER_NODE) as u16)
}

/// One shard as its host on this node uses it. Cheap to clone.
#[derive(Clone)]
pub struct ShardHandle {
    replica: Arc<RunningReplica>,
}

impl ShardHandle {
    pub fn id(&self) -> ShardId {
        self.replica.shard()
    }

    pub fn rows(&self) -> &Rows {
        self.replica.rows()
    }

    /// `Some` while this process leads and has applied the blank entry of that term.
    ///
    /// It may skip what was true only for a moment; a leadership of another term is always a different value.
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.replica.leadership()
    }

    /// Returns once this process is known to have led the shard in that leadership after the call began, which had been
    /// told by [`ShardHandle::leadership`] before.
    ///
    /// # Errors
    /// It led no more, or no quorum answers.
    pub async fn confirm(&self, leadership: Leadership) -> Result<(), BarrierError> {
        self.replica.confirm(leadership).await
    }

    /// How long ago a leader said how far the shard is, and all of that was written here: rows are so much behind, and by
    /// as long as words take on the way. `None`: nobody has since the start.
    pub fn heard(&self) -> Option<Duration> {
        self.replica.heard()
    }

    /// Says that rows of this shard cannot be made sense of. The disk has failed then, as if it had found that itself:
    /// this process serves nothing any more, and others lead.
    pub fn fail(&self, error: &DiskError) {
        self.replica.rows().disk().fail(error);
    }

    /// Whether this replica has a vote, by the last membership that is committed.
    pub fn votes(&self) -> bool {
        self.replica.votes()
    }

    /// Who leads the shard as far as this replica knows: a hint, as it may be over. [`ShardHandle::leadership`] alone
    /// says that this process does.
    pub fn leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.replica.leader()
    }

    /// Hands a payload to the log of exactly this leadership. Payloads handed over by one task keep their order.
    ///
    /// Returns when the payload is in the log or refused. A leader whose lease has run out is asked again for
    /// at most one election timeout.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`]: it is not in the log. [`ProposeError::Unknown`]: the replica stopped in between.
    pub async fn propose(&self, leadership: Leadership, payload: Bytes) -> Result<Proposed, ProposeError> {
        self.replica.propose(leadership, payload).await
    }

    /// Returns when everything committed before the call is applied by this replica and written, and somebody was
    /// still the leader after the call began: this process, or the one that was asked.
    ///
    /// # Errors
    /// [`BarrierError`]; then nothing is known of what was read.
    pub async fn read_barrier(&self) -> Result<(), BarrierError> {
        self.replica.read_barrier().await
    }
}
