//! The numbers that rules and edge judge by; one value per app, built from its configuration.
//!
//! Source of every number: docs/spec/limits.md, under the same names. 0 = unlimited where the page says so.

use super::Kind;

/// What one app allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub group_name_bytes: usize,
    pub group_introduction_bytes: usize,
    pub group_notification_bytes: usize,
    pub group_face_url_bytes: usize,
    pub kick_reason_bytes: usize,
    pub group_custom_keys: usize,
    pub member_custom_keys: usize,
    pub custom_key_bytes: usize,
    pub group_custom_value_bytes: usize,
    pub member_custom_value_bytes: usize,
    pub create_group_member: usize,
    pub add_group_member: usize,
    pub delete_group_member: usize,
    pub get_group_info_ids: usize,
    pub member_page: usize,
    pub member_page_community: usize,
    pub joined_page: usize,
    pub max_members: PerKind,
    /// Members a group gets that names no number; 0: the cap of its kind.
    pub default_max_members: PerKind,
    pub admins_per_group: u32,
    pub groups_per_user: u64,
    pub daily_net_groups: u64,
    /// Minutes east of UTC at which the quota's day begins.
    pub daily_reset_utc_offset_minutes: i32,
    pub daily_net_counts_community: bool,
}

impl Limits {
    /// Says whether a group of that kind may be given that maximum of members; 0 asks for no limit.
    pub(super) fn allows_members_max(&self, kind: Kind, wanted: u32) -> bool {
        match self.max_members.of(kind) {
            0 => true,
            cap => (1..=cap).contains(&wanted),
        }
    }

    /// The maximum of members that a group gets which names none; 0: unlimited.
    pub(super) fn members_max_unnamed(&self, kind: Kind) -> u32 {
        match (self.default_max_members.of(kind), self.max_members.of(kind)) {
            (0, cap) => cap,
            (default, 0) => default,
            (default, cap) => default.min(cap),
        }
    }
}

/// Says whether a count is within its limit; a limit of 0 is none.
pub(super) fn within(count: usize, max: usize) -> bool {
    max == 0 || count <= max
}

/// One number for each kind of group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerKind {
    pub work: u32,
    pub public: u32,
    pub meeting: u32,
    pub avchatroom: u32,
    pub community: u32,
}

impl PerKind {
    pub fn of(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Work => self.work,
            Kind::Public => self.public,
            Kind::Meeting => self.meeting,
            Kind::AvChatRoom => self.avchatroom,
            Kind::Community => self.community,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group_name_bytes: 30,
            group_introduction_bytes: 240,
            group_notification_bytes: 300,
            group_face_url_bytes: 100,
            kick_reason_bytes: 256,
            group_custom_keys: 10,
            member_custom_keys: 5,
            custom_key_bytes: 16,
            group_custom_value_bytes: 512,
            member_custom_value_bytes: 64,
            create_group_member: 100,
            add_group_member: 300,
            delete_group_member: 500,
            get_group_info_ids: 50,
            member_page: 6000,
            member_page_community: 100,
            joined_page: 5000,
            max_members: PerKind { work: 6000, public: 6000, meeting: 6000, avchatroom: 0, community: 100_000 },
            default_max_members: PerKind { work: 0, public: 0, meeting: 0, avchatroom: 0, community: 0 },
            admins_per_group: 50,
            groups_per_user: 5000,
            daily_net_groups: 10_000,
            daily_reset_utc_offset_minutes: 480,
            daily_net_counts_community: true,
        }
    }
}
