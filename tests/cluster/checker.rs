//! Holds a whole history against the rules: group by group, then within a group account by account and counter by
//! counter, then the group as a whole.
//!
//! Groups have nothing to do with each other, so a history is right if that of each group is (linearizability is a
//! local property: Herlihy and Wing, TOPLAS 12, 1990). Within a group that is only half true: one order must hold for
//! all accounts, a change of several takes effect at once, and a profile shows them in one moment. What concerns one
//! account alone is therefore checked first, because a mistake there is found at once and named in a few lines; it
//! proves nothing right. The whole group is checked in any case.

use crate::history::{Account, Action, Answer, COUNTERS, Counter, End, Operation};
use crate::search::{Found, search};

/// Something that no order of the operations explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub group: usize,
    pub scope: Scope,
    pub why: String,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Account(Account),
    Counter(Counter),
    Whole,
}

/// What is wrong in a history; of each group at most the first thing.
pub fn check(history: &[Operation]) -> Vec<Violation> {
    let groups = history.iter().map(|operation| operation.group + 1).max().unwrap_or_default();
    let check = |group| {
        let own: Vec<Operation> = history.iter().filter(|operation| operation.group == group).cloned().collect();
        check_group(group, &own)
    };
    (0..groups).filter_map(check).collect()
}

fn check_group(group: usize, operations: &[Operation]) -> Option<Violation> {
    let accounts = (0..crate::history::ACCOUNTS as u8).map(|i| Scope::Account(Account(i)));
    let counters = (0..COUNTERS as u8).map(|i| Scope::Counter(Counter(i)));
    accounts.chain(counters).chain([Scope::Whole]).find_map(|scope| {
        let part: Vec<Operation> = operations.iter().filter_map(|operation| scope.restrict(operation)).collect();
        let why = match search(&part) {
            Found::Order => return None,
            Found::Nothing(why) => why,
            Found::Undecided => "no order was found in the time there was".to_owned(),
        };
        if let Ok(folder) = std::env::var("MUSTER_TEST_DUMP") {
            let lines: Vec<String> = part.iter().map(|operation| format!("{operation:?}")).collect();
            let _ = std::fs::write(format!("{folder}/group-{group}"), lines.join("\n"));
        }
        Some(Violation { group, scope, why })
    })
}

impl Scope {
    /// What an operation says about this much of the group; `None`: nothing.
    fn restrict(self, operation: &Operation) -> Option<Operation> {
        let tells_of_group = operation.action.is_of_whole_group() || operation.answer() == Some(&Answer::NoGroup);
        let (action, answer) = match (self, &operation.action) {
            (Scope::Whole, _) => return Some(operation.clone()),
            (Scope::Account(account), action) => of_account(account, action, operation.answer()),
            (Scope::Counter(counter), action) => of_counter(counter, action, operation.answer()),
        }
        .or_else(|| tells_of_group.then(|| (operation.action.clone(), operation.answer().cloned())))?;
        let end = match (answer, &operation.end) {
            (Some(answer), End::Answered(_, at)) => End::Answered(answer, *at),
            _ => End::Unknown,
        };
        Some(Operation { action, end, ..operation.clone() })
    }
}

type Restricted = Option<(Action, Option<Answer>)>;

fn of_account(account: Account, action: &Action, answer: Option<&Answer>) -> Restricted {
    let alone = vec![account];
    let shown = |accounts: &[Account]| accounts.iter().position(|other| *other == account);
    // Which of the accounts it is, and of an answer that tells of each only what it tells of this one.
    let (action, place) = match action {
        Action::Add(accounts) => (Action::Add(alone), shown(accounts)?),
        Action::Remove(accounts) => (Action::Remove(alone), shown(accounts)?),
        Action::ReadRoles(accounts) => (Action::ReadRoles(alone), shown(accounts)?),
        Action::SetRole(other, role) if *other == account => (Action::SetRole(account, *role), 0),
        Action::ReadProfile => (Action::ReadRoles(alone), usize::from(account.0)),
        _ => return None,
    };
    let answer = answer.map(|answer| match answer {
        Answer::Added(entered) => Answer::Added(vec![entered[place]]),
        Answer::Roles(roles) => Answer::Roles(vec![roles[place]]),
        Answer::Profile(profile) => Answer::Roles(vec![profile.roster[place]]),
        other => other.clone(),
    });
    Some((action, answer))
}

fn of_counter(counter: Counter, action: &Action, answer: Option<&Answer>) -> Restricted {
    match action {
        Action::Count(other, _) if *other == counter => Some((action.clone(), answer.cloned())),
        Action::ReadCounters => {
            let answer = answer.map(|answer| match answer {
                Answer::Counters(values) => {
                    let mut alone = [0; COUNTERS];
                    alone[usize::from(counter.0)] = values[usize::from(counter.0)];
                    Answer::Counters(alone)
                }
                other => other.clone(),
            });
            Some((Action::ReadCounters, answer))
        }
        _ => None,
    }
}
