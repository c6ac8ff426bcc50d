//! The leader's courier: hands applied outbox rows to the shards they are for, in order, until they are applied there.
//!
//! It never hands out what is not applied, never skips, and repeats what nobody received. The rows themselves stay
//! in the database until the target has applied them; truncation comes after delivery, because a crash in between
//! then repeats a message but loses none.

use std::time::{Duration, Instant};

use muster_cluster::ShardId;
use rustc_hash::FxHashMap;

use super::queue::{Queue, Sent};
use crate::metrics;
use crate::shard::{Job, OutboxHead, OutboxRow};

/// Rows in one delivery.
const DELIVERY_ROWS_MAX: usize = 64;
/// Bytes of effects in one delivery, unless one row alone is larger: what is longer than a node's line is never heard.
const DELIVERY_BYTES_MAX: usize = 1 << 20;
/// Bytes that one target may owe; the rows of all that wait are in memory.
const OUTBOX_BYTES_MAX: usize = 64 << 20;
/// A delivery that was not received for so long is repeated.
const REPEAT_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Target {
    /// The highest that its leaders have spoken in.
    term: u64,
    /// Not yet applied by the target, in order.
    rows: Queue,
    /// Sequence of the last row handed over.
    sent: u64,
    sent_at: Instant,
    /// It is to be spoken to, though there is nothing to hand over: it owes a word.
    is_nudged: bool,
    received: u64,
    /// Applied by the target.
    delivered: u64,
    /// Named in a truncation that was proposed.
    acknowledging: u64,
    /// Gone from this shard's outbox.
    acknowledged: u64,
}

impl Target {
    fn new(head: OutboxHead) -> Self {
        let before = head.first - 1;
        Self {
            term: 0,
            rows: Queue::default(),
            sent: before,
            sent_at: Instant::now(),
            is_nudged: false,
            received: before,
            delivered: before,
            acknowledging: before,
            acknowledged: before,
        }
    }

    fn newest(&self) -> u64 {
        self.rows.last().unwrap_or(self.delivered)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        metrics::get().outbox_rows.decrement(self.rows.len() as f64);
    }
}

/// Outgoing rows of one leadership.
#[derive(Debug)]
pub(super) struct Courier {
    targets: FxHashMap<ShardId, Target>,
    rows_max: usize,
    /// Disbanded groups that are forgotten once everybody has heard.
    telling: Vec<(Vec<(ShardId, u64)>, Job)>,
}

impl Courier {
    pub fn new(heads: Vec<(ShardId, OutboxHead)>, outbox: Vec<OutboxRow>, rows_max: usize) -> Self {
        let targets = heads.into_iter().map(|(target, head)| (target, Target::new(head))).collect();
        let mut courier = Self { targets, rows_max, telling: Vec::new() };
        courier.take(outbox);
        courier
    }

    /// Whether some target owes so much that no more may be promised to it.
    pub fn is_full(&self) -> bool {
        self.targets.values().any(|t| t.rows.len() >= self.rows_max || t.rows.bytes() >= OUTBOX_BYTES_MAX)
    }

    /// Takes rows that were applied; ones already known are passed over.
    pub fn take(&mut self, rows: Vec<OutboxRow>) {
        for row in rows {
            let target = self.targets.entry(row.target).or_insert_with(|| Target::new(OutboxHead::default()));
            if row.seq > target.newest() {
                target.rows.push((row.seq, row.effects));
                metrics::get().outbox_rows.increment(1.0);
            }
        }
    }

    /// Deliveries that may leave now.
    pub fn due(&mut self) -> Vec<(ShardId, Vec<Sent>)> {
        let mut due = Vec::new();
        for (id, target) in &mut self.targets {
            let Some(first) = target.rows.first() else { continue };
            let skip = (target.sent + 1).saturating_sub(first) as usize;
            let rows = target.rows.portion(skip, DELIVERY_ROWS_MAX, DELIVERY_BYTES_MAX);
            if let Some((last, _)) = rows.last() {
                target.sent = *last;
            }
            if std::mem::take(&mut target.is_nudged) || !rows.is_empty() {
                target.sent_at = Instant::now();
                due.push((*id, rows));
            }
        }
        due
    }

    pub fn received(&self, target: ShardId) -> u64 {
        self.targets.get(&target).map_or(0, |t| t.received)
    }

    /// The sequence of the newest row for a target; 0: there was none yet.
    pub fn newest(&self, target: ShardId) -> u64 {
        self.targets.get(&target).map_or(0, Target::newest)
    }

