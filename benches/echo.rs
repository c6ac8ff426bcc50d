//! How many requests a second can a bare HTTP service answer here, driven as the workloads are?
//!
//! actix-web with one handler that reads the body and answers the shortest good answer. Nothing that
//! Muster does can be faster; its profile reads are held against this in the same run.
//!
//!     cargo bench --bench echo                                  the figure
//!     cargo bench --bench echo -- --serve 127.0.0.1:8090        only the service, for any other driver

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use muster::bench::client::Connection;
use muster::bench::request::{Operation, Renderer, User};
use tokio::task::{JoinSet, LocalSet};

#[path = "bare/mod.rs"]
mod bare;

use bare::{ANSWER, serve};

/// Connections of the workloads.
const CONNECTIONS: u64 = 64;

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "--serve").skip(1);
    match words.next() {
        Some(address) => serve(TcpListener::bind(address).expect("the address is free")),
        None => measure(),
    }
}

fn measure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    std::thread::spawn(|| serve(listener));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("echo");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("64 connections", |bencher| {
        bencher.iter_custom(|operations| LocalSet::new().block_on(&runtime, ask(address, operations)));
    });
    group.finish();
    criterion.final_summary();
}

/// Asks `operations` times over all connections together; connecting is not measured.
async fn ask(address: SocketAddr, operations: u64) -> Duration {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS.min(operations) {
        let mut connection = Connection::new(&address.to_string()).expect("an address is a good target");
        connection.connect().await.expect("the service listens");
        connections.push(connection);
    }
    let left = Rc::new(std::cell::Cell::new(operations));
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in connections {
        let left = left.clone();
        running.spawn_local(async move {
            let mut renderer = Renderer::new("echo", "sdkappid=1&identifier=administrator&usersig=xxx");
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                let request = renderer.render(&Operation::JoinedList { user: User::Numbered("m", rest) }, rest as u32);
                let answer = connection.post(request).await.expect("the service answers");
                assert_eq!(answer.body, ANSWER);
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no connection fails");
    }
    begin.elapsed()
}
