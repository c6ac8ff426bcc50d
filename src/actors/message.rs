//! What the hosts of shards, their groups and the front door tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use actix::Message;
use muster_cluster::{DiskError, Leadership, ShardId, Slot};
use tokio::sync::oneshot;

use super::call::Call;
use super::{ReadError, SubmitError};
use crate::group::{Answer, AppLimit, Command, Limits, Refusal};
use crate::id::{AccountId, AppId, GroupId};
use crate::shard::{Applied, ClientRequest, Effect, Head, IdentityChange, Job, Recovery, RequestForm, slot_of};

/// A group's name in the whole service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    pub app: AppId,
    pub id: GroupId,
}

/// A command for a group, from the front door to the host of its shard.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit {
    pub key: GroupKey,
    pub command: Command,
    pub limits: Arc<Limits>,
    /// The name that the caller gave its request, if any.
    pub request: Option<ClientRequest>,
    /// Named accounts that have to exist and do not.
    pub unknown: Vec<AccountId>,
    /// The leadership it was routed by.
    pub leadership: Leadership,
    pub call: Call,
}

/// Accounts to be imported or deleted, from the front door to the host of their shard; the answer is the positions
/// of the changes whose account was not imported before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChangeAccounts {
    pub app: AppId,
    pub changes: Vec<IdentityChange>,
    /// The leadership it was routed by.
    pub leadership: Leadership,
    pub call: Call<Vec<usize>>,
}

/// A command on its way to its group, with what was asked elsewhere first.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Turn {
    pub command: Command,
    pub limits: Arc<Limits>,
    pub request: Option<ClientRequest>,
    /// No record of the request was found: it is made for the first time.
    pub is_first: bool,
    pub unknown: Vec<AccountId>,
    pub call: Call,
    pub reserved: Reserved,
}

/// What was reserved for a command, and what was not to be had.
#[derive(Debug, Default)]
pub struct Reserved {
    /// Accounts that have no room for another group.
    pub full: Vec<AccountId>,
    /// Accounts near their limit for which a place is held.
    pub held: Vec<(AccountId, PlaceId)>,
    /// The day whose quota the command counts in, if the app has one.
    pub quota_day: Option<i32>,
    pub quota_spent: bool,
    /// The place that is held in it.
    pub quota_held: Option<PlaceId>,
    /// The limit on all groups of the app that has no place left.
    pub app_full: Option<AppLimit>,
    /// Such limits of which a place is held.
    pub app_held: Vec<AppLimit>,
    /// The place that is held in each of them.
    pub app_place: PlaceId,
}

/// Names what a holder of limits has granted with one answer: a place in each limit of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceId {
    /// Of the leadership that granted it: it ends with that.
    pub term: u64,
    /// Among those of the leadership, from 1 on; 0 names none.
    pub number: u64,
}

/// Who is answered when an entry is applied.
#[derive(Debug)]
pub struct EntryOrigin {
    pub key: GroupKey,
    pub group: actix::Addr<super::group::GroupActor>,
    pub ticket: u64,
    pub call: Call,
    pub answer: Answer,
    pub busy: Busy,
    pub reserved: Reserved,
}

/// Whom an item of a proposal came from.
#[derive(Debug)]
pub enum Origin {
    Entry(Box<EntryOrigin>),
    Accounts(Call<Vec<usize>>),
    Inbox { source: ShardId },
    OutboxAck { target: ShardId, through: u64 },
    Job(Job),
    Mint(Box<MintOrigin>),
    DropRequests,
}

/// Who is answered when a request has its id.
#[derive(Debug)]
pub struct MintOrigin {
    pub app: AppId,
    pub request: RequestForm,
    pub reply: oneshot::Sender<Result<GroupId, SubmitError>>,
}

/// What an active group's host, its actor and its commands under way share: whose they are, and how many there are.
/// One for all of them, as a node holds a million groups.
#[derive(Debug)]
pub struct Badge {
    pub key: GroupKey,
    pub slot: Slot,
    /// The host keeps the group active while there are any.
    commands: AtomicU32,
    /// Milliseconds, by its host's count.
    last_used: AtomicU64,
}

// Host and group share an arbiter; what changes is atomic only because messages must be able to travel.
impl Badge {
    pub fn new(key: GroupKey) -> Arc<Self> {
        let slot = slot_of(key.app, &key.id);
        Arc::new(Self { key, slot, commands: AtomicU32::new(0), last_used: AtomicU64::new(0) })
    }

