//! `create_group`. Source: docs/spec/rest-api.md 4.2.

use crate::actors::{Service, SubmitError};
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::api::fields::read_custom;
use crate::api::json::Json;
use crate::api::{Call, wire};
use crate::group::{Command, Create, Kind, NewMember, Refusal, Role, shape};
use crate::id::GroupId;

/// Ids minted for one request: the create is an insert-if-absent, and a second collision is a broken clock.
///
/// Source: docs/spec/identifiers.md 5.
const MINTS_MAX: u32 = 3;

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (chosen, create) = read(call, body)?;
    let kind = create.kind;
    let id = begin(service, call, chosen, kind, Command::Create(create)).await?;
    Ok(render(&id, kind, call))
}

/// Begins a group with its first command, under the id that was chosen for it or one that is minted.
pub(super) async fn begin(
    service: &Service,
    call: &Call<'_>,
    chosen: Option<GroupId>,
    kind: Kind,
    command: Command,
) -> Result<GroupId, Failure> {
    if let Some(id) = chosen {
        call.submit(service, &id, command).await?;
        return Ok(id);
    }
    if let Some(request) = &call.request {
        // A repetition must meet what the first one made, so it gets the id of the first one.
        let id = service.mint_once(call.app, kind, request.clone(), call.deadline).await?;
        call.submit(service, &id, command).await?;
        return Ok(id);
    }
    for _ in 1..MINTS_MAX {
        let id = service.mint(kind)?;
        match call.submit(service, &id, command.clone()).await {
            Err(SubmitError::Refused(Refusal::GroupIdTaken | Refusal::GroupIdOwned)) => {
                tracing::error!(group = %id, "a minted id was taken: two nodes share an id slot or a clock went back");
            }
            outcome => return outcome.map(|_| id).map_err(Failure::from),
        }
    }
    let id = service.mint(kind)?;
    call.submit(service, &id, command).await?;
    Ok(id)
}

fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(Option<GroupId>, Create), Failure> {
    let create = Create { members: members(call, body)?, ..read_group(call, body)? };
    shape::check_create(&create, &call.rules.limits)?;
    Ok((read_new_id(body, create.kind)?, create))
}

/// Reads what a new group is to be like; nobody is in it yet.
pub(super) fn read_group(call: &Call<'_>, body: &Object<'_>) -> Result<Create, Failure> {
    let kind = body.word("Type", wire::kind)?.ok_or_else(|| Failure::bad("Type", "missing"))?;
    let text = |field| Ok::<_, Failure>(body.text(field)?.unwrap_or_default().into_owned());
    Ok(Create {
        operator: call.operator(),
        kind,
        name: body.required_text("Name")?.into_owned(),
        introduction: text("Introduction")?,
        notification: text("Notification")?,
        face_url: text("FaceUrl")?,
        owner: body.account("Owner_Account", error::BAD_PARAMETER)?,
        members_max: members_max(body, "MaxMemberCount")?,
        apply_join: body.word("ApplyJoinOption", wire::apply_join)?,
        invite_join: body.word("InviteJoinOption", wire::invite_join)?,
        custom: call.rules.group_custom(body)?,
        members: Vec::new(),
        support_topic: body.flag("SupportTopic")?.unwrap_or(false),
        enable_permission: body.flag("EnablePermission")?.unwrap_or(false),
        default_permission: body.integer("DefaultPermission", u64::MAX)?.unwrap_or(0),
    })
}

/// Reads the id that somebody chose for a new group.
pub(super) fn read_new_id(body: &Object<'_>, kind: Kind) -> Result<Option<GroupId>, Failure> {
    let Some(text) = body.text("GroupId")? else { return Ok(None) };
    // 10004 and not 10015: this id is a value of the request, it addresses nothing yet.
    let id = GroupId::parse(&text)
        .map_err(|e| Failure::with_value(error::BAD_PARAMETER, "GroupId", &e.to_string(), &text))?;
    shape::check_new_group_id(kind, &id)?;
    Ok(Some(id))
}

/// 0 is "none given": a group of no members has no meaning.
pub(super) fn members_max(body: &Object<'_>, field: &str) -> Result<Option<u32>, Failure> {
    let number = body.integer_above_zero(field, u64::from(u32::MAX))?;
    Ok(number.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
}

fn members(call: &Call<'_>, body: &Object<'_>) -> Result<Vec<NewMember>, Failure> {
    let declared = &call.rules.custom_fields;
    let read = |item: &Object<'_>| {
        let account = item.required_account("Member_Account")?;
        let role = item.word("Role", |word| wire::role(word).filter(|role| *role != Role::Owner))?;
        let custom = read_custom(item, "AppMemberDefinedData", declared.open, &declared.member)?;
        Ok(NewMember { account, role: role.unwrap_or(Role::Member), custom })
    };
    body.objects("MemberList")?.unwrap_or_default().iter().map(read).collect()
}

