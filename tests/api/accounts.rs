//! The account service, and who exists for groups (docs/spec/accounts.md, docs/spec/errors.md 6).

use serde_json::{Value, json};

use crate::expect;
use crate::shared::{address, client, create, info, joined, listed, members, refused, unique, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings, query};

/// Calls a command of the account service as the admin of an app.
async fn call_as(client: &mut Client, app: u32, key: &str, command: &str, body: Value) -> Value {
    let path = format!("/v4/im_open_login_svc/{command}?{}", query(app, key, ADMIN));
    let (status, answer) = client.raw("POST", &path, body.to_string()).await.expect("an answer");
    assert_eq!(status, 200, "{command}");
    serde_json::from_slice(&answer).expect("JSON")
}

async fn call(client: &mut Client, command: &str, body: Value) -> Value {
    call_as(client, APP, KEY, command, body).await
}

async fn import(client: &mut Client, account: &str) {
    assert_eq!(call(client, "account_import", json!({"UserID": account})).await, expect::ok(json!({})));
}

fn user_ids(accounts: &[&str]) -> Value {
    accounts.iter().map(|account| json!({"UserID": account})).collect()
}

/// The answer to a check that finds these.
fn checked(statuses: &[(&str, bool)]) -> Value {
    let item = |(account, is_known): &(&str, bool)| {
        let status = if *is_known { "Imported" } else { "NotImported" };
        json!({"UserID": account, "ResultCode": 0, "ResultInfo": "", "AccountStatus": status})
    };
    expect::ok(json!({"ResultItem": statuses.iter().map(item).collect::<Value>()}))
}

async fn is_checked(client: &mut Client, statuses: &[(&str, bool)]) {
    let names: Vec<&str> = statuses.iter().map(|(account, _)| *account).collect();
    let answer = call(client, "account_check", json!({"CheckItem": user_ids(&names)})).await;
    assert_eq!(answer, checked(statuses));
}

/// Deletes accounts; the code of each.
async fn delete(client: &mut Client, accounts: &[&str]) -> Vec<u64> {
    let answer = call(client, "account_delete", json!({"DeleteItem": user_ids(accounts)})).await;
    let items = answer["ResultItem"].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
    for (item, account) in items.iter().zip(accounts) {
        assert_eq!(item["UserID"], *account, "{answer}");
        assert_eq!(item["ResultInfo"] == "", item["ResultCode"] == 0, "{answer}");
    }
    assert_eq!((items.len(), &answer["ErrorCode"]), (accounts.len(), &json!(0)), "{answer}");
    items.iter().map(|item| item["ResultCode"].as_u64().expect("a code")).collect()
}

fn imported_node() -> Node {
    Node::start_with(Settings { toml: "[accounts]\nmode = \"imported\"\n".into(), ..Settings::default() })
}

#[tokio::test]
async fn accounts_are_imported_checked_and_deleted() {
    let mut client = client().await;
    let (ann, bob, cid) = (unique("ann"), unique("bob"), unique("cid"));
    let (ann, bob, cid) = (ann.as_str(), bob.as_str(), cid.as_str());
    is_checked(&mut client, &[(ann, false), (bob, false), (ADMIN, true)]).await;

    let body = json!({"UserID": ann, "Nick": "Ann", "FaceUrl": "http://x/a.png"});
    assert_eq!(call(&mut client, "account_import", body).await, expect::ok(json!({})));
    let list = json!([{"UserID": bob, "Nick": "Bob"}, {"UserID": ann}, {"UserID": bob}]);
    let none_failed = expect::ok(json!({"FailAccounts": []}));
    assert_eq!(call(&mut client, "multiaccount_import", json!({"AccountList": list})).await, none_failed);
    is_checked(&mut client, &[(bob, true), (cid, false), (ann, true), (bob, true)]).await;

    // Older clients.
    assert_eq!(call(&mut client, "account_import", json!({"Identifier": cid})).await, expect::ok(json!({})));
    let dan = unique("dan");
    assert_eq!(call(&mut client, "multiaccount_import", json!({"Accounts": [dan, cid]})).await, none_failed);
    is_checked(&mut client, &[(cid, true), (&dan, true)]).await;

    // A list is carried out in its order, and each account for itself.
    assert_eq!(delete(&mut client, &[bob, "nobody.ever", bob, ann]).await, [0, 70107, 70107, 0]);
    is_checked(&mut client, &[(ann, false), (bob, false), (cid, true)]).await;
    import(&mut client, bob).await;
    is_checked(&mut client, &[(bob, true)]).await;

    // The other app has accounts of its own.
    let mut there = Client::connect(address(), OTHER_APP, OTHER_KEY).await;
    let body = json!({"CheckItem": user_ids(&[cid])});
    let answer = call_as(&mut there, OTHER_APP, OTHER_KEY, "account_check", body).await;
    assert_eq!(answer, checked(&[(cid, false)]));
}

