//! Three nodes, or five, on one thread, with a network, disks and clocks that a seed decides: `cluster/` with the machine
//! of `src/shard/` and the rules, on openraft.
//!
//!     seed ──► faults     crashes, lost tails, failed and hanging flushes, cut, held and one-way links
//!          ──► network    datagrams that are late, lost, doubled, out of order
//!          ──► clients ──► host (decides by the rules) ──► proposer ──► log ──► machine ──► rows
//!                │                                                               │
//!                ▼                                                               ▼
//!             history ──► checker of tests/cluster               world: the same entries everywhere, on a majority
//!                                                                of disks, one leader per term, equal rows at the end
//!
//! Everything that happens is one trace; a seed run twice gives the same, byte for byte. Each run has a process of its
//! own (`seeds.rs`). `MUSTER_SIMULATION_SEEDS=100..200` runs other seeds than the usual ones; what fails says how it is
//! run alone, and `MUSTER_SIMULATION_TRACE=file` keeps its trace.

#[path = "../cluster/bits.rs"]
mod bits;
#[path = "../cluster/checker.rs"]
mod checker;
#[path = "../cluster/choice.rs"]
mod choice;
#[path = "../cluster/history.rs"]
#[allow(dead_code, reason = "time is the simulation's")]
mod history;
#[path = "../cluster/model.rs"]
mod model;
#[path = "../storage/random.rs"]
#[allow(dead_code, reason = "seeds are given here")]
mod random;
#[path = "../cluster/search.rs"]
mod search;

mod actions;
mod chance;
mod clients;
mod cluster;
mod faults;
mod host;
mod network;
mod node;
mod rules;
mod run;
mod seeds;
mod world;
