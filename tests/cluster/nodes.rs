//! Several nodes in processes of their own, on loopback, with a network between them that can fail.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::links::{Links, Place};
use crate::metrics::Metrics;
use crate::shim::Shim;
use crate::support::{APP, Client, CtlSaid, KEY, Node, Settings, Stopped, ctl};
use crate::tls::{Authority, Papers};

/// Nodes of a run listen at these ports, each on an address of its own; below the ports that the system gives away.
const CLUSTER_PORT: u16 = 7400;
const HTTP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 7480;
/// The last number of the address that stands for a node towards the others: so much beyond the node's own.
const LINK_OFFSET: u8 = 100;
/// Blocks of addresses that are tried before something else must be wrong.
const BLOCKS_MAX: u8 = 50;
/// Between nodes of one cluster.
const CLUSTER_KEY: &str = "a key that only the nodes of this test have";
/// What the variables begin with that name a node's certificate.
const TLS_VARIABLES: &str = "MUSTER__CLUSTER__TLS__";
/// Of the endpoint of `muster ctl`, the same on all nodes.
const ADMIN_KEY: &str = "0123456789abcdef-of-the-operators";
/// How long nodes may take to become one cluster, to come back, or to be rebuilt: two cores for all of them.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A node that does not say so much about itself in that time is paused or gone.
const METRICS_TIMEOUT: Duration = Duration::from_secs(2);

/// What a run starts.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Nodes that form the cluster; one is a node that knows of no cluster.
    pub nodes: usize,
    /// Addresses are kept for so many more that join later.
    pub joining: usize,
    pub shards: u16,
    /// Lines of TOML after `[cluster]`'s.
    pub toml: String,
    /// Whether disks can be made to fail.
    pub has_shims: bool,
    /// Whether nodes speak TLS to each other.
    pub has_tls: bool,
    /// How many nodes a cluster is formed of; `None`: all.
    pub expect: Option<usize>,
    /// Of the first nodes; the others have none.
    pub zones: &'static [&'static str],
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            nodes: 3,
            joining: 0,
            shards: 3,
            toml: String::new(),
            has_shims: false,
            has_tls: false,
            expect: None,
            zones: &[],
        }
    }
}

/// The nodes of one cluster, by number.
pub struct Nodes {
    pub links: Links,
    places: Vec<Place>,
    setup: Setup,
    nodes: Vec<State>,
    shims: Vec<Shim>,
    /// What each node shows to others, if anything.
    papers: Vec<Option<Papers>>,
    _authority: Option<Authority>,
}

enum State {
    /// It has never run.
    New,
    Up(Node),
    /// It is stopped where it stands, and goes on from there.
    Paused(Node),
    Down(Stopped),
    /// On its way between two of these.
    Between,
}

impl Nodes {
    /// Starts all nodes that form the cluster, at once, and waits until they serve.
    pub async fn start(setup: Setup) -> Self {
        let mut nodes = Self::prepare(setup);
        nodes.launch(&(0..nodes.setup.nodes).collect::<Vec<_>>());
        nodes.until_ready().await;
        nodes
    }

    /// Addresses, links and disks, and no node yet.
    pub fn prepare(setup: Setup) -> Self {
        let count = setup.nodes + setup.joining;
        let (links, places) = places(count);
        let shims = (0..count).filter(|_| setup.has_shims).map(|_| Shim::build()).collect();
        let authority = setup.has_tls.then(Authority::new);
        let papers = places.iter().map(|place| Some(authority.as_ref()?.certify(place.advertised.ip()))).collect();
        let nodes = (0..count).map(|_| State::New).collect();
        Self { links, places, nodes, setup, shims, papers, _authority: authority }
    }

    /// Has a node that does not run show something else to the others, or nothing.
    pub fn set_papers(&mut self, number: usize, papers: Option<Papers>) {
        self.papers[number] = papers;
    }

    pub fn papers(&self, number: usize) -> Option<&Papers> {
        self.papers[number].as_ref()
    }

    /// Where a node listens for others, and where they dial it.
    pub fn place(&self, number: usize) -> Place {
        self.places[number]
    }

