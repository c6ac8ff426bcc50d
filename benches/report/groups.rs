//! Part `groups`: what a group costs in memory and on disk, and how long a node with many needs to start.

use muster::bench::bar::{Bar, slope};
use muster::bench::request::{Group, Operation, User, Users};

use crate::figures::{Axis, Part, Series, number, text};
use crate::load::{self, CONNECTIONS};
use crate::node::{self, Ending, Node};
use crate::{Bench, Outcome, say};

const RUN: &str = "groups";
/// Besides the owner.
const MEMBERS: u64 = 7;
/// Accounts for each group there is: each is a member of four.
const ACCOUNTS_PER_GROUP: u64 = 2;
/// Looks at the memory on the way.
const STEPS: u64 = 40;
/// What the groups may take, so that none is let go.
const SETTINGS: [(&str, &str); 2] =
    [("actors.resident_bytes_max", "4294967296"), ("actors.idle_timeout_ms", "86400000")];
/// The number of groups that the bar of the whole is about.
const BAR_GROUPS: u64 = 1_000_000;
const MIB: f64 = 1024.0 * 1024.0;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let count = bench.settings.groups;
    part.about = format!(
        "{} groups of 8 members are created, the owner and seven in one call, out of {} accounts, and stay active \
         (actors.resident_bytes_max 4 GiB, actors.idle_timeout_ms one day). Memory is what the kernel counts as \
         resident, all caches included.",
        crate::page::grouped(count as f64, 0),
        crate::page::grouped((count * ACCOUNTS_PER_GROUP) as f64, 0)
    );
    let mut node = Node::start(&bench.settings.scratch, &[&node::WORKLOADS[..], &SETTINGS].concat())?;
    let empty_disk = node.disk_bytes();
    let memory = create(&node, count)?;
    show_memory(bench, part, &node, &memory);

    node.rest();
    let disk = node.disk_bytes().saturating_sub(empty_disk) as f64;
    let table = part.table(
        "Disk, once the database is at rest",
        &[("Whole", "MiB", 0), ("per group", "B", 0), ("per member", "B", 0)],
    );
    let groups = count as f64;
    table.row([disk / MIB, disk / groups, disk / (groups * (MEMBERS + 1) as f64)].map(number));

    let mut restarts = Vec::new();
    for (name, ending) in [("kill -9", Ending::Kill), ("stop", Ending::Stop)] {
        say(&format!("  restart after {name}"));
        restarts.push((name, node.restart(ending)?.as_secs_f64(), node.resident_bytes() as f64 / MIB));
    }
    node.stop()?;
    let table = part
        .table("Restart, until /readyz says ready", &[("After", "", 0), ("Time", "s", 2), ("Memory then", "MiB", 0)]);
    for (name, seconds, memory) in &restarts {
        table.row([text(name), number(*seconds), number(*memory)]);
    }
    for (name, seconds, _) in restarts {
        part.bars.push(
            Bar::at_most(format!("Restart with {} groups after {name}", crate::page::grouped(groups, 0)), "s", 5.0)
                .measured(seconds)
                .unless(too_few(bench)),
        );
    }
    Ok(())
}

fn too_few(bench: &Bench) -> Option<String> {
    (bench.settings.groups < BAR_GROUPS)
        .then(|| format!("only {} groups", crate::page::grouped(bench.settings.groups as f64, 0)))
}

/// Creates the groups; gives number of groups and resident bytes on the way.
fn create(node: &Node, count: u64) -> Outcome<Vec<(f64, f64)>> {
    let accounts = count * ACCOUNTS_PER_GROUP;
    let mut memory = vec![(0.0, node.resident_bytes() as f64)];
    let step = count.div_ceil(STEPS);
    for first in (0..count).step_by(step as usize) {
        let batch = step.min(count - first);
        load::prepare(node, RUN, batch, CONNECTIONS, move |index| {
            let number = first + index;
            // Neighbours in one group are far apart elsewhere: each account is in groups of many shards.
            let members = Users::Row { letters: "m", first: number * MEMBERS, count: MEMBERS, modulus: accounts };
            let owner = User::Numbered("m", (number * MEMBERS + MEMBERS) % accounts);
            Operation::Create { group: Group { letters: "g", number: Some(number) }, owner, members }
        })?;
        memory.push(((first + batch) as f64, node.resident_bytes() as f64));
        if memory.len() % 10 == 1 {
            say(&format!("  {} groups", crate::page::grouped((first + batch) as f64, 0)));
        }
    }
    Ok(memory)
}

fn show_memory(bench: &Bench, part: &mut Part, node: &Node, memory: &[(f64, f64)]) {
    let active = node.metric("muster_groups_active");
    let (groups, bytes) = memory.last().copied().unwrap_or_default();
    // By then the caches and memtables, which have bounds of their own, are full.
    let later: Vec<(f64, f64)> = memory.iter().copied().filter(|(at, _)| *at >= groups / 2.0).collect();
    let per_group = slope(&later);
    let table = part.table(
        "Memory",
        &[
            ("Active groups", "", 0),
            ("Resident", "MiB", 0),
            ("Resident ÷ groups", "B", 0),
            ("Growth per group, second half", "B", 0),
        ],
    );
    table.row([number(active), number(bytes / MIB), number(bytes / groups), number(per_group)]);
    let points = memory.iter().map(|(at, bytes)| (*at, bytes / MIB));
    part.plot(
        "Memory over groups",
        Axis::linear("active groups"),
        Axis::linear("resident, MiB"),
        vec![Series::new("resident", points)],
    );
    let passivated = active.filter(|active| *active < groups);
    let why = too_few(bench).or_else(|| passivated.map(|active| format!("only {active} stayed active")));
    part.bars.push(
        Bar::at_most("Memory per active group of 8 members", "B", 2048.0).measured(per_group).unless(why.clone()),
    );
    part.bars
        .push(Bar::at_most("Memory with 1,000,000 active groups", "MiB", 4096.0).measured(bytes / MIB).unless(why));
}
