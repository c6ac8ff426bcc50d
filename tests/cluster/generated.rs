//! The checker held against histories that were made with the model, and against trying everything.

use proptest::prelude::*;

use crate::checker::check;
use crate::history::{Account, Action, Answer, Counter, End, Moment, Operation, Role};
use crate::model::{State, carry_out};
use crate::random::Random;
use crate::search::{Found, search};

/// How a history is made.
#[derive(Clone, Copy, Debug)]
struct Shape {
    seed: u64,
    clients: usize,
    operations: usize,
    /// Of a hundred operations so many have no answer.
    unknown_percent: u64,
    /// Accounts and counters that occur.
    accounts: u64,
    counters: u64,
}

/// A client between two of its operations, or at one.
enum Client {
    Idle,
    /// The number of its operation, and the answer once it has taken effect.
    Busy(usize, Option<Answer>),
}

/// One group that is changed by clients at once: an operation takes effect at one moment between its call and its
/// answer, one without an answer at any moment after its call, or never. One thing happens in each moment.
struct World {
    shape: Shape,
    random: Random,
    now: u64,
    state: State,
    clients: Vec<Client>,
    /// Calls without an answer that have not taken effect.
    adrift: Vec<usize>,
    history: Vec<Operation>,
}

impl World {
    fn history(shape: Shape) -> Vec<Operation> {
        let clients = (0..shape.clients).map(|_| Client::Idle).collect();
        let random = Random::of_seed(shape.seed);
        let mut world = Self { shape, random, now: 0, state: None, clients, adrift: vec![], history: vec![] };
        while world.history.len() < shape.operations || world.clients.iter().any(|c| matches!(c, Client::Busy(..))) {
            world.now += 1;
            world.step();
        }
        world.history
    }

    fn step(&mut self) {
        if self.random.below(8) == 0 && !self.adrift.is_empty() {
            let drifting = self.adrift.swap_remove(self.random.below(self.adrift.len() as u64) as usize);
            // Most arrive; of the others nobody hears any more.
            if self.random.below(3) > 0 {
                self.take_effect(drifting);
            }
            return;
        }
        let client = self.random.below(self.clients.len() as u64) as usize;
        self.clients[client] = match std::mem::replace(&mut self.clients[client], Client::Idle) {
            Client::Idle if self.history.len() < self.shape.operations && self.random.below(4) == 0 => {
                self.call(client)
            }
            Client::Idle => Client::Idle,
            Client::Busy(call, None) if self.random.below(100) < self.shape.unknown_percent => {
                self.adrift.push(call);
                Client::Idle
            }
            Client::Busy(call, None) => Client::Busy(call, Some(self.take_effect(call))),
            Client::Busy(call, Some(answer)) => {
                self.history[call].end = End::Answered(answer, Moment(self.now));
                Client::Idle
            }
        };
    }

    fn call(&mut self, client: usize) -> Client {
        let action = match self.history.len() {
            0 => Action::Create(0),
            n => some_action(&mut self.random, &self.shape, n as u64),
        };
        self.history.push(Operation { client, group: 0, action, called: Moment(self.now), end: End::Unknown });
        Client::Busy(self.history.len() - 1, None)
    }

    fn take_effect(&mut self, call: usize) -> Answer {
        let (answer, state) = carry_out(&self.state, &self.history[call].action);
        self.state = state;
        answer
    }
}

fn some_action(random: &mut Random, shape: &Shape, name: u64) -> Action {
    let account = |random: &mut Random| Account(1 + random.below(shape.accounts) as u8);
    let some = |random: &mut Random| {
        let mut accounts: Vec<Account> = (0..random.between(1, 4)).map(|_| account(random)).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    };
    match random.below(40) {
        0 => Action::Destroy,
        1 => Action::Create(name),
        2..12 => Action::Add(some(random)),
        12..20 => Action::Remove(some(random)),
        20..24 => Action::SetRole(account(random), if random.below(2) == 0 { Role::Admin } else { Role::Member }),
        24..26 => Action::Rename(name),
        26..30 => Action::Count(Counter(random.below(shape.counters) as u8), random.between(1, 4) as i64),
        30..36 => Action::ReadProfile,
        36..38 => Action::ReadRoles(some(random)),
        _ => Action::ReadCounters,
    }
}