    /// The target's leader of that term says how far it holds the rows, and how far it has applied them.
    ///
    /// A leader of a higher term than before may hold less than the last one did: what follows is sent again. So it is
    /// with `again`: it missed rows. Who leads no more is not listened to.
    pub fn receipt(&mut self, id: ShardId, term: u64, through: u64, applied: u64, again: bool) {
        let target = self.targets.entry(id).or_insert_with(|| Target::new(OutboxHead::default()));
        if term < target.term {
            return;
        }
        // Nobody can hold what was never sent.
        let (through, applied) = (through.min(target.newest()), applied.min(target.newest()));
        if term > target.term {
            target.term = term;
            (target.received, target.sent) = (through.max(target.delivered), through.max(target.delivered));
        }
        target.received = target.received.max(through).max(applied);
        if again {
            target.sent = target.sent.min(through);
        }
        target.delivered = target.delivered.max(applied);
        target.sent = target.sent.max(target.delivered);
        metrics::get().outbox_rows.decrement(target.rows.drop_through(target.delivered) as f64);
    }

    /// A truncation to propose for one target, once.
    pub fn acknowledge(&mut self, id: ShardId) -> Option<u64> {
        let target = self.targets.get_mut(&id)?;
        if target.delivered <= target.acknowledging {
            return None;
        }
        target.acknowledging = target.delivered;
        Some(target.delivered)
    }

