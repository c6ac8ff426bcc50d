//! The one who decides the groups of a shard on one node: what `src/actors/` is in a node, without threads.
//!
//! It keeps the same rules: an activation belongs to one leadership, a change that fails ends its activation, what has
//! no entry waits for the last entry it rests on and until that leadership is confirmed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use muster::group::{self, Command, Context, Decision, Event, Group, Limits};
use muster::id::Gno;
use muster::shard::{
    Applied, AppliedProposal, ClientRequest, EventForm, GroupEntry, InFlight, Item, Lookups, NoticeForm, Outcome,
    Proposer, RequestForm, Told, Version, answer_form, answer_of, recover, slot_of,
};
use muster::time::Stamp;
use muster_cluster::{Leadership, ProposeError, ShardHandle, ShardId};
use tokio::sync::{mpsc, oneshot};

use crate::actions::{self, APP, admin, group_id};
use crate::history::{Action, Answer};
use crate::world::{SHARDS, World};

/// Commands that may wait for a proposal.
const QUEUE_MAX: usize = 256;
/// The time of day at which every run begins, in milliseconds.
const BEGINS_MS: u64 = 1_800_000_000_000;

/// Asks a node.
pub struct Submit {
    pub group: usize,
    pub action: Action,
    /// The caller's name of a change.
    pub request: String,
    pub reply: oneshot::Sender<Reply>,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub enum Reply {
    Answered(Answer),
    /// Nothing happened, promised. Who may know more.
    Unavailable(Option<usize>),
    Unknown,
}

/// What a host hears.
pub enum Heard {
    Submit(Submit),
    Told(Told),
    Refused { term: u64, seq: u64 },
}

pub struct Host {
    world: Arc<World>,
    node: usize,
    shard: ShardId,
    handle: ShardHandle,
    leading: Option<Leading>,
    /// Proposals of leaderships that are over and whose outcome is to come.
    orphans: Vec<InFlight<Origin>>,
    proposals: mpsc::UnboundedSender<(Leadership, u64, Bytes)>,
}

struct Leading {
    term: u64,
    proposer: Proposer<Origin>,
    groups: BTreeMap<usize, Active>,
    activations: u64,
    last_stamp: u64,
}

/// An active group. It forgets nothing: what its own entries did not touch is what the rows say.
struct Active {
    leadership: Leadership,
    activation: u64,
    /// As the entries under way leave it.
    group: Option<Group>,
    version: Option<Version>,
    /// Where its rows are, unless this activation has made it: then all of it is known.
    gno: Option<Gno>,
    last_ticket: u64,
    settled: u64,
    /// Requests that this activation has carried out, the entries that do so, and their answers.
    carried_out: BTreeMap<String, (u64, group::Answer)>,
    resting: Vec<Resting>,
}

struct Resting {
    ticket: u64,
    answer: Answer,
    reply: oneshot::Sender<Reply>,
}

struct Origin {
    group: usize,
    activation: u64,
    ticket: u64,
    answer: Answer,
    reply: oneshot::Sender<Reply>,
}

impl Host {
    pub fn new(
        world: Arc<World>,
        node: usize,
        shard: ShardId,
        handle: ShardHandle,
        to_self: mpsc::UnboundedSender<Heard>,
    ) -> Self {
        let (proposals, queue) = mpsc::unbounded_channel();
        tokio::spawn(propose_in_order(handle.clone(), queue, to_self));
        Self { world, node, shard, handle, leading: None, orphans: Vec::new(), proposals }
    }

    pub async fn work(mut self, mut heard: mpsc::UnboundedReceiver<Heard>) {
        let mut leadership = self.handle.leadership();
        loop {
            tokio::select! {
                // A change of leadership comes before any message.
                biased;
                changed = leadership.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = *leadership.borrow_and_update();
                    self.leads(now);
                }
                heard = heard.recv() => match heard {
                    Some(Heard::Submit(submit)) => self.submit(submit),
                    Some(Heard::Told(Told::Applied(entries))) => self.applied(entries),
                    Some(Heard::Told(Told::Replaced)) => self.replaced(),
                    Some(Heard::Refused { term, seq }) => self.refused(term, seq),
                    None => return,
                },
            }
        }
    }

