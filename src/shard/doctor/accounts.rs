//! The rows of accounts: joined lists against rosters, counts against lists, feeds against their sequence.

use std::collections::BTreeMap;

use muster_cluster::Slot;

use super::{Doctor, JoinedKey, Part};
use crate::id::{AppId, Gno};
use crate::shard::entry::Effect;
use crate::shard::rows::FEED_ROWS_MAX;
use crate::store::{AccountText, JoinedRow};

impl Doctor {
    /// Joined rows with what is on its way folded in, against the rosters.
    pub(super) fn joined_lists(&mut self) -> usize {
        let mut joined = std::mem::take(&mut self.joined);
        let members = std::mem::take(&mut self.members);
        let disbanding_groups = std::mem::take(&mut self.disbanding);
        let mut on_their_way = 0;
        for ((source, target, seq), effects) in &self.outbox {
            if *seq <= self.cursors.get(&(*source, *target)).copied().unwrap_or(0) {
                continue;
            }
            on_their_way += effects.len();
            effects.iter().for_each(|effect| fold(&mut joined, effect, self.part));
        }
        // Members that a disband has not reached yet still have the group in their lists.
        let disbanding = |(_, account, slot, gno): &JoinedKey| {
            disbanding_groups.get(&(*slot, *gno)).is_some_and(|told_later| told_later.contains(account))
        };
        for (key, row) in &joined {
            let (app, account, slot, gno) = key;
            let place = format!("slot {} gno {gno}", slot.0);
            match members.get(key) {
                None if disbanding(key) => {}
                None => self.differs(format!("{account} of app {app} has joined {place}, where it is no member")),
                Some(member) if is_listed(row, member) => {}
                Some(member) => {
                    self.differs(format!("{account} of app {app} lists {place} as {row:?}, not {member:?}"))
                }
            }
        }
        for (app, account, slot, gno) in members.keys().filter(|key| !joined.contains_key(key)) {
            let place = format!("slot {} gno {gno}", slot.0);
            self.differs(format!("{account} of app {app} is a member of {place} and has not joined it"));
        }
        on_their_way
    }

    /// What accounts say of themselves against their rows, which lie in the same slot.
    pub(super) fn counts(&mut self) {
        let mut counts = std::mem::take(&mut self.joined_counts);
        for (key, header) in std::mem::take(&mut self.accounts) {
            let count = counts.remove(&key).unwrap_or(0);
            if count != header.joined_count {
                self.differences.push(format!("{} counts {} groups, has {count}", key.1, header.joined_count));
            }
            let feed = self.feeds.remove(&key).unwrap_or_default();
            let first = header.feed_seq.saturating_sub(FEED_ROWS_MAX) + 1;
            if !feed.iter().copied().eq(first..header.feed_seq + 1) {
                self.differences.push(format!(
                    "the feed of {} has {} rows up to {}",
                    key.1,
                    feed.len(),
                    header.feed_seq
                ));
            }
        }
        for (_, account) in counts.keys().chain(self.feeds.keys()) {
            self.differences.push(format!("{account} has rows and no account row"));
        }
        self.feeds.clear();
    }
}

fn fold(joined: &mut BTreeMap<JoinedKey, JoinedRow>, effect: &Effect, part: Part) {
    let key = |app: &u32, account: &AccountText, slot: &u16, gno: &u64| {
        (AppId(*app), account.0.clone(), Slot(*slot), Gno(*gno))
    };
    match effect {
        Effect::Joined { app, account, slot, gno, row, .. } if part.has_account(AppId(*app), &account.0) => {
            joined.insert(key(app, account, slot, gno), row.clone());
        }
        Effect::Left { app, account, slot, gno, .. } => {
            joined.remove(&key(app, account, slot, gno));
        }
        Effect::Ended { app, accounts, slot, gno, .. } => accounts.iter().for_each(|account| {
            joined.remove(&key(app, account, slot, gno));
        }),
        Effect::JoinedChanged { app, account, slot, gno, row } => {
            joined.entry(key(app, account, slot, gno)).and_modify(|joined| joined.clone_from(row));
        }
        // Whoever is in another part has no rows here to be changed.
        Effect::Joined { .. } | Effect::Quota { .. } | Effect::Told { .. } => {}
    }
}

/// Whether a joined row says what it should. That a group became active, or got topics, no row is told.
fn is_listed(row: &JoinedRow, member: &JoinedRow) -> bool {
    let may_lag = JoinedRow::flags(false, true, true);
    let fixed = |row: &JoinedRow| JoinedRow { flags: row.flags & !may_lag, ..row.clone() };
    fixed(row) == fixed(member) && row.flags & may_lag & !member.flags == 0
}
