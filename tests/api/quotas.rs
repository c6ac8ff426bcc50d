//! Limits that count over groups: the app's daily net quota and the groups of an account.
//!
//! Source: docs/spec/limits.md 4. Each test has a node with small limits.

use serde_json::{Value, json};

use crate::concurrency::{at_once, codes};
use crate::shared::{listed, refused, with};
use crate::support::{Client, Node, OTHER_APP, OTHER_KEY, Settings, now_secs};

fn node_with(limits: &str) -> Node {
    Node::start_with(Settings { toml: format!("[limits]\n{limits}"), ..Settings::default() })
}

/// The day of the quota changes twelve hours from now, so that no test meets the change.
fn noon() -> String {
    let minute_of_day = i64::try_from(now_secs() / 60 % 1440).expect("a minute");
    format!("daily_reset_utc_offset_minutes = {}\n", 720 - minute_of_day)
}

fn a_group(n: usize) -> Value {
    json!({"Type": "Public", "Name": "club", "GroupId": format!("g{n}")})
}

fn of_type(kind: &str) -> Value {
    json!({"Type": kind, "Name": "club"})
}

#[tokio::test]
async fn the_daily_quota_is_exact_for_callers_at_the_same_time() {
    let node = node_with(&format!("daily_net_groups = 100\n{}", noon()));
    let answers = at_once(node.address, "create_group", (0..200).map(a_group).collect()).await;
    assert_eq!(codes(&answers), [(0, 100), (10006, 100)]);

    let mut client = node.client().await;
    refused(&mut client, "create_group", a_group(1000), 10006).await;
    // Whoever was told so has made nothing.
    let made: Vec<usize> = (0..200).filter(|n| answers[*n]["ErrorCode"] == 0).collect();
    for (n, answer) in answers.iter().enumerate() {
        let found = client.ok("get_group_info", json!({"GroupIdList": [format!("g{n}")]})).await;
        let expected = if answer["ErrorCode"] == 0 { 0 } else { 10010 };
        assert_eq!(found["GroupInfo"][0]["ErrorCode"], expected, "g{n}");
    }
    // An id that is taken is said to be taken, also on a full day.
    refused(&mut client, "create_group", a_group(made[0]), 10021).await;

    for n in &made[..10] {
        client.ok("destroy_group", json!({"GroupId": format!("g{n}")})).await;
    }
    let answers = at_once(node.address, "create_group", (300..350).map(a_group).collect()).await;
    assert_eq!(codes(&answers), [(0, 10), (10006, 40)]);

    // The other app has a day of its own.
    let mut other = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    other.ok("create_group", a_group(0)).await;
    refused(&mut client, "create_group", a_group(1000), 10006).await;
}

#[tokio::test]
async fn every_type_counts_in_the_daily_quota_and_refusals_do_not() {
    let node = node_with(&format!("daily_net_groups = 5\n{}", noon()));
    let mut client = node.client().await;
    let spoilt = with(of_type("Public"), json!({"MaxMemberCount": 1, "MemberList": listed(&["a", "b"])}));
    for _ in 0..10 {
        refused(&mut client, "create_group", spoilt.clone(), 10038).await;
    }
    let mut last = Value::Null;
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        last = client.ok("create_group", of_type(kind)).await["GroupId"].clone();
    }
    for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
        refused(&mut client, "create_group", of_type(kind), 10006).await;
    }
    for _ in 0..10 {
        client.ok("destroy_group", json!({"GroupId": last})).await;
        last = client.ok("create_group", of_type("Public")).await["GroupId"].clone();
        refused(&mut client, "create_group", of_type("Public"), 10006).await;
    }
}

#[tokio::test]
async fn communities_may_be_left_out_of_the_daily_quota() {
    let node = node_with(&format!("daily_net_groups = 1\ndaily_net_counts_community = false\n{}", noon()));
    let mut client = node.client().await;
    client.ok("create_group", of_type("Public")).await;
    refused(&mut client, "create_group", of_type("Public"), 10006).await;
    let community = client.ok("create_group", of_type("Community")).await;
    client.ok("destroy_group", json!({"GroupId": community["GroupId"]})).await;
    // Its end makes no room either.
    refused(&mut client, "create_group", of_type("Public"), 10006).await;
}

