//! `import_group_member`. Source: docs/spec/rest-api.md 4.18.

use super::add_group_member::render;
use super::import_group::moment;
use crate::actors::Service;
use crate::api::about::{
    ADDED, About, Example, GROUP_ID, Is, Limit, MEMBER_ACCOUNT, SECONDS, Shape, Topic, U64, optional, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::{Call, wire};
use crate::group::{Command, ImportMember, ImportMembers, Role, shape};
use crate::id::{AccountId, GroupId};

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Adds members as they were elsewhere, with role and moment of joining. Nobody is told.",
    notes: &["An account that cannot be added fails alone: look at each `Result`, where 1 is success."],
    request: Shape::of(&[
        GROUP_ID,
        required(
            "MemberList",
            Is::List(&Is::Object(&Shape::of(&[
                MEMBER_ACCOUNT,
                optional("Role", Is::Text, "`Admin`, or anything else for `Member`").default("`Member`"),
                optional(
                    "JoinTime",
                    SECONDS,
                    "when it joined, Unix seconds, between the creation of the group and now; 0 means none given",
                )
                .default("now"),
                optional("UnreadMsgNum", U64, "how many messages it has not read").default("0"),
            ]))),
            "the members",
        )
        .limit(Limit::Items("limits.import_group_member")),
    ]),
    answer: ADDED,
    refusals: &[
        (10004, "an admin of a Work group; more than {limits.admins_per_group admins}"),
        (10005, "more members than one request may name"),
        (10007, "a live room"),
    ],
    example: Example {
        request: r#"{"GroupId":"choir-2019","MemberList":[{"Member_Account":"otto","Role":"Admin","JoinTime":1561000500,"UnreadMsgNum":3},{"Member_Account":"lena","JoinTime":1500000000}]}"#,
        answer: r#"{"MemberList":[{"Member_Account":"otto","Result":1},{"Member_Account":"lena","Result":0}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, import) = read(call, body)?;
    let accounts: Vec<AccountId> = import.members.iter().map(|member| member.account.clone()).collect();
    render(&accounts, &call.submit(service, &group, Command::ImportMembers(import)).await?)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ImportMembers), Failure> {
    let items = body.required_objects("MemberList")?;
    let members = items.iter().map(read_member).collect::<Result<_, _>>()?;
    let import = ImportMembers { operator: call.operator(), members };
    let addressed = body.addressed("GroupId")?;
    shape::check_import_members(&import, &call.rules.limits)?;
    Ok((addressed.group()?, import))
}

fn read_member(item: &Object<'_>) -> Result<ImportMember, Failure> {
    let account = item.required_account("Member_Account")?;
    // Also whoever owned the group elsewhere is a member like others here: the import of the group names an owner.
    let role = match item.text("Role")?.as_deref().and_then(wire::role) {
        Some(Role::Admin) => Role::Admin,
        Some(Role::Owner | Role::Member) | None => Role::Member,
    };
    let joined = item.integer_above_zero("JoinTime", u64::MAX)?.map(moment);
    Ok(ImportMember { account, role, joined, unread: item.integer("UnreadMsgNum", u64::MAX)? })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;
    use crate::time::Stamp;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"GroupId":"g","MemberList":[
            {"Member_Account":"otto","Role":"Admin","JoinTime":1561000500,"UnreadMsgNum":3},
            {"Member_Account":"lena","Role":"Owner","JoinTime":0,"UnreadMsgNum":0,"ShutUpUntil":0},
            {"Member_Account":"piet","Role":null,"JoinTime":null,"UnreadMsgNum":"18446744073709551615"},
            {"Member_Account":"otto","Role":"Member","JoinTime":18446744073709551615}]}"#,
            read,
        );
        let member = |name, role, joined, unread| ImportMember { account: account(name), role, joined, unread };
        let members = vec![
            member("otto", Role::Admin, Some(Stamp(1_561_000_500_000)), Some(3)),
            member("lena", Role::Member, None, Some(0)),
            member("piet", Role::Member, None, Some(u64::MAX)),
            member("otto", Role::Member, Some(Stamp(u64::MAX)), None),
        ];
        assert_eq!(asked, Ok((GroupId::parse("g").unwrap(), ImportMembers { operator: bench.operator(), members })));
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        let list = |n: usize| {
            let items: Vec<_> = (0..n).map(|i| format!("{{\"Member_Account\":\"u{i}\"}}")).collect();
            format!(r#"{{"GroupId":"g","MemberList":[{}]}}"#, items.join(","))
        };
        let item = |fields: &str| format!(r#"{{"GroupId":"g","MemberList":[{{"Member_Account":"a"{fields}}}]}}"#);
        for (body, expected) in [
            (list(300), 0),
            (list(301), 10005),
            (list(0), 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","MemberList":["a"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","MemberList":[{"Role":"Admin"}]}"#.to_owned(), 10004),
            (item(r#","Member_Account":7"#), 60015),
            (item(r#","Role":"Boss""#), 0),
            (item(r#","Role":"""#), 0),
            (item(r#","Role":1"#), 10004),
            (item(r#","JoinTime":-1"#), 10004),
            (item(r#","JoinTime":"then""#), 10004),
            (item(r#","UnreadMsgNum":-1"#), 10004),
            (item(r#","UnreadMsgNum":[]"#), 10004),
            (r#"{"MemberList":[{"Member_Account":"a"}]}"#.to_owned(), 10004),
            (r#"{"GroupId":"\t","MemberList":[{"Member_Account":"a"}]}"#.to_owned(), 10015),
        ] {
            assert_eq!(code(Bench::new().read(&body, read)), expected, "{body}");
        }
    }
}
