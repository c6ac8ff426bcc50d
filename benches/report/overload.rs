//! Part `overload`: twice as much as the node can do, for a long time, through `muster bench --rate`.
//!
//! What it can do, and how soon it answers when it is not asked for more, is found on the same node before: a fresh
//! one has no compactions yet, and its first seconds are faster than those that follow.
//!
//! Reads what the harness says with some tolerance: a figure that a line does not have is left out.

use muster::bench::bar::Bar;
use serde_json::Value;

use crate::figures::{Axis, MIB, Part, Series, number, text};
use crate::harness::{self, Target};
use crate::node::{self, Node};
use crate::page::grouped;
use crate::{Bench, Outcome, say};

/// How much more than the peak is asked for.
const TIMES_PEAK: f64 = 2.0;
/// Callers of the closed loop that finds the peak.
const PEAK_CONNECTIONS: u64 = 64;
/// How much of the peak is asked for to see what is normal.
const NORMAL_SHARE: f64 = 0.8;
/// Seconds of either. Long enough that what a node has to do from time to time, above all compactions, is part of it.
const BEFORE_SECS: (u64, u64) = (60, 2);
/// Shorter runs say nothing about memory: there are no two whole minutes behind the first fifth.
const MEMORY_SECS_MIN: u64 = 180;

/// Operations of a closed loop that ends by time.
const ENDLESS: &str = "1000000000";

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
    ("rss_mb_settled", "in the first minute after a fifth of the time, mean"),
    ("rss_mb_max", "most"),
    ("rss_mb_last", "at the end"),
];

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let seconds = bench.settings.overload_seconds;
    let before = bench.settings.scaled(BEFORE_SECS.0, BEFORE_SECS.1);
    let connections = bench.settings.overload_connections.min(open_files_max().saturating_sub(OTHER_FILES)).max(1);
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    say(&format!("  looking for the peak for {before} s"));
    let peak = drive(bench, &node, PEAK_CONNECTIONS, before, None)?;
    let peak_per_sec = peak["ops_s"].as_f64().ok_or("the harness left no rate")?;
    let normal_rate = (NORMAL_SHARE * peak_per_sec).max(1.0) as u64;
    say(&format!("  {} per second for {before} s", grouped(normal_rate as f64, 0)));
    let normal = drive(bench, &node, connections, before, Some(normal_rate))?;
    let rate = (TIMES_PEAK * peak_per_sec).max(1.0) as u64;
    say(&format!("  {} per second for {seconds} s", grouped(rate as f64, 0)));
    let memory_before = node.resident_bytes() as f64;
    let line = drive(bench, &node, connections, seconds, Some(rate))?;
    let memory_after = node.resident_bytes() as f64;
    node.stop()?;

    part.about = format!(
        "W1, creations of groups of three, due {} times a second for {seconds} s, over {} connections: twice the {} per \
         second that {PEAK_CONNECTIONS} callers reach for {before} s. Normal is what {} per second give for {before} s, \
         on the same node. A node that has too much to do is to say so (60018), to go on with what it took, and to keep \
         its memory.",
        grouped(rate as f64, 0),
        grouped(connections as f64, 0),
        grouped(peak_per_sec, 0),
        grouped(normal_rate as f64, 0)
    );
    judge(bench, part, &normal, &line);
    show_before(part, [("the peak", &peak), ("normal", &normal)]);
    show_counts(part, &line);
    show_memory(part, &line, memory_before / MIB, memory_after / MIB);
    part.lines.extend([peak, normal, line]);
    Ok(())
}

/// Creates groups for so long, at a rate or in a closed loop; gives what the harness says.
fn drive(bench: &Bench, node: &Node, connections: u64, seconds: u64, rate: Option<u64>) -> Outcome<Value> {
    let [connections, seconds] = [connections, seconds].map(|number| number.to_string());
    let mut options = vec!["--workload", "w1", "--connections", &connections, "--duration", &seconds];
    let rate = rate.map(|rate| rate.to_string());
    match &rate {
        Some(rate) => options.extend(["--rate", rate]),
        None => options.extend(["--operations", ENDLESS]),
    }
    let lines = harness::run(bench, &Target::node(node), &options)?;
    lines.into_iter().next().ok_or_else(|| "the harness left no line".into())
}

fn judge(bench: &Bench, part: &mut Part, normal: &Value, line: &Value) {
    let reason = || bench.settings.too_small().map(str::to_owned);
    let was_none = line["refused"].as_f64().is_none_or(|refused| refused == 0.0);
    let no_overload = || was_none.then(|| "nothing was refused: this was no overload".to_owned());
    let ratio = line["p99_ms"].as_f64().zip(normal["p99_ms"].as_f64()).map(|(accepted, normal)| accepted / normal);
    let accepted = Bar::at_most("Accepted under overload, p99 ÷ normal p99", "", 2.0);
    part.bars.push(accepted.measured(ratio).unless(reason().or_else(no_overload)));
    let refused = Bar::at_most("Refused under overload, p99", "ms", 5.0);
    let refused = refused.measured(line["refused_latency"]["p99_ms"].as_f64());
    part.bars.push(refused.unless(reason().or_else(no_overload)));
    let seconds = bench.settings.overload_seconds;
    let too_short = (seconds < MEMORY_SECS_MIN).then(|| format!("only {seconds} s"));
    let memory = Bar::at_most("Memory under overload, drift of minutes after the first fifth", "%", 5.0);
    part.bars.push(memory.measured(line["rss_drift_percent"].as_f64()).unless(reason().or(too_short)));
}

/// Most files a process may have open here.
fn open_files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

fn show_before(part: &mut Part, lines: [(&str, &Value); 2]) {
    let columns = [
        ("", "", 0),
        ("Done", "1/s", 0),
        ("Refused", "", 0),
        ("p50", "ms", 1),
        ("p99", "ms", 1),
        ("p99.9", "ms", 1),
        ("max", "ms", 1),
    ];
    let table = part.table("Before, on the same node", &columns);
    for (name, line) in lines {
        let fields = ["ops_s", "refused", "p50_ms", "p99_ms", "p999_ms", "max_ms"];
        table.row(std::iter::once(text(name)).chain(fields.map(|field| number(line[field].as_f64()))));
    }
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
