//! Runs one phase: connections that take operations from one counter until it is at its end.
//!
//! Closed loop: a connection asks again when it has its answer. Open loop: operation n is due n / rate seconds after
//! the beginning, whatever became of those before it.
//!
//! From when a latency counts, until the whole answer was read:
//!
//! - closed loop: from when the request is sent;
//! - open loop, every connection still waits for an answer when the operation is due: from when it was due. It starts
//!   late, and the wait counts, as it would for a caller (otherwise a stalled server would only be asked less often);
//! - open loop, a connection is free: from when the request is sent. This harness may wake up late, because a timer is
//!   rough or it gets no processor; that is no doing of the server and changes nothing of the rate.
//!
//! Both kinds of lateness are kept as figures of their own: `waited` (no connection was free) and `late` (the harness
//! was). Answers are told apart, too: done, refused as overload (only in an open loop, where that is a good answer),
//! failed. Latencies of refusals are kept apart from all others.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::Error;
use super::client::Connection;
use super::latency::{self, Lateness, histogram, record};
use super::memory::{self, Memory};
use super::random::Zipf;
use super::request::{Call, Operation, Renderer, Request};
use super::verdict::{self, Verdict};
use super::workload::{Chooser, Phase, Sizes};

/// Pause of a connection whose server could not be reached, so that a server that is down is not stormed.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of the request and of the answer shown with the first failure.
const EXCERPT_BYTES: usize = 300;

/// What does not change between the phases of a run.
#[derive(Debug)]
pub struct Plan {
    pub targets: Vec<String>,
    pub run: String,
    /// Says who asks, in every request.
    pub query: String,
    pub sizes: Sizes,
    pub seed: u64,
    pub zipf: Rc<Zipf>,
    /// Server processes whose memory is watched.
    pub pids: Vec<u32>,
}

/// How a phase is paced and when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Operations per second; `None` is a closed loop.
    pub rate: Option<u64>,
    /// Longest time in which operations are started.
    pub duration: Duration,
}

/// What was counted in a phase.
#[derive(Debug)]
pub struct Tally {
    pub elapsed: Duration,
    /// Answered, or failed on the way; not the refused ones.
    pub operations: u64,
    pub failed: u64,
    /// Answered as overload by an open loop's server: nothing happened.
    pub refused: u64,
    pub first_failure: Option<String>,
    pub answer_bytes: u64,
    /// Operations of an open loop that were due and not started when time was up.
    pub not_started: u64,
    /// Latencies in microseconds, for each call that was made.
    pub latencies: Vec<(Call, Histogram<u64>)>,
    /// Microseconds until a refusal.
    pub refusals: Histogram<u64>,
    /// Microseconds by which operations of an open loop began too late because no connection was free.
    pub waited: Histogram<u64>,
    /// Microseconds by which the harness itself was late, where a connection was free.
    pub late: Histogram<u64>,
    /// What each second of the phase brought.
    pub by_sec: Vec<Second>,
    pub memory: Memory,
}

/// Answers that came within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    pub done: u64,
    pub refused: u64,
    pub failed: u64,
}

impl Tally {
    /// Latencies of all calls together, in microseconds.
    pub fn all_latencies(&self) -> Histogram<u64> {
        let mut all = histogram();
        for (_, latencies) in &self.latencies {
            all.add(latencies).expect("histograms of equal bounds add up");
        }
        all
    }
}

/// Runs a phase to its end, printing what it does once a second.
///
/// # Errors
/// [`Error::Client`] if a connection cannot be made at the beginning. Operations that fail later are counted.
pub async fn drive(plan: &Plan, name: &str, phase: Phase, pace: Pace) -> Result<Tally, Error> {
    let mut drivers = Vec::new();
    for connection in 0..phase.connections.min(phase.operations) {
        drivers.push(Driver::connect(plan, phase, connection).await?);
    }
    let begin = Instant::now();
    let counts = Rc::new(Counts::new(phase.operations, pace, begin));
    let mut running = JoinSet::new();
    for driver in drivers {
        running.spawn_local(driver.run(counts.clone()));
    }
    let mut progress = Progress { name, begin, last: 0 };
    let mut watched = Memory::default();
    let mut watch = || {
        if let Some(mb) = memory::resident_mb(&plan.pids) {
            watched.note(begin.elapsed().as_secs() as usize, mb);
        }
    };
    watch();
    let mut second = interval_at(begin + Duration::from_secs(1), Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(ended) => ended.expect("a connection's task neither panics nor is it cancelled"),
                None => break,
            },
            _ = second.tick() => {
                progress.print(&counts);
                watch();
            }
        }
    }
    Ok(Tally { memory: watched, ..counts.tally(begin.elapsed()) })
}

