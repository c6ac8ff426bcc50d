//! Thousands of random commands against a node and against a model of what the pages say; every answer is compared.
//!
//! The model knows groups, members, texts and values and nothing of how they are kept. One connection sends one command after
//! the other, so there is one right answer to each, but for members or groups of one and the same moment: their order
//! is by name, and the model only knows between which two moments of its own each was stamped.
//!
//! A failure prints its seed; `MUSTER_TEST_SEED` runs it again.

mod live;
mod members;
mod values;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::expect::{self, Kind};
use crate::shared::{client, listed, names, unique, with};
use crate::support::{ADMIN, Client, now_secs};

const COMMANDS: usize = 6000;
/// How far back an import may lie (seconds): all the moments of a run are later.
const PAST_SECS: u64 = 5000;
/// Few names, so that commands meet.
const ACCOUNTS: usize = 9;
const IDS: usize = 6;

/// SplitMix64: any seed is a good one.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// New values of some custom keys; an empty one deletes its key.
    fn custom(&mut self) -> Vec<(String, String)> {
        let mut custom = Vec::new();
        for key in ["k0", "k1", "k2", "k3"] {
            if self.once_in(5) {
                let value = if self.once_in(3) { String::new() } else { self.below(3).to_string() };
                custom.push((key.to_owned(), value));
            }
        }
        custom
    }

    /// Up to `max` of them, some perhaps twice.
    fn some(&mut self, from: &[String], max: usize) -> Vec<String> {
        (0..self.below(max + 1)).map(|_| self.pick(from).clone()).collect()
    }
}

/// Between which moments something was stamped (Unix milliseconds), and which command it came with.
#[derive(Clone, Copy)]
struct Moment {
    from_ms: u128,
    to_ms: u128,
    /// `None`: the command named the moment, so that others of it have another.
    command: Option<usize>,
}

impl Moment {
    /// The order that two things must be listed in, as far as it is known; names decide within one command.
    fn order(&self, name: &str, other: &Self, other_name: &str) -> Option<Ordering> {
        if self.command.is_some() && self.command == other.command {
            return Some(name.cmp(other_name));
        }
        if self.to_ms < other.from_ms {
            return Some(Ordering::Less);
        }
        (other.to_ms < self.from_ms).then_some(Ordering::Greater)
    }

    /// The second that a request named; it stands for any moment within it.
    fn named(secs: u64) -> Self {
        let from_ms = u128::from(secs) * 1000;
        Self { from_ms, to_ms: from_ms + 999, command: None }
    }

    /// What an answer says of it, in Unix seconds.
    fn assert_is(&self, secs: &Value) {
        let within = self.from_ms / 1000..=self.to_ms / 1000;
        assert!(secs.as_u64().is_some_and(|secs| within.contains(&u128::from(secs))), "{secs} is not {self:?}");
    }

    /// Between which moments (Unix seconds) a span ends that began then; one that never ends, or not in the 32 bits
    /// of the wire, ends with them.
    fn plus(&self, secs: u32) -> Until {
        let end = |ms: u128| (ms as u64 / 1000 + u64::from(secs)).min(FOR_EVER);
        if u64::from(secs) == FOR_EVER { (FOR_EVER, FOR_EVER) } else { (end(self.from_ms), end(self.to_ms)) }
    }
}

/// When something ends: not before, not after (Unix seconds).
type Until = (u64, u64);

const FOR_EVER: u64 = u32::MAX as u64;

/// What an answer says of an end must be possible; nothing has ended during a run.
fn assert_until(shown: &Value, until: Option<&Until>) {
    let (from, to) = until.copied().unwrap_or_default();
    assert!(shown.as_u64().is_some_and(|shown| (from..=to).contains(&shown)), "{shown} is not {from}..={to}");
}

struct Member {
    account: String,
    role: &'static str,
    joined: Moment,
    msg_seq: u64,
    card: String,
    flag: &'static str,
    custom: Vec<(String, String)>,
}

impl Member {
    fn new(kind: &Kind, account: String, role: &'static str, joined: Moment, msg_seq: u64) -> Self {
        Self { account, role, joined, msg_seq, card: String::new(), flag: kind.msg_flag, custom: Vec::new() }
    }
}

