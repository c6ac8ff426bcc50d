//! The way between nodes: one port, one connection per pair and direction, calls with deadlines (tarpc, MessagePack).
//!
//! Knows addresses, keys and frames; what a call means is the desk's business.

mod complaints;
mod handshake;
mod link;
mod listener;
mod socket;
mod strangers;
mod tls;
pub(crate) mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::{Builder, Handle, Runtime};

use handshake::OwnBeginnings;
pub(crate) use handshake::{HandshakeError, Name};
use link::Dialler;
pub(crate) use link::Links;
use listener::Doorkeeper;
pub use tls::{Tls, TlsError, TlsFiles};
use wire::{Answer, Call};

/// What runs on the connections' threads gets so long to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who answers the calls of other nodes.
pub(crate) trait Desk: Send + Sync + 'static {
    fn answer(&self, from: Name, call: Call, deadline: Instant) -> BoxFuture<'static, Answer>;
}

/// How a node takes part in the conversation.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// Where other nodes are listened to.
    pub listen: SocketAddr,
    /// What others dial to get here; `None`: the address listened to.
    pub advertise: Option<String>,
    /// The local address that connections to other nodes leave from; `None`: the system's choice.
    pub source: Option<IpAddr>,
    /// Whoever knows it is a node.
    pub key: Vec<u8>,
    /// `None`: what is said is not encrypted.
    pub tls: Option<Tls>,
}

/// A node's port and its connections, on a runtime of their own.
pub(crate) struct Net {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    me: Arc<RwLock<Name>>,
    links: Arc<Links>,
    advertised: String,
}

impl Net {
    /// Opens the port.
    pub(crate) fn start(options: &NetOptions, desk: Arc<dyn Desk>) -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name("node-to-node").enable_all().build()?;
        let me = Arc::new(RwLock::new(Name::default()));
        let listener = listener::bind(options.listen)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (key, tls) = (options.key.clone(), options.tls.clone());
        let own = OwnBeginnings::default();
        let keeper = Doorkeeper { key, tls, me: me.clone(), own: own.clone(), desk };
        runtime.spawn(listener::listen(listener, Arc::new(keeper)));
        tracing::info!(%address, tls = options.tls.is_some(), "listening for other nodes");
        if options.tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "what nodes say to each other is not encrypted: set cluster.tls, or see to it that only nodes reach this"
            );
        }
        let dialler = Dialler {
            runtime: runtime.handle().clone(),
            key: options.key.clone(),
            tls: options.tls.clone(),
            source: options.source,
            me: me.clone(),
            own,
        };
        let links = Arc::new(Links::new(Arc::new(dialler)));
        let handle = runtime.handle().clone();
        let advertised = options.advertise.clone().unwrap_or_else(|| address.to_string());
        Ok(Self { runtime: Mutex::new(Some(runtime)), handle, me, links, advertised })
    }

    /// What others dial to get here.
    pub(crate) fn advertised(&self) -> &str {
        &self.advertised
    }

    pub(crate) fn links(&self) -> &Arc<Links> {
        &self.links
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.handle
    }

    /// Ends all that runs here, and with it whatever holds the database: a process must not end while threads use it.
    pub(crate) async fn close(&self) {
        let Some(runtime) = self.runtime.lock().take() else { return };
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(CLOSE_TIMEOUT));
        // Nothing panics there that would not have been logged.
        let _ = ended.await;
    }

    /// Says who this node is, once that is known.
    pub(crate) fn set_name(&self, name: Name) {
        *self.me.write() = name;
    }

    /// One call of whoever is at an address.
    pub(crate) async fn call_address(
        &self,
        address: &str,
        call: Call,
        deadline: Instant,
    ) -> Result<Answer, HandshakeError> {
        self.links.dialler().call_address(address, call, deadline).await
    }

    /// Whether somebody is at an address who goes by this node's name.
    pub(crate) async fn is_twin(&self, address: &str, deadline: Instant) -> bool {
        let answer = self.call_address(address, Call::Greet, deadline).await;
        matches!(answer, Err(HandshakeError::Refused(reason)) if reason == listener::SAME_NAME)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.get_mut().take() {
            // Not waited for: what is under way is nobody's any more, and this may be an async thread.
            runtime.shutdown_background();
        }
    }
}
