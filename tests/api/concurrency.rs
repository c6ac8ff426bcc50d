//! Many callers at the same time: what they are told adds up.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::shared::{accounts, address, client, create, info, joined, listed, members, unique, unique_id, with};
use crate::support::{APP, Client, KEY, now_secs};

/// Sends one command from each of many connections, all at once; the answers in the order of the bodies.
pub async fn at_once(address: std::net::SocketAddr, command: &'static str, bodies: Vec<Value>) -> Vec<Value> {
    let start = Arc::new(Barrier::new(bodies.len()));
    let mut calls = JoinSet::new();
    for (place, body) in bodies.into_iter().enumerate() {
        let start = start.clone();
        calls.spawn(async move {
            let mut client = Client::connect(address, APP, KEY).await;
            // Connects and is let in before the start.
            client.ok("get_group_info", json!({"GroupIdList": ["nobody"]})).await;
            start.wait().await;
            (place, client.call(command, body).await)
        });
    }
    let mut answers = calls.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// How often each code was answered, ascending.
pub fn codes(answers: &[Value]) -> Vec<(u64, usize)> {
    let mut codes = std::collections::BTreeMap::new();
    for answer in answers {
        *codes.entry(answer["ErrorCode"].as_u64().expect("a code")).or_default() += 1;
    }
    codes.into_iter().collect()
}

#[tokio::test]
async fn two_hundred_join_at_once_and_all_are_in() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let names = accounts("m", 200);
    let bodies = names.iter().map(|name| json!({"GroupId": id, "MemberList": listed(&[name])})).collect();
    for (name, answer) in names.iter().zip(at_once(address(), "add_group_member", bodies).await) {
        let expected = json!([{"Member_Account": name, "Result": 1}]);
        assert_eq!((&answer["ErrorCode"], &answer["MemberList"]), (&json!(0), &expected), "{answer}");
    }
    let group = info(&mut client, &id).await;
    assert_eq!(group["MemberNum"], 200);
    // One tip each.
    assert_eq!(group["NextMsgSeq"], 201);
    let mut listed_now = members(&mut client, &id).await;
    listed_now.sort();
    assert_eq!(listed_now, names);
    for name in names.iter().step_by(17) {
        assert_eq!(joined(&mut client, name).await, [id.as_str()]);
    }
}

#[tokio::test]
async fn one_who_is_added_by_fifty_joins_once() {
    let mut client = client().await;
    let id = create(&mut client, "Meeting", json!({})).await;
    let bob = unique("bob");
    let bodies = vec![json!({"GroupId": id, "MemberList": listed(&[&bob])}); 50];
    let answers = at_once(address(), "add_group_member", bodies).await;
    assert_eq!(codes(&answers), [(0, 50)]);
    let results: Vec<u64> =
        answers.iter().map(|answer| answer["MemberList"][0]["Result"].as_u64().expect("a result")).collect();
    assert_eq!(results.iter().filter(|result| **result == 1).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|result| **result == 2).count(), 49, "{results:?}");
    assert_eq!(members(&mut client, &id).await, [bob.as_str()]);
    assert_eq!(joined(&mut client, &bob).await, [id.as_str()]);
}

#[tokio::test]
async fn the_last_places_are_given_once() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({"MaxMemberCount": 30})).await;
    let names = accounts("m", 100);
    let bodies = names.iter().map(|name| json!({"GroupId": id, "MemberList": listed(&[name])})).collect();
    let answers = at_once(address(), "add_group_member", bodies).await;
    assert_eq!(codes(&answers), [(0, 30), (10014, 70)]);
    let mut listed_now = members(&mut client, &id).await;
    listed_now.sort();
    let told: Vec<&String> =
        names.iter().zip(&answers).filter(|(_, answer)| answer["ErrorCode"] == 0).map(|(name, _)| name).collect();
    assert_eq!(listed_now.iter().collect::<Vec<_>>(), told);
}

#[tokio::test]
async fn an_id_is_given_once() {
    let mut client = client().await;
    for kind in ["Public", "Community", "AVChatRoom"] {
        let id = unique_id(kind);
        let owners = accounts("owner", 10);
        // Each owner asks five times.
        let body = |n: usize| json!({"Type": kind, "Name": "club", "GroupId": id, "Owner_Account": owners[n % 10]});
        let answers = at_once(address(), "create_group", (0..50).map(body).collect()).await;
        assert_eq!(codes(&answers), [(0, 1), (10021, 45), (10025, 4)], "{kind}");
        let winner = answers.iter().position(|answer| answer["ErrorCode"] == 0).expect("one");
        for (n, answer) in answers.iter().enumerate() {
            assert_eq!(answer["ErrorCode"] == 10021, n % 10 != winner % 10, "{n} {answer}");
        }
        assert_eq!(info(&mut client, &id).await["Owner_Account"], owners[winner % 10]);
        if kind != "AVChatRoom" {
            for (n, owner) in owners.iter().enumerate() {
                assert_eq!(joined(&mut client, owner).await.len(), usize::from(n == winner % 10), "{owner}");
            }
        }
    }
}

#[tokio::test]
async fn a_group_ends_once() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names)})).await;
    let answers = at_once(address(), "destroy_group", vec![json!({"GroupId": id}); 30]).await;
    assert_eq!(codes(&answers), [(0, 1), (10010, 29)]);
    for name in &names {
        assert_eq!(joined(&mut client, name).await, [""; 0]);
    }
}

#[tokio::test]
async fn every_change_of_the_profile_is_counted() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let bodies = (0..100).map(|n| json!({"GroupId": id, "Name": format!("club {n}")})).collect();
    assert_eq!(codes(&at_once(address(), "modify_group_base_info", bodies).await), [(0, 100)]);
    let group = info(&mut client, &id).await;
    assert_eq!((&group["InfoSeq"], &group["NextMsgSeq"]), (&json!(101), &json!(101)));
}

#[tokio::test]
async fn joining_and_leaving_at_once_leaves_a_list_that_agrees() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let names = accounts("m", 20);
    let add = |name: &String| json!({"GroupId": id, "MemberList": listed(&[name])});
    let remove = |name: &String| json!({"GroupId": id, "MemberToDel_Account": [name]});
    for _ in 0..3 {
        let adding = at_once(address(), "add_group_member", names.iter().map(add).collect());
        let removing = at_once(address(), "delete_group_member", names.iter().map(remove).collect());
        let (added, removed) = tokio::join!(adding, removing);
        assert_eq!((codes(&added), codes(&removed)), (vec![(0, 20)], vec![(0, 20)]));
        let inside = members(&mut client, &id).await;
        assert_eq!(info(&mut client, &id).await["MemberNum"], inside.len());
        for name in &names {
            let groups = joined(&mut client, name).await;
            assert_eq!(groups.contains(&id), inside.contains(name), "{name}: {groups:?}");
        }
    }
}

#[tokio::test]
async fn ids_made_at_once_are_different() {
    let since = now_secs();
    let bodies = vec![json!({"Type": "Public", "Name": "club"}); 100];
    let answers = at_once(address(), "create_group", bodies).await;
    let mut ids: Vec<&str> = answers.iter().map(|answer| answer["GroupId"].as_str().expect("an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    let mut client = client().await;
    let expected = with(crate::expect::group(&crate::expect::PUBLIC, ids[0]), json!({}));
    assert_eq!(crate::expect::settled(info(&mut client, ids[0]).await, since), expected);
}
