//! Silencing accounts: docs/spec/rest-api.md 4.13, docs/spec/group-types.md 6.4.
//!
//! Which answers show a mute, and under which names: [`fields`](crate::fields).

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{accounts, client, create, info, listed, names, refused, refused_without_effect, unique, with};
use crate::support::{Client, Node, now_secs};

async fn mute(client: &mut Client, id: &str, accounts: &[&str], secs: u64) {
    let body = json!({"GroupId": id, "Members_Account": accounts, "MuteTime": secs});
    assert_eq!(client.call("forbid_send_msg", body).await, expect::ok(json!({})));
}

/// Who may not speak, in the order of the list.
async fn muted(client: &mut Client, id: &str) -> Vec<String> {
    let answer = client.ok("get_group_muted_account", json!({"GroupId": id})).await;
    names(&answer["MutedAccountList"], "Member_Account")
}

#[tokio::test]
async fn a_mute_begins_ends_and_is_overwritten() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let names = accounts("m", 3);
        let id = create(&mut client, kind, json!({"MemberList": listed(&names)})).await;
        let [a, b, c] = [0, 1, 2].map(|n| names[n].as_str());
        mute(&mut client, &id, &[b, a, b], 3600).await;
        assert_eq!(muted(&mut client, &id).await, [a, b]);
        let before = now_secs();
        mute(&mut client, &id, &[a], 7200).await;
        let until = info(&mut client, &id).await["MemberList"][0]["MuteUntil"].clone();
        assert!((before + 7200..=now_secs() + 7200).contains(&until.as_u64().expect("a moment")), "{until}");
        mute(&mut client, &id, &[a, c], 0).await;
        assert_eq!(muted(&mut client, &id).await, [b]);
        mute(&mut client, &id, &[c], u64::from(u32::MAX)).await;
        assert_eq!(info(&mut client, &id).await["MemberList"][2]["MuteUntil"], u32::MAX);
        // A span that ends after the last moment there is ends with it.
        mute(&mut client, &id, &[c], u64::from(u32::MAX) - 1).await;
        assert_eq!(info(&mut client, &id).await["MemberList"][2]["MuteUntil"], u32::MAX);
    }
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let mut client = client().await;
    let bob = unique("bob");
    let id = create(&mut client, "Public", json!({"MemberList": listed(&[&bob])})).await;
    mute(&mut client, &id, &[&bob], 2).await;
    let until = info(&mut client, &id).await["MemberList"][0]["MuteUntil"].as_u64().expect("a moment");
    assert!(until > 0);
    while now_secs() <= until {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(info(&mut client, &id).await["MemberList"][0]["MuteUntil"], 0);
    assert!(muted(&mut client, &id).await.is_empty());
}

#[tokio::test]
async fn each_mute_that_changes_something_leaves_a_tip_where_there_are_such_tips() {
    let mut client = client().await;
    for (kind, tips) in [("Public", true), ("Community", true), ("Meeting", false)] {
        let names = accounts("m", 2);
        let id = create(&mut client, kind, json!({"MemberList": listed(&names)})).await;
        let mut next = info(&mut client, &id).await["NextMsgSeq"].as_u64().expect("a number");
        let [a, b] = [names[0].as_str(), names[1].as_str()];
        // One for all of a call; none where everything is so already.
        for (list, secs, count) in
            [(&[a, b][..], u64::from(u32::MAX), 1), (&[a], u64::from(u32::MAX), 0), (&[a], 0, 1), (&[a], 0, 0)]
        {
            mute(&mut client, &id, list, secs).await;
            next += u64::from(tips) * count;
            assert_eq!(info(&mut client, &id).await["NextMsgSeq"], next, "{kind} {list:?} {secs}");
        }
        assert_eq!(info(&mut client, &id).await["InfoSeq"], 1);
    }
}

#[tokio::test]
async fn a_mute_outlives_the_membership() {
    let mut client = client().await;
    let bob = unique("bob");
    let id = create(&mut client, "Public", json!({"MemberList": listed(&[&bob])})).await;
    mute(&mut client, &id, &[&bob], 3600).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})).await;
    assert_eq!(muted(&mut client, &id).await, [bob.as_str()]);
    client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&bob])})).await;
    assert_ne!(info(&mut client, &id).await["MemberList"][0]["MuteUntil"], 0);
    // Who has left can be let speak.
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})).await;
    mute(&mut client, &id, &[&bob, "nobody"], 0).await;
    assert!(muted(&mut client, &id).await.is_empty());
}

#[tokio::test]
async fn anyone_may_be_silenced_in_a_live_room_but_the_owner() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "AVChatRoom", json!({"Owner_Account": names[0]})).await;
    mute(&mut client, &id, &[&names[1], &names[2]], 60).await;
    assert_eq!(muted(&mut client, &id).await, names[1..]);
    let body = json!({"GroupId": id, "Members_Account": [names[1], names[0]], "MuteTime": 60});
    refused_without_effect(&mut client, &id, "forbid_send_msg", body, 10004).await;
}

