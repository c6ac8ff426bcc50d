//! The actor of one active group: a turn is reserve, learn, decide, evolve, enqueue, and nothing in it awaits.
//!
//! It holds the group as the entries under way will leave it, and only the member rows that those entries
//! touch. It does not hold the committed state: rows are written before an outcome is given out, so the rows are
//! the committed state, and reads go there without it.
//! When an entry fails it stops; the next command activates a fresh one from rows. Memory is never repaired.

use std::collections::VecDeque;
use std::rc::Rc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use muster_cluster::{DiskError, Lookup, Slot};
use rustc_hash::FxHashMap;

use super::SubmitError;
use super::demand::{Place, Read, Wanted, share_a_subject};
use super::host::Shared;
use super::message::{Again, Busy, EntryOrigin, GroupKey, Judged, Origin, Reserved, Settled, Turn, TurnFor};
use crate::group::{self, Answer, Command, Context as Judging, Decision, Event, Group, Kind};
use crate::id::{AccountId, Gno};
use crate::shard::{
    ClientRequest, EventForm, GroupEntry, Head, Item, NoticeForm, RequestAnswer, RequestForm, Version, answer_form,
    answer_of, slot_of,
};
use crate::time::Stamp;

/// Rough bytes of an active group without members: what the activation budget counts.
pub const ACTIVE_GROUP_BYTES: usize = 1600;

/// The one who decides a group's changes on the leader of its shard.
pub struct GroupActor {
    key: GroupKey,
    slot: Slot,
    shared: Rc<Shared>,
    /// As the entries under way leave it.
    group: Option<Group>,
    /// The fence that the next entry is decided on; `None`: no such group.
    version: Option<Version>,
    activation: u64,
    counter: u64,
    /// Of the group as committed; `None` for one whose creation is under way.
    gno: Option<Gno>,
    /// Creations and disbands decided here so far: rows of an earlier group of the name are not this one's.
    incarnation: u64,
    /// The entry that creates the group, while it is under way.
    created_by: Option<u64>,
    last_ticket: u64,
    settled: u64,
    /// Accounts that entries under way touch, with the last entry that does.
    pins: FxHashMap<AccountId, u64>,
    /// The same, in the order of the entries.
    pinned: VecDeque<(u64, AccountId)>,
    /// Answers without an entry that rest on one under way.
    resting: VecDeque<Resting>,
    /// Requests of entries under way, with what they will be answered.
    requests: FxHashMap<ClientRequest, Answer>,
    /// The same, in the order of the entries.
    requested: VecDeque<(u64, ClientRequest)>,
    /// Turns that wait for rows, and those that may not overtake them. Bounded like all that is under way: by
    /// `actors.inflight_max`.
    waiting: VecDeque<Waiting>,
    last_number: u64,
}

struct Resting {
    ticket: u64,
    judged: Judged,
    turn: Turn,
    busy: Busy,
}

/// A turn that waits for rows, or behind one that does and is about the same.
struct Waiting {
    number: u64,
    turn: TurnFor,
    is_reading: bool,
}

/// What is known of a turn before it is judged.
enum Prepared {
    Ready,
    /// Its request was carried out before: that is its answer.
    Repeated(Answer),
    /// Rows are missing, the record of its request perhaps among them.
    Cold {
        wanted: Wanted,
        with_record: bool,
    },
}

/// Rows that a turn waited for.
struct HaveRead {
    number: u64,
    /// Of the group when the read began.
    incarnation: u64,
    read: Read,
    /// The record of its request, if it was looked for.
    record: Option<Option<RequestAnswer>>,
}

