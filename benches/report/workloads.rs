//! Part `workloads`: W1 to W7 of `muster bench` on a fresh node, and on a peer in turn with it.

use std::collections::{BTreeMap, BTreeSet};

use muster::bench::Latencies;
use muster::bench::bar::{Bar, median};
use serde_json::Value;

use crate::figures::{Axis, Cell, Part, Series, number, text};
use crate::harness::{self, Target};
use crate::machine::flush_latencies;
use crate::node::{self, Node};
use crate::peer::Peer;
use crate::{Bench, Outcome, say};

/// Flushes of the disk before each run.
const PROBES: u64 = 200;
const NAMES: [&str; 7] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];

/// What each workload is, and how many times the peer's operations per second it must and should reach. Of W7 it is
/// the time: at most so many times the peer's p50.
const BARS: [(&str, f64, Option<f64>); 7] = [
    ("create groups of three", 4.0, Some(6.0)),
    ("everybody joins one group", 20.0, Some(40.0)),
    ("joins over 10,000 groups", 3.0, Some(5.0)),
    ("mixed: 80 % profile reads, 10 % name cards, 5 % joins, 5 % removals", 8.0, Some(12.0)),
    ("joined lists", 3.0, Some(4.0)),
    ("pages of 100 members in a group of 5,000", 8.0, Some(15.0)),
    ("disband groups of 5,000 members, one after the other", 0.5, None),
];

/// The lines of one round by workload, of one system; none if it failed.
type Round = BTreeMap<String, Value>;

#[derive(Default)]
struct System {
    name: String,
    rounds: Vec<Round>,
}

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let peer = Peer::from_env()?;
    part.about = about(bench, peer.as_ref());
    let mut ours = System { name: "Muster".to_owned(), rounds: Vec::new() };
    let mut theirs =
        System { name: peer.as_ref().map_or_else(String::new, |peer| peer.name.clone()), rounds: Vec::new() };
    let mut probes = Vec::new();
    let mut failure = None;
    for round in 1..=bench.settings.rounds {
        say(&format!("  round {round} of {}", bench.settings.rounds));
        probes.push(flush_latencies(&bench.settings.scratch, PROBES)?);
        let lines = ours_once(bench).unwrap_or_else(|error| {
            failure = Some(error);
            Vec::new()
        });
        ours.rounds.push(by_workload(lines, part));
        let Some(peer) = &peer else { continue };
        say(&format!("  round {round} of {}: {}", bench.settings.rounds, peer.name));
        let lines = theirs_once(bench, peer).unwrap_or_else(|error| {
            failure = Some(format!("{}: {error}", peer.name).into());
            Vec::new()
        });
        theirs.rounds.push(by_workload(lines, part));
    }
    show_systems(part, &ours, &theirs, &probes);
    if peer.is_some() {
        show_ratios(bench, part, &ours, &theirs);
    }
    show_latencies(part, &ours);
    show_doubts(part);
    failure.map_or(Ok(()), Err)
}

fn about(bench: &Bench, peer: Option<&Peer>) -> String {
    let start = "The seven workloads of `muster bench`: a closed loop of 64 connections (W7: one), load and server on \
                 the same machine, every change flushed before its answer, every signature verified. Each round has a \
                 fresh node with limits.daily_net_groups = 0 and limits.max_members.public = 20000, else as shipped.";
    let rounds = match bench.settings.rounds {
        1 => "One round.".to_owned(),
        rounds => format!("Figures are medians of {rounds} rounds."),
    };
    match peer {
        Some(peer) => format!("{start} {rounds} Muster and {} take turns.", peer.name),
        None => format!(
            "{start} {rounds} No peer was given (PEER_START, PEER_STOP, PEER_ADDR, PEER_QUERY, PEER_PID_FILES), so \
             there is nothing to compare with."
        ),
    }
}

fn ours_once(bench: &Bench) -> Outcome<Vec<Value>> {
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let lines = drive(bench, &Target::node(&node))?;
    node.stop()?;
    Ok(lines)
}

fn theirs_once(bench: &Bench, peer: &Peer) -> Outcome<Vec<Value>> {
    let running = peer.start()?;
    let target = Target {
        tag: peer.name.clone(),
        address: peer.address.clone(),
        query: peer.query.clone(),
        pids: running.pids()?,
    };
    drive(bench, &target)
}

fn drive(bench: &Bench, target: &Target) -> Outcome<Vec<Value>> {
    if !bench.settings.quick {
        return harness::run(bench, target, &[]);
    }
    let small = ["--groups", "1000", "--members", "1000"];
    let most = [&["--workload", "w1,w2,w3,w4,w5,w6", "--operations", "3000"][..], &small].concat();
    let mut lines = harness::run(bench, target, &most)?;
    let disbands = [&["--workload", "w7", "--operations", "3"][..], &small].concat();
    lines.extend(harness::run(bench, target, &disbands)?);
    Ok(lines)
}

fn by_workload(lines: Vec<Value>, part: &mut Part) -> Round {
    part.lines.extend(lines.iter().cloned());
    lines.into_iter().filter_map(|line| Some((line["w"].as_str()?.to_owned(), line))).collect()
}

