//! What the members of a group share: attributes and counters.

use muster_cluster::{DiskError, Rows};

use super::open;
use crate::id::{AppId, GroupId};
use crate::shard::view::KeyValues;
use crate::store::{Key, decode};

/// All attributes, by key.
pub fn attributes(rows: &Rows, app: AppId, id: &GroupId) -> Result<Option<KeyValues<String>>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let mut values = Vec::new();
    let (from, to) = group.keys.attributes(group.slot, group.gno);
    group.view.scan(&from, &to, |key, value| {
        if let Some(Key::Attribute { name, .. }) = Key::parse(key) {
            values.push((name, decode(value)));
        }
        true
    })?;
    Ok(Some(KeyValues { kind: group.facts.kind, values }))
}

/// All counters, by key.
pub fn counters(rows: &Rows, app: AppId, id: &GroupId) -> Result<Option<KeyValues<i64>>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let mut values = Vec::new();
    let (from, to) = group.keys.counters(group.slot, group.gno);
    group.view.scan(&from, &to, |key, value| {
        if let Some(Key::Counter { name, .. }) = Key::parse(key) {
            values.push((name, decode(value)));
        }
        true
    })?;
    Ok(Some(KeyValues { kind: group.facts.kind, values }))
}
