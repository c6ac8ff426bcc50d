//! What members share besides texts: attributes and counters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::World;
use crate::expect;

/// More keys than a group may have, so that the limits are met.
const ATTRIBUTE_KEYS: usize = 19;
const ATTRIBUTES_MAX: usize = 16;
const COUNTER_KEYS: usize = 23;
const COUNTERS_MAX: usize = 20;

fn attributes(of: &BTreeMap<String, String>) -> Value {
    of.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

impl World {
    fn attribute_pairs(&mut self) -> Vec<(String, String)> {
        let random = &mut self.random;
        let count = if random.once_in(3) { 1 + random.below(ATTRIBUTE_KEYS) } else { 1 + random.below(3) };
        (0..count).map(|_| (format!("a{}", random.below(ATTRIBUTE_KEYS)), random.below(3).to_string())).collect()
    }

    pub(super) async fn change_attributes(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let pairs = self.attribute_pairs();
        let command =
            *self.random.pick(&["set_group_attr", "modify_group_attr", "delete_group_attr", "clear_group_attr"]);
        // Some of those that are there, for a deletion that may succeed; mostly.
        let present: Vec<String> =
            self.groups.get(&id).map_or_else(Vec::new, |group| group.attributes.keys().cloned().collect());
        let doomed = match present.is_empty() || self.random.once_in(3) {
            true => vec![pairs[0].0.clone()],
            false => vec![self.random.pick(&present).clone(), self.random.pick(&present).clone()],
        };
        let mut body = json!({"GroupId": id});
        match command {
            "clear_group_attr" => {}
            "delete_group_attr" => body["GroupAttr"] = doomed.iter().map(|key| json!({"key": key})).collect(),
            _ => body["GroupAttr"] = pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect(),
        }
        let (_, answer) = self.send(command, &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        let mut wanted = match command {
            "set_group_attr" | "clear_group_attr" => BTreeMap::new(),
            _ => group.attributes.clone(),
        };
        match command {
            "delete_group_attr" => {
                if doomed.iter().any(|key| !wanted.contains_key(key)) {
                    return Self::assert_refused(&answer, 10050);
                }
                wanted.retain(|key, _| !doomed.contains(key));
            }
            "clear_group_attr" => {}
            // Of a key that comes twice the last value counts.
            _ => wanted.extend(pairs),
        }
        if wanted.len() > ATTRIBUTES_MAX {
            return Self::assert_refused(&answer, 10047);
        }
        assert_eq!(answer, expect::ok(json!({})), "{command} {body}");
        group.attributes = wanted;
    }

    pub(super) async fn change_counters(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        if self.random.once_in(5) {
            return self.delete_counters(&id).await;
        }
        let random = &mut self.random;
        let mut pairs = Vec::new();
        for _ in 0..=random.below(5) {
            let value = match random.below(12) {
                0 => i64::MAX,
                1 => i64::MIN,
                n => n as i64 - 6,
            };
            pairs.push((format!("c{}", random.below(COUNTER_KEYS)), value));
        }
        let mode = *random.pick(&["Set", "Increase", "Decrease", ""]);
        let items: Vec<Value> = pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let mut body = json!({"GroupId": id, "GroupCounter": items});
        if !mode.is_empty() {
            body["Mode"] = json!(mode);
        }
        let (_, answer) = self.send("update_group_counter", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.kind.wire == "Community" {
            return Self::assert_refused(&answer, 10007);
        }
        let mut wanted = group.counters.clone();
        let mut named: Vec<&String> = Vec::new();
        let mut overflows = false;
        for (key, value) in &pairs {
            if !named.contains(&key) {
                named.push(key);
            }
            let present = wanted.get(key).copied().unwrap_or(0);
            let new = match mode {
                "Increase" => present.checked_add(*value),
                "Decrease" => present.checked_sub(*value),
                _ => Some(*value),
            };
            overflows |= new.is_none();
            wanted.insert(key.clone(), new.unwrap_or(0));
        }
        let are_too_many = wanted.len() > COUNTERS_MAX && wanted.len() > group.counters.len();
        if overflows || are_too_many {
            // Which of two reasons is said is nobody's promise.
            let code = if overflows && (!are_too_many || answer["ErrorCode"] == 10004) { 10004 } else { 10063 };
            return Self::assert_refused(&answer, code);
        }
        let shown: Vec<Value> = named.iter().map(|key| json!({"Key": key, "Value": wanted[*key]})).collect();
        assert_eq!(answer, expect::ok(json!({"GroupCounter": shown})), "{body}");
        group.counters = wanted;
    }

    async fn delete_counters(&mut self, id: &str) {
        let mut body = json!({"GroupId": id});
        let keys: Vec<String> =
            (0..self.random.below(4)).map(|_| format!("c{}", self.random.below(COUNTER_KEYS))).collect();
        // No key: all of them.
        if !keys.is_empty() {
            body["GroupCounterKeys"] = json!(keys);
        }
        let (_, answer) = self.send("delete_group_counter", &body).await;
        let Some(group) = self.groups.get_mut(id) else { return Self::assert_refused(&answer, 10010) };
        if group.kind.wire == "Community" {
            return Self::assert_refused(&answer, 10007);
        }
        assert_eq!(answer, expect::ok(json!({})));
        group.counters.retain(|key, _| !keys.is_empty() && !keys.contains(key));
    }

    pub(super) async fn read_values(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let (_, answer) = self.send("get_group_attr", &json!({"GroupId": id})).await;
        let (_, all) = self.send("get_group_counter", &json!({"GroupId": id})).await;
        let keys: Vec<String> = (0..3).map(|_| format!("c{}", self.random.below(COUNTER_KEYS))).collect();
        let (_, some) = self.send("get_group_counter", &json!({"GroupId": id, "GroupCounterKeys": keys})).await;
        let Some(group) = self.groups.get(&id) else {
            return [answer, all, some].iter().for_each(|answer| Self::assert_refused(answer, 10010));
        };
        assert_eq!(answer, expect::ok(json!({"GroupAttrAry": attributes(&group.attributes)})));
        if group.kind.wire == "Community" {
            return [all, some].iter().for_each(|answer| Self::assert_refused(answer, 10007));
        }
        let shown = |key: &String| Some(json!({"Key": key, "Value": group.counters.get(key)?}));
        let expected: Vec<Value> = group.counters.keys().filter_map(shown).collect();
        assert_eq!(all, expect::ok(json!({"GroupCounter": expected})));
        let expected: Vec<Value> = keys.iter().filter_map(shown).collect();
        assert_eq!(some, expect::ok(json!({"GroupCounter": expected})), "{keys:?}");
    }
}
