//! Part `overload`: twice as much as the node can do, for a long time, through `muster bench --rate`.
//!
//! Reads what the harness says with some tolerance: a figure that a line does not have is left out.

use serde_json::Value;

use crate::figures::{Axis, MIB, Part, Series, number, text};
use crate::harness::{self, Target};
use crate::node::{self, Node};
use crate::page::grouped;
use crate::{Bench, Outcome, say};

/// How much more than the peak is asked for.
const TIMES_PEAK: f64 = 2.0;
/// Operations of the run that looks for the peak, where part `workloads` did not.
const PEAK_OPERATIONS: (&str, &str) = ("20000", "5000");

/// Files that load and node each need beside their connections.
const OTHER_FILES: u64 = 500;

/// Fields of a line that count operations, and what each means.
const COUNTS: [(&str, &str); 4] = [
    ("ops", "done"),
    ("refused", "refused with 60018: nothing happened"),
    ("errors", "failed"),
    ("not_started", "due and never sent, because every connection waited"),
];

/// Fields that hold latencies, and of what.
const LATENCIES: [(&str, &str); 3] = [
    ("refused_latency", "refusals"),
    ("waited_for_connection", "wait for a free connection, part of the above"),
    ("client_late", "lateness of the load itself, not counted"),
];

/// Fields about memory, in MiB.
const MEMORY: [(&str, &str); 4] = [
    ("rss_mb_first", "at the beginning"),
    ("rss_mb_120s", "after 120 s"),
    ("rss_mb_max", "most"),
    ("rss_mb_last", "at the end"),
];

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let seconds = bench.settings.overload_seconds;
    let peak = match bench.peak_per_sec.get() {
        Some(peak) => peak,
        None => find_peak(bench)?,
    };
    let rate = (TIMES_PEAK * peak).max(1.0) as u64;
    let connections = bench.settings.overload_connections.min(open_files_max().saturating_sub(OTHER_FILES)).max(1);
    part.about = format!(
        "W1, creations of groups of three, due {} times a second for {seconds} s, over {} connections: twice the {} per \
         second of the closed loop. A node that has too much to do is to say so (60018), to go on with what it took, \
         and to keep its memory.",
        grouped(rate as f64, 0),
        grouped(connections as f64, 0),
        grouped(peak, 0)
    );
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    say(&format!("  {} per second for {seconds} s", grouped(rate as f64, 0)));
    let memory_before = node.resident_bytes() as f64;
    let numbers = [rate, seconds, connections].map(|number| number.to_string());
    let names = ["--rate", "--duration", "--connections"];
    let mut options = vec!["--workload", "w1"];
    names.iter().zip(&numbers).for_each(|(name, number)| options.extend([name, number.as_str()]));
    let lines = harness::run(bench, &Target::node(&node), &options)?;
    let memory_after = node.resident_bytes() as f64;
    node.stop()?;

    let line = lines.into_iter().next().ok_or("the harness left no line")?;
    show_counts(part, &line);
    show_memory(part, &line, memory_before / MIB, memory_after / MIB);
    part.lines.push(line);
    Ok(())
}

/// Most files a process may have open here.
fn open_files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

fn find_peak(bench: &Bench) -> Outcome<f64> {
    say("  looking for the peak");
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let operations = bench.settings.scaled(PEAK_OPERATIONS.0, PEAK_OPERATIONS.1);
    let lines = harness::run(bench, &Target::node(&node), &["--workload", "w1", "--operations", operations])?;
    node.stop()?;
    lines.first().and_then(|line| line["ops_s"].as_f64()).ok_or_else(|| "the harness left no line".into())
}

fn show_counts(part: &mut Part, line: &Value) {
    let table = part.table("Operations", &[("", "", 0), ("", "", 0), ("per second", "1/s", 0)]);
    let secs = line["secs"].as_f64().filter(|secs| *secs > 0.0);
    for (field, meaning) in COUNTS {
        if let Some(count) = line[field].as_f64() {
            table.row([text(meaning), number(count), number(secs.map(|secs| count / secs))]);
        }
    }
    let columns = [("", "", 0), ("", "", 0), ("p50", "ms", 1), ("p99", "ms", 1), ("p99.9", "ms", 1), ("max", "ms", 1)];
    let table = part.table(
        "Latency, from the moment an operation was due if it had to wait for a connection, else from sending",
        &columns,
    );
    let cells = |of: &Value| ["n", "p50_ms", "p99_ms", "p999_ms", "max_ms"].map(|field| number(of[field].as_f64()));
    table.row(std::iter::once(text("done")).chain(cells(line)));
    for (field, meaning) in LATENCIES.into_iter().filter(|(field, _)| line[*field].is_object()) {
        table.row(std::iter::once(text(meaning)).chain(cells(&line[field])));
    }
    if let Some(first) = line["first_error"].as_str() {
        part.note(format!("First failure: {first}"));
    }
    let named = [("done_by_sec", "done"), ("refused_by_sec", "refused"), ("failed_by_sec", "failed")];
    let series: Vec<Series> = named.into_iter().filter_map(|(field, name)| by_second(line, field, name)).collect();
    if !series.is_empty() {
        part.plot("Answers over time", Axis::linear("time, s"), Axis::linear("answers per second"), series);
    }
}

fn show_memory(part: &mut Part, line: &Value, before: f64, after: f64) {
    let table = part.table("Memory of the node", &[("", "", 0), ("Resident", "MiB", 0)]);
    table.row([text("before the load"), number(before)]);
    for (field, meaning) in MEMORY {
        if let Some(mib) = line[field].as_f64() {
            table.row([text(meaning), number(mib)]);
        }
    }
    table.row([text("after the load"), number(after)]);
    if let Some(series) = by_second(line, "rss_mb_by_sec", "resident") {
        part.plot("Memory over time", Axis::linear("time, s"), Axis::linear("resident, MiB"), vec![series]);
    }
}

/// A list with a number for each second.
fn by_second(line: &Value, field: &str, name: &str) -> Option<Series> {
    let seconds = line[field].as_array()?;
    let points = seconds.iter().enumerate().filter_map(|(at, second)| Some((at as f64, second.as_f64()?)));
    Some(Series::new(name, points))
}
