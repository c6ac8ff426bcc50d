//! How a connection begins: both sides prove that they know the cluster's key, and say who they are.
//!
//! ```text
//! client ──► Opening: versions, who I am, a number used once
//! server ──► Reply: version, who I am, what my clock says, a number used once, proof over both
//! client ──► Proof: over both
//! ```
//!
//! The proof is HMAC-SHA256 under the cluster's key, so the key itself never travels and a recorded beginning cannot be
//! played again. What follows is not encrypted: for that there is TLS (`tls.rs`), and then all of this runs inside it.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::tls;
use super::wire::{OLDEST_VERSION, VERSION};
use crate::raft::{decode, encode};

/// A frame before the proof; nothing longer is read from somebody unknown.
const OPENING_BYTES_MAX: usize = 1024;
/// A beginning that takes longer is given up.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Who a node says it is. Both are `None` until it belongs to a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) cluster: Option<u64>,
    pub(crate) node: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Opening {
    magic: [u8; 6],
    /// The versions that the client speaks.
    oldest: u16,
    newest: u16,
    name: Name,
    nonce: Nonce,
}

#[derive(Serialize, Deserialize)]
enum Reply {
    #[serde(rename = "w")]
    Welcome { version: u16, name: Name, clock_ms: u64, nonce: [u8; 16], proof: [u8; 32] },
    #[serde(rename = "n")]
    Refused(String),
}

const MAGIC: [u8; 6] = *b"muster";

/// What a node's clock says: milliseconds since it was started, whatever happens to the time of day.
pub(crate) fn clock_ms() -> u64 {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    STARTED.elapsed().as_millis() as u64
}

/// The other side's clock, as far as this one can tell it. It is heard again with every answer: two clocks run apart by
/// seconds in a day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TheirClock {
    said_ms: u64,
    heard: Instant,
}

impl TheirClock {
    pub(crate) fn said(said_ms: u64) -> Self {
        Self { said_ms, heard: Instant::now() }
    }

    /// When it was told last.
    pub(crate) fn heard(self) -> Instant {
        self.heard
    }

    /// A moment in terms of the other side's clock; earlier than it really is by as long as the reply travelled.
    pub(crate) fn at_ms(self, moment: Instant) -> u64 {
        self.said_ms + moment.saturating_duration_since(self.heard).as_millis() as u64
    }
}

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the other side does not know this cluster's key")]
    WrongKey,
    #[error("refused: {0}")]
    Refused(String),
    #[error("it is node {}, and {expected:016x} was expected", found.map_or("none".into(), |node| format!("{node:016x}")))]
    WrongNode { expected: u64, found: Option<u64> },
    #[error("this is not how a node begins")]
    NotANode,
    #[error("it does not answer in time")]
    TimedOut,
    #[error("it took long, and had to make room for others that begin")]
    Crowded,
    #[error("there are as many connections as there may be")]
    Full,
    /// Its words, not of the one who connected.
    #[error("it was turned away: {0}")]
    TurnedAway(&'static str),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        // What TLS has to say comes with whatever was read or written when it was found out.
        tls::reason(&error).map_or(Self::Io(error), Self::Tls)
    }
}

/// Used once, to tell one beginning from all others.
type Nonce = [u8; 16];

/// The beginnings that this process is the client of. A node that has changed its address may dial the one it had, and
/// meet itself there.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnBeginnings(Arc<Mutex<Vec<Nonce>>>);

struct OwnBeginning<'a> {
    all: &'a OwnBeginnings,
    nonce: Nonce,
}

impl OwnBeginnings {
    fn one_more(&self) -> OwnBeginning<'_> {
        let nonce = rand::random();
        self.0.lock().push(nonce);
        OwnBeginning { all: self, nonce }
    }

    pub(super) fn contains(&self, nonce: &Nonce) -> bool {
        self.0.lock().contains(nonce)
    }
}

impl Drop for OwnBeginning<'_> {
    fn drop(&mut self) {
        self.all.0.lock().retain(|nonce| *nonce != self.nonce);
    }
}

pub(super) type Frames<S> = Framed<S, LengthDelimitedCodec>;

