//! Loads that `muster bench` does not have: one call again and again, figures of every second, bytes of the user's data.
//!
//! Client, requests and verdict are those of the harness, and so is what a workload asks.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use muster::bench::Latencies;
use muster::bench::client::{Answer, Connection};
use muster::bench::latency::{self, histogram, record};
use muster::bench::random::Zipf;
use muster::bench::request::{Call, Group, Operation, Renderer, Request};
use muster::bench::verdict;
use muster::bench::workload::{self, Chooser, Sizes};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use crate::Outcome;
use crate::node::Node;

/// Connections of the workloads.
pub const CONNECTIONS: u64 = 64;
/// Random numbers begin here in every run, as in those of the harness.
const SEED: u64 = 0xC0FFEE;
/// Exponent of the mixed workload.
const ZIPF_EXPONENT: f64 = 0.99;
const EXCERPT_BYTES: usize = 300;

/// A request, and the call it is.
pub struct Ask {
    pub call: Call,
    pub request: Request,
    /// Latencies are kept for each class as well; usually there is one.
    pub class: usize,
}

/// What one connection asks; the argument is the number of the operation, over all connections.
pub type Source = Box<dyn FnMut(u64) -> Ask>;

/// How much is asked, how fast.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: u64,
    /// Operations per second, started on schedule; `None`: each when the one before is answered.
    pub rate: Option<u64>,
    /// Ends after so many,
    pub operations: u64,
    /// or after so long.
    pub duration: Duration,
}

impl Load {
    /// So many, one after the other on each connection.
    pub fn of(operations: u64, connections: u64) -> Self {
        Self { connections, rate: None, operations, duration: Duration::from_secs(3600) }
    }

    /// As many as there are in this time.
    pub fn during(duration: Duration, connections: u64) -> Self {
        Self { connections, rate: None, operations: u64::MAX, duration }
    }
}

/// What came of a load.
#[derive(Debug)]
pub struct Measured {
    pub elapsed: Duration,
    pub done: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
    /// Bytes of the bodies of requests that were carried out.
    pub user_bytes: u64,
    pub latencies: Latencies,
    pub by_class: Vec<Latencies>,
    pub seconds: Vec<Second>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    /// Fails unless everything was carried out: figures of a load with failures say nothing.
    ///
    /// # Errors
    /// With the first failure.
    pub fn clean(self) -> Outcome<Self> {
        match &self.first_failure {
            None => Ok(self),
            Some(first) => Err(format!("{} of {} operations failed, first: {first}", self.failed, self.done).into()),
        }
    }
}

/// One second of a load, by when the answers came.
#[derive(Clone, Copy, Debug)]
pub struct Second {
    pub number: u64,
    pub done: u64,
    pub latencies: Latencies,
}

/// Puts a load on a server and waits for its end; `source` makes what each connection asks.
///
/// # Errors
/// If a connection cannot be made at the beginning. Operations that fail later are counted.
pub fn run(address: &str, load: Load, source: impl Fn(u64) -> Source) -> Outcome<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut drivers = Vec::new();
        for number in 0..load.connections.min(load.operations) {
            let mut connection = Connection::new(address)?;
            connection.connect().await?;
            drivers.push((connection, source(number)));
        }
        let tally = Rc::new(RefCell::new(Tally::new(load)));
        let mut running = JoinSet::new();
        for (connection, source) in drivers {
            running.spawn_local(drive(connection, source, tally.clone()));
        }
        while let Some(ended) = running.join_next().await {
            ended?;
        }
        Ok(Rc::into_inner(tally).ok_or("a connection still counts")?.into_inner().end())
    })
}

async fn drive(mut connection: Connection, mut source: Source, tally: Rc<RefCell<Tally>>) {
    loop {
        let Some((index, due)) = tally.borrow_mut().take() else { return };
        let Ask { call, request, class } = source(index);
        let body_bytes = request.body.len() as u64;
        let start = match due {
            Some(due) => latency::start(due).await.0,
            None => Instant::now(),
        };
        let answer = connection.post(request).await;
        let latency = start.elapsed();
        let outcome = match answer {
            Ok(answer) if verdict::is_done(call, answer.status, &answer.body) => Ok(body_bytes),
            Ok(answer) => Err(excerpt(call, &answer)),
            Err(error) => Err(format!("{}: {error}", call.command())),
        };
        tally.borrow_mut().count(class, latency, outcome);
    }
}

fn excerpt(call: Call, answer: &Answer) -> String {
    let body = &answer.body[..answer.body.len().min(EXCERPT_BYTES)];
    format!("{}: {} {}", call.command(), answer.status, String::from_utf8_lossy(body))
}

struct Tally {
    load: Load,
    begin: Instant,
    next: u64,
    done: u64,
    failed: u64,
    first_failure: Option<String>,
    user_bytes: u64,
    by_class: Vec<Histogram<u64>>,
    /// Of the second under way.
    second: u64,
    of_second: Histogram<u64>,
    seconds: Vec<Second>,
}

impl Tally {
    fn new(load: Load) -> Self {
        Self {
            load,
            begin: Instant::now(),
            next: 0,
            done: 0,
            failed: 0,
            first_failure: None,
            user_bytes: 0,
            by_class: Vec::new(),
            second: 0,
            of_second: histogram(),
            seconds: Vec::new(),
        }
    }

