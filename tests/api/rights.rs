//! Who may do what: the tables of docs/spec/group-types.md 6, cell by cell.
//!
//! [`RIGHTS`] was written from those pages by hand and knows nothing of the code that grants rights. The cells of app
//! admins are asked for over HTTP, where nobody else may call; those of all other ranks are put to the rules
//! themselves (rules.rs). Which of several faults a request is told is in order.rs.
//!
//! Where the pages disagree, docs/spec/README.md settles it; cells that it settled are marked.

mod order;
mod rules;

use serde_json::{Value, json};

use crate::shared::{listed, with};
use crate::support::{ADMIN, APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings, query};
use On::*;

/// The types in the order of a row's cells.
const TYPES: [&str; 5] = ["Work", "Public", "Meeting", "AVChatRoom", "Community"];
const WORK: usize = 0;
const LIVE: usize = 3;

/// The ranks in the order of a cell's letters.
const APP_ADMIN: usize = 0;
const RANKS: [&str; 5] = ["app admin", "owner", "admin", "member", "not a member"];

/// Who is in every group: two of each rank below the owner, so that each can act on an equal.
const OWNER: &str = "owner";
const ADMINS: [&str; 2] = ["admin", "deputy"];
const MEMBERS: [&str; 2] = ["member", "mate"];
const STRANGERS: [&str; 2] = ["stranger", "visitor"];

/// Whom a request is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Group,
    Member,
    Admin,
    Owner,
    Stranger,
    Oneself,
}

