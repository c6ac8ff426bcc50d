//! One run: nodes, clients and faults of a seed, and what must be true in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use turmoil::Sim;

use crate::checker::check;
use crate::clients::{CLIENTS, Client};
use crate::faults::{Fault, LAST_MS, plan};
use crate::node;
use crate::random::Random;
use crate::world::{NODES, Tally, World, host_name};

const TICK: Duration = Duration::from_millis(1);
/// Clients ask until then: past the end of the last fault.
const LOAD_ENDS: Duration = Duration::from_millis(LAST_MS + 3_000);
/// By then all have noticed that nothing goes wrong any more.
const CALM: Duration = Duration::from_millis(LAST_MS + 5_000);
const ENDS: Duration = Duration::from_millis(LAST_MS + 30_000);

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub trace: String,
    pub tally: Tally,
    pub leaderships: usize,
    pub faults: Vec<(Duration, Fault)>,
}

/// Set by whatever panics, wherever: a task that panics takes nothing with it.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// Runs a seed on this thread.
///
/// # Panics
/// If something is wrong.
pub fn run(seed: u64) -> Outcome {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        HAS_PANICKED.store(true, Ordering::Relaxed);
        usual(panic);
    }));
    let mut random = Random::of_seed(seed);
    let world = World::new(seed, &mut random);
    let mut driver = Driver::new(world.clone(), &mut random);
    driver.run();
    assert!(!HAS_PANICKED.load(Ordering::Relaxed), "something has panicked");

    let history = std::mem::take(&mut *world.history.lock());
    let violations = check(&history);
    assert!(violations.is_empty(), "no order explains what clients were told: {violations:#?}");
    let outcome = Outcome {
        trace: world.take_trace(),
        tally: world.tally.lock().clone(),
        leaderships: world.leaderships(),
        faults: driver.faults,
    };
    assert!(outcome.has_bitten(), "no fault did any harm: {:?} {:?}", outcome.faults, outcome.tally);
    outcome
}

impl Outcome {
    /// A shard changed its leader, or a call between nodes came to nothing.
    fn has_bitten(&self) -> bool {
        self.leaderships > usize::from(crate::world::SHARDS) || self.tally.lost > 0
    }
}

/// Lets time pass, and things go wrong.
struct Driver {
    world: Arc<World>,
    sim: Sim<'static>,
    faults: Vec<(Duration, Fault)>,
    /// What is to be undone or done later.
    later: Vec<(Duration, Later)>,
    auditor: Option<Random>,
}

#[derive(Clone, Copy, Debug)]
enum Later {
    Start(usize),
    Heal(usize, usize),
}

impl Driver {
    fn new(world: Arc<World>, random: &mut Random) -> Self {
        let mut sim = turmoil::Builder::new()
            .tick_duration(TICK)
            .simulation_duration(ENDS)
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(Duration::from_millis(random.between(2, 40)))
            .udp_capacity(1 << 12)
            .rng_seed(random.bits())
            .build();
        for node in 0..NODES {
            let world = world.clone();
            sim.host(host_name(node), move || node::run(world.clone(), node));
        }
        for number in 0..CLIENTS {
            let client = Client::new(world.clone(), number, random.fork());
            sim.client(format!("client-{number}"), client.work(LOAD_ENDS));
        }
        Self { world, sim, faults: plan(random), later: Vec::new(), auditor: Some(random.fork()) }
    }

    fn run(&mut self) {
        let mut next = 0;
        loop {
            let now = self.sim.elapsed();
            self.world.set_now(now);
            while let Some((_, fault)) = self.faults.get(next).copied().filter(|(at, _)| *at <= now) {
                next += 1;
                self.begin(fault, now);
            }
            self.look_after_disks(now);
            for (_, later) in self.later.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
                self.carry_out(later);
            }
            if now >= CALM
                && let Some(random) = self.auditor.take()
            {
                let auditor = Client::new(self.world.clone(), CLIENTS, random);
                self.sim.client("auditor", auditor.audit());
            }
            let is_over = self.sim.step().unwrap_or_else(|error| panic!("the simulation ended: {error}"));
            assert!(!HAS_PANICKED.load(Ordering::Relaxed), "something has panicked");
            if is_over && self.auditor.is_none() {
                return;
            }
        }
    }

    fn begin(&mut self, fault: Fault, now: Duration) {
        self.world.note(format_args!("{fault:?}"));
        let after = |ms| now + Duration::from_millis(ms);
        match fault {
            Fault::Crash { node, kept_tenths, down_ms } => {
                self.crash(node, kept_tenths);
                self.later.push((after(down_ms), Later::Start(node)));
            }
            Fault::CrashAll { kept_tenths, down_ms } => {
                for node in 0..NODES {
                    self.crash(node, kept_tenths);
                    self.later.push((after(down_ms * (node as u64 + 1)), Later::Start(node)));
                }
            }
            Fault::CutOff { node, for_ms } => {
                for other in others(node) {
                    self.sim.partition(host_name(node), host_name(other));
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Silence { node, for_ms } => {
                for other in others(node) {
                    self.sim.partition_oneway(host_name(node), host_name(other));
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Deafen { node, for_ms } => {
                for other in others(node) {
                    self.sim.partition_oneway(host_name(other), host_name(node));
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Hold { node, other, for_ms } => {
                self.sim.hold(host_name(node), host_name(other));
                self.later.push((after(for_ms), Later::Heal(node, other)));
            }
            Fault::HangFlush { node, for_ms } => {
                self.world.nodes[node].disk.lock().hangs_for = Duration::from_millis(for_ms);
            }
            Fault::FailFlush { node, .. } => self.world.nodes[node].disk.lock().fails = true,
        }
    }

    fn carry_out(&mut self, later: Later) {
        self.world.note(format_args!("{later:?}"));
        match later {
            Later::Start(node) => {
                if !self.sim.is_host_running(host_name(node)) {
                    self.sim.bounce(host_name(node));
                }
            }
            // What was held arrives now.
            Later::Heal(node, other) => self.sim.release(host_name(node), host_name(other)),
        }
    }

    /// A node whose disk has failed ends itself, and begins anew.
    fn look_after_disks(&mut self, now: Duration) {
        for node in 0..NODES {
            let has_failed = std::mem::take(&mut self.world.nodes[node].disk.lock().has_failed);
            if has_failed {
                let down = self.faults.iter().find_map(|(_, fault)| match fault {
                    Fault::FailFlush { node: other, down_ms } if *other == node => Some(*down_ms),
                    _ => None,
                });
                self.crash(node, 5);
                self.later.push((now + Duration::from_millis(down.unwrap_or(0)), Later::Start(node)));
            }
        }
    }

    /// Ends a node's process, and its disk forgets what was not flushed, but for so many tenths of it.
    fn crash(&mut self, node: usize, kept_tenths: u64) {
        let state = &self.world.nodes[node];
        self.sim.crash(host_name(node));
        *state.port.lock() = None;
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
}

fn others(node: usize) -> impl Iterator<Item = usize> {
    (0..NODES).filter(move |other| *other != node)
}
