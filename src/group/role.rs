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
    /// Writing a custom field, of the group or of a member, that was declared with this lowest rank.
    ChangeDeclared(Rank),
    Transfer,
    Import,
    ImportMembers,
    /// Changing a member at all, oneself included; then, for each field, one of the following.
    ChangeMember,
    /// What everybody may say of oneself: name card, receive option, custom fields without a rule of their own.
    ChangeOwn,
    /// Name card or custom fields of somebody else, who has this role.
    ChangeOther(Role),
    ChangeOthersMsgFlag,
    /// Appointing or dismissing somebody who has this role now.
    SetAdmin(Role),
    /// Silencing anybody, or letting them speak again; then, for each, one of the following.
    Mute,
    MuteTarget(Role),
    UnmuteTarget(Role),
    /// Keeping anybody out, or letting them in again; then, for each, one of the following.
    Ban,
    BanTarget(Role),
    UnbanTarget(Role),
    /// Appointing or dismissing admins of a live room; then, for each, the following.
    ChangeLiveAdmins,
    ChangeAttributes,
    ChangeCounters,
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
            Operation::ChangeDeclared(_) => "changing a custom field",
            Operation::Transfer => "transferring the group",
            Operation::Import => "importing the group",
            Operation::ImportMembers => "importing members",
            Operation::ChangeMember => "changing a member",
            Operation::ChangeOwn => "changing one's own NameCard, MsgFlag or AppMemberDefinedData",
            Operation::ChangeOther(_) => "changing another's NameCard or AppMemberDefinedData",
            Operation::ChangeOthersMsgFlag => "changing another's MsgFlag",
            Operation::SetAdmin(_) => "appointing or dismissing an admin",
            Operation::Mute => "muting members",
            Operation::MuteTarget(Role::Member) => "muting a member",
            Operation::MuteTarget(Role::Admin) => "muting an admin",
            Operation::MuteTarget(Role::Owner) => "muting the owner",
            Operation::UnmuteTarget(_) => "unmuting a member of this role",
            Operation::Ban => "banning members",
            Operation::BanTarget(Role::Member) => "banning a member",
            Operation::BanTarget(Role::Admin) => "banning an admin",
            Operation::BanTarget(Role::Owner) => "banning the owner",
            Operation::UnbanTarget(_) => "unbanning a member of this role",
            Operation::ChangeLiveAdmins => "changing the admins of a live room",
            Operation::ChangeAttributes => "changing attributes",
            Operation::ChangeCounters => "changing counters",
        }
    }
}

/// The settings that rights depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) invite_join: InviteJoin,
    pub(super) support_topic: bool,
    /// Of the app: [`Limits::admins_manage_admins`](super::Limits::admins_manage_admins).
    pub(super) admins_manage_admins: bool,
}

