//! The figures of a measured workload: as text, as a line of JSON, beside earlier lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::cpu::Cpu;
use super::drive::{Second, Tally};
use super::memory::Memory;

/// What was measured in one workload; one line of a result file.
///
/// The names in the file are those of the other harness of these workloads. Times of operations are
/// in milliseconds, also CPU times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub tag: String,
    #[serde(rename = "w")]
    pub workload: &'static str,
    #[serde(skip)]
    pub title: &'static str,
    #[serde(rename = "c")]
    pub connections: u64,
    #[serde(rename = "ops")]
    pub operations: u64,
    pub secs: f64,
    #[serde(rename = "ops_s")]
    pub operations_per_sec: f64,
    #[serde(flatten)]
    pub latencies: Latencies,
    #[serde(rename = "errors")]
    pub failed: u64,
    #[serde(rename = "first_error")]
    pub first_failure: Option<String>,
    /// CPU of the named processes per operation, absent if none was named.
    #[serde(flatten)]
    pub server: Option<ServerCpu>,
    #[serde(rename = "cli_cpu_ms_op")]
    pub driver_cpu_ms: f64,
    #[serde(rename = "resp_bytes_op")]
    pub answer_bytes: u64,
    /// Operations per second that were asked for; absent in a closed loop.
    pub rate: Option<u64>,
    /// Operations of an open loop that were due and never started.
    pub not_started: u64,
    /// Absent in a closed loop.
    #[serde(flatten)]
    pub open_loop: Option<OpenLoop>,
    /// The same for each call, where the workload mixes several.
    #[serde(rename = "by_op", skip_serializing_if = "BTreeMap::is_empty")]
    pub by_call: BTreeMap<&'static str, Latencies>,
    pub comparable: bool,
    pub doubts: Vec<String>,
    /// Settings that differ from their defaults, per target.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    pub run: String,
    pub seed: u64,
    pub groups: u64,
    pub members: u64,
    pub zipf: f64,
    /// Absent if no process was named, or one has ended.
    #[serde(flatten)]
    pub memory: Option<MemoryFigures>,
    #[serde(flatten)]
    pub seconds: Seconds,
}

/// What only an open loop has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OpenLoop {
    /// Answered 60018: nothing happened. Neither in `ops` nor in `errors`.
    pub refused: u64,
    pub refused_latency: Latencies,
    /// Operations that were due while every connection waited for an answer, and for how long: part of their latency.
    pub waited_for_connection: Latencies,
    /// The others: how late the harness sent them; no part of their latency.
    pub client_late: Latencies,
}

impl OpenLoop {
    pub fn of(tally: &Tally) -> Self {
        Self {
            refused: tally.refused,
            refused_latency: Latencies::of(&tally.refusals),
            waited_for_connection: Latencies::of(&tally.waited),
            client_late: Latencies::of(&tally.late),
        }
    }
}

/// Resident memory of the named processes together, in MiB.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryFigures {
    pub rss_mb_first: f64,
    /// The mean of a minute behind the first fifth of the run: from then on it should stay as it is. Absent in a run of
    /// less than 75 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_mb_settled: Option<f64>,
    /// The largest distance of the mean of a later minute from `rss_mb_settled`, in percent of it. Absent in a run of
    /// less than 150 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_drift_percent: Option<f64>,
    pub rss_mb_max: f64,
    pub rss_mb_last: f64,
    pub rss_mb_by_sec: Vec<f64>,
}

impl MemoryFigures {
    pub fn of(memory: &Memory) -> Option<Self> {
        Some(Self {
            rss_mb_first: round(memory.first()?, 1),
            rss_mb_settled: memory.settled().map(|mb| round(mb, 1)),
            rss_drift_percent: memory.drift_percent().map(|percent| round(percent, 2)),
            rss_mb_max: round(memory.max()?, 1),
            rss_mb_last: round(memory.last()?, 1),
            rss_mb_by_sec: memory.by_sec().iter().map(|mb| round(*mb, 1)).collect(),
        })
    }
}

/// Answers per second of the run, from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    pub done_by_sec: Vec<u64>,
    pub refused_by_sec: Vec<u64>,
    pub failed_by_sec: Vec<u64>,
}

