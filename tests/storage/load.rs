//! Clients that change groups as fast as they get answers, and remember every answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::model::{
    Accounts, COUNTER_OF_ALL, Content, Memory, Model, Owned, Perhaps, SHARED_GROUP, SHARED_OWNER, counter_of,
};
use crate::random::Random;
use crate::support::{APP, Client, KEY};

/// A node answers every request sooner, whatever its disk does: `http.timeout_ms` and a margin for two busy cores.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const OUTCOME_UNKNOWN: &str = "outcome unknown:";
const ACCOUNTS_PER_CHANGE: u64 = 4;
/// Bytes in a name that is too long. Source: docs/spec/limits.md 1.
const LONG_NAME_BYTES: usize = 31;
/// Admins that a group has at most here: fewer than any limit.
const ADMINS_MAX: usize = 4;
/// A span that never ends. Source: docs/spec/rest-api.md 3.3.
const FOR_EVER_SECS: u32 = u32::MAX;
/// Keys of attributes and of counters.
const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledged,
    /// The rules say no: nothing happened.
    Refused(u64),
    /// The node could not: nothing happened, promised.
    Unavailable(u64),
    Unknown,
    /// The connection broke.
    None(String),
}

/// How many answers of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub acknowledged: u64,
    pub refused: u64,
    /// By code.
    pub unavailable: BTreeMap<u64, u64>,
    pub unknown: u64,
    pub unanswered: u64,
}

/// Clients at work.
pub struct Load {
    clients: Vec<JoinHandle<(Memory, Tally)>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

/// What clients do.
#[derive(Clone, Copy)]
enum Work {
    /// Anything, also what must be refused, until stopped or cut off.
    Mixed,
    /// So many changes each that the rules allow.
    Changes(usize),
}

/// Makes the group that all clients share.
pub async fn make_shared_group(client: &mut Client) {
    let group = json!({ "Type": "Public", "GroupId": SHARED_GROUP, "Owner_Account": SHARED_OWNER });
    client.ok("create_group", with_profile(group, 0)).await;
}

impl Load {
    /// Every client works until it is stopped or its connection breaks.
    pub fn start(address: SocketAddr, model: Model) -> Self {
        Self::spawn(address, model, Work::Mixed)
    }

    /// Changes acknowledged since the start.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Tells the clients to stop and waits for their last answers.
    pub async fn finish(self) -> (Model, Tally) {
        self.stop.store(true, Ordering::Relaxed);
        self.ended().await
    }

    fn spawn(address: SocketAddr, model: Model, work: Work) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let client = |memory| tokio::spawn(run(address, memory, work, stop.clone(), acknowledged.clone()));
        Self { clients: model.clients.into_iter().map(client).collect(), stop, acknowledged }
    }

    async fn ended(self) -> (Model, Tally) {
        let mut model = Model { clients: Vec::new() };
        let mut tally = Tally::default();
        for client in self.clients {
            let (memory, own) = client.await.expect("a client that did not panic");
            model.clients.push(memory);
            tally.add(own);
        }
        (model, tally)
    }
}

/// Every client asks for so many changes that the rules allow, one after the other.
pub async fn changes(address: SocketAddr, model: Model, count: usize) -> (Model, Tally) {
    Load::spawn(address, model, Work::Changes(count)).ended().await
}

impl Tally {
    fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::Acknowledged => self.acknowledged += 1,
            Answer::Refused(_) => self.refused += 1,
            Answer::Unavailable(code) => *self.unavailable.entry(*code).or_default() += 1,
            Answer::Unknown => self.unknown += 1,
            Answer::None(_) => self.unanswered += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.unanswered += other.unanswered;
        for (code, count) in other.unavailable {
            *self.unavailable.entry(code).or_default() += count;
        }
    }
}

