//! Malformed bodies of every command: each field missing, of each wrong JSON type, empty, too long, too many.
//!
//! A table says what each field is; what can be wrong with it follows from that. Whatever is refused changes nothing.
//! Source: docs/spec/rest-api.md 2.2 and 4, docs/spec/identifiers.md 1.3 and 3, docs/spec/limits.md 1 to 3.

use serde_json::{Value, json};

use crate::shared::{client, create, info, listed, refused, unique};
use crate::support::Client;

/// What a field is. A text, list or number has bounds; 0: none that a test can pass.
#[derive(Clone, Copy)]
enum Shape {
    /// The id that addresses a group; always required.
    Group,
    /// The id that a new group is to have.
    NewGroup,
    /// The code is that of one byte too many.
    Text {
        bytes_max: usize,
        too_long: u32,
    },
    /// Whatever it says.
    AnyText,
    /// As a text, and "" is refused.
    Words {
        bytes_max: usize,
        too_long: u32,
    },
    /// A text, or a number or a boolean that stands for its text.
    Scalar {
        bytes_max: usize,
    },
    /// A key of a custom field.
    Key,
    /// One out of a list; some that are in other lists are not in this one.
    Word(&'static [&'static str]),
    /// The code is that of a text that names nobody.
    Account {
        malformed: u32,
    },
    Accounts {
        max: usize,
    },
    Integer {
        max: u64,
    },
    Signed,
    Texts {
        max: usize,
        too_many: u32,
    },
    Roles,
    Object(&'static [Field]),
    Objects {
        max: usize,
        too_many: u32,
        fields: &'static [Field],
    },
}

#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    is_required: bool,
    shape: Shape,
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, is_required: true, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, is_required: false, shape }
}

use Shape::*;

/// Fields of objects live as long as the table.
macro_rules! fields {
    ($($field:expr),* $(,)?) => {{
        const FIELDS: &[Field] = &[$($field),*];
        FIELDS
    }};
}

const GROUP: Field = required("GroupId", Group);
const FLAG: Shape = Integer { max: 1 };
const ANY_INTEGER: Shape = Integer { max: 0 };
/// 32 bits: seconds of a span, members of a group.
const U32: Shape = Integer { max: u32::MAX as u64 };
const WORD: Shape = Word(&[]);
const ACCOUNT: Shape = Account { malformed: 10004 };
const OPERATOR: Shape = Account { malformed: 10012 };
const NAMES: Shape = Texts { max: 0, too_many: 0 };
const fn text(bytes_max: usize) -> Shape {
    Text { bytes_max, too_long: 10004 }
}
const fn custom(of_member: bool) -> Shape {
    let fields: &[Field] = match of_member {
        true => fields![required("Key", Key), optional("Value", Scalar { bytes_max: 64 })],
        false => fields![required("Key", Key), optional("Value", Scalar { bytes_max: 512 })],
    };
    // So many that whatever they say is more than a group or a member may have.
    Objects { max: if of_member { 10 } else { 20 }, too_many: 10004, fields }
}
const fn list(max: usize, fields: &'static [Field]) -> Shape {
    Objects { max, too_many: 10005, fields }
}

const FILTERS: [Field; 3] = [
    optional("MemberInfoFilter", NAMES),
    optional("MemberRoleFilter", Roles),
    optional("AppDefinedDataFilter_GroupMember", NAMES),
];
const ATTRIBUTE_KEY: Field = required("key", Words { bytes_max: 32, too_long: 10045 });
const ATTRIBUTES: Shape = Objects {
    max: 0,
    too_many: 0,
    fields: fields![ATTRIBUTE_KEY, required("value", Text { bytes_max: 4000, too_long: 10046 })],
};
const COUNTER_KEY: Shape = Words { bytes_max: 128, too_long: 10004 };
const COUNTER_KEYS: Field = optional("GroupCounterKeys", Texts { max: 20, too_many: 10063 });

/// What create_group and import_group share.
const NEW: [Field; 14] = [
    required("Type", Word(&["BChatRoom", "public"])),
    required("Name", Words { bytes_max: 30, too_long: 10004 }),
    optional("GroupId", NewGroup),
    optional("Owner_Account", ACCOUNT),
    optional("Introduction", text(240)),
    optional("Notification", text(300)),
    optional("FaceUrl", text(100)),
    optional("MaxMemberCount", U32),
    optional("ApplyJoinOption", Word(&["DisableInvite"])),
    optional("InviteJoinOption", Word(&["DisableApply"])),
    optional("AppDefinedData", custom(false)),
    optional("SupportTopic", FLAG),
    optional("EnablePermission", FLAG),
    optional("DefaultPermission", ANY_INTEGER),
];