#[tokio::test]
async fn one_bad_target_refuses_all() {
    let mut client = client().await;
    for kind in ["Public", "Meeting", "Community"] {
        let names = accounts("m", 2);
        let id = create(&mut client, kind, json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])})).await;
        for bad in [names[0].clone(), unique("stranger")] {
            for list in [json!([bad]), json!([names[1], bad])] {
                let body = json!({"GroupId": id, "Members_Account": list, "MuteTime": 60});
                refused_without_effect(&mut client, &id, "forbid_send_msg", body, 10004).await;
                assert!(muted(&mut client, &id).await.is_empty());
            }
        }
    }
    let bob = unique("bob");
    let work = create(&mut client, "Work", json!({"MemberList": listed(&[&bob])})).await;
    for secs in [60, 0] {
        let body = json!({"GroupId": work, "Members_Account": [bob], "MuteTime": secs});
        refused_without_effect(&mut client, &work, "forbid_send_msg", body, 10007).await;
    }
}

#[tokio::test]
async fn a_list_holds_one_to_five_hundred_and_a_span_is_needed() {
    let mut client = client().await;
    let names = accounts("m", 501);
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let body = json!({"GroupId": id, "Members_Account": names[..500], "MuteTime": 60});
    client.ok("forbid_send_msg", body.clone()).await;
    assert_eq!(muted(&mut client, &id).await, names[..500]);
    for (change, code) in [
        (json!({"Members_Account": names}), 10005),
        (json!({"MuteTime": null}), 10004),
        (json!({"MuteTime": null, "ShutUpUntil": 60}), 10004),
        (json!({"GroupId": unique("absent")}), 10010),
    ] {
        refused(&mut client, "forbid_send_msg", with(body.clone(), change), code).await;
    }
    // The new name wins.
    let body = json!({"GroupId": id, "Members_Account": names[..500], "ShutUpTime": 60, "MuteTime": 0});
    client.ok("forbid_send_msg", body).await;
    assert!(muted(&mut client, &id).await.is_empty());
}

/// What a topic that nobody has made is answered with, by all that take one.
#[tokio::test]
async fn a_topic_is_never_taken_for_its_group() {
    let mut client = client().await;
    let bob = unique("bob");
    let members = json!({"MemberList": listed(&[&bob])});
    let public = create(&mut client, "Public", members.clone()).await;
    let plain = create(&mut client, "Community", members.clone()).await;
    let topics = create(&mut client, "Community", with(members, json!({"SupportTopic": 1}))).await;
    let other = format!("{plain}@TOPIC#_maps");
    let cases: Vec<(&str, Value, u32)> = vec![
        (&public, json!(format!("{public}@TOPIC#_maps")), 10007),
        (&plain, json!(other), 10007),
        (&topics, json!(format!("{topics}@TOPIC#_maps")), 110_003),
        (&topics, json!(format!("{topics}@TOPIC#_@TOPIC#c2ABC")), 110_003),
        (&topics, json!(other), 110_013),
        (&topics, json!("maps"), 110_013),
        (&topics, json!(""), 110_013),
        (&topics, json!(format!("{topics}@TOPIC#_")), 110_013),
        (&topics, json!(format!("{topics}@TOPIC#_{}", "x".repeat(96))), 110_013),
        (&topics, json!(7), 10004),
    ];
    for (id, topic, code) in cases {
        let body = json!({"GroupId": id, "TopicId": topic});
        for command in ["get_group_muted_account", "get_group_shutted_uin"] {
            refused(&mut client, command, body.clone(), code).await;
        }
        let body = with(body, json!({"Members_Account": [bob], "MuteTime": 60}));
        refused_without_effect(&mut client, id, "forbid_send_msg", body, code).await;
    }
    mute(&mut client, &topics, &[&bob], 60).await;
    let absent = format!("@TGS#_{}", unique("absent"));
    let body = json!({"GroupId": absent, "TopicId": format!("{absent}@TOPIC#_maps")});
    refused(&mut client, "get_group_muted_account", body, 10010).await;
}

#[tokio::test]
async fn a_mute_is_there_after_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "g", "MemberList": listed(&["bob", "cid"])});
    client.ok("create_group", body).await;
    mute(&mut client, "g", &["bob", "cid"], 3600).await;
    mute(&mut client, "g", &["cid"], 0).await;
    let before = client.ok("get_group_muted_account", json!({"GroupId": "g"})).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(client.ok("get_group_muted_account", json!({"GroupId": "g"})).await, before);
    mute(&mut client, "g", &["bob"], 0).await;
    assert!(muted(&mut client, "g").await.is_empty());
}
