//! What other shards have sent: received in order, applied in order, one entry per source under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use muster_cluster::ShardId;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::ReadError;
use super::queue::{Queue, Sent};

/// Rows that one entry takes from a source.
const INBOX_ROWS_MAX: usize = 256;
/// Bytes of effects that one entry takes from a source, unless one row alone is larger.
const INBOX_BYTES_MAX: usize = 256 << 10;
/// Rows held of one source; what comes beyond is not received and is sent again.
const INBOX_HELD_MAX: usize = 4096;
/// Bytes of their effects, likewise.
const INBOX_HELD_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Default)]
struct Source {
    /// The highest that it has spoken in.
    term: u64,
    received: u64,
    applied: u64,
    /// Received and not yet applied, in order.
    rows: Queue,
    /// Sequence of the last row in the entry under way.
    proposed: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    /// Must be applied.
    needs: Vec<(ShardId, u64)>,
    reply: oneshot::Sender<Result<(), ReadError>>,
}

/// Incoming rows of one leadership.
#[derive(Debug)]
pub(super) struct Inbox {
    sources: FxHashMap<ShardId, Source>,
    waiting: Vec<Waiting>,
    held: Held,
}

/// How many rows a shard has received and not applied, for all of the node to see: with none, a read waits for
/// nothing. Whoever was told that a row is received finds it counted until its effect can be read.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<AtomicUsize>);

