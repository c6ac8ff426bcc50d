//! Part `steady`: joins for a long time, second by second, so that the database's own work shows.

use std::time::Duration;

use muster::bench::bar::median;
use muster::bench::workload;

use crate::figures::{Axis, MIB, Part, Series, number, text};
use crate::load::{self, CONNECTIONS, Load, Second};
use crate::machine::{LATENCY_COLUMNS, latency_cells};
use crate::node::{self, Node};
use crate::{Bench, Outcome};

const RUN: &str = "steady";
/// Groups of W3.
const GROUPS: u64 = 10_000;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let seconds = bench.settings.steady_seconds;
    part.about = format!("W3, joins over 10,000 groups, in a closed loop of 64 connections for {seconds} s.");
    let sizes = load::sizes(bench.settings.scaled(GROUPS, 1_000));
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let set_up = load::phase(workload::Load::CreateSpreadGroups, sizes, RUN, &node.query);
    load::run(node.address(), Load::of(sizes.groups, CONNECTIONS), set_up)?.clean()?;
    let joins = load::phase(workload::Load::JoinSpreadGroups, sizes, RUN, &node.query);
    let pace = Load::during(Duration::from_secs(seconds), CONNECTIONS);
    let (written, disk) = (node.written_bytes(), node.disk_bytes());
    let measured = load::run(node.address(), pace, joins)?.clean()?;
    node.rest();
    let written = node.written_bytes().saturating_sub(written) as f64;
    let disk = node.disk_bytes().saturating_sub(disk) as f64;
    let memory = node.resident_bytes() as f64;
    node.stop()?;

    let columns = [&[("Joins", "", 0), ("Throughput", "1/s", 0)][..], &LATENCY_COLUMNS].concat();
    let table = part.table("The whole time", &columns);
    table.row(
        [number(measured.done as f64), number(measured.per_second())]
            .into_iter()
            .chain(latency_cells(&measured.latencies)),
    );
    show_seconds(part, &measured.seconds);
    let table = part.table(
        "Bytes, until the database is at rest",
        &[
            ("User's", "MiB", 0),
            ("Written", "MiB", 0),
            ("Written ÷ user's", "", 2),
            ("Disk", "MiB", 0),
            ("Disk ÷ user's", "", 2),
            ("Memory of the node", "MiB", 0),
        ],
    );
    let user = measured.user_bytes as f64;
    table.row([user / MIB, written / MIB, written / user, disk / MIB, disk / user, memory / MIB].map(number));
    Ok(())
}

fn show_seconds(part: &mut Part, seconds: &[Second]) {
    let done = || seconds.iter().map(|second| second.done as f64);
    let slowest = seconds.iter().min_by_key(|second| second.done);
    let table = part.table("Single seconds", &[("", "", 0), ("Throughput", "1/s", 0), ("At", "s", 0)]);
    table.row([text("median"), number(median(done())), number(None)]);
    if let Some(slowest) = slowest {
        table.row([text("slowest"), number(slowest.done as f64), number(slowest.number as f64)]);
    }
    let over = |figure: fn(&Second) -> f64| {
        let points = seconds.iter().map(move |second| (second.number as f64, figure(second)));
        // A second in which nothing was answered has no latency.
        points.filter(|(_, value)| *value > 0.0)
    };
    part.plot(
        "Throughput over time",
        Axis::linear("time, s"),
        Axis::linear("joins per second"),
        vec![Series::new("joins", seconds.iter().map(|second| (second.number as f64, second.done as f64)))],
    );
    let of = |name, figure| Series::new(name, over(figure));
    let series = vec![
        of("p50", |second| second.latencies.p50_ms),
        of("p99", |second| second.latencies.p99_ms),
        of("p99.9", |second| second.latencies.p999_ms),
        of("max", |second| second.latencies.max_ms),
    ];
    part.plot("Latency over time", Axis::linear("time, s"), Axis::log("latency, ms"), series);
}
