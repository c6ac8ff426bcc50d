//! `multiaccount_import`. Source: docs/spec/accounts.md 3.

use super::{IMPORT, REFUSALS, check_count, import, items, of_this_service, whole};
use crate::actors::{ImportAccount, Service};
use crate::api::Call;
use crate::api::about::{ACCOUNTS, About, Example, Is, Shape, Topic, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::id::AccountId;

pub const ABOUT: About = About {
    topic: Topic::Accounts,
    summary: "Makes several accounts known, each for itself.",
    notes: &[],
    request: Shape::of(&[
        required("AccountList", Is::List(&Is::Object(&IMPORT)), "the accounts, at most 100").unless("Accounts"),
        optional("Accounts", ACCOUNTS, "older form: only their names, at most 100. `AccountList` wins"),
    ]),
    answer: Shape::of(&[required("FailAccounts", ACCOUNTS, "those that were not imported")]),
    refusals: REFUSALS,
    example: Example {
        request: r#"{"AccountList":[{"UserID":"ann","Nick":"Ann"},{"UserID":"bob"}]}"#,
        answer: r#"{"FailAccounts":[]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let accounts = read(body)?;
    let names: Vec<AccountId> = accounts.iter().map(|import| import.account.clone()).collect();
    let results = service.import_accounts(call.app, accounts, call.deadline).await;
    whole(&results)?;
    let failed: Vec<&AccountId> =
        names.iter().zip(&results).filter(|(_, result)| result.is_err()).map(|(name, _)| name).collect();
    Ok(render(&failed))
}

/// Takes either list; a client that sends both means the newer.
pub fn read(body: &Object<'_>) -> Result<Vec<ImportAccount>, Failure> {
    read_either(body).map_err(of_this_service)
}

fn read_either(body: &Object<'_>) -> Result<Vec<ImportAccount>, Failure> {
    if body.objects("AccountList")?.is_some() {
        return items(body, "AccountList", import);
    }
    let accounts = body.required_accounts("Accounts")?;
    check_count("Accounts", accounts.len())?;
    Ok(accounts.into_iter().map(|account| ImportAccount { account, nick: None, face_url: None }).collect())
}

fn render(failed: &[&AccountId]) -> Vec<u8> {
    let mut json = Json::ok();
    json.list("FailAccounts", |json| failed.iter().for_each(|account| json.text_item(account.as_str())));
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
        let bare = |name: &str| ImportAccount { account: account(name), nick: None, face_url: None };
        assert_eq!(read(r#"{"Accounts":["ann","bob"]}"#), Ok(vec![bare("ann"), bare("bob")]));
        let named = ImportAccount { nick: Some("Ann".to_owned()), ..bare("ann") };
        let both = r#"{"Accounts":["x"],"AccountList":[{"UserID":"ann","Nick":"Ann"},{"UserID":"bob"}]}"#;
        assert_eq!(read(both), Ok(vec![named, bare("bob")]));
        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        let objects = |n: usize| (0..n).map(|i| format!(r#"{{"UserID":"u{i}"}}"#)).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            ("{}".to_owned(), 70402),
            (r#"{"AccountList":[]}"#.to_owned(), 70402),
            (r#"{"Accounts":[]}"#.to_owned(), 70402),
            (r#"{"Accounts":[7]}"#.to_owned(), 60015),
            (r#"{"Accounts":[""]}"#.to_owned(), 70402),
            (r#"{"AccountList":["ann"]}"#.to_owned(), 70402),
            (r#"{"AccountList":[{"UserID":7}]}"#.to_owned(), 60015),
            (r#"{"AccountList":[{}]}"#.to_owned(), 70402),
            (format!(r#"{{"Accounts":[{}]}}"#, names(100)), 0),
            (format!(r#"{{"Accounts":[{}]}}"#, names(101)), 70402),
            (format!(r#"{{"AccountList":[{}]}}"#, objects(100)), 0),
            (format!(r#"{{"AccountList":[{}]}}"#, objects(101)), 70402),
        ] {
            assert_eq!(code(read(&body)), expected, "{body}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(
            text(render(&[&account("ann")])),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"FailAccounts":["ann"]}"#
        );
    }
}
