//! The network between nodes: every connection between two of them runs through here, and every direction of it can be
//! slowed down, held up or cut.
//!
//! A node knows each other node under one address, and that is where this listens; the node itself listens elsewhere.
//! Who dials shows in the address that a connection comes from (`cluster.source`), for which each node has one of its
//! own out of 127.0.0.0/8. So the connection of A to B is known as such: bytes of A go by the rule of A → B, bytes of B
//! by that of B → A. None of it needs privileges.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes taken from a connection at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks that are on their way at once; more wait in the sender's socket, as on a real link.
const CHUNKS_UNDER_WAY_MAX: usize = 64;

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Pass,
    /// Arrive so much later.
    Delay(Duration),
    /// Vanish for as long as this lasts, and nobody is told: what a partition looks like from both its sides. They are
    /// kept and arrive afterwards, as they would be sent again.
    Hold,
    /// Connections are closed, and new ones refused.
    Cut,
    /// So many bytes in a second.
    Throttle(u32),
}

/// All links of a group of nodes.
pub struct Links {
    /// By who sends, then by who receives.
    links: Arc<Vec<Vec<Link>>>,
    strangers: Arc<AtomicU64>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// One direction between two nodes.
struct Link {
    rule: watch::Sender<Rule>,
    bytes: AtomicU64,
}

/// Where a node is found.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What others dial: here.
    pub advertised: SocketAddr,
    /// Where the node listens.
    pub listens: SocketAddr,
    /// Where its own connections come from.
    pub source: IpAddr,
}

impl Links {
    /// Listens in place of all of them.
    ///
    /// # Errors
    /// An address is taken.
    pub fn between(places: &[Place]) -> io::Result<Self> {
        let link = || Link { rule: watch::Sender::new(Rule::Pass), bytes: AtomicU64::new(0) };
        let row = || places.iter().map(|_| link()).collect();
        let links: Arc<Vec<Vec<Link>>> = Arc::new(places.iter().map(|_| row()).collect());
        let strangers = Arc::new(AtomicU64::new(0));
        // A runtime of its own: links work while a test starts nodes, whatever threads that takes.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sources: Arc<Vec<IpAddr>> = Arc::new(places.iter().map(|place| place.source).collect());
        for (to, place) in places.iter().enumerate() {
            let listener = std::net::TcpListener::bind(place.advertised)?;
            listener.set_nonblocking(true)?;
            let door = Door {
                to,
                listens: place.listens,
                sources: sources.clone(),
                links: links.clone(),
                strangers: strangers.clone(),
            };
            runtime.spawn(async move { door.stand_open(listener).await });
        }
        Ok(Self { links, strangers, runtime: Some(runtime) })
    }

    /// From now on the bytes of `from` to `to` go by this rule.
    pub fn set(&self, from: usize, to: usize, rule: Rule) {
        self.links[from][to].rule.send_replace(rule);
    }

    /// Both directions between two nodes.
    pub fn set_both(&self, one: usize, other: usize, rule: Rule) {
        self.set(one, other, rule);
        self.set(other, one, rule);
    }

    /// What a node sends to all others.
    pub fn set_from(&self, node: usize, rule: Rule) {
        self.others(node).for_each(|other| self.set(node, other, rule));
    }

    /// What all others send to a node.
    pub fn set_to(&self, node: usize, rule: Rule) {
        self.others(node).for_each(|other| self.set(other, node, rule));
    }

    /// Every link is as it was at the beginning.
    pub fn heal(&self) {
        for from in 0..self.links.len() {
            self.set_from(from, Rule::Pass);
        }
    }

    /// Bytes that were let through.
    pub fn bytes(&self, from: usize, to: usize) -> u64 {
        self.links[from][to].bytes.load(Ordering::Relaxed)
    }

