//! The rules of one group: pure and synchronous.
//!
//! [`decide`] judges a command and changes nothing; [`evolve`] folds one event and judges nothing.
//! No I/O, no clock, no randomness, no wire or row types: those belong to the layers around.
//!
//! ```text
//! shape (edge) → decide → events, notices, answer → fold: evolve each event, evolve_notice each notice
//! ```

mod add;
mod admission;
mod attributes;
mod ban;
mod change_member;
mod change_profile;
mod command;
mod counters;
mod create;
mod custom;
mod destroy;
mod event;
mod import;
mod import_members;
mod kind;
mod limits;
mod live_admins;
mod mute;
mod notice;
mod refusal;
mod remove;
mod role;
pub mod shape;
mod state;
mod transfer;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod testing;

pub use command::{
    Add, AttributeChange, Ban, ChangeAttributes, ChangeCounters, ChangeLiveAdmins, ChangeMember, ChangeProfile,
    Command, CounterChange, Create, CustomField, Destroy, FOR_EVER_SECS, Import, ImportMember, ImportMembers, Mute,
    Needs, NewMember, Operator, Remove, Transfer, Unban,
};
pub use event::{AddedMember, Created, Event, ImportedMember, MemberChange, ProfileChange};
pub use kind::{ApplyJoin, InviteJoin, Kind, MsgFlag};
pub use limits::{CustomRule, CustomRules, Limits, PerKind};
pub use notice::{Notice, Report, Tip};
pub use refusal::Refusal;
pub use role::{Rank, Role};
pub use state::{Card, Facts, Group, Member, Profile, Restriction};

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
    /// Named accounts that do not exist (`accounts.mode = imported`).
    pub unknown_accounts: &'a [AccountId],
    /// The app may not gain another group today (`limits.daily_net_groups`).
    pub daily_quota_spent: bool,
    /// The app may not gain another group of this kind at all: which limit says so.
    pub app_full: Option<AppLimit>,
}

/// A limit on all groups of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppLimit {
    /// `limits.groups_per_app`
    Groups,
    /// `limits.avchatrooms_per_app`
    LiveRooms,
    /// `limits.communities_per_app`
    Communities,
}

impl AppLimit {
    /// How many groups it allows; 0: any number.
    pub fn of(self, limits: &Limits) -> u64 {
        match self {
            AppLimit::Groups => limits.groups_per_app,
            AppLimit::LiveRooms => limits.avchatrooms_per_app,
            AppLimit::Communities => limits.communities_per_app,
        }
    }

    /// The kinds of group that it counts.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            AppLimit::Groups => &Kind::ALL,
            AppLimit::LiveRooms => &[Kind::AvChatRoom],
            AppLimit::Communities => &[Kind::Community],
        }
    }
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
    /// One per account asked for, in that order; of imports too.
    Added(Vec<AddResult>),
    /// The same of an earlier request, which may have asked for others; no decision says so.
    AddedBefore(Vec<(AccountId, AddResult)>),
    /// One per account asked for, in that order; only for users, since REST calls are all or nothing.
    Removed(Vec<RemoveResult>),
    /// The counters that were named, as they are now, in the order of the request.
    Counted(Vec<(String, i64)>),
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
        Command::Import(c) => import::decide(group, c, context),
        Command::Add(c) => add::decide(group, c, context),
        Command::ImportMembers(c) => import_members::decide(group, c, context),
        Command::Remove(c) => remove::decide(group, c, context),
        Command::ChangeProfile(c) => change_profile::decide(group, c, context),
        Command::ChangeMember(c) => change_member::decide(group, c, context),
        Command::Mute(c) => mute::decide(group, c, context),
        Command::Transfer(c) => transfer::decide(group, c, context),
        Command::ChangeAttributes(c) => attributes::decide(group, c, context),
        Command::ChangeCounters(c) => counters::decide(group, c, context),
        Command::Ban(c) => ban::decide(group, c, context),
        Command::Unban(c) => ban::decide_lift(group, c, context),
        Command::ChangeLiveAdmins(c) => live_admins::decide(group, c, context),
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
        (Some(group), Event::MembersImported { members }) => group.admit_imported(members),
        (Some(group), Event::MemberChanged { account, changes }) => group.change_member(account, changes),
        (Some(group), Event::OwnerChanged { from, to, at }) => group.hand_over(from.as_ref(), to, *at),
        (Some(group), Event::Muted { accounts, until_secs, .. }) => {
            group.restrict(accounts, |restriction| restriction.muted_until = *until_secs);
        }
        (Some(group), Event::Banned { accounts, until_secs, .. }) => {
            group.restrict(accounts, |restriction| restriction.banned_until = *until_secs);
        }
        (Some(group), Event::Unbanned { accounts }) => {
            group.restrict(accounts, |restriction| restriction.banned_until = 0);
        }
        (Some(group), Event::AttributesChanged { set, removed }) => group.change_attributes(set, removed),
        (Some(group), Event::CountersChanged { set, removed }) => group.change_counters(set, removed),
        (Some(group), Event::LiveAdminsChanged { appointed, dismissed, .. }) => {
            group.change_live_admins(appointed, dismissed);
        }
        (Some(_), Event::Destroyed { .. }) => *group = None,
        (Some(_), Event::Created(_)) => panic!("a group was created over another: {event:?}"),
        (None, _) => panic!("something happened to a group that does not exist: {event:?}"),
    }
}

/// Folds one notice: every tip takes the next message sequence number, a report takes nothing.
pub fn evolve_notice(group: &mut Group, notice: &Notice) {
    group.number(notice);
}
