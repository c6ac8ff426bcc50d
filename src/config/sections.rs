//! The sections: one struct each, with units, defaults and ranges.
//!
//! What goes wrong when a value is too small or too large is written once, in `muster.example.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, Secret};
use crate::id::is_strict_account;

/// This process and where it keeps its data. Differs between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    pub data_dir: PathBuf,
    /// Shown in logs and to other nodes; empty: none.
    pub name: String,
    /// Nodes of one zone fail together: a rack, a building. Empty: none.
    pub zone: String,
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

/// The replicated shards, and the other nodes. Addresses differ between nodes; the rest is the same on all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Where other nodes are listened to; `None`, written as an empty text: nowhere, the node stays alone.
    #[serde(with = "address_or_none")]
    pub listen: Option<SocketAddr>,
    /// What other nodes dial to get here; empty: the address listened to, unless that is all addresses.
    pub advertise: String,
    /// The local address that connections to other nodes leave from; empty: the system's choice.
    pub source: String,
    /// Where a new node looks for others; empty: it is a cluster of its own.
    pub seeds: Vec<String>,
    /// Nodes that must be there before a cluster is formed.
    pub bootstrap_expect: usize,
    /// Copies of each shard, if there are so many nodes.
    pub replicas: usize,
    pub reads: ReadPolicy,
    /// Whoever knows it is a node; 16 bytes or more. None: [`ensure_cluster_key`](super::ensure_cluster_key) makes one.
    #[serde(skip_serializing)]
    pub key: Secret,
    /// Fixed when the cluster is formed. 0: what it has; a new one gets two per core, 4 at least.
    pub shards: u16,
    pub tls: Tls,
}

/// What a leader rests on when it answers a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadPolicy {
    /// Its lease, and so the clocks of the nodes.
    #[default]
    Lease,
    /// A majority that is asked for each read.
    Quorum,
}

/// Encryption between nodes, each with a certificate of one CA. Files in PEM; all empty: none. Differs between nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The node's own, then those between it and the CA.
    pub certificate: PathBuf,
    /// Of the certificate.
    pub key: PathBuf,
    /// Whose certificates are taken for those of nodes.
    pub ca: PathBuf,
}

impl Tls {
    /// Checked: all of it is set, or none.
    pub fn is_set(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// An address, or an empty text.
mod address_or_none {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&address.map(|address| address.to_string()).unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.is_empty() {
            true => Ok(None),
            false => text.parse().map(Some).map_err(|_| D::Error::custom(format!("{text:?} is no address and port"))),
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::LOCALHOST, 7400).into()),
            advertise: String::new(),
            source: String::new(),
            seeds: Vec::new(),
            bootstrap_expect: 1,
            replicas: 3,
            reads: ReadPolicy::default(),
            key: Secret::default(),
            shards: 0,
            tls: Tls::default(),
        }
    }
}

/// The endpoint for those who look after the cluster. Differs between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// `None`, written as an empty text: there is no such endpoint.
    #[serde(with = "address_or_none")]
    pub listen: Option<SocketAddr>,
    /// Whoever shows it is answered. None: [`ensure_admin_key`](super::ensure_admin_key) makes one.
    #[serde(skip_serializing)]
    pub key: Secret,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Some((Ipv4Addr::LOCALHOST, 7480).into()), key: Secret::default() }
    }
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
    /// Of rows in use. 0: none are kept.
    pub row_cache_bytes: usize,
    pub memtable_bytes: usize,
    pub wal_bytes: u64,
    /// Of table files whose rows are read at the start, newest first; the write-ahead log always is.
    pub start_check_bytes_max: u64,
    /// Of one shard.
    pub log_bytes_max: u64,
}

/// How commands are carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    pub index_wait_ms: u64,
    /// 0: none are kept.
    pub kept_answers_bytes: usize,
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

/// What groups are managed by, beside the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Groups {
    /// Admins appoint ordinary members and cancel admins; else the owner alone does.
    pub admins_manage_admins: bool,
}

