//! Roles of named accounts: docs/spec/rest-api.md 4.12.

use serde_json::{Value, json};

use crate::expect::{self, STORED};
use crate::shared::{accounts, client, create, listed, refused, unique};

fn roles(pairs: &[(&str, &str)]) -> Value {
    let list: Value = pairs.iter().map(|(name, role)| json!({"Member_Account": name, "Role": role})).collect();
    expect::ok(json!({"UserIdList": list}))
}

#[tokio::test]
async fn one_answer_for_each_that_is_asked_for() {
    let mut client = client().await;
    for kind in STORED {
        let names = accounts("m", 4);
        let [ann, amy, bob, eve] = [0, 1, 2, 3].map(|n| names[n].as_str());
        let id = create(&mut client, kind.wire, json!({"Owner_Account": ann, "MemberList": listed(&[amy, bob])})).await;
        let mut of_amy = "Member";
        if kind.wire != "Private" {
            let body = json!({"GroupId": id, "Member_Account": amy, "Role": "Admin"});
            client.ok("modify_group_member_info", body).await;
            of_amy = "Admin";
        }
        let body = json!({"GroupId": id, "User_Account": [bob, eve, ann, amy, bob]});
        let expected = [(bob, "Member"), (eve, "NotMember"), (ann, "Owner"), (amy, of_amy), (bob, "Member")];
        assert_eq!(client.call("get_role_in_group", body).await, roles(&expected));
        // Who has left is none.
        client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})).await;
        let body = json!({"GroupId": id, "User_Account": [bob]});
        assert_eq!(client.call("get_role_in_group", body).await, roles(&[(bob, "NotMember")]));
    }
}

#[tokio::test]
async fn a_list_holds_one_to_five_hundred() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let names = accounts("m", 501);
    let answer = client.ok("get_role_in_group", json!({"GroupId": id, "User_Account": names[..500]})).await;
    assert_eq!(answer["UserIdList"].as_array().map(Vec::len), Some(500));
    for (list, code) in [(json!(names), 10005), (json!([]), 10004)] {
        refused(&mut client, "get_role_in_group", json!({"GroupId": id, "User_Account": list}), code).await;
    }
}

#[tokio::test]
async fn what_cannot_be_answered() {
    let mut client = client().await;
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": "ann"})).await;
    for (id, code) in [(live, 10007), (unique("absent"), 10010), ("x".repeat(49), 10015)] {
        refused(&mut client, "get_role_in_group", json!({"GroupId": id, "User_Account": ["ann"]}), code).await;
    }
}
