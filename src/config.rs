//! The whole configuration: sections, defaults, where values come from, what is refused.
//!
//! Layers, later ones win: the defaults in the code, the edition, the profile preset, the file, the environment
//! (`MUSTER__SECTION__KEY`; list items by number, `MUSTER__APPS__0__KEY`). An app may lay an edition, a preset and
//! keys of its own over the result ([`Config::settings_of`]). A key exists only when code reads it; every other key
//! is refused by name, so that a misspelt one is not silently a default.
//! `muster.example.toml` documents every key and is held against this module by a test.
//!
//! The layers below get their section as a value; nobody keeps the whole.

mod apps;
mod custom_fields;
mod limits;
mod of_app;
mod sections;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use apps::{
    ADMIN_KEY_FILE, APP_FILE, App, CLUSTER_KEY_FILE, FIRST_APP_ID, Secret, ensure_admin_key, ensure_app,
    ensure_cluster_key, has_app, read_key,
};
pub use custom_fields::{CustomFields, DeclaredField, FieldKind, FieldRole};
pub use limits::{Defaults, Edition, LimitsSection, MaxMemberNum, MaxMembers, ProfilePreset};
pub use of_app::{AppSettings, OwnKeys};
pub use sections::{
    AccountMode, Accounts, Actors, Admin, Api, Auth, Cluster, Compat, Features, Groups, Http, Ids, Log, LogFormat,
    Node, Rate, ReadPolicy, Storage, Tls, Wire,
};

/// What every environment variable that is ours begins with.
pub const ENV_PREFIX: &str = "MUSTER__";
/// Admin accounts per app. Source: docs/spec/limits.md 4, `limits.app_admins`.
pub const APP_ADMINS_MAX: usize = 10;
/// Keys an app may have at a time: the current one, and the previous one while it is rotated out.
pub const APP_KEYS_MAX: usize = 2;

/// Everything an operator may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub edition: Edition,
    pub node: Node,
    pub http: Http,
    pub cluster: Cluster,
    pub admin: Admin,
    /// Empty: [`ensure_app`] makes one.
    pub apps: Vec<App>,
    pub actors: Actors,
    pub storage: Storage,
    pub api: Api,
    pub auth: Auth,
    pub accounts: Accounts,
    pub rate: Rate,
    pub groups: Groups,
    pub features: Features,
    pub limits: LimitsSection,
    pub defaults: Defaults,
    pub compat: Compat,
    pub wire: Wire,
    pub custom_fields: CustomFields,
    pub ids: Ids,
    pub log: Log,
}

/// Why there is no configuration to start with; one line that names the key or the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration file {path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("environment variable {name}: {reason}")]
    Variable { name: String, reason: String },
    #[error("environment variables {ENV_PREFIX}*: {reason}")]
    Environment { reason: String },
    #[error("configuration key {key}: {reason}")]
    Value { key: String, reason: String },
    #[error("configuration of app {id}: {reason}")]
    App { id: u32, reason: String },
}

impl Config {
    /// Reads the file, if one is named, and this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] for a file that cannot be read or parsed, an unknown key, a value out of its range.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| ConfigError::File { path: path.to_owned(), reason: e.to_string() })?;
                Some((path, text))
            }
        };
        // A variable that is not UTF-8 cannot be one of ours: keys and values are text.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::from_parts(text.as_ref().map(|(path, text)| (*path, text.as_str())), environment)
    }

    /// Builds the configuration from the text of a file and the variables of an environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_parts(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some((path, text)) = file {
            check_syntax(path, text)?;
            builder = builder.add_source(config::File::from_str(text, config::FileFormat::Toml));
            // Read alone first: what is wrong afterwards came from the environment.
            deserialize(builder.clone()).map_err(|reason| ConfigError::File { path: path.to_owned(), reason })?;
        }
        for (name, value) in environment {
            let Some(key) = name.strip_prefix(ENV_PREFIX) else { continue };
            builder = builder
                .set_override(key_of_variable(key), value)
                .map_err(|e| ConfigError::Variable { name, reason: one_line(&e) })?;
        }
        let read = |builder| deserialize(builder).map_err(|reason| ConfigError::Environment { reason });
        let mut config = read(builder.clone())?;
        // Presets are layers below what was written: a number set beside one still wins.
        let mut preset = config.edition.numbers();
        if config.limits.profile_preset != ProfilePreset::Classic {
            preset.extend(config.limits.profile_preset.lengths());
        }
        if !preset.is_empty() {
            for (key, number) in preset {
                builder = builder.set_default(key, number).expect("the name of a limit is a path");
            }
            config = read(builder)?;
        }
        config.validate()?;
        Ok(config)
    }

    /// Checks every value that has a range.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the first key that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        sections::validate(self)?;
        self.common_settings().validate()?;
        apps::validate(&self.apps)?;
        self.apps.iter().try_for_each(|app| self.settings_of(app).map(|_| ()))
    }
}

