//! Two apps on one node, with the same names for everything: neither sees the other.

use serde_json::json;

use crate::expect::{self, PUBLIC, group, member, settled};
use crate::shared::{address, client, info, joined, listed, members, refused, unique, with};
use crate::support::{ADMIN, Client, OTHER_APP, OTHER_KEY, now_secs};

#[tokio::test]
async fn the_same_names_mean_other_things() {
    let mut here = client().await;
    let mut there = Client::connect(address(), OTHER_APP, OTHER_KEY).await;
    let (id, bob, eve) = (unique("g"), unique("bob"), unique("eve"));
    let body = json!({"Type": "Public", "Name": "club", "GroupId": id, "Owner_Account": bob});
    here.ok("create_group", body.clone()).await;

    // Not there, and nothing can be done to it from there.
    let gone = json!({"GroupId": id, "ErrorCode": 10010, "ErrorInfo": "this group does not exist"});
    let answer = there.call("get_group_info", json!({"GroupIdList": [id]})).await;
    assert_eq!(answer, expect::group_info(gone));
    for (command, body) in [
        ("get_group_member_info", json!({"GroupId": id})),
        ("add_group_member", json!({"GroupId": id, "MemberList": listed(&[&eve])})),
        ("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})),
        ("modify_group_base_info", json!({"GroupId": id, "Name": "theirs"})),
        ("destroy_group", json!({"GroupId": id})),
    ] {
        refused(&mut there, command, body, 10010).await;
    }
    assert_eq!(joined(&mut there, &bob).await, [""; 0]);

    // The id is free there, also for another type, and the same people are in it otherwise.
    let since = now_secs();
    let changes = json!({"Type": "Public", "Owner_Account": eve, "MemberList": listed(&[&bob])});
    there.ok("create_group", with(body.clone(), changes)).await;
    let changes = json!({
        "Appid": OTHER_APP, "Owner_Account": eve, "MemberNum": 2, "NextMsgSeq": 2,
        "MemberList": [member(&PUBLIC, &bob, "Member"), member(&PUBLIC, &eve, "Owner")],
    });
    assert_eq!(settled(info(&mut there, &id).await, since), with(group(&PUBLIC, &id), changes));
    assert_eq!(members(&mut here, &id).await, [bob.as_str()]);
    assert_eq!(joined(&mut here, &eve).await, [""; 0]);
    assert_eq!(joined(&mut here, &bob).await, [id.as_str()]);

    // Each ends alone.
    here.ok("destroy_group", json!({"GroupId": id})).await;
    assert_eq!(members(&mut there, &id).await.len(), 2);
    assert_eq!(joined(&mut there, &bob).await, [id.as_str()]);
    refused(&mut there, "create_group", with(body, json!({"Owner_Account": ADMIN})), 10021).await;
    there.ok("destroy_group", json!({"GroupId": id})).await;
}
