//! The rules of one group: pure and synchronous.
//!
//! [`decide`] judges a command and changes nothing; [`evolve`] folds one event and judges nothing.
//! No I/O, no clock, no randomness, no wire or row types: those belong to the layers around.
//!
//! ```text
//! shape (edge) → decide → events, notices, answer → fold: evolve each event, evolve_notice each notice
//! ```

mod add;
mod change_profile;
mod command;
mod create;
mod custom;
mod destroy;
mod event;
mod kind;
mod limits;
mod notice;
mod refusal;
mod remove;
mod role;
pub mod shape;
mod state;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod testing;

pub use command::{Add, ChangeProfile, Command, Create, CustomField, Destroy, NewMember, Operator, Remove};
pub use event::{AddedMember, Created, Event, ProfileChange};
pub use kind::{ApplyJoin, InviteJoin, Kind};
pub use limits::{Limits, PerKind};
pub use notice::{Notice, Report, Tip};
pub use refusal::Refusal;
pub use role::{Rank, Role};
pub use state::{Facts, Group, Member, Profile};

use crate::id::AccountId;
use crate::time::Stamp;

/// What a command is judged with besides the group itself.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    pub limits: &'a Limits,
    /// The moment of the decision.
    pub at: Stamp,
    /// Named accounts that may not enter another group (`limits.groups_per_user`).
    pub full_accounts: &'a [AccountId],
    /// The app may not gain another group today (`limits.daily_net_groups`).
    pub daily_quota_spent: bool,
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Decision {
    /// Empty: already so; nothing needs an entry.
    pub events: Vec<Event>,
    pub notices: Vec<Notice>,
    pub answer: Answer,
}

/// What the caller learns beyond "done".
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Answer {
    #[default]
    Done,
    /// One per account asked for, in that order.
    Added(Vec<AddResult>),
    /// One per account asked for, in that order; only for users, since REST calls are all or nothing.
    Removed(Vec<RemoveResult>),
}

/// Source: docs/spec/rest-api.md 4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddResult {
    Failed = 0,
    Added = 1,
    AlreadyMember = 2,
    AwaitingApproval = 3,
}

/// Source: docs/spec/client-operations.md 1 and 4.11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveResult {
    Failed = 0,
    Removed = 1,
    NotMember = 2,
}

impl Decision {
    pub(crate) fn one(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }

    pub(crate) fn answering(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// Folds all that was decided, as an entry in the log is folded: the events, then the notices.
    pub fn fold(&self, group: &mut Option<Group>) {
        for event in &self.events {
            evolve(group, event);
        }
        // A group that is gone has no log left to tell anything in.
        if let Some(group) = group {
            self.notices.iter().for_each(|notice| evolve_notice(group, notice));
        }
    }
}

/// Judges a command; `None` is a group that does not exist.
///
/// # Errors
/// The first [`Refusal`] in the order of docs/spec/group-types.md 6, from "group exists" on; what comes
/// before it (shape, lengths, list caps, id syntax) was checked at the edge with the same limits.
pub fn decide(group: Option<&Group>, command: &Command, context: &Context<'_>) -> Result<Decision, Refusal> {
    match command {
        Command::Create(c) => create::decide(group, c, context),
        Command::Add(c) => add::decide(group, c, context),
        Command::Remove(c) => remove::decide(group, c, context),
        Command::ChangeProfile(c) => change_profile::decide(group, c, context),
        Command::Destroy(c) => destroy::decide(group, c, context),
    }
}

/// Folds one event. It cannot fail: what could be wrong was judged by [`decide`].
///
/// # Panics
/// On events that cannot follow one another. The members that an event removes must be known, as
/// [`Command::named_accounts`] makes sure; those it adds need not be.
pub fn evolve(group: &mut Option<Group>, event: &Event) {
    match (group.as_mut(), event) {
        (None, Event::Created(created)) => *group = Some(Group::begin(created)),
        (Some(group), Event::MembersAdded { members, at }) => group.admit(members, *at),
        (Some(group), Event::MembersRemoved { accounts, at }) => group.dismiss(accounts, *at),
        (Some(group), Event::ProfileChanged { changes, at }) => group.change_profile(changes, *at),
        (Some(_), Event::Destroyed { .. }) => *group = None,
        (Some(_), Event::Created(_)) => panic!("a group was created over another: {event:?}"),
        (None, _) => panic!("something happened to a group that does not exist: {event:?}"),
    }
}

/// Folds one notice: every tip takes the next message sequence number, a report takes nothing.
pub fn evolve_notice(group: &mut Group, notice: &Notice) {
    group.number(notice);
}
