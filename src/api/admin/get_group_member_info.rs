//! `get_group_member_info`. Source: docs/spec/rest-api.md 4.4.

use crate::actors::{MemberPage, MemberQuery, PageStart, Service};
use crate::api::Call;
use crate::api::about::{
    About, Example, GROUP_ID, Is, MEMBER, MEMBER_FILTERS, Shape, Topic, U32, U64, optional, required,
};
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::api::fields::{self, MemberShape};
use crate::api::json::Json;
use crate::api::kept::{Rendered, Shown};
use crate::group::Kind;
use crate::id::GroupId;

/// What the id of a community begins with, and no other: custom ids of other types may not begin `@TGS#`.
///
/// Source: docs/spec/identifiers.md 1.2.
const COMMUNITY_PREFIX: &str = "@TGS#_";

#[derive(Debug, PartialEq)]
pub struct Asked {
    group: GroupId,
    query: MemberQuery,
    shape: MemberShape,
}

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Lists the members of a group page by page, in the order in which they joined.",
    notes: &["Communities are paged with `Next`, all others with `Offset`.", "Live rooms do not store their members."],
    request: Shape::of(&[
        GROUP_ID,
        optional(
            "Limit",
            U64,
            "members per page, at most {limits.member_page}, in a community {limits.member_page_community}; more \
             counts as that, and 0 means none given",
        ),
        optional("Offset", U64, "how many to leave out").default("0"),
        optional("Next", Is::Text, "communities: `Next` of the page before").default("\"\", the first page"),
    ])
    .with(&[&MEMBER_FILTERS]),
    answer: Shape::of(&[
        required("MemberNum", U32, "how many members the group has, whatever the filters and the page"),
        required("MemberList", Is::List(&Is::Object(&MEMBER)), "the page"),
        optional("Next", Is::Text, "communities: where the next page begins; \"\": this was the last"),
    ]),
    refusals: &[(10007, "a live room"), (10018, "the answer is larger than {http.max_response_bytes bytes}")],
    example: Example {
        request: r#"{"GroupId":"trail-club","MemberInfoFilter":["Role","JoinTime","MuteUntil","NameCard"],"MemberRoleFilter":["Owner","Admin"],"Limit":100,"Offset":0}"#,
        answer: r#"{"MemberNum":37,"MemberList":[{"Member_Account":"mira","Role":"Owner","JoinTime":1787000000,"MuteUntil":0,"NameCard":""},{"Member_Account":"otto","Role":"Admin","JoinTime":1787000000,"MuteUntil":1788009000,"NameCard":"Otto K."}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Rendered, Failure> {
    let Asked { group, query, shape } = read(call, body)?;
    let page = service.members(call.app, &group, query, call.deadline).await?;
    let body = render(call, &page, &shape)?;
    let mut shown = Shown::default();
    shown.group(&group, page.version);
    page.members.iter().for_each(|member| shown.over_at(member.mute_until, call.now_secs));
    Ok(Rendered { body, shown: Some(shown) })
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<Asked, Failure> {
    let shape = MemberShape::read(body, call.rules)?;
    let roles = fields::read_roles(body)?;
    let limit = body.integer_above_zero("Limit", u64::MAX)?;
    let offset = body.integer("Offset", u64::MAX)?.unwrap_or(0);
    let next = body.text("Next")?.unwrap_or_default();
    let group = body.group_id("GroupId")?;

    let of_community = group.as_str().starts_with(COMMUNITY_PREFIX);
    let limits = &call.rules.limits;
    let limit_max = if of_community { limits.member_page_community } else { limits.member_page };
    let limit = fields::page_size(limit, limit_max);
    let from = match (of_community, next.as_ref()) {
        (false, _) => PageStart::Offset(offset),
        (true, "") => PageStart::JoinSeq(0),
        (true, next) => PageStart::JoinSeq(cursor(next)?),
    };
    Ok(Asked { group, query: MemberQuery { roles, from, limit }, shape })
}

/// `Next` is opaque to callers; it is the place in join order where the next page begins.
fn cursor(next: &str) -> Result<u64, Failure> {
    let digits = next.bytes().all(|b| b.is_ascii_digit());
    let place = if digits { next.parse().ok() } else { None };
    place.ok_or_else(|| Failure::with_value(error::BAD_PARAMETER, "Next", "not a value we returned", next))
}

fn render(call: &Call<'_>, page: &MemberPage, shape: &MemberShape) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    // All members of the group: clients page until they have seen so many.
    json.number("MemberNum", u64::from(page.member_count));
    json.expect(page.members.len() * fields::MEMBER_BYTES_USUAL);
    call.list(&mut json, "MemberList", &page.members, |json, member| fields::member(json, member, shape, true, call))?;
    if page.kind == Kind::Community {
        json.text("Next", &page.next.map_or(String::new(), |next| next.to_string()));
    }
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, VERSION, a_member, code, described, text};
    use super::*;
    use crate::config::Config;
    use crate::group::Role;

    fn query_of(body: &str) -> Result<MemberQuery, Failure> {
        Bench::new().read(body, |call, body| read(call, body).map(|asked| asked.query))
    }

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn pages() {
        let offset = |offset, limit| Ok(MemberQuery { roles: vec![], from: PageStart::Offset(offset), limit });
        let next = |place, limit| Ok(MemberQuery { roles: vec![], from: PageStart::JoinSeq(place), limit });
        for (body, expected) in [
            (r#"{"GroupId":"g"}"#, offset(0, 6000)),
            (
                r#"{"GroupId":"g","Limit":0,"Offset":0,"MemberInfoFilter":null,"MemberRoleFilter":null}"#,
                offset(0, 6000),
            ),
            (r#"{"GroupId":"g","Limit":"100","Offset":200,"Next":"7"}"#, offset(200, 100)),
            (r#"{"GroupId":"g","Limit":60000}"#, offset(0, 6000)),
            (r#"{"GroupId":"@TGS#_c","Limit":60000,"Offset":50}"#, next(0, 100)),
            (r#"{"GroupId":"@TGS#_c","Limit":10,"Next":""}"#, next(0, 10)),
            (r#"{"GroupId":"@TGS#_@TGS#c2","Limit":10,"Next":"42"}"#, next(42, 10)),
        ] {
            assert_eq!(query_of(body), expected, "{body}");
        }
        assert_eq!(
            query_of(r#"{"GroupId":"g","MemberRoleFilter":["Owner","Admin"]}"#).unwrap().roles,
            [Role::Owner, Role::Admin]
        );
        for (body, expected) in [
            (r#"{}"#, 10004),
            (r#"{"GroupId":"g","Limit":-1}"#, 10004),
            (r#"{"GroupId":"g","MemberRoleFilter":["Boss"]}"#, 10004),
            (r#"{"GroupId":"@TGS#_c","Next":"x"}"#, 10004),
            (r#"{"GroupId":"@TGS#_c","Next":7}"#, 10004),
            (r#"{"GroupId":"\t"}"#, 10015),
        ] {
            assert_eq!(code(query_of(body)), expected, "{body}");
        }
    }

    fn answer(bench: &Bench, body: &str, page: &MemberPage) -> Result<String, Failure> {
        bench.call(|call| render(call, page, &read(call, &bench.object(body))?.shape).map(text))
    }

    #[test]
    fn answers() {
        let bench = Bench::new();
        let mut past = a_member("otto");
        past.mute_until = super::super::testing::NOW_SECS;
        let page = MemberPage {
            version: VERSION,
            kind: Kind::Public,
            member_count: 37,
            members: vec![a_member("mira"), past],
            next: Some(9),
        };
        assert_eq!(
            answer(&bench, r#"{"GroupId":"g","MemberInfoFilter":["Role","MuteUntil","NameCard"]}"#, &page).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"MemberNum":37,"MemberList":[{"Member_Account":"mira","Role":"Admin","NameCard":"Card","MuteUntil":1788009000},{"Member_Account":"otto","Role":"Admin","NameCard":"Card","MuteUntil":0}]}"#,
            "a mute that is over is none"
        );
        let whole = answer(&bench, r#"{"GroupId":"g"}"#, &page).unwrap();
        assert!(
            whole.contains("AppMemberDefinedData") && whole.contains("ShutUpUntil") && !whole.contains("OnlineStatus")
        );
        let none = answer(&bench, r#"{"GroupId":"g","AppDefinedDataFilter_GroupMember":["other"]}"#, &page).unwrap();
        assert!(!none.contains("AppMemberDefinedData") && none.contains("JoinTime"));
        let only = answer(&bench, r#"{"GroupId":"g","MemberInfoFilter":["Nonsense"]}"#, &page).unwrap();
        assert!(only.contains(r#"[{"Member_Account":"mira"},{"Member_Account":"otto"}]"#));
    }

    #[test]
    fn a_community_has_a_cursor() {
        let bench = Bench::new();
        let mut page =
            MemberPage { version: VERSION, kind: Kind::Community, member_count: 2, members: vec![], next: Some(42) };
        assert!(
            answer(&bench, r#"{"GroupId":"@TGS#_c"}"#, &page).unwrap().ends_with(r#""MemberList":[],"Next":"42"}"#)
        );
        page.next = None;
        assert!(answer(&bench, r#"{"GroupId":"@TGS#_c"}"#, &page).unwrap().ends_with(r#""Next":""}"#));
    }

    #[test]
    fn too_large_an_answer_is_refused() {
        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let members = (0..50).map(|i| a_member(&format!("u{i}"))).collect();
        let page = MemberPage { version: VERSION, kind: Kind::Public, member_count: 50, members, next: None };
        assert_eq!(code(answer(&Bench::with(&config), r#"{"GroupId":"g"}"#, &page)), 10018);
    }
}
