//! No field is accepted and dropped: each writable one, through every command that takes it, is read back through
//! every command that shows it. Source: docs/spec/rest-api.md 3.4 to 3.8.

use serde_json::{Value, json};

use crate::shared::{accounts, client, create, unique, unique_id, with};
use crate::support::{Client, now_secs};

/// Something of a group: as `modify_group_base_info` and creation take it, and as it is shown.
struct OfGroup {
    kind: &'static str,
    /// Creation and import call it this; empty: they do not take it.
    at_creation: &'static str,
    /// Empty: it cannot be changed.
    at_change: &'static str,
    shown: &'static str,
    value: Value,
    other: Value,
}

fn of_group() -> Vec<OfGroup> {
    let field = |kind, at_creation, at_change, shown, value: Value, other: Value| OfGroup {
        kind,
        at_creation,
        at_change,
        shown,
        value,
        other,
    };
    let plain = |name, value: Value, other: Value| field("Public", name, name, name, value, other);
    vec![
        plain("Name", json!("first"), json!("second")),
        plain("Introduction", json!("first"), json!("")),
        plain("Notification", json!("first"), json!("second")),
        plain("FaceUrl", json!("first"), json!("second")),
        plain("ApplyJoinOption", json!("DisableApply"), json!("FreeAccess")),
        plain("InviteJoinOption", json!("NeedPermission"), json!("FreeAccess")),
        field(
            "Community",
            "ApplyJoinOption",
            "ApplyJoinOption",
            "ApplyJoinOption",
            json!("NeedPermission"),
            json!("DisableApply"),
        ),
        field("Public", "MaxMemberCount", "MaxMemberNum", "MaxMemberNum", json!(17), json!(18)),
        field("Public", "", "MuteAllMember", "MuteAllMember", json!("On"), json!("Off")),
        field("Public", "", "ShutUpAllMember", "MuteAllMember", json!("On"), json!("Off")),
        field("Public", "", "MuteAllMember", "ShutUpAllMember", json!("On"), json!("Off")),
        field("Public", "Owner_Account", "", "Owner_Account", json!(unique("owner")), Value::Null),
        field("Community", "SupportTopic", "", "SupportTopic", json!(1), Value::Null),
        field("Community", "", "SupportTopic", "SupportTopic", json!(1), Value::Null),
        field("Topics", "EnablePermission", "EnablePermission", "EnablePermission", json!(1), json!(0)),
        field("Permissions", "DefaultPermission", "DefaultPermission", "DefaultPermission", json!(255), json!(1)),
    ]
}

impl OfGroup {
    /// The type of group, and what a group of it needs before the field means something.
    fn kind(&self) -> (&'static str, Value) {
        match self.kind {
            "Topics" => ("Community", json!({"SupportTopic": 1})),
            "Permissions" => ("Community", json!({"SupportTopic": 1, "EnablePermission": 1})),
            kind => (kind, json!({})),
        }
    }
}

/// Every command that shows a field of a group shows this value.
async fn is_shown(client: &mut Client, id: &str, member: &str, field: &str, value: &Value) {
    let whole = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
    assert_eq!(&whole["GroupInfo"][0][field], value, "{field}: {whole}");
    let filter = json!({"GroupBaseInfoFilter": [field]});
    let body = json!({"GroupIdList": [id], "ResponseFilter": filter});
    let chosen = client.ok("get_group_info", body).await;
    let expected = json!({"GroupId": id, "ErrorCode": 0, "ErrorInfo": "", field: value});
    assert_eq!(chosen["GroupInfo"], json!([expected]));
    let body = json!({"Member_Account": member, "WithNoActiveGroups": 1, "ResponseFilter": filter});
    let joined = client.ok("get_joined_group_list", body).await;
    assert_eq!(joined["GroupIdList"], json!([{"GroupId": id, field: value}]));
}

