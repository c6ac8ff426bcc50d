//! The machine of a shard: committed entries become rows, in log order.
//!
//! It compares fences, folds events, writes rows, outbox and inbox cursors of an entry together, and says what
//! came of each item. It judges nothing: that happened before the entry was proposed.
//! It tells nobody anything itself: outcomes leave once the rows are written.

use std::sync::Arc;

use muster_cluster::{Committed, DiskError, Keeps, Payload, Release, Rows, ShardId, ShardMachine, Slot, Transaction};

use self::events::Change;
use super::codes::Head;
use super::entry::{AccountsEntry, Delivery, Effect, GroupEntry, Item, Proposal, bytes_of};
use super::identities;
use super::lookup::slot_of;
use super::requests::RequestForm;
use super::rows::{Count, Known, Writer};
use crate::group::{Event, Group, Notice};
use crate::id::{AppId, Gno};
use crate::store::{ShardRow, encode, is_kept};
use crate::time::Stamp;

mod disband;
mod events;
mod membership;
mod notices;

pub use self::disband::DISBAND_CHUNK;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Decided on a state that is no more, or in another term; nothing was written.
    Conflict,
}

/// Bytes of effects in one outbox row, unless one effect alone is larger. A proposal may do many times its own size to
/// others, and a row has to fit in an entry of its target and in a call to it.
const OUTBOX_ROW_BYTES_MAX: usize = 128 << 10;

/// An outbox row that this apply wrote.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub target: ShardId,
    pub seq: u64,
    pub effects: Arc<Vec<Effect>>,
}

/// A disbanded group with members left to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub slot: Slot,
    pub gno: Gno,
}

/// What became of a proposal.
#[derive(Debug)]
pub struct AppliedProposal {
    pub seq: u64,
    /// One per item.
    pub outcomes: Vec<Outcome>,
    pub outbox: Vec<OutboxRow>,
    /// Jobs that have more to do.
    pub jobs: Vec<Job>,
    /// Jobs whose last members have been told by this proposal.
    pub jobs_done: Vec<Job>,
    /// Records of requests before this bucket are left to be dropped.
    pub requests_left: Option<u32>,
    /// Counts that this proposal changed here, one by one.
    pub counts: Vec<Count>,
    /// Source and sequence of deliveries that are applied now.
    pub deliveries: Vec<(ShardId, u64)>,
    /// Of items that change accounts, by their places: the changes whose account had no identity before.
    pub unknown: Vec<(usize, Vec<usize>)>,
}

/// What one log entry came to.
#[derive(Debug)]
pub struct Applied {
    /// The term in the entry's own log id.
    pub term: u64,
    pub stamp: Stamp,
    /// `None`: the first entry of a leadership.
    pub proposal: Option<AppliedProposal>,
}

/// What a machine tells of.
#[derive(Debug)]
pub enum Told {
    /// Entries that were applied, in log order.
    Applied(Vec<Applied>),
    /// The rows were replaced by those of another replica: entries up to there were applied, and nobody can say which.
    Replaced,
}

/// Effects as rows hold them, in their order.
fn portions(effects: Vec<Effect>) -> Vec<Vec<Effect>> {
    if bytes_of(&effects) <= OUTBOX_ROW_BYTES_MAX {
        return vec![effects];
    }
    let (mut portions, mut bytes) = (vec![Vec::new()], 0);
    for effect in effects {
        let more = bytes_of(std::slice::from_ref(&effect));
        if bytes > 0 && bytes + more > OUTBOX_ROW_BYTES_MAX {
            portions.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = portions.last_mut() {
            last.push(effect);
        }
    }
    portions
}

#[cfg(test)]
impl Told {
    pub fn applied(self) -> Vec<Applied> {
        match self {
            Self::Applied(applied) => applied,
            Self::Replaced => Vec::new(),
        }
    }
}

/// Hears what was applied, after it was written, in log order; called on the writer thread, or before any later entry is
/// applied.
pub type Sink = Arc<dyn Fn(Told) + Send + Sync>;

/// The state of one shard.
pub struct Machine {
    shard: ShardId,
    shards: u16,
    sink: Sink,
    /// Read from its row at the first apply; this machine is the only writer.
    row: Option<ShardRow>,
    known: Known,
}

impl Machine {
    pub fn new(shard: ShardId, shards: u16, sink: Sink) -> Self {
        Self { shard, shards, sink, row: None, known: Known::default() }
    }
}

impl ShardMachine for Machine {
    fn keeps(&self) -> Keeps {
        is_kept
    }

    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        let mut writer = Writer::new(tx, &mut self.known, self.shard, self.shards);
        let mut row = match self.row {
            Some(row) => row,
            None => writer.shard_row()?,
        };
        if !row.has_census {
            writer.take_census()?;
            row.has_census = true;
        }
        let mut entry = Turn { writer, row };
        let mut applied = Vec::with_capacity(entries.len());
        for committed in entries {
            let proposal = match &committed.payload {
                Payload::Membership => continue,
                Payload::Blank => None,
                Payload::Data(bytes) => {
                    let proposal = Proposal::decode(bytes).unwrap_or_else(|error| {
                        panic!("entry {} of shard {} does not decode: {error}", committed.index, self.shard.0)
                    });
                    Some(entry.proposal(committed, proposal)?)
                }
            };
            applied.push(Applied { term: committed.term, stamp: Stamp(entry.row.last_stamp), proposal });
        }
        let Turn { mut writer, row } = entry;
        if self.row != Some(row) {
            writer.set_shard_row(row);
            self.row = Some(row);
        }
        writer.finish();
        if applied.is_empty() {
            return Ok(None);
        }
        let sink = self.sink.clone();
        Ok(Some(Box::new(move || sink(Told::Applied(applied)))))
    }

    fn restored(&mut self, _rows: &Rows) -> Result<(), DiskError> {
        (self.row, self.known) = (None, Known::default());
        (self.sink)(Told::Replaced);
        Ok(())
    }
}

