//! `get_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use super::attributes::ATTRIBUTE;
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Attributes,
    summary: "Answers the attributes of a group, in the order of their keys.",
    notes: &[],
    request: Shape::of(&[GROUP_ID]),
    answer: Shape::of(&[required("GroupAttrAry", Is::List(&Is::Object(&ATTRIBUTE)), "the attributes")]),
    refusals: &[(10018, "the answer is larger than {http.max_response_bytes bytes}")],
    example: Example {
        request: r#"{"GroupId":"trail-club"}"#,
        answer: r#"{"GroupAttrAry":[{"key":"leader","value":"otto"},{"key":"route","value":"north"}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let group = read(body)?;
    let attributes = service.attributes(call.app, &group, call.deadline).await?;
    render(call, &attributes.values)
}

fn read(body: &Object<'_>) -> Result<GroupId, Failure> {
    body.group_id("GroupId")
}

fn render(call: &Call<'_>, attributes: &[(String, String)]) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.list("GroupAttrAry", |json| {
        for (key, value) in attributes {
            json.item(|json| {
                json.text("key", key);
                json.text("value", value);
            });
        }
    });
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, described, text};
    use super::*;
    use crate::config::Config;

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn answers() {
        let answer = |values: &[(String, String)]| Bench::new().call(|call| render(call, values).map(text));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            answer(&[pair("leader", "otto"), pair("route", "\"north\"")]).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupAttrAry":[{"key":"leader","value":"otto"},{"key":"route","value":"\"north\""}]}"#
        );
        assert_eq!(answer(&[]).unwrap(), r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupAttrAry":[]}"#);

        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let large = [pair("a", &"x".repeat(1_024))];
        assert_eq!(code(Bench::with(&config).call(|call| render(call, &large))), 10018);
    }
}