impl Seconds {
    pub fn of(tally: &Tally) -> Self {
        let each = |count: fn(&Second) -> u64| tally.by_sec.iter().map(count).collect();
        Self {
            done_by_sec: each(|second| second.done),
            refused_by_sec: each(|second| second.refused),
            failed_by_sec: each(|second| second.failed),
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latencies {
    #[serde(rename = "n")]
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Latencies {
    /// Takes the percentiles of latencies in microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(histogram.max()),
        }
    }

    /// Takes the percentiles of each call, if there was more than one.
    pub fn by_call(tally: &Tally) -> BTreeMap<&'static str, Self> {
        if tally.latencies.len() < 2 {
            return BTreeMap::new();
        }
        tally.latencies.iter().map(|(call, histogram)| (call.label(), Self::of(histogram))).collect()
    }
}

/// CPU time of the servers per operation, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerCpu {
    #[serde(rename = "srv_cpu_ms_op")]
    pub total_ms: f64,
    #[serde(rename = "srv_user_ms_op")]
    pub user_ms: f64,
    #[serde(rename = "srv_sys_ms_op")]
    pub system_ms: f64,
}

impl ServerCpu {
    pub fn per_operation(used: Cpu, operations: u64) -> Self {
        Self {
            total_ms: ms_per_operation(used.total_us(), operations),
            user_ms: ms_per_operation(used.user_us, operations),
            system_ms: ms_per_operation(used.system_us, operations),
        }
    }
}

/// Milliseconds per operation, to a tenth of a microsecond; 0 without operations.
pub fn ms_per_operation(total_us: u64, operations: u64) -> f64 {
    round(total_us as f64 / 1000.0 / operations.max(1) as f64, 4)
}

/// Rounds to a number of decimals.
pub fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

impl Figures {
    /// The figures for a reader, several lines.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let loop_kind = self.rate.map_or("closed loop".to_owned(), |rate| format!("open loop, {rate}/s"));
        line(
            &mut out,
            format_args!("{} {} (connections: {}, {loop_kind})", self.workload, self.title, self.connections),
        );
        line(
            &mut out,
            format_args!(
                "  done        {} operations in {:.2} s, {:.0}/s, {} failed",
                self.operations, self.secs, self.operations_per_sec, self.failed
            ),
        );
        if let Some(failure) = &self.first_failure {
            line(&mut out, format_args!("  failure     {failure}"));
        }
        if let Some(open) = &self.open_loop {
            line(&mut out, format_args!("  refused     {} answered 60018", open.refused));
            line(&mut out, format_args!("    answers   {}", latency_text(&open.refused_latency)));
            let waited = &open.waited_for_connection;
            line(&mut out, format_args!("  waited      {} had no free connection when due", waited.count));
            line(&mut out, format_args!("    for one   {}", latency_text(waited)));
            line(&mut out, format_args!("  this client late by {}", latency_text(&open.client_late)));
        }
        if self.not_started > 0 {
            line(&mut out, format_args!("  late        {} operations were due and never started", self.not_started));
        }
        line(&mut out, format_args!("  latency     {}", latency_text(&self.latencies)));
        for (call, latencies) in &self.by_call {
            line(&mut out, format_args!("    {call:<9} {}", latency_text(latencies)));
        }
        match self.server {
            Some(cpu) => line(
                &mut out,
                format_args!(
                    "  servers     {:.1} us CPU per operation (user {:.1}, system {:.1})",
                    cpu.total_ms * 1000.0,
                    cpu.user_ms * 1000.0,
                    cpu.system_ms * 1000.0
                ),
            ),
            None => line(&mut out, format_args!("  servers     CPU not known: no --pid, or one that ended")),
        }
        if let Some(memory) = &self.memory {
            let at = memory.rss_mb_settled.map_or("not reached".to_owned(), |mb| format!("{mb:.0} MiB"));
            line(
                &mut out,
                format_args!(
                    "  memory      first {:.0} MiB, settled {at}, max {:.0} MiB, last {:.0} MiB",
                    memory.rss_mb_first, memory.rss_mb_max, memory.rss_mb_last
                ),
            );
        }
        line(&mut out, format_args!("  driver      {:.1} us CPU per operation", self.driver_cpu_ms * 1000.0));
        line(&mut out, format_args!("  answers     {} bytes each", self.answer_bytes));
        if self.comparable {
            line(&mut out, format_args!("  comparable  yes"));
        } else {
            line(&mut out, format_args!("  NOT COMPARABLE with other runs: {}", self.doubts.join("; ")));
        }
        out
    }

    /// Adds the figures to a file as one line.
    ///
    /// # Errors
    /// Whatever opening or writing the file gives.
    pub fn append_to(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        // One write: two harnesses that share a file do not mix their lines.
        OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
    }

    /// Ratios to the last line of every tag for the same workload, a line of text each.
    pub fn compared_to(&self, earlier: &[Earlier]) -> String {
        let mut last: BTreeMap<&str, &Earlier> = BTreeMap::new();
        for line in earlier.iter().filter(|line| line.workload == self.workload) {
            last.insert(&line.tag, line);
        }
        let mut out = String::new();
        if last.is_empty() {
            line(&mut out, format_args!("  against     nothing: no earlier line for {}", self.workload));
        }
        for (tag, other) in last {
            line(&mut out, format_args!("  against {tag}: {}", self.ratios_to(other)));
        }
        out
    }

    fn ratios_to(&self, other: &Earlier) -> String {
        let cpu = self.server.map(|cpu| cpu.total_ms);
        let mut out = format!(
            "ops/s {}, p50 {}, p99 {}, server CPU {}",
            ratio(Some(self.operations_per_sec), Some(other.operations_per_sec)),
            ratio(Some(self.latencies.p50_ms), other.p50_ms),
            ratio(Some(self.latencies.p99_ms), other.p99_ms),
            ratio(cpu, other.server_cpu_ms),
        );
        let mut unlike = Vec::new();
        if other.connections.is_some_and(|connections| connections != self.connections) {
            unlike.push("another number of connections");
        }
        if other.rate != self.rate {
            unlike.push("another rate");
        }
        if other.comparable == Some(false) {
            unlike.push("the earlier run is not comparable");
        }
        if !self.comparable {
            unlike.push("this run is not comparable");
        }
        if !unlike.is_empty() {
            // Infallible: a string takes every text.
            let _ = write!(out, " (NOT COMPARABLE: {})", unlike.join(", "));
        }
        out
    }
}