    /// What a node that runs has logged so far.
    pub fn log(&self, number: usize) -> String {
        match &self.nodes[number] {
            State::Up(node) | State::Paused(node) => node.log(),
            _ => panic!("node {number} does not run"),
        }
    }

    /// Starts nodes at once: new ones, or with what their folders hold. Waits until their processes listen, not until
    /// they serve.
    pub fn launch(&mut self, numbers: &[usize]) {
        let mut starting = Vec::new();
        for number in numbers {
            let before = std::mem::replace(&mut self.nodes[*number], State::Between);
            let (folder, settings) = match before {
                State::New => {
                    let folder = tempfile::tempdir().expect("a folder for the node");
                    let settings = self.settings(*number, &folder);
                    (folder, settings)
                }
                State::Down(stopped) => (stopped.folder, stopped.settings),
                State::Up(_) | State::Paused(_) | State::Between => panic!("node {number} runs already"),
            };
            let mut settings = settings;
            settings.environment.retain(|(name, _)| !name.starts_with(TLS_VARIABLES));
            settings.environment.extend(self.papers[*number].iter().flat_map(Papers::environment));
            let start = move || Node::try_start_in(folder, settings);
            starting.push((*number, std::thread::spawn(start)));
        }
        for (number, start) in starting {
            let started = start.join().expect("a thread that did not panic");
            let node = started.unwrap_or_else(|(_, said)| panic!("node {number} did not start: {said}"));
            self.nodes[number] = State::Up(node);
        }
    }

