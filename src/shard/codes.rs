//! The numbers that kinds, roles and options have in keys, rows and log entries; never change, never reuse one.

use crate::group::{ApplyJoin, Card, FOR_EVER_SECS, Facts, InviteJoin, Kind, Member, MsgFlag, Profile, Role};
use crate::id::Gno;
use crate::store::{GroupHeader, MemberKey, MemberRow, ProfileRow, Version};
use crate::time::Stamp;

fn wrong(what: &str, byte: u8) -> ! {
    panic!("a row has {what} {byte}, which no release wrote")
}

pub fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Work => 1,
        Kind::Public => 2,
        Kind::Meeting => 3,
        Kind::AvChatRoom => 4,
        Kind::Community => 5,
    }
}

/// # Panics
/// On a byte that no release wrote; so everywhere here.
pub fn kind_of(byte: u8) -> Kind {
    Kind::ALL.into_iter().find(|k| kind_byte(*k) == byte).unwrap_or_else(|| wrong("kind", byte))
}

/// Higher ranks sort first.
pub fn role_byte(role: Role) -> u8 {
    match role {
        Role::Owner => 1,
        Role::Admin => 2,
        Role::Member => 3,
    }
}

pub fn role_of(byte: u8) -> Role {
    [Role::Owner, Role::Admin, Role::Member]
        .into_iter()
        .find(|r| role_byte(*r) == byte)
        .unwrap_or_else(|| wrong("role", byte))
}

pub fn apply_join_byte(option: ApplyJoin) -> u8 {
    match option {
        ApplyJoin::Disabled => 0,
        ApplyJoin::NeedPermission => 1,
        ApplyJoin::Free => 2,
    }
}

pub fn apply_join_of(byte: u8) -> ApplyJoin {
    match byte {
        0 => ApplyJoin::Disabled,
        1 => ApplyJoin::NeedPermission,
        2 => ApplyJoin::Free,
        _ => wrong("apply option", byte),
    }
}

pub fn invite_join_byte(option: InviteJoin) -> u8 {
    match option {
        InviteJoin::Disabled => 0,
        InviteJoin::NeedPermission => 1,
        InviteJoin::Free => 2,
    }
}

pub fn invite_join_of(byte: u8) -> InviteJoin {
    match byte {
        0 => InviteJoin::Disabled,
        1 => InviteJoin::NeedPermission,
        2 => InviteJoin::Free,
        _ => wrong("invite option", byte),
    }
}

/// 0 in a row stands for the default of the kind.
pub fn msg_flag_byte(flag: MsgFlag) -> u8 {
    match flag {
        MsgFlag::AcceptAndNotify => 1,
        MsgFlag::AcceptNotNotify => 2,
        MsgFlag::Discard => 3,
        MsgFlag::AcceptNotNotifyExceptAt => 4,
    }
}

pub fn msg_flag_of(byte: u8) -> MsgFlag {
    match byte {
        1 => MsgFlag::AcceptAndNotify,
        2 => MsgFlag::AcceptNotNotify,
        3 => MsgFlag::Discard,
        4 => MsgFlag::AcceptNotNotifyExceptAt,
        _ => wrong("message flag", byte),
    }
}

/// What a member row's flag means in a group of that kind.
pub fn member_msg_flag(row: &MemberRow, kind: Kind) -> MsgFlag {
    match row.msg_flag {
        0 => kind.default_msg_flag(),
        flag => msg_flag_of(flag),
    }
}

/// Says whether a mute or ban until then holds no more; both in Unix seconds.
pub fn is_over(until_secs: u64, now_secs: u64) -> bool {
    until_secs <= now_secs && until_secs != u64::from(FOR_EVER_SECS)
}

/// A group's header as rules and fences see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub gno: Gno,
    pub version: Version,
    pub facts: Facts,
    /// Rows about mutes, those that are over and not yet swept included; so too the next.
    pub mute_count: u32,
    pub ban_count: u32,
}

