//! What nodes say to each other. The numbers and names here are a format: a version that is spoken with the last one.
//!
//! Votes, log ids and entries have forms of their own, so that another version of openraft changes nothing between
//! nodes. Structures travel as arrays: a field may be added at the end, and only there.

use std::io;

use openraft::entry::RaftEntry;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tarpc::RequestName;

use crate::meta::NodeCard;
use crate::raft::{LogId, Types, Vote, decode_entry, encode_entry};

/// The version this binary speaks, and the oldest it understands.
pub(crate) const VERSION: u16 = 1;
pub(crate) const OLDEST_VERSION: u16 = 1;

/// A log id: term, index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireLogId(pub(crate) u64, pub(crate) u64);

/// A vote: term, node voted for, whether a quorum granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireVote(u64, u64, bool);

impl From<LogId> for WireLogId {
    fn from(id: LogId) -> Self {
        Self(id.committed_leader_id().term, id.index())
    }
}

impl From<WireLogId> for LogId {
    fn from(WireLogId(term, index): WireLogId) -> Self {
        LogId::new(term.into(), index)
    }
}

impl From<Vote> for WireVote {
    fn from(vote: Vote) -> Self {
        Self(vote.leader_id.term, vote.leader_id.voted_for, vote.committed)
    }
}

impl From<WireVote> for Vote {
    fn from(WireVote(term, node, committed): WireVote) -> Self {
        match committed {
            true => Vote::new_committed(term, node),
            false => Vote::new(term, node),
        }
    }
}

/// A call on its way, not to be begun when the callee's own clock says more than this. A deadline that travels as the time
/// that is left would begin anew wherever the call was held up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) until_ms: u64,
    pub(crate) call: Call,
}

/// An answer on its way, with what the callee's clock said when it left: so the caller's idea of it stays right.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) clock_ms: u64,
    pub(crate) answer: Answer,
}

/// A call of another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    /// To the replica of a shard.
    #[serde(rename = "r")]
    Raft(u16, RaftCall),
    /// To the program above this crate.
    #[serde(rename = "a")]
    Above(ByteBuf),
    /// Who is there? Answered by every node, also before it belongs to a cluster.
    #[serde(rename = "g")]
    Greet,
    /// Will you belong to this cluster and to no other? Asked by the first of the seeds, once.
    #[serde(rename = "p")]
    Promise { cluster: u64 },
    /// Let me in. Carried out by the leader of the meta group.
    #[serde(rename = "j")]
    Join(JoinCall),
    /// I am there now. Carried out by the leader of the meta group.
    #[serde(rename = "m")]
    Moved(NodeCard),
    /// Where the node of that number is, as far as the other side knows.
    #[serde(rename = "w")]
    Where(u32),
}

