//! `get_admin_list`: the admins of a live room. Source: docs/spec/rest-api-messages.md 3.5.

use crate::actors::{Looks, Service};
use crate::api::Call;
use crate::api::about::{About, Example, GROUP_ID, Is, Shape, Topic, required};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::id::{AccountId, GroupId};

pub const ABOUT: About = About {
    topic: Topic::Members,
    summary: "Lists the admins of a live room.",
    notes: &[],
    request: Shape::of(&[GROUP_ID]),
    answer: Shape::of(&[required(
        "Admin_List",
        Is::List(&Is::Object(&Shape::of(&[
            required("Admin_Account", Is::Account, "the admin"),
            required("NickName", Is::Text, "the nick it was imported with, else \"\""),
            required("Avatar", Is::Text, "the same of its picture"),
        ]))),
        "the admins",
    )]),
    refusals: &[(10007, "not a live room")],
    example: Example {
        request: r#"{"GroupId":"@TGS#aK2PLVQ5M"}"#,
        answer: r#"{"Admin_List":[{"Admin_Account":"host1","NickName":"","Avatar":""}]}"#,
    },
};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let group = read(body)?;
    Ok(render(&service.live_admins(call.app, &group, call.deadline).await?))
}

fn read(body: &Object<'_>) -> Result<GroupId, Failure> {
    body.group_id("GroupId")
}

fn render(admins: &[(AccountId, Looks)]) -> Vec<u8> {
    let mut json = Json::ok();
    json.list("Admin_List", |json| {
        for (admin, looks) in admins {
            json.item(|json| {
                json.text("Admin_Account", admin.as_str());
                json.text("NickName", &looks.nick);
                json.text("Avatar", &looks.face_url);
            });
        }
    });
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{account, described, text};
    use super::*;

    #[test]
    fn description() {
        described(&ABOUT, |_, body| read(body));
    }

    #[test]
    fn answers() {
        assert_eq!(
            text(render(&[
                (account("zoe"), Looks { nick: "Zoë".to_owned(), face_url: "z.png".to_owned() }),
                (account("ann"), Looks::default()),
            ])),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"Admin_List":[{"Admin_Account":"zoe","NickName":"Zoë","Avatar":"z.png"},{"Admin_Account":"ann","NickName":"","Avatar":""}]}"#
        );
        assert_eq!(text(render(&[])), r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"Admin_List":[]}"#);
    }
}
