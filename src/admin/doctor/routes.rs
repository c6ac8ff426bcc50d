//! Who leads each shard, as every node says.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_cluster::{NodeCard, NodeId};

use super::DoctorReport;
use crate::admin::Admin;
use crate::admin::gather::Told;
use crate::admin::status::{NodeStatus, Place, label};

/// Nodes hear of a new leader one after the other, within a few heartbeats.
const ASKED_MAX: usize = 20;
const ASK_EVERY: Duration = Duration::from_millis(250);

impl Admin {
    /// Asks all nodes until they agree; what they still differ in is drift.
    pub(super) async fn agreed_routes(&self, report: &mut DoctorReport) -> Vec<(NodeCard, Told<NodeStatus>)> {
        let mut asked = 1;
        loop {
            let all = self.all().await;
            let heard: Vec<&NodeStatus> = all.iter().filter_map(|(_, answer)| answer.as_ref().ok()).collect();
            let differences = differences(&heard);
            if differences.is_empty() || asked == ASKED_MAX {
                report.differ(differences);
                return all;
            }
            asked += 1;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

/// What one node says of a shard.
#[derive(Clone, Copy)]
struct Said {
    node: NodeId,
    term: u64,
    leader: Option<NodeId>,
    /// It is the leader, and is ready to be.
    leads: bool,
}

/// Shards of which nodes do not say the same, or do not say who leads, or whose leader does not say so itself.
fn differences(nodes: &[&NodeStatus]) -> Vec<String> {
    let mut shards: BTreeMap<Place, Vec<Said>> = BTreeMap::new();
    for node in nodes {
        for replica in &node.replicas {
            let said = Said {
                node: NodeId(node.node),
                term: replica.term,
                leader: replica.leader.map(NodeId),
                leads: replica.leads,
            };
            shards.entry(replica.place()).or_default().push(said);
        }
    }
    let differing = shards.into_iter().filter(|(_, said)| !agree(said));
    differing.map(|((_, shard), said)| in_words(shard, &said)).collect()
}

fn agree(said: &[Said]) -> bool {
    let same = said.windows(2).all(|two| (two[0].term, two[0].leader) == (two[1].term, two[1].leader));
    // Of a leader that is not heard nothing more is known, and that it is not heard is said elsewhere.
    let says_so = |leader: NodeId| said.iter().find(|of| of.node == leader).is_none_or(|of| of.leads);
    same && said.first().and_then(|of| of.leader).is_some_and(says_so)
}

fn in_words(shard: Option<u16>, said: &[Said]) -> String {
    let each = said.iter().map(|Said { node, term, leader, leads }| {
        let whom = match leader {
            Some(leader) if leader == node && *leads => "itself".to_owned(),
            Some(leader) if leader == node => "itself, not yet ready".to_owned(),
            Some(leader) => format!("node {}", leader.number()),
            None => "nobody".to_owned(),
        };
        format!("node {} names {whom} in term {term}", node.number())
    });
    format!("routes of {}: {}", label(shard), each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::ReplicaStatus;

    const A: u64 = 1 << 32 | 0xa;
    const B: u64 = 2 << 32 | 0xb;

    fn said(node: u64, shard: Option<u16>, term: u64, leader: Option<u64>) -> NodeStatus {
        let replica = ReplicaStatus { shard, term, leader, leads: leader == Some(node), ..ReplicaStatus::default() };
        NodeStatus { node, replicas: vec![replica], ..NodeStatus::default() }
    }

    #[test]
    fn nodes_agree_or_what_each_says_is_listed() {
        let of = |one: NodeStatus, other: NodeStatus| differences(&[&one, &other]);
        let shard = Some(3);
        assert_eq!(of(said(A, shard, 5, Some(A)), said(B, shard, 5, Some(A))), Vec::<String>::new());
        let differ = of(said(A, shard, 5, Some(A)), said(B, shard, 6, Some(B)));
        assert_eq!(differ, ["routes of shard 3: node 1 names itself in term 5, node 2 names itself in term 6"]);
        let nobody = of(said(A, None, 5, None), said(B, None, 5, None));
        assert_eq!(nobody, ["routes of the meta group: node 1 names nobody in term 5, node 2 names nobody in term 5"]);
        assert_eq!(of(said(A, shard, 5, Some(A)), said(B, shard, 4, Some(A))).len(), 1, "terms belong to a route");
        // A leader that nobody hears is missed elsewhere; one that is heard has to say so.
        const GONE: u64 = 3 << 32;
        assert_eq!(of(said(A, shard, 5, Some(GONE)), said(B, shard, 5, Some(GONE))), Vec::<String>::new());
        let mut silent = said(A, shard, 5, Some(A));
        silent.replicas[0].leads = false;
        let differ = of(silent, said(B, shard, 5, Some(A)));
        assert_eq!(
            differ,
            ["routes of shard 3: node 1 names itself, not yet ready in term 5, node 2 names node 1 in term 5"]
        );
    }
}