impl GroupActor {
    /// Activates a group on the calling arbiter.
    pub(super) fn start_here(
        key: GroupKey,
        shared: Rc<Shared>,
        header: Option<Head>,
        mailbox_max: usize,
    ) -> actix::Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(mailbox_max);
            Self::new(key, shared, header)
        })
    }

    fn new(key: GroupKey, shared: Rc<Shared>, header: Option<Head>) -> Self {
        let slot = slot_of(key.app, &key.id);
        let activation = shared.next_activation();
        Self {
            key,
            slot,
            shared,
            gno: header.as_ref().map(|h| h.gno),
            version: header.as_ref().map(|h| h.version),
            group: header.map(|h| Group::new(h.facts)),
            activation,
            counter: 0,
            incarnation: 0,
            created_by: None,
            last_ticket: 0,
            settled: 0,
            pins: FxHashMap::default(),
            pinned: VecDeque::new(),
            resting: VecDeque::new(),
            requests: FxHashMap::default(),
            requested: VecDeque::new(),
            waiting: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Takes a turn, or lets it wait: it overtakes those that wait for rows unless they are about the same.
    fn turn(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        let number = self.last_number + 1;
        self.last_number = number;
        if self.waiting.iter().any(|earlier| may_not_overtake(&turn.turn, &earlier.turn.turn)) {
            self.waiting.push_back(Waiting { number, turn, is_reading: false });
            return;
        }
        if let Some(waiting) = self.attempt(number, turn, ctx) {
            self.waiting.push_back(waiting);
        }
    }

    /// Judges a turn if everything is known; gives it back if it has to wait for rows, which are being read then.
    fn attempt(&mut self, number: u64, mut turn: TurnFor, ctx: &mut Context<Self>) -> Option<Waiting> {
        match self.prepare(&mut turn.turn) {
            Ok(Prepared::Ready) => self.decide(turn, ctx),
            Ok(Prepared::Repeated(answer)) => self.rest(Ok(answer), turn.turn, turn.busy),
            Ok(Prepared::Cold { wanted, with_record }) => {
                self.read(number, wanted, turn.turn.request.clone().filter(|_| with_record), ctx);
                return Some(Waiting { number, turn, is_reading: true });
            }
            Err(error) => self.fail(&error, turn, ctx),
        }
        None
    }

    fn fail(&mut self, error: &DiskError, turn: TurnFor, ctx: &mut Context<Self>) {
        turn.turn.call.span().in_scope(|| tracing::error!(%error, "a group's rows cannot be read"));
        self.shared.cancel(&self.key, &turn.turn.reserved);
        turn.turn.call.answer(Err(SubmitError::Unavailable { what: "the group's rows cannot be read" }));
        ctx.stop();
    }

    /// Looks whether the request was made before, and makes known what the command is judged by.
    fn prepare(&mut self, turn: &mut Turn) -> Result<Prepared, DiskError> {
        let mut place = self.place();
        let mut with_record = false;
        if let Some(request) = turn.request.as_ref().filter(|_| !turn.is_first) {
            if let Some(answer) = self.requests.get(request) {
                return Ok(Prepared::Repeated(answer.clone()));
            }
            match place.earlier_now(self.shared.handle.id(), request, self.shared.stamp())? {
                Lookup::Found(record) => return Ok(Prepared::Repeated(answer_of(record))),
                Lookup::Absent => turn.is_first = true,
                Lookup::Cold => with_record = true,
            }
        }
        let mut wanted = Wanted::default();
        if let Some(group) = self.group.as_mut() {
            wanted = place.learn(group, &turn.command, self.created_by.is_none())?;
            self.gno = place.gno;
        }
        match wanted.is_empty() && !with_record {
            true => Ok(Prepared::Ready),
            false => Ok(Prepared::Cold { wanted, with_record }),
        }
    }

    fn place(&self) -> Place {
        Place { lookups: self.shared.lookups.clone(), key: self.key.clone(), slot: self.slot, gno: self.gno }
    }

    /// Reads rows on the pool.
    fn read(&self, number: u64, wanted: Wanted, request: Option<ClientRequest>, ctx: &mut Context<Self>) {
        let (place, shard, at) = (self.place(), self.shared.handle.id(), self.shared.stamp());
        let incarnation = self.incarnation;
        let work = tokio::task::spawn_blocking(move || -> Result<HaveRead, DiskError> {
            let record = request.map(|request| place.earlier(shard, &request, at)).transpose()?;
            Ok(HaveRead { number, incarnation, read: place.read(wanted)?, record })
        });
        let done = async move {
            match work.await {
                Ok(read) => read,
                Err(error) => Err(DiskError::Failed(format!("a read was lost: {error}"))),
            }
        };
        ctx.spawn(done.into_actor(self).map(|read, actor, ctx| actor.have_read(read, ctx)));
    }

    fn have_read(&mut self, read: Result<HaveRead, DiskError>, ctx: &mut Context<Self>) {
        let HaveRead { number, incarnation, read, record } = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "a group's rows cannot be read");
                ctx.stop();
                return;
            }
        };
        let mut place = self.place();
        if let Some(group) = self.group.as_mut().filter(|_| incarnation == self.incarnation) {
            place.take(group, read);
            self.gno = place.gno;
        }
        let Some(at) = self.waiting.iter().position(|waiting| waiting.number == number) else { return };
        self.waiting[at].is_reading = false;
        match record {
            Some(Some(record)) => {
                if let Some(Waiting { turn, .. }) = self.waiting.remove(at) {
                    self.rest(Ok(answer_of(record)), turn.turn, turn.busy);
                }
            }
            Some(None) => self.waiting[at].turn.turn.is_first = true,
            None => {}
        }
        self.go_on(ctx);
    }

    /// Takes the turns that need wait no longer, in order.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let mut at = 0;
        while at < self.waiting.len() {
            let blocked = |waiting: &Waiting| {
                let earlier = self.waiting.iter().take(at);
                waiting.is_reading
                    || earlier.into_iter().any(|other| may_not_overtake(&waiting.turn.turn, &other.turn.turn))
            };
            if blocked(&self.waiting[at]) {
                at += 1;
                continue;
            }
            let Some(Waiting { number, turn, .. }) = self.waiting.remove(at) else { return };
            if let Some(waiting) = self.attempt(number, turn, ctx) {
                self.waiting.insert(at, waiting);
                at += 1;
            }
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    fn decide(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        let TurnFor { turn, busy } = turn;
        if !self.shared.proposer.borrow().has_room() {
            self.shared.cancel(&self.key, &turn.reserved);
            turn.call.answer(Err(SubmitError::Overloaded { what: "the shard's queue is full" }));
            return;
        }
        if !turn.call.begin() {
            self.shared.cancel(&self.key, &turn.reserved);
            turn.call.answer(Err(SubmitError::Unavailable { what: "the deadline passed" }));
            return;
        }
        let at = self.shared.stamp();
        let judging = Judging {
            limits: &turn.limits,
            at,
            full_accounts: &turn.reserved.full,
            unknown_accounts: &turn.unknown,
            daily_quota_spent: turn.reserved.quota_spent,
            app_full: turn.reserved.app_full,
        };
        match group::decide(self.group.as_ref(), &turn.command, &judging) {
            Ok(decision) if !decision.events.is_empty() => self.enqueue(decision, at, turn, busy, ctx),
            Ok(decision) => self.rest(Ok(decision.answer), turn, busy),
            Err(refusal) => self.rest(Err(refusal), turn, busy),
        }
    }

    fn enqueue(&mut self, decision: Decision, at: Stamp, turn: Turn, busy: Busy, ctx: &mut Context<Self>) {
        let ticket = self.last_ticket + 1;
        self.last_ticket = ticket;
        self.counter += 1;
        let next = Version { term: self.shared.term, activation: self.activation, counter: self.counter };
        let entry = GroupEntry {
            app: self.key.app.0,
            group: self.key.id.clone().into(),
            base: self.version,
            next,
            at: at.0,
            operator: turn.command.operator().name().clone().into(),
            events: decision.events.iter().map(EventForm::from).collect(),
            notices: decision.notices.iter().map(NoticeForm::from).collect(),
            quota_day: self.counted_day(&turn),
            request: turn.request.as_ref().map(|request| RequestForm::new(request, answer_form(&decision.answer))),
        };
        if let Some(request) = &turn.request {
            self.requests.insert(request.clone(), decision.answer.clone());
            self.requested.push_back((ticket, request.clone()));
        }
        for event in &decision.events {
            match event {
                Event::Created(_) => {
                    self.incarnation += 1;
                    self.created_by = Some(ticket);
                    self.gno = None;
                }
                Event::Destroyed { .. } => {
                    self.incarnation += 1;
                    self.created_by = None;
                    self.gno = None;
                }
                Event::MembersAdded { members, .. } => {
                    members.iter().for_each(|m| self.pin(&m.account, ticket));
                }
                Event::MembersImported { members } => members.iter().for_each(|m| self.pin(&m.account, ticket)),
                Event::MemberChanged { account, .. } => self.pin(account, ticket),
                Event::OwnerChanged { from, to, .. } => {
                    from.iter().chain([to]).for_each(|account| self.pin(account, ticket));
                }
                Event::LiveAdminsChanged { appointed, dismissed, .. } => {
                    appointed.iter().chain(dismissed).for_each(|account| self.pin(account, ticket));
                }
                Event::MembersRemoved { accounts, .. }
                | Event::Muted { accounts, .. }
                | Event::Banned { accounts, .. }
                | Event::Unbanned { accounts } => accounts.iter().for_each(|account| self.pin(account, ticket)),
                Event::ProfileChanged { .. } | Event::AttributesChanged { .. } | Event::CountersChanged { .. } => {}
            }
            group::evolve(&mut self.group, event);
        }
        if let Some(group) = self.group.as_mut() {
            decision.notices.iter().for_each(|notice| group::evolve_notice(group, notice));
        }
        self.version = self.group.as_ref().map(|_| next);
        self.forget_unpinned(&turn.command);
        let mut turn = turn;
        self.give_back_unused(&decision.events, &mut turn.reserved);
        let origin = Origin::Entry(Box::new(EntryOrigin {
            key: self.key.clone(),
            group: ctx.address(),
            ticket,
            call: turn.call,
            answer: decision.answer,
            busy,
            reserved: turn.reserved,
        }));
        self.shared.push(Item::Group(entry).encode(), origin);
    }

    /// The day in whose quota the command counts, if groups of this kind do.
    fn counted_day(&self, turn: &Turn) -> Option<i32> {
        let is_community = self.group.as_ref().is_some_and(|g| g.facts().kind == Kind::Community);
        turn.reserved.quota_day.filter(|_| !is_community || turn.limits.daily_net_counts_community)
    }

    /// A place held for an account that does not enter after all is free at once.
    fn give_back_unused(&self, events: &[Event], reserved: &mut Reserved) {
        if reserved.held.is_empty() {
            return;
        }
        let enters = |account: &AccountId| {
            events.iter().any(|event| match event {
                Event::MembersAdded { members, .. } => members.iter().any(|m| m.account == *account),
                Event::MembersImported { members } => members.iter().any(|m| m.account == *account),
                _ => false,
            })
        };
        let unused: Vec<AccountId> = reserved.held.extract_if(.., |account| !enters(account)).collect();
        self.shared.cancel(&self.key, &Reserved { held: unused, ..Reserved::default() });
    }

    /// Answers without an entry, once nothing under way can change the answer.
    fn rest(&mut self, judged: Judged, turn: Turn, busy: Busy) {
        turn.call.rewind();
        self.forget_unpinned(&turn.command);
        let resting = Resting { ticket: self.last_ticket, judged, turn, busy };
        if self.settled >= self.last_ticket {
            self.release(resting);
        } else {
            self.resting.push_back(resting);
        }
    }

    fn release(&self, resting: Resting) {
        let Resting { judged, turn, busy, .. } = resting;
        self.shared.cancel(&self.key, &turn.reserved);
        let handle = self.shared.handle.clone();
        actix_rt::spawn(async move {
            let barrier = handle.read_barrier().await;
            turn.call.answer(match barrier {
                Ok(()) => judged.map_err(SubmitError::Refused),
                Err(_) => Err(SubmitError::Unavailable { what: "no leader answers for this shard" }),
            });
            drop(busy);
        });
    }

    fn pin(&mut self, account: &AccountId, ticket: u64) {
        self.pins.insert(account.clone(), ticket);
        self.pinned.push_back((ticket, account.clone()));
    }

    /// Lets go of rows that no entry under way touches.
    fn forget_unpinned(&mut self, command: &Command) {
        let Some(group) = self.group.as_mut() else { return };
        for account in command.named_accounts() {
            if !self.pins.contains_key(account) {
                group.forget(account);
            }
        }
    }

    /// Nothing is under way: what is kept for entries that are gives its memory back, as a node holds a million groups
    /// that rest most of the time.
    fn forget_under_way(&mut self) {
        if let Some(group) = self.group.as_mut() {
            group.forget_shared();
        }
        (self.pins, self.pinned) = Default::default();
        (self.requests, self.requested) = Default::default();
    }

    fn settle(&mut self, ticket: u64) {
        self.settled = ticket;
        if self.created_by.is_some_and(|by| by <= ticket) {
            self.created_by = None;
        }
        while let Some((by, _)) = self.pinned.front()
            && *by <= ticket
        {
            let Some((by, account)) = self.pinned.pop_front() else { break };
            if self.pins.get(&account) == Some(&by) {
                self.pins.remove(&account);
                if let Some(group) = self.group.as_mut() {
                    group.forget(&account);
                }
            }
        }
        while self.requested.front().is_some_and(|(by, _)| *by <= ticket) {
            let Some((_, request)) = self.requested.pop_front() else { break };
            self.requests.remove(&request);
        }
        if self.settled == self.last_ticket {
            self.forget_under_way();
        }
        while let Some(resting) = self.resting.front()
            && resting.ticket <= ticket
        {
            let Some(resting) = self.resting.pop_front() else { break };
            self.release(resting);
        }
        if self.resting.is_empty() {
            self.resting = VecDeque::new();
        }
    }
}

