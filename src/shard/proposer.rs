//! The queue in front of a shard's log: entries wait in order, many leave as one proposal.
//!
//! It keeps order and bounds, and remembers whom each item came from until the log has told what became of it.
//! It proposes nothing itself and waits for nothing: the shard's host hands what [`Proposer::take`] gives to the log.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::Proposal;

/// Items in one proposal: beyond this a proposal's own latency grows faster than its throughput.
pub const PROPOSAL_ITEMS_MAX: usize = 512;
/// Bytes in one proposal, unless one item alone is larger.
pub const PROPOSAL_BYTES_MAX: usize = 256 * 1024;
/// Proposals handed to the log and not yet applied.
pub const PROPOSALS_IN_FLIGHT_MAX: usize = 2;
/// Items that a proposal must have to leave while another is on its way: an entry costs about as much as several
/// commands, so a few wait for company, at most as long as the one before them takes.
pub const FOLLOWER_ITEMS_MIN: usize = 8;

/// A proposal on its way, and whom its items came from.
#[derive(Debug)]
pub struct InFlight<O> {
    pub term: u64,
    pub seq: u64,
    /// One per item, in the order of the items.
    pub origins: Vec<O>,
}

/// The queue of one leadership of one shard.
#[derive(Debug)]
pub struct Proposer<O> {
    term: u64,
    next_seq: u64,
    queue: VecDeque<(Vec<u8>, O)>,
    queue_bytes: usize,
    items_max: usize,
    in_flight: VecDeque<InFlight<O>>,
    has_ended: bool,
}

impl<O> Proposer<O> {
    /// `items_max`: entries that may wait; beyond it commands are refused before any work.
    pub fn new(term: u64, items_max: usize) -> Self {
        let (queue, in_flight) = (VecDeque::new(), VecDeque::new());
        Self { term, next_seq: 1, queue, queue_bytes: 0, items_max, in_flight, has_ended: false }
    }

    /// Whether its leadership is over: what is pushed now leaves never.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a command may still be decided; housekeeping is never refused.
    pub fn has_room(&self) -> bool {
        self.queue.len() < self.items_max
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn push(&mut self, item: Vec<u8>, origin: O) {
        self.queue_bytes += item.len();
        self.queue.push_back((item, origin));
    }

    /// The next proposal, if one may leave now.
    pub fn take(&mut self) -> Option<(u64, Bytes)> {
        let items_min = if self.in_flight.is_empty() { 1 } else { FOLLOWER_ITEMS_MIN };
        if self.queue.len() < items_min || self.in_flight.len() >= PROPOSALS_IN_FLIGHT_MAX {
            return None;
        }
        let mut bytes = 0;
        let mut count = 0;
        for (item, _) in &self.queue {
            if count == PROPOSAL_ITEMS_MAX || (count > 0 && bytes + item.len() > PROPOSAL_BYTES_MAX) {
                break;
            }
            bytes += item.len();
            count += 1;
        }
        let (items, origins): (Vec<Vec<u8>>, Vec<O>) = self.queue.drain(..count).unzip();
        self.queue_bytes -= bytes;
        let seq = self.next_seq;
        self.next_seq += 1;
        let payload = Proposal::join(self.term, seq, items.iter().map(Vec::as_slice), bytes);
        self.in_flight.push_back(InFlight { term: self.term, seq, origins });
        Some((seq, payload))
    }

    /// The proposal of that number, when the log has told what became of it.
    pub fn settle(&mut self, term: u64, seq: u64) -> Option<InFlight<O>> {
        let at = self.in_flight.iter().position(|p| p.term == term && p.seq == seq)?;
        self.in_flight.remove(at)
    }

    /// Proposals of earlier terms: the first applied entry of a later term says that they did not happen.
    pub fn settle_before(&mut self, term: u64) -> Vec<InFlight<O>> {
        let (old, rest) = std::mem::take(&mut self.in_flight).into_iter().partition(|p| p.term < term);
        self.in_flight = rest;
        Vec::from_iter::<VecDeque<_>>(old)
    }

    /// Ends the queue with its leadership; what never left is handed back, what left stays in flight.
    pub fn end(&mut self) -> Vec<O> {
        self.has_ended = true;
        self.queue_bytes = 0;
        self.queue.drain(..).map(|(_, origin)| origin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{Item, entry::Delivery};

    fn item(source: u16) -> Vec<u8> {
        Item::Inbox(Delivery { source, rows: vec![] }).encode()
    }

    #[test]
    fn items_leave_in_order_and_in_bounded_proposals() {
        let mut proposer = Proposer::new(3, 10_000);
        for n in 0..(PROPOSAL_ITEMS_MAX as u16 + 10) {
            proposer.push(item(n), n);
        }
        let (seq, bytes) = proposer.take().unwrap();
        let proposal = Proposal::decode(&bytes).unwrap();
        assert_eq!((proposal.term, proposal.seq, seq), (3, 1, 1));
        assert_eq!(proposal.items.len(), PROPOSAL_ITEMS_MAX);
        assert_eq!(proposal.items[7], Item::Inbox(Delivery { source: 7, rows: vec![] }));
        let (seq, bytes) = proposer.take().unwrap();
        assert_eq!(seq, 2);
        assert_eq!(Proposal::decode(&bytes).unwrap().items.len(), 10);
        assert!(proposer.take().is_none());
        assert_eq!(proposer.settle(3, 1).unwrap().origins.len(), PROPOSAL_ITEMS_MAX);
        assert!(proposer.settle(3, 1).is_none());
    }

    #[test]
    fn no_more_than_the_bound_are_in_flight() {
        let mut proposer = Proposer::new(1, 100);
        for n in 0..=PROPOSALS_IN_FLIGHT_MAX as u16 {
            (0..FOLLOWER_ITEMS_MIN as u16).for_each(|item_no| proposer.push(item(item_no), n));
            assert_eq!(proposer.take().is_some(), usize::from(n) < PROPOSALS_IN_FLIGHT_MAX);
        }
    }

    #[test]
    fn a_few_wait_for_the_proposal_before_them() {
        let mut proposer = Proposer::new(1, 100);
        proposer.push(item(0), 0);
        proposer.take().unwrap();
        for n in 1..FOLLOWER_ITEMS_MIN as u16 {
            proposer.push(item(n), n);
            assert!(proposer.take().is_none());
        }
        proposer.settle(1, 1).unwrap();
        proposer.take().unwrap();
        (0..FOLLOWER_ITEMS_MIN as u16).for_each(|n| proposer.push(item(n), n));
        proposer.take().unwrap();
    }

    #[test]
    fn a_leadership_that_ends_hands_back_what_never_left() {
        let mut proposer = Proposer::new(1, 100);
        proposer.push(item(0), 0);
        proposer.take().unwrap();
        proposer.push(item(1), 1);
        assert!(!proposer.has_ended());
        assert_eq!(proposer.end(), vec![1]);
        assert!(proposer.has_ended());
        assert!(proposer.settle_before(1).is_empty());
        let old = proposer.settle_before(2);
        assert_eq!(old.len(), 1);
        assert_eq!(old[0].origins, vec![0]);
    }

    #[test]
    fn an_item_larger_than_a_proposal_leaves_alone() {
        let mut proposer = Proposer::new(1, 100);
        let rows = vec![(1, vec![])];
        proposer.push(vec![0; PROPOSAL_BYTES_MAX + 1], 0);
        proposer.push(Item::Inbox(Delivery { source: 1, rows }).encode(), 1);
        proposer.take().unwrap();
        assert_eq!(proposer.len(), 1);
    }
}
