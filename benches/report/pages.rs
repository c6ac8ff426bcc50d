//! Part `pages`: whether what one asks of a large group costs more than the same of a small one.

use std::time::Instant;

use muster::bench::Latencies;
use muster::bench::bar::Bar;
use muster::bench::request::{Group, Operation, PAGE_MEMBERS, User, Users};

use crate::figures::{Axis, Cell, MIB, Part, Series, number, text};
use crate::load::{self, Load};
use crate::machine::{LATENCY_COLUMNS, latency_cells};
use crate::node::{self, Ending, Node};
use crate::page::grouped;
use crate::{Bench, Outcome, say};

const RUN: &str = "pages";
/// Members added per call; the most that one call takes.
const FILL: u64 = 300;
const FILL_CONNECTIONS: u64 = 8;
/// Sizes of the groups that are read, as far as they are asked for.
const SIZES: [u64; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// The size that pages of the largest group are held against.
const SMALL: u64 = 1_000;
/// Where pages begin.
const OFFSETS: [&str; 3] = ["beginning", "middle", "end"];
/// Pages read at each offset.
const PAGES: u64 = 1_000;
const JOINS: u64 = 300;
const SMALL_COLD: u64 = 100;

/// What was measured in a group of one size.
struct Sized {
    members: u64,
    fill_secs: f64,
    grown_bytes: f64,
    /// At the beginning, in the middle, at the end.
    pages: Vec<Latencies>,
    joins: Option<Latencies>,
}

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    part.about = format!(
        "Public groups without a bound on their members, filled {FILL} per call over {FILL_CONNECTIONS} connections. \
         Then one member leaves, so that places are not numbers of entry any more, and one connection reads {} pages \
         of 100 at each offset of each group, all in turn, with the node's memory for answers switched off \
         (api.kept_answers_bytes = 0): every page is made anew.",
        grouped(PAGES as f64, 0)
    );
    let settings = [&node::LARGE_GROUPS[..], &[("api.kept_answers_bytes", "0")]].concat();
    let node = Node::start(&bench.settings.scratch, &settings)?;
    let mut sized = Vec::new();
    for members in SIZES.into_iter().filter(|members| *members <= bench.settings.largest_group) {
        say(&format!("  a group of {}", grouped(members as f64, 0)));
        sized.push(fill(&node, members)?);
    }
    show_fill(part, &sized);
    say("  pages and joins");
    read_pages(&node, &mut sized)?;
    show_pages(part, &sized);
    join(&node, &mut sized)?;
    show_joins(part, &sized);
    node.stop()?;
    cold(bench, part)
}

fn group(members: u64) -> Group {
    Group { letters: "s", number: Some(members) }
}

/// Block `index` of the members of a group besides its owner.
fn block(members: u64, index: u64) -> Users {
    let first = index * FILL;
    Users::Row { letters: "p", first, count: FILL.min(members - 1 - first), modulus: u64::MAX }
}

fn fill(node: &Node, members: u64) -> Outcome<Sized> {
    let group = group(members);
    load::create_unlimited(node, RUN, &[group])?;
    let memory_before = node.resident_bytes() as f64;
    let begin = Instant::now();
    load::prepare(node, RUN, (members - 1).div_ceil(FILL), FILL_CONNECTIONS, move |index| Operation::Join {
        group,
        users: block(members, index),
    })?;
    let fill_secs = begin.elapsed().as_secs_f64();
    let grown_bytes = node.resident_bytes() as f64 - memory_before;
    // Second by entry: everybody after it has moved.
    load::prepare(node, RUN, 1, 1, move |_| Operation::Remove { group, user: User::Numbered("p", 0) })?;
    Ok(Sized { members, fill_secs, grown_bytes, pages: Vec::new(), joins: None })
}