impl On {
    /// The account; of oneself, the one who asks.
    fn account(self, operator: &'static str) -> &'static str {
        match self {
            Group | Member => MEMBERS[1],
            Admin => ADMINS[1],
            Owner => OWNER,
            Stranger => STRANGERS[1],
            Oneself => operator,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Create,
    CreateWithMembers,
    /// With an initial member that shall have this role.
    CreateWith(&'static str),
    Import,
    ImportMembers,
    Transfer,
    /// Of a group that has no owner.
    TransferOrphan,
    Disband,
    /// A text of the profile.
    Text(&'static str),
    /// A declared field of the group, whose name says who may write it.
    GroupField(&'static str),
    /// To another value than it has, and to the one that it has.
    ApplyJoin,
    ApplyJoinAsItIs,
    InviteJoin,
    InviteJoinAsItIs,
    MembersMax,
    MuteAll,
    HistoryBeforeJoin,
    SupportTopic,
    /// Where topics are off, and where they are on.
    Permissions,
    PermissionsOfTopics,
    Role(&'static str),
    Mute,
    Unmute,
    /// By changing the member.
    MuteMember,
    NameCard,
    /// A declared field of a member, whose name says who may write it beside oneself.
    MemberField(&'static str),
    MsgFlag,
    Ban,
    Unban,
    AppointLive,
    DismissLive,
    /// Under that InviteJoinOption.
    Add(&'static str),
    Remove,
    Attributes(&'static str),
    /// Delete, or the mode of a change.
    Counters(&'static str),
    /// A read that only app admins make.
    Read(&'static str),
}

/// `+` allowed, `7` 10007, `4` 10004, `.` nobody of that rank or nothing that could be asked for here.
type Cell = &'static str;

/// One line of the tables.
type Row = (Ask, On, [Cell; 5]);

/// Over REST every caller is an app admin, so what only they may (60010 for others) has dots for everybody else.
#[rustfmt::skip]
const RIGHTS: &[Row] = &[
    // 6.1                                     Work     Public   Meeting  AVChat   Community
    (Ask::Create,                   Group,    ["+...+", "+...+", "+...+", "+...+", "+...+"]),
    (Ask::CreateWithMembers,        Group,    ["+...+", "+...+", "+...+", "7...7", "+...+"]),
    (Ask::CreateWith("Admin"),      Group,    ["4...4", "+...+", "+...+", "7...7", "+...+"]), // Work: settled
    (Ask::CreateWith("Owner"),      Group,    ["4....", "4....", "4....", "4....", "4...."]),
    (Ask::Import,                   Group,    ["+....", "+....", "+....", "7....", "+...."]),
    (Ask::ImportMembers,            Stranger, ["+....", "+....", "+....", "7....", "+...."]),
    (Ask::Transfer,                 Member,   ["++.77", "++777", "++777", "77777", "++777"]),
    (Ask::Transfer,                 Admin,    [".....", "++777", "++777", "77777", "++777"]),
    (Ask::Transfer,                 Owner,    ["44.77", "44777", "44777", "77777", "44777"]), // settled
    (Ask::Transfer,                 Stranger, ["44.77", "44777", "44777", "77777", "44777"]),
    (Ask::TransferOrphan,           Member,   ["+..77", "+.777", "+.777", "7.777", "+.777"]),
    (Ask::TransferOrphan,           Stranger, ["4..77", "4.777", "4.777", "7.777", "4.777"]),
    (Ask::Disband,                  Group,    ["+7.77", "++777", "++777", "++777", "++777"]),
    // 6.2, as far as app admins read
    (Ask::Read("get_group_info"),                  Group,  ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_group_member_info"),           Group,  ["+....", "+....", "+....", "7....", "+...."]),
    (Ask::Read("get_specified_group_member_info"), Member, ["+....", "+....", "+....", "7....", "+...."]),
    (Ask::Read("get_role_in_group"),               Member, ["+....", "+....", "+....", "7....", "+...."]),
    (Ask::Read("get_group_muted_account"),         Group,  ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_group_shutted_uin"),           Group,  ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_joined_group_list"),           Member, ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_appid_group_list"),            Group,  ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_group_attr"),                  Group,  ["+....", "+....", "+....", "+....", "+...."]),
    (Ask::Read("get_group_counter"),               Group,  ["+....", "+....", "+....", "+....", "7...."]),
    (Ask::Read("get_group_ban_member"),            Group,  ["7....", "7....", "7....", "+....", "7...."]),
    (Ask::Read("get_admin_list"),                  Group,  ["7....", "7....", "7....", "+....", "7...."]),
    // 6.3                                     Work     Public   Meeting  AVChat   Community
    (Ask::Text("Name"),             Group,    ["++.+7", "+++77", "+++77", "++777", "+++77"]),
    (Ask::Text("Introduction"),     Group,    ["++.+7", "+++77", "+++77", "++777", "+++77"]),
    (Ask::Text("Notification"),     Group,    ["++.+7", "+++77", "+++77", "++777", "+++77"]),
    (Ask::Text("FaceUrl"),          Group,    ["++.+7", "+++77", "+++77", "++777", "+++77"]),
    (Ask::GroupField("by_member"),  Group,    ["++.+7", "++++7", "++++7", "++++7", "++++7"]),
    (Ask::GroupField("by_admin"),   Group,    ["++.77", "+++77", "+++77", "+++77", "+++77"]),
    (Ask::GroupField("by_owner"),   Group,    ["++.77", "++777", "++777", "++777", "++777"]),
    (Ask::GroupField("by_app"),     Group,    ["+7.77", "+7777", "+7777", "+7777", "+7777"]),
    (Ask::ApplyJoin,                Group,    ["77.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::ApplyJoinAsItIs,          Group,    ["++..7", "+++77", "+++77", "++..7", "+++77"]),
    (Ask::InviteJoin,               Group,    ["++.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::InviteJoinAsItIs,         Group,    ["++.77", "+++77", "+++77", "++..7", "+++77"]),
    (Ask::MembersMax,               Group,    ["++.77", "++777", "++777", "++++7", "++777"]), // AVChatRoom: ignored
    (Ask::MuteAll,                  Group,    ["77.77", "+++77", "+++77", "++777", "+++77"]),
    (Ask::HistoryBeforeJoin,        Group,    ["+7.77", "+7777", "+7777", "77777", "77777"]),
    (Ask::SupportTopic,             Group,    ["77.77", "77777", "77777", "77777", "++777"]),
    (Ask::Permissions,              Group,    ["77.77", "77777", "77777", "77777", "77777"]),
    (Ask::PermissionsOfTopics,      Group,    [".....", ".....", ".....", ".....", "++777"]),
    // 6.4; admins appoint and cancel admins: settled
    (Ask::Role("Admin"),            Member,   ["77.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::Role("Member"),           Member,   ["77.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::Role("Member"),           Admin,    [".....", "+++77", "+++77", "77777", "+++77"]),
    (Ask::Role("Member"),           Oneself,  [".7.77", ".4+77", ".4+77", ".7777", ".4+77"]),
    (Ask::Role("Member"),           Owner,    ["77.77", "44777", "44777", "77777", "44777"]),
    (Ask::Role("Admin"),            Owner,    ["77.77", "44777", "44777", "77777", "44777"]),
    (Ask::Role("Admin"),            Stranger, ["77.77", "44477", "44477", "77777", "44477"]),
    (Ask::AppointLive,              Member,   ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::AppointLive,              Stranger, ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::AppointLive,              Owner,    ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::DismissLive,              Owner,    ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::AppointLive,              Admin,    [".....", "77777", "77777", "+7777", "77777"]),
    (Ask::DismissLive,              Admin,    [".....", "77777", "77777", "+7777", "77777"]),
    (Ask::DismissLive,              Stranger, ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::Mute,                     Member,   ["77.77", "+++77", "+++77", "+++77", "+++77"]),
    (Ask::Mute,                     Admin,    [".....", "++777", "++777", "++777", "++777"]),
    (Ask::Mute,                     Owner,    ["77.77", "44777", "44777", "44777", "44777"]),
    (Ask::Mute,                     Stranger, ["77.77", "44477", "44477", "+++77", "44477"]),
    (Ask::Unmute,                   Member,   ["77.77", "+++77", "+++77", "+++77", "+++77"]),
    (Ask::Unmute,                   Admin,    [".....", "++777", "++777", "++777", "++777"]),
    (Ask::Unmute,                   Stranger, ["77.77", "+++77", "+++77", "+++77", "+++77"]),
    (Ask::MuteMember,               Member,   ["77.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::MuteMember,               Admin,    [".....", "++777", "++777", "77777", "++777"]),
    (Ask::MuteMember,               Owner,    ["77.77", "44777", "44777", "77777", "44777"]),
    (Ask::MuteMember,               Stranger, ["77.77", "44477", "44477", "77777", "44477"]),
    (Ask::Ban,                      Member,   ["77.77", "77777", "77777", "+++77", "77777"]),
    (Ask::Ban,                      Stranger, ["77.77", "77777", "77777", "+++77", "77777"]),
    (Ask::Ban,                      Admin,    [".....", "77777", "77777", "++777", "77777"]),
    (Ask::Ban,                      Owner,    ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::Unban,                    Owner,    ["77.77", "77777", "77777", "+7777", "77777"]),
    (Ask::Unban,                    Member,   ["77.77", "77777", "77777", "+++77", "77777"]),
    (Ask::Unban,                    Stranger, ["77.77", "77777", "77777", "+++77", "77777"]),
    (Ask::Unban,                    Admin,    [".....", "77777", "77777", "++777", "77777"]),
    (Ask::NameCard,                 Oneself,  [".+.+7", ".+++7", ".+++7", ".7777", ".+++7"]), // live: rest-api.md 4.9
    (Ask::NameCard,                 Member,   ["++.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::NameCard,                 Admin,    [".....", "++777", "++777", "77777", "++777"]),
    (Ask::NameCard,                 Owner,    ["+..77", "+.777", "+.777", "7.777", "+.777"]),
    (Ask::NameCard,                 Stranger, ["44.77", "44477", "44477", "77777", "44477"]),
    (Ask::MemberField("by_member"), Oneself,  [".+.+7", ".+++7", ".+++7", ".7777", ".+++7"]),
    (Ask::MemberField("by_member"), Member,   ["++.77", "+++77", "+++77", "77777", "+++77"]),
    (Ask::MemberField("by_member"), Admin,    [".....", "++777", "++777", "77777", "++777"]),
    (Ask::MemberField("by_member"), Owner,    ["+..77", "+.777", "+.777", "7.777", "+.777"]),
    (Ask::MemberField("by_owner"),  Oneself,  [".+.77", ".+777", ".+777", ".7777", ".+777"]),
    (Ask::MemberField("by_owner"),  Member,   ["++.77", "++777", "++777", "77777", "++777"]),
    (Ask::MemberField("by_owner"),  Admin,    [".....", "++777", "++777", "77777", "++777"]),
    (Ask::MemberField("by_owner"),  Owner,    ["+..77", "+.777", "+.777", "7.777", "+.777"]),
    (Ask::MsgFlag,                  Oneself,  [".+.+7", ".+++7", ".+++7", ".7777", ".+++7"]),
    (Ask::MsgFlag,                  Member,   ["+7.77", "+7777", "+7777", "77777", "+7777"]),
    (Ask::MsgFlag,                  Admin,    [".....", "+7777", "+7777", "77777", "+7777"]),
    (Ask::MsgFlag,                  Owner,    ["+..77", "+.777", "+.777", "7.777", "+.777"]),
    // 6.5; a plain member's invitation under NeedPermission waits for a list that is not there yet
    (Ask::Add("FreeAccess"),        Stranger, ["++.+7", "++++7", "++++7", "77777", "++++7"]),
    (Ask::Add("NeedPermission"),    Stranger, ["++..7", "+++.7", "+++.7", "77777", "+++.7"]),
    (Ask::Add("DisableInvite"),     Stranger, ["+7.77", "+7777", "+7777", "77777", "+7777"]),
    (Ask::Remove,                   Member,   ["++.77", "+++77", "+++77", "4..77", "+++77"]),
    (Ask::Remove,                   Admin,    [".....", "++777", "++777", "4..77", "++777"]),
    (Ask::Remove,                   Owner,    ["+7.77", "47777", "47777", "4..77", "47777"]), // settled
    (Ask::Remove,                   Stranger, ["++.77", "+++77", "+++77", "4..77", "+++77"]),
    // 6.6
    (Ask::Attributes("set_group_attr"),    Group, ["++.+7", "++++7", "++++7", "++++7", "++++7"]),
    (Ask::Attributes("modify_group_attr"), Group, ["++.+7", "++++7", "++++7", "++++7", "++++7"]),
    (Ask::Attributes("clear_group_attr"),  Group, ["++.+7", "++++7", "++++7", "++++7", "++++7"]),
    (Ask::Attributes("delete_group_attr"), Group, ["++.+7", "++++7", "++++7", "++++7", "++++7"]),
    (Ask::Counters("Set"),          Group,    ["++.+7", "++++7", "++++7", "++++7", "77777"]),
    (Ask::Counters("Increase"),     Group,    ["++.+7", "++++7", "++++7", "++++7", "77777"]),
    (Ask::Counters("Decrease"),     Group,    ["++.+7", "++++7", "++++7", "++++7", "77777"]),
    (Ask::Counters("Delete"),       Group,    ["++.+7", "++++7", "++++7", "++++7", "77777"]),
];

/// What the fields of groups and of members are declared to be: docs/spec/group-types.md 4.
const FIELDS: &str = r#"[limits]
attr_write_per_sec = 0
[custom_fields]
group = [
  { key = "by_member", write = "member" }, { key = "by_admin", write = "admin" }, { key = "by_owner", write = "owner" },
  { key = "by_app", write = "app_admin" },
]
member = [{ key = "by_member", write = "member" }, { key = "by_owner", write = "owner", own_write = false }]
"#;

impl Ask {
    /// The applying and inviting that the group has when it is asked for, and another.
    fn joins(kind: usize) -> [[&'static str; 2]; 2] {
        let apply = [
            ["DisableApply", "FreeAccess"],
            ["NeedPermission", "DisableApply"],
            ["FreeAccess", "DisableApply"],
            ["FreeAccess", "DisableApply"],
            ["FreeAccess", "NeedPermission"],
        ];
        let invite = [
            ["FreeAccess", "NeedPermission"],
            ["DisableInvite", "FreeAccess"],
            ["DisableInvite", "FreeAccess"],
            ["DisableInvite", "FreeAccess"],
            ["FreeAccess", "DisableInvite"],
        ];
        [apply[kind], invite[kind]]
    }

    /// How the group is made that it is asked of.
    fn group(self, kind: usize) -> Value {
        let group = json!({"Type": TYPES[kind], "Name": "club", "Owner_Account": OWNER});
        let group = match kind {
            LIVE => group,
            WORK => with(group, json!({"MemberList": listed(&MEMBERS)})),
            _ => {
                let members = MEMBERS.map(|name| json!({"Member_Account": name}));
                let admins = ADMINS.map(|name| json!({"Member_Account": name, "Role": "Admin"}));
                let members = [admins, members].concat();
                with(group, json!({"MemberList": members}))
            }
        };
        match self {
            Ask::TransferOrphan => with(group, json!({"Owner_Account": null})),
            Ask::PermissionsOfTopics => with(group, json!({"SupportTopic": 1})),
            Ask::Add(option) if kind != LIVE => with(group, json!({"InviteJoinOption": option})),
            _ => group,
        }
    }

    /// The request as an app admin makes it; the group's id is added.
    fn request(self, kind: usize, on: &str) -> (&'static str, Value) {
        let base_info = |fields: Value| ("modify_group_base_info", fields);
        let member = |fields: Value| ("modify_group_member_info", with(json!({"Member_Account": on}), fields));
        let new = json!({"Type": TYPES[kind], "Name": "club"});
        let [apply, invite] = Self::joins(kind);
        let live = |command: u32| ("modify_admin", json!({"CommandType": command, "Admin_Account": [on]}));
        match self {
            Ask::Create => ("create_group", new),
            Ask::CreateWithMembers => ("create_group", with(new, json!({"MemberList": listed(&[on])}))),
            Ask::CreateWith(role) => {
                ("create_group", with(new, json!({"MemberList": [{"Member_Account": on, "Role": role}]})))
            }
            Ask::Import => ("import_group", new),
            Ask::ImportMembers => ("import_group_member", json!({"MemberList": listed(&[on])})),
            Ask::Transfer | Ask::TransferOrphan => ("change_group_owner", json!({"NewOwner_Account": on})),
            Ask::Disband => ("destroy_group", json!({})),
            Ask::Text(field) => base_info(json!({field: "other"})),
            Ask::GroupField(key) => base_info(json!({"AppDefinedData": [{"Key": key, "Value": "v"}]})),
            Ask::ApplyJoin => base_info(json!({"ApplyJoinOption": apply[1]})),
            Ask::ApplyJoinAsItIs => base_info(json!({"ApplyJoinOption": apply[0]})),
            Ask::InviteJoin => base_info(json!({"InviteJoinOption": invite[1]})),
            Ask::InviteJoinAsItIs => base_info(json!({"InviteJoinOption": invite[0]})),
            Ask::MembersMax => base_info(json!({"MaxMemberNum": 500})),
            Ask::MuteAll => base_info(json!({"MuteAllMember": "On"})),
            Ask::HistoryBeforeJoin => {
                base_info(json!({"HistoryMsgBeforeJoin": if other_history(kind) { "On" } else { "Off" }}))
            }
            Ask::SupportTopic => base_info(json!({"SupportTopic": 1})),
            Ask::Permissions | Ask::PermissionsOfTopics => base_info(json!({"EnablePermission": 1})),
            Ask::Role(role) => member(json!({"Role": role})),
            Ask::Mute => ("forbid_send_msg", json!({"Members_Account": [on], "MuteTime": 60})),
            Ask::Unmute => ("forbid_send_msg", json!({"Members_Account": [on], "MuteTime": 0})),
            Ask::MuteMember => member(json!({"MuteTime": 60})),
            Ask::NameCard => member(json!({"NameCard": "card"})),
            Ask::MemberField(key) => member(json!({"AppMemberDefinedData": [{"Key": key, "Value": "v"}]})),
            Ask::MsgFlag => member(json!({"MsgFlag": "Discard"})),
            Ask::Ban => ("ban_group_member", json!({"Members_Account": [on], "Duration": 60})),
            Ask::Unban => ("unban_group_member", json!({"Members_Account": [on]})),
            Ask::AppointLive => live(1),
            Ask::DismissLive => live(2),
            Ask::Add(_) => ("add_group_member", json!({"MemberList": listed(&[on])})),
            Ask::Remove => ("delete_group_member", json!({"MemberToDel_Account": [on]})),
            Ask::Attributes(command) => {
                let attributes = json!({"GroupAttr": [{"key": "k", "value": "v"}]});
                (command, if command == "clear_group_attr" { json!({}) } else { attributes })
            }
            Ask::Counters("Delete") => ("delete_group_counter", json!({"GroupCounterKeys": ["k"]})),
            Ask::Counters(mode) => {
                ("update_group_counter", json!({"Mode": mode, "GroupCounter": [{"Key": "k", "Value": 1}]}))
            }
            Ask::Read(command) => (command, read(command, on)),
        }
    }

    fn makes_the_group(self) -> bool {
        matches!(self, Ask::Create | Ask::CreateWithMembers | Ask::CreateWith(_) | Ask::Import)
    }
}

/// The history setting that a group of this type does not begin with: docs/spec/group-types.md 3.
fn other_history(kind: usize) -> bool {
    !matches!(TYPES[kind], "Meeting" | "Community")
}

fn read(command: &str, on: &str) -> Value {
    match command {
        "get_specified_group_member_info" => json!({"Member_List_Account": [on]}),
        "get_role_in_group" => json!({"User_Account": [on]}),
        "get_joined_group_list" => json!({"Member_Account": on}),
        "get_group_ban_member" => json!({"Offset": 0}),
        _ => json!({}),
    }
}

/// The code that a letter stands for; `None`: there is no such cell.
fn code_of(letter: char) -> Option<u32> {
    match letter {
        '+' => Some(0),
        '7' => Some(10007),
        '4' => Some(10004),
        '.' => None,
        other => panic!("{other} means nothing"),
    }
}

/// The expected code of a cell.
fn expected(cells: &[Cell; 5], kind: usize, rank: usize) -> Option<u32> {
    let cell = cells[kind];
    assert_eq!(cell.len(), RANKS.len(), "{cell}");
    code_of(cell.chars().nth(rank).expect("a letter"))
}

fn node() -> Node {
    Node::start_with(Settings { toml: FIELDS.into(), ..Settings::default() })
}

/// Makes the group that something is asked of.
async fn prepare(client: &mut Client, ask: Ask, kind: usize, id: &str) {
    let named = |body: Value| with(body, json!({"GroupId": id}));
    client.ok("create_group", named(ask.group(kind))).await;
    if kind == LIVE {
        client.ok("modify_admin", named(json!({"CommandType": 1, "Admin_Account": ADMINS}))).await;
    }
    if ask == Ask::Attributes("delete_group_attr") {
        client.ok("set_group_attr", named(json!({"GroupAttr": [{"key": "k", "value": "old"}]}))).await;
    }
}

#[tokio::test]
async fn every_cell_of_an_app_admin_over_http() {
    let node = node();
    let mut client = node.client().await;
    let mut executed = 0;
    let mut wrong = Vec::new();
    for (place, (ask, on, cells)) in RIGHTS.iter().enumerate() {
        for (kind, name) in TYPES.iter().enumerate() {
            let Some(expected) = expected(cells, kind, APP_ADMIN) else { continue };
            let id = if *name == "Community" { format!("@TGS#_{place}") } else { format!("{name}.{place}") };
            if !ask.makes_the_group() {
                prepare(&mut client, *ask, kind, &id).await;
            }
            let (command, body) = ask.request(kind, on.account(ADMIN));
            // Others would keep an id of a live room for themselves.
            let body = with(body, json!({"GroupId": id, "GroupIdList": [id]}));
            let answer = client.call(command, body.clone()).await;
            executed += 1;
            if answer["ErrorCode"] != expected {
                wrong.push(format!("{ask:?} on {on:?} in {name}: expected {expected}: {command} {body}: {answer}"));
            }
        }
    }
    println!("{executed} cells of app admins over HTTP");
    assert!(wrong.is_empty(), "{} of {executed}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(executed > 400, "{executed}");
}

/// Who is no admin of the app may do nothing here, whatever its place in the group.
#[tokio::test]
async fn every_command_of_everybody_else_over_http() {
    let node = node();
    let mut client = node.client().await;
    let id = "club";
    prepare(&mut client, Ask::Remove, 1, id).await;
    let groups = [
        "create_group",
        "get_group_info",
        "get_group_member_info",
        "add_group_member",
        "delete_group_member",
        "modify_group_base_info",
        "destroy_group",
        "get_joined_group_list",
        "get_specified_group_member_info",
        "modify_group_member_info",
        "get_role_in_group",
        "forbid_send_msg",
        "get_group_muted_account",
        "get_group_shutted_uin",
        "change_group_owner",
        "import_group",
        "import_group_member",
        "get_group_attr",
        "set_group_attr",
        "modify_group_attr",
        "clear_group_attr",
        "delete_group_attr",
        "get_group_counter",
        "update_group_counter",
        "delete_group_counter",
        "ban_group_member",
        "unban_group_member",
        "get_group_ban_member",
        "get_appid_group_list",
        "modify_admin",
        "get_admin_list",
    ];
    let accounts = ["account_import", "multiaccount_import", "account_check", "account_delete"];
    let commands = groups.map(|command| ("group_open_http_svc", command)).into_iter();
    let commands: Vec<_> = commands.chain(accounts.map(|command| ("im_open_login_svc", command))).collect();
    let before = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
    let mut executed = 0;
    for (service, command) in commands {
        // A good request of another app's admin is one of that app.
        let callers = [OWNER, ADMINS[0], MEMBERS[0], STRANGERS[0]];
        for caller in callers {
            let path = format!("/v4/{service}/{command}?{}", query(APP, KEY, caller));
            let (_, answer) = client.raw("POST", &path, json!({"GroupId": id}).to_string()).await.expect("an answer");
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["ErrorCode"], 60010, "{command} by {caller}: {answer}");
            executed += 1;
        }
    }
    let path = format!("/v4/group_open_http_svc/destroy_group?{}", query(OTHER_APP, OTHER_KEY, ADMIN));
    let (_, answer) = client.raw("POST", &path, json!({"GroupId": id}).to_string()).await.expect("an answer");
    assert_eq!(serde_json::from_slice::<Value>(&answer).expect("JSON")["ErrorCode"], 10010);
    println!("{executed} calls of others over HTTP");
    assert_eq!(client.ok("get_group_info", json!({"GroupIdList": [id]})).await, before);
}
