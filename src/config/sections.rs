//! The sections: one struct each, with units, defaults and ranges.
//!
//! What goes wrong when a value is too small or too large is written once, in `muster.example.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};
use crate::group;

/// This process and where it keeps its data. Differs between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    pub data_dir: PathBuf,
    /// Shown in logs; empty: none.
    pub name: String,
}

/// The front door. May differ between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    /// 0: one per core.
    pub workers: usize,
    /// Open connections of one worker.
    pub connections_max: usize,
    pub max_request_bytes: usize,
    pub max_response_bytes: usize,
    pub keep_alive_ms: u64,
    /// For the head of a request, and again for its body.
    pub client_request_timeout_ms: u64,
    /// From the arrival of a request to its answer.
    pub timeout_ms: u64,
    /// At shutdown, for requests under way.
    pub shutdown_timeout_ms: u64,
    pub strict_query: bool,
}

/// The replicated shards. The same on all nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Fixed when the data folder is made.
    pub shards: u16,
}

/// Groups in memory and the queues before them. May differ between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Actors {
    /// 0: half as many as cores.
    pub arbiters: usize,
    /// Messages waiting for one shard.
    pub mailbox_max: usize,
    /// Requests a node has under way.
    pub inflight_max: usize,
    /// Commands of one group that wait for their entries.
    pub pending_per_group_max: usize,
    /// What active groups may take of memory, over all shards.
    pub resident_bytes_max: usize,
    pub idle_timeout_ms: u64,
}

/// The database. May differ between nodes, except that `flush` should not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    pub flush: bool,
    pub block_cache_bytes: usize,
    pub memtable_bytes: usize,
    pub wal_bytes: u64,
    /// Of one shard.
    pub log_bytes_max: u64,
}

/// How commands are carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    pub index_wait_ms: u64,
}

/// Signatures. Source: docs/spec/usersig.md 3 and 4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// 0: nobody is locked out.
    pub fail_limit: u32,
    pub fail_window_secs: u64,
    pub max_usersig_bytes: usize,
    pub max_future_skew_secs: u64,
    pub expiry_leeway_secs: u64,
    /// 0: as long as the signature says.
    pub max_expire_secs: u64,
}

/// Numbers that rules and edge judge by, under the names of docs/spec/limits.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    pub profile_preset: ProfilePreset,
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
    pub max_members: MaxMembers,
    pub admins_per_group: u32,
    pub groups_per_user: u64,
    pub daily_net_groups: u64,
    pub daily_reset_utc_offset_minutes: i32,
    pub daily_net_counts_community: bool,
}

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

/// Concessions to older clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compat {
    /// Unfiltered answers carry the old mute names too. Source: docs/spec/rest-api.md 3.4.
    pub legacy_mute_names: bool,
}

/// How things are spelt in answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    /// `Private` and `ChatRoom` rather than `Work` and `Meeting`. Source: docs/spec/group-types.md 1.
    pub legacy_type_names: bool,
}

/// Which custom keys exist. Source: docs/spec/rest-api.md 3.7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomFields {
    /// Undeclared keys are accepted.
    pub open: bool,
    pub group: Vec<DeclaredField>,
    pub member: Vec<DeclaredField>,
}

/// One declared custom key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredField {
    pub key: String,
}

/// What counts as an id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ids {
    /// Accounts in requests are `[A-Za-z0-9_-]` only. Source: docs/spec/identifiers.md 3.
    pub user_id_strict: bool,
}

/// What is written to stderr. May differ between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// A level, or directives such as `info,muster::api=debug`.
    pub level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Human,
    Json,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Default for Node {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("./data"), name: String::new() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: 0,
            connections_max: 20_000,
            max_request_bytes: MIB,
            max_response_bytes: MIB,
            keep_alive_ms: 75_000,
            client_request_timeout_ms: 5_000,
            timeout_ms: 3_000,
            shutdown_timeout_ms: 10_000,
            strict_query: false,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self { shards: 8 }
    }
}