    fn leads(&mut self, leadership: Option<Leadership>) {
        if self.leading.as_ref().map(|leading| leading.term) == leadership.map(|leadership| leadership.term) {
            return;
        }
        self.step_down();
        let Some(Leadership { term }) = leadership else {
            self.world.leads_no_more(self.node, self.shard);
            return;
        };
        self.world.leads(self.node, self.shard, term);
        let recovery = recover(self.handle.rows(), self.shard, SHARDS).expect("rows in memory");
        self.leading = Some(Leading {
            term,
            proposer: Proposer::new(term, QUEUE_MAX),
            groups: BTreeMap::new(),
            activations: 0,
            last_stamp: recovery.last_stamp,
        });
    }

    fn step_down(&mut self) {
        let Some(mut leading) = self.leading.take() else { return };
        for origin in leading.proposer.end() {
            let _ = origin.reply.send(Reply::Unavailable(None));
        }
        self.orphans.extend(leading.proposer.settle_before(u64::MAX));
        leading.groups.into_values().for_each(Active::end);
    }

    fn clock_ms(&self) -> u64 {
        let now = self.world.elapsed().as_millis() as u64;
        BEGINS_MS + now + self.world.nodes[self.node].clock_ahead_ms
    }

    fn submit(&mut self, submit: Submit) {
        let Submit { group, action, request, reply } = submit;
        let Some(command) = actions::command(&action) else {
            self.read(group, action, reply);
            return;
        };
        let clock_ms = self.clock_ms();
        let (shard, rows) = (self.shard, self.handle.rows().clone());
        let lookups = Lookups::new(rows);
        let Some(leading) = self.leading.as_mut().filter(|leading| leading.proposer.has_room()) else {
            let leader = *self.handle.leader().borrow();
            let _ = reply.send(Reply::Unavailable(leader.map(|leader| leader.number() as usize - 1)));
            return;
        };
        leading.last_stamp = leading.last_stamp.max(clock_ms);
        let (at, term) = (Stamp(leading.last_stamp), leading.term);
        let activations = &mut leading.activations;
        let active = leading.groups.entry(group).or_insert_with(|| {
            *activations += 1;
            Active::new(term, *activations, group, &lookups)
        });

        let client = ClientRequest { caller: admin(), command: "simulated", id: request.as_str().into() };
        if let Some((ticket, answer)) = active.carried_out.get(&request) {
            let (ticket, answer) = (*ticket, actions::answer(answer));
            active.rest(ticket, answer, reply, &self.handle);
            return;
        }
        let recorded = lookups.request(shard, client.name(APP, Some(&group_id(group))), at).expect("rows in memory");
        if let Some(recorded) = recorded {
            let answer = actions::answer(&answer_of(recorded));
            active.rest(active.last_ticket, answer, reply, &self.handle);
            return;
        }
        active.learn(group, &command, &lookups);
        let context = Context {
            limits: &Limits::default(),
            at,
            full_accounts: &[],
            unknown_accounts: &[],
            daily_quota_spent: false,
            app_full: None,
        };
        let (entry, answer) = match group::decide(active.group.as_ref(), &command, &context) {
            Ok(decision) if !decision.events.is_empty() => active.enter(group, decision, at, term, (client, &command)),
            Ok(decision) => {
                let answer = actions::answer(&decision.answer);
                active.rest(active.last_ticket, answer, reply, &self.handle);
                return;
            }
            Err(refusal) => {
                let answer = actions::refused(&action, &refusal);
                active.rest(active.last_ticket, answer, reply, &self.handle);
                return;
            }
        };
        let origin = Origin { group, activation: active.activation, ticket: active.last_ticket, answer, reply };
        leading.proposer.push(entry, origin);
        self.flush();
    }

