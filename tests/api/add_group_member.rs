//! Adding members: docs/spec/rest-api.md 4.7, docs/spec/group-types.md 6.5.

use serde_json::{Value, json};

use crate::expect::{self, STORED, group, member, settled};
use crate::shared::{
    accounts, client, create, info, joined, listed, members, refused, refused_without_effect, unique, with,
};
use crate::support::{Client, now_secs};

/// Adds them; the results in order.
async fn add<S: AsRef<str>>(client: &mut Client, id: &str, accounts: &[S]) -> Vec<u64> {
    let answer = client.call("add_group_member", json!({"GroupId": id, "MemberList": listed(accounts)})).await;
    let results: Vec<u64> = match answer["MemberList"].as_array() {
        Some(list) => list.iter().map(|item| item["Result"].as_u64().expect("a result")).collect(),
        None => panic!("{answer}"),
    };
    assert_eq!(answer, expect::ok(json!({"MemberList": with_results(accounts, &results)})));
    results
}

fn with_results<S: AsRef<str>>(accounts: &[S], results: &[u64]) -> Value {
    let pairs = accounts.iter().zip(results);
    pairs.map(|(account, result)| json!({"Member_Account": account.as_ref(), "Result": result})).collect()
}

#[tokio::test]
async fn every_type_but_the_live_room_takes_members() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let names = accounts("m", 3);
        let id = create(&mut client, kind.wire, json!({"Owner_Account": names[0]})).await;
        let body = json!({"GroupId": id, "MemberList": listed(&names[1..])});
        let answer = client.call("add_group_member", body).await;
        assert_eq!(answer, expect::ok(json!({"MemberList": with_results(&names[1..], &[1, 1])})));

        // They have nothing unread, the tip about them included.
        let read = json!({"MsgSeq": u32::from(kind.stores_member_tips)});
        let changes = json!({
            "Owner_Account": names[0],
            "MemberNum": 3,
            "NextMsgSeq": 1 + u32::from(kind.stores_member_tips),
            "MemberList": [
                member(kind, &names[0], "Owner"),
                with(member(kind, &names[1], "Member"), read.clone()),
                with(member(kind, &names[2], "Member"), read),
            ],
        });
        assert_eq!(settled(info(&mut client, &id).await, since), with(group(kind, &id), changes));
        for name in &names {
            assert!(joined(&mut client, name).await.contains(&id), "{name} {}", kind.wire);
        }
    }
}

#[tokio::test]
async fn one_result_for_each_account_in_request_order() {
    let mut client = client().await;
    let names = accounts("m", 4);
    let [ann, bob, cid, dan] = [&names[0], &names[1], &names[2], &names[3]];
    let id = create(&mut client, "Public", json!({"Owner_Account": ann, "MemberList": listed(&[bob])})).await;
    assert_eq!(add(&mut client, &id, &[dan, bob, cid, dan, ann, dan]).await, [1, 2, 1, 2, 2, 2]);
    assert_eq!(add(&mut client, &id, &[dan, bob]).await, [2, 2]);
    assert_eq!(info(&mut client, &id).await["MemberNum"], 4);
    assert_eq!(members(&mut client, &id).await, names);
}

#[tokio::test]
async fn nothing_new_changes_nothing() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names)})).await;
    let before = info(&mut client, &id).await;
    assert_eq!(add(&mut client, &id, &names).await, [2, 2, 2]);
    assert_eq!(info(&mut client, &id).await, before);
}

#[tokio::test]
async fn joins_move_the_time_of_the_profile_and_not_its_number() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    add(&mut client, &id, &[unique("bob")]).await;
    let info = info(&mut client, &id).await;
    assert_eq!(info["InfoSeq"], 1);
    assert_eq!(info["LastInfoTime"], info["MemberList"][0]["JoinTime"]);
}

#[tokio::test]
async fn silence_leaves_no_tip() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "Public", json!({})).await;
    for (name, silence, next_seq) in [(&names[0], json!(1), 1), (&names[1], json!("1"), 1), (&names[2], json!(0), 2)] {
        let body = json!({"GroupId": id, "Silence": silence, "MemberList": listed(&[name])});
        let answer = client.call("add_group_member", body).await;
        assert_eq!(answer, expect::ok(json!({"MemberList": with_results(&[name], &[1])})));
        assert_eq!(info(&mut client, &id).await["NextMsgSeq"], next_seq, "{silence}");
    }
    // One who joined before the tip has it unread, one who joined with it has not.
    let info = info(&mut client, &id).await;
    assert_eq!(info["MemberList"][0]["MsgSeq"], 0);
    assert_eq!(info["MemberList"][2]["MsgSeq"], 1);
}

