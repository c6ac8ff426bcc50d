//! Rows between two shards, in order: those that a source still has to hand over, or a target to apply.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::shard::{Effect, bytes_of};

/// A row as it is handed over: its sequence and what it says.
pub(super) type Sent = (u64, Arc<Vec<Effect>>);

/// Rows of ascending sequence, and how large their effects are together.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: VecDeque<Sent>,
    bytes: usize,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn first(&self) -> Option<u64> {
        self.rows.front().map(|(seq, _)| *seq)
    }

    pub fn last(&self) -> Option<u64> {
        self.rows.back().map(|(seq, _)| *seq)
    }

    pub fn push(&mut self, row: Sent) {
        self.bytes += bytes_of(&row.1);
        self.rows.push_back(row);
    }

    /// Lets go of the rows through a sequence; how many there were.
    pub fn drop_through(&mut self, seq: u64) -> usize {
        let count = self.rows.partition_point(|row| row.0 <= seq);
        for (_, effects) in self.rows.drain(..count) {
            self.bytes -= bytes_of(&effects);
        }
        count
    }

    /// The first rows behind `skip` of them, no more and no larger together than that; one in any case, if there is one.
    pub fn portion(&self, skip: usize, rows_max: usize, bytes_max: usize) -> Vec<Sent> {
        let mut bytes = 0;
        let fits = |(at, row): &(usize, &Sent)| {
            bytes += bytes_of(&row.1);
            *at == 0 || bytes <= bytes_max
        };
        let rows = self.rows.iter().skip(skip).take(rows_max).enumerate().take_while(fits);
        rows.map(|(_, row)| row.clone()).collect()
    }
}