/// One apply under way.
struct Turn<'a, 'tx> {
    writer: Writer<'a, 'tx>,
    row: ShardRow,
}

/// Numbers the events of one log entry, so that everybody who hears of one hears the same id.
struct EventIds {
    shard: ShardId,
    index: u64,
    next: u32,
}

impl EventIds {
    fn next(&mut self) -> String {
        self.next += 1;
        format!("{:x}-{:x}-{:x}", self.shard.0, self.index, self.next)
    }
}

impl Turn<'_, '_> {
    fn proposal(&mut self, committed: &Committed, proposal: Proposal) -> Result<AppliedProposal, DiskError> {
        let mut applied = AppliedProposal {
            seq: proposal.seq,
            outcomes: Vec::with_capacity(proposal.items.len()),
            outbox: Vec::new(),
            jobs: Vec::new(),
            jobs_done: Vec::new(),
            requests_left: None,
            counts: Vec::new(),
            deliveries: Vec::new(),
            unknown: Vec::new(),
        };
        if proposal.term != committed.term {
            applied.outcomes.resize(proposal.items.len(), Outcome::Conflict);
            return Ok(applied);
        }
        let mut ids = EventIds { shard: self.writer.shard, index: committed.index, next: 0 };
        let mut effects = Vec::new();
        for item in proposal.items {
            let outcome = match item {
                Item::Group(entry) => self.group(entry, &mut ids, &mut effects, &mut applied)?,
                Item::Inbox(delivery) => self.inbox(delivery, &mut applied)?,
                Item::OutboxAck { target, through } => self.outbox_ack(ShardId(target), through)?,
                Item::Mint { app, request, at } => self.mint(AppId(app), request, Stamp(at))?,
                Item::DropRequests { before } => self.drop_requests(before, &mut applied)?,
                Item::Accounts(entry) => self.accounts(entry, &mut applied)?,
                Item::DisbandStep { gno } => self.disband_step(Gno(gno), &mut ids, &mut effects, &mut applied)?,
            };
            applied.outcomes.push(outcome);
        }
        self.send(effects, &mut applied)?;
        Ok(applied)
    }

    /// Folds what belongs here; the rest leaves in one outbox row per target, or more where one would be large.
    fn send(&mut self, effects: Vec<Effect>, applied: &mut AppliedProposal) -> Result<(), DiskError> {
        let mut by_target: Vec<(ShardId, Vec<Effect>)> = Vec::new();
        for effect in effects {
            let target = self.writer.target_of(&effect);
            if target == self.writer.shard {
                self.fold(&effect, applied)?;
                continue;
            }
            match by_target.iter_mut().find(|(t, _)| *t == target) {
                Some((_, list)) => list.push(effect),
                None => by_target.push((target, vec![effect])),
            }
        }
        for (target, effects) in by_target {
            let mut head = self.writer.outbox_head(target)?;
            for effects in portions(effects) {
                let seq = head.next;
                head.next += 1;
                self.writer.tx.put(self.writer.keys.outbox(self.writer.shard, target, seq), encode(&effects));
                applied.outbox.push(OutboxRow { target, seq, effects: Arc::new(effects) });
            }
            self.writer.set_outbox_head(target, head);
        }
        Ok(())
    }

