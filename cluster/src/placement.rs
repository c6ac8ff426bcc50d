//! Which nodes hold a shard, and which one had best lead it: a pure function of the nodes there are.
//!
//! Every node has a copy of every shard: so it answers reads of all groups from rows of its own. As many as there are to
//! be copies have a vote, spread evenly over zones first and over nodes then; the others follow.
//!
//! The function tells the story of the cluster: nodes join in the order of their numbers, and each makes as few voters
//! move as evenness takes. So every node comes to the same plan from the nodes alone, and whoever joins changes little.
//!
//! The plan is nobody's order. The leader of a shard compares it with the shard's own membership, which is the truth,
//! and goes one step at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::meta::{META, Members};
use crate::slot::ShardId;

/// Where a shard should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Best leader first. Never an even number: it bears no more failures than one less, and stops sooner.
    pub(crate) voters: Vec<u64>,
    pub(crate) learners: Vec<u64>,
}

/// Where all shards should be.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    shards: Vec<Plan>,
    meta: Plan,
}

impl Plans {
    /// Plans all shards over the nodes: `copies` of each vote, less if there are fewer nodes.
    pub(crate) fn new(members: &Members, shards: u16, copies: usize) -> Self {
        let of_meta = spread(members, 1, copies).pop().unwrap_or_default();
        Self { shards: spread(members, usize::from(shards), copies), meta: of_meta }
    }

    /// Where one of them should be; nowhere if it does not exist.
    pub(crate) fn of(&self, shard: ShardId) -> Plan {
        let of_shard = || self.shards.get(usize::from(shard.0)).cloned().unwrap_or_default();
        if shard == META { self.meta.clone() } else { of_shard() }
    }
}

/// Plans as long as the nodes stay the same.
pub(crate) struct Planner {
    shards: u16,
    copies: usize,
    last: Mutex<(Arc<Members>, Arc<Plans>)>,
}

impl Planner {
    pub(crate) fn new(shards: u16, copies: usize) -> Self {
        Self { shards, copies, last: Mutex::default() }
    }

    pub(crate) fn plans(&self, members: &Arc<Members>) -> Arc<Plans> {
        let mut last = self.last.lock();
        if last.0 != *members {
            *last = (members.clone(), Arc::new(Plans::new(members, self.shards, self.copies)));
        }
        last.1.clone()
    }
}

fn spread(members: &Members, shards: usize, copies: usize) -> Vec<Plan> {
    let nodes = members.nodes();
    let mut draft = Draft { copies, shards: vec![Vec::new(); shards], ..Draft::default() };
    for (node, card) in nodes.iter().enumerate() {
        // A node that names no zone fails alone.
        let alone = card.zone.is_empty();
        let mate = nodes[..node].iter().position(|earlier| !alone && earlier.zone == card.zone);
        draft.join(mate);
    }
    let plan = |mut voters: Vec<usize>| {
        // Whoever leads is the only one whose place matters.
        voters.get_mut(1..).unwrap_or_default().sort_unstable();
        let learners = (0..nodes.len()).filter(|node| !voters.contains(node)).map(|node| nodes[node].node).collect();
        Plan { voters: voters.into_iter().map(|node| nodes[node].node).collect(), learners }
    };
    draft.shards.into_iter().map(plan).collect()
}

/// Where shards are while nodes join; nodes and zones by their place among those that have joined.
#[derive(Default)]
struct Draft {
    copies: usize,
    /// The voters of each shard, its leader first.
    shards: Vec<Vec<usize>>,
    /// Of each node.
    zones: Vec<usize>,
    zone_count: usize,
    /// Of each node: how many shards it votes in, and leads.
    votes: Vec<usize>,
    leads: Vec<usize>,
}

/// What can be taken from one node and given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burden {
    Vote,
    Lead,
}

impl Draft {
    /// Lets a node in, which has a zone of its own or that of `mate`.
    fn join(&mut self, mate: Option<usize>) {
        let zone = mate.map_or(self.zone_count, |mate| self.zones[mate]);
        self.zone_count = self.zone_count.max(zone + 1);
        self.zones.push(zone);
        self.votes.push(0);
        self.leads.push(0);

        let most = self.copies.min(self.zones.len());
        let voters = if most.is_multiple_of(2) { most.saturating_sub(1) } else { most };
        for shard in 0..self.shards.len() {
            while self.shards[shard].len() < voters {
                self.add_voter(shard);
            }
        }
        if voters == 1 && self.copies > 1 {
            // Two nodes bear no failure, whoever votes: nothing moves until a third one comes.
            return;
        }
        (0..self.shards.len()).for_each(|shard| self.use_zones(shard));
        self.even_out(Burden::Vote);
        self.even_out(Burden::Lead);
    }

