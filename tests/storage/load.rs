//! Clients that change groups as fast as they get answers, and remember every answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::model::{Accounts, Content, Memory, Model, SHARED_GROUP, SHARED_OWNER};
use crate::support::{APP, Client, KEY};

/// A node answers every request sooner, whatever its disk does: `http.timeout_ms` and a margin for two busy cores.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const OUTCOME_UNKNOWN: &str = "outcome unknown:";
const ACCOUNTS_PER_CHANGE: u64 = 4;
/// Bytes in a name that is too long. Source: docs/spec/limits.md 4.
const LONG_NAME_BYTES: usize = 31;

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
        let (command, body) = step.request();
        let answer = ask(&mut client, command, &body).await;
        if answer == Answer::Acknowledged {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        tally.note(&answer);
        let cut_off = matches!(answer, Answer::None(_));
        step.remember(&mut memory, &answer);
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

/// One request of a client.
enum Step {
    /// A group of the client's own becomes this, by this request.
    Own { group: usize, after: Option<Content>, command: &'static str, body: Value },
    /// These accounts enter (or leave) the shared group together.
    Crowd { accounts: Accounts, enter: bool },
    /// What the rules refuse.
    Against { command: &'static str, body: Value },
}

impl Step {
    fn request(&self) -> (&'static str, Value) {
        match self {
            Step::Own { command, body, .. } | Step::Against { command, body } => (command, body.clone()),
            Step::Crowd { accounts, enter: true } => ("add_group_member", add(SHARED_GROUP, accounts)),
            Step::Crowd { accounts, enter: false } => ("delete_group_member", remove(SHARED_GROUP, accounts)),
        }
    }

    fn remember(self, memory: &mut Memory, answer: &Answer) {
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
                    group.perhaps = Some(after);
                }
            }
            Step::Crowd { accounts, enter } => {
                if happened {
                    memory.crowd.known.extend(accounts.into_iter().map(|account| (account, enter)));
                } else if perhaps {
                    memory.crowd.perhaps = Some((accounts, enter));
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
    if roll < 20 && memory.crowd.perhaps.is_none() {
        return Some(crowd(memory));
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

fn own(memory: &mut Memory, group: usize) -> Step {
    let (id, owner) = (memory.groups[group].id.clone(), memory.groups[group].owner.clone());
    let Some(now) = memory.groups[group].known.clone() else { return create(memory, group) };
    let roll = memory.random.below(100);
    if roll < 40 {
        let accounts = memory.some_accounts(&now.members, ACCOUNTS_PER_CHANGE);
        if !accounts.is_empty() {
            let after = Content { members: now.members.union(&accounts).cloned().collect(), ..now };
            return Step::Own { group, after: Some(after), command: "add_group_member", body: add(&id, &accounts) };
        }
    } else if roll < 60 {
        let others = now.members.iter().filter(|account| **account != owner);
        let accounts: Accounts = others.take(ACCOUNTS_PER_CHANGE as usize).cloned().collect();
        if !accounts.is_empty() {
            let after = Content { members: now.members.difference(&accounts).cloned().collect(), ..now };
            return Step::Own {
                group,
                after: Some(after),
                command: "delete_group_member",
                body: remove(&id, &accounts),
            };
        }
    } else if roll < 70 {
        return Step::Own { group, after: None, command: "destroy_group", body: json!({ "GroupId": id }) };
    }
    let number = memory.next_number();
    let body = with_profile(json!({ "GroupId": id }), number);
    Step::Own { group, after: Some(Content { number, ..now }), command: "modify_group_base_info", body }
}

fn create(memory: &mut Memory, group: usize) -> Step {
    let (id, owner) = (memory.groups[group].id.clone(), memory.groups[group].owner.clone());
    let number = memory.next_number();
    let mut members = memory.some_accounts(&Accounts::new(), ACCOUNTS_PER_CHANGE);
    let list: Vec<Value> = members.iter().map(|account| json!({ "Member_Account": account })).collect();
    let body = json!({ "Type": "Public", "GroupId": id, "Owner_Account": owner, "MemberList": list });
    members.insert(owner);
    let after = Some(Content { number, members });
    Step::Own { group, after, command: "create_group", body: with_profile(body, number) }
}

/// A request whose first part is right and whose whole is not; nothing of it may ever be seen.
fn against(memory: &mut Memory, group: usize) -> Step {
    let (id, owner) = (memory.groups[group].id.clone(), memory.groups[group].owner.clone());
    let number = memory.next_number();
    let Some(now) = &memory.groups[group].known else {
        return Step::Against { command: "add_group_member", body: add(&id, &["refused".to_owned()].into()) };
    };
    match memory.random.below(3) {
        0 => {
            let body = json!({ "Type": "Public", "GroupId": id, "Owner_Account": "refused" });
            Step::Against { command: "create_group", body: with_profile(body, number) }
        }
        1 => {
            let mut body = with_profile(json!({ "GroupId": id }), number);
            body["Name"] = json!("n".repeat(LONG_NAME_BYTES));
            Step::Against { command: "modify_group_base_info", body }
        }
        _ => {
            // The owner of a Public group cannot be removed, and then nobody is.
            let mut accounts: Vec<&String> = now.members.iter().filter(|account| **account != owner).collect();
            accounts.push(&owner);
            let body = json!({ "GroupId": id, "MemberToDel_Account": accounts });
            Step::Against { command: "delete_group_member", body }
        }
    }
}

fn with_profile(mut body: Value, number: u64) -> Value {
    for field in ["Name", "Introduction", "Notification"] {
        body[field] = json!(format!("n{number}"));
    }
    body
}

fn add(id: &str, accounts: &Accounts) -> Value {
    let list: Vec<Value> = accounts.iter().map(|account| json!({ "Member_Account": account })).collect();
    json!({ "GroupId": id, "MemberList": list })
}

fn remove(id: &str, accounts: &Accounts) -> Value {
    json!({ "GroupId": id, "MemberToDel_Account": accounts })
}
