//! Part `amplification`: how many bytes go to the disk for each byte that a user sends.

use muster::bench::Workload;

use crate::figures::{MIB, Part, number, text};
use crate::load::{self, CONNECTIONS, Load};
use crate::node::{self, Node};
use crate::{Bench, Outcome, say};

const RUN: &str = "bytes";
const WORKLOADS: [Workload; 4] = [Workload::W1, Workload::W2, Workload::W3, Workload::W4];
/// Times the operations that the workload is defined with, so that more than the log is written.
const LONGER: u64 = 10;
/// Members that the hot group still takes beside its owner.
const HOT_MAX: u64 = 19_999;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    part.about = "The user's bytes are the bodies of the requests that were carried out, those of reads included. Written \
                  is what the kernel counts for the node (`write_bytes` in /proc/PID/io) until the database is at rest: \
                  log, tables, compactions. Disk is by how much the data folder has grown then. Each workload has a \
                  fresh node; what it sets up is not counted. Rows that still fit into memory (256 MiB, \
                  storage.memtable_bytes) are in the log only, whose files are laid out in advance: part `steady` writes \
                  for longer."
        .to_owned();
    let mut rows = Vec::new();
    for workload in WORKLOADS {
        say(&format!("  {}", workload.name()));
        rows.push(of_workload(bench, workload)?);
    }
    let table = part.table(
        "Bytes",
        &[
            ("Workload", "", 0),
            ("", "", 0),
            ("Operations", "", 0),
            ("User's", "MiB", 1),
            ("Written", "MiB", 1),
            ("Written ÷ user's", "", 2),
            ("Disk", "MiB", 1),
            ("Disk ÷ user's", "", 2),
        ],
    );
    for (workload, Bytes { operations, user, written, disk }) in WORKLOADS.into_iter().zip(rows) {
        table.row([
            text(workload.name().to_uppercase()),
            text(workload.title()),
            number(operations),
            number(user / MIB),
            number(written / MIB),
            number(written / user),
            number(disk / MIB),
            number(disk / user),
        ]);
    }
    Ok(())
}

struct Bytes {
    operations: f64,
    user: f64,
    written: f64,
    disk: f64,
}

fn of_workload(bench: &Bench, workload: Workload) -> Outcome<Bytes> {
    let sizes = load::sizes(bench.settings.scaled(10_000, 1_000));
    let longer = if workload == Workload::W2 { HOT_MAX } else { LONGER * workload.full_operations() };
    let operations = bench.settings.scaled(longer, 3_000);
    let node = Node::start(&bench.settings.scratch, &node::WORKLOADS)?;
    for phase in workload.set_up(&sizes, operations) {
        let source = load::phase(phase.load, sizes, RUN, &node.query);
        load::run(node.address(), Load::of(phase.operations, phase.connections), source)?.clean()?;
    }
    node.rest();
    let (written, disk) = (node.written_bytes(), node.disk_bytes());
    let phase = workload.measured(operations, CONNECTIONS);
    let source = load::phase(phase.load, sizes, RUN, &node.query);
    let measured = load::run(node.address(), Load::of(phase.operations, phase.connections), source)?.clean()?;
    node.rest();
    let bytes = Bytes {
        operations: measured.done as f64,
        user: measured.user_bytes as f64,
        written: node.written_bytes().saturating_sub(written) as f64,
        disk: node.disk_bytes() as f64 - disk as f64,
    };
    node.stop()?;
    Ok(bytes)
}
