//! What is replicated: entries, and the machine that turns committed ones into rows.

mod codes;
mod doctor;
mod entry;
mod lookup;
mod machine;
mod proposer;
pub mod reads;
mod recover;
mod rows;
#[cfg(test)]
mod tests;
mod view;

pub use codes::Head;
pub use doctor::{DIFFERENCES_LISTED_MAX, Doctor, Findings};
pub use entry::ItemRef;
pub use entry::{DecodeError, Delivery, Effect, EventForm, GroupEntry, Item, NoticeForm, Proposal};
pub use lookup::{Lookups, shard_of_account, shard_of_quota, slot_of, slot_of_account};
pub use machine::{Applied, AppliedProposal, DISBAND_CHUNK, Job, Machine, OutboxRow, Outcome};
pub use proposer::{InFlight, PROPOSAL_BYTES_MAX, PROPOSAL_ITEMS_MAX, Proposer};
pub use recover::{Recovery, recover};
pub use rows::Count;
pub use view::{
    GroupView, JoinedGroup, JoinedList, JoinedQuery, MemberPage, MemberQuery, MemberView, MsgFlag, PageStart,
};

// Parts of entries and messages that happen to be rows too.
pub use crate::store::{OutboxHead, Version};
