//! `account_check`. Source: docs/spec/accounts.md 4.

use super::{REFUSALS, RESULT, USERS, items, of_this_service, result_item, user_id};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, Is, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::id::AccountId;

pub const ABOUT: About = About {
    topic: Topic::Accounts,
    summary: "Says which accounts are known.",
    notes: &[
        "With `accounts.mode = \"implicit\"` an account counts as imported once it has been in a group or was told \
         something.",
    ],
    request: Shape::of(&[required("CheckItem", USERS, "the accounts, at most 100")]),
    answer: Shape::of(&[required(
        "ResultItem",
        Is::List(&Is::Object(
            &Shape::of(&[required("AccountStatus", Is::Word(&["Imported", "NotImported"]), "whether it is known")])
                .with(&[&RESULT]),
        )),
        "one element per account, in the order of the request",
    )]),
    refusals: REFUSALS,
    example: Example {
        request: r#"{"CheckItem":[{"UserID":"ann"},{"UserID":"bob"}]}"#,
        answer: r#"{"ResultItem":[{"UserID":"ann","ResultCode":0,"ResultInfo":"","AccountStatus":"Imported"},{"UserID":"bob","ResultCode":0,"ResultInfo":"","AccountStatus":"NotImported"}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let accounts = read(body)?;
    let known = service.accounts_known(call.app, &accounts, call.deadline).await?;
    Ok(render(&accounts, &known))
}

pub fn read(body: &Object<'_>) -> Result<Vec<AccountId>, Failure> {
    items(body, "CheckItem", user_id).map_err(of_this_service)
}

fn render(accounts: &[AccountId], known: &[bool]) -> Vec<u8> {
    let mut json = Json::ok();
    json.list("ResultItem", |json| {
        for (account, is_known) in accounts.iter().zip(known) {
            json.item(|json| {
                result_item(json, account, None);
                json.text("AccountStatus", if *is_known { "Imported" } else { "NotImported" });
            });
        }
    });
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admin::testing::{Bench, account, code, described, text};

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let read = |body: &str| read(&bench.object(body));
        assert_eq!(
            read(r#"{"CheckItem":[{"UserID":"b"},{"UserID":"a"},{"UserID":"b"}]}"#),
            Ok(vec![account("b"), account("a"), account("b")])
        );
        let many = |n: usize| (0..n).map(|i| format!(r#"{{"UserID":"u{i}"}}"#)).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            ("{}".to_owned(), 70402),
            (r#"{"CheckItem":[]}"#.to_owned(), 70402),
            (r#"{"CheckItem":["ann"]}"#.to_owned(), 70402),
            (r#"{"CheckItem":{"UserID":"ann"}}"#.to_owned(), 70402),
            (r#"{"CheckItem":[{"UserID":[]}]}"#.to_owned(), 60015),
            (format!(r#"{{"CheckItem":[{}]}}"#, many(100)), 0),
            (format!(r#"{{"CheckItem":[{}]}}"#, many(101)), 70402),
        ] {
            assert_eq!(code(read(&body)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(
            text(render(&[account("ann"), account("bob")], &[true, false])),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"ResultItem":[{"UserID":"ann","ResultCode":0,"ResultInfo":"","AccountStatus":"Imported"},{"UserID":"bob","ResultCode":0,"ResultInfo":"","AccountStatus":"NotImported"}]}"#
        );
    }
}
