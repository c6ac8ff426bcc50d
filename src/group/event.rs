//! What was decided, in the past tense. Folding the events of a group in order gives the group.

use super::{ApplyJoin, CustomField, InviteJoin, Kind, MsgFlag, Role};
use crate::id::AccountId;
use crate::time::Stamp;

/// One decided change of one group.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Created(Created),
    /// They join in this order.
    MembersAdded {
        members: Vec<AddedMember>,
        at: Stamp,
    },
    /// An owner among them leaves the group without one.
    MembersRemoved {
        accounts: Vec<AccountId>,
        at: Stamp,
    },
    /// Never empty, and every change is one.
    ProfileChanged {
        changes: Vec<ProfileChange>,
        at: Stamp,
    },
    /// They join in this order, each at a moment of its own.
    MembersImported {
        members: Vec<ImportedMember>,
    },
    /// Never empty, and every change is one.
    MemberChanged {
        account: AccountId,
        changes: Vec<MemberChange>,
    },
    /// The owner that was, if any, is an ordinary member now.
    OwnerChanged {
        from: Option<AccountId>,
        to: AccountId,
        at: Stamp,
    },
    /// Members or not; `until_secs` in Unix seconds, 0: they may speak again.
    Muted {
        accounts: Vec<AccountId>,
        until_secs: u64,
        at: Stamp,
    },
    AttributesChanged {
        set: Vec<(String, String)>,
        removed: Vec<String>,
    },
    CountersChanged {
        set: Vec<(String, i64)>,
        removed: Vec<String>,
    },
    /// Members or not; `until_secs` in Unix seconds.
    Banned {
        accounts: Vec<AccountId>,
        until_secs: u64,
        description: String,
        at: Stamp,
    },
    Unbanned {
        accounts: Vec<AccountId>,
    },
    /// Live rooms only: their admins are stored and are no members.
    LiveAdminsChanged {
        appointed: Vec<AccountId>,
        dismissed: Vec<AccountId>,
        at: Stamp,
    },
    Destroyed {
        at: Stamp,
    },
}

/// One account as it becomes a member by import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMember {
    pub account: AccountId,
    pub role: Role,
    pub joined: Stamp,
    /// The last message sequence number that it has read.
    pub msg_seq: u64,
}

/// One field of a member with its new value; the mute is an event of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberChange {
    /// `Admin` or `Member`.
    Role(Role),
    MsgFlag(MsgFlag),
    NameCard(String),
    /// An empty value: the key is gone.
    Custom(CustomField),
}

/// A new group as it begins; its members follow in a `MembersAdded` of the same entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    pub kind: Kind,
    /// Recorded also where the owner is not a stored member (live rooms).
    pub owner: Option<AccountId>,
    pub name: String,
    pub introduction: String,
    pub notification: String,
    pub face_url: String,
    /// 0: unlimited.
    pub members_max: u32,
    pub apply_join: ApplyJoin,
    pub invite_join: InviteJoin,
    pub history_before_join: bool,
    pub custom: Vec<CustomField>,
    pub support_topic: bool,
    pub enable_permission: bool,
    pub default_permission: u64,
    /// A Work group begins inactive unless it was imported.
    pub active: bool,
    /// When it was created; of an imported group before the moment of the decision.
    pub at: Stamp,
}

/// One account as it becomes a member.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedMember {
    pub account: AccountId,
    pub role: Role,
    pub custom: Vec<CustomField>,
}

/// One field of the profile with its new value.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileChange {
    Name(String),
    Introduction(String),
    Notification(String),
    FaceUrl(String),
    MembersMax(u32),
    ApplyJoin(ApplyJoin),
    InviteJoin(InviteJoin),
    MuteAll(bool),
    HistoryBeforeJoin(bool),
    SupportTopic(bool),
    EnablePermission(bool),
    DefaultPermission(u64),
    /// An empty value: the key is gone.
    Custom(CustomField),
}
