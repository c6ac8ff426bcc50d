//! `account_import`. Source: docs/spec/accounts.md 2.

use super::{IMPORT, REFUSALS, import, of_this_service, whole};
use crate::actors::{ImportAccount, Service};
use crate::api::Call;
use crate::api::about::{About, Example, NOTHING, Topic};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;

pub const ABOUT: About = About {
    topic: Topic::Accounts,
    summary: "Makes an account known.",
    notes: &["Importing it again changes the texts that are there and leaves the others."],
    request: IMPORT,
    answer: NOTHING,
    refusals: REFUSALS,
    example: Example {
        request: r#"{"UserID":"ann","Nick":"Ann","FaceUrl":"https://example.com/ann.png"}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let account = read(body)?;
    whole(&service.import_accounts(call.app, vec![account], call.deadline).await)?;
    Ok(Json::ok().finish())
}

pub fn read(body: &Object<'_>) -> Result<ImportAccount, Failure> {
    import(body).map_err(of_this_service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admin::testing::{Bench, account, code, described};

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let read = |body: &str| read(&bench.object(body));
        let whole = r#"{"UserID":"ann","Nick":"Ann","FaceUrl":""}"#;
        let expected =
            ImportAccount { account: account("ann"), nick: Some("Ann".to_owned()), face_url: Some(String::new()) };
        assert_eq!(read(whole), Ok(expected));
        let bare = ImportAccount { account: account("ann"), nick: None, face_url: None };
        assert_eq!(read(r#"{"Identifier":"ann","Nick":null,"Type":0}"#), Ok(bare.clone()));
        assert_eq!(read(r#"{"Identifier":"bob","UserID":"ann"}"#), Ok(bare));
        let long = |field: &str, bytes: usize| format!(r#"{{"UserID":"a","{field}":"{}"}}"#, "x".repeat(bytes));
        for (body, expected) in [
            ("{}".to_owned(), 70402),
            (r#"{"UserID":""}"#.to_owned(), 70402),
            (r#"{"UserID":7}"#.to_owned(), 60015),
            (r#"{"UserID":"@TGS#1"}"#.to_owned(), 70402),
            (format!(r#"{{"UserID":"{}"}}"#, "a".repeat(33)), 70402),
            (r#"{"UserID":"a","Nick":7}"#.to_owned(), 70402),
            (long("Nick", 500), 0),
            (long("Nick", 501), 70402),
            (long("FaceUrl", 501), 70402),
        ] {
            assert_eq!(code(read(&body)), expected, "{body}");
        }
    }
}
