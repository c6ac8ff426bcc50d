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
/// What is waited for is logged this often, and what is new about it so soon.
const SAY_EVERY: Duration = Duration::from_secs(10);
const SAY_NEWS_EVERY: Duration = Duration::from_secs(1);
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
        let mut said = None::<(Instant, String)>;
        loop {
            let waits_for = match self.round().await? {
                Round::Join(address) => match self.join(address, incarnation).await? {
                    Ok(formed) => return Ok(formed),
                    Err(reason) => format!("a cluster to let this node in{reason}"),
                },
                Round::Found => return self.found(incarnation),
                Round::Wait(reason) => reason,
            };
            self.options.nodes.waits_for.send_replace(waits_for.clone());
            let is_due = |(at, before): (Instant, &String)| {
                at.elapsed() >= if *before == waits_for { SAY_EVERY } else { SAY_NEWS_EVERY }
            };
            if said.as_ref().is_none_or(|(at, before)| is_due((*at, before))) {
                tracing::info!("waiting for {waits_for}");
                said = Some((Instant::now(), waits_for));
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

    async fn call(&self, address: &str, call: Call) -> Result<Answer, HandshakeError> {
        self.net.call_address(address, call, Instant::now() + CALL_TIMEOUT).await
    }

    /// Greets all seeds, and asks for their promises if this node is the one to form a cluster.
    async fn round(&self) -> Result<Round, OpenError> {
        let greetings = self.others().map(|seed| async move { (seed, self.call(seed, Call::Greet).await) });
        let greetings = futures::future::join_all(greetings).await;
        let mut present = 1;
        // Why seeds are not there, as what is waited for may be somebody to mend that.
        let mut absent = String::new();
        for (seed, answer) in &greetings {
            match answer {
                Ok(Answer::Greeting { cluster: Some(_), .. }) => return Ok(Round::Join((*seed).clone())),
                Ok(_) => present += 1,
                Err(error) => absent.push_str(&format!("; {seed}: {error}")),
            }
        }
        let nodes = &self.options.nodes;
        let expected = nodes.expected();
        let mut sorted: Vec<&String> = nodes.seeds.iter().collect();
        sorted.sort();
        if sorted.first().is_none_or(|first| first.as_str() != self.net.advertised()) {
            let first = sorted.first().map_or("nobody", |first| first.as_str());
            return Ok(Round::Wait(format!("{first}, the first of the seeds, to form a cluster{absent}")));
        }
        if present < expected {
            return Ok(Round::Wait(format!("{expected} nodes, {present} are there{absent}")));
        }
        let cluster = self.reception.promised().unwrap_or_else(rand::random);
        let mine = self.reception.promise(cluster).map_err(|error| self.failed(&error))?;
        let promises = self.others().map(|seed| self.call(seed, Call::Promise { cluster: mine }));
        let mut promised = 1;
        for answer in futures::future::join_all(promises).await {
            match answer {
                Ok(Answer::Promised { to }) if to == mine => promised += 1,
                Ok(Answer::Promised { to }) => {
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

    /// Asks to be let in, wherever the leader of the meta group is; if it is not known now, perhaps why.
    async fn join(&self, mut address: String, incarnation: u32) -> Result<Result<Formed, String>, OpenError> {
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
                Ok(Answer::Joined(JoinAnswer::Welcome { cluster, node, shards, members })) => {
                    tracing::info!(cluster = format_args!("{cluster:016x}"), "joined");
                    let identity = Identity { shards, cluster, node, founder: false };
                    return Ok(Ok(Formed { identity, members }));
                }
                Ok(Answer::Joined(JoinAnswer::Ask(Some(leader)))) => address = leader,
                Ok(Answer::Joined(JoinAnswer::Refused(reason))) => {
                    return Err(self.failed(&format!("the cluster does not let this node in: {reason}")));
                }
                Ok(_) => break,
                Err(error) => return Ok(Err(format!("; {address}: {error}"))),
            }
        }
        Ok(Err(String::new()))
    }
}
