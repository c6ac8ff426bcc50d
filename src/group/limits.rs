//! The numbers that rules and edge judge by; one value per app, built from its configuration.
//!
//! Source of every number: docs/spec/limits.md, under the same names. 0 = unlimited where the page says so.

use super::{Kind, Rank};

/// What one app allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub group_name_bytes: usize,
    pub group_introduction_bytes: usize,
    pub group_notification_bytes: usize,
    pub group_face_url_bytes: usize,
    pub kick_reason_bytes: usize,
    /// Keys that nobody declared, of one group.
    pub group_custom_keys: usize,
    /// Keys that nobody declared, of one member.
    pub member_custom_keys: usize,
    pub custom_key_bytes: usize,
    pub group_custom_value_bytes: usize,
    pub member_custom_value_bytes: usize,
    pub create_group_member: usize,
    pub add_group_member: usize,
    pub delete_group_member: usize,
    pub import_group_member: usize,
    pub mute_members: usize,
    pub ban_members: usize,
    pub ban_page: usize,
    pub avchatroom_admins: usize,
    pub specified_members: usize,
    pub role_query: usize,
    pub app_group_page: usize,
    pub name_card_bytes: usize,
    pub ban_description_bytes: usize,
    pub attr_keys: usize,
    pub attr_key_bytes: usize,
    pub attr_value_bytes: usize,
    pub attr_total_bytes: usize,
    /// Writes of one caller to one group; 0: any number.
    pub attr_write_per_sec: u32,
    pub counter_keys: usize,
    pub counter_key_bytes: usize,
    pub get_group_info_ids: usize,
    pub member_page: usize,
    pub member_page_community: usize,
    pub joined_page: usize,
    pub max_members: PerKind,
    /// Members a group gets that names no number; 0: the cap of its kind.
    pub default_max_members: PerKind,
    pub admins_per_group: u32,
    pub groups_per_user: u64,
    pub groups_per_app: u64,
    pub avchatrooms_per_app: u64,
    pub communities_per_app: u64,
    pub daily_net_groups: u64,
    /// Minutes east of UTC at which the quota's day begins.
    pub daily_reset_utc_offset_minutes: i32,
    pub daily_net_counts_community: bool,
    /// Admins appoint ordinary members and cancel admins; else the owner alone does.
    pub admins_manage_admins: bool,
    pub custom: CustomRules,
}

/// Which custom keys an app has, and who may read and write them. Source: docs/spec/group-types.md 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomRules {
    pub group: Vec<CustomRule>,
    pub member: Vec<CustomRule>,
}

/// One declared key. A rank may do what it and every lower one may.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomRule {
    pub key: String,
    /// Kinds of group that have it; empty: all.
    pub kinds: Vec<Kind>,
    /// Lowest rank that may; [`Rank::NotMember`] is anyone.
    pub read: Rank,
    pub write: Rank,
    /// Of members: whether one may read and write the own value, whatever the rank.
    pub own_read: bool,
    pub own_write: bool,
}

impl Limits {
    /// Says whether a group of that kind may be given that maximum of members; 0 asks for no limit.
    pub(super) fn allows_members_max(&self, kind: Kind, wanted: u32) -> bool {
        match self.max_members.of(kind) {
            0 => true,
            cap => (1..=cap).contains(&wanted),
        }
    }

    /// Says whether a group may have so many admins. A live room has a limit of its own.
    pub(super) fn allows_admins(&self, count: u32) -> bool {
        within(count as usize, self.admins_per_group as usize)
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
            import_group_member: 300,
            mute_members: 500,
            ban_members: 20,
            ban_page: 100,
            avchatroom_admins: 5,
            specified_members: 50,
            role_query: 500,
            app_group_page: 10_000,
            name_card_bytes: 50,
            ban_description_bytes: 1000,
            attr_keys: 16,
            attr_key_bytes: 32,
            attr_value_bytes: 4000,
            attr_total_bytes: 16_000,
            attr_write_per_sec: 5,
            counter_keys: 20,
            counter_key_bytes: 128,
            get_group_info_ids: 50,
            member_page: 6000,
            member_page_community: 100,
            joined_page: 5000,
            max_members: PerKind { work: 6000, public: 6000, meeting: 6000, avchatroom: 0, community: 100_000 },
            default_max_members: PerKind { work: 0, public: 0, meeting: 0, avchatroom: 0, community: 0 },
            admins_per_group: 50,
            groups_per_user: 5000,
            groups_per_app: 0,
            avchatrooms_per_app: 0,
            communities_per_app: 100_000,
            daily_net_groups: 10_000,
            daily_reset_utc_offset_minutes: 480,
            daily_net_counts_community: true,
            admins_manage_admins: true,
            custom: CustomRules::default(),
        }
    }
}
