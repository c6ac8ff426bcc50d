//! `get_group_muted_account`, and what its older name shares with it. Source: docs/spec/rest-api.md 4.14 and 4.15.

use super::topic;
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, MEMBER_ACCOUNT, SECONDS, Shape, TOPIC_ID, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::id::{AccountId, GroupId};

/// What the members of an answer are called; the two commands differ in nothing else.
pub(super) struct Names {
    pub list: &'static str,
    pub until: &'static str,
}

const NAMES: Names = Names { list: "MutedAccountList", until: "MutedUntil" };

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Lists the accounts that are muted in a group.",
    notes: &[],
    request: Shape::of(&[GROUP_ID, TOPIC_ID]),
    answer: Shape::of(&[
        required("GroupId", Is::Text, "the group"),
        required(
            "MutedAccountList",
            Is::List(&Is::Object(&Shape::of(&[
                MEMBER_ACCOUNT,
                required("MutedUntil", SECONDS, "until when it is muted, Unix seconds; 4294967295 for ever"),
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
        answer: r#"{"GroupId":"trail-club","MutedAccountList":[{"Member_Account":"piet","MutedUntil":1788012345}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    answer(service, call, body, &NAMES).await
}

pub(super) async fn answer(
    service: &Service,
    call: &Call<'_>,
    body: &Object<'_>,
    names: &Names,
) -> Result<Vec<u8>, Failure> {
    let (group, of_topic) = read(body)?;
    if of_topic {
        return Err(topic::missing(service, call, &group).await);
    }
    let list = service.muted(call.app, &group, call.now_secs, call.deadline).await?;
    render(call, &group, &list.muted, names)
}

/// The group, and whether it is about a topic of it.
pub fn read(body: &Object<'_>) -> Result<(GroupId, bool), Failure> {
    let group = body.group_id("GroupId")?;
    let of_topic = topic::is_named(body, &group)?;
    Ok((group, of_topic))
}

pub(super) fn render(
    call: &Call<'_>,
    group: &GroupId,
    muted: &[(AccountId, u64)],
    names: &Names,
) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.text("GroupId", group.as_str());
    call.list(&mut json, names.list, muted, |json, (account, until)| {
        json.text("Member_Account", account.as_str());
        json.number(names.until, *until);
    })?;
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described, text};
    use super::*;
    use crate::config::Config;

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn answers() {
        let group = GroupId::parse("trail-club").unwrap();
        let answer = |muted: &[(AccountId, u64)]| {
            Bench::new().call(|call| render(call, &group, muted, &NAMES).map(text)).unwrap()
        };
        assert_eq!(
            answer(&[(account("piet"), 1_788_012_345), (account("zoe"), 4_294_967_295)]),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"trail-club","MutedAccountList":[{"Member_Account":"piet","MutedUntil":1788012345},{"Member_Account":"zoe","MutedUntil":4294967295}]}"#
        );
        assert!(answer(&[]).ends_with(r#""GroupId":"trail-club","MutedAccountList":[]}"#));
    }

    #[test]
    fn too_large_an_answer_is_refused() {
        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let group = GroupId::parse("g").unwrap();
        let muted = vec![(account("a"), 1); 100];
        assert_eq!(code(Bench::with(&config).call(|call| render(call, &group, &muted, &NAMES))), 10018);
    }
}