    /// Connections that came from nowhere known: a node does not say who it is by its address, and no rule is worth
    /// anything.
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    fn others(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.links.len()).filter(move |other| *other != node)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where one node is dialled.
struct Door {
    to: usize,
    listens: SocketAddr,
    sources: Arc<Vec<IpAddr>>,
    links: Arc<Vec<Vec<Link>>>,
    strangers: Arc<AtomicU64>,
}

impl Door {
    async fn stand_open(self, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
        let door = Arc::new(self);
        loop {
            let Ok((dialler, address)) = listener.accept().await else { continue };
            match door.sources.iter().position(|source| *source == address.ip()) {
                Some(from) => drop(tokio::spawn(door.clone().connect(from, dialler))),
                None => drop(door.strangers.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }

    async fn connect(self: Arc<Self>, from: usize, dialler: TcpStream) {
        let (there, back) = (&self.links[from][self.to], &self.links[self.to][from]);
        let mut rule = there.rule.subscribe();
        // Nobody is dialled over a link that nothing passes.
        if rule.wait_for(|rule| *rule != Rule::Hold).await.is_err() || *rule.borrow() == Rule::Cut {
            return;
        }
        let Ok(node) = TcpStream::connect(self.listens).await else { return };
        for stream in [&dialler, &node] {
            if stream.set_nodelay(true).is_err() {
                return;
            }
        }
        let (from_dialler, to_dialler) = dialler.into_split();
        let (from_node, to_node) = node.into_split();
        // Each may end by itself, when its sender has no more to say; a cut or a failure ends both.
        let _ = tokio::try_join!(there.carry(from_dialler, to_node), back.carry(from_node, to_dialler));
    }
}

impl Link {
    /// Carries bytes until there are no more.
    async fn carry(&self, from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let (sender, chunks) = mpsc::channel(CHUNKS_UNDER_WAY_MAX);
        tokio::try_join!(take(from, sender), self.deliver(chunks, to)).map(drop)
    }

    async fn deliver(&self, mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut rule = self.rule.subscribe();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = until_cut(&mut rule) => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let Some((taken, chunk)) = chunk else {
                // That a sender has gone is news that travels like its bytes.
                self.until_due(&mut rule, Instant::now(), 0).await?;
                return to.shutdown().await;
            };
            self.until_due(&mut rule, taken, chunk.len()).await?;
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            to.write_all(&chunk).await?;
        }
    }

    /// Waits until bytes taken then have come through, by whatever rules hold meanwhile.
    async fn until_due(&self, rule: &mut watch::Receiver<Rule>, taken: Instant, bytes: usize) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let now = *rule.borrow_and_update();
            let due = match now {
                Rule::Pass => return Ok(()),
                Rule::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
                Rule::Hold => None,
                Rule::Delay(by) => Some(taken + by),
                Rule::Throttle(per_sec) => Some(started + Duration::from_secs_f64(bytes as f64 / f64::from(per_sec))),
            };
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => return Ok(()),
                changed = rule.changed() => changed.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?,
            }
        }
    }
}

/// Takes bytes from a sender as they come.
async fn take(mut from: OwnedReadHalf, chunks: mpsc::Sender<(Instant, Vec<u8>)>) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        // Who no longer delivers has closed the other end.
        let read = tokio::select! {
            read = from.read(&mut chunk) => read?,
            () = chunks.closed() => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        chunk.truncate(read);
        if chunks.send((Instant::now(), chunk)).await.is_err() {
            return Ok(());
        }
    }
}

