//! The way to the other replicas of a shard, as openraft takes it: every call is one call of the node they are on.
//!
//! A node that stays alone has no way: whoever is called is away. That is an answer and not a panic, because a
//! membership that names another node (a copied folder, say) must leave this node waiting, not dead.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, v2::RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::codec;
use super::snapshot::{Part, ShardSnapshot, read_parts};
use super::types::{Snapshot, Types, Vote};
use crate::disk::Rows;
use crate::handle::NodesObserver;
use crate::net::Links;
use crate::net::wire::{
    Answer, Append, Call, Candidacy, RaftAnswer, RaftCall, SnapshotPart, WireVote, snapshot_response, vote_response,
};
use crate::peer::{CallError, NodeId};
use crate::simulation::Carrier;
use crate::slot::ShardId;

/// Why a call of a replica came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("no route to node {0:016x}")]
    NoRoute(u64),
    #[error("node {0:016x} did not answer in time")]
    Lost(u64),
    #[error("node {node:016x} refused: {reason}")]
    Refused { node: u64, reason: String },
    #[error("an entry cannot be sent: {0}")]
    Unsendable(#[from] std::io::Error),
}

/// A part of the rows is taken in that time; the last one also installed.
const PART_TIMEOUT: Duration = Duration::from_secs(10);
/// A part that does not arrive is sent again for so long.
const PART_RETRIED_FOR: Duration = Duration::from_secs(30);
const PART_RETRY_EVERY: Duration = Duration::from_millis(200);
/// A peer that has been filled and takes longer to get what was logged meanwhile is behind like any other.
const CATCH_UP_FOR: Duration = Duration::from_secs(60);

/// The rows that peers are filled from.
#[derive(Clone)]
struct Source {
    rows: Rows,
    places: Vec<Range<u16>>,
}

/// How calls get to other nodes.
#[derive(Clone)]
pub(crate) enum Way {
    Links(Arc<Links>),
    /// A simulation's.
    Carried(Arc<dyn Carrier>),
}

impl Way {
    async fn call(&self, node: u64, call: Call, within: Duration) -> Result<Answer, CallError> {
        match self {
            Way::Links(links) => links.call(node, call, (Instant::now() + within).into()).await,
            Way::Carried(carrier) => {
                let call = codec::encode(&call).map_err(|_| CallError::NotSent)?;
                let answer = carrier.carry(NodeId(node), call, within).await?;
                codec::decode(&answer).map_err(|_| CallError::Lost)
            }
        }
    }
}

/// Who reaches the other replicas of one shard.
#[derive(Clone)]
pub(crate) struct Peers {
    shard: ShardId,
    way: Option<Way>,
    source: Option<Source>,
    /// How long an append may take, the flush there included.
    append_timeout: Duration,
    observer: NodesObserver,
    fills: Fills,
}

/// Peers that are being filled with rows, or were a moment ago. The log behind these rows is not to be cut meanwhile: all
/// of them would have to be sent again, and under load again without end.
#[derive(Clone, Default)]
pub(crate) struct Fills(Arc<Mutex<FxHashMap<u64, Fill>>>);

enum Fill {
    Running,
    Ended(Instant),
}

/// Rows are on their way, and somebody takes them.
struct RunningFill<'a> {
    fills: &'a Fills,
    node: u64,
    is_whole: bool,
}

impl Fills {
    fn begin(&self, node: u64) -> RunningFill<'_> {
        self.0.lock().insert(node, Fill::Running);
        RunningFill { fills: self, node, is_whole: false }
    }

    /// Whether somebody may need the log up to an index; `has` says up to where a node has it.
    pub(crate) fn need(&self, upto: u64, has: impl Fn(u64) -> Option<u64>) -> bool {
        let mut fills = self.0.lock();
        fills.retain(|node, fill| match fill {
            Fill::Running => true,
            Fill::Ended(at) => at.elapsed() < CATCH_UP_FOR && has(*node).is_none_or(|index| index < upto),
        });
        !fills.is_empty()
    }
}

impl Drop for RunningFill<'_> {
    fn drop(&mut self) {
        let mut fills = self.fills.0.lock();
        if self.is_whole {
            fills.insert(self.node, Fill::Ended(Instant::now()));
        } else {
            // The next one begins with the rows of then.
            fills.remove(&self.node);
        }
    }
}

impl Peers {
    pub(crate) fn new(shard: ShardId, way: Option<Way>, append_timeout: Duration, observer: NodesObserver) -> Self {
        Self { shard, way, source: None, append_timeout, observer, fills: Fills::default() }
    }

    pub(crate) fn fills(&self) -> Fills {
        self.fills.clone()
    }

    pub(crate) fn observer(&self) -> NodesObserver {
        self.observer
    }

    /// Says where the rows are that peers are filled from.
    pub(crate) fn with_rows(self, rows: Rows, places: Vec<Range<u16>>) -> Self {
        Self { source: Some(Source { rows, places }), ..self }
    }

