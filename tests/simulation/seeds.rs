//! Runs of many seeds, each in a process of its own.

use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::chance::with_seed;
use crate::run::run;
use crate::world::TRACE;

/// The seed that a process is to run.
const SEED: &str = "MUSTER_SIMULATION_SEED";
/// Which seeds the test runs: a count, or the first one and the one after the last (`100..200`).
const SEEDS: &str = "MUSTER_SIMULATION_SEEDS";
const SEEDS_USUAL: u64 = 50;

/// Runs the one seed that the environment names.
#[test]
#[ignore = "runs the seed in MUSTER_SIMULATION_SEED"]
fn one_seed() {
    let seed = std::env::var(SEED).unwrap_or_else(|_| panic!("no seed: set {SEED}"));
    let seed = seed.parse().unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"));
    let outcome = with_seed(seed, move || run(seed)).unwrap_or_else(|_| panic!("{}", how_to_repeat(seed)));
    println!("seed {seed}: {} leaderships, {:?}", outcome.leaderships, outcome.tally);
}

#[test]
fn one_seed_run_twice_is_the_same_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in [1, 2] {
        let traces: Vec<Vec<u8>> = ["first", "second"]
            .map(|name| {
                let path = folder.path().join(format!("{seed}-{name}"));
                let output = process_of(seed, Some(path.clone())).output().expect("a process");
                assert!(output.status.success(), "{}", said(&output));
                std::fs::read(path).expect("a trace")
            })
            .into();
        assert!(traces[0].len() > 100_000, "a trace of {} bytes tells of nothing", traces[0].len());
        let lines = traces.iter().map(|trace| trace.split(|byte| *byte == b'\n')).collect::<Vec<_>>();
        let differs = lines[0].clone().zip(lines[1].clone()).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}: the traces differ in that line");
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

#[test]
fn every_seed_keeps_what_is_promised() {
    let seeds = seeds();
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let next = parking_lot::Mutex::new(seeds.clone());
    let failed = parking_lot::Mutex::new(Vec::new());
    let take = || next.lock().next();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(seed) = take() {
                    let output = process_of(seed, None).output().expect("a process");
                    match output.status.success() {
                        true => print!("{}", line_of(&output)),
                        false => {
                            println!("{}", said(&output));
                            failed.lock().push(seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    let repeat: Vec<String> = failed.iter().map(|seed| how_to_repeat(*seed)).collect();
    assert!(failed.is_empty(), "{} of {} seeds failed: {repeat:#?}", failed.len(), seeds.end - seeds.start);
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else { return 0..SEEDS_USUAL };
    let number = |text: &str| text.parse().unwrap_or_else(|error| panic!("{SEEDS}={text}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}

fn process_of(seed: u64, trace: Option<PathBuf>) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "seeds::one_seed", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(SEED, seed.to_string()).stdin(Stdio::null());
    if let Some(path) = trace {
        command.env(TRACE, path);
    }
    command
}

/// What a process said of its seed.
fn line_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let own = text.lines().filter_map(|line| line.rfind("seed ").map(|at| &line[at..]));
    own.map(|line| format!("{line}\n")).collect()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn how_to_repeat(seed: u64) -> String {
    format!("{SEED}={seed} cargo test --release -p muster --test simulation seeds::one_seed -- --ignored --nocapture")
}
