//! Threads for work that reads a lot and answers nobody in a hurry. They let all others go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

/// The threads of a node, to be ended before its database is closed.
#[derive(Default)]
pub(super) struct Background {
    over: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Says to a thread that the node stops.
#[derive(Clone)]
pub(super) struct Over(Arc<AtomicBool>);

impl Over {
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Background {
    /// Runs something on a thread of its own. It must end soon after it is over.
    ///
    /// # Errors
    /// In words: the node stops, or the system gives no thread.
    pub(super) fn run(&self, work: impl FnOnce(Over) + Send + 'static) -> Result<(), String> {
        let mut threads = self.threads.lock();
        if self.over.load(Ordering::Acquire) {
            return Err("the node stops".to_owned());
        }
        threads.retain(|thread| !thread.is_finished());
        let over = Over(self.over.clone());
        let body = move || {
            if let Err(error) = muster_cluster::step_back() {
                tracing::warn!(%error, "a thread that compares rows does not step back: others may wait for it");
            }
            work(over);
        };
        let thread =
            std::thread::Builder::new().name("doctor".into()).spawn(body).map_err(|error| error.to_string())?;
        threads.push(thread);
        Ok(())
    }

    /// Ends all threads, and waits for that.
    pub(super) async fn stop(&self) {
        self.over.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panic was logged where it happened, and ends nothing but what it was asked for.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[actix_rt::test]
    async fn a_stop_ends_what_runs_and_lets_nothing_begin() {
        let background = Background::default();
        let (tell, ended) = mpsc::channel();
        let work = move |over: Over| {
            while !over.is_over() {
                std::thread::sleep(Duration::from_millis(1));
            }
            tell.send(()).expect("somebody waits");
        };
        background.run(work).expect("a thread");
        // Whatever becomes of one thread is no matter of the others.
        background.run(|_| panic!("as the test asked")).expect("a thread");
        background.stop().await;
        assert_eq!(ended.try_recv(), Ok(()), "it has ended when the stop returns");
        assert_eq!(background.run(|_| ()), Err("the node stops".to_owned()));
    }
}