    /// Calls the replica on a node.
    pub(crate) async fn call(&self, node: u64, call: RaftCall, within: Duration) -> Result<RaftAnswer, PeerError> {
        let Some(way) = &self.way else { return Err(PeerError::NoRoute(node)) };
        match way.call(node, Call::Raft(self.shard.0, call), within).await {
            Ok(Answer::Raft(answer)) => Ok(answer),
            Ok(Answer::Refused(reason)) => Err(PeerError::Refused { node, reason }),
            Ok(other) => Err(PeerError::Refused { node, reason: format!("an answer to something else: {other:?}") }),
            Err(CallError::NotSent) => Err(PeerError::NoRoute(node)),
            Err(CallError::Lost) => Err(PeerError::Lost(node)),
        }
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &()) -> Peer {
        Peer { peers: self.clone(), node: target }
    }
}

/// The way to one replica.
pub(crate) struct Peer {
    peers: Peers,
    node: u64,
}

impl PeerError {
    /// openraft waits before it tries somebody again who cannot be reached.
    fn rpc(self) -> RPCError<Types> {
        match self {
            PeerError::Lost(_) => NetworkError::new(&self).into(),
            _ => Unreachable::new(&self).into(),
        }
    }
}

impl Peer {
    async fn call(&self, call: RaftCall, within: Duration) -> Result<RaftAnswer, RPCError<Types>> {
        self.peers.call(self.node, call, within).await.map_err(PeerError::rpc)
    }

    async fn candidacy(&self, call: RaftCall, option: &RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(call, option.soft_ttl()).await? {
            RaftAnswer::Voted { vote, granted, last } => Ok(vote_response(vote, granted, last)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Sends the rows as they are now, part after part.
    async fn send_rows(&self, vote: Vote) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let Some(source) = &self.peers.source else {
            return Err(Unreachable::new(&PeerError::NoRoute(self.node)).into());
        };
        // Not before a part has arrived: who is away may stay away, and has nothing of what is kept.
        let mut fill = None;
        let transfer = rand::random();
        let mut parts = read_parts(source.rows.clone(), self.peers.shard, source.places.clone());
        let mut number = 0;
        while let Some(part) = parts.recv().await {
            let Part { rows, applied } =
                part.map_err(|error| Unreachable::new(&PeerError::from(std::io::Error::other(error))))?;
            let is_last = applied.is_some();
            let part = SnapshotPart { vote: vote.into(), transfer, part: number, rows, applied };
            let theirs = self.send_part(part).await?;
            fill.get_or_insert_with(|| self.peers.fills.begin(self.node)).is_whole = is_last;
            if is_last || Vote::from(theirs) > vote {
                return Ok(snapshot_response(theirs));
            }
            number += 1;
        }
        let reason = std::io::Error::other("the rows were not read to their end");
        Err(Unreachable::new(&PeerError::from(reason)).into())
    }

    /// Sends one part, again and again while the peer cannot be reached: a transfer of an hour does not begin anew
    /// because of a second.
    async fn send_part(&self, part: SnapshotPart) -> Result<WireVote, StreamingError<Types>> {
        let until = Instant::now() + PART_RETRIED_FOR;
        loop {
            match self.peers.call(self.node, RaftCall::Snapshot(part.clone()), PART_TIMEOUT).await {
                Ok(RaftAnswer::Snapshot(vote)) => return Ok(vote),
                Ok(other) => {
                    let reason = format!("an answer to something else: {other:?}");
                    return Err(Unreachable::new(&PeerError::Refused { node: self.node, reason }).into());
                }
                Err(error @ PeerError::Refused { .. }) => return Err(Unreachable::new(&error).into()),
                Err(error) if Instant::now() >= until => return Err(Unreachable::new(&error).into()),
                Err(_) => tokio::time::sleep(PART_RETRY_EVERY).await,
            }
        }
    }

    fn unexpected(&self, answer: &RaftAnswer) -> RPCError<Types> {
        PeerError::Refused { node: self.node, reason: format!("an answer to something else: {answer:?}") }.rpc()
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = ShardSnapshot;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // openraft allows a heartbeat's interval; a flush may well take longer, and sending all again helps nobody.
        let within = if request.entries.is_empty() { option.soft_ttl() } else { self.peers.append_timeout };
        let append = Append::new(request).map_err(|error| PeerError::from(error).rpc())?;
        let appended = self.call(RaftCall::Append(append), within).await;
        match appended.inspect_err(|_| (self.peers.observer.append_failed)())? {
            RaftAnswer::Appended(appended) => Ok(appended.into()),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.candidacy(RaftCall::Vote(Candidacy::from(request)), &option).await
    }

    // Without this the default grants every pre-vote, as if the peer had answered.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.candidacy(RaftCall::PreVote(Candidacy::from(request)), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        _snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.send_rows(vote) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let call = RaftCall::Transfer {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        };
        match self.call(call, option.soft_ttl()).await? {
            RaftAnswer::Transferring => Ok(Ok(())),
            other => Err(self.unexpected(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_needed_while_a_peer_is_filled_and_until_it_has_caught_up() {
        let fills = Fills::default();
        let needs = |upto, has: Option<u64>| fills.need(upto, |_| has);
        assert!(!needs(9, None));
        let fill = fills.begin(7);
        assert!(needs(9, None) && needs(9, Some(9)), "rows of whatever index are under way");
        drop(fill);
        assert!(!needs(9, None), "they did not arrive");
        fills.begin(7).is_whole = true;
        assert!(needs(9, None) && needs(9, Some(8)));
        assert!(!needs(9, Some(9)) && !needs(9, None), "it is like any other from now on");
    }
}
