//! Questions that many ask at once: of each at most one is under way, and whoever comes meanwhile gets the answer of
//! the next, which was asked after he came.

use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

/// By question, those who wait for one that has not left yet. A question is here while one is under way.
type Waiting<K, A> = Arc<Mutex<FxHashMap<K, Vec<oneshot::Sender<A>>>>>;

/// Cheap to clone.
pub(super) struct Coalesced<K: Copy + Eq + Hash, A> {
    waiting: Waiting<K, A>,
}

impl<K: Copy + Eq + Hash, A> Clone for Coalesced<K, A> {
    fn clone(&self) -> Self {
        Self { waiting: self.waiting.clone() }
    }
}

impl<K: Copy + Eq + Hash, A> Default for Coalesced<K, A> {
    fn default() -> Self {
        Self { waiting: Waiting::default() }
    }
}

impl<K: Copy + Eq + Hash + Send + 'static, A: Clone + Send + 'static> Coalesced<K, A> {
    /// Asks, or waits for the next who does. `None`: the runtime of whoever asked has ended. To be called on a runtime.
    pub async fn ask<F>(&self, question: K, ask: impl Fn(K) -> F + Send + 'static) -> Option<A>
    where
        F: Future<Output = A> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let is_under_way = {
            let mut waiting = self.waiting.lock();
            let is_under_way = waiting.contains_key(&question);
            waiting.entry(question).or_default().push(reply);
            is_under_way
        };
        if !is_under_way {
            tokio::spawn(Asking { of: self.clone(), question, is_done: false }.ask(ask));
        }
        answer.await.ok()
    }
}

/// The task that asks until nobody waits.
struct Asking<K: Copy + Eq + Hash, A> {
    of: Coalesced<K, A>,
    question: K,
    is_done: bool,
}

impl<K: Copy + Eq + Hash, A: Clone> Asking<K, A> {
    async fn ask<F: Future<Output = A>>(mut self, ask: impl Fn(K) -> F) {
        loop {
            let waiting = {
                let mut all = self.of.waiting.lock();
                let mut waiting = all.get_mut(&self.question).map(std::mem::take).unwrap_or_default();
                // Of readers that gave up nobody is asked.
                waiting.retain(|reply| !reply.is_closed());
                if waiting.is_empty() {
                    all.remove(&self.question);
                    // From here on the question is another task's.
                    self.is_done = true;
                    return;
                }
                waiting
            };
            let answer = ask(self.question).await;
            for reply in waiting {
                let _ = reply.send(answer.clone());
            }
        }
    }
}

impl<K: Copy + Eq + Hash, A> Drop for Asking<K, A> {
    fn drop(&mut self) {
        if !self.is_done {
            // The runtime ended in the middle: those who wait are let go, and the next begins anew.
            self.of.waiting.lock().remove(&self.question);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_comes_meanwhile_gets_an_answer_that_was_asked_for_after() {
        let asked = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let coalesced: Coalesced<u8, u32> = Coalesced::default();
        let ask = || {
            let (asked, gate) = (asked.clone(), gate.clone());
            move |_| {
                let (asked, gate) = (asked.clone(), gate.clone());
                async move {
                    let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
                    gate.acquire().await.unwrap().forget();
                    number
                }
            }
        };
        let mut first = Box::pin(coalesced.ask(1, ask()));
        assert!((&mut first).now_or_never().is_none());
        tokio::task::yield_now().await;
        let others: Vec<_> = (0..20).map(|_| coalesced.ask(1, ask())).collect();
        let mut others = Box::pin(futures::future::join_all(others));
        assert!((&mut others).now_or_never().is_none());
        let mut another = Box::pin(coalesced.ask(2, ask()));
        assert!((&mut another).now_or_never().is_none());
        gate.add_permits(10);
        assert_eq!(first.await, Some(1));
        assert!(another.await.is_some(), "one question does not wait for another");
        let answers = others.await;
        assert!(answers.iter().all(|answer| *answer == answers[0] && *answer > Some(1)), "{answers:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_waiting() {
        let coalesced: Coalesced<u8, u32> = Coalesced::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime().block_on(async {
            assert!(coalesced.ask(1, |_| std::future::pending()).now_or_never().is_none());
            tokio::task::yield_now().await;
        });
        assert_eq!(runtime().block_on(coalesced.ask(1, |_| std::future::ready(3))), Some(3));
    }
}