#[tokio::test]
async fn each_field_of_a_group_by_each_command() {
    let mut client = client().await;
    for field in of_group() {
        let (kind, needed) = field.kind();
        if !field.at_creation.is_empty() {
            for command in ["create_group", "import_group"] {
                let id = unique_id(kind);
                let name = unique("m");
                let base = json!({"Type": kind, "Name": "club", "GroupId": id});
                let body = with(with(base, needed.clone()), json!({field.at_creation: field.value}));
                client.ok(command, body).await;
                let members = json!([{"Member_Account": name}]);
                client.ok("add_group_member", json!({"GroupId": id, "MemberList": members})).await;
                is_shown(&mut client, &id, &name, field.shown, &field.value).await;
            }
        }
        if !field.at_change.is_empty() {
            let name = unique("m");
            let members = json!({"MemberList": [{"Member_Account": name}]});
            let id = create(&mut client, kind, with(needed, members)).await;
            for value in [&field.value, &field.other].into_iter().filter(|value| !value.is_null()) {
                client.ok("modify_group_base_info", json!({"GroupId": id, field.at_change: value})).await;
                is_shown(&mut client, &id, &name, field.shown, value).await;
            }
        }
    }
}

#[tokio::test]
async fn the_moment_of_an_import_is_its_creation() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting", "Community"] {
        let (id, name) = (unique_id(kind), unique("m"));
        let body = json!({
            "Type": kind, "Name": "club", "GroupId": id, "CreateTime": 1_561_000_000, "Owner_Account": name,
        });
        client.ok("import_group", body).await;
        is_shown(&mut client, &id, &name, "CreateTime", &json!(1_561_000_000)).await;
        is_shown_of_member(&mut client, &id, &name, "JoinTime", &json!(1_561_000_000)).await;
    }
}

#[tokio::test]
async fn custom_fields_of_a_group_by_each_command() {
    let mut client = client().await;
    let data = |value: &str| json!([{"Key": "city", "Value": value}, {"Key": "raw", "Value": "\u{0}\n\u{7f}"}]);
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        let mut ids = vec![create(&mut client, kind, json!({"AppDefinedData": data("Graz")})).await];
        if kind != "AVChatRoom" {
            let id = unique_id(kind);
            let body = json!({"Type": kind, "Name": "club", "GroupId": id, "AppDefinedData": data("Graz")});
            client.ok("import_group", body).await;
            ids.push(id);
        }
        for id in ids {
            for city in ["Graz", "Linz"] {
                client.ok("modify_group_base_info", json!({"GroupId": id, "AppDefinedData": data(city)})).await;
                let whole = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
                assert_eq!(whole["GroupInfo"][0]["AppDefinedData"], data(city), "{kind}");
                let filter = json!({"AppDefinedDataFilter_Group": ["raw", "city"], "GroupBaseInfoFilter": ["Name"]});
                let body = json!({"GroupIdList": [id], "ResponseFilter": filter});
                let chosen = client.ok("get_group_info", body).await;
                let turned = json!([data(city)[1], data(city)[0]]);
                assert_eq!(chosen["GroupInfo"][0]["AppDefinedData"], turned, "{kind}");
            }
        }
    }
}

