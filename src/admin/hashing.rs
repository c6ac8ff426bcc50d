//! Hashing of a shard's rows at one index of its log, on this node: begun by one call, asked for by others.
//!
//! One at a time: whoever begins another one ends it. It ends by itself when nobody asks for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use muster_cluster::{Cluster, Missed, NodeView, ShardId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::background::{Background, Over};
use super::wire::{Answer, SlotForm};

/// How long the log may take to come to the index.
pub(super) const REACH_TIMEOUT: Duration = Duration::from_secs(1);
/// A job that nobody has asked for in that time is given up.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// The job of this node.
#[derive(Default)]
pub(super) struct Hashing(Mutex<Option<Arc<Job>>>);

struct Job {
    id: u64,
    given_up: AtomicBool,
    rows: AtomicU64,
    asked: Mutex<Instant>,
    outcome: Mutex<Option<Result<Vec<SlotForm>, String>>>,
}

impl Job {
    fn is_wanted(&self, over: &Over) -> bool {
        let is_forgotten = || self.asked.lock().elapsed() > FORGOTTEN_AFTER;
        !self.given_up.load(Ordering::Acquire) && !over.is_over() && !is_forgotten()
    }

    fn hash(&self, view: &NodeView<'_>, shard: Option<ShardId>, over: &Over) -> Result<Vec<SlotForm>, String> {
        let go_on = |rows| {
            self.rows.fetch_add(rows, Ordering::Relaxed);
            self.is_wanted(over)
        };
        match view.hash(shard, go_on).map_err(|error| error.to_string())? {
            Some(hashes) => Ok(hashes.into_iter().map(SlotForm::from).collect()),
            None => Err("it was given up".to_owned()),
        }
    }
}

impl Hashing {
    /// Begins; the answer says whether the rows were seen at exactly that index.
    pub(super) async fn begin(
        &self,
        cluster: Cluster,
        background: &Background,
        shard: Option<ShardId>,
        index: u64,
        id: u64,
    ) -> Answer {
        let job = Arc::new(Job {
            id,
            given_up: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            asked: Mutex::new(Instant::now()),
            outcome: Mutex::new(None),
        });
        if let Some(before) = self.0.lock().replace(job.clone()) {
            before.given_up.store(true, Ordering::Release);
        }
        let (tell, told) = oneshot::channel();
        let work = move |over: Over| {
            let seen = cluster.look_at(shard, index, REACH_TIMEOUT, |view| {
                // Whoever asked may have gone: then nobody will ask again.
                let _ = tell.send(());
                let hashed = job.hash(&view, shard, &over);
                // Not before: meanwhile it is asked how far this is.
                *job.outcome.lock() = Some(hashed);
            });
            if let Err(missed) = seen {
                *job.outcome.lock() = Some(Err(missed.to_string()));
                return Some(missed);
            }
            None
        };
        let (missing, missed) = oneshot::channel();
        let begun = background.run(move |over| {
            let _ = missing.send(work(over));
        });
        if let Err(reason) = begun {
            return Answer::Failed { reason };
        }
        if told.await.is_ok() {
            return Answer::Seen {};
        }
        match missed.await {
            Ok(Some(Missed::Passed { applied } | Missed::NotReached { applied })) => Answer::Missed { applied },
            Ok(Some(missed)) => Answer::Failed { reason: missed.to_string() },
            _ => Answer::Failed { reason: "the thread that reads rows has ended".to_owned() },
        }
    }

    /// How far a job is.
    pub(super) fn state(&self, id: u64) -> Answer {
        let failed = |reason: &str| Answer::Failed { reason: reason.to_owned() };
        let Some(job) = self.0.lock().clone().filter(|job| job.id == id) else {
            return failed("somebody else compares rows");
        };
        *job.asked.lock() = Instant::now();
        match &*job.outcome.lock() {
            None => Answer::Hashing { rows: job.rows.load(Ordering::Relaxed) },
            Some(Ok(slots)) => Answer::Hashed { slots: slots.clone() },
            Some(Err(reason)) => failed(reason),
        }
    }
}
