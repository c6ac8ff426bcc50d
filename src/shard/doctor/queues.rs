//! Queues between shards against the cursors of their targets.

use super::Doctor;

impl Doctor {
    /// Behind the rows of shards as a whole.
    pub(super) fn queues(&mut self) {
        let mut differences = Vec::new();
        for ((source, target), head) in &self.heads {
            let seqs =
                self.outbox.range((*source, *target, 0)..=(*source, *target, u64::MAX)).map(|((.., seq), _)| *seq);
            if !seqs.eq(head.first..head.next) {
                differences.push(format!("outbox {} → {} does not hold {:?}", source.0, target.0, head));
            }
            let cursor = self.cursors.get(&(*source, *target)).copied().unwrap_or(0);
            if cursor + 1 < head.first || cursor >= head.next {
                differences.push(format!(
                    "shard {} has applied {cursor} of shard {}, which holds {head:?}",
                    target.0, source.0
                ));
            }
        }
        for (source, target, seq) in self.outbox.keys() {
            if !self.heads.contains_key(&(*source, *target)) {
                differences.push(format!("outbox {} → {} has row {seq} and no head", source.0, target.0));
            }
        }
        for ((source, target), cursor) in &self.cursors {
            if *cursor > 0 && !self.heads.contains_key(&(*source, *target)) {
                differences
                    .push(format!("shard {} has applied {cursor} of shard {}, which sent none", target.0, source.0));
            }
        }
        differences.into_iter().for_each(|difference| self.differs(difference));
        // Joined lists are compared as they will be when every message has arrived.
        for ((source, target, seq), effects) in std::mem::take(&mut self.outbox) {
            if seq > self.cursors.get(&(source, target)).copied().unwrap_or(0) {
                self.lists.will_happen(effects);
            }
        }
    }
}
