//! One node, wired top to bottom: database, shards, actors, HTTP. The only file that sees every layer.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actix_rt::Arbiter;
use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer};
use bytes::Bytes;
use muster_cluster::{
    Attendant, Cluster, ClusterOptions, DiskObserver, DiskOptions, Health, NetOptions, NodeId, NodesObserver,
    NodesOptions, OpenError, StoppedNode, Tls, TlsError, TlsFiles,
};
use rustc_hash::FxHashMap;
use socket2::SockRef;

use crate::actors::{self, AppLimits, Existing, HOST_CALL, HostOptions, Service, StartError};
use crate::admin::{self, About, Admin, Door};
use crate::api;
use crate::api::doorway::Doorway;
use crate::api::forward::{Answering, BackDoor, FORWARDED, Nodes};
use crate::config::{self, AccountMode, AppSettings, Config, ConfigError};
use crate::id::{AccountId, AppId};
use crate::metrics;
use crate::shard::look_through;
use crate::time::{Clock, SystemClock};

pub use crate::shard::Findings;

/// How long a start may take before the node gives up: elections, recovery of the outbox.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long others may take to lead what a node leads that is about to stop: more than an election takes. Afterwards they
/// elect somebody among themselves, and callers wait for that.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a node among others still answers when it is told to stop: callers that come again within that time, and
/// those who ask `/readyz` that often, hear that they had better go elsewhere, and meet no closed connection.
const LEAVE_TAKING: Duration = Duration::from_millis(500);
/// With fewer open files allowed, and the default of `http.connections_max`, clients come near to what the database needs.
const FILES_MIN: u64 = 4096;

/// Connections that may wait to be taken up: everybody comes again at once when a node has restarted. Who finds no place
/// tries again after a second or three, without being told. The kernel takes no more than `net.core.somaxconn` (4,096).
const NOT_ACCEPTED_MAX: i32 = 4096;
/// Connections to the admin endpoint at the same time: people, and what watches for them.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long such a connection may be idle, or a request on its way.
const ADMIN_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Timings of the consensus. Source: the lease rule needs election_max × 0.7 > 3 heartbeats; a shard whose leader was
/// killed is to be without one for 2 s at most, and an election begins election_max + election_min to 2 × election_max
/// after the last heartbeat.
const HEARTBEAT: Duration = Duration::from_millis(150);
const ELECTION_MIN: Duration = Duration::from_millis(500);
const ELECTION_MAX: Duration = Duration::from_millis(800);

/// Why a node does not start, or does not stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{key} {address}: {reason}")]
    Listen { key: &'static str, address: SocketAddr, reason: String },
    #[error("the node did not get ready: {0}")]
    NotReady(String),
    #[error("the node cannot restart itself: {0}")]
    Restart(String),
    #[error("the node did not stop within {} ms: {reason}", within.as_millis())]
    NotStopped { within: Duration, reason: String },
}

impl NodeError {
    /// Whether it may go away by itself, as a full disk does; damage does not.
    pub fn may_pass(&self) -> bool {
        matches!(self, NodeError::Open(OpenError::Failed { .. }))
    }
}