struct Group {
    kind: &'static Kind,
    created: Moment,
    /// An imported Work group is active, a created one is not.
    is_active: bool,
    /// Nobody was imported among those who were there.
    in_order: bool,
    /// Of members and others: the silence is the account's.
    mutes: BTreeMap<String, Until>,
    bans: BTreeMap<String, Until>,
    admins: Vec<String>,
    attributes: BTreeMap<String, String>,
    counters: BTreeMap<String, i64>,
    /// Name, Introduction, Notification, FaceUrl.
    texts: [String; 4],
    owner: String,
    members: Vec<Member>,
    members_max: u32,
    apply: String,
    invite: String,
    mute: String,
    custom: Vec<(String, String)>,
    info_seq: u64,
    next_seq: u64,
    with_topics: bool,
}

const TEXTS: [&str; 4] = ["Name", "Introduction", "Notification", "FaceUrl"];
const APPLY: [&str; 3] = ["FreeAccess", "NeedPermission", "DisableApply"];
const INVITE: [&str; 3] = ["FreeAccess", "NeedPermission", "DisableInvite"];

impl Group {
    fn is_live(&self) -> bool {
        self.kind.wire == "AVChatRoom"
    }

    fn has(&self, account: &str) -> bool {
        self.members.iter().any(|member| member.account == account)
    }

    fn is_work(&self) -> bool {
        self.kind.wire == "Private"
    }

    fn new(kind: &'static Kind, created: Moment, name: String, owner: Option<String>, is_active: bool) -> Self {
        Self {
            kind,
            created,
            is_active,
            in_order: true,
            mutes: BTreeMap::new(),
            bans: BTreeMap::new(),
            admins: Vec::new(),
            attributes: BTreeMap::new(),
            counters: BTreeMap::new(),
            texts: [name, String::new(), String::new(), String::new()],
            owner: owner.unwrap_or_default(),
            members: Vec::new(),
            members_max: kind.members_max,
            apply: kind.apply.to_owned(),
            invite: kind.invite.to_owned(),
            mute: "Off".to_owned(),
            custom: Vec::new(),
            info_seq: 1,
            next_seq: 1,
            with_topics: false,
        }
    }

    /// A change of who is in it leaves a tip in groups that store such tips: docs/spec/events.md 2.2.
    fn tell_members(&mut self, silent: bool) {
        let stores = self.kind.stores_member_tips || self.is_work() && self.is_active;
        self.next_seq += u64::from(stores && !silent);
    }

    /// So does a change of its texts or its owner.
    fn tell_texts(&mut self) {
        self.next_seq += u64::from(self.kind.stores_text_tips || self.is_work() && self.is_active);
    }

    /// And a change of an admin or a mute.
    fn tell_ranks(&mut self) {
        self.next_seq += u64::from(matches!(self.kind.wire, "Public" | "Community"));
    }

    fn member(&mut self, account: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.account == account)
    }

    fn shown(&self, id: &str) -> Value {
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by(|a, b| a.account.cmp(&b.account));
        let members: Vec<Value> = members.into_iter().map(|member| self.shown_member(member)).collect();
        let [name, introduction, notification, face_url] = &self.texts;
        let changes = json!({
            "Name": name,
            "Introduction": introduction,
            "Notification": notification,
            "FaceUrl": face_url,
            "Owner_Account": self.owner,
            "InfoSeq": self.info_seq,
            "NextMsgSeq": self.next_seq,
            "MemberNum": self.members.len(),
            "MaxMemberNum": self.members_max,
            "ApplyJoinOption": self.apply,
            "InviteJoinOption": self.invite,
            "MuteAllMember": self.mute,
            "ShutUpAllMember": self.mute,
            "AppDefinedData": shown_custom(&self.custom),
            "MemberList": if self.is_live() { Value::Null } else { json!(members) },
        });
        let shown = with(expect::group(self.kind, id), changes);
        match self.with_topics {
            true => with(shown, json!({"SupportTopic": 1, "EnablePermission": 0})),
            false => shown,
        }
    }

    /// As an answer shows it once [`Group::settle_members`] has looked at what only the node knows.
    fn shown_member(&self, member: &Member) -> Value {
        let changes = json!({
            "MsgSeq": member.msg_seq,
            "NameCard": member.card,
            "MsgFlag": member.flag,
            "AppMemberDefinedData": shown_custom(&member.custom),
        });
        with(expect::member(self.kind, &member.account, member.role), changes)
    }

    /// Checks what a list of members says of moments; ends of mutes are replaced by those of [`expect::member`].
    fn settle_members(&self, list: &mut Value) {
        for shown in list.as_array_mut().expect("a list of members") {
            let account = shown["Member_Account"].as_str().expect("an account").to_owned();
            let member = self.members.iter().find(|member| member.account == account);
            let member = member.unwrap_or_else(|| panic!("{account} is not in: {shown}"));
            member.joined.assert_is(&shown["JoinTime"]);
            assert_until(&shown["MuteUntil"], self.mutes.get(&account));
            assert_eq!(shown["MuteUntil"], shown["ShutUpUntil"]);
            *shown = with(shown.take(), json!({"MuteUntil": 0, "ShutUpUntil": 0}));
            sort_custom(shown, "AppMemberDefinedData");
        }
    }

    /// Lists members in an order that is right, given the names in the order of an answer.
    fn assert_order(&self, listed: &[String]) {
        let member = |name: &String| {
            self.members.iter().find(|member| member.account == *name).unwrap_or_else(|| panic!("{name} is not in"))
        };
        let moments: Vec<_> = listed.iter().map(|name| (member(name).joined, name.as_str())).collect();
        assert_order(&moments);
    }
}

