//! What clients asked for, what they were told, and when.

use std::time::{Duration, Instant};

/// Accounts that are put into groups; account 0 owns every group and is never removed.
pub const ACCOUNTS: usize = 8;
pub const OWNER: Account = Account(0);
/// Counters of a group.
pub const COUNTERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(pub u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter(pub u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Owner,
    Admin,
    Member,
}

/// The role of each account, if it is in the group.
pub type Roster = [Option<Role>; ACCOUNTS];

/// A group as one read shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    pub roster: Roster,
    /// Stands in the name of the group; no two requests give the same.
    pub name: u64,
    /// The number of the next tip: every change that is told to the members takes one.
    pub next_msg_seq: u64,
    /// Grows by one with every change of the name.
    pub info_seq: u64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// With its owner and nobody else; the number stands in its name.
    Create(u64),
    Destroy,
    /// All of them in one step.
    Add(Vec<Account>),
    Remove(Vec<Account>),
    /// Makes a member an admin, or an admin a member.
    SetRole(Account, Role),
    Rename(u64),
    Count(Counter, i64),
    ReadProfile,
    ReadRoles(Vec<Account>),
    ReadCounters,
}

/// What a node said that carried the request out, or judged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// For each account whether it entered; those who did not were members already.
    Added(Vec<bool>),
    /// The counter afterwards.
    Counted(i64),
    Profile(Profile),
    Roles(Vec<Option<Role>>),
    Counters([i64; COUNTERS]),
    /// Refused: there is no such group.
    NoGroup,
    /// Refused: there is a group of that id.
    Exists,
    /// Refused: the account is not in the group.
    NotMember,
    /// Something that no group can show: an account that nobody added, a roster beside its own count.
    Nonsense(String),
}

/// How a request ended. One that a node could not serve (60018, 60008, nothing was sent) changed nothing and stands in
/// no history: should its effect appear, nothing explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer, and when it was there.
    Answered(Answer, Moment),
    /// Perhaps it happens, at any time after it was asked for: an answer that says so, or none.
    Unknown,
}

/// One request to one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub client: usize,
    pub group: usize,
    pub action: Action,
    pub called: Moment,
    pub end: End,
}

/// Since the beginning of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// The one clock of all clients of a run: what one of them was told before another asked is known.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Action {
    pub fn is_read(&self) -> bool {
        matches!(self, Action::ReadProfile | Action::ReadRoles(_) | Action::ReadCounters)
    }

    /// Makes or unmakes the whole group.
    pub fn is_of_whole_group(&self) -> bool {
        matches!(self, Action::Create(_) | Action::Destroy)
    }

    /// What it changes or shows; nothing for what makes or unmakes the whole group.
    pub fn parts(&self) -> Parts {
        match self {
            Action::Create(_) | Action::Destroy => Parts::default(),
            Action::Add(accounts) | Action::Remove(accounts) | Action::ReadRoles(accounts) => {
                accounts.iter().fold(Parts::default(), |parts, account| parts.and(Parts::account(*account)))
            }
            Action::SetRole(account, _) => Parts::account(*account),
            Action::Rename(_) => Parts::NAME,
            Action::ReadProfile => Parts::PROFILE,
            Action::Count(counter, _) => Parts::counter(*counter),
            Action::ReadCounters => Parts::COUNTERS,
        }
    }
}

impl Answer {
    /// Whether it says that nothing was changed.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Answer::NoGroup | Answer::Exists | Answer::NotMember)
    }

    /// Whoever is told this has changed nothing, whatever there was.
    pub fn says_nothing_changed(&self) -> bool {
        match self {
            Answer::Done | Answer::Counted(_) => false,
            Answer::Added(entered) => !entered.contains(&true),
            Answer::Profile(_) | Answer::Roles(_) | Answer::Counters(_) => true,
            Answer::NoGroup | Answer::Exists | Answer::NotMember | Answer::Nonsense(_) => true,
        }
    }
}

/// Parts of a group that have nothing to do with each other: places of accounts, counters, the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u16);

impl Parts {
    pub const NAME: Self = Self(1 << (ACCOUNTS + COUNTERS));
    pub const COUNTERS: Self = Self(((1 << COUNTERS) - 1) << ACCOUNTS);
    pub const PROFILE: Self = Self(((1 << ACCOUNTS) - 1) | Self::NAME.0);

    pub fn account(account: Account) -> Self {
        Self(1 << account.0)
    }

    pub fn counter(counter: Counter) -> Self {
        Self(1 << (ACCOUNTS + usize::from(counter.0)))
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Operation {
    /// When its answer was there.
    pub fn returned(&self) -> Option<Moment> {
        match self.end {
            End::Answered(_, at) => Some(at),
            End::Unknown => None,
        }
    }

    pub fn answer(&self) -> Option<&Answer> {
        match &self.end {
            End::Answered(answer, _) => Some(answer),
            End::Unknown => None,
        }
    }
}

impl Moment {
    /// Since an earlier one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(&self) -> Moment {
        Moment(self.0.elapsed().as_nanos() as u64)
    }
}
