//! `get_specified_group_member_info`. Source: docs/spec/rest-api.md 4.5.

use crate::actors::{NamedMembers, Service};
use crate::api::Call;
use crate::api::about::{
    ACCOUNTS, About, Example, GROUP_ID, Is, Limit, MEMBER, MEMBER_FILTERS, Shape, Topic, required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields::{self, MemberShape};
use crate::api::json::Json;
use crate::group::Role;
use crate::id::{AccountId, GroupId};

#[derive(Debug, PartialEq)]
pub struct Asked {
    group: GroupId,
    accounts: Vec<AccountId>,
    /// Empty: all roles.
    roles: Vec<Role>,
    shape: MemberShape,
}

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Answers the profiles of named members, in the order of the request.",
    notes: &["Who is not a member is left out."],
    request: Shape::of(&[
        GROUP_ID,
        required("Member_List_Account", ACCOUNTS, "the members").limit(Limit::Items("limits.specified_members")),
    ])
    .with(&[&MEMBER_FILTERS]),
    answer: Shape::of(&[
        required("GroupId", Is::Text, "the group"),
        required("MemberList", Is::List(&Is::Object(&MEMBER)), "those who are members"),
    ]),
    refusals: &[
        (10005, "more accounts than one request may name"),
        (10007, "a live room"),
        (10018, "the answer is larger than {http.max_response_bytes bytes}"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Member_List_Account":["otto","nobody"],"MemberInfoFilter":["Role","MsgSeq"]}"#,
        answer: r#"{"GroupId":"trail-club","MemberList":[{"Member_Account":"otto","Role":"Admin","MsgSeq":41}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let asked = read(call, body)?;
    let found = service.named_members(call.app, &asked.group, &asked.accounts, call.deadline).await?;
    render(call, &asked, &found)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<Asked, Failure> {
    let shape = MemberShape::read(body, call.rules)?;
    let roles = fields::read_roles(body)?;
    let addressed = body.addressed("GroupId")?;
    let accounts = fields::read_accounts(body, "Member_List_Account", call.rules.limits.specified_members)?;
    Ok(Asked { group: addressed.group()?, accounts, roles, shape })
}

fn render(call: &Call<'_>, asked: &Asked, found: &NamedMembers) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.text("GroupId", asked.group.as_str());
    let is_wanted = |role| asked.roles.is_empty() || asked.roles.contains(&role);
    json.list("MemberList", |json| {
        for member in found.members.iter().flatten().filter(|member| is_wanted(member.role)) {
            json.item(|json| fields::member(json, member, &asked.shape, true, call));
        }
    });
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, a_member, account, code, described, text};
    use super::*;
    use crate::config::{Config, DeclaredField};
    use crate::group::Kind;

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn requests() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"GroupId":"g","Member_List_Account":["b","a","b"],"MemberInfoFilter":null,"MemberRoleFilter":["Owner"]}"#,
            read,
        );
        let expected = Asked {
            group: GroupId::parse("g").unwrap(),
            accounts: vec![account("b"), account("a"), account("b")],
            roles: vec![Role::Owner],
            shape: bench.call(|call| MemberShape::everything(call.rules)),
        };
        assert_eq!(asked, Ok(expected));
        let names = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(",");
        for (body, expected) in [
            (format!(r#"{{"GroupId":"g","Member_List_Account":[{}]}}"#, names(50)), 0),
            (format!(r#"{{"GroupId":"g","Member_List_Account":[{}]}}"#, names(51)), 10005),
            (r#"{"GroupId":"g","Member_List_Account":[]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g"}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","Member_List_Account":[1]}"#.to_owned(), 60015),
            (r#"{"GroupId":"g","Member_List_Account":["a"],"MemberRoleFilter":["Boss"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"g","Member_List_Account":["a"],"MemberInfoFilter":"Role"}"#.to_owned(), 10004),
            (r#"{"Member_List_Account":["a"]}"#.to_owned(), 10004),
            (r#"{"GroupId":"\n","Member_List_Account":["a"]}"#.to_owned(), 10015),
        ] {
            assert_eq!(code(bench.read(&body, read)), expected, "{body}");
        }
    }

    fn answer(bench: &Bench, filters: &str, found: &NamedMembers) -> Result<String, Failure> {
        let body = format!(r#"{{"GroupId":"g","Member_List_Account":["otto"]{filters}}}"#);
        bench.call(|call| render(call, &read(call, &bench.object(&body))?, found).map(text))
    }

    #[test]
    fn answers() {
        let bench = Bench::new();
        let mut mira = a_member("mira");
        mira.role = Role::Owner;
        let found = NamedMembers { kind: Kind::Public, members: vec![Some(a_member("otto")), None, Some(mira)] };
        assert_eq!(
            answer(&bench, r#","MemberInfoFilter":["Role","MsgSeq"]"#, &found).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"g","MemberList":[{"Member_Account":"otto","Role":"Admin","MsgSeq":41},{"Member_Account":"mira","Role":"Owner","MsgSeq":41}]}"#
        );
        assert!(
            answer(&bench, r#","MemberInfoFilter":["Account"],"MemberRoleFilter":["Owner","Member"]"#, &found)
                .unwrap()
                .ends_with(r#""MemberList":[{"Member_Account":"mira"}]}"#)
        );
        let nobody = NamedMembers { kind: Kind::Public, members: vec![None] };
        assert!(answer(&bench, "", &nobody).unwrap().ends_with(r#""MemberList":[]}"#));
        assert!(answer(&bench, "", &found).unwrap().contains("AppMemberDefinedData"));
        assert!(answer(&bench, r#","MemberInfoFilter":["OnlineStatus"]"#, &found).unwrap().contains("Offline"));
    }

    #[test]
    fn a_declared_key_is_shown_also_unset() {
        let mut config = Config::default();
        config.custom_fields.member =
            ["badge", "seat"].map(|key| DeclaredField { key: key.to_owned(), ..DeclaredField::default() }).to_vec();
        let found = NamedMembers { kind: Kind::Public, members: vec![Some(a_member("otto"))] };
        let filters = r#","MemberInfoFilter":["Role"],"AppDefinedDataFilter_GroupMember":["seat","none","badge"]"#;
        assert!(answer(&Bench::with(&config), filters, &found).unwrap().ends_with(
            r#""Role":"Admin","AppMemberDefinedData":[{"Key":"seat","Value":""},{"Key":"badge","Value":"7"}]}]}"#
        ));
    }

    #[test]
    fn too_large_an_answer_is_refused() {
        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let found = NamedMembers { kind: Kind::Public, members: vec![Some(a_member("otto")); 50] };
        assert_eq!(code(answer(&Bench::with(&config), "", &found)), 10018);
    }
}
