//! How nodes and shards fare: what each node says, one picture of it all, and what of that needs somebody's attention.
//!
//! Pure: answers in, picture out. The picture is what `muster ctl status --json` shows.

use std::collections::{BTreeMap, BTreeSet};

use muster_cluster::{Move, NodeCard, NodeId, ReplicaReport};
use serde::{Deserialize, Serialize};

/// Entries that a replica may be behind what its leader has committed. At full load that is some seconds.
pub const LAG_ENTRIES_MAX: u64 = 10_000;
/// How long a replica may hear nothing of a leader that others hear; heartbeats come every 150 ms.
pub const HEARD_MS_MAX: u64 = 5_000;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Number and incarnation, as replicas are named.
    pub node: u64,
    pub name: String,
    pub zone: String,
    pub version: String,
    pub uptime_ms: u64,
    /// Why it does not serve; `None`: it serves.
    pub not_ready: Option<String>,
    pub replicas: Vec<ReplicaStatus>,
}

/// What a node says of one of its replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// `None`: of the meta group.
    pub shard: Option<u16>,
    pub term: u64,
    pub leader: Option<u64>,
    pub leads: bool,
    pub stopped: bool,
    pub committed: u64,
    pub applied: u64,
    pub heard_ms: Option<u64>,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    /// What a leader knows of the others.
    pub peers: Vec<PeerStatus>,
    /// What a leader is about to change, in words.
    pub moves: Vec<String>,
}

/// Orders shards, the meta group behind all of them.
pub(super) type Place = (bool, Option<u16>);

