//! The registry of a node: which shard an id belongs to, and who leads it.
//!
//! The actor owns the routing table as an immutable value that HTTP workers read without a message, and replaces it
//! when a leadership begins or ends.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use arc_swap::ArcSwap;
use muster_cluster::{Leadership, Rows, ShardHandle, ShardId, Slot, shard_of_slot};

use super::host::ShardHost;
use super::inbox::Held;

/// One shard as this node reaches it.
#[derive(Clone)]
pub struct Route {
    pub shard: ShardId,
    pub host: actix::Addr<ShardHost>,
    pub handle: ShardHandle,
    pub rows: Rows,
    pub held: Held,
    /// `None`: not led here, or not yet.
    pub leadership: Option<Leadership>,
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

    /// Shards that nobody leads as far as this node knows.
    pub fn leaderless(&self) -> Vec<ShardId> {
        self.routes.iter().filter(|r| r.leadership.is_none()).map(|r| r.shard).collect()
    }
}

/// The table as workers hold it.
pub type Routing = Arc<ArcSwap<RoutingTable>>;

/// Keeps the routing table.
pub struct RegistryActor {
    routing: Routing,
}

impl RegistryActor {
    /// Starts the registry on the calling arbiter; the table is there at once.
    pub fn start_here(hosts: Vec<Hosted>) -> Routing {
        let routes = hosts
            .into_iter()
            .map(|Hosted { host, handle, held }| Route {
                shard: handle.id(),
                host,
                rows: handle.rows().clone(),
                held,
                leadership: *handle.leadership().borrow(),
                handle,
            })
            .collect();
        let routing: Routing = Arc::new(ArcSwap::from_pointee(RoutingTable { routes }));
        Self { routing: routing.clone() }.start();
        routing
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leads {
    shard: ShardId,
    leadership: Option<Leadership>,
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for route in self.routing.load().routes() {
            let (shard, mut watch, registry) = (route.shard, route.handle.leadership(), ctx.address());
            let follow = async move {
                loop {
                    let leadership = *watch.borrow_and_update();
                    registry.do_send(Leads { shard, leadership });
                    if watch.changed().await.is_err() {
                        return;
                    }
                }
            };
            ctx.spawn(follow.into_actor(self));
        }
    }
}

impl Handler<Leads> for RegistryActor {
    type Result = ();

    fn handle(&mut self, leads: Leads, _ctx: &mut Self::Context) {
        let now = self.routing.load();
        let at = usize::from(leads.shard.0);
        if now.routes[at].leadership == leads.leadership {
            return;
        }
        let mut next = RoutingTable::clone(&now);
        next.routes[at].leadership = leads.leadership;
        self.routing.store(Arc::new(next));
    }
}
