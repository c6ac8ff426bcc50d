//! What the outside is told of a decision.
//!
//! A notice goes into the same log entry as the change it tells of: nobody hears of what did not happen.
//! Numbers, receivers and fields: docs/spec/events.md 1, 2 and 4. Which tips exist for which kind: 2.2.
//! A live room stores nothing, so it has no tips here: its pushes leave without a trace.

use super::{Kind, ProfileChange};
use crate::id::AccountId;

/// Something to be told; receivers are never an empty list.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A tip in the group's own log: stored once, takes the next message sequence number.
    Tip { operator: AccountId, tip: Tip },
    /// A report in the feed of each named account.
    Report { to: Vec<AccountId>, operator: AccountId, report: Report },
}

/// Source: docs/spec/events.md 2, `OpType` in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Tip {
    /// (1) `GroupJoinType` 2: joined by invitation.
    MembersInvited { accounts: Vec<AccountId>, member_count: u32 },
    /// (3)
    MembersKicked { accounts: Vec<AccountId>, member_count: u32, reason: String },
    /// (6) One tip for all changes of a request.
    ProfileChanged { changes: Vec<ProfileChange> },
}

/// Source: docs/spec/events.md 1, `ReportType` in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// (4)
    Kicked { reason: String },
    /// (6)
    GroupCreated,
    /// (7)
    Invited,
}
// Report 5 (disbanded) goes to every member of the moment. The rules do not hold them all, so it is
// not a notice: apply, which walks the member rows, writes it from `Event::Destroyed`.

impl Notice {
    pub(super) fn tip(operator: &AccountId, tip: Tip) -> Self {
        Notice::Tip { operator: operator.clone(), tip }
    }

    pub(super) fn report(to: Vec<AccountId>, operator: &AccountId, report: Report) -> Self {
        Notice::Report { to, operator: operator.clone(), report }
    }
}

/// Says whether joining, leaving and being removed leave a tip. Source: docs/spec/events.md 2.2 and 2.3.
pub(super) fn stores_member_tips(kind: Kind, active: bool) -> bool {
    match kind {
        Kind::Work => active,
        Kind::Public | Kind::Community => true,
        Kind::Meeting | Kind::AvChatRoom => false,
    }
}

/// Says whether a new name, introduction, notification or face leaves a tip. Source: docs/spec/events.md 2.2, 2.3.
pub(super) fn stores_text_tips(kind: Kind, active: bool) -> bool {
    match kind {
        Kind::Work => active,
        Kind::Public | Kind::Meeting | Kind::Community => true,
        Kind::AvChatRoom => false,
    }
}
