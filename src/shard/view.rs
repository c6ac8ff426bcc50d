//! What reads answer: plain values of the committed state, rendered by the HTTP workers.

use crate::group::{CustomField, Facts, Kind, Role};
use crate::id::{AccountId, GroupId};
use crate::time::Stamp;

/// A group as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    pub id: GroupId,
    pub facts: Facts,
    pub name: String,
    pub introduction: String,
    pub notification: String,
    pub face_url: String,
    pub custom: Vec<CustomField>,
    /// `None` unless asked for; ordered by join time, then account.
    pub members: Option<Vec<MemberView>>,
}

/// A stored member as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberView {
    pub account: AccountId,
    pub role: Role,
    pub joined: Stamp,
    /// Last message sequence number the member has read.
    pub msg_seq: u64,
    pub msg_flag: MsgFlag,
    pub last_send: Stamp,
    pub name_card: String,
    /// Unix seconds; 0 not muted, 4294967295 for ever; compare with now when shown.
    pub mute_until: u64,
    pub custom: Vec<CustomField>,
}

/// What a member wants of messages. Source: docs/spec/rest-api.md 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsgFlag {
    AcceptAndNotify,
    AcceptNotNotify,
    Discard,
    AcceptNotNotifyExceptAt,
}

impl MsgFlag {
    /// Source: docs/spec/group-types.md 3.
    pub fn default_of(kind: Kind) -> Self {
        match kind {
            Kind::Work | Kind::Public | Kind::Community => MsgFlag::AcceptAndNotify,
            Kind::Meeting | Kind::AvChatRoom => MsgFlag::AcceptNotNotify,
        }
    }
}

/// Which members of a group, and where in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberQuery {
    /// Empty: all roles.
    pub roles: Vec<Role>,
    pub from: PageStart,
    /// Inclusive.
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PageStart {
    /// So many members of the wanted roles are passed over.
    Offset(u64),
    /// The first place in join order to look at, from [`MemberPage::next`].
    JoinSeq(u64),
}

/// A page of members.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberPage {
    pub kind: Kind,
    /// All members of the group, whatever the roles asked for.
    pub member_count: u32,
    pub members: Vec<MemberView>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<u64>,
}

/// Which groups of an account.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct JoinedQuery {
    pub kind: Option<Kind>,
    pub support_topic: Option<bool>,
    /// Live rooms too.
    pub with_live_rooms: bool,
    /// Inactive Work groups too, also where the account is not the owner.
    pub with_inactive: bool,
    pub offset: usize,
    pub limit: usize,
    /// Fill [`JoinedGroup::group`].
    pub with_group: bool,
    /// Fill [`JoinedGroup::own`].
    pub with_own: bool,
}

/// Ordered by join time, then group id.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedList {
    /// All that match, whatever offset and limit.
    pub total: usize,
    pub groups: Vec<JoinedGroup>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JoinedGroup {
    pub id: GroupId,
    pub group: Option<GroupView>,
    pub own: Option<MemberView>,
}
