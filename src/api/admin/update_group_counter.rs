//! `update_group_counter`. Source: docs/spec/rest-api.md 4.25.

use super::get_group_counter::{COUNTERS, TOO_MANY_COUNTERS, render};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, Limit, Shape, Topic, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::group::{Answer, ChangeCounters, Command, CounterChange, shape};
use crate::id::GroupId;

type Change = fn(Vec<(String, i64)>) -> CounterChange;

pub const ABOUT: About = About {
    topic: Topic::Counters,
    summary: "Sets counters of a group, or adds to them, and answers their new values.",
    notes: &[
        "Either all of them change or none. A counter that does not exist begins with 0.",
        "Concurrent increases are never lost.",
    ],
    request: Shape::of(&[
        GROUP_ID,
        required(
            "GroupCounter",
            Is::List(&Is::Object(&Shape::of(&[
                required("Key", Is::Text, "the key, not empty").limit(Limit::Bytes("limits.counter_key_bytes")),
                required("Value", Is::Signed, "the value, or by how much to change it"),
            ]))),
            "what to change",
        ),
        optional("Mode", Is::Word(&["Set", "Increase", "Decrease"]), "what to do with the values").default("`Set`"),
    ]),
    answer: COUNTERS,
    refusals: &[
        (10004, "a counter would leave 64 bits"),
        (10007, "a community"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
        TOO_MANY_COUNTERS,
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Mode":"Increase","GroupCounter":[{"Key":"likes","Value":3}]}"#,
        answer: r#"{"GroupCounter":[{"Key":"likes","Value":18}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    let Answer::Counted(counters) = call.submit(service, &group, Command::ChangeCounters(change)).await? else {
        unreachable!("the answer to an update of counters says what they are now");
    };
    render(call, &counters)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeCounters), Failure> {
    let items = body.required_objects("GroupCounter")?;
    let pair = |item: &Object<'_>| Ok((item.required_text("Key")?.into_owned(), item.required_signed("Value")?));
    let pairs = items.iter().map(pair).collect::<Result<_, Failure>>()?;
    let change = body.word("Mode", mode)?.unwrap_or(CounterChange::Set);
    let change = ChangeCounters { operator: call.operator(), change: change(pairs) };
    let addressed = body.addressed("GroupId")?;
    shape::check_change_counters(&change, &call.rules.limits)?;
    Ok((addressed.group()?, change))
}

fn mode(word: &str) -> Option<Change> {
    Some(match word {
        "Set" => CounterChange::Set,
        "Increase" => CounterChange::Increase,
        "Decrease" => CounterChange::Decrease,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, described};
    use super::*;

    fn asked(fields: &str) -> Result<CounterChange, Failure> {
        let body = format!(r#"{{"GroupId":"g"{fields}}}"#);
        Bench::new().read(&body, read).map(|(_, change)| change.change)
    }

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let pairs = || vec![("likes".to_owned(), -3), ("a".to_owned(), i64::MAX), ("likes".to_owned(), 4)];
        let items = r#","GroupCounter":[{"Key":"likes","Value":-3},{"Key":"a","Value":"9223372036854775807"},{"Key":"likes","Value":4}]"#;
        for (mode, expected) in [
            ("", CounterChange::Set(pairs())),
            (r#","Mode":null"#, CounterChange::Set(pairs())),
            (r#","Mode":"Set""#, CounterChange::Set(pairs())),
            (r#","Mode":"Increase""#, CounterChange::Increase(pairs())),
            (r#","Mode":"Decrease""#, CounterChange::Decrease(pairs())),
        ] {
            assert_eq!(asked(&format!("{items}{mode}")), Ok(expected), "{mode}");
        }
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        let items = |n: usize| {
            let items: Vec<_> = (0..n).map(|i| format!(r#"{{"Key":"k{i}","Value":1}}"#)).collect();
            format!(r#","GroupCounter":[{}]"#, items.join(","))
        };
        let item = |item: &str| format!(r#","GroupCounter":[{item}]"#);
        for (fields, expected) in [
            (items(20), 0),
            (items(21), 10063),
            (items(0), 10004),
            (String::new(), 10004),
            (item(r#"{"Key":"a"}"#), 10004),
            (item(r#"{"Value":1}"#), 10004),
            (item(r#"{"Key":"","Value":1}"#), 10004),
            (item(&format!(r#"{{"Key":"{}","Value":1}}"#, "k".repeat(129))), 10004),
            (item(r#"{"Key":"a","Value":1.5}"#), 10004),
            (item(r#"{"Key":"a","Value":9223372036854775808}"#), 10004),
            (item(r#"{"Key":"a","Value":"many"}"#), 10004),
            (item(r#"{"Key":1,"Value":1}"#), 10004),
            (item(r#"{"key":"a","value":1}"#), 10004),
            (item("1"), 10004),
            (r#","GroupCounter":{"Key":"a","Value":1}"#.to_owned(), 10004),
            (format!(r#"{},"Mode":"increase""#, items(1)), 10004),
            (format!(r#"{},"Mode":"""#, items(1)), 10004),
            (format!(r#"{},"Mode":1"#, items(1)), 10004),
            (format!(r#"{},"GroupId":"\t""#, items(1)), 10015),
        ] {
            assert_eq!(code(asked(&fields)), expected, "{fields}");
        }
    }
}
