//! Who somebody is in a group, and the table of who may do what.
//!
//! [`permit`] is the only place that grants a right: the intentions ask it and add what depends on values.
//! It knows no accounts, no counts and no limits.
//!
//! Source: docs/spec/group-types.md 2, 3 and 6; what README.md settles wins.

use super::{InviteJoin, Kind, Refusal};

/// A stored member's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Member,
    Admin,
    Owner,
}

/// The standing a command is judged by: strictly higher acts on lower.
///
/// Source: docs/spec/group-types.md 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rank {
    NotMember,
    Member,
    Admin,
    Owner,
    AppAdmin,
}

impl From<Role> for Rank {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Rank::Member,
            Role::Admin => Rank::Admin,
            Role::Owner => Rank::Owner,
        }
    }
}

/// What a right is asked for; finer than a command where a command touches several rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Create,
    /// Creating with a list of initial members.
    CreateWithMembers,
    /// Adding others without their consent.
    Add,
    /// Removing anybody at all; then, for each, [`Operation::RemoveTarget`].
    Remove,
    RemoveTarget(Role),
    Destroy,
    /// Changing the profile at all; then, for each field, one of the following.
    ChangeProfile,
    /// Name, introduction, notification, face.
    ChangeTexts,
    ChangeCustom,
    ChangeApplyJoin,
    ChangeInviteJoin,
    ChangeMembersMax,
    ChangeMuteAll,
    ChangeHistoryBeforeJoin,
    ChangeSupportTopic,
    /// Whether permission groups decide rights, and the default permissions.
    ChangePermissions,
}

impl Operation {
    /// Names the operation in a refusal's text.
    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Create => "creating the group",
            Operation::CreateWithMembers => "initial members",
            Operation::Add => "adding members",
            Operation::Remove => "removing members",
            Operation::RemoveTarget(Role::Member) => "removing a member",
            Operation::RemoveTarget(Role::Admin) => "removing an admin",
            Operation::RemoveTarget(Role::Owner) => "removing the owner",
            Operation::Destroy => "disbanding the group",
            Operation::ChangeProfile => "changing the profile",
            Operation::ChangeTexts => "changing Name, Introduction, Notification or FaceUrl",
            Operation::ChangeCustom => "changing AppDefinedData",
            Operation::ChangeApplyJoin => "changing ApplyJoinOption",
            Operation::ChangeInviteJoin => "changing InviteJoinOption",
            Operation::ChangeMembersMax => "changing MaxMemberNum",
            Operation::ChangeMuteAll => "changing MuteAllMember",
            Operation::ChangeHistoryBeforeJoin => "changing HistoryMsgBeforeJoin",
            Operation::ChangeSupportTopic => "changing SupportTopic",
            Operation::ChangePermissions => "changing EnablePermission or DefaultPermission",
        }
    }
}

/// The settings of a group that rights depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) invite_join: InviteJoin,
    pub(super) support_topic: bool,
}

