//! The load harness: puts a known load on running nodes and says what they made of it.
//!
//! ```text
//! args ──► target      may these figures stand beside others?
//!      ──► workload    set-up phases, then the measured one
//!             │ operations
//!             ▼
//!          drive ──► request ──► client ──► the nodes
//!             │ tally
//!             ▼
//!          report  + cpu, memory    text, a line of JSON, ratios to earlier lines
//! ```
//!
//! One thread: the harness shares the machine with what it measures, and says how much of it it used.
//! It knows the REST API from outside only, so that it measures any server that speaks it.
//!
//! It deliberately starts no nodes, changes no settings and writes nothing but the result file.

mod args;
pub mod bar;
pub mod client;
mod cpu;
mod drive;
pub mod latency;
mod memory;
pub mod random;
mod report;
pub mod request;
mod signature;
mod target;
pub mod verdict;
pub mod workload;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;

pub use args::{BenchArgs, Choice};
pub use report::Latencies;
pub use workload::Workload;

use drive::{Pace, Plan, Tally, drive};
use random::Zipf;
use report::{Earlier, Figures, MemoryFigures, OpenLoop, Seconds, ServerCpu};
use target::Conditions;

/// Longest set-up phase; what takes longer would be measured on a server that is not well.
const SET_UP_MAX: Duration = Duration::from_secs(3600);

