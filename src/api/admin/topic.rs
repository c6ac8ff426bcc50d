//! A topic named where a group could be: no group has one yet, and a request for a topic must not reach its group.
//!
//! Source: docs/spec/identifiers.md 2, docs/spec/rest-api.md 4.13.

use crate::actors::{GroupView, ReadError, Service};
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::id::GroupId;

/// Longest id of a topic, that of its group included. Source: docs/spec/identifiers.md 2.
const TOPIC_ID_BYTES_MAX: usize = 96;
/// What parts a group's id from a topic's own part.
const SEPARATOR: &str = "@TOPIC#_";

/// Says whether a request is about a topic of the group, and not about the group.
///
/// # Errors
/// 10004 for what is not a string, 110013 for what is not the id of a topic of this group.
pub(super) fn is_named(body: &Object<'_>, group: &GroupId) -> Result<bool, Failure> {
    let Some(topic) = body.text("TopicId")? else { return Ok(false) };
    let bad = |what| Err(Failure::with_value(error::BAD_TOPIC_ID, "TopicId", what, &topic));
    if topic.len() > TOPIC_ID_BYTES_MAX || !topic.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return bad("malformed id");
    }
    match topic.strip_prefix(group.as_str()).and_then(|part| part.strip_prefix(SEPARATOR)) {
        None | Some("") => bad("not a topic of the group"),
        Some(_) => Ok(true),
    }
}

/// Why nothing can be asked of a topic of that group.
pub(super) async fn missing(service: &Service, call: &Call<'_>, group: &GroupId) -> Failure {
    judge(service.group(call.app, group, false, call.deadline).await)
}

fn judge(group: Result<GroupView, ReadError>) -> Failure {
    match group {
        Err(e) => e.into(),
        Ok(group) if group.facts.support_topic => Failure::new(error::NO_SUCH_TOPIC, "this topic does not exist"),
        Ok(_) => Failure::of(error::NOT_SUPPORTED, "TopicId", "the group has no topics"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, a_group, code};
    use super::*;
    use crate::group::Kind;

    #[test]
    fn a_topic_is_one_of_its_group() {
        let group = GroupId::parse("@TGS#_c").unwrap();
        let named = |value: &str| is_named(&Bench::new().object(&format!(r#"{{"TopicId":{value}}}"#)), &group);
        assert_eq!(named("null"), Ok(false));
        assert_eq!(named(r#""@TGS#_c@TOPIC#_maps""#), Ok(true));
        assert_eq!(named(r#""@TGS#_c@TOPIC#_@TOPIC#c2ABC""#), Ok(true));
        let longest = |bytes: usize| format!("\"@TGS#_c@TOPIC#_{}\"", "x".repeat(bytes - 15));
        assert_eq!(named(&longest(96)), Ok(true));
        for (value, expected) in [
            ("7", 10004),
            ("[]", 10004),
            (r#""""#, 110013),
            (r#""@TGS#_c""#, 110013),
            (r#""@TGS#_c@TOPIC#_""#, 110013),
            (r#""@TGS#_d@TOPIC#_maps""#, 110013),
            (r#""maps""#, 110013),
            (r#""@TGS#_c@TOPIC#_\u00e9""#, 110013),
            (&longest(97), 110013),
        ] {
            assert_eq!(code(named(value)), expected, "{value}");
        }
    }

    #[test]
    fn no_group_has_topics_yet() {
        assert_eq!(judge(Err(ReadError::NoSuchGroup)).code, 10010);
        assert_eq!(judge(Err(ReadError::Unavailable { what: "x" })).code, 60008);
        assert_eq!(judge(Ok(a_group(Kind::Public))).code, 10007);
        let mut community = a_group(Kind::Community);
        assert_eq!(judge(Ok(community.clone())).code, 10007);
        community.facts.support_topic = true;
        assert_eq!(judge(Ok(community)).code, 110003);
    }
}
