//! Calls of other nodes: accepted, answered, bounded.
//!
//! Whoever reaches the port may begin. Until it has proved that it knows the cluster's key it gets little: a short
//! time, a short frame, one of few places, and a line in the log only now and then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use parking_lot::RwLock;
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel, Config, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tokio_serde::formats::MessagePack;

use super::Desk;
use super::complaints::Complaints;
use super::handshake::{self, Frames, HandshakeError, Name, OwnBeginnings, clock_ms};
use super::link::FRAME_BYTES_MAX;
use super::socket;
use super::strangers::Strangers;
use super::tls::Tls;
use super::wire::{Answer, Request, Response};

/// Connections of nodes at the same time.
const CONNECTIONS_MAX: usize = 512;
/// Calls of one connection under way; the next ones are refused.
const CALLS_MAX: usize = 8192;
/// Whoever is refused gets so long to read why.
const PARTING_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes of somebody refused that are read and thrown away.
const PARTING_BYTES_MAX: u64 = 64 * 1024;

/// What a connection begins with: a short frame of a node, whose length has a first byte of 0, or TLS.
const FIRST_BYTE: u8 = 0;
const FIRST_BYTE_OF_TLS: u8 = 0x16;

/// What a node is told that goes by the name of the one it dials.
pub(super) const SAME_NAME: &str = "two nodes have the same name: one data folder is a copy of the other";
/// Not a word of this is read: whoever is told would not have dialled itself had it known.
const ITSELF: &str = "this is the node itself";

/// What a listener needs to know.
pub(crate) struct Doorkeeper {
    pub(crate) key: Vec<u8>,
    /// `None`: what is said is not encrypted.
    pub(crate) tls: Option<Tls>,
    pub(crate) me: Arc<RwLock<Name>>,
    pub(crate) own: OwnBeginnings,
    pub(crate) desk: Arc<dyn Desk>,
}

/// A node that has proved itself.
enum Guest {
    Plain(Frames<TcpStream>),
    Tls(Box<Frames<TlsStream<TcpStream>>>),
}