/// What there is at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Communities can be created. Source: docs/spec/errors.md 5, 11000.
    pub community: bool,
}

/// Which accounts exist. Source: docs/spec/errors.md 6.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    pub mode: AccountMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountMode {
    /// Every well-formed one, from its first mention.
    #[default]
    Implicit,
    /// Those that were imported, and the app admins.
    Imported,
}

/// Calls per second; 0: any number. Source: docs/spec/limits.md 6.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Of one command of one app.
    pub rest_per_command: u32,
    /// Of one app.
    pub rest_per_app: u32,
    /// `get_appid_group_list` of one app.
    pub list_all_groups: u32,
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
        Self { data_dir: PathBuf::from("./data"), name: String::new(), zone: String::new() }
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
            row_cache_bytes: 64 * MIB,
            memtable_bytes: 256 * MIB,
            wal_bytes: 256 * MIB as u64,
            start_check_bytes_max: 1024 * MIB as u64,
            log_bytes_max: 16 * MIB as u64,
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self { index_wait_ms: 1_000, kept_answers_bytes: 64 * MIB }
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

impl Default for Groups {
    fn default() -> Self {
        Self { admins_manage_admins: true }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self { community: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}

/// Nothing counts failed tries, so a key must be too long to be tried.
const KEY_BYTES_MIN: usize = 16;

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    const DAY_MS: u64 = 86_400_000;
    let Config { node, http, cluster, admin, actors, storage, api, auth, rate, log, .. } = config;

    if node.data_dir.as_os_str().is_empty() {
        return wrong("node.data_dir", "a folder is needed".to_owned());
    }

    range("http.workers", http.workers as u64, 0, 1_024)?;
    range("http.connections_max", http.connections_max as u64, 1, 1_000_000)?;
    // Another node may have to be asked with all of it, in one frame.
    range("http.max_request_bytes", http.max_request_bytes as u64, KIB as u64, 16 * MIB as u64)?;
    range("http.max_response_bytes", http.max_response_bytes as u64, KIB as u64, 64 * MIB as u64)?;
    range("http.keep_alive_ms", http.keep_alive_ms, 0, DAY_MS)?;
    range("http.client_request_timeout_ms", http.client_request_timeout_ms, 100, 600_000)?;
    range("http.timeout_ms", http.timeout_ms, 100, 60_000)?;
    range("http.shutdown_timeout_ms", http.shutdown_timeout_ms, 0, 600_000)?;

    validate_cluster(cluster)?;
    validate_admin(admin)?;
    if config.ids.user_id_strict {
        for (i, app) in config.apps.iter().enumerate() {
            if let Some(admin) = app.admins.iter().find(|admin| !is_strict_account(admin)) {
                let reason = format!("{admin:?} could not call: ids.user_id_strict lets A-Z a-z 0-9 _ - through");
                return wrong(&format!("apps[{i}].admins"), reason);
            }
        }
    }

    range("actors.arbiters", actors.arbiters as u64, 0, 1_024)?;
    range("actors.mailbox_max", actors.mailbox_max as u64, 16, 1 << 24)?;
    range("actors.inflight_max", actors.inflight_max as u64, 1, 1 << 24)?;
    range("actors.pending_per_group_max", actors.pending_per_group_max as u64, 1, 1 << 24)?;
    range("actors.resident_bytes_max", actors.resident_bytes_max as u64, MIB as u64, u64::MAX)?;
    range("actors.idle_timeout_ms", actors.idle_timeout_ms, 100, DAY_MS)?;

    range("storage.block_cache_bytes", storage.block_cache_bytes as u64, MIB as u64, u64::MAX)?;
    range("storage.row_cache_bytes", storage.row_cache_bytes as u64, 0, 1 << 40)?;
    range("storage.memtable_bytes", storage.memtable_bytes as u64, 4 * MIB as u64, u64::MAX)?;
    range("storage.wal_bytes", storage.wal_bytes, 4 * MIB as u64, u64::MAX)?;
    range("storage.log_bytes_max", storage.log_bytes_max, MIB as u64, u64::MAX)?;

    range("api.index_wait_ms", api.index_wait_ms, 0, http.timeout_ms)?;
    range("api.kept_answers_bytes", api.kept_answers_bytes as u64, 0, 1 << 40)?;

    range("auth.fail_window_secs", auth.fail_window_secs, 1, 86_400)?;
    range("auth.max_usersig_bytes", auth.max_usersig_bytes as u64, 256, 64 * KIB as u64)?;

    for (key, calls) in [
        ("rate.rest_per_command", rate.rest_per_command),
        ("rate.rest_per_app", rate.rest_per_app),
        ("rate.list_all_groups", rate.list_all_groups),
    ] {
        range(key, u64::from(calls), 0, 1_000_000)?;
    }

    if let Err(e) = tracing_subscriber::EnvFilter::builder().parse(&log.level) {
        return wrong("log.level", e.to_string());
    }
    Ok(())
}

fn validate_cluster(cluster: &Cluster) -> Result<(), ConfigError> {
    const SEEDS_MAX: u64 = 64;
    range("cluster.shards", u64::from(cluster.shards), 0, 1_024)?;
    range("cluster.seeds", cluster.seeds.len() as u64, 0, SEEDS_MAX)?;
    range("cluster.bootstrap_expect", cluster.bootstrap_expect as u64, 1, cluster.seeds.len().max(1) as u64)?;
    range("cluster.replicas", cluster.replicas as u64, 1, 7)?;
    if cluster.replicas.is_multiple_of(2) {
        return wrong("cluster.replicas", "an even number bears no more failures than one less".to_owned());
    }
    if !cluster.source.is_empty() && cluster.source.parse::<std::net::IpAddr>().is_err() {
        return wrong("cluster.source", format!("{:?} is no address", cluster.source));
    }
    if let Some(listen) = cluster.listen {
        // A name is not looked up here.
        let advertised = match cluster.advertise.as_str() {
            "" => Some(listen),
            text => text.parse::<SocketAddr>().ok(),
        };
        if let Some(advertised) = advertised.filter(|address| address.ip().is_unspecified()) {
            let reason = format!("{advertised} is no address that others can dial: say which one leads here");
            return wrong("cluster.advertise", reason);
        }
    }
    let key_bytes = cluster.key.expose().len();
    if (1..KEY_BYTES_MIN).contains(&key_bytes) {
        return wrong("cluster.key", format!("it needs {KEY_BYTES_MIN} bytes or more"));
    }
    let Tls { certificate, key, ca } = &cluster.tls;
    let files = [("cluster.tls.certificate", certificate), ("cluster.tls.key", key), ("cluster.tls.ca", ca)];
    let is_set = |path: &PathBuf| !path.as_os_str().is_empty();
    if let Some((missing, _)) = files.iter().find(|(_, path)| !is_set(path))
        && files.iter().any(|(_, path)| is_set(path))
    {
        return wrong(missing, "TLS needs a certificate, its key and the CA, or none of them".to_owned());
    }
    if cluster.seeds.is_empty() {
        return Ok(());
    }
    if cluster.listen.is_none() {
        return wrong("cluster.listen", "a node with seeds has to be reached by others".to_owned());
    }
    if cluster.key.expose().is_empty() {
        return wrong("cluster.key", "a node with seeds needs the key of its cluster".to_owned());
    }
    Ok(())
}

fn validate_admin(admin: &Admin) -> Result<(), ConfigError> {
    let key = admin.key.expose();
    if !key.is_empty() && (key.len() < KEY_BYTES_MIN || !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return wrong("admin.key", format!("it needs {KEY_BYTES_MIN} bytes or more, printable and without spaces"));
    }
    Ok(())
}

/// Both ends belong to the range.
pub(super) fn range(key: &str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    wrong(key, format!("{value} is outside {min}..={max}"))
}

pub(super) fn wrong(key: &str, reason: String) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key: key.to_owned(), reason })
}
