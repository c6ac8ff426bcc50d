//! What was decided, in the past tense. Folding the events of a group in order gives the group.

use super::{ApplyJoin, CustomField, InviteJoin, Kind, Role};
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
    Destroyed {
        at: Stamp,
    },
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