async fn run(
    address: SocketAddr,
    mut memory: Memory,
    work: Work,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> (Memory, Tally) {
    let mut client = Client::connect(address, APP, KEY).await;
    let mut tally = Tally::default();
    let mut left = match work {
        Work::Mixed => usize::MAX,
        Work::Changes(count) => count,
    };
    while left > 0 && !stop.load(Ordering::Relaxed) {
        left -= 1;
        let mixed = matches!(work, Work::Mixed);
        let Some(step) = choose(&mut memory, mixed) else { break };
        let (command, mut body) = step.request(memory.client);
        body["ClientReqId"] = json!(memory.next_request());
        let answer = ask(&mut client, command, &body).await;
        if answer == Answer::Acknowledged {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        tally.note(&answer);
        let cut_off = matches!(answer, Answer::None(_));
        step.remember(&mut memory, &answer, (command, body));
        if cut_off {
            break;
        }
    }
    (memory, tally)
}

/// Asks once and sorts the answer.
///
/// # Panics
/// If no answer comes in time, or an OK says that not everything was done.
pub async fn ask(client: &mut Client, command: &str, body: &Value) -> Answer {
    let answer = match tokio::time::timeout(ANSWER_TIMEOUT, client.try_call(command, body)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Answer::None(error),
        Err(_) => panic!("{command} {body}: no answer within {ANSWER_TIMEOUT:?}"),
    };
    let info = answer["ErrorInfo"].as_str().unwrap_or_default();
    match answer["ErrorCode"].as_u64().unwrap_or_else(|| panic!("{command} {body}: {answer}")) {
        0 => {
            let items = answer["MemberList"].as_array().into_iter().flatten();
            let undone = items.filter(|item| item["Result"] != 1).count();
            assert_eq!(undone, 0, "{command} {body}: acknowledged and not done: {answer}");
            Answer::Acknowledged
        }
        10002 if info.starts_with(OUTCOME_UNKNOWN) => Answer::Unknown,
        code @ (10002 | 60008 | 60018) => Answer::Unavailable(code),
        code => Answer::Refused(code),
    }
}

/// Asks about half of what is unknown again, under the names it had: whether it happened or not, the answer is OK, and
/// then it has happened once. How many were asked.
pub async fn ask_again(client: &mut Client, model: &mut Model, random: &mut Random) -> usize {
    let mut count = 0;
    for memory in &mut model.clients {
        for group in &mut memory.groups {
            if let Some(Perhaps { after, asked }) = group.perhaps.take_if(|_| random.below(2) == 0) {
                insist(client, asked).await;
                group.known = after;
                count += 1;
            }
        }
        if let Some(Perhaps { after: (accounts, enter), asked }) =
            memory.crowd.perhaps.take_if(|_| random.below(2) == 0)
        {
            insist(client, asked).await;
            memory.crowd.known.extend(accounts.into_iter().map(|account| (account, enter)));
            count += 1;
        }
        if let Some(Perhaps { after, asked }) = memory.count.perhaps.take_if(|_| random.below(2) == 0) {
            insist(client, asked).await;
            memory.count.known = after;
            count += 1;
        }
    }
    count
}

async fn insist(client: &mut Client, (command, body): (&'static str, Value)) {
    let answer = ask(client, command, &body).await;
    assert_eq!(answer, Answer::Acknowledged, "{command} {body}, asked again");
}

/// One request of a client.
enum Step {
    /// A group of the client's own becomes this, by this request.
    Own { group: usize, after: Option<Content>, command: &'static str, body: Value },
    /// These accounts enter (or leave) the shared group together.
    Crowd { accounts: Accounts, enter: bool },
    /// Two counters of the shared group are increased together.
    Count { after: i64 },
    /// What the rules refuse.
    Against { command: &'static str, body: Value },
}

impl Step {
    fn request(&self, client: usize) -> (&'static str, Value) {
        match self {
            Step::Own { command, body, .. } | Step::Against { command, body } => (command, body.clone()),
            Step::Crowd { accounts, enter: true } => ("add_group_member", add(SHARED_GROUP, accounts)),
            Step::Crowd { accounts, enter: false } => ("delete_group_member", remove(SHARED_GROUP, accounts)),
            Step::Count { .. } => {
                let one = |key: &str| json!({ "Key": key, "Value": 1 });
                let counters = [one(COUNTER_OF_ALL), one(&counter_of(client))];
                let body = json!({ "GroupId": SHARED_GROUP, "Mode": "Increase", "GroupCounter": counters });
                ("update_group_counter", body)
            }
        }
    }

    fn remember(self, memory: &mut Memory, answer: &Answer, asked: (&'static str, Value)) {
        let (happened, perhaps) = match answer {
            Answer::Acknowledged => (true, false),
            Answer::Refused(_) | Answer::Unavailable(_) => (false, false),
            Answer::Unknown | Answer::None(_) => (false, true),
        };
        match self {
            Step::Own { group, after, .. } => {
                let group = &mut memory.groups[group];
                if happened {
                    group.known = after;
                } else if perhaps {
                    group.perhaps = Some(Perhaps { after, asked });
                }
            }
            Step::Crowd { accounts, enter } => {
                if happened {
                    memory.crowd.known.extend(accounts.into_iter().map(|account| (account, enter)));
                } else if perhaps {
                    memory.crowd.perhaps = Some(Perhaps { after: (accounts, enter), asked });
                }
            }
            Step::Count { after } => {
                if happened {
                    memory.count.known = after;
                } else if perhaps {
                    memory.count.perhaps = Some(Perhaps { after, asked });
                }
            }
            Step::Against { command, body } => {
                assert!(!happened, "{command} {body}: acknowledged against the rules");
            }
        }
    }
}

/// The next request; `None` if the outcome of all earlier ones is unknown.
fn choose(memory: &mut Memory, mixed: bool) -> Option<Step> {
    let settled: Vec<usize> = (0..memory.groups.len()).filter(|&i| memory.groups[i].perhaps.is_none()).collect();
    let roll = memory.random.below(100);
    if roll < 15 && memory.crowd.perhaps.is_none() {
        return Some(crowd(memory));
    }
    if roll < 25 && memory.count.perhaps.is_none() {
        return Some(Step::Count { after: memory.count.known + 1 });
    }
    let group = *settled.get(memory.random.below(settled.len().max(1) as u64) as usize)?;
    if mixed && roll >= 92 {
        return Some(against(memory, group));
    }
    Some(own(memory, group))
}

fn crowd(memory: &mut Memory) -> Step {
    let enter = memory.random.below(2) == 0;
    let count = memory.random.between(1, ACCOUNTS_PER_CHANGE + 1) as usize;
    let of = |enter: bool| memory.crowd.known.iter().filter(move |(_, is)| **is != enter).map(|(a, _)| a.clone());
    let accounts: Accounts = of(enter).take(count).collect();
    // If nobody is outside, somebody is inside.
    match accounts.is_empty() {
        true => Step::Crowd { accounts: of(!enter).take(count).collect(), enter: !enter },
        false => Step::Crowd { accounts, enter },
    }
}

/// A change of a group of the client's own that the rules allow: of any kind that there is.
fn own(memory: &mut Memory, group: usize) -> Step {
    let Owned { id, is_live, known, .. } = memory.groups[group].clone();
    let Some(now) = known else { return create(memory, group) };
    let to = |body: Value| {
        let mut body = body;
        body["GroupId"] = json!(id);
        body
    };
    let step = |after: Content, command: &'static str, body: Value| Step::Own {
        group,
        after: Some(after),
        command,
        body: to(body),
    };
    let roll = memory.random.below(100);
    let change = match (roll, is_live) {
        (0..6, _) => return Step::Own { group, after: None, command: "destroy_group", body: to(json!({})) },
        (6..14, _) => Some(attributes(memory, now.clone())),
        (14..24, _) => Some(counters(memory, now.clone())),
        (24..32, _) => mutes(memory, now.clone(), is_live),
        (32..50, true) => bans(memory, now.clone()),
        (50..65, true) => live_admins(memory, now.clone()),
        (32..52, false) => enter(memory, now.clone()),
        (52..66, false) => leave(now.clone()),
        (66..72, false) => appoint(memory, now.clone()),
        (72..76, false) => transfer(memory, now.clone()),
        _ => None,
    };
    if let Some((after, command, body)) = change {
        return step(after, command, body);
    }
    let number = memory.next_number();
    step(Content { number, ..now }, "modify_group_base_info", with_profile(json!({}), number))
}

/// What a group becomes, and the request that makes it so.
type Change = (Content, &'static str, Value);

fn enter(memory: &mut Memory, now: Content) -> Option<Change> {
    let accounts = memory.some_accounts(&now.members, ACCOUNTS_PER_CHANGE);
    if accounts.is_empty() {
        return None;
    }
    let command = if memory.random.below(3) == 0 { "import_group_member" } else { "add_group_member" };
    let body = json!({ "MemberList": listed(&accounts) });
    let members = now.members.union(&accounts).cloned().collect();
    Some((Content { members, ..now }, command, body))
}

fn leave(now: Content) -> Option<Change> {
    let others = now.members.iter().filter(|account| **account != now.owner);
    let accounts: Accounts = others.take(ACCOUNTS_PER_CHANGE as usize).cloned().collect();
    if accounts.is_empty() {
        return None;
    }
    let body = json!({ "MemberToDel_Account": accounts });
    let members = now.members.difference(&accounts).cloned().collect();
    let admins = now.admins.difference(&accounts).cloned().collect();
    Some((Content { members, admins, ..now }, "delete_group_member", body))
}

/// One of them, but for the owner.
fn somebody(memory: &mut Memory, of: &Accounts, owner: &str) -> Option<String> {
    let others: Vec<&String> = of.iter().filter(|account| *account != owner).collect();
    let place = memory.random.below(others.len().max(1) as u64) as usize;
    others.get(place).map(|account| (*account).clone())
}

fn appoint(memory: &mut Memory, mut now: Content) -> Option<Change> {
    let account = somebody(memory, &now.members.clone(), &now.owner)?;
    let role = if now.admins.remove(&account) { "Member" } else { "Admin" };
    if role == "Admin" {
        if now.admins.len() >= ADMINS_MAX {
            return None;
        }
        now.admins.insert(account.clone());
    }
    Some((now, "modify_group_member_info", json!({ "Member_Account": account, "Role": role })))
}

fn transfer(memory: &mut Memory, mut now: Content) -> Option<Change> {
    let account = somebody(memory, &now.members.clone(), &now.owner)?;
    now.admins.remove(&account);
    now.owner.clone_from(&account);
    Some((now, "change_group_owner", json!({ "NewOwner_Account": account })))
}

/// Anybody may be silenced in a live room, and only members elsewhere.
fn mutes(memory: &mut Memory, mut now: Content, is_live: bool) -> Option<Change> {
    let lifts = memory.random.below(2) == 0;
    let body = |accounts: &Accounts, secs: u32| json!({ "Members_Account": accounts, "MuteTime": secs });
    if lifts && !now.muted.is_empty() {
        let accounts: Accounts = now.muted.iter().take(2).cloned().collect();
        now.muted.retain(|account| !accounts.contains(account));
        return Some((now, "forbid_send_msg", body(&accounts, 0)));
    }
    let accounts: Accounts = match is_live {
        true => memory.some_accounts(&now.muted, ACCOUNTS_PER_CHANGE),
        false => now.members.difference(&now.muted).filter(|account| **account != now.owner).take(3).cloned().collect(),
    };
    if accounts.is_empty() {
        return None;
    }
    now.muted.extend(accounts.iter().cloned());
    Some((now, "forbid_send_msg", body(&accounts, FOR_EVER_SECS)))
}

fn bans(memory: &mut Memory, mut now: Content) -> Option<Change> {
    if memory.random.below(2) == 0 && !now.banned.is_empty() {
        let accounts: Accounts = now.banned.iter().take(3).cloned().collect();
        now.banned.retain(|account| !accounts.contains(account));
        return Some((now, "unban_group_member", json!({ "Members_Account": accounts })));
    }
    let accounts = memory.some_accounts(&Accounts::new(), ACCOUNTS_PER_CHANGE);
    now.banned.extend(accounts.iter().cloned());
    Some((now, "ban_group_member", json!({ "Members_Account": accounts, "Duration": FOR_EVER_SECS })))
}

fn live_admins(memory: &mut Memory, mut now: Content) -> Option<Change> {
    let appoints = memory.random.below(2) == 0 && now.admins.len() < ADMINS_MAX || now.admins.is_empty();
    let accounts: Accounts = match appoints {
        true => memory.some_accounts(&now.admins, 1),
        false => now.admins.iter().take(2).cloned().collect(),
    };
    if accounts.is_empty() {
        return None;
    }
    for account in &accounts {
        if appoints {
            now.admins.insert(account.clone())
        } else {
            now.admins.remove(account)
        };
    }
    let command = if appoints { 1 } else { 2 };
    Some((now, "modify_admin", json!({ "CommandType": command, "Admin_Account": accounts })))
}

fn key(memory: &mut Memory) -> String {
    KEYS[memory.random.below(KEYS.len() as u64) as usize].to_owned()
}

/// Never what is so already: that would be acknowledged without anything having been written.
fn attributes(memory: &mut Memory, mut now: Content) -> Change {
    let pairs: BTreeMap<String, String> = (0..2).map(|_| (key(memory), format!("v{}", memory.next_number()))).collect();
    let list: Value = pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    match (memory.random.below(5), now.attributes.first_key_value().map(|(key, _)| key.clone())) {
        (0, _) => {
            now.attributes = pairs;
            (now, "set_group_attr", json!({ "GroupAttr": list }))
        }
        (1, Some(_)) => {
            now.attributes.clear();
            (now, "clear_group_attr", json!({}))
        }
        (2, Some(key)) => {
            now.attributes.remove(&key);
            (now, "delete_group_attr", json!({ "GroupAttr": [{ "key": key }] }))
        }
        _ => {
            now.attributes.extend(pairs);
            (now, "modify_group_attr", json!({ "GroupAttr": list }))
        }
    }
}

/// As [`attributes`].
fn counters(memory: &mut Memory, mut now: Content) -> Change {
    let (key, value) = (key(memory), memory.next_number() as i64);
    let body = |mode: &str| json!({ "Mode": mode, "GroupCounter": [{ "Key": key, "Value": value }] });
    match (memory.random.below(5), now.counters.contains_key(&key)) {
        (0, _) => {
            now.counters.insert(key.clone(), value);
            (now, "update_group_counter", body("Set"))
        }
        (1, true) => {
            now.counters.remove(&key);
            (now, "delete_group_counter", json!({ "GroupCounterKeys": [key] }))
        }
        (2, _) => {
            *now.counters.entry(key.clone()).or_default() -= value;
            (now, "update_group_counter", body("Decrease"))
        }
        _ => {
            *now.counters.entry(key.clone()).or_default() += value;
            (now, "update_group_counter", body("Increase"))
        }
    }
}

fn create(memory: &mut Memory, group: usize) -> Step {
    let Owned { id, owner, is_live, .. } = memory.groups[group].clone();
    let number = memory.next_number();
    let of = |members: Accounts| Some(Content { number, owner: owner.clone(), members, ..Content::default() });
    let kind = if is_live { "AVChatRoom" } else { "Public" };
    let mut body = with_profile(json!({ "Type": kind, "GroupId": id, "Owner_Account": owner }), number);
    if is_live {
        return Step::Own { group, after: of(Accounts::new()), command: "create_group", body };
    }
    if memory.random.below(4) == 0 {
        return Step::Own { group, after: of([owner.clone()].into()), command: "import_group", body };
    }
    let mut members = memory.some_accounts(&Accounts::new(), ACCOUNTS_PER_CHANGE);
    body["MemberList"] = listed(&members);
    members.insert(owner.clone());
    Step::Own { group, after: of(members), command: "create_group", body }
}

/// A request whose first part is right and whose whole is not; nothing of it may ever be seen.
fn against(memory: &mut Memory, group: usize) -> Step {
    let Owned { id, is_live, known, .. } = memory.groups[group].clone();
    let number = memory.next_number();
    let Some(now) = known else {
        return Step::Against { command: "add_group_member", body: add(&id, &["refused".to_owned()].into()) };
    };
    match memory.random.below(4) {
        0 => {
            let body = json!({ "Type": "Public", "GroupId": id, "Owner_Account": "refused" });
            Step::Against { command: "create_group", body: with_profile(body, number) }
        }
        1 => {
            let mut body = with_profile(json!({ "GroupId": id }), number);
            body["Name"] = json!("n".repeat(LONG_NAME_BYTES));
            Step::Against { command: "modify_group_base_info", body }
        }
        // The second has a key that is too long, and then the first is not counted.
        2 => {
            let counters = json!([{ "Key": "refused", "Value": 1 }, { "Key": "k".repeat(129), "Value": 1 }]);
            Step::Against { command: "update_group_counter", body: json!({ "GroupId": id, "GroupCounter": counters }) }
        }
        _ => {
            // The owner of a Public group cannot be removed, and then nobody is; of a live room nobody ever is.
            let mut accounts: Vec<&String> = now.members.iter().filter(|account| **account != now.owner).collect();
            accounts.push(&now.owner);
            let command = if is_live { "forbid_send_msg" } else { "delete_group_member" };
            let body = json!({
                "GroupId": id, "MemberToDel_Account": accounts, "Members_Account": accounts, "MuteTime": 60,
            });
            Step::Against { command, body }
        }
    }
}

fn with_profile(mut body: Value, number: u64) -> Value {
    for field in ["Name", "Introduction", "Notification"] {
        body[field] = json!(format!("n{number}"));
    }
    body
}

fn listed(accounts: &Accounts) -> Value {
    accounts.iter().map(|account| json!({ "Member_Account": account })).collect()
}

fn add(id: &str, accounts: &Accounts) -> Value {
    json!({ "GroupId": id, "MemberList": listed(accounts) })
}

fn remove(id: &str, accounts: &Accounts) -> Value {
    json!({ "GroupId": id, "MemberToDel_Account": accounts })
}
