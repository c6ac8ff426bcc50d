//! Thin shells around the rules: routing, activation, turns, waiting replies, what shards tell each other.

mod call;
mod courier;
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

pub use host::HostOptions;
pub use service::{AppLimits, ReadError, Service, SubmitError};
pub use start::{StartError, start};

// What reads answer is made where rows are read; the front door knows it from here.
pub use crate::shard::{
    GroupView, JoinedGroup, JoinedList, JoinedQuery, MemberPage, MemberQuery, MemberView, MsgFlag, PageStart,
};
