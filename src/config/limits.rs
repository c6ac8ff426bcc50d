//! The numbers of an app: limits, defaults of new groups, and the presets that set several at once.

use serde::{Deserialize, Serialize};

use super::sections::{range, wrong};
use super::{AppSettings, ConfigError};
use crate::group;

/// Numbers that rules and edge judge by, under the names of docs/spec/limits.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    pub profile_preset: ProfilePreset,
    pub group_name_bytes: usize,
    pub group_introduction_bytes: usize,
    pub group_notification_bytes: usize,
    pub group_face_url_bytes: usize,
    pub name_card_bytes: usize,
    pub kick_reason_bytes: usize,
    pub ban_description_bytes: usize,
    pub group_custom_keys: usize,
    pub member_custom_keys: usize,
    pub custom_key_bytes: usize,
    pub group_custom_value_bytes: usize,
    pub member_custom_value_bytes: usize,
    pub attr_keys: usize,
    pub attr_key_bytes: usize,
    pub attr_value_bytes: usize,
    pub attr_total_bytes: usize,
    pub attr_write_per_sec: u32,
    pub counter_keys: usize,
    pub counter_key_bytes: usize,
    pub create_group_member: usize,
    pub add_group_member: usize,
    pub delete_group_member: usize,
    pub import_group_member: usize,
    pub mute_members: usize,
    pub ban_members: usize,
    pub avchatroom_admins: usize,
    pub get_group_info_ids: usize,
    pub specified_members: usize,
    pub role_query: usize,
    pub member_page: usize,
    pub member_page_community: usize,
    pub joined_page: usize,
    pub app_group_page: usize,
    pub ban_page: usize,
    pub max_members: MaxMembers,
    pub admins_per_group: u32,
    pub groups_per_user: u64,
    pub groups_per_app: u64,
    pub avchatrooms_per_app: u64,
    pub communities_per_app: u64,
    pub daily_net_groups: u64,
    pub daily_reset_utc_offset_minutes: i32,
    pub daily_net_counts_community: bool,
}

/// Copies the limits that are called the same here and in the rules, one way and the other.
macro_rules! called_the_same {
    ($($limit:ident),* $(,)?) => {
        impl Default for LimitsSection {
            fn default() -> Self {
                // The numbers live with the rules; here they only get their names.
                let limits = group::Limits::default();
                let max = limits.max_members;
                Self {
                    profile_preset: ProfilePreset::Classic,
                    $($limit: limits.$limit,)*
                    max_members: MaxMembers {
                        work: max.work,
                        public: max.public,
                        meeting: max.meeting,
                        avchatroom: max.avchatroom,
                        community: max.community,
                    },
                }
            }
        }

        impl AppSettings {
            /// What the rules judge by.
            pub fn group_limits(&self, groups: &super::Groups) -> group::Limits {
                let (limits, max, default_max) = (&self.limits, self.limits.max_members, self.defaults.max_member_num);
                group::Limits {
                    $($limit: limits.$limit,)*
                    max_members: group::PerKind {
                        work: max.work,
                        public: max.public,
                        meeting: max.meeting,
                        avchatroom: max.avchatroom,
                        community: max.community,
                    },
                    default_max_members: group::PerKind {
                        work: default_max.work,
                        public: default_max.public,
                        meeting: default_max.meeting,
                        avchatroom: default_max.avchatroom,
                        community: default_max.community,
                    },
                    admins_manage_admins: groups.admins_manage_admins,
                    custom: self.custom_fields.rules(),
                }
            }
        }
    };
}

