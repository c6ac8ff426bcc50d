//! What can this build do? Runs everything that Muster is measured by and writes one page about it.
//!
//! ```text
//! settings ──► parts: probes, workloads, reads, beside, groups, pages, steady, amplification, overload
//!                │ each with nodes of its own (node), loads (load) or `muster bench`
//!                ▼
//!             figures ──► page (with plot)    bench/report.html
//!                   └───► JSON                bench/report.json
//! ```
//!
//!     make bench                                   everything, about half an hour
//!     make bench QUICK=1                           every part at a small scale, about a minute
//!     make bench PARTS=workloads,pages ROUNDS=5
//!
//! Started by cargo, so that the harness' own client and the node's program are the ones of this commit. It knows a
//! node only through HTTP, its data folder and `/proc`.

mod amplification;
mod beside;
mod figures;
mod groups;
mod harness;
mod load;
mod machine;
mod node;
mod overload;
mod page;
mod pages;
mod peer;
mod plot;
mod processes;
mod reads;
mod settings;
mod steady;
mod workloads;

#[path = "../bare/mod.rs"]
mod bare;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

use figures::Part;
use settings::Settings;

/// What fails says why in one line.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Makes this program the bare service that reads are held against.
pub const ECHO: &str = "--echo";

/// What the parts share.
pub struct Bench {
    pub settings: Settings,
    /// What the figures are taken on, by name.
    pub machine: Vec<(&'static str, String)>,
}

/// Measures one part. What it found before it failed stays in the part.
type Measure = fn(&Bench, &mut Part) -> Outcome<()>;

const PARTS: &[(&str, &str, Measure)] = &[
    ("probes", "The machine", machine::measure),
    ("workloads", "Workloads", workloads::measure),
    ("reads", "Reads beside a bare service", reads::measure),
    ("beside", "Beside a hot group", beside::measure),
    ("groups", "Many groups", groups::measure),
    ("pages", "Large groups", pages::measure),
    ("steady", "Steady load", steady::measure),
    ("amplification", "Bytes written", amplification::measure),
    ("overload", "Overload", overload::measure),
];

fn main() -> ExitCode {
    if std::env::args().any(|word| word == ECHO) {
        return serve_echo();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve_echo() -> ExitCode {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { return ExitCode::FAILURE };
    let Ok(address) = listener.local_addr() else { return ExitCode::FAILURE };
    println!("{address}");
    bare::serve(listener);
    ExitCode::SUCCESS
}

fn run() -> Outcome<()> {
    started();
    let mut settings = Settings::from_env()?;
    if let Some(unknown) = settings.parts.iter().find(|part| !PARTS.iter().any(|(name, ..)| name == part)) {
        let known: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("there is no part {unknown:?}, there are {}", known.join(", ")).into());
    }
    fs::create_dir_all(&settings.out)?;
    fs::create_dir_all(&settings.scratch)?;
    let scratch = tempfile::Builder::new().prefix("report-").tempdir_in(&settings.scratch)?;
    settings.scratch = scratch.path().to_owned();
    processes::remove_at_interrupt(scratch.path());
    processes::end_at_signal()?;

    let machine = machine::facts(&settings.scratch);
    let bench = Bench { settings, machine };
    let mut parts = Vec::new();
    for (name, title, measure) in PARTS.iter().filter(|(name, ..)| bench.settings.wants(name)) {
        parts.push(measure_part(&bench, name, title, *measure));
        // After every part: what was measured stays if a later one takes the machine down.
        write(&bench, &parts)?;
    }
    say(&format!("written: {}", bench.settings.out.join("report.html").display()));
    Ok(())
}

fn measure_part(bench: &Bench, name: &'static str, title: &'static str, measure: Measure) -> Part {
    say(name);
    let begin = Instant::now();
    let command = bench.settings.command(name);
    let mut part = Part {
        name,
        title,
        about: String::new(),
        command,
        seconds: 0.0,
        failure: None,
        bars: Vec::new(),
        blocks: Vec::new(),
        lines: Vec::new(),
    };
    if let Err(error) = measure(bench, &mut part) {
        say(&format!("{name} failed: {error}"));
        part.failure = Some(error.to_string());
    }
    part.seconds = begin.elapsed().as_secs_f64();
    part
}

fn write(bench: &Bench, parts: &[Part]) -> Outcome<()> {
    let machine: BTreeMap<_, _> = bench.machine.iter().cloned().collect();
    let json = serde_json::json!({ "quick": bench.settings.quick, "machine": machine, "parts": parts });
    fs::write(bench.settings.out.join("report.json"), serde_json::to_vec_pretty(&json)?)?;
    fs::write(bench.settings.out.join("report.html"), page::render(bench, parts)?)?;
    Ok(())
}

fn started() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}

/// A line about what is going on, with the time since the start.
pub fn say(text: &str) {
    let seconds = started().elapsed().as_secs();
    // Nobody need read along.
    let _ = writeln!(std::io::stderr(), "{:>3}:{:02}  {text}", seconds / 60, seconds % 60);
}