#[tokio::test]
async fn a_group_fills_up_in_order() {
    let mut client = client().await;
    let names = accounts("m", 6);
    let fields = json!({"Owner_Account": names[0], "MaxMemberCount": 3});
    let id = create(&mut client, "Public", fields).await;
    assert_eq!(add(&mut client, &id, &[&names[1], &names[0], &names[2], &names[3], &names[4]]).await, [1, 2, 1, 0, 0]);
    assert_eq!(members(&mut client, &id).await, names[..3]);
    // Nothing fits: refused as a whole, unless somebody asked for is in.
    for list in [&names[3..4], &names[3..]] {
        let body = json!({"GroupId": id, "MemberList": listed(list)});
        refused_without_effect(&mut client, &id, "add_group_member", body, 10014).await;
    }
    assert_eq!(add(&mut client, &id, &[&names[3], &names[1]]).await, [0, 2]);
    for name in &names[3..] {
        assert_eq!(joined(&mut client, name).await, [""; 0]);
    }
    // One leaves, one fits.
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [names[1]]})).await;
    assert_eq!(add(&mut client, &id, &[&names[3], &names[4]]).await, [1, 0]);
    // More room, more members.
    client.ok("modify_group_base_info", json!({"GroupId": id, "MaxMemberNum": 4})).await;
    assert_eq!(add(&mut client, &id, &[&names[4], &names[5]]).await, [1, 0]);
    assert_eq!(info(&mut client, &id).await["MemberNum"], 4);
}

#[tokio::test]
async fn a_list_holds_one_to_three_hundred() {
    let mut client = client().await;
    let names = accounts("m", 301);
    let id = create(&mut client, "Public", json!({})).await;
    let body = json!({"GroupId": id, "MemberList": listed(&names)});
    refused_without_effect(&mut client, &id, "add_group_member", body, 10005).await;
    assert_eq!(add(&mut client, &id, &names[..300]).await, vec![1; 300]);
    assert_eq!(members(&mut client, &id).await, names[..300]);
    // Repetitions count against the cap.
    let body = json!({"GroupId": id, "MemberList": listed(&vec![&names[0]; 301])});
    refused_without_effect(&mut client, &id, "add_group_member", body, 10005).await;
}

#[tokio::test]
async fn a_removed_member_may_come_back_last() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names)})).await;
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [names[0]]})).await;
    assert_eq!(joined(&mut client, &names[0]).await, [""; 0]);
    assert_eq!(add(&mut client, &id, &names[..1]).await, [1]);
    assert_eq!(joined(&mut client, &names[0]).await, [id.as_str()]);
    let listed_now = members(&mut client, &id).await;
    assert_eq!(listed_now, [&names[1], &names[2], &names[0]].map(String::as_str));
}

#[tokio::test]
async fn what_cannot_be_added() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let live = create(&mut client, "AVChatRoom", json!({})).await;
    let bob = listed(&["bob"]);
    for (changes, code) in [
        (json!({"GroupId": null}), 10004),
        (json!({"GroupId": ""}), 10004),
        (json!({"GroupId": 7}), 10004),
        (json!({"GroupId": "x".repeat(49)}), 10015),
        (json!({"GroupId": "a\u{7f}"}), 10015),
        (json!({"GroupId": unique("absent")}), 10010),
        (json!({"GroupId": live}), 10007),
        (json!({"MemberList": null}), 10004),
        (json!({"MemberList": []}), 10004),
        (json!({"MemberList": "bob"}), 10004),
        (json!({"MemberList": ["bob"]}), 10004),
        (json!({"MemberList": [{}]}), 10004),
        (json!({"MemberList": [{"Member_Account": null}]}), 10004),
        (json!({"MemberList": [{"Member_Account": 7}]}), 60015),
        (json!({"MemberList": [{"Member_Account": "bob"}, {"Member_Account": ["bob"]}]}), 60015),
        (json!({"MemberList": listed(&["bob", ""])}), 10004),
        (json!({"MemberList": listed(&["bob", &"x".repeat(33)])}), 10004),
        (json!({"MemberList": listed(&["bob", "k\u{e4}se"])}), 10004),
        (json!({"MemberList": listed(&["bob", "@PMG#bob"])}), 10004),
        (json!({"Silence": "loud"}), 10004),
        // Shape first, then the list's cap, the look of the id, the group, its type.
        (json!({"GroupId": "x".repeat(49), "MemberList": []}), 10004),
        (json!({"GroupId": "x".repeat(49), "MemberList": listed(&vec!["bob"; 301])}), 10005),
        (json!({"GroupId": unique("absent"), "MemberList": listed(&vec!["bob"; 301])}), 10005),
        (json!({"GroupId": live, "MemberList": listed(&vec!["bob"; 301])}), 10005),
        (json!({"GroupId": live, "MemberList": [{"Member_Account": 7}]}), 60015),
    ] {
        let body = with(json!({"GroupId": id, "MemberList": bob}), changes);
        refused_without_effect(&mut client, &id, "add_group_member", body, code).await;
    }
    let longest = "x".repeat(32);
    assert_eq!(add(&mut client, &id, &[longest.as_str(), "~ !\"'", "@RBT#1", "a@TGS#"]).await, [1, 1, 1, 1]);
    refused(&mut client, "add_group_member", json!([]), 60003).await;
}
