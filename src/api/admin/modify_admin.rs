//! `modify_admin`: the admins of a live room. Source: docs/spec/rest-api-messages.md 3.5.

use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{ACCOUNTS, About, Example, GROUP_ID, Is, Limit, NOTHING, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{ChangeLiveAdmins, Command, shape};
use crate::id::GroupId;

const APPOINT: u64 = 1;
const DISMISS: u64 = 2;

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Appoints or dismisses admins of a live room.",
    notes: &[
        "They need not be in the room, and stay admins when they leave it. The owner, who is above them, is passed over.",
    ],
    request: Shape::of(&[
        GROUP_ID,
        required("CommandType", Is::Integer(1, 2), "1 appoints, 2 dismisses"),
        required("Admin_Account", ACCOUNTS, "whom; a room has no more admins than one request may name")
            .limit(Limit::Items("limits.avchatroom_admins")),
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "the room would have more than {limits.avchatroom_admins admins}"),
        (10005, "more accounts than one request may name"),
        (10007, "not a live room"),
    ],
    example: Example {
        request: r#"{"GroupId":"@TGS#aK2PLVQ5M","CommandType":1,"Admin_Account":["host1"]}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    call.submit(service, &group, Command::ChangeLiveAdmins(change)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeLiveAdmins), Failure> {
    let appoint = match body.required_integer("CommandType", u64::MAX)? {
        APPOINT => true,
        DISMISS => false,
        _ => return Err(Failure::bad("CommandType", "expected 1 or 2")),
    };
    let accounts = body.required_accounts("Admin_Account")?;
    let change = ChangeLiveAdmins { operator: call.operator(), accounts, appoint };
    let addressed = body.addressed("GroupId")?;
    shape::check_change_live_admins(&change, &call.rules.limits)?;
    Ok((addressed.group()?, change))
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
