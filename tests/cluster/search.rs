//! Whether the operations of one group can be put into one order that explains every answer.
//!
//! The method is Wing and Gong's with Lowe's memory of what was tried: take one of the operations that no other one
//! had to precede, carry it out on the model, go on if the model answers what the node answered, and come back
//! otherwise; a set of operations that led to the same state before is not tried again. It is the method of Porcupine.
//!
//! - J. M. Wing, C. Gong: Testing and verifying concurrent objects. JPDC 17, 1993.
//! - G. Lowe: Testing for linearizability. Concurrency and Computation 29, 2017.
//! - A. Horn, D. Kroening: Faster linearizability checking via P-compositionality. FORTE 2015.
//!
//! Four things keep it fast on long histories; none changes what it decides:
//!
//! - A read or a refusal whose answer is right now is taken at once: nothing is lost by it, since whatever follows sees
//!   the same state. (This does not hold for a removal that happens to meet nobody: it may have met somebody.)
//! - The set of operations that are taken is a number and a few bits: all that were called first, and of the others
//!   those that overlap them.
//! - An operation whose outcome is unknown may stand anywhere after its call, or nowhere: a dozen of them would be
//!   thousands of sets. They are tried last, and only where it can matter: before an operation on the same account,
//!   counter or name, or before a read of it that the state does not explain, or before another one of which this is
//!   true. Whatever else comes next, the two do not touch each other and can change places; so the latest place that
//!   matters is the only one to try. Of several that ask for the same the first is taken.
//! - The sequences of a profile only grow, and a name is given once: where a profile has to follow that shows an
//!   earlier number, or a name that nobody will give any more, nothing is tried.

use std::collections::HashSet;

use crate::bits::Bits;
use crate::history::{Account, Action, Answer, End, Moment, Operation, Parts, Profile};
use crate::model::{State, carry_out};
use crate::random::Random;

/// Steps of the first attempt. Right histories mostly take few more steps than they have operations; where one does not,
/// an early choice was unlucky, and beginning anew with other ones is faster than trying all that follows from it.
const STEPS_OF_FIRST_ATTEMPT: usize = 10_000;
/// Each attempt may take twice the steps of the one before; the last one a million, of some hundred bytes each.
const ATTEMPTS: u32 = 8;

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An order that explains everything.
    Order,
    /// None does; where the longest one that was tried ended.
    Nothing(String),
    /// Not decided in all [`ATTEMPTS`].
    Undecided,
}

/// Looks for an order of operations of one group that begins without one.
pub fn search(operations: &[Operation]) -> Found {
    let mut attempts = (0..ATTEMPTS).map(|attempt| Search::new(operations, attempt).run());
    attempts.find(|found| *found != Found::Undecided).unwrap_or(Found::Undecided)
}

struct Search<'a> {
    /// Those with an answer, by their calls.
    answered: Vec<&'a Operation>,
    /// Those without, by their calls.
    unknown: Vec<&'a Operation>,
    attempt: u32,
    tried: HashSet<Place>,
    /// The most operations with an answer that an order had, and where it ended.
    furthest: (usize, Place),
}

/// How far an order has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// All answered operations before this one are taken.
    next: usize,
    /// Of those from `next` on: bit `i` is operation `next + i`.
    ahead: Bits,
    /// Of the unknown ones.
    used: Bits,
    state: State,
}

/// A place with what can be done there and has not been tried.
struct Fork {
    place: Place,
    moves: Vec<Move>,
    /// Unknown operations are among the moves, or were.
    is_widened: bool,
}

