//! Calls of other nodes: accepted, answered, bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use parking_lot::RwLock;
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel, Config, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_serde::formats::MessagePack;

use super::Desk;
use super::handshake::{self, HandshakeError, Name, clock_ms};
use super::link::FRAME_BYTES_MAX;
use super::wire::{Answer, Request, Response};

/// Connections at the same time, those that have not proved themselves included.
const CONNECTIONS_MAX: usize = 512;
/// Calls of one connection under way; the next ones are refused.
const CALLS_MAX: usize = 8192;

/// What a listener needs to know.
pub(crate) struct Doorkeeper {
    pub(crate) key: Vec<u8>,
    pub(crate) me: Arc<RwLock<Name>>,
    pub(crate) desk: Arc<dyn Desk>,
}

/// Accepts connections for as long as the runtime lives.
pub(crate) async fn listen(listener: TcpListener, keeper: Arc<Doorkeeper>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let keeper = keeper.clone();
                tokio::spawn(async move {
                    if let Err(error) = keeper.converse(stream).await {
                        tracing::warn!(%from, %error, "a connection to the cluster's port was refused");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: that passes.
                tracing::warn!(%error, "no connection can be accepted from other nodes");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

impl Doorkeeper {
    async fn converse(self: &Arc<Self>, stream: TcpStream) -> Result<(), HandshakeError> {
        stream.set_nodelay(true)?;
        let me = *self.me.read();
        let (mut frames, from) = handshake::accept(stream, &self.key, me, |them| refuses(me, them)).await?;
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
        Ok(())
    }
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
        _ if me.node.is_some() && me.node == them.node => {
            Some("two nodes have the same name: one data folder is a copy of the other".to_owned())
        }
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
    use super::*;
    use crate::net::wire::Call;

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
        let (desk, deadline) = (Willing::default(), Instant::now() + std::time::Duration::from_secs(9));
        let now = clock_ms();
        for (until_ms, is_begun) in [(now, false), (now + 9_000, true)] {
            let response = respond(&desk, Name::default(), Request { until_ms, call: Call::Greet }, deadline).await;
            assert!(response.clock_ms >= now);
            assert_eq!(matches!(response.answer, Answer::Noted), is_begun);
        }
        assert_eq!(desk.0.into_inner(), 1);
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
