//! One run: a cluster under load, something that is done to it, and everything that is held against it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use muster::id::{AppId, GroupId};
use muster_cluster::shard_of_slot;

use crate::checker::{Violation, check};
use crate::clients::{Crowd, Load, Remembered, Worker, World};
use crate::history::{Clock, Moment, Operation};
use crate::metrics::{Bite, Metrics};
use crate::nodes::{Nodes, Setup};
use crate::random::Random;
use crate::settled::settle;
use crate::support::APP;

const CLIENTS: usize = 9;
/// Enough that every shard is asked all the time, few enough that requests meet.
const GROUPS_PER_SHARD: usize = 2;
/// Enough that callers of a crowd seldom meet.
const CROWD_GROUPS: usize = 200;
/// Answers OK that a healthy cluster gives before and after a fault.
const CALM_ANSWERS: u64 = 300;
/// How long so many may take on two cores.
const CALM_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long shards may take to find other leaders.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(20);
/// How many nodes vote in a shard.
const COPIES: u64 = 3;
/// How long they may take to be spread evenly, over nodes that have just come.
const EVEN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node that lost everything may take to be rebuilt from the others.
const REBUILD_TIMEOUT: Duration = Duration::from_secs(60);
/// Changes of leader that three nodes notice when one of them hands over its share of three shards, and gets it back.
/// With more of them the machine was so busy that shards elected leaders meanwhile, and callers had to wait for that.
const HANDED_OVER_MAX: u64 = 6;
/// Requests end before a client gives up (clients.rs); no quota stands in the way of groups that come and go.
const SETTINGS: &str = "[http]\ntimeout_ms = 1500\n[limits]\ndaily_net_groups = 0\n";

/// Clusters take turns: two cores are not enough for two of them.
pub async fn turn() -> Turn {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

pub type Turn = tokio::sync::MutexGuard<'static, ()>;

/// A cluster under load.
pub struct Run {
    pub nodes: Nodes,
    pub world: World,
    pub random: Random,
    name: &'static str,
    /// What else clients were told by.
    pub remembered: Remembered,
    load: Load,
    clients: usize,
    /// Of each node as it was when the load began.
    before: Vec<Option<Metrics>>,
    began: Moment,
    _turn: Turn,
}

/// What a run must have been to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// A shard changed its leader, or an append failed.
    Bite,
    ChangeLeader,
    /// Appends failed, and yet no shard changed its leader.
    KeepLeader,
    /// A shard changed its leader, and every answer was one of the rules.
    FailNobody,
    InstallSnapshot,
    /// There are no other nodes to notice.
    Nothing,
}

/// What a run came to.
pub struct Judgement {
    /// Answers that nothing explains, and nodes that do not agree in the end.
    pub wrong: Vec<String>,
    pub bite: Bite,
    /// Answers under the fault that a request was not carried out, or perhaps not.
    pub failed: usize,
}

impl Run {
    /// Starts a cluster and its clients, and waits until it has served some requests.
    pub async fn begin(name: &'static str, setup: Setup) -> Self {
        let turn = turn().await;
        let mut random = Random::of_test(name);
        let setup = Setup { toml: format!("{}{SETTINGS}", setup.toml), ..setup };
        let nodes = Nodes::start(setup).await;
        let world = world(&nodes);
        let before = metrics(&nodes).await;
        let load = Load::start(&world, CLIENTS, &mut random);
        let began = world.clock.now();
        let remembered = Remembered::default();
        let run = Self { nodes, world, random, name, remembered, load, clients: CLIENTS, before, began, _turn: turn };
        run.serve_calmly().await;
        run
    }

    /// Says what is being done, and when.
    pub fn note(&self, what: impl std::fmt::Display) {
        println!("{}: {:.1?}: {what}", self.name, self.world.clock.now().since(self.began));
    }

    /// Many more clients, and groups for them.
    pub fn crowd(&mut self, clients: usize) -> Crowd {
        self.world.groups.extend((0..CROWD_GROUPS).map(|n| format!("crowd-{n}")));
        Crowd::start(&self.world, clients, &mut self.random)
    }

    /// One more client, which is told what to ask.
    pub fn another_client(&mut self) -> Worker {
        self.clients += 1;
        Worker::new(self.world.clone(), self.clients - 1, self.random.fork(), Arc::default())
    }