/// In turn, so that what the machine does besides falls on all of them alike.
fn read_pages(node: &Node, sized: &mut [Sized]) -> Outcome<()> {
    let pages: Vec<(Group, u64)> = sized
        .iter()
        .flat_map(|sized| {
            let last = (sized.members - 1).saturating_sub(PAGE_MEMBERS);
            [0, last / 2, last].map(|offset| (group(sized.members), offset))
        })
        .collect();
    let count = pages.len() as u64;
    let source = load::classes(RUN, &node.query, move |index| {
        let class = (index % count) as usize;
        let (group, offset) = pages[class];
        (class, Operation::MemberPage { group, offset })
    });
    let measured = load::run(node.address(), Load::of(count * PAGES, 1), source)?.clean()?;
    for (sized, pages) in sized.iter_mut().zip(measured.by_class.chunks(OFFSETS.len())) {
        sized.pages = pages.to_vec();
    }
    Ok(())
}

fn join(node: &Node, sized: &mut [Sized]) -> Outcome<()> {
    let groups: Vec<Group> = sized.iter().map(|sized| group(sized.members)).collect();
    let count = groups.len() as u64;
    let source = load::classes(RUN, &node.query, move |index| {
        let class = (index % count) as usize;
        (class, Operation::Join { group: groups[class], users: Users::One(User::Numbered("new", index)) })
    });
    let measured = load::run(node.address(), Load::of(count * JOINS, 1), source)?.clean()?;
    for (sized, joins) in sized.iter_mut().zip(measured.by_class) {
        sized.joins = Some(joins);
    }
    Ok(())
}

fn show_pages(part: &mut Part, sized: &[Sized]) {
    let columns = [
        ("Members", "", 0),
        ("Beginning p50", "ms", 3),
        ("p99", "ms", 3),
        ("Middle p50", "ms", 3),
        ("p99", "ms", 3),
        ("End p50", "ms", 3),
        ("p99", "ms", 3),
    ];
    let table = part.table("`get_group_member_info`, Limit 100", &columns);
    for Sized { members, pages, .. } in sized {
        let cells = pages.iter().flat_map(|page| [number(page.p50_ms), number(page.p99_ms)]);
        table.row(std::iter::once(number(*members as f64)).chain(cells));
    }
    let series = OFFSETS.into_iter().enumerate().map(|(at, name)| {
        Series::new(name, sized.iter().map(move |sized| (sized.members as f64, sized.pages[at].p50_ms)))
    });
    part.plot(
        "A page over the size of its group, p50",
        Axis::log("members"),
        Axis::linear("latency, ms"),
        series.collect(),
    );

    let of = |members: u64| sized.iter().find(|sized| sized.members == members).map(|sized| &sized.pages);
    let largest = sized.last().map_or(0, |sized| sized.members);
    // Each offset against the same one: only the size differs.
    let ratios = of(largest).zip(of(SMALL)).map(|(large, small)| {
        large.iter().zip(small).map(|(large, small)| large.p50_ms / small.p50_ms).fold(0.0, f64::max)
    });
    let [of_largest, of_small] = [largest, SMALL].map(|members| grouped(members as f64, 0));
    let name = format!("A page in a group of {of_largest} ÷ of {of_small}, p50, worst offset");
    part.bars.push(Bar::at_most(name, "", 1.5).measured(ratios).unless(too_small(largest)));
}

fn too_small(largest: u64) -> Option<String> {
    (largest < 1_000_000).then(|| format!("only {} members", grouped(largest as f64, 0)))
}

fn show_joins(part: &mut Part, sized: &[Sized]) {
    let columns = [&[("Members", "", 0)][..], &LATENCY_COLUMNS].concat();
    let table = part.table("A join, one after the other", &columns);
    for Sized { members, joins, .. } in sized {
        let cells = joins.iter().flat_map(latency_cells);
        table.row(std::iter::once(number(*members as f64)).chain(cells));
    }
    let of = |name, figure: fn(&Latencies) -> f64| {
        let points = sized.iter().filter_map(move |sized| Some((sized.members as f64, figure(sized.joins.as_ref()?))));
        Series::new(name, points)
    };
    let series = vec![of("p50", |joins| joins.p50_ms), of("p99", |joins| joins.p99_ms)];
    part.plot("A join over the size of its group", Axis::log("members"), Axis::log("latency, ms"), series);
}

