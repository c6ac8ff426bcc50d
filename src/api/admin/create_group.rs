//! `create_group`. Source: docs/spec/rest-api.md 4.2.

use crate::actors::{Service, SubmitError};
use crate::api::about::{
    About, Example, FLAG, Is, KINDS, Limit, MEMBER_ACCOUNT, MEMBER_CUSTOM, NEW_GROUP, ROLES_GIVEN, Shape, Topic,
    optional, required,
};
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

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Creates a group, with an owner and first members if they are named.",
    notes: &[
        "The owner counts as a member. In a live room it is only recorded, and has to enter like anybody.",
        "A Work group is hidden from joined lists until its first message.",
    ],
    request: Shape::of(&[optional(
        "MemberList",
        Is::List(&Is::Object(&Shape::of(&[
            MEMBER_ACCOUNT,
            optional("Role", ROLES_GIVEN, "the role; Work groups have no admins").default("`Member`"),
            MEMBER_CUSTOM,
        ]))),
        "the first members, not in a live room",
    )
    .limit(Limit::Items("limits.create_group_member"))])
    .with(&[&NEW_GROUP]),
    answer: Shape::of(&[
        required("GroupId", Is::Text, "the id of the new group"),
        optional("Type", KINDS, "communities: the type"),
        optional("HugeGroupFlag", FLAG, "communities: always 0"),
    ]),
    refusals: &[
        (
            10004,
            "an admin of a Work group; more than {limits.admins_per_group admins}; a `MaxMemberCount` above what the type may have",
        ),
        (10005, "more first members than one request may name"),
        (10006, "the app has gained {limits.daily_net_groups groups} today"),
        (10007, "the type has no such thing: first members of a live room, topics outside of communities"),
        (10019, "an account was not imported, with `accounts.mode = \"imported\"`"),
        (10021, "the id is taken"),
        (10025, "the id is taken by a group of the same owner; many clients go on as if it had been created"),
        (10036, "the app has as many live rooms as it may (`limits.avchatrooms_per_app`)"),
        (10037, "somebody named is in {limits.groups_per_user groups} already"),
        (10038, "more first members than the group may have"),
        (
            10058,
            "the app has as many groups or communities as it may (`limits.groups_per_app`, `limits.communities_per_app`)",
        ),
        (11000, "communities are switched off (`features.community`)"),
    ],
    example: Example {
        request: r#"{"Type":"Public","Name":"Trail club","GroupId":"trail-club","Owner_Account":"mira","Introduction":"Sunday walks","MaxMemberCount":400,"ApplyJoinOption":"FreeAccess","InviteJoinOption":"NeedPermission","AppDefinedData":[{"Key":"city","Value":"Graz"}],"MemberList":[{"Member_Account":"otto","Role":"Admin"},{"Member_Account":"lena","AppMemberDefinedData":[{"Key":"badge","Value":"7"}]}]}"#,
        answer: r#"{"GroupId":"trail-club"}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (chosen, create) = read(call, body)?;
    let kind = create.kind;
    let id = begin(service, call, chosen, kind, Command::Create(create)).await?;
    Ok(render(&id, call))
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
    // Minted by a node that asked this one, or in a try that came to nothing.
    let minted = call.minted.get().cloned();
    if let Some(request) = &call.request {
        // A repetition must meet what the first one made, so it gets the id of the first one.
        let id = match minted {
            Some(id) => id,
            None => service.mint_once(call.app, kind, request.clone(), call.deadline).await?,
        };
        call.submit(service, call.minted.get_or_init(|| id.clone()), command).await?;
        return Ok(id);
    }
    let mut id = match minted {
        Some(id) => id,
        None => service.mint(call.app, kind)?,
    };
    for _ in 1..MINTS_MAX {
        match call.submit(service, &id, command.clone()).await {
            Err(SubmitError::Refused(Refusal::GroupIdTaken | Refusal::GroupIdOwned)) => {
                tracing::error!(group = %id, "a minted id was taken: two nodes share an id slot or a clock went back");
            }
            outcome => {
                call.minted.get_or_init(|| id.clone());
                return outcome.map(|_| id).map_err(Failure::from);
            }
        }
        id = service.mint(call.app, kind)?;
    }
    call.submit(service, &id, command).await?;
    Ok(id)
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(Option<GroupId>, Create), Failure> {
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

/// What the id tells is what was created: a repeated request may ask for another type.
fn render(id: &GroupId, call: &Call<'_>) -> Vec<u8> {
    let mut json = Json::ok();
    json.text("GroupId", id.as_str());
    if shape::is_id_of_community(id) {
        json.text("Type", wire::kind_word(Kind::Community, call.rules.legacy_type_names));
        json.number("HugeGroupFlag", 0);
    }
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described, text};
    use super::*;
    use crate::config::{Config, DeclaredField};
    use crate::group::{ApplyJoin, InviteJoin};

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

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
        let rendered = |id| text(Bench::new().call(|call| render(&GroupId::parse(id).unwrap(), call)));
        assert_eq!(
            rendered("trail-club"),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"trail-club"}"#
        );
        assert!(rendered("@TGS#_club").ends_with(r#""Type":"Community","HugeGroupFlag":0}"#));
    }
}