/// What a node says of itself that wants to be let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JoinCall {
    /// The cluster it has promised to belong to, if any.
    pub(crate) promised: Option<u64>,
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) zone: String,
    /// Of its data folder.
    pub(crate) incarnation: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RaftCall {
    #[serde(rename = "a")]
    Append(Append),
    #[serde(rename = "v")]
    Vote(Candidacy),
    #[serde(rename = "p")]
    PreVote(Candidacy),
    #[serde(rename = "t")]
    Transfer { from: WireVote, to: u64, last: Option<WireLogId> },
    /// Up to where must rows be applied, so that a read begun now is linearizable?
    #[serde(rename = "i")]
    ReadIndex,
    #[serde(rename = "s")]
    Snapshot(SnapshotPart),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Append {
    vote: WireVote,
    prev: Option<WireLogId>,
    commit: Option<WireLogId>,
    /// As they are stored.
    entries: Vec<ByteBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Candidacy {
    vote: WireVote,
    last: Option<WireLogId>,
    transfer: bool,
}

/// A part of the rows of a shard, in key order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotPart {
    pub(crate) vote: WireVote,
    /// Of this transfer; parts of another one are not mixed with it.
    pub(crate) transfer: u64,
    /// Its number, from 0.
    pub(crate) part: u64,
    /// Keys and values as their sender has them; the receiver puts a generation of its own into the keys.
    pub(crate) rows: Vec<(ByteBuf, ByteBuf)>,
    /// With the last part: what the rows hold, as it is stored.
    pub(crate) applied: Option<ByteBuf>,
}

/// The answer to a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    #[serde(rename = "r")]
    Raft(RaftAnswer),
    #[serde(rename = "a")]
    Above(ByteBuf),
    /// The cluster this node belongs to, and the one it has promised to belong to.
    #[serde(rename = "g")]
    Greeting { cluster: Option<u64>, promised: Option<u64> },
    /// The cluster that the node has promised itself to, which may be another one.
    #[serde(rename = "p")]
    Promised { to: u64 },
    #[serde(rename = "j")]
    Joined(JoinAnswer),
    #[serde(rename = "m")]
    Noted,
    #[serde(rename = "w")]
    At(Option<String>),
    /// It was not carried out, and will not be.
    #[serde(rename = "n")]
    Refused(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinAnswer {
    /// Welcome, under this name.
    #[serde(rename = "w")]
    Welcome { cluster: u64, node: u64, shards: u16, members: Vec<NodeCard> },
    /// The leader of the meta group is there, or not known.
    #[serde(rename = "a")]
    Ask(Option<String>),
    /// Never.
    #[serde(rename = "n")]
    Refused(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RaftAnswer {
    #[serde(rename = "a")]
    Appended(Appended),
    #[serde(rename = "v")]
    Voted { vote: WireVote, granted: bool, last: Option<WireLogId> },
    #[serde(rename = "t")]
    Transferring,
    #[serde(rename = "i")]
    ReadIndex(u64),
    /// The vote that the replica holds; the part was taken if it is not higher than the sender's.
    #[serde(rename = "s")]
    Snapshot(WireVote),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Appended {
    #[serde(rename = "s")]
    Success,
    #[serde(rename = "p")]
    Partial(Option<WireLogId>),
    #[serde(rename = "c")]
    Conflict,
    #[serde(rename = "h")]
    HigherVote(WireVote),
}

impl RequestName for Request {
    fn name(&self) -> &str {
        match &self.call {
            Call::Raft(_, RaftCall::Append(_)) => "append",
            Call::Raft(_, RaftCall::Vote(_)) => "vote",
            Call::Raft(_, RaftCall::PreVote(_)) => "pre-vote",
            Call::Raft(_, RaftCall::Transfer { .. }) => "transfer",
            Call::Raft(_, RaftCall::ReadIndex) => "read index",
            Call::Raft(_, RaftCall::Snapshot(_)) => "snapshot",
            Call::Above(_) => "above",
            Call::Greet => "greet",
            Call::Promise { .. } => "promise",
            Call::Join(_) => "join",
            Call::Moved(_) => "moved",
            Call::Where(_) => "where",
        }
    }
}

impl Append {
    pub(crate) fn new(request: AppendEntriesRequest<Types>) -> Result<Self, io::Error> {
        Ok(Self {
            vote: request.vote.into(),
            prev: request.prev_log_id.map(Into::into),
            commit: request.leader_commit.map(Into::into),
            entries: request.entries.iter().map(|e| encode_entry(e).map(ByteBuf::from)).collect::<Result<_, _>>()?,
        })
    }

    /// # Errors
    /// An entry that is none, or entries that do not follow each other.
    pub(crate) fn request(self) -> Result<AppendEntriesRequest<Types>, io::Error> {
        let entries = self.entries.iter().map(|e| decode_entry(e)).collect::<Result<Vec<_>, _>>()?;
        let first = self.prev.map(|WireLogId(_, index)| index + 1);
        let mut expected = first.or(entries.first().map(RaftEntry::index));
        for entry in &entries {
            if Some(entry.index()) != expected {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "entries that do not follow each other"));
            }
            expected = expected.map(|index| index + 1);
        }
        Ok(AppendEntriesRequest {
            vote: self.vote.into(),
            prev_log_id: self.prev.map(Into::into),
            leader_commit: self.commit.map(Into::into),
            entries,
        })
    }
}

impl From<AppendEntriesResponse<Types>> for Appended {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(upto) => Self::Partial(upto.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Success => Self::Success,
            Appended::Partial(upto) => Self::PartialSuccess(upto.map(Into::into)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<VoteRequest<Types>> for Candidacy {
    fn from(request: VoteRequest<Types>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<Candidacy> for VoteRequest<Types> {
    fn from(candidacy: Candidacy) -> Self {
        let mut request = VoteRequest::new(candidacy.vote.into(), candidacy.last.map(Into::into));
        request.leadership_transfer = candidacy.transfer;
        request
    }
}

impl From<VoteResponse<Types>> for RaftAnswer {
    fn from(response: VoteResponse<Types>) -> Self {
        Self::Voted {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Into::into),
        }
    }
}

pub(crate) fn vote_response(vote: WireVote, granted: bool, last: Option<WireLogId>) -> VoteResponse<Types> {
    VoteResponse::new(Vote::from(vote), last.map(LogId::from), granted)
}

pub(crate) fn snapshot_response(vote: WireVote) -> SnapshotResponse<Types> {
    SnapshotResponse::new(vote.into())
}

pub(crate) fn transfer_request(from: WireVote, to: u64, last: Option<WireLogId>) -> TransferLeaderRequest<Types> {
    TransferLeaderRequest::new(from.into(), to, last.map(Into::into))
}
