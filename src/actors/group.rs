//! The actor of one active group: a turn is reserve, learn, decide, evolve, enqueue, and nothing in it awaits.
//!
//! It holds the group as the entries under way will leave it, and only the member rows that those entries
//! touch. It does not hold the committed state: rows are written before an outcome is given out, so the rows are
//! the committed state, and reads go there without it.
//! When an entry fails it stops; the next command activates a fresh one from rows. Memory is never repaired.

use std::collections::VecDeque;
use std::rc::Rc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use muster_cluster::{DiskError, Lookup, Slot};
use rustc_hash::FxHashMap;

use super::SubmitError;

use super::host::Shared;
use super::message::{Again, Busy, EntryOrigin, GroupKey, Judged, Origin, Reserved, Settled, Turn, TurnFor};
use crate::group::{self, Command, Context as Judging, Decision, Event, Group, Kind, Member, Operator, Profile};
use crate::id::{AccountId, Gno};
use crate::shard::{EventForm, GroupEntry, Head, Item, NoticeForm, Version, slot_of};
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
    /// Turns behind one that waits for rows.
    waiting: VecDeque<TurnFor>,
    reading: bool,
}

struct Resting {
    ticket: u64,
    judged: Judged,
    turn: Turn,
    busy: Busy,
}

/// Rows that a turn needed and memory did not have.
#[derive(Debug)]
struct Wanted {
    header: bool,
    profile: bool,
    accounts: Vec<AccountId>,
}

/// Rows read where waiting is allowed.
struct Read {
    header: Option<Head>,
    profile: Option<Profile>,
    members: Vec<(AccountId, Option<Member>)>,
}

