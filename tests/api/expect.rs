//! What answers look like according to docs/spec/rest-api.md 3 and docs/spec/group-types.md 3.

use serde_json::{Value, json};

use crate::shared::with;
use crate::support::{APP, now_secs};

/// Stands for a moment that was found to lie within the test.
pub const THEN: &str = "then";

/// The members of an answer that say when something happened.
const MOMENTS: &[&str] = &["CreateTime", "LastInfoTime", "JoinTime"];

/// A type of group: what a request may call it and what it begins with.
pub struct Kind {
    /// The names a request may use; the second is what answers say.
    pub names: &'static [&'static str],
    pub wire: &'static str,
    pub apply: &'static str,
    pub invite: &'static str,
    pub msg_flag: &'static str,
    pub members_max: u32,
    /// Initial members leave a tip in the group's log, which takes a sequence number (docs/spec/events.md 2.2).
    pub stores_member_tips: bool,
    pub stores_text_tips: bool,
}

pub const WORK: Kind = Kind {
    names: &["Work", "Private"],
    wire: "Private",
    apply: "DisableApply",
    invite: "FreeAccess",
    msg_flag: "AcceptAndNotify",
    members_max: 6000,
    // It is inactive until its first message.
    stores_member_tips: false,
    stores_text_tips: false,
};
pub const PUBLIC: Kind = Kind {
    names: &["Public"],
    wire: "Public",
    apply: "NeedPermission",
    invite: "DisableInvite",
    msg_flag: "AcceptAndNotify",
    members_max: 6000,
    stores_member_tips: true,
    stores_text_tips: true,
};
pub const MEETING: Kind = Kind {
    names: &["Meeting", "ChatRoom"],
    wire: "ChatRoom",
    apply: "FreeAccess",
    invite: "DisableInvite",
    msg_flag: "AcceptNotNotify",
    members_max: 6000,
    stores_member_tips: false,
    stores_text_tips: true,
};
pub const LIVE: Kind = Kind {
    names: &["AVChatRoom"],
    wire: "AVChatRoom",
    apply: "FreeAccess",
    invite: "DisableInvite",
    msg_flag: "AcceptNotNotify",
    members_max: 0,
    stores_member_tips: false,
    stores_text_tips: false,
};
pub const COMMUNITY: Kind = Kind {
    names: &["Community"],
    wire: "Community",
    apply: "FreeAccess",
    invite: "FreeAccess",
    msg_flag: "AcceptAndNotify",
    members_max: 100_000,
    stores_member_tips: true,
    stores_text_tips: true,
};

pub const ALL: [&Kind; 5] = [&WORK, &PUBLIC, &MEETING, &LIVE, &COMMUNITY];
/// Those that store their members.
pub const STORED: [&Kind; 4] = [&WORK, &PUBLIC, &MEETING, &COMMUNITY];

/// An answer that is OK, with what it says besides.
pub fn ok(fields: Value) -> Value {
    with(json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}), fields)
}

/// The answer that carries one group.
pub fn group_info(group: Value) -> Value {
    ok(json!({"GroupInfo": [group]}))
}

/// A group named `club` that nobody has joined, as it is without a filter right after its creation.
pub fn group(kind: &Kind, id: &str) -> Value {
    let base = json!({
        "GroupId": id,
        "ErrorCode": 0,
        "ErrorInfo": "",
        "Appid": APP,
        "Type": kind.wire,
        "Name": "club",
        "Introduction": "",
        "Notification": "",
        "FaceUrl": "",
        "Owner_Account": "",
        "CreateTime": THEN,
        "InfoSeq": 1,
        "LastInfoTime": THEN,
        "LastMsgTime": 0,
        "NextMsgSeq": 1,
        "MemberNum": 0,
        "MaxMemberNum": kind.members_max,
        "ApplyJoinOption": kind.apply,
        "InviteJoinOption": kind.invite,
        "MuteAllMember": "Off",
        "ShutUpAllMember": "Off",
        "OnlineMemberNum": 0,
        "MemberList": [],
    });
    match kind.wire {
        "AVChatRoom" => with(base, json!({"MemberList": null})),
        "Community" => with(base, json!({"SupportTopic": 0})),
        _ => base,
    }
}

/// A member as it is without a filter, of a group's first hour.
pub fn member(kind: &Kind, account: &str, role: &str) -> Value {
    json!({
        "Member_Account": account,
        "Role": role,
        "JoinTime": THEN,
        "MsgSeq": 0,
        "MsgFlag": kind.msg_flag,
        "LastSendMsgTime": 0,
        "NameCard": "",
        "MuteUntil": 0,
        "ShutUpUntil": 0,
    })
}

/// Replaces every moment by [`THEN`], having checked that it is not before `since` and not after now (Unix seconds).
pub fn settled(mut answer: Value, since: u64) -> Value {
    settle(&mut answer, since);
    answer
}

fn settle(value: &mut Value, since: u64) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| settle(item, since)),
        Value::Object(members) => {
            for (key, value) in members {
                if !MOMENTS.contains(&key.as_str()) {
                    settle(value, since);
                    continue;
                }
                let moment = value.as_u64().unwrap_or_else(|| panic!("{key} is not a moment: {value}"));
                assert!((since..=now_secs()).contains(&moment), "{key}: {moment} is not within the test");
                *value = json!(THEN);
            }
        }
        _ => {}
    }
}