/// Every command, the type of group it is sent to, and what its fields are.
fn commands() -> Vec<(&'static str, &'static str, Vec<Field>)> {
    let of = |fields: &[&[Field]]| fields.concat();
    let banned = [GROUP, required("Members_Account", Accounts { max: 20 })];
    let muted = [GROUP, optional("TopicId", Words { bytes_max: 1, too_long: 110_013 })];
    vec![
        (
            "get_appid_group_list",
            "Public",
            of(&[&[
                optional("Limit", ANY_INTEGER),
                optional("Next", ANY_INTEGER),
                optional("GroupType", WORD),
                optional("Type", WORD),
            ]]),
        ),
        (
            "create_group",
            "",
            of(&[
                &NEW,
                &[optional(
                    "MemberList",
                    list(
                        100,
                        fields![
                            required("Member_Account", ACCOUNT),
                            optional("Role", Word(&["Owner", "NotMember"])),
                            optional("AppMemberDefinedData", custom(true)),
                        ],
                    ),
                )],
            ]),
        ),
        (
            "get_group_info",
            "Public",
            of(&[&[
                required("GroupIdList", Texts { max: 50, too_many: 10005 }),
                optional(
                    "ResponseFilter",
                    Object(fields![
                        optional("GroupBaseInfoFilter", NAMES),
                        optional("MemberInfoFilter", NAMES),
                        optional("AppDefinedDataFilter_Group", NAMES),
                        optional("AppDefinedDataFilter_GroupMember", NAMES),
                    ]),
                ),
            ]]),
        ),
        (
            "get_group_member_info",
            "Public",
            of(&[&[GROUP, optional("Limit", ANY_INTEGER), optional("Offset", ANY_INTEGER)], &FILTERS]),
        ),
        (
            "get_specified_group_member_info",
            "Public",
            of(&[&[GROUP, required("Member_List_Account", Accounts { max: 50 })], &FILTERS]),
        ),
        (
            "modify_group_base_info",
            "Public",
            of(&[&[
                GROUP,
                optional("Name", Words { bytes_max: 30, too_long: 10004 }),
                optional("Introduction", text(240)),
                optional("Notification", text(300)),
                optional("FaceUrl", text(100)),
                optional("MaxMemberNum", U32),
                optional("ApplyJoinOption", Word(&["DisableInvite"])),
                optional("InviteJoinOption", Word(&["DisableApply"])),
                optional("MuteAllMember", Word(&["on", "1"])),
                optional("ShutUpAllMember", WORD),
                optional("HistoryMsgBeforeJoin", WORD),
                optional("AppDefinedData", custom(false)),
                optional("EnablePermission", FLAG),
                optional("DefaultPermission", ANY_INTEGER),
                optional("From_Account", OPERATOR),
            ]]),
        ),
        (
            "add_group_member",
            "Public",
            of(&[&[
                GROUP,
                optional("Silence", FLAG),
                required("MemberList", list(300, fields![required("Member_Account", ACCOUNT)])),
            ]]),
        ),
        (
            "delete_group_member",
            "Public",
            of(&[&[
                GROUP,
                required("MemberToDel_Account", Accounts { max: 500 }),
                optional("Silence", FLAG),
                optional("Reason", text(256)),
            ]]),
        ),
        (
            "modify_group_member_info",
            "Public",
            of(&[&[
                GROUP,
                required("Member_Account", ACCOUNT),
                optional("Role", Word(&["Owner", "NotMember"])),
                optional("MsgFlag", Word(&["On"])),
                optional("NameCard", text(50)),
                optional("MuteTime", U32),
                optional("ShutUpTime", U32),
                optional("ShutUpUntil", U32),
                optional("AppMemberDefinedData", custom(true)),
            ]]),
        ),
        ("destroy_group", "Public", of(&[&[GROUP]])),
        (
            "get_joined_group_list",
            "Public",
            of(&[&[
                required("Member_Account", ACCOUNT),
                optional("WithHugeGroups", FLAG),
                optional("WithNoActiveGroups", FLAG),
                optional("Limit", ANY_INTEGER),
                optional("Offset", ANY_INTEGER),
                optional("GroupType", WORD),
                optional("Type", WORD),
                optional("SupportTopic", FLAG),
                optional(
                    "ResponseFilter",
                    Object(fields![
                        optional("GroupBaseInfoFilter", NAMES),
                        optional("SelfInfoFilter", NAMES),
                        optional("AppDefinedDataFilter_GroupMember", NAMES)
                    ]),
                ),
            ]]),
        ),
        ("get_role_in_group", "Public", of(&[&[GROUP, required("User_Account", Accounts { max: 500 })]])),
        (
            "forbid_send_msg",
            "Public",
            of(&[&muted, &[required("Members_Account", Accounts { max: 500 }), required("MuteTime", U32)]]),
        ),
        ("get_group_muted_account", "Public", of(&[&muted])),
        ("get_group_shutted_uin", "Public", of(&[&muted])),
        (
            "change_group_owner",
            "Public",
            of(&[&[GROUP, required("NewOwner_Account", ACCOUNT), optional("From_Account", OPERATOR)]]),
        ),
        ("import_group", "", of(&[&NEW, &[optional("CreateTime", ANY_INTEGER)]])),
        (
            "import_group_member",
            "Public",
            of(&[&[
                GROUP,
                required(
                    "MemberList",
                    list(
                        300,
                        fields![
                            required("Member_Account", ACCOUNT),
                            optional("Role", AnyText),
                            optional("JoinTime", ANY_INTEGER),
                            optional("UnreadMsgNum", ANY_INTEGER),
                        ],
                    ),
                ),
            ]]),
        ),
        ("get_group_attr", "Public", of(&[&[GROUP]])),
        ("set_group_attr", "Public", of(&[&[GROUP, required("GroupAttr", ATTRIBUTES)]])),
        ("modify_group_attr", "Public", of(&[&[GROUP, required("GroupAttr", ATTRIBUTES)]])),
        ("clear_group_attr", "Public", of(&[&[GROUP]])),
        (
            "delete_group_attr",
            "Public",
            of(&[&[GROUP, required("GroupAttr", Objects { max: 0, too_many: 0, fields: fields![ATTRIBUTE_KEY] })]]),
        ),
        ("get_group_counter", "Public", of(&[&[GROUP, COUNTER_KEYS]])),
        (
            "update_group_counter",
            "Public",
            of(&[&[
                GROUP,
                required(
                    "GroupCounter",
                    Objects {
                        max: 20,
                        too_many: 10063,
                        fields: fields![required("Key", COUNTER_KEY), required("Value", Signed)],
                    },
                ),
                optional("Mode", Word(&["set", "Add"])),
            ]]),
        ),
        ("delete_group_counter", "Public", of(&[&[GROUP, COUNTER_KEYS]])),
        (
            "ban_group_member",
            "AVChatRoom",
            of(&[&banned, &[required("Duration", U32), optional("Description", text(1000))]]),
        ),
        ("unban_group_member", "AVChatRoom", of(&[&banned])),
        (
            "get_group_ban_member",
            "AVChatRoom",
            of(&[&[GROUP, optional("Limit", ANY_INTEGER), required("Offset", ANY_INTEGER)]]),
        ),
        (
            "modify_admin",
            "AVChatRoom",
            of(&[&[
                GROUP,
                required("CommandType", Integer { max: 2 }),
                required("Admin_Account", Accounts { max: 5 }),
            ]]),
        ),
        ("get_admin_list", "AVChatRoom", of(&[&[GROUP]])),
    ]
}

