//! Reading groups: docs/spec/rest-api.md 4.3 and 3.5 to 3.8.

use serde_json::{Value, json};

use crate::expect::{self, PUBLIC, group, group_info, member, settled};
use crate::shared::{accounts, client, create, listed, names, refused, unique, with};
use crate::support::{Client, now_secs};

const MISSING: &str = "this group does not exist";

/// A Public group with an owner, an admin and a member, two custom fields and a badge.
async fn a_club(client: &mut Client) -> (String, Vec<String>) {
    let names = accounts("m", 3);
    let fields = json!({
        "Owner_Account": names[0],
        "Introduction": "walks",
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}, {"Key": "day", "Value": "Sunday"}],
        "MemberList": [
            {"Member_Account": names[1], "Role": "Admin"},
            {
                "Member_Account": names[2],
                "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}, {"Key": "seat", "Value": "2"}],
            },
        ],
    });
    (create(client, "Public", fields).await, names)
}

/// The group that the filter leaves of the club.
async fn filtered(client: &mut Client, id: &str, filter: Value) -> Value {
    let since = now_secs() - 60;
    let answer = client.call("get_group_info", json!({"GroupIdList": [id], "ResponseFilter": filter})).await;
    assert_eq!(answer, group_info(answer["GroupInfo"][0].clone()));
    settled(answer["GroupInfo"][0].clone(), since)
}

fn found(id: &str, fields: Value) -> Value {
    with(json!({"GroupId": id, "ErrorCode": 0, "ErrorInfo": ""}), fields)
}

#[tokio::test]
async fn without_a_filter_everything() {
    let mut client = client().await;
    let since = now_secs();
    let (id, names) = a_club(&mut client).await;
    let answer = client.call("get_group_info", json!({"GroupIdList": [id]})).await;
    let badge = json!({"AppMemberDefinedData": [{"Key": "badge", "Value": "7"}, {"Key": "seat", "Value": "2"}]});
    let changes = json!({
        "Owner_Account": names[0],
        "Introduction": "walks",
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}, {"Key": "day", "Value": "Sunday"}],
        "MemberNum": 3,
        "NextMsgSeq": 2,
        "MemberList": [
            member(&PUBLIC, &names[0], "Owner"),
            member(&PUBLIC, &names[1], "Admin"),
            with(member(&PUBLIC, &names[2], "Member"), badge),
        ],
    });
    assert_eq!(settled(answer, since), group_info(with(group(&PUBLIC, &id), changes)));
}

#[tokio::test]
async fn a_filter_restricts() {
    let mut client = client().await;
    let (id, names) = a_club(&mut client).await;
    let base = with(
        group(&PUBLIC, &id),
        json!({
            "Owner_Account": names[0], "Introduction": "walks", "MemberNum": 3, "NextMsgSeq": 2,
            "MemberList": null, "Appid": null,
        }),
    );
    // Present and empty: all base fields, no members, no custom data. `Appid` is for no filter at all.
    assert_eq!(filtered(&mut client, &id, json!({})).await, base);
    // A list that is empty is as if it were absent.
    let empty = json!({
        "GroupBaseInfoFilter": [], "MemberInfoFilter": [], "AppDefinedDataFilter_Group": [],
        "AppDefinedDataFilter_GroupMember": null,
    });
    assert_eq!(filtered(&mut client, &id, empty).await, base);

    for (filter, fields) in [
        (json!({"GroupBaseInfoFilter": ["Name"]}), json!({"Name": "club"})),
        (json!({"GroupBaseInfoFilter": ["GroupId", "Nonsense", "name"]}), json!({})),
        (
            json!({"GroupBaseInfoFilter": ["Type", "MemberNum", "CreateTime"]}),
            json!({"Type": "Public", "MemberNum": 3, "CreateTime": expect::THEN}),
        ),
        // A field is answered under the name it was asked by.
        (json!({"GroupBaseInfoFilter": ["MuteAllMember"]}), json!({"MuteAllMember": "Off"})),
        (json!({"GroupBaseInfoFilter": ["ShutUpAllMember"]}), json!({"ShutUpAllMember": "Off"})),
        (
            json!({"GroupBaseInfoFilter": ["ShutUpAllMember", "MuteAllMember"]}),
            json!({"MuteAllMember": "Off", "ShutUpAllMember": "Off"}),
        ),
        (
            json!({"GroupBaseInfoFilter": ["Name"], "AppDefinedDataFilter_Group": ["day", "city"]}),
            json!({"Name": "club", "AppDefinedData": [
                {"Key": "day", "Value": "Sunday"}, {"Key": "city", "Value": "Graz"},
            ]}),
        ),
        (
            json!({"GroupBaseInfoFilter": ["Name"], "AppDefinedDataFilter_Group": ["city"]}),
            json!({"Name": "club", "AppDefinedData": [{"Key": "city", "Value": "Graz"}]}),
        ),
        (
            json!({"GroupBaseInfoFilter": ["Name"], "MemberInfoFilter": ["Account", "Role"]}),
            json!({"Name": "club", "MemberList": [
                {"Member_Account": names[0], "Role": "Owner"},
                {"Member_Account": names[1], "Role": "Admin"},
                {"Member_Account": names[2], "Role": "Member"},
            ]}),
        ),
        (
            json!({
                "GroupBaseInfoFilter": ["Name"],
                "MemberInfoFilter": ["Member_Account", "ShutUpUntil"],
                "AppDefinedDataFilter_GroupMember": ["seat"],
            }),
            json!({"Name": "club", "MemberList": [
                {"Member_Account": names[0], "ShutUpUntil": 0},
                {"Member_Account": names[1], "ShutUpUntil": 0},
                {
                    "Member_Account": names[2], "ShutUpUntil": 0,
                    "AppMemberDefinedData": [{"Key": "seat", "Value": "2"}],
                },
            ]}),
        ),
    ] {
        assert_eq!(filtered(&mut client, &id, filter.clone()).await, found(&id, fields), "{filter}");
    }
}