    /// Hands out an operation and when it is to start, unless all are given out or time is up.
    fn take(&mut self) -> Option<(u64, Option<Instant>)> {
        let index = self.next;
        let due = self.load.rate.map(|rate| self.begin + Duration::from_secs_f64(index as f64 / rate as f64));
        let start = due.unwrap_or_else(Instant::now).max(Instant::now());
        if index >= self.load.operations || start > self.begin + self.load.duration {
            return None;
        }
        self.next += 1;
        Some((index, due))
    }

    fn count(&mut self, class: usize, latency: Duration, outcome: Result<u64, String>) {
        let second = self.begin.elapsed().as_secs();
        while self.second < second {
            self.end_second();
        }
        self.done += 1;
        if self.by_class.len() <= class {
            self.by_class.resize_with(class + 1, histogram);
        }
        record(&mut self.by_class[class], latency);
        record(&mut self.of_second, latency);
        match outcome {
            Ok(bytes) => self.user_bytes += bytes,
            Err(why) => {
                self.failed += 1;
                self.first_failure.get_or_insert(why);
            }
        }
    }

    fn end_second(&mut self) {
        let latencies = Latencies::of(&self.of_second);
        self.seconds.push(Second { number: self.second, done: latencies.count, latencies });
        self.of_second.reset();
        self.second += 1;
    }

    fn end(self) -> Measured {
        let mut all = histogram();
        for latencies in &self.by_class {
            all.add(latencies).expect("histograms of equal bounds add up");
        }
        // The second under way is not whole, and left out.
        Measured {
            elapsed: self.begin.elapsed(),
            done: self.done,
            failed: self.failed,
            first_failure: self.first_failure,
            user_bytes: self.user_bytes,
            latencies: Latencies::of(&all),
            by_class: self.by_class.iter().map(Latencies::of).collect(),
            seconds: self.seconds,
        }
    }
}

/// Asks what a phase of a workload asks.
pub fn phase(load: workload::Load, sizes: Sizes, run: &str, query: &str) -> impl Fn(u64) -> Source {
    let (run, query) = (run.to_owned(), query.to_owned());
    let zipf = Rc::new(Zipf::new(sizes.groups, sizes.zipf_exponent));
    move |connection| {
        let mut chooser = Chooser::new(load, sizes, zipf.clone(), SEED, connection);
        let mut renderer = Renderer::new(&run, &query);
        Box::new(move |index| {
            let (operation, random) = chooser.choose(index);
            Ask { call: operation.call(), request: renderer.render(&operation, random), class: 0 }
        })
    }
}

/// The sizes that a workload is defined with, with this number of groups.
pub fn sizes(groups: u64) -> Sizes {
    Sizes { groups, members: 5_000, zipf_exponent: ZIPF_EXPONENT }
}

/// Asks an operation that follows from its number alone.
pub fn operations(
    run: &str,
    query: &str,
    choose: impl Fn(u64) -> Operation + Clone + 'static,
) -> impl Fn(u64) -> Source {
    classes(run, query, move |index| (0, choose(index)))
}

/// Asks operations of several classes, both of which follow from the number.
pub fn classes(
    run: &str,
    query: &str,
    choose: impl Fn(u64) -> (usize, Operation) + Clone + 'static,
) -> impl Fn(u64) -> Source {
    let (run, query) = (run.to_owned(), query.to_owned());
    move |_| {
        let mut renderer = Renderer::new(&run, &query);
        let choose = choose.clone();
        Box::new(move |index| {
            let (class, operation) = choose(index);
            Ask { call: operation.call(), request: renderer.render(&operation, index as u32), class }
        })
    }
}

/// Carries out what must exist before something is measured.
///
/// # Errors
/// If anything fails.
pub fn prepare(
    node: &Node,
    run: &str,
    count: u64,
    connections: u64,
    choose: impl Fn(u64) -> Operation + Clone + 'static,
) -> Outcome<Measured> {
    self::run(node.address(), Load::of(count, connections), operations(run, &node.query, choose))?.clean()
}

/// Makes groups without a number of members of their own, so that the configured limit holds.
///
/// # Errors
/// If anything fails.
pub fn create_unlimited(node: &Node, run: &str, groups: &[Group]) -> Outcome<()> {
    let paths = format!("/v4/group_open_http_svc/create_group?{}&contenttype=json&random=", node.query);
    let requests: Rc<Vec<Request>> = Rc::new(
        groups
            .iter()
            .enumerate()
            .map(|(number, group)| {
                let id = format!("{run}_{}{}", group.letters, group.number.map_or(String::new(), |n| n.to_string()));
                let body =
                    format!(r#"{{"Owner_Account":"owner","Type":"Public","GroupId":"{id}","Name":"group {id}"}}"#);
                Request { path: Bytes::from(format!("{paths}{number}")), body: Bytes::from(body) }
            })
            .collect(),
    );
    let source = move |_| -> Source {
        let requests = requests.clone();
        Box::new(move |index| Ask { call: Call::Create, request: requests[index as usize].clone(), class: 0 })
    };
    run_all(node, groups.len() as u64, source)
}

fn run_all(node: &Node, count: u64, source: impl Fn(u64) -> Source) -> Outcome<()> {
    run(node.address(), Load::of(count, CONNECTIONS), source)?.clean().map(drop)
}
