//! Nodes that want to be let in, under addresses of their own and of others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use muster_cluster::{Cluster, NetOptions, NodesOptions, OpenError, testing};

use crate::recorder::run;

/// An address where nobody listens.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address")
}

/// Starts a node; `advertise` is what it tells others to dial.
async fn enter(
    folder: &Path,
    listen: SocketAddr,
    advertise: SocketAddr,
    seeds: &[SocketAddr],
) -> Result<Cluster, OpenError> {
    let mut options = testing::options(folder, 1);
    let net = NetOptions {
        listen,
        advertise: Some(advertise.to_string()),
        source: None,
        key: b"a key that only these nodes have".to_vec(),
        tls: None,
    };
    let seeds = seeds.iter().map(SocketAddr::to_string).collect();
    options.nodes = NodesOptions { net: Some(net), seeds, ..NodesOptions::default() };
    tokio::time::timeout(Duration::from_secs(20), Cluster::enter(options)).await.expect("an answer")
}

fn numbers(cluster: &Cluster) -> Vec<u32> {
    cluster.members().borrow().nodes().iter().map(|card| card.id().number()).collect()
}

#[test]
fn nobody_joins_under_the_address_of_a_node_that_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| dir.path().join(name);
    let (a, b) = (free_address(), free_address());
    run(async {
        let first = enter(&folder("a"), a, a, &[]).await.expect("a cluster of one");
        let second = enter(&folder("b"), b, b, &[a]).await.expect("let in");
        for (taken, seed) in [(b, a), (a, b)] {
            let refused = enter(&folder("c"), free_address(), taken, &[seed]).await.err().expect("refused").to_string();
            assert!(refused.contains(&format!("the address {taken}, where node")), "{refused}");
        }
        let known = first.members().borrow().nodes().to_vec();
        assert!(known.iter().any(|card| card.id() == second.node()), "{known:?}");

        second.stop().await;
        drop(second);
        let again = enter(&folder("b, anew"), b, b, &[a]).await.expect("a node that lost its folder is let in");
        assert_eq!((again.node().number(), numbers(&again)), (2, vec![1, 2]));
        again.stop().await;
        first.stop().await;
    });
}
