//! The way to other nodes: one connection to each, opened when it is needed, with many calls under way on it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tarpc::client::{Channel, Config, RpcError};
use tarpc::context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_serde::formats::MessagePack;

use super::handshake::{self, Frames, HandshakeError, Name, OwnBeginnings, TheirClock};
use super::socket;
use super::tls::Tls;
use super::wire::{Answer, Call, Request, Response};
use crate::peer::CallError;

/// Longest frame between nodes, in bytes: an append is bounded by far less.
pub(crate) const FRAME_BYTES_MAX: usize = 32 << 20;
/// A node that does not accept a connection in that time is taken for unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A node that could not be reached is not tried again for so long: who asks meanwhile is told at once.
const UNREACHABLE_FOR: Duration = Duration::from_millis(100);
/// A connection on which calls go unanswered for so long is given up: one that lost packets would take up to minutes to
/// go on by itself.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// Calls under way on one connection; further ones wait for one of them.
const CALLS_MAX: usize = 4096;

/// Who this node is to others, and how it reaches them.
pub(crate) struct Dialler {
    /// Connections live on this runtime.
    pub(crate) runtime: Handle,
    pub(crate) key: Vec<u8>,
    /// `None`: what is said is not encrypted.
    pub(crate) tls: Option<Tls>,
    /// The local address that connections leave from; `None`: the system's choice.
    pub(crate) source: Option<IpAddr>,
    pub(crate) me: Arc<RwLock<Name>>,
    pub(crate) own: OwnBeginnings,
}

/// An open connection; cheap to clone.
#[derive(Clone)]
struct Open {
    channel: Channel<Request, Response>,
    is_closed: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    dispatch: AbortHandle,
}

/// What was last heard of the other side.
struct Heard {
    clock: TheirClock,
    /// Since when calls have gone unanswered.
    silent_since: Option<Instant>,
}

impl Open {
    async fn call(&self, call: Call, deadline: Instant) -> Result<Answer, RpcError> {
        let began = Instant::now();
        let until_ms = self.heard.lock().clock.at_ms(deadline);
        let called = self.channel.call(context_until(deadline), Request { until_ms, call });
        // tarpc counts from when a request is written: on a connection that takes no more it would wait for minutes.
        let result = tokio::time::timeout_at(deadline.into(), called).await;
        let result = result.unwrap_or(Err(RpcError::DeadlineExceeded));
        let mut heard = self.heard.lock();
        match result {
            Ok(Response { clock_ms, answer }) => {
                *heard = Heard { clock: TheirClock::said(clock_ms), silent_since: None };
                Ok(answer)
            }
            Err(RpcError::DeadlineExceeded) => {
                // One call may take long where others are answered.
                let begun = began.max(heard.clock.heard());
                let since = *heard.silent_since.get_or_insert(begun);
                if since.elapsed() >= SILENT_FOR {
                    self.is_closed.store(true, Ordering::Release);
                    // What waits on it is not to wait any longer.
                    self.dispatch.abort();
                }
                Err(RpcError::DeadlineExceeded)
            }
            Err(error) => {
                heard.silent_since = None;
                Err(error)
            }
        }
    }
}