/// The objects of one member in all answers that have it, filtered to one field and not filtered.
async fn shown_members(client: &mut Client, id: &str, account: &str, filter: &str) -> Vec<(Value, Value)> {
    let mut shown = Vec::new();
    let member = |list: &Value| {
        let found = list.as_array().and_then(|list| list.iter().find(|member| member["Member_Account"] == account));
        found.unwrap_or_else(|| panic!("{account} is not listed: {list}")).clone()
    };
    let whole = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
    let body = json!({"GroupIdList": [id], "ResponseFilter": {"MemberInfoFilter": [filter]}});
    let chosen = client.ok("get_group_info", body).await;
    shown.push((member(&whole["GroupInfo"][0]["MemberList"]), member(&chosen["GroupInfo"][0]["MemberList"])));
    for (command, more) in [
        ("get_group_member_info", json!({})),
        ("get_specified_group_member_info", json!({"Member_List_Account": [account]})),
    ] {
        let body = with(json!({"GroupId": id}), more);
        let whole = client.ok(command, body.clone()).await;
        let chosen = client.ok(command, with(body, json!({"MemberInfoFilter": [filter]}))).await;
        shown.push((member(&whole["MemberList"]), member(&chosen["MemberList"])));
    }
    let filters = json!({"SelfInfoFilter": [filter]});
    let body = json!({"Member_Account": account, "WithNoActiveGroups": 1, "ResponseFilter": filters});
    let joined = client.ok("get_joined_group_list", body).await;
    let own = joined["GroupIdList"].as_array().and_then(|list| list.iter().find(|group| group["GroupId"] == id));
    // No filter there means nothing at all.
    let own = with(own.expect("joined")["SelfInfo"].clone(), json!({"Member_Account": account}));
    shown.push((own.clone(), own));
    shown
}

/// Every command that shows a field of a member shows this value.
async fn is_shown_of_member(client: &mut Client, id: &str, account: &str, field: &str, value: &Value) {
    for (place, (whole, chosen)) in shown_members(client, id, account, field).await.into_iter().enumerate() {
        assert_eq!(&whole[field], value, "{field}, reader {place}: {whole}");
        assert_eq!(chosen, json!({"Member_Account": account, field: value}), "reader {place}");
    }
    if field == "Role" {
        let answer = client.ok("get_role_in_group", json!({"GroupId": id, "User_Account": [account]})).await;
        assert_eq!(answer["UserIdList"], json!([{"Member_Account": account, "Role": value}]));
    }
}

/// A mute that ends within a second or two of that moment is shown by every command, under both names.
async fn is_muted_until(client: &mut Client, id: &str, account: &str, until: u64) {
    let is_it = |shown: &Value| {
        shown.as_u64().is_some_and(|shown| if until == 0 { shown == 0 } else { (until..=until + 5).contains(&shown) })
    };
    for name in ["MuteUntil", "ShutUpUntil"] {
        for (whole, chosen) in shown_members(client, id, account, name).await {
            assert!(is_it(&whole[name]) && is_it(&chosen[name]), "{name} {until}: {whole} {chosen}");
        }
    }
    for (command, list, name) in [
        ("get_group_muted_account", "MutedAccountList", "MutedUntil"),
        ("get_group_shutted_uin", "ShuttedUinList", "ShuttedUntil"),
    ] {
        let answer = client.ok(command, json!({"GroupId": id})).await;
        let listed =
            answer[list].as_array().and_then(|list| list.iter().find(|entry| entry["Member_Account"] == account));
        match until {
            0 => assert!(listed.is_none(), "{answer}"),
            _ => assert!(listed.is_some_and(|entry| is_it(&entry[name])), "{answer}"),
        }
    }
}

#[tokio::test]
async fn each_field_of_a_member_by_the_command_that_changes_one() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting", "Community"] {
        let name = unique("m");
        let id = create(&mut client, kind, json!({"MemberList": [{"Member_Account": name}]})).await;
        let data = |value: &str| json!([{"Key": "badge", "Value": value}]);
        let mut changes = vec![
            ("NameCard", json!("Card")),
            ("NameCard", json!("")),
            ("AppMemberDefinedData", data("7")),
            ("AppMemberDefinedData", data("8")),
        ];
        let flags = ["Discard", "AcceptNotNotify", "AcceptNotNotifyExceptAt", "AcceptAndNotify"];
        changes.extend(flags.map(|flag| ("MsgFlag", json!(flag))));
        if kind != "Work" {
            changes.extend([("Role", json!("Admin")), ("Role", json!("Member"))]);
        }
        for (field, value) in changes {
            client.ok("modify_group_member_info", json!({"GroupId": id, "Member_Account": name, field: value})).await;
            is_shown_of_member(&mut client, &id, &name, field, &value).await;
        }
        // With all the others the custom fields have a filter of their own.
        for command in ["get_group_member_info", "get_specified_group_member_info"] {
            let body = json!({
                "GroupId": id, "Member_List_Account": [name], "MemberInfoFilter": ["Role"],
                "AppDefinedDataFilter_GroupMember": ["none", "badge"],
            });
            let answer = client.ok(command, body).await;
            let expected = json!({"Member_Account": name, "Role": "Member", "AppMemberDefinedData": data("8")});
            assert_eq!(answer["MemberList"], json!([expected]), "{command}");
        }
    }
}