/// Lists the keys whose values are not the defaults, as `section.key` and value; secrets are left out.
pub fn settings_differing_from_default(config: &Config) -> Vec<(String, String)> {
    let ours = flatten(config);
    let defaults = flatten(&Config::default());
    ours.into_iter().filter(|setting| !defaults.contains(setting)).collect()
}

/// Every key with its default, as `section.key` and value.
pub fn default_settings() -> Vec<(String, String)> {
    flatten(&Config::default())
}

/// Every key with its value, in alphabetical order. Keys of apps are never serialised.
fn flatten(config: &Config) -> Vec<(String, String)> {
    fn walk(prefix: String, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    walk(key, field, out);
                }
            }
            serde_json::Value::String(text) => out.push((prefix, text.clone())),
            other => out.push((prefix, other.to_string())),
        }
    }
    let tree = serde_json::to_value(config).expect("a configuration is numbers, texts, lists and tables");
    let mut out = Vec::new();
    walk(String::new(), &tree, &mut out);
    out
}

/// `APPS__0__KEY` → `apps[0].key`.
fn key_of_variable(name: &str) -> String {
    let mut key = String::new();
    for segment in name.to_lowercase().split("__") {
        if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
            key.push_str(&format!("[{segment}]"));
            continue;
        }
        if !key.is_empty() {
            key.push('.');
        }
        key.push_str(segment);
    }
    key
}

fn deserialize(builder: config::ConfigBuilder<config::builder::DefaultState>) -> Result<Config, String> {
    builder.build().and_then(|layers| layers.try_deserialize()).map_err(|e| one_line(&e))
}

/// Names the line of a syntax error. The parser's own text would quote it, and the line may hold a key.
fn check_syntax(path: &Path, text: &str) -> Result<(), ConfigError> {
    let Err(error) = text.parse::<toml::Table>() else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Err(ConfigError::File { path: path.to_owned(), reason: format!("line {line}: {}", one_line(&error.message())) })
}