    fn settings(&self, number: usize, folder: &tempfile::TempDir) -> Settings {
        let place = &self.places[number];
        let mut toml = format!("[cluster]\nshards = {}\n", self.setup.shards);
        if self.places.len() > 1 {
            let seeds: Vec<String> =
                self.places[..self.setup.nodes].iter().map(|seed| format!("\"{}\"", seed.advertised)).collect();
            toml.push_str(&format!(
                "listen = \"{}\"\nadvertise = \"{}\"\nsource = \"{}\"\nseeds = [{}]\nbootstrap_expect = {}\nkey = \"{CLUSTER_KEY}\"\n",
                place.listens,
                place.advertised,
                place.source,
                seeds.join(", "),
                self.setup.expect.unwrap_or(self.setup.nodes),
            ));
        }
        toml.push_str(&self.setup.toml);
        let mut settings = match self.shims.get(number) {
            Some(shim) => shim.under(folder.path(), &toml),
            None => Settings { toml, ..Settings::default() },
        };
        if self.places.len() > 1 {
            settings.environment.push(("MUSTER__CLUSTER__LISTEN".into(), place.listens.to_string()));
        }
        settings.environment.push(("MUSTER__HTTP__LISTEN".into(), self.address(number).to_string()));
        if let Some(zone) = self.setup.zones.get(number) {
            settings.environment.push(("MUSTER__NODE__ZONE".into(), (*zone).to_owned()));
        }
        let admin = SocketAddr::new(place.source, ADMIN_PORT);
        settings.environment.push(("MUSTER__ADMIN__LISTEN".into(), admin.to_string()));
        settings.environment.push(("MUSTER__ADMIN__KEY".into(), ADMIN_KEY.into()));
        settings.environment.push(("MUSTER__NODE__NAME".into(), format!("node {number}")));
        settings
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn shards(&self) -> u16 {
        self.setup.shards
    }

    /// Where clients reach a node, now and after every restart.
    pub fn address(&self, number: usize) -> SocketAddr {
        SocketAddr::new(self.places[number].source, HTTP_PORT)
    }

    /// Asks a node's admin endpoint, as an operator on the same machine would.
    pub fn ctl(&self, number: usize, command: &[&str]) -> CtlSaid {
        let key = tempfile::NamedTempFile::new().expect("a file for the key");
        std::fs::write(key.path(), ADMIN_KEY).expect("a file for the key");
        ctl(command, SocketAddr::new(self.places[number].source, ADMIN_PORT), key.path())
    }

    /// Nodes that answer.
    pub fn up(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(|number| matches!(self.nodes[*number], State::Up(_)))
    }

    /// The disk under a node.
    pub fn disk(&self, number: usize) -> &Shim {
        &self.shims[number]
    }

    /// `kill -9`.
    pub fn kill(&mut self, number: usize) {
        self.change(number, |state| match state {
            State::Up(node) | State::Paused(node) => State::Down(node.kill()),
            _ => panic!("node {number} does not run"),
        });
    }

    /// SIGTERM; the node hands over what it leads, and ends by itself.
    pub fn stop(&mut self, number: usize) {
        self.change(number, |state| match state {
            State::Up(node) => {
                let (stopped, status) = tokio::task::block_in_place(|| node.terminate());
                assert!(status.success(), "node {number} ended with {status}");
                State::Down(stopped)
            }
            _ => panic!("node {number} does not run"),
        });
    }

    /// Takes the data folder of a node that is down: its disk is lost.
    pub fn wipe(&mut self, number: usize) {
        let State::Down(stopped) = &self.nodes[number] else { panic!("node {number} is not down") };
        std::fs::remove_dir_all(stopped.data_dir()).expect("a data folder");
    }

    /// Copies the data folder of a node that is down, as a backup does.
    pub fn back_up(&self, number: usize) -> tempfile::TempDir {
        let State::Down(stopped) = &self.nodes[number] else { panic!("node {number} is not down") };
        let folder = tempfile::tempdir().expect("a folder for the copy");
        copy(&stopped.data_dir(), &folder.path().join("data"));
        folder
    }

    /// Puts a copy where the data folder of a node was that is down.
    pub fn restore(&mut self, number: usize, copied: &tempfile::TempDir) {
        self.wipe(number);
        let State::Down(stopped) = &self.nodes[number] else { panic!("node {number} is not down") };
        copy(&copied.path().join("data"), &stopped.data_dir());
    }

    /// Gives a node that does not run a copy of the data folder of another one that is down.
    pub fn copy_folder(&mut self, from: usize, to: usize) {
        let State::Down(stopped) = &self.nodes[from] else { panic!("node {from} is not down") };
        let folder = tempfile::tempdir().expect("a folder for the node");
        copy(&stopped.data_dir(), &folder.path().join("data"));
        let settings = self.settings(to, &folder);
        self.nodes[to] = State::Down(Stopped { folder, settings });
    }

    /// Stops a node where it stands (SIGSTOP): its connections stay, and nobody answers.
    pub fn pause(&mut self, number: usize) {
        self.change(number, |state| match state {
            State::Up(node) => {
                signal(&node, libc::SIGSTOP);
                State::Paused(node)
            }
            _ => panic!("node {number} does not run"),
        });
    }

    /// Lets a paused node go on (SIGCONT); it does not know that time has passed.
    pub fn resume(&mut self, number: usize) {
        self.change(number, |state| match state {
            State::Paused(node) => {
                signal(&node, libc::SIGCONT);
                State::Up(node)
            }
            _ => panic!("node {number} is not paused"),
        });
    }

    /// Ends whatever a test has done to nodes and links: all run, and all reach each other.
    pub async fn recover(&mut self) {
        self.links.heal();
        self.shims.iter().for_each(Shim::lift);
        let of = |nodes: &Self, is: fn(&State) -> bool| {
            (0..nodes.count()).filter(|number| is(&nodes.nodes[*number])).collect::<Vec<_>>()
        };
        of(self, |state| matches!(state, State::Paused(_))).into_iter().for_each(|number| self.resume(number));
        self.launch(&of(self, |state| matches!(state, State::Down(_))));
        self.until_ready().await;
    }

    /// Stops all nodes and looks through their folders: `muster doctor` finds nothing.
    pub fn examine(mut self) {
        for state in std::mem::take(&mut self.nodes) {
            let stopped = match state {
                State::Up(node) | State::Paused(node) => node.kill(),
                State::Down(stopped) => stopped,
                State::New | State::Between => continue,
            };
            stopped.examine();
        }
    }

    /// Memory of a node's process, as the system counts what is resident.
    pub fn memory_bytes(&self, number: usize) -> u64 {
        let State::Up(node) = &self.nodes[number] else { panic!("node {number} does not run") };
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("the state of a process");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib * 1024).expect("its memory")
    }

