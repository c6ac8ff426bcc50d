//! What the four commands that write attributes share. Source: docs/spec/rest-api.md 4.19 to 4.23.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{Field, Is, Shape, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{AttributeChange, ChangeAttributes, Command, Refusal, shape};
use crate::id::GroupId;

pub const ATTRIBUTE_KEY: Field = required("key", Is::Text, "the key, not empty");
/// Lower case, unlike every other pair of the wire.
pub const ATTRIBUTE: Shape =
    Shape::named("Attribute", "An attribute of a group.", &[ATTRIBUTE_KEY, required("value", Is::Text, "the value")]);

pub const TOO_OFTEN: (u32, &str) =
    (10049, "more than {limits.attr_write_per_sec writes} of the caller to the group in a second");
/// Why a write of values is refused.
pub const WRITE_REFUSALS: &[(u32, &str)] = &[
    (10045, "a key longer than {limits.attr_key_bytes bytes}"),
    (10046, "a value longer than {limits.attr_value_bytes bytes}"),
    (10047, "the group would have more than {limits.attr_keys attributes}"),
    (10048, "keys and values would be larger than {limits.attr_total_bytes bytes} in all"),
    TOO_OFTEN,
];

/// Carries out one write.
pub(super) async fn write(
    service: &Service,
    call: &Call<'_>,
    (group, change): (GroupId, ChangeAttributes),
) -> Result<Vec<u8>, Failure> {
    if let Err(too_often) = call.attribute_write(&group) {
        // Whether there is a group at all is judged before how often it is written: docs/spec/rest-api.md 2.7.
        return Err(match service.version(call.app, &group, call.deadline).await {
            Ok(None) => Refusal::NoSuchGroup.into(),
            Ok(Some(_)) | Err(_) => too_often,
        });
    }
    call.submit(service, &group, Command::ChangeAttributes(change)).await?;
    Ok(Json::ok().finish())
}

/// Reads which group a write is for, and checks it.
pub(super) fn checked(
    call: &Call<'_>,
    body: &Object<'_>,
    change: AttributeChange,
) -> Result<(GroupId, ChangeAttributes), Failure> {
    let change = ChangeAttributes { operator: call.operator(), change };
    let addressed = body.addressed("GroupId")?;
    shape::check_change_attributes(&change, &call.rules.limits)?;
    Ok((addressed.group()?, change))
}

/// Reads `GroupAttr` as keys with values.
pub(super) fn read_pairs(body: &Object<'_>) -> Result<Vec<(String, String)>, Failure> {
    let items = body.required_objects("GroupAttr")?;
    let pair =
        |item: &Object<'_>| Ok((item.required_text("key")?.into_owned(), item.required_text("value")?.into_owned()));
    items.iter().map(pair).collect()
}

/// Reads `GroupAttr` as keys; their values, if any, say nothing.
pub(super) fn read_keys(body: &Object<'_>) -> Result<Vec<String>, Failure> {
    let items = body.required_objects("GroupAttr")?;
    items.iter().map(|item| Ok(item.required_text("key")?.into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code};
    use super::*;

    fn list(items: &[String]) -> String {
        format!(r#"{{"GroupId":"g","GroupAttr":[{}]}}"#, items.join(","))
    }

    #[test]
    fn pairs_and_keys() {
        let bench = Bench::new();
        let body =
            r#"{"GroupId":"g","GroupAttr":[{"key":"b","value":""},{"key":"a","value":"1"},{"key":"b","value":"2"}]}"#;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let pairs = vec![pair("b", ""), pair("a", "1"), pair("b", "2")];
        assert_eq!(read_pairs(&bench.object(body)), Ok(pairs.clone()));
        assert_eq!(read_keys(&bench.object(body)), Ok(vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]));
        let asked = bench.read(body, |call, body| checked(call, body, AttributeChange::Merge(pairs.clone())));
        let change = ChangeAttributes { operator: bench.operator(), change: AttributeChange::Merge(pairs) };
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), change)));
    }

    #[test]
    fn what_is_no_attribute() {
        let pairs = |body: &str| {
            Bench::new().read(body, |call, body| checked(call, body, AttributeChange::Replace(read_pairs(body)?)))
        };
        let keys = |body: &str| {
            Bench::new().read(body, |call, body| checked(call, body, AttributeChange::Delete(read_keys(body)?)))
        };
        let item = |key: usize, value: usize| {
            list(&[format!(r#"{{"key":"{}","value":"{}"}}"#, "k".repeat(key), "v".repeat(value))])
        };
        for (body, of_pairs, of_keys) in [
            (item(32, 4000), 0, 0),
            (item(33, 1), 10045, 10045),
            (item(1, 4001), 10046, 0),
            (item(0, 1), 10004, 10004),
            (list(&[]), 10004, 10004),
            (list(&["{}".to_owned()]), 10004, 10004),
            (list(&[r#"{"key":"a"}"#.to_owned()]), 10004, 0),
            (list(&[r#"{"key":"a","value":1}"#.to_owned()]), 10004, 0),
            (list(&[r#"{"key":1,"value":"a"}"#.to_owned()]), 10004, 10004),
            (list(&[r#"{"Key":"a","Value":"a"}"#.to_owned()]), 10004, 10004),
            (list(&[r#""a""#.to_owned()]), 10004, 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004, 10004),
            (r#"{"GroupId":"g","GroupAttr":{"key":"a","value":"a"}}"#.to_owned(), 10004, 10004),
            (r#"{"GroupAttr":[{"key":"a","value":"a"}]}"#.to_owned(), 10004, 10004),
            (r#"{"GroupId":"\n","GroupAttr":[{"key":"a","value":"a"}]}"#.to_owned(), 10015, 10015),
        ] {
            assert_eq!((code(pairs(&body)), code(keys(&body))), (of_pairs, of_keys), "{body}");
        }
        assert_eq!(code(Bench::new().read("{}", |call, body| checked(call, body, AttributeChange::Clear))), 10004);
    }
}
