//! Part `reads`: the profile of one small group, against a service that does nothing.

use muster::bench::bar::{Bar, median};
use muster::bench::request::{Group, Operation, User, Users};

use crate::figures::{Axis, Part, Series, number};
use crate::load::{self, CONNECTIONS, Load, Measured};
use crate::machine::{ask_echo, echo_server};
use crate::node::{self, Node};
use crate::{Bench, Outcome};

const RUN: &str = "reads";
const GROUP: Group = Group { letters: "g", number: Some(0) };
const WARM_UP: u64 = 2_000;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    part.about =
        "`get_group_info` of one group of eight, without a filter, in a closed loop of 64 connections, in turn \
                  with a bare actix-web service that reads the body and answers the shortest good answer."
            .to_owned();
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    let members = Users::Row { letters: "m", first: 0, count: 7, modulus: u64::MAX };
    load::prepare(&node, RUN, 1, 1, move |_| Operation::Create { group: GROUP, owner: User::Owner, members })?;
    let (echo, _server) = echo_server(bench)?;

    let count = bench.settings.scaled(200_000, 30_000);
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let bare = ask_echo(&echo, count)?;
        ask(&node, WARM_UP)?;
        rounds.push((bare, ask(&node, count)?));
    }
    node.stop()?;
    show(bench, part, &rounds);
    Ok(())
}

fn ask(node: &Node, count: u64) -> Outcome<Measured> {
    let source = load::operations(RUN, &node.query, |_| Operation::Profile { group: GROUP });
    load::run(node.address(), Load::of(count, CONNECTIONS), source)?.clean()
}

fn show(bench: &Bench, part: &mut Part, rounds: &[(Measured, Measured)]) {
    let table = part.table(
        "Each round",
        &[
            ("Bare service", "1/s", 0),
            ("p50", "ms", 3),
            ("p99", "ms", 3),
            ("get_group_info", "1/s", 0),
            ("p50", "ms", 3),
            ("p99", "ms", 3),
            ("Ratio", "", 2),
        ],
    );
    let ratio = |(bare, ours): &(Measured, Measured)| ours.per_second() / bare.per_second();
    for round in rounds {
        let of = |measured: &Measured| {
            [measured.per_second(), measured.latencies.p50_ms, measured.latencies.p99_ms].map(number)
        };
        table.row(of(&round.0).into_iter().chain(of(&round.1)).chain([number(ratio(round))]));
    }
    if let Some((bare, ours)) = rounds.last() {
        let series = [("bare service", bare), ("get_group_info", ours)];
        let series = series.map(|(name, measured)| Series::of_latencies(name, &measured.latencies));
        part.plot(
            "Latency by percentile, last round",
            Axis::tail("share of the requests"),
            Axis::log("latency, ms"),
            series.into(),
        );
    }
    part.bars.push(
        Bar::at_least("Profile reads ÷ bare service, throughput", "", 0.5)
            .goal(0.7)
            .measured(median(rounds.iter().map(ratio)))
            .unless(bench.settings.too_small()),
    );
}
