//! Part `groups`: what a group costs in memory and on disk, and how long a node with many needs to start.

use muster::bench::bar::{Bar, slope};
use muster::bench::request::{Group, Operation, User, Users};

use crate::figures::{Axis, MIB, Part, Series, number, text};
use crate::load::{self, CONNECTIONS};
use crate::node::{self, Ending, Node};
use crate::page::grouped;
use crate::{Bench, Outcome, say};

const RUN: &str = "groups";
/// Besides the owner.
const MEMBERS: u64 = 7;
/// Accounts for each group there is: each is a member of four.
const ACCOUNTS_PER_GROUP: u64 = 2;
/// Looks at the memory on the way.
const STEPS: u64 = 40;
/// How many of them pass without a word.
const SAY_EVERY: usize = 10;
const ACTIVE: &str = "muster_groups_active";
/// What the groups may take, so that none is let go.
const SETTINGS: [(&str, &str); 2] =
    [("actors.resident_bytes_max", "4294967296"), ("actors.idle_timeout_ms", "86400000")];
/// What fills to a bound of its own while groups are loaded, in MiB as shipped. With fewer groups the bounds are less,
/// so that half of the groups fill them and the others show what a group takes, as with a million.
const CACHES: [(&str, u64); 3] =
    [("storage.block_cache_bytes", 256), ("storage.row_cache_bytes", 64), ("storage.memtable_bytes", 256)];
/// The number of groups that the bar of the whole is about.
const BAR_GROUPS: u64 = 1_000_000;
/// As far down as the memory of rows not yet in files can be set.
const CACHE_BYTES_MIN: u64 = 4 * MIB as u64;

/// Number of groups and resident bytes, on the way.
type Memory = Vec<(f64, f64)>;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let count = bench.settings.active_groups;
    let accounts = count * ACCOUNTS_PER_GROUP;
    part.about = format!(
        "{} groups of 8 members are created, the owner and seven in one call, out of {} accounts, and stay active \
         (actors.resident_bytes_max 4 GiB, actors.idle_timeout_ms one day). After the restarts a name card is set in \
         each, which loads it from its rows. Memory is what the kernel counts as resident, with all caches and with \
         rows that are not yet in files: those have bounds of their own, as shipped for a million groups and less for \
         fewer, and are least after a restart.",
        grouped(count as f64, 0),
        grouped(accounts as f64, 0)
    );
    let bytes_max = |mib: u64| (mib * MIB as u64 * count.min(BAR_GROUPS) / BAR_GROUPS).max(CACHE_BYTES_MIN);
    let caches = CACHES.map(|(name, mib)| (name, bytes_max(mib).to_string()));
    let caches: Vec<_> = caches.iter().map(|(name, bytes)| (*name, bytes.as_str())).collect();
    let mut node = Node::start(&bench.settings.scratch, &[&node::WORKLOADS[..], &SETTINGS, &caches].concat())?;
    let empty_disk = node.disk_bytes();
    say("  creating");
    let created = walk(&node, count, move |number| {
        let members = Users::Row { letters: "m", first: number * MEMBERS, count: MEMBERS, modulus: accounts };
        // The next one in the row: in it under no other role.
        let owner = User::Numbered("m", (number * MEMBERS + MEMBERS) % accounts);
        Operation::Create { group: group(number), owner, members }
    })?;
    let created_active = node.metric(ACTIVE);
    node.rest();
    show_disk(part, count as f64, node.disk_bytes().saturating_sub(empty_disk) as f64);
    restart(bench, part, &mut node)?;

    say("  activating");
    let activated = walk(&node, count, move |number| {
        let user = User::Numbered("m", (number * MEMBERS) % accounts);
        Operation::NameCard { group: group(number), user, number }
    })?;
    let activated_active = node.metric(ACTIVE);
    node.stop()?;
    show_memory(bench, part, [("created", created, created_active), ("loaded from rows", activated, activated_active)]);
    Ok(())
}

fn group(number: u64) -> Group {
    Group { letters: "g", number: Some(number) }
}

