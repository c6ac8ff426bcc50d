//! `get_role_in_group`. Source: docs/spec/rest-api.md 4.12.

use crate::actors::{NamedMembers, Service};
use crate::api::about::{ACCOUNTS, About, Example, GROUP_ID, Is, Limit, MEMBER_ACCOUNT, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields::read_accounts;
use crate::api::json::Json;
use crate::api::{Call, wire};
use crate::id::{AccountId, GroupId};

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Answers the role of each named account in a group.",
    notes: &[],
    request: Shape::of(&[
        GROUP_ID,
        required("User_Account", ACCOUNTS, "the accounts").limit(Limit::Items("limits.role_query")),
    ]),
    answer: Shape::of(&[required(
        "UserIdList",
        Is::List(&Is::Object(&Shape::of(&[
            MEMBER_ACCOUNT,
            required("Role", Is::Word(&["Owner", "Admin", "Member", "NotMember"]), "the role"),
        ]))),
        "one element per account, in the order of the request",
    )]),
    refusals: &[
        (10005, "more accounts than one request may name"),
        (10007, "a live room"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","User_Account":["mira","zoe"]}"#,
        answer: r#"{"UserIdList":[{"Member_Account":"mira","Role":"Owner"},{"Member_Account":"zoe","Role":"NotMember"}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, accounts) = read(call, body)?;
    let found = service.named_members(call.app, &group, &accounts, call.deadline).await?;
    render(call, &accounts, &found)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Vec<AccountId>), Failure> {
    let addressed = body.addressed("GroupId")?;
    let accounts = read_accounts(body, "User_Account", call.rules.limits.role_query)?;
    Ok((addressed.group()?, accounts))
}

fn render(call: &Call<'_>, accounts: &[AccountId], found: &NamedMembers) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.list("UserIdList", |json| {
        for (account, member) in accounts.iter().zip(&found.members) {
            json.item(|json| {
                json.text("Member_Account", account.as_str());
                json.text("Role", member.as_ref().map_or(wire::NOT_MEMBER, |member| wire::role_word(member.role)));
            });
        }
    });
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, a_member, account, code, described, text};
    use super::*;
    use crate::group::Kind;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let asked = bench.read(r#"{"GroupId":"g","User_Account":["b","a","b"]}"#, read);
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), ["b", "a", "b"].map(account).to_vec())));
        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupId":"g","User_Account":[{}]}}"#, names(500)), 0),
            (format!(r#"{{"GroupId":"g","User_Account":[{}]}}"#, names(501)), 10005),
            (r#"{"GroupId":"g","User_Account":[]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","User_Account":"a"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","User_Account":[{}]}"#.to_owned(), 60015),
            (r#"{"GroupId":"","User_Account":["a"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"\u007f","User_Account":["a"]}"#.to_owned(), 10015),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        let found = NamedMembers { kind: Kind::Public, members: vec![Some(a_member("otto")), None] };
        let answer = Bench::new().call(|call| render(call, &["otto", "zoe"].map(account), &found).map(text));
        assert_eq!(
            answer.unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"UserIdList":[{"Member_Account":"otto","Role":"Admin"},{"Member_Account":"zoe","Role":"NotMember"}]}"#
        );
    }
}
