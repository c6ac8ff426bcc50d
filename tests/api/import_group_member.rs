//! Members from elsewhere: docs/spec/rest-api.md 4.18.

use serde_json::{Value, json};

use crate::expect::{self, STORED};
use crate::shared::{
    accounts, client, create, info, joined, listed, members, refused, refused_without_effect, unique, unique_id, with,
};
use crate::support::{Client, Node, now_secs};

const THEN_SECS: u64 = 1_561_000_000;

/// A group that began at [`THEN_SECS`].
async fn old_group(client: &mut Client, kind: &str, fields: Value) -> String {
    let id = unique_id(kind);
    let body = json!({"Type": kind, "Name": "club", "GroupId": id, "CreateTime": THEN_SECS});
    client.ok("import_group", with(body, fields)).await;
    id
}

fn results(pairs: &[(&str, u32)]) -> Value {
    let list: Value = pairs.iter().map(|(name, result)| json!({"Member_Account": name, "Result": result})).collect();
    expect::ok(json!({"MemberList": list}))
}

#[tokio::test]
async fn each_is_judged_alone_and_nobody_is_told() {
    let mut client = client().await;
    for kind in STORED {
        let names = accounts("m", 6);
        let name = |n: usize| names[n].as_str();
        let id = old_group(&mut client, kind.wire, json!({"Owner_Account": names[0]})).await;
        let role = if kind.wire == "Private" { "Member" } else { "Admin" };
        let items = json!([
            {"Member_Account": name(1), "Role": role, "JoinTime": THEN_SECS + 500},
            // The second of the creation counts; earlier is before there was a group.
            {"Member_Account": name(2), "JoinTime": THEN_SECS},
            {"Member_Account": name(3), "JoinTime": THEN_SECS - 1},
            {"Member_Account": name(4), "JoinTime": now_secs() + 3600},
            {"Member_Account": name(0)},
            {"Member_Account": name(1), "JoinTime": THEN_SECS + 900},
            {"Member_Account": name(5), "JoinTime": 0},
            // Only admins are told apart.
            {"Member_Account": name(3), "Role": "Owner"},
        ]);
        let before = info(&mut client, &id).await;
        let answer = client.call("import_group_member", json!({"GroupId": id, "MemberList": items})).await;
        let expected = [
            (name(1), 1),
            (name(2), 1),
            (name(3), 0),
            (name(4), 0),
            (name(0), 2),
            (name(1), 2),
            (name(5), 1),
            (name(3), 1),
        ];
        assert_eq!(answer, results(&expected));
        let after = info(&mut client, &id).await;
        assert_eq!((&after["NextMsgSeq"], &after["InfoSeq"]), (&before["NextMsgSeq"], &before["InfoSeq"]));
        assert_eq!((&after["MemberNum"], &after["Owner_Account"]), (&json!(5), &json!(names[0])));
        // By the moment of joining, then by name.
        let order = [name(0), name(2), name(1), name(3), name(5)];
        assert_eq!(members(&mut client, &id).await, order);
        let by = |n: usize| &after["MemberList"][n];
        assert_eq!((&by(1)["JoinTime"], &by(2)["JoinTime"]), (&json!(THEN_SECS), &json!(THEN_SECS + 500)));
        assert_eq!((&by(2)["Role"], &by(3)["Role"]), (&json!(role), &json!("Member")));
        for (n, groups) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 0), (5, 1)] {
            assert_eq!(joined(&mut client, name(n)).await.len(), groups, "{n}");
        }
    }
}

#[tokio::test]
async fn unread_messages_are_at_most_all() {
    let mut client = client().await;
    let names = accounts("m", 4);
    let id = old_group(&mut client, "Public", json!({})).await;
    for n in 0..4 {
        client.ok("modify_group_base_info", json!({"GroupId": id, "Name": format!("club {n}")})).await;
    }
    let items: Value = [json!(0), Value::Null, json!(3), json!("99")]
        .into_iter()
        .zip(&names)
        .map(|(unread, name)| json!({"Member_Account": name, "UnreadMsgNum": unread}))
        .collect();
    client.ok("import_group_member", json!({"GroupId": id, "MemberList": items})).await;
    let info = info(&mut client, &id).await;
    assert_eq!(info["NextMsgSeq"], 5);
    let read: Vec<&Value> = info["MemberList"].as_array().expect("members").iter().map(|m| &m["MsgSeq"]).collect();
    assert_eq!(read, [&json!(4), &json!(4), &json!(1), &json!(0)]);
}

#[tokio::test]
async fn a_full_group_takes_nobody() {
    let mut client = client().await;
    let names = accounts("m", 4);
    let id = old_group(&mut client, "Public", json!({"MaxMemberCount": 2})).await;
    let body = json!({"GroupId": id, "MemberList": listed(&names[..3])});
    assert_eq!(
        client.call("import_group_member", body).await,
        results(&[(&names[0], 1), (&names[1], 1), (&names[2], 0)])
    );
    let body = json!({"GroupId": id, "MemberList": listed(&names[2..])});
    assert_eq!(client.call("import_group_member", body).await, results(&[(&names[2], 0), (&names[3], 0)]));
    assert_eq!(members(&mut client, &id).await, names[..2]);
}

