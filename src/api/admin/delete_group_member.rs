//! `delete_group_member`. Source: docs/spec/rest-api.md 4.8.

use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Remove, shape};
use crate::id::GroupId;

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, remove) = read(call, body)?;
    call.submit(service, &group, Command::Remove(remove)).await?;
    Ok(Json::ok().finish())
}

fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Remove), Failure> {
    let remove = Remove {
        operator: call.operator(),
        accounts: body.required_accounts("MemberToDel_Account")?,
        silent: body.flag("Silence")?.unwrap_or(false),
        reason: body.text("Reason")?.unwrap_or_default().into_owned(),
    };
    shape::check_remove(&remove, &call.rules.limits)?;
    Ok((body.group_id("GroupId")?, remove))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code};
    use super::*;

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
