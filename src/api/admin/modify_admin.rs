//! `modify_admin`: the admins of a live room. Source: docs/spec/rest-api-messages.md 3.5.

use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{ChangeLiveAdmins, Command, shape};
use crate::id::GroupId;

const APPOINT: u64 = 1;
const DISMISS: u64 = 2;

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    call.submit(service, &group, Command::ChangeLiveAdmins(change)).await?;
    Ok(Json::ok().finish())
}

fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeLiveAdmins), Failure> {
    let appoint = match body.required_integer("CommandType", u64::MAX)? {
        APPOINT => true,
        DISMISS => false,
        _ => return Err(Failure::bad("CommandType", "expected 1 or 2")),
    };
    let accounts = body.required_accounts("Admin_Account")?;
    let change = ChangeLiveAdmins { operator: call.operator(), accounts, appoint };
    shape::check_change_live_admins(&change, &call.rules.limits)?;
    Ok((body.group_id("GroupId")?, change))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code};
    use super::*;

    #[test]
    fn requests() {
        let bench = Bench::new();
        for (kind, appoint) in [("1", true), ("\"2\"", false), ("2", false)] {
            let body = format!(r#"{{"GroupId":"g","CommandType":{kind},"Admin_Account":["b","a","b"]}}"#);
            let accounts = ["b", "a", "b"].map(account).to_vec();
            let change = ChangeLiveAdmins { operator: bench.operator(), accounts, appoint };
            assert_eq!(bench.read(&body, read), Ok((GroupId::parse("g").unwrap(), change)), "{body}");
        }
        let with = |fields: &str| format!(r#"{{"GroupId":"g","CommandType":1,"Admin_Account":["a"]{fields}}}"#);
        for (fields, expected) in [
            (r#","Admin_Account":["a","b","c","d","e"]"#, 0),
            (r#","Admin_Account":["a","b","c","d","e","f"]"#, 10005),
            (r#","Admin_Account":[]"#, 10004),
            (r#","Admin_Account":null"#, 10004),
            (r#","Admin_Account":"a""#, 10004),
            (r#","Admin_Account":[1]"#, 60015),
            (r#","CommandType":0"#, 10004),
            (r#","CommandType":3"#, 10004),
            (r#","CommandType":null"#, 10004),
            (r#","CommandType":"appoint""#, 10004),
            (r#","GroupId":null"#, 10004),
            (r#","GroupId":"\t""#, 10015),
        ] {
            assert_eq!(code(bench.read(&with(fields), read)), expected, "{fields}");
        }
    }
}
