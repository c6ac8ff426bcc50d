//! An answer is given again only while it is true: the front door keeps answers about groups by their versions.

use serde_json::{Value, json};

use crate::shared::{accounts, create, listed, unique, unique_id};
use crate::support::{Client, Node};

/// Asks in words that were used before, and in words that never were: what is kept must be what is.
async fn ask(client: &mut Client, id: &str, fresh: &mut usize) -> (Value, Value) {
    *fresh += 1;
    let mut both = Vec::new();
    for (command, body) in [
        ("get_group_info", json!({"GroupIdList": [id]})),
        ("get_group_member_info", json!({"GroupId": id, "Limit": 2, "Offset": 1})),
    ] {
        let kept = client.call(command, body.clone()).await;
        let mut body = body;
        body["Unknown"] = json!(fresh);
        assert_eq!(kept, client.call(command, body).await, "{command} of {id}");
        both.push(kept);
    }
    let page = both.pop().expect("two answers");
    (both.pop().expect("two answers"), page)
}

async fn repeated(client: &mut Client) -> u64 {
    let (_, text) = client.raw("GET", "/metrics", "").await.expect("an answer");
    let text = String::from_utf8(text.to_vec()).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("muster_http_kept_answers_total "));
    line.expect("the metric").parse().expect("a number")
}

#[tokio::test]
async fn what_is_asked_again_is_answered_as_it_is_by_now() {
    let node = Node::start();
    let mut client = node.client().await;
    let names = accounts("m", 4);
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| names[n].as_str());
    let (id, mut fresh) = (unique_id("Public"), 0);
    let club =
        json!({"GroupId": id, "Type": "Public", "Name": "club", "Owner_Account": a, "MemberList": listed(&[b, c])});
    client.ok("create_group", club.clone()).await;
    let mut last = ask(&mut client, &id, &mut fresh).await;
    let before = repeated(&mut client).await;
    assert_eq!(ask(&mut client, &id, &mut fresh).await, last);
    assert_eq!(repeated(&mut client).await, before + 2);

    // What a change leaves as it was still changes the group's times or counts in the one answer or the other.
    for (command, body) in [
        ("add_group_member", json!({"MemberList": listed(&[d])})),
        ("modify_group_member_info", json!({"Member_Account": c, "NameCard": "Cleo"})),
        (
            "modify_group_member_info",
            json!({"Member_Account": c, "AppMemberDefinedData": [{"Key": "k", "Value": "v"}]}),
        ),
        ("modify_group_member_info", json!({"Member_Account": b, "Role": "Admin"})),
        ("forbid_send_msg", json!({"Members_Account": [c], "MuteTime": 3600})),
        ("forbid_send_msg", json!({"Members_Account": [c], "MuteTime": 0})),
        ("modify_group_base_info", json!({"Name": "walkers"})),
        ("modify_group_base_info", json!({"AppDefinedData": [{"Key": "city", "Value": "Graz"}]})),
        ("modify_group_base_info", json!({"MuteAllMember": "On"})),
        ("change_group_owner", json!({"NewOwner_Account": b})),
        ("delete_group_member", json!({"MemberToDel_Account": [d]})),
    ] {
        let mut body = body;
        body["GroupId"] = json!(id);
        client.ok(command, body.clone()).await;
        let now = ask(&mut client, &id, &mut fresh).await;
        assert_ne!(now, last, "{command} {body}");
        last = now;
    }

    client.ok("destroy_group", json!({"GroupId": id})).await;
    let (info, page) = ask(&mut client, &id, &mut fresh).await;
    assert_eq!((&info["GroupInfo"][0]["ErrorCode"], &page["ErrorCode"]), (&json!(10010), &json!(10010)));
    client.ok("create_group", club).await;
    let (info, page) = ask(&mut client, &id, &mut fresh).await;
    assert_eq!((&info["GroupInfo"][0]["Name"], &page["MemberNum"]), (&json!("club"), &json!(3)));
}

#[tokio::test]
async fn of_several_groups_one_that_changed_is_enough() {
    let node = Node::start();
    let mut client = node.client().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create(&mut client, "Public", json!({})).await);
    }
    let body = json!({"GroupIdList": ids});
    let first = client.call("get_group_info", body.clone()).await;
    let before = repeated(&mut client).await;
    assert_eq!(client.call("get_group_info", body.clone()).await, first);
    assert_eq!(repeated(&mut client).await, before + 1);
    let bob = unique("bob");
    client.ok("add_group_member", json!({"GroupId": ids[2], "MemberList": listed(&[&bob])})).await;
    let second = client.call("get_group_info", body).await;
    assert_eq!(second["GroupInfo"][1], first["GroupInfo"][1]);
    assert_eq!(second["GroupInfo"][2]["MemberList"][0]["Member_Account"], bob);
}
