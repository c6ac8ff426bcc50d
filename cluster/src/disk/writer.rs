//! The two loops that write: one hands batches to the store, the other flushes.
//!
//! ```text
//! submit ──► bounded queue ──► writer: write without waiting for the disk
//!                                │ rows: told as soon as they are written
//!                                └──► flusher: flush, then tell every batch written before it began
//! ```
//!
//! The log of a shard and its rows take the same way, so the one write-ahead log has them in the order they
//! were submitted. After a failed write or flush nothing is written and nothing is acknowledged any more:
//! what the kernel did with the pages is unknown, and asking again could be answered wrongly.
//!
//! Each loop has a thread, as the store makes it wait. In a simulation, where everything happens on one thread in an
//! order that a seed repeats, they are tasks, and waiting for a flush is a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as sync_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::storage::Storage;
use super::{Batch, DiskError, DiskObserver, Health};

/// Batches waiting to be written. The shards' own limits (a few entries in flight each) keep it far from
/// full; when it is, those who submit wait.
const QUEUE_BATCHES_MAX: usize = 1024;

/// Batches written together hold at most this much, so that a flush never waits long for a write.
const WRITE_BYTES_MAX: usize = 4 << 20;

/// A write or flush under way for longer is a stall, in milliseconds.
const STALL_MS: u64 = 1000;

/// Runs when a batch is where it should be, or will never be.
pub(crate) type Completion = Box<dyn FnOnce(Result<(), DiskError>) + Send>;

/// When a batch has arrived.
pub(crate) enum Then {
    /// Readers can see it. Runs on the writer thread.
    Written(Completion),
    /// It survives. Runs on the flusher thread.
    Flushed(Completion),
}

pub(crate) enum Submission {
    Write(Batch, Then),
    /// Ends the loops once everything submitted before is done.
    Close,
}

/// A flush that waits as a task does; it covers what was written before it was made.
pub type Flushing = Pin<Box<dyn Future<Output = Result<(), DiskError>> + Send>>;

/// Who runs the two loops.
pub(crate) enum Runner {
    Threads,
    /// Tasks of the calling runtime, which flush this way instead of by [`Storage::flush`].
    Tasks(Box<dyn Fn() -> Flushing + Send>),
}

/// How the store is: what the threads and every read report to.
pub(crate) struct Vitals {
    began: Instant,
    /// Nothing until everything has stopped.
    failed: watch::Sender<Option<Failure>>,
    /// When the write and the flush under way began, in milliseconds from `began` and one; 0: none is.
    writing_since: AtomicU64,
    flushing_since: AtomicU64,
    /// What a flush takes these days, in microseconds.
    flush_us: AtomicU64,
    observer: DiskObserver,
}

/// Why everything stopped.
///
/// A flush that fails spoils the file for a write at the same time, and which of the two threads reports first is
/// chance. Only the flush knows what the system said, so both reasons are kept.
struct Failure {
    first: DiskError,
    also: Option<DiskError>,
}

impl Failure {
    /// Damage stays, whatever came before or after it.
    fn error(&self) -> DiskError {
        let Some(also) = &self.also else { return self.first.clone() };
        let both = format!("{}; also: {also}", self.first);
        match (&self.first, also) {
            (DiskError::Failed(_), DiskError::Failed(_)) => DiskError::Failed(both),
            _ => DiskError::Corrupt(both),
        }
    }
}

impl Vitals {
    pub(crate) fn new(observer: DiskObserver) -> Self {
        Self {
            began: Instant::now(),
            failed: watch::Sender::new(None),
            writing_since: AtomicU64::new(0),
            flushing_since: AtomicU64::new(0),
            flush_us: AtomicU64::new(0),
            observer,
        }
    }

    /// Stops everything for good; the first reason stays, and the first that differs from it.
    pub(crate) fn fail(&self, error: &DiskError) {
        self.failed.send_modify(|failed| match failed {
            None => {
                tracing::error!(%error, "the disk has failed, nothing is written any more");
                *failed = Some(Failure { first: error.clone(), also: None });
                (self.observer.failed)();
            }
            Some(failure) if failure.also.is_none() && failure.first.to_string() != error.to_string() => {
                tracing::error!(%error, "the disk has failed in another way, too");
                failure.also = Some(error.clone());
            }
            Some(_) => {}
        });
    }

