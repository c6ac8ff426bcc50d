//! Muster: a cluster that manages chat groups.
//!
//! A chat group is decided by one actor at a time, and there is one way through the program:
//!
//! ```text
//! request → command → decide → events → entry → log → apply → rows + outbox → reply
//! ```
//!
//! ARCHITECTURE.md tells it in full: how data flows, what lives where, which arrows are allowed.

pub mod actors;
pub mod admin;
pub mod api;
pub mod bench;
pub mod cli;
pub mod config;
pub mod group;
pub mod id;
pub mod metrics;
pub mod node;
pub mod shard;
pub mod store;
pub mod time;