#[tokio::test]
async fn admins_of_live_rooms_are_listed_as_they_were_imported() {
    let mut client = client().await;
    let (ann, bob) = (unique("ann"), unique("bob"));
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let admins = json!({"GroupId": id, "CommandType": 1, "Admin_Account": [bob, ann]});
    client.ok("modify_admin", admins).await;
    let listing = |nick: &str, avatar: &str| {
        let ann = json!({"Admin_Account": ann, "NickName": nick, "Avatar": avatar});
        expect::ok(json!({"Admin_List": [{"Admin_Account": bob, "NickName": "", "Avatar": ""}, ann]}))
    };
    for (import, nick, avatar) in [
        (json!({"UserID": ann, "Nick": "Ann", "FaceUrl": "http://x/a.png"}), "Ann", "http://x/a.png"),
        (json!({"UserID": ann, "Nick": "Anna"}), "Anna", "http://x/a.png"),
    ] {
        assert_eq!(call(&mut client, "account_import", import).await, expect::ok(json!({})));
        assert_eq!(client.call("get_admin_list", json!({"GroupId": id})).await, listing(nick, avatar));
    }
    assert_eq!(delete(&mut client, &[&ann]).await, [0]);
    assert_eq!(client.call("get_admin_list", json!({"GroupId": id})).await, listing("", ""));
}

#[tokio::test]
async fn a_hundred_accounts_and_no_more() {
    let mut client = client().await;
    let names = crate::shared::accounts("many", 101);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (command, field) in
        [("multiaccount_import", "AccountList"), ("account_check", "CheckItem"), ("account_delete", "DeleteItem")]
    {
        let answer = call(&mut client, command, json!({field: user_ids(&names)})).await;
        assert_eq!((&answer["ErrorCode"], &answer["ActionStatus"]), (&json!(70402), &json!("FAIL")), "{command}");
    }
    // None of them was done.
    is_checked(&mut client, &names[..100].iter().map(|name| (*name, false)).collect::<Vec<_>>()).await;
    let answer = call(&mut client, "multiaccount_import", json!({"AccountList": user_ids(&names[..100])})).await;
    assert_eq!(answer, expect::ok(json!({"FailAccounts": []})));
    is_checked(&mut client, &names[..100].iter().map(|name| (*name, true)).collect::<Vec<_>>()).await;
    assert_eq!(delete(&mut client, &names[..100]).await, [0; 100]);
}

