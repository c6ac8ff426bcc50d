//! Do all nodes say the same of who leads, and have the same rows; and do the rows agree with each other?
//!
//! A run goes on for as long as there are rows to read, so it is begun by one request and asked for by others. It changes
//! nothing. What could not be compared is named as well: silence is no agreement.

mod hashes;
mod lists;
mod routes;

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::status::node_line;

/// Differences that are listed; the rest are counted.
pub const DIFFERENCES_LISTED_MAX: usize = 1_000;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// All differences; 0 is what there should be.
    pub drift: usize,
    /// The first [`DIFFERENCES_LISTED_MAX`].
    pub differences: Vec<String>,
    /// What nobody could tell: nodes that are not heard, replicas that were never at the same place.
    pub not_compared: Vec<String>,
    /// Of this many nodes.
    pub nodes: usize,
    /// The meta group included.
    pub shards: usize,
    /// Replicas whose rows were hashed.
    pub replicas: usize,
    /// Rows of one replica of every shard.
    pub rows: u64,
    pub groups: usize,
    pub members: usize,
    /// Messages between shards that are still on their way: no difference.
    pub on_their_way: usize,
}

impl DoctorReport {
    fn differ(&mut self, differences: Vec<String>) {
        self.drift += differences.len();
        let room = DIFFERENCES_LISTED_MAX.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }

    /// Everything was compared, and nothing differs.
    pub fn is_healthy(&self) -> bool {
        self.drift == 0 && self.not_compared.is_empty()
    }
}

/// A run, under way or done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoctorRun {
    /// Counts the runs of the node that was asked, since its start.
    pub run: u64,
    /// What is being done.
    pub doing: String,
    /// `null`: it is under way.
    pub report: Option<DoctorReport>,
}

/// The last run of this node.
#[derive(Default)]
pub(super) struct Runs(Arc<Mutex<DoctorRun>>);

/// Says what is being done.
#[derive(Clone)]
struct Progress(Arc<Mutex<DoctorRun>>);

impl Progress {
    fn doing(&self, what: String) {
        self.0.lock().doing = what;
    }
}

/// A run that ends, however it ends: nobody is to wait for one that has broken off.
struct UnderWay(Progress);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let not_compared = vec!["the run broke off; the log of this node says more".to_owned()];
        self.0.0.lock().report.get_or_insert_with(|| DoctorReport { not_compared, ..DoctorReport::default() });
    }
}

impl Admin {
    /// Begins a run, unless there is one under way. To be called on an actix system, which carries it on.
    pub(super) fn call_doctor(self: &Arc<Self>) -> DoctorRun {
        let mut run = self.runs.0.lock();
        if run.run > 0 && run.report.is_none() {
            return run.clone();
        }
        *run = DoctorRun { run: run.run + 1, doing: "begins".to_owned(), report: None };
        let under_way = UnderWay(Progress(self.runs.0.clone()));
        let admin = self.clone();
        actix_rt::spawn(async move {
            let report = admin.examine(&under_way.0).await;
            under_way.0.0.lock().report = Some(report);
        });
        run.clone()
    }

    /// The run under way, or the last one; `None`: there was none.
    pub(super) fn doctor_run(&self) -> Option<DoctorRun> {
        Some(self.runs.0.lock().clone()).filter(|run| run.run > 0)
    }

    async fn examine(&self, progress: &Progress) -> DoctorReport {
        let mut report = DoctorReport::default();
        progress.doing("asking who leads".to_owned());
        let all = self.agreed_routes(&mut report).await;
        report.nodes = all.len();
        report.not_compared.extend(all.iter().filter_map(|(card, answer)| node_line(card, answer).not_heard()));
        self.compare_rows(&all, &mut report, progress).await;
        self.compare_lists(&mut report, progress).await;
        progress.doing("done".to_owned());
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_breaks_off_is_no_success() {
        let runs = Runs::default();
        drop(UnderWay(Progress(runs.0.clone())));
        assert!(runs.0.lock().report.as_ref().is_some_and(|report| !report.is_healthy()));
        let healthy = DoctorReport { nodes: 3, ..DoctorReport::default() };
        runs.0.lock().report = Some(healthy.clone());
        drop(UnderWay(Progress(runs.0.clone())));
        assert_eq!(runs.0.lock().report, Some(healthy), "what a run came to stays");
    }

    #[test]
    fn differences_are_all_counted_and_not_all_listed() {
        let mut report = DoctorReport::default();
        assert!(report.is_healthy());
        report.differ((0..DIFFERENCES_LISTED_MAX - 1).map(|n| n.to_string()).collect());
        report.differ(vec!["listed".into(), "counted".into()]);
        assert_eq!((report.drift, report.differences.len()), (DIFFERENCES_LISTED_MAX + 1, DIFFERENCES_LISTED_MAX));
        assert_eq!(report.differences.last().map(String::as_str), Some("listed"));
        assert!(!report.is_healthy());
        let silent = DoctorReport { not_compared: vec!["node 2".into()], ..DoctorReport::default() };
        assert!(!silent.is_healthy(), "silence is no agreement");
    }
}
