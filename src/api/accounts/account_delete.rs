//! `account_delete`. Source: docs/spec/accounts.md 5.

use super::{REFUSALS, RESULT, USERS, items, of_this_service, result_item, user_id, whole};
use crate::actors::{Service, SubmitError};
use crate::api::Call;
use crate::api::about::{About, Example, Is, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::api::json::Json;
use crate::id::AccountId;

pub const ABOUT: About = About {
    topic: Topic::Accounts,
    summary: "Removes what was imported of accounts.",
    notes: &["Memberships, roles and ownership stay: remove them by the commands of groups."],
    request: Shape::of(&[required("DeleteItem", USERS, "the accounts, at most 100")]),
    answer: Shape::of(&[required(
        "ResultItem",
        Is::List(&Is::Object(&RESULT)),
        "one element per account, in the order of the request; 70107: it was not imported",
    )]),
    refusals: REFUSALS,
    example: Example {
        request: r#"{"DeleteItem":[{"UserID":"ann"},{"UserID":"bob"}]}"#,
        answer: r#"{"ResultItem":[{"UserID":"ann","ResultCode":0,"ResultInfo":""},{"UserID":"bob","ResultCode":70107,"ResultInfo":"the account was not imported"}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let accounts = read(body)?;
    let results = service.delete_accounts(call.app, accounts.clone(), call.deadline).await;
    whole(&results)?;
    Ok(render(&accounts, &results))
}

pub fn read(body: &Object<'_>) -> Result<Vec<AccountId>, Failure> {
    items(body, "DeleteItem", user_id).map_err(of_this_service)
}

fn render(accounts: &[AccountId], results: &[Result<bool, SubmitError>]) -> Vec<u8> {
    let mut json = Json::ok();
    json.list("ResultItem", |json| {
        for (account, result) in accounts.iter().zip(results) {
            let failure = match result {
                Ok(true) => None,
                Ok(false) => Some(Failure::new(error::NO_SUCH_ACCOUNT, "the account was not imported")),
                Err(error) => Some(Failure::from(error.clone())),
            };
            json.item(|json| result_item(json, account, failure.as_ref()));
        }
    });
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admin::testing::{account, described, text};

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn answers() {
        let results = [Ok(true), Ok(false), Err(SubmitError::Overloaded { what: "x" })];
        assert_eq!(
            text(render(&[account("ann"), account("bob"), account("cid")], &results)),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"ResultItem":[{"UserID":"ann","ResultCode":0,"ResultInfo":""},{"UserID":"bob","ResultCode":70107,"ResultInfo":"the account was not imported"},{"UserID":"cid","ResultCode":60018,"ResultInfo":"overloaded: x"}]}"#
        );
    }
}
