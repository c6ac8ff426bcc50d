//! What the leaders before may have received for a shard and not applied: its sources have it, and are asked.
//!
//! A source answers with the sequence of its newest row, as of after it was asked. Whatever an earlier leader said it
//! had received is not newer, so a host that has received through there from every source holds all that was promised.

use muster_cluster::ShardId;

use super::inbox::Inbox;

/// Sources that one leadership has not caught up with.
#[derive(Debug)]
pub(super) struct Recovering {
    /// Each with the sequence to be received, once it has been told.
    missing: Vec<(ShardId, Option<u64>)>,
}

impl Recovering {
    pub fn new(sources: impl Iterator<Item = ShardId>) -> Self {
        Self { missing: sources.map(|source| (source, None)).collect() }
    }

    pub fn is_over(&self) -> bool {
        self.missing.is_empty()
    }

    /// Sources that have not answered yet.
    pub fn unanswered(&self) -> impl Iterator<Item = ShardId> {
        self.missing.iter().filter(|(_, newest)| newest.is_none()).map(|(source, _)| *source)
    }

    pub fn is_unanswered(&self, source: ShardId) -> bool {
        self.unanswered().any(|unanswered| unanswered == source)
    }

    pub fn answered(&mut self, source: ShardId, newest: u64) {
        if let Some((_, missing)) = self.missing.iter_mut().find(|(missing, _)| *missing == source) {
            *missing = Some(newest);
        }
    }

    /// Crosses off the sources that nothing is missing of.
    pub fn catch_up(&mut self, inbox: &Inbox) {
        self.missing.retain(|(source, newest)| newest.is_none_or(|newest| inbox.received(*source) < newest));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::actors::inbox::Held;

    #[test]
    fn it_is_over_when_all_sources_have_answered_and_been_heard_through() {
        let (a, b) = (ShardId(1), ShardId(2));
        let mut inbox = Inbox::new(vec![(a, 3)], Held::default());
        let mut recovering = Recovering::new([a, b].into_iter());
        recovering.answered(a, 4);
        recovering.catch_up(&inbox);
        assert_eq!(recovering.unanswered().collect::<Vec<_>>(), [b]);
        // It has nothing for this shard, and never had.
        recovering.answered(b, 0);
        recovering.catch_up(&inbox);
        assert!(!recovering.is_over(), "row 4 of the first is missing");
        inbox.receive(a, 1, vec![(4, Arc::new(Vec::new()))]);
        recovering.catch_up(&inbox);
        assert!(recovering.is_over());
        recovering.answered(a, 9);
        assert!(recovering.is_over(), "what came later was received by this leadership");
    }
}