/// Says whether somebody of that rank may do it in a group of that kind.
///
/// An app admin passes every rank and the join options, never what a kind does not support.
///
/// # Errors
/// [`Refusal::NotSupported`] if nobody may in this kind, [`Refusal::NotPermitted`] if somebody higher may, and
/// [`Refusal::BadParameter`] where the pages say so: for a removal from a live room by the REST API, and for an
/// owner to whom nobody may do that.
///
/// Source: docs/spec/group-types.md 6.1 and 6.3 to 6.6; docs/spec/rest-api.md 4.8, 4.13; README.md there.
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
            above(rank, target, operation)?;
            // A Work group may be without an owner. The others would be left with nobody to hand it on.
            match target {
                Role::Owner if kind != Work => {
                    let what = "the owner cannot be removed, transfer the group first";
                    Err(Refusal::BadParameter { field: "MemberToDel_Account", what })
                }
                _ => Ok(()),
            }
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
        // Whoever is no member may read a field that is anyone's, and writes nothing: docs/spec/group-types.md 6.3.
        (Operation::ChangeDeclared(lowest), _) => from(lowest.max(Rank::Member)),

        (Operation::Transfer | Operation::Import | Operation::ImportMembers, AvChatRoom) => unsupported,
        (Operation::Transfer, _) => from(Rank::Owner),
        (Operation::Import | Operation::ImportMembers, _) => from(Rank::AppAdmin),

        // A live room has no stored members to change; its admins have a command of their own.
        (Operation::ChangeMember | Operation::ChangeOwn | Operation::ChangeOther(_), AvChatRoom) => unsupported,
        (Operation::ChangeMember | Operation::ChangeOwn, _) => from(Rank::Member),
        (Operation::ChangeOther(target), _) => above(rank, target, operation),
        (Operation::ChangeOthersMsgFlag, AvChatRoom) => unsupported,
        (Operation::ChangeOthersMsgFlag, _) => from(Rank::AppAdmin),
        (Operation::SetAdmin(_), Work | AvChatRoom) => unsupported,
        (Operation::SetAdmin(Role::Owner), _) => spare_owner(rank, operation, "Role", "the owner stays the owner"),
        // Settled: an admin appoints and dismisses, itself included, unless the app leaves that to the owner.
        (Operation::SetAdmin(_), _) if options.admins_manage_admins => from(Rank::Admin),
        (Operation::SetAdmin(_), _) => from(Rank::Owner),

        (Operation::Mute | Operation::MuteTarget(_) | Operation::UnmuteTarget(_), Work) => unsupported,
        (Operation::Mute, _) => from(Rank::Admin),
        (Operation::MuteTarget(Role::Owner), _) => {
            spare_owner(rank, operation, "MuteTime", "the owner cannot be muted")
        }
        // Somebody muted may have become the owner since; who else should let the owner speak again?
        (Operation::UnmuteTarget(Role::Owner), _) => from(Rank::Owner),
        (Operation::MuteTarget(target) | Operation::UnmuteTarget(target), _) => above(rank, target, operation),

        (Operation::Ban, AvChatRoom) => from(Rank::Admin),
        (Operation::BanTarget(target) | Operation::UnbanTarget(target), AvChatRoom) => above(rank, target, operation),
        (Operation::Ban | Operation::BanTarget(_) | Operation::UnbanTarget(_), _) => unsupported,

        (Operation::ChangeLiveAdmins, AvChatRoom) => from(Rank::AppAdmin),
        (Operation::ChangeLiveAdmins, _) => unsupported,

        (Operation::ChangeAttributes, _) => from(Rank::Member),
        (Operation::ChangeCounters, Community) => unsupported,
        (Operation::ChangeCounters, _) => from(Rank::Member),
    }
}

/// Acting on somebody else needs a strictly higher rank. Source: docs/spec/group-types.md 2.
///
/// A member is above nobody, so this asks for an admin at least.
fn above(rank: Rank, target: Role, operation: Operation) -> Result<(), Refusal> {
    match rank > Rank::from(target) {
        true => Ok(()),
        false => Err(Refusal::NotPermitted { rank, operation: operation.name() }),
    }
}

