//! For those who look after a cluster: how its nodes and shards fare, asked of one node and answered for all.
//!
//! ```text
//! muster ctl ──HTTP, key──► door ──► gather ──► every node: a question        (wire.rs, by the way between nodes)
//!                                       ├─────► status: one picture of the answers, and what is wrong with it
//!                                       └─────► doctor: do all nodes say, and have, the same?
//! ```
//!
//! A door of its own, with a key of its own: neither the users' signatures nor the key between nodes open it. It only
//! looks: nothing here changes a group, a shard or a node.

mod background;
pub mod doctor;
mod door;
mod gather;
mod hashing;
pub mod status;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use muster_cluster::{Cluster, ShardId};

pub use door::Door;
pub use wire::KIND;

use self::background::Background;
use self::doctor::Runs;
use self::hashing::Hashing;
use self::status::NodeStatus;
use self::wire::{Answer, Question};

/// How long a node may take to say how it fares; whoever does not is shown as such.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a node says of itself beside its replicas.
pub struct About {
    pub name: String,
    pub zone: String,
    pub began: Instant,
    /// Why the node does not serve right now.
    pub not_ready: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// This node's part in looking after the cluster.
pub struct Admin {
    cluster: Cluster,
    about: About,
    background: Background,
    hashing: Hashing,
    runs: Runs,
}

impl Admin {
    pub fn new(cluster: Cluster, about: About) -> Arc<Self> {
        let (background, hashing, runs) = (Background::default(), Hashing::default(), Runs::default());
        Arc::new(Self { cluster, about, background, hashing, runs })
    }

    /// Answers another node, given its call without the first byte.
    pub async fn attend(&self, call: Bytes) -> Bytes {
        let answer = match Question::decode(&call) {
            Ok(question) => self.answer(question).await,
            Err(error) => Answer::Failed { reason: error.to_string() },
        };
        answer.encode()
    }

    /// Ends what reads rows, and waits for that; to be called before the cluster is stopped.
    pub async fn stop(&self) {
        self.background.stop().await;
    }

    async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Status {} => Answer::Status(self.own_status()),
            Question::Applied { shard } => {
                let report = self.cluster.report().into_iter().find(|of| of.shard == shard.map(ShardId));
                match report {
                    Some(report) => Answer::Applied { index: report.applied },
                    None => Answer::Failed { reason: "there is no replica of the shard".to_owned() },
                }
            }
            Question::Hash { shard, index, job } => {
                let (cluster, shard) = (self.cluster.clone(), shard.map(ShardId));
                self.hashing.begin(cluster, &self.background, shard, index, job).await
            }
            Question::Hashed { job } => self.hashing.state(job),
        }
    }

    /// How this node fares.
    fn own_status(&self) -> NodeStatus {
        NodeStatus {
            node: self.cluster.node().0,
            name: self.about.name.clone(),
            zone: self.about.zone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: self.about.began.elapsed().as_millis() as u64,
            not_ready: (self.about.not_ready)(),
            replicas: self.cluster.report().into_iter().map(Into::into).collect(),
        }
    }
}
