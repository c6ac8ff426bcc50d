//! Nodes in a simulation, and what can be done to them between its steps.

use std::cell::Cell;
use std::sync::{Arc, Once};
use std::time::Duration;

use muster_cluster::ShardId;
use tokio::sync::oneshot;
use turmoil::Sim;

use crate::history::Action;
use crate::host::{Reply, Submit};
use crate::node;
use crate::random::Random;
use crate::world::{World, host_name};

const TICK: Duration = Duration::from_millis(1);
/// No run takes so long.
const ENDS: Duration = Duration::from_secs(120);
/// Whoever leads is known within this time, if nothing goes wrong.
const LEADER_WITHIN: Duration = Duration::from_secs(10);
/// All nodes have their votes within this time, and leaders are where they are planned: they move after five calm seconds.
const FORMED_WITHIN: Duration = Duration::from_secs(8);
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

thread_local! {
    /// Set by whatever panics in a run: a task that panics takes nothing with it.
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic on this thread is noticed by the steps of its simulation.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            HAS_PANICKED.set(true);
            usual(panic);
        }));
    });
    HAS_PANICKED.set(false);
}

pub struct Simulated {
    pub world: Arc<World>,
    pub sim: Sim<'static>,
}

impl Simulated {
    /// `latency_ms_max`: what a datagram takes at most.
    pub fn new(world: Arc<World>, latency_ms_max: u64, random: &mut Random) -> Self {
        notice_panics();
        let mut sim = turmoil::Builder::new()
            .tick_duration(TICK)
            .simulation_duration(ENDS)
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(Duration::from_millis(latency_ms_max))
            .udp_capacity(1 << 12)
            .rng_seed(random.bits())
            .build();
        for node in 0..world.nodes.len() {
            let world = world.clone();
            sim.host(host_name(node), move || node::run(world.clone(), node));
        }
        Self { world, sim }
    }

    /// Lets a millisecond pass; whether all clients are done.
    ///
    /// # Panics
    /// If anything has panicked.
    pub fn step(&mut self) -> bool {
        self.world.set_now(self.sim.elapsed());
        let is_over = self.sim.step().unwrap_or_else(|error| panic!("the simulation ended: {error}"));
        assert!(!HAS_PANICKED.get(), "something has panicked");
        is_over
    }

    pub fn others(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.world.nodes.len()).filter(move |other| *other != node)
    }

    /// Ends a node's process, and its disk forgets what was not flushed, but for so many tenths of it.
    pub fn crash(&mut self, node: usize, kept_tenths: u64) {
        let state = &self.world.nodes[node];
        self.sim.crash(host_name(node));
        self.world.ends(node);
        {
            let mut fate = state.disk.lock();
            (fate.fails, fate.has_failed, fate.hangs_for) = (false, false, Duration::ZERO);
        }
        let mut store = state.store.lock();
        let unflushed = store.unflushed();
        let kept = unflushed * kept_tenths as usize / 10;
        *store = store.after_power_loss_but(kept);
        let mut tally = self.world.tally.lock();
        tally.crashes += 1;
        tally.batches_lost += (unflushed - kept) as u64;
        drop(tally);
        self.world.note(format_args!("n{node} crashes, {kept} of {unflushed} unflushed batches are left"));
    }

    pub fn start(&mut self, node: usize) {
        if !self.sim.is_host_running(host_name(node)) {
            self.sim.bounce(host_name(node));
        }
    }

    /// Neither hears the other any more.
    pub fn part(&self, node: usize, other: usize) {
        self.sim.partition(host_name(node), host_name(other));
    }

    /// They hear each other again; what was held arrives now.
    pub fn heal(&self, node: usize, other: usize) {
        self.sim.release(host_name(node), host_name(other));
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.step();
        }
    }

    /// Lets time pass until something is so; what it is.
    ///
    /// # Panics
    /// If it is not by then.
    pub fn until<T>(&mut self, within: Duration, what: &str, is_so: impl Fn(&Self) -> Option<T>) -> T {
        let until = self.sim.elapsed() + within;
        loop {
            if let Some(found) = is_so(self) {
                return found;
            }
            assert!(self.sim.elapsed() < until, "not within {within:?}: {what}");
            self.step();
        }
    }

    /// Waits until every node has a vote in every shard, and a leader that is not about to change.
    pub fn form(&mut self) {
        self.pass(FORMED_WITHIN);
        let nodes = self.world.nodes.len();
        let has_all = |voters: Vec<usize>| (voters.iter().all(|voters| *voters == nodes)).then_some(());
        self.until(LEADER_WITHIN, "every node votes", |simulated| has_all(simulated.world.voters()));
    }

    /// Who leads a shard, other than somebody.
    pub fn leader_but(&mut self, shard: ShardId, not: Option<usize>) -> (usize, u64) {
        let leads = |simulated: &Self| simulated.world.leader(shard).filter(|(node, _)| Some(*node) != not);
        self.until(LEADER_WITHIN, "somebody leads", leads)
    }

    /// Asks a node; the answer comes while time passes.
    pub fn ask(&self, node: usize, group: usize, action: Action, request: &str) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        let port = self.world.nodes[node].port.lock();
        let port = port.as_ref().unwrap_or_else(|| panic!("node {node} does not run"));
        let _ = port.send(Submit { group, action, request: request.to_owned(), reply });
        answer
    }

    /// Asks a node and waits for what comes of it.
    pub fn asked(&mut self, node: usize, group: usize, action: Action, request: &str) -> Reply {
        let mut answer = self.ask(node, group, action, request);
        let until = self.sim.elapsed() + ANSWERED_WITHIN;
        while self.sim.elapsed() < until {
            self.step();
            match answer.try_recv() {
                Ok(reply) => return reply,
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => break,
            }
        }
        Reply::Unknown
    }
}