/// Custom fields as answers show them, by key: their order is nobody's promise. None: nothing is shown.
fn shown_custom(custom: &[(String, String)]) -> Value {
    let mut custom = custom.to_vec();
    custom.sort();
    let shown: Vec<Value> = custom.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    if shown.is_empty() { Value::Null } else { json!(shown) }
}

fn sort_custom(shown: &mut Value, field: &str) {
    if let Some(fields) = shown.get_mut(field).and_then(Value::as_array_mut) {
        fields.sort_by_key(|field| field["Key"].as_str().map(str::to_owned));
    }
}

/// Merges new custom fields in; an empty value deletes its key.
fn merge_custom(custom: &mut Vec<(String, String)>, changes: Vec<(String, String)>) {
    for (key, value) in changes {
        custom.retain(|(present, _)| *present != key);
        if !value.is_empty() {
            custom.push((key, value));
        }
    }
}

/// Nothing may stand before what must come before it.
fn assert_order(listed: &[(Moment, &str)]) {
    for (place, (moment, name)) in listed.iter().enumerate() {
        for (later, later_name) in &listed[place + 1..] {
            let order = moment.order(name, later, later_name);
            assert_ne!(order, Some(Ordering::Greater), "{name} is listed before {later_name}: {listed:?}");
        }
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "command {:?} {}..={}", self.command, self.from_ms, self.to_ms)
    }
}

struct World {
    client: Client,
    random: Random,
    since: u64,
    /// The command under way.
    command: usize,
    accounts: Vec<String>,
    ids: Vec<String>,
    groups: BTreeMap<String, Group>,
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis()
}

fn unordered(list: &Value) -> Vec<Value> {
    let mut items = list.as_array().unwrap_or_else(|| panic!("a list: {list}")).clone();
    items.sort_by_key(|item| item["Member_Account"].as_str().map(str::to_owned));
    items
}

impl World {
    /// Sends a command; between which moments it was carried out, and the answer.
    async fn send(&mut self, command: &str, body: &Value) -> (Moment, Value) {
        let from_ms = now_ms();
        let answer = self.client.call(command, body.clone()).await;
        (Moment { from_ms, to_ms: now_ms(), command: Some(self.command) }, answer)
    }

    /// The answer must be a refusal with that code.
    fn assert_refused(answer: &Value, code: u64) {
        assert_eq!((&answer["ErrorCode"], &answer["ActionStatus"]), (&json!(code), &json!("FAIL")), "{answer}");
    }