impl Shape {
    /// A value that is good; `n` tells several of them apart.
    fn good(self, id: &str, n: usize) -> Value {
        match self {
            Group | NewGroup => json!(id),
            Text { .. } | AnyText | Words { .. } => json!(format!("x{n}")),
            Scalar { .. } => json!("v"),
            Key => json!(format!("k{n}")),
            Word(_) => json!("Public"),
            Account { .. } => json!(format!("nobody.{n}")),
            Accounts { .. } => json!([format!("nobody.{n}")]),
            Integer { .. } | Signed => json!(1),
            Texts { .. } => json!([id]),
            Roles => json!(["Owner"]),
            Object(_) => json!({}),
            Objects { fields, .. } => json!([good_item(fields, id, n)]),
        }
    }

    /// What it may not be, each with its code.
    fn bad(self, id: &str) -> Vec<(Value, u32)> {
        let x = |bytes: usize| "x".repeat(bytes);
        let scalars_and_lists = || [json!(true), json!(7), json!(1.5), json!([]), json!(["a"]), json!({})];
        let all = |values: &[Value], code: u32| values.iter().map(|value| (value.clone(), code)).collect::<Vec<_>>();
        let no_text = || all(&scalars_and_lists(), 10004);
        let no_list = || all(&[json!(true), json!(7), json!("a"), json!({}), json!({"a": 1})], 10004);
        let malformed_ids = [json!(x(49)), json!("a\nb"), json!("k\u{e4}se")];
        let malformed_accounts =
            || [json!(""), json!(x(33)), json!("a\u{0}b"), json!("k\u{e4}se"), json!("@TGS#1"), json!("@TOPIC#1")];
        let no_number = || {
            let values =
                [json!(true), json!([]), json!([1]), json!({}), json!(""), json!("x"), json!("1.0"), json!(1.5)];
            all(&values, 10004)
        };
        match self {
            Group => [no_text(), all(&[json!("")], 10004), all(&malformed_ids, 10015)].concat(),
            NewGroup => {
                let reserved = [json!(""), json!("@TGS#1"), json!("@TGS#_c"), json!("a@TOPIC#_b"), json!(" a")];
                [no_text(), all(&malformed_ids, 10004), all(&reserved, 10004)].concat()
            }
            AnyText => no_text(),
            Text { bytes_max, too_long } => [no_text(), all(&[json!(x(bytes_max + 1))], too_long)].concat(),
            Words { bytes_max, too_long } => {
                // A wide character is as long as its bytes.
                let wide = format!("{}\u{e4}", x(bytes_max - 1));
                let empty = if too_long == 110_013 { too_long } else { 10004 };
                [no_text(), all(&[json!("")], empty), all(&[json!(x(bytes_max + 1)), json!(wide)], too_long)].concat()
            }
            Scalar { bytes_max } => all(&[json!([]), json!({}), json!(["a"]), json!(x(bytes_max + 1))], 10004),
            Key => [no_text(), all(&[json!(""), json!(x(17)), json!("a-b"), json!("a b"), json!("\u{e4}")], 10004)]
                .concat(),
            Word(others) => {
                let others: Vec<Value> = others.iter().chain(&["", "Nonsense"]).map(|word| json!(word)).collect();
                [no_text(), all(&others, 10004)].concat()
            }
            Account { malformed } => {
                let mut bad = all(&scalars_and_lists(), 60015);
                bad.extend(all(&malformed_accounts(), malformed));
                bad
            }
            Accounts { max } => {
                let mut bad = no_list();
                bad.push((json!([]), 10004));
                for item in [json!(null), json!(true), json!(7), json!({"Member_Account": "a"}), json!(["a"])] {
                    bad.push((json!([item]), 60015));
                    bad.push((json!(["nobody", item]), 60015));
                }
                bad.extend(malformed_accounts().map(|item| (json!(["nobody", item]), 10004)));
                bad.push((json!(vec!["nobody"; max + 1]), 10005));
                bad
            }
            Integer { max } => {
                let over = if max == 0 { json!("18446744073709551616") } else { json!(max + 1) };
                [no_number(), all(&[json!(-1), json!("-1"), over], 10004)].concat()
            }
            Signed => {
                let over = [json!(9_223_372_036_854_775_808_u64), json!("-9223372036854775809"), json!("--1")];
                [no_number(), all(&over, 10004)].concat()
            }
            Texts { max, too_many } => {
                let items = [json!([true]), json!([7]), json!([null]), json!(["a", {}]), json!([["a"]])];
                let mut bad = [no_list(), all(&items, 10004)].concat();
                if max > 0 {
                    bad.push(((0..=max).map(|n| json!(format!("x{n}"))).collect(), too_many));
                }
                bad
            }
            Roles => [no_list(), all(&[json!([1]), json!(["Boss"]), json!(["Owner", "NotMember"])], 10004)].concat(),
            Object(fields) => {
                let mut bad = all(&[json!(true), json!(7), json!("a"), json!([]), json!([{}])], 10004);
                bad.extend(spoilt(&json!({}), fields, id));
                bad
            }
            Objects { max, too_many, fields } => {
                let items = [json!(["a"]), json!([7]), json!([null]), json!([[]]), json!([true])];
                let mut bad = [no_list(), all(&items, 10004)].concat();
                let good = good_item(fields, id, 0);
                bad.extend(spoilt(&good, fields, id).into_iter().map(|(item, code)| (json!([item]), code)));
                // One that is bad spoils the others.
                bad.extend(
                    spoilt(&good, fields, id)
                        .into_iter()
                        .map(|(item, code)| (json!([good_item(fields, id, 1), item]), code)),
                );
                if max > 0 {
                    bad.push(((0..=max).map(|n| good_item(fields, id, n)).collect(), too_many));
                }
                bad
            }
        }
    }
}