#[tokio::test]
async fn the_groups_of_an_account_are_counted_exactly() {
    let node = node_with("groups_per_user = 3\n");
    let mut client = node.client().await;
    for n in 0..6 {
        client.ok("create_group", a_group(n)).await;
    }
    let add = |n: usize, names: &[&str]| json!({"GroupId": format!("g{n}"), "MemberList": listed(names)});
    let owned = |kind: &str| with(of_type(kind), json!({"Owner_Account": "bob"}));

    // A live room does not count: bob owns two and is in none.
    client.ok("create_group", owned("AVChatRoom")).await;
    client.ok("create_group", owned("AVChatRoom")).await;
    let first = client.ok("create_group", owned("Work")).await["GroupId"].clone();
    client.ok("add_group_member", add(0, &["bob"])).await;
    let answer = client.ok("add_group_member", add(0, &["bob"])).await;
    assert_eq!(answer["MemberList"][0]["Result"], 2, "in already: nothing is counted");
    client.ok("add_group_member", add(1, &["bob"])).await;

    // Three: alone he is refused, among others he fails.
    refused(&mut client, "add_group_member", add(2, &["bob"]), 10037).await;
    let answer = client.ok("add_group_member", add(2, &["bob", "eve"])).await;
    let expected = json!([{"Member_Account": "bob", "Result": 0}, {"Member_Account": "eve", "Result": 1}]);
    assert_eq!(answer["MemberList"], expected);
    // Where he is in, he is.
    let answer = client.ok("add_group_member", add(1, &["bob"])).await;
    assert_eq!(answer["MemberList"][0]["Result"], 2);
    for kind in ["Public", "Community"] {
        refused(&mut client, "create_group", owned(kind), 10037).await;
        let with_bob = with(of_type(kind), json!({"MemberList": listed(&["eve", "bob"])}));
        refused(&mut client, "create_group", with_bob, 10037).await;
    }
    // A live room he may own all the same.
    client.ok("create_group", owned("AVChatRoom")).await;

    // One place free by removal, by the end of a group; and only one each.
    client.ok("delete_group_member", json!({"GroupId": "g0", "MemberToDel_Account": ["bob"]})).await;
    client.ok("add_group_member", add(2, &["bob"])).await;
    refused(&mut client, "add_group_member", add(3, &["bob"]), 10037).await;
    client.ok("destroy_group", json!({"GroupId": first})).await;
    client.ok("create_group", owned("Public")).await;
    refused(&mut client, "add_group_member", add(3, &["bob"]), 10037).await;

    // What was refused counted for nobody: eve is in one group.
    client.ok("add_group_member", add(3, &["eve"])).await;
    client.ok("add_group_member", add(4, &["eve"])).await;
    refused(&mut client, "add_group_member", add(5, &["eve"]), 10037).await;
    for (name, count) in [("bob", 3), ("eve", 3)] {
        let body = json!({"Member_Account": name, "WithNoActiveGroups": 1});
        assert_eq!(client.ok("get_joined_group_list", body).await["TotalCount"], count, "{name}");
    }
}

#[tokio::test]
async fn an_account_that_joins_many_groups_at_once_joins_as_many_as_it_may() {
    let node = node_with("groups_per_user = 3\n");
    let mut client = node.client().await;
    for n in 0..20 {
        client.ok("create_group", a_group(n)).await;
    }
    let bodies: Vec<Value> =
        (0..20).map(|n| json!({"GroupId": format!("g{n}"), "MemberList": listed(&["bob"])})).collect();
    let answers = at_once(node.address, "add_group_member", bodies.clone()).await;
    assert_eq!(codes(&answers), [(0, 3), (10037, 17)]);
    let answer = client.ok("get_joined_group_list", json!({"Member_Account": "bob"})).await;
    assert_eq!(answer["TotalCount"], 3);
    let told: Vec<_> = (0..20).filter(|n| answers[*n]["ErrorCode"] == 0).map(|n| json!(format!("g{n}"))).collect();
    for group in answer["GroupIdList"].as_array().expect("groups") {
        assert!(told.contains(&group["GroupId"]), "{answer}");
    }
}
