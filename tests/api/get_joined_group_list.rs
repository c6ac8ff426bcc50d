//! The groups of an account: docs/spec/rest-api.md 4.11.

use serde_json::{Value, json};

use crate::expect::{self, MEETING, PUBLIC, THEN, WORK, group, settled};
use crate::shared::{accounts, client, create, joined, listed, names, refused, unique, unique_id, with};
use crate::support::{Client, now_secs};

async fn list(client: &mut Client, account: &str, changes: Value) -> Value {
    client.ok("get_joined_group_list", with(json!({"Member_Account": account}), changes)).await
}

/// Groups of one moment are listed by id, so a test that made them one after the other cannot know their order.
fn by_id(mut groups: Vec<String>) -> Vec<String> {
    groups.sort();
    groups
}

/// Ids in the order of the list, and the total beside it.
async fn ids(client: &mut Client, account: &str, changes: Value) -> (Vec<String>, Value) {
    let answer = list(client, account, changes).await;
    (names(&answer["GroupIdList"], "GroupId"), answer["TotalCount"].clone())
}

#[tokio::test]
async fn without_a_filter_ids_alone() {
    let mut client = client().await;
    let bob = unique("bob");
    let first = create(&mut client, "Public", json!({"MemberList": listed(&[&bob])})).await;
    let second = create(&mut client, "Meeting", json!({"Owner_Account": bob})).await;
    let answer = client.call("get_joined_group_list", json!({"Member_Account": bob})).await;
    let [first, second] = [json!({"GroupId": first}), json!({"GroupId": second})];
    let expected = |list: [&Value; 2]| expect::ok(json!({"TotalCount": 2, "GroupIdList": list}));
    // Groups of one moment are listed by id.
    assert!(answer == expected([&first, &second]) || answer == expected([&second, &first]), "{answer}");
    let answer = client.call("get_joined_group_list", json!({"Member_Account": unique("nobody")})).await;
    assert_eq!(answer, expect::ok(json!({"TotalCount": 0, "GroupIdList": []})));
}

#[tokio::test]
async fn filters_add_fields() {
    let mut client = client().await;
    let since = now_secs();
    let bob = unique("bob");
    let custom = json!([{"Key": "city", "Value": "Graz"}]);
    let badge = json!([{"Key": "badge", "Value": "7"}]);
    let member = json!({"Member_Account": bob, "Role": "Admin", "AppMemberDefinedData": badge});
    let id = create(&mut client, "Public", json!({"AppDefinedData": custom, "MemberList": [member]})).await;
    let whole = with(group(&PUBLIC, &id), json!({"MemberNum": 1, "NextMsgSeq": 2}));
    let own = with(expect::member(&PUBLIC, &bob, "Admin"), json!({"Member_Account": null}));

    for (filter, fields) in [
        (json!({}), json!({})),
        (json!({"GroupBaseInfoFilter": [], "SelfInfoFilter": null}), json!({})),
        (json!({"GroupBaseInfoFilter": ["Type", "Name"]}), json!({"Type": "Public", "Name": "club"})),
        (json!({"SelfInfoFilter": ["Role"]}), json!({"SelfInfo": {"Role": "Admin"}})),
        (
            json!({"GroupBaseInfoFilter": ["ShutUpAllMember", "CreateTime"], "SelfInfoFilter": ["JoinTime", "MsgSeq"]}),
            json!({"ShutUpAllMember": "Off", "CreateTime": THEN, "SelfInfo": {"JoinTime": THEN, "MsgSeq": 0}}),
        ),
        (
            json!({"SelfInfoFilter": [
                "Role", "JoinTime", "MsgSeq", "MsgFlag", "LastSendMsgTime", "NameCard", "MuteUntil", "ShutUpUntil",
            ]}),
            json!({"SelfInfo": own}),
        ),
    ] {
        let answer = list(&mut client, &bob, json!({"ResponseFilter": filter})).await;
        let group = with(json!({"GroupId": id}), fields);
        let expected = expect::ok(json!({"TotalCount": 1, "GroupIdList": [group]}));
        assert_eq!(settled(answer, since), expected, "{filter}");
    }
    for field in [
        "Type",
        "Name",
        "Introduction",
        "Notification",
        "FaceUrl",
        "Owner_Account",
        "CreateTime",
        "InfoSeq",
        "LastInfoTime",
        "LastMsgTime",
        "NextMsgSeq",
        "MemberNum",
        "MaxMemberNum",
        "ApplyJoinOption",
        "InviteJoinOption",
        "MuteAllMember",
        "ShutUpAllMember",
    ] {
        let answer = list(&mut client, &bob, json!({"ResponseFilter": {"GroupBaseInfoFilter": [field]}})).await;
        let group = json!({"GroupId": id, field: whole[field]});
        assert_eq!(settled(answer["GroupIdList"][0].clone(), since), group, "{field}");
    }
}