#[derive(Clone, Copy)]
enum Move {
    Answered(usize),
    Unknown(usize),
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation], attempt: u32) -> Self {
        let mut by_call: Vec<&Operation> = operations.iter().collect();
        by_call.sort_by_key(|operation| operation.called);
        let (answered, unknown) = by_call.into_iter().partition(|operation| operation.answer().is_some());
        let start = Place { next: 0, ahead: Bits::default(), used: Bits::default(), state: None };
        Self { answered, unknown, attempt, tried: HashSet::new(), furthest: (0, start) }
    }

    fn run(mut self) -> Found {
        let start = self.settle(self.furthest.1.clone());
        let mut forks = vec![self.fork(start)];
        while let Some(fork) = forks.last_mut() {
            if fork.place.next == self.answered.len() {
                return Found::Order;
            }
            let Some(step) = fork.moves.pop() else {
                match fork.is_widened {
                    true => drop(forks.pop()),
                    false => {
                        fork.is_widened = true;
                        fork.moves = self.unknown_moves(&fork.place);
                    }
                }
                continue;
            };
            let place = self.step(&fork.place, step);
            let place = self.settle(place);
            if self.tried.insert(place.clone()) {
                if self.tried.len() > STEPS_OF_FIRST_ATTEMPT << self.attempt {
                    return Found::Undecided;
                }
                let fork = self.fork(place);
                forks.push(fork);
            }
        }
        Found::Nothing(self.explain())
    }

    fn fork(&mut self, place: Place) -> Fork {
        let taken = place.next + place.ahead.count();
        if taken > self.furthest.0 {
            self.furthest = (taken, place.clone());
        }
        if self.is_lost(&place) {
            return Fork { place, moves: Vec::new(), is_widened: true };
        }
        let mut moves: Vec<usize> = self.candidates(&place).filter(|i| self.explains(&place.state, *i)).collect();
        // The last is tried first: the one whose answer came first, but for a new attempt any.
        match self.attempt {
            0 => moves.sort_by_key(|i| std::cmp::Reverse(self.answered[*i].returned())),
            attempt => shuffle(&mut moves, attempt),
        }
        Fork { place, moves: moves.into_iter().map(Move::Answered).collect(), is_widened: false }
    }

    /// Takes reads and refusals that are right now, as long as there are any.
    fn settle(&self, mut place: Place) -> Place {
        let is_idle = |i: usize| self.answered[i].answer().is_some_and(Answer::says_nothing_changed);
        let next = |place: &Place| self.candidates(place).find(|i| is_idle(*i) && self.explains(&place.state, *i));
        while let Some(i) = next(&place) {
            place.take(i);
        }
        place
    }

    fn step(&self, place: &Place, step: Move) -> Place {
        let mut after = place.clone();
        let action = match step {
            Move::Answered(i) => {
                after.take(i);
                &self.answered[i].action
            }
            Move::Unknown(i) => {
                after.used.set(i);
                &self.unknown[i].action
            }
        };
        after.state = carry_out(&place.state, action).1;
        after
    }

    /// Answered operations that are not taken and need none before them that is not taken either.
    fn candidates(&self, place: &Place) -> impl Iterator<Item = usize> {
        let horizon = self.horizon(place);
        let rest = (place.next..self.answered.len()).take_while(move |i| self.answered[*i].called <= horizon);
        rest.filter(|i| !place.ahead.has(i - place.next))
    }

    /// The first answer of an operation that is not taken: what was called later comes later.
    fn horizon(&self, place: &Place) -> Moment {
        let mut first = Moment(u64::MAX);
        for (i, operation) in self.answered.iter().enumerate().skip(place.next) {
            // Nothing that was called after the first answer is answered before it.
            if operation.called > first {
                break;
            }
            if !place.ahead.has(i - place.next) {
                first = first.min(operation.returned().unwrap_or(first));
            }
        }
        first
    }

    fn explains(&self, state: &State, i: usize) -> bool {
        let operation = self.answered[i];
        Some(&carry_out(state, &operation.action).0) == operation.answer()
    }

    /// Unknown operations that change something here and may be needed here.
    fn unknown_moves(&self, place: &Place) -> Vec<Move> {
        let horizon = self.horizon(place);
        let called = self.unknown.iter().enumerate().take_while(|(_, operation)| operation.called <= horizon);
        let unused: Vec<(usize, &Operation)> =
            called.map(|(i, o)| (i, *o)).filter(|(i, _)| !place.used.has(*i)).collect();
        let matters = self.parts_that_matter(place, &unused);
        let is_first = |(i, operation): &(usize, &Operation)| {
            !unused.iter().take_while(|(j, _)| j < i).any(|(_, earlier)| earlier.action == operation.action)
        };
        let moves = unused.iter().filter(|one| is_first(one)).filter(|(_, operation)| {
            (operation.action.is_of_whole_group() || operation.action.parts().overlaps(matters))
                && carry_out(&place.state, &operation.action).1 != place.state
        });
        let mut moves: Vec<usize> = moves.map(|(i, _)| *i).collect();
        shuffle(&mut moves, self.attempt);
        moves.into_iter().map(Move::Unknown).collect()
    }

    /// Parts of the group of which the candidates can tell whether they were changed before.
    fn parts_that_matter(&self, place: &Place, unused: &[(usize, &Operation)]) -> Parts {
        let told = self.candidates(place).map(|i| told_parts(&place.state, self.answered[i]));
        let mut matters = told.fold(Parts::default(), Parts::and);
        loop {
            let before = matters;
            for (_, operation) in unused {
                let parts = operation.action.parts();
                if parts.overlaps(matters) {
                    matters = matters.and(parts);
                }
            }
            if matters == before {
                return matters;
            }
        }
    }

    /// Whether a profile has to follow that cannot be shown any more. One that is right here has been taken.
    fn is_lost(&self, place: &Place) -> bool {
        let horizon = self.horizon(place);
        self.next_profiles(place, horizon).into_iter().any(|(called, shown, returned)| {
            let gives = |action: &Action| matches!(action, Action::Create(n) | Action::Rename(n) if *n == shown.name);
            let is_given = self.is_left(place, returned, gives);
            let Some(group) = &place.state else { return !is_given };
            if shown.name != group.profile.name && !is_given {
                return true;
            }
            let least = group.profile.next_msg_seq + self.changes_before(place, called);
            // What may be next and is not right here lacks at least one change.
            let is_past = shown.next_msg_seq < least || called <= horizon && shown.next_msg_seq == least;
            is_past && !(is_given && self.is_left(place, returned, |action| *action == Action::Destroy))
        })
    }

    /// Profiles that may be next, and the first after them: what has to come before that one is known as well. Call,
    /// what was shown, and answer of each.
    fn next_profiles(&self, place: &Place, horizon: Moment) -> Vec<(Moment, &'a Profile, Moment)> {
        let left = self.answered.iter().enumerate().skip(place.next).filter(|(i, _)| !place.ahead.has(i - place.next));
        let profiles = left.filter_map(|(_, operation)| match &operation.end {
            End::Answered(Answer::Profile(shown), at) => Some((operation.called, shown, *at)),
            _ => None,
        });
        let mut is_after = false;
        profiles.take_while(|(called, ..)| !std::mem::replace(&mut is_after, *called > horizon)).collect()
    }

    /// How many operations that are not taken changed the roster, were answered before then, and say so.
    fn changes_before(&self, place: &Place, moment: Moment) -> u64 {
        let called = self.answered.iter().enumerate().skip(place.next);
        let called = called.take_while(|(_, operation)| operation.called < moment);
        let left = called.filter(|(i, _)| !place.ahead.has(i - place.next));
        let changes = left.filter(|(_, operation)| match &operation.end {
            End::Answered(Answer::Added(entered), at) => *at < moment && entered.contains(&true),
            _ => false,
        });
        changes.count() as u64
    }

    /// Whether such an operation was called by then and is not taken.
    fn is_left(&self, place: &Place, by: Moment, is_such: impl Fn(&Action) -> bool) -> bool {
        let is_called = |operation: &&&Operation| operation.called <= by;
        let answered = self.answered[place.next..].iter().take_while(is_called).enumerate();
        let unknown = self.unknown.iter().take_while(is_called).enumerate();
        answered.filter(|(i, _)| !place.ahead.has(*i)).any(|(_, operation)| is_such(&operation.action))
            || unknown.filter(|(i, _)| !place.used.has(*i)).any(|(_, operation)| is_such(&operation.action))
    }

    /// Where the longest order ended, and what could not follow.
    fn explain(&self) -> String {
        let (taken, place) = &self.furthest;
        let mut text = format!("after {taken} operations there is {:?}", place.state);
        for i in self.candidates(place) {
            let operation = self.answered[i];
            let (expected, _) = carry_out(&place.state, &operation.action);
            text.push_str(&format!(
                "\n  client {} asked {:?} at {} us and was told {:?}, which would be {expected:?}",
                operation.client,
                operation.action,
                operation.called.0 / 1_000,
                operation.end
            ));
        }
        text
    }
}

/// An order that is another one in each attempt.
fn shuffle(numbers: &mut [usize], attempt: u32) {
    numbers.sort_by_cached_key(|i| Random::of_seed(u64::from(attempt) << 32 | *i as u64).bits());
}

/// The parts of which an answer tells whether they were changed before: of a profile those that are not as it shows
/// them, or all if only its sequences say that something is missing.
fn told_parts(state: &State, operation: &Operation) -> Parts {
    let (Some(group), Some(Answer::Profile(shown))) = (state, operation.answer()) else {
        return operation.action.parts();
    };
    let differs = |i: &usize| group.profile.roster[*i] != shown.roster[*i];
    let accounts = (0..shown.roster.len()).filter(differs).map(|i| Parts::account(Account(i as u8)));
    let name = (group.profile.name != shown.name).then_some(Parts::NAME);
    match accounts.chain(name).fold(Parts::default(), Parts::and) {
        none if none == Parts::default() => Parts::PROFILE,
        some => some,
    }
}

impl Place {
    fn take(&mut self, i: usize) {
        self.ahead.set(i - self.next);
        self.next += self.ahead.drop_leading_ones();
    }
}
