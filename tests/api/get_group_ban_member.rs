//! Paging through bans: docs/spec/rest-api.md 4.29.

use serde_json::{Value, json};

use crate::expect::{self, THEN};
use crate::shared::{accounts, client, create, refused, with};
use crate::support::Client;

/// A page as it is answered, without the moments.
async fn page(client: &mut Client, id: &str, changes: Value) -> Value {
    let mut answer = client.call("get_group_ban_member", with(json!({"GroupId": id, "Offset": 0}), changes)).await;
    for entry in answer["BannedAccountList"].as_array_mut().expect("a list") {
        assert!(entry["BannedUntil"].is_u64(), "{entry}");
        entry["BannedUntil"] = json!(THEN);
    }
    answer
}

fn expected(names: &[String], next: usize) -> Value {
    let list: Value = names.iter().map(|name| json!({"Member_Account": name, "BannedUntil": THEN})).collect();
    expect::ok(json!({"BannedAccountList": list, "NextOffset": next}))
}

#[tokio::test]
async fn pages_cover_the_list() {
    let mut client = client().await;
    let names = accounts("m", 110);
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    assert_eq!(page(&mut client, &id, json!({})).await, expected(&[], 0));
    for part in names.chunks(20) {
        client.ok("ban_group_member", json!({"GroupId": id, "Members_Account": part, "Duration": 3600})).await;
    }
    for (changes, names, next) in [
        // Absent, none and too many are as many as a page has.
        (json!({}), &names[..100], 100),
        (json!({"Limit": 0}), &names[..100], 100),
        (json!({"Limit": 101}), &names[..100], 100),
        (json!({"Limit": 4}), &names[..4], 4),
        (json!({"Limit": "4", "Offset": "4"}), &names[4..8], 8),
        (json!({"Offset": 100}), &names[100..], 0),
        (json!({"Offset": 106, "Limit": 4}), &names[106..], 0),
        (json!({"Offset": 105, "Limit": 4}), &names[105..109], 109),
        (json!({"Offset": 110}), &[][..], 0),
        (json!({"Offset": u64::MAX, "Limit": 5}), &[], 0),
    ] {
        assert_eq!(page(&mut client, &id, changes.clone()).await, expected(names, next), "{changes}");
    }
    // Those whose ban was lifted take no place.
    client.ok("unban_group_member", json!({"GroupId": id, "Members_Account": names[..10]})).await;
    assert_eq!(page(&mut client, &id, json!({"Offset": 98})).await, expected(&names[108..], 0));
}

#[tokio::test]
async fn an_offset_is_needed() {
    let mut client = client().await;
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    for changes in [
        json!({"Offset": null}),
        json!({"Offset": -1}),
        json!({"Offset": "x"}),
        json!({"Limit": -1}),
        json!({"Limit": "all"}),
    ] {
        let body = with(json!({"GroupId": id, "Offset": 0}), changes);
        refused(&mut client, "get_group_ban_member", body, 10004).await;
    }
}
