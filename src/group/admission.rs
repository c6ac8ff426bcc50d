//! Who of a list may enter a group, one answer per account in the order of the list.
//!
//! Shared by adding and importing. Who is a member already is one also in a full group; whom something else keeps
//! out takes no room from those who follow.

use rustc_hash::FxHashSet;

use super::{AddResult, Context, Group};
use crate::id::AccountId;

pub(super) struct Admission<'a> {
    group: &'a Group,
    context: &'a Context<'a>,
    /// How many more fit in.
    room: u32,
    admitted: FxHashSet<&'a AccountId>,
}

impl<'a> Admission<'a> {
    pub(super) fn new(group: &'a Group, context: &'a Context<'a>) -> Self {
        let facts = group.facts();
        let room = match facts.members_max {
            0 => u32::MAX - facts.member_count,
            members_max => members_max.saturating_sub(facts.member_count),
        };
        Self { group, context, room, admitted: FxHashSet::default() }
    }

    /// Nobody else fits in.
    pub(super) fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Judges the next account of the list; `fit` is false if something about it alone forbids that it enters.
    pub(super) fn ask(&mut self, account: &'a AccountId, fit: bool) -> AddResult {
        let is_kept_out =
            || self.context.full_accounts.contains(account) || self.context.unknown_accounts.contains(account);
        if self.group.member(account).is_some() || self.admitted.contains(account) {
            AddResult::AlreadyMember
        } else if !fit || self.is_full() || is_kept_out() {
            AddResult::Failed
        } else {
            self.room -= 1;
            self.admitted.insert(account);
            AddResult::Added
        }
    }
}
