//! The words of the wire; nothing inside depends on them.
//!
//! Source: docs/spec/rest-api.md 3.2 and 3.3, docs/spec/group-types.md 1.

use crate::group::{ApplyJoin, InviteJoin, Kind, MsgFlag, Role};

/// The type of a group by either of its names.
pub fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "Work" | "Private" => Kind::Work,
        "Public" => Kind::Public,
        "Meeting" | "ChatRoom" => Kind::Meeting,
        "AVChatRoom" => Kind::AvChatRoom,
        "Community" => Kind::Community,
        _ => return None,
    })
}

/// How answers spell a type. Source: docs/spec/group-types.md 1, `wire.legacy_type_names`.
pub fn kind_word(kind: Kind, legacy: bool) -> &'static str {
    match (kind, legacy) {
        (Kind::Work, true) => "Private",
        (Kind::Work, false) => "Work",
        (Kind::Public, _) => "Public",
        (Kind::Meeting, true) => "ChatRoom",
        (Kind::Meeting, false) => "Meeting",
        (Kind::AvChatRoom, _) => "AVChatRoom",
        (Kind::Community, _) => "Community",
    }
}

pub fn apply_join(word: &str) -> Option<ApplyJoin> {
    Some(match word {
        "FreeAccess" => ApplyJoin::Free,
        "NeedPermission" => ApplyJoin::NeedPermission,
        "DisableApply" => ApplyJoin::Disabled,
        _ => return None,
    })
}

pub fn apply_join_word(option: ApplyJoin) -> &'static str {
    match option {
        ApplyJoin::Free => "FreeAccess",
        ApplyJoin::NeedPermission => "NeedPermission",
        ApplyJoin::Disabled => "DisableApply",
    }
}

pub fn invite_join(word: &str) -> Option<InviteJoin> {
    Some(match word {
        "FreeAccess" => InviteJoin::Free,
        "NeedPermission" => InviteJoin::NeedPermission,
        "DisableInvite" => InviteJoin::Disabled,
        _ => return None,
    })
}

pub fn invite_join_word(option: InviteJoin) -> &'static str {
    match option {
        InviteJoin::Free => "FreeAccess",
        InviteJoin::NeedPermission => "NeedPermission",
        InviteJoin::Disabled => "DisableInvite",
    }
}

pub fn role(word: &str) -> Option<Role> {
    Some(match word {
        "Owner" => Role::Owner,
        "Admin" => Role::Admin,
        "Member" => Role::Member,
        _ => return None,
    })
}

pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Admin => "Admin",
        Role::Member => "Member",
    }
}

/// What an account is called in a group it is not in. Source: docs/spec/rest-api.md 3.3.
pub const NOT_MEMBER: &str = "NotMember";

pub fn switch(word: &str) -> Option<bool> {
    match word {
        "On" => Some(true),
        "Off" => Some(false),
        _ => None,
    }
}

pub fn switch_word(on: bool) -> &'static str {
    if on { "On" } else { "Off" }
}

pub fn msg_flag(word: &str) -> Option<MsgFlag> {
    Some(match word {
        "AcceptAndNotify" => MsgFlag::AcceptAndNotify,
        "AcceptNotNotify" => MsgFlag::AcceptNotNotify,
        "Discard" => MsgFlag::Discard,
        "AcceptNotNotifyExceptAt" => MsgFlag::AcceptNotNotifyExceptAt,
        _ => return None,
    })
}

pub fn msg_flag_word(flag: MsgFlag) -> &'static str {
    match flag {
        MsgFlag::AcceptAndNotify => "AcceptAndNotify",
        MsgFlag::AcceptNotNotify => "AcceptNotNotify",
        MsgFlag::Discard => "Discard",
        MsgFlag::AcceptNotNotifyExceptAt => "AcceptNotNotifyExceptAt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_written_can_be_read() {
        for k in Kind::ALL {
            assert_eq!(kind(kind_word(k, true)), Some(k));
            assert_eq!(kind(kind_word(k, false)), Some(k));
        }
        for option in [ApplyJoin::Free, ApplyJoin::NeedPermission, ApplyJoin::Disabled] {
            assert_eq!(apply_join(apply_join_word(option)), Some(option));
        }
        for option in [InviteJoin::Free, InviteJoin::NeedPermission, InviteJoin::Disabled] {
            assert_eq!(invite_join(invite_join_word(option)), Some(option));
        }
        for r in [Role::Owner, Role::Admin, Role::Member] {
            assert_eq!(role(role_word(r)), Some(r));
        }
        use MsgFlag::*;
        for flag in [AcceptAndNotify, AcceptNotNotify, Discard, AcceptNotNotifyExceptAt] {
            assert_eq!(msg_flag(msg_flag_word(flag)), Some(flag));
        }
        assert_eq!([switch(switch_word(true)), switch(switch_word(false))], [Some(true), Some(false)]);
    }

    #[test]
    fn words_are_case_sensitive_and_the_retired_type_is_none() {
        assert_eq!([kind("private"), kind("BChatRoom"), kind("")], [None; 3]);
        assert_eq!([switch("on"), switch("1")], [None; 2]);
        assert_eq!(role(NOT_MEMBER), None);
    }
}
