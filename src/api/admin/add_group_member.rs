//! `add_group_member`. Source: docs/spec/rest-api.md 4.7.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{
    ADDED, About, Example, FLAG, GROUP_ID, Is, Limit, MEMBER_ACCOUNT, Shape, Topic, optional, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Add, AddResult, Answer, Command, shape};
use crate::id::{AccountId, GroupId};

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Adds accounts to a group.",
    notes: &[
        "The answer is OK also if nobody was added: look at each `Result`, where 1 is success.",
        "A group that has not room for all is filled in the order of the list.",
    ],
    request: Shape::of(&[
        GROUP_ID,
        required("MemberList", Is::List(&Is::Object(&Shape::of(&[MEMBER_ACCOUNT]))), "whom to add")
            .limit(Limit::Items("limits.add_group_member")),
        optional("Silence", FLAG, "1: nobody is told").default("0"),
    ]),
    answer: ADDED,
    refusals: &[
        (10005, "more accounts than one request may name"),
        (10007, "a live room"),
        (10014, "the group is full, and nobody was added"),
        (10019, "no account of the list was imported, with `accounts.mode = \"imported\"`"),
        (10037, "the only account of the list is in {limits.groups_per_user groups} already"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Silence":1,"MemberList":[{"Member_Account":"piet"},{"Member_Account":"otto"}]}"#,
        answer: r#"{"MemberList":[{"Member_Account":"piet","Result":1},{"Member_Account":"otto","Result":2}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, add) = read(call, body)?;
    let accounts = add.accounts.clone();
    render(&accounts, &call.submit(service, &group, Command::Add(add)).await?)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Add), Failure> {
    let items = body.objects("MemberList")?.unwrap_or_default();
    let accounts = items.iter().map(|item| item.required_account("Member_Account")).collect::<Result<_, _>>()?;
    let add = Add { operator: call.operator(), accounts, silent: body.flag("Silence")?.unwrap_or(false) };
    let addressed = body.addressed("GroupId")?;
    shape::check_add(&add, &call.rules.limits)?;
    Ok((addressed.group()?, add))
}

/// One result per account that was asked for: by the first request with this `ClientReqId`, if there was one.
///
/// # Errors
/// 10004 if that one named others, and was recorded by a release that did not keep whom.
pub(super) fn render(accounts: &[AccountId], answer: &Answer) -> Result<Vec<u8>, Failure> {
    let results: Vec<(&AccountId, &AddResult)> = match answer {
        Answer::Added(results) if results.len() == accounts.len() => accounts.iter().zip(results).collect(),
        Answer::Added(_) => return Err(Failure::bad("ClientReqId", "was used for another request")),
        Answer::AddedBefore(results) => results.iter().map(|(account, result)| (account, result)).collect(),
        _ => unreachable!("the answer to an addition says what became of each account"),
    };
    let mut json = Json::ok();
    json.list("MemberList", |json| {
        for (account, result) in results {
            json.item(|json| {
                json.text("Member_Account", account.as_str());
                json.number("Result", *result as u64);
            });
        }
    });
    Ok(json.finish())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described, text};
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"GroupId":"g","Silence":1,"MemberList":[{"Member_Account":"b"},{"Member_Account":"a"},{"Member_Account":"b"}]}"#,
            read,
        );
        let add =
            Add { operator: bench.operator(), accounts: vec![account("b"), account("a"), account("b")], silent: true };
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), add)));

        let list = |n: usize| {
            let items: Vec<_> = (0..n).map(|i| format!("{{\"Member_Account\":\"u{i}\"}}")).collect();
            format!(r#"{{"GroupId":"g","MemberList":[{}]}}"#, items.join(","))
        };
        for (body, expected) in [
            (list(300), 0),
            (list(301), 10005),
            (list(0), 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004),
            (r#"{"MemberList":[{"Member_Account":"a"}]}"#.to_owned(), 10004),
            (r#"{"GroupId":"\u00e9","MemberList":[{"Member_Account":"a"}]}"#.to_owned(), 10015),
            (r#"{"GroupId":"g","MemberList":[{"Member_Account":1}]}"#.to_owned(), 60015),
            (r#"{"GroupId":"g","MemberList":["a"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","MemberList":"a"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","Silence":"yes","MemberList":[{"Member_Account":"a"}]}"#.to_owned(), 10004),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        use crate::group::AddResult::{Added, AlreadyMember, AwaitingApproval, Failed};
        let accounts = ["a", "b", "c", "d"].map(account);
        assert_eq!(
            text(
                render(&accounts, &Answer::Added(vec![Failed, Added, AlreadyMember, AwaitingApproval]))
                    .expect("an answer")
            ),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"MemberList":[{"Member_Account":"a","Result":0},{"Member_Account":"b","Result":1},{"Member_Account":"c","Result":2},{"Member_Account":"d","Result":3}]}"#
        );
    }
}