impl ReplicaStatus {
    pub(super) fn place(&self) -> Place {
        (self.shard.is_none(), self.shard)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    pub node: u64,
    pub matched: Option<u64>,
    pub answered_ms: Option<u64>,
}

impl From<ReplicaReport> for ReplicaStatus {
    fn from(report: ReplicaReport) -> Self {
        let names = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
        let millis = |ago: std::time::Duration| ago.as_millis() as u64;
        let peers = report.peers.iter().map(|peer| PeerStatus {
            node: peer.node.0,
            matched: peer.matched,
            answered_ms: peer.answered.map(millis),
        });
        Self {
            shard: report.shard.map(|shard| shard.0),
            term: report.term,
            leader: report.leader.map(|leader| leader.0),
            leads: report.leads,
            stopped: report.stopped,
            committed: report.committed,
            applied: report.applied,
            heard_ms: report.heard.map(millis),
            voters: names(&report.voters),
            learners: names(&report.learners),
            peers: peers.collect(),
            moves: report.moves.iter().map(in_words).collect(),
        }
    }
}

fn in_words(step: &Move) -> String {
    match step {
        Move::Fill(node) => format!("node {} gets a replica", node.number()),
        Move::Promote(node) => format!("node {} gets a vote when it has caught up", node.number()),
        Move::Demote(node) => format!("node {} loses its vote", node.number()),
        Move::Finish => "a change of the voters is being finished".to_owned(),
        Move::Forget(node) => format!("incarnation {node} is forgotten"),
        Move::Lead(node) => format!("node {} is to lead", node.number()),
    }
}

/// The whole cluster, as one node hears of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Hex.
    pub cluster: String,
    /// The number of the node that was asked.
    pub asked: u32,
    /// What needs somebody's attention, worst first; empty: all is well.
    pub findings: Vec<String>,
    pub nodes: Vec<NodeLine>,
    /// The meta group last.
    pub shards: Vec<ShardLine>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeLine {
    pub number: u32,
    /// Of its data folder, hex.
    pub incarnation: String,
    pub address: String,
    pub name: String,
    pub zone: String,
    pub reachable: bool,
    /// Why it is not reachable, or does not serve.
    pub reason: Option<String>,
    pub version: Option<String>,
    pub uptime_ms: Option<u64>,
    /// Shards that it leads, and in how many it has a vote; the meta group does not count.
    pub leads: usize,
    pub votes: usize,
}

impl NodeLine {
    fn name_in_brackets(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" ({})", self.name) }
    }

    /// Says so of a node that was not heard.
    pub(super) fn not_heard(&self) -> Option<String> {
        let (number, name, address) = (self.number, self.name_in_brackets(), &self.address);
        let reason = self.reason.as_ref().filter(|_| !self.reachable)?;
        Some(format!("node {number}{name} at {address} is not heard: {reason}"))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardLine {
    /// `null`: the meta group.
    pub shard: Option<u16>,
    /// The number of the node that says it leads; `null`: nobody who was heard.
    pub leader: Option<u32>,
    pub term: u64,
    pub committed: u64,
    pub voters: Vec<u32>,
    pub learners: Vec<u32>,
    pub replicas: Vec<ReplicaLine>,
    pub moves: Vec<String>,
}

impl ShardLine {
    /// What the shard is called.
    pub fn label(&self) -> String {
        label(self.shard)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaLine {
    pub node: u32,
    pub incarnation: String,
    pub votes: bool,
    pub leads: bool,
    /// Of a node that does not answer: what the leader knows it to have.
    pub applied: Option<u64>,
    /// Entries behind what the leader has committed.
    pub lag: Option<u64>,
    /// How long ago it heard of the leader; of a node that does not answer, how long ago the leader heard of it.
    pub heard_ms: Option<u64>,
}

/// What a shard is called; `None`: the meta group.
pub fn label(shard: Option<u16>) -> String {
    shard.map_or_else(|| "the meta group".to_owned(), |shard| format!("shard {shard}"))
}

fn number(node: u64) -> u32 {
    NodeId(node).number()
}

fn incarnation(node: u64) -> String {
    format!("{:08x}", node as u32)
}

/// Puts together what nodes said.
pub(super) fn picture(asked: NodeId, cluster: u64, all: &[(NodeCard, Result<NodeStatus, String>)]) -> ClusterStatus {
    let nodes: Vec<NodeLine> = all.iter().map(|(card, answer)| node_line(card, answer)).collect();
    let answers = || all.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    let mut of_shards: BTreeMap<Place, Vec<(u64, &ReplicaStatus)>> = BTreeMap::new();
    for status in answers() {
        for replica in &status.replicas {
            of_shards.entry(replica.place()).or_default().push((status.node, replica));
        }
    }
    let shards: Vec<ShardLine> = of_shards.values().map(|said| shard_line(said)).collect();
    let findings = findings(&nodes, &of_shards, &shards);
    ClusterStatus { cluster: format!("{cluster:016x}"), asked: asked.number(), findings, nodes, shards }
}

pub(super) fn node_line(card: &NodeCard, answer: &Result<NodeStatus, String>) -> NodeLine {
    let status = answer.as_ref().ok();
    let replicas = || status.iter().flat_map(|status| &status.replicas).filter(|replica| replica.shard.is_some());
    NodeLine {
        number: card.id().number(),
        incarnation: incarnation(card.node),
        address: card.address.clone(),
        name: card.name.clone(),
        zone: card.zone.clone(),
        reachable: status.is_some(),
        reason: match answer {
            Ok(status) => status.not_ready.clone(),
            Err(reason) => Some(reason.clone()),
        },
        version: status.map(|status| status.version.clone()),
        uptime_ms: status.map(|status| status.uptime_ms),
        leads: replicas().filter(|replica| replica.leads).count(),
        votes: replicas().filter(|replica| replica.voters.contains(&card.node)).count(),
    }
}

/// A shard as its leader sees it; without one, as whoever is furthest does.
fn shard_line(said: &[(u64, &ReplicaStatus)]) -> ShardLine {
    let leader = said.iter().filter(|(_, replica)| replica.leads).max_by_key(|(_, replica)| replica.term);
    let best = leader.or_else(|| said.iter().max_by_key(|(_, replica)| (replica.term, replica.committed)));
    let best = best.map(|(_, replica)| *replica).cloned().unwrap_or_default();
    let leader = leader.map(|(node, _)| *node);
    let names: BTreeSet<u64> =
        best.voters.iter().chain(&best.learners).copied().chain(said.iter().map(|(node, _)| *node)).collect();
    let replicas = names.iter().map(|name| {
        let own = said.iter().find(|(node, _)| node == name).map(|(_, replica)| *replica);
        let peer = best.peers.iter().find(|peer| peer.node == *name);
        let applied = own.map(|own| own.applied).or_else(|| peer?.matched);
        ReplicaLine {
            node: number(*name),
            incarnation: incarnation(*name),
            votes: best.voters.contains(name),
            leads: leader == Some(*name),
            applied,
            lag: applied.filter(|_| leader.is_some()).map(|applied| best.committed.saturating_sub(applied)),
            heard_ms: match own {
                Some(own) => own.heard_ms,
                None => peer.and_then(|peer| peer.answered_ms),
            },
        }
    });
    ShardLine {
        shard: best.shard,
        leader: leader.map(number),
        term: best.term,
        committed: best.committed,
        voters: best.voters.iter().copied().map(number).collect(),
        learners: best.learners.iter().copied().map(number).collect(),
        replicas: replicas.collect(),
        moves: best.moves.clone(),
    }
}

/// What needs somebody's attention: shards that do not serve, then nodes, then replicas that are left behind.
fn findings(
    nodes: &[NodeLine],
    of_shards: &BTreeMap<Place, Vec<(u64, &ReplicaStatus)>>,
    shards: &[ShardLine],
) -> Vec<String> {
    let mut found = Vec::new();
    for (said, shard) in of_shards.values().zip(shards) {
        if shard.leader.is_none() {
            let named: BTreeSet<u32> = said.iter().filter_map(|(_, replica)| replica.leader.map(number)).collect();
            let named: Vec<String> = named.iter().map(|node| format!("node {node}")).collect();
            let hint = match named.is_empty() {
                true => "nobody names one".to_owned(),
                false => format!("{} is named, and does not say so", named.join(", ")),
            };
            found.push(format!("{} has no leader: {hint}", shard.label()));
        }
        let stopped = said.iter().filter(|(_, replica)| replica.stopped);
        found.extend(stopped.map(|(node, _)| format!("{} is stopped on node {}", shard.label(), number(*node))));
    }
    for node in nodes {
        let not_ready = node.reason.as_ref().filter(|_| node.reachable);
        let not_ready =
            not_ready.map(|reason| format!("node {}{} is not ready: {reason}", node.number, node.name_in_brackets()));
        found.extend(not_ready.or_else(|| node.not_heard()));
    }
    let reachable: BTreeSet<(u32, &str)> =
        nodes.iter().filter(|node| node.reachable).map(|node| (node.number, node.incarnation.as_str())).collect();
    for shard in shards {
        // Whoever is not heard was named already.
        for replica in shard.replicas.iter().filter(|r| reachable.contains(&(r.node, r.incarnation.as_str()))) {
            let (label, node) = (shard.label(), replica.node);
            match (replica.lag, replica.heard_ms) {
                (Some(lag), _) if lag > LAG_ENTRIES_MAX => {
                    found.push(format!("node {node} is {lag} entries behind in {label}, {LAG_ENTRIES_MAX} at most"));
                }
                (Some(_), Some(heard)) if heard > HEARD_MS_MAX && !replica.leads => found.push(format!(
                    "node {node} has not followed the leader of {label} for {heard} ms, {HEARD_MS_MAX} at most"
                )),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u64 = 1 << 32 | 0xa;
    const B: u64 = 2 << 32 | 0xb;
    const C: u64 = 3 << 32 | 0xc;

    fn card(node: u64) -> NodeCard {
        let number = number(node);
        NodeCard { node, address: format!("n{number}:7400"), name: format!("node {number}"), zone: String::new() }
    }

    /// Three nodes, the first of which leads one shard.
    fn three() -> Vec<Result<NodeStatus, String>> {
        let peer = |node| PeerStatus { node, matched: Some(90), answered_ms: Some(40) };
        let replica = |node: u64| ReplicaStatus {
            shard: Some(0),
            term: 4,
            leader: Some(A),
            leads: node == A,
            committed: 100,
            applied: 100,
            heard_ms: Some(if node == A { 0 } else { 30 }),
            voters: vec![A, B, C],
            peers: if node == A { vec![peer(B), peer(C)] } else { vec![] },
            ..ReplicaStatus::default()
        };
        let status = |node| NodeStatus { node, replicas: vec![replica(node)], ..NodeStatus::default() };
        [A, B, C].into_iter().map(|node| Ok(status(node))).collect()
    }

    fn shown(answers: &[Result<NodeStatus, String>]) -> ClusterStatus {
        let cards = [card(A), card(B), card(C)].into_iter();
        picture(NodeId(A), 7, &cards.zip(answers.iter().cloned()).collect::<Vec<_>>())
    }

    fn change(answers: &mut [Result<NodeStatus, String>], node: usize, change: impl Fn(&mut ReplicaStatus)) {
        change(&mut answers[node].as_mut().unwrap().replicas[0]);
    }

    #[test]
    fn a_healthy_cluster_needs_nobody() {
        let shown = shown(&three());
        assert_eq!(shown.findings, Vec::<String>::new());
        assert_eq!(shown.nodes.iter().map(|n| (n.leads, n.votes)).collect::<Vec<_>>(), [(1, 1), (0, 1), (0, 1)]);
        let shard = &shown.shards[0];
        assert_eq!((shard.leader, shard.term, shard.voters.as_slice()), (Some(1), 4, [1, 2, 3].as_slice()));
        assert_eq!(shard.replicas.iter().map(|r| r.lag).collect::<Vec<_>>(), [Some(0); 3]);
    }

    /// What is done to the cluster, and the one line that says so.
    #[test]
    fn what_is_wrong_is_named() {
        type Break = fn(&mut [Result<NodeStatus, String>]);
        let cases: [(Break, &str); 7] = [
            (
                |all| all[1] = Err("the node cannot be reached".into()),
                "node 2 (node 2) at n2:7400 is not heard: the node",
            ),
            (|all| change(all, 0, |r| r.leads = false), "shard 0 has no leader: node 1 is named"),
            (|all| (0..3).for_each(|n| change(all, n, |r| (r.leads, r.leader) = (false, None))), "nobody names one"),
            (|all| change(all, 0, |r| r.committed = 10_101), "node 2 is 10001 entries behind in shard 0"),
            (|all| change(all, 2, |r| r.heard_ms = Some(5_001)), "node 3 has not followed the leader of shard 0"),
            (|all| change(all, 2, |r| r.stopped = true), "shard 0 is stopped on node 3"),
            (
                |all| all[2].as_mut().unwrap().not_ready = Some("it starts".into()),
                "node 3 (node 3) is not ready: it starts",
            ),
        ];
        for (harm, expected) in cases {
            let mut answers = three();
            harm(&mut answers);
            let findings = shown(&answers).findings;
            assert!(findings.iter().any(|line| line.contains(expected)), "{expected}: {findings:?}");
        }
        // Up to the bounds, nobody is called.
        let mut answers = three();
        change(&mut answers, 0, |r| (r.committed, r.applied) = (10_100, 10_100));
        change(&mut answers, 2, |r| r.heard_ms = Some(HEARD_MS_MAX));
        assert_eq!(shown(&answers).findings, Vec::<String>::new());
    }

    #[test]
    fn a_node_that_is_silent_is_shown_as_its_leader_knows_it() {
        let mut answers = three();
        answers[1] = Err("the node did not answer in time".into());
        let shown = shown(&answers);
        assert_eq!((shown.nodes[1].reachable, shown.nodes[1].reason.is_some()), (false, true));
        let replica = &shown.shards[0].replicas[1];
        assert_eq!((replica.node, replica.applied, replica.lag, replica.heard_ms), (2, Some(90), Some(10), Some(40)));
        assert_eq!(shown.findings.len(), 1, "its lag is no news: {:?}", shown.findings);
    }

    #[test]
    fn of_two_who_say_they_lead_the_later_term_does() {
        let mut answers = three();
        change(&mut answers, 2, |r| (r.leads, r.term, r.leader) = (true, 5, Some(C)));
        assert_eq!(shown(&answers).shards[0].leader, Some(3));
    }
}
