//! The rows of accounts: counts against lists, feeds against their sequence.

use super::{Doctor, gap};
use crate::shard::rows::FEED_ROWS_MAX;

impl Doctor {
    /// What accounts say of themselves against their rows, which lie in the same slot.
    pub(super) fn counts(&mut self) {
        let mut counts = std::mem::take(&mut self.joined_counts);
        for (key, header) in std::mem::take(&mut self.accounts) {
            let count = counts.remove(&key).unwrap_or(0);
            if count != header.joined_count {
                let more = i128::from(header.joined_count) - i128::from(count);
                self.differences.push(format!("{} counts {more:+} groups beside those that it has", key.1));
            }
            let feed = self.feeds.remove(&key).unwrap_or_default();
            let first = header.feed_seq.saturating_sub(FEED_ROWS_MAX) + 1;
            if let Some(wrong) = gap(&feed, first..header.feed_seq + 1) {
                self.differences.push(format!("the feed of {} {wrong}", key.1));
            }
        }
        for (_, account) in counts.keys().chain(self.feeds.keys()) {
            self.differences.push(format!("{account} has rows and no account row"));
        }
        self.feeds.clear();
    }
}