/// Why nothing, or not everything, was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nothing to sign with: give --key, --usersig or --query")]
    NoSignature,
    #[error("run name {name:?} is not 1 to {bytes_max} letters, digits, - and _")]
    Run { name: String, bytes_max: usize },
    #[error("user, signature or query hold characters that do not fit into a URL")]
    Query,
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("cannot count CPU time: {0}")]
    Cpu(#[from] cpu::Error),
    #[error("setting up {workload} failed in {failed} of {operations} operations, first: {first}")]
    SetUp { workload: &'static str, failed: u64, operations: u64, first: String },
    #[error("setting up {workload} took longer than {} s", SET_UP_MAX.as_secs())]
    SetUpTime { workload: &'static str },
    #[error("result file {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// Runs the workloads asked for, one after the other, and prints their figures.
///
/// The exit code says whether every measured operation succeeded.
///
/// # Errors
/// [`Error`] when a workload could not be measured at all; those before it are printed already.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    LocalSet::new().block_on(&runtime, run_all(args, &mut io::stdout()))
}

async fn run_all(args: &BenchArgs, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let plan = Plan {
        targets: args.target.clone(),
        run: args.run_name()?,
        query: args.identity()?,
        sizes: args.sizes(),
        seed: args.seed,
        zipf: Rc::new(Zipf::new(args.groups, args.zipf)),
        pids: args.pid.clone(),
    };
    // Read before anything is measured: a wrong name should not cost a run, and the file may be the one written to.
    let earlier = args.compare.as_deref().map(read_earlier).transpose()?;
    cpu::used_by(&args.pid)?;
    let conditions = inspect(&plan, out).await?;

    let mut failed = 0;
    let mut mixed_groups_exist = false;
    for workload in args.workloads() {
        // w5 reads the groups that w4 has left.
        let needs_mixed_groups = matches!(workload, Workload::W4 | Workload::W5);
        let is_set_up = args.no_set_up || (needs_mixed_groups && mixed_groups_exist);
        if !is_set_up {
            set_up(args, &plan, workload).await?;
        }
        mixed_groups_exist |= needs_mixed_groups;
        let figures = measure(args, &plan, workload, &conditions).await?;
        failed += figures.failed;
        say(out, &figures.to_text());
        if let Some(earlier) = &earlier {
            say(out, &figures.compared_to(earlier));
        }
        if let Some(path) = &args.json {
            figures.append_to(path).map_err(|source| Error::File { path: path.clone(), source })?;
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_earlier(path: &Path) -> Result<Vec<Earlier>, Error> {
    Earlier::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

async fn inspect(plan: &Plan, out: &mut dyn Write) -> Result<Vec<Conditions>, Error> {
    let mut all = Vec::new();
    for target in &plan.targets {
        let conditions = target::inspect(target, &plan.run, &plan.query).await?;
        say(out, &format!("{target}, run {}\n{}", plan.run, conditions.to_text()));
        all.push(conditions);
    }
    Ok(all)
}

fn say(out: &mut dyn Write, text: &str) {
    // A reader who left (`| head`) does not end the measurement: the result file is still wanted.
    let _ = out.write_all(text.as_bytes());
}

/// How many operations are measured: so many as were asked for, or as the rate makes in the time given.
fn operations(args: &BenchArgs, workload: Workload) -> u64 {
    let by_rate = args.rate.map(|rate| rate.saturating_mul(args.duration));
    args.operations.or(by_rate).unwrap_or(workload.full_operations())
}

async fn set_up(args: &BenchArgs, plan: &Plan, workload: Workload) -> Result<(), Error> {
    let name = format!("{} set-up", workload.name());
    for phase in workload.set_up(&plan.sizes, operations(args, workload)) {
        let tally = drive(plan, &name, phase, Pace { rate: None, duration: SET_UP_MAX }).await?;
        if let Some(first) = tally.first_failure {
            let (failed, operations) = (tally.failed, tally.operations);
            return Err(Error::SetUp { workload: workload.name(), failed, operations, first });
        }
        if tally.operations < phase.operations {
            return Err(Error::SetUpTime { workload: workload.name() });
        }
    }
    Ok(())
}

async fn measure(
    args: &BenchArgs,
    plan: &Plan,
    workload: Workload,
    conditions: &[Conditions],
) -> Result<Figures, Error> {
    let phase = workload.measured(operations(args, workload), args.connections);
    let pace = Pace { rate: args.rate, duration: Duration::from_secs(args.duration) };
    let me = [std::process::id()];
    let (servers_before, me_before) = (cpu::used_by(&args.pid)?, cpu::used_by(&me)?);
    let tally = drive(plan, workload.name(), phase, pace).await?;
    // A node may have been stopped on purpose during the run: then its time is not known, the rest is.
    let servers = cpu::used_by(&args.pid).ok().filter(|_| !args.pid.is_empty()).map(|after| after - servers_before);
    let driver = cpu::used_by(&me)? - me_before;
    let doubts = doubts(conditions, &tally);
    Ok(Figures {
        tag: args.tag.clone(),
        workload: workload.name(),
        title: workload.title(),
        connections: phase.connections,
        operations: tally.operations,
        secs: report::round(tally.elapsed.as_secs_f64(), 3),
        operations_per_sec: report::round(tally.operations as f64 / tally.elapsed.as_secs_f64(), 1),
        latencies: Latencies::of(&tally.all_latencies()),
        failed: tally.failed,
        first_failure: tally.first_failure.clone(),
        server: servers.map(|used| ServerCpu::per_operation(used, tally.operations)),
        driver_cpu_ms: report::ms_per_operation(driver.total_us(), tally.operations),
        answer_bytes: tally.answer_bytes / tally.operations.max(1),
        rate: args.rate,
        not_started: tally.not_started,
        open_loop: args.rate.map(|_| OpenLoop::of(&tally)),
        memory: MemoryFigures::of(&tally.memory),
        seconds: Seconds::of(&tally),
        by_call: Latencies::by_call(&tally),
        comparable: doubts.is_empty(),
        doubts,
        settings: conditions.iter().map(Conditions::settings_by_name).collect(),
        run: plan.run.clone(),
        seed: plan.seed,
        groups: plan.sizes.groups,
        members: plan.sizes.members,
        zipf: plan.sizes.zipf_exponent,
    })
}

fn doubts(conditions: &[Conditions], tally: &Tally) -> Vec<String> {
    let failures = (tally.failed > 0).then(|| format!("{} operations failed", tally.failed));
    conditions.iter().flat_map(|target| target.doubts.iter().cloned()).chain(failures).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    use serde_json::Value;

    use super::*;

    /// What the pretended node answers.
    #[derive(Clone)]
    struct Node {
        settings: Option<&'static str>,
        /// Whether only `usersig=good` is accepted.
        verifies: bool,
        code: u32,
        delay: Duration,
        asked: Arc<Mutex<BTreeMap<String, u64>>>,
    }

    impl Node {
        fn healthy() -> Self {
            let settings = Some(r#"{"limits.daily_net_groups":0}"#);
            Self { settings, verifies: true, code: 0, delay: Duration::ZERO, asked: Arc::default() }
        }

        /// Serves until the tests end; gives the address.
        fn start(&self) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("bound").to_string();
            let node = self.clone();
            std::thread::spawn(move || {
                let service =
                    move || App::new().app_data(web::Data::new(node.clone())).default_service(web::to(answer));
                let server = HttpServer::new(service).workers(1).disable_signals().listen(listener).expect("listening");
                actix_web::rt::System::new().block_on(server.run()).expect("serving");
            });
            address
        }

        fn asked(&self, command: &str) -> u64 {
            self.asked.lock().expect("no handler panics").get(command).copied().unwrap_or(0)
        }
    }

    async fn answer(request: HttpRequest, node: web::Data<Node>) -> HttpResponse {
        let command = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        if command == "settings" {
            return match node.settings {
                Some(settings) => HttpResponse::Ok().body(settings),
                None => HttpResponse::NotFound().finish(),
            };
        }
        let code = if node.verifies && !request.query_string().contains("usersig=good&") { 70009 } else { node.code };
        if code != 70009 {
            *node.asked.lock().expect("no handler panics").entry(command).or_default() += 1;
        }
        actix_web::rt::time::sleep(node.delay).await;
        HttpResponse::Ok().body(format!(r#"{{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":{code}}}"#))
    }

    /// What a run of the harness left: its exit code as text, what it printed, the lines it wrote.
    struct Ran {
        code: Result<String, Error>,
        text: String,
        lines: Vec<Value>,
    }

    fn bench(node: &Node, options: &str) -> Ran {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("results.jsonl");
        let line = format!("--target {} --usersig good --json {} {options}", node.start(), file.display());
        let args = args::tests::parse(&line).expect("good options");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut out = Vec::new();
        let code = LocalSet::new().block_on(&runtime, run_all(&args, &mut out)).map(|code| format!("{code:?}"));
        let written = fs::read_to_string(&file).unwrap_or_default();
        let lines = written.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        Ran { code, text: String::from_utf8(out).expect("text"), lines }
    }

    fn success() -> String {
        format!("{:?}", ExitCode::SUCCESS)
    }

    fn failure() -> String {
        format!("{:?}", ExitCode::FAILURE)
    }

    #[test]
    fn every_workload_is_set_up_and_measured() {
        let node = Node::healthy();
        let me = std::process::id();
        let Ran { code, text, lines } =
            bench(&node, &format!("--operations 6 --groups 5 --members 250 --connections 3 --pid {me}"));
        assert_eq!(code.expect("measured"), success());
        let names: Vec<&str> = lines.iter().filter_map(|line| line["w"].as_str()).collect();
        assert_eq!(names, ["w1", "w2", "w3", "w4", "w5", "w6", "w7"]);
        for line in &lines {
            assert_eq!((&line["ops"], &line["errors"]), (&Value::from(6), &Value::from(0)), "{line}");
            assert_eq!(line["comparable"], true, "{line}");
            let settings: Vec<&Value> = line["settings"].as_object().expect("per target").values().collect();
            assert_eq!(settings[0]["limits.daily_net_groups"], "0", "{line}");
            assert!(line["srv_cpu_ms_op"].is_number() && line["p999_ms"].is_number(), "{line}");
            assert!(line["rss_mb_first"].is_number() && line["rss_mb_max"].is_number(), "{line}");
        }
        assert!(text.contains("  limits.daily_net_groups = 0\n") && !text.contains("NOT COMPARABLE"), "{text}");
        // 6 of w1, the hot group, 5 to spread over, 5 mixed ones once for w4 and w5, the big one, 6 to disband.
        assert_eq!(node.asked("create_group"), 6 + 1 + 5 + 5 + 1 + 6);
        assert_eq!(node.asked("get_joined_group_list"), 6);
        assert_eq!(node.asked("get_group_member_info"), 6);
        assert_eq!(node.asked("destroy_group"), 6);
    }

    #[test]
    fn groups_of_an_earlier_run_are_used_again() {
        let node = Node::healthy();
        let Ran { code, .. } = bench(&node, "--workload w5 --operations 3 --run r --no-set-up");
        assert_eq!(code.expect("measured"), success());
        assert_eq!((node.asked("create_group"), node.asked("get_joined_group_list")), (0, 3));
    }

    #[test]
    fn connections_are_dealt_out_to_all_targets() {
        // Slow enough that no connection does everything alone.
        let slow = || Node { delay: Duration::from_millis(5), ..Node::healthy() };
        let (one, other) = (slow(), slow());
        let options = format!("--workload w1 --operations 8 --connections 2 --target {}", other.start());
        let Ran { code, lines, .. } = bench(&one, &options);
        assert_eq!(code.expect("measured"), success());
        assert_eq!(one.asked("create_group") + other.asked("create_group"), 8);
        assert!(one.asked("create_group") > 0 && other.asked("create_group") > 0);
        assert_eq!(lines[0]["settings"].as_object().map(|targets| targets.len()), Some(2));
    }

    #[test]
    fn a_failed_operation_fails_the_run() {
        let node = Node { code: 10021, ..Node::healthy() };
        let Ran { code, lines, .. } = bench(&node, "--workload w1 --operations 4 --connections 2 --run r");
        assert_eq!(code.expect("measured"), failure());
        assert_eq!((&lines[0]["errors"], &lines[0]["comparable"]), (&Value::from(4), &Value::from(false)));
        let first = lines[0]["first_error"].as_str().expect("a text");
        assert!(first.contains("10021") && first.contains(r#""GroupId":"r_c"#), "{first}");
        assert!(!first.contains("usersig"), "{first}");
    }

    #[test]
    fn a_failed_set_up_ends_the_run() {
        let node = Node { code: 10021, ..Node::healthy() };
        let Ran { code, lines, .. } = bench(&node, "--workload w2 --operations 4");
        assert!(matches!(code, Err(Error::SetUp { workload: "w2", failed: 1, operations: 1, .. })), "{code:?}");
        assert!(lines.is_empty());
    }

    #[test]
    fn servers_that_do_less_are_not_comparable() {
        let doubts = |node: Node| {
            let Ran { code, text, lines } = bench(&node, "--workload w1 --operations 2");
            assert_eq!(code.expect("measured"), success());
            assert!(text.contains("NOT COMPARABLE with other runs: "), "{text}");
            assert_eq!(lines[0]["comparable"], false);
            lines[0]["doubts"].to_string()
        };
        let unflushed = Node { settings: Some(r#"{"storage":{"flush":false}}"#), ..Node::healthy() };
        assert!(doubts(unflushed).contains("storage.flush is off"));
        assert!(doubts(Node { settings: None, ..Node::healthy() }).contains("GET /settings answered 404"));
        assert!(doubts(Node { verifies: false, ..Node::healthy() }).contains("it accepted a forged one"));
    }

    #[test]
    fn an_open_loop_counts_the_wait_for_a_free_connection() {
        // One answer takes 20 ms and one is due every 5 ms: the 40th waits for 39 others.
        let node = Node { delay: Duration::from_millis(20), ..Node::healthy() };
        let Ran { lines, .. } = bench(&node, "--workload w1 --operations 40 --connections 1 --rate 200");
        let max_ms = lines[0]["max_ms"].as_f64().expect("a number");
        assert!(max_ms >= 40.0 * 20.0 - 40.0 * 5.0 - 1.0, "{max_ms}");
        // A closed loop at the same server does not: it asks less often instead. Ten times is room for a busy machine.
        let Ran { lines, .. } = bench(&node, "--workload w1 --operations 40 --connections 1");
        let p50_ms = lines[0]["p50_ms"].as_f64().expect("a number");
        assert!((20.0..200.0).contains(&p50_ms), "{p50_ms}");
    }

    #[test]
    fn refusals_are_counted_apart_in_an_open_loop_and_fail_a_closed_one() {
        let node = Node { code: 60018, ..Node::healthy() };
        let Ran { code, text, lines } = bench(&node, "--workload w1 --connections 4 --rate 100 --operations 50");
        assert_eq!(code.expect("measured"), success());
        let line = &lines[0];
        assert_eq!((&line["ops"], &line["n"], &line["errors"]), (&Value::from(0), &Value::from(0), &Value::from(0)));
        assert_eq!((&line["refused"], &line["refused_latency"]["n"]), (&Value::from(50), &Value::from(50)));
        let by_sec = |name: &str| line[name].as_array().expect("a list").iter().filter_map(Value::as_u64).sum::<u64>();
        assert_eq!((by_sec("done_by_sec"), by_sec("refused_by_sec"), by_sec("failed_by_sec")), (0, 50, 0));
        assert!(text.contains("50 answered 60018"), "{text}");

        let Ran { code, lines, .. } = bench(&node, "--workload w1 --connections 4 --operations 5");
        assert_eq!(code.expect("measured"), failure());
        assert_eq!((&lines[0]["ops"], &lines[0]["errors"]), (&Value::from(5), &Value::from(5)));
        assert!(lines[0].get("refused").is_none(), "{}", lines[0]);
    }

    #[test]
    fn an_open_loop_tells_its_own_lateness_from_a_lack_of_connections() {
        let node = Node { delay: Duration::from_millis(20), ..Node::healthy() };
        let Ran { lines, .. } = bench(&node, "--workload w1 --operations 40 --connections 1 --rate 200");
        let count = |line: &Value, name: &str| line[name]["n"].as_u64().expect("a number");
        // Two are due in time: the first, and none but perhaps the second.
        assert!(count(&lines[0], "waited_for_connection") >= 38, "{}", lines[0]);
        let Ran { lines, .. } = bench(&node, "--workload w1 --operations 40 --connections 40 --rate 200");
        assert_eq!(count(&lines[0], "waited_for_connection") + count(&lines[0], "client_late"), 40, "{}", lines[0]);
        assert!(count(&lines[0], "client_late") >= 38, "{}", lines[0]);
    }

    #[test]
    fn an_open_loop_asks_as_often_as_rate_and_duration_say() {
        let args = |line: &str| args::tests::parse(line).expect("good options");
        assert_eq!(operations(&args("--rate 50000 --duration 600"), Workload::W1), 30_000_000);
        assert_eq!(operations(&args("--rate 50000 --operations 7"), Workload::W1), 7);
        assert_eq!(operations(&args("--duration 600"), Workload::W1), 20_000);
    }

    #[test]
    fn an_open_loop_keeps_its_rate_and_its_end() {
        let Ran { code, lines, .. } = bench(&Node::healthy(), "--workload w1 --connections 4 --rate 100 --duration 1");
        assert_eq!(code.expect("measured"), success());
        // Due at 0, 10, 20 … 1000 ms; a busy machine may miss the last ones and says so.
        let count = |name: &str| lines[0][name].as_u64().expect("a number");
        assert!((90..=101).contains(&(count("ops") + count("not_started"))), "{}", lines[0]);
    }

    #[test]
    fn what_cannot_be_measured_is_said_in_one_line() {
        let node = Node::healthy();
        let Ran { code, .. } = bench(&node, "--workload w1 --pid 4294967295");
        let message = code.expect_err("no such process").to_string();
        assert_eq!(message, "cannot count CPU time: no process 4294967295");
        let Ran { code, .. } = bench(&node, "--workload w1 --compare /no/such/file");
        let message = code.expect_err("no such file").to_string();
        assert!(message.starts_with("result file /no/such/file: ") && !message.contains('\n'), "{message}");
    }
}
