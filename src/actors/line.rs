//! What is said to one other node without waiting for an answer: one call under way at a time, and whatever came
//! meanwhile leaves together in the next.
//!
//! So notes keep their order, and a busy node sends few large calls. Nothing is repeated here: whoever speaks notices
//! that it was not heard, and speaks again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use muster_cluster::{CallError, NodeId};
use parking_lot::Mutex;

use super::wire::{NOTES_MAX, join_notes};
use crate::metrics;

/// Bytes that wait for one node. Beyond it notes are dropped, as if they were lost on the way.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Bytes in one call, unless one note alone is larger.
const CALL_BYTES_MAX: usize = 1 << 20;
/// A call that is not over by then is lost, and what waits behind it leaves.
const CALL_FOR: Duration = Duration::from_secs(1);

/// Has another node's attendant answer a call; see `Cluster::call`.
pub type Calls = Arc<dyn Fn(NodeId, Bytes, Instant) -> BoxFuture<'static, Result<Bytes, CallError>> + Send + Sync>;

#[derive(Default)]
struct Waiting {
    notes: std::collections::VecDeque<Vec<u8>>,
    bytes: usize,
    is_under_way: bool,
}

/// The way to one node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    to: NodeId,
    calls: Calls,
    waiting: Arc<Mutex<Waiting>>,
}

impl Line {
    pub fn new(to: NodeId, calls: Calls) -> Self {
        Self { to, calls, waiting: Arc::default() }
    }

    /// Says something as soon as the calls before it are over. To be called on a runtime.
    pub fn say(&self, note: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes + note.len() > WAITING_BYTES_MAX {
            metrics::get().notes_dropped.increment(1);
            return;
        }
        waiting.bytes += note.len();
        waiting.notes.push_back(note);
        if !std::mem::replace(&mut waiting.is_under_way, true) {
            // It begins when this turn is over, and takes what else the turn says.
            tokio::spawn(Speaking { line: self.clone(), is_done: false }.speak());
        }
    }

    /// The notes of the next call; with none left, nothing is under way any more.
    fn next(&self) -> Option<Bytes> {
        let mut waiting = self.waiting.lock();
        let (mut count, mut bytes) = (0, 0);
        for note in waiting.notes.iter().take(NOTES_MAX) {
            if count > 0 && bytes + note.len() > CALL_BYTES_MAX {
                break;
            }
            bytes += note.len();
            count += 1;
        }
        if count == 0 {
            waiting.is_under_way = false;
            return None;
        }
        waiting.bytes -= bytes;
        let notes: Vec<Vec<u8>> = waiting.notes.drain(..count).collect();
        drop(waiting);
        Some(join_notes(&notes))
    }
}

/// The task that empties a line; where its runtime ends in the middle, the next to speak begins another.
struct Speaking {
    line: Line,
    is_done: bool,
}

impl Speaking {
    async fn speak(mut self) {
        let Line { to, calls, .. } = self.line.clone();
        while let Some(call) = self.line.next() {
            if let Err(error) = calls(to, call, Instant::now() + CALL_FOR).await {
                tracing::debug!(node = %to, %error, "notes to another node are lost; what matters is said again");
            }
        }
        self.is_done = true;
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        if !self.is_done {
            self.line.waiting.lock().is_under_way = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::message::{Cancel, PlaceId};
    use crate::actors::wire::{CallForm, Note, NoteForm, decode_call};
    use crate::id::AppId;
    use muster_cluster::ShardId;

    const NODE: NodeId = NodeId(7);

    fn note(shard: u16) -> Vec<u8> {
        Cancel::nothing(AppId(1), PlaceId::default()).encode(ShardId(shard))
    }

    /// The shards that the notes of a call are for.
    fn shards(call: &Bytes) -> Vec<u16> {
        let Ok(CallForm::Notes(notes)) = decode_call(&call[1..]) else { panic!("a call of notes") };
        let to = |note: &NoteForm| match note {
            NoteForm::Cancel { to, .. } | NoteForm::Deliver { to, .. } | NoteForm::Received { to, .. } => *to,
        };
        notes.iter().map(to).collect()
    }

    /// A line whose calls wait until they are let go, one after the other.
    fn held_up() -> (Line, tokio::sync::mpsc::UnboundedReceiver<Bytes>, Arc<tokio::sync::Semaphore>) {
        let (seen, calls) = tokio::sync::mpsc::unbounded_channel();
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let let_go = gate.clone();
        let call = move |_, call: Bytes, _| -> BoxFuture<'static, Result<Bytes, CallError>> {
            let (seen, gate) = (seen.clone(), let_go.clone());
            Box::pin(async move {
                let _ = seen.send(call);
                gate.acquire().await.unwrap().forget();
                // Whether it was heard makes no difference to what waits.
                Err(CallError::Lost)
            })
        };
        (Line::new(NODE, Arc::new(call)), calls, gate)
    }

    #[tokio::test]
    async fn what_one_turn_says_leaves_together_and_what_comes_meanwhile_next() {
        let (line, mut calls, gate) = held_up();
        (0..3).for_each(|shard| line.say(note(shard)));
        assert_eq!(shards(&calls.recv().await.unwrap()), [0, 1, 2]);
        (3..5).for_each(|shard| line.say(note(shard)));
        tokio::task::yield_now().await;
        assert!(calls.try_recv().is_err(), "one call is under way");
        gate.add_permits(2);
        assert_eq!(shards(&calls.recv().await.unwrap()), [3, 4]);
        while line.waiting.lock().is_under_way {
            tokio::task::yield_now().await;
        }
        line.say(note(5));
        assert_eq!(shards(&calls.recv().await.unwrap()), [5]);
    }

    #[tokio::test]
    async fn a_call_takes_so_many_and_a_line_holds_so_much() {
        let (line, mut calls, gate) = held_up();
        gate.add_permits(10);
        (0..NOTES_MAX + 1).for_each(|_| line.say(note(1)));
        assert_eq!(shards(&calls.recv().await.unwrap()).len(), NOTES_MAX);
        assert_eq!(shards(&calls.recv().await.unwrap()).len(), 1);
        line.waiting.lock().bytes = WAITING_BYTES_MAX;
        line.say(note(2));
        assert!(line.waiting.lock().notes.is_empty());
    }

    #[test]
    fn a_runtime_that_ends_takes_no_line_with_it() {
        let (line, mut calls, gate) = held_up();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime().block_on(async {
            line.say(note(1));
            calls.recv().await.unwrap();
            line.say(note(2));
        });
        gate.add_permits(9);
        runtime().block_on(async {
            line.say(note(3));
            assert_eq!(shards(&calls.recv().await.unwrap()), [2, 3]);
        });
    }
}