    /// Returns when everything has stopped; keeps nothing of the store until then.
    pub(crate) fn until_failed(&self) -> impl Future<Output = ()> + use<> {
        let mut failed = self.failed.subscribe();
        async move {
            if failed.wait_for(Option::is_some).await.is_err() {
                // A store that is gone fails no more.
                std::future::pending().await
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), DiskError> {
        self.failed.borrow().as_ref().map_or(Ok(()), |failure| Err(failure.error()))
    }

    pub(crate) fn health(&self) -> Health {
        if let Err(error) = self.check() {
            return Health::Failed { reason: error.to_string() };
        }
        match self.millis_since(&self.writing_since).max(self.millis_since(&self.flushing_since)) {
            millis if millis > STALL_MS => Health::Stalled { millis },
            _ => Health::Serving,
        }
    }

    /// How long what began then is under way; 0 if nothing is.
    fn millis_since(&self, began: &AtomicU64) -> u64 {
        match began.load(Ordering::Relaxed) {
            0 => 0,
            began => self.now().saturating_sub(began),
        }
    }

    /// What a flush takes, as a mean in which the last few weigh most; 0 before the first.
    pub(crate) fn flush_time(&self) -> Duration {
        Duration::from_micros(self.flush_us.load(Ordering::Relaxed))
    }

    /// How long the flush that is under way has lasted, in whole milliseconds; 0 if none is.
    pub(crate) fn current_flush(&self) -> Duration {
        Duration::from_millis(self.millis_since(&self.flushing_since))
    }

    /// Only the flusher reports, so the mean has one writer.
    fn flushed(&self, took: Duration) {
        /// Flushes that the mean remembers, roughly.
        const REMEMBERED: u64 = 8;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / REMEMBERED);
        let mean_us = match self.flush_us.load(Ordering::Relaxed) {
            0 => took_us,
            mean_us => (mean_us * (REMEMBERED - 1) + took_us) / REMEMBERED,
        };
        self.flush_us.store(mean_us, Ordering::Relaxed);
        (self.observer.flushed)(took);
    }

    /// Runs an action against the store unless it has failed before.
    fn run(&self, since: &AtomicU64, action: impl FnOnce() -> Result<(), DiskError>) -> Result<(), DiskError> {
        self.begin(since)?;
        let result = action();
        self.end(since, result)
    }

    fn begin(&self, since: &AtomicU64) -> Result<(), DiskError> {
        self.check()?;
        since.store(self.now(), Ordering::Relaxed);
        Ok(())
    }

    fn end(&self, since: &AtomicU64, result: Result<(), DiskError>) -> Result<(), DiskError> {
        since.store(0, Ordering::Relaxed);
        if let Err(error) = &result {
            self.fail(error);
        }
        // The other loop may have failed meanwhile: then this one must not report success either.
        self.check()
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }
}

/// Starts both loops; the threads, if they have some.
pub(crate) fn start(
    runner: Runner,
    storage: Arc<dyn Storage>,
    vitals: Arc<Vitals>,
    flush: bool,
) -> std::io::Result<(mpsc::Sender<Submission>, Vec<JoinHandle<()>>)> {
    let (queue, submissions) = mpsc::channel(QUEUE_BATCHES_MAX);
    match runner {
        Runner::Threads => Ok((queue, start_threads(storage, vitals, flush, submissions)?)),
        Runner::Tasks(flushing) => {
            let (written, to_flush) = mpsc::unbounded_channel();
            tokio::spawn(flush_task(vitals.clone(), flushing, to_flush));
            tokio::spawn(write_task(storage, vitals, submissions, written));
            Ok((queue, Vec::new()))
        }
    }
}

fn start_threads(
    storage: Arc<dyn Storage>,
    vitals: Arc<Vitals>,
    flush: bool,
    submissions: mpsc::Receiver<Submission>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    // Unbounded, yet no longer than what is under way: those who submit durable batches wait for them.
    let (written, to_flush) = sync_mpsc::channel();
    let flusher = {
        let (storage, vitals) = (storage.clone(), vitals.clone());
        let thread = std::thread::Builder::new().name("disk-flusher".into());
        thread.spawn(move || flush_loop(&*storage, &vitals, flush, &to_flush))?
    };
    let thread = std::thread::Builder::new().name("disk-writer".into());
    let writer = thread.spawn(move || write_loop(&*storage, &vitals, submissions, &written))?;
    Ok(vec![writer, flusher])
}

/// Batches that are written together, and what is to be done then.
#[derive(Default)]
struct Round {
    batches: Vec<Batch>,
    thens: Vec<Then>,
    is_last: bool,
}

impl Round {
    /// Takes a batch and those that wait behind it.
    fn gather(&mut self, batch: Batch, then: Then, submissions: &mut mpsc::Receiver<Submission>) {
        let mut bytes = batch.bytes();
        self.batches.push(batch);
        self.thens.push(then);
        while bytes < WRITE_BYTES_MAX {
            match submissions.try_recv() {
                Ok(Submission::Write(batch, then)) => {
                    bytes += batch.bytes();
                    self.batches.push(batch);
                    self.thens.push(then);
                }
                Ok(Submission::Close) => {
                    self.is_last = true;
                    break;
                }
                Err(_) => break,
            }
        }
    }

