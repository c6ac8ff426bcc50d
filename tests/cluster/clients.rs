//! Clients that change and read a few groups through any node, and remember what they asked and what they were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::choice::Shares;
use crate::history::{Action, Answer, Clock, End, Moment, Operation};
use crate::random::Random;
use crate::support::{APP, Client, KEY};
use crate::wire;

/// A node answers within `http.timeout_ms` (run.rs) unless it is paused or cut off; then nobody knows.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Between two requests of one client: some thousand in a run are enough, and two cores have to be left for the nodes.
const PAUSE_MS: u64 = 16;
/// How often a request whose outcome is unknown is asked again under its name, and how long after the last time: a node
/// that has just died is not back at once.
const REPETITIONS_MAX: usize = 10;
const REPEAT_AFTER: Duration = Duration::from_millis(150);

/// Clients that a run may have, so that each can give numbers that no other one gives.
const CLIENTS_MAX: usize = 1_000;
/// The first of a crowd; the others of a run have lower numbers.
const CROWD_FIRST: usize = CLIENTS_MAX / 2;

/// Of two hundred requests.
const SHARES: Shares = Shares {
    destroy: 1,
    create: 3,
    add: 44,
    remove: 36,
    set_role: 16,
    rename: 8,
    count: 22,
    read_profile: 36,
    read_roles: 20,
    read_counters: 14,
};

/// The groups of a run, and how clients reach them.
#[derive(Clone, Debug)]
pub struct World {
    /// Ids, by the number that a history has for them.
    pub groups: Vec<String>,
    pub nodes: Vec<SocketAddr>,
    pub clock: Clock,
}

/// How many requests ended in which way.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub done: u64,
    pub refused: u64,
    /// By code: nothing happened.
    pub unavailable: BTreeMap<u64, u64>,
    /// The node does not take connections: nothing was sent.
    pub unreachable: u64,
    pub unknown: u64,
    /// Unknown ones that were asked again, under the same name, and then answered.
    pub repeated: u64,
}

/// What clients remember after a run.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    pub history: Vec<Operation>,
    pub tally: Tally,
    /// When nodes answered that a request was not carried out, or perhaps not.
    pub failed: Vec<Moment>,
}

/// Clients at work.
pub struct Load {
    clients: Vec<JoinHandle<Remembered>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

/// Clients that make a load.
pub struct Crowd {
    load: Load,
    /// Between the beginnings of two requests of one client; 0: as fast as it is answered.
    period_us: Arc<AtomicU64>,
    clients: usize,
}

impl Crowd {
    /// Begins as fast as the nodes answer.
    pub fn start(world: &World, clients: usize, random: &mut Random) -> Self {
        let period_us = Arc::new(AtomicU64::new(0));
        let numbers = CROWD_FIRST..CROWD_FIRST + clients;
        let load = Load::at_pace(world, numbers, &Pace::Period(period_us.clone()), random);
        Self { load, period_us, clients }
    }

    /// Sets the rate of all of them together, in requests per second.
    pub fn set_rate(&self, rate: f64) {
        self.period_us.store((self.clients as f64 * 1e6 / rate) as u64, Ordering::Relaxed);
    }

    /// Requests answered OK so far.
    pub fn done(&self) -> u64 {
        self.load.done()
    }

    /// Stops the clients and waits for their last answers.
    pub async fn finish(self) -> Remembered {
        self.load.finish().await
    }
}

/// When a client asks again after an answer.
#[derive(Clone)]
enum Pace {
    /// After a pause of less than [`PAUSE_MS`].
    Pauses,
    /// So many microseconds after it began to ask before.
    Period(Arc<AtomicU64>),
}

/// How a request ended.
enum Reply {
    Answered(Answer),
    Unavailable(u64),
    Unreachable,
    Unknown,
}

impl Load {
    pub fn start(world: &World, clients: usize, random: &mut Random) -> Self {
        Self::at_pace(world, 0..clients, &Pace::Pauses, random)
    }

    fn at_pace(world: &World, numbers: Range<usize>, pace: &Pace, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let client = |number| {
            let worker = Worker::new(world.clone(), number, random.fork(), done.clone());
            tokio::spawn(worker.work(pace.clone(), stop.clone()))
        };
        Self { clients: numbers.map(client).collect(), stop, done }
    }

    /// Requests answered OK so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Tells the clients to stop and waits for their last answers.
    pub async fn finish(self) -> Remembered {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Remembered::default();
        for client in self.clients {
            all.add(client.await.expect("a client that did not panic"));
        }
        all
    }
}

impl Remembered {
    pub fn add(&mut self, other: Self) {
        self.history.extend(other.history);
        self.failed.extend(other.failed);
        let (all, other) = (&mut self.tally, other.tally);
        all.done += other.done;
        all.refused += other.refused;
        all.unreachable += other.unreachable;
        all.unknown += other.unknown;
        all.repeated += other.repeated;
        for (code, count) in other.unavailable {
            *all.unavailable.entry(code).or_default() += count;
        }
    }
}

/// One client, with a connection to each node.
pub struct Worker {
    world: World,
    number: usize,
    random: Random,
    connections: Vec<Client>,
    /// Of the name given last, and of the request made last.
    given: u64,
    remembered: Remembered,
    done: Arc<AtomicU64>,
}

impl Worker {
    pub fn new(world: World, number: usize, random: Random, done: Arc<AtomicU64>) -> Self {
        let connections = world.nodes.iter().map(|node| Client::to(*node, APP, KEY)).collect();
        Self { world, number, random, connections, given: 0, remembered: Remembered::default(), done }
    }