/// Parsers answer with drawings of the place; a log line has room for the words only.
fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::from_parts(Some((Path::new("muster.toml"), text)), variables)
    }

    fn refused(text: &str, variables: &[(&str, &str)]) -> String {
        let message = load(text, variables).expect_err("this configuration must be refused").to_string();
        assert!(!message.contains('\n'), "an error is one line: {message}");
        message
    }

    #[test]
    fn nothing_written_is_the_defaults() {
        let config = Config::from_parts(None, [("PATH".to_owned(), "/bin".to_owned())]).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(settings_differing_from_default(&config), vec![]);
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = load(
            "[http]\ntimeout_ms = 2000\nworkers = 3\n[limits.max_members]\nwork = 20\n",
            &[("MUSTER__HTTP__TIMEOUT_MS", "2500"), ("MUSTER__STORAGE__FLUSH", "false"), ("HTTP__WORKERS", "9")],
        )
        .unwrap();
        assert_eq!((config.http.timeout_ms, config.http.workers, config.storage.flush), (2500, 3, false));
        assert_eq!((config.limits.max_members.work, config.limits.max_members.public), (20, 6000));
        let changed: Vec<_> = settings_differing_from_default(&config).into_iter().map(|(k, v)| k + "=" + &v).collect();
        assert_eq!(
            changed,
            ["http.timeout_ms=2500", "http.workers=3", "limits.max_members.work=20", "storage.flush=false"]
        );
    }

    #[test]
    fn an_app_may_come_from_the_environment_and_its_keys_are_never_shown() {
        let config = load(
            "[[apps]]\nid = 1400000001\nadmins = [\"root\"]\n",
            &[("MUSTER__APPS__0__KEY", "00123"), ("MUSTER__APPS__1__ID", "7"), ("MUSTER__APPS__1__ADMINS__0", "ops")],
        )
        .unwrap();
        assert_eq!((config.apps[0].id, config.apps[0].keys[0].expose()), (1_400_000_001, "00123"));
        assert_eq!((config.apps[1].id, config.apps[1].admins.as_slice()), (7, ["ops".to_owned()].as_slice()));
        for shown in [format!("{config:?}"), format!("{:?}", settings_differing_from_default(&config))] {
            assert!(!shown.contains("00123"), "{shown}");
            assert!(shown.contains("1400000001"), "{shown}");
        }
    }

    #[test]
    fn an_app_has_one_key_or_two() {
        let of = |keys: &str| load(&format!("[[apps]]\nid = 1\nadmins = [\"a\"]\n{keys}\n"), &[]);
        assert_eq!(of("key = \"k\"").unwrap().apps[0].keys.len(), 1);
        assert_eq!(of("key = [\"k\", \"old\"]").unwrap().apps[0].keys.len(), 2);
        assert_eq!(of("keys = [\"k\", \"old\"]").unwrap().apps[0].keys[1].expose(), "old");
        assert!(of("keys = [\"a\", \"b\", \"c\"]").unwrap_err().to_string().contains("apps[0].keys"));
        assert!(of("key = \"\"").unwrap_err().to_string().contains("apps[0].keys"));
        assert!(of("key = \"a\"\nkeys = [\"b\"]").is_err(), "two names for one thing must not both be given");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, variables, names) in [
            ("[http]\nlisten_on = \"x\"\n", &[][..], &["muster.toml", "listen_on"][..]),
            ("[htp]\n", &[], &["muster.toml", "htp"]),
            ("[http\n", &[], &["muster.toml"]),
            ("[http]\ntimeout_ms = \"soon\"\n", &[], &["http.timeout_ms"]),
            ("[http]\ntimeout_ms = 5\n", &[], &["http.timeout_ms", "100"]),
            ("[http]\nlisten = \"nowhere\"\n", &[], &["http.listen"]),
            ("[cluster]\nshards = 1025\n", &[], &["cluster.shards"]),
            ("[cluster]\nlisten = \"here\"\n", &[], &["cluster.listen", "here"]),
            ("[cluster]\nreplicas = 2\n", &[], &["cluster.replicas"]),
            ("[cluster]\nsource = \"eth0\"\n", &[], &["cluster.source"]),
            ("[cluster]\nseeds = [\"a:1\"]\n", &[], &["cluster.key"]),
            ("[cluster]\nkey = \"0123456789abcde\"\n", &[], &["cluster.key", "16"]),
            ("[cluster]\nseeds = [\"a:1\"]\nkey = \"0123456789abcdef\"\nlisten = \"\"\n", &[], &["cluster.listen"]),
            (
                "[cluster]\nseeds = [\"a:1\"]\nkey = \"0123456789abcdef\"\nbootstrap_expect = 2\n",
                &[],
                &["bootstrap_expect"],
            ),
            ("[cluster]\nlisten = \"0.0.0.0:7400\"\n", &[], &["cluster.advertise", "0.0.0.0:7400"]),
            ("[cluster]\nlisten = \"[::]:7400\"\n", &[], &["cluster.advertise", "[::]:7400"]),
            ("[cluster]\nadvertise = \"0.0.0.0:1\"\n", &[], &["cluster.advertise", "0.0.0.0:1"]),
            ("[cluster.tls]\nkey = \"k.pem\"\nca = \"ca.pem\"\n", &[], &["cluster.tls.certificate"]),
            ("[admin]\nlisten = \"here\"\n", &[], &["admin.listen", "here"]),
            ("[admin]\nkey = \"short\"\n", &[], &["admin.key", "16"]),
            (
                "[ids]\nuser_id_strict = true\n[[apps]]\nid = 1\nadmins = [\"root\", \"ops.team\"]\n",
                &[],
                &["apps[0].admins", "ops.team", "user_id_strict"],
            ),
            ("[http]\nmax_request_bytes = 16777217\n", &[], &["http.max_request_bytes"]),
            ("[admin]\nkey = \"a key with spaces in it\"\n", &[], &["admin.key"]),
            ("[log]\nlevel = \"lo=u=d\"\n", &[], &["log.level"]),
            ("[limits]\nmax_members = { robots = 3 }\n", &[], &["robots"]),
            ("[custom_fields]\nopen = false\ngroup = [{ key = \"a b\" }]\n", &[], &["custom_fields.group"]),
            ("[[apps]]\nid = 1\nadmins = []\n", &[], &["apps[0].admins"]),
            ("[[apps]]\nid = 0\nadmins = [\"a\"]\n", &[], &["apps[0].id"]),
            ("[[apps]]\nid = 1\nadmins = [\"a\"]\n[[apps]]\nid = 1\nadmins = [\"a\"]\n", &[], &["apps[1].id"]),
            ("[[apps]]\nid = 1\nadmins = [\"a\"]\nkey = \"a\"x\n", &[], &["muster.toml", "line 4"]),
            ("", &[("MUSTER__HTTP__WORKER", "2")], &["MUSTER__", "worker"]),
            ("", &[("MUSTER__HTTP__WORKERS", "many")], &["MUSTER__", "http.workers"]),
            ("", &[("MUSTER__HTTP__A B", "1")], &["MUSTER__HTTP__A B"]),
        ] {
            let message = refused(text, variables);
            for name in names {
                assert!(message.contains(name), "{name:?} is missing in {message:?}");
            }
        }
    }

    #[test]
    fn a_syntax_error_does_not_quote_the_key() {
        for text in ["[[apps]]\nkey = \"sesame\n", "[[apps]]\nkey = \"sesame\"x\n", "key = sesame\n"] {
            let message = refused(text, &[]);
            assert!(!message.contains("sesame"), "{message}");
        }
    }

    #[test]
    fn a_preset_sets_the_four_lengths_but_not_over_a_written_one() {
        let lengths = |l: &LimitsSection| {
            (l.group_name_bytes, l.group_introduction_bytes, l.group_notification_bytes, l.group_face_url_bytes)
        };
        assert_eq!(lengths(&load("", &[]).unwrap().limits), (30, 240, 300, 100));
        let extended = load("[limits]\nprofile_preset = \"extended\"\ngroup_name_bytes = 64\n", &[]).unwrap();
        assert_eq!(lengths(&extended.limits), (64, 400, 400, 500));
        let classic = load("[limits]\nprofile_preset = \"classic\"\n", &[]).unwrap();
        assert_eq!(lengths(&classic.limits), (30, 240, 300, 100));
    }

    fn app_settings(text: &str, variables: &[(&str, &str)]) -> AppSettings {
        let config = load(&format!("{text}\n"), variables).unwrap();
        config.settings_of(&config.apps[0]).unwrap()
    }

    #[test]
    fn an_app_may_differ_in_any_number() {
        let text = "[limits]\ngroups_per_user = 7\ngroup_name_bytes = 40\n\
                    [limits.max_members]\nwork = 50\npublic = 60\n\
                    [custom_fields]\nopen = false\ngroup = [{ key = \"city\" }]\n\
                    [[apps]]\nid = 1\nadmins = [\"a\"]\nlimits = { group_name_bytes = 50, max_members = { work = 9 } }\n\
                    defaults = { max_member_num = { work = 8 } }\n\
                    custom_fields = { group = [], member = [{ key = \"badge\", write = \"owner\" }] }\n\
                    [[apps]]\nid = 2\nadmins = [\"a\"]\n";
        let variables = [("MUSTER__APPS__0__LIMITS__BAN_PAGE", "3"), ("MUSTER__APPS__0__CUSTOM_FIELDS__OPEN", "true")];
        let config = load(text, &variables).unwrap();
        let own = config.settings_of(&config.apps[0]).unwrap();
        let (limits, max) = (&own.limits, own.limits.max_members);
        assert_eq!((limits.groups_per_user, limits.group_name_bytes, limits.ban_page), (7, 50, 3));
        assert_eq!((max.work, max.public, own.defaults.max_member_num.work), (9, 60, 8));
        let badge = DeclaredField { write: Some(FieldRole::Owner), ..DeclaredField::named("badge") };
        assert_eq!(own.custom_fields, CustomFields { open: true, group: vec![], member: vec![badge] });
        // The other app and what holds for all know nothing of it.
        assert_eq!(config.settings_of(&config.apps[1]).unwrap(), config.common_settings());
        assert_eq!((config.limits.group_name_bytes, config.custom_fields.open), (40, false));
        // What the settings page shows names it.
        let shown = format!("{:?}", settings_differing_from_default(&config));
        assert!(shown.contains("ban_page") && shown.contains("badge"), "{shown}");
    }

    #[test]
    fn what_is_wrong_in_an_app_is_named() {
        for (own, variables, names) in [
            ("limits = { member_pages = 3 }", &[][..], &["app 7", "member_pages"][..]),
            ("limits = { member_page = 0 }", &[], &["app 7", "limits.member_page", "1..="]),
            ("limits = { member_page = \"many\" }", &[], &["app 7", "limits.member_page"]),
            ("limits = { profile_preset = \"huge\" }", &[], &["app 7", "profile_preset"]),
            ("limits = 3", &[], &["muster.toml", "limits"]),
            ("edition = \"gold\"", &[], &["muster.toml", "edition"]),
            ("defaults = { max_member_num = { work = 7000 } }", &[], &["app 7", "defaults.max_member_num.work"]),
            ("custom_fields = { group = [{ key = \"a b\" }] }", &[], &["app 7", "custom_fields.group"]),
            ("custom_fields = { group = [{ key = \"a\", own_read = true }] }", &[], &["app 7", "own_read"]),
            ("custom_fields = { member = [{ key = \"a\", read = \"king\" }] }", &[], &["app 7", "king"]),
            ("rate = { rest_per_app = 1 }", &[], &["muster.toml", "rate"]),
            ("", &[("MUSTER__APPS__0__LIMITS__BAN_PAGES", "2")], &["app 7", "ban_pages"]),
            ("", &[("MUSTER__APPS__0__LIMITS__BAN_PAGE", "few")], &["app 7", "limits.ban_page"]),
        ] {
            let message = refused(&format!("[[apps]]\nid = 7\nadmins = [\"a\"]\n{own}\n"), variables);
            for name in names {
                assert!(message.contains(name), "{name:?} is missing in {message:?}");
            }
        }
    }

    #[test]
    fn an_edition_is_below_what_is_written_and_one_of_an_app_above_what_holds_for_all() {
        const APP: &str = "[[apps]]\nid = 1\nadmins = [\"a\"]\n";
        let of = |text: &str| {
            let settings = app_settings(text, &[]);
            let limits = settings.limits;
            (limits.max_members.work, limits.groups_per_user, limits.groups_per_app, limits.avchatrooms_per_app)
        };
        assert_eq!(of(APP), (6000, 5000, 0, 0));
        assert_eq!(of(&format!("edition = \"trial\"\n{APP}")), (20, 50, 100, 50));
        assert_eq!(of(&format!("edition = \"trial\"\n[limits]\ngroups_per_user = 51\n{APP}")), (20, 51, 100, 50));
        let standard = format!("edition = \"trial\"\n[limits]\ngroups_per_user = 51\n{APP}edition = \"standard\"\n");
        assert_eq!(of(&standard), (500, 1000, 0, 50));
        let own = "limits = { groups_per_user = 52, max_members = { public = 1 } }\n";
        assert_eq!(of(&format!("{standard}{own}")), (500, 52, 0, 50));
        let enterprise = app_settings(&format!("edition = \"enterprise\"\n{APP}"), &[]).limits;
        assert_eq!((enterprise.max_members.community, enterprise.communities_per_app), (1_000_000, 1_000_000));
    }

    #[test]
    fn a_preset_of_an_app_is_below_its_lengths_and_above_those_of_all() {
        let text = "[limits]\ngroup_name_bytes = 64\ngroup_introduction_bytes = 65\n\
                    [[apps]]\nid = 1\nadmins = [\"a\"]\n\
                    limits = { profile_preset = \"extended\", group_introduction_bytes = 70 }\n";
        let limits = app_settings(text, &[]).limits;
        let lengths = (limits.group_name_bytes, limits.group_introduction_bytes, limits.group_face_url_bytes);
        assert_eq!((limits.profile_preset, lengths), (ProfilePreset::Extended, (100, 70, 500)));
    }

    /// The example and the code cannot drift apart: same keys, and the values shown are the defaults.
    #[test]
    fn the_example_shows_every_key_with_its_default() {
        const EXAMPLE: &str = include_str!("../muster.example.toml");
        let example = load(EXAMPLE, &[]).expect("the example is a valid configuration");
        assert_eq!(settings_differing_from_default(&example), vec![]);

        let mut written = Vec::new();
        keys_of(String::new(), &toml::Value::Table(EXAMPLE.parse().unwrap()), &mut written);
        let missing: Vec<_> = flatten(&Config::default())
            .into_iter()
            .map(|(key, _)| key)
            // No app is the default; the example shows one in comments, checked below.
            .filter(|key| key != "apps" && !written.contains(key))
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "keys of the code that the example does not show");

        let with_app: String = EXAMPLE.lines().map(|l| l.strip_prefix("#| ").unwrap_or(l).to_owned() + "\n").collect();
        let with_app = load(&with_app, &[]).expect("the commented lines of the example are valid too");
        let own = with_app.settings_of(&with_app.apps[0]).expect("and what it says of an app");
        assert_eq!((own.limits.max_members.work, own.limits.max_members.public), (200, 2000));
    }

    fn keys_of(prefix: String, value: &toml::Value, out: &mut Vec<String>) {
        match value {
            toml::Value::Table(fields) => {
                for (name, field) in fields {
                    keys_of(if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }, field, out);
                }
            }
            _ => out.push(prefix),
        }
    }
}