/// A line of a result file, as far as it is compared with.
#[derive(Clone, Debug, Deserialize)]
pub struct Earlier {
    tag: String,
    #[serde(rename = "w")]
    workload: String,
    #[serde(rename = "ops_s")]
    operations_per_sec: f64,
    #[serde(rename = "c")]
    connections: Option<u64>,
    rate: Option<u64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    #[serde(rename = "srv_cpu_ms_op")]
    server_cpu_ms: Option<f64>,
    comparable: Option<bool>,
}

impl Earlier {
    /// Reads a result file; lines of other kinds, such as probes of the disk, are passed over.
    ///
    /// # Errors
    /// Whatever reading the file gives.
    pub fn read(path: &Path) -> io::Result<Vec<Self>> {
        Ok(fs::read_to_string(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

fn latency_text(latencies: &Latencies) -> String {
    format!(
        "p50 {:.3}  p95 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
        latencies.p50_ms, latencies.p95_ms, latencies.p99_ms, latencies.p999_ms, latencies.max_ms
    )
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2} x", ours / theirs),
        _ => "not known".to_owned(),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Infallible: a string takes every text.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let latencies = Latencies { count: 1000, p50_ms: 2.0, p95_ms: 3.0, p99_ms: 4.0, p999_ms: 5.0, max_ms: 6.0 };
        Figures {
            tag: "muster".to_owned(),
            workload: "w2",
            title: "join one group",
            connections: 64,
            operations: 1000,
            secs: 0.5,
            operations_per_sec: 2000.0,
            latencies,
            failed: 0,
            first_failure: None,
            server: Some(ServerCpu { total_ms: 0.05, user_ms: 0.04, system_ms: 0.01 }),
            driver_cpu_ms: 0.008,
            answer_bytes: 120,
            rate: None,
            not_started: 0,
            open_loop: None,
            by_call: BTreeMap::new(),
            comparable: true,
            doubts: vec![],
            settings: BTreeMap::new(),
            run: "r".to_owned(),
            seed: 1,
            groups: 10,
            members: 100,
            zipf: 0.99,
            memory: None,
            seconds: Seconds { done_by_sec: vec![1000], refused_by_sec: vec![0], failed_by_sec: vec![0] },
        }
    }

    #[test]
    fn percentiles_are_milliseconds_of_microseconds() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).expect("good bounds");
        for us in 1..=1000 {
            histogram.record(us).expect("within bounds");
        }
        let latencies = Latencies::of(&histogram);
        assert_eq!((latencies.count, latencies.p50_ms, latencies.p95_ms), (1000, 0.5, 0.95));
        assert_eq!((latencies.p99_ms, latencies.p999_ms, latencies.max_ms), (0.99, 0.999, 1.0));
    }

