//! Rows: what their keys and values look like, and how reads put them together.
//!
//! The database belongs to `muster_cluster::disk`; this layer gives its bytes a meaning. It writes nothing.

pub mod keys;
mod rows;

pub use keys::{Key, Keys, is_kept};
pub use rows::{
    AccountHeader, AccountText, BanRow, CustomPair, FeedRow, GroupHeader, GroupLogRow, GroupText, IdentityRow, JobRow,
    JoinedRow, MemberKey, MemberRow, OutboxHead, ProfileRow, RequestAnswer, RequestRow, ShardRow, TipChange, Version,
    decode, encode,
};