/// Sets what holds for the whole process, once, before anything is started.
pub fn prepare_process() {
    // 2 MiB pages would be 2 MiB per shard: its consensus allocates large queues and touches little of them.
    if let Err(error) = muster_cluster::disable_huge_pages() {
        tracing::warn!(%error, "huge pages stay on: the node needs more memory");
    }
    match muster_cluster::raise_file_limit() {
        Ok(files) if files < FILES_MIN => {
            tracing::warn!(files, "few files may be open: clients that connect may leave none to the database");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

/// Re-derives counts, indexes, joined lists and sequences of a data folder that no node uses.
///
/// # Errors
/// [`OpenError`] if the folder is in use, damaged or no data folder.
pub fn examine(data_dir: &Path) -> Result<Findings, OpenError> {
    let node = StoppedNode::open(data_dir)?;
    look_through(node.shards(), |slots, each| node.scan(slots, each))
}

/// A running node.
pub struct Node {
    fronts: Fronts,
    inside: Inside,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Of the API.
    pub api: SocketAddr,
    /// `None`: there is no admin endpoint.
    pub admin: Option<SocketAddr>,
}

impl Node {
    /// Opens the data folder, starts the shards, then the HTTP server. To be called on an actix system.
    ///
    /// # Errors
    /// [`NodeError`]; nothing listens then.
    pub async fn start(config: &Config) -> Result<Self, NodeError> {
        Self::start_and_tell(config, |_| {}).await
    }

    /// The same; `tell` hears where the node listens as soon as it does. A node that looks for others listens before it
    /// has found them, so that it can be asked what it waits for; one that is alone listens when it serves.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_and_tell(config: &Config, tell: impl FnOnce(Addresses)) -> Result<Self, NodeError> {
        let options = cluster_options(config)?;
        let doorway = Doorway::new(options.nodes.waits_for.subscribe());
        if config.cluster.seeds.is_empty() {
            let inside = Inside::start(config, options).await?;
            let fronts = Fronts::open(config, doorway).await?;
            fronts.lead_to(&inside);
            tell(fronts.addresses());
            return Ok(Self { fronts, inside });
        }
        let fronts = Fronts::open(config, doorway).await?;
        tell(fronts.addresses());
        match Inside::start(config, options).await {
            Ok(inside) => {
                fronts.lead_to(&inside);
                Ok(Self { fronts, inside })
            }
            Err(error) => {
                fronts.close().await;
                Err(error)
            }
        }
    }

    /// Where the node listens; the port is the real one also where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.fronts.api.address
    }

    /// Returns when the disk takes no more writes; the text says why.
    pub async fn storage_failed(&self) -> String {
        storage_failed(&self.inside.cluster).await
    }

    /// Why the disk takes no more writes, if stored bytes are not what was written: unlike a full disk, that does not
    /// pass. The next start looks for it.
    pub fn remember_damage(&self) -> Option<NodeError> {
        self.inside.cluster.remember_damage().map(NodeError::Open)
    }

    /// Why the node does not serve right now.
    pub fn not_ready(&self) -> Option<String> {
        self.inside.service.not_ready()
    }

    /// Hands over what it leads, stops accepting, finishes what is in flight, leaves.
    ///
    /// # Errors
    /// [`NodeError::NotStopped`]: it takes longer than `within`. Threads of the node then still wait, for the disk most
    /// likely, and whoever waits for them waits with them: the process is to be ended as it is. Anything else: it has
    /// stopped, and had met damage.
    pub async fn stop(self, within: Duration) -> Result<(), NodeError> {
        let cluster = self.inside.cluster.clone();
        if tokio::time::timeout(within, self.finish()).await.is_err() {
            let reason = match cluster.health() {
                Health::Serving => "requests or shards are not done".into(),
                Health::Stalled { millis } => format!("a write or a flush has been under way for {millis} ms"),
                Health::Failed { reason } => reason,
            };
            return Err(NodeError::NotStopped { within, reason });
        }
        cluster.remember_damage().map_or(Ok(()), |damage| Err(NodeError::Open(damage)))
    }

    async fn finish(self) {
        if self.inside.cluster.members().borrow().nodes().len() > 1 {
            // While it still answers: what comes meanwhile goes to those who lead now.
            self.fronts.doorway.close();
            let (handed, ()) =
                tokio::join!(self.inside.cluster.hand_over(HAND_OVER_TIMEOUT), tokio::time::sleep(LEAVE_TAKING));
            if !handed {
                tracing::warn!("not everything was handed over: the others elect whoever leads it");
            }
        }
        self.fronts.close().await;
        tracing::info!("no request is under way any more: closing the shards");
        let Inside { cluster, arbiters, admin, .. } = self.inside;
        admin.stop().await;
        cluster.stop().await;
        for arbiter in &arbiters {
            arbiter.stop();
        }
        for arbiter in arbiters {
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}

/// The doors of a node: that of the API, and the one for those who look after the node.
struct Fronts {
    api: Front,
    doorway: Doorway,
    admin: Option<(Front, Door)>,
}

impl Fronts {
    async fn open(config: &Config, doorway: Doorway) -> Result<Self, NodeError> {
        let api = Front::open(config, &doorway)?;
        match Self::open_admin(config) {
            Ok(admin) => Ok(Self { api, doorway, admin }),
            Err(error) => {
                api.close().await;
                Err(error)
            }
        }
    }

    /// Nothing, if there is to be none, or another process has the place where nobody has asked for one.
    fn open_admin(config: &Config) -> Result<Option<(Front, Door)>, NodeError> {
        let Some(address) = config.admin.listen else { return Ok(None) };
        let key = match config.admin.key.expose() {
            "" => config::ensure_admin_key(&config.node.data_dir)?,
            _ => config.admin.key.clone(),
        };
        let door = Door::new(key.expose());
        match Front::open_admin(address, &door) {
            Ok(front) => Ok(Some((front, door))),
            Err(error) if config.admin.listen == config::Admin::default().listen => {
                tracing::warn!(%error, "muster ctl cannot ask this node; set admin.listen to a free port");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn addresses(&self) -> Addresses {
        Addresses { api: self.api.address, admin: self.admin.as_ref().map(|(front, _)| front.address) }
    }

    fn lead_to(&self, inside: &Inside) {
        self.doorway.open(inside.api.clone());
        if let Some((_, door)) = &self.admin {
            door.open(inside.admin.clone());
        }
    }

    /// Stops accepting and finishes what is in flight.
    async fn close(self) {
        if let Some((admin, _)) = self.admin {
            admin.close().await;
        }
        self.api.close().await;
    }
}

/// An HTTP server.
struct Front {
    address: SocketAddr,
    server: ServerHandle,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Front {
    fn open(config: &Config, doorway: &Doorway) -> Result<Self, NodeError> {
        let (listener, address) = listener("http.listen", config.http.listen)?;
        let (http, doorway) = (&config.http, doorway.clone());
        let server = HttpServer::new(move || {
            let doorway = doorway.clone();
            App::new().configure(move |routes| doorway.routes(routes))
        })
        .workers(worker_count(http.workers))
        .max_connections(http.connections_max)
        .keep_alive(Duration::from_millis(http.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(http.client_request_timeout_ms))
        .shutdown_timeout(http.shutdown_timeout_ms.div_ceil(1000))
        .disable_signals()
        .listen(listener)
        .map_err(|error| refused("http.listen", address, &error))?
        .run();
        Ok(Self::serving(address, server))
    }

    fn open_admin(address: SocketAddr, door: &Door) -> Result<Self, NodeError> {
        let (listener, address) = listener("admin.listen", address)?;
        let door = door.clone();
        let server = HttpServer::new(move || {
            let door = door.clone();
            App::new().configure(move |routes| door.routes(routes))
        })
        // Few come here, and none of them is to wait for those who use the API.
        .workers(1)
        .max_connections(ADMIN_CONNECTIONS_MAX)
        .keep_alive(ADMIN_KEEP_ALIVE)
        .client_request_timeout(ADMIN_KEEP_ALIVE)
        .shutdown_timeout(0)
        .disable_signals()
        .listen(listener)
        .map_err(|error| refused("admin.listen", address, &error))?
        .run();
        tracing::info!(%address, "the admin endpoint listens");
        Ok(Self::serving(address, server))
    }

    fn serving(address: SocketAddr, server: Server) -> Self {
        let handle = server.handle();
        Self { address, server: handle, serving: actix_rt::spawn(server) }
    }

    /// Stops accepting and finishes what is in flight.
    async fn close(self) {
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the HTTP server did not stop cleanly");
        }
    }
}

fn refused(key: &'static str, address: SocketAddr, error: &std::io::Error) -> NodeError {
    NodeError::Listen { key, address, reason: error.to_string() }
}

/// Takes a port; the address is the real one also where port 0 was asked for.
fn listener(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let listener = TcpListener::bind(address).map_err(|error| refused(key, address, &error))?;
    // Again, for a longer queue: the standard library asks for 128 places.
    SockRef::from(&listener).listen(NOT_ACCEPTED_MAX).map_err(|error| refused(key, address, &error))?;
    let address = listener.local_addr().map_err(|error| refused(key, address, &error))?;
    Ok((listener, address))
}

/// Everything behind the HTTP servers.
struct Inside {
    api: api::Api,
    admin: Arc<Admin>,
    arbiters: Vec<Arbiter>,
    cluster: Cluster,
    service: Arc<Service>,
}

impl Inside {
    async fn start(config: &Config, options: ClusterOptions) -> Result<Self, NodeError> {
        let began = Instant::now();
        let mut apps = config.apps.clone();
        if apps.is_empty() {
            apps.push(config::ensure_app(&config.node.data_dir)?);
            if !config.cluster.seeds.is_empty() {
                tracing::warn!("no app is configured: this node takes signatures that the others do not, see [[apps]]");
            }
        }
        let apps = apps
            .into_iter()
            .map(|app| Ok((config.settings_of(&app)?, app)))
            .collect::<Result<Vec<(AppSettings, config::App)>, ConfigError>>()?;
        let cluster = Cluster::enter(options).await?;
        let limits = |settings: &AppSettings| Arc::new(settings.group_limits(&config.groups));
        let of_apps: AppLimits =
            Arc::new(apps.iter().map(|(settings, app)| (AppId(app.id), limits(settings))).collect::<FxHashMap<_, _>>());
        let arbiters: Vec<Arbiter> = (0..arbiter_count(config)).map(|_| behind_the_door()).collect();
        let handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
        let service = actors::start(cluster.clone(), &handles, host_options(config, cluster.shards()), of_apps).await?;
        let service = Arc::new(service.with_accounts(existing(config.accounts.mode, &apps)));
        let (readiness, disk) = (service.clone(), cluster.clone());
        let not_ready = move || readiness.not_ready();
        let others = OtherNodes(cluster.clone());
        let flushes = move || api::Flushes { usual: disk.flush_time(), current: disk.current_flush() };
        let api = api::Api::new(config, apps, Service::clone(&service), others, not_ready.clone(), flushes);
        let about = About {
            name: config.node.name.clone(),
            zone: config.node.zone.clone(),
            began,
            not_ready: Box::new(not_ready),
        };
        let admin = Admin::new(cluster.clone(), about);
        // Before this node is ready: that others are depends on it.
        cluster.attend(Arc::new(Attending {
            hosts: Arc::downgrade(&service),
            requests: api.back_door(),
            admin: Arc::downgrade(&admin),
        }));
        if cluster.members().borrow().nodes().len() <= 1 && config.cluster.seeds.is_empty() {
            tokio::select! {
                ready = service.until_ready(START_TIMEOUT) => ready.map_err(NodeError::NotReady)?,
                // What recovery reads may be damaged, and what it writes may fail: then there is nothing to wait for.
                reason = storage_failed(&cluster) => {
                    let damage = cluster.remember_damage().map(NodeError::Open);
                    return Err(damage.unwrap_or_else(|| NodeError::NotReady(format!("storage failed: {reason}"))));
                }
            }
        }
        metrics::get().node_number.set(f64::from(cluster.node().number()));
        Ok(Self { api, admin, arbiters, cluster, service })
    }
}

/// The other nodes, as the front door asks them.
struct OtherNodes(Cluster);

impl Nodes for OtherNodes {
    fn call(&self, node: NodeId, asked: Bytes, deadline: Instant) -> Answering<'_> {
        Box::pin(self.0.call(node, asked, deadline))
    }
}

/// What this node does for others that ask it.
///
/// The cluster holds it, so it must hold nothing that holds the cluster: the folder would not be free after a stop.
struct Attending {
    hosts: Weak<Service>,
    requests: BackDoor,
    admin: Weak<Admin>,
}

impl Attendant for Attending {
    fn answer(&self, from: NodeId, call: Bytes, deadline: Instant) -> Pin<Box<dyn Future<Output = Bytes> + Send>> {
        let (requests, hosts, admin) = (self.requests.clone(), self.hosts.upgrade(), self.admin.upgrade());
        Box::pin(async move {
            match (call.first(), hosts) {
                (Some(&admin::KIND), _) => match admin {
                    Some(admin) => admin.attend(call.slice(1..)).await,
                    None => Bytes::new(),
                },
                (Some(&FORWARDED), _) => requests.attend(from, call, deadline).await,
                (Some(&HOST_CALL), Some(hosts)) => hosts.attend(from, call.slice(1..), deadline).await,
                // Stopping: whoever asks takes no answer for none.
                (Some(&HOST_CALL), None) => Bytes::new(),
                (kind, _) => {
                    tracing::error!(%from, ?kind, "a node asks for what is not known here");
                    Bytes::new()
                }
            }
        })
    }
}

/// A thread for groups. Under load it always has something to do; the HTTP workers go first, so that whoever is not let
/// in hears of it at once.
fn behind_the_door() -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(|| {
        if let Err(error) = muster_cluster::step_back() {
            tracing::warn!(%error, "a thread of groups does not step back: under load refusals may be late");
        }
    });
    arbiter
}

/// App admins exist by configuration, whoever else has to be imported.
fn existing(mode: AccountMode, apps: &[(AppSettings, config::App)]) -> Existing {
    let admins = |app: &config::App| app.admins.iter().filter_map(|admin| AccountId::parse(admin).ok()).collect();
    Existing {
        everybody: mode == AccountMode::Implicit,
        configured: apps.iter().map(|(_, app)| (AppId(app.id), admins(app))).collect(),
    }
}

async fn storage_failed(cluster: &Cluster) -> String {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    loop {
        if let Health::Failed { reason } = cluster.health() {
            return reason;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// 0: one per core.
fn worker_count(workers: usize) -> usize {
    match workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        count => count,
    }
}

/// About one per core, as the HTTP workers and the disk's threads want the cores too.
fn arbiter_count(config: &Config) -> usize {
    match config.actors.arbiters {
        0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
        count => count,
    }
}

/// Shards of a new folder: every log has a cost of its own, so few, and enough for every core to have some.
fn shard_count(config: &Config) -> Result<u16, OpenError> {
    const PER_CORE: usize = 2;
    const MIN: usize = 4;
    const MAX: usize = 64;
    if config.cluster.shards > 0 {
        return Ok(config.cluster.shards);
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let of_new = (cores * PER_CORE).clamp(MIN, MAX) as u16;
    Ok(Cluster::shards_of(&config.node.data_dir)?.unwrap_or(of_new))
}

fn cluster_options(config: &Config) -> Result<ClusterOptions, NodeError> {
    let storage = &config.storage;
    Ok(ClusterOptions {
        data_dir: config.node.data_dir.clone(),
        shards: shard_count(config)?,
        disk: DiskOptions {
            flush: storage.flush,
            block_cache_bytes: storage.block_cache_bytes,
            row_cache_bytes: storage.row_cache_bytes,
            memtable_bytes: storage.memtable_bytes,
            wal_bytes: storage.wal_bytes,
            start_check_bytes_max: storage.start_check_bytes_max,
            observer: DiskObserver {
                flushed: |took| {
                    let metrics = metrics::get();
                    metrics.flush_seconds.record(took.as_secs_f64());
                    // A follower flushes all day, and may be asked nothing.
                    metrics.upkeep_each_second(SystemClock.now() / 1000);
                },
                failed: || metrics::get().disk_failures.increment(1),
            },
        },
        heartbeat: HEARTBEAT,
        election_min: ELECTION_MIN,
        election_max: ELECTION_MAX,
        log_bytes_max: storage.log_bytes_max,
        reads: match config.cluster.reads {
            config::ReadPolicy::Lease => muster_cluster::ReadPolicy::Lease,
            config::ReadPolicy::Quorum => muster_cluster::ReadPolicy::Quorum,
        },
        nodes: nodes_options(config)?,
    })
}

fn nodes_options(config: &Config) -> Result<NodesOptions, NodeError> {
    let cluster = &config.cluster;
    let net = match cluster.listen {
        None => None,
        Some(listen) => {
            let key = match cluster.key.expose() {
                "" => config::ensure_cluster_key(&config.node.data_dir)?,
                _ => cluster.key.clone(),
            };
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let advertise = given(&cluster.advertise);
            let tls = match &cluster.tls {
                files if files.is_set() => {
                    let config::Tls { certificate, key, ca } = files.clone();
                    let address = advertise.clone().unwrap_or_else(|| listen.to_string());
                    Some(Tls::load(TlsFiles { certificate, key, ca }, &address)?)
                }
                _ => None,
            };
            Some(NetOptions {
                listen,
                advertise,
                // Checked with the configuration.
                source: cluster.source.parse().ok(),
                key: key.expose().as_bytes().to_vec(),
                tls,
            })
        }
    };
    Ok(NodesOptions {
        observer: NodesObserver {
            append_failed: || metrics::get().append_failures.increment(1),
            filled: || metrics::get().snapshots_installed.increment(1),
        },
        net,
        seeds: cluster.seeds.clone(),
        bootstrap_expect: cluster.bootstrap_expect,
        copies: cluster.replicas,
        name: config.node.name.clone(),
        zone: config.node.zone.clone(),
        ..NodesOptions::default()
    })
}

fn host_options(config: &Config, shards: u16) -> HostOptions {
    let actors = &config.actors;
    HostOptions {
        mailbox_max: actors.mailbox_max,
        queue_max: actors.mailbox_max,
        active_bytes_max: actors.resident_bytes_max / usize::from(shards.max(1)),
        idle_timeout: Duration::from_millis(actors.idle_timeout_ms),
        index_wait: Duration::from_millis(config.api.index_wait_ms),
        pending_per_group_max: actors.pending_per_group_max,
        ..HostOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpStream;

    use super::*;

    /// A connection that found no place is tried again after a second.
    const AT_ONCE: Duration = Duration::from_millis(900);

    #[test]
    fn a_crowd_may_wait_to_be_taken_up() {
        let allowed = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("there since Linux 2.4");
        let count = allowed.trim().parse::<usize>().expect("a number").min(500);
        let (_listener, address) = listener("http.listen", ([127, 0, 0, 1], 0).into()).expect("a free port");
        // Nobody takes them up.
        let waiting = (0..count).map(|_| TcpStream::connect_timeout(&address, AT_ONCE).expect("a place"));
        assert_eq!(waiting.collect::<Vec<_>>().len(), count);
    }
}
