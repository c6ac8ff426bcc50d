//! Keeping accounts out of a live room: docs/spec/rest-api.md 4.27 and 4.28.

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{accounts, client, create, create_as, info, refused, refused_without_effect, unique, with};
use crate::support::{Client, Node, now_secs};

/// Who is banned, and until when.
pub async fn bans(client: &mut Client, id: &str) -> Vec<(String, u64)> {
    let answer = client.ok("get_group_ban_member", json!({"GroupId": id, "Offset": 0})).await;
    assert_eq!(answer["NextOffset"], 0, "{answer}");
    let list = answer["BannedAccountList"].as_array().expect("a list");
    let name = |entry: &Value| entry["Member_Account"].as_str().expect("an account").to_owned();
    list.iter().map(|entry| (name(entry), entry["BannedUntil"].as_u64().expect("a moment"))).collect()
}

async fn banned(client: &mut Client, id: &str) -> Vec<String> {
    bans(client, id).await.into_iter().map(|(name, _)| name).collect()
}

async fn ban(client: &mut Client, id: &str, accounts: &[&str], secs: u64) {
    let body = json!({"GroupId": id, "Members_Account": accounts, "Duration": secs, "Description": "adverts"});
    assert_eq!(client.call("ban_group_member", body).await, expect::ok(json!({})));
}

async fn unban(client: &mut Client, id: &str, accounts: &[&str]) {
    let body = json!({"GroupId": id, "Members_Account": accounts});
    assert_eq!(client.call("unban_group_member", body).await, expect::ok(json!({})));
}

#[tokio::test]
async fn a_ban_begins_is_overwritten_and_lifted() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let [a, b, c] = [0, 1, 2].map(|n| names[n].as_str());
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let before = info(&mut client, &id).await;
    let since = now_secs();
    ban(&mut client, &id, &[b, a, b], 3600).await;
    for (name, until) in bans(&mut client, &id).await {
        assert!((since + 3600..=now_secs() + 3600).contains(&until), "{name} {until}");
    }
    assert_eq!(banned(&mut client, &id).await, [a, b]);
    ban(&mut client, &id, &[a], u64::from(u32::MAX)).await;
    assert_eq!(bans(&mut client, &id).await[0], (a.to_owned(), u64::from(u32::MAX)));
    ban(&mut client, &id, &[a], 60).await;
    assert!(bans(&mut client, &id).await[0].1 <= now_secs() + 60);
    // Who is not banned is let in already.
    unban(&mut client, &id, &[a, c, a]).await;
    assert_eq!(banned(&mut client, &id).await, [b]);
    unban(&mut client, &id, &[c]).await;
    unban(&mut client, &id, &[b]).await;
    assert!(banned(&mut client, &id).await.is_empty());
    assert_eq!(info(&mut client, &id).await, before);
}

#[tokio::test]
async fn a_ban_ends_by_itself() {
    let mut client = client().await;
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    ban(&mut client, &id, &["eve"], 2).await;
    let (_, until) = bans(&mut client, &id).await[0];
    while now_secs() <= until {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(banned(&mut client, &id).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_banned() {
    let mut client = client().await;
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    ban(&mut client, &id, &["eve"], 3600).await;
    let before = bans(&mut client, &id).await;
    let names = accounts("m", 21);
    for (change, code) in [
        (json!({"Duration": 0}), 10004),
        (json!({"Duration": null}), 10004),
        (json!({"Duration": u64::from(u32::MAX) + 1}), 10004),
        (json!({"Members_Account": names}), 10005),
        (json!({"Members_Account": []}), 10004),
        (json!({"Members_Account": [7]}), 60015),
        (json!({"Description": "x".repeat(1001)}), 10004),
    ] {
        let body = with(json!({"GroupId": id, "Members_Account": [names[0]], "Duration": 60}), change);
        refused_without_effect(&mut client, &id, "ban_group_member", body, code).await;
        assert_eq!(bans(&mut client, &id).await, before);
    }
    let body = json!({"GroupId": id, "Members_Account": names});
    refused(&mut client, "unban_group_member", body, 10005).await;
    let body = json!({"GroupId": id, "Members_Account": names[..20], "Duration": 60, "Description": "x".repeat(1000)});
    client.ok("ban_group_member", body).await;
    client.ok("unban_group_member", json!({"GroupId": id, "Members_Account": names[..20]})).await;
    assert_eq!(bans(&mut client, &id).await, before);
}

#[tokio::test]
async fn only_live_rooms_have_bans() {
    let mut client = client().await;
    let mut ids: Vec<(String, u32)> = vec![(unique("absent"), 10010), ("x".repeat(49), 10015)];
    for kind in ["Work", "Public", "Meeting", "Community"] {
        ids.push((create(&mut client, kind, json!({})).await, 10007));
    }
    for (id, code) in ids {
        let body = json!({"GroupId": id, "Members_Account": ["eve"], "Duration": 60, "Offset": 0});
        for command in ["ban_group_member", "unban_group_member", "get_group_ban_member"] {
            refused(&mut client, command, body.clone(), code).await;
        }
    }
}

#[tokio::test]
async fn bans_end_with_their_room_and_outlive_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    create_as(&mut client, "live", "AVChatRoom", json!({})).await;
    ban(&mut client, "live", &["eve", "mallory"], 3600).await;
    unban(&mut client, "live", &["mallory"]).await;
    let before = bans(&mut client, "live").await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(bans(&mut client, "live").await, before);
    client.ok("destroy_group", json!({"GroupId": "live"})).await;
    create_as(&mut client, "live", "AVChatRoom", json!({})).await;
    assert!(bans(&mut client, "live").await.is_empty());
}
