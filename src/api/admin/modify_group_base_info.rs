//! `modify_group_base_info`. Source: docs/spec/rest-api.md 4.6.

use super::create_group::members_max;
use crate::actors::Service;
use crate::api::about::{
    APPLY_JOIN, About, Example, FLAG, FROM_ACCOUNT, GROUP_CUSTOM, GROUP_ID, INVITE_JOIN, Is, Limit, NOTHING, SWITCH,
    Shape, Topic, U32, U64, optional,
};
use crate::api::body::Object;
use crate::api::error::{self, Failure};
use crate::api::json::Json;
use crate::api::{Call, wire};
use crate::group::{ChangeProfile, Command, Operator, shape};
use crate::id::GroupId;

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Changes the profile and the settings of a group.",
    notes: &["Only the fields that are there change, and either all of them or none."],
    request: Shape::of(&[
        GROUP_ID,
        optional("Name", Is::Text, "the name, not empty").limit(Limit::Bytes("limits.group_name_bytes")),
        optional("Introduction", Is::Text, "what the group is about")
            .limit(Limit::Bytes("limits.group_introduction_bytes")),
        optional("Notification", Is::Text, "the announcement").limit(Limit::Bytes("limits.group_notification_bytes")),
        optional("FaceUrl", Is::Text, "the address of a picture").limit(Limit::Bytes("limits.group_face_url_bytes")),
        optional("MaxMemberNum", U32, "how many members it may have, not fewer than it has; live rooms ignore it"),
        optional("ApplyJoinOption", APPLY_JOIN, "what becomes of who applies; fixed for Work and live rooms"),
        optional("InviteJoinOption", INVITE_JOIN, "what becomes of who is invited; fixed for live rooms"),
        optional("MuteAllMember", SWITCH, "`On`: only owner and admins may speak; not in Work groups")
            .also(&["ShutUpAllMember"]),
        optional(
            "HistoryMsgBeforeJoin",
            SWITCH,
            "whether new members see earlier messages; not in live rooms and communities",
        ),
        GROUP_CUSTOM,
        optional("SupportTopic", FLAG, "communities: 1 gives it topics, for good"),
        optional("EnablePermission", FLAG, "communities with topics: permission groups decide"),
        optional("DefaultPermission", U64, "with `EnablePermission` 1: what everybody may, as bits"),
        FROM_ACCOUNT,
    ]),
    answer: NOTHING,
    refusals: &[
        (10004, "`MaxMemberNum` below the number of members or above what the type may have; topics taken away again"),
        (10007, "the type fixes a field that is there, or does not have it"),
        (10012, "`From_Account` cannot be the name of an account"),
        (10019, "`From_Account` was not imported, with `accounts.mode = \"imported\"`"),
    ],
    example: Example {
        request: r#"{"GroupId":"trail-club","Name":"Trail club Graz","MuteAllMember":"On","AppDefinedData":[{"Key":"city","Value":""}]}"#,
        answer: "{}",
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (group, change) = read(call, body)?;
    call.submit(service, &group, Command::ChangeProfile(change)).await?;
    Ok(Json::ok().finish())
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(GroupId, ChangeProfile), Failure> {
    let text = |field| Ok::<_, Failure>(body.text(field)?.map(|text| text.into_owned()));
    let operator = operator(call, body)?;
    // Both names mean one thing; where both are given the new one wins.
    let old_mute_all = body.word("ShutUpAllMember", wire::switch)?;
    let change = ChangeProfile {
        operator,
        name: text("Name")?,
        introduction: text("Introduction")?,
        notification: text("Notification")?,
        face_url: text("FaceUrl")?,
        members_max: members_max(body, "MaxMemberNum")?,
        apply_join: body.word("ApplyJoinOption", wire::apply_join)?,
        invite_join: body.word("InviteJoinOption", wire::invite_join)?,
        mute_all: body.word("MuteAllMember", wire::switch)?.or(old_mute_all),
        history_before_join: body.word("HistoryMsgBeforeJoin", wire::switch)?,
        enable_permission: body.flag("EnablePermission")?,
        default_permission: body.integer("DefaultPermission", u64::MAX)?,
        support_topic: body.flag("SupportTopic")?,
        custom: call.rules.group_custom(body)?,
    };
    shape::check_change_profile(&change, &call.rules.limits)?;
    Ok((body.group_id("GroupId")?, change))
}

/// Reads who is shown as the operator: only the label that notices carry, the rights are those of the admin who signed.
///
/// Source: docs/spec/group-types.md 2.
pub(super) fn operator(call: &Call<'_>, body: &Object<'_>) -> Result<Operator, Failure> {
    Ok(match body.account("From_Account", error::BAD_OPERATOR)? {
        Some(name) => Operator::AppAdmin { name },
        None => call.operator(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described};
    use super::*;
    use crate::group::{ApplyJoin, InviteJoin};

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn only_what_is_named_changes() {
        let bench = Bench::new();
        let group = GroupId::parse("g").unwrap();
        let read_of = |body: &str| bench.read(body, read).unwrap();
        assert_eq!(
            read_of(r#"{"GroupId":"g","Name":null}"#),
            (group.clone(), ChangeProfile::nothing(bench.operator()))
        );
        let whole = read_of(
            r#"{"GroupId":"g","Name":"n","Introduction":"","Notification":"x","FaceUrl":"","MaxMemberNum":9,
            "ApplyJoinOption":"FreeAccess","InviteJoinOption":"NeedPermission","MuteAllMember":"On","HistoryMsgBeforeJoin":"Off",
            "EnablePermission":0,"DefaultPermission":"7","SupportTopic":1,"From_Account":"otto",
            "AppDefinedData":[{"Key":"city","Value":""},{"Key":"none"}]}"#,
        );
        let pair = |key: &str| (key.to_owned(), String::new());
        let expected = ChangeProfile {
            operator: Operator::AppAdmin { name: account("otto") },
            name: Some("n".to_owned()),
            introduction: Some(String::new()),
            notification: Some("x".to_owned()),
            face_url: Some(String::new()),
            members_max: Some(9),
            apply_join: Some(ApplyJoin::Free),
            invite_join: Some(InviteJoin::NeedPermission),
            mute_all: Some(true),
            history_before_join: Some(false),
            enable_permission: Some(false),
            default_permission: Some(7),
            support_topic: Some(true),
            custom: vec![pair("city"), pair("none")],
        };
        assert_eq!(whole, (group, expected));
    }

    #[test]
    fn the_old_mute_name_works_and_the_new_one_wins() {
        for (fields, expected) in [
            (r#""ShutUpAllMember":"On""#, Some(true)),
            (r#""ShutUpAllMember":"On","MuteAllMember":"Off""#, Some(false)),
            (r#""ShutUpAllMember":"On","MuteAllMember":null"#, Some(true)),
        ] {
            let body = format!(r#"{{"GroupId":"g",{fields}}}"#);
            assert_eq!(Bench::new().read(&body, read).unwrap().1.mute_all, expected, "{fields}");
        }
    }

    #[test]
    fn what_is_refused_before_the_rules() {
        for (fields, expected) in [
            (r#""Name":"""#, 10004),
            (r#""Name":7"#, 10004),
            (r#""MuteAllMember":"on""#, 10004),
            (r#""MaxMemberNum":4294967296"#, 10004),
            (r#""From_Account":7"#, 60015),
            (r#""From_Account":"""#, 10012),
            (r#""AppDefinedData":[{"Key":"a","Value":[]}]"#, 10004),
            (r#""GroupId":null"#, 10004),
        ] {
            let body = format!(r#"{{"GroupId":"g",{fields}}}"#);
            assert_eq!(code(Bench::new().read(&body, read)), expected, "{fields}");
        }
    }
}