#[tokio::test]
async fn what_is_wrong_in_a_request() {
    let mut client = client().await;
    for (command, body, code) in [
        ("account_import", json!({}), 70402),
        ("account_import", json!({"UserID": ""}), 70402),
        ("account_import", json!({"UserID": "x".repeat(33)}), 70402),
        ("account_import", json!({"UserID": 7}), 60015),
        ("account_import", json!({"UserID": "a", "Nick": 7}), 70402),
        ("multiaccount_import", json!({}), 70402),
        ("multiaccount_import", json!({"Accounts": "a"}), 70402),
        ("multiaccount_import", json!({"Accounts": ["a", 7]}), 60015),
        ("account_check", json!({"CheckItem": ["a"]}), 70402),
        ("account_delete", json!({"DeleteItem": [{}]}), 70402),
        ("account_delete", json!({"DeleteItem": [{"UserID": {}}]}), 60015),
        ("account_export", json!({}), 10003),
        // Commands belong to their service.
        ("create_group", json!({"Type": "Public", "Name": "club"}), 10003),
    ] {
        let answer = call(&mut client, command, body.clone()).await;
        let says_why = answer["ErrorInfo"].as_str().is_some_and(|info| !info.is_empty());
        assert!(
            answer["ErrorCode"] == code && answer["ActionStatus"] == "FAIL" && says_why,
            "{command} {body}: {answer}"
        );
    }
    for command in ["account_import", "multiaccount_import", "account_check", "account_delete"] {
        refused(&mut client, command, json!({"UserID": "a"}), 10003).await;
    }
    let path = format!("/v4/im_open_login_svc/account_check?{}", query(APP, KEY, "bob"));
    let (_, answer) = client.raw("POST", &path, r#"{"CheckItem":[{"UserID":"a"}]}"#).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["ErrorCode"], 60010);
}

/// Unless accounts have to be imported, being named by a group is enough.
#[tokio::test]
async fn a_mention_makes_an_account_known() {
    let mut client = client().await;
    let (ann, bob) = (unique("ann"), unique("bob"));
    let body = json!({"Type": "Public", "Name": "club", "Owner_Account": ann, "MemberList": listed(&[&bob])});
    let id = client.ok("create_group", body).await["GroupId"].as_str().expect("an id").to_owned();
    is_checked(&mut client, &[(&ann, true), (&bob, true)]).await;
    // It was not imported, though: there is nothing to delete, and leaving the group forgets nobody.
    assert_eq!(delete(&mut client, &[&bob]).await, [70107]);
    client.ok("delete_group_member", json!({"GroupId": id, "MemberToDel_Account": [bob]})).await;
    is_checked(&mut client, &[(&bob, true)]).await;
}

#[tokio::test]
async fn an_import_outlives_a_crash() {
    let node = Node::start();
    let mut client = node.client().await;
    let names = crate::shared::accounts("acc", 40);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = call(&mut client, "multiaccount_import", json!({"AccountList": user_ids(&names)})).await;
    assert_eq!(answer, expect::ok(json!({"FailAccounts": []})));
    assert_eq!(delete(&mut client, &names[..7]).await, [0; 7]);
    let stopped = node.kill();
    stopped.examine();
    let node = stopped.start();
    let mut client = node.client().await;
    let statuses: Vec<_> = names.iter().enumerate().map(|(i, name)| (*name, i >= 7)).collect();
    is_checked(&mut client, &statuses).await;
}

#[tokio::test]
async fn accounts_may_have_to_be_imported() {
    let node = imported_node();
    let mut client = node.client().await;
    let group = |more: Value| with(json!({"Type": "Public", "Name": "club", "GroupId": "g"}), more);
    // Nobody is there, and nothing is created.
    for more in [json!({"Owner_Account": "ann"}), json!({"MemberList": listed(&["ann"])})] {
        refused(&mut client, "create_group", group(more), 10019).await;
    }
    assert_eq!(info(&mut client, "g").await["ErrorCode"], 10010);
    for account in ["ann", "bob"] {
        import(&mut client, account).await;
    }
    let one_unknown = json!({"Owner_Account": "ann", "MemberList": listed(&["bob", "cid"])});
    refused(&mut client, "create_group", group(one_unknown), 10019).await;
    client.ok("create_group", group(json!({"Owner_Account": "ann"}))).await;
    // App admins exist by configuration.
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "h", "Owner_Account": ADMIN});
    client.ok("create_group", body).await;

    let add = |accounts: &[&str]| json!({"GroupId": "g", "MemberList": listed(accounts)});
    refused(&mut client, "add_group_member", add(&["cid", "dan"]), 10019).await;
    let answer = client.ok("add_group_member", add(&["cid", "bob", "ann"])).await;
    let results = json!([
        {"Member_Account": "cid", "Result": 0},
        {"Member_Account": "bob", "Result": 1},
        {"Member_Account": "ann", "Result": 2},
    ]);
    assert_eq!(answer, expect::ok(json!({"MemberList": results})));
    // Who does not exist is nobody's member and may be named all the same.
    client.ok("delete_group_member", json!({"GroupId": "g", "MemberToDel_Account": ["cid"]})).await;
    assert_eq!(joined(&mut client, "cid").await, [""; 0]);
    is_checked(&mut client, &[("ann", true), ("cid", false), (ADMIN, true)]).await;
}

#[tokio::test]
async fn a_deleted_account_stays_where_it_is_and_gets_no_further() {
    let node = imported_node();
    let mut client = node.client().await;
    for account in ["ann", "bob"] {
        import(&mut client, account).await;
    }
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "g", "Owner_Account": "ann", "MemberList": listed(&["bob"])});
    client.ok("create_group", body).await;
    assert_eq!(delete(&mut client, &["bob"]).await, [0]);
    let stopped = node.kill();
    stopped.examine();
    let node = stopped.start();
    let mut client = node.client().await;
    is_checked(&mut client, &[("ann", true), ("bob", false)]).await;
    assert_eq!(members(&mut client, "g").await, ["ann", "bob"]);
    assert_eq!(joined(&mut client, "bob").await, ["g"]);
    let body = json!({"Type": "Public", "Name": "club", "GroupId": "h", "Owner_Account": "bob"});
    refused(&mut client, "create_group", body.clone(), 10019).await;
    import(&mut client, "bob").await;
    client.ok("create_group", body).await;
    assert_eq!(joined(&mut client, "bob").await, ["g", "h"]);
}

/// Whoever repeats a command about accounts changes nothing more by it, so its `ClientReqId` is nobody's to read.
#[tokio::test]
async fn a_request_id_is_any_other_field() {
    let mut client = client().await;
    for id in [json!("x".repeat(65)), json!(5)] {
        let body = json!({"UserID": unique("a"), "ClientReqId": id});
        assert_eq!(call(&mut client, "account_import", body).await, expect::ok(json!({})));
    }
}