/// A history changed in one place: another answer, another moment, or an answer that is forgotten. It may be right still.
fn spoil(history: &mut [Operation], random: &mut Random) {
    let other = history[random.below(history.len() as u64) as usize].clone();
    let spoilt = &mut history[random.below(history.len() as u64) as usize];
    match (random.below(4), &mut spoilt.end) {
        (0, end) => *end = End::Unknown,
        (1, End::Answered(_, at)) => *at = spoilt.called,
        (_, End::Answered(answer, at)) => {
            let before = carry_out(&None, &Action::Create(random.below(9))).1;
            let guess = match other.answer() {
                Some(other) if std::mem::discriminant(other) == std::mem::discriminant(answer) => other.clone(),
                _ => carry_out(&before, &spoilt.action).0,
            };
            spoilt.end = End::Answered(guess, *at);
        }
        _ => {}
    }
}

/// Tries every order of every subset that has all answered operations.
fn some_order_explains(operations: &[Operation], taken: u32, state: &State) -> bool {
    let is_taken = |i: usize| taken >> i & 1 == 1;
    let left = || (0..operations.len()).filter(|i| !is_taken(*i));
    if left().all(|i| operations[i].answer().is_none()) {
        return true;
    }
    let first_answer = left().filter_map(|i| operations[i].returned()).min();
    let may_be_next = |i: &usize| first_answer.is_none_or(|first| operations[*i].called <= first);
    left().filter(may_be_next).any(|i| {
        let (answer, after) = carry_out(state, &operations[i].action);
        operations[i].answer().is_none_or(|told| *told == answer)
            && some_order_explains(operations, taken | 1 << i, &after)
    })
}

fn shapes(clients: usize, operations: usize, unknown_percent: u64, accounts: u64) -> impl Strategy<Value = Shape> {
    let sizes = (any::<u64>(), 1..=clients, 1..=operations, 0..=unknown_percent, 1..=accounts);
    sizes.prop_map(|(seed, clients, operations, unknown_percent, accounts)| Shape {
        seed,
        clients,
        operations,
        unknown_percent,
        accounts,
        counters: 2,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What one group really did is accepted, however its clients overlapped.
    #[test]
    fn what_happened_is_accepted(shape in shapes(8, 120, 10, 6)) {
        prop_assert_eq!(check(&World::history(shape)), vec![]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is claimed to have happened: the search decides as one that tries everything.
    #[test]
    fn the_search_decides_as_trying_everything_does(shape in shapes(4, 9, 40, 2), spoilt in 0..3_usize) {
        let mut history = World::history(shape);
        let mut random = Random::of_seed(shape.seed);
        (0..spoilt).for_each(|_| spoil(&mut history, &mut random));
        let expected = some_order_explains(&history, 0, &None);
        let found = search(&history);
        prop_assert_eq!(found == Found::Order, expected, "{:?}: {:?}", found, history);
    }
}

/// One group of a long run, with more requests at once than a run has and several leaders lost.
#[test]
fn a_long_history_is_decided() {
    for seed in 1..=8 {
        let shape = Shape { seed, clients: 12, operations: 1_000, unknown_percent: 2, accounts: 7, counters: 2 };
        let history = World::history(shape);
        let unknown = history.iter().filter(|operation| operation.answer().is_none()).count();
        let began = std::time::Instant::now();
        assert_eq!(check(&history), vec![], "{shape:?}");
        println!("{} operations, {unknown} of them without an answer: {:?}", history.len(), began.elapsed());
    }
}
