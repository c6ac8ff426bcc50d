//! What reads answer: plain values of the committed state, rendered by the HTTP workers.

use crate::group::{CustomField, Facts, Kind, MsgFlag, Role};
use crate::id::{AccountId, GroupId};
use crate::store::Version;
use crate::time::Stamp;

/// A group as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    pub id: GroupId,
    /// What was read under it once is what is read under it again.
    pub version: Version,
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
    /// Of the group.
    pub version: Version,
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

/// Members by name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMembers {
    pub kind: Kind,
    /// One per account asked for, in that order; `None`: no member.
    pub members: Vec<Option<MemberView>>,
}

/// Who may not speak.
#[derive(Clone, Debug, PartialEq)]
pub struct MutedList {
    pub kind: Kind,
    /// Account and end of the silence (Unix seconds), by account; those whose silence is over are left out.
    pub muted: Vec<(AccountId, u64)>,
}

/// Keys with their values, by key: attributes or counters of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyValues<V> {
    pub kind: Kind,
    pub values: Vec<(String, V)>,
}

/// Which bans of a live room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanQuery {
    /// Bans in force that are passed over.
    pub offset: u64,
    pub limit: usize,
    /// Unix seconds: bans that are over by then are left out.
    pub now_secs: u64,
}

/// A page of bans, by account.
#[derive(Clone, Debug, PartialEq)]
pub struct BanPage {
    pub kind: Kind,
    /// Account and end of the ban (Unix seconds).
    pub banned: Vec<(AccountId, u64)>,
    /// There are more after these.
    pub has_more: bool,
}

/// What an account is called and looks like, as far as it was imported with that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    pub nick: String,
    pub face_url: String,
}

/// The admins of a live room.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveAdmins {
    pub kind: Kind,
    /// In the order of their appointment.
    pub admins: Vec<AccountId>,
}

/// Which groups of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllGroupsQuery {
    pub kind: Option<Kind>,
    /// 0: from the start; else a value of [`AllGroupsPage::next`].
    pub next: u64,
    pub limit: usize,
}

/// A page of an app's groups, by slot, then kind, then age.
#[derive(Clone, Debug, PartialEq)]
pub struct AllGroupsPage {
    /// All groups of that kind, whatever the page.
    pub total: u64,
    pub ids: Vec<GroupId>,
    /// 0: this was the last page. Below 2^53.
    pub next: u64,
}
