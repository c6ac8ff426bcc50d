//! Every key of `[limits]` and `[defaults]` acts: set to a small number, the request beyond it gets its code, for all
//! apps or for one alone. Keys, numbers and codes: docs/spec/limits.md, muster.example.toml.

use serde_json::{Value, json};

use crate::shared::{listed, refused, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings};

/// What one key allows, what it refuses, and with which code; each asked of a group of its own, in which ann is the
/// owner and bob and cid are members unless it is a live room.
struct Row {
    line: &'static str,
    kind: &'static str,
    allowed: (&'static str, Value),
    refused: (&'static str, Value),
    code: u32,
}

fn row(
    line: &'static str,
    kind: &'static str,
    command: &'static str,
    allowed: Value,
    refused: Value,
    code: u32,
) -> Row {
    Row { line, kind, allowed: (command, allowed), refused: (command, refused), code }
}

/// So many accounts, members or not.
fn some(count: usize) -> Vec<&'static str> {
    ["bob", "cid", "dan", "eve"][..count].to_vec()
}

fn group_fields(pairs: &[(&str, &str)]) -> Value {
    json!({"AppDefinedData": pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect::<Value>()})
}

fn member_fields(pairs: &[(&str, &str)]) -> Value {
    let fields: Value = pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"Member_Account": "bob", "AppMemberDefinedData": fields})
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    json!({"GroupAttr": pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Value>()})
}

fn counters(keys: &[&str]) -> Value {
    json!({"GroupCounter": keys.iter().map(|key| json!({"Key": key, "Value": 1})).collect::<Value>()})
}