#[tokio::test]
async fn inactive_groups_are_for_their_owner_unless_asked_for() {
    let mut client = client().await;
    let people = accounts("m", 2);
    let id = create(&mut client, "Work", json!({"Owner_Account": people[0], "MemberList": listed(&people[1..])})).await;
    let nothing: Vec<String> = Vec::new();
    assert_eq!(ids(&mut client, &people[0], json!({})).await, (vec![id.clone()], json!(1)));
    assert_eq!(ids(&mut client, &people[1], json!({})).await, (nothing.clone(), json!(0)));
    for with_inactive in [json!(0), json!("0")] {
        let body = json!({"WithNoActiveGroups": with_inactive});
        assert_eq!(ids(&mut client, &people[1], body).await, (nothing.clone(), json!(0)));
    }
    for with_inactive in [json!(1), json!("1")] {
        let body = json!({"WithNoActiveGroups": with_inactive});
        assert_eq!(ids(&mut client, &people[1], body).await, (vec![id.clone()], json!(1)));
    }
}

#[tokio::test]
async fn types_are_told_apart_under_all_their_names() {
    let mut client = client().await;
    let ann = unique("ann");
    let mut of = std::collections::BTreeMap::new();
    for kind in ["Work", "Public", "Meeting", "Community"] {
        of.insert(kind, create(&mut client, kind, json!({"Owner_Account": ann})).await);
    }
    // Its owner is recorded and has not joined.
    create(&mut client, "AVChatRoom", json!({"Owner_Account": ann})).await;
    let all: Vec<_> = ["Work", "Public", "Meeting", "Community"].map(|kind| of[kind].clone()).into();
    let (listed, total) = ids(&mut client, &ann, json!({})).await;
    assert_eq!((by_id(listed), total), (by_id(all), json!(4)));
    for (asked, kind) in [
        ("Work", "Work"),
        ("Private", "Work"),
        ("Public", "Public"),
        ("Meeting", "Meeting"),
        ("ChatRoom", "Meeting"),
        ("Community", "Community"),
    ] {
        let expected = (vec![of[kind].clone()], json!(1));
        assert_eq!(ids(&mut client, &ann, json!({"GroupType": asked})).await, expected, "{asked}");
        // One client calls the field `Type`.
        assert_eq!(ids(&mut client, &ann, json!({"Type": asked})).await, expected, "{asked}");
    }
    for asked in ["AVChatRoom", "BChatRoom"] {
        assert_eq!(ids(&mut client, &ann, json!({"GroupType": asked})).await, (vec![], json!(0)), "{asked}");
    }
    for asked in [json!("public"), json!("Group"), json!(1)] {
        refused(&mut client, "get_joined_group_list", json!({"Member_Account": ann, "GroupType": asked}), 10004).await;
    }
}

#[tokio::test]
async fn topics_are_a_question_to_communities() {
    let mut client = client().await;
    let ann = unique("ann");
    create(&mut client, "Public", json!({"Owner_Account": ann})).await;
    let plain = create(&mut client, "Community", json!({"Owner_Account": ann})).await;
    let topics = create(&mut client, "Community", json!({"Owner_Account": ann, "SupportTopic": 1})).await;
    for (asked, expected) in [(1, &topics), (0, &plain)] {
        // The type is implied.
        for changes in [json!({}), json!({"GroupType": "Community"})] {
            let changes = with(changes, json!({"SupportTopic": asked}));
            assert_eq!(ids(&mut client, &ann, changes).await, (vec![expected.clone()], json!(1)), "{asked}");
        }
    }
    let body = json!({"Member_Account": ann, "SupportTopic": 1, "GroupType": "Public"});
    refused(&mut client, "get_joined_group_list", body, 10004).await;
}