called_the_same!(
    group_name_bytes,
    group_introduction_bytes,
    group_notification_bytes,
    group_face_url_bytes,
    name_card_bytes,
    kick_reason_bytes,
    ban_description_bytes,
    group_custom_keys,
    member_custom_keys,
    custom_key_bytes,
    group_custom_value_bytes,
    member_custom_value_bytes,
    attr_keys,
    attr_key_bytes,
    attr_value_bytes,
    attr_total_bytes,
    attr_write_per_sec,
    counter_keys,
    counter_key_bytes,
    create_group_member,
    add_group_member,
    delete_group_member,
    import_group_member,
    mute_members,
    ban_members,
    avchatroom_admins,
    get_group_info_ids,
    specified_members,
    role_query,
    member_page,
    member_page_community,
    joined_page,
    app_group_page,
    ban_page,
    admins_per_group,
    groups_per_user,
    groups_per_app,
    avchatrooms_per_app,
    communities_per_app,
    daily_net_groups,
    daily_reset_utc_offset_minutes,
    daily_net_counts_community,
);

/// Which of the documented lengths of profile texts apply. Source: docs/spec/limits.md 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfilePreset {
    Classic,
    Extended,
}

impl ProfilePreset {
    /// The keys it sets, and to how many bytes.
    pub fn lengths(self) -> [(&'static str, u64); 4] {
        let [name, introduction, notification, face_url] = match self {
            ProfilePreset::Classic => [30, 240, 300, 100],
            ProfilePreset::Extended => [100, 400, 400, 500],
        };
        [
            ("limits.group_name_bytes", name),
            ("limits.group_introduction_bytes", introduction),
            ("limits.group_notification_bytes", notification),
            ("limits.group_face_url_bytes", face_url),
        ]
    }
}

/// The numbers of a hosted plan, for those who want to meet its limits at home. International naming.
///
/// Whether communities exist at all is `features.community`: a plan without them leaves their numbers alone.
///
/// Source: docs/spec/limits.md 4 and 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    #[default]
    None,
    Trial,
    Standard,
    Pro,
    ProPlus,
    Enterprise,
}

impl Edition {
    /// The keys it sets, and to what.
    pub fn numbers(self) -> Vec<(&'static str, u64)> {
        // Members of a group; groups of a user, of the app; live rooms; members of a community, communities.
        let (members, per_user, per_app, live_rooms, communities) = match self {
            Edition::None => return Vec::new(),
            // The page has 10 to 50 live rooms; the newer text says 50.
            Edition::Trial => (20, 50, 100, 50, None),
            Edition::Standard => (500, 1_000, 0, 50, None),
            Edition::Pro => (2_000, 1_000, 0, 0, Some((100_000, 100_000))),
            Edition::ProPlus => (5_000, 3_000, 0, 0, Some((1_000_000, 1_000_000))),
            Edition::Enterprise => (6_000, 5_000, 0, 0, Some((1_000_000, 1_000_000))),
        };
        let mut numbers = vec![
            ("limits.max_members.work", members),
            ("limits.max_members.public", members),
            ("limits.max_members.meeting", members),
            ("limits.groups_per_user", per_user),
            ("limits.groups_per_app", per_app),
            ("limits.avchatrooms_per_app", live_rooms),
        ];
        if let Some((members, communities)) = communities {
            numbers.push(("limits.max_members.community", members));
            numbers.push(("limits.communities_per_app", communities));
        }
        numbers
    }
}

/// The most members a group of each type may have; 0: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaxMembers {
    pub work: u32,
    pub public: u32,
    pub meeting: u32,
    pub avchatroom: u32,
    pub community: u32,
}

impl Default for MaxMembers {
    fn default() -> Self {
        LimitsSection::default().max_members
    }
}

/// What a group gets that names nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    pub max_member_num: MaxMemberNum,
}

/// `MaxMemberNum` of a group that names none; 0: the cap of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaxMemberNum {
    pub work: u32,
    pub public: u32,
    pub meeting: u32,
    pub avchatroom: u32,
    pub community: u32,
}