    /// Works until it is told to stop.
    async fn work(mut self, pace: Pace, stop: Arc<AtomicBool>) -> Remembered {
        let mut next = None;
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let node = self.random.below(self.world.nodes.len() as u64) as usize;
            let (group, action) = match next.take() {
                Some(next) => next,
                None => self.choose(),
            };
            let answer = self.ask(node, group, action).await;
            // A group that is gone is missed before long.
            if answer == Some(Answer::NoGroup) && self.random.below(2) == 0 {
                next = Some((group, Action::Create(self.next_number())));
            }
            match &pace {
                Pace::Pauses => tokio::time::sleep(Duration::from_millis(self.random.below(PAUSE_MS))).await,
                Pace::Period(us) => {
                    tokio::time::sleep_until(began + Duration::from_micros(us.load(Ordering::Relaxed))).await;
                }
            }
        }
        self.remembered
    }

    /// What it remembers, of a client that was told what to ask.
    pub fn finish(self) -> Remembered {
        self.remembered
    }

    /// Asks a node, and again any node under the same name if nobody knows what came of it; remembers all of it. The
    /// answer, if there is one.
    pub async fn ask(&mut self, node: usize, group: usize, action: Action) -> Option<Answer> {
        let called = self.world.clock.now();
        let (command, mut body) = wire::request(&self.world.groups[group], &action);
        if !action.is_read() {
            body["ClientReqId"] = json!(self.next_number().to_string());
        }
        let operation = |end| Operation { client: self.number, group, action: action.clone(), called, end };
        let mut perhaps = operation(End::Unknown);
        match self.send(node, command, &body, &action).await {
            Reply::Answered(answer) => {
                perhaps.end = End::Answered(answer.clone(), self.world.clock.now());
                self.note(perhaps, &answer);
                return Some(answer);
            }
            Reply::Unavailable(code) => {
                *self.remembered.tally.unavailable.entry(code).or_default() += 1;
                self.remembered.failed.push(self.world.clock.now());
                return None;
            }
            Reply::Unreachable => {
                self.remembered.tally.unreachable += 1;
                return None;
            }
            Reply::Unknown => self.remembered.tally.unknown += 1,
        }
        // What nobody was told of a read is of no interest.
        if action.is_read() {
            return None;
        }
        if self.random.below(2) == 0 {
            self.repeat(perhaps, command, &body).await;
        } else {
            self.remembered.history.push(perhaps);
        }
        None
    }

    /// Asks again what nobody knows the outcome of. OK is the answer to the first request, whenever that was carried
    /// out: one operation from the first call to the last answer. Anything else is an answer to this request alone,
    /// and the first one stays unknown.
    async fn repeat(&mut self, mut first: Operation, command: &str, body: &Value) {
        for _ in 0..REPETITIONS_MAX {
            tokio::time::sleep(REPEAT_AFTER).await;
            let node = self.random.below(self.world.nodes.len() as u64) as usize;
            let called = self.world.clock.now();
            let Reply::Answered(answer) = self.send(node, command, body, &first.action).await else { continue };
            self.remembered.tally.repeated += 1;
            let end = End::Answered(answer.clone(), self.world.clock.now());
            match answer.is_refusal() {
                true => self.note(Operation { called, end, ..first.clone() }, &answer),
                false => {
                    first.end = end;
                    return self.note(first, &answer);
                }
            }
            break;
        }
        self.remembered.history.push(first);
    }

    fn note(&mut self, operation: Operation, answer: &Answer) {
        self.remembered.history.push(operation);
        match answer.is_refusal() {
            true => self.remembered.tally.refused += 1,
            false => {
                self.remembered.tally.done += 1;
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn send(&mut self, node: usize, command: &str, body: &Value, action: &Action) -> Reply {
        let client = &mut self.connections[node];
        // What cannot be connected has sent nothing; afterwards nobody knows.
        match tokio::time::timeout(ANSWER_TIMEOUT, client.reach()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Reply::Unreachable,
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, client.try_call(command, body)).await {
            Ok(Ok(answer)) => match wire::sort(action, &answer) {
                wire::Sorted::Answer(answer) => Reply::Answered(answer),
                wire::Sorted::Unavailable(code) => Reply::Unavailable(code),
                wire::Sorted::Unknown => {
                    self.remembered.failed.push(self.world.clock.now());
                    Reply::Unknown
                }
            },
            Ok(Err(_)) | Err(_) => Reply::Unknown,
        }
    }

    /// A number that no other request of the run has.
    fn next_number(&mut self) -> u64 {
        assert!(self.number < CLIENTS_MAX, "too many clients");
        self.given += 1;
        self.given * CLIENTS_MAX as u64 + self.number as u64
    }

    fn choose(&mut self) -> (usize, Action) {
        let (group, number) = (self.random.below(self.world.groups.len() as u64) as usize, self.next_number());
        (group, SHARES.choose(&mut self.random, number))
    }
}