/// What nobody does to an owner: for lower ranks a matter of rank, for the others of the value.
///
/// Source: docs/spec/group-types.md 6.4.
fn spare_owner(rank: Rank, operation: Operation, field: &'static str, what: &'static str) -> Result<(), Refusal> {
    match rank < Rank::Owner {
        true => Err(Refusal::NotPermitted { rank, operation: operation.name() }),
        false => Err(Refusal::BadParameter { field, what }),
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
    const RIGHTS: [(Operation, Options, [&str; 5]); 59] = {
        const FREE: Options =
            Options { invite_join: InviteJoin::Free, support_topic: false, admins_manage_admins: true };
        const APPROVED: Options = Options { invite_join: InviteJoin::NeedPermission, ..FREE };
        const CLOSED: Options = Options { invite_join: InviteJoin::Disabled, ..FREE };
        const TOPICS: Options = Options { support_topic: true, ..FREE };
        const BY_OWNER: Options = Options { admins_manage_admins: false, ..FREE };
        [
            // operation                       options    Work     Public   Meeting  AvChat   Community
            (Create,                          FREE,      ["+++++", "+++++", "+++++", "+++++", "+++++"]),
            (CreateWithMembers,               FREE,      ["+++++", "+++++", "+++++", "uuuuu", "+++++"]),
            (Add,                             FREE,      ["++++-", "++++-", "++++-", "uuuuu", "++++-"]),
            (Add,                             APPROVED,  ["+++--", "+++--", "+++--", "uuuuu", "+++--"]),
            (Add,                             CLOSED,    ["+----", "+----", "+----", "uuuuu", "+----"]),
            (Remove,                          FREE,      ["++---", "+++--", "+++--", "puuuu", "+++--"]),
            (RemoveTarget(Role::Member),      FREE,      ["++---", "+++--", "+++--", "puuuu", "+++--"]),
            (RemoveTarget(Role::Admin),       FREE,      ["++---", "++---", "++---", "puuuu", "++---"]),
            (RemoveTarget(Role::Owner),       FREE,      ["+----", "p----", "p----", "puuuu", "p----"]),
            (Destroy,                         FREE,      ["+----", "++---", "++---", "++---", "++---"]),
            (ChangeProfile,                   FREE,      ["++++-", "++++-", "++++-", "++++-", "++++-"]),
            (ChangeTexts,                     FREE,      ["++++-", "+++--", "+++--", "++---", "+++--"]),
            (ChangeCustom,                    FREE,      ["++++-", "+++--", "+++--", "++---", "+++--"]),
            (ChangeApplyJoin,                 FREE,      ["uuuuu", "+++--", "+++--", "uuuuu", "+++--"]),
            (ChangeInviteJoin,                FREE,      ["++---", "+++--", "+++--", "uuuuu", "+++--"]),
            (ChangeMembersMax,                FREE,      ["++---", "++---", "++---", "++++-", "++---"]),
            (ChangeMuteAll,                   FREE,      ["uuuuu", "+++--", "+++--", "++---", "+++--"]),
            (ChangeHistoryBeforeJoin,         FREE,      ["+----", "+----", "+----", "uuuuu", "uuuuu"]),
            (ChangeSupportTopic,              FREE,      ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
            (ChangeSupportTopic,              TOPICS,    ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
            (ChangePermissions,               FREE,      ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "uuuuu"]),
            (ChangePermissions,               TOPICS,    ["uuuuu", "uuuuu", "uuuuu", "uuuuu", "++---"]),
            (ChangeDeclared(Rank::AppAdmin),  FREE,      ["+----", "+----", "+----", "+----", "+----"]),
            (ChangeDeclared(Rank::Owner),     FREE,      ["++---", "++---", "++---", "++---", "++---"]),
            (ChangeDeclared(Rank::Admin),     FREE,      ["+++--", "+++--", "+++--", "+++--", "+++--"]),
            (ChangeDeclared(Rank::Member),    FREE,      ["++++-", "++++-", "++++-", "++++-", "++++-"]),
            (ChangeDeclared(Rank::NotMember), FREE,      ["++++-", "++++-", "++++-", "++++-", "++++-"]),
            (Transfer,                        FREE,      ["++---", "++---", "++---", "uuuuu", "++---"]),
            (Import,                          FREE,      ["+----", "+----", "+----", "uuuuu", "+----"]),
            (ImportMembers,                   FREE,      ["+----", "+----", "+----", "uuuuu", "+----"]),
            (ChangeMember,                    FREE,      ["++++-", "++++-", "++++-", "uuuuu", "++++-"]),
            (ChangeOwn,                       FREE,      ["++++-", "++++-", "++++-", "uuuuu", "++++-"]),
            (ChangeOther(Role::Member),       FREE,      ["+++--", "+++--", "+++--", "uuuuu", "+++--"]),
            (ChangeOther(Role::Admin),        FREE,      ["++---", "++---", "++---", "uuuuu", "++---"]),
            (ChangeOther(Role::Owner),        FREE,      ["+----", "+----", "+----", "uuuuu", "+----"]),
            (ChangeOthersMsgFlag,             FREE,      ["+----", "+----", "+----", "uuuuu", "+----"]),
            (SetAdmin(Role::Member),          FREE,      ["uuuuu", "+++--", "+++--", "uuuuu", "+++--"]),
            (SetAdmin(Role::Admin),           FREE,      ["uuuuu", "+++--", "+++--", "uuuuu", "+++--"]),
            (SetAdmin(Role::Owner),           FREE,      ["uuuuu", "pp---", "pp---", "uuuuu", "pp---"]),
            (SetAdmin(Role::Member),          BY_OWNER,  ["uuuuu", "++---", "++---", "uuuuu", "++---"]),
            (SetAdmin(Role::Admin),           BY_OWNER,  ["uuuuu", "++---", "++---", "uuuuu", "++---"]),
            (SetAdmin(Role::Owner),           BY_OWNER,  ["uuuuu", "pp---", "pp---", "uuuuu", "pp---"]),
            (Mute,                            FREE,      ["uuuuu", "+++--", "+++--", "+++--", "+++--"]),
            (MuteTarget(Role::Member),        FREE,      ["uuuuu", "+++--", "+++--", "+++--", "+++--"]),
            (MuteTarget(Role::Admin),         FREE,      ["uuuuu", "++---", "++---", "++---", "++---"]),
            (MuteTarget(Role::Owner),         FREE,      ["uuuuu", "pp---", "pp---", "pp---", "pp---"]),
            (UnmuteTarget(Role::Member),      FREE,      ["uuuuu", "+++--", "+++--", "+++--", "+++--"]),
            (UnmuteTarget(Role::Admin),       FREE,      ["uuuuu", "++---", "++---", "++---", "++---"]),
            (UnmuteTarget(Role::Owner),       FREE,      ["uuuuu", "++---", "++---", "++---", "++---"]),
            (Ban,                             FREE,      ["uuuuu", "uuuuu", "uuuuu", "+++--", "uuuuu"]),
            (BanTarget(Role::Member),         FREE,      ["uuuuu", "uuuuu", "uuuuu", "+++--", "uuuuu"]),
            (BanTarget(Role::Admin),          FREE,      ["uuuuu", "uuuuu", "uuuuu", "++---", "uuuuu"]),
            (BanTarget(Role::Owner),          FREE,      ["uuuuu", "uuuuu", "uuuuu", "+----", "uuuuu"]),
            (UnbanTarget(Role::Member),       FREE,      ["uuuuu", "uuuuu", "uuuuu", "+++--", "uuuuu"]),
            (UnbanTarget(Role::Admin),        FREE,      ["uuuuu", "uuuuu", "uuuuu", "++---", "uuuuu"]),
            (UnbanTarget(Role::Owner),        FREE,      ["uuuuu", "uuuuu", "uuuuu", "+----", "uuuuu"]),
            (ChangeLiveAdmins,                FREE,      ["uuuuu", "uuuuu", "uuuuu", "+----", "uuuuu"]),
            (ChangeAttributes,                FREE,      ["++++-", "++++-", "++++-", "++++-", "++++-"]),
            (ChangeCounters,                  FREE,      ["++++-", "++++-", "++++-", "++++-", "uuuuu"]),
        ]
    };

    #[test]
    fn rights_are_as_the_specification_has_them() {
        for (operation, options, row) in RIGHTS {
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
        for (operation, options, _) in RIGHTS {
            for kind in Kind::ALL {
                let may: Vec<bool> = RANKS.map(|rank| permit(kind, rank, operation, options).is_ok()).to_vec();
                assert!(may.windows(2).all(|pair| pair[0] >= pair[1]), "{operation:?} in {kind:?}: {may:?}");
            }
        }
    }

    #[test]
    fn the_codes_are_those_of_the_reference() {
        let options = Options { invite_join: InviteJoin::Free, support_topic: false, admins_manage_admins: true };
        let code = |kind, rank, operation| permit(kind, rank, operation, options).unwrap_err().code();
        assert_eq!(code(Kind::AvChatRoom, Rank::AppAdmin, Remove), 10004);
        assert_eq!(code(Kind::AvChatRoom, Rank::Owner, Remove), 10007);
        assert_eq!(code(Kind::Public, Rank::AppAdmin, RemoveTarget(Role::Owner)), 10004);
        assert_eq!(code(Kind::Public, Rank::Owner, RemoveTarget(Role::Owner)), 10007);
        assert_eq!(code(Kind::Work, Rank::Owner, Destroy), 10007);
        assert_eq!(code(Kind::Public, Rank::Owner, MuteTarget(Role::Owner)), 10004);
        assert_eq!(code(Kind::Public, Rank::Admin, MuteTarget(Role::Owner)), 10007);
        assert_eq!(code(Kind::AvChatRoom, Rank::AppAdmin, ChangeMember), 10007);
    }
}
