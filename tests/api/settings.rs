//! What the configuration changes about answers: limits, names, declared fields, strictness.
//!
//! Every key and its default: muster.example.toml. Each test has a node of its own.

use serde_json::{Value, json};

use crate::expect::{MEETING, WORK, group, member, settled};
use crate::shared::{listed, refused, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings, now_secs, query};

fn node_with(toml: &str) -> Node {
    Node::start_with(Settings { toml: toml.to_owned(), ..Settings::default() })
}

#[tokio::test]
async fn the_old_names_may_be_left_out() {
    let node = node_with("[compat]\nlegacy_mute_names = false\n[wire]\nlegacy_type_names = false\n");
    let mut client = node.client().await;
    for (kind, canonical) in [(&WORK, "Work"), (&MEETING, "Meeting")] {
        for name in kind.names {
            let since = now_secs();
            let body = json!({"Type": name, "Name": "club", "GroupId": "g", "Owner_Account": "ann"});
            client.ok("create_group", body).await;
            let answer = client.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
            let ann = with(member(kind, "ann", "Owner"), json!({"ShutUpUntil": null}));
            let changes = json!({
                "Type": canonical, "ShutUpAllMember": null, "Owner_Account": "ann", "MemberNum": 1, "MemberList": [ann],
            });
            assert_eq!(settled(answer["GroupInfo"][0].clone(), since), with(group(kind, "g"), changes));
            // Who asks for an old name gets it.
            let filter = json!({"GroupBaseInfoFilter": ["ShutUpAllMember"], "MemberInfoFilter": ["ShutUpUntil"]});
            let body = json!({"GroupIdList": ["g"], "ResponseFilter": filter});
            let answer = client.ok("get_group_info", body).await;
            let (group, ann) = (&answer["GroupInfo"][0], &answer["GroupInfo"][0]["MemberList"][0]);
            assert_eq!((&group["ShutUpAllMember"], &ann["ShutUpUntil"]), (&json!("Off"), &json!(0)));
            client.ok("destroy_group", json!({"GroupId": "g"})).await;
        }
    }
}

#[tokio::test]
async fn custom_fields_may_have_to_be_declared() {
    let fields = "group = [{ key = \"city\" }, { key = \"day\" }]\nmember = [{ key = \"badge\" }]\n";
    let node = node_with(&format!("[custom_fields]\nopen = false\n{fields}"));
    let mut client = node.client().await;
    let field = |key: &str| json!([{"Key": key, "Value": "v"}]);
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "g"});
    let with_member = |key: &str| json!([{"Member_Account": "bob", "AppMemberDefinedData": field(key)}]);
    for (changes, code) in [
        (json!({"AppDefinedData": field("town")}), 10004),
        (json!({"AppDefinedData": field("badge")}), 10004),
        (json!({"MemberList": with_member("city")}), 10004),
    ] {
        refused(&mut client, "create_group", with(body.clone(), changes), code).await;
    }
    let changes = json!({"AppDefinedData": field("day"), "MemberList": with_member("badge")});
    client.ok("create_group", with(body, changes)).await;
    refused(&mut client, "modify_group_base_info", json!({"GroupId": "g", "AppDefinedData": field("town")}), 10004)
        .await;
    // A declared key that is asked for is shown, also unset, in the order of the filter.
    let filter = json!({"GroupBaseInfoFilter": ["Name"], "AppDefinedDataFilter_Group": ["day", "town", "city"]});
    let answer = client.ok("get_group_info", json!({"GroupIdList": ["g"], "ResponseFilter": filter})).await;
    let shown = json!([{"Key": "day", "Value": "v"}, {"Key": "city", "Value": ""}]);
    assert_eq!(answer["GroupInfo"][0]["AppDefinedData"], shown);
    // Where none is asked for they come as they are declared, whichever was written first.
    client.ok("modify_group_base_info", json!({"GroupId": "g", "AppDefinedData": field("city")})).await;
    let answer = client.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
    let shown = json!([{"Key": "city", "Value": "v"}, {"Key": "day", "Value": "v"}]);
    assert_eq!(answer["GroupInfo"][0]["AppDefinedData"], shown);
}

