//! What tests of endpoints share: a call without a service, and values to render.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub use super::describing::described;

use crate::actors::{GroupView, MemberView, Version};
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::{Call, Rules};
use crate::config::Config;
use crate::group::{Facts, Kind, MsgFlag, Operator, Role};
use crate::id::{AccountId, AppId, GroupId};
use crate::time::Stamp;

pub const NOW_SECS: u64 = 1_788_000_000;

/// The rules of a configuration, and the admin `root` who calls at [`NOW_SECS`].
pub struct Bench {
    rules: Rules,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(&Config::default())
    }

    pub fn with(config: &Config) -> Self {
        Self { rules: Rules::new(config) }
    }

    pub fn operator(&self) -> Operator {
        Operator::AppAdmin { name: account("root") }
    }

    pub fn object<'a>(&self, body: &'a str) -> Object<'a> {
        Object::parse(body.as_bytes(), false).expect("the body of a test is an object")
    }

    pub fn call<T>(&self, then: impl FnOnce(&Call<'_>) -> T) -> T {
        then(&Call {
            rules: &self.rules,
            app: AppId(1_400_000_000),
            caller: account("root"),
            deadline: Instant::now(),
            now_secs: NOW_SECS,
            request: None,
            minted: OnceLock::new(),
            is_counted: AtomicBool::new(false),
        })
    }

    pub fn read<T>(
        &self,
        body: &str,
        read: impl FnOnce(&Call<'_>, &Object<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.call(|call| read(call, &self.object(body)))
    }
}

pub fn account(name: &str) -> AccountId {
    AccountId::parse(name).expect("an account")
}

pub fn code<T>(result: Result<T, Failure>) -> u32 {
    result.map_or_else(|failure| failure.code, |_| 0)
}

pub fn text(answer: Vec<u8>) -> String {
    let text = String::from_utf8(answer).expect("an answer is UTF-8");
    serde_json::from_str::<serde_json::Value>(&text).expect("an answer is JSON");
    text
}

/// Of whatever is shown.
pub const VERSION: Version = Version { term: 1, activation: 1, counter: 1 };

pub fn a_group(kind: Kind) -> GroupView {
    let facts = Facts {
        kind,
        owner: Some(account("mira")),
        created: Stamp(1_787_000_000_999),
        members_max: 6_000,
        member_count: 2,
        admin_count: 1,
        apply_join: Kind::Public.default_apply_join(),
        invite_join: Kind::Public.default_invite_join(),
        mute_all: true,
        history_before_join: false,
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
        active: true,
        next_msg_seq: 58,
        next_join_seq: 2,
        info_seq: 3,
        last_info: Stamp(1_787_000_001_000),
        last_msg: Stamp(0),
        last_joined: Stamp(1_787_000_000_999),
        joins_in_order: true,
    };
    GroupView {
        id: GroupId::parse("trail-club").expect("a group id"),
        version: VERSION,
        facts,
        name: "Trail \"club\"".to_owned(),
        introduction: String::new(),
        notification: "n".to_owned(),
        face_url: String::new(),
        custom: vec![("city".to_owned(), "Graz".to_owned())],
        members: None,
    }
}

pub fn a_member(name: &str) -> MemberView {
    MemberView {
        account: account(name),
        role: Role::Admin,
        joined: Stamp(1_787_000_000_000),
        msg_seq: 41,
        msg_flag: MsgFlag::AcceptAndNotify,
        last_send: Stamp(0),
        name_card: "Card".to_owned(),
        mute_until: 1_788_009_000,
        custom: vec![("badge".to_owned(), "7".to_owned())],
    }
}