    pub fn is_busy(&self) -> bool {
        self.commands.load(Ordering::Relaxed) > 0
    }

    /// One command more, until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Busy {
        self.commands.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    pub fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    pub fn use_at(&self, millis: u64) {
        self.last_used.store(millis, Ordering::Relaxed);
    }
}

/// A command under way.
#[derive(Debug)]
pub struct Busy(Arc<Badge>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A turn, and the count that says it is not over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TurnFor {
    pub turn: Turn,
    pub busy: Busy,
}

/// What became of an entry of a group.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Settled {
    pub ticket: u64,
    pub applied: bool,
}

/// A command whose refusal rested on an entry that failed: it is judged again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Again {
    pub key: GroupKey,
    pub command: Command,
    pub limits: Arc<Limits>,
    pub request: Option<ClientRequest>,
    pub unknown: Vec<AccountId>,
    pub call: Call,
}

/// A group's header, read where waiting is allowed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Loaded {
    pub key: GroupKey,
    pub term: u64,
    pub header: Result<Option<Head>, DiskError>,
}

/// Log entries that this replica applied and wrote.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AppliedEntries(pub Vec<Applied>);

/// The rows were replaced by those of another replica: what became of proposals under way nobody can say.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct RowsReplaced;

/// The log would not take a proposal: it did not happen.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ProposalRefused {
    pub term: u64,
    pub seq: u64,
}

/// This process leads the shard, in this term, or does not.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LeadershipChanged(pub Option<Leadership>);

/// What a new leader needs of its rows.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Recovered {
    pub leadership: Leadership,
    pub state: Result<Recovery, DiskError>,
}

/// Outbox rows for this shard, in order; none, to be heard of.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub source: ShardId,
    /// Of the leadership that speaks.
    pub term: u64,
    /// Asked for by the target's leader of that term: the sequence of the newest row for it, as of after it asked.
    pub newest: Option<(u64, u64)>,
    pub rows: Vec<(u64, Arc<Vec<Effect>>)>,
}

/// How far the target's leader has come.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Received {
    pub target: ShardId,
    /// Of the leadership that speaks.
    pub term: u64,
    /// It holds everything through this sequence.
    pub through: u64,
    /// And has applied everything through this one.
    pub applied: u64,
    /// Rows are missing before what came last: send what follows again.
    pub again: bool,
    /// It has to know what earlier leaders may have received: say which row is the newest.
    pub asks: bool,
}

/// All hosts of the node are there to be spoken to.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Introduced;

/// Somebody reads an account of this shard: answer when everything received by now is applied.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SettleInbox {
    pub reply: oneshot::Sender<Result<(), ReadError>>,
}

/// Asks the holder of some limits for room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reserve {
    pub app: AppId,
    pub limits: Arc<Limits>,
    pub accounts: Vec<AccountId>,
    /// The day of which one more group is wanted.
    pub quota_day: Option<i32>,
    /// Limits of which the app wants a place for one more group.
    pub app_limits: Vec<AppLimit>,
    pub reply: oneshot::Sender<Result<Grant, SubmitError>>,
}

/// What the holder of some limits has room for.
#[derive(Debug, Default, PartialEq)]
pub struct Grant {
    pub full: Vec<AccountId>,
    pub held: Vec<AccountId>,
    pub quota_spent: bool,
    pub quota_held: bool,
    pub app_full: Option<AppLimit>,
    pub app_held: Vec<AppLimit>,
    /// The name of everything that is held.
    pub place: PlaceId,
}

/// Gives back what was reserved and not used.
#[derive(Clone, Debug, PartialEq, Message)]
#[rtype(result = "()")]
pub struct Cancel {
    pub app: AppId,
    pub accounts: Vec<AccountId>,
    pub quota_day: Option<i32>,
    pub app_limits: Vec<AppLimit>,
    /// The place, in each of these.
    pub place: PlaceId,
}

impl Cancel {
    pub fn nothing(app: AppId, place: PlaceId) -> Self {
        Self { app, accounts: Vec::new(), quota_day: None, app_limits: Vec::new(), place }
    }
}

/// Asks for the id of a request that creates a group without naming one: the first id it was given stays its id.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Mint {
    pub app: AppId,
    /// Answered with the id it gets unless it has one.
    pub request: RequestForm,
    pub leadership: Leadership,
    pub reply: oneshot::Sender<Result<GroupId, SubmitError>>,
}

/// Proposals may leave now: sent to oneself, so that what is in the mailbox already joins them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// What a turn came to when nothing changed.
pub type Judged = Result<Answer, Refusal>;
