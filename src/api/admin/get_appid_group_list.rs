//! `get_appid_group_list`. Source: docs/spec/rest-api.md 4.1.

use super::get_joined_group_list::kind;
use crate::actors::{AllGroupsPage, AllGroupsQuery, Service};
use crate::api::Call;
use crate::api::about::{About, Example, Is, KINDS_LISTED, Limit, Shape, Topic, U64, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields;
use crate::api::json::Json;

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Lists the ids of all groups of the app, page by page.",
    notes: &["It is answered by GET, too, also without a body.", "Pages are stable while groups come and go."],
    request: Shape::of(&[
        optional("Limit", U64, "ids per page").limit(Limit::Page("limits.app_group_page")),
        optional("Next", U64, "`Next` of the page before").default("0, the first page"),
        optional("GroupType", KINDS_LISTED, "only groups of this type").default("all").also(&["Type"]),
    ]),
    answer: Shape::of(&[
        required("TotalCount", U64, "how many groups there are of that type, on whichever page"),
        required(
            "GroupIdList",
            Is::List(&Is::Object(&Shape::of(&[required("GroupId", Is::Text, "the id of a group")]))),
            "the page",
        ),
        required("Next", U64, "where the next page begins, a number of 64 bits; 0: this was the last"),
    ]),
    refusals: &[
        (10006, "more lists per second than `rate.list_all_groups`"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
    ],
    example: Example {
        request: r#"{"Limit":2,"Next":0,"GroupType":"Public"}"#,
        answer: r#"{"TotalCount":31,"GroupIdList":[{"GroupId":"trail-club"},{"GroupId":"@TGS#2KQ7ZLPAX"}],"Next":81604378643}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let page = match read(call, body)? {
        None => AllGroupsPage { total: 0, ids: vec![], next: 0 },
        Some(query) => service.all_groups(call.app, query, call.deadline).await?,
    };
    render(call, &page)
}

/// `None`: no group can match.
pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<Option<AllGroupsQuery>, Failure> {
    let limit_max = call.rules.limits.app_group_page;
    let limit = body.integer_above_zero("Limit", u64::MAX)?;
    let next = body.integer("Next", u64::MAX)?.unwrap_or(0);
    let kind = kind(body)?;
    let query = AllGroupsQuery { kind: kind.flatten(), next, limit: fields::page_size(limit, limit_max) };
    Ok((kind != Some(None)).then_some(query))
}

fn render(call: &Call<'_>, page: &AllGroupsPage) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.number("TotalCount", page.total);
    call.list(&mut json, "GroupIdList", &page.ids, |json, id| json.text("GroupId", id.as_str()))?;
    json.number("Next", page.next);
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, described, text};
    use super::*;
    use crate::config::Config;
    use crate::group::Kind;
    use crate::id::GroupId;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let query = |kind, next, limit| Some(AllGroupsQuery { kind, next, limit });
        for (body, expected) in [
            ("{}", query(None, 0, 10_000)),
            (r#"{"Limit":0,"Next":0,"GroupType":null}"#, query(None, 0, 10_000)),
            (r#"{"Limit":2,"Next":81604378643,"GroupType":"Public"}"#, query(Some(Kind::Public), 81_604_378_643, 2)),
            (r#"{"Limit":"2","Next":"81604378643"}"#, query(None, 81_604_378_643, 2)),
            (r#"{"Limit":10001,"Next":18446744073709551615}"#, query(None, u64::MAX, 10_000)),
            (r#"{"GroupType":"Work"}"#, query(Some(Kind::Work), 0, 10_000)),
            (r#"{"Type":"ChatRoom"}"#, query(Some(Kind::Meeting), 0, 10_000)),
            (r#"{"GroupType":"Community","Type":"Work"}"#, query(Some(Kind::Community), 0, 10_000)),
            (r#"{"GroupType":"BChatRoom"}"#, None),
            (r#"{"Type":"BChatRoom"}"#, None),
        ] {
            assert_eq!(bench.read(body, read), Ok(expected), "{body}");
        }
        for body in [
            r#"{"Limit":-1}"#,
            r#"{"Limit":"all"}"#,
            r#"{"Next":-1}"#,
            r#"{"Next":"x"}"#,
            r#"{"Next":18446744073709551616}"#,
            r#"{"GroupType":"Club"}"#,
            r#"{"GroupType":""}"#,
            r#"{"GroupType":1}"#,
            r#"{"Type":"public"}"#,
        ] {
            assert_eq!(code(bench.read(body, read)), 10004, "{body}");
        }
    }

    #[test]
    fn answers() {
        let ids = ["trail-club", "@TGS#2KQ7ZLPAX"].map(|id| GroupId::parse(id).unwrap()).to_vec();
        let page = AllGroupsPage { total: 31, ids, next: 81_604_378_643 };
        assert_eq!(
            Bench::new().call(|call| render(call, &page).map(text)).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"TotalCount":31,"GroupIdList":[{"GroupId":"trail-club"},{"GroupId":"@TGS#2KQ7ZLPAX"}],"Next":81604378643}"#
        );
        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let page = AllGroupsPage { ids: vec![GroupId::parse("g").unwrap(); 100], ..page };
        assert_eq!(code(Bench::with(&config).call(|call| render(call, &page))), 10018);
    }
}
