//! The registry of a node: which shard an id belongs to, and who leads it.
//!
//! The actor owns the routing table as an immutable value that HTTP workers read without a message, and replaces it
//! when a leadership begins or ends, here or elsewhere.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use arc_swap::ArcSwap;
use muster_cluster::{Leadership, NodeId, Rows, ShardHandle, ShardId, Slot, shard_of_slot};
use tokio::sync::watch;

use super::host::ShardHost;
use super::inbox::Held;
use crate::metrics;

/// How often votes are counted: who has one changes without anybody here being told.
const COUNT_EVERY: Duration = Duration::from_millis(250);

/// One shard as this node reaches it.
#[derive(Clone)]
pub struct Route {
    pub shard: ShardId,
    pub host: actix::Addr<ShardHost>,
    pub handle: ShardHandle,
    pub rows: Rows,
    /// `None`: not led here, or not yet.
    pub leadership: Option<Leadership>,
    /// Who leads as far as this node knows; a hint.
    pub leader: Option<NodeId>,
}

impl Route {
    /// Whether this process leads the shard, or another one does as far as is known here.
    pub fn has_leader(&self, here: NodeId) -> bool {
        // While this node is the leader by name only, its rows are not yet those of a leader.
        self.leadership.is_some() || self.leader.is_some_and(|leader| leader != here)
    }
}

/// A shard's host as it was started.
#[derive(Clone)]
pub struct Hosted {
    pub host: actix::Addr<ShardHost>,
    pub handle: ShardHandle,
    pub held: Held,
}

/// Slot → shard → leader, at one moment.
#[derive(Clone)]
pub struct RoutingTable {
    routes: Vec<Route>,
}

impl RoutingTable {
    pub fn route(&self, slot: Slot) -> &Route {
        &self.routes[usize::from(shard_of_slot(slot, self.routes.len() as u16).0)]
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Shards that nobody leads as far as this node knows, whose name is given.
    pub fn leaderless(&self, here: NodeId) -> Vec<ShardId> {
        self.routes.iter().filter(|r| !r.has_leader(here)).map(|r| r.shard).collect()
    }
}

/// The table as workers hold it.
pub type Routing = Arc<ArcSwap<RoutingTable>>;

/// Says that the table was replaced, by counting; whoever met a leader that is none waits for it.
pub type RoutesChanged = watch::Receiver<u64>;

/// Keeps the routing table.
pub struct RegistryActor {
    routing: Routing,
    replaced: watch::Sender<u64>,
    /// Who led each shard when that was last known.
    last_leaders: Vec<Option<NodeId>>,
}

impl RegistryActor {
    /// Starts the registry on the calling arbiter; the table is there at once.
    pub fn start_here(hosts: Vec<Hosted>) -> (Routing, RoutesChanged) {
        let routes = hosts
            .into_iter()
            .map(|Hosted { host, handle, .. }| Route {
                shard: handle.id(),
                host,
                rows: handle.rows().clone(),
                leadership: *handle.leadership().borrow(),
                leader: *handle.leader().borrow(),
                handle,
            })
            .collect();
        let routing: Routing = Arc::new(ArcSwap::from_pointee(RoutingTable { routes }));
        let (replaced, changed) = watch::channel(0);
        let last_leaders = vec![None; routing.load().routes().len()];
        Self { routing: routing.clone(), replaced, last_leaders }.start();
        (routing, changed)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leads {
    shard: ShardId,
    leadership: Option<Leadership>,
    leader: Option<NodeId>,
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let now = self.routing.load_full();
        // What was so before the registry was started changes perhaps never.
        (0..now.routes.len()).for_each(|at| self.count(&now, at));
        for route in now.routes() {
            let (shard, registry) = (route.shard, ctx.address());
            let (mut here, mut anywhere) = (route.handle.leadership(), route.handle.leader());
            let follow = async move {
                loop {
                    let (leadership, leader) = (*here.borrow_and_update(), *anywhere.borrow_and_update());
                    registry.do_send(Leads { shard, leadership, leader });
                    let changed = tokio::select! {
                        changed = here.changed() => changed,
                        changed = anywhere.changed() => changed,
                    };
                    if changed.is_err() {
                        return;
                    }
                }
            };
            ctx.spawn(follow.into_actor(self));
        }
        ctx.run_interval(COUNT_EVERY, |registry, _| {
            let votes = registry.routing.load().routes().iter().filter(|route| route.handle.votes()).count();
            metrics::get().shards_voting.set(votes as f64);
        });
    }
}

impl RegistryActor {
    fn count(&mut self, next: &RoutingTable, at: usize) {
        let leader = next.routes[at].leader;
        metrics::get().shard_leader(at as u16).set(f64::from(leader.map_or(0, NodeId::number)));
        let led = next.routes.iter().filter(|route| route.leadership.is_some()).count();
        metrics::get().shards_led.set(led as f64);
        if let Some(leader) = leader
            && self.last_leaders[at].replace(leader).is_some_and(|before| before != leader)
        {
            metrics::get().leader_changes.increment(1);
        }
    }
}

impl Handler<Leads> for RegistryActor {
    type Result = ();

    fn handle(&mut self, leads: Leads, _ctx: &mut Self::Context) {
        let now = self.routing.load();
        let at = usize::from(leads.shard.0);
        if now.routes[at].leadership == leads.leadership && now.routes[at].leader == leads.leader {
            return;
        }
        let mut next = RoutingTable::clone(&now);
        next.routes[at].leadership = leads.leadership;
        next.routes[at].leader = leads.leader;
        self.count(&next, at);
        self.routing.store(Arc::new(next));
        self.replaced.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
impl RoutingTable {
    /// The same shards, all but one of them led by another node.
    pub(super) fn leading_only(&self, shard: Option<u16>, leader: Option<NodeId>) -> Self {
        let mut table = self.clone();
        for route in table.routes.iter_mut().filter(|route| Some(route.shard.0) != shard) {
            (route.leadership, route.leader) = (None, leader);
        }
        table
    }
}