/// An object that has what it needs.
fn good_item(fields: &[Field], id: &str, n: usize) -> Value {
    let mut item = json!({});
    for field in fields.iter().filter(|field| field.is_required) {
        item[field.name] = field.shape.good(id, n);
    }
    item
}

/// A good object with each of its fields spoilt in each way.
fn spoilt(good: &Value, fields: &[Field], id: &str) -> Vec<(Value, u32)> {
    let mut bad = Vec::new();
    for field in fields {
        bad.extend(spoilt_field(good, field, id));
    }
    bad
}

fn spoilt_field(good: &Value, field: &Field, id: &str) -> Vec<(Value, u32)> {
    let mut bad = Vec::new();
    let mut spoil = |value: Option<Value>, code| {
        let mut object = good.clone();
        match value {
            Some(value) => object[field.name] = value,
            None => {
                object.as_object_mut().expect("an object").remove(field.name);
            }
        }
        bad.push((object, code));
    };
    for (value, code) in field.shape.bad(id) {
        spoil(Some(value), code);
    }
    if field.is_required {
        spoil(None, 10004);
        spoil(Some(Value::Null), 10004);
        if matches!(field.shape, Texts { .. } | Objects { .. }) {
            spoil(Some(json!([])), 10004);
        }
    }
    bad
}

