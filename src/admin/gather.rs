//! Asks every node of the cluster at once. Whoever does not answer is kept, with the reason.

use std::time::Instant;

use futures::future::join_all;
use muster_cluster::{NodeCard, NodeId};

use super::status::{ClusterStatus, NodeStatus, picture};
use super::wire::{Answer, Question};
use super::{ANSWER_TIMEOUT, Admin};

/// A release that answers something else than was asked does not exist.
pub(super) const OTHER_ANSWER: &str = "it answers something else";

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
            self.answer(question).await
        } else {
            let said = self.cluster.call(node, question.encode(), deadline).await.map_err(|error| error.to_string())?;
            Answer::decode(&said).map_err(|error| error.to_string())?
        };
        match answer {
            Answer::Failed { reason } => Err(reason),
            answer => Ok(answer),
        }
    }

    /// The nodes there are, and how each of them fares.
    pub(super) async fn all(&self) -> Vec<(NodeCard, Told<NodeStatus>)> {
        let cards = self.cards();
        let answers = join_all(cards.iter().map(|card| self.status_of(card.id()))).await;
        cards.into_iter().zip(answers).collect()
    }

    /// How all nodes fare, as this one hears it.
    pub(super) async fn status(&self) -> ClusterStatus {
        picture(self.cluster.node(), self.cluster.id(), &self.all().await)
    }

    async fn status_of(&self, node: NodeId) -> Told<NodeStatus> {
        match self.ask(node, Question::Status {}, Instant::now() + ANSWER_TIMEOUT).await? {
            Answer::Status(status) => Ok(status),
            _ => Err(OTHER_ANSWER.to_owned()),
        }
    }
}
