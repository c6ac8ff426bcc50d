//! What goes wrong in a run, and when: drawn from the seed before it begins.

use std::time::Duration;

use crate::random::Random;

/// Nothing goes wrong before, so that there is something to lose.
const FIRST_MS: u64 = 700;
/// The last fault begins before this; all are over some seconds later.
pub const LAST_MS: u64 = 9_000;
const FAULTS_MIN: u64 = 5;
const FAULTS_MAX: u64 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends, and of what was not flushed so many tenths are left; started again after a while.
    Crash { node: usize, kept_tenths: u64, down_ms: u64 },
    /// All at once.
    CrashAll { kept_tenths: u64, down_ms: u64 },
    /// A node and the others do not hear each other.
    CutOff { node: usize, for_ms: u64 },
    /// The others do not hear a node.
    Silence { node: usize, for_ms: u64 },
    /// A node does not hear the others.
    Deafen { node: usize, for_ms: u64 },
    /// What two nodes say to each other arrives much later, all at once.
    Hold { node: usize, other: usize, for_ms: u64 },
    /// The next flush takes so long.
    HangFlush { node: usize, for_ms: u64 },
    /// Flushes fail from now on; the node is started again after a while.
    FailFlush { node: usize, down_ms: u64 },
}

/// The faults of a run, in order.
pub fn plan(nodes: usize, random: &mut Random) -> Vec<(Duration, Fault)> {
    let count = random.between(FAULTS_MIN, FAULTS_MAX + 1);
    let mut faults: Vec<_> = (0..count)
        .map(|_| (Duration::from_millis(random.between(FIRST_MS, LAST_MS)), some_fault(nodes as u64, random)))
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn some_fault(nodes: u64, random: &mut Random) -> Fault {
    let node = random.below(nodes) as usize;
    let other = (node + 1 + random.below(nodes - 1) as usize) % nodes as usize;
    let (for_ms, down_ms) = (random.between(100, 1_800), random.between(20, 1_500));
    // Mostly all is lost or nothing.
    let kept_tenths = [0, 0, random.below(11), 10][random.below(4) as usize];
    match random.below(12) {
        0..4 => Fault::Crash { node, kept_tenths, down_ms },
        4 => Fault::CrashAll { kept_tenths, down_ms },
        5..7 => Fault::CutOff { node, for_ms },
        7 => Fault::Silence { node, for_ms },
        8 => Fault::Deafen { node, for_ms },
        9 => Fault::Hold { node, other, for_ms },
        10 => Fault::HangFlush { node, for_ms },
        _ => Fault::FailFlush { node, down_ms },
    }
}
