//! A disk that is full, whose flushes fail, or whose flushes hang: nothing is acknowledged, the node says why, and it
//! serves again by itself when the disk does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::check::check;
use crate::crash::start;
use crate::load::{Answer, Load, Tally, ask, changes, make_shared_group};
use crate::model::{Model, SHARED_GROUP};
use crate::random::Random;
use crate::shim::{Shim, Tail};
use crate::support::{APP, Client, KEY, Node, Stopped, until};

const CLIENTS: usize = 8;
const CHANGES_BEFORE: u64 = 400;
/// Of each client while the disk is in trouble.
const CHANGES_DURING: usize = 4;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node may take to say that it is in trouble: it reports a flush that hangs for some time.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to serve again once the disk does: probing, restarting, recovering.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const SETTINGS: &str = "[limits]\ndaily_net_groups = 0\nattr_write_per_sec = 0\n[http]\ntimeout_ms = 1000\n";

/// One trouble of a disk.
struct Fault {
    name: &'static str,
    begin: fn(&Shim),
    /// Whether it takes some more before it sets in.
    has_room_left: bool,
    /// Whether the node has met it.
    met: fn(&Shim) -> bool,
    /// Words of which `/readyz` must say one.
    reasons: &'static [&'static str],
}

const FULL: Fault = Fault {
    name: "disk full",
    // Room for the beginning of a record: it must not be taken for one afterwards.
    begin: |shim| shim.fill(1_000),
    has_room_left: true,
    met: |shim| shim.writes_refused() > 0,
    reasons: &["No space left on device"],
};

const FAILING: Fault = Fault {
    name: "failing flush",
    begin: |shim| shim.fail_flushes(),
    has_room_left: false,
    met: |shim| shim.flushes_failed() > 0,
    reasons: &["Input/output error"],
};