/// A framed connection whose frames are short until the handshake is over.
fn framed<S: AsyncRead + AsyncWrite>(stream: S) -> Frames<S> {
    LengthDelimitedCodec::builder().max_frame_length(OPENING_BYTES_MAX).new_framed(stream)
}

/// Opens a connection as the client; `expected` is the node it must lead to, if that is known.
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    key: &[u8],
    me: Name,
    expected: Option<u64>,
    own: &OwnBeginnings,
) -> Result<(Frames<S>, Name, TheirClock), HandshakeError> {
    let mut frames = framed(stream);
    let beginning = own.one_more();
    let run = async {
        let nonce = beginning.nonce;
        let opening = Opening { magic: MAGIC, oldest: OLDEST_VERSION, newest: VERSION, name: me, nonce };
        send(&mut frames, &opening).await?;
        let (name, said_ms, theirs, proof) = match receive(&mut frames).await? {
            Reply::Welcome { name, clock_ms, nonce, proof, .. } => (name, clock_ms, nonce, proof),
            Reply::Refused(reason) => return Err(HandshakeError::Refused(reason)),
        };
        if !proves(key, "server", &nonce, &theirs, name, &proof) {
            return Err(HandshakeError::WrongKey);
        }
        let clock = TheirClock::said(said_ms);
        send(&mut frames, &prove(key, "client", &theirs, &nonce, me)).await?;
        match expected {
            Some(expected) if name.node != Some(expected) => {
                Err(HandshakeError::WrongNode { expected, found: name.node })
            }
            _ => Ok((name, clock)),
        }
    };
    let (name, clock) = within(run).await?;
    Ok((frames, name, clock))
}

/// Accepts a connection as the server; `refuses` says of a client why it is not spoken to.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    key: &[u8],
    me: Name,
    refuses: impl Fn(Name, &Nonce) -> Option<String>,
) -> Result<(Frames<S>, Name), HandshakeError> {
    let mut frames = framed(stream);
    let run = async {
        let opening: Opening = receive(&mut frames).await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData if tls::reason(&error).is_none() => HandshakeError::NotANode,
            _ => error.into(),
        })?;
        let version = opening.newest.min(VERSION);
        let reason = if opening.magic != MAGIC {
            Some("this is not how a node begins".to_owned())
        } else if version < opening.oldest.max(OLDEST_VERSION) {
            Some(format!(
                "versions {OLDEST_VERSION} to {VERSION} are spoken here, {} to {} there",
                opening.oldest, opening.newest
            ))
        } else {
            refuses(opening.name, &opening.nonce)
        };
        if let Some(reason) = reason {
            send(&mut frames, &Reply::Refused(reason.clone())).await?;
            return Err(HandshakeError::Refused(reason));
        }
        let nonce: [u8; 16] = rand::random();
        let proof = prove(key, "server", &opening.nonce, &nonce, me);
        send(&mut frames, &Reply::Welcome { version, name: me, clock_ms: clock_ms(), nonce, proof }).await?;
        let theirs: [u8; 32] = receive(&mut frames).await?;
        if !proves(key, "client", &nonce, &opening.nonce, opening.name, &theirs) {
            return Err(HandshakeError::WrongKey);
        }
        Ok(opening.name)
    };
    let name = within(run).await?;
    Ok((frames, name))
}

/// Tells somebody who cannot begin why, in the form of a reply.
pub(super) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, reason: &str) -> io::Result<()> {
    send(&mut framed(stream), &Reply::Refused(reason.to_owned())).await
}

pub(super) async fn within<T>(work: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    tokio::time::timeout(HANDSHAKE_TIMEOUT, work).await.unwrap_or(Err(HandshakeError::TimedOut))
}

