//! `get_admin_list`: the admins of a live room. Source: docs/spec/rest-api-messages.md 3.5.

use crate::actors::Service;
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
            required("NickName", Is::Text, "always \"\""),
            required("Avatar", Is::Text, "always \"\""),
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
    Ok(render(&service.live_admins(call.app, &group, call.deadline).await?.admins))
}

fn read(body: &Object<'_>) -> Result<GroupId, Failure> {
    body.group_id("GroupId")
}

fn render(admins: &[AccountId]) -> Vec<u8> {
    let mut json = Json::ok();
    json.list("Admin_List", |json| {
        for admin in admins {
            json.item(|json| {
                json.text("Admin_Account", admin.as_str());
                // No directory of users is kept here; clients read both all the same.
                json.text("NickName", "");
                json.text("Avatar", "");
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
            text(render(&["zoe", "ann"].map(account))),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"Admin_List":[{"Admin_Account":"zoe","NickName":"","Avatar":""},{"Admin_Account":"ann","NickName":"","Avatar":""}]}"#
        );
        assert_eq!(text(render(&[])), r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"Admin_List":[]}"#);
    }
}
