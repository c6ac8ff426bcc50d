//! Part `overload`: twice as much as the node can do, for a long time, through `muster bench --rate`.
//!
//! Reads what the harness says with some tolerance: a figure that a line does not have is left out.

use serde_json::Value;

use crate::figures::{Axis, Part, Series, number, text};
use crate::harness::{self, Target};
use crate::node::{self, Node};
use crate::{Bench, Outcome, say};

/// How much more than the peak is asked for.
const TIMES_PEAK: f64 = 2.0;
/// Operations of the run that looks for the peak, where part `workloads` did not.
const PEAK_OPERATIONS: (&str, &str) = ("20000", "5000");
const MIB: f64 = 1024.0 * 1024.0;

/// Fields of a line that count operations, and what each means.
const COUNTS: [(&str, &str); 5] = [
    ("ops", "answered"),
    ("done", "carried out"),
    ("refused", "refused for overload (60018): nothing happened"),
    ("errors", "failed"),
    ("not_started", "due and never started, because every connection waited"),
];

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let seconds = bench.settings.overload_seconds;
    let peak = match bench.peak_per_sec.get() {
        Some(peak) => peak,
        None => find_peak(bench)?,
    };
    let rate = (TIMES_PEAK * peak).max(1.0) as u64;
    part.about = format!(
        "W1, creations of groups of three, asked for at {} per second for {seconds} s: twice the {} per second of the \
         closed loop. A node that has too much to do is to say so (60018) and to keep its memory.",
        crate::page::grouped(rate as f64, 0),
        crate::page::grouped(peak, 0)
    );
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let memory_before = node.resident_bytes() as f64;
    say(&format!("  {rate}/s for {seconds} s"));
    let [rate_text, seconds_text, operations] = [rate, seconds, rate * seconds].map(|number| number.to_string());
    let options = ["--workload", "w1", "--rate", &rate_text, "--duration", &seconds_text, "--operations", &operations];
    let lines = harness::run(bench, &Target::node(&node), &options)?;
    let line = lines.into_iter().next().ok_or("the harness left no line")?;
    show(part, &line, memory_before, node.resident_bytes() as f64);
    part.lines.push(line);
    node.stop()
}

fn find_peak(bench: &Bench) -> Outcome<f64> {
    say("  looking for the peak");
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let operations = bench.settings.scaled(PEAK_OPERATIONS.0, PEAK_OPERATIONS.1);
    let lines = harness::run(bench, &Target::node(&node), &["--workload", "w1", "--operations", operations])?;
    node.stop()?;
    lines.first().and_then(|line| line["ops_s"].as_f64()).ok_or_else(|| "the harness left no line".into())
}

fn show(part: &mut Part, line: &Value, memory_before: f64, memory_after: f64) {
    let table = part.table("Operations", &[("", "", 0), ("", "", 0), ("per second", "1/s", 0)]);
    let secs = line["secs"].as_f64().unwrap_or(0.0);
    for (field, meaning) in COUNTS {
        if let Some(count) = line[field].as_f64() {
            table.row([text(meaning), number(count), number((secs > 0.0).then(|| count / secs))]);
        }
    }
    let table = part.table(
        "Latency from the moment an operation was due",
        &[("p50", "ms", 1), ("p99", "ms", 1), ("p99.9", "ms", 1), ("max", "ms", 1)],
    );
    table.row(["p50_ms", "p99_ms", "p999_ms", "max_ms"].map(|field| number(line[field].as_f64())));
    let table = part.table("Memory of the node", &[("Before", "MiB", 0), ("After", "MiB", 0)]);
    table.row([memory_before / MIB, memory_after / MIB].map(number));
    if let Some(first) = line["first_error"].as_str() {
        part.note(format!("First failure: {first}"));
    }
    show_series(part, line);
}

/// A series is a list of numbers, one for each second, or of objects with such fields.
fn show_series(part: &mut Part, line: &Value) {
    let seconds = ["seconds", "per_second", "series"].into_iter().find_map(|field| line[field].as_array());
    let Some(seconds) = seconds else { return };
    let of = |name: &'static str| {
        let points = seconds.iter().enumerate().filter_map(|(at, second)| Some((at as f64, second[name].as_f64()?)));
        Series::new(name, points)
    };
    let counts: Vec<Series> =
        ["done", "refused", "failed"].map(of).into_iter().filter(|s| !s.points.is_empty()).collect();
    if !counts.is_empty() {
        part.plot("Answers over time", Axis::linear("time, s"), Axis::linear("answers per second"), counts);
    }
    let memory = of("rss_bytes");
    if !memory.points.is_empty() {
        let points = memory.points.into_iter().map(|(at, bytes)| (at, bytes / MIB));
        part.plot(
            "Memory over time",
            Axis::linear("time, s"),
            Axis::linear("resident, MiB"),
            vec![Series::new("resident", points)],
        );
    }
}
