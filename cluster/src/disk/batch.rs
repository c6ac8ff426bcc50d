//! Writes on their way to the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// A part of the database with its own order of keys and its own way of being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Entries of all shards' logs.
    Log,
    /// Votes, applied indexes and what else a replica must know about itself.
    Meta,
    /// Rows of the application.
    State,
}

impl Family {
    pub(crate) const ALL: [Family; 3] = [Family::Log, Family::Meta, Family::State];

    /// The name it is stored under; stable.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Log => "log",
            Family::Meta => "meta",
            Family::State => "state",
        }
    }
}

/// The rows that one apply writes; `None` deletes.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Rows of the state, which the overlay shows while they are on their way.
    Rows(Arc<Writes>),
    Put {
        family: Family,
        key: Bytes,
        value: Bytes,
    },
    Delete {
        family: Family,
        key: Bytes,
    },
    /// Deletes `from <= key < to`.
    DeleteRange {
        family: Family,
        from: Bytes,
        to: Bytes,
    },
}

impl Op {
    fn bytes(&self) -> usize {
        match self {
            Op::Rows(writes) => writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum(),
            Op::Put { key, value, .. } => key.len() + value.len(),
            Op::Delete { key, .. } => key.len(),
            Op::DeleteRange { from, to, .. } => from.len() + to.len(),
        }
    }
}

/// Writes that become visible, and survive, together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ops: Vec<Op>,
    bytes: usize,
}

impl Batch {
    pub fn put(&mut self, family: Family, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push(Op::Put { family, key: key.into(), value: value.into() });
    }

    pub fn delete(&mut self, family: Family, key: impl Into<Bytes>) {
        self.push(Op::Delete { family, key: key.into() });
    }

    pub(crate) fn rows(&mut self, writes: Arc<Writes>) {
        self.push(Op::Rows(writes));
    }

    /// Deletes `from <= key < to`.
    pub fn delete_range(&mut self, family: Family, from: impl Into<Bytes>, to: impl Into<Bytes>) {
        self.push(Op::DeleteRange { family, from: from.into(), to: to.into() });
    }

    /// Keys and values together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }

    fn push(&mut self, op: Op) {
        self.bytes += op.bytes();
        self.ops.push(op);
    }
}