    fn in_zone(&self, shard: usize, zone: usize) -> usize {
        self.shards[shard].iter().filter(|voter| self.zones[**voter] == zone).count()
    }

    /// Adds the voter that serves a shard best: of the zone that has least of it, and with least to do.
    fn add_voter(&mut self, shard: usize) {
        let free = (0..self.zones.len()).filter(|node| !self.shards[shard].contains(node));
        let best = free.min_by_key(|node| (self.in_zone(shard, self.zones[*node]), self.votes[*node], *node));
        if let Some(node) = best {
            if self.shards[shard].is_empty() {
                self.leads[node] += 1;
            }
            self.shards[shard].push(node);
            self.votes[node] += 1;
        }
    }

    /// Moves voters of a shard out of zones that have at least two more than another one could have.
    fn use_zones(&mut self, shard: usize) {
        loop {
            let voters = &self.shards[shard];
            let crowded = |node: usize| self.in_zone(shard, self.zones[node]);
            // Somebody else than the leader, if there is a choice.
            let from = voters
                .iter()
                .copied()
                .max_by_key(|node| (crowded(*node), self.votes[*node], *node != voters[0], *node));
            let free = (0..self.zones.len()).filter(|node| !voters.contains(node));
            let to = free.min_by_key(|node| (crowded(*node), self.votes[*node], *node));
            match (from, to) {
                // Each such move makes the shard's voters in zones, squared and added up, fewer: it ends.
                (Some(from), Some(to)) if crowded(from) >= crowded(to) + 2 => {
                    self.give(Burden::Vote, shard, from, to);
                }
                _ => return,
            }
        }
    }

    /// Takes a burden from one node and gives it to another.
    fn give(&mut self, burden: Burden, shard: usize, from: usize, to: usize) {
        let voters = &mut self.shards[shard];
        let Some(place) = voters.iter().position(|voter| *voter == from) else { return };
        match burden {
            Burden::Vote => {
                voters[place] = to;
                self.votes[from] -= 1;
                self.votes[to] += 1;
                if place > 0 {
                    return;
                }
            }
            Burden::Lead => {
                let Some(other) = voters.iter().position(|voter| *voter == to) else { return };
                voters.swap(place, other);
            }
        }
        self.leads[from] -= 1;
        self.leads[to] += 1;
    }

    fn can_give(&self, burden: Burden, shard: usize, from: usize, to: usize) -> bool {
        let voters = &self.shards[shard];
        match burden {
            Burden::Lead => voters.first() == Some(&from) && from != to && voters.contains(&to),
            Burden::Vote => {
                let (out, into) = (self.zones[from], self.zones[to]);
                let is_as_even = out == into || self.in_zone(shard, out) == self.in_zone(shard, into) + 1;
                voters.contains(&from) && !voters.contains(&to) && is_as_even
            }
        }
    }

    /// Moves a burden from nodes that bear much to nodes that bear at least two less, as long as that is possible. Each
    /// time the squares of what nodes bear, added up, become fewer: it ends.
    fn even_out(&mut self, burden: Burden) {
        while let Some(path) = self.relief(burden) {
            path.into_iter().for_each(|(shard, from, to)| self.give(burden, shard, from, to));
        }
    }

    /// How a burden gets from one node to another that bears at least two less: at once, or over others that pass one on
    /// for the one they are given. As (shard, from, to).
    fn relief(&self, burden: Burden) -> Option<Vec<(usize, usize, usize)>> {
        let borne = match burden {
            Burden::Vote => &self.votes,
            Burden::Lead => &self.leads,
        };
        let least = borne.iter().min().copied()?;
        let mut heaviest: Vec<usize> = (0..borne.len()).collect();
        heaviest.sort_by_key(|node| std::cmp::Reverse(borne[*node]));
        // What has been reached from a node with more is not reached again: it led to nobody with less.
        let mut reached: Vec<Option<(usize, usize)>> = vec![None; borne.len()];
        let mut seen = vec![false; borne.len()];
        for start in heaviest {
            if borne[start] < least + 2 {
                return None;
            }
            if seen[start] {
                continue;
            }
            let mut queue = VecDeque::from([start]);
            seen[start] = true;
            while let Some(from) = queue.pop_front() {
                for (shard, to) in self.ways_out(burden, from) {
                    if seen[to] {
                        continue;
                    }
                    seen[to] = true;
                    reached[to] = Some((shard, from));
                    if borne[to] + 2 <= borne[start]
                        && let Some(path) = path(&reached, start, to)
                    {
                        return Some(path);
                    }
                    queue.push_back(to);
                }
            }
        }
        None
    }

