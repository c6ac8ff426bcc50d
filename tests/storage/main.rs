//! Nothing acknowledged is lost: real nodes are killed, lose power, find their disk full, failing or hanging, and
//! find their files damaged; then everything they said is held against what they kept.
//!
//!     load  ──changes──►  node  ──preloaded──►  shim ──► files
//!       │ remembers                               │ remembers what was flushed
//!       ▼                                         ▼
//!     model ◄──compared── node, restarted ◄── files, cut back to that
//!
//! Every test prints its seed; `MUSTER_TEST_SEED` repeats it. It repeats the choices, not the timing of threads.

#[path = "../support/mod.rs"]
mod support;

mod arbiters;
mod check;
mod crash;
mod damage;
mod faults;
mod folder;
mod load;
mod model;
mod random;
mod shim;
mod stop;
