//! The commands about accounts: one file each. Source: docs/spec/accounts.md.
//!
//! They belong to a service of their own, and so does the code for a parameter that is wrong: 70402 where groups
//! have 10004.

pub mod account_check;
pub mod account_delete;
pub mod account_import;
pub mod multiaccount_import;

use super::about::{Is, Shape, U32, optional, required};
use super::body::Object;
use super::error::{self, Failure};
use super::json::Json;
use crate::actors::{ImportAccount, SubmitError};
use crate::id::AccountId;

/// Accounts that one request may name. Source: docs/spec/accounts.md 1.
const ACCOUNTS_MAX: usize = 100;
/// Bytes of a nick and of the address of a face. Source: docs/spec/accounts.md 1.
const TEXT_BYTES_MAX: usize = 500;

/// An account that is imported.
const IMPORT: Shape = Shape::named(
    "ImportedAccount",
    "An account to make known.",
    &[
        required("UserID", Is::Account, "its name").also(&["Identifier"]),
        optional("Nick", Is::Text, "a name to show, at most 500 bytes"),
        optional("FaceUrl", Is::Text, "the address of a picture, at most 500 bytes"),
    ],
);
/// Accounts, each in an object of its own.
const USERS: Is =
    Is::List(&Is::Object(&Shape::of(&[required("UserID", Is::Account, "the account").also(&["Identifier"])])));
/// What became of one account.
const RESULT: Shape = Shape::named(
    "AccountResult",
    "What became of one account.",
    &[
        required("UserID", Is::Account, "the account"),
        required("ResultCode", U32, "0, or why nothing was done for it"),
        required("ResultInfo", Is::Text, "the reason for people"),
    ],
);
const REFUSALS: &[(u32, &str)] =
    &[(error::BAD_ACCOUNT_PARAMETER, "what is 10004 elsewhere: a field is missing, malformed or too long")];

/// Says of a request what this service says: 10004 is 70402 here.
fn of_this_service(failure: Failure) -> Failure {
    match failure.code {
        error::BAD_PARAMETER => Failure { code: error::BAD_ACCOUNT_PARAMETER, ..failure },
        _ => failure,
    }
}

/// Takes an account, also under the name that older clients use.
fn user_id(object: &Object<'_>) -> Result<AccountId, Failure> {
    match object.account("UserID", error::BAD_PARAMETER)? {
        Some(account) => Ok(account),
        None => object
            .account("Identifier", error::BAD_PARAMETER)?
            .ok_or_else(|| Failure::of(error::BAD_PARAMETER, "UserID", "missing")),
    }
}

fn import(object: &Object<'_>) -> Result<ImportAccount, Failure> {
    let text = |field: &str| match object.text(field)? {
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            Err(Failure::bad(field, &format!("longer than {TEXT_BYTES_MAX} bytes")))
        }
        text => Ok(text.map(|text| text.into_owned())),
    };
    Ok(ImportAccount { account: user_id(object)?, nick: text("Nick")?, face_url: text("FaceUrl")? })
}

/// Takes a list of items that each name an account.
fn items<T>(
    body: &Object<'_>,
    field: &str,
    read: impl Fn(&Object<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let items = body.objects(field)?.ok_or_else(|| Failure::bad(field, "missing"))?;
    check_count(field, items.len())?;
    items.iter().map(read).collect()
}

fn check_count(field: &str, count: usize) -> Result<(), Failure> {
    if count > ACCOUNTS_MAX {
        return Err(Failure::bad(field, &format!("more than {ACCOUNTS_MAX} accounts")));
    }
    Ok(())
}

/// The failure of a whole request, if there is one: nothing was done for any account, or it is unknown for one.
///
/// # Errors
/// The first error in the first case, `outcome unknown` in the second.
fn whole<T>(results: &[Result<T, SubmitError>]) -> Result<(), Failure> {
    let errors: Vec<&SubmitError> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let unknown = errors.iter().find(|error| matches!(error, SubmitError::Indeterminate { .. }));
    match unknown.or(errors.first().filter(|_| errors.len() == results.len())) {
        Some(error) => Err(Failure::from((*error).clone())),
        None => Ok(()),
    }
}

/// Writes what became of one account.
fn result_item(json: &mut Json, account: &AccountId, failure: Option<&Failure>) {
    json.text("UserID", account.as_str());
    json.number("ResultCode", failure.map_or(0, |failure| u64::from(failure.code)));
    json.text("ResultInfo", failure.map_or("", |failure| &failure.info));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_fails_as_a_whole_if_nothing_was_done_or_nobody_knows() {
        let full = || Err::<(), _>(SubmitError::Overloaded { what: "x" });
        let lost = || Err::<(), _>(SubmitError::Indeterminate { what: "y" });
        let code = |results: &[Result<(), SubmitError>]| whole(results).map_or_else(|failure| failure.code, |()| 0);
        assert_eq!(code(&[Ok(()), Ok(())]), 0);
        assert_eq!(code(&[Ok(()), full()]), 0);
        assert_eq!(code(&[full(), full()]), 60018);
        assert_eq!(code(&[Ok(()), full(), lost()]), 10002);
        assert_eq!(whole(&[lost()]).unwrap_err().info, "outcome unknown: y");
    }
}