pub(super) fn validate(limits: &LimitsSection, defaults: &Defaults) -> Result<(), ConfigError> {
    const KIB: u64 = 1024;
    for (key, bytes) in [
        ("limits.group_name_bytes", limits.group_name_bytes),
        ("limits.group_introduction_bytes", limits.group_introduction_bytes),
        ("limits.group_notification_bytes", limits.group_notification_bytes),
        ("limits.group_face_url_bytes", limits.group_face_url_bytes),
        ("limits.name_card_bytes", limits.name_card_bytes),
        ("limits.kick_reason_bytes", limits.kick_reason_bytes),
        ("limits.ban_description_bytes", limits.ban_description_bytes),
        ("limits.custom_key_bytes", limits.custom_key_bytes),
        ("limits.group_custom_value_bytes", limits.group_custom_value_bytes),
        ("limits.member_custom_value_bytes", limits.member_custom_value_bytes),
        ("limits.attr_key_bytes", limits.attr_key_bytes),
        ("limits.attr_value_bytes", limits.attr_value_bytes),
        ("limits.counter_key_bytes", limits.counter_key_bytes),
    ] {
        range(key, bytes as u64, 0, 64 * KIB)?;
    }
    // One change of an attribute may touch all of them.
    range("limits.attr_total_bytes", limits.attr_total_bytes as u64, 0, 1_024 * KIB)?;
    for (key, count) in [
        ("limits.group_custom_keys", limits.group_custom_keys),
        ("limits.member_custom_keys", limits.member_custom_keys),
        ("limits.attr_keys", limits.attr_keys),
        ("limits.counter_keys", limits.counter_keys),
    ] {
        range(key, count as u64, 0, 1_000)?;
    }
    range("limits.attr_write_per_sec", u64::from(limits.attr_write_per_sec), 0, 1_000_000)?;
    for (key, count) in [
        ("limits.create_group_member", limits.create_group_member),
        ("limits.add_group_member", limits.add_group_member),
        ("limits.delete_group_member", limits.delete_group_member),
        ("limits.import_group_member", limits.import_group_member),
        ("limits.mute_members", limits.mute_members),
        ("limits.ban_members", limits.ban_members),
        ("limits.avchatroom_admins", limits.avchatroom_admins),
        ("limits.get_group_info_ids", limits.get_group_info_ids),
        ("limits.specified_members", limits.specified_members),
        ("limits.role_query", limits.role_query),
    ] {
        range(key, count as u64, 0, 100_000)?;
    }
    // A page of nothing would never end; a page without a bound is not a page.
    for (key, count) in [
        ("limits.member_page", limits.member_page),
        ("limits.member_page_community", limits.member_page_community),
        ("limits.joined_page", limits.joined_page),
        ("limits.app_group_page", limits.app_group_page),
        ("limits.ban_page", limits.ban_page),
    ] {
        range(key, count as u64, 1, 100_000)?;
    }
    // One day east or west: beyond that the number is not an offset.
    let offset = limits.daily_reset_utc_offset_minutes;
    if !(-1_440..=1_440).contains(&offset) {
        return wrong("limits.daily_reset_utc_offset_minutes", format!("{offset} is outside -1440..=1440"));
    }
    let (cap, default) = (limits.max_members, defaults.max_member_num);
    for (kind, default, cap) in [
        ("work", default.work, cap.work),
        ("public", default.public, cap.public),
        ("meeting", default.meeting, cap.meeting),
        ("avchatroom", default.avchatroom, cap.avchatroom),
        ("community", default.community, cap.community),
    ] {
        if cap != 0 && default > cap {
            return wrong(
                &format!("defaults.max_member_num.{kind}"),
                format!("{default} is above limits.max_members.{kind} = {cap}"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Groups;

    #[test]
    fn the_limits_of_the_defaults_are_the_limits_of_the_rules() {
        assert_eq!(AppSettings::default().group_limits(&Groups::default()), group::Limits::default());
    }

    #[test]
    fn the_classic_preset_is_the_default() {
        let limits = LimitsSection::default();
        let shipped = [
            limits.group_name_bytes,
            limits.group_introduction_bytes,
            limits.group_notification_bytes,
            limits.group_face_url_bytes,
        ];
        assert_eq!(ProfilePreset::Classic.lengths().map(|(_, bytes)| bytes as usize), shipped);
    }
}