    async fn create(&mut self) {
        let random = &mut self.random;
        let id = random.pick(&self.ids).clone();
        let kinds: Vec<_> =
            expect::ALL.into_iter().filter(|k| id.starts_with('@') == (k.wire == "Community")).collect();
        let kind = *random.pick(&kinds);
        let owner = if random.once_in(3) { None } else { Some(random.pick(&self.accounts).clone()) };
        let names = if random.once_in(2) { random.some(&self.accounts, 5) } else { Vec::new() };
        let asked: Vec<(String, &'static str)> =
            names.into_iter().map(|name| (name, if random.once_in(5) { "Admin" } else { "Member" })).collect();
        let list: Vec<Value> = asked
            .iter()
            .map(|(name, role)| match *role {
                "Admin" => json!({"Member_Account": name, "Role": "Admin"}),
                _ => json!({"Member_Account": name}),
            })
            .collect();
        let members_max = if random.once_in(2) { Some(1 + random.below(8) as u32) } else { None };
        let with_topics = kind.wire == "Community" && random.once_in(3);
        let (apply, invite) = (*random.pick(&APPLY), *random.pick(&INVITE));
        let (gives_apply, gives_invite) = (random.once_in(3), random.once_in(3) && kind.wire != "AVChatRoom");
        let name = format!("club {}", random.below(100));
        let body = with(
            json!({"Type": random.pick(kind.names), "Name": name, "GroupId": id, "SupportTopic": u32::from(with_topics)}),
            json!({
                "Owner_Account": owner,
                "MemberList": list,
                "MaxMemberCount": members_max,
                "ApplyJoinOption": gives_apply.then_some(apply),
                "InviteJoinOption": gives_invite.then_some(invite),
            }),
        );
        let (moment, answer) = self.send("create_group", &body).await;

        if let Some(present) = self.groups.get(&id) {
            let is_own = present.owner == owner.as_deref().unwrap_or(ADMIN);
            return Self::assert_refused(&answer, if is_own { 10025 } else { 10021 });
        }
        let is_live = kind.wire == "AVChatRoom";
        if is_live && !asked.is_empty() {
            return Self::assert_refused(&answer, 10007);
        }
        if kind.wire == "Private" && asked.iter().any(|(_, role)| *role == "Admin") {
            return Self::assert_refused(&answer, 10004);
        }
        let mut members: Vec<Member> = Vec::new();
        let roles = owner.iter().filter(|_| !is_live).map(|owner| (owner.clone(), "Owner")).chain(asked);
        for (account, role) in roles {
            if !members.iter().any(|member| member.account == account) {
                members.push(Member::new(kind, account, role, moment, 0));
            }
        }
        let members_max = members_max.filter(|_| !is_live).unwrap_or(kind.members_max);
        if members_max != 0 && members.len() > members_max as usize {
            return Self::assert_refused(&answer, 10038);
        }
        let expected = match kind.wire {
            "Community" => json!({"GroupId": id, "Type": "Community", "HugeGroupFlag": 0}),
            _ => json!({"GroupId": id}),
        };
        assert_eq!(answer, expect::ok(expected));
        let fixes_apply = matches!(kind.wire, "Private" | "AVChatRoom");
        let others = members.iter().any(|member| member.role != "Owner");
        let mut group = Group {
            members,
            members_max,
            apply: if gives_apply && !fixes_apply { apply } else { kind.apply }.to_owned(),
            invite: if gives_invite { invite } else { kind.invite }.to_owned(),
            with_topics,
            ..Group::new(kind, moment, name, owner, kind.wire != "Private")
        };
        group.tell_members(!others);
        self.groups.insert(id, group);
    }

    async fn add(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let mut asked = self.random.some(&self.accounts, 4);
        asked.push(self.random.pick(&self.accounts).clone());
        let silent = self.random.once_in(3);
        let body = json!({"GroupId": id, "Silence": u32::from(silent), "MemberList": listed(&asked)});
        let (moment, answer) = self.send("add_group_member", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        let max = group.members_max as usize;
        if group.members.len() >= max && asked.iter().all(|name| !group.has(name)) {
            return Self::assert_refused(&answer, 10014);
        }
        let mut results = Vec::new();
        let mut added = Vec::new();
        for account in asked {
            let result = if group.has(&account) || added.contains(&account) {
                2
            } else if group.members.len() + added.len() >= max {
                0
            } else {
                added.push(account.clone());
                1
            };
            results.push(json!({"Member_Account": account, "Result": result}));
        }
        assert_eq!(answer, expect::ok(json!({"MemberList": results})));
        if added.is_empty() {
            return;
        }
        group.tell_members(silent);
        let msg_seq = group.next_seq - 1;
        let kind = group.kind;
        group.members.extend(added.into_iter().map(|name| Member::new(kind, name, "Member", moment, msg_seq)));
    }

    async fn remove(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let mut asked = self.random.some(&self.accounts, 2);
        asked.push(self.random.pick(&self.accounts).clone());
        let silent = self.random.once_in(3);
        let body = json!({"GroupId": id, "Silence": u32::from(silent), "MemberToDel_Account": asked});
        let (_, answer) = self.send("delete_group_member", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        let is_work = group.is_work();
        let names_owner = group.members.iter().any(|m| m.role == "Owner" && asked.contains(&m.account));
        if group.is_live() || names_owner && !is_work {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})));
        let before = group.members.len();
        group.members.retain(|member| !asked.contains(&member.account));
        if names_owner {
            group.owner.clear();
        }
        if group.members.len() < before {
            group.tell_members(silent);
        }
    }