    /// Writes them, and passes those on that are to be flushed; `pass_on` gives back what nobody takes.
    fn write(
        &mut self,
        storage: &dyn Storage,
        vitals: &Vitals,
        pass_on: impl Fn(Completion) -> Result<(), Completion>,
    ) {
        let result = vitals.run(&vitals.writing_since, || storage.write(&self.batches));
        self.batches.clear();
        for then in self.thens.drain(..) {
            match then {
                Then::Written(completion) => completion(result.clone()),
                Then::Flushed(completion) => match &result {
                    // The flusher outlives the sender; if it panicked, so has the disk failed.
                    Ok(()) => {
                        if let Err(completion) = pass_on(completion) {
                            completion(Err(DiskError::Failed("the flusher has stopped".into())));
                        }
                    }
                    Err(error) => completion(Err(error.clone())),
                },
            }
        }
    }
}

fn write_loop(
    storage: &dyn Storage,
    vitals: &Vitals,
    mut submissions: mpsc::Receiver<Submission>,
    written: &sync_mpsc::Sender<Completion>,
) {
    let _guard = FailOnPanic(vitals);
    if let Err(error) = crate::step_back() {
        tracing::warn!(%error, "the disk's writer does not step back: under load answers may be late");
    }
    let mut round = Round::default();
    while !round.is_last
        && let Some(Submission::Write(batch, then)) = submissions.blocking_recv()
    {
        round.gather(batch, then, &mut submissions);
        round.write(storage, vitals, |completion| written.send(completion).map_err(|refused| refused.0));
    }
}

async fn write_task(
    storage: Arc<dyn Storage>,
    vitals: Arc<Vitals>,
    mut submissions: mpsc::Receiver<Submission>,
    written: mpsc::UnboundedSender<Completion>,
) {
    let mut round = Round::default();
    while !round.is_last
        && let Some(Submission::Write(batch, then)) = submissions.recv().await
    {
        round.gather(batch, then, &mut submissions);
        round.write(&*storage, &vitals, |completion| written.send(completion).map_err(|refused| refused.0));
    }
}

fn flush_loop(storage: &dyn Storage, vitals: &Vitals, flush: bool, written: &sync_mpsc::Receiver<Completion>) {
    let _guard = FailOnPanic(vitals);
    while let Ok(first) = written.recv() {
        let mut waiting = vec![first];
        waiting.extend(written.try_iter());
        let began = Instant::now();
        let result = vitals.run(&vitals.flushing_since, || if flush { storage.flush() } else { Ok(()) });
        vitals.flushed(began.elapsed());
        for completion in waiting {
            completion(result.clone());
        }
    }
    // A clean end leaves nothing to chance, also where answers did not wait for flushes. A failure is in the vitals.
    let _ = vitals.run(&vitals.flushing_since, || storage.flush());
}

async fn flush_task(
    vitals: Arc<Vitals>,
    flushing: Box<dyn Fn() -> Flushing + Send>,
    mut written: mpsc::UnboundedReceiver<Completion>,
) {
    while let Some(first) = written.recv().await {
        let mut waiting = vec![first];
        waiting.extend(std::iter::from_fn(|| written.try_recv().ok()));
        let began = Instant::now();
        let result = match vitals.begin(&vitals.flushing_since) {
            Ok(()) => vitals.end(&vitals.flushing_since, flushing().await),
            Err(error) => Err(error),
        };
        vitals.flushed(began.elapsed());
        for completion in waiting {
            completion(result.clone());
        }
    }
}

/// A thread that panics takes the disk with it: what waits for it must not wait for ever.
struct FailOnPanic<'a>(&'a Vitals);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&DiskError::Failed("a disk thread has panicked".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_is_told_whichever_thread_reports_first() {
        let vitals = Vitals::new(DiskObserver::default());
        for reason in ["seen error", "seen error", "input/output error", "a third"] {
            vitals.fail(&DiskError::Failed(reason.into()));
        }
        let reason = "seen error; also: input/output error".to_owned();
        assert_eq!(vitals.health(), Health::Failed { reason });
    }

    #[test]
    fn the_time_of_a_flush_follows_the_last_few() {
        let vitals = Vitals::new(DiskObserver::default());
        assert_eq!(vitals.flush_time(), Duration::ZERO);
        vitals.flushed(Duration::from_micros(800));
        assert_eq!(vitals.flush_time(), Duration::from_micros(800));
        vitals.flushed(Duration::from_micros(1600));
        assert_eq!(vitals.flush_time(), Duration::from_micros(900));
        for _ in 0..100 {
            vitals.flushed(Duration::from_micros(80));
        }
        assert!(vitals.flush_time() < Duration::from_micros(90), "{:?}", vitals.flush_time());
    }

    #[test]
    fn a_flush_is_current_while_it_lasts() {
        let vitals = Vitals::new(DiskObserver::default());
        assert_eq!(vitals.current_flush(), Duration::ZERO);
        let flush = || {
            std::thread::sleep(Duration::from_millis(5));
            assert!(vitals.current_flush() >= Duration::from_millis(4), "{:?}", vitals.current_flush());
            Ok(())
        };
        vitals.run(&vitals.flushing_since, flush).expect("flushed");
        assert_eq!(vitals.current_flush(), Duration::ZERO);
    }

    #[test]
    fn damage_stays_damage_whatever_fails_beside_it() {
        for damage_first in [true, false] {
            let vitals = Vitals::new(DiskObserver::default());
            let (damage, failure) = (DiskError::Corrupt("a block".into()), DiskError::Failed("a write".into()));
            let [first, second] = if damage_first { [damage, failure] } else { [failure, damage] };
            vitals.fail(&first);
            vitals.fail(&second);
            assert!(matches!(vitals.check(), Err(DiskError::Corrupt(_))), "{:?}", vitals.check());
        }
    }
}
