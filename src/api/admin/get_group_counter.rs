//! `get_group_counter`, and how counters are read and rendered. Source: docs/spec/rest-api.md 4.24.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, Field, GROUP_ID, Is, Shape, TEXTS, Topic, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{ChangeCounters, CounterChange, shape};
use crate::id::GroupId;

pub const COUNTER_KEYS: Field = optional(
    "GroupCounterKeys",
    TEXTS,
    "the keys, each at most {limits.counter_key_bytes bytes} and at most {limits.counter_keys} of them",
);
pub const COUNTERS: Shape = Shape::of(&[required(
    "GroupCounter",
    Is::List(&Is::Object(&Shape::named(
        "Counter",
        "A counter of a group.",
        &[required("Key", Is::Text, "its key"), required("Value", Is::Signed, "its value")],
    ))),
    "the counters, in the order of the request",
)]);
pub const TOO_MANY_COUNTERS: (u32, &str) =
    (10063, "more than {limits.counter_keys counters}, in the request or afterwards in the group");

pub const ABOUT: About = About {
    topic: Topic::Counters,
    summary: "Answers counters of a group.",
    notes: &["A key that does not exist is left out."],
    request: Shape::of(&[GROUP_ID, COUNTER_KEYS.default("all")]),
    answer: COUNTERS,
    refusals: &[
        (10007, "a community"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
        TOO_MANY_COUNTERS,
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","GroupCounterKeys":["likes"]}"#,
        answer: r#"{"GroupCounter":[{"Key":"likes","Value":18}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, keys) = read(call, body)?;
    let counters = service.counters(call.app, &group, call.deadline).await?.values;
    match keys {
        None => render(call, &counters),
        Some(keys) => render(call, &chosen(&counters, &keys)),
    }
}

/// `None`: all keys.
pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Option<Vec<String>>), Failure> {
    let addressed = body.addressed("GroupId")?;
    let keys = read_keys(call, body)?;
    Ok((addressed.group()?, keys))
}

/// Reads `GroupCounterKeys`; `None`: there is none, which means all.
///
/// # Errors
/// 10004 for what is not a list of keys, 10063 for more than a group may have.
pub(super) fn read_keys(call: &Call<'_>, body: &Object<'_>) -> Result<Option<Vec<String>>, Failure> {
    let Some(keys) = body.texts("GroupCounterKeys")? else { return Ok(None) };
    let keys: Vec<String> = keys.into_iter().map(|key| key.into_owned()).collect();
    // What may not be deleted may not be asked for either: it is no key of a counter.
    let change = CounterChange::Delete(keys.clone());
    shape::check_change_counters(&ChangeCounters { operator: call.operator(), change }, &call.rules.limits)?;
    Ok(Some(keys))
}

/// The counters of those keys, in the order of the keys; what does not exist is left out.
fn chosen(counters: &[(String, i64)], keys: &[String]) -> Vec<(String, i64)> {
    keys.iter().filter_map(|key| counters.iter().find(|(name, _)| name == key).cloned()).collect()
}

pub(super) fn render(call: &Call<'_>, counters: &[(String, i64)]) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.list("GroupCounter", |json| {
        for (key, value) in counters {
            json.item(|json| {
                json.text("Key", key);
                json.signed("Value", *value);
            });
        }
    });
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, described, text};
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let group = GroupId::parse("g").unwrap();
        for (fields, expected) in [
            ("", None),
            (r#","GroupCounterKeys":null"#, None),
            (r#","GroupCounterKeys":[]"#, None),
            (r#","GroupCounterKeys":["b","a","b"]"#, Some(["b", "a", "b"].map(str::to_owned).to_vec())),
        ] {
            let body = format!(r#"{{"GroupId":"g"{fields}}}"#);
            assert_eq!(bench.read(&body, read), Ok((group.clone(), expected)), "{body}");
        }
        let keys = |n: usize| (0..n).map(|i| format!("\"k{i}\"")).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupId":"g","GroupCounterKeys":[{}]}}"#, keys(20)), 0),
            (format!(r#"{{"GroupId":"g","GroupCounterKeys":[{}]}}"#, keys(21)), 10063),
            (format!(r#"{{"GroupId":"g","GroupCounterKeys":["{}"]}}"#, "k".repeat(128)), 0),
            (format!(r#"{{"GroupId":"g","GroupCounterKeys":["{}"]}}"#, "k".repeat(129)), 10004),
            (r#"{"GroupId":"g","GroupCounterKeys":[""]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","GroupCounterKeys":[1]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","GroupCounterKeys":"likes"}"#.to_owned(), 10004),
            (r#"{}"#.to_owned(), 10004),
            (r#"{"GroupId":"\t"}"#.to_owned(), 10015),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        let counters = [("likes", 18), ("votes", i64::MIN)].map(|(key, value)| (key.to_owned(), value));
        let answer = |counters: &[(String, i64)]| Bench::new().call(|call| render(call, counters).map(text)).unwrap();
        assert_eq!(
            answer(&counters),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupCounter":[{"Key":"likes","Value":18},{"Key":"votes","Value":-9223372036854775808}]}"#
        );
        let keys = ["votes", "none", "likes"].map(str::to_owned);
        assert_eq!(chosen(&counters, &keys), [counters[1].clone(), counters[0].clone()]);
        assert!(answer(&chosen(&counters, &[])).ends_with(r#""GroupCounter":[]}"#));
    }
}