    /// Waits until every node that runs says that it is ready.
    ///
    /// # Panics
    /// If one does not within [`READY_TIMEOUT`].
    pub async fn until_ready(&self) {
        let until = Instant::now() + READY_TIMEOUT;
        for number in self.up() {
            loop {
                let said = self.ready(number).await;
                if matches!(said, Ok((200, _))) {
                    break;
                }
                assert!(Instant::now() < until, "node {number} is not ready after {READY_TIMEOUT:?}: {said:?}");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Waits until a node has a vote in every shard.
    ///
    /// # Panics
    /// If it has not within `bound`.
    pub async fn until_it_votes(&self, number: usize, bound: Duration) {
        let until = Instant::now() + bound;
        loop {
            let votes = self.metrics(number).await.map_or(0, |metrics| metrics.shards_voting());
            if votes == u64::from(self.shards()) {
                return;
            }
            assert!(Instant::now() < until, "node {number} votes in {votes} shards after {bound:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn ready(&self, number: usize) -> Result<(u16, String), String> {
        let (status, body) = self.get(number, "/readyz").await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// What a node counts; `None`: it does not answer.
    pub async fn metrics(&self, number: usize) -> Option<Metrics> {
        if !matches!(self.nodes[number], State::Up(_)) {
            return None;
        }
        let (status, body) = self.get(number, "/metrics").await.ok()?;
        (status == 200).then(|| Metrics::parse(&String::from_utf8_lossy(&body)))
    }

    async fn get(&self, number: usize, path: &str) -> Result<(u16, bytes::Bytes), String> {
        let mut client = Client::connect(self.address(number), APP, KEY).await;
        match tokio::time::timeout(METRICS_TIMEOUT, client.raw("GET", path, "")).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer to {path}")),
        }
    }

    fn change(&mut self, number: usize, change: impl FnOnce(State) -> State) {
        let before = std::mem::replace(&mut self.nodes[number], State::Between);
        self.nodes[number] = change(before);
    }
}

impl Drop for Nodes {
    /// Nodes that run show their logs themselves when a test fails.
    fn drop(&mut self) {
        for (number, state) in self.nodes.iter().enumerate().filter(|_| std::thread::panicking()) {
            if let State::Down(stopped) = state {
                let log = std::fs::read_to_string(stopped.folder.path().join("log")).unwrap_or_default();
                eprintln!("--- log of node {number}, which is down ---\n{log}");
            }
        }
    }
}

fn signal(node: &Node, signal: libc::c_int) {
    // SAFETY: kill takes any pid and signal number; this child has not been waited for yet.
    let sent = unsafe { libc::kill(node.pid() as libc::pid_t, signal) };
    assert_eq!(sent, 0, "signal {signal}: {}", io::Error::last_os_error());
}

/// Addresses for so many nodes that nobody else uses, and the links between them.
///
/// Each cluster has a block of 127.0.0.0/8 for itself, by the number of the process and of the cluster in it, so that
/// ports can be fixed: a node that is started again is found where it was.
pub fn places(count: usize) -> (Links, Vec<Place>) {
    static BLOCK: AtomicU8 = AtomicU8::new(0);
    for _ in 0..BLOCKS_MAX {
        let process = 1 + (std::process::id() % 250) as u8;
        let block = BLOCK.fetch_add(1, Ordering::Relaxed);
        let places: Vec<Place> = (1..=count as u8)
            .map(|n| {
                let address = |last| IpAddr::V4(Ipv4Addr::new(127, process, block, last));
                Place {
                    advertised: SocketAddr::new(address(LINK_OFFSET + n), CLUSTER_PORT),
                    listens: SocketAddr::new(address(n), CLUSTER_PORT),
                    source: address(n),
                }
            })
            .collect();
        match Links::between(&places) {
            Ok(links) => return (links, places),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => continue,
            Err(e) => panic!("no links between nodes: {e}"),
        }
    }
    panic!("{BLOCKS_MAX} blocks of addresses are all in use");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", from.display());
}