    #[test]
    fn cpu_is_given_per_operation() {
        let used = Cpu { user_us: 300_000, system_us: 100_000 };
        let expected = ServerCpu { total_ms: 0.04, user_ms: 0.03, system_ms: 0.01 };
        assert_eq!(ServerCpu::per_operation(used, 10_000), expected);
        assert_eq!(ms_per_operation(5, 0), 0.005);
    }

    #[test]
    fn a_line_holds_the_names_other_harnesses_use() {
        let text = serde_json::to_string(&figures()).expect("figures are JSON");
        let expected = r#"{"tag":"muster","w":"w2","c":64,"ops":1000,"secs":0.5,"ops_s":2000.0,"n":1000,"p50_ms":2.0,"p95_ms":3.0,"p99_ms":4.0,"p999_ms":5.0,"max_ms":6.0,"errors":0,"first_error":null,"srv_cpu_ms_op":0.05,"srv_user_ms_op":0.04,"srv_sys_ms_op":0.01,"cli_cpu_ms_op":0.008,"resp_bytes_op":120,"rate":null,"not_started":0,"comparable":true,"doubts":[],"settings":{},"run":"r","seed":1,"groups":10,"members":100,"zipf":0.99,"done_by_sec":[1000],"refused_by_sec":[0],"failed_by_sec":[0]}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_run_in_doubt_says_so() {
        let doubted = Figures { comparable: false, doubts: vec!["it does not flush".to_owned()], ..figures() };
        assert!(doubted.to_text().contains("NOT COMPARABLE with other runs: it does not flush"));
        assert!(!figures().to_text().contains("NOT COMPARABLE"));
        let line = serde_json::to_value(&doubted).expect("figures are JSON");
        assert_eq!(line["comparable"], false);
    }

    #[test]
    fn ratios_are_to_the_last_line_of_each_tag() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("results.jsonl");
        let lines = [
            r#"{"w":"fsync_probe","p50_us":100}"#,
            r#"{"tag":"peer","w":"w2","c":64,"ops_s":1,"p50_ms":1,"p99_ms":1,"srv_cpu_ms_op":1}"#,
            r#"{"tag":"peer","w":"w2","c":64,"ops_s":1000,"p50_ms":4.0,"p99_ms":1.0,"srv_cpu_ms_op":0.1}"#,
            r#"{"tag":"peer","w":"w3","c":64,"ops_s":7,"p50_ms":7.0,"p99_ms":7.0}"#,
            r#"{"tag":"small","w":"w2","c":8,"ops_s":4000,"comparable":false}"#,
        ];
        fs::write(&path, lines.join("\n") + "\n").expect("written");
        let earlier = Earlier::read(&path).expect("read");
        let expected = "  against peer: ops/s 2.00 x, p50 0.50 x, p99 4.00 x, server CPU 0.50 x\n  \
                        against small: ops/s 0.50 x, p50 not known, p99 not known, server CPU not known \
                        (NOT COMPARABLE: another number of connections, the earlier run is not comparable)\n";
        assert_eq!(figures().compared_to(&earlier), expected);
    }

    #[test]
    fn a_line_that_was_written_can_be_compared_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("results.jsonl");
        figures().append_to(&path).expect("written");
        figures().append_to(&path).expect("written again");
        let earlier = Earlier::read(&path).expect("read");
        assert_eq!(earlier.len(), 2);
        let expected = "  against muster: ops/s 1.00 x, p50 1.00 x, p99 1.00 x, server CPU 1.00 x\n";
        assert_eq!(figures().compared_to(&earlier), expected);
    }
}