fn render(id: &GroupId, kind: Kind, call: &Call<'_>) -> Vec<u8> {
    let mut json = Json::ok();
    json.text("GroupId", id.as_str());
    if kind == Kind::Community {
        json.text("Type", wire::kind_word(kind, call.rules.legacy_type_names));
        json.number("HugeGroupFlag", 0);
    }
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, text};
    use super::*;
    use crate::config::{Config, DeclaredField};
    use crate::group::{ApplyJoin, InviteJoin};

    #[test]
    fn a_whole_request() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"Type":"Community","Name":"Trail club","GroupId":"@TGS#_trail","Owner_Account":"mira",
            "Introduction":"i","Notification":"n","FaceUrl":"f","MaxMemberCount":"400","ApplyJoinOption":"NeedPermission",
            "InviteJoinOption":"DisableInvite","AppDefinedData":[{"Key":"city","Value":"Graz"},{"Key":"n","Value":1.0}],
            "MemberList":[{"Member_Account":"otto","Role":"Admin","JoinTime":1},
              {"Member_Account":"lena","Role":null,"AppMemberDefinedData":[{"Key":"badge","Value":"7"}]}],
            "SupportTopic":1,"EnablePermission":1,"DefaultPermission":255,"AppMemberDefinedData":[{"Key":"ignored"}]}"#,
            read,
        );
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let member = |name, role, custom| NewMember { account: account(name), role, custom };
        let expected = Create {
            operator: bench.operator(),
            kind: Kind::Community,
            name: "Trail club".to_owned(),
            introduction: "i".to_owned(),
            notification: "n".to_owned(),
            face_url: "f".to_owned(),
            owner: Some(account("mira")),
            members_max: Some(400),
            apply_join: Some(ApplyJoin::NeedPermission),
            invite_join: Some(InviteJoin::Disabled),
            custom: vec![pair("city", "Graz"), pair("n", "1.0")],
            members: vec![member("otto", Role::Admin, vec![]), member("lena", Role::Member, vec![pair("badge", "7")])],
            support_topic: true,
            enable_permission: true,
            default_permission: 255,
        };
        assert_eq!(asked, Ok((Some(GroupId::parse("@TGS#_trail").unwrap()), expected)));
    }

    #[test]
    fn the_least_request() {
        let (id, create) = Bench::new().read(r#"{"Type":"Work","Name":"x","MaxMemberCount":0}"#, read).unwrap();
        assert_eq!(id, None);
        assert_eq!((create.owner, create.members_max, create.apply_join), (None, None, None));
        assert!(create.members.is_empty() && create.custom.is_empty() && !create.support_topic);
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        let many: Vec<_> = (0..101).map(|i| format!("{{\"Member_Account\":\"u{i}\"}}")).collect();
        let many = format!("\"MemberList\":[{}]", many.join(","));
        for (more, expected) in [
            ("", 0),
            (many.as_str(), 10005),
            ("\"GroupId\":\"\"", 10004),
            ("\"GroupId\":7", 10004),
            ("\"GroupId\":\"@TGS#1\"", 10004),
            ("\"GroupId\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 10004),
            ("\"Owner_Account\":5", 60015),
            ("\"Owner_Account\":\"\"", 10004),
            ("\"ApplyJoinOption\":\"Free\"", 10004),
            ("\"MaxMemberCount\":-1", 10004),
            ("\"MemberList\":{}", 10004),
            ("\"MemberList\":[\"otto\"]", 10004),
            ("\"MemberList\":[{}]", 10004),
            ("\"MemberList\":[{\"Member_Account\":5}]", 60015),
            ("\"MemberList\":[{\"Member_Account\":\"a\",\"Role\":\"Owner\"}]", 10004),
            ("\"MemberList\":[{\"Member_Account\":\"a\",\"Role\":\"Boss\"}]", 10004),
            ("\"AppDefinedData\":[{\"Value\":\"x\"}]", 10004),
            ("\"Name\":\"\"", 10004),
            ("\"Name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 10004),
            ("\"Type\":\"BChatRoom\"", 10004),
            ("\"Type\":null", 10004),
        ] {
            let comma = if more.is_empty() { "" } else { "," };
            let body = format!("{{\"Type\":\"Public\",\"Name\":\"x\"{comma}{more}}}");
            assert_eq!(code(Bench::new().read(&body, read)), expected, "{more}");
        }
    }

    #[test]
    fn undeclared_keys_are_refused_when_keys_are_declared() {
        let mut config = Config::default();
        config.custom_fields.open = false;
        config.custom_fields.group = vec![DeclaredField::named("city")];
        let bench = Bench::with(&config);
        for (key, expected) in [("city", 0), ("town", 10004)] {
            let body = format!(r#"{{"Type":"Public","Name":"x","AppDefinedData":[{{"Key":"{key}","Value":"v"}}]}}"#);
            assert_eq!(code(bench.read(&body, read)), expected, "{key}");
        }
    }

    #[test]
    fn answers() {
        let id = GroupId::parse("trail-club").unwrap();
        let render_kind = |kind| text(Bench::new().call(|call| render(&id, kind, call)));
        assert_eq!(
            render_kind(Kind::Public),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"trail-club"}"#
        );
        assert!(render_kind(Kind::Community).ends_with(r#""Type":"Community","HugeGroupFlag":0}"#));
    }
}
