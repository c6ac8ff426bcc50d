//! `import_group`. Source: docs/spec/rest-api.md 4.17.

use super::create_group::{begin, read_group, read_new_id};
use crate::actors::Service;
use crate::api::Call;
use crate::api::about::{About, Example, Is, NEW_GROUP, SECONDS, Shape, Topic, optional, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Import, shape};
use crate::id::GroupId;
use crate::time::Stamp;

pub const ABOUT: About = About {
    topic: Topic::Groups,
    summary: "Creates a group as it was elsewhere, with its moment of creation. Nobody is told.",
    notes: &["Members follow by `import_group_member`. The daily quota of new groups does not count it."],
    request: Shape::of(&[optional(
        "CreateTime",
        SECONDS,
        "when it was created, Unix seconds, not in the future; 0 means none given",
    )
    .default("now")])
    .with(&[&NEW_GROUP]),
    answer: Shape::of(&[required("GroupId", Is::Text, "the id of the new group")]),
    refusals: &[
        (10007, "a live room; topics outside of communities"),
        (10019, "the owner was not imported, with `accounts.mode = \"imported\"`"),
        (10021, "the id is taken"),
        (10025, "the id is taken by a group of the same owner; many clients go on as if it had been created"),
        (10037, "the owner is in {limits.groups_per_user groups} already"),
        (
            10058,
            "the app has as many groups or communities as it may (`limits.groups_per_app`, `limits.communities_per_app`)",
        ),
        (11000, "communities are switched off (`features.community`)"),
    ],
    example: Example {
        request: r#"{"Type":"Public","Name":"Old choir","GroupId":"choir-2019","Owner_Account":"mira","CreateTime":1561000000}"#,
        answer: r#"{"GroupId":"choir-2019"}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let (chosen, import) = read(call, body)?;
    let kind = import.group.kind;
    Ok(render(&begin(service, call, chosen, kind, Command::Import(import)).await?))
}

pub fn read(call: &Call<'_>, body: &Object<'_>) -> Result<(Option<GroupId>, Import), Failure> {
    let created = body.integer_above_zero("CreateTime", u64::MAX)?;
    let import = Import { group: read_group(call, body)?, created: created.map(moment) };
    shape::check_import(&import, &call.rules.limits)?;
    Ok((read_new_id(body, import.group.kind)?, import))
}

/// A moment of the wire (Unix seconds); one too far off is as far off as can be, and the rules refuse it.
pub(super) fn moment(secs: u64) -> Stamp {
    Stamp(secs.saturating_mul(1000))
}

fn render(id: &GroupId) -> Vec<u8> {
    let mut json = Json::ok();
    json.text("GroupId", id.as_str());
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, account, code, described, text};
    use super::*;
    use crate::group::{ApplyJoin, Create, InviteJoin, Kind};

    #[test]
    fn description() {
        described(&ABOUT, read);
    }

    #[test]
    fn a_whole_request() {
        let bench = Bench::new();
        let asked = bench.read(
            r#"{"Type":"Public","Name":"Old choir","GroupId":"choir-2019","Owner_Account":"mira","Introduction":"i",
            "Notification":"n","FaceUrl":"f","MaxMemberCount":40,"ApplyJoinOption":"FreeAccess",
            "InviteJoinOption":"FreeAccess","AppDefinedData":[{"Key":"city","Value":"Graz"}],
            "CreateTime":1561000000,"MemberList":[{"Member_Account":7}]}"#,
            read,
        );
        let group = Create {
            operator: bench.operator(),
            kind: Kind::Public,
            name: "Old choir".to_owned(),
            introduction: "i".to_owned(),
            notification: "n".to_owned(),
            face_url: "f".to_owned(),
            owner: Some(account("mira")),
            members_max: Some(40),
            apply_join: Some(ApplyJoin::Free),
            invite_join: Some(InviteJoin::Free),
            custom: vec![("city".to_owned(), "Graz".to_owned())],
            // Members of an import follow by a command of their own.
            members: vec![],
            support_topic: false,
            enable_permission: false,
            default_permission: 0,
        };
        let import = Import { group, created: Some(Stamp(1_561_000_000_000)) };
        assert_eq!(asked, Ok((Some(GroupId::parse("choir-2019").unwrap()), import)));
    }

    #[test]
    fn when_and_under_which_id() {
        for (fields, created) in [
            ("", None),
            (r#","CreateTime":null"#, None),
            (r#","CreateTime":0"#, None),
            (r#","CreateTime":"1""#, Some(Stamp(1_000))),
            (r#","CreateTime":18446744073709551615"#, Some(Stamp(u64::MAX))),
        ] {
            let body = format!(r#"{{"Type":"Work","Name":"x"{fields}}}"#);
            let (id, import) = Bench::new().read(&body, read).unwrap();
            assert_eq!((id, import.created), (None, created), "{fields}");
        }
        for (fields, expected) in [
            (r#","CreateTime":-1"#, 10004),
            (r#","CreateTime":1.5"#, 10004),
            (r#","CreateTime":"yesterday""#, 10004),
            (r#","GroupId":"@TGS#1""#, 10004),
            (r#","GroupId":"""#, 10004),
            (r#","Owner_Account":7"#, 60015),
            (r#","Name":"""#, 10004),
            (r#","Type":"BChatRoom""#, 10004),
            (r#","MaxMemberCount":-1"#, 10004),
        ] {
            let body = format!(r#"{{"Type":"Work","Name":"x"{fields}}}"#);
            assert_eq!(code(Bench::new().read(&body, read)), expected, "{fields}");
        }
        assert_eq!(code(Bench::new().read(r#"{"Name":"x"}"#, read)), 10004);
        assert_eq!(code(Bench::new().read(r#"{"Type":"Work"}"#, read)), 10004);
    }

    #[test]
    fn answers() {
        assert_eq!(
            text(render(&GroupId::parse("choir-2019").unwrap())),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"choir-2019"}"#
        );
    }
}
