//! Several nodes are one service: what clients are told while nodes die and links fail is held against the rules.
//!
//!     clients ──requests──►  node ─┐         ┌─ node      one process each, on an address of its own
//!        │ remember every          └─ links ─┘            every direction between two of them can be slow, held or cut
//!        │ call and answer              ▲
//!        ▼                           faults               kill, pause, cut off, fill a disk, lose one
//!     history ──► checker ──per group, account, counter──► search ──► an order that explains every answer, or none
//!                                                            │
//!                                                          model   the rules of one group, one request at a time
//!
//! A run counts only if its fault was one: a shard changed its leader, or an append failed, by the nodes' own metrics.
//! The checker is tested by itself: `doctored` has histories that must be rejected, `generated` some thousand that are
//! compared with what happened and with trying everything.
//!
//! Every run prints its seed; `MUSTER_TEST_SEED` repeats its choices, not the timing of processes.

#[path = "../storage/random.rs"]
mod random;
#[path = "../storage/shim.rs"]
#[allow(dead_code, reason = "power cuts are for the tests of one node")]
mod shim;
#[path = "../support/mod.rs"]
mod support;

mod links;
mod metrics;
mod nodes;
mod tls;

mod choice;
mod clients;
mod history;
mod wire;

mod bits;
mod checker;
mod model;
mod search;
mod settled;

mod ctl;
mod faults;
mod forming;
mod garbage;
mod run;
mod scenarios;

mod doctored;
mod generated;
