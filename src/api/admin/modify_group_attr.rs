//! `modify_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use super::attributes::{self, ATTRIBUTE, WRITE_REFUSALS};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, NOTHING, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::group::{AttributeChange, ChangeAttributes};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Attributes,
    summary: "Adds or changes attributes of a group and keeps the others.",
    notes: &[],
    request: Shape::of(&[
        GROUP_ID,
        required(
            "GroupAttr",
            Is::List(&Is::Object(&ATTRIBUTE)),
            "what to set; of a key that comes twice the last counts",
        ),
    ]),
    answer: NOTHING,
    refusals: WRITE_REFUSALS,
    example: Example {
        request: r#"{"GroupId":"trail-club","GroupAttr":[{"key":"route","value":"north"},{"key":"leader","value":"otto"}]}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    attributes::write(service, call, read(call, body)?).await
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeAttributes), Failure> {
    attributes::checked(call, body, AttributeChange::Merge(attributes::read_pairs(body)?))
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
