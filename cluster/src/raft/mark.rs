//! A place in the log at which somebody wants to look at the rows: apply waits there until that has been done.
//!
//! Replicas can be compared only at the same index, and under load none of them stays at one for long enough.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Apply waits no longer for whoever looks: a view is taken within microseconds, or the thread has no core.
const LOOK_TIMEOUT: Duration = Duration::from_millis(100);

/// There is no index 0 to wait for: it is there from the start.
const NONE: u64 = 0;

/// To be dropped when the rows have been looked at.
pub(crate) type Looking = oneshot::Sender<()>;

/// At most one place; a later one takes its place.
#[derive(Default)]
pub(crate) struct Mark {
    /// So that apply need not take the lock for every entry.
    at: AtomicU64,
    watcher: Mutex<Option<(u64, SyncSender<Looking>)>>,
}

impl Mark {
    /// Marks an index that is to come. The receiver hears when it is reached; nothing, if it was passed already.
    pub(crate) fn set(&self, index: u64) -> Receiver<Looking> {
        let (sender, reached) = sync_channel(1);
        *self.watcher.lock() = Some((index, sender));
        self.at.store(index, Ordering::Release);
        reached
    }

    /// Takes a mark away, unless another one has come since.
    pub(crate) fn lift(&self, index: u64) {
        let mut watcher = self.watcher.lock();
        if watcher.as_ref().is_some_and(|(at, _)| *at == index) {
            *watcher = None;
            self.at.store(NONE, Ordering::Release);
        }
    }

    pub(crate) fn is_at(&self, index: u64) -> bool {
        self.at.load(Ordering::Acquire) == index && index != NONE
    }

    /// Says that the rows are written up to the index and no further; returns when they have been looked at.
    pub(crate) async fn reached(&self, index: u64) {
        let watcher = {
            let mut watcher = self.watcher.lock();
            // Somebody else's mark may have taken its place since apply looked.
            let Some((_, watcher)) = watcher.take_if(|(at, _)| *at == index) else { return };
            self.at.store(NONE, Ordering::Release);
            watcher
        };
        let (looking, looked) = oneshot::channel();
        if watcher.try_send(looking).is_ok() {
            // It is dropped, not sent: either way that is the end of the wait.
            let _ = tokio::time::timeout(LOOK_TIMEOUT, looked).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn apply_waits_at_the_mark_until_somebody_has_looked() {
        let mark = std::sync::Arc::new(Mark::default());
        mark.reached(7).await;
        assert!(!mark.is_at(7) && !mark.is_at(0));
        let reached = mark.set(7);
        assert!(mark.is_at(7) && !mark.is_at(6));
        let order = std::sync::Arc::new(Mutex::new(Vec::new()));
        let (seen, of_thread) = (order.clone(), mark.clone());
        let looker = std::thread::spawn(move || {
            let looking = reached.recv_timeout(Duration::from_secs(10)).expect("reached");
            seen.lock().push("looked");
            drop(looking);
        });
        of_thread.reached(7).await;
        order.lock().push("went on");
        looker.join().expect("no panic");
        assert_eq!(*order.lock(), ["looked", "went on"]);
        assert!(!mark.is_at(7), "nobody waits there twice");
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_long() {
        let mark = Mark::default();
        let reached = mark.set(3);
        mark.reached(3).await;
        drop(reached);
        let other = mark.set(4);
        mark.lift(3);
        assert!(mark.is_at(4), "a mark of somebody else stays");
        mark.lift(4);
        assert!(!mark.is_at(4) && other.try_recv().is_err());
    }
}