fn show_fill(part: &mut Part, sized: &[Sized]) {
    let table = part.table(
        "Filling a group",
        &[("Members", "", 0), ("Time", "s", 2), ("Members per second", "1/s", 0), ("Growth of memory", "MiB", 0)],
    );
    for Sized { members, fill_secs, grown_bytes, .. } in sized {
        let members = *members as f64;
        table.row([members, *fill_secs, members / fill_secs, grown_bytes / MIB].map(number));
    }
    if let Some(largest) = sized.last() {
        let why = too_small(largest.members);
        part.bars
            .push(Bar::at_most("Adding 1,000,000 members", "s", 60.0).measured(largest.fill_secs).unless(why.clone()));
        let megabytes = largest.grown_bytes / 1e6;
        part.bars.push(Bar::at_most("Memory grown by 1,000,000 members", "MB", 400.0).measured(megabytes).unless(why));
    }
}

/// First commands to groups that nothing in memory knows: after a restart.
fn cold(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let settings = &bench.settings;
    let sizes = [
        (SMALL_COLD, settings.dormant_groups, 2.0),
        (settings.dormant_large_members, settings.dormant_large_groups, 20.0),
    ];
    let mut node = Node::start(&settings.scratch, &node::LARGE_GROUPS)?;
    let group =
        |members: u64, number| Group { letters: if members == SMALL_COLD { "c" } else { "l" }, number: Some(number) };
    for (members, count, _) in sizes {
        say(&format!("  {count} groups of {}, to be dormant", grouped(members as f64, 0)));
        let groups: Vec<Group> = (0..count).map(|number| group(members, number)).collect();
        load::create_unlimited(&node, RUN, &groups)?;
        let blocks = (members - 1).div_ceil(FILL);
        load::prepare(&node, RUN, blocks * count, FILL_CONNECTIONS, move |index| Operation::Join {
            group: group(members, index / blocks),
            users: block(members, index % blocks),
        })?;
    }
    node.rest();
    node.restart(Ending::Stop)?;
    // A stop leaves small tables; what compacts them after the start takes half a core, and is not what is asked here.
    node.rest();
    // Code is warm, the groups are not.
    let warm = group(SMALL_COLD, 0);
    load::create_unlimited(&node, "warm", &[warm])?;
    load::prepare(&node, "warm", 1, 1, move |number| Operation::NameCard { group: warm, user: User::Owner, number })?;

    let columns = [&[("Members", "", 0), ("Groups", "", 0), ("Command", "", 0)][..], &LATENCY_COLUMNS].concat();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (members, count, must_ms) in sizes {
        for (name, round) in [("first", 0), ("second", 1)] {
            let card = move |index| {
                // Somebody in the middle, another one each time.
                let user = User::Numbered("p", members / 2 + round);
                Operation::NameCard { group: group(members, index), user, number: index }
            };
            let source = load::operations(RUN, &node.query, card);
            let latencies = load::run(node.address(), Load::of(count, 1), source)?.clean()?.latencies;
            let cells = [number(members as f64), number(count as f64), text(name)];
            rows.push(cells.into_iter().chain(latency_cells(&latencies)).collect());
            if round == 0 {
                let small = (members > SMALL_COLD && members < 100_000)
                    .then(|| format!("only {} members", grouped(members as f64, 0)));
                let why = settings.too_small().map(str::to_owned).or(small);
                let name = format!("First command to a dormant group of {}, p99", grouped(members as f64, 0));
                part.bars.push(Bar::at_most(name, "ms", must_ms).measured(latencies.p99_ms).unless(why));
            }
        }
    }
    node.stop()?;
    let table = part.table("A name card in a dormant group, after a restart, and again", &columns);
    rows.into_iter().for_each(|row| table.row(row));
    Ok(())
}
