//! `delete_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use super::attributes::{self, ATTRIBUTE_KEY, TOO_OFTEN};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, NOTHING, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::group::{AttributeChange, ChangeAttributes};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Attributes,
    summary: "Deletes named attributes of a group.",
    notes: &["One key that does not exist refuses the whole request."],
    request: Shape::of(&[
        GROUP_ID,
        required("GroupAttr", Is::List(&Is::Object(&Shape::of(&[ATTRIBUTE_KEY]))), "what to delete"),
    ]),
    answer: NOTHING,
    refusals: &[
        (10045, "a key longer than {limits.attr_key_bytes bytes}"),
        TOO_OFTEN,
        (10050, "one of them does not exist"),
    ],
    example: Example { request: r#"{"GroupId":"trail-club","GroupAttr":[{"key":"route"}]}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    attributes::write(service, call, read(call, body)?).await
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeAttributes), Failure> {
    attributes::checked(call, body, AttributeChange::Delete(attributes::read_keys(body)?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::described;
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }
}