    fn fold(&mut self, effect: &Effect, applied: &mut AppliedProposal) -> Result<(), DiskError> {
        self.writer.fold(effect, &mut applied.counts)
    }

    fn inbox(&mut self, delivery: Delivery, applied: &mut AppliedProposal) -> Result<Outcome, DiskError> {
        let source = ShardId(delivery.source);
        let mut cursor = self.writer.inbox_cursor(source)?;
        for (seq, effects) in delivery.rows {
            if seq <= cursor {
                continue;
            }
            if seq != cursor + 1 {
                // A gap: the courier begins again behind the cursor.
                break;
            }
            for effect in &effects {
                self.fold(effect, applied)?;
            }
            cursor = seq;
        }
        self.writer.set_inbox_cursor(source, cursor);
        applied.deliveries.push((source, cursor));
        Ok(Outcome::Applied)
    }

    fn accounts(&mut self, entry: AccountsEntry, applied: &mut AppliedProposal) -> Result<Outcome, DiskError> {
        self.row.last_stamp = self.row.last_stamp.max(entry.at);
        let unknown = identities::apply(&mut self.writer, entry)?;
        applied.unknown.push((applied.outcomes.len(), unknown));
        Ok(Outcome::Applied)
    }

    fn outbox_ack(&mut self, target: ShardId, through: u64) -> Result<Outcome, DiskError> {
        let mut head = self.writer.outbox_head(target)?;
        while head.first <= through && head.first < head.next {
            self.writer.tx.delete(self.writer.keys.outbox(self.writer.shard, target, head.first));
            head.first += 1;
        }
        self.writer.set_outbox_head(target, head);
        Ok(Outcome::Applied)
    }

    /// The first id that a request was given stays its id: whoever asks reads it from the record.
    fn mint(&mut self, app: AppId, request: RequestForm, at: Stamp) -> Result<Outcome, DiskError> {
        self.row.last_stamp = self.row.last_stamp.max(at.0);
        if !self.writer.has_record(app, None, &request, at)? {
            self.writer.record(app, None, request, at);
        }
        Ok(Outcome::Applied)
    }

    fn drop_requests(&mut self, before: u32, applied: &mut AppliedProposal) -> Result<Outcome, DiskError> {
        if self.writer.drop_requests(before)? {
            applied.requests_left = Some(before);
        }
        Ok(Outcome::Applied)
    }

    fn group(
        &mut self,
        entry: GroupEntry,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<Outcome, DiskError> {
        let (app, id) = (AppId(entry.app), entry.group.0);
        let head = self.writer.head(app, &id)?;
        if head.as_ref().map(|h| h.version) != entry.base {
            return Ok(Outcome::Conflict);
        }
        self.row.last_stamp = self.row.last_stamp.max(entry.at);
        if let Some(request) = entry.request {
            self.writer.record(app, Some(&id), request, Stamp(entry.at));
        }
        let events: Vec<Event> = entry.events.into_iter().map(Event::from).collect();
        let notices: Vec<Notice> = entry.notices.into_iter().map(Notice::from).collect();

        let is_new = head.is_none();
        let slot = slot_of(app, &id);
        let (mute_count, ban_count) = head.as_ref().map_or((0, 0), |head| (head.mute_count, head.ban_count));
        let (gno, mut group) = match head {
            Some(head) => (head.gno, Some(Group::new(head.facts))),
            None => {
                let gno = Gno(self.row.next_gno);
                self.row.next_gno += 1;
                (gno, None)
            }
        };
        let mut change = Change {
            app,
            id,
            slot,
            gno,
            at: Stamp(entry.at),
            operator: entry.operator.0,
            is_new,
            name: None,
            joined: Vec::new(),
            left: Vec::new(),
            relisted: Vec::new(),
            mute_count,
            ban_count,
            ended: None,
        };
        for event in &events {
            self.event(&mut group, event, &mut change, &notices)?;
        }
        self.notices(&mut group, &notices, &mut change, ids, effects)?;
        if let Some(day) = entry.quota_day {
            let delta = i64::from(is_new) - i64::from(change.ended.is_some());
            if delta != 0 {
                effects.push(Effect::Quota { app: app.0, day, delta });
            }
        }
        match group {
            Some(group) => {
                let head = Head {
                    gno,
                    version: entry.next,
                    facts: group.facts().clone(),
                    mute_count: change.mute_count,
                    ban_count: change.ban_count,
                };
                self.writer.set_head(app, &change.id, head);
            }
            None => self.end(change, ids, effects, applied)?,
        }
        Ok(Outcome::Applied)
    }
}