    /// Truncations to propose for all targets, each once.
    pub fn unacknowledged(&mut self) -> Vec<(ShardId, u64)> {
        let ids: Vec<ShardId> = self.targets.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.acknowledge(id).map(|through| (id, through))).collect()
    }

    /// The truncation will not happen: it is proposed again.
    pub fn not_acknowledged(&mut self, id: ShardId) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.acknowledging = target.acknowledged;
        }
    }

    /// The truncation was applied.
    pub fn acknowledged(&mut self, id: ShardId, through: u64) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.acknowledged = target.acknowledged.max(through);
        }
    }

    /// What was not received is sent again; who has received all and never said that it is applied is asked for it.
    pub fn repeat_lost(&mut self, now: Instant) {
        for target in self.targets.values_mut() {
            if now.duration_since(target.sent_at) < REPEAT_AFTER {
                continue;
            }
            target.is_nudged = !target.rows.is_empty();
            target.sent = target.sent.min(target.received);
        }
    }

    /// Remembers a disbanded group until every row so far is applied where it was for: its members were told by many
    /// of them.
    pub fn when_delivered(&mut self, job: Job) {
        let newest = |(id, target): (&ShardId, &Target)| Some((*id, target.rows.last()?));
        self.telling.push((self.targets.iter().filter_map(newest).collect(), job));
    }

    /// Disbanded groups that are in no list any more.
    pub fn told(&mut self) -> Vec<Job> {
        let targets = &self.targets;
        let is_told = |needs: &Vec<(ShardId, u64)>| {
            needs.iter().all(|(id, seq)| targets.get(id).is_some_and(|t| t.delivered >= *seq))
        };
        self.telling.extract_if(.., |(needs, _)| is_told(needs)).map(|(_, job)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shard::{Effect, bytes_of};

    const TARGET: ShardId = ShardId(1);

    fn row(seq: u64) -> OutboxRow {
        OutboxRow { target: TARGET, seq, effects: Arc::new(Vec::new()) }
    }

    fn seqs(due: Vec<(ShardId, Vec<Sent>)>) -> Vec<u64> {
        due.into_iter().flat_map(|(_, rows)| rows).map(|(seq, _)| seq).collect()
    }

    /// A row of about so many bytes.
    fn long_row(seq: u64, bytes: usize) -> OutboxRow {
        let effect = Effect::Quota { app: 1, day: 0, delta: 1 };
        let count = bytes.div_ceil(bytes_of(std::slice::from_ref(&effect)));
        OutboxRow { effects: Arc::new(vec![effect; count]), ..row(seq) }
    }

    #[test]
    fn a_delivery_is_no_longer_than_a_line_takes() {
        let more_than_half = DELIVERY_BYTES_MAX / 2 + 64;
        let rows = [more_than_half, more_than_half, more_than_half, 3 * more_than_half, 1]
            .into_iter()
            .zip(1..)
            .map(|(bytes, seq)| long_row(seq, bytes));
        let mut courier = Courier::new(vec![], rows.collect(), 10);
        for expected in [vec![1], vec![2], vec![3], vec![4], vec![5], vec![]] {
            assert_eq!(seqs(courier.due()), expected);
        }
        let mut courier =
            Courier::new(vec![], (1..=20).map(|seq| long_row(seq, DELIVERY_BYTES_MAX / 16)).collect(), 100);
        assert_eq!(seqs(courier.due()), (1..=16).collect::<Vec<_>>());
        assert_eq!(seqs(courier.due()), (17..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_target_that_owes_too_many_bytes_is_promised_no_more() {
        let mut courier = Courier::new(vec![], vec![], 1_000_000);
        let rows_max = OUTBOX_BYTES_MAX as u64 / DELIVERY_BYTES_MAX as u64;
        let long = long_row(1, DELIVERY_BYTES_MAX);
        courier.take((1..rows_max).map(|seq| OutboxRow { seq, ..long.clone() }).collect());
        assert!(!courier.is_full());
        courier.take(vec![OutboxRow { seq: rows_max, ..long }]);
        assert!(courier.is_full());
        courier.receipt(TARGET, 1, 1, 1, false);
        assert!(!courier.is_full());
    }

    #[test]
    fn rows_leave_once_and_in_order() {
        let mut courier = Courier::new(vec![], vec![], 10);
        courier.take(vec![row(1), row(2)]);
        assert_eq!(seqs(courier.due()), [1, 2]);
        assert!(courier.due().is_empty());
        courier.take(vec![row(2), row(3)]);
        assert_eq!(seqs(courier.due()), [3]);
    }

    #[test]
    fn a_new_leader_of_the_target_gets_what_the_last_one_lost() {
        let mut courier = Courier::new(vec![], vec![row(1), row(2), row(3)], 10);
        courier.due();
        courier.receipt(TARGET, 4, 3, 1, false);
        courier.receipt(TARGET, 6, 1, 1, false);
        assert_eq!(seqs(courier.due()), [2, 3]);
        // The one before does not know that it leads no more, and what it holds is lost.
        courier.receipt(TARGET, 4, 3, 1, false);
        assert_eq!(courier.received(TARGET), 1);
        courier.repeat_lost(Instant::now() + REPEAT_AFTER);
        assert_eq!(seqs(courier.due()), [2, 3]);
    }

    #[test]
    fn rows_that_were_missed_are_sent_again() {
        let mut courier = Courier::new(vec![], vec![row(1), row(2), row(3)], 10);
        courier.due();
        courier.receipt(TARGET, 4, 1, 0, true);
        assert_eq!(seqs(courier.due()), [2, 3]);
    }

    #[test]
    fn nobody_is_believed_to_hold_what_was_never_sent() {
        let mut courier = Courier::new(vec![], vec![row(1)], 10);
        courier.receipt(TARGET, 4, u64::MAX, u64::MAX, false);
        courier.take(vec![row(2)]);
        assert_eq!((courier.received(TARGET), seqs(courier.due())), (1, vec![2]));
        assert_eq!((courier.newest(TARGET), courier.newest(ShardId(5))), (2, 0));
    }

    #[test]
    fn what_nobody_received_is_repeated() {
        let mut courier = Courier::new(vec![], vec![row(1), row(2)], 10);
        courier.due();
        courier.receipt(TARGET, 1, 1, 0, false);
        courier.repeat_lost(Instant::now() + REPEAT_AFTER);
        assert_eq!(seqs(courier.due()), [2]);
    }

    #[test]
    fn who_does_not_say_that_it_has_applied_is_asked() {
        let mut courier = Courier::new(vec![], vec![row(1)], 10);
        courier.due();
        courier.receipt(TARGET, 1, 1, 0, false);
        assert!(courier.due().is_empty());
        courier.repeat_lost(Instant::now() + REPEAT_AFTER);
        let due = courier.due();
        assert_eq!((due.len(), due[0].1.len()), (1, 0), "a word without rows");
        courier.receipt(TARGET, 1, 1, 1, false);
        courier.repeat_lost(Instant::now() + REPEAT_AFTER);
        assert!(courier.due().is_empty());
    }

    #[test]
    fn truncation_is_proposed_once_and_only_behind_what_is_applied() {
        let mut courier = Courier::new(vec![], vec![row(1), row(2)], 10);
        courier.due();
        courier.receipt(TARGET, 1, 2, 0, false);
        assert!(courier.unacknowledged().is_empty());
        courier.receipt(TARGET, 1, 2, 1, false);
        assert_eq!(courier.unacknowledged(), [(TARGET, 1)]);
        assert!(courier.unacknowledged().is_empty());
    }

    #[test]
    fn a_disbanded_group_is_remembered_until_all_that_tell_of_it_are_applied() {
        let other = ShardId(2);
        let job = Job { slot: muster_cluster::Slot(7), gno: crate::id::Gno(3) };
        let mut courier = Courier::new(vec![], vec![row(1), OutboxRow { target: other, ..row(1) }], 10);
        courier.when_delivered(job);
        courier.due();
        courier.receipt(TARGET, 1, 1, 1, false);
        courier.receipt(other, 1, 1, 0, false);
        assert!(courier.told().is_empty());
        courier.receipt(other, 1, 1, 1, false);
        assert_eq!(courier.told(), [job]);
    }

    #[test]
    fn a_leader_begins_behind_what_was_truncated() {
        let head = OutboxHead { next: 9, first: 8 };
        let mut courier = Courier::new(vec![(TARGET, head)], vec![row(8)], 10);
        assert_eq!(seqs(courier.due()), [8]);
        courier.take(vec![row(8), row(9)]);
        assert_eq!(seqs(courier.due()), [9]);
    }
}