/// Says whether somebody of that rank may do it in a group of that kind.
///
/// An app admin passes every rank and the join options, never what a kind does not support.
///
/// # Errors
/// [`Refusal::NotSupported`] if nobody may in this kind, [`Refusal::NotPermitted`] if somebody higher may, and
/// [`Refusal::BadParameter`] for the two removals that the REST API answers so: from a live room, and of an
/// owner who has to be replaced first.
///
/// Source: docs/spec/group-types.md 6.1, 6.3 and 6.5; docs/spec/rest-api.md 4.8.
pub(super) fn permit(kind: Kind, rank: Rank, operation: Operation, options: Options) -> Result<(), Refusal> {
    use Kind::{AvChatRoom, Community, Meeting, Public, Work};

    let unsupported = Err(Refusal::NotSupported { kind, operation: operation.name() });
    let from = |lowest: Rank| match rank >= lowest {
        true => Ok(()),
        false => Err(Refusal::NotPermitted { rank, operation: operation.name() }),
    };
    match (operation, kind) {
        (Operation::Create, _) => Ok(()),
        (Operation::CreateWithMembers, AvChatRoom) => unsupported,
        (Operation::CreateWithMembers, _) => Ok(()),

        (Operation::Add, AvChatRoom) => unsupported,
        (Operation::Add, _) => match options.invite_join {
            InviteJoin::Free => from(Rank::Member),
            // Owner and admins are the approvers, so theirs take effect at once. A plain member's would have to
            // wait for them, and there is no list to wait in: refused rather than answered "awaiting approval".
            InviteJoin::NeedPermission => from(Rank::Admin),
            InviteJoin::Disabled => from(Rank::AppAdmin),
        },

        // Callers of the REST API know this one as 10004, everybody else as 10007: docs/spec/rest-api.md 4.8.
        (Operation::Remove | Operation::RemoveTarget(_), AvChatRoom) if rank == Rank::AppAdmin => {
            Err(Refusal::BadParameter { field: "GroupId", what: "members of this type of group cannot be removed" })
        }
        (Operation::Remove | Operation::RemoveTarget(_), AvChatRoom) => unsupported,
        (Operation::Remove, Work) => from(Rank::Owner),
        (Operation::Remove, Public | Meeting | Community) => from(Rank::Admin),
        (Operation::RemoveTarget(target), _) => {
            permit(kind, rank, Operation::Remove, options)?;
            if rank <= Rank::from(target) {
                return Err(Refusal::NotPermitted { rank, operation: operation.name() });
            }
            // A Work group may be without an owner. The others would be left with nobody to hand it on.
            if target == Role::Owner && kind != Work {
                return Err(Refusal::BadParameter {
                    field: "MemberToDel_Account",
                    what: "the owner cannot be removed, transfer the group first",
                });
            }
            Ok(())
        }

        (Operation::Destroy, Work) => from(Rank::AppAdmin),
        (Operation::Destroy, _) => from(Rank::Owner),

        (Operation::ChangeProfile, _) => from(Rank::Member),
        // A custom field that is not declared has no write role of its own: it is as the texts are.
        (Operation::ChangeTexts | Operation::ChangeCustom, Work) => from(Rank::Member),
        (Operation::ChangeTexts | Operation::ChangeCustom, Public | Meeting | Community) => from(Rank::Admin),
        (Operation::ChangeTexts | Operation::ChangeCustom, AvChatRoom) => from(Rank::Owner),
        (Operation::ChangeApplyJoin, _) if kind.fixes_apply_join() => unsupported,
        (Operation::ChangeApplyJoin, _) => from(Rank::Admin),
        (Operation::ChangeInviteJoin, _) if kind.fixes_invite_join() => unsupported,
        (Operation::ChangeInviteJoin, Work) => from(Rank::Owner),
        (Operation::ChangeInviteJoin, _) => from(Rank::Admin),
        // Ignored in a live room, so nobody who may change anything is refused for naming it.
        (Operation::ChangeMembersMax, AvChatRoom) => from(Rank::Member),
        (Operation::ChangeMembersMax, _) => from(Rank::Owner),
        (Operation::ChangeMuteAll, Work) => unsupported,
        (Operation::ChangeMuteAll, AvChatRoom) => from(Rank::Owner),
        (Operation::ChangeMuteAll, _) => from(Rank::Admin),
        (Operation::ChangeHistoryBeforeJoin, AvChatRoom | Community) => unsupported,
        (Operation::ChangeHistoryBeforeJoin, _) => from(Rank::AppAdmin),
        (Operation::ChangeSupportTopic, Community) => from(Rank::Owner),
        (Operation::ChangePermissions, Community) if options.support_topic => from(Rank::Owner),
        (Operation::ChangeSupportTopic | Operation::ChangePermissions, _) => unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::Operation::*;
    use super::*;

    const RANKS: [Rank; 5] = [Rank::AppAdmin, Rank::Owner, Rank::Admin, Rank::Member, Rank::NotMember];

    /// What the table says for each kind, in the order of [`Kind::ALL`]; within, for each of [`RANKS`]:
    /// `+` permitted, `-` not permitted (10007), `u` not supported (10007), `p` bad parameter (10004).
    ///
    /// Ranks that a kind does not have are given, too: the table is total.
    #[rustfmt::skip]
    const RIGHTS: [(Operation, InviteJoin, bool, [&str; 5]); 22] = {
        use InviteJoin::{Disabled, Free, NeedPermission};
        const NO: bool = false;
        const TOPICS: bool = true;
        [
            // operation                  invitations            Work     Public   Meeting  AvChat   Community
            (Create,                      Free,           NO,     ["+++++", "+++++", "+++++", "+++++", "+++++"]),
            (CreateWithMembers,           Free,           NO,     ["+++++", "+++++", "+++++", "uuuuu", "+++++"]),
            (Add,                         Free,           NO,     ["++++-", "++++-", "++++-", "uuuuu", "++++-"]),
            (Add,                         NeedPermission, NO,     ["+++--", "+++--", "+++--", "uuuuu", "+++--"]),
            (Add,                         Disabled,       NO,     ["+----", "+----", "+----", "uuuuu", "+----"]),
            (Remove,                      Free,           NO,     ["++---", "+++--", "+++--", "puuuu", "+++--"]),
            (RemoveTarget(Role::Member),  Free,           NO,     ["++---", "+++--", "+++--", "puuuu", "+++--"]),
            (RemoveTarget(Role::Admin),   Free,           NO,     ["++---", "++---", "++---", "puuuu", "++---"]),
            (RemoveTarget(Role::Owner),   Free,           NO,     ["+----", "p----", "p----", "puuuu", "p----"]),
            (Destroy,                     Free,           NO,     ["+----", "++---", "++---", "++---", "++---"]),
            (ChangeProfile,               Free,           NO,     ["++++-", "++++-", "++++-", "++++-", "++++-"]),
            (ChangeTexts,                 Free,           NO,     ["++++-", "+++--", "+++--", "++---", "+++--"]),
            (ChangeCustom,                Free,           NO,     ["++++-", "+++--", "+++--", "++---", "+++--"]),
            (ChangeApplyJoin,             Free,           NO,     ["uuuuu", "+++--", "+++--", "uuuuu", "+++--"]),
            (ChangeInviteJoin,            Free,           NO,     ["++---", "+++--", "+++--", "uuuuu", "+++--"]),
            (ChangeMembersMax,            Free,           NO,     ["++---", "++---", "++---", "++++-", "++---"]),
            (ChangeMuteAll,               Free,           NO,     ["uuuuu", "+++--", "+++--", "++---", "+++--"]),
            (ChangeHistoryBeforeJoin,     Free,           NO,     ["+----", "+----", "+----", "uuuuu", "uuuuu"]),
            (ChangeSupportTopic,          Free,           NO,     ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
            (ChangeSupportTopic,          Free,           TOPICS, ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
            (ChangePermissions,           Free,           NO,     ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "uuuuu"]),
            (ChangePermissions,           Free,           TOPICS, ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
        ]
    };

    #[test]
    fn rights_are_as_the_specification_has_them() {
        for (operation, invite_join, support_topic, row) in RIGHTS {
            let options = Options { invite_join, support_topic };
            for (kind, expected) in Kind::ALL.into_iter().zip(row) {
                let letter = |rank| match permit(kind, rank, operation, options) {
                    Ok(()) => '+',
                    Err(Refusal::NotPermitted { rank: named, .. }) if named == rank => '-',
                    Err(Refusal::NotSupported { kind: named, .. }) if named == kind => 'u',
                    Err(Refusal::BadParameter { .. }) => 'p',
                    Err(other) => panic!("{other:?}"),
                };
                let found: String = RANKS.into_iter().map(letter).collect();
                assert_eq!(found, expected, "{operation:?} in {kind:?} with {options:?}");
            }
        }
    }

    #[test]
    fn a_higher_rank_may_what_a_lower_one_may() {
        for (operation, invite_join, support_topic, _) in RIGHTS {
            let options = Options { invite_join, support_topic };
            for kind in Kind::ALL {
                let may: Vec<bool> = RANKS.map(|rank| permit(kind, rank, operation, options).is_ok()).to_vec();
                assert!(may.windows(2).all(|pair| pair[0] >= pair[1]), "{operation:?} in {kind:?}: {may:?}");
            }
        }
    }

    #[test]
    fn the_codes_are_those_of_the_reference() {
        let options = Options { invite_join: InviteJoin::Free, support_topic: false };
        let code = |kind, rank, operation| permit(kind, rank, operation, options).unwrap_err().code();
        assert_eq!(code(Kind::AvChatRoom, Rank::AppAdmin, Remove), 10004);
        assert_eq!(code(Kind::AvChatRoom, Rank::Owner, Remove), 10007);
        assert_eq!(code(Kind::Public, Rank::AppAdmin, RemoveTarget(Role::Owner)), 10004);
        assert_eq!(code(Kind::Public, Rank::Owner, RemoveTarget(Role::Owner)), 10007);
        assert_eq!(code(Kind::Work, Rank::Owner, Destroy), 10007);
    }
}
