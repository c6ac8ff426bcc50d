//! `ClientReqId`: whoever asks for a change twice gets it once, whatever comes between the two.
//!
//! Source: docs/spec/client-operations.md 1. One table of every command that changes a group. Each of its changes is
//! undone between the first request and its repetition, so that a repetition that is carried out shows.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::expect;
use crate::shared::{self, address, listed, refused, unique, unique_id, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, Settings, now_secs, query};

const SECOND_ADMIN: &str = "second";
/// Callers at the same time.
const CALLERS: usize = 20;
/// Bytes of an id, at most. Source: docs/spec/client-operations.md 1.
const ID_BYTES_MAX: usize = 64;
const FOR_EVER: u32 = u32::MAX;

/// One change of a group; the id of the group is added to every body.
struct Change {
    kind: &'static str,
    command: &'static str,
    body: Value,
    /// What comes before it, beside the creation of the group.
    given: Vec<(&'static str, Value)>,
    /// What makes another change of it possible.
    undo: (&'static str, Value),
}

fn change(kind: &'static str, command: &'static str, body: Value, undo: (&'static str, Value)) -> Change {
    Change { kind, command, body, given: Vec::new(), undo }
}

impl Change {
    fn given(mut self, command: &'static str, body: Value) -> Self {
        self.given.push((command, body));
        self
    }

    fn makes_the_group(&self) -> bool {
        matches!(self.command, "create_group" | "import_group")
    }

    fn named(&self, group: &str, id: &str) -> Value {
        with(self.body.clone(), json!({"GroupId": group, "ClientReqId": id}))
    }
}

/// The group that changes are made to: ann owns it, bob and cid are in it unless it is a live room.
fn a_group(kind: &str) -> Value {
    let group = json!({"Type": kind, "Name": "club", "Owner_Account": "ann"});
    match kind {
        "AVChatRoom" => group,
        _ => with(group, json!({"MemberList": listed(&["bob", "cid"])})),
    }
}

#[rustfmt::skip]
fn changes() -> Vec<Change> {
    let attr = |value: &str| json!({"GroupAttr": [{"key": "route", "value": value}]});
    let counter = |mode: &str, value: i64| json!({"Mode": mode, "GroupCounter": [{"Key": "likes", "Value": value}]});
    let muted = |secs: u32| json!({"Members_Account": ["bob"], "MuteTime": secs});
    let removed = ("delete_group_member", json!({"MemberToDel_Account": ["dan"]}));
    let banned = json!({"Members_Account": ["eve"], "Duration": FOR_EVER});
    let admins = |command: u32| json!({"CommandType": command, "Admin_Account": ["amy"]});
    vec![
        change("Public", "create_group", a_group("Public"), ("destroy_group", json!({}))),
        change("AVChatRoom", "create_group", a_group("AVChatRoom"), ("destroy_group", json!({}))),
        change("Meeting", "import_group", with(a_group("Meeting"), json!({"MemberList": null})), ("destroy_group", json!({}))),
        change("Public", "destroy_group", json!({}), ("create_group", a_group("Public"))),
        change("Public", "add_group_member", json!({"MemberList": listed(&["dan", "bob"])}), removed.clone()),
        change("Work", "import_group_member", json!({"MemberList": listed(&["dan", "cid"])}), removed),
        change("Public", "delete_group_member", json!({"MemberToDel_Account": ["bob"]}), ("add_group_member", json!({"MemberList": listed(&["bob"])}))),
        change("Meeting", "modify_group_base_info", json!({"Name": "other"}), ("modify_group_base_info", json!({"Name": "club"}))),
        change("Community", "modify_group_member_info", json!({"Member_Account": "bob", "Role": "Admin", "NameCard": "Bob"}),
            ("modify_group_member_info", json!({"Member_Account": "bob", "Role": "Member", "NameCard": ""}))),
        change("Public", "change_group_owner", json!({"NewOwner_Account": "bob"}), ("change_group_owner", json!({"NewOwner_Account": "ann"}))),
        change("Public", "forbid_send_msg", muted(FOR_EVER), ("forbid_send_msg", muted(0))),
        change("Public", "forbid_send_msg", muted(0), ("forbid_send_msg", muted(FOR_EVER))).given("forbid_send_msg", muted(FOR_EVER)),
        change("Public", "set_group_attr", attr("north"), ("set_group_attr", attr("south"))).given("set_group_attr", attr("south")),
        change("Public", "modify_group_attr", attr("north"), ("modify_group_attr", attr("south"))),
        change("AVChatRoom", "clear_group_attr", json!({}), ("set_group_attr", attr("south"))).given("set_group_attr", attr("south")),
        change("Work", "delete_group_attr", json!({"GroupAttr": [{"key": "route"}]}), ("set_group_attr", attr("south"))).given("set_group_attr", attr("south")),
        change("Public", "update_group_counter", counter("Set", 5), ("update_group_counter", counter("Set", 2))),
        change("Public", "update_group_counter", counter("Increase", 3), ("update_group_counter", counter("Set", 2))).given("update_group_counter", counter("Set", 40)),
        change("AVChatRoom", "update_group_counter", counter("Decrease", 3), ("update_group_counter", counter("Set", 2))),
        change("Public", "delete_group_counter", json!({"GroupCounterKeys": ["likes"]}), ("update_group_counter", counter("Set", 2))).given("update_group_counter", counter("Set", 7)),
        change("AVChatRoom", "ban_group_member", banned.clone(), ("unban_group_member", json!({"Members_Account": ["eve"]}))),
        change("AVChatRoom", "unban_group_member", json!({"Members_Account": ["eve"]}), ("ban_group_member", banned.clone())).given("ban_group_member", banned),
        change("AVChatRoom", "modify_admin", admins(1), ("modify_admin", admins(2))),
        change("AVChatRoom", "modify_admin", admins(2), ("modify_admin", admins(1))).given("modify_admin", admins(1)),
    ]
}

/// An app admin whose answers are taken as they come.
struct Admin {
    client: Client,
    query: String,
}

impl Admin {
    async fn connect(address: std::net::SocketAddr, name: &str) -> Self {
        Self { client: Client::connect(address, APP, KEY).await, query: query(APP, KEY, name) }
    }

    async fn bytes(&mut self, command: &str, body: &Value) -> Bytes {
        let path = format!("/v4/group_open_http_svc/{command}?{}", self.query);
        let (_, answer) = self.client.raw("POST", &path, body.to_string()).await.expect("an answer");
        answer
    }

    /// Insists on OK.
    async fn done(&mut self, command: &str, body: &Value) -> Bytes {
        let answer = self.bytes(command, body).await;
        let parsed: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(parsed["ErrorCode"], 0, "{command} {body}: {parsed}");
        answer
    }
}

/// Makes the group as it is before a change.
async fn prepare(client: &mut Client, change: &Change, group: &str) {
    if !change.makes_the_group() {
        client.ok("create_group", with(a_group(change.kind), json!({"GroupId": group}))).await;
    }
    for (command, body) in &change.given {
        client.ok(command, with(body.clone(), json!({"GroupId": group}))).await;
    }
}

async fn undo(client: &mut Client, change: &Change, group: &str) {
    let (command, body) = &change.undo;
    client.ok(command, with(body.clone(), json!({"GroupId": group}))).await;
}

/// Everything that can be read of a group.
async fn state(client: &mut Client, group: &str) -> Value {
    let mut state = vec![client.call("get_group_info", json!({"GroupIdList": [group]})).await];
    for command in
        ["get_group_attr", "get_group_counter", "get_group_muted_account", "get_group_ban_member", "get_admin_list"]
    {
        state.push(client.call(command, json!({"GroupId": group, "Offset": 0})).await);
    }
    json!(state)
}

fn id_of(kind: &str) -> String {
    unique_id(kind)
}

#[tokio::test]
async fn a_repetition_changes_nothing_and_gets_the_first_answer_also_after_kill_9() {
    let apps = format!("[[apps]]\nid = {APP}\nkey = \"{KEY}\"\nadmins = [\"{ADMIN}\", \"{SECOND_ADMIN}\"]\n");
    let toml = format!("[limits]\nattr_write_per_sec = 0\n{apps}");
    let mut node = Node::start_with(Settings { toml, without_apps: true, ..Settings::default() });
    let mut client = node.client().await;
    let mut first = Admin::connect(node.address, ADMIN).await;
    let mut second = Admin::connect(node.address, SECOND_ADMIN).await;
    let mut made = Vec::new();
    for change in changes() {
        let (group, id) = (id_of(change.kind), unique("request"));
        let asked = change.named(&group, &id);
        prepare(&mut client, &change, &group).await;
        let original = state(&mut client, &group).await;
        let answer = first.done(change.command, &asked).await;
        assert_ne!(state(&mut client, &group).await, original, "{asked} changes nothing that shows");

        undo(&mut client, &change, &group).await;
        let undone = state(&mut client, &group).await;
        assert_eq!(first.bytes(change.command, &asked).await, answer, "{} {asked}", change.command);
        assert_eq!(state(&mut client, &group).await, undone, "{} {asked} was carried out twice", change.command);

        // The same words of another caller are another request; so are other words of the same.
        second.done(change.command, &asked).await;
        assert_ne!(state(&mut client, &group).await, undone, "{} {asked} by another admin", change.command);
        undo(&mut client, &change, &group).await;
        first.done(change.command, &change.named(&group, &unique("request"))).await;
        undo(&mut client, &change, &group).await;
        made.push((change, group, asked, answer));
    }

    for _ in 0..2 {
        node = node.kill().start();
        let mut client = node.client().await;
        let mut first = Admin::connect(node.address, ADMIN).await;
        for (change, group, asked, answer) in &made {
            let before = state(&mut client, group).await;
            assert_eq!(first.bytes(change.command, asked).await, *answer, "{} {asked}, restarted", change.command);
            assert_eq!(state(&mut client, group).await, before, "{} {asked} again after a restart", change.command);
        }
    }
    node.kill().examine();
}

#[tokio::test]
async fn twenty_at_once_change_as_much_as_one() {
    let mut client = shared::client().await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Admin::connect(address(), ADMIN).await);
    }
    for change in changes() {
        let since = now_secs();
        let (once, at_once) = (id_of(change.kind), id_of(change.kind));
        for group in [&once, &at_once] {
            prepare(&mut client, &change, group).await;
        }
        let alone = callers[0].done(change.command, &with(change.body.clone(), json!({"GroupId": once}))).await;

        let asked = change.named(&at_once, &unique("request"));
        let mut calls = JoinSet::new();
        for mut caller in callers.drain(..) {
            let (command, asked) = (change.command, asked.clone());
            calls.spawn(async move {
                let answer = caller.bytes(command, &asked).await;
                (caller, answer)
            });
        }
        let answers: Vec<Bytes> = calls
            .join_all()
            .await
            .into_iter()
            .map(|(caller, answer)| {
                callers.push(caller);
                answer
            })
            .collect();
        let neutral = |text: &str, group: &str| text.replace(group, "GROUP");
        let text = |answer: &Bytes| String::from_utf8(answer.to_vec()).expect("text");
        let expected = neutral(&text(&alone), &once);
        for answer in &answers {
            assert_eq!(neutral(&text(answer), &at_once), expected, "{} {asked}", change.command);
        }
        let seen = async |client: &mut Client, group: &str| {
            neutral(&expect::settled(state(client, group).await, since).to_string(), group)
        };
        assert_eq!(seen(&mut client, &at_once).await, seen(&mut client, &once).await, "{} {asked}", change.command);
    }
}

#[tokio::test]
async fn an_id_is_a_text_of_at_most_64_bytes() {
    let mut client = shared::client().await;
    for change in changes() {
        let group = id_of(change.kind);
        prepare(&mut client, &change, &group).await;
        let before = state(&mut client, &group).await;
        let named = |id: Value| with(change.named(&group, ""), json!({"ClientReqId": id}));
        let too_long = ["x".repeat(ID_BYTES_MAX + 1), "ü".repeat(ID_BYTES_MAX / 2 + 1)];
        for id in [json!(too_long[0]), json!(too_long[1]), json!(7), json!(true), json!([]), json!({"a": 1})] {
            refused(&mut client, change.command, named(id), 10004).await;
            assert_eq!(state(&mut client, &group).await, before, "{}", change.command);
        }
        // No name, and so another request each time.
        for id in [json!(""), Value::Null, json!("")] {
            client.ok(change.command, named(id)).await;
            undo(&mut client, &change, &group).await;
        }
        // As long as it may be; a null is as good as nothing, so the key is given and has none.
        let mut text = named(json!("x")).to_string();
        text = text.replace(r#""ClientReqId":"x""#, r#""ClientReqId":null"#);
        let path = format!("/v4/group_open_http_svc/{}?{}", change.command, query(APP, KEY, ADMIN));
        let (_, answer) = client.raw("POST", &path, text.clone()).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["ErrorCode"], 0, "{} {text}", change.command);
        undo(&mut client, &change, &group).await;
        let undone = state(&mut client, &group).await;
        let longest = unique("request");
        let longest = format!("{longest}{}", "é".repeat((ID_BYTES_MAX - longest.len()) / 2));
        client.ok(change.command, named(json!(longest))).await;
        assert_ne!(state(&mut client, &group).await, undone, "{}", change.command);
    }
}

#[tokio::test]
async fn a_group_without_an_id_of_its_own_gets_one_once() {
    let apps = format!("[[apps]]\nid = {APP}\nkey = \"{KEY}\"\nadmins = [\"{ADMIN}\", \"{SECOND_ADMIN}\"]\n");
    let mut node = Node::start_with(Settings { toml: apps, without_apps: true, ..Settings::default() });
    let mut client = node.client().await;
    let mut made = Vec::new();
    for command in ["create_group", "import_group"] {
        for kind in ["Work", "Public", "Meeting", "AVChatRoom", "Community"] {
            if (command, kind) == ("import_group", "AVChatRoom") {
                continue;
            }
            let asked = json!({"Type": kind, "Name": "club", "Owner_Account": "ann", "ClientReqId": unique("request")});
            let mut calls = JoinSet::new();
            for _ in 0..CALLERS {
                let (mut caller, asked) = (Admin::connect(node.address, ADMIN).await, asked.clone());
                calls.spawn(async move { caller.done(command, &asked).await });
            }
            let answers = calls.join_all().await;
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{command} {asked}: {answers:?}");
            let answer: Value = serde_json::from_slice(&answers[0]).expect("JSON");
            let group = answer["GroupId"].as_str().expect("an id").to_owned();
            // Another admin's is another group, as is that of another name and that of none.
            let mut others = vec![group.clone()];
            let mut second = Admin::connect(node.address, SECOND_ADMIN).await;
            let other = second.done(command, &asked).await;
            others.push(serde_json::from_slice::<Value>(&other).expect("JSON")["GroupId"].to_string());
            for id in [json!(unique("request")), Value::Null, Value::Null] {
                let body = with(asked.clone(), json!({"ClientReqId": id}));
                others.push(client.ok(command, body).await["GroupId"].to_string());
            }
            others.sort();
            others.dedup();
            assert_eq!(others.len(), 5, "{others:?}");
            made.push((command, asked, group, answers[0].clone()));
        }
    }
    for (_, _, group, _) in made.iter().step_by(2) {
        client.ok("destroy_group", json!({"GroupId": group})).await;
    }
    for _ in 0..2 {
        for (place, (command, asked, group, answer)) in made.iter().enumerate() {
            let mut first = Admin::connect(node.address, ADMIN).await;
            assert_eq!(first.done(command, asked).await, *answer, "{command} {asked}");
            // What was disbanded stays so.
            let found = client.ok("get_group_info", json!({"GroupIdList": [group]})).await;
            let expected = if place % 2 == 0 { 10010 } else { 0 };
            assert_eq!(found["GroupInfo"][0]["ErrorCode"], expected, "{command} {asked}");
        }
        node = node.kill().start();
        client = node.client().await;
    }
    node.kill().examine();
}

/// What was answered first is said again, whatever a later body under the same id asks for.
#[tokio::test]
async fn the_first_answer_names_those_of_the_first_request() {
    let mut client = Client::connect(address(), APP, KEY).await;
    for (kind, command) in [("Public", "add_group_member"), ("Work", "import_group_member")] {
        let id = shared::create(&mut client, kind, json!({})).await;
        let asked = |names: &[&str]| json!({"GroupId": id, "MemberList": listed(names), "ClientReqId": "q"});
        let first = client.ok(command, asked(&["dan", "eve"])).await;
        let results = json!([{"Member_Account": "dan", "Result": 1}, {"Member_Account": "eve", "Result": 1}]);
        assert_eq!(first["MemberList"], results);
        for others in [&["eve", "dan"][..], &["fay", "gus"], &["fay"]] {
            assert_eq!(client.ok(command, asked(others)).await, first, "{command} {others:?}");
        }
        assert_eq!(shared::info(&mut client, &id).await["MemberNum"], json!(2));
    }
    let asked = |kind: &str| json!({"Type": kind, "Name": "club", "ClientReqId": unique("kind")});
    for (kind, other) in [("Public", "Community"), ("Community", "Public")] {
        let body = asked(kind);
        let first = client.ok("create_group", body.clone()).await;
        assert_eq!(client.ok("create_group", with(body, json!({"Type": other}))).await, first, "{kind}");
    }
}
