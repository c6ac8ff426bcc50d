//! `ban_group_member`. Source: docs/spec/rest-api.md 4.27.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{ACCOUNTS, About, Example, GROUP_ID, Is, Limit, NOTHING, Shape, Topic, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Ban, Command, shape};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Bans accounts from a live room for a time.",
    notes: &["A second ban replaces the first."],
    request: Shape::of(&[
        GROUP_ID,
        required("Members_Account", ACCOUNTS, "whom to ban").limit(Limit::Items("limits.ban_members")),
        required("Duration", Is::Integer(1, u32::MAX as u64), "seconds from now on"),
        optional("Description", Is::Text, "why").limit(Limit::Bytes("limits.ban_description_bytes")),
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "the owner of the room"),
        (10005, "more accounts than one request may name"),
        (10007, "not a live room"),
    ],
    example: Example {
        request: r#"{"GroupId":"@TGS#aK2PLVQ5M","Members_Account":["spammer9"],"Duration":86400,"Description":"adverts"}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, ban) = read(call, body)?;
    call.submit(service, &group, Command::Ban(ban)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Ban), Failure> {
    let for_secs = body.required_integer("Duration", u64::from(u32::MAX))?;
    let ban = Ban {
        operator: call.operator(),
        accounts: body.required_accounts("Members_Account")?,
        for_secs: u32::try_from(for_secs).unwrap_or(u32::MAX),
        description: body.text("Description")?.unwrap_or_default().into_owned(),
    };
    let addressed = body.addressed("GroupId")?;
    shape::check_ban(&ban, &call.rules.limits)?;
    Ok((addressed.group()?, ban))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"GroupId":"@TGS#2A","Members_Account":["b","a","b"],"Duration":"86400","Description":"adverts"}"#,
            read,
        );
        let ban = Ban {
            operator: bench.operator(),
            accounts: ["b", "a", "b"].map(account).to_vec(),
            for_secs: 86_400,
            description: "adverts".to_owned(),
        };
        assert_eq!(asked, Ok((GroupId::parse("@TGS#2A").unwrap(), ban)));

        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        let list = |n| format!(r#"{{"GroupId":"g","Duration":1,"Members_Account":[{}]}}"#, names(n));
        let with = |fields: &str| format!(r#"{{"GroupId":"g","Duration":1,"Members_Account":["a"]{fields}}}"#);
        for (body, expected) in [
            (list(20), 0),
            (list(21), 10005),
            (list(0), 10004),
            (with(r#","Duration":4294967295"#), 0),
            (with(r#","Duration":4294967296"#), 10004),
            (with(r#","Duration":0"#), 10004),
            (with(r#","Duration":null"#), 10004),
            (with(r#","Duration":-1"#), 10004),
            (with(&format!(r#","Description":"{}""#, "x".repeat(1000))), 0),
            (with(&format!(r#","Description":"{}""#, "x".repeat(1001))), 10004),
            (with(r#","Description":7"#), 10004),
            (with(r#","Members_Account":[7]"#), 60015),
            (with(r#","Members_Account":null"#), 10004),
            (with(r#","GroupId":null"#), 10004),
            (with(r#","GroupId":"\t""#), 10015),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }
}