    async fn change(&mut self) {
        let random = &mut self.random;
        let id = random.pick(&self.ids).clone();
        let mut body = json!({"GroupId": id});
        let mut texts = [const { None }; 4];
        for (field, text) in TEXTS.iter().zip(&mut texts) {
            if random.once_in(4) {
                let new =
                    if *field != "Name" && random.once_in(3) { String::new() } else { random.below(4).to_string() };
                body[field] = json!(new);
                *text = Some(new);
            }
        }
        let mut option = |field: &str, words: &[&'static str]| {
            let word = *random.pick(words);
            random.once_in(5).then(|| {
                body[field] = json!(word);
                word
            })
        };
        let apply = option("ApplyJoinOption", &APPLY);
        let invite = option("InviteJoinOption", &INVITE);
        let mute = option("MuteAllMember", &["On", "Off"]);
        let members_max = random.once_in(5).then(|| 1 + random.below(9) as u32);
        if let Some(max) = members_max {
            body["MaxMemberNum"] = json!(max);
        }
        let custom = random.custom();
        if !custom.is_empty() {
            body["AppDefinedData"] = custom.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        }
        let (_, answer) = self.send("modify_group_base_info", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        let wire = group.kind.wire;
        let fixes_apply = matches!(wire, "Private" | "AVChatRoom");
        let changes_fixed = fixes_apply && apply.is_some_and(|option| option != group.apply)
            || wire == "AVChatRoom" && invite.is_some_and(|option| option != group.invite)
            || wire == "Private" && mute.is_some();
        if changes_fixed {
            return Self::assert_refused(&answer, 10007);
        }
        let members_max = members_max.filter(|_| wire != "AVChatRoom");
        if members_max.is_some_and(|max| max != group.members_max && (max as usize) < group.members.len()) {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})));

        let before = group.shown(&id);
        for (present, new) in group.texts.iter_mut().zip(texts) {
            *present = new.unwrap_or_else(|| present.clone());
        }
        let has_new_texts = TEXTS.iter().zip(&group.texts).any(|(field, text)| before[field] != **text);
        for (present, new) in [(&mut group.apply, apply), (&mut group.invite, invite), (&mut group.mute, mute)] {
            *present = new.map_or_else(|| present.clone(), str::to_owned);
        }
        group.members_max = members_max.unwrap_or(group.members_max);
        merge_custom(&mut group.custom, custom);
        if group.shown(&id) != before {
            group.info_seq += 1;
        }
        if has_new_texts {
            group.tell_texts();
        }
    }

    async fn destroy(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let (_, answer) = self.send("destroy_group", &json!({"GroupId": id})).await;
        match self.groups.remove(&id) {
            Some(_) => assert_eq!(answer, expect::ok(json!({}))),
            None => Self::assert_refused(&answer, 10010),
        }
    }

    async fn read_groups(&mut self) {
        let ids = self.random.some(&self.ids, 3);
        if ids.is_empty() {
            return;
        }
        let (_, mut answer) = self.send("get_group_info", &json!({"GroupIdList": ids})).await;
        for (id, shown) in ids.iter().zip(answer["GroupInfo"].as_array_mut().expect("groups")) {
            let Some(group) = self.groups.get(id) else { continue };
            group.created.assert_is(&shown["CreateTime"]);
            if !group.is_live() {
                group.settle_members(&mut shown["MemberList"]);
            }
        }
        let mut answer = expect::settled(answer, self.since);
        let groups = answer["GroupInfo"].as_array_mut().expect("groups");
        let mut expected = Vec::new();
        for (id, shown) in ids.iter().zip(groups) {
            let Some(group) = self.groups.get(id) else {
                let gone = json!({"GroupId": id, "ErrorCode": 10010, "ErrorInfo": "this group does not exist"});
                expected.push(gone);
                continue;
            };
            expected.push(group.shown(id));
            if !group.is_live() {
                group.assert_order(&names(&shown["MemberList"], "Member_Account"));
                shown["MemberList"] = json!(unordered(&shown["MemberList"]));
            }
            sort_custom(shown, "AppDefinedData");
        }
        assert_eq!(answer, expect::ok(json!({"GroupInfo": expected})));
    }

    async fn read_members(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let (_, answer) = self.send("get_group_member_info", &json!({"GroupId": id})).await;
        let Some(group) = self.groups.get(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        let is_community = group.kind.wire == "Community";
        let in_order = group.in_order;
        let mut members: Vec<&Member> = group.members.iter().collect();
        members.sort_by(|a, b| a.account.cmp(&b.account));
        let shown: Vec<Value> = members.iter().map(|member| group.shown_member(member)).collect();
        let all = names(&answer["MemberList"], "Member_Account");
        if in_order || !is_community {
            group.assert_order(&all);
        }
        let mut answer = answer;
        group.settle_members(&mut answer["MemberList"]);
        let mut answer = expect::settled(answer, self.since);
        answer["MemberList"] = json!(unordered(&answer["MemberList"]));
        let mut expected = expect::ok(json!({"MemberNum": members.len(), "MemberList": shown}));
        if is_community {
            expected["Next"] = json!("");
        }
        assert_eq!(answer, expected);

        // Any page of it is a part of it.
        let count = members.len();
        let roles: Vec<&str> = ["Owner", "Admin", "Member"].into_iter().filter(|_| self.random.once_in(2)).collect();
        let role_of = |name: &String| group.members.iter().find(|member| member.account == *name).map(|m| m.role);
        let wanted: Vec<String> = all
            .into_iter()
            .filter(|name| roles.is_empty() || role_of(name).is_some_and(|role| roles.contains(&role)))
            .collect();
        let limit = 1 + self.random.below(4);
        let mut body = json!({
            "GroupId": id, "MemberInfoFilter": ["Account"], "MemberRoleFilter": roles, "Limit": limit,
        });
        if !is_community {
            let offset = self.random.below(count + 2);
            body["Offset"] = json!(offset);
            let page: Vec<_> = wanted.iter().skip(offset).take(limit).collect();
            let (_, answer) = self.send("get_group_member_info", &body).await;
            assert_eq!(answer, expect::ok(json!({"MemberNum": count, "MemberList": listed(&page)})), "{body}");
            return;
        }
        let mut seen = Vec::new();
        body["Next"] = json!("");
        loop {
            let (_, answer) = self.send("get_group_member_info", &body).await;
            let page = names(&answer["MemberList"], "Member_Account");
            assert!(answer["MemberNum"] == count && page.len() <= limit, "{body}: {answer}");
            seen.extend(page);
            assert!(seen.len() <= count, "{body} goes round in circles: {answer}");
            body["Next"] = answer["Next"].clone();
            if answer["Next"] == "" {
                break;
            }
        }
        // The cursor goes by the order of coming in, which is another one where somebody was imported.
        let (mut seen, mut wanted) = (seen, wanted);
        if !in_order {
            seen.sort();
            wanted.sort();
        }
        assert_eq!(seen, wanted, "{body}");
    }

    async fn read_joined(&mut self) {
        let account = self.random.pick(&self.accounts).clone();
        let with_inactive = self.random.once_in(2);
        let kind = if self.random.once_in(2) { Some(*self.random.pick(&expect::ALL)) } else { None };
        let mut body = json!({
            "Member_Account": account,
            "WithNoActiveGroups": u32::from(with_inactive),
            "WithHugeGroups": self.random.below(2),
            "ResponseFilter": {
                "GroupBaseInfoFilter": ["Type", "Name", "MemberNum"], "SelfInfoFilter": ["Role", "MsgSeq"],
            },
        });
        if let Some(kind) = kind {
            body["GroupType"] = json!(self.random.pick(kind.names));
        }
        let (_, answer) = self.send("get_joined_group_list", &body).await;

        let mut expected: BTreeMap<&str, (Moment, Value)> = BTreeMap::new();
        for (id, group) in &self.groups {
            let Some(member) = group.members.iter().find(|member| member.account == account) else { continue };
            let is_hidden = !group.is_active && member.role != "Owner" && !with_inactive;
            if is_hidden || kind.is_some_and(|kind| kind.wire != group.kind.wire) {
                continue;
            }
            let shown = json!({
                "GroupId": id, "Type": group.kind.wire, "Name": group.texts[0], "MemberNum": group.members.len(),
                "SelfInfo": {"Role": member.role, "MsgSeq": member.msg_seq},
            });
            expected.insert(id, (member.joined, shown));
        }
        let list = answer["GroupIdList"].as_array().unwrap_or_else(|| panic!("{body}: {answer}"));
        let ids = names(&answer["GroupIdList"], "GroupId");
        assert_eq!((&answer["TotalCount"], ids.len()), (&json!(expected.len()), expected.len()), "{body}: {answer}");
        let mut moments = Vec::new();
        for (id, shown) in ids.iter().zip(list) {
            let (joined, group) = expected.get(id.as_str()).unwrap_or_else(|| panic!("{body}: {answer}"));
            assert_eq!(shown, group, "{body}");
            moments.push((*joined, id.as_str()));
        }
        assert_order(&moments);

        let (offset, limit) = (self.random.below(5), 1 + self.random.below(3));
        let page = with(body, json!({"Offset": offset, "Limit": limit, "ResponseFilter": null}));
        let (_, answer) = self.send("get_joined_group_list", &page).await;
        let groups: Vec<Value> = ids.iter().skip(offset).take(limit).map(|id| json!({"GroupId": id})).collect();
        let expected = json!({"TotalCount": ids.len(), "GroupIdList": groups});
        assert_eq!(answer, expect::ok(expected), "{page}");
    }

    /// Lists all groups of the app, or of a type; other tests have groups there, too, that come and go meanwhile.
    async fn list_all(&mut self) {
        let kind = if self.random.once_in(2) { Some(*self.random.pick(&expect::ALL)) } else { None };
        let mut body = json!({"Limit": 500 + self.random.below(10_000), "Next": 0});
        if let Some(kind) = kind {
            let field = if self.random.once_in(2) { "GroupType" } else { "Type" };
            body[field] = json!(self.random.pick(kind.names));
        }
        let mut found = Vec::new();
        loop {
            let (_, answer) = self.send("get_appid_group_list", &body).await;
            let page = names(&answer["GroupIdList"], "GroupId");
            assert!(page.len() as u64 <= body["Limit"].as_u64().expect("a limit"), "{body}: {}", page.len());
            found.extend(page.into_iter().filter(|id| self.ids.contains(id)));
            body["Next"] = answer["Next"].clone();
            let next = answer["Next"].as_u64().unwrap_or_else(|| panic!("Next is a number: {answer}"));
            if next == 0 {
                break;
            }
        }
        found.sort();
        let has_kind = |group: &Group| kind.is_none_or(|kind| kind.wire == group.kind.wire);
        let expected: Vec<&String> =
            self.groups.iter().filter(|(_, group)| has_kind(group)).map(|(id, _)| id).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{body}");
    }

    async fn step(&mut self) {
        match self.random.below(64) {
            0..4 => self.create().await,
            4..6 => self.import().await,
            6..12 => self.add().await,
            12..16 => self.import_members().await,
            16..20 => self.remove().await,
            20..24 => self.change().await,
            24..28 => self.change_member().await,
            28..31 => self.mute().await,
            31..33 => self.transfer().await,
            33..36 => self.change_attributes().await,
            36..39 => self.change_counters().await,
            39..41 => self.ban().await,
            41..43 => self.change_admins().await,
            43..45 => self.destroy().await,
            45..48 => self.read_groups().await,
            48..51 => self.read_members().await,
            51..53 => self.read_named().await,
            53..55 => self.read_joined().await,
            55..57 => self.read_muted().await,
            57..59 => self.read_values().await,
            59..61 => self.read_live().await,
            61 => self.list_all().await,
            // Twice, because most of what can be said of a group is said there.
            _ => self.read_groups().await,
        }
    }
}

#[tokio::test]
async fn every_answer_of_a_random_sequence_is_the_models() {
    let seed = match std::env::var("MUSTER_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => now_ms() as u64,
    };
    // Shown only if the test fails.
    println!("MUSTER_TEST_SEED={seed}");
    let ids = (0..IDS).map(|n| unique(if n % 3 == 0 { "@TGS#_model" } else { "model" })).collect();
    let accounts = (0..ACCOUNTS).map(|_| unique("account")).collect();
    let mut world = World {
        client: client().await,
        random: Random(seed),
        since: now_secs() - PAST_SECS,
        command: 0,
        accounts,
        ids,
        groups: BTreeMap::new(),
    };
    for command in 0..COMMANDS {
        world.command = command;
        world.step().await;
    }
}
