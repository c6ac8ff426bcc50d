//! What a leader may say to other shards only once it is known to have led on until then.
//!
//! A leadership begins with words to all shards and from all of them. Of one kind the newest to a shard stands for those
//! before it, and one barrier is waited for at a time: what waits never grows beyond the number of shards, however often
//! they ask and however long the barrier takes.

use muster_cluster::ShardId;
use rustc_hash::FxHashMap;

/// Words by the shard they are for, one of each kind.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// To sources.
    pub received: FxHashMap<ShardId, ReceivedWord>,
    /// To targets that asked for the newest row, by the highest term that they asked in: who led before is gone.
    pub newest: FxHashMap<ShardId, u64>,
}

/// How far the rows of a source are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReceivedWord {
    pub through: u64,
    /// Rows behind these were missed.
    pub again: bool,
}

/// Words of one leadership that wait for a barrier.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    next: Words,
    is_under_way: bool,
}

impl Unconfirmed {
    pub fn received(&mut self, source: ShardId, word: ReceivedWord) {
        let ReceivedWord { through, again } = self.next.received.entry(source).or_default();
        *through = word.through.max(*through);
        *again |= word.again;
    }

    pub fn newest(&mut self, target: ShardId, asked_in: u64) {
        let term = self.next.newest.entry(target).or_default();
        *term = asked_in.max(*term);
    }

    /// What a barrier that begins now confirms. `None`: nothing, or another one is under way.
    pub fn begin(&mut self) -> Option<Words> {
        if self.is_under_way || (self.next.received.is_empty() && self.next.newest.is_empty()) {
            return None;
        }
        self.is_under_way = true;
        Some(std::mem::take(&mut self.next))
    }

    /// The barrier is over.
    pub fn end(&mut self) {
        self.is_under_way = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ShardId = ShardId(1);
    const B: ShardId = ShardId(2);

    fn word(through: u64, again: bool) -> ReceivedWord {
        ReceivedWord { through, again }
    }

    #[test]
    fn of_many_words_to_a_shard_one_is_said() {
        let mut unconfirmed = Unconfirmed::default();
        for through in 1..=1000 {
            unconfirmed.received(A, word(through, through == 7));
            unconfirmed.newest(B, through % 5);
        }
        let words = unconfirmed.begin().expect("something to say");
        assert_eq!(words.received.into_iter().collect::<Vec<_>>(), [(A, word(1000, true))]);
        assert_eq!(words.newest.into_iter().collect::<Vec<_>>(), [(B, 4)]);
    }

    #[test]
    fn what_came_after_a_barrier_began_waits_for_the_next() {
        let mut unconfirmed = Unconfirmed::default();
        assert!(unconfirmed.begin().is_none(), "nothing is to be said");
        unconfirmed.received(A, word(1, true));
        assert_eq!(unconfirmed.begin().expect("a word").received[&A], word(1, true));
        unconfirmed.received(A, word(2, false));
        assert!(unconfirmed.begin().is_none(), "one is under way");
        unconfirmed.end();
        assert_eq!(unconfirmed.begin().expect("a word").received[&A], word(2, false));
        unconfirmed.end();
        assert!(unconfirmed.begin().is_none(), "all is said");
    }
}