    /// Any replica answers reads, from its own rows.
    fn read(&self, group: usize, action: Action, reply: oneshot::Sender<Reply>) {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let ended = match handle.read_barrier().await {
                Ok(()) => Reply::Answered(actions::read(handle.rows(), group, &action).expect("rows in memory")),
                Err(_) => Reply::Unavailable(None),
            };
            let _ = reply.send(ended);
        });
    }

    fn flush(&mut self) {
        let Some(leading) = self.leading.as_mut() else { return };
        while let Some((seq, payload)) = leading.proposer.take() {
            let _ = self.proposals.send((Leadership { term: leading.term }, seq, payload));
        }
    }

    fn applied(&mut self, entries: Vec<Applied>) {
        for applied in entries {
            // The first entry of a later term says that older proposals, if not applied by now, did not happen.
            for orphan in self.orphans.extract_if(.., |orphan| orphan.term < applied.term).collect::<Vec<_>>() {
                for origin in orphan.origins {
                    let _ = origin.reply.send(Reply::Unavailable(None));
                }
            }
            if let Some(proposal) = applied.proposal {
                self.proposal(applied.term, proposal);
            }
        }
        self.flush();
    }

    fn settled(&mut self, term: u64, seq: u64) -> Vec<Origin> {
        let led = self.leading.as_mut().and_then(|leading| leading.proposer.settle(term, seq));
        let in_flight = led.or_else(|| {
            let at = self.orphans.iter().position(|orphan| orphan.term == term && orphan.seq == seq)?;
            Some(self.orphans.swap_remove(at))
        });
        in_flight.map(|in_flight| in_flight.origins).unwrap_or_default()
    }

    fn proposal(&mut self, term: u64, proposal: AppliedProposal) {
        for (origin, outcome) in self.settled(term, proposal.seq).into_iter().zip(proposal.outcomes) {
            let Origin { group, activation, ticket, answer, reply } = origin;
            match outcome {
                Outcome::Applied => {
                    let _ = reply.send(Reply::Answered(answer));
                    if let Some(active) = self.active(term, group, activation) {
                        active.settled = ticket;
                    }
                    let handle = self.handle.clone();
                    if let Some(active) = self.active(term, group, activation) {
                        active.release(&handle);
                    }
                }
                Outcome::Conflict => {
                    self.world.tally.lock().conflicts += 1;
                    let _ = reply.send(Reply::Unavailable(None));
                    self.deactivate(term, group, activation);
                }
            }
        }
    }

    fn refused(&mut self, term: u64, seq: u64) {
        for origin in self.settled(term, seq) {
            let _ = origin.reply.send(Reply::Unavailable(None));
            self.deactivate(term, origin.group, origin.activation);
        }
        self.flush();
    }

    /// Whoever is filled from another replica does not lead, and cannot know what became of its proposals.
    fn replaced(&mut self) {
        self.world.tally.lock().filled += 1;
        self.world.note(format_args!("n{} s{} is filled", self.node, self.shard.0));
        self.step_down();
        for origin in self.orphans.drain(..).flat_map(|orphan| orphan.origins) {
            let _ = origin.reply.send(Reply::Unknown);
        }
    }

    fn active(&mut self, term: u64, group: usize, activation: u64) -> Option<&mut Active> {
        let leading = self.leading.as_mut().filter(|leading| leading.term == term)?;
        leading.groups.get_mut(&group).filter(|active| active.activation == activation)
    }

    /// The next command activates it afresh, from rows.
    fn deactivate(&mut self, term: u64, group: usize, activation: u64) {
        if self.active(term, group, activation).is_some()
            && let Some(active) = self.leading.as_mut().and_then(|leading| leading.groups.remove(&group))
        {
            active.end();
        }
    }
}

impl Active {
    fn new(term: u64, activation: u64, group: usize, lookups: &Lookups) -> Self {
        let head = lookups.header(APP, &group_id(group)).expect("rows in memory");
        Self {
            leadership: Leadership { term },
            activation,
            version: head.as_ref().map(|head| head.version),
            gno: head.as_ref().map(|head| head.gno),
            group: head.map(|head| Group::new(head.facts)),
            last_ticket: 0,
            settled: 0,
            carried_out: BTreeMap::new(),
            resting: Vec::new(),
        }
    }

