//! Thin shells around the rules: routing, activation, turns, waiting replies, what shards tell each other.

mod accounts;
mod active;
mod call;
mod courier;
mod demand;
mod disbanding;
mod group;
mod host;
mod inbox;
mod message;
mod mint;
mod quota;
mod registry;
mod reservations;
mod service;
mod start;
#[cfg(test)]
mod tests;
mod under_way;

pub use accounts::{Existing, ImportAccount};
pub use host::HostOptions;
pub use service::{AppLimits, ReadError, Service, SubmitError};
pub use start::{StartError, start};

// What reads answer is made where rows are read; the front door knows it from here.
pub use crate::shard::{
    AllGroupsPage, AllGroupsQuery, BanPage, BanQuery, ClientRequest, GroupView, JoinedGroup, JoinedList, JoinedQuery,
    KeyValues, LiveAdmins, MemberPage, MemberQuery, MemberView, MutedList, NamedMembers, PageStart, Version,
};
