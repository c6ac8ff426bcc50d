//! The actor of one active group: a turn is reserve, learn, decide, evolve, enqueue, and nothing in it awaits.
//!
//! It holds the group as the entries under way will leave it, and only the member rows that those entries
//! touch. It does not hold the committed state: rows are written before an outcome is given out, so the rows are
//! the committed state, and reads go there without it.
//! When an entry fails it stops; the next command activates a fresh one from rows. Memory is never repaired.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use muster_cluster::{DiskError, Leadership, Lookup};

use super::SubmitError;
use super::demand::{Place, Read, Subject, Wanted};
use super::host::{Shared, read_aside};
use super::message::{Again, Badge, Busy, EntryOrigin, Judged, Origin, Reserved, Settled, Turn, TurnFor};
use super::under_way::{Resting, UnderWay, Waiting};
use crate::group::{self, Answer, Command, Context as Judging, Decision, Event, Group, Kind};
use crate::id::{AccountId, Gno};
use crate::shard::{
    ClientRequest, EventForm, GroupEntry, Head, Item, NoticeForm, RequestAnswer, RequestForm, Version, answer_form,
    answer_of, told_again,
};
use crate::time::Stamp;

/// Rough bytes of an active group at rest, however many members it has: what the activation budget counts.
pub const ACTIVE_GROUP_BYTES: usize = 1024;

/// With what actix and tokio keep of an actor these are 640 bytes. One word more would take 768 of the allocator.
const _: () = assert!(size_of::<GroupActor>() <= 200);