    /// Makes known what a command is judged by.
    fn learn(&mut self, group: usize, command: &Command, lookups: &Lookups) {
        let (needs, slot) = (command.needs(), slot_of(APP, &group_id(group)));
        let Some(state) = self.group.as_mut() else { return };
        let Some(gno) = self.gno else {
            for account in command.named_accounts() {
                if !state.knows(account) {
                    state.learn(account.clone(), None);
                }
                if !state.knows_restriction(account) {
                    state.learn_restriction(account.clone(), group::Restriction::default());
                }
            }
            return;
        };
        let rows = "rows in memory";
        if needs.profile && state.profile().is_none() {
            state.learn_profile(lookups.profile(slot, gno).expect(rows).expect("a profile"));
        }
        if needs.counters && state.counters().is_none() {
            state.learn_counters(lookups.counters(slot, gno).expect(rows));
        }
        for account in command.named_accounts() {
            if !state.knows(account) {
                state.learn(account.clone(), lookups.member(slot, gno, account).expect(rows));
            }
            if needs.cards
                && !state.knows_card(account)
                && let Some(member) = state.member(account).copied()
                && let Some(card) = lookups.card(slot, gno, member.join_seq, state.facts().kind).expect(rows)
            {
                state.learn_card(account.clone(), card);
            }
            if needs.restrictions && !state.knows_restriction(account) {
                state.learn_restriction(account.clone(), lookups.restriction(slot, gno, account).expect(rows));
            }
        }
    }

    /// Takes a decision over, and makes an entry of it.
    fn enter(
        &mut self,
        group: usize,
        decision: Decision,
        at: Stamp,
        term: u64,
        (client, command): (ClientRequest, &Command),
    ) -> (Vec<u8>, Answer) {
        self.last_ticket += 1;
        let next = Version { term, activation: self.activation, counter: self.last_ticket };
        self.carried_out.insert(client.id.to_string(), (self.last_ticket, decision.answer.clone()));
        let entry = GroupEntry {
            app: APP.0,
            group: group_id(group).into(),
            base: self.group.as_ref().and(self.version),
            next,
            at: at.0,
            operator: command.operator().name().clone().into(),
            events: decision.events.iter().map(EventForm::from).collect(),
            notices: decision.notices.iter().map(NoticeForm::from).collect(),
            quota_day: None,
            request: Some(RequestForm::new(&client, answer_form(&decision.answer))),
        };
        if decision.events.iter().any(|event| matches!(event, Event::Created(_) | Event::Destroyed { .. })) {
            self.gno = None;
        }
        decision.fold(&mut self.group);
        self.version = Some(next);
        (Item::Group(entry).encode(), actions::answer(&decision.answer))
    }

    /// Answers without an entry, once nothing under way can change the answer.
    fn rest(&mut self, ticket: u64, answer: Answer, reply: oneshot::Sender<Reply>, handle: &ShardHandle) {
        self.resting.push(Resting { ticket, answer, reply });
        self.release(handle);
    }

    /// What it knows is what the group is only as long as its leadership lasts. A read barrier would not do: it is had of
    /// another leader as well.
    fn release(&mut self, handle: &ShardHandle) {
        let (settled, leadership) = (self.settled, self.leadership);
        for resting in self.resting.extract_if(.., |resting| resting.ticket <= settled) {
            let handle = handle.clone();
            tokio::spawn(async move {
                let ended = match handle.confirm(leadership).await {
                    Ok(()) => Reply::Answered(resting.answer),
                    Err(_) => Reply::Unavailable(None),
                };
                let _ = resting.reply.send(ended);
            });
        }
    }

    /// What rested on it was not carried out.
    fn end(self) {
        for resting in self.resting {
            let _ = resting.reply.send(Reply::Unavailable(None));
        }
    }
}

/// Hands proposals to the log one after the other, so that they keep their order.
async fn propose_in_order(
    handle: ShardHandle,
    mut queue: mpsc::UnboundedReceiver<(Leadership, u64, Bytes)>,
    host: mpsc::UnboundedSender<Heard>,
) {
    while let Some((leadership, seq, payload)) = queue.recv().await {
        let refused = Heard::Refused { term: leadership.term, seq };
        match handle.propose(leadership, payload).await {
            Ok(proposed) => {
                let host = host.clone();
                tokio::spawn(async move {
                    // Applied entries speak for themselves, and an unknown outcome is the log's to tell.
                    if let Err(ProposeError::NotLeader) = proposed.await {
                        let _ = host.send(refused);
                    }
                });
            }
            Err(ProposeError::NotLeader) => drop(host.send(refused)),
            Err(ProposeError::Unknown) => {}
        }
    }
}
