//! Who answers other nodes: before this node belongs to a cluster, with what it has promised; afterwards by passing
//! their calls to the replicas and to the program above.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_bytes::ByteBuf;

use crate::disk::{read_promise, write_promise};
use crate::handle::{Inner, OpenError};
use crate::net::wire::{Answer, Call};
use crate::net::{Desk, Name};
use crate::peer::NodeId;
use crate::slot::ShardId;

/// The desk of a node.
pub(crate) struct Reception {
    data_dir: PathBuf,
    /// What the folder says of the cluster that this node will belong to.
    promised: Mutex<Option<u64>>,
    /// The node as part of a cluster, once it is.
    inner: OnceLock<Weak<Inner>>,
}

impl Reception {
    pub(crate) fn new(data_dir: PathBuf) -> Result<Arc<Self>, OpenError> {
        let promised = Mutex::new(read_promise(&data_dir)?);
        Ok(Arc::new(Self { data_dir, promised, inner: OnceLock::new() }))
    }

    /// From now on the node is part of a cluster.
    pub(crate) fn opened(&self, inner: &Arc<Inner>) {
        let _ = self.inner.set(Arc::downgrade(inner));
    }

    fn inner(&self) -> Option<Arc<Inner>> {
        self.inner.get().and_then(Weak::upgrade)
    }

    pub(crate) fn promised(&self) -> Option<u64> {
        *self.promised.lock()
    }

    /// Promises to belong to a cluster unless another one was promised to before; returns the one that holds.
    pub(crate) fn promise(&self, cluster: u64) -> std::io::Result<u64> {
        let mut promised = self.promised.lock();
        if let Some(before) = *promised {
            return Ok(before);
        }
        write_promise(&self.data_dir, cluster)?;
        *promised = Some(cluster);
        Ok(cluster)
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(reason.to_owned())
}

impl Desk for Reception {
    fn answer(&self, from: Name, call: Call, deadline: Instant) -> BoxFuture<'static, Answer> {
        let inner = self.inner();
        let answer = match (call, inner) {
            (Call::Greet, inner) => {
                Answer::Greeting { cluster: inner.map(|inner| inner.cluster_id()), promised: self.promised() }
            }
            (Call::Promise { .. }, Some(inner)) => Answer::Promised { to: inner.cluster_id() },
            (Call::Promise { cluster }, None) => match self.promise(cluster) {
                Ok(to) => Answer::Promised { to },
                Err(error) => Answer::Refused(format!("the promise cannot be kept: {error}")),
            },
            (_, None) => refused("this node is not part of a cluster yet"),
            (Call::Join(join), Some(inner)) => {
                return async move { Answer::Joined(inner.admit(join, deadline).await) }.boxed();
            }
            (call, Some(inner)) => match from.node {
                Some(node) if from.cluster == Some(inner.cluster_id()) => return within(inner, node, call, deadline),
                _ => refused("only nodes of this cluster may ask that"),
            },
        };
        futures::future::ready(answer).boxed()
    }
}

/// Calls of nodes of the same cluster.
pub(crate) fn within(inner: Arc<Inner>, from: u64, call: Call, deadline: Instant) -> BoxFuture<'static, Answer> {
    match call {
        Call::Raft(shard, call) => async move {
            let Some(replica) = inner.replica(ShardId(shard)) else { return refused("no such shard here, or not yet") };
            match replica.serve(call).await {
                Ok(answer) => Answer::Raft(answer),
                Err(reason) => Answer::Refused(reason),
            }
        }
        .boxed(),
        Call::Above(call) => {
            let Some(attendant) = inner.attendant() else {
                return futures::future::ready(refused("the node is starting")).boxed();
            };
            let answer = attendant.answer(NodeId(from), Bytes::from(call.into_vec()), deadline);
            async move { Answer::Above(ByteBuf::from(answer.await.to_vec())) }.boxed()
        }
        Call::Moved(card) if card.node == from => async move {
            match inner.note(card, deadline).await {
                true => Answer::Noted,
                false => refused("the meta group is not led here"),
            }
        }
        .boxed(),
        Call::Where(number) => futures::future::ready(Answer::At(inner.address_of(number))).boxed(),
        _ => futures::future::ready(refused("that is not answered to a node of the cluster")).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_promises_itself_once_whatever_happens_to_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let reception = || Reception::new(folder.path().to_owned()).expect("a readable folder");
        assert_eq!(reception().promised(), None);
        assert_eq!(reception().promise(7).expect("written"), 7);
        let again = reception();
        assert_eq!(again.promised(), Some(7));
        assert_eq!(again.promise(8).expect("written"), 7, "who asks later hears of the first one");
        std::fs::write(folder.path().join("PROMISE"), "cluster 0000000000000008\n").expect("written");
        assert!(Reception::new(folder.path().to_owned()).is_err(), "a damaged promise is not taken for none");
    }
}
