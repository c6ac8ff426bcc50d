//! What is replicated: entries, and the machine that turns committed ones into rows.

mod codes;
mod doctor;
mod entry;
pub mod identities;
mod lookup;
mod machine;
mod proposer;
pub mod reads;
mod recover;
mod requests;
mod rows;
#[cfg(test)]
mod tests;
mod view;

pub use codes::Head;
pub use doctor::{DIFFERENCES_LISTED_MAX, Examined, Findings, examine, look_through};
pub use entry::ItemRef;
pub use entry::{
    AccountsEntry, DecodeError, Delivery, Effect, EventForm, GroupEntry, IdentityChange, Item, NoticeForm, Proposal,
    bytes_of,
};
pub use lookup::{Lookups, shard_of_account, shard_of_app, shard_of_quota, slot_of, slot_of_account};
pub use machine::{Applied, AppliedProposal, DISBAND_CHUNK, Job, Machine, OutboxRow, Outcome, Told};
pub use proposer::{InFlight, PROPOSAL_BYTES_MAX, PROPOSAL_ITEMS_MAX, Proposer};
pub use recover::{Recovery, recover};
pub use requests::{ClientRequest, RequestForm, answer_form, answer_of, buckets_searched, minted_of, told_again};
pub use rows::Count;
pub use view::{
    AllGroupsPage, AllGroupsQuery, BanPage, BanQuery, GroupView, JoinedGroup, JoinedList, JoinedQuery, KeyValues,
    LiveAdmins, Looks, MemberPage, MemberQuery, MemberView, MutedList, NamedMembers, PageStart,
};

// Parts of entries and messages that happen to be rows too.
pub use crate::store::{AccountText, GroupText, OutboxHead, RequestAnswer, Version};