/// Once a second, a line about a running phase.
struct Progress<'a> {
    name: &'a str,
    begin: Instant,
    last: u64,
}

impl Progress<'_> {
    fn print(&mut self, counts: &Counts) {
        let done = counts.done.get();
        let secs = self.begin.elapsed().as_secs();
        // Nobody need read along.
        let _ = writeln!(
            io::stderr(),
            "{:<12} {secs:>4} s {done:>10} operations {:>8}/s {:>8} refused {:>6} failed",
            self.name,
            done - self.last,
            counts.refused.get(),
            counts.failed.get()
        );
        self.last = done;
    }
}

/// What the connections of a phase share; one thread, so cells do.
#[derive(Debug)]
struct Counts {
    pace: Pace,
    begin: Instant,
    operations: u64,
    next: Cell<u64>,
    done: Cell<u64>,
    failed: Cell<u64>,
    refused: Cell<u64>,
    answer_bytes: Cell<u64>,
    first_failure: RefCell<Option<String>>,
    latencies: RefCell<[Option<Histogram<u64>>; Call::ALL.len()]>,
    refusals: RefCell<Histogram<u64>>,
    waited: RefCell<Histogram<u64>>,
    late: RefCell<Histogram<u64>>,
    by_sec: RefCell<Vec<Second>>,
}

impl Counts {
    fn new(operations: u64, pace: Pace, begin: Instant) -> Self {
        Self {
            pace,
            begin,
            operations,
            next: Cell::new(0),
            done: Cell::new(0),
            failed: Cell::new(0),
            refused: Cell::new(0),
            answer_bytes: Cell::new(0),
            first_failure: RefCell::new(None),
            latencies: RefCell::new([const { None }; Call::ALL.len()]),
            refusals: RefCell::new(histogram()),
            waited: RefCell::new(histogram()),
            late: RefCell::new(histogram()),
            by_sec: RefCell::new(Vec::new()),
        }
    }

    /// Hands out the number of the next operation, unless all are given out or time is up.
    fn take(&self) -> Option<u64> {
        let index = self.next.get();
        let now = Instant::now();
        let start = self.due(index).map_or(now, |due| due.max(now));
        if index >= self.operations || start > self.begin + self.pace.duration {
            return None;
        }
        self.next.set(index + 1);
        Some(index)
    }

    /// When operation `index` is to start; `None` in a closed loop: at once.
    fn due(&self, index: u64) -> Option<Instant> {
        let rate = self.pace.rate?;
        Some(self.begin + Duration::from_secs_f64(index as f64 / rate as f64))
    }

    fn count(&self, call: Call, latency: Duration, bytes: usize) {
        self.done.set(self.done.get() + 1);
        self.answer_bytes.set(self.answer_bytes.get() + bytes as u64);
        let mut latencies = self.latencies.borrow_mut();
        record(latencies[call as usize].get_or_insert_with(histogram), latency);
    }

    fn fail(&self, text: impl FnOnce() -> String) {
        self.failed.set(self.failed.get() + 1);
        self.first_failure.borrow_mut().get_or_insert_with(text);
        self.note(|second| second.failed += 1);
    }

    fn refuse(&self, latency: Duration) {
        self.refused.set(self.refused.get() + 1);
        record(&mut self.refusals.borrow_mut(), latency);
        self.note(|second| second.refused += 1);
    }

