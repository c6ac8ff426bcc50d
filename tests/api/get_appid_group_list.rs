//! Listing all groups of an app: docs/spec/rest-api.md 4.1. Each test has a node of its own: the list is everybody's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::expect::{self, ALL};
use crate::shared::{create, names, refused, with};
use crate::support::{Client, Node, OTHER_APP, OTHER_KEY};

/// Walks the pages; all ids, and how many each page had.
async fn all(client: &mut Client, fields: Value, total: usize) -> (Vec<String>, Vec<usize>) {
    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    let mut next = json!(0);
    loop {
        let answer = client.call("get_appid_group_list", with(fields.clone(), json!({"Next": next}))).await;
        let page = names(&answer["GroupIdList"], "GroupId");
        let list: Value = page.iter().map(|id| json!({"GroupId": id})).collect();
        next = answer["Next"].clone();
        // The total does not depend on the page.
        assert_eq!(answer, expect::ok(json!({"TotalCount": total, "GroupIdList": list, "Next": next})));
        assert!(next.as_u64().is_some_and(|next| next < 1 << 53), "{next} is no number for every client");
        sizes.push(page.len());
        ids.extend(page);
        if next == 0 {
            return (ids, sizes);
        }
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test]
async fn pages_cover_all_groups_or_those_of_a_type() {
    let node = Node::start();
    let mut client = node.client().await;
    // Nothing asked for, nothing there: still an answer.
    let empty = expect::ok(json!({"TotalCount": 0, "GroupIdList": [], "Next": 0}));
    assert_eq!(client.call("get_appid_group_list", json!({})).await, empty);

    let mut by_kind: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for n in 0..35 {
        let kind = ALL[n % 5];
        let id = create(&mut client, kind.wire, json!({})).await;
        by_kind.entry(kind.wire).or_default().push(id);
    }
    let everything = sorted(by_kind.values().flatten().cloned().collect());
    for limit in [json!(1), json!(4), json!("34"), json!(35), json!(10_000), json!(10_001), json!(0), Value::Null] {
        let (ids, sizes) = all(&mut client, json!({"Limit": limit}), 35).await;
        assert_eq!(sorted(ids), everything, "{limit}");
        let largest =
            limit.as_u64().or(limit.as_str().and_then(|n| n.parse().ok())).filter(|n| *n > 0).unwrap_or(10_000);
        assert!(sizes.iter().all(|size| *size as u64 <= largest), "{limit}: {sizes:?}");
    }
    for kind in ALL {
        let expected = sorted(by_kind[kind.wire].clone());
        for name in kind.names {
            for fields in [json!({"GroupType": name}), json!({"Type": name, "Limit": 2})] {
                let (ids, _) = all(&mut client, fields.clone(), 7).await;
                assert_eq!(sorted(ids), expected, "{fields}");
            }
        }
    }
    // Of two names of one field the documented one counts; a retired type has no groups.
    let (ids, _) = all(&mut client, json!({"GroupType": "Public", "Type": "Work"}), 7).await;
    assert_eq!(sorted(ids), sorted(by_kind["Public"].clone()));
    for fields in [json!({"GroupType": "BChatRoom"}), json!({"Type": "BChatRoom"})] {
        assert_eq!(client.call("get_appid_group_list", fields).await, empty);
    }
    // Another app has other groups.
    let mut other = Client::connect(node.address, OTHER_APP, OTHER_KEY).await;
    assert_eq!(other.call("get_appid_group_list", json!({})).await, empty);

    let before = all(&mut client, json!({"Limit": 3}), 35).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(all(&mut client, json!({"Limit": 3}), 35).await, before);
}

#[tokio::test]
async fn paging_is_stable_while_groups_come_and_go() {
    let node = Node::start();
    let mut client = node.client().await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(create(&mut client, "Public", json!({})).await);
    }
    let (order, _) = all(&mut client, json!({}), 30).await;
    let mut seen = Vec::new();
    let mut next = json!(0);
    let mut gone: Vec<String> = Vec::new();
    loop {
        let answer = client.ok("get_appid_group_list", json!({"Limit": 7, "Next": next})).await;
        seen.extend(names(&answer["GroupIdList"], "GroupId"));
        next = answer["Next"].clone();
        if next == 0 {
            break;
        }
        // One that was seen, the last of this page, and one that is to come.
        for id in [&seen[seen.len() - 3], &seen[seen.len() - 1], &order[29 - gone.len()]] {
            if !gone.contains(id) {
                client.ok("destroy_group", json!({"GroupId": id})).await;
                gone.push(id.clone());
            }
        }
        create(&mut client, "Public", json!({})).await;
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "a group was listed twice: {seen:?}");
    for id in ids.iter().filter(|id| !gone.contains(id)) {
        assert!(seen.contains(id), "{id} was there throughout and is not listed: {seen:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let node = Node::start();
    let mut client = node.client().await;
    for body in [
        json!({"Limit": -1}),
        json!({"Limit": 1.5}),
        json!({"Limit": "all"}),
        json!({"Next": -1}),
        json!({"Next": "x"}),
        json!({"GroupType": "Club"}),
        json!({"GroupType": ""}),
        json!({"GroupType": 1}),
        json!({"Type": "public"}),
    ] {
        refused(&mut client, "get_appid_group_list", body, 10004).await;
    }
    // A number that we never answered is a place all the same.
    client.ok("get_appid_group_list", json!({"Next": u64::MAX})).await;
    client.ok("get_appid_group_list", json!({"Next": 1})).await;
}