async fn until_cut(rule: &mut watch::Receiver<Rule>) {
    if rule.wait_for(|rule| *rule == Rule::Cut).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;
    use crate::nodes::places;

    /// Long enough for bytes on a loopback link of a busy machine.
    const SOON: Duration = Duration::from_secs(5);
    /// What has not come by then does not come.
    const A_WHILE: Duration = Duration::from_millis(150);
    const DELAY: Duration = Duration::from_millis(120);

    /// A connection of node 0 to node 1, which sends everything back.
    struct Pair {
        links: Links,
        places: Vec<Place>,
        dialler: TcpStream,
    }

    impl Pair {
        async fn connect() -> Self {
            let (links, places) = places(2);
            let listener = TcpListener::bind(places[1].listens).await.expect("an address");
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut from, mut to) = stream.into_split();
                        let _ = tokio::io::copy(&mut from, &mut to).await;
                    });
                }
            });
            let dialler = dial(&places[0], &places[1]).await;
            Self { links, places, dialler }
        }

        /// Sends a byte and waits for it to come back.
        async fn echo(&mut self, within: Duration) -> io::Result<u8> {
            self.dialler.write_all(b"x").await?;
            self.receive(within).await
        }

        async fn receive(&mut self, within: Duration) -> io::Result<u8> {
            tokio::time::timeout(within, self.dialler.read_u8()).await.map_err(|_| io::ErrorKind::TimedOut)?
        }
    }

    async fn dial(from: &Place, to: &Place) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from.source, 0)).expect("the whole of 127.0.0.0/8 is at home");
        socket.connect(to.advertised).await.expect("a connection")
    }

    fn kind(result: io::Result<u8>) -> Result<u8, io::ErrorKind> {
        result.map_err(|e| e.kind())
    }

    #[tokio::test]
    async fn bytes_pass_and_are_counted_by_direction() {
        let mut pair = Pair::connect().await;
        assert_eq!(pair.echo(SOON).await.expect("the byte"), b'x');
        assert_eq!((pair.links.bytes(0, 1), pair.links.bytes(1, 0)), (1, 1));
    }

    #[tokio::test]
    async fn held_bytes_arrive_when_the_link_is_healed() {
        let mut pair = Pair::connect().await;
        for (from, to) in [(0, 1), (1, 0)] {
            pair.links.set(from, to, Rule::Hold);
            assert_eq!(kind(pair.echo(A_WHILE).await), Err(io::ErrorKind::TimedOut), "{from} to {to}");
            // The other direction is another link.
            assert_eq!(pair.links.bytes(0, 1) - pair.links.bytes(1, 0), to as u64 ^ 1, "{from} to {to}");
            pair.links.heal();
            assert_eq!(kind(pair.receive(SOON).await), Ok(b'x'), "{from} to {to}");
        }
    }

    #[tokio::test]
    async fn a_cut_closes_and_refuses() {
        let mut pair = Pair::connect().await;
        assert_eq!(kind(pair.echo(SOON).await), Ok(b'x'));
        pair.links.set(1, 0, Rule::Cut);
        assert_ne!(kind(pair.receive(SOON).await), Err(io::ErrorKind::TimedOut));
        pair.links.set_both(0, 1, Rule::Cut);
        pair.dialler = dial(&pair.places[0], &pair.places[1]).await;
        assert_ne!(kind(pair.receive(SOON).await), Err(io::ErrorKind::TimedOut));
        pair.links.heal();
        pair.dialler = dial(&pair.places[0], &pair.places[1]).await;
        assert_eq!(kind(pair.echo(SOON).await), Ok(b'x'));
    }

    #[tokio::test]
    async fn a_slow_link_is_slow_in_its_direction() {
        let mut pair = Pair::connect().await;
        pair.links.set(0, 1, Rule::Delay(DELAY));
        let began = Instant::now();
        assert_eq!(kind(pair.echo(SOON).await), Ok(b'x'));
        assert!(began.elapsed() >= DELAY);
        pair.links.set(0, 1, Rule::Pass);
        pair.links.set(1, 0, Rule::Throttle(10));
        let began = Instant::now();
        assert_eq!(kind(pair.echo(SOON).await), Ok(b'x'));
        assert!(began.elapsed() >= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn who_dials_from_elsewhere_is_a_stranger() {
        let pair = Pair::connect().await;
        let mut stranger = TcpStream::connect(pair.places[1].advertised).await.expect("a connection");
        let read = tokio::time::timeout(SOON, stranger.read_u8()).await.expect("an end");
        assert!(read.is_err() && pair.links.strangers() == 1, "{read:?}");
    }
}
