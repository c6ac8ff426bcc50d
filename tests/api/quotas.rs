//! Limits that count over groups: the app's daily net quota and the groups of an account.
//!
//! Source: docs/spec/limits.md 4. Each test has a node with small limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::concurrency::{at_once, codes};
use crate::shared::{listed, refused, with};
use crate::support::{APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings, now_secs, until};

/// How long a node may take for sixty answers.
const TIMEOUT: Duration = Duration::from_secs(30);

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

/// What each of many ids came to, when the node may die in between.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Came {
    Made,
    Refused,
    Unknown,
}

/// Creates groups from many connections; each goes on until its answer does not come.
async fn create_until_cut_off(
    address: std::net::SocketAddr,
    ids: Vec<String>,
    answered: Arc<AtomicUsize>,
) -> Vec<Came> {
    let mut calls = JoinSet::new();
    for (place, id) in ids.into_iter().enumerate() {
        let answered = answered.clone();
        calls.spawn(async move {
            let mut client = Client::connect(address, APP, KEY).await;
            let body = json!({"Type": "Public", "Name": "club", "GroupId": id, "Owner_Account": "eve"});
            let came = match client.try_call("create_group", &body).await {
                Ok(answer) => match answer["ErrorCode"].as_u64() {
                    Some(0) => Came::Made,
                    Some(10006 | 10037) => Came::Refused,
                    _ => panic!("{id}: {answer}"),
                },
                Err(_) => Came::Unknown,
            };
            answered.fetch_add(1, Ordering::Relaxed);
            (place, came)
        });
    }
    let mut came = calls.join_all().await;
    came.sort_by_key(|(place, _)| *place);
    came.into_iter().map(|(_, came)| came).collect()
}

