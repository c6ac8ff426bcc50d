//! Which nodes hold a shard, and which one had best lead it: a pure function of the nodes there are.
//!
//! Every node has a copy of every shard: so it answers reads of all groups from rows of its own. As many as there are to be
//! copies have a vote, spread evenly; the others follow.
//!
//! The plan is nobody's order. The leader of a shard compares it with the shard's own membership, which is the truth,
//! and goes one step at a time.

use crate::meta::Members;
use crate::slot::ShardId;

/// Where a shard should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As many as there are to be copies, best leader first.
    pub(crate) voters: Vec<u64>,
    pub(crate) learners: Vec<u64>,
}

/// Plans a shard over the nodes: `copies` of it vote, less if there are fewer nodes, with leaders and votes spread evenly.
pub(crate) fn plan(members: &Members, shard: ShardId, copies: usize) -> Plan {
    let nodes = members.nodes();
    let first = usize::from(shard.0);
    let mut voters: Vec<u64> = (0..nodes.len()).map(|k| nodes[(first + k) % nodes.len()].node).collect();
    let learners = voters.split_off(copies.min(nodes.len()));
    Plan { voters, learners }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::NodeCard;

    fn members(count: u64) -> std::sync::Arc<Members> {
        let card =
            |n: u64| NodeCard { node: n << 32, address: format!("n{n}"), name: String::new(), zone: String::new() };
        Members::new((1..=count).map(card).collect())
    }

    #[test]
    fn copies_and_leaders_are_spread_evenly() {
        for count in 1..=7 {
            let members = members(count);
            let (mut leads, mut holds) = (vec![0; 8], vec![0; 8]);
            for shard in 0..64 {
                let plan = plan(&members, ShardId(shard), 3);
                assert_eq!(plan.voters.len(), 3.min(count as usize));
                assert_eq!(plan.voters.len() + plan.learners.len(), count as usize);
                leads[(plan.voters[0] >> 32) as usize] += 1;
                plan.voters.iter().for_each(|node| holds[(node >> 32) as usize] += 1);
            }
            for of in [&leads[1..=count as usize], &holds[1..=count as usize]] {
                let (least, most) = (of.iter().min().unwrap_or(&0), of.iter().max().unwrap_or(&0));
                assert!(most - least <= 3, "{count} nodes: {of:?}");
            }
        }
    }

    #[test]
    fn nobody_holds_nothing() {
        assert_eq!(plan(&Members::default(), ShardId(0), 3), Plan::default());
    }
}
