//! `clear_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use super::attributes::{self, TOO_OFTEN};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, NOTHING, Shape, Topic};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::group::{AttributeChange, ChangeAttributes};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Attributes,
    summary: "Deletes all attributes of a group.",
    notes: &[],
    request: Shape::of(&[GROUP_ID]),
    answer: NOTHING,
    refusals: &[TOO_OFTEN],
    example: Example { request: r#"{"GroupId":"trail-club"}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    attributes::write(service, call, read(call, body)?).await
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeAttributes), Failure> {
    attributes::checked(call, body, AttributeChange::Clear)
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