    fn note(&self, count: impl FnOnce(&mut Second)) {
        let sec = self.begin.elapsed().as_secs() as usize;
        let mut by_sec = self.by_sec.borrow_mut();
        if by_sec.len() <= sec {
            by_sec.resize(sec + 1, Second::default());
        }
        count(&mut by_sec[sec]);
    }

    /// Waits until operation `index` is due; gives the moment its latency counts from, see the top of this file.
    async fn start(&self, index: u64) -> Instant {
        let Some(due) = self.due(index) else { return Instant::now() };
        let (start, lateness) = latency::start(due).await;
        match lateness {
            Lateness::Waited(by) => record(&mut self.waited.borrow_mut(), by),
            Lateness::Late(by) => record(&mut self.late.borrow_mut(), by),
        }
        start
    }

    fn tally(&self, elapsed: Duration) -> Tally {
        let due_count = self.pace.rate.map_or(0, |rate| {
            let due = (elapsed.min(self.pace.duration).as_secs_f64() * rate as f64) as u64;
            due.min(self.operations)
        });
        let latencies = self.latencies.take();
        Tally {
            elapsed,
            operations: self.done.get(),
            failed: self.failed.get(),
            refused: self.refused.get(),
            first_failure: self.first_failure.take(),
            answer_bytes: self.answer_bytes.get(),
            not_started: due_count.saturating_sub(self.next.get()),
            latencies: Call::ALL.into_iter().zip(latencies).filter_map(|(call, l)| Some((call, l?))).collect(),
            refusals: self.refusals.borrow().clone(),
            waited: self.waited.borrow().clone(),
            late: self.late.borrow().clone(),
            by_sec: self.by_sec.take(),
            memory: Memory::default(),
        }
    }
}

/// One connection with its own choice of operations.
struct Driver {
    connection: Connection,
    chooser: Chooser,
    renderer: Renderer,
}

impl Driver {
    async fn connect(plan: &Plan, phase: Phase, number: u64) -> Result<Self, Error> {
        let target = &plan.targets[(number % plan.targets.len() as u64) as usize];
        let mut connection = Connection::new(target)?;
        connection.connect().await?;
        let chooser = Chooser::new(phase.load, plan.sizes, plan.zipf.clone(), plan.seed, number);
        Ok(Self { connection, chooser, renderer: Renderer::new(&plan.run, &plan.query) })
    }

    async fn run(mut self, counts: Rc<Counts>) {
        while let Some(index) = counts.take() {
            let (operation, random) = self.chooser.choose(index);
            let request = self.renderer.render(&operation, random);
            let start = counts.start(index).await;
            self.ask(&operation, request, start, &counts).await;
        }
    }

    async fn ask(&mut self, operation: &Operation, request: Request, start: Instant, counts: &Counts) {
        let call = operation.call();
        // Shares the bytes: kept only to be shown if this fails.
        let asked = request.clone();
        let answer = self.connection.post(request).await;
        let latency = start.elapsed();
        match answer {
            Ok(answer) => match verdict::of(call, answer.status, &answer.body) {
                Verdict::Refused if counts.pace.rate.is_some() => {
                    counts.refuse(latency);
                    self.chooser.nothing_happened(operation);
                }
                Verdict::Done => {
                    counts.count(call, latency, answer.body.len());
                    counts.note(|second| second.done += 1);
                }
                Verdict::Refused | Verdict::Failed => {
                    counts.count(call, latency, answer.body.len());
                    counts.fail(|| format!("{} {} to {}", answer.status, excerpt(&answer.body), describe(&asked)));
                }
            },
            Err(error) => {
                counts.count(call, latency, 0);
                counts.fail(|| format!("{error} (asked {})", describe(&asked)));
                sleep(UNREACHABLE_PAUSE).await;
            }
        }
    }
}

fn describe(request: &Request) -> String {
    // Without the query: it holds a signature, and figures are passed around.
    let path = request.path.split(|b| *b == b'?').next().unwrap_or_default();
    format!("{} {}", excerpt(path), excerpt(&request.body))
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_BYTES)]);
    // One failure is one line.
    text.replace(['\r', '\n'], " ")
}
