//! Those who have connected and not proved themselves yet: few, and the oldest makes room for the newest.
//!
//! A node proves itself within milliseconds, so whoever has to go is one that waits for something else. A bound that
//! kept newcomers out instead would let anybody who reaches the port keep nodes from each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// More nodes than ever begin at once.
pub(super) const STRANGERS_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Strangers(Mutex<Places>);

#[derive(Default)]
struct Places {
    next: u64,
    /// In the order of their coming.
    taken: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Somebody's place, for as long as this lives.
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Strangers {
    /// Takes a place; the receiver resolves when it has to be left to somebody else.
    pub(super) fn enter(self: &Arc<Self>) -> (Stranger, oneshot::Receiver<()>) {
        let (stays, must_go) = oneshot::channel();
        let mut places = self.0.lock();
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, stays);
        if places.taken.len() > STRANGERS_MAX {
            places.taken.pop_first();
        }
        (Stranger { strangers: self.clone(), number }, must_go)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.0.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_who_has_left_does_not_count() {
        let strangers = Arc::<Strangers>::default();
        let mut all: Vec<_> = (0..STRANGERS_MAX).map(|_| strangers.enter()).collect();
        let must_go = |(_, must_go): &mut (Stranger, oneshot::Receiver<()>)| must_go.try_recv().is_err_and(is_closed);
        assert!(!all.iter_mut().any(must_go), "there is room for all of them");
        let newest = strangers.enter();
        assert_eq!(all.iter_mut().map(must_go).filter(|gone| *gone).count(), 1);
        assert!(must_go(&mut all[0]));
        drop(newest);
        let mut another = strangers.enter();
        assert!(!must_go(&mut all[1]) && !must_go(&mut another));
    }

    fn is_closed(error: oneshot::error::TryRecvError) -> bool {
        error == oneshot::error::TryRecvError::Closed
    }
}