#[tokio::test]
async fn a_mute_by_each_command_and_name() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let name = unique("m");
        let id = create(&mut client, kind, json!({"MemberList": [{"Member_Account": name}]})).await;
        let member = json!({"GroupId": id, "Member_Account": name});
        let members = json!({"GroupId": id, "Members_Account": [name]});
        for (command, body, field) in [
            ("modify_group_member_info", &member, "MuteTime"),
            ("modify_group_member_info", &member, "ShutUpTime"),
            ("modify_group_member_info", &member, "ShutUpUntil"),
            ("forbid_send_msg", &members, "MuteTime"),
            ("forbid_send_msg", &members, "ShutUpTime"),
        ] {
            for span in [3600, 7200, 0] {
                let until = if span == 0 { 0 } else { now_secs() + span };
                client.ok(command, with(body.clone(), json!({field: span}))).await;
                is_muted_until(&mut client, &id, &name, until).await;
            }
            client.ok(command, with(body.clone(), json!({field: u32::MAX}))).await;
            for (whole, _) in shown_members(&mut client, &id, &name, "MuteUntil").await {
                assert_eq!(whole["MuteUntil"], u32::MAX, "{command} {field}: {whole}");
            }
        }
    }
}

#[tokio::test]
async fn what_members_begin_with_by_each_command() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let names = accounts("m", 4);
        let data = json!([{"Key": "badge", "Value": "7"}]);
        let first = json!({"Member_Account": names[0], "Role": "Admin", "AppMemberDefinedData": data});
        let id = create(&mut client, kind, json!({"MemberList": [first]})).await;
        is_shown_of_member(&mut client, &id, &names[0], "Role", &json!("Admin")).await;
        is_shown_of_member(&mut client, &id, &names[0], "AppMemberDefinedData", &data).await;

        let old = unique_id(kind);
        let body = json!({"Type": kind, "Name": "club", "GroupId": old, "CreateTime": 1_561_000_000});
        client.ok("import_group", body).await;
        // Five texts leave five tips, so that there is something to be unread.
        for n in 0..5 {
            client.ok("modify_group_base_info", json!({"GroupId": old, "Name": format!("club {n}")})).await;
        }
        let items = json!([
            {"Member_Account": names[1], "Role": "Admin", "JoinTime": 1_561_000_500, "UnreadMsgNum": 3},
            {"Member_Account": names[2], "JoinTime": 1_561_000_400, "UnreadMsgNum": 99},
        ]);
        client.ok("import_group_member", json!({"GroupId": old, "MemberList": items})).await;
        for (name, role, joined, msg_seq) in
            [(&names[1], "Admin", 1_561_000_500, 2), (&names[2], "Member", 1_561_000_400, 0)]
        {
            is_shown_of_member(&mut client, &old, name, "Role", &json!(role)).await;
            is_shown_of_member(&mut client, &old, name, "JoinTime", &json!(joined)).await;
            is_shown_of_member(&mut client, &old, name, "MsgSeq", &json!(msg_seq)).await;
        }
        client.ok("change_group_owner", json!({"GroupId": old, "NewOwner_Account": names[2]})).await;
        is_shown_of_member(&mut client, &old, &names[2], "Role", &json!("Owner")).await;
        is_shown(&mut client, &old, &names[2], "Owner_Account", &json!(names[2])).await;
    }
}
