//! Clients that change and read a few groups through any node, and remember what they asked and what they were told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::choice::Shares;
use crate::history::{Action, Answer, End, Moment, Operation};
use crate::host::{Reply, Submit};
use crate::random::Random;
use crate::world::World;

pub const CLIENTS: usize = 5;
pub const GROUPS: usize = 4;
const PAUSE_MS: u64 = 40;
/// A node that does not answer within this time may yet carry the request out.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);
/// What has certainly not happened is asked again for so long, after a pause.
const TRIED_FOR: Duration = Duration::from_millis(1_000);
const TRY_AGAIN_MS: u64 = 60;
/// How often a request whose outcome is unknown is asked again under its name.
const REPETITIONS_MAX: usize = 8;
const REPEAT_AFTER: Duration = Duration::from_millis(150);
/// How often the auditor asks before a cluster without faults is taken for dead.
const AUDIT_TRIES_MAX: usize = 200;

/// Of two hundred requests.
const SHARES: Shares = Shares {
    destroy: 2,
    create: 4,
    add: 44,
    remove: 34,
    set_role: 16,
    rename: 8,
    count: 28,
    read_profile: 30,
    read_roles: 20,
    read_counters: 14,
};

pub struct Client {
    world: Arc<World>,
    number: usize,
    random: Random,
    /// Who is asked first.
    likely: usize,
    given: u64,
}

impl Client {
    pub fn new(world: Arc<World>, number: usize, random: Random) -> Self {
        Self { world, number, random, likely: 0, given: 0 }
    }

    /// Works until that moment.
    pub async fn work(mut self, until: Duration) -> turmoil::Result {
        let mut next = None;
        while self.world.elapsed() < until {
            let (group, action) = match next.take() {
                Some(next) => next,
                None => self.choose(),
            };
            let answer = self.ask(group, action).await;
            // A group that is gone is missed before long.
            if answer == Some(Answer::NoGroup) && self.random.below(2) == 0 {
                next = Some((group, Action::Create(self.next_number())));
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(PAUSE_MS))).await;
        }
        Ok(())
    }

    /// Reads everything from every node once nothing goes wrong any more.
    pub async fn audit(mut self) -> turmoil::Result {
        for group in 0..GROUPS {
            for node in 0..self.world.nodes.len() {
                for action in [Action::ReadProfile, Action::ReadCounters] {
                    self.insist(node, group, action).await;
                }
            }
        }
        Ok(())
    }

    async fn insist(&mut self, node: usize, group: usize, action: Action) {
        for _ in 0..AUDIT_TRIES_MAX {
            let called = self.world.moment();
            if let Reply::Answered(answer) = self.send(node, group, &action, String::new()).await {
                self.remember(group, action, called, End::Answered(answer, self.world.moment()));
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("node {node} does not serve group {group} though nothing goes wrong any more");
    }

    /// Asks, and again under the same name if nobody knows what came of it; remembers all of it. The answer, if there
    /// is one.
    async fn ask(&mut self, group: usize, action: Action) -> Option<Answer> {
        let called = self.world.moment();
        let request = self.next_number().to_string();
        match self.carry_through(group, &action, &request).await {
            Reply::Answered(answer) => {
                self.remember(group, action, called, End::Answered(answer.clone(), self.world.moment()));
                return Some(answer);
            }
            Reply::Unavailable(_) => self.world.tally.lock().unavailable += 1,
            // What nobody was told of a read is of no interest.
            Reply::Unknown if action.is_read() => {}
            Reply::Unknown => {
                self.world.tally.lock().unknown += 1;
                let repeats = self.random.below(2) == 0;
                self.repeat(group, action, called, &request, if repeats { REPETITIONS_MAX } else { 0 }).await;
            }
        }
        None
    }

    /// Asks again what nobody knows the outcome of. OK is the answer to the first request, whenever that was carried
    /// out: one operation from the first call to the last answer. Anything else is an answer to this request alone,
    /// and the first one stays unknown.
    async fn repeat(&mut self, group: usize, action: Action, first: Moment, request: &str, times: usize) {
        for _ in 0..times {
            tokio::time::sleep(REPEAT_AFTER).await;
            let called = self.world.moment();
            let Reply::Answered(answer) = self.carry_through(group, &action, request).await else { continue };
            self.world.tally.lock().repeated += 1;
            let end = End::Answered(answer.clone(), self.world.moment());
            if !answer.is_refusal() {
                self.remember(group, action, first, end);
                return;
            }
            self.remember(group, action.clone(), called, end);
            break;
        }
        self.remember(group, action, first, End::Unknown);
    }

    /// Asks one node after the other while nothing has happened.
    async fn carry_through(&mut self, group: usize, action: &Action, request: &str) -> Reply {
        let until = self.world.elapsed() + TRIED_FOR;
        if action.is_read() || self.random.below(4) == 0 {
            self.likely = self.random.below(self.world.nodes.len() as u64) as usize;
        }
        loop {
            let reply = self.send(self.likely, group, action, request.to_owned()).await;
            let Reply::Unavailable(leader) = reply else { return reply };
            self.likely = leader.unwrap_or_else(|| self.random.below(self.world.nodes.len() as u64) as usize);
            if self.world.elapsed() >= until {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(TRY_AGAIN_MS))).await;
        }
    }

    async fn send(&mut self, node: usize, group: usize, action: &Action, request: String) -> Reply {
        let (reply, answer) = oneshot::channel();
        let submit = Submit { group, action: action.clone(), request, reply };
        // What cannot be reached was told nothing.
        let is_sent = self.world.nodes[node].port.lock().as_ref().is_some_and(|port| port.send(submit).is_ok());
        if !is_sent {
            return Reply::Unavailable(None);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(reply)) => reply,
            // It does not answer in time, or is no more.
            Ok(Err(_)) | Err(_) => Reply::Unknown,
        }
    }

    fn remember(&mut self, group: usize, action: Action, called: Moment, end: End) {
        let number = self.number;
        self.world.note(format_args!("c{number} g{group} {action:?} {end:?}"));
        if let End::Answered(answer, _) = &end {
            let mut tally = self.world.tally.lock();
            match answer.is_refusal() {
                true => tally.refused += 1,
                false => tally.done += 1,
            }
        }
        self.world.history.lock().push(Operation { client: number, group, action, called, end });
    }

    /// A number that no other request of the run has.
    fn next_number(&mut self) -> u64 {
        self.given += 1;
        self.given * (CLIENTS as u64 + 1) + self.number as u64
    }

    fn choose(&mut self) -> (usize, Action) {
        let (group, number) = (self.random.below(GROUPS as u64) as usize, self.next_number());
        (group, SHARES.choose(&mut self.random, number))
    }
}