/// A group to be made, under an id that nobody asked for.
fn new(kind: &str, fields: Value) -> Value {
    with(json!({"GroupId": null, "Type": kind, "Name": "club"}), fields)
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let text = |field: &str, bytes: usize| json!({field: "x".repeat(bytes)});
    let base = "modify_group_base_info";
    let member = "modify_group_member_info";
    let list = |field: &str, count: usize| json!({field: some(count)});
    let muted = |count: usize| json!({"Members_Account": some(count), "MuteTime": 60});
    let banned = |count: usize| json!({"Members_Account": some(count), "Duration": 60});
    let described = |bytes: usize| with(banned(1), json!({"Description": "x".repeat(bytes)}));
    let reason = |bytes: usize| json!({"MemberToDel_Account": ["bob"], "Reason": "x".repeat(bytes)});
    let with_members = |count: usize| json!({"MemberList": listed(&some(count))});
    let live_admins = |count: usize| json!({"CommandType": 1, "Admin_Account": some(count)});
    let most = |field: &str, number: u32| json!({field: number});
    vec![
        row("group_name_bytes = 5", "Public", base, text("Name", 5), text("Name", 6), 10004),
        row("group_introduction_bytes = 6", "Public", base, text("Introduction", 6), text("Introduction", 7), 10004),
        row("group_notification_bytes = 7", "Public", base, text("Notification", 7), text("Notification", 8), 10004),
        row("group_face_url_bytes = 8", "Public", base, text("FaceUrl", 8), text("FaceUrl", 9), 10004),
        row("name_card_bytes = 3", "Public", member, json!({"Member_Account": "bob", "NameCard": "ü1"}),
            json!({"Member_Account": "bob", "NameCard": "ü12"}), 10004),
        row("kick_reason_bytes = 4", "Public", "delete_group_member", reason(4), reason(5), 10004),
        row("ban_description_bytes = 5", "AVChatRoom", "ban_group_member", described(5), described(6), 10004),
        row("group_custom_keys = 2", "Public", base, group_fields(&[("a", "v"), ("b", "v")]), group_fields(&[("c", "v")]), 10004),
        row("member_custom_keys = 1", "Public", member, member_fields(&[("a", "v")]), member_fields(&[("b", "v")]), 10004),
        row("custom_key_bytes = 3", "Public", base, group_fields(&[("abc", "v")]), group_fields(&[("abcd", "v")]), 10004),
        row("group_custom_value_bytes = 4", "Public", base, group_fields(&[("a", "1234")]), group_fields(&[("a", "12345")]), 10004),
        row("member_custom_value_bytes = 2", "Public", member, member_fields(&[("a", "12")]), member_fields(&[("a", "123")]), 10004),
        row("attr_keys = 2", "Public", "modify_group_attr", attributes(&[("a", "1"), ("b", "1")]), attributes(&[("c", "1")]), 10047),
        row("attr_key_bytes = 3", "Public", "set_group_attr", attributes(&[("abc", "1")]), attributes(&[("abcd", "1")]), 10045),
        row("attr_value_bytes = 6", "Public", "set_group_attr", attributes(&[("a", "123456")]), attributes(&[("a", "1234567")]), 10046),
        row("attr_total_bytes = 10", "Public", "set_group_attr", attributes(&[("a", "1234"), ("b", "1234")]),
            attributes(&[("a", "1234"), ("b", "12345")]), 10048),
        row("counter_keys = 2", "Public", "update_group_counter", counters(&["a", "b"]), counters(&["c"]), 10063),
        row("counter_key_bytes = 3", "Public", "update_group_counter", counters(&["abc"]), counters(&["abcd"]), 10004),
        row("create_group_member = 2", "Public", "create_group", new("Public", with_members(2)), new("Public", with_members(3)), 10005),
        row("add_group_member = 2", "Public", "add_group_member", with_members(2), with_members(3), 10005),
        row("delete_group_member = 3", "Public", "delete_group_member", list("MemberToDel_Account", 3), list("MemberToDel_Account", 4), 10005),
        row("import_group_member = 3", "Public", "import_group_member", with_members(3), with_members(4), 10005),
        row("mute_members = 2", "AVChatRoom", "forbid_send_msg", muted(2), muted(3), 10005),
        row("ban_members = 2", "AVChatRoom", "ban_group_member", banned(2), banned(3), 10005),
        row("avchatroom_admins = 2", "AVChatRoom", "modify_admin", live_admins(2), live_admins(3), 10005),
        row("get_group_info_ids = 2", "Public", "get_group_info", list("GroupIdList", 2), list("GroupIdList", 3), 10005),
        row("specified_members = 2", "Public", "get_specified_group_member_info", list("Member_List_Account", 2), list("Member_List_Account", 3), 10005),
        row("role_query = 3", "Public", "get_role_in_group", list("User_Account", 3), list("User_Account", 4), 10005),
        row("admins_per_group = 1", "Public", member, json!({"Member_Account": "bob", "Role": "Admin"}),
            json!({"Member_Account": "cid", "Role": "Admin"}), 10004),
        row("max_members.work = 4", "Work", base, most("MaxMemberNum", 4), most("MaxMemberNum", 5), 10004),
        row("max_members.public = 5", "Public", base, most("MaxMemberNum", 5), most("MaxMemberNum", 6), 10004),
        row("max_members.meeting = 6", "Meeting", "create_group", new("Meeting", most("MaxMemberCount", 6)), new("Meeting", most("MaxMemberCount", 7)), 10004),
        row("max_members.community = 7", "Community", base, most("MaxMemberNum", 7), most("MaxMemberNum", 8), 10004),
    ]
}