/// The one who decides a group's changes on the leader of its shard.
///
/// Small, as a node holds a million of them: what is only needed while commands are under way is apart.
pub struct GroupActor {
    badge: Arc<Badge>,
    shared: Rc<Shared>,
    /// As the entries under way leave it.
    group: Option<Group>,
    /// The fence that the next entry is decided on, if there is a group.
    version: Version,
    activation: u64,
    /// Of the group as committed; `None` for one whose creation is under way.
    gno: Option<Gno>,
    /// Entries of this activation so far.
    last_ticket: u64,
    /// `None`: at rest.
    under_way: Option<Box<UnderWay>>,
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
        badge: Arc<Badge>,
        shared: Rc<Shared>,
        header: Option<Head>,
        mailbox_max: usize,
    ) -> actix::Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(mailbox_max);
            Self::new(badge, shared, header)
        })
    }

    fn new(badge: Arc<Badge>, shared: Rc<Shared>, header: Option<Head>) -> Self {
        let activation = shared.next_activation();
        let version = Version { term: shared.term, activation, counter: 0 };
        Self {
            badge,
            shared,
            gno: header.as_ref().map(|h| h.gno),
            version: header.as_ref().map_or(version, |h| h.version),
            group: header.map(|h| Group::new(h.facts)),
            activation,
            last_ticket: 0,
            under_way: None,
        }
    }

    fn under_way(&mut self) -> &mut UnderWay {
        let last_ticket = self.last_ticket;
        self.under_way.get_or_insert_with(|| Box::new(UnderWay::after(last_ticket)))
    }

    /// Lets go of what was learnt and kept for commands under way once there are none.
    fn forget_what_is_over(&mut self) {
        if self.under_way.as_ref().is_some_and(|under_way| !under_way.is_over(self.last_ticket)) {
            return;
        }
        self.under_way = None;
        if let Some(group) = &mut self.group {
            group.forget_all();
        }
    }

    /// Takes a turn, or lets it wait: it overtakes those that wait for rows unless they are about the same.
    fn turn(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        let under_way = self.under_way();
        let number = under_way.number();
        let mut subject = None;
        if !under_way.waiting.is_empty() {
            let about = Subject::of(&turn.turn.command);
            if under_way.waiting.iter().any(|earlier| earlier.is_before(&turn.turn, &about)) {
                under_way.waiting.push_back(Waiting { number, turn, subject: about, is_reading: false });
                return;
            }
            subject = Some(about);
        }
        if let Some(turn) = self.attempt(number, turn, ctx) {
            let subject = subject.unwrap_or_else(|| Subject::of(&turn.turn.command));
            self.under_way().waiting.push_back(Waiting { number, turn, subject, is_reading: true });
        }
        self.forget_what_is_over();
    }

    /// Judges a turn if everything is known; gives it back if it has to wait for rows, which are being read then.
    fn attempt(&mut self, number: u64, mut turn: TurnFor, ctx: &mut Context<Self>) -> Option<TurnFor> {
        match self.prepare(&mut turn.turn) {
            Ok(Prepared::Ready) => self.decide(turn, ctx),
            Ok(Prepared::Repeated(answer)) => self.rest(Ok(answer), turn.turn, turn.busy),
            Ok(Prepared::Cold { wanted, with_record }) => {
                self.read(number, wanted, turn.turn.request.clone().filter(|_| with_record), ctx);
                return Some(turn);
            }
            Err(error) => self.fail(&error, turn, ctx),
        }
        None
    }

    fn fail(&mut self, error: &DiskError, turn: TurnFor, ctx: &mut Context<Self>) {
        turn.turn.call.span().in_scope(|| tracing::error!(%error, "a group's rows cannot be read"));
        self.shared.cancel(&self.badge.key, &turn.turn.reserved);
        turn.turn.call.answer(Err(SubmitError::Unavailable { what: "the group's rows cannot be read" }));
        ctx.stop();
    }

    /// Looks whether the request was made before, and makes known what the command is judged by.
    fn prepare(&mut self, turn: &mut Turn) -> Result<Prepared, DiskError> {
        let mut place = self.place();
        let mut with_record = false;
        if let Some(request) = turn.request.as_ref().filter(|_| !turn.is_first) {
            if let Some(answer) = self.under_way.as_ref().and_then(|under_way| under_way.answer_to(request)) {
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
            let is_creating = self.under_way.as_ref().is_some_and(|under_way| under_way.is_creating());
            wanted = place.learn(group, &turn.command, !is_creating)?;
            self.gno = place.gno;
        }
        match wanted.is_empty() && !with_record {
            true => Ok(Prepared::Ready),
            false => Ok(Prepared::Cold { wanted, with_record }),
        }
    }

    fn place(&self) -> Place {
        let Badge { key, slot, .. } = &*self.badge;
        Place { lookups: self.shared.lookups.clone(), key: key.clone(), slot: *slot, gno: self.gno }
    }

    /// Reads rows on the pool.
    fn read(&mut self, number: u64, wanted: Wanted, request: Option<ClientRequest>, ctx: &mut Context<Self>) {
        let (place, shard, at) = (self.place(), self.shared.handle.id(), self.shared.stamp());
        let incarnation = self.under_way().incarnation;
        let read = read_aside(move || {
            let record = request.map(|request| place.earlier(shard, &request, at)).transpose()?;
            Ok(HaveRead { number, incarnation, read: place.read(wanted)?, record })
        });
        let take = |read: Option<_>, actor: &mut Self, ctx: &mut _| {
            if let Some(read) = read {
                actor.have_read(read, ctx);
            }
        };
        ctx.spawn(read.into_actor(self).map(take));
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
        // A turn that waits for rows is under way.
        let Some(under_way) = self.under_way.as_mut() else { return };
        if let Some(group) = self.group.as_mut().filter(|_| incarnation == under_way.incarnation) {
            place.take(group, read);
            self.gno = place.gno;
        }
        let Some(at) = under_way.waiting.iter().position(|waiting| waiting.number == number) else { return };
        under_way.waiting[at].is_reading = false;
        match record {
            Some(Some(record)) => {
                if let Some(Waiting { turn, .. }) = under_way.waiting.remove(at) {
                    self.rest(Ok(answer_of(record)), turn.turn, turn.busy);
                }
            }
            Some(None) => under_way.waiting[at].turn.turn.is_first = true,
            None => {}
        }
        self.go_on(ctx);
        self.forget_what_is_over();
    }

    /// Takes the turns that need wait no longer, in order.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let mut at = 0;
        while let Some(under_way) = self.under_way.as_mut()
            && let Some(waiting) = under_way.waiting.get(at)
        {
            let mut earlier = under_way.waiting.iter().take(at);
            if waiting.is_reading || earlier.any(|other| other.is_before(&waiting.turn.turn, &waiting.subject)) {
                at += 1;
                continue;
            }
            let Some(Waiting { number, turn, subject, .. }) = under_way.waiting.remove(at) else { return };
            if let Some(turn) = self.attempt(number, turn, ctx) {
                self.under_way().waiting.insert(at, Waiting { number, turn, subject, is_reading: true });
                at += 1;
            }
        }
    }

    fn decide(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        let TurnFor { turn, busy } = turn;
        let (has_ended, has_room) = {
            let proposer = self.shared.proposer.borrow();
            (proposer.has_ended(), proposer.has_room())
        };
        if has_ended || !has_room {
            self.shared.cancel(&self.badge.key, &turn.reserved);
            turn.call.answer(Err(match has_ended {
                // It was on its way to this actor, whom an entry under way keeps alive.
                true => SubmitError::Unavailable { what: "the leadership of the shard ended" },
                false => SubmitError::Overloaded { what: "the shard's queue is full" },
            }));
            return;
        }
        if !turn.call.begin() {
            self.shared.cancel(&self.badge.key, &turn.reserved);
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
        // An OK that changes nothing is recorded as well if its request has a name: of a request that was made twice, one
        // may still lie somewhere, and would be judged by what the group is then, long after the caller was told.
        let is_recorded = self.group.is_some() && turn.request.is_some();
        match group::decide(self.group.as_ref(), &turn.command, &judging) {
            Ok(decision) if is_recorded || !decision.events.is_empty() => self.enqueue(decision, at, turn, busy, ctx),
            Ok(decision) => self.rest(Ok(decision.answer), turn, busy),
            Err(refusal) => self.rest(Err(refusal), turn, busy),
        }
    }

    fn enqueue(&mut self, decision: Decision, at: Stamp, turn: Turn, busy: Busy, ctx: &mut Context<Self>) {
        let ticket = self.last_ticket + 1;
        // Before the new one is the last: what is under way begins after the one before.
        let under_way = self.under_way();
        let request = turn.request.as_ref().map(|request| {
            let told = told_again(&decision.answer, &turn.command);
            let recorded = RequestForm::new(request, answer_form(&told));
            under_way.carries_out(request, told, ticket);
            recorded
        });
        decision.events.iter().for_each(|event| under_way.touches(event, ticket));
        self.last_ticket = ticket;
        let next = Version { term: self.shared.term, activation: self.activation, counter: ticket };
        let entry = GroupEntry {
            app: self.badge.key.app.0,
            group: self.badge.key.id.clone().into(),
            base: self.group.as_ref().map(|_| self.version),
            next,
            at: at.0,
            operator: turn.command.operator().name().clone().into(),
            events: decision.events.iter().map(EventForm::from).collect(),
            notices: decision.notices.iter().map(NoticeForm::from).collect(),
            quota_day: self.counted_day(&turn),
            request,
        };
        for event in &decision.events {
            if let Event::Created(_) | Event::Destroyed { .. } = event {
                self.gno = None;
            }
            group::evolve(&mut self.group, event);
        }
        if let Some(group) = self.group.as_mut() {
            decision.notices.iter().for_each(|notice| group::evolve_notice(group, notice));
        }
        self.version = next;
        self.forget_unpinned(&turn.command);
        let mut turn = turn;
        self.give_back_unused(&decision.events, &mut turn.reserved);
        let origin = Origin::Entry(Box::new(EntryOrigin {
            key: self.badge.key.clone(),
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
        let unused = reserved.held.extract_if(.., |(account, _)| !enters(account)).collect();
        self.shared.cancel(&self.badge.key, &Reserved { held: unused, ..Reserved::default() });
    }

    /// Answers without an entry, once nothing under way can change the answer.
    fn rest(&mut self, judged: Judged, turn: Turn, busy: Busy) {
        turn.call.rewind();
        self.forget_unpinned(&turn.command);
        let resting = Resting { ticket: self.last_ticket, judged, turn, busy };
        let under_way = self.under_way();
        if under_way.is_settled(resting.ticket) {
            self.release(resting);
        } else {
            under_way.resting.push_back(resting);
        }
    }

    /// What this actor knows is what the group is only as long as its leadership lasts. A read barrier would not do: it is
    /// had of another leader as well.
    fn release(&self, resting: Resting) {
        let Resting { judged, turn, busy, .. } = resting;
        self.shared.cancel(&self.badge.key, &turn.reserved);
        let (handle, leadership) = (self.shared.handle.clone(), Leadership { term: self.shared.term });
        actix_rt::spawn(async move {
            let confirmed = handle.confirm(leadership).await;
            turn.call.answer(match confirmed {
                Ok(()) => judged.map_err(SubmitError::Refused),
                Err(_) => Err(SubmitError::Unavailable { what: "no leader answers for this shard" }),
            });
            drop(busy);
        });
    }

    /// Lets go of rows that no entry under way touches.
    fn forget_unpinned(&mut self, command: &Command) {
        let Some(group) = self.group.as_mut() else { return };
        let under_way = self.under_way.as_deref();
        for account in command.named_accounts() {
            if !under_way.is_some_and(|under_way| under_way.is_pinned(account)) {
                group.forget(account);
            }
        }
    }

    fn settle(&mut self, ticket: u64) {
        let Some(under_way) = self.under_way.as_mut() else { return };
        under_way.settle(ticket, &mut self.group);
        while let Some(resting) = self.under_way().settled_answer() {
            self.release(resting);
        }
        self.forget_what_is_over();
    }
}

impl Actor for GroupActor {
    type Context = Context<Self>;

    /// What rested on an entry that failed is judged again by a fresh activation.
    fn stopped(&mut self, _ctx: &mut Self::Context) {
        let UnderWay { resting, waiting, .. } = self.under_way.take().map(|under_way| *under_way).unwrap_or_default();
        let resting = resting.into_iter().map(|r| (r.turn, r.busy));
        let waiting = waiting.into_iter().map(|w| (w.turn.turn, w.turn.busy));
        for (turn, busy) in resting.chain(waiting) {
            drop(busy);
            self.shared.cancel(&self.badge.key, &turn.reserved);
            let Turn { command, limits, request, unknown, call, .. } = turn;
            self.shared.again(Again { key: self.badge.key.clone(), command, limits, request, unknown, call });
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
            self.shared.deactivate(&self.badge.key);
            ctx.stop();
        }
    }
}