#[tokio::test]
async fn imports_between_others_are_listed_where_they_belong() {
    let mut client = client().await;
    for kind in ["Work", "Public", "Meeting"] {
        let names = accounts("m", 30);
        let id = old_group(&mut client, kind, json!({})).await;
        // Named in an order that has nothing to do with that of joining.
        let items: Vec<Value> = (0..30)
            .map(|n| (n * 7) % 30)
            .map(|n| json!({"Member_Account": names[n], "JoinTime": THEN_SECS + n as u64 / 2}))
            .collect();
        for part in items.chunks(4) {
            client.ok("import_group_member", json!({"GroupId": id, "MemberList": part})).await;
        }
        let mut seen = Vec::new();
        for offset in (0..30).step_by(7) {
            let body = json!({"GroupId": id, "MemberInfoFilter": ["Account"], "Limit": 7, "Offset": offset});
            let answer = client.ok("get_group_member_info", body).await;
            seen.extend(crate::shared::names(&answer["MemberList"], "Member_Account"));
        }
        assert_eq!(seen, names, "{kind}");
    }
}

#[tokio::test]
async fn those_of_one_moment_are_listed_by_name() {
    let mut client = client().await;
    // Named in an order that is not that of names, and one of them there since the beginning.
    let names = accounts("m", 4);
    let id = old_group(&mut client, "Public", json!({"Owner_Account": names[3]})).await;
    for (n, secs) in [(1, THEN_SECS + 5), (0, THEN_SECS + 5), (2, THEN_SECS)] {
        let body =
            json!({"GroupId": id, "MemberList": [{"Member_Account": names[n], "JoinTime": secs, "Role": "Admin"}]});
        client.ok("import_group_member", body).await;
    }
    let listed = |places: &[usize]| places.iter().map(|n| names[*n].clone()).collect::<Vec<_>>();
    let expected = listed(&[2, 3, 0, 1]);
    assert_eq!(members(&mut client, &id).await, expected);
    for (filter, expected) in [(Value::Null, expected), (json!(["Admin"]), listed(&[2, 0, 1]))] {
        let body = json!({"GroupId": id, "MemberInfoFilter": ["Account"], "MemberRoleFilter": filter});
        let answer = client.ok("get_group_member_info", body).await;
        assert_eq!(crate::shared::names(&answer["MemberList"], "Member_Account"), expected);
    }
}

#[tokio::test]
async fn a_list_holds_one_to_three_hundred() {
    let mut client = client().await;
    let names = accounts("m", 301);
    let id = old_group(&mut client, "Public", json!({})).await;
    for (list, code) in [(listed(&names), 10005), (json!([]), 10004)] {
        let body = json!({"GroupId": id, "MemberList": list});
        refused_without_effect(&mut client, &id, "import_group_member", body, code).await;
    }
    client.ok("import_group_member", json!({"GroupId": id, "MemberList": listed(&names[..300])})).await;
    assert_eq!(info(&mut client, &id).await["MemberNum"], 300);
}

#[tokio::test]
async fn what_cannot_be_imported() {
    let mut client = client().await;
    let bob = unique("bob");
    let work = old_group(&mut client, "Work", json!({})).await;
    let admin = json!([{"Member_Account": bob, "Role": "Admin"}]);
    let body = json!({"GroupId": work, "MemberList": admin});
    refused_without_effect(&mut client, &work, "import_group_member", body, 10004).await;
    let live = create(&mut client, "AVChatRoom", json!({})).await;
    let body = json!({"GroupId": live, "MemberList": listed(&[&bob])});
    refused_without_effect(&mut client, &live, "import_group_member", body, 10007).await;
    let body = json!({"GroupId": unique("absent"), "MemberList": listed(&[&bob])});
    refused(&mut client, "import_group_member", body, 10010).await;
    let body = json!({"GroupId": "x".repeat(49), "MemberList": listed(&[&bob])});
    refused(&mut client, "import_group_member", body, 10015).await;
}

#[tokio::test]
async fn imported_members_are_there_after_kill_9() {
    let node = Node::start();
    let mut client = node.client().await;
    let id = old_group(&mut client, "Public", json!({"Owner_Account": "ann"})).await;
    let items = json!([
        {"Member_Account": "bob", "Role": "Admin", "JoinTime": THEN_SECS + 5},
        {"Member_Account": "cid", "JoinTime": THEN_SECS + 1},
    ]);
    client.ok("import_group_member", json!({"GroupId": id, "MemberList": items})).await;
    let before = info(&mut client, &id).await;
    let node = node.kill().start();
    let mut client = node.client().await;
    assert_eq!(info(&mut client, &id).await, before);
    assert_eq!(members(&mut client, &id).await, ["ann", "cid", "bob"]);
    assert_eq!(joined(&mut client, "cid").await, [id.as_str()]);
}