/// Whether a turn has to stay behind an earlier one that waits.
fn may_not_overtake(turn: &Turn, earlier: &Turn) -> bool {
    turn.request.is_some() && turn.request == earlier.request || share_a_subject(&turn.command, &earlier.command)
}

impl Actor for GroupActor {
    type Context = Context<Self>;

    /// What rested on an entry that failed is judged again by a fresh activation.
    fn stopped(&mut self, _ctx: &mut Self::Context) {
        let resting = std::mem::take(&mut self.resting).into_iter().map(|r| (r.turn, r.busy));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|w| (w.turn.turn, w.turn.busy));
        for (turn, busy) in resting.chain(waiting) {
            drop(busy);
            self.shared.cancel(&self.key, &turn.reserved);
            let Turn { command, limits, request, unknown, call, .. } = turn;
            self.shared.again(Again { key: self.key.clone(), command, limits, request, unknown, call });
        }
    }
}

impl Handler<TurnFor> for GroupActor {
    type Result = ();

    fn handle(&mut self, turn: TurnFor, ctx: &mut Self::Context) {
        self.turn(turn, ctx);
    }
}

impl Handler<Settled> for GroupActor {
    type Result = ();

    fn handle(&mut self, settled: Settled, ctx: &mut Self::Context) {
        if settled.applied {
            self.settle(settled.ticket);
        } else {
            self.shared.deactivate(&self.key);
            ctx.stop();
        }
    }
}
