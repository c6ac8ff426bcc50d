//! `get_group_ban_member`. Source: docs/spec/rest-api.md 4.29.

use crate::actors::{BanPage, BanQuery, Service};
use crate::api::Call;
use crate::api::about::{
    About, Example, GROUP_ID, Is, Limit, MEMBER_ACCOUNT, SECONDS, Shape, Topic, U64, optional, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields;
use crate::api::json::Json;
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Lists the accounts that are banned from a live room, page by page.",
    notes: &[],
    request: Shape::of(&[
        GROUP_ID,
        required("Offset", U64, "0, or `NextOffset` of the page before"),
        optional("Limit", U64, "accounts per page").limit(Limit::Page("limits.ban_page")),
    ]),
    answer: Shape::of(&[
        required(
            "BannedAccountList",
            Is::List(&Is::Object(&Shape::of(&[
                MEMBER_ACCOUNT,
                required("BannedUntil", SECONDS, "until when it is banned, Unix seconds"),
            ]))),
            "whose ban is still in force",
        ),
        required("NextOffset", U64, "where the next page begins; 0: this was the last"),
    ]),
    refusals: &[(10007, "not a live room"), (10018, "the answer is larger than {http.max_response_bytes bytes}")],
    example: Example {
        request: r#"{"GroupId":"@TGS#aK2PLVQ5M","Offset":0}"#,
        answer: r#"{"BannedAccountList":[{"Member_Account":"spammer9","BannedUntil":1788090000}],"NextOffset":0}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, query) = read(call, body)?;
    let page = service.bans(call.app, &group, query, call.deadline).await?;
    render(call, &query, &page)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, BanQuery), Failure> {
    let limit_max = call.rules.limits.ban_page;
    let limit = body.integer_above_zero("Limit", u64::MAX)?;
    let query = BanQuery {
        offset: body.required_integer("Offset", u64::MAX)?,
        limit: fields::page_size(limit, limit_max),
        now_secs: call.now_secs,
    };
    Ok((body.group_id("GroupId")?, query))
}

fn render(call: &Call<'_>, query: &BanQuery, page: &BanPage) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.list("BannedAccountList", |json| {
        for (account, until) in &page.banned {
            json.item(|json| {
                json.text("Member_Account", account.as_str());
                json.number("BannedUntil", *until);
            });
        }
    });
    let next = if page.has_more { query.offset.saturating_add(page.banned.len() as u64) } else { 0 };
    json.number("NextOffset", next);
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, NOW_SECS, account, code, described, text};
    use super::*;
    use crate::group::Kind;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        for (fields, offset, limit) in [
            (r#","Offset":0"#, 0, 100),
            (r#","Offset":0,"Limit":null"#, 0, 100),
            (r#","Offset":0,"Limit":0"#, 0, 100),
            (r#","Offset":"40","Limit":"20""#, 40, 20),
            (r#","Offset":1,"Limit":101"#, 1, 100),
        ] {
            let body = format!(r#"{{"GroupId":"g"{fields}}}"#);
            let expected = (GroupId::parse("g").unwrap(), BanQuery { offset, limit, now_secs: NOW_SECS });
            assert_eq!(bench.read(&body, read), Ok(expected), "{body}");
        }
        for (body, expected) in [
            (r#"{"GroupId":"g"}"#, 10004),
            (r#"{"GroupId":"g","Offset":null}"#, 10004),
            (r#"{"GroupId":"g","Offset":-1}"#, 10004),
            (r#"{"GroupId":"g","Offset":0,"Limit":-1}"#, 10004),
            (r#"{"GroupId":"g","Offset":0,"Limit":"all"}"#, 10004),
            (r#"{"Offset":0}"#, 10004),
            (r#"{"GroupId":"\t","Offset":0}"#, 10015),
        ] {
            assert_eq!(code(bench.read(body, read)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        let query = BanQuery { offset: 40, limit: 2, now_secs: NOW_SECS };
        let answer = |banned: &[&str], has_more| {
            let banned = banned.iter().map(|name| (account(name), 1_788_090_000)).collect();
            let page = BanPage { kind: Kind::AvChatRoom, banned, has_more };
            Bench::new().call(|call| render(call, &query, &page).map(text)).unwrap()
        };
        assert_eq!(
            answer(&["a", "spammer9"], true),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"BannedAccountList":[{"Member_Account":"a","BannedUntil":1788090000},{"Member_Account":"spammer9","BannedUntil":1788090000}],"NextOffset":42}"#
        );
        assert!(answer(&["a"], false).ends_with(r#""NextOffset":0}"#));
        assert!(answer(&[], false).ends_with(r#""BannedAccountList":[],"NextOffset":0}"#));
    }
}