#[tokio::test]
async fn every_base_field_may_be_asked_for_alone() {
    let mut client = client().await;
    let (id, names) = a_club(&mut client).await;
    let whole = with(
        group(&PUBLIC, &id),
        json!({"Owner_Account": names[0], "Introduction": "walks", "MemberNum": 3, "NextMsgSeq": 2}),
    );
    for field in [
        "Type",
        "Name",
        "Introduction",
        "Notification",
        "FaceUrl",
        "Owner_Account",
        "CreateTime",
        "InfoSeq",
        "LastInfoTime",
        "LastMsgTime",
        "NextMsgSeq",
        "MemberNum",
        "MaxMemberNum",
        "ApplyJoinOption",
        "InviteJoinOption",
        "MuteAllMember",
        "ShutUpAllMember",
    ] {
        let shown = filtered(&mut client, &id, json!({"GroupBaseInfoFilter": [field]})).await;
        assert_eq!(shown, found(&id, json!({field: whole[field]})), "{field}");
    }
}

#[tokio::test]
async fn each_id_has_a_result_of_its_own() {
    let mut client = client().await;
    let (id, _) = a_club(&mut client).await;
    let live = create(&mut client, "AVChatRoom", json!({})).await;
    let (absent, long) = (unique("absent"), "x".repeat(49));
    let ids = json!([absent, id, "k\u{e4}se", live, id, long, "@TGS#_nobody", "@TGS#2AAAAAAAAAAAAA"]);
    let body = json!({"GroupIdList": ids, "ResponseFilter": {"GroupBaseInfoFilter": ["Type"]}});
    let mut answer = client.call("get_group_info", body).await;
    // The texts are free, but there is one.
    for element in answer["GroupInfo"].as_array_mut().expect("groups") {
        if element["ErrorCode"] == 10015 {
            assert_ne!(element["ErrorInfo"], "");
            element["ErrorInfo"] = json!("malformed");
        }
    }
    let public = found(&id, json!({"Type": "Public"}));
    let expected = json!([
        {"GroupId": absent, "ErrorCode": 10010, "ErrorInfo": MISSING},
        public,
        {"GroupId": "k\u{e4}se", "ErrorCode": 10015, "ErrorInfo": "malformed"},
        found(&live, json!({"Type": "AVChatRoom"})),
        public,
        {"GroupId": long, "ErrorCode": 10015, "ErrorInfo": "malformed"},
        {"GroupId": "@TGS#_nobody", "ErrorCode": 10010, "ErrorInfo": MISSING},
        {"GroupId": "@TGS#2AAAAAAAAAAAAA", "ErrorCode": 10010, "ErrorInfo": MISSING},
    ]);
    assert_eq!(answer, expect::ok(json!({"GroupInfo": expected})));
}

#[tokio::test]
async fn a_list_holds_one_to_fifty_ids() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let answer = client.ok("get_group_info", json!({"GroupIdList": vec![&id; 50]})).await;
    assert_eq!(names(&answer["GroupInfo"], "GroupId"), vec![id.clone(); 50]);
    refused(&mut client, "get_group_info", json!({"GroupIdList": vec![&id; 51]}), 10005).await;
    for list in [json!(null), json!([]), json!(id), json!({"0": id}), json!([7]), json!([[id]]), json!([id, 7])] {
        refused(&mut client, "get_group_info", json!({"GroupIdList": list}), 10004).await;
    }
    refused(&mut client, "get_group_info", json!({}), 10004).await;
    for filter in [json!("Name"), json!({"GroupBaseInfoFilter": "Name"}), json!({"MemberInfoFilter": [7]})] {
        refused(&mut client, "get_group_info", json!({"GroupIdList": [id], "ResponseFilter": filter}), 10004).await;
    }
}

#[tokio::test]
async fn members_are_listed_by_join_time_then_id() {
    let mut client = client().await;
    let mut names = accounts("m", 12);
    // Asked for in another order than the one they are listed in.
    let (first, later) = names.split_at_mut(6);
    let backwards: Vec<_> = first.iter().rev().cloned().collect();
    let id = create(&mut client, "Public", json!({"MemberList": listed(&backwards)})).await;
    let backwards: Vec<_> = later.iter().rev().cloned().collect();
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&backwards)})).await;
    let answer = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
    let listed_here: Vec<_> = crate::shared::names(&answer["GroupInfo"][0]["MemberList"], "Member_Account");
    assert_eq!(listed_here, names);
    assert_eq!(crate::shared::members(&mut client, &id).await, names);
}

#[tokio::test]
async fn an_answer_over_a_megabyte_is_refused_as_a_whole() {
    let mut client = client().await;
    let big = json!({"AppDefinedData": (0..10).map(|n| {
        json!({"Key": format!("k{n}"), "Value": "\u{1}".repeat(512)})
    }).collect::<Value>()});
    let id = create(&mut client, "Public", big).await;
    // A control byte takes six in JSON: each group is over 30 KB.
    client.ok("get_group_info", json!({"GroupIdList": vec![&id; 20]})).await;
    refused(&mut client, "get_group_info", json!({"GroupIdList": vec![&id; 50]}), 10018).await;
}
