//! What the outside is told of a decision.
//!
//! A notice goes into the same log entry as the change it tells of: nobody hears of what did not happen.
//! Numbers, receivers and fields: docs/spec/events.md 1, 2 and 4. Which tips exist for which kind: 2.2.
//! A live room stores nothing, so it has no tips here: its pushes leave without a trace.

use super::{Kind, MsgFlag, ProfileChange};
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
    /// (4)
    AdminsAppointed { accounts: Vec<AccountId> },
    /// (5)
    AdminsDismissed { accounts: Vec<AccountId> },
    /// (6) One tip for all changes of a request.
    ProfileChanged { changes: Vec<ProfileChange> },
    /// (6) with flag 5.
    OwnerChanged { owner: AccountId },
    /// (7) 0 seconds: they may speak again.
    MembersMuted { accounts: Vec<AccountId>, for_secs: u32 },
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
    /// (9)
    AdminGranted,
    /// (10)
    AdminRevoked,
    /// (17) Unix seconds; 0: may speak again.
    Muted { until_secs: u64 },
    /// (21)
    MsgFlagChanged { flag: MsgFlag },
    /// (22) Unix seconds.
    Banned { until_secs: u64, description: String },
    /// (23)
    Unbanned,
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

/// Says whether mutes and appointments leave a tip. Source: docs/spec/events.md 2.2, 2.3.
pub(super) fn stores_rank_tips(kind: Kind, active: bool) -> bool {
    match kind {
        Kind::Work => active,
        Kind::Public | Kind::Community => true,
        Kind::Meeting | Kind::AvChatRoom => false,
    }
}

/// Says whether appointments are reported to the appointed. Source: docs/spec/events.md 2.2.
pub(super) fn reports_appointments(kind: Kind) -> bool {
    kind != Kind::Meeting
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each kind, active and inactive: tips of members, of texts and of ranks, and reports of appointments.
    #[test]
    fn kinds_tell_what_the_specification_has_them_tell() {
        let told = |kind, active| {
            let tips = [stores_member_tips, stores_text_tips, stores_rank_tips].map(|stores| stores(kind, active));
            (tips, reports_appointments(kind))
        };
        assert_eq!(told(Kind::Work, false), ([false, false, false], true));
        assert_eq!(told(Kind::Work, true), ([true, true, true], true));
        assert_eq!(told(Kind::Public, true), ([true, true, true], true));
        assert_eq!(told(Kind::Meeting, true), ([false, true, false], false));
        assert_eq!(told(Kind::AvChatRoom, true), ([false, false, false], true));
        assert_eq!(told(Kind::Community, true), ([true, true, true], true));
    }
}
