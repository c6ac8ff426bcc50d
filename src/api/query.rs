//! The address line of a request: which command, and the parameters that say who asks.
//!
//! Source: docs/spec/rest-api.md 2.1, docs/spec/errors.md 3.

use std::borrow::Cow;

use super::error::{self, Failure};
use crate::id::{AccountId, is_strict_account};

/// Services that answer to the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Docs and clients disagree on which command is under which of them, so any will do.
    Groups,
    Accounts,
}

/// Source: docs/spec/rest-api.md 1, routing rule.
const SERVICES: [(&str, Family); 5] = [
    ("group_open_http_svc", Family::Groups),
    ("group_open_attr_http_svc", Family::Groups),
    ("group_open_avchatroom_http_svc", Family::Groups),
    ("million_group_open_http_svc", Family::Groups),
    ("im_open_login_svc", Family::Accounts),
];

/// Takes the command and the family of its service out of `/v4/{service}/{command}`.
///
/// # Errors
/// 60002 for another shape, 60009 for a service that does not exist.
pub fn command(path: &str) -> Result<(Family, &str), Failure> {
    let bad = || Failure::with_value(error::BAD_HTTP, "path", "expected /v4/service/command", path);
    let mut segments = path.strip_prefix('/').ok_or_else(bad)?.split('/');
    let (Some(version), Some(service), Some(command), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(bad());
    };
    if [version, service, command].contains(&"") || decode(path).is_none() {
        return Err(bad());
    }
    match SERVICES.iter().find(|(name, _)| version == "v4" && *name == service) {
        Some((_, family)) => Ok((*family, command)),
        None => Err(Failure::with_value(error::NO_SUCH_SERVICE, "service", "no such service", service)),
    }
}

/// Who asks, as the parameters say.
#[derive(Clone, Debug, PartialEq)]
pub struct Query<'a> {
    pub app: u32,
    pub identifier: AccountId,
    pub usersig: Cow<'a, str>,
}

impl<'a> Query<'a> {
    /// Takes the parameters; of one that comes twice the first counts.
    ///
    /// # Errors
    /// 60002, 60004, 60012, 60025, 70002.
    pub fn parse(query: &'a str, strict_query: bool, strict_accounts: bool) -> Result<Self, Failure> {
        let [mut app, mut identifier, mut usersig, mut random, mut content_type] = [const { None }; 5];
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let slot = match name {
                "sdkappid" => &mut app,
                "identifier" => &mut identifier,
                "usersig" => &mut usersig,
                "random" => &mut random,
                "contenttype" => &mut content_type,
                _ => continue,
            };
            let Some(value) = decode(value) else {
                return Err(Failure::with_value(error::BAD_HTTP, name, "not a percent-encoding of UTF-8", value));
            };
            slot.get_or_insert(value);
        }

        let app = app.ok_or_else(|| Failure::of(error::NO_SDKAPPID, "sdkappid", "missing"))?;
        let app = number(&app)
            .ok_or_else(|| Failure::with_value(error::BAD_URL_PARAMETER, "sdkappid", "not a number", &app))?;
        let missing = |name| Failure::of(error::BAD_URL_PARAMETER, name, "missing");
        let identifier = identifier.ok_or_else(|| missing("identifier"))?;
        let usersig = usersig.ok_or_else(|| missing("usersig"))?;
        if usersig.is_empty() {
            return Err(Failure::of(error::USERSIG_EMPTY, "usersig", "must not be empty"));
        }
        let malformed = |what: &str| Failure::with_value(error::BAD_IDENTIFIER, "identifier", what, &identifier);
        let account = AccountId::parse(&identifier).map_err(|e| malformed(&e.to_string()))?;
        if strict_accounts && !is_strict_account(&identifier) {
            return Err(malformed("the id has a byte outside A-Z a-z 0-9 _ -"));
        }
        if strict_query {
            if random.is_none_or(|random| number(&random).is_none()) {
                return Err(Failure::of(error::BAD_HTTP, "random", "not a number of 32 bits"));
            }
            if content_type.as_deref() != Some("json") {
                return Err(Failure::of(error::BAD_URL_PARAMETER, "contenttype", "not json"));
            }
        }
        Ok(Self { app, identifier: account, usersig })
    }
}

