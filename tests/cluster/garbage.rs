//! Whoever reaches the port of a node and is none: noise, other protocols, those who begin and go no further, many of
//! them. Nodes go on with each other and with their clients, take no memory for it, and say little.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::nodes::Setup;
use crate::random::Random;
use crate::run::{Must, Run};

/// Connections to each node that begin and go no further; more than a node has places for.
const IDLE: usize = 150;
/// Others to each node at the same time.
const LOUD: usize = 3;
/// Bytes that are sent at once, of those who send much.
const NOISE_BYTES: usize = 1 << 14;
/// Whoever was sent away comes back so soon: two cores have to bear it beside three nodes.
const BACK_AFTER: Duration = Duration::from_millis(500);
/// Where strangers come from. Links between nodes come from elsewhere, as nodes do from strangers.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 254, 0, 1));
/// Whoever is not closed by the node within that time is not bounded.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Calls that a node serves meanwhile.
const ANSWERS: u64 = 300;
/// Bytes that a node may take for all of it, and for its clients. Taken at their word, the strangers would get some
/// hundred GiB.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Lines about strangers that a node may write: some of each kind of failure, and all come from one address.
const LINES_MAX: usize = 20;
const LINES_BYTES_MAX: usize = 64 * 1024;

/// What a stranger says.
#[derive(Clone, Copy, Debug)]
enum Says {
    Noise,
    Http,
    /// The beginning of TLS, as a browser would do it.
    ClientHello,
    /// That a frame of 4 GiB follows, and then some of it.
    Huge,
    /// A frame of a length that is taken, with nothing in it that is.
    Frame,
    Nothing,
    /// A part of a beginning, and then no more.
    Half,
    HalfOfTls,
}

const LOUD_ONES: [Says; 6] = [Says::Noise, Says::Http, Says::ClientHello, Says::Huge, Says::Frame, Says::Nothing];

impl Says {
    fn bytes(self, random: &mut Random) -> Vec<u8> {
        let mut noise = |count: usize| (0..count).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
        match self {
            Says::Noise => noise(NOISE_BYTES),
            Says::Http => b"GET / HTTP/1.1\r\nHost: muster\r\n\r\n".to_vec(),
            Says::ClientHello => [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &noise(506)].concat(),
            Says::Huge => [&[0xff; 4][..], &noise(NOISE_BYTES)].concat(),
            Says::Frame => [&[0, 0, 3, 0xe8][..], &noise(1000)].concat(),
            Says::Nothing => Vec::new(),
            Says::Half => [&[0, 0, 0, 60][..], &noise(7)].concat(),
            Says::HalfOfTls => [&[0x16, 3, 1, 2, 0, 1][..], &noise(7)].concat(),
        }
    }
}

/// Those who bother nodes until they are told to stop.
struct Strangers {
    goes_on: Arc<AtomicBool>,
    /// Connections that nodes have ended.
    ended: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Strangers {
    fn bother(ports: &[SocketAddr], idle: Says, random: &mut Random) -> Self {
        let mut strangers = Self { goes_on: Arc::new(AtomicBool::new(true)), ended: Arc::default(), tasks: Vec::new() };
        for port in ports {
            for n in 0..LOUD * LOUD_ONES.len() {
                strangers.one(*port, LOUD_ONES[n % LOUD_ONES.len()], random.fork());
            }
            for _ in 0..IDLE {
                strangers.one(*port, idle, random.fork());
            }
        }
        strangers
    }

    fn one(&mut self, port: SocketAddr, says: Says, mut random: Random) {
        let (goes_on, ended) = (self.goes_on.clone(), self.ended.clone());
        self.tasks.push(tokio::spawn(async move {
            while goes_on.load(Ordering::Relaxed) {
                // A node that is down just then refuses.
                if let Ok(stream) = connect(port).await {
                    let ends = tokio::time::timeout(CLOSED_WITHIN, until_closed(stream, says.bytes(&mut random)));
                    ends.await.unwrap_or_else(|_| panic!("{says:?} was let stay for {CLOSED_WITHIN:?}"));
                    ended.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(BACK_AFTER).await;
            }
        }));
    }

    /// How many connections came to an end.
    async fn stop(self) -> u64 {
        self.goes_on.store(false, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("every connection was ended in time");
        }
        self.ended.load(Ordering::Relaxed)
    }
}

async fn connect(port: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(SOURCE, 0))?;
    socket.connect(port).await
}

/// Says something and waits for the other side to close.
async fn until_closed(mut stream: TcpStream, bytes: Vec<u8>) {
    if bytes.is_empty() || stream.write_all(&bytes).await.is_ok() {
        let mut answer = [0; 1024];
        while stream.read(&mut answer).await.is_ok_and(|read| read > 0) {}
    }
}

async fn bothered(name: &'static str, setup: Setup) {
    let idle = if setup.has_tls { Says::HalfOfTls } else { Says::Half };
    let mut run = Run::begin(name, setup).await;
    let before: Vec<u64> = (0..3).map(|node| run.nodes.memory_bytes(node)).collect();
    let ports: Vec<SocketAddr> = (0..3).map(|node| run.nodes.place(node).listens).collect();
    let strangers = Strangers::bother(&ports, idle, &mut run.random);
    run.serve(ANSWERS).await;
    // Connections that stand are one thing; a node that comes back has to get through to all others.
    let (_, follower) = run.leader_and_follower().await;
    run.note(format!("node {follower} is killed"));
    run.nodes.kill(follower);
    run.serve(ANSWERS).await;
    run.nodes.launch(&[follower]);
    run.nodes.until_ready().await;
    run.until_it_votes(follower).await;
    run.serve(ANSWERS).await;
    let memory: Vec<u64> = (0..3).map(|node| run.nodes.memory_bytes(node)).collect();
    let ended = strangers.stop().await;
    run.note(format!("{ended} connections of strangers were ended; bytes before {before:?}, after {memory:?}"));

    assert!(ended > 3 * IDLE as u64, "too few to show anything");
    for node in 0..3 {
        assert!(memory[node] < before[node] + MEMORY_BYTES_MAX, "node {node}: {before:?}, then {memory:?}");
        let log = run.nodes.log(node);
        let lines = log.lines().filter(|line| line.contains("port was refused")).count();
        assert!((1..=LINES_MAX).contains(&lines), "node {node} wrote {lines} lines about strangers");
        assert!(log.len() < LINES_BYTES_MAX, "node {node} wrote {} bytes", log.len());
    }
    run.end(Must::Bite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_port_harms_nothing() {
    bothered("garbage on the port", Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_port_harms_nothing_where_nodes_speak_tls() {
    bothered("garbage on the port, TLS", Setup { has_tls: true, ..Setup::default() }).await;
}