const MUTE_ALL: u8 = 1;
const HISTORY_BEFORE_JOIN: u8 = 2;
const SUPPORT_TOPIC: u8 = 4;
const ENABLE_PERMISSION: u8 = 8;
const ACTIVE: u8 = 16;
const JOINS_OUT_OF_ORDER: u8 = 32;

impl From<&Head> for GroupHeader {
    fn from(head: &Head) -> Self {
        let facts = &head.facts;
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        GroupHeader {
            gno: head.gno.0,
            version: head.version,
            kind: kind_byte(facts.kind),
            owner: facts.owner.clone().map(Into::into),
            created: facts.created.0,
            members_max: facts.members_max,
            member_count: facts.member_count,
            admin_count: facts.admin_count,
            apply_join: apply_join_byte(facts.apply_join),
            invite_join: invite_join_byte(facts.invite_join),
            flags: flag(facts.mute_all, MUTE_ALL)
                | flag(facts.history_before_join, HISTORY_BEFORE_JOIN)
                | flag(facts.support_topic, SUPPORT_TOPIC)
                | flag(facts.enable_permission, ENABLE_PERMISSION)
                | flag(facts.active, ACTIVE)
                | flag(!facts.joins_in_order, JOINS_OUT_OF_ORDER),
            default_permission: facts.default_permission,
            next_msg_seq: facts.next_msg_seq,
            next_join_seq: facts.next_join_seq,
            info_seq: facts.info_seq,
            last_info: facts.last_info.0,
            last_msg: facts.last_msg.0,
            last_joined: facts.last_joined.0,
            mute_count: head.mute_count,
            ban_count: head.ban_count,
        }
    }
}

impl From<GroupHeader> for Head {
    fn from(row: GroupHeader) -> Self {
        let has = |bit: u8| row.flags & bit != 0;
        let kind = kind_of(row.kind);
        let last_joined = match row.last_joined {
            // A row of before there was the field: nobody joined after the last change of the membership.
            0 if kind.stores_members() && row.next_join_seq > 0 => row.last_info,
            last_joined => last_joined,
        };
        let facts = Facts {
            kind,
            created: Stamp(row.created),
            members_max: row.members_max,
            member_count: row.member_count,
            admin_count: row.admin_count,
            apply_join: apply_join_of(row.apply_join),
            invite_join: invite_join_of(row.invite_join),
            mute_all: has(MUTE_ALL),
            history_before_join: has(HISTORY_BEFORE_JOIN),
            support_topic: has(SUPPORT_TOPIC),
            enable_permission: has(ENABLE_PERMISSION),
            active: has(ACTIVE),
            default_permission: row.default_permission,
            next_msg_seq: row.next_msg_seq,
            next_join_seq: row.next_join_seq,
            info_seq: row.info_seq,
            last_info: Stamp(row.last_info),
            last_msg: Stamp(row.last_msg),
            last_joined: Stamp(last_joined),
            joins_in_order: !has(JOINS_OUT_OF_ORDER),
            owner: row.owner.map(|owner| owner.0),
        };
        Head { gno: Gno(row.gno), version: row.version, facts, mute_count: row.mute_count, ban_count: row.ban_count }
    }
}

impl From<ProfileRow> for Profile {
    fn from(row: ProfileRow) -> Self {
        Profile {
            name: row.name,
            introduction: row.introduction,
            notification: row.notification,
            face_url: row.face_url,
            custom: row.custom,
        }
    }
}

/// The member that a look-up row names.
pub fn member_of(row: &MemberKey) -> Member {
    Member { role: role_of(row.role), join_seq: row.join_seq }
}

/// What rules compare with of a member's row.
pub fn card_of(row: MemberRow, kind: Kind) -> Card {
    Card { msg_flag: member_msg_flag(&row, kind), name_card: row.name_card, custom: row.custom }
}