enum Learnt {
    Ready,
    Cold(Wanted),
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
            created_by: None,
            last_ticket: 0,
            settled: 0,
            pins: FxHashMap::default(),
            pinned: VecDeque::new(),
            resting: VecDeque::new(),
            waiting: VecDeque::new(),
            reading: false,
        }
    }

    fn turn(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        if self.reading {
            self.waiting.push_back(turn);
            return;
        }
        match self.learn(&turn.turn.command) {
            Ok(Learnt::Ready) => self.decide(turn, ctx),
            Ok(Learnt::Cold(wanted)) => {
                self.waiting.push_back(turn);
                self.read(wanted, ctx);
            }
            Err(error) => self.fail(&error, turn, ctx),
        }
    }

    fn fail(&mut self, error: &DiskError, turn: TurnFor, ctx: &mut Context<Self>) {
        turn.turn.call.span().in_scope(|| tracing::error!(%error, "a group's rows cannot be read"));
        self.shared.cancel(&self.key, &turn.turn.reserved);
        turn.turn.call.answer(Err(SubmitError::Unavailable { what: "the group's rows cannot be read" }));
        ctx.stop();
    }

    /// Makes known what the command is judged by, as far as memory has it.
    fn learn(&mut self, command: &Command) -> Result<Learnt, DiskError> {
        let mut wanted = Wanted { header: false, profile: false, accounts: Vec::new() };
        let Some(group) = self.group.as_mut() else { return Ok(Learnt::Ready) };
        if self.gno.is_none() && self.created_by.is_none() {
            // Created and committed since this activation began: the rows have its number now.
            match self.shared.lookups.header_now(self.key.app, &self.key.id)? {
                Lookup::Found(header) => self.gno = Some(header.gno),
                Lookup::Absent => panic!("group {} was created and has no header row", self.key.id),
                Lookup::Cold => wanted.header = true,
            }
        }
        if command.needs_profile() && group.profile().is_none() {
            match self.gno {
                Some(gno) => match self.shared.lookups.profile_now(self.slot, gno)? {
                    Lookup::Found(profile) => group.learn_profile(profile),
                    Lookup::Absent => panic!("group {} has no profile row", self.key.id),
                    Lookup::Cold => wanted.profile = true,
                },
                None => wanted.profile = true,
            }
        }
        for account in command.named_accounts() {
            if group.knows(account) {
                continue;
            }
            let Some(gno) = self.gno else {
                if wanted.header {
                    wanted.accounts.push(account.clone());
                } else {
                    // Nobody is a member of a group under creation but those whom its entries name.
                    group.learn(account.clone(), None);
                }
                continue;
            };
            match self.shared.lookups.member_now(self.slot, gno, account)? {
                Lookup::Found(member) => group.learn(account.clone(), Some(member)),
                Lookup::Absent => group.learn(account.clone(), None),
                Lookup::Cold => wanted.accounts.push(account.clone()),
            }
        }
        if wanted.header || wanted.profile || !wanted.accounts.is_empty() {
            return Ok(Learnt::Cold(wanted));
        }
        Ok(Learnt::Ready)
    }

    /// Reads rows on the pool; turns that come meanwhile wait behind.
    fn read(&mut self, wanted: Wanted, ctx: &mut Context<Self>) {
        self.reading = true;
        let (lookups, slot, gno) = (self.shared.lookups.clone(), self.slot, self.gno);
        let (app, id) = (self.key.app, self.key.id.clone());
        let work = tokio::task::spawn_blocking(move || -> Result<Read, DiskError> {
            let header = match wanted.header {
                true => lookups.header(app, &id)?,
                false => None,
            };
            let gno = gno.or(header.as_ref().map(|h| h.gno));
            let mut read = Read { header, profile: None, members: Vec::new() };
            if let Some(gno) = gno {
                if wanted.profile {
                    read.profile = lookups.profile(slot, gno)?;
                }
                for account in wanted.accounts {
                    let member = lookups.member(slot, gno, &account)?;
                    read.members.push((account, member));
                }
            }
            Ok(read)
        });
        let done = async move {
            match work.await {
                Ok(read) => read,
                Err(error) => Err(DiskError::Failed(format!("a read was lost: {error}"))),
            }
        };
        use actix::ActorFutureExt;
        ctx.spawn(done.into_actor(self).map(|read, actor, ctx| actor.have_read(read, ctx)));
    }

    fn have_read(&mut self, read: Result<Read, DiskError>, ctx: &mut Context<Self>) {
        self.reading = false;
        match read {
            Ok(read) => {
                if let Some(header) = read.header {
                    self.gno = Some(header.gno);
                }
                if let Some(group) = self.group.as_mut() {
                    if let Some(profile) = read.profile
                        && group.profile().is_none()
                    {
                        group.learn_profile(profile);
                    }
                    for (account, member) in read.members {
                        // An entry that was decided meanwhile knows better than the row.
                        if !group.knows(&account) {
                            group.learn(account, member);
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "a group's rows cannot be read");
                ctx.stop();
                return;
            }
        }
        while !self.reading
            && let Some(turn) = self.waiting.pop_front()
        {
            self.turn_or_requeue(turn, ctx);
        }
    }

    /// Takes a turn that waited; if it must wait again it keeps its place.
    fn turn_or_requeue(&mut self, turn: TurnFor, ctx: &mut Context<Self>) {
        match self.learn(&turn.turn.command) {
            Ok(Learnt::Ready) => self.decide(turn, ctx),
            Ok(Learnt::Cold(wanted)) => {
                self.waiting.push_front(turn);
                self.read(wanted, ctx);
            }
            Err(error) => self.fail(&error, turn, ctx),
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
            daily_quota_spent: turn.reserved.quota_spent,
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
            operator: operator(&turn.command).name().clone().into(),
            events: decision.events.iter().map(EventForm::from).collect(),
            notices: decision.notices.iter().map(NoticeForm::from).collect(),
            quota_day: self.counted_day(&turn),
        };
        for event in &decision.events {
            match event {
                Event::Created(_) => {
                    self.created_by = Some(ticket);
                    self.gno = None;
                }
                Event::Destroyed { .. } => {
                    self.created_by = None;
                    self.gno = None;
                }
                Event::MembersAdded { members, .. } => {
                    members.iter().for_each(|m| self.pin(&m.account, ticket));
                }
                Event::MembersRemoved { accounts, .. } => accounts.iter().for_each(|a| self.pin(a, ticket)),
                Event::ProfileChanged { .. } => {}
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
        if self.settled == self.last_ticket
            && !self.reading
            && let Some(group) = self.group.as_mut()
        {
            group.forget_profile();
        }
        while let Some(resting) = self.resting.front()
            && resting.ticket <= ticket
        {
            let Some(resting) = self.resting.pop_front() else { break };
            self.release(resting);
        }
    }
}

fn operator(command: &Command) -> &Operator {
    match command {
        Command::Create(c) => &c.operator,
        Command::Add(c) => &c.operator,
        Command::Remove(c) => &c.operator,
        Command::ChangeProfile(c) => &c.operator,
        Command::Destroy(c) => &c.operator,
    }
}

impl Actor for GroupActor {
    type Context = Context<Self>;

    /// What rested on an entry that failed is judged again by a fresh activation.
    fn stopped(&mut self, _ctx: &mut Self::Context) {
        let resting = std::mem::take(&mut self.resting).into_iter().map(|r| (r.turn, r.busy));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|t| (t.turn, t.busy));
        for (turn, busy) in resting.chain(waiting) {
            drop(busy);
            self.shared.cancel(&self.key, &turn.reserved);
            let Turn { command, limits, call, .. } = turn;
            self.shared.again(Again { key: self.key.clone(), command, limits, call });
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