impl Dialler {
    /// Connects to an address; `expected` is the node that must be there, if that is known.
    async fn dial(self: &Arc<Self>, address: &str, expected: Option<u64>) -> Result<Open, HandshakeError> {
        let (dialler, address) = (self.clone(), address.to_owned());
        let opening = self.runtime.spawn(async move {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, dialler.connect(&address));
            let stream = stream.await.map_err(|_| HandshakeError::TimedOut)??;
            match &dialler.tls {
                None => dialler.greet(stream, expected).await,
                Some(tls) => {
                    let stream = async { Ok(tls.connect(&address, stream).await?) };
                    dialler.greet(handshake::within(stream).await?, expected).await
                }
            }
        });
        opening.await.unwrap_or(Err(HandshakeError::TimedOut))
    }

    async fn connect(&self, address: &str) -> std::io::Result<TcpStream> {
        let mut failed = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host(address).await? {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            if let Some(source) = self.source {
                socket.bind((source, 0).into())?;
            }
            match socket.connect(address).await {
                Ok(stream) => {
                    socket::prepare(&stream)?;
                    return Ok(stream);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Begins the conversation on a fresh connection.
    async fn greet<S>(&self, stream: S, expected: Option<u64>) -> Result<Open, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let me = *self.me.read();
        let (mut frames, _, clock) = handshake::open(stream, &self.key, me, expected, &self.own).await?;
        frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
        Ok(self.run(frames, clock))
    }

    fn run<S>(&self, frames: Frames<S>, clock: TheirClock) -> Open
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let transport = tarpc::serde_transport::new(frames, MessagePack::default());
        let mut config = Config::default();
        config.max_in_flight_requests = CALLS_MAX;
        let new = tarpc::client::new(config, transport);
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let dispatch = self.runtime.spawn(async move {
            // However it ends: the next call opens another connection.
            let _ = new.dispatch.await;
            closed.store(true, Ordering::Release);
        });
        let heard = Arc::new(Mutex::new(Heard { clock, silent_since: None }));
        Open { channel: new.client, is_closed, heard, dispatch: dispatch.abort_handle() }
    }

    /// One call of whoever is at an address, on a connection of its own.
    ///
    /// # Errors
    /// What kept the connection from coming about; [`HandshakeError::TimedOut`] also if there is no answer.
    pub(crate) async fn call_address(
        self: &Arc<Self>,
        address: &str,
        call: Call,
        deadline: Instant,
    ) -> Result<Answer, HandshakeError> {
        let open = self.dial(address, None).await?;
        open.call(call, deadline).await.map_err(|_| HandshakeError::TimedOut)
    }

    /// Whether a node is at an address and answers, on a connection of its own: one that stands may lead to where the
    /// node has gone from.
    pub(crate) async fn is_at(self: &Arc<Self>, address: &str, node: u64, deadline: Instant) -> bool {
        let answers = async {
            match self.dial(address, Some(node)).await {
                Ok(open) => open.call(Call::Greet, deadline).await.is_ok(),
                Err(_) => false,
            }
        };
        tokio::time::timeout_at(deadline.into(), answers).await.unwrap_or(false)
    }
}

fn context_until(deadline: Instant) -> context::Context {
    let mut context = context::current();
    context.deadline = deadline;
    context
}

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open(Open),
    Unreachable {
        until: Instant,
    },
}

/// The connection to one node.
#[derive(Default)]
struct Link {
    state: tokio::sync::Mutex<State>,
    /// What is said of a node that cannot be reached is said once.
    is_down: AtomicBool,
}

/// The connections to all nodes.
pub(crate) struct Links {
    dialler: Arc<Dialler>,
    /// Where each node is.
    addresses: RwLock<FxHashMap<u64, String>>,
    links: Mutex<FxHashMap<u64, Arc<Link>>>,
}

impl Links {
    pub(crate) fn new(dialler: Arc<Dialler>) -> Self {
        Self { dialler, addresses: RwLock::default(), links: Mutex::default() }
    }

    pub(crate) fn dialler(&self) -> &Arc<Dialler> {
        &self.dialler
    }

    /// Says where all nodes are; connections to nodes that have gone or moved are forgotten.
    pub(crate) fn set_addresses(&self, nodes: impl IntoIterator<Item = (u64, String)>) {
        let next: FxHashMap<u64, String> = nodes.into_iter().collect();
        let mut addresses = self.addresses.write();
        self.links.lock().retain(|node, _| next.contains_key(node) && next.get(node) == addresses.get(node));
        *addresses = next;
    }

    /// Calls a node.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn call(&self, node: u64, call: Call, deadline: Instant) -> Result<Answer, CallError> {
        let open = tokio::time::timeout_at(deadline.into(), self.open(node)).await;
        let open = open.unwrap_or(None).ok_or(CallError::NotSent)?;
        match open.call(call, deadline).await {
            Ok(answer) => Ok(answer),
            Err(RpcError::Send(_)) => Err(CallError::NotSent),
            Err(_) => Err(CallError::Lost),
        }
    }

    async fn open(&self, node: u64) -> Option<Open> {
        let link = self.links.lock().entry(node).or_default().clone();
        let mut state = link.state.lock().await;
        match &*state {
            State::Open(open) if !open.is_closed.load(Ordering::Acquire) => return Some(open.clone()),
            State::Unreachable { until } if Instant::now() < *until => return None,
            _ => {}
        }
        let address = self.addresses.read().get(&node).cloned()?;
        match self.dialler.dial(&address, Some(node)).await {
            Ok(open) => {
                if link.is_down.swap(false, Ordering::Relaxed) {
                    tracing::info!(node = format_args!("{node:016x}"), address, "a node can be reached again");
                }
                *state = State::Open(open.clone());
                Some(open)
            }
            Err(error) => {
                if !link.is_down.swap(true, Ordering::Relaxed) {
                    tracing::warn!(node = format_args!("{node:016x}"), address, %error, "a node cannot be reached");
                }
                *state = State::Unreachable { until: Instant::now() + UNREACHABLE_FOR };
                None
            }
        }
    }
}