impl Default for Actors {
    fn default() -> Self {
        Self {
            arbiters: 0,
            mailbox_max: 8_192,
            inflight_max: 8_192,
            pending_per_group_max: 4_096,
            resident_bytes_max: 512 * MIB,
            idle_timeout_ms: 60_000,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            flush: true,
            block_cache_bytes: 256 * MIB,
            memtable_bytes: 256 * MIB,
            wal_bytes: 256 * MIB as u64,
            log_bytes_max: 16 * MIB as u64,
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self { index_wait_ms: 1_000 }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            fail_limit: 100,
            fail_window_secs: 60,
            max_usersig_bytes: 4_096,
            max_future_skew_secs: 600,
            expiry_leeway_secs: 0,
            max_expire_secs: 0,
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        // The numbers live with the rules; here they only get their names.
        let limits = group::Limits::default();
        let max = limits.max_members;
        Self {
            profile_preset: ProfilePreset::Classic,
            group_name_bytes: limits.group_name_bytes,
            group_introduction_bytes: limits.group_introduction_bytes,
            group_notification_bytes: limits.group_notification_bytes,
            group_face_url_bytes: limits.group_face_url_bytes,
            kick_reason_bytes: limits.kick_reason_bytes,
            group_custom_keys: limits.group_custom_keys,
            member_custom_keys: limits.member_custom_keys,
            custom_key_bytes: limits.custom_key_bytes,
            group_custom_value_bytes: limits.group_custom_value_bytes,
            member_custom_value_bytes: limits.member_custom_value_bytes,
            create_group_member: limits.create_group_member,
            add_group_member: limits.add_group_member,
            delete_group_member: limits.delete_group_member,
            get_group_info_ids: limits.get_group_info_ids,
            member_page: limits.member_page,
            member_page_community: limits.member_page_community,
            joined_page: limits.joined_page,
            max_members: MaxMembers {
                work: max.work,
                public: max.public,
                meeting: max.meeting,
                avchatroom: max.avchatroom,
                community: max.community,
            },
            admins_per_group: limits.admins_per_group,
            groups_per_user: limits.groups_per_user,
            daily_net_groups: limits.daily_net_groups,
            daily_reset_utc_offset_minutes: limits.daily_reset_utc_offset_minutes,
            daily_net_counts_community: limits.daily_net_counts_community,
        }
    }
}

impl Default for MaxMembers {
    fn default() -> Self {
        LimitsSection::default().max_members
    }
}

impl Default for Compat {
    fn default() -> Self {
        Self { legacy_mute_names: true }
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self { legacy_type_names: true }
    }
}

impl Default for CustomFields {
    fn default() -> Self {
        Self { open: true, group: Vec::new(), member: Vec::new() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}

impl Config {
    /// What the rules judge by.
    pub fn group_limits(&self) -> group::Limits {
        let l = &self.limits;
        let max = l.max_members;
        let default_max = self.defaults.max_member_num;
        group::Limits {
            group_name_bytes: l.group_name_bytes,
            group_introduction_bytes: l.group_introduction_bytes,
            group_notification_bytes: l.group_notification_bytes,
            group_face_url_bytes: l.group_face_url_bytes,
            kick_reason_bytes: l.kick_reason_bytes,
            group_custom_keys: l.group_custom_keys,
            member_custom_keys: l.member_custom_keys,
            custom_key_bytes: l.custom_key_bytes,
            group_custom_value_bytes: l.group_custom_value_bytes,
            member_custom_value_bytes: l.member_custom_value_bytes,
            create_group_member: l.create_group_member,
            add_group_member: l.add_group_member,
            delete_group_member: l.delete_group_member,
            get_group_info_ids: l.get_group_info_ids,
            member_page: l.member_page,
            member_page_community: l.member_page_community,
            joined_page: l.joined_page,
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
            admins_per_group: l.admins_per_group,
            groups_per_user: l.groups_per_user,
            daily_net_groups: l.daily_net_groups,
            daily_reset_utc_offset_minutes: l.daily_reset_utc_offset_minutes,
            daily_net_counts_community: l.daily_net_counts_community,
        }
    }
}

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    const DAY_MS: u64 = 86_400_000;
    let Config { node, http, cluster, actors, storage, api, auth, limits, defaults, custom_fields, log, .. } = config;

    if node.data_dir.as_os_str().is_empty() {
        return wrong("node.data_dir", "a folder is needed".to_owned());
    }

    range("http.workers", http.workers as u64, 0, 1_024)?;
    range("http.connections_max", http.connections_max as u64, 1, 1_000_000)?;
    range("http.max_request_bytes", http.max_request_bytes as u64, KIB as u64, 64 * MIB as u64)?;
    range("http.max_response_bytes", http.max_response_bytes as u64, KIB as u64, 64 * MIB as u64)?;
    range("http.keep_alive_ms", http.keep_alive_ms, 0, DAY_MS)?;
    range("http.client_request_timeout_ms", http.client_request_timeout_ms, 100, 600_000)?;
    range("http.timeout_ms", http.timeout_ms, 100, 60_000)?;
    range("http.shutdown_timeout_ms", http.shutdown_timeout_ms, 0, 600_000)?;

    range("cluster.shards", u64::from(cluster.shards), 1, 1_024)?;

    range("actors.arbiters", actors.arbiters as u64, 0, 1_024)?;
    range("actors.mailbox_max", actors.mailbox_max as u64, 16, 1 << 24)?;
    range("actors.inflight_max", actors.inflight_max as u64, 1, 1 << 24)?;
    range("actors.pending_per_group_max", actors.pending_per_group_max as u64, 1, 1 << 24)?;
    range("actors.resident_bytes_max", actors.resident_bytes_max as u64, MIB as u64, u64::MAX)?;
    range("actors.idle_timeout_ms", actors.idle_timeout_ms, 100, DAY_MS)?;

    range("storage.block_cache_bytes", storage.block_cache_bytes as u64, MIB as u64, u64::MAX)?;
    range("storage.memtable_bytes", storage.memtable_bytes as u64, 4 * MIB as u64, u64::MAX)?;
    range("storage.wal_bytes", storage.wal_bytes, 4 * MIB as u64, u64::MAX)?;
    range("storage.log_bytes_max", storage.log_bytes_max, MIB as u64, u64::MAX)?;

    range("api.index_wait_ms", api.index_wait_ms, 0, http.timeout_ms)?;

    range("auth.fail_window_secs", auth.fail_window_secs, 1, 86_400)?;
    range("auth.max_usersig_bytes", auth.max_usersig_bytes as u64, 256, 64 * KIB as u64)?;

    for (key, bytes) in [
        ("limits.group_name_bytes", limits.group_name_bytes),
        ("limits.group_introduction_bytes", limits.group_introduction_bytes),
        ("limits.group_notification_bytes", limits.group_notification_bytes),
        ("limits.group_face_url_bytes", limits.group_face_url_bytes),
        ("limits.kick_reason_bytes", limits.kick_reason_bytes),
        ("limits.custom_key_bytes", limits.custom_key_bytes),
        ("limits.group_custom_value_bytes", limits.group_custom_value_bytes),
        ("limits.member_custom_value_bytes", limits.member_custom_value_bytes),
    ] {
        range(key, bytes as u64, 0, 64 * KIB as u64)?;
    }
    for (key, count) in [
        ("limits.group_custom_keys", limits.group_custom_keys),
        ("limits.member_custom_keys", limits.member_custom_keys),
    ] {
        range(key, count as u64, 0, 1_000)?;
    }
    for (key, count) in [
        ("limits.create_group_member", limits.create_group_member),
        ("limits.add_group_member", limits.add_group_member),
        ("limits.delete_group_member", limits.delete_group_member),
        ("limits.get_group_info_ids", limits.get_group_info_ids),
    ] {
        range(key, count as u64, 0, 100_000)?;
    }
    // A page of nothing would never end; a page without a bound is not a page.
    for (key, count) in [
        ("limits.member_page", limits.member_page),
        ("limits.member_page_community", limits.member_page_community),
        ("limits.joined_page", limits.joined_page),
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

    for (name, fields, keys_max) in [
        ("custom_fields.group", &custom_fields.group, limits.group_custom_keys),
        ("custom_fields.member", &custom_fields.member, limits.member_custom_keys),
    ] {
        range(name, fields.len() as u64, 0, if keys_max == 0 { 1_000 } else { keys_max as u64 })?;
        for (i, field) in fields.iter().enumerate() {
            let shaped = !field.key.is_empty()
                && (limits.custom_key_bytes == 0 || field.key.len() <= limits.custom_key_bytes)
                && field.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !shaped || fields[..i].iter().any(|other| other.key == field.key) {
                return wrong(name, format!("key {:?} is malformed or declared twice", field.key));
            }
        }
    }

    if let Err(e) = tracing_subscriber::EnvFilter::builder().parse(&log.level) {
        return wrong("log.level", e.to_string());
    }
    Ok(())
}

/// Both ends belong to the range.
fn range(key: &str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    wrong(key, format!("{value} is outside {min}..={max}"))
}

fn wrong(key: &str, reason: String) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key: key.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_the_defaults_are_the_limits_of_the_rules() {
        assert_eq!(Config::default().group_limits(), group::Limits::default());
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