#[tokio::test]
async fn pages_cover_the_list_in_the_order_of_joining() {
    let mut client = client().await;
    let bob = unique("bob");
    let mut all = Vec::new();
    for n in 0..12 {
        // Joined in another order than the ids have.
        let id = format!("{}.{}", unique_id("Public"), 99 - n);
        client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": id})).await;
        all.push(id);
    }
    for id in &all {
        client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&bob])})).await;
    }
    let listed_now = joined(&mut client, &bob).await;
    let mut sorted = listed_now.clone();
    sorted.sort();
    let mut expected = all.clone();
    expected.sort();
    assert_eq!(sorted, expected);
    // Order by the time of joining; two of one moment by id.
    let filter = json!({"ResponseFilter": {"SelfInfoFilter": ["JoinTime"]}});
    let answer = list(&mut client, &bob, filter).await;
    let times: Vec<_> = answer["GroupIdList"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| group["SelfInfo"]["JoinTime"].as_u64().expect("a moment"))
        .collect();
    assert!(times.is_sorted(), "{answer}");

    for (offset, limit, expected) in [
        (0, 5, &listed_now[..5]),
        (5, 5, &listed_now[5..10]),
        (10, 5, &listed_now[10..]),
        (12, 5, &[][..]),
        (4_000_000_000_u64, 5, &[]),
        (3, 4_000_000_000_u64, &listed_now[3..]),
        (0, 0, &listed_now),
    ] {
        let page = ids(&mut client, &bob, json!({"Offset": offset, "Limit": limit})).await;
        assert_eq!(page, (expected.to_vec(), json!(12)), "{offset} {limit}");
    }
    let page = ids(&mut client, &bob, json!({"Offset": "2", "Limit": "3"})).await;
    assert_eq!(page, (listed_now[2..5].to_vec(), json!(12)));
    // Filters come before paging.
    let page = ids(&mut client, &bob, json!({"Offset": 0, "Limit": 3, "GroupType": "Meeting"})).await;
    assert_eq!(page, (vec![], json!(0)));
}

#[tokio::test]
async fn a_later_joiner_sees_what_he_asked_of_each_group() {
    let mut client = client().await;
    let since = now_secs();
    let bob = unique("bob");
    let filter = json!({
        "ResponseFilter": {
            "GroupBaseInfoFilter": ["Type", "MemberNum"], "SelfInfoFilter": ["Role", "MsgFlag", "MsgSeq"],
        },
        "WithNoActiveGroups": 1,
    });
    let mut expected = Vec::new();
    for kind in [&WORK, &PUBLIC, &MEETING] {
        let id = create(&mut client, kind.wire, json!({"Owner_Account": unique("ann")})).await;
        client.ok("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&bob])})).await;
        let own = json!({"Role": "Member", "MsgFlag": kind.msg_flag, "MsgSeq": u32::from(kind.stores_member_tips)});
        expected.push(json!({"GroupId": id, "Type": kind.wire, "MemberNum": 2, "SelfInfo": own}));
    }
    let mut answer = settled(list(&mut client, &bob, filter).await, since);
    let by_id = |group: &Value| group["GroupId"].as_str().map(str::to_owned);
    answer["GroupIdList"].as_array_mut().expect("groups").sort_by_key(by_id);
    expected.sort_by_key(by_id);
    assert_eq!(answer, expect::ok(json!({"TotalCount": 3, "GroupIdList": expected})));
}

#[tokio::test]
async fn what_cannot_be_answered() {
    let mut client = client().await;
    for (changes, code) in [
        (json!({"Member_Account": null}), 10004),
        (json!({"Member_Account": ""}), 10004),
        (json!({"Member_Account": 7}), 60015),
        (json!({"Member_Account": ["bob"]}), 60015),
        (json!({"Member_Account": {"id": "bob"}}), 60015),
        (json!({"Member_Account": "x".repeat(33)}), 10004),
        (json!({"Member_Account": "k\u{e4}se"}), 10004),
        (json!({"Limit": -1}), 10004),
        (json!({"Limit": "many"}), 10004),
        (json!({"Offset": 1.5}), 10004),
        (json!({"WithHugeGroups": "yes"}), 10004),
        (json!({"ResponseFilter": "Name"}), 10004),
        (json!({"ResponseFilter": {"SelfInfoFilter": "Role"}}), 10004),
    ] {
        let body = with(json!({"Member_Account": "bob"}), changes);
        refused(&mut client, "get_joined_group_list", body, code).await;
    }
    let body = json!({
        "Member_Account": unique("bob"), "Limit": null, "Offset": null, "GroupType": null, "SupportTopic": null,
        "WithHugeGroups": null, "WithNoActiveGroups": null, "ResponseFilter": null,
    });
    let answer = client.call("get_joined_group_list", body).await;
    assert_eq!(answer, expect::ok(json!({"TotalCount": 0, "GroupIdList": []})));
}
