//! Asks every node of the cluster at once. Whoever does not answer is kept, with the reason.

use std::future::Future;
use std::time::Instant;

use futures::future::join_all;
use muster_cluster::{NodeCard, NodeId};

use super::status::{ClusterStatus, NodeStatus, picture};
use super::wire::{Answer, Question};
use super::{ANSWER_TIMEOUT, Admin};

/// What came of asking a node; an error is the reason in words.
pub(super) type Told<T> = Result<T, String>;

impl Admin {
    /// The nodes there are; a node that knows of no cluster is one by itself.
    pub(super) fn cards(&self) -> Vec<NodeCard> {
        let members = self.cluster.members().borrow().clone();
        let own = self.cluster.node();
        let mut cards = members.nodes().to_vec();
        if cards.iter().all(|card| card.id() != own) {
            let (name, zone) = (self.about.name.clone(), self.about.zone.clone());
            cards.push(NodeCard { node: own.0, address: String::new(), name, zone });
        }
        cards
    }

    /// Asks one node, which may be this one.
    pub(super) async fn ask(&self, node: NodeId, question: Question, deadline: Instant) -> Told<Answer> {
        let answer = if node == self.cluster.node() {
            self.answer(question)
        } else {
            let said = self.cluster.call(node, question.encode(), deadline).await.map_err(|error| error.to_string())?;
            Answer::decode(&said).map_err(|error| error.to_string())?
        };
        match answer {
            Answer::Failed { reason } => Err(reason),
            answer => Ok(answer),
        }
    }

    /// How all nodes fare, as this one hears it.
    pub(super) async fn status(&self) -> ClusterStatus {
        let cards = self.cards();
        let asked = cards.iter().map(|card| self.status_of(card.id()));
        let answers: Vec<Told<NodeStatus>> = join_all(asked).await;
        picture(self.cluster.node(), self.cluster.id(), &cards, &answers)
    }

    fn status_of(&self, node: NodeId) -> impl Future<Output = Told<NodeStatus>> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        async move {
            match self.ask(node, Question::Status {}, deadline).await? {
                Answer::Status(status) => Ok(status),
                _ => Err("it answers something else".to_owned()),
            }
        }
    }
}
