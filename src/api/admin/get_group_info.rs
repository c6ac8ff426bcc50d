//! `get_group_info`. Source: docs/spec/rest-api.md 4.3.

use std::borrow::Cow;

use crate::actors::{GroupView, ReadError, Service};
use crate::api::about::{
    About, CUSTOM_FIELDS, Example, GROUP_FIELDS, GROUP_FILTER, Is, Limit, MEMBER, Shape, TEXTS, Topic, U32, optional,
    required,
};
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::api::fields::{self, CustomFilter, Fields, MemberShape};
use crate::api::json::Json;
use crate::api::kept::{Rendered, Shown};
use crate::api::{Call, Rules};
use crate::group::Kind;
use crate::id::GroupId;

/// A community with more members is not listed here: it would seldom fit an answer, and has paging.
const LISTED_COMMUNITY_MEMBERS_MAX: u32 = 6_000;

#[derive(Debug, PartialEq)]
pub struct Asked<'a> {
    ids: Vec<Cow<'a, str>>,
    base: Fields,
    /// `Appid` is there only where nothing was filtered.
    with_app: bool,
    custom: CustomFilter,
    members: Option<MemberShape>,
}

/// What became of one id of the request.
type Found = Result<GroupView, Failure>;

/// A member takes so many bytes of an answer at least: its name, which is always there.
const MEMBER_BYTES_MIN: usize = r#"{"Member_Account":"a"}"#.len();

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Answers the profiles of groups, and their members if asked for.",
    notes: &[
        "Every element has its own `ErrorCode`: a group that does not exist (10010) or a malformed id (10015) fails \
         alone, and the outer code stays 0.",
        "Members of a live room are never listed, those of a community up to 6,000.",
    ],
    request: Shape::of(&[
        required("GroupIdList", TEXTS, "the ids").limit(Limit::Items("limits.get_group_info_ids")),
        optional("ResponseFilter", Is::Object(&GROUP_FILTER), "what is answered").default("everything"),
    ]),
    answer: Shape::of(&[required(
        "GroupInfo",
        Is::List(&Is::Object(
            &Shape::named(
                "GroupInfo",
                "A group, or why there is none.",
                &[
                    required("GroupId", Is::Text, "the id as it was asked for"),
                    required("ErrorCode", U32, "0, or why there is nothing of this group"),
                    required("ErrorInfo", Is::Text, "the reason for people"),
                    optional("Appid", U32, "the app; only without `ResponseFilter`"),
                    optional("AppDefinedData", CUSTOM_FIELDS, "its custom fields; left out if there is none"),
                    optional("MemberList", Is::List(&Is::Object(&MEMBER)), "its members"),
                ],
            )
            .with(&[&GROUP_FIELDS]),
        )),
        "one element per id, in the order of the request",
    )]),
    refusals: &[
        (10005, "more ids than one request may name"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
    ],
    example: Example {
        request: r#"{"GroupIdList":["trail-club","gone-club"],"ResponseFilter":{"GroupBaseInfoFilter":["Type","Name","MemberNum","NextMsgSeq","LastMsgTime","MuteAllMember"],"MemberInfoFilter":["Account","Role"]}}"#,
        answer: r#"{"GroupInfo":[{"GroupId":"trail-club","ErrorCode":0,"ErrorInfo":"","Type":"Public","Name":"Trail club","MemberNum":2,"NextMsgSeq":58,"LastMsgTime":1788000321,"MuteAllMember":"Off","MemberList":[{"Member_Account":"mira","Role":"Owner"},{"Member_Account":"otto","Role":"Admin"}]},{"GroupId":"gone-club","ErrorCode":10010,"ErrorInfo":"this group does not exist"}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Rendered, Failure> {
    let asked = read(call, body)?;
    // An id that cannot be anybody's fails alone, like one that is nobody's.
    let mut found: Vec<Found> = Vec::with_capacity(asked.ids.len());
    let mut members = 0;
    for id in &asked.ids {
        found.push(match GroupId::parse(id) {
            Err(e) => Err(Failure::of(error::BAD_GROUP_ID, "GroupId", &e.to_string())),
            Ok(id) => match service.group(call.app, &id, asked.members.is_some(), call.deadline).await {
                Ok(group) => Ok(group),
                Err(e @ (ReadError::NoSuchGroup | ReadError::NotSupported)) => Err(e.into()),
                // Nothing is known of this group: an answer that leaves it out would be believed.
                Err(e) => return Err(e.into()),
            },
        });
        // Fifty large groups are not read to the end to be told that they are too many.
        members += found.last().and_then(|group| group.as_ref().ok()?.members.as_ref()).map_or(0, Vec::len);
        call.may_be(members * MEMBER_BYTES_MIN)?;
    }
    let body = render(call, &asked, &found)?;
    Ok(Rendered { body, shown: shown(&found, call.now_secs) })
}

/// What an answer about these shows; `None` if it says of one that there is nothing, which has no version.
fn shown(found: &[Found], now_secs: u64) -> Option<Shown> {
    let mut shown = Shown::default();
    for group in found {
        let group = group.as_ref().ok()?;
        shown.group(&group.id, group.version);
        group.members.iter().flatten().for_each(|member| shown.over_at(member.mute_until, now_secs));
    }
    Some(shown)
}

pub fn read<'a>(call: &Call<'_>, body: &Object<'a>) -> Result<Asked<'a>, Failure> {
    let ids = body.texts("GroupIdList")?.ok_or_else(|| Failure::bad("GroupIdList", "missing"))?;
    let ids_max = call.rules.limits.get_group_info_ids;
    let filter = body.object("ResponseFilter")?;
    let asked = match filter {
        None => Asked {
            ids,
            base: Fields::all_of_group(call.rules),
            with_app: true,
            custom: CustomFilter::All,
            members: Some(MemberShape::everything(call.rules)),
        },
        Some(filter) => filtered(ids, &filter, call.rules)?,
    };
    if ids_max != 0 && asked.ids.len() > ids_max {
        let text = format!("too many groups in GroupIdList, at most {ids_max}");
        return Err(Failure::new(error::TOO_MANY, text));
    }
    Ok(asked)
}

fn filtered<'a>(ids: Vec<Cow<'a, str>>, filter: &Object<'_>, rules: &Rules) -> Result<Asked<'a>, Failure> {
    let members = MemberShape::named(filter, "MemberInfoFilter")?;
    Ok(Asked {
        ids,
        base: Fields::group_filter(filter)?.unwrap_or_else(|| Fields::all_of_group(rules)),
        with_app: false,
        custom: CustomFilter::read(filter, "AppDefinedDataFilter_Group", CustomFilter::None)?,
        members,
    })
}

fn render(call: &Call<'_>, asked: &Asked<'_>, found: &[Found]) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    let mut fits = Ok(());
    json.list("GroupInfo", |json| {
        for (id, found) in asked.ids.iter().zip(found) {
            json.item(|json| {
                json.text("GroupId", id);
                match found {
                    Ok(group) => fits = render_group(json, call, asked, group),
                    Err(failure) => {
                        json.number("ErrorCode", u64::from(failure.code));
                        json.text("ErrorInfo", &failure.info);
                    }
                }
            });
            if fits.is_err() {
                return;
            }
        }
    });
    fits?;
    call.sized(json)
}

