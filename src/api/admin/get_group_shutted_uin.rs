//! `get_group_shutted_uin`: the older name of `get_group_muted_account`, with older names in its answer.
//!
//! Source: docs/spec/rest-api.md 4.15.

use super::get_group_muted_account::{Names, answer};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, MEMBER_ACCOUNT, SECONDS, Shape, TOPIC_ID, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;

const NAMES: Names = Names { list: "ShuttedUinList", until: "ShuttedUntil" };

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Does what `get_group_muted_account` does, and answers under older names.",
    notes: &[],
    request: Shape::of(&[GROUP_ID, TOPIC_ID]),
    answer: Shape::of(&[
        required("GroupId", Is::Text, "the group"),
        required(
            "ShuttedUinList",
            Is::List(&Is::Object(&Shape::of(&[
                MEMBER_ACCOUNT,
                required("ShuttedUntil", SECONDS, "until when it is muted, Unix seconds; 4294967295 for ever"),
            ]))),
            "whose mute is still in force, in the order of their names",
        ),
    ]),
    refusals: &[
        (10007, "a `TopicId` and a group without topics"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
        (110003, "the topic does not exist"),
        (110013, "the `TopicId` is not that of a topic of the group"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club"}"#,
        answer: r#"{"GroupId":"trail-club","ShuttedUinList":[{"Member_Account":"piet","ShuttedUntil":1788012345}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    answer(service, call, body, &NAMES).await
}

#[cfg(test)]
mod tests {
    use super::super::get_group_muted_account::render;
    use super::super::testing::{Bench, account, described, text};
    use super::*;
    use crate::id::GroupId;

    #[test]
    fn description() {
        described(&ABOUT, |_, body| super::super::get_group_muted_account::read(body));
    }

    #[test]
    fn answers() {
        let group = GroupId::parse("g").unwrap();
        let muted = [(account("piet"), 1_788_012_345)];
        assert_eq!(
            Bench::new().call(|call| render(call, &group, &muted, &NAMES).map(text)).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"g","ShuttedUinList":[{"Member_Account":"piet","ShuttedUntil":1788012345}]}"#
        );
    }
}
