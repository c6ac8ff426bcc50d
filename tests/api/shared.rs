//! The node that most tests share, so that hundreds of them cost one start.
//!
//! Every test makes names of its own with [`unique`], so none sees what another does. Tests that need other settings,
//! or that fail so many signatures that their address is locked out, start a node of their own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use crate::support::{APP, Client, KEY, Node, Settings};

static RUNNING: Mutex<Option<Node>> = Mutex::new(None);

/// Where the shared node listens; starts it for the first who asks. Its daily quota is off, and so is the rate of
/// attribute writes: tests write faster than callers do.
pub fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let toml = "[limits]\ndaily_net_groups = 0\nattr_write_per_sec = 0\n".into();
        let node = Node::start_with(Settings { toml, ..Settings::default() });
        let address = node.address;
        *RUNNING.lock().expect("nobody panicked with it") = Some(node);
        // Statics are not dropped: without this the node would outlive the tests.
        // SAFETY: `stop` is an `extern "C"` function that takes nothing and does not unwind.
        unsafe { libc::atexit(stop) };
        address
    })
}

extern "C" fn stop() {
    if let Ok(mut running) = RUNNING.lock() {
        drop(running.take());
    }
}

/// A connection of an app admin to the shared node.
pub async fn client() -> Client {
    Client::connect(address(), APP, KEY).await
}

/// A name no other test of this run uses.
pub fn unique(word: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{word}.{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The unique id of a group that may be of that type.
pub fn unique_id(kind: &str) -> String {
    match kind {
        "Community" => format!("@TGS#_{}", unique("g")),
        _ => unique("g"),
    }
}

/// Creates a group of that type and with those further fields, under an id of its own.
pub async fn create(client: &mut Client, kind: &str, fields: Value) -> String {
    let id = unique_id(kind);
    create_as(client, &id, kind, fields).await;
    id
}

/// Creates a group under that id.
pub async fn create_as(client: &mut Client, id: &str, kind: &str, fields: Value) {
    let body = with(json!({"Type": kind, "Name": "club", "GroupId": id}), fields);
    client.ok("create_group", body).await;
}

/// An object with some of its members replaced or added; `null` takes one away.
pub fn with(mut object: Value, changes: Value) -> Value {
    let members = object.as_object_mut().expect("an object to change");
    let Value::Object(changes) = changes else { panic!("changes are an object: {changes}") };
    for (key, value) in changes {
        match value {
            Value::Null => members.remove(&key),
            value => members.insert(key, value),
        };
    }
    object
}

/// `[{"Member_Account": …}, …]`
pub fn listed<S: AsRef<str>>(accounts: &[S]) -> Value {
    accounts.iter().map(|account| json!({"Member_Account": account.as_ref()})).collect()
}

/// So many accounts with a common beginning, in ascending order.
pub fn accounts(word: &str, count: usize) -> Vec<String> {
    let word = unique(word);
    (0..count).map(|n| format!("{word}.{n:04}")).collect()
}

/// The group as `get_group_info` without a filter shows it: the one element of the answer, as it came.
pub async fn info(client: &mut Client, id: &str) -> Value {
    let answer = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
    assert_eq!(answer["GroupInfo"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["GroupInfo"][0].clone()
}

/// The members in the order of the list.
pub async fn members(client: &mut Client, id: &str) -> Vec<String> {
    let body = json!({"GroupId": id, "MemberInfoFilter": ["Role"]});
    let answer = client.ok("get_group_member_info", body).await;
    names(&answer["MemberList"], "Member_Account")
}

/// The groups of an account, inactive and live ones included.
pub async fn joined(client: &mut Client, account: &str) -> Vec<String> {
    let body = json!({"Member_Account": account, "WithHugeGroups": 1, "WithNoActiveGroups": 1});
    let answer = client.ok("get_joined_group_list", body).await;
    let groups = names(&answer["GroupIdList"], "GroupId");
    assert_eq!(answer["TotalCount"], groups.len(), "{answer}");
    groups
}

/// One text member of each object in a list.
pub fn names(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("a list: {list}"));
    list.iter().map(|item| item[member].as_str().unwrap_or_else(|| panic!("{member}: {item}")).to_owned()).collect()
}

/// A call that is refused with that code; the answer has the three members of every failure and no more.
pub async fn refused(client: &mut Client, command: &str, body: Value, code: u32) {
    let answer = client.refused(command, body.clone(), code).await;
    let members = answer.as_object().map(serde_json::Map::len);
    let says_why = answer["ErrorInfo"].as_str().is_some_and(|info| !info.is_empty());
    assert!(members == Some(3) && says_why, "{command} {body}: {answer}");
}

/// A call that is refused with that code and leaves the group as it was.
pub async fn refused_without_effect(client: &mut Client, id: &str, command: &str, body: Value, code: u32) {
    let before = info(client, id).await;
    refused(client, command, body.clone(), code).await;
    assert_eq!(info(client, id).await, before, "{command} {body} was refused and changed something");
}