/// Decimal digits only: `parse` alone would take a plus.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Undoes percent-encoding once. A plus stays one: clients put names in unescaped.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let digit = |i: usize| char::from(*tail.get(i)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (service, family) in SERVICES {
            assert_eq!(command(&format!("/v4/{service}/create_group")), Ok((family, "create_group")));
        }
        for (path, code) in [
            ("/", 60002),
            ("/v4", 60002),
            ("/v4/group_open_http_svc", 60002),
            ("/v4/group_open_http_svc/", 60002),
            ("/v4//create_group", 60002),
            ("/v4/group_open_http_svc/create_group/", 60002),
            ("/v4/group_open_http_svc/create%zzgroup", 60002),
            ("/v4/group_open_http_svc/create%", 60002),
            ("/v4/group_closed_http_svc/create_group", 60009),
            ("/v5/group_open_http_svc/create_group", 60009),
        ] {
            assert_eq!(command(path).map_err(|e| e.code), Err(code), "{path}");
        }
    }

    #[test]
    fn parameters() {
        let long = format!("sdkappid=1&identifier={}&usersig=s", "a".repeat(33));
        for (query, code) in [
            ("sdkappid=1&identifier=root&usersig=s", 0),
            ("usersig=s&random=99999999999&contenttype=xml&identifier=root&sdkappid=1&x=%zz", 0),
            ("identifier=root&usersig=s", 60012),
            ("", 60012),
            ("sdkappid=&identifier=root&usersig=s", 60025),
            ("sdkappid=one&identifier=root&usersig=s", 60025),
            ("sdkappid=%2B1&identifier=root&usersig=s", 60025),
            ("sdkappid=-1&identifier=root&usersig=s", 60025),
            ("sdkappid=4294967296&identifier=root&usersig=s", 60025),
            ("sdkappid=1&usersig=s", 60025),
            ("sdkappid=1&identifier=root", 60025),
            ("sdkappid=1&Identifier=root&usersig=s", 60025),
            ("sdkappid=1&identifier=root&usersig=", 70002),
            ("sdkappid=1&identifier=&usersig=s", 60004),
            ("sdkappid=1&identifier=%E5%BC%A0&usersig=s", 60004),
            ("sdkappid=1&identifier=@TGS%231&usersig=s", 60004),
            (long.as_str(), 60004),
            ("sdkappid=1&identifier=%&usersig=s", 60002),
            ("sdkappid=1&identifier=%4&usersig=s", 60002),
            ("sdkappid=1&identifier=%ff&usersig=s", 60002),
        ] {
            assert_eq!(Query::parse(query, false, false).map_or_else(|e| e.code, |_| 0), code, "{query}");
        }
        let twice = Query::parse("sdkappid=1&identifier=a%2520+b&identifier=c&usersig=*-_", false, false).unwrap();
        assert_eq!(
            (twice.identifier.as_str(), twice.usersig.as_ref()),
            ("a%20+b", "*-_"),
            "decoded once, first counts"
        );
    }

    #[test]
    fn strictness() {
        for (more, code) in [
            ("&random=4294967295&contenttype=json", 0),
            ("&random=4294967296&contenttype=json", 60002),
            ("&random=x&contenttype=json", 60002),
            ("&contenttype=json", 60002),
            ("&random=1", 60025),
            ("&random=1&contenttype=xml", 60025),
        ] {
            let query = format!("sdkappid=1&identifier=root&usersig=s{more}");
            assert_eq!(Query::parse(&query, true, false).map_or_else(|e| e.code, |_| 0), code, "{query}");
        }
        let spaced = "sdkappid=1&identifier=ro%20ot&usersig=s";
        assert_eq!(Query::parse(spaced, false, true).unwrap_err().code, 60004);
        assert!(Query::parse(spaced, false, false).is_ok());
    }
}