/// Pages that are cut to their largest: the key, the read, the list in the answer and how long it is then. The
/// account is in four groups, and each group has four members, and the room four bans.
#[rustfmt::skip]
fn pages() -> [(&'static str, &'static str, Value, &'static str, usize); 5] {
    [
        ("member_page = 2", "get_group_member_info", json!({"GroupId": "public", "Limit": 4}), "MemberList", 2),
        ("member_page_community = 1", "get_group_member_info", json!({"GroupId": "@TGS#_c", "Limit": 4, "Next": ""}), "MemberList", 1),
        ("joined_page = 3", "get_joined_group_list", json!({"Member_Account": "zoe", "Limit": 4}), "GroupIdList", 3),
        ("app_group_page = 2", "get_appid_group_list", json!({"Limit": 4}), "GroupIdList", 2),
        ("ban_page = 1", "get_group_ban_member", json!({"GroupId": "live", "Limit": 4, "Offset": 0}), "BannedAccountList", 1),
    ]
}

/// A node on which the lines of a section hold for all apps, or for the second one alone.
fn node_with(section: &str, lines: &[&str], for_one_app: bool) -> Node {
    let all = |indent: &str| lines.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
    let mut toml = String::new();
    if !for_one_app {
        toml += &format!("[{section}]\n{}", all(""));
    }
    for (id, key) in [(APP, KEY), (OTHER_APP, OTHER_KEY)] {
        toml += &format!("[[apps]]\nid = {id}\nkey = \"{key}\"\nadmins = [\"{ADMIN}\"]\n");
        if for_one_app && id == OTHER_APP {
            toml += &format!("[apps.{section}]\n{}", all(""));
        }
    }
    Node::start_with(Settings { toml, without_apps: true, ..Settings::default() })
}

async fn other(node: &Node) -> Client {
    Client::connect(node.address, OTHER_APP, OTHER_KEY).await
}

#[tokio::test]
async fn what_is_beyond_a_limit_gets_its_code() {
    let rows = rows();
    let lines: Vec<&str> = rows.iter().map(|row| row.line).collect();
    for for_one_app in [false, true] {
        let node = node_with("limits", &lines, for_one_app);
        let (mut first, mut second) = (node.client().await, other(&node).await);
        for (place, row) in rows.iter().enumerate() {
            let id = if row.kind == "Community" { format!("@TGS#_{place}") } else { format!("g{place}") };
            let mut group = json!({"Type": row.kind, "Name": "club", "GroupId": id, "Owner_Account": "ann"});
            if row.kind != "AVChatRoom" {
                group = with(group, json!({"MemberList": listed(&["bob", "cid"])}));
            }
            let named = |body: &Value| match body.get("Type") {
                Some(_) => body.clone(),
                None => with(body.clone(), json!({"GroupId": id})),
            };
            let (command, allowed) = (row.allowed.0, named(&row.allowed.1));
            let beyond = named(&row.refused.1);
            for (client, is_limited) in [(&mut first, !for_one_app), (&mut second, true)] {
                client.ok("create_group", group.clone()).await;
                client.ok(command, allowed.clone()).await;
                match is_limited {
                    true => refused(client, row.refused.0, beyond.clone(), row.code).await,
                    false => drop(client.ok(row.refused.0, beyond.clone()).await),
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_are_cut_to_their_largest() {
    let lines: Vec<&str> = pages().iter().map(|(line, ..)| *line).collect();
    for for_one_app in [false, true] {
        let node = node_with("limits", &lines, for_one_app);
        let (mut first, mut second) = (node.client().await, other(&node).await);
        for (client, is_limited) in [(&mut first, !for_one_app), (&mut second, true)] {
            for (kind, id) in [("Public", "public"), ("Community", "@TGS#_c"), ("Meeting", "m"), ("Public", "p")] {
                let members = listed(&["zoe", "bob", "cid", "dan"]);
                let body = json!({"Type": kind, "Name": "club", "GroupId": id, "MemberList": members});
                client.ok("create_group", body).await;
            }
            client.ok("create_group", json!({"Type": "AVChatRoom", "Name": "club", "GroupId": "live"})).await;
            let bans = json!({"GroupId": "live", "Members_Account": some(4), "Duration": 60});
            client.ok("ban_group_member", bans).await;
            for (line, command, body, list, cut) in pages() {
                let answer = client.ok(command, body).await;
                let length = answer[list].as_array().map(Vec::len);
                assert_eq!(length, Some(if is_limited { cut } else { 4 }), "{line}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_group_gets_that_names_no_number() {
    let lines = ["work = 3", "public = 4", "meeting = 5", "community = 6", "avchatroom = 7"];
    for for_one_app in [false, true] {
        let node = node_with("defaults.max_member_num", &lines, for_one_app);
        let (mut first, mut second) = (node.client().await, other(&node).await);
        for (client, is_limited) in [(&mut first, !for_one_app), (&mut second, true)] {
            for (kind, configured, default) in
                [("Work", 3, 6_000), ("Public", 4, 6_000), ("Meeting", 5, 6_000), ("Community", 6, 100_000)]
            {
                let id = client.ok("create_group", json!({"Type": kind, "Name": "club"})).await["GroupId"].clone();
                let answer = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
                let expected = if is_limited { configured } else { default };
                assert_eq!(answer["GroupInfo"][0]["MaxMemberNum"], expected, "{kind}");
            }
        }
    }
}

/// Limits that count over groups, each for one app alone: the other goes on.
#[tokio::test]
async fn counts_over_groups_may_differ_for_an_app() {
    for (lines, kind, room, code) in [
        (&["groups_per_app = 3"][..], "Public", 3, 10058),
        (&["avchatrooms_per_app = 2"], "AVChatRoom", 2, 10036),
        (&["communities_per_app = 2"], "Community", 2, 10058),
        (&["groups_per_user = 2"], "Meeting", 2, 10037),
        (&["daily_net_groups = 2"], "Public", 2, 10006),
        (&["daily_net_groups = 2", "daily_net_counts_community = true"], "Community", 2, 10006),
    ] {
        let node = node_with("limits", lines, true);
        let (mut first, mut second) = (node.client().await, other(&node).await);
        let body = json!({"Type": kind, "Name": "club", "Owner_Account": "ann"});
        for _ in 0..room {
            second.ok("create_group", body.clone()).await;
        }
        refused(&mut second, "create_group", body.clone(), code).await;
        for _ in 0..room + 2 {
            first.ok("create_group", body.clone()).await;
        }
    }
}

/// Attributes may be written so often in a second, by one caller in one group; 10049 beyond.
#[tokio::test]
async fn writes_of_attributes_per_second_may_differ_for_an_app() {
    const WRITES: usize = 40;
    let node = node_with("limits", &["attr_write_per_sec = 2"], true);
    let (mut first, mut second) = (node.client().await, other(&node).await);
    let mut refusals = Vec::new();
    for client in [&mut first, &mut second] {
        client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": "g"})).await;
        let began = std::time::Instant::now();
        let mut count = 0;
        for n in 0..WRITES {
            let body = with(attributes(&[("k", &n.to_string())]), json!({"GroupId": "g"}));
            let answer = client.call("set_group_attr", body).await;
            match answer["ErrorCode"].as_u64() {
                Some(0) => {}
                Some(10049) => count += 1,
                _ => panic!("{answer}"),
            }
        }
        refusals.push((count, began.elapsed().as_secs() as usize));
    }
    let (there, there_secs) = refusals[1];
    // A bucket of one second's writes, and what flows in meanwhile.
    let let_in = WRITES - there;
    assert!((2..=2 * (there_secs + 2)).contains(&let_in), "{let_in} in {there_secs} s");
    let (here, here_secs) = refusals[0];
    // The default is 5.
    assert!(WRITES - here >= 5 && WRITES - here <= 5 * (here_secs + 2), "{here} refused in {here_secs} s");
}

/// `profile_preset` sets four lengths, for all apps or one; a length that is written out wins.
#[tokio::test]
async fn a_preset_sets_four_lengths() {
    let lines = ["profile_preset = \"extended\"", "group_face_url_bytes = 9"];
    let node = node_with("limits", &lines, true);
    let (mut first, mut second) = (node.client().await, other(&node).await);
    for (client, lengths) in [(&mut first, [30, 240, 300, 100]), (&mut second, [100, 400, 400, 9])] {
        client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": "g"})).await;
        for (field, length) in ["Name", "Introduction", "Notification", "FaceUrl"].into_iter().zip(lengths) {
            let body = |bytes: usize| json!({"GroupId": "g", field: "x".repeat(bytes)});
            client.ok("modify_group_base_info", body(length)).await;
            refused(client, "modify_group_base_info", body(length + 1), 10004).await;
        }
    }
}
