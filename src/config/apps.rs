//! The apps a node serves, their secrets, and the app that is made when none was configured.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::{APP_ADMINS_MAX, APP_KEYS_MAX, ConfigError, Edition, OwnKeys};
use crate::id::AccountId;

/// The app that is made when none was configured.
pub const FIRST_APP_ID: u32 = 1_400_000_000;
/// Where it is kept, below the data folder.
pub const APP_FILE: &str = "app.toml";
/// Where the key of the cluster is kept, below the data folder, if none was configured.
pub const CLUSTER_KEY_FILE: &str = "cluster.key";
/// Where the key of the admin endpoint is kept, below the data folder, if none was configured.
pub const ADMIN_KEY_FILE: &str = "admin.key";
/// Its admin. Source: docs/spec/identifiers.md 3.
const FIRST_ADMIN: &str = "administrator";
/// Random bytes of its key, written as twice as many hex digits, as production keys look.
const KEY_BYTES: usize = 32;

/// One app: a tenant with its own groups, keys and admins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    #[serde(default)]
    pub id: u32,
    /// Current key first. Without one every signature is refused with 70016.
    #[serde(default, alias = "key", skip_serializing, deserialize_with = "one_or_many")]
    pub keys: Vec<Secret>,
    /// Accounts whose signature opens the admin plane.
    #[serde(default)]
    pub admins: Vec<String>,
    /// `false`: every request gets 60016.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Laid over the numbers of all apps, below the keys that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// Keys of `limits` that differ for this app; the next two likewise.
    #[serde(default, skip_serializing_if = "OwnKeys::is_empty")]
    pub limits: OwnKeys,
    #[serde(default, skip_serializing_if = "OwnKeys::is_empty")]
    pub defaults: OwnKeys,
    #[serde(default, skip_serializing_if = "OwnKeys::is_empty")]
    pub custom_fields: OwnKeys,
}

fn yes() -> bool {
    true
}

/// A text that is never shown: not in `Debug`, not in logs, not by an endpoint.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one computation that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
    struct OneOrMany;
    impl<'de> serde::de::Visitor<'de> for OneOrMany {
        type Value = Vec<Secret>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a key, or a list of the current and the previous key")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![Secret::new(text)])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some(key) = list.next_element()? {
                keys.push(key);
            }
            Ok(keys)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

pub(super) fn validate(apps: &[App]) -> Result<(), ConfigError> {
    for (i, app) in apps.iter().enumerate() {
        let wrong = |key: &str, reason: String| Err(ConfigError::Value { key: format!("apps[{i}].{key}"), reason });
        if app.id == 0 {
            return wrong("id", "0 is not an app id".to_owned());
        }
        if apps[..i].iter().any(|other| other.id == app.id) {
            return wrong("id", format!("app {} is configured twice", app.id));
        }
        if app.keys.len() > APP_KEYS_MAX || app.keys.iter().any(|key| key.expose().is_empty()) {
            return wrong("keys", format!("expected at most {APP_KEYS_MAX} keys, none of them empty"));
        }
        if app.admins.is_empty() || app.admins.len() > APP_ADMINS_MAX {
            return wrong("admins", format!("expected 1 to {APP_ADMINS_MAX} accounts, found {}", app.admins.len()));
        }
        for admin in &app.admins {
            if let Err(e) = AccountId::parse(admin) {
                return wrong("admins", format!("{admin:?}: {e}"));
            }
        }
    }
    Ok(())
}

/// Reads the app kept in a data folder, making it at the first start.
///
/// A fresh install thus works without a configuration and without a default password: the key is random
/// and readable by the owner of the folder only.
///
/// # Errors
/// [`ConfigError::File`] if the file cannot be made, read or parsed.
pub fn ensure_app(data_dir: &Path) -> Result<App, ConfigError> {
    let path = data_dir.join(APP_FILE);
    let failed = |reason: String| ConfigError::File { path: path.clone(), reason };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(data_dir).map_err(|e| failed(e.to_string()))?;
            // Read what is there, not what was meant: another process may have been first.
            fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?
        }
        Err(e) => return Err(failed(e.to_string())),
    };
    let app: App = toml::from_str(&text).map_err(|e| failed(e.message().to_owned()))?;
    validate(std::slice::from_ref(&app)).map_err(|e| failed(e.to_string()))?;
    Ok(app)
}

/// Whether a data folder has an app of its own already.
pub fn has_app(data_dir: &Path) -> bool {
    data_dir.join(APP_FILE).exists()
}

/// Reads the key of the cluster that a node without a configured one keeps in its data folder, making it at the first
/// start: nodes that are to join are given it as `cluster.key`.
///
/// # Errors
/// [`ConfigError::File`] if the file cannot be made or read.
pub fn ensure_cluster_key(data_dir: &Path) -> Result<Secret, ConfigError> {
    ensure_key(data_dir, CLUSTER_KEY_FILE)
}

/// Reads the key of the admin endpoint that a node without a configured one keeps in its data folder, making it at the
/// first start.
///
/// # Errors
/// As [`ensure_cluster_key`].
pub fn ensure_admin_key(data_dir: &Path) -> Result<Secret, ConfigError> {
    ensure_key(data_dir, ADMIN_KEY_FILE)
}

fn ensure_key(data_dir: &Path, name: &str) -> Result<Secret, ConfigError> {
    let path = data_dir.join(name);
    if !path.exists() {
        let failed = |e: io::Error| ConfigError::File { path: path.clone(), reason: e.to_string() };
        write_once(data_dir, name, &format!("{}\n", random_key())).map_err(failed)?;
    }
    read_key(&path)
}

/// Reads a key from a file of its own.
///
/// # Errors
/// [`ConfigError::File`] if the file cannot be read, or is empty.
pub fn read_key(path: &Path) -> Result<Secret, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        key => Ok(Secret::new(key)),
    }
}

fn random_key() -> String {
    let mut key = [0u8; KEY_BYTES];
    rand::fill(&mut key);
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make(data_dir: &Path) -> io::Result<()> {
    let key = random_key();
    let text = format!(
        "# Made at the first start, because no app was configured. Whoever reads the key can sign as anybody.\n\
         id = {FIRST_APP_ID}\nkey = \"{key}\"\nadmins = [\"{FIRST_ADMIN}\"]\n"
    );
    write_once(data_dir, APP_FILE, &text)
}

/// Writes a complete file beside the place and links it there, for its owner only: the link fails if somebody was
/// first, and a crash leaves either no file or a whole one.
fn write_once(data_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let path = data_dir.join(name);
    let draft = data_dir.join(format!("{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, &path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&draft)?;
    linked?;
    fs::File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_app_is_made_once_and_kept_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let app = ensure_app(&data_dir).unwrap();
        assert_eq!((app.id, app.admins.as_slice()), (FIRST_APP_ID, ["administrator".to_owned()].as_slice()));
        let key = app.keys[0].expose();
        assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()), "64 hex digits");
        assert_eq!(ensure_app(&data_dir).unwrap(), app, "a later start finds the same app");
        let mode = fs::metadata(data_dir.join(APP_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no draft is left behind");

        let other = ensure_app(&folder.path().join("other")).unwrap();
        assert_ne!(other.keys, app.keys);
    }

    #[test]
    fn a_damaged_app_file_is_named_and_its_key_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(APP_FILE), "id = 1\nkey = \"sesame\"\nadmins = []\n").unwrap();
        let message = ensure_app(folder.path()).unwrap_err().to_string();
        assert!(message.contains(APP_FILE) && !message.contains("sesame"), "{message}");
    }
}
