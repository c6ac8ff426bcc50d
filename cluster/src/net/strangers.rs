//! Those who have connected and not proved themselves yet: few, and when there is one too many, the oldest of the
//! address that has most of them has to go.
//!
//! A node proves itself within milliseconds, so whoever has to go waits for something else. A bound that kept newcomers
//! out instead would let anybody who reaches the port keep nodes from each other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

/// More nodes than ever begin at once.
pub(super) const STRANGERS_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Strangers(Mutex<Places>);

#[derive(Default)]
struct Places {
    next: u64,
    /// In the order of their coming.
    taken: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
}

/// Somebody's place, for as long as this lives.
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Strangers {
    /// Takes a place; the receiver resolves when it has to be left to somebody else.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> (Stranger, oneshot::Receiver<()>) {
        let (stays, must_go) = oneshot::channel();
        let mut places = self.0.lock();
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, (from, stays));
        if places.taken.len() > STRANGERS_MAX {
            places.make_room();
        }
        (Stranger { strangers: self.clone(), number }, must_go)
    }
}

impl Places {
    fn make_room(&mut self) {
        let mut of_address = FxHashMap::<IpAddr, usize>::default();
        self.taken.values().for_each(|(from, _)| *of_address.entry(*from).or_default() += 1);
        let most = of_address.values().max().copied();
        let goes = self.taken.iter().find(|(_, (from, _))| of_address.get(from).copied() == most);
        if let Some(number) = goes.map(|(number, _)| *number) {
            self.taken.remove(&number);
        }
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

    const NOISY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const CALM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    type Place = (Stranger, oneshot::Receiver<()>);

    fn must_go((_, must_go): &mut Place) -> bool {
        must_go.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_of_the_many_makes_room_and_who_has_left_does_not_count() {
        let strangers = Arc::<Strangers>::default();
        let mut calm = strangers.enter(CALM);
        let mut all: Vec<Place> = (1..STRANGERS_MAX).map(|_| strangers.enter(NOISY)).collect();
        assert!(!all.iter_mut().any(must_go), "there is room for all of them");
        let newest = strangers.enter(NOISY);
        assert_eq!(all.iter_mut().map(must_go).filter(|gone| *gone).count(), 1);
        assert!(must_go(&mut all[0]) && !must_go(&mut calm));
        drop(newest);
        let mut another = strangers.enter(CALM);
        assert!(!must_go(&mut all[1]) && !must_go(&mut another));
        strangers.enter(CALM);
        assert!(must_go(&mut all[1]) && !must_go(&mut calm) && !must_go(&mut another));
    }
}
