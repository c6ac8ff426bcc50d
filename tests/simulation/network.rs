//! The way between nodes: datagrams, which the network may lose, hold, delay, reorder and double.
//!
//! A product's connections keep an order and repeat what was lost; consensus must not need either.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_cluster::simulation::{Carried, Carrier, answer};
use muster_cluster::{CallError, Cluster, NodeId};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use turmoil::net::UdpSocket;

use crate::random::Random;
use crate::world::{World, hash, host_name, node_id};

const PORT: u16 = 7000;
const DATAGRAM_BYTES_MAX: usize = 4 << 20;
/// One of so many is doubled.
const DOUBLED_ONE_IN: u64 = 50;

/// One way of a call.
pub struct Datagram {
    is_answer: bool,
    /// Of the call, at the node that made it.
    call: u64,
    bytes: Vec<u8>,
}

impl Datagram {
    fn encode(&self) -> Vec<u8> {
        [&[u8::from(self.is_answer)][..], &self.call.to_be_bytes(), &self.bytes].concat()
    }

    fn decode(bytes: &[u8]) -> Self {
        let call = u64::from_be_bytes(bytes[1..9].try_into().expect("eight bytes"));
        Self { is_answer: bytes[0] == 1, call, bytes: bytes[9..].to_vec() }
    }
}

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>>;

/// Carries the calls of one start of one node.
pub struct Post {
    world: Arc<World>,
    node: usize,
    leaving: mpsc::UnboundedSender<(usize, Datagram)>,
    waiting: Waiting,
    calls: AtomicU64,
}

/// The other end of a [`Post`]'s queue.
pub type Leaving = mpsc::UnboundedReceiver<(usize, Datagram)>;

impl Post {
    /// `start`: which one it is of the node; answers to the calls of an earlier one are nobody's.
    pub fn new(world: Arc<World>, node: usize, start: u64) -> (Arc<Self>, Leaving) {
        let (leaving, queue) = mpsc::unbounded_channel();
        let post = Self { world, node, leaving, waiting: Waiting::default(), calls: AtomicU64::new(start << 32) };
        (Arc::new(post), queue)
    }

    /// Sends and receives for as long as the node runs.
    pub async fn work(self: Arc<Self>, cluster: Cluster, mut leaving: Leaving) -> std::io::Result<()> {
        let socket = Rc::new(UdpSocket::bind(("0.0.0.0", PORT)).await?);
        let (sending, world, node) = (socket.clone(), self.world.clone(), self.node);
        let mut random = Random::of_seed(world.seed ^ (node as u64) << 56 ^ self.calls.load(Ordering::Relaxed));
        tokio::task::spawn_local(async move {
            while let Some((to, datagram)) = leaving.recv().await {
                let kind = if datagram.is_answer { "answers" } else { "calls" };
                let (call, bytes) = (datagram.call, datagram.encode());
                world.note(format_args!("n{node} {kind} n{to} #{call:x} {:016x}", hash(&bytes)));
                let copies = if random.below(DOUBLED_ONE_IN) == 0 { 2 } else { 1 };
                for _ in 0..copies {
                    // A network that refuses a datagram has lost it.
                    let _ = sending.send_to(&bytes, (host_name(to), PORT)).await;
                }
            }
        });
        let addresses: Vec<_> = (0..self.world.nodes.len()).map(|node| turmoil::lookup(host_name(node))).collect();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            let from = addresses.iter().position(|address| *address == from.ip()).expect("a node");
            self.receive(&cluster, from, Datagram::decode(&buffer[..length]));
        }
    }

    fn receive(self: &Arc<Self>, cluster: &Cluster, from: usize, datagram: Datagram) {
        let Datagram { is_answer, call, bytes } = datagram;
        if is_answer {
            if let Some(waiting) = self.waiting.lock().remove(&call) {
                // Who asked may have given up.
                let _ = waiting.send(bytes);
            }
            return;
        }
        let (post, cluster) = (self.clone(), cluster.clone());
        tokio::spawn(async move {
            let bytes = answer(&cluster, node_id(from), &bytes).await;
            // The queue ends with the node.
            let _ = post.leaving.send((from, Datagram { is_answer: true, call, bytes }));
        });
    }
}

impl Carrier for Post {
    fn carry(&self, node: NodeId, bytes: Vec<u8>, within: Duration) -> Carried {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let (done, answer) = oneshot::channel();
        self.waiting.lock().insert(call, done);
        let to = (0..self.world.nodes.len()).find(|to| node_id(*to) == node).expect("a node of the simulation");
        let sent = self.leaving.send((to, Datagram { is_answer: false, call, bytes }));
        let (world, waiting) = (self.world.clone(), self.waiting.clone());
        Box::pin(async move {
            sent.map_err(|_| CallError::NotSent)?;
            match tokio::time::timeout(within, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                _ => {
                    waiting.lock().remove(&call);
                    world.tally.lock().lost += 1;
                    Err(CallError::Lost)
                }
            }
        })
    }
}
