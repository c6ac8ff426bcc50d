//! A node whose place in the cluster has gone to another one: its folder was taken for lost, or somebody uses its address.
//!
//! Such a node is spoken to by nobody and learns it from its own log at best. It says so, and decides nothing.

use std::time::{Duration, Instant};

use crate::meta::{Members, NodeCard};

/// Another node under a node's own number or address is no error for so long: a log that is being caught up with tells of
/// those who were there before.
const REPLACED_FOR: Duration = Duration::from_secs(10);

/// Who is in the place of a node that is not known: another incarnation of its number, or another node at its address.
pub(crate) fn in_the_place_of<'a>(card: &NodeCard, members: &'a Members) -> Option<&'a NodeCard> {
    if members.nodes().iter().any(|known| known.node == card.node) {
        return None;
    }
    let number = card.id().number();
    members.nodes().iter().find(|known| known.id().number() == number || known.address == card.address)
}

/// Since when somebody else has been in this node's place.
#[derive(Default)]
pub(crate) struct Replaced {
    since: Option<(u64, Instant)>,
    is_said: bool,
}

impl Replaced {
    /// Returns who it is when that has lasted, once.
    pub(crate) fn lasts<'a>(&mut self, other: Option<&'a NodeCard>, now: Instant) -> Option<&'a NodeCard> {
        let same = self.since.filter(|(node, _)| other.is_some_and(|other| other.node == *node));
        match (other, same) {
            (Some(other), Some((_, since))) => {
                let is_due = !self.is_said && now.duration_since(since) >= REPLACED_FOR;
                self.is_said |= is_due;
                is_due.then_some(other)
            }
            _ => {
                *self = Self { since: other.map(|other| (other.node, now)), is_said: false };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: u64, incarnation: u64, address: &str) -> NodeCard {
        NodeCard { node: number << 32 | incarnation, address: address.into(), name: String::new(), zone: String::new() }
    }

    #[test]
    fn a_node_learns_who_is_in_its_place_and_says_so_once() {
        let me = card(2, 7, "b:1");
        let found = |nodes: &[NodeCard]| in_the_place_of(&me, &Members::new(nodes.to_vec())).map(|other| other.node);
        let (heir, neighbour) = (card(2, 8, "c:1"), card(3, 9, "b:1"));
        assert_eq!(found(&[card(1, 1, "a:1")]), None, "the log has not told of it yet");
        assert_eq!(found(&[card(1, 1, "a:1"), me.clone(), neighbour.clone()]), None);
        assert_eq!(found(&[card(1, 1, "a:1"), heir.clone()]), Some(heir.node));
        assert_eq!(found(&[card(1, 1, "a:1"), neighbour.clone()]), Some(neighbour.node));

        let (mut replaced, began) = (Replaced::default(), Instant::now());
        let mut says = |other: Option<&NodeCard>, after: Duration| replaced.lasts(other, began + after).is_some();
        assert!(!says(Some(&heir), Duration::ZERO));
        assert!(!says(Some(&heir), REPLACED_FOR / 2));
        assert!(!says(Some(&neighbour), REPLACED_FOR), "that has only begun");
        assert!(says(Some(&neighbour), REPLACED_FOR * 2));
        assert!(!says(Some(&neighbour), REPLACED_FOR * 3), "it was said before");
        assert!(!says(None, REPLACED_FOR * 4));
    }
}
