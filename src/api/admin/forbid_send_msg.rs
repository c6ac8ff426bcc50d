//! `forbid_send_msg`. Source: docs/spec/rest-api.md 4.13.

use super::topic;
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{ACCOUNTS, About, Example, GROUP_ID, Limit, NOTHING, Shape, TOPIC_ID, Topic, U32, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields::read_mute;
use crate::api::json::Json;
use crate::group::{Command, Mute, shape};
use crate::id::GroupId;

#[derive(Debug, PartialEq)]
pub struct Asked {
    group: GroupId,
    /// It is about a topic of the group.
    of_topic: bool,
    mute: Mute,
}

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Mutes accounts in a group for a time, or lets them speak again.",
    notes: &[
        "A second mute replaces the first. A mute outlives leaving and coming back.",
        "One account that may not be muted refuses the whole request.",
    ],
    request: Shape::of(&[
        GROUP_ID,
        required("Members_Account", ACCOUNTS, "whom to mute").limit(Limit::Items("limits.mute_members")),
        required("MuteTime", U32, "seconds of silence from now on; 0 ends it, 4294967295 is for ever")
            .also(&["ShutUpTime"]),
        TOPIC_ID,
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "the owner; or, unless `MuteTime` is 0 or it is a live room, an account that is not a member"),
        (10005, "more accounts than one request may name"),
        (10007, "a Work group; a `TopicId` and a group without topics"),
        (110003, "the topic does not exist"),
        (110013, "the `TopicId` is not that of a topic of the group"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Members_Account":["piet","lena"],"MuteTime":3600}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let asked = read(call, body)?;
    if asked.of_topic {
        // Never the whole group in its stead.
        return Err(topic::missing(service, call, &asked.group).await);
    }
    call.submit(service, &asked.group, Command::Mute(asked.mute)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<Asked, Failure> {
    let for_secs = read_mute(body, &["MuteTime", "ShutUpTime"])?;
    let mute = Mute {
        operator: call.operator(),
        accounts: body.required_accounts("Members_Account")?,
        for_secs: for_secs.ok_or_else(|| Failure::bad("MuteTime", "missing"))?,
    };
    let addressed = body.addressed("GroupId")?;
    shape::check_mute(&mute, &call.rules.limits)?;
    let group = addressed.group()?;
    Ok(Asked { of_topic: topic::is_named(body, &group)?, group, mute })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;
    use crate::group::FOR_EVER_SECS;

    fn asked(fields: &str) -> Result<Asked, Failure> {
        let body = format!(r#"{{"GroupId":"@TGS#_c","Members_Account":["b","a","b"]{fields}}}"#);
        Bench::new().read(&body, read)
    }

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let mute = |for_secs| Mute {
            operator: Bench::new().operator(),
            accounts: ["b", "a", "b"].map(account).to_vec(),
            for_secs,
        };
        let group = GroupId::parse("@TGS#_c").unwrap();
        for (fields, for_secs, of_topic) in [
            (r#","MuteTime":3600"#, 3600, false),
            (r#","ShutUpTime":"3600","TopicId":null"#, 3600, false),
            (r#","ShutUpTime":3600,"MuteTime":0"#, 0, false),
            (r#","MuteTime":4294967295"#, FOR_EVER_SECS, false),
            (r#","MuteTime":1,"TopicId":"@TGS#_c@TOPIC#_t""#, 1, true),
        ] {
            let expected = Asked { group: group.clone(), of_topic, mute: mute(for_secs) };
            assert_eq!(asked(fields), Ok(expected), "{fields}");
        }
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        let names = |n: usize| {
            let names = (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
            format!(r#","MuteTime":1,"Members_Account":[{names}]"#)
        };
        assert_eq!(code(asked(&names(500))), 0);
        for (fields, expected) in [
            (names(501).as_str(), 10005),
            (names(0).as_str(), 10004),
            ("", 10004),
            (r#","MuteTime":null"#, 10004),
            // The name of one client, for another command.
            (r#","ShutUpUntil":1"#, 10004),
            (r#","MuteTime":-1"#, 10004),
            (r#","MuteTime":4294967296"#, 10004),
            (r#","MuteTime":1.5"#, 10004),
            (r#","MuteTime":1,"ShutUpTime":[]"#, 10004),
            (r#","MuteTime":1,"Members_Account":[1]"#, 60015),
            (r#","MuteTime":1,"TopicId":7"#, 10004),
            (r#","MuteTime":1,"TopicId":"@TGS#_d@TOPIC#_t""#, 110013),
            (r#","MuteTime":1,"GroupId":"\t""#, 10015),
        ] {
            assert_eq!(code(asked(fields)), expected, "{fields}");
        }
    }
}
