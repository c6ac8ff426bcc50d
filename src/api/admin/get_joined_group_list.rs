//! `get_joined_group_list`. Source: docs/spec/rest-api.md 4.11.

use crate::actors::{JoinedList, JoinedQuery, Service};
use crate::api::about::{
    About, Example, FLAG, GROUP_FIELDS, Is, JOINED_FILTER, KINDS_LISTED, Limit, MEMBER_FIELDS, Shape, Topic, U64,
    optional, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields::{self, BaseField, Fields, MemberShape};
use crate::api::json::Json;
use crate::api::{Call, wire};
use crate::group::Kind;
use crate::id::AccountId;

/// A retired type: it may be asked for, and no group has it.
const RETIRED_TYPE: &str = "BChatRoom";

#[derive(Debug, PartialEq)]
pub struct Asked {
    account: AccountId,
    /// `None`: nothing can match.
    query: Option<JoinedQuery>,
    base: Option<Fields>,
    own: Option<MemberShape>,
    /// Sums over topics are shown.
    topics: bool,
}

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Lists the groups an account is in, in the order in which it joined.",
    notes: &[
        "Without `ResponseFilter` only the ids are answered.",
        "An account that is in no group, or that nobody knows, gets an empty list.",
    ],
    request: Shape::of(&[
        required("Member_Account", Is::Account, "the account"),
        optional("WithHugeGroups", FLAG, "1: also live rooms").default("0, unless `GroupType` is `AVChatRoom`"),
        optional("WithNoActiveGroups", FLAG, "1: also Work groups without a message so far").default("0"),
        optional("Limit", U64, "groups per page").limit(Limit::Page("limits.joined_page")),
        optional("Offset", U64, "how many to leave out").default("0"),
        optional("GroupType", KINDS_LISTED, "only groups of this type").default("all").also(&["Type"]),
        optional("SupportTopic", FLAG, "only communities with topics (1) or without (0)").default("all groups"),
        optional("ResponseFilter", Is::Object(&JOINED_FILTER), "what is answered").default("only the `GroupId`"),
    ]),
    answer: Shape::of(&[
        required("TotalCount", U64, "how many groups match, on whichever page"),
        required(
            "GroupIdList",
            Is::List(&Is::Object(
                &Shape::named(
                    "JoinedGroup",
                    "A group that an account is in.",
                    &[
                        required("GroupId", Is::Text, "the id"),
                        optional("GrossTopicNextMsgSeq", U64, "sum over topics; only with `SupportTopic` 1"),
                        optional(
                            "SelfInfo",
                            Is::Object(
                                &Shape::named(
                                    "SelfInfo",
                                    "The account's own membership.",
                                    &[optional(
                                        "GrossTopicReadSeq",
                                        U64,
                                        "sum over topics; only with `SupportTopic` 1",
                                    )],
                                )
                                .with(&[&MEMBER_FIELDS]),
                            ),
                            "the account's own membership",
                        ),
                    ],
                )
                .with(&[&GROUP_FIELDS]),
            )),
            "the page",
        ),
    ]),
    refusals: &[(10018, "the answer is larger than {http.max_response_bytes bytes}")],
    example: Example {
        request: r#"{"Member_Account":"otto","Limit":20,"Offset":0,"ResponseFilter":{"GroupBaseInfoFilter":["Type","Name","NextMsgSeq"],"SelfInfoFilter":["Role","JoinTime","MsgFlag","MsgSeq"]}}"#,
        answer: r#"{"TotalCount":1,"GroupIdList":[{"GroupId":"trail-club","Type":"Public","Name":"Trail club","NextMsgSeq":58,"SelfInfo":{"Role":"Admin","JoinTime":1787000000,"MsgFlag":"AcceptAndNotify","MsgSeq":41}}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let asked = read(call, body)?;
    let list = match asked.query.clone() {
        None => JoinedList { total: 0, groups: vec![] },
        Some(query) => service.joined(call.app, &asked.account, query, call.deadline).await?,
    };
    render(call, &asked, &list)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<Asked, Failure> {
    let account = body.required_account("Member_Account")?;
    let filter = body.object("ResponseFilter")?;
    let (mut base, own) = match &filter {
        None => (None, None),
        Some(filter) => {
            let own = MemberShape::named(filter, "SelfInfoFilter")?;
            (Fields::group_filter(filter)?, own)
        }
    };
    let support_topic = body.flag("SupportTopic")?;
    let topics = support_topic == Some(true);
    if topics {
        base = Some(base.unwrap_or_default().and_of_group(&[BaseField::Type, BaseField::SupportTopic]));
    }
    let kind = kind(body)?;
    let kind = match (kind, support_topic) {
        (Some(Some(Kind::Community)) | None, Some(_)) => Some(Some(Kind::Community)),
        (_, Some(_)) => return Err(Failure::bad("SupportTopic", "needs GroupType Community")),
        (kind, None) => kind,
    };
    let limit_max = call.rules.limits.joined_page;
    let limit = body.integer_above_zero("Limit", u64::MAX)?;
    let offset = body.integer("Offset", u64::MAX)?.unwrap_or(0);
    let query = JoinedQuery {
        kind: kind.flatten(),
        support_topic,
        with_live_rooms: body.flag("WithHugeGroups")?.unwrap_or(false) || kind == Some(Some(Kind::AvChatRoom)),
        with_inactive: body.flag("WithNoActiveGroups")?.unwrap_or(false),
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        limit: fields::page_size(limit, limit_max),
        with_group: base.is_some(),
        with_own: own.is_some(),
    };
    Ok(Asked { account, query: (kind != Some(None)).then_some(query), base, own, topics })
}

/// Reads the type asked for, also under the name one client uses; `Some(None)` is the retired one.
pub(super) fn kind(body: &Object<'_>) -> Result<Option<Option<Kind>>, Failure> {
    let word = |word: &str| if word == RETIRED_TYPE { Some(None) } else { wire::kind(word).map(Some) };
    match body.word("GroupType", word)? {
        Some(kind) => Ok(Some(kind)),
        None => body.word("Type", word),
    }
}

fn render(call: &Call<'_>, asked: &Asked, list: &JoinedList) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.number("TotalCount", list.total as u64);
    call.list(&mut json, "GroupIdList", &list.groups, |json, joined| {
        json.text("GroupId", joined.id.as_str());
        if let (Some(base), Some(group)) = (asked.base, &joined.group) {
            fields::group(json, group, base, call.rules);
        }
        if asked.topics {
            // No group has topics yet, so the sums over them are nothing.
            json.number("GrossTopicNextMsgSeq", 0);
        }
        let own = asked.own.as_ref().zip(joined.own.as_ref());
        if own.is_some() || asked.topics {
            json.object("SelfInfo", |json| {
                if let Some((shape, own)) = own {
                    fields::member(json, own, shape, false, call);
                }
                if asked.topics {
                    json.number("GrossTopicReadSeq", 0);
                }
            });
        }
    })?;
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, a_group, a_member, code, described, text};
    use super::*;
    use crate::actors::JoinedGroup;
    use crate::config::Config;
    use crate::id::GroupId;

    fn asked(body: &str) -> Result<Asked, Failure> {
        Bench::new().read(body, read)
    }

    fn plain() -> JoinedQuery {
        JoinedQuery { limit: 5000, ..JoinedQuery::default() }
    }

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn queries() {
        let community = |support_topic| JoinedQuery { kind: Some(Kind::Community), support_topic, ..plain() };
        for (fields, expected) in [
            ("", Some(plain())),
            (r#","Limit":0,"Offset":0,"GroupType":null"#, Some(plain())),
            (r#","Limit":20,"Offset":"40""#, Some(JoinedQuery { limit: 20, offset: 40, ..plain() })),
            (r#","Limit":50000"#, Some(plain())),
            (
                r#","WithHugeGroups":1,"WithNoActiveGroups":1"#,
                Some(JoinedQuery { with_live_rooms: true, with_inactive: true, ..plain() }),
            ),
            (
                r#","GroupType":"AVChatRoom""#,
                Some(JoinedQuery { kind: Some(Kind::AvChatRoom), with_live_rooms: true, ..plain() }),
            ),
            (r#","GroupType":"Work""#, Some(JoinedQuery { kind: Some(Kind::Work), ..plain() })),
            (r#","Type":"Private""#, Some(JoinedQuery { kind: Some(Kind::Work), ..plain() })),
            (r#","GroupType":"Public","Type":"Private""#, Some(JoinedQuery { kind: Some(Kind::Public), ..plain() })),
            (r#","GroupType":"BChatRoom""#, None),
            (r#","SupportTopic":0"#, Some(community(Some(false)))),
            (
                r#","SupportTopic":1,"GroupType":"Community""#,
                Some(JoinedQuery { with_group: true, ..community(Some(true)) }),
            ),
            (r#","ResponseFilter":{}"#, Some(plain())),
            (
                r#","ResponseFilter":{"GroupBaseInfoFilter":["Name"],"SelfInfoFilter":["Role"]}"#,
                Some(JoinedQuery { with_group: true, with_own: true, ..plain() }),
            ),
        ] {
            let body = format!(r#"{{"Member_Account":"otto"{fields}}}"#);
            assert_eq!(asked(&body).unwrap().query, expected, "{fields}");
        }
        for (body, expected) in [
            (r#"{}"#, 10004),
            (r#"{"Member_Account":5}"#, 60015),
            (r#"{"Member_Account":""}"#, 10004),
            (r#"{"Member_Account":"a","GroupType":"Club"}"#, 10004),
            (r#"{"Member_Account":"a","GroupType":"Public","SupportTopic":1}"#, 10004),
            (r#"{"Member_Account":"a","ResponseFilter":"all"}"#, 10004),
        ] {
            assert_eq!(code(asked(body)), expected, "{body}");
        }
    }

    fn answer(bench: &Bench, body: &str, list: &JoinedList) -> Result<String, Failure> {
        bench.call(|call| render(call, &read(call, &bench.object(body))?, list).map(text))
    }

    #[test]
    fn answers() {
        let bench = Bench::new();
        let id = GroupId::parse("trail-club").unwrap();
        let bare = JoinedList { total: 9, groups: vec![JoinedGroup { id: id.clone(), group: None, own: None }] };
        assert_eq!(
            answer(&bench, r#"{"Member_Account":"otto"}"#, &bare).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"TotalCount":9,"GroupIdList":[{"GroupId":"trail-club"}]}"#
        );
        let filled = |kind| {
            let joined = JoinedGroup { id: id.clone(), group: Some(a_group(kind)), own: Some(a_member("otto")) };
            JoinedList { total: 1, groups: vec![joined] }
        };
        let body = r#"{"Member_Account":"otto","ResponseFilter":{"GroupBaseInfoFilter":["Type","NextMsgSeq"],"SelfInfoFilter":["Role","JoinTime","MsgSeq"]}}"#;
        assert_eq!(
            answer(&bench, body, &filled(Kind::Work)).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"TotalCount":1,"GroupIdList":[{"GroupId":"trail-club","Type":"Private","NextMsgSeq":58,"SelfInfo":{"Role":"Admin","JoinTime":1787000000,"MsgSeq":41}}]}"#
        );
        let body = r#"{"Member_Account":"otto","SupportTopic":1,"ResponseFilter":{"SelfInfoFilter":["Role"]}}"#;
        let mut topics = filled(Kind::Community);
        topics.groups[0].group.as_mut().unwrap().facts.support_topic = true;
        assert!(answer(&bench, body, &topics).unwrap().ends_with(
            r#""Type":"Community","SupportTopic":1,"GrossTopicNextMsgSeq":0,"SelfInfo":{"Role":"Admin","GrossTopicReadSeq":0}}]}"#
        ));
        topics.groups[0].own = None;
        assert!(
            answer(&bench, r#"{"Member_Account":"otto","SupportTopic":1}"#, &topics)
                .unwrap()
                .ends_with(r#""SupportTopic":1,"GrossTopicNextMsgSeq":0,"SelfInfo":{"GrossTopicReadSeq":0}}]}"#)
        );
    }

    #[test]
    fn too_large_an_answer_is_refused() {
        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let id = GroupId::parse("g").unwrap();
        let groups = vec![JoinedGroup { id, group: None, own: None }; 100];
        let list = JoinedList { total: 100, groups };
        assert_eq!(code(answer(&Bench::with(&config), r#"{"Member_Account":"a"}"#, &list)), 10018);
    }
}
