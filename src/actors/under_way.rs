//! What the actor of a group keeps for commands under way: a group at rest has none of it.
//!
//! Entries are known here by their tickets: numbers in the order in which they were decided.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::demand::Subject;
use super::message::{Busy, Judged, Turn, TurnFor};
use crate::group::{Answer, Event, Group};
use crate::id::AccountId;
use crate::shard::ClientRequest;

/// Commands under way, and what they have touched.
#[derive(Default)]
pub(super) struct UnderWay {
    /// The last entry that is applied.
    settled: u64,
    /// The entry that creates the group, until it is applied.
    created_by: Option<u64>,
    /// Creations and disbands decided meanwhile: rows of an earlier group of the name are not this one's.
    pub incarnation: u64,
    /// Accounts that entries touch, with the last entry that does.
    pins: FxHashMap<AccountId, u64>,
    /// The same, in the order of the entries.
    pinned: VecDeque<(u64, AccountId)>,
    /// Requests of entries, with what they will be answered.
    requests: FxHashMap<ClientRequest, Answer>,
    /// The same, in the order of the entries.
    requested: VecDeque<(u64, ClientRequest)>,
    /// Answers without an entry that rest on one.
    pub resting: VecDeque<Resting>,
    /// Turns that wait for rows, and those that may not overtake them. Bounded like all that is under way: by
    /// `actors.inflight_max`.
    pub waiting: VecDeque<Waiting>,
    last_number: u64,
}

/// An answer that rests on an entry.
pub(super) struct Resting {
    pub ticket: u64,
    pub judged: Judged,
    pub turn: Turn,
    pub busy: Busy,
}

/// A turn that waits for rows, or behind one that does and is about the same.
pub(super) struct Waiting {
    pub number: u64,
    pub turn: TurnFor,
    pub subject: Subject,
    pub is_reading: bool,
}

impl Waiting {
    /// Whether a turn that came later has to let this one go first: it repeats it, or is about the same.
    pub fn is_before(&self, later: &Turn, subject: &Subject) -> bool {
        later.request.is_some() && later.request == self.turn.turn.request || subject.overlaps(&self.subject)
    }
}

impl UnderWay {
    /// Begins after an entry that is the last one, and applied.
    pub fn after(settled: u64) -> Self {
        Self { settled, ..Self::default() }
    }

    /// Whether all of it is over, if the last entry has this ticket.
    pub fn is_over(&self, last_ticket: u64) -> bool {
        self.settled == last_ticket && self.resting.is_empty() && self.waiting.is_empty()
    }

    /// Whether the group's creation is not applied yet.
    pub fn is_creating(&self) -> bool {
        self.created_by.is_some()
    }

    pub fn is_pinned(&self, account: &AccountId) -> bool {
        self.pins.contains_key(account)
    }

    /// What the entry that carries the request out will answer.
    pub fn answer_to(&self, request: &ClientRequest) -> Option<&Answer> {
        self.requests.get(request)
    }

    /// A number for a turn.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Notes which request an entry carries out.
    pub fn carries_out(&mut self, request: &ClientRequest, answer: Answer, ticket: u64) {
        self.requests.insert(request.clone(), answer);
        self.requested.push_back((ticket, request.clone()));
    }

    /// Notes what an event of an entry touches.
    pub fn touches(&mut self, event: &Event, ticket: u64) {
        match event {
            Event::Created(_) => {
                self.incarnation += 1;
                self.created_by = Some(ticket);
            }
            Event::Destroyed { .. } => {
                self.incarnation += 1;
                self.created_by = None;
            }
            Event::MembersAdded { members, .. } => members.iter().for_each(|m| self.pin(&m.account, ticket)),
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
    }

    fn pin(&mut self, account: &AccountId, ticket: u64) {
        self.pins.insert(account.clone(), ticket);
        self.pinned.push_back((ticket, account.clone()));
    }

    /// The entries up to this one are applied: lets go of what only they touched, also in the group.
    pub fn settle(&mut self, ticket: u64, group: &mut Option<Group>) {
        self.settled = ticket;
        self.created_by = self.created_by.filter(|by| *by > ticket);
        while let Some((by, account)) = pop_if(&mut self.pinned, |(by, _)| *by <= ticket) {
            if self.pins.get(&account) == Some(&by) {
                self.pins.remove(&account);
                group.iter_mut().for_each(|group| group.forget(&account));
            }
        }
        while let Some((_, request)) = pop_if(&mut self.requested, |(by, _)| *by <= ticket) {
            self.requests.remove(&request);
        }
    }

    /// Whether an answer that rests on this entry may be given.
    pub fn is_settled(&self, ticket: u64) -> bool {
        self.settled >= ticket
    }

    /// The next answer that may be given.
    pub fn settled_answer(&mut self) -> Option<Resting> {
        let settled = self.settled;
        pop_if(&mut self.resting, |resting| resting.ticket <= settled)
    }
}

fn pop_if<T>(queue: &mut VecDeque<T>, is_due: impl Fn(&T) -> bool) -> Option<T> {
    queue.front().is_some_and(is_due).then(|| queue.pop_front())?
}
