//! Under which conditions a server runs: whether its figures may stand beside others.
//!
//! A server that flushes nothing or checks no signature is faster, and does less. Both are asked
//! of every target before anything is measured, and what cannot be asked counts against it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::client::{self, Connection};
use super::request::{Operation, Renderer, User};
use super::{signature, verdict};

/// Where a node lists the settings that differ from their defaults.
const SETTINGS_PATH: &str = "/settings";
/// The setting that lets a node answer before a change is on disk.
const FLUSH_SETTING: &str = "storage.flush";
/// Codes about accounts and signatures. Source: docs/spec/errors.md, table of code ranges.
const SIGNATURE_CODES: std::ops::RangeInclusive<u64> = 70_001..=72_012;

/// A setting that differs from its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

/// What one target runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub target: String,
    pub settings: Vec<Setting>,
    /// Why figures of this target are not comparable; empty if they are.
    pub doubts: Vec<String>,
}

impl Conditions {
    /// The target and its settings, as a result file keeps them.
    pub fn settings_by_name(&self) -> (String, BTreeMap<String, String>) {
        let settings = self.settings.iter().map(|setting| (setting.name.clone(), setting.value.clone()));
        (self.target.clone(), settings.collect())
    }

    /// A line for every setting and every doubt.
    pub fn to_text(&self) -> String {
        let settings = self.settings.iter().map(|Setting { name, value }| format!("  {name} = {value}\n"));
        settings.chain(self.doubts.iter().map(|doubt| format!("  NOT COMPARABLE: {doubt}\n"))).collect()
    }
}

/// Asks a target for its settings, and whether it refuses a forged signature.
///
/// # Errors
/// [`client::Error`] if nobody answers at all.
pub async fn inspect(target: &str, run: &str, query: &str) -> Result<Conditions, client::Error> {
    let mut connection = Connection::new(target)?;
    connection.connect().await?;
    let mut conditions = Conditions { target: target.to_owned(), settings: Vec::new(), doubts: Vec::new() };
    match read_settings(&mut connection).await {
        Ok(settings) => {
            if settings.iter().any(|setting| setting.name == FLUSH_SETTING && !is_on(&setting.value)) {
                conditions.doubts.push(format!("{target} answers before changes are flushed ({FLUSH_SETTING} is off)"));
            }
            conditions.settings = settings;
        }
        Err(why) => conditions.doubts.push(format!("settings of {target} cannot be read: {why}")),
    }
    if let Err(why) = refuses_forged(&mut connection, run, query).await {
        conditions.doubts.push(format!("{target} is not known to verify signatures: {why}"));
    }
    Ok(conditions)
}

async fn read_settings(connection: &mut Connection) -> Result<Vec<Setting>, String> {
    let answer = connection.get(SETTINGS_PATH).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("GET {SETTINGS_PATH} answered {}", answer.status));
    }
    parse_settings(&answer.body).ok_or_else(|| format!("GET {SETTINGS_PATH} answered no list of settings"))
}

/// Reads an object `{"a.b": 1}`, nested or flat, or a list of `{"name": "a.b", "value": 1}`.
fn parse_settings(body: &[u8]) -> Option<Vec<Setting>> {
    let mut settings = Vec::new();
    match serde_json::from_slice(body).ok()? {
        Value::Object(sections) => {
            // An answer of the REST API, given to every path by servers that know no other.
            if sections.contains_key("ErrorCode") {
                return None;
            }
            for (name, value) in sections {
                flatten(name, value, &mut settings);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                let name = entry.get("name")?.as_str()?.to_owned();
                settings.push(Setting { name, value: text_of(entry.get("value")?) });
            }
        }
        _ => return None,
    }
    Some(settings)
}

fn flatten(name: String, value: Value, settings: &mut Vec<Setting>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(format!("{name}.{field}"), value, settings);
            }
        }
        value => settings.push(Setting { name, value: text_of(&value) }),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_on(value: &str) -> bool {
    matches!(value, "true" | "on")
}

/// Posts a harmless read under a signature that only a check of the keyed hash tells from a genuine one.
async fn refuses_forged(connection: &mut Connection, run: &str, query: &str) -> Result<(), String> {
    let forged = signature::forge_query(query).ok_or("the query has no usersig to forge")?;
    let request = Renderer::new(run, &forged).render(&Operation::JoinedList { user: User::Owner }, 0);
    let answer = connection.post(request).await.map_err(|error| error.to_string())?;
    judge_forged(answer.status, &answer.body)
}

fn judge_forged(status: u16, body: &Bytes) -> Result<(), String> {
    match verdict::code(body) {
        Some(code) if SIGNATURE_CODES.contains(&code) => Ok(()),
        Some(0) => Err("it accepted a forged one".to_owned()),
        Some(code) => Err(format!("it answered a forged one with code {code}")),
        None => Err(format!("it answered a forged one with status {status} and no code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, value: &str) -> Setting {
        Setting { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn settings_are_read_in_every_shape() {
        let expected = Some(vec![setting("limits.daily_net_groups", "0"), setting("storage.flush", "false")]);
        let flat = br#"{"limits.daily_net_groups":0,"storage.flush":false}"#;
        let nested = br#"{"limits":{"daily_net_groups":0},"storage":{"flush":false}}"#;
        let list = br#"[{"name":"limits.daily_net_groups","value":0},{"name":"storage.flush","value":"false"}]"#;
        assert_eq!(parse_settings(flat), expected);
        assert_eq!(parse_settings(nested), expected);
        assert_eq!(parse_settings(list), expected);
        assert_eq!(parse_settings(b"{}"), Some(vec![]));
    }

    #[test]
    fn what_is_no_list_of_settings_is_not_taken_for_an_empty_one() {
        for body in [&b""[..], b"ok", b"1", br#"["x"]"#, br#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#] {
            assert_eq!(parse_settings(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn flushing_is_on_only_if_it_says_so() {
        assert!(is_on("true") && is_on("on"));
        assert!(!is_on("false") && !is_on("off") && !is_on("0") && !is_on("later"));
    }

    #[test]
    fn only_a_code_about_signatures_refuses_a_forged_one() {
        let judge = |status, body: &'static str| judge_forged(status, &Bytes::from_static(body.as_bytes()));
        assert_eq!(judge(200, r#"{"ActionStatus":"FAIL","ErrorInfo":"x","ErrorCode":70009}"#), Ok(()));
        assert!(judge(200, r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#).is_err());
        assert!(judge(200, r#"{"ActionStatus":"FAIL","ErrorInfo":"x","ErrorCode":60018}"#).is_err());
        assert!(judge(404, "not found").is_err());
    }
}
