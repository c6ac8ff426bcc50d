//! Which of several faults a request is told: the order of checks of docs/spec/group-types.md 6 and
//! docs/spec/rest-api.md 2.7. What comes before the body is in envelope.rs.

use serde_json::{Value, json};

use crate::shared::{accounts, client, create, info, refused, unique, with};

/// More bytes than a name may have, and a name card.
const LONG: &str = "a text of more bytes than the names of groups and the cards of members may have";

/// required fields and types, lengths, list caps → syntax of the id → the group → its type → rank → targets and
/// values → quotas. Nobody who may call at all fails for rank here: rights.rs.
#[tokio::test]
async fn the_first_fault_wins() {
    let mut client = client().await;
    let owned = || json!({"Owner_Account": "ann"});
    let live = create(&mut client, "AVChatRoom", owned()).await;
    let work = create(&mut client, "Work", owned()).await;
    let public = create(&mut client, "Public", owned()).await;
    let full = create(&mut client, "Public", json!({"Owner_Account": "ann", "MaxMemberCount": 1})).await;
    let community = create(&mut client, "Community", owned()).await;
    let groups = [&live, &work, &public, &full, &community];
    let mut before = Vec::new();
    for id in groups {
        before.push(info(&mut client, id).await);
    }

    let (absent, malformed) = (unique("absent"), "x".repeat(49));
    let many = |count: usize| accounts("m", count);
    let items = |count: usize| -> Value { many(count).iter().map(|name| json!({"Member_Account": name})).collect() };
    let with_a_number = |count: usize| -> Value {
        let names = many(count);
        names.iter().map(|name| json!({"Member_Account": name})).chain([json!({"Member_Account": 7})]).collect()
    };
    let counters: Value = (0..21).map(|n| json!({"Key": format!("k{n}"), "Value": 1})).collect();
    let long_key = json!([{"key": "k".repeat(33), "value": "v"}]);
    let to = |id: &str, body: Value| with(body, json!({"GroupId": id}));

    let table = [
        // A required field, before a list that is too long.
        ("ban_group_member", to(&live, json!({"Members_Account": many(21)})), 10004),
        ("modify_admin", to(&live, json!({"Admin_Account": many(6)})), 10004),
        ("forbid_send_msg", to(&public, json!({"Members_Account": many(501)})), 10004),
        // Also the id, and what is no text in its place.
        ("add_group_member", json!({"MemberList": items(301)}), 10004),
        ("import_group_member", json!({"MemberList": items(301)}), 10004),
        ("delete_group_member", json!({"MemberToDel_Account": many(501)}), 10004),
        ("get_specified_group_member_info", json!({"GroupId": "", "Member_List_Account": many(51)}), 10004),
        ("get_role_in_group", json!({"GroupId": 5, "User_Account": many(501)}), 10004),
        ("forbid_send_msg", json!({"GroupId": [], "Members_Account": many(501), "MuteTime": 4}), 10004),
        ("ban_group_member", json!({"Members_Account": many(21), "Duration": 4}), 10004),
        ("unban_group_member", json!({"Members_Account": many(21)}), 10004),
        ("modify_admin", json!({"CommandType": 1, "Admin_Account": many(6)}), 10004),
        ("set_group_attr", json!({"GroupAttr": long_key}), 10004),
        ("modify_group_attr", json!({"GroupId": 5, "GroupAttr": long_key}), 10004),
        ("update_group_counter", json!({"GroupCounter": counters}), 10004),
        ("get_group_counter", json!({"GroupCounterKeys": many(21)}), 10004),
        ("delete_group_counter", json!({"GroupId": "", "GroupCounterKeys": many(21)}), 10004),
        // The type of a field, before a list that is too long.
        (
            "get_specified_group_member_info",
            to(&public, json!({"Member_List_Account": many(51), "MemberInfoFilter": 5})),
            10004,
        ),
        ("add_group_member", to(&public, json!({"MemberList": with_a_number(300)})), 60015),
        ("delete_group_member", to(&public, json!({"MemberToDel_Account": many(501), "Silence": "x"})), 10004),
        // A required field, before an id that cannot be one.
        ("change_group_owner", to(&malformed, json!({})), 10004),
        ("update_group_counter", to(&malformed, json!({"Mode": "Increase"})), 10004),
        // A length, before the id and the group.
        ("modify_group_base_info", to(&malformed, json!({"Name": LONG})), 10004),
        ("modify_group_base_info", to(&absent, json!({"Name": LONG})), 10004),
        ("modify_group_member_info", to(&malformed, json!({"Member_Account": "ann", "NameCard": LONG})), 10004),
        ("modify_group_member_info", to(&live, json!({"Member_Account": "ann", "NameCard": LONG})), 10004),
        ("set_group_attr", to(&malformed, json!({"GroupAttr": long_key})), 10045),
        ("modify_group_attr", to(&absent, json!({"GroupAttr": long_key})), 10045),
        // A list that is too long, before the id, the group, and its type.
        ("add_group_member", to(&malformed, json!({"MemberList": items(301)})), 10005),
        ("add_group_member", to(&absent, json!({"MemberList": items(301)})), 10005),
        ("add_group_member", to(&live, json!({"MemberList": items(301)})), 10005),
        ("import_group_member", to(&live, json!({"MemberList": items(301)})), 10005),
        ("delete_group_member", to(&live, json!({"MemberToDel_Account": many(501)})), 10005),
        ("forbid_send_msg", to(&work, json!({"Members_Account": many(501), "MuteTime": 9})), 10005),
        ("ban_group_member", to(&public, json!({"Members_Account": many(21), "Duration": 9})), 10005),
        ("unban_group_member", to(&absent, json!({"Members_Account": many(21)})), 10005),
        ("modify_admin", to(&work, json!({"CommandType": 1, "Admin_Account": many(6)})), 10005),
        ("get_role_in_group", to(&live, json!({"User_Account": many(501)})), 10005),
        ("get_specified_group_member_info", to(&live, json!({"Member_List_Account": many(51)})), 10005),
        ("create_group", json!({"Type": "AVChatRoom", "Name": "n", "MemberList": items(101)}), 10005),
        ("create_group", json!({"Type": "Public", "Name": "n", "GroupId": public, "MemberList": items(101)}), 10005),
        ("update_group_counter", to(&malformed, json!({"Mode": "Set", "GroupCounter": counters})), 10063),
        ("update_group_counter", to(&community, json!({"Mode": "Set", "GroupCounter": counters})), 10063),
        // The id, before everything about the group.
        ("change_group_owner", to(&malformed, json!({"NewOwner_Account": "nobody"})), 10015),
        ("delete_group_attr", to(&malformed, json!({"GroupAttr": [{"key": "none"}]})), 10015),
        // The group, before its type, its targets and its values.
        ("change_group_owner", to(&absent, json!({"NewOwner_Account": "nobody"})), 10010),
        ("delete_group_attr", to(&absent, json!({"GroupAttr": [{"key": "none"}]})), 10010),
        ("modify_group_base_info", to(&absent, json!({"MaxMemberNum": 999_999, "MuteAllMember": "On"})), 10010),
        ("create_group", json!({"Type": "AVChatRoom", "Name": "n", "GroupId": public, "MemberList": items(1)}), 10021),
        ("create_group", json!({"Type": "Public", "Name": "n", "GroupId": public, "MaxMemberCount": 999_999}), 10021),
        ("import_group", json!({"Type": "AVChatRoom", "Name": "n", "GroupId": live, "Owner_Account": "ann"}), 10025),
        // The type, before the target and the value.
        ("change_group_owner", to(&live, json!({"NewOwner_Account": "ann"})), 10007),
        ("change_group_owner", to(&live, json!({"NewOwner_Account": "nobody"})), 10007),
        ("forbid_send_msg", to(&work, json!({"Members_Account": ["ann", "nobody"], "MuteTime": 9})), 10007),
        ("ban_group_member", to(&public, json!({"Members_Account": ["ann"], "Duration": 9})), 10007),
        ("modify_group_member_info", to(&work, json!({"Member_Account": "nobody", "Role": "Admin"})), 10007),
        ("modify_group_member_info", to(&live, json!({"Member_Account": "nobody", "MuteTime": 9})), 10007),
        ("modify_group_base_info", to(&work, json!({"MaxMemberNum": 999_999, "MuteAllMember": "On"})), 10007),
        ("modify_group_base_info", to(&public, json!({"MaxMemberNum": 999_999, "SupportTopic": 1})), 10007),
        ("modify_admin", to(&public, json!({"CommandType": 1, "Admin_Account": ["ann"]})), 10007),
        ("add_group_member", to(&live, json!({"MemberList": items(1)})), 10007),
        (
            "create_group",
            json!({"Type": "AVChatRoom", "Name": "n", "MemberList": [{"Member_Account": "a", "Role": "Admin"}]}),
            10007,
        ),
        ("import_group", json!({"Type": "AVChatRoom", "Name": "n", "CreateTime": 1}), 10007),
        // The one command that says so for a live room.
        ("delete_group_member", to(&live, json!({"MemberToDel_Account": ["nobody"]})), 10004),
        // The target and the value, before what there is no room for.
        ("modify_group_member_info", to(&public, json!({"Member_Account": "ann", "Role": "Admin"})), 10004),
        ("add_group_member", to(&full, json!({"MemberList": items(1)})), 10014),
    ];
    for (command, body, code) in table {
        refused(&mut client, command, body, code).await;
    }
    for (id, before) in groups.into_iter().zip(before) {
        assert_eq!(info(&mut client, id).await, before, "{id}");
    }
}