/// Kills a node in the middle of sixty creations of which a limit allows twenty; then, as soon as it is back, asks for
/// sixty more. What was told holds, and neither a reservation nor its message is lost or counted twice.
async fn survives_kills(limits: &str, code: u32) {
    const ROUNDS: usize = 6;
    const LIMIT: usize = 20;
    const CALLERS: usize = 60;
    let mut node = node_with(limits);
    for round in 0..ROUNDS {
        let ids = |part: &str| (0..CALLERS).map(|n| format!("{part}{round}.{n}")).collect::<Vec<_>>();
        let (before, after) = (ids("before"), ids("after"));
        let answered = Arc::new(AtomicUsize::new(0));
        let load = tokio::spawn(create_until_cut_off(node.address, before.clone(), answered.clone()));
        // Later in each round: before, at and after the moment in which the limit is met.
        let enough = 1 + round * 7;
        until("creations under way", TIMEOUT, || answered.load(Ordering::Relaxed) >= enough).await;
        let stopped = node.kill();
        let mut came = load.await.expect("a load");
        node = stopped.start();
        came.extend(create_until_cut_off(node.address, after.clone(), Arc::default()).await);

        let mut client = node.client().await;
        let all: Vec<&String> = before.iter().chain(&after).collect();
        let mut there = Vec::new();
        for (id, came) in all.iter().zip(&came) {
            let found = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
            let is_there = found["GroupInfo"][0]["ErrorCode"] == 0;
            match came {
                Came::Made => assert!(is_there, "round {round}: {id} was made and is not there"),
                Came::Refused => assert!(!is_there, "round {round}: {id} was refused and is there"),
                Came::Unknown => {}
            }
            if is_there {
                there.push(*id);
            }
        }
        let count = |wanted: Came| came.iter().filter(|came| **came == wanted).count();
        let (made, unknown) = (count(Came::Made), count(Came::Unknown));
        println!("round {round}: {made} made, {unknown} unknown, {} there", there.len());
        assert_eq!(there.len(), LIMIT, "round {round}: {made} made, {unknown} unknown");
        let listed = client.ok("get_appid_group_list", json!({})).await;
        assert_eq!(listed["TotalCount"], LIMIT, "round {round}");
        let one_more = json!({"Type": "Public", "Name": "club", "GroupId": "one.more", "Owner_Account": "eve"});
        refused(&mut client, "create_group", one_more, code).await;
        for id in there {
            client.ok("destroy_group", json!({"GroupId": id})).await;
        }
    }
    let (stopped, status) = node.terminate();
    assert!(status.success(), "{status}");
    stopped.examine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daily_quota_is_exact_through_kill_9_under_load() {
    survives_kills(&format!("daily_net_groups = 20\n{}", noon()), 10006).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_groups_of_an_account_are_exact_through_kill_9_under_load() {
    survives_kills("daily_net_groups = 0\ngroups_per_user = 20\n", 10037).await;
}

/// Every way of getting an account into a group counts, and every one is closed when the account is full.
#[tokio::test]
async fn every_way_in_is_counted() {
    let mut node = node_with("groups_per_user = 5\n");
    let mut client = node.client().await;
    for n in 0..9 {
        client.ok("create_group", a_group(n)).await;
    }
    let eve = || listed(&["eve"]);
    // Each names a group of its own: what makes one, and what enters one that is there.
    let ways = |n: usize| {
        [
            (
                "create_group",
                json!({"Type": "Work", "Name": "club", "GroupId": format!("owned{n}"), "Owner_Account": "eve"}),
            ),
            (
                "create_group",
                json!({"Type": "Meeting", "Name": "club", "GroupId": format!("with{n}"), "MemberList": eve()}),
            ),
            (
                "import_group",
                json!({"Type": "Public", "Name": "club", "GroupId": format!("imported{n}"), "Owner_Account": "eve"}),
            ),
            ("add_group_member", json!({"GroupId": format!("g{n}"), "MemberList": eve()})),
            ("import_group_member", json!({"GroupId": format!("g{}", n + 1), "MemberList": eve()})),
        ]
    };
    for (command, body) in ways(0) {
        let answer = client.ok(command, body).await;
        assert!(answer["MemberList"].is_null() || answer["MemberList"][0]["Result"] == 1, "{command}: {answer}");
    }
    for _ in 0..2 {
        for (place, (command, body)) in ways(2).into_iter().enumerate() {
            if command == "import_group_member" {
                // It judges one by one and has no code for that: docs/spec/rest-api.md 4.18.
                let answer = client.ok(command, body.clone()).await;
                assert_eq!(answer["MemberList"], json!([{"Member_Account": "eve", "Result": 0}]), "{answer}");
            } else {
                refused(&mut client, command, body.clone(), 10037).await;
            }
            // One out, one in; then that one out, and the first in again.
            client.ok("delete_group_member", json!({"GroupId": "g0", "MemberToDel_Account": ["eve"]})).await;
            let answer = client.ok(command, body.clone()).await;
            assert!(answer["MemberList"].is_null() || answer["MemberList"][0]["Result"] == 1, "{command}: {answer}");
            refused(&mut client, "add_group_member", json!({"GroupId": "g0", "MemberList": eve()}), 10037).await;
            let id = body["GroupId"].clone();
            if place < 3 {
                client.ok("destroy_group", json!({"GroupId": id})).await;
            } else {
                client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": ["eve"]})).await;
            }
            client.ok("add_group_member", json!({"GroupId": "g0", "MemberList": eve()})).await;
        }
        node = node.kill().start();
        client = node.client().await;
    }
    let body = json!({"Member_Account": "eve", "WithNoActiveGroups": 1});
    assert_eq!(client.ok("get_joined_group_list", body).await["TotalCount"], 5);
}

/// The limits on all groups of an app: how many of each type there may be, and the code beyond.
#[tokio::test]
async fn the_groups_of_an_app_are_counted_exactly() {
    let toml = "daily_net_groups = 0\ngroups_per_app = 12\navchatrooms_per_app = 4\ncommunities_per_app = 3\n";
    let mut node = node_with(toml);
    for round in 0..2 {
        let mut client = node.client().await;
        let mut made = Vec::new();
        for (kind, room, code) in [("AVChatRoom", 4, 10036), ("Community", 3, 10058), ("Public", 5, 10058)] {
            let answers = at_once(node.address, "create_group", vec![of_type(kind); 40]).await;
            let ids = answers.iter().filter(|answer| answer["ErrorCode"] == 0).map(|answer| answer["GroupId"].clone());
            let mut ids: Vec<Value> = ids.collect();
            assert!((1..=room).contains(&ids.len()), "{kind}: {ids:?}");
            assert_eq!(codes(&answers), [(0, ids.len()), (u64::from(code), 40 - ids.len())], "{kind}");
            // At the same time a group and the place held for it may count both, for a moment. One after the other
            // they do not.
            while ids.len() < room {
                ids.push(client.ok("create_group", of_type(kind)).await["GroupId"].clone());
            }
            refused(&mut client, "create_group", of_type(kind), code).await;
            made.push((kind, code, ids));
        }
        // Full, also after a restart; the other app is not.
        node = node.kill().start();
        let mut client = node.client().await;
        let mut other = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
        for (kind, code, ids) in &made {
            refused(&mut client, "create_group", of_type(kind), *code).await;
            other.ok("create_group", with(of_type(kind), json!({"Owner_Account": "ann"}))).await;
            // One goes, and one comes: of another type only where that type has room.
            client.ok("destroy_group", json!({"GroupId": ids[0]})).await;
            let answers = at_once(node.address, "create_group", vec![of_type(kind); 10]).await;
            assert_eq!(codes(&answers), [(0, 1), (u64::from(*code), 9)], "{kind}, round {round}");
            let new = answers.iter().find(|answer| answer["ErrorCode"] == 0).expect("one");
            client.ok("destroy_group", json!({"GroupId": new["GroupId"]})).await;
            // A migration is not throttled, and counts.
            if *kind == "Public" {
                let imported = client.ok("import_group", of_type(kind)).await;
                refused(&mut client, "create_group", of_type(kind), *code).await;
                client.ok("destroy_group", json!({"GroupId": imported["GroupId"]})).await;
            } else {
                let meeting = client.ok("create_group", of_type("Meeting")).await;
                refused(&mut client, "create_group", of_type("Meeting"), 10058).await;
                client.ok("destroy_group", json!({"GroupId": meeting["GroupId"]})).await;
                client.ok("create_group", of_type(kind)).await;
            }
        }
        let listed = client.ok("get_appid_group_list", json!({})).await;
        for group in listed["GroupIdList"].as_array().expect("a list") {
            client.ok("destroy_group", json!({"GroupId": group["GroupId"]})).await;
        }
    }
}