/// Accepts connections for as long as the runtime lives.
pub(crate) async fn listen(listener: TcpListener, keeper: Arc<Doorkeeper>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (strangers, complaints) = (Arc::<Strangers>::default(), Arc::<Complaints>::default());
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (keeper, places, complaints) = (keeper.clone(), places.clone(), complaints.clone());
                let (stranger, must_go) = strangers.enter(from.ip());
                tokio::spawn(async move {
                    let met = tokio::select! {
                        met = keeper.meet(stream) => met,
                        _ = must_go => Err(HandshakeError::Crowded),
                    };
                    drop(stranger);
                    match (met, places.try_acquire()) {
                        (Ok((Guest::Plain(frames), name)), Ok(_place)) => keeper.converse(frames, name).await,
                        (Ok((Guest::Tls(frames), name)), Ok(_place)) => keeper.converse(*frames, name).await,
                        (Ok(_), Err(_)) => complaints.say(from, &HandshakeError::Full),
                        (Err(error), _) => complaints.say(from, &error),
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: that passes.
                tracing::warn!(%error, "no connection can be accepted from other nodes");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Doorkeeper {
    /// Finds out who has connected.
    async fn meet(&self, stream: TcpStream) -> Result<(Guest, Name), HandshakeError> {
        socket::prepare(&stream)?;
        let mut first = [0];
        let begins = async { Ok(stream.peek(&mut first).await?) };
        if handshake::within(begins).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        match (&self.tls, first[0]) {
            (None, FIRST_BYTE) => {
                let (frames, name) = self.accept(stream).await?;
                Ok((Guest::Plain(frames), name))
            }
            (Some(tls), FIRST_BYTE_OF_TLS) => {
                let accepted = handshake::within(async { Ok(tls.accept(stream).await) }).await?;
                let stream = match accepted {
                    Ok(stream) => stream,
                    Err((error, stream)) => {
                        part(stream).await;
                        return Err(error.into());
                    }
                };
                let (frames, name) = self.accept(stream).await?;
                Ok((Guest::Tls(Box::new(frames)), name))
            }
            (Some(_), FIRST_BYTE) => Err(turn_away(
                stream,
                "it speaks TLS only: cluster.tls is set there, and must be here as well",
                "it does not speak TLS: cluster.tls is set here, and must be there as well",
            )
            .await),
            (None, FIRST_BYTE_OF_TLS) => Err(turn_away(
                stream,
                "it speaks no TLS",
                "it speaks TLS: cluster.tls is set there, and must be here as well",
            )
            .await),
            _ => Err(HandshakeError::NotANode),
        }
    }

    async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<(Frames<S>, Name), HandshakeError> {
        let me = *self.me.read();
        let refuses = |them, nonce: &_| match self.own.contains(nonce) {
            true => Some(ITSELF.to_owned()),
            false => refuses(me, them),
        };
        handshake::accept(stream, &self.key, me, refuses).await
    }

    async fn converse<S>(&self, mut frames: Frames<S>, from: Name)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
        let transport = tarpc::serde_transport::new(frames, MessagePack::default());
        let channel = BaseChannel::new(Config::default(), transport);
        let answer = {
            let desk = self.desk.clone();
            serve(move |context: Context, request| {
                let desk = desk.clone();
                async move { Ok(respond(&*desk, from, request, context.deadline).await) }
            })
        };
        let mut calls = std::pin::pin!(channel.max_concurrent_requests(CALLS_MAX).execute(answer));
        while let Some(call) = calls.next().await {
            tokio::spawn(call);
        }
    }
}

/// Refuses somebody who begins as nodes of another configuration do. `told` is for its log, `said` for ours.
async fn turn_away(mut stream: TcpStream, told: &str, said: &'static str) -> HandshakeError {
    // Whoever has begun TLS takes it for noise, and knows by that what is wrong.
    if handshake::refuse(&mut stream, told).await.is_ok() {
        part(stream).await;
    }
    HandshakeError::TurnedAway(said)
}

/// Closes a connection without taking back what was said last, as it happens when unread bytes are left.
async fn part(mut stream: TcpStream) {
    let unread = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(PARTING_BYTES_MAX), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(PARTING_TIMEOUT, unread).await;
}

async fn respond(desk: &dyn Desk, from: Name, request: Request, deadline: Instant) -> Response {
    let Request { until_ms, call } = request;
    let answer = match until_ms <= clock_ms() {
        // Whoever asked has been told by now that nobody knows, and may have asked again.
        true => Answer::Refused("it came too late".to_owned()),
        false => desk.answer(from, call, deadline).await,
    };
    Response { clock_ms: clock_ms(), answer }
}

/// Why somebody is not spoken to.
fn refuses(me: Name, them: Name) -> Option<String> {
    match (me.cluster, them.cluster) {
        (Some(mine), Some(theirs)) if mine != theirs => {
            Some(format!("this is cluster {mine:016x}, and that one belongs to {theirs:016x}"))
        }
        _ if me.node.is_some() && me.node == them.node => Some(SAME_NAME.to_owned()),
        _ => None,
    }
}

/// Opens the port.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use tokio_util::codec::FramedParts;

    use super::super::link::{Dialler, Links};
    use super::super::strangers::STRANGERS_MAX;
    use super::*;
    use crate::net::wire::Call;

    /// Longer than anybody may take who has not proved itself.
    const LONG: Duration = Duration::from_secs(20);
    const KEY: &[u8] = b"key";
    const NODE: Name = Name { cluster: Some(1), node: Some(2) };
    /// Another node of its cluster.
    const OTHER: u64 = 9;

    /// Answers everything, and counts what it was asked.
    #[derive(Default)]
    struct Willing(std::sync::atomic::AtomicU32);

    impl Desk for Willing {
        fn answer(&self, _: Name, _: Call, _: Instant) -> futures::future::BoxFuture<'static, Answer> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(futures::future::ready(Answer::Noted))
        }
    }

    #[tokio::test]
    async fn a_call_that_was_held_up_is_not_begun() {
        let (desk, deadline) = (Willing::default(), Instant::now() + Duration::from_secs(9));
        let now = clock_ms();
        for (until_ms, is_begun) in [(now, false), (now + 9_000, true)] {
            let response = respond(&desk, Name::default(), Request { until_ms, call: Call::Greet }, deadline).await;
            assert!(response.clock_ms >= now);
            assert_eq!(matches!(response.answer, Answer::Noted), is_begun);
        }
        assert_eq!(desk.0.into_inner(), 1);
    }

    /// A port that is listened to.
    async fn port() -> SocketAddr {
        port_of(Name::default(), OwnBeginnings::default(), Arc::<Willing>::default()).await
    }

    async fn port_of(me: Name, own: OwnBeginnings, desk: Arc<dyn Desk>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let keeper = Doorkeeper { key: KEY.to_vec(), tls: None, me: Arc::new(RwLock::new(me)), own, desk };
        tokio::spawn(listen(listener, Arc::new(keeper)));
        address
    }

    fn dialler(own: OwnBeginnings) -> Arc<Dialler> {
        let (runtime, me) = (tokio::runtime::Handle::current(), Arc::new(RwLock::new(NODE)));
        Arc::new(Dialler { runtime, key: KEY.to_vec(), tls: None, source: None, me, own })
    }

    /// The way to [`OTHER`] alone.
    fn links_to(address: SocketAddr) -> Links {
        let links = Links::new(dialler(OwnBeginnings::default()));
        links.set_addresses([(OTHER, address.to_string())]);
        links
    }

    async fn is_answered(address: SocketAddr) {
        let answer = dialler(OwnBeginnings::default())
            .call_address(&address.to_string(), Call::Greet, Instant::now() + LONG)
            .await;
        assert!(matches!(answer, Ok(Answer::Noted)), "{answer:?}");
    }

    /// A node that dials the address it had finds itself, and no copy of its data folder.
    #[tokio::test]
    async fn a_node_is_not_its_own_twin() {
        let own = OwnBeginnings::default();
        let address = port_of(NODE, own.clone(), Arc::<Willing>::default()).await.to_string();
        for (own, reason) in [(own, ITSELF), (OwnBeginnings::default(), SAME_NAME)] {
            let answer = dialler(own).call_address(&address, Call::Greet, Instant::now() + LONG).await;
            assert!(matches!(&answer, Err(HandshakeError::Refused(said)) if said == reason), "{answer:?}");
        }
    }

    /// A connection that takes no more: calls end when they are to, and further ones go another way.
    #[tokio::test]
    async fn a_call_ends_by_its_deadline_also_where_nothing_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let mut deaf = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let them = Name { node: Some(OTHER), ..NODE };
                deaf.push(handshake::accept(stream, KEY, them, |_, _: &_| None).await.expect("it knows the key"));
            }
        });
        let links = links_to(address);
        // More than any buffer takes, all at once.
        let began = Instant::now();
        let calls = (0..32).map(|_| {
            let call = Call::Above(vec![0; 4 << 20].into());
            links.call(OTHER, call, began + Duration::from_millis(300))
        });
        let ended = tokio::time::timeout(LONG, futures::future::join_all(calls)).await.expect("they end");
        assert!(ended.iter().all(Result::is_err));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    /// Takes as many tenths of a second over a call as it has bytes, and answers a greeting at once.
    struct Slow;

    impl Desk for Slow {
        fn answer(&self, _: Name, call: Call, _: Instant) -> futures::future::BoxFuture<'static, Answer> {
            let tenths = match call {
                Call::Above(bytes) => bytes.len() as u32,
                _ => 0,
            };
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(100) * tenths).await;
                Answer::Noted
            })
        }
    }

    #[tokio::test]
    async fn one_call_that_takes_long_ends_no_connection_on_which_others_are_answered() {
        let them = Name { node: Some(OTHER), ..NODE };
        let links = links_to(port_of(them, OwnBeginnings::default(), Arc::new(Slow)).await);
        let (links, began) = (&links, Instant::now());
        let call = |tenths: usize, until: u64| async move {
            let call = if tenths == 0 { Call::Greet } else { Call::Above(vec![0; tenths].into()) };
            links.call(OTHER, call, began + Duration::from_millis(until)).await
        };
        let others = async {
            for _ in 0..20 {
                call(0, 10_000).await.expect("answered");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let (too_long, long, ()) = tokio::join!(call(100, 2_100), call(30, 10_000), others);
        assert!(too_long.is_err());
        assert!(long.is_ok(), "it was lost with the connection: {long:?}");
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut unread = [0; 64];
        loop {
            match stream.read(&mut unread).await {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            }
        }
    }

    #[tokio::test]
    async fn whoever_waits_makes_room_and_is_sent_away() {
        let address = port().await;
        let mut idle = Vec::new();
        for _ in 0..STRANGERS_MAX {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            // It begins, and goes no further.
            stream.write_all(&[0, 0, 0, 60, 1]).await.expect("written");
            idle.push(stream);
        }
        let began = Instant::now();
        is_answered(address).await;
        assert!(is_closed(&mut idle[0]).await);
        let is_early = began.elapsed() < handshake::HANDSHAKE_TIMEOUT;
        assert!(is_early, "it was sent away by the time and not by the one who came");
        let all = futures::future::join_all(idle.iter_mut().map(is_closed));
        tokio::time::timeout(LONG, all).await.expect("all are sent away in the end");
    }

    #[tokio::test]
    async fn a_node_that_sends_garbage_loses_its_connection_and_nobody_else_does() {
        let address = port().await;
        let huge = [&[0xff; 4][..], &[7; 4096]].concat();
        let noise = [&[0, 0, 1, 0][..], &[0xc1; 256]].concat();
        let too_long = [&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()[..], &[7; 4096]].concat();
        for garbage in [huge, noise, too_long] {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let (frames, ..) =
                handshake::open(stream, KEY, NODE, None, &OwnBeginnings::default()).await.expect("it knows the key");
            let FramedParts { io: mut stream, .. } = frames.into_parts();
            stream.write_all(&garbage).await.expect("written");
            tokio::time::timeout(LONG, is_closed(&mut stream)).await.expect("nobody listens to that");
            is_answered(address).await;
        }
    }

    #[test]
    fn strangers_and_copies_are_refused() {
        let name = |cluster, node| Name { cluster, node };
        let me = name(Some(1), Some(5));
        assert_eq!(refuses(me, name(Some(1), Some(6))), None);
        assert_eq!(refuses(me, name(None, None)), None, "it may want to join");
        assert!(refuses(me, name(Some(2), Some(6))).is_some());
        assert!(refuses(me, name(Some(1), Some(5))).is_some());
        assert_eq!(refuses(name(None, None), name(None, None)), None);
    }
}