async fn send<S: AsyncRead + AsyncWrite + Unpin, T: Serialize>(frames: &mut Frames<S>, value: &T) -> io::Result<()> {
    frames.send(Bytes::from(encode(value)?)).await
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin, T: DeserializeOwned>(frames: &mut Frames<S>) -> io::Result<T> {
    match frames.next().await {
        Some(frame) => decode(&frame?),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn mac(key: &[u8], side: &str, first: &[u8], second: &[u8], name: Name) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length is a key"));
    mac.update(side.as_bytes());
    mac.update(first);
    mac.update(second);
    for part in [name.cluster, name.node] {
        mac.update(&[u8::from(part.is_some())]);
        mac.update(&part.unwrap_or_default().to_be_bytes());
    }
    mac
}

fn prove(key: &[u8], side: &str, first: &[u8], second: &[u8], name: Name) -> [u8; 32] {
    mac(key, side, first, second, name).finalize().into_bytes().into()
}

/// Compares in constant time.
fn proves(key: &[u8], side: &str, first: &[u8], second: &[u8], name: Name, proof: &[u8; 32]) -> bool {
    mac(key, side, first, second, name).verify_slice(proof).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Name = Name { cluster: Some(7), node: Some(1) };
    const YOU: Name = Name { cluster: Some(7), node: Some(2) };

    async fn meet(
        keys: (&str, &str),
        expected: Option<u64>,
        refusal: Option<&str>,
    ) -> (Result<Name, HandshakeError>, Result<Name, HandshakeError>) {
        let (a, b) = tokio::io::duplex(4096);
        let (own, refuses) = (OwnBeginnings::default(), |_, _: &_| refusal.map(str::to_owned));
        let (client, server) =
            tokio::join!(open(a, keys.0.as_bytes(), ME, expected, &own), accept(b, keys.1.as_bytes(), YOU, refuses));
        (client.map(|(_, name, _)| name), server.map(|(_, name)| name))
    }

    #[tokio::test]
    async fn those_who_know_the_key_learn_who_the_other_is() {
        let (client, server) = meet(("key", "key"), Some(2), None).await;
        assert_eq!((client.expect("open"), server.expect("open")), (YOU, ME));
    }

    #[tokio::test]
    async fn another_key_another_node_and_a_refusal_end_it() {
        let (client, server) = meet(("key", "other"), None, None).await;
        assert!(matches!(client, Err(HandshakeError::WrongKey)) && server.is_err());
        let (client, _) = meet(("key", "key"), Some(3), None).await;
        assert!(matches!(client, Err(HandshakeError::WrongNode { expected: 3, found: Some(2) })));
        let (client, server) = meet(("key", "key"), None, Some("another cluster")).await;
        assert!(matches!(client, Err(HandshakeError::Refused(reason)) if reason == "another cluster"));
        assert!(server.is_err());
    }

    /// What somebody hears who begins like this.
    async fn answer_to(opening: Opening) -> (String, HandshakeError) {
        let (a, b) = tokio::io::duplex(4096);
        let mut frames = framed(a);
        let asked = async {
            send(&mut frames, &opening).await.expect("sent");
            match receive(&mut frames).await.expect("an answer") {
                Reply::Refused(reason) => reason,
                Reply::Welcome { .. } => panic!("welcome"),
            }
        };
        let (told, said) = tokio::join!(asked, accept(b, b"key", ME, |_, _| None));
        (told, said.map(|_| ()).expect_err("taken for a node"))
    }

    #[tokio::test]
    async fn versions_that_do_not_meet_are_told_to_both() {
        let opening = |oldest, newest| Opening { magic: MAGIC, oldest, newest, name: YOU, nonce: [0; 16] };
        for (oldest, newest) in [(VERSION + 1, VERSION + 3), (0, OLDEST_VERSION - 1)] {
            let (told, said) = answer_to(opening(oldest, newest)).await;
            assert!(told.contains(&format!("are spoken here, {oldest} to {newest} there")), "{told}");
            assert!(matches!(said, HandshakeError::Refused(reason) if reason == told));
        }
        let (told, _) = answer_to(Opening { magic: *b"nobody", ..opening(OLDEST_VERSION, VERSION) }).await;
        assert!(told.contains("not how a node begins"), "{told}");
    }

    #[tokio::test]
    async fn garbage_is_refused_without_being_read_to_its_end() {
        let (mut a, b) = tokio::io::duplex(4096);
        let garbage = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let _ = a.write_all(&[0xff; 64]).await;
            a
        });
        accept(b, b"key", ME, |_, _| None).await.map(|_| ()).expect_err("taken for a node");
        drop(garbage);
    }
}
