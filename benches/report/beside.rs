//! Part `beside`: what others notice of one group that everybody joins.

use std::time::Duration;

use muster::bench::request::{Group, Operation, User, Users};

use crate::figures::{Axis, Part, Series, number, text};
use crate::load::{self, CONNECTIONS, Load, Measured};
use crate::machine::{LATENCY_COLUMNS, latency_cells};
use crate::node::{self, Node};
use crate::page::grouped;
use crate::{Bench, Outcome};

const RUN: &str = "beside";
const HOT: Group = Group { letters: "hot", number: None };
/// Groups that the others join.
const OTHERS: u64 = 1_000;
/// Joins per second of the others: far from what the node can do.
const OTHERS_PER_SEC: u64 = 500;
const OTHERS_CONNECTIONS: u64 = 16;
/// The hot group begins before the others are measured, and ends after.
const MARGIN: Duration = Duration::from_secs(1);

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let seconds = bench.settings.scaled(20, 4);
    part.about = format!(
        "{OTHERS_PER_SEC} joins per second into {} other groups, started on schedule for {seconds} s: first alone, \
         then while 64 connections join one group as fast as they are answered, as in W2 (without its bound of 20,000 \
         members). Both loads run on the machine of the node.",
        grouped(OTHERS as f64, 0)
    );
    let node = Node::start(&bench.settings.scratch, &node::LARGE_GROUPS)?;
    let other = |index| Group { letters: "g", number: Some(index % OTHERS) };
    load::prepare(&node, RUN, OTHERS, CONNECTIONS, move |index| Operation::Create {
        group: other(index),
        owner: User::Owner,
        members: Users::None,
    })?;
    load::create_unlimited(&node, RUN, &[HOT])?;

    let others = |letters: &'static str| {
        let join =
            move |index| Operation::Join { group: other(index), users: Users::One(User::Numbered(letters, index)) };
        let pace =
            Load { rate: Some(OTHERS_PER_SEC), ..Load::during(Duration::from_secs(seconds), OTHERS_CONNECTIONS) };
        load::run(node.address(), pace, load::operations(RUN, &node.query, join))?.clean()
    };
    let alone = others("a")?;
    let (hot, beside) = std::thread::scope(|scope| {
        let hot = scope.spawn(|| hot(&node, Duration::from_secs(seconds) + 2 * MARGIN));
        std::thread::sleep(MARGIN);
        let beside = others("b");
        (hot.join(), beside)
    });
    let (hot, beside) = (hot.map_err(|_| "the load on the hot group panicked")??, beside?);
    node.stop()?;
    show(part, &alone, &beside, &hot);
    Ok(())
}

fn hot(node: &Node, duration: Duration) -> Outcome<Measured> {
    let join = |index| Operation::Join { group: HOT, users: Users::One(User::Numbered("h", index)) };
    let source = load::operations(RUN, &node.query, join);
    load::run(node.address(), Load::during(duration, CONNECTIONS), source)?.clean()
}

fn show(part: &mut Part, alone: &Measured, beside: &Measured, hot: &Measured) {
    let rows = [("others, alone", alone), ("others, beside the hot group", beside), ("the hot group itself", hot)];
    let columns = [&[("Joins", "", 0), ("Throughput", "1/s", 0)][..], &LATENCY_COLUMNS].concat();
    let table = part.table("Latency of joins", &columns);
    for (name, measured) in rows {
        table.row([text(name), number(measured.per_second())].into_iter().chain(latency_cells(&measured.latencies)));
    }
    let series = rows.map(|(name, measured)| Series::of_latencies(name, &measured.latencies));
    part.plot("Latency by percentile", Axis::tail("share of the joins"), Axis::log("latency, ms"), series.into());
}