const HANGING: Fault = Fault {
    name: "hanging flush",
    begin: |shim| shim.hang_flushes(),
    has_room_left: false,
    met: |shim| shim.flushes_hanging() > 0,
    reasons: &["flush", "disk"],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_acknowledges_nothing_and_serves_again_when_there_is_room() {
    survive(&FULL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_flush_acknowledges_nothing_and_the_node_serves_again_when_flushes_do() {
    survive(&FAILING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_flush_acknowledges_nothing_and_the_node_serves_again_when_it_ends() {
    survive(&HANGING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_and_a_power_cut_in_the_middle_of_a_fault_lose_nothing() {
    for fault in [FULL, FAILING, HANGING] {
        let mut random = Random::of_test(fault.name);
        let shim = Shim::build();
        let (node, model) = in_trouble(&fault, &shim, &mut random).await;
        let stopped = node.kill();
        let cut = shim.cut_power(&stopped.data_dir(), Tail::Torn, &mut random);
        println!("{}: killed, {cut:?}", fault.name);
        shim.lift();
        let node = stopped.start();
        let mut model = model;
        insist_on_agreement(&node, &mut model).await;
        stop_clean(node).examine();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_a_full_disk_can_be_stopped_and_says_why_it_does_not_start() {
    let mut random = Random::of_test("stop on a full disk");
    let shim = Shim::build();
    let (node, model) = in_trouble(&FULL, &shim, &mut random).await;
    // From here on it tries the disk again and again; before, it has not noticed.
    until("the node waits for its disk", NOTICE_TIMEOUT, || node.log().contains("the disk takes no writes yet")).await;
    let stopped = tokio::task::spawn_blocking(|| stop_clean(node)).await.expect("its end");

    let (folder, said) = Node::try_start_in(stopped.folder, stopped.settings.clone()).err().expect("there is no room");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("cannot be used") && last.contains("No space left on device"), "{said}");

    shim.lift();
    let node = start(folder, stopped.settings);
    let mut model = model;
    insist_on_agreement(&node, &mut model).await;
    stop_clean(node).examine();
}

/// A node that ran well and whose disk then fell into trouble: nothing was acknowledged since.
async fn in_trouble(fault: &Fault, shim: &Shim, random: &mut Random) -> (Node, Model) {
    let folder = tempfile::tempdir().expect("a folder for the node");
    let settings = shim.under(folder.path(), SETTINGS);
    let node = start(folder, settings);
    make_shared_group(&mut node.client().await).await;
    let model = run_well(&node, Model::new(CLIENTS, random)).await;
    (fault.begin)(shim);
    if fault.has_room_left {
        use_up_room(shim, &node).await;
    }
    let (model, tally) = changes(node.current_address(), model, CHANGES_DURING).await;
    println!("{}: {tally:?}", fault.name);
    insist_on_no_acknowledgement(fault, &tally);
    assert!((fault.met)(shim), "the node never met the {}", fault.name);
    (node, model)
}

async fn survive(fault: &Fault) {
    let mut random = Random::of_test(fault.name);
    let shim = Shim::build();
    let (node, model) = in_trouble(fault, &shim, &mut random).await;
    let said = until_ready_says(&node, fault.reasons).await;
    println!("{}: /readyz says {said}", fault.name);

    shim.lift();
    let lifted = Instant::now();
    until_ready(&node).await;
    println!("{}: serving {:?} after the disk", fault.name, lifted.elapsed());
    settle(&node, &model).await;
    let mut model = model;
    insist_on_agreement(&node, &mut model).await;

    // It serves changes too, and what it took since survives a power cut: also what a failed flush had let go.
    let mut model = run_well(&node, model).await;
    let stopped = node.kill();
    let cut = shim.cut_power(&stopped.data_dir(), Tail::Gone, &mut random);
    println!("{}: then a power cut, {cut:?}", fault.name);
    let node = stopped.start();
    insist_on_agreement(&node, &mut model).await;
    stop_clean(node).examine();
}

/// Mixed load without any trouble.
async fn run_well(node: &Node, model: Model) -> Model {
    let load = Load::start(node.current_address(), model);
    until("changes of a healthy node", LOAD_TIMEOUT, || load.acknowledged() >= CHANGES_BEFORE).await;
    let (model, tally) = load.finish().await;
    assert_eq!((tally.unknown, tally.unanswered), (0, 0), "the node is well: {tally:?}");
    assert!(tally.unavailable.is_empty(), "the node is well: {tally:?}");
    model
}

/// Writes until the little room that is left is gone.
async fn use_up_room(shim: &Shim, node: &Node) {
    let mut client = node.client().await;
    let began = Instant::now();
    while shim.writes_refused() == 0 {
        // A field that the model does not remember, so any answer will do.
        let _ = ask(&mut client, "modify_group_base_info", &json!({ "GroupId": SHARED_GROUP, "FaceUrl": "f" })).await;
        assert!(began.elapsed() < NOTICE_TIMEOUT, "the node writes without taking room on the disk");
    }
}

/// 10002 with `outcome unknown:`, 60018 or 60008, and nothing else.
fn insist_on_no_acknowledgement(fault: &Fault, tally: &Tally) {
    let asked = (CLIENTS * CHANGES_DURING) as u64;
    assert_eq!(tally.acknowledged, 0, "{}: acknowledged without a flush: {tally:?}", fault.name);
    assert_eq!(tally.unanswered, 0, "{}: a node in trouble still answers: {tally:?}", fault.name);
    assert_eq!(tally.refused, 0, "{}: a change that the rules allow was refused: {tally:?}", fault.name);
    let codes: Vec<&u64> = tally.unavailable.keys().collect();
    assert!(codes.iter().all(|code| [60008, 60018].contains(code)), "{}: {tally:?}", fault.name);
    assert_eq!(tally.unknown + tally.unavailable.values().sum::<u64>(), asked, "{}: {tally:?}", fault.name);
}

async fn ready(address: SocketAddr) -> Result<(u16, String), String> {
    let mut client = Client::connect(address, APP, KEY).await;
    let (status, body) = client.raw("GET", "/readyz", "").await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Waits until `/readyz` answers 503 for one of the reasons; what it says.
pub async fn until_ready_says(node: &Node, reasons: &[&str]) -> String {
    let began = Instant::now();
    loop {
        let (status, body) = ready(node.current_address()).await.expect("a node in trouble still answers");
        if status == 503 && reasons.iter().any(|reason| body.contains(reason)) {
            return body;
        }
        assert!(began.elapsed() < NOTICE_TIMEOUT, "/readyz says {status} {body}, expected 503 and one of {reasons:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn until_ready(node: &Node) {
    let began = Instant::now();
    loop {
        let said = ready(node.current_address()).await;
        if matches!(said, Ok((200, _))) {
            return;
        }
        assert!(began.elapsed() < RECOVERY_TIMEOUT, "not serving {RECOVERY_TIMEOUT:?} after the disk: {said:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for changes whose outcome nobody was told, where the process has not ended with them: they may happen later than
/// a read of their group. What is asked of each group now is decided behind them, and answered after them.
async fn settle(node: &Node, model: &Model) {
    let mut client = Client::connect(node.current_address(), APP, KEY).await;
    let own = model.clients.iter().flat_map(|memory| &memory.groups).map(|group| group.id.as_str());
    for id in own.chain([SHARED_GROUP]) {
        // A field that the model does not remember; the group may not be there.
        let answer = ask(&mut client, "modify_group_base_info", &json!({ "GroupId": id, "FaceUrl": "f" })).await;
        assert!(matches!(answer, Answer::Acknowledged | Answer::Refused(10010)), "{id}: {answer:?}");
    }
}

async fn insist_on_agreement(node: &Node, model: &mut Model) {
    let mut client = Client::connect(node.current_address(), APP, KEY).await;
    let differences = check(&mut client, model).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn stop_clean(node: Node) -> Stopped {
    let (stopped, status) = node.terminate();
    assert!(status.success(), "{status}");
    stopped
}
