//! How a node without an identity becomes part of a cluster: it joins the one there is, or helps to form one.
//!
//! Every node is given the same seeds. Only the first of the sorted seeds forms a cluster, and only once
//! `bootstrap_expect` nodes, more than half of the seeds, have stored a promise to belong to it. A node promises once.
//! So two halves that start apart cannot form two clusters: only one of them has the first seed, and what has promised
//! itself to one never helps to form another. A node that hears of a cluster joins it and never forms one.

use std::time::{Duration, Instant};

use crate::disk::{Identity, new_incarnation};
use crate::handle::{ClusterOptions, OpenError};
use crate::meta::NodeCard;
use crate::net::wire::{Answer, Call, JoinAnswer, JoinCall};
use crate::net::{HandshakeError, Net};
use crate::reception::Reception;

/// A seed that does not answer in that time is asked again later.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two rounds over the seeds.
const ROUND_EVERY: Duration = Duration::from_millis(250);
/// What is waited for is said this often.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Hops to the leader of the meta group in one round.
const HOPS_MAX: usize = 3;

/// Who a node is, and which nodes it knows of.
pub(crate) struct Formed {
    pub(crate) identity: Identity,
    pub(crate) members: Vec<NodeCard>,
}

pub(crate) struct Forming<'a> {
    pub(crate) options: &'a ClusterOptions,
    pub(crate) net: &'a Net,
    pub(crate) reception: &'a Reception,
}

/// What a round over the seeds has come to.
enum Round {
    /// A seed belongs to a cluster, or knows of one.
    Join(String),
    /// Nobody does, and it is this node's turn.
    Found,
    Wait(String),
}

impl Forming<'_> {
    /// Returns when the node has an identity.
    ///
    /// # Errors
    /// It never will: it was refused, or its folder cannot be written.
    pub(crate) async fn run(&self) -> Result<Formed, OpenError> {
        let incarnation = new_incarnation().map_err(|error| self.failed(&error))?;
        let mut said = None::<Instant>;
        loop {
            let waits_for = match self.round().await? {
                Round::Join(address) => match self.join(address, incarnation).await? {
                    Some(formed) => return Ok(formed),
                    None => "a cluster to let this node in".to_owned(),
                },
                Round::Found => return self.found(incarnation),
                Round::Wait(reason) => reason,
            };
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                tracing::info!("waiting for {waits_for}");
                said = Some(Instant::now());
            }
            tokio::time::sleep(ROUND_EVERY).await;
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> OpenError {
        OpenError::Failed { path: self.options.data_dir.clone(), reason: error.to_string() }
    }

    fn others(&self) -> impl Iterator<Item = &String> {
        let seeds = &self.options.nodes.seeds;
        seeds.iter().filter(|seed| seed.as_str() != self.net.advertised())
    }

    async fn call(&self, address: &str, call: Call) -> Option<Answer> {
        let answer = self.net.call_address(address, call, Instant::now() + CALL_TIMEOUT).await;
        match answer {
            Ok(answer) => Some(answer),
            Err(HandshakeError::WrongKey) => {
                tracing::error!(address, "the node there has another cluster.key");
                None
            }
            Err(error) => {
                tracing::debug!(address, %error, "a seed does not answer");
                None
            }
        }
    }

    /// Greets all seeds, and asks for their promises if this node is the one to form a cluster.
    async fn round(&self) -> Result<Round, OpenError> {
        let greetings = self.others().map(|seed| async move { (seed, self.call(seed, Call::Greet).await) });
        let greetings = futures::future::join_all(greetings).await;
        let mut present = 1;
        for (seed, answer) in &greetings {
            if let Some(Answer::Greeting { cluster, .. }) = answer {
                present += 1;
                if cluster.is_some() {
                    return Ok(Round::Join((*seed).clone()));
                }
            }
        }
        let nodes = &self.options.nodes;
        let expected = nodes.expected();
        let mut sorted: Vec<&String> = nodes.seeds.iter().collect();
        sorted.sort();
        if sorted.first().is_none_or(|first| first.as_str() != self.net.advertised()) {
            let first = sorted.first().map_or("nobody", |first| first.as_str());
            return Ok(Round::Wait(format!("{first}, the first of the seeds, to form a cluster")));
        }
        if present < expected {
            return Ok(Round::Wait(format!("{expected} nodes, {present} are there")));
        }
        let cluster = self.reception.promised().unwrap_or_else(rand::random);
        let mine = self.reception.promise(cluster).map_err(|error| self.failed(&error))?;
        let promises = self.others().map(|seed| self.call(seed, Call::Promise { cluster: mine }));
        let mut promised = 1;
        for answer in futures::future::join_all(promises).await {
            match answer {
                Some(Answer::Promised { to }) if to == mine => promised += 1,
                Some(Answer::Promised { to }) => {
                    tracing::error!(
                        cluster = format_args!("{to:016x}"),
                        "a seed has promised itself to another cluster: its data folder must be removed, or this one's"
                    );
                }
                _ => {}
            }
        }
        match promised >= expected {
            true => Ok(Round::Found),
            false => Ok(Round::Wait(format!("{expected} nodes to promise themselves, {promised} have"))),
        }
    }

    fn found(&self, incarnation: u32) -> Result<Formed, OpenError> {
        let Some(cluster) = self.reception.promised() else { return Err(self.failed(&"the promise is gone")) };
        let identity = Identity::founding(self.options.shards, cluster, incarnation);
        tracing::info!(cluster = format_args!("{cluster:016x}"), "forming a cluster");
        Ok(Formed { identity, members: Vec::new() })
    }

    /// Asks to be let in, wherever the leader of the meta group is; `None`: it is not known now.
    async fn join(&self, mut address: String, incarnation: u32) -> Result<Option<Formed>, OpenError> {
        let nodes = &self.options.nodes;
        let join = JoinCall {
            promised: self.reception.promised(),
            address: self.net.advertised().to_owned(),
            name: nodes.name.clone(),
            zone: nodes.zone.clone(),
            incarnation,
        };
        for _ in 0..HOPS_MAX {
            match self.call(&address, Call::Join(join.clone())).await {
                Some(Answer::Joined(JoinAnswer::Welcome { cluster, node, shards, members })) => {
                    tracing::info!(cluster = format_args!("{cluster:016x}"), "joined");
                    let identity = Identity { shards, cluster, node, founder: false };
                    return Ok(Some(Formed { identity, members }));
                }
                Some(Answer::Joined(JoinAnswer::Ask(Some(leader)))) => address = leader,
                Some(Answer::Joined(JoinAnswer::Refused(reason))) => {
                    return Err(self.failed(&format!("the cluster does not let this node in: {reason}")));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}
