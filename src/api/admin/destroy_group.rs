//! `destroy_group`. Source: docs/spec/rest-api.md 4.10.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, NOTHING, Shape, Topic};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Destroy};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Disbands a group for good, with everything that belongs to it.",
    notes: &["Its id is free again at once. Callers usually take 10010 as \"already done\"."],
    request: Shape::of(&[GROUP_ID]),
    answer: NOTHING,
    refusals: &[],
    example: Example { request: r#"{"GroupId":"trail-club"}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let group = read(body)?;
    call.submit(service, &group, Command::Destroy(Destroy { operator: call.operator() })).await?;
    Ok(Json::ok().finish())
}

fn read(body: &Object<'_>) -> Result<GroupId, Failure> {
    body.group_id("GroupId")
}

#[cfg(test)]
mod tests {
    use super::super::testing::described;
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }
}