/// Why bars are not judged.
fn too_few(bench: &Bench) -> Option<String> {
    let groups = bench.settings.active_groups;
    (groups < BAR_GROUPS).then(|| format!("only {} groups", grouped(groups as f64, 0)))
}

/// Asks something about each group in turn.
fn walk(node: &Node, count: u64, choose: impl Fn(u64) -> Operation + Copy + 'static) -> Outcome<Memory> {
    let mut memory = vec![(0.0, node.resident_bytes() as f64)];
    let step = count.div_ceil(STEPS);
    for first in (0..count).step_by(step as usize) {
        let batch = step.min(count - first);
        load::prepare(node, RUN, batch, CONNECTIONS, move |index| choose(first + index))?;
        memory.push(((first + batch) as f64, node.resident_bytes() as f64));
        if memory.len() % SAY_EVERY == 1 {
            say(&format!("  {} groups", grouped((first + batch) as f64, 0)));
        }
    }
    Ok(memory)
}

fn show_disk(part: &mut Part, groups: f64, bytes: f64) {
    let table = part.table(
        "Disk, once the database is at rest",
        &[("Growth of the data folder", "MiB", 0), ("per group", "B", 0), ("per member", "B", 0)],
    );
    table.row([bytes / MIB, bytes / groups, bytes / (groups * (MEMBERS + 1) as f64)].map(number));
}

fn restart(bench: &Bench, part: &mut Part, node: &mut Node) -> Outcome<()> {
    let mut rows = Vec::new();
    for (name, ending) in [("kill -9", Ending::Kill), ("stop", Ending::Stop)] {
        say(&format!("  restart after {name}"));
        let seconds = node.restart(ending)?.as_secs_f64();
        rows.push([text(name), number(seconds), number(node.resident_bytes() as f64 / MIB)]);
        let name = format!("Restart with {} groups after {name}", grouped(bench.settings.active_groups as f64, 0));
        part.bars.push(Bar::at_most(name, "s", 5.0).measured(seconds).unless(too_few(bench)));
    }
    let table = part
        .table("Restart, until /readyz says ready", &[("After", "", 0), ("Time", "s", 2), ("Memory then", "MiB", 0)]);
    rows.into_iter().for_each(|row| table.row(row));
    Ok(())
}

fn show_memory(bench: &Bench, part: &mut Part, walks: [(&str, Memory, Option<f64>); 2]) {
    let mut rows = Vec::new();
    let mut series = Vec::new();
    let mut figures = Vec::new();
    for (name, memory, active) in walks {
        let (groups, bytes) = memory.last().copied().unwrap_or_default();
        // By then most of what has a bound of its own is full.
        let later: Vec<(f64, f64)> = memory.iter().copied().filter(|(at, _)| *at >= groups / 2.0).collect();
        let growth = slope(&later);
        rows.push([text(name), number(active), number(bytes / MIB), number(bytes / groups), number(growth)]);
        series.push(Series::new(name, memory.into_iter().map(|(at, bytes)| (at, bytes / MIB))));
        let passivated = active.filter(|active| *active < groups);
        let why =
            too_few(bench).or_else(|| passivated.map(|active| format!("only {} stayed active", grouped(active, 0))));
        figures.push((growth, bytes / MIB, why));
    }
    let table = part.table(
        "Memory",
        &[
            ("Groups were", "", 0),
            ("Active", "", 0),
            ("Resident", "MiB", 0),
            ("Resident ÷ groups", "B", 0),
            ("Growth per group, second half", "B", 0),
        ],
    );
    rows.into_iter().for_each(|row| table.row(row));
    part.plot("Memory over groups", Axis::linear("active groups"), Axis::linear("resident, MiB"), series);
    // Created groups bring rows that wait in memory for their file; loaded ones show what a group itself takes.
    if let [(_, most, created), (growth, _, loaded)] = &figures[..] {
        let per_group = Bar::at_most("Memory per active group of 8 members", "B", 2048.0);
        part.bars.push(per_group.measured(*growth).unless(loaded.clone()));
        let whole = Bar::at_most("Memory with 1,000,000 active groups", "MiB", 4096.0);
        part.bars.push(whole.measured(*most).unless(created.clone()));
    }
}
