//! `delete_group_member`. Source: docs/spec/rest-api.md 4.8.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{
    ACCOUNTS, About, Example, FLAG, GROUP_ID, Is, Limit, NOTHING, Shape, Topic, optional, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Remove, shape};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Removes members from a group.",
    notes: &[
        "Removing who is not a member is success. The owner can be removed from Work groups only.",
        "Mutes outlive the removal.",
    ],
    request: Shape::of(&[
        GROUP_ID,
        required("MemberToDel_Account", ACCOUNTS, "whom to remove").limit(Limit::Items("limits.delete_group_member")),
        optional("Silence", FLAG, "1: only those who are removed are told").default("0"),
        optional("Reason", Is::Text, "told with the removal").limit(Limit::Bytes("limits.kick_reason_bytes")),
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "a live room; or the owner is among them and the group is no Work group"),
        (10005, "more accounts than one request may name"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Reason":"moved away","MemberToDel_Account":["piet"]}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, remove) = read(call, body)?;
    call.submit(service, &group, Command::Remove(remove)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Remove), Failure> {
    let remove = Remove {
        operator: call.operator(),
        accounts: body.required_accounts("MemberToDel_Account")?,
        silent: body.flag("Silence")?.unwrap_or(false),
        reason: body.text("Reason")?.unwrap_or_default().into_owned(),
    };
    let addressed = body.addressed("GroupId")?;
    shape::check_remove(&remove, &call.rules.limits)?;
    Ok((addressed.group()?, remove))
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
        let asked =
            bench.read(r#"{"GroupId":"g","Reason":"moved","Silence":"1","MemberToDel_Account":["a","a"]}"#, read);
        let remove = Remove {
            operator: bench.operator(),
            accounts: vec![account("a"), account("a")],
            silent: true,
            reason: "moved".to_owned(),
        };
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), remove)));

        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupId":"g","MemberToDel_Account":[{}]}}"#, names(500)), 0),
            (format!(r#"{{"GroupId":"g","MemberToDel_Account":[{}]}}"#, names(501)), 10005),
            (r#"{"GroupId":"g","MemberToDel_Account":[]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","MemberToDel_Account":[7]}"#.to_owned(), 60015),
            (r#"{"GroupId":"g","MemberToDel_Account":[{"Member_Account":"a"}]}"#.to_owned(), 60015),
            (r#"{"GroupId":"","MemberToDel_Account":["a"]}"#.to_owned(), 10004),
            (format!(r#"{{"GroupId":"g","Reason":"{}","MemberToDel_Account":["a"]}}"#, "r".repeat(257)), 10004),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }
}