/// Everything that can be read of a group.
async fn everything(client: &mut Client, id: &str, is_live: bool) -> Vec<Value> {
    let mut seen = vec![info(client, id).await];
    let group = json!({"GroupId": id});
    for command in ["get_group_attr", "get_group_counter", "get_group_muted_account"] {
        seen.push(client.ok(command, group.clone()).await);
    }
    if is_live {
        seen.push(client.ok("get_admin_list", group).await);
        seen.push(client.ok("get_group_ban_member", json!({"GroupId": id, "Offset": 0})).await);
    }
    seen
}

/// A group with something of everything in it, so that anything may be lost.
async fn a_group(client: &mut Client, kind: &str) -> String {
    let is_live = kind == "AVChatRoom";
    let names = [unique("ann"), unique("bob")];
    let mut fields = json!({
        "Owner_Account": names[0], "Introduction": "i", "Notification": "n", "FaceUrl": "f",
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
    });
    if !is_live {
        fields["MemberList"] = listed(&names[1..]);
    }
    let id = create(client, kind, fields).await;
    let target = [&names[1]];
    client.ok("set_group_attr", json!({"GroupId": id, "GroupAttr": [{"key": "x0", "value": "v"}]})).await;
    client.ok("update_group_counter", json!({"GroupId": id, "GroupCounter": [{"Key": "x0", "Value": 3}]})).await;
    client.ok("forbid_send_msg", json!({"GroupId": id, "Members_Account": target, "MuteTime": u32::MAX})).await;
    if is_live {
        client.ok("modify_admin", json!({"GroupId": id, "CommandType": 1, "Admin_Account": target})).await;
        client
            .ok("ban_group_member", json!({"GroupId": id, "Members_Account": [unique("eve")], "Duration": u32::MAX}))
            .await;
    }
    id
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_changes_nothing() {
    let mut client = client().await;
    for (command, kind, fields) in commands() {
        let makes_group = kind.is_empty();
        let id = if makes_group { unique("g") } else { a_group(&mut client, kind).await };
        let is_live = kind == "AVChatRoom";
        let good = good_item(&fields, &id, 0);
        for field in &fields {
            let before = if makes_group { Vec::new() } else { everything(&mut client, &id, is_live).await };
            for (mut body, code) in spoilt_field(&good, field, &id) {
                if makes_group && field.name != "GroupId" {
                    body["GroupId"] = json!(id);
                }
                refused(&mut client, command, body, code).await;
            }
            if makes_group {
                assert_eq!(info(&mut client, &id).await["ErrorCode"], 10010, "{command} {} made a group", field.name);
            } else {
                let after = everything(&mut client, &id, is_live).await;
                assert_eq!(after, before, "{command}: something malformed in {} had an effect", field.name);
            }
        }
    }
}

#[tokio::test]
async fn shape_is_looked_at_before_the_group() {
    let mut client = client().await;
    for (command, kind, fields) in commands() {
        if kind.is_empty() || !fields.iter().any(|field| field.name == "GroupId") {
            continue;
        }
        let absent = unique("absent");
        let good = good_item(&fields, &absent, 0);
        refused(&mut client, command, good.clone(), 10010).await;
        for field in fields.iter().filter(|field| field.name != "GroupId") {
            for (body, code) in spoilt_field(&good, field, &absent) {
                refused(&mut client, command, body, code).await;
            }
        }
        let mut unreadable = good;
        unreadable["GroupId"] = json!("x".repeat(49));
        refused(&mut client, command, unreadable, 10015).await;
    }
}

#[test]
fn the_table_has_every_command() {
    let mut names: Vec<&str> = commands().iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), 31);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 31);
}