#[tokio::test]
async fn accounts_and_addresses_may_be_strict() {
    let node = node_with("[ids]\nuser_id_strict = true\n");
    let mut client = node.client().await;
    let create = |owner: &str| json!({"Type": "Public", "Name": "club", "Owner_Account": owner});
    client.ok("create_group", create("a_B-9")).await;
    for owner in ["a b", "a.b", "@RBT#1"] {
        refused(&mut client, "create_group", create(owner), 10004).await;
    }
    refused(&mut client, "get_joined_group_list", json!({"Member_Account": "a.b"}), 10004).await;

    let node = Node::start_with(Settings {
        environment: vec![("MUSTER__HTTP__STRICT_QUERY".into(), "true".into())],
        ..Settings::default()
    });
    let mut client = node.client().await;
    let signed = query(APP, KEY, ADMIN);
    let signed = signed.strip_suffix("&random=7&contenttype=json").expect("the end of a query");
    for (more, expected) in [
        ("&random=7&contenttype=json", 0),
        ("&random=4294967295&contenttype=json", 0),
        ("&contenttype=json", 60002),
        ("&random=&contenttype=json", 60002),
        ("&random=x&contenttype=json", 60002),
        ("&random=4294967296&contenttype=json", 60002),
        ("&random=7", 60025),
        ("&random=7&contenttype=xml", 60025),
    ] {
        let path = format!("/v4/group_open_http_svc/get_group_info?{signed}{more}");
        let (status, body) = client.raw("POST", &path, r#"{"GroupIdList":["g"]}"#).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((status, &answer["ErrorCode"]), (200, &json!(expected)), "{more}");
    }
}

#[tokio::test]
async fn an_app_may_have_limits_of_its_own() {
    let node = Node::start_with(Settings {
        toml: "[limits]\ngroup_name_bytes = 5\ngroups_per_user = 1\n[custom_fields]\nopen = false\n".into(),
        environment: [
            ("MUSTER__APPS__1__LIMITS__GROUP_NAME_BYTES", "6"),
            ("MUSTER__APPS__1__LIMITS__GROUPS_PER_USER", "2"),
            ("MUSTER__APPS__1__LIMITS__MAX_MEMBERS__PUBLIC", "3"),
            ("MUSTER__APPS__1__DEFAULTS__MAX_MEMBER_NUM__PUBLIC", "2"),
            ("MUSTER__APPS__1__CUSTOM_FIELDS__GROUP__0__KEY", "city"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..Settings::default()
    });
    let mut here = node.client().await;
    let mut there = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    let group = |name: &str, more: Value| with(json!({"Type": "Public", "Name": name}), more);
    let owned = |name: &str| group(name, json!({"Owner_Account": "ann"}));
    let city = json!({"AppDefinedData": [{"Key": "city", "Value": "v"}]});
    // Of the edge, and what the rules and the holders of counts judge by.
    refused(&mut here, "create_group", group("6bytes", json!({})), 10004).await;
    refused(&mut here, "create_group", group("club", city.clone()), 10004).await;
    here.ok("create_group", owned("club")).await;
    refused(&mut here, "create_group", owned("club"), 10037).await;
    there.ok("create_group", owned("6bytes")).await;
    there.ok("create_group", with(owned("club"), city)).await;
    refused(&mut there, "create_group", owned("club"), 10037).await;
    refused(&mut there, "create_group", group("club", json!({"MaxMemberCount": 4})), 10004).await;
    for (client, members_max) in [(&mut here, 6000), (&mut there, 2)] {
        client.ok("create_group", group("club", json!({"GroupId": "g"}))).await;
        let answer = client.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
        assert_eq!(answer["GroupInfo"][0]["MaxMemberNum"], members_max);
    }
}

#[tokio::test]
async fn an_edition_brings_the_limits_of_a_plan() {
    let node = Node::start_with(Settings {
        environment: [("MUSTER__EDITION", "trial"), ("MUSTER__APPS__1__EDITION", "pro")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Settings::default()
    });
    let mut here = node.client().await;
    let mut there = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    for (client, members_max) in [(&mut here, 20), (&mut there, 2000)] {
        client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": "g"})).await;
        let answer = client.ok("get_group_info", json!({"GroupIdList": ["g"]})).await;
        assert_eq!(answer["GroupInfo"][0]["MaxMemberNum"], members_max);
    }
}

#[tokio::test]
async fn communities_may_be_switched_off() {
    let node = node_with("[features]\ncommunity = false\n");
    let mut client = node.client().await;
    let group = |kind: &str| json!({"Type": kind, "Name": "club"});
    refused(&mut client, "create_group", group("Community"), 11000).await;
    client.ok("create_group", group("Public")).await;
    // What is wrong with a request is said first.
    refused(&mut client, "create_group", with(group("Community"), json!({"Name": ""})), 10004).await;
}

#[tokio::test]
async fn limits_are_what_the_configuration_says() {
    let toml = "group_name_bytes = 5\ncreate_group_member = 2\nadd_group_member = 2\ndelete_group_member = 2\n\
                get_group_info_ids = 2\nmember_page = 2\nmember_page_community = 2\njoined_page = 2\n\
                [limits.max_members]\npublic = 3\n";
    let node = node_with(&format!("[limits]\n{toml}"));
    let mut client = node.client().await;
    let group = |more: Value| with(json!({"Type": "Public", "Name": "club", "GroupId": "g"}), more);
    let three = listed(&["a", "b", "c"]);
    for (more, code) in [
        (json!({"Name": "clubs!"}), 10004),
        (json!({"MemberList": three}), 10005),
        (json!({"MaxMemberCount": 4}), 10004),
    ] {
        refused(&mut client, "create_group", group(more), code).await;
    }
    client.ok("create_group", group(json!({"Owner_Account": "ann", "MemberList": listed(&["bob", "cid"])}))).await;
    for (command, body, code) in [
        ("add_group_member", json!({"GroupId": "g", "MemberList": three}), 10005),
        ("add_group_member", json!({"GroupId": "g", "MemberList": listed(&["dan"])}), 10014),
        ("delete_group_member", json!({"GroupId": "g", "MemberToDel_Account": ["a", "b", "c"]}), 10005),
        ("modify_group_base_info", json!({"GroupId": "g", "Name": "clubs!"}), 10004),
        ("modify_group_base_info", json!({"GroupId": "g", "MaxMemberNum": 4}), 10004),
        ("get_group_info", json!({"GroupIdList": ["g", "g", "g"]}), 10005),
    ] {
        refused(&mut client, command, body, code).await;
    }
    // Pages are cut to their largest.
    let answer = client.ok("get_group_member_info", json!({"GroupId": "g", "Limit": 3})).await;
    assert_eq!((&answer["MemberNum"], answer["MemberList"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    let body = json!({"Type": "Public", "Name": "club", "Owner_Account": "ann"});
    for _ in 0..2 {
        client.ok("create_group", body.clone()).await;
    }
    let answer = client.ok("get_joined_group_list", json!({"Member_Account": "ann", "Limit": 3})).await;
    assert_eq!((&answer["TotalCount"], answer["GroupIdList"].as_array().map(Vec::len)), (&json!(3), Some(2)));
}