impl Held {
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Inbox {
    pub fn new(cursors: Vec<(ShardId, u64)>, held: Held) -> Self {
        held.0.store(0, Ordering::Release);
        let sources = cursors
            .into_iter()
            .map(|(source, cursor)| (source, Source { received: cursor, applied: cursor, ..Source::default() }))
            .collect();
        Self { sources, waiting: Vec::new(), held }
    }

    /// Takes what continues the sequence; answers how far it is held, and whether rows are missing before these.
    /// `None`: who says it leads the source no more.
    pub fn receive(&mut self, source: ShardId, term: u64, rows: Vec<Sent>) -> Option<(u64, bool)> {
        let source = self.sources.entry(source).or_default();
        if term < source.term {
            return None;
        }
        source.term = term;
        let is_gap = rows.first().is_some_and(|(seq, _)| *seq > source.received + 1);
        for row in rows {
            let has_room = source.rows.len() < INBOX_HELD_MAX && source.rows.bytes() < INBOX_HELD_BYTES_MAX;
            if row.0 == source.received + 1 && has_room {
                source.received = row.0;
                source.rows.push(row);
                self.held.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        Some((source.received, is_gap))
    }

    /// Everything through there is held or applied.
    pub fn received(&self, source: ShardId) -> u64 {
        self.sources.get(&source).map_or(0, |source| source.received)
    }

    /// Everything through there is applied.
    pub fn applied_through(&self, source: ShardId) -> u64 {
        self.sources.get(&source).map_or(0, |source| source.applied)
    }

    /// Whether somebody waits for what was received.
    pub fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether something could be proposed now.
    pub fn has_due(&self) -> bool {
        self.sources.values().any(|source| source.proposed.is_none() && !source.rows.is_empty())
    }

    /// Entries to propose: for every source without one under way, all that came meanwhile.
    pub fn due(&mut self) -> Vec<(ShardId, Vec<Sent>)> {
        let mut due = Vec::new();
        for (id, source) in &mut self.sources {
            if source.proposed.is_some() || source.rows.is_empty() {
                continue;
            }
            let rows = source.rows.portion(0, INBOX_ROWS_MAX, INBOX_BYTES_MAX);
            source.proposed = rows.last().map(|(seq, _)| *seq);
            due.push((*id, rows));
        }
        due
    }

    /// The entry under way was applied, or will not happen.
    pub fn landed(&mut self, source: ShardId) {
        if let Some(source) = self.sources.get_mut(&source) {
            source.proposed = None;
        }
    }

    /// Rows through this sequence are applied.
    pub fn applied(&mut self, id: ShardId, through: u64) {
        let source = self.sources.entry(id).or_default();
        source.applied = source.applied.max(through);
        source.received = source.received.max(through);
        self.held.0.fetch_sub(source.rows.drop_through(through), Ordering::AcqRel);
        let sources = &self.sources;
        let settled = |needs: &Vec<(ShardId, u64)>| {
            needs.iter().all(|(id, seq)| sources.get(id).is_some_and(|s| s.applied >= *seq))
        };
        for waiting in self.waiting.extract_if(.., |w| settled(&w.needs)) {
            let _ = waiting.reply.send(Ok(()));
        }
    }

    /// Answers when everything received by now is applied.
    pub fn wait(&mut self, reply: oneshot::Sender<Result<(), ReadError>>) {
        let needs: Vec<(ShardId, u64)> =
            self.sources.iter().filter(|(_, s)| s.applied < s.received).map(|(id, s)| (*id, s.received)).collect();
        if needs.is_empty() {
            let _ = reply.send(Ok(()));
        } else {
            // Readers that gave up are not kept.
            self.waiting.retain(|w| !w.reply.is_closed());
            self.waiting.push(Waiting { needs, reply });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: ShardId = ShardId(2);

    fn rows(seqs: &[u64]) -> Vec<Sent> {
        seqs.iter().map(|seq| (*seq, Arc::new(Vec::new()))).collect()
    }

    fn seqs(due: &[(ShardId, Vec<Sent>)]) -> Vec<u64> {
        due.iter().flat_map(|(_, rows)| rows.iter().map(|(seq, _)| *seq)).collect()
    }

    #[test]
    fn repeats_and_gaps_are_passed_over() {
        let mut inbox = Inbox::new(vec![(SOURCE, 4)], Held::default());
        assert_eq!(inbox.receive(SOURCE, 1, rows(&[3, 4, 5])), Some((5, false)));
        assert_eq!(inbox.receive(SOURCE, 1, rows(&[7])), Some((5, true)));
        assert_eq!(inbox.receive(SOURCE, 1, rows(&[5, 6, 7])), Some((7, false)));
        assert_eq!(seqs(&inbox.due()), [5, 6, 7]);
    }

    #[test]
    fn one_entry_per_source_is_under_way() {
        let mut inbox = Inbox::new(vec![], Held::default());
        inbox.receive(SOURCE, 1, rows(&[1]));
        assert_eq!(seqs(&inbox.due()), [1]);
        inbox.receive(SOURCE, 1, rows(&[2]));
        assert!(inbox.due().is_empty());
        inbox.landed(SOURCE);
        inbox.applied(SOURCE, 1);
        assert_eq!(seqs(&inbox.due()), [2]);
        // The entry is lost with its leadership: the same rows are proposed again.
        inbox.landed(SOURCE);
        assert_eq!(seqs(&inbox.due()), [2]);
    }

    #[test]
    fn a_reader_waits_for_what_was_received_before_it() {
        let mut inbox = Inbox::new(vec![], Held::default());
        inbox.receive(SOURCE, 1, rows(&[1, 2]));
        let (reply, mut settled) = oneshot::channel();
        inbox.wait(reply);
        inbox.receive(SOURCE, 1, rows(&[3]));
        inbox.applied(SOURCE, 1);
        assert!(settled.try_recv().is_err());
        inbox.applied(SOURCE, 2);
        assert_eq!(settled.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn who_led_the_source_before_is_not_listened_to() {
        let mut inbox = Inbox::new(vec![], Held::default());
        assert_eq!(inbox.receive(SOURCE, 5, rows(&[1])), Some((1, false)));
        assert_eq!(inbox.receive(SOURCE, 4, rows(&[2])), None);
        assert_eq!(inbox.receive(SOURCE, 7, rows(&[1, 2])), Some((2, false)));
    }
}
