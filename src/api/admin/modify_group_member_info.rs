//! `modify_group_member_info`. Source: docs/spec/rest-api.md 4.9.

use crate::actors::Service;
use crate::api::about::{
    About, Example, GROUP_ID, Is, Limit, MEMBER_CUSTOM, MSG_FLAGS, NOTHING, ROLES_GIVEN, Shape, Topic, U32, optional,
    required,
};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::fields::{read_custom, read_mute};
use crate::api::json::Json;
use crate::api::{Call, wire};
use crate::group::{ChangeMember, Command, Role, shape};
use crate::id::GroupId;

/// What the span of a mute is called, the newest name first; one client names it as answers name the end of a mute.
///
/// Source: docs/spec/rest-api.md 3.4.
const MUTE_NAMES: [&str; 3] = ["MuteTime", "ShutUpTime", "ShutUpUntil"];

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Changes what a group knows of one member: role, name card, mute, custom fields.",
    notes: &["Several fields may change at once: either all of them or none."],
    request: Shape::of(&[
        GROUP_ID,
        required("Member_Account", Is::Account, "the member"),
        optional(
            "Role",
            ROLES_GIVEN,
            "the new role; an owner is made by `change_group_owner`. Work groups have no admins",
        ),
        optional("MsgFlag", MSG_FLAGS, "how it wants to receive messages"),
        optional("NameCard", Is::Text, "what it is called in this group").limit(Limit::Bytes("limits.name_card_bytes")),
        MEMBER_CUSTOM,
        optional("MuteTime", U32, "seconds of silence from now on; 0 ends it, 4294967295 is for ever")
            .also(&["ShutUpTime", "ShutUpUntil"]),
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "the account is not a member; the owner's role; more than {limits.admins_per_group admins}"),
        (10007, "a live room; role or mute in a Work group"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Member_Account":"lena","Role":"Admin","NameCard":"Lena (maps)","MuteTime":0}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    call.submit(service, &group, Command::ChangeMember(change)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeMember), Failure> {
    let declared = &call.rules.custom_fields;
    let change = ChangeMember {
        operator: call.operator(),
        account: body.required_account("Member_Account")?,
        // An owner is made by a transfer alone.
        role: body.word("Role", |word| wire::role(word).filter(|role| *role != Role::Owner))?,
        msg_flag: body.word("MsgFlag", wire::msg_flag)?,
        name_card: body.text("NameCard")?.map(|text| text.into_owned()),
        mute_for_secs: read_mute(body, &MUTE_NAMES)?,
        custom: read_custom(body, "AppMemberDefinedData", declared.open, &declared.member)?,
    };
    shape::check_change_member(&change, &call.rules.limits)?;
    Ok((body.group_id("GroupId")?, change))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;
    use crate::config::{Config, DeclaredField};
    use crate::group::{FOR_EVER_SECS, MsgFlag};

    fn asked(fields: &str) -> Result<ChangeMember, Failure> {
        let body = format!(r#"{{"GroupId":"g","Member_Account":"lena"{fields}}}"#);
        Bench::new().read(&body, read).map(|(_, change)| change)
    }

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn only_what_is_named_changes() {
        let operator = Bench::new().operator();
        let nothing = ChangeMember {
            operator: operator.clone(),
            account: account("lena"),
            role: None,
            msg_flag: None,
            name_card: None,
            mute_for_secs: None,
            custom: vec![],
        };
        assert_eq!(asked(""), Ok(nothing.clone()));
        let nulls = r#","Role":null,"MsgFlag":null,"NameCard":null,"MuteTime":null,"AppMemberDefinedData":[]"#;
        assert_eq!(asked(nulls), Ok(nothing));
        let whole = asked(
            r#","Role":"Admin","NameCard":"","MsgFlag":"Discard","MuteTime":0,
            "AppMemberDefinedData":[{"Key":"badge","Value":7},{"Key":"seat","Value":""}]"#,
        );
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = ChangeMember {
            operator,
            account: account("lena"),
            role: Some(Role::Admin),
            msg_flag: Some(MsgFlag::Discard),
            name_card: Some(String::new()),
            mute_for_secs: Some(0),
            custom: vec![pair("badge", "7"), pair("seat", "")],
        };
        assert_eq!(whole, Ok(expected));
        assert_eq!(
            asked(r#","MsgFlag":"AcceptNotNotifyExceptAt""#).unwrap().msg_flag,
            Some(MsgFlag::AcceptNotNotifyExceptAt)
        );
    }

    #[test]
    fn a_mute_has_three_names_and_the_newest_wins() {
        for (fields, expected) in [
            (r#","MuteTime":60"#, Some(60)),
            (r#","ShutUpTime":60"#, Some(60)),
            (r#","ShutUpUntil":60"#, Some(60)),
            (r#","MuteTime":"60""#, Some(60)),
            (r#","ShutUpUntil":3,"ShutUpTime":2,"MuteTime":1"#, Some(1)),
            (r#","ShutUpUntil":3,"ShutUpTime":2"#, Some(2)),
            (r#","ShutUpUntil":3,"MuteTime":0"#, Some(0)),
            (r#","ShutUpUntil":3,"MuteTime":null"#, Some(3)),
            (r#","MuteTime":4294967295"#, Some(FOR_EVER_SECS)),
            (r#","MuteUntil":60"#, None),
        ] {
            assert_eq!(asked(fields).map(|change| change.mute_for_secs), Ok(expected), "{fields}");
        }
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        let long = |bytes| format!(r#","NameCard":"{}""#, "x".repeat(bytes));
        assert_eq!(code(asked(&long(50))), 0);
        for (fields, expected) in [
            (long(51).as_str(), 10004),
            (r#","NameCard":7"#, 10004),
            (r#","Role":"Owner""#, 10004),
            (r#","Role":"NotMember""#, 10004),
            (r#","Role":"""#, 10004),
            (r#","Role":1"#, 10004),
            (r#","MsgFlag":"acceptandnotify""#, 10004),
            (r#","MsgFlag":0"#, 10004),
            (r#","MuteTime":-1"#, 10004),
            (r#","MuteTime":4294967296"#, 10004),
            (r#","MuteTime":1,"ShutUpTime":"never""#, 10004),
            (r#","AppMemberDefinedData":[{"Value":"x"}]"#, 10004),
            (r#","AppMemberDefinedData":[{"Key":"a-b","Value":"x"}]"#, 10004),
            (r#","AppMemberDefinedData":{}"#, 10004),
            (r#","Member_Account":null"#, 10004),
            (r#","Member_Account":"""#, 10004),
            (r#","Member_Account":7"#, 60015),
            (r#","Member_Account":["lena"]"#, 60015),
            (r#","GroupId":null"#, 10004),
            (r#","GroupId":"\t""#, 10015),
        ] {
            assert_eq!(code(asked(fields)), expected, "{fields}");
        }
    }

    #[test]
    fn undeclared_keys_are_refused_when_keys_are_declared() {
        let mut config = Config::default();
        config.custom_fields.open = false;
        config.custom_fields.member = vec![DeclaredField { key: "badge".to_owned(), ..DeclaredField::default() }];
        for (key, expected) in [("badge", 0), ("seat", 10004)] {
            let body = format!(r#"{{"GroupId":"g","Member_Account":"a","AppMemberDefinedData":[{{"Key":"{key}"}}]}}"#);
            assert_eq!(code(Bench::with(&config).read(&body, read)), expected, "{key}");
        }
    }
}