impl System {
    fn figures(&self, workload: &str, name: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(workload)?[name].as_f64()).collect()
    }

    fn median(&self, workload: &str, name: &str) -> Option<f64> {
        median(self.figures(workload, name))
    }
}

fn show_systems(part: &mut Part, ours: &System, theirs: &System, probes: &[Latencies]) {
    for system in [ours, theirs].into_iter().filter(|system| system.rounds.iter().any(|round| !round.is_empty())) {
        let table = part.table(
            &system.name,
            &[
                ("Workload", "", 0),
                ("", "", 0),
                ("Throughput", "1/s", 0),
                ("p50", "ms", 2),
                ("p99", "ms", 2),
                ("max", "ms", 1),
                ("CPU of the server", "µs", 1),
                ("CPU of the load", "µs", 1),
                ("Failed", "", 0),
            ],
        );
        for (name, (title, ..)) in NAMES.into_iter().zip(BARS) {
            let of = |figure| number(system.median(name, figure));
            let us_of = |figure| number(system.median(name, figure).map(|ms| ms * 1000.0));
            let failed: f64 = system.figures(name, "errors").iter().sum();
            table.row([
                text(name.to_uppercase()),
                text(title),
                of("ops_s"),
                of("p50_ms"),
                of("p99_ms"),
                of("max_ms"),
                us_of("srv_cpu_ms_op"),
                us_of("cli_cpu_ms_op"),
                number(failed),
            ]);
        }
    }
    let flushes: Vec<String> =
        probes.iter().map(|probe| format!("{:.2} / {:.2}", probe.p50_ms, probe.p99_ms)).collect();
    part.note(format!("CPU is per operation. fdatasync before each round, p50 / p99 in ms: {}.", flushes.join(", ")));
}

/// W7 is judged by its time, the others by operations per second.
fn judged_by(workload: &str) -> &'static str {
    if workload == "w7" { "p50_ms" } else { "ops_s" }
}

fn show_ratios(bench: &Bench, part: &mut Part, ours: &System, theirs: &System) {
    let mut bars = Vec::new();
    let mut rows = Vec::new();
    for (name, (title, must, goal)) in NAMES.into_iter().zip(BARS) {
        let figure = judged_by(name);
        let ratios: Vec<f64> = (ours.rounds.iter().zip(&theirs.rounds))
            .filter_map(|(ours, theirs)| Some(ours.get(name)?[figure].as_f64()? / theirs.get(name)?[figure].as_f64()?))
            .collect();
        let of_cpu = |system: &System| system.median(name, "srv_cpu_ms_op");
        let cpu = of_cpu(theirs).zip(of_cpu(ours)).map(|(theirs, ours)| theirs / ours);
        let subject = if name == "w7" { "p50" } else { "throughput" };
        let label = format!("{} {title}: {subject} ÷ {}", name.to_uppercase(), theirs.name);
        let bar = if name == "w7" { Bar::at_most(label, "×", must) } else { Bar::at_least(label, "×", must) };
        let bar = goal.into_iter().fold(bar, Bar::goal);
        let bar = bar.measured(median(ratios.iter().copied())).unless(bench.settings.too_small());
        let rounds: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        rows.push([
            text(name.to_uppercase()),
            text(subject),
            number(bar.measured),
            text(rounds.join(", ")),
            number(bar.must),
            number(bar.goal),
            number(cpu),
            Cell::Verdict(bar.verdict()),
        ]);
        bars.push(bar);
    }
    let caption = format!("Muster ÷ {}; of W7 the time, of which less is better", theirs.name);
    let table = part.table(
        &caption,
        &[
            ("Workload", "", 0),
            ("", "", 0),
            ("Median", "×", 2),
            ("Each round", "", 0),
            ("Must", "×", 1),
            ("Goal", "×", 1),
            ("CPU of the peer ÷ ours", "×", 2),
            ("", "", 0),
        ],
    );
    rows.into_iter().for_each(|row| table.row(row));
    part.bars.extend(bars);
}

fn show_latencies(part: &mut Part, ours: &System) {
    let of = |name: &str| {
        let at = |share, figure| ours.median(name, figure).map(|ms| (share, ms));
        let points = [at(0.5, "p50_ms"), at(0.95, "p95_ms"), at(0.99, "p99_ms"), at(0.999, "p999_ms")];
        Series::new(name.to_uppercase(), points.into_iter().flatten())
    };
    // Eight disbands have no percentiles.
    let series = NAMES.into_iter().filter(|name| *name != "w7").map(of).collect();
    part.plot("Latency by percentile", Axis::tail("share of the requests"), Axis::log("latency, ms"), series);
}

fn show_doubts(part: &mut Part) {
    let doubts: BTreeSet<String> = part
        .lines
        .iter()
        .flat_map(|line| {
            let tag = line["tag"].as_str().unwrap_or("?");
            let doubts = line["doubts"].as_array().into_iter().flatten().filter_map(Value::as_str);
            doubts.map(move |doubt| format!("{tag}: {doubt}")).collect::<Vec<_>>()
        })
        .collect();
    if !doubts.is_empty() {
        let doubts: Vec<String> = doubts.into_iter().collect();
        part.note(format!("The harness doubts that figures may be compared: {}.", doubts.join("; ")));
    }
}
