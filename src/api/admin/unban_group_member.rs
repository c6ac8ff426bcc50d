//! `unban_group_member`. Source: docs/spec/rest-api.md 4.28.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{ACCOUNTS, About, Example, GROUP_ID, Limit, NOTHING, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Unban, shape};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Silence,
    summary: "Lifts bans from a live room.",
    notes: &["Lifting a ban that there is not is success."],
    request: Shape::of(&[
        GROUP_ID,
        required("Members_Account", ACCOUNTS, "whose ban to lift").limit(Limit::Items("limits.ban_members")),
    ]),
    answer: NOTHING,
    refusals: &[(10005, "more accounts than one request may name"), (10007, "not a live room")],
    example: Example { request: r#"{"GroupId":"@TGS#aK2PLVQ5M","Members_Account":["spammer9"]}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, unban) = read(call, body)?;
    call.submit(service, &group, Command::Unban(unban)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Unban), Failure> {
    let unban = Unban { operator: call.operator(), accounts: body.required_accounts("Members_Account")? };
    let addressed = body.addressed("GroupId")?;
    shape::check_unban(&unban, &call.rules.limits)?;
    Ok((addressed.group()?, unban))
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
        let asked = bench.read(r#"{"GroupId":"g","Members_Account":["b","a"]}"#, read);
        let unban = Unban { operator: bench.operator(), accounts: ["b", "a"].map(account).to_vec() };
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), unban)));
        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupId":"g","Members_Account":[{}]}}"#, names(20)), 0),
            (format!(r#"{{"GroupId":"g","Members_Account":[{}]}}"#, names(21)), 10005),
            (r#"{"GroupId":"g","Members_Account":[]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","Members_Account":[null]}"#.to_owned(), 60015),
            (r#"{"Members_Account":["a"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"\t","Members_Account":["a"]}"#.to_owned(), 10015),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }
}