fn render_group(json: &mut Json, call: &Call<'_>, asked: &Asked<'_>, group: &GroupView) -> Result<(), Failure> {
    json.number("ErrorCode", 0);
    json.text("ErrorInfo", "");
    if asked.with_app {
        json.number("Appid", u64::from(call.app.0));
    }
    fields::group(json, group, asked.base, call.rules);
    fields::custom(json, "AppDefinedData", &group.custom, &asked.custom, &call.rules.custom_fields.group);
    if let Some(shape) = &asked.members
        && let Some(members) = group.members.as_ref().filter(|_| lists_members(group))
    {
        json.expect(members.len() * fields::MEMBER_BYTES_USUAL);
        call.list(json, "MemberList", members, |json, member| fields::member(json, member, shape, true, call))?;
    }
    call.fits(json)
}

fn lists_members(group: &GroupView) -> bool {
    match group.facts.kind {
        Kind::AvChatRoom => false,
        Kind::Community => group.facts.member_count <= LISTED_COMMUNITY_MEMBERS_MAX,
        Kind::Work | Kind::Public | Kind::Meeting => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, a_group, a_member, code, described, text};
    use super::*;
    use crate::config::Config;

    fn answer(bench: &Bench, body: &str, found: &[Found]) -> Result<String, Failure> {
        bench.call(|call| {
            let object = bench.object(body);
            render(call, &read(call, &object)?, found).map(text)
        })
    }

    fn with_members(kind: Kind) -> GroupView {
        let mut group = a_group(kind);
        group.members = Some(vec![a_member("mira"), a_member("otto")]);
        group
    }

    #[test]
    fn description() {
        described(&ABOUT, |call, body| read(call, body).map(drop));
    }

    #[test]
    fn everything_of_a_group() {
        let body = r#"{"GroupIdList":["trail-club"],"ResponseFilter":null}"#;
        let answered = answer(&Bench::new(), body, &[Ok(with_members(Kind::Public))]).unwrap();
        let member = |name| {
            format!(
                r#"{{"Member_Account":"{name}","Role":"Admin","JoinTime":1787000000,"MsgSeq":41,"MsgFlag":"AcceptAndNotify","LastSendMsgTime":0,"NameCard":"Card","MuteUntil":1788009000,"ShutUpUntil":1788009000,"AppMemberDefinedData":[{{"Key":"badge","Value":"7"}}]}}"#
            )
        };
        let expected = [
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupInfo":[{"GroupId":"trail-club","ErrorCode":0,"ErrorInfo":"","Appid":1400000000,"#,
            r#""Type":"Public","Name":"Trail \"club\"","Introduction":"","Notification":"n","FaceUrl":"","Owner_Account":"mira","CreateTime":1787000000,"#,
            r#""InfoSeq":3,"LastInfoTime":1787000001,"LastMsgTime":0,"NextMsgSeq":58,"MemberNum":2,"MaxMemberNum":6000,"OnlineMemberNum":0,"#,
            r#""ApplyJoinOption":"NeedPermission","InviteJoinOption":"DisableInvite","MuteAllMember":"On","ShutUpAllMember":"On","#,
            r#""AppDefinedData":[{"Key":"city","Value":"Graz"}],"MemberList":["#,
        ]
        .concat()
            + &format!("{},{}]}}]}}", member("mira"), member("otto"));
        assert_eq!(answered, expected);
    }

    #[test]
    fn the_sample_of_the_reference() {
        let mut group = with_members(Kind::Public);
        group.custom.clear();
        let gone = Err(Failure::from(ReadError::NoSuchGroup));
        let body = r#"{"GroupIdList":["trail-club","gone-club"],"ResponseFilter":{"GroupBaseInfoFilter":["Type","MemberNum","MuteAllMember","Unknown"],"MemberInfoFilter":["Account","Role"]}}"#;
        assert_eq!(
            answer(&Bench::new(), body, &[Ok(group), gone]).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupInfo":[{"GroupId":"trail-club","ErrorCode":0,"ErrorInfo":"","Type":"Public","MemberNum":2,"MuteAllMember":"On","MemberList":[{"Member_Account":"mira","Role":"Admin"},{"Member_Account":"otto","Role":"Admin"}]},{"GroupId":"gone-club","ErrorCode":10010,"ErrorInfo":"this group does not exist"}]}"#
        );
    }

    #[test]
    fn which_parts_a_filter_leaves() {
        let bench = Bench::new();
        let has = |filter: &str, part: &str| {
            let body = format!(r#"{{"GroupIdList":["g"],"ResponseFilter":{filter}}}"#);
            answer(&bench, &body, &[Ok(with_members(Kind::Public))]).unwrap().contains(part)
        };
        assert!(has("{}", "\"Name\"") && has("{}", "ShutUpAllMember"));
        assert!(!has("{}", "MemberList") && !has("{}", "AppDefinedData") && !has("{}", "Appid"));
        assert!(has(r#"{"GroupBaseInfoFilter":[]}"#, "\"Name\""), "an empty filter is none");
        let old = r#"{"GroupBaseInfoFilter":["ShutUpAllMember"],"MemberInfoFilter":["ShutUpUntil","OnlineStatus"]}"#;
        assert!(
            has(old, r#""ShutUpAllMember":"On""#) && has(old, "ShutUpUntil") && has(old, r#""OnlineStatus":"Offline""#)
        );
        assert!(!has(old, "\"MuteAllMember\"") && !has(old, "\"MuteUntil\""));
        assert!(has(
            r#"{"AppDefinedDataFilter_Group":["city","town"]}"#,
            r#""AppDefinedData":[{"Key":"city","Value":"Graz"}]"#
        ));
        assert!(!has(r#"{"AppDefinedDataFilter_Group":["town"]}"#, "AppDefinedData"), "an empty set is left out");
        assert!(!has(r#"{"AppDefinedDataFilter_GroupMember":["badge"]}"#, "badge"), "no members, no fields of theirs");
        let both = r#"{"MemberInfoFilter":["Role"],"AppDefinedDataFilter_GroupMember":["badge"]}"#;
        assert!(has(both, "badge"));
        assert!(has(r#"{"MemberInfoFilter":["AppMemberDefinedData"]}"#, "badge"));
        assert!(!has(r#"{"MemberInfoFilter":["Role"]}"#, "badge"));
    }

    #[test]
    fn names_follow_the_configuration() {
        let mut config = Config::default();
        config.compat.legacy_mute_names = false;
        config.wire.legacy_type_names = false;
        config.custom_fields.group = vec![crate::config::DeclaredField::named("town")];
        let bench = Bench::with(&config);
        let answered = answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(with_members(Kind::Meeting))]).unwrap();
        assert!(answered.contains(r#""Type":"Meeting""#) && !answered.contains("ShutUp"));
        let body = r#"{"GroupIdList":["g"],"ResponseFilter":{"AppDefinedDataFilter_Group":["town","city"]}}"#;
        let answered = answer(&bench, body, &[Ok(a_group(Kind::Public))]).unwrap();
        assert!(
            answered.contains(r#""AppDefinedData":[{"Key":"town","Value":""},{"Key":"city","Value":"Graz"}]"#),
            "a declared key that is unset is shown, in the order of the filter"
        );
    }

    #[test]
    fn live_rooms_and_large_communities_list_no_members() {
        let bench = Bench::new();
        let lists =
            |group: GroupView| answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(group)]).unwrap().contains("MemberList");
        assert!(!lists(with_members(Kind::AvChatRoom)));
        let mut community = with_members(Kind::Community);
        community.facts.member_count = 6_000;
        assert!(lists(community.clone()));
        community.facts.member_count = 6_001;
        assert!(!lists(community));
    }

    #[test]
    fn a_topic_community_shows_its_switches() {
        let mut group = a_group(Kind::Community);
        group.facts.support_topic = true;
        group.facts.enable_permission = true;
        group.facts.default_permission = 5;
        let bench = Bench::new();
        let answered = answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(group)]).unwrap();
        assert!(answered.contains(r#""SupportTopic":1,"EnablePermission":1,"DefaultPermission":5"#));
        let plain = answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(a_group(Kind::Community))]).unwrap();
        assert!(plain.contains(r#""SupportTopic":0"#) && !plain.contains("Permission\":"));
    }

    #[test]
    fn too_large_an_answer_is_refused_whole() {
        let mut config = Config::default();
        config.http.max_response_bytes = 2_000;
        let bench = Bench::with(&config);
        let mut group = a_group(Kind::Public);
        group.members = Some((0..100).map(|i| a_member(&format!("u{i}"))).collect());
        assert_eq!(code(answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(group)])), 10018);
        assert_eq!(code(answer(&bench, r#"{"GroupIdList":["g"]}"#, &[Ok(a_group(Kind::Public))])), 0);
    }

    #[test]
    fn requests() {
        let ids = |n: usize| vec!["\"g\""; n].join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupIdList":[{}]}}"#, ids(50)), 0),
            (format!(r#"{{"GroupIdList":[{}]}}"#, ids(51)), 10005),
            (r#"{"GroupIdList":[]}"#.to_owned(), 10004),
            (r#"{"GroupIdList":"g"}"#.to_owned(), 10004),
            (r#"{"GroupIdList":[5]}"#.to_owned(), 10004),
            (r#"{"GroupIdList":["g"],"ResponseFilter":[]}"#.to_owned(), 10004),
            (r#"{"GroupIdList":["g"],"ResponseFilter":{"MemberInfoFilter":"Role"}}"#.to_owned(), 10004),
            (r#"{"GroupIdList":["g"],"ResponseFilter":{"GroupBaseInfoFilter":[1]}}"#.to_owned(), 10004),
        ] {
            assert_eq!(code(Bench::new().read(&body, |call, body| read(call, body).map(|_| ()))), expected, "{body}");
        }
    }
}
