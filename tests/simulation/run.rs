//! One run: nodes, clients and faults of a seed, and what must be true in the end.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::check;
use crate::clients::{CLIENTS, Client};
use crate::cluster::Simulated;
use crate::faults::{Fault, LAST_MS, plan};
use crate::random::Random;
use crate::world::{Tally, World, host_name};

/// Clients ask until then: past the end of the last fault.
const LOAD_ENDS: Duration = Duration::from_millis(LAST_MS + 3_000);
/// By then all have noticed that nothing goes wrong any more.
const CALM: Duration = Duration::from_millis(LAST_MS + 5_000);
/// After the last request, everything is applied everywhere within this time.
const SETTLED: Duration = Duration::from_secs(1);
/// One run of so many has five nodes instead of three.
const FIVE_NODES_ONE_IN: u64 = 5;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub tally: Tally,
    pub leaderships: usize,
    pub faults: Vec<(Duration, Fault)>,
}

/// Runs a seed on this thread.
///
/// # Panics
/// If something is wrong.
pub fn run(seed: u64) -> Outcome {
    let mut random = Random::of_seed(seed);
    let nodes = if random.below(FIVE_NODES_ONE_IN) == 0 { 5 } else { 3 };
    let world = World::new(seed, nodes, &mut random);
    let mut driver = Driver::new(world.clone(), &mut random);
    driver.run();

    let history = std::mem::take(&mut *world.history.lock());
    let violations = check(&history);
    assert!(violations.is_empty(), "no order explains what clients were told: {violations:#?}");
    let outcome =
        Outcome { tally: world.tally.lock().clone(), leaderships: world.leaderships(), faults: driver.faults };
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
    simulated: Simulated,
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
        let latency_ms_max = random.between(2, 40);
        let mut simulated = Simulated::new(world.clone(), latency_ms_max, random);
        for number in 0..CLIENTS {
            let client = Client::new(world.clone(), number, random.fork());
            simulated.sim.client(format!("client-{number}"), client.work(LOAD_ENDS));
        }
        let faults = plan(world.nodes.len(), random);
        Self { simulated, faults, later: Vec::new(), auditor: Some(random.fork()) }
    }

    fn run(&mut self) {
        let mut next = 0;
        loop {
            let now = self.simulated.sim.elapsed();
            self.simulated.world.set_now(now);
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
                let auditor = Client::new(self.simulated.world.clone(), CLIENTS, random);
                self.simulated.sim.client("auditor", auditor.audit());
            }
            let is_over = self.simulated.step();
            if is_over && self.auditor.is_none() {
                break;
            }
        }
        self.simulated.pass(SETTLED);
        self.simulated.world.has_equal_rows();
    }

    fn begin(&mut self, fault: Fault, now: Duration) {
        self.simulated.world.note(format_args!("{fault:?}"));
        let after = |ms| now + Duration::from_millis(ms);
        match fault {
            Fault::Crash { node, kept_tenths, down_ms } => {
                self.simulated.crash(node, kept_tenths);
                self.later.push((after(down_ms), Later::Start(node)));
            }
            Fault::CrashAll { kept_tenths, down_ms } => {
                for node in 0..self.simulated.world.nodes.len() {
                    self.simulated.crash(node, kept_tenths);
                    self.later.push((after(down_ms * (node as u64 + 1)), Later::Start(node)));
                }
            }
            Fault::CutOff { node, for_ms } => {
                for other in self.simulated.others(node) {
                    self.simulated.part(node, other);
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Silence { node, for_ms } => {
                for other in self.simulated.others(node) {
                    self.simulated.sim.partition_oneway(host_name(node), host_name(other));
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Deafen { node, for_ms } => {
                for other in self.simulated.others(node) {
                    self.simulated.sim.partition_oneway(host_name(other), host_name(node));
                    self.later.push((after(for_ms), Later::Heal(node, other)));
                }
            }
            Fault::Hold { node, other, for_ms } => {
                self.simulated.sim.hold(host_name(node), host_name(other));
                self.later.push((after(for_ms), Later::Heal(node, other)));
            }
            Fault::HangFlush { node, for_ms } => {
                self.simulated.world.nodes[node].disk.lock().hangs_for = Duration::from_millis(for_ms);
            }
            Fault::FailFlush { node, .. } => self.simulated.world.nodes[node].disk.lock().fails = true,
        }
    }

    fn carry_out(&mut self, later: Later) {
        self.simulated.world.note(format_args!("{later:?}"));
        match later {
            Later::Start(node) => self.simulated.start(node),
            Later::Heal(node, other) => self.simulated.heal(node, other),
        }
    }

    /// A node whose disk has failed ends itself, and begins anew.
    fn look_after_disks(&mut self, now: Duration) {
        for node in 0..self.simulated.world.nodes.len() {
            let has_failed = std::mem::take(&mut self.simulated.world.nodes[node].disk.lock().has_failed);
            if has_failed {
                let down = self.faults.iter().find_map(|(_, fault)| match fault {
                    Fault::FailFlush { node: other, down_ms } if *other == node => Some(*down_ms),
                    _ => None,
                });
                self.simulated.crash(node, 5);
                self.later.push((now + Duration::from_millis(down.unwrap_or(0)), Later::Start(node)));
            }
        }
    }
}
