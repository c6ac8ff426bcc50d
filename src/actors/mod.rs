//! Thin shells around the rules: routing, activation, turns, waiting replies, what shards tell each other.

mod accounts;
mod active;
mod attendant;
mod call;
mod coalesced;
mod courier;
mod demand;
mod disbanding;
mod group;
mod host;
mod inbox;
mod line;
mod message;
mod mint;
mod neighbours;
mod queue;
mod quota;
mod recovering;
mod registry;
mod reservations;
mod service;
mod start;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod under_way;
mod wire;
mod words;

pub use accounts::{Existing, ImportAccount};
pub use host::HostOptions;
pub use service::{AppLimits, ReadError, Service, SubmitError};
pub use start::{StartError, start};
pub use wire::HOST_CALL;

// How another node is named, and why it does not answer.
pub use muster_cluster::{CallError, NodeId};

// What reads answer is made where rows are read; the front door knows it from here.
pub use crate::shard::{
    AllGroupsPage, AllGroupsQuery, BanPage, BanQuery, ClientRequest, GroupView, JoinedGroup, JoinedList, JoinedQuery,
    KeyValues, Looks, MemberPage, MemberQuery, MemberView, MutedList, NamedMembers, PageStart, Version,
};
