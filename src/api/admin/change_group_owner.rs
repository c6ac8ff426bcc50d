//! `change_group_owner`. Source: docs/spec/rest-api.md 4.16.

use super::modify_group_base_info::operator;
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, FROM_ACCOUNT, GROUP_ID, Is, NOTHING, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Transfer};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Makes a member the owner of a group.",
    notes: &["Who owned it before becomes an ordinary member. A group without an owner gets one this way, too."],
    request: Shape::of(&[
        GROUP_ID,
        required("NewOwner_Account", Is::Account, "the new owner, who is a member already"),
        FROM_ACCOUNT,
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "the new owner is not a member, or owns the group already"),
        (10007, "a live room"),
        (10012, "`From_Account` cannot be the name of an account"),
        (10019, "an account was not imported, with `accounts.mode = \"imported\"`"),
    ],
    example: Example { request: r#"{"GroupId":"trail-club","NewOwner_Account":"otto"}"#, answer: "{}" },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, transfer) = read(call, body)?;
    call.submit(service, &group, Command::Transfer(transfer)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, Transfer), Failure> {
    let transfer = Transfer { operator: operator(call, body)?, to: body.required_account("NewOwner_Account")? };
    Ok((body.group_id("GroupId")?, transfer))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;
    use crate::group::Operator;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let group = GroupId::parse("g").unwrap();
        for (from, operator) in [
            ("", bench.operator()),
            (r#","From_Account":null"#, bench.operator()),
            (r#","From_Account":"mira""#, Operator::AppAdmin { name: account("mira") }),
        ] {
            let body = format!(r#"{{"GroupId":"g","NewOwner_Account":"otto"{from}}}"#);
            let transfer = Transfer { operator, to: account("otto") };
            assert_eq!(bench.read(&body, read), Ok((group.clone(), transfer)), "{body}");
        }
        for (body, expected) in [
            (r#"{"GroupId":"g"}"#, 10004),
            (r#"{"GroupId":"g","NewOwner_Account":""}"#, 10004),
            (r#"{"GroupId":"g","NewOwner_Account":7}"#, 60015),
            (r#"{"GroupId":"g","NewOwner_Account":"otto","From_Account":7}"#, 60015),
            (r#"{"GroupId":"g","NewOwner_Account":"otto","From_Account":""}"#, 10012),
            (r#"{"NewOwner_Account":"otto"}"#, 10004),
            (r#"{"GroupId":"\t","NewOwner_Account":"otto"}"#, 10015),
        ] {
            assert_eq!(code(bench.read(body, read)), expected, "{body}");
        }
    }
}
