//! `delete_group_counter`. Source: docs/spec/rest-api.md 4.26.

use super::get_group_counter::{COUNTER_KEYS, TOO_MANY_COUNTERS, read_keys};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, NOTHING, Shape, Topic};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{ChangeCounters, Command, CounterChange};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Counters,
    summary: "Deletes counters of a group.",
    notes: &["A key that does not exist is no error."],
    request: Shape::of(&[GROUP_ID, COUNTER_KEYS.default("all")]),
    answer: NOTHING,
    refusals: &[(10007, "a community"), TOO_MANY_COUNTERS],
    example: Example { request: r#"{"GroupId":"trail-club","GroupCounterKeys":["likes"]}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    call.submit(service, &group, Command::ChangeCounters(change)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeCounters), Failure> {
    let addressed = body.addressed("GroupId")?;
    let change = match read_keys(call, body)? {
        None => CounterChange::Clear,
        Some(keys) => CounterChange::Delete(keys),
    };
    Ok((addressed.group()?, ChangeCounters { operator: call.operator(), change }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, described};
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        for (fields, expected) in [
            ("", CounterChange::Clear),
            (r#","GroupCounterKeys":[]"#, CounterChange::Clear),
            (r#","GroupCounterKeys":["a"]"#, CounterChange::Delete(vec!["a".to_owned()])),
        ] {
            let body = format!(r#"{{"GroupId":"g"{fields}}}"#);
            assert_eq!(bench.read(&body, read).map(|(_, change)| change.change), Ok(expected), "{body}");
        }
        for (body, expected) in [
            ("{}", 10004),
            (r#"{"GroupId":"g","GroupCounterKeys":"a"}"#, 10004),
            (r#"{"GroupId":"g","GroupCounterKeys":[""]}"#, 10004),
            (r#"{"GroupId":"\t"}"#, 10015),
        ] {
            assert_eq!(code(bench.read(body, read)), expected, "{body}");
        }
    }
}