    /// Waits until so many more requests were answered OK.
    pub async fn serve(&self, answers: u64) {
        let enough = self.load.done() + answers;
        let until = Instant::now() + CALM_TIMEOUT;
        while self.load.done() < enough {
            assert!(Instant::now() < until, "{}: not {answers} answers OK in {CALM_TIMEOUT:?}", self.name);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn serve_calmly(&self) {
        self.serve(CALM_ANSWERS).await;
    }

    /// The node that leads most shards, and another one.
    pub async fn leader_and_follower(&self) -> (usize, usize) {
        let until = Instant::now() + CALM_TIMEOUT;
        loop {
            let mut led = Vec::new();
            for number in self.nodes.up() {
                let metrics = self.nodes.metrics(number).await;
                led.push((metrics.map_or(0, |metrics| metrics.shards_led()), number));
            }
            led.sort_unstable();
            // Asked one after the other they may tell of different moments.
            let all = led.iter().map(|(shards, _)| shards).sum::<u64>();
            if let (Some((_, leader)), Some((_, follower))) = (led.last(), led.first())
                && all == u64::from(self.nodes.shards())
            {
                return (*leader, *follower);
            }
            assert!(Instant::now() < until, "{}: the nodes lead {led:?} shards", self.name);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The number that a node goes by in the cluster.
    pub async fn number_of(&self, node: usize) -> u64 {
        self.nodes.metrics(node).await.map_or(0, |metrics| metrics.node_number())
    }

    /// Waits until, as `witness` sees it, every shard is led by another node than the one of that number.
    pub async fn until_others_lead(&self, witness: usize, number: u64) {
        let until = Instant::now() + ELECTION_TIMEOUT;
        loop {
            let leaders: Vec<Option<u64>> = match self.nodes.metrics(witness).await {
                Some(metrics) => (0..self.nodes.shards()).map(|shard| metrics.leader(shard)).collect(),
                None => vec![None],
            };
            if leaders.iter().all(|leader| leader.is_some_and(|leader| leader != number)) {
                return self.note(format!("node {number} leads nothing any more: {leaders:?}"));
            }
            assert!(Instant::now() < until, "no other leaders after {ELECTION_TIMEOUT:?}: {leaders:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a node that was rebuilt has a vote in every shard again.
    pub async fn until_it_votes(&self, node: usize) {
        self.nodes.until_it_votes(node, REBUILD_TIMEOUT).await;
        self.note(format!("node {node} votes in all {} shards", self.nodes.shards()));
    }

    /// Waits until every node that runs leads and votes in as many shards as any other, or one more or less.
    pub async fn until_even(&self) {
        let until = Instant::now() + EVEN_TIMEOUT;
        let shards = u64::from(self.nodes.shards());
        let even = |of: &[u64], all: u64| {
            let apart = of.iter().max().zip(of.iter().min()).map(|(most, least)| most - least);
            of.iter().sum::<u64>() == all && apart.is_some_and(|apart| apart <= 1)
        };
        loop {
            let (mut led, mut votes) = (Vec::new(), Vec::new());
            for node in self.nodes.up() {
                let metrics = self.nodes.metrics(node).await.unwrap_or_default();
                led.push(metrics.shards_led());
                votes.push(metrics.shards_voting());
            }
            if even(&led, shards) && even(&votes, shards * COPIES) {
                return self.note(format!("the nodes lead {led:?} shards and vote in {votes:?}"));
            }
            assert!(Instant::now() < until, "nodes lead {led:?} and vote in {votes:?} after {EVEN_TIMEOUT:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the fault, lets the cluster serve, and holds everything against everything.
    ///
    /// # Panics
    /// If anything is wrong, or the run shows nothing because nothing happened to it.
    pub async fn end(self, must: Must) {
        let name = self.name;
        let (nodes, judgement) = self.judge().await;
        let Judgement { wrong, bite, failed } = judgement;
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
        assert_eq!(nodes.links.strangers(), 0, "{name}: connections between nodes that go by no rule");
        let counts = match must {
            Must::Bite => bite.is_one(),
            Must::ChangeLeader => bite.leader_changes > 0,
            Must::KeepLeader => bite.append_failures > 0 && bite.leader_changes == 0,
            Must::FailNobody => bite.leader_changes > 0 && (failed == 0 || bite.leader_changes > HANDED_OVER_MAX),
            Must::InstallSnapshot => bite.snapshots > 0,
            Must::Nothing => true,
        };
        assert!(counts, "{name}: the run shows nothing: {must:?}, and there was {bite:?}");
        nodes.examine();
    }

    /// What is wrong, and whether the fault was one; says what happened.
    pub async fn judge(mut self) -> (Nodes, Judgement) {
        let healed = self.world.clock.now();
        self.nodes.recover().await;
        self.note("recovered");
        self.serve_calmly().await;
        let bite = self.bite().await;
        let ended = self.world.clock.now();
        self.remembered.add(self.load.finish().await);
        let mut wrong = settle(&self.world, &mut self.remembered).await;
        wrong.extend(doctor(&self.nodes));

        let Remembered { history, tally, failed } = &self.remembered;
        let began_check = Instant::now();
        let violations = check(history);
        println!(
            "{}: {} operations checked in {:.1?}; {tally:?}; {bite:?}; longest time without service by shard {:.2?}",
            self.name,
            history.len(),
            began_check.elapsed(),
            outages(history, &self.world, self.nodes.shards(), self.began, ended),
        );
        let tell = |Violation { group, scope, why }| format!("{}, {scope:?}: {why}", self.world.groups[group]);
        wrong.extend(violations.into_iter().map(tell));
        let failed = failed.iter().filter(|at| **at < healed).count();
        (self.nodes, Judgement { wrong, bite, failed })
    }

    async fn bite(&self) -> Bite {
        let now = metrics(&self.nodes).await;
        let pairs = self.before.iter().zip(&now);
        let bites = pairs.filter_map(|(before, now)| Some(now.as_ref()?.since(before.as_ref()?)));
        bites.fold(Bite::default(), Bite::and)
    }
}

async fn metrics(nodes: &Nodes) -> Vec<Option<Metrics>> {
    let mut all = Vec::new();
    for number in 0..nodes.count() {
        all.push(nodes.metrics(number).await);
    }
    all
}

/// What `muster ctl doctor` finds on the nodes as they run.
fn doctor(nodes: &Nodes) -> Option<String> {
    let asked = nodes.up().last()?;
    let said = nodes.ctl(asked, &["doctor"]);
    println!("the doctor: {}", said.out.lines().next().unwrap_or_default());
    (said.code != 0).then(|| format!("the doctor that node {asked} was asked for: {said:?}"))
}

/// The groups that clients of these nodes change.
pub fn world(nodes: &Nodes) -> World {
    World {
        groups: groups(nodes.shards()),
        nodes: nodes.up().map(|number| nodes.address(number)).collect(),
        clock: Clock::start(),
    }
}

/// Ids of groups, the same number of every shard.
fn groups(shards: u16) -> Vec<String> {
    let ids = (0..).map(|i| format!("group-{i}"));
    let mut groups = Vec::new();
    let mut left: Vec<usize> = vec![GROUPS_PER_SHARD; usize::from(shards)];
    for id in ids {
        let left = &mut left[shard_of(&id, shards)];
        if *left > 0 {
            *left -= 1;
            groups.push(id);
        }
        if groups.len() == GROUPS_PER_SHARD * usize::from(shards) {
            break;
        }
    }
    groups
}

fn shard_of(id: &str, shards: u16) -> usize {
    let id = GroupId::parse(id).expect("an id");
    usize::from(shard_of_slot(muster::shard::slot_of(AppId(APP), &id), shards).0)
}

/// For each shard the longest time in which none of its groups was answered OK by any node.
fn outages(history: &[Operation], world: &World, shards: u16, began: Moment, ended: Moment) -> Vec<Duration> {
    let mut answered = vec![vec![began, ended]; usize::from(shards)];
    for operation in history {
        if let (Some(answer), Some(at)) = (operation.answer(), operation.returned())
            && !answer.is_refusal()
            && at < ended
        {
            answered[shard_of(&world.groups[operation.group], shards)].push(at);
        }
    }
    let longest = |mut moments: Vec<Moment>| {
        moments.sort();
        moments.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default()
    };
    answered.into_iter().map(longest).collect()
}
