//! Part `probes`: what the figures were taken on, and how fast its disk flushes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::figures::{Part, number, text};
use crate::load::{self, CONNECTIONS, Load};
use crate::processes::{Server, output};
use crate::{Bench, Outcome};
use muster::bench::Latencies;
use muster::bench::latency::{histogram, record};
use muster::bench::request::{Operation, User};

/// Bytes written before each flush: about an entry of the log.
const WRITE_BYTES: usize = 4096;
/// Requests that come before those that count.
const WARM_UP: u64 = 2_000;

pub fn measure(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let table = part.table("", &[("", "", 0), ("", "", 0)]);
    for (name, fact) in &bench.machine {
        table.row([text(name), text(fact)]);
    }

    let flushes = flush_latencies(&bench.settings.scratch, bench.settings.scaled(1_000, 300))?;
    let table = part.table("A write of 4 KiB and fdatasync, one after the other", &LATENCY_COLUMNS);
    table.row(latency_cells(&flushes));

    let (echo, _server) = echo_server(bench)?;
    let measured = ask_echo(&echo, bench.settings.scaled(200_000, 30_000))?;
    let table = part.table(
        "A bare actix-web service that answers the shortest good answer, 64 connections",
        &[("requests", "1/s", 0), ("p50", "ms", 3), ("p99", "ms", 3)],
    );
    table.row([number(measured.per_second()), number(measured.latencies.p50_ms), number(measured.latencies.p99_ms)]);
    Ok(())
}

/// Says what the figures are taken on: date, commit, machine.
pub fn facts(scratch: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("Date", printed("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("Commit", commit()),
        ("Compiler", printed("rustc", &["--version"])),
        ("Kernel", read("/proc/sys/kernel/osrelease")),
        ("Processor", processor()),
        ("Memory", memory()),
        ("File system", file_system(scratch)),
    ]
}

pub const LATENCY_COLUMNS: [(&str, &str, usize); 4] =
    [("p50", "ms", 3), ("p99", "ms", 3), ("p99.9", "ms", 3), ("max", "ms", 3)];

pub fn latency_cells(latencies: &Latencies) -> [crate::figures::Cell; 4] {
    [latencies.p50_ms, latencies.p99_ms, latencies.p999_ms, latencies.max_ms].map(number)
}

/// How long the disk takes for a small write and its flush.
///
/// # Errors
/// Whatever the disk gives.
pub fn flush_latencies(scratch: &Path, count: u64) -> Outcome<Latencies> {
    let path = scratch.join("probe");
    let mut file = File::create(&path)?;
    let block = [0x5a; WRITE_BYTES];
    let mut latencies = histogram();
    for _ in 0..count {
        let begin = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        record(&mut latencies, begin.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(Latencies::of(&latencies))
}

/// Starts this program once more, as the bare service.
///
/// # Errors
/// If it does not start.
pub fn echo_server(bench: &Bench) -> Outcome<(String, Server)> {
    let mut command = Command::new(std::env::current_exe()?);
    let server = Server::start(command.arg(crate::ECHO), &bench.settings.scratch.join("echo.log"))?;
    Ok((server.address.clone(), server))
}

/// Drives the bare service as the workloads are driven.
///
/// # Errors
/// If a request fails.
pub fn ask_echo(address: &str, count: u64) -> Outcome<load::Measured> {
    let ask = || {
        load::operations("echo", "sdkappid=1&identifier=administrator&usersig=xxx", |index| Operation::JoinedList {
            user: User::Numbered("m", index % 1_000),
        })
    };
    load::run(address, Load::of(WARM_UP, CONNECTIONS), ask())?.clean()?;
    // Busy processors need a moment to reach their clock.
    std::thread::sleep(Duration::from_millis(100));
    load::run(address, Load::of(count, CONNECTIONS), ask())?.clean()
}

fn printed(program: &str, arguments: &[&str]) -> String {
    output(Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")))
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn commit() -> String {
    let changed = !printed("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let mark = if changed { ", with changes that are not committed" } else { "" };
    format!("{}{mark}", printed("git", &["rev-parse", "--short=12", "HEAD"]))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{cores} cores, {}", model.map_or("model unknown", |(_, model)| model.trim()))
}

fn memory() -> String {
    let info = read("/proc/meminfo");
    let kib =
        info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} GiB", kib / (1024.0 * 1024.0)))
}

fn file_system(folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    let found = printed("findmnt", &["-n", "-o", "FSTYPE,SOURCE", "--target", &folder]);
    found.split_whitespace().collect::<Vec<_>>().join(" on ")
}
