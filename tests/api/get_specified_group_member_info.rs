//! Members by name: docs/spec/rest-api.md 4.5, 3.6 and 3.8.

use serde_json::json;

use crate::expect::{self, STORED, member, settled};
use crate::shared::{accounts, client, create, listed, refused, unique, with};
use crate::support::{Node, Settings, now_secs};

#[tokio::test]
async fn those_asked_for_in_that_order() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let names = accounts("m", 3);
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind.wire, fields).await;
        let asked = json!([names[2], unique("stranger"), names[0], names[2]]);
        let body = json!({"GroupId": id, "Member_List_Account": asked});
        let answer = client.call("get_specified_group_member_info", body).await;
        // Strangers are left out; who is asked for twice is there twice. No number of members.
        let member = |name, role| member(kind, name, role);
        let members = [member(&names[2], "Member"), member(&names[0], "Owner"), member(&names[2], "Member")];
        assert_eq!(settled(answer, since), expect::ok(json!({"GroupId": id, "MemberList": members})));

        let body = json!({"GroupId": id, "Member_List_Account": [unique("stranger")]});
        let answer = client.call("get_specified_group_member_info", body).await;
        assert_eq!(answer, expect::ok(json!({"GroupId": id, "MemberList": []})));
    }
}

#[tokio::test]
async fn filters_restrict() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let data = json!([{"Key": "badge", "Value": "7"}, {"Key": "seat", "Value": "2"}]);
    let admin = json!({"Member_Account": names[1], "Role": "Admin", "AppMemberDefinedData": data});
    let fields = json!({"Owner_Account": names[0], "MemberList": [admin, {"Member_Account": names[2]}]});
    let id = create(&mut client, "Public", fields).await;
    let [ann, amy, bob] = [0, 1, 2].map(|n| json!({"Member_Account": names[n]}));
    for (filter, expected) in [
        (json!({"MemberInfoFilter": ["Account"]}), json!([ann, amy, bob])),
        (json!({"MemberInfoFilter": ["Nonsense"]}), json!([ann, amy, bob])),
        (
            json!({"MemberInfoFilter": ["Role"]}),
            json!([
                with(ann.clone(), json!({"Role": "Owner"})),
                with(amy.clone(), json!({"Role": "Admin"})),
                with(bob.clone(), json!({"Role": "Member"})),
            ]),
        ),
        (json!({"MemberInfoFilter": ["Account"], "MemberRoleFilter": ["Owner", "Member"]}), json!([ann, bob])),
        (json!({"MemberInfoFilter": ["Account"], "MemberRoleFilter": ["Admin"]}), json!([amy])),
        (json!({"MemberInfoFilter": ["Account"], "MemberRoleFilter": []}), json!([ann, amy, bob])),
        (
            json!({"MemberInfoFilter": ["Account"], "AppDefinedDataFilter_GroupMember": ["seat", "none"]}),
            json!([ann, with(amy.clone(), json!({"AppMemberDefinedData": [{"Key": "seat", "Value": "2"}]})), bob]),
        ),
        (
            json!({"MemberInfoFilter": ["OnlineStatus"], "MemberRoleFilter": ["Member"]}),
            json!([with(bob.clone(), json!({"OnlineStatus": "Offline"}))]),
        ),
    ] {
        let body = with(json!({"GroupId": id, "Member_List_Account": names}), filter.clone());
        let answer = client.call("get_specified_group_member_info", body).await;
        assert_eq!(answer, expect::ok(json!({"GroupId": id, "MemberList": expected})), "{filter}");
    }
}

#[tokio::test]
async fn declared_fields_are_shown_also_unset() {
    let toml = "[custom_fields]\nopen = false\nmember = [{ key = \"badge\" }, { key = \"seat\" }]\n".to_owned();
    let node = Node::start_with(Settings { toml, ..Settings::default() });
    let mut client = node.client().await;
    let bob = json!({"Member_Account": "bob", "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]});
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "g", "MemberList": [bob]});
    client.ok("create_group", body).await;
    let filter = json!(["seat", "town", "badge"]);
    let body = json!({
        "GroupId": "g", "Member_List_Account": ["bob"], "MemberInfoFilter": ["Role"],
        "AppDefinedDataFilter_GroupMember": filter,
    });
    for command in ["get_specified_group_member_info", "get_group_member_info"] {
        let answer = client.ok(command, body.clone()).await;
        let data = json!([{"Key": "seat", "Value": ""}, {"Key": "badge", "Value": "7"}]);
        let expected = json!({"Member_Account": "bob", "Role": "Member", "AppMemberDefinedData": data});
        assert_eq!(answer["MemberList"], json!([expected]), "{command}");
    }
    let change = |key: &str| json!({"GroupId": "g", "Member_Account": "bob", "AppMemberDefinedData": [{"Key": key, "Value": "v"}]});
    client.ok("modify_group_member_info", change("seat")).await;
    refused(&mut client, "modify_group_member_info", change("town"), 10004).await;
}

#[tokio::test]
async fn a_list_holds_one_to_fifty() {
    let mut client = client().await;
    let names = accounts("m", 51);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&names[..50])})).await;
    let body = json!({"GroupId": id, "Member_List_Account": names[..50], "MemberInfoFilter": ["Account"]});
    let answer = client.call("get_specified_group_member_info", body).await;
    assert_eq!(answer, expect::ok(json!({"GroupId": id, "MemberList": listed(&names[..50])})));
    for (list, code) in [(json!(names), 10005), (json!([]), 10004), (json!(vec!["a"; 51]), 10005)] {
        let body = json!({"GroupId": id, "Member_List_Account": list});
        refused(&mut client, "get_specified_group_member_info", body, code).await;
    }
}

#[tokio::test]
async fn what_cannot_be_answered() {
    let mut client = client().await;
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": "ann"})).await;
    for (id, code) in [(live, 10007), (unique("absent"), 10010), ("x".repeat(49), 10015)] {
        let body = json!({"GroupId": id, "Member_List_Account": ["ann"]});
        refused(&mut client, "get_specified_group_member_info", body, code).await;
    }
}
