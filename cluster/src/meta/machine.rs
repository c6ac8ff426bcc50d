//! The rows of the meta group.
//!
//! | Key | Value | Written by |
//! |---|---|---|
//! | 0xfffe, generation (4), 1, number (4) | version, card of the node | admit, moved |

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Members, MetaChange, NodeCard};
use crate::application::{Committed, Payload, Release, ShardMachine, Transaction};
use crate::disk::{DiskError, Rows};
use crate::raft::{decode, encode};

/// Behind all slots: rows of the meta group are nobody else's.
const SLOT: u16 = u16::MAX - 1;
const KIND_NODE: u8 = 1;
/// Nodes that a cluster may have.
pub(crate) const NODES_MAX: usize = 1024;

fn key(generation: u32, number: u32) -> Vec<u8> {
    [&SLOT.to_be_bytes()[..], &generation.to_be_bytes(), &[KIND_NODE], &number.to_be_bytes()].concat()
}

fn range(generation: u32) -> (Vec<u8>, Vec<u8>) {
    (key(generation, 0), [&key(generation, u32::MAX)[..], &[0]].concat())
}

fn cards(rows: Vec<(Bytes, Bytes)>) -> Result<Vec<NodeCard>, DiskError> {
    let card =
        |(_, value): (Bytes, Bytes)| decode(&value).map_err(|e| DiskError::Corrupt(format!("a node's card: {e}")));
    rows.into_iter().map(card).collect()
}

/// Keeps the rows, and tells whoever wants to know which nodes there are.
pub(crate) struct MetaMachine {
    members: watch::Sender<Arc<Members>>,
}

impl MetaMachine {
    pub(crate) fn new(members: watch::Sender<Arc<Members>>) -> Self {
        Self { members }
    }

    /// What the rows say now.
    pub(crate) fn read(rows: &Rows) -> Result<Arc<Members>, DiskError> {
        let (from, to) = range(rows.generation());
        Ok(Members::new(cards(rows.scan_newest(&from, &to, NODES_MAX)?)?))
    }
}

fn put(tx: &mut Transaction<'_>, card: &NodeCard) -> Result<(), DiskError> {
    let value = encode(card).map_err(|error| DiskError::Failed(error.to_string()))?;
    tx.put(key(tx.generation(), card.id().number()), value);
    Ok(())
}

fn apply(change: MetaChange, tx: &mut Transaction<'_>) -> Result<(), DiskError> {
    let (from, to) = range(tx.generation());
    let nodes = cards(tx.scan(&from, &to, NODES_MAX)?)?;
    match change {
        MetaChange::Admit { address, name, zone, incarnation } => {
            let known = nodes.iter().find(|card| card.address == address);
            if known.is_none() && nodes.len() >= NODES_MAX {
                // Whoever asked looks for its card and finds none.
                tracing::error!(address, "no further node can be admitted: {NODES_MAX} is the limit");
                return Ok(());
            }
            let next = || nodes.iter().map(|card| card.id().number()).max().unwrap_or(0) + 1;
            let number = known.map_or_else(next, |card| card.id().number());
            let node = u64::from(number) << 32 | u64::from(incarnation);
            put(tx, &NodeCard { node, address, name, zone })
        }
        MetaChange::Moved(card) => match nodes.iter().any(|known| known.node == card.node) {
            true => put(tx, &card),
            // An incarnation that was replaced meanwhile.
            false => Ok(()),
        },
    }
}

impl ShardMachine for MetaMachine {
    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        for entry in entries {
            if let Payload::Data(bytes) = &entry.payload {
                match decode::<MetaChange>(bytes) {
                    Ok(change) => apply(change, tx)?,
                    Err(error) => return Err(DiskError::Corrupt(format!("an entry of the meta group: {error}"))),
                }
            }
        }
        let (from, to) = range(tx.generation());
        let members = Members::new(cards(tx.scan(&from, &to, NODES_MAX)?)?);
        let tell = self.members.clone();
        Ok(Some(Box::new(move || {
            tell.send_if_modified(|known| {
                *known != members && {
                    *known = members;
                    true
                }
            });
        })))
    }

    fn restored(&mut self, rows: &Rows) -> Result<(), DiskError> {
        self.members.send_replace(Self::read(rows)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    fn admit(address: &str, incarnation: u32) -> MetaChange {
        MetaChange::Admit { address: address.into(), name: "n".into(), zone: String::new(), incarnation }
    }

    fn run(bench: &Bench, machine: &mut MetaMachine, index: u64, change: &MetaChange) {
        let payload = Payload::Data(encode(change).expect("encoded").into());
        let release = bench.apply(machine, &[Committed { index, term: 1, payload }]).expect("applied");
        release.expect("somebody to tell")();
    }

    #[test]
    fn a_node_keeps_its_number_and_gets_a_new_name_with_a_new_folder() {
        let bench = Bench::default();
        let (tell, members) = watch::channel(Arc::default());
        let mut machine = MetaMachine::new(tell);
        for (index, change) in [admit("a:1", 7), admit("b:1", 8), admit("a:1", 7), admit("b:1", 9)].iter().enumerate() {
            run(&bench, &mut machine, index as u64, change);
        }
        let nodes: Vec<u64> = members.borrow().nodes().iter().map(|card| card.node).collect();
        assert_eq!(nodes, [1 << 32 | 7, 2 << 32 | 9]);
        assert_eq!(*MetaMachine::read(bench.rows()).expect("read"), **members.borrow());

        let moved = NodeCard { node: 2 << 32 | 8, address: "c:1".into(), name: "n".into(), zone: String::new() };
        run(&bench, &mut machine, 4, &MetaChange::Moved(moved.clone()));
        assert!(members.borrow().at("c:1").is_none(), "an incarnation that is gone moves nothing");
        run(&bench, &mut machine, 5, &MetaChange::Moved(NodeCard { node: 2 << 32 | 9, ..moved }));
        assert_eq!(members.borrow().at("c:1").map(|card| card.id().number()), Some(2));
    }
}