    /// To whom a node can give a burden, and of which shard; of those that it does not lead first.
    fn ways_out(&self, burden: Burden, from: usize) -> impl Iterator<Item = (usize, usize)> {
        let shards = |leads: bool| {
            let of = move |shard: &usize| {
                let voters = &self.shards[*shard];
                voters.contains(&from) && (voters[0] == from) == leads
            };
            (0..self.shards.len()).filter(of)
        };
        let to_any = move |shard| (0..self.zones.len()).map(move |to| (shard, to));
        let ways = shards(false).chain(shards(true)).flat_map(to_any);
        ways.filter(move |(shard, to)| self.can_give(burden, *shard, from, *to))
    }
}

/// The way back to where a search began; `None` if it passes a shard twice, which is then not what it was.
fn path(reached: &[Option<(usize, usize)>], start: usize, end: usize) -> Option<Vec<(usize, usize, usize)>> {
    let mut path: Vec<(usize, usize, usize)> = Vec::new();
    let mut to = end;
    while to != start {
        let (shard, from) = reached[to]?;
        if path.iter().any(|(passed, ..)| *passed == shard) {
            return None;
        }
        path.push((shard, from, to));
        to = from;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::meta::NodeCard;
    use crate::peer::NodeId;

    /// Nodes in the order of their joining, each with its zone.
    fn members(zones: &[String]) -> Arc<Members> {
        let card = |(n, zone): (usize, &String)| NodeCard {
            node: (n as u64 + 1) << 32 | 7,
            address: format!("n{n}"),
            name: String::new(),
            zone: zone.clone(),
        };
        Members::new(zones.iter().enumerate().map(card).collect())
    }

    fn without_zones(count: usize) -> Arc<Members> {
        members(&vec![String::new(); count])
    }

    fn planned(members: &Members, shards: u16, copies: usize) -> Vec<Plan> {
        let plans = Plans::new(members, shards, copies);
        (0..shards).map(|shard| plans.of(ShardId(shard))).collect()
    }

    /// How often each node is named; those that never are, too.
    fn counts(members: &Members, named: impl Iterator<Item = u64>) -> Vec<usize> {
        let mut counts: BTreeMap<u64, usize> = members.nodes().iter().map(|card| (card.node, 0)).collect();
        named.for_each(|node| *counts.entry(node).or_default() += 1);
        counts.into_values().collect()
    }

    fn votes(members: &Members, plans: &[Plan]) -> Vec<usize> {
        counts(members, plans.iter().flat_map(|plan| plan.voters.clone()))
    }

    fn leads(members: &Members, plans: &[Plan]) -> Vec<usize> {
        counts(members, plans.iter().filter_map(|plan| plan.voters.first().copied()))
    }

    fn apart(counts: &[usize]) -> usize {
        counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
    }

    /// Voters that were not there before.
    fn moved(before: &[Plan], now: &[Plan]) -> usize {
        let new =
            |(before, now): (&Plan, &Plan)| now.voters.iter().filter(|node| !before.voters.contains(node)).count();
        before.iter().zip(now).map(new).sum()
    }

    /// Every node is in every shard once, and an odd number of them votes.
    fn are_whole(members: &Members, plans: &[Plan], copies: usize) -> Result<(), TestCaseError> {
        let all: BTreeSet<u64> = members.nodes().iter().map(|card| card.node).collect();
        let most = copies.min(all.len());
        for plan in plans {
            let named: BTreeSet<u64> = plan.voters.iter().chain(&plan.learners).copied().collect();
            prop_assert_eq!(&named, &all);
            prop_assert_eq!(plan.voters.len() + plan.learners.len(), all.len());
            prop_assert!(plan.voters.len() % 2 == 1 && plan.voters.len() + 1 >= most && plan.voters.len() <= most);
        }
        Ok(())
    }

    fn zones() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(prop::sample::select(vec!["", "a", "b", "c", "d"]).prop_map(str::to_owned), 1..14)
    }

    /// Zones of the same size, whose nodes join in any order.
    fn equal_zones() -> impl Strategy<Value = Vec<String>> {
        (1_usize..6, 1_usize..5).prop_flat_map(|(zones, nodes)| {
            Just((0..zones * nodes).map(|n| format!("zone {}", n % zones)).collect::<Vec<_>>()).prop_shuffle()
        })
    }

    fn copies() -> impl Strategy<Value = usize> {
        prop::sample::select(vec![1, 3, 5, 7])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn votes_and_leaders_are_at_most_one_apart_without_zones(count in 1_usize..14, shards in 1_u16..70, copies in copies()) {
            let members = without_zones(count);
            let plans = planned(&members, shards, copies);
            are_whole(&members, &plans, copies)?;
            if count != 2 || copies == 1 {
                prop_assert!(apart(&votes(&members, &plans)) <= 1, "votes {:?}", votes(&members, &plans));
                prop_assert!(apart(&leads(&members, &plans)) <= 1, "leads {:?}", leads(&members, &plans));
            }
        }

        #[test]
        fn votes_and_leaders_are_at_most_one_apart_over_equal_zones(zones in equal_zones(), shards in 1_u16..70, copies in copies()) {
            let members = members(&zones);
            let plans = planned(&members, shards, copies);
            are_whole(&members, &plans, copies)?;
            if zones.len() != 2 || copies == 1 {
                prop_assert!(apart(&votes(&members, &plans)) <= 1, "votes {:?}", votes(&members, &plans));
                prop_assert!(apart(&leads(&members, &plans)) <= 1, "leads {:?}", leads(&members, &plans));
            }
        }

        #[test]
        fn no_zone_has_two_voters_more_than_one_that_could_have_another(zones in zones(), shards in 1_u16..40, copies in copies()) {
            let members = members(&zones);
            let plans = planned(&members, shards, copies);
            are_whole(&members, &plans, copies)?;
            if zones.len() == 2 {
                return Ok(());
            }
            let zone_of = |node: u64| match zones[NodeId(node).number() as usize - 1].as_str() {
                "" => format!("alone {node}"),
                zone => zone.to_owned(),
            };
            for plan in &plans {
                let mut voters = BTreeMap::<String, usize>::new();
                plan.voters.iter().for_each(|node| *voters.entry(zone_of(*node)).or_default() += 1);
                let most = voters.values().max().copied().unwrap_or(0);
                for free in &plan.learners {
                    let there = voters.get(&zone_of(*free)).copied().unwrap_or(0);
                    prop_assert!(most <= there + 1, "{:?} of {:?}: {:?}", plan, zones, voters);
                }
            }
        }

        #[test]
        fn a_node_that_joins_moves_what_it_takes_and_nothing_else(count in 3_usize..14, shards in 1_u16..70) {
            let (before, members) = (without_zones(count), without_zones(count + 1));
            let (before, now) = (planned(&before, shards, 3), planned(&members, shards, 3));
            let newest = members.nodes().last().map_or(0, |card| card.node);
            let taken = now.iter().filter(|plan| plan.voters.contains(&newest)).count();
            prop_assert_eq!(moved(&before, &now), taken);
            prop_assert!(taken <= (usize::from(shards) * 3).div_ceil(count + 1));
        }

        #[test]
        fn who_joins_a_cluster_with_zones_moves_little(zones in zones(), zone in "[a-d]?", shards in 1_u16..40) {
            prop_assume!(zones.len() >= 3);
            let before = planned(&members(&zones), shards, 3);
            let members = members(&[zones.clone(), vec![zone]].concat());
            let now = planned(&members, shards, 3);
            let newest = members.nodes().last().map_or(0, |card| card.node);
            let taken = now.iter().filter(|plan| plan.voters.contains(&newest)).count();
            prop_assert!(moved(&before, &now) <= 2 * taken, "{} moved, {taken} taken", moved(&before, &now));
        }
    }

    #[test]
    fn a_folder_that_was_replaced_moves_nothing() {
        let cards = without_zones(5).nodes().to_vec();
        let mut replaced = cards.clone();
        replaced[1].node += 1;
        let of = |cards: Vec<NodeCard>| planned(&Members::new(cards), 16, 3);
        let numbers = |plans: Vec<Plan>| -> Vec<Vec<u32>> {
            plans.iter().map(|plan| plan.voters.iter().map(|node| NodeId(*node).number()).collect()).collect()
        };
        let mut shuffled = cards.clone();
        shuffled.reverse();
        assert_eq!(of(shuffled), of(cards.clone()), "whoever hears of the nodes in another order plans the same");
        assert_eq!(numbers(of(replaced)), numbers(of(cards)));
    }

    #[test]
    fn two_nodes_change_nothing_and_three_vote_in_everything() {
        let voters =
            |count| planned(&without_zones(count), 4, 3).iter().map(|plan| plan.voters.len()).collect::<Vec<_>>();
        assert_eq!([1, 2, 3, 4].map(voters), [vec![1; 4], vec![1; 4], vec![3; 4], vec![3; 4]]);
        let two = without_zones(2);
        assert_eq!(leads(&two, &planned(&two, 4, 3)), [4, 0]);
    }

    #[test]
    fn the_meta_group_is_planned_and_what_does_not_exist_is_nowhere() {
        let planner = Planner::new(2, 3);
        let plans = planner.plans(&without_zones(4));
        assert_eq!((plans.of(META).voters.len(), plans.of(META).learners.len()), (3, 1));
        assert_eq!(plans.of(ShardId(2)), Plan::default());
        assert_eq!(planner.plans(&Arc::default()).of(ShardId(0)), Plan::default());
        assert!(Arc::ptr_eq(&planner.plans(&without_zones(3)), &planner.plans(&without_zones(3))));
    }
}
