//! Wrong arrows, one way of writing after the other: the checker must see each, and nothing in what is right.

use crate::rules::{Source, callers_of_decide, violations};
use crate::scan::scan;

/// File, its text, and what the complaint must contain.
#[rustfmt::skip]
const WRONG: &[(&str, &str, &str)] = &[
    // Each layer calls one it must not know.
    ("src/main.rs", "use muster::store::keys;", "main may not use store"),
    ("src/cli/serve.rs", "use crate::actors::Service;", "cli may not use actors"),
    ("src/cli/usersig.rs", "use crate::api::admin::create_group;", "cli may not use api"),
    ("src/cli/doctor.rs", "use muster_cluster::Disk;", "cli may not use this of cluster"),
    ("src/bench/client.rs", "use crate::config::Config;", "bench may not use config"),
    ("src/node.rs", "use crate::cli::Args;", "node may not use cli"),
    ("src/config.rs", "use crate::api::Api;", "config may not use api"),
    ("src/api/mod.rs", "use crate::store::Rows;", "api may not use store"),
    ("src/api/auth.rs", "use crate::shard::Entry;", "api may not use shard"),
    ("src/api/ops/health.rs", "use muster_cluster::Health;", "api may not use this of cluster"),
    ("src/api/auth.rs", "use crate::node::Node;", "api may not use node"),
    ("src/actors/group.rs", "use crate::api::error::Code;", "actors may not use api"),
    ("src/actors/group.rs", "use crate::store::keys;", "actors may not use store"),
    ("src/shard/machine.rs", "use crate::actors::Service;", "shard may not use actors"),
    ("src/store/member_row.rs", "use crate::group::Role;", "store may not use group"),
    ("src/store/mod.rs", "use muster_cluster::ShardHandle;", "store may not use this of cluster"),
    ("src/store/mod.rs", "use muster_cluster as c;", "store may not use this of cluster"),
    ("src/group/mute.rs", "use crate::store::keys;", "group may not use store"),
    ("src/group/mute.rs", "use crate::metrics;", "group may not use metrics"),
    ("src/group/mute.rs", "use muster_cluster::Slot;", "group may not use this of cluster"),
    ("src/account/mod.rs", "use crate::group::Kind;", "account may not use group"),
    ("src/time.rs", "use crate::config::Config;", "time may not use config"),
    ("src/id.rs", "use crate::group::Kind;", "id may not use group"),
    ("src/metrics.rs", "use crate::actors::Service;", "metrics may not use actors"),
    ("src/lib.rs", "mod store; fn f() { store::open() }", "lib may not use store"),
    ("src/lib.rs", "pub use actors::Service; mod actors;", "lib may not use actors"),
    ("src/plugin/mod.rs", "use std::fmt;", "a room without a line"),
    ("cluster/src/raft/machine.rs", "use muster::group::Group;", "cluster knows nothing of src"),

    // Engines outside cluster/.
    ("src/shard/proposer.rs", "use openraft::Raft;", "stays inside cluster/"),
    ("src/store/mod.rs", "fn f(db: &rocksdb::DB) {}", "stays inside cluster/"),
    ("tests/api/main.rs", "use rocksdb::DB;", "stays inside cluster/"),

    // A crate outside the folder that keeps it.
    ("src/api/admin/create_group.rs", "#[derive(utoipa::ToSchema)] struct Request;", "stays inside src/api/openapi/"),
    ("src/config.rs", "use utoipa::openapi::OpenApi;", "stays inside src/api/openapi/"),

    // Rules that ask the outside.
    ("src/group/mute.rs", "use std::time::Instant;", "ask nothing of the outside"),
    ("src/group/mute.rs", "fn f() { std::fs::read(\"x\"); }", "ask nothing of the outside"),
    ("src/group/state.rs", "#[derive(Clone, serde::Serialize)] struct S;", "may not use serde"),
    ("src/group/state.rs", "use tokio::sync::mpsc;", "may not use tokio"),
    ("src/actors/group.rs", "fn f() { std::time::SystemTime::now(); }", "time of day"),

    // Other ways of writing the same.
    ("src/api/mod.rs", "use crate::{group::Kind, store::{self, keys}};", "api may not use store"),
    ("src/api/mod.rs", "pub use crate::store::*;", "api may not use store"),
    ("src/api/mod.rs", "use crate::store as rows;", "api may not use store"),
    ("src/api/mod.rs", "use crate as root; fn f() { root::store::open() }", "api may not use store"),
    ("src/api/mod.rs", "use crate::*;", "api may not use *"),
    ("src/api/admin/create.rs", "use super::super::super::store;", "api may not use store"),
    ("src/api/admin/mod.rs", "mod a { fn f() { super::super::super::shard::x() } }", "api may not use shard"),
    ("src/api/mod.rs", "fn f() -> Vec<crate::store::Row> { Vec::new() }", "api may not use store"),
    ("src/api/mod.rs", "fn f() { info!(\"{}\", crate::store::open()) }", "api may not use store"),
    ("src/api/mod.rs", "fn f() { ::muster_cluster::r#open() }", "this of cluster"),
    ("src/api/mod.rs", "fn f(x: X) -> X { X { a: 1, ..crate::store::default() } }", "api may not use store"),
    ("src/api/mod.rs", "macro_rules! m { () => { $crate::store::open() } }", "api may not use store"),
    // Tests are held to the same arrows.
    ("src/api/mod.rs", "#[cfg(test)] mod tests { use crate::store::keys; }", "api may not use store"),
    ("src/store/mod.rs", "use crate::group::testing::a_group;", "store may not use group"),
    ("src/group/mute.rs", "use proptest::prelude::*;", "may not use proptest"),
];

/// What the arrows allow, and what only looks like an arrow.
#[rustfmt::skip]
const RIGHT: &[(&str, &str)] = &[
    ("src/main.rs", "use muster::{cli, node}; fn main() { muster::config::load(); }"),
    ("src/cli/usersig.rs", "use crate::api::auth::UserSig; use crate::bench; use crate::time::SystemClock;"),
    ("src/node.rs", "use crate::{api, actors, shard, store, config::Config, metrics}; use muster_cluster::Cluster;"),
    ("src/config.rs", "use config::Config; use crate::group::Limits; use crate::id::AppId;"),
    ("src/api/mod.rs", "use crate::actors::Service; use crate::group::{Command, Kind}; use super::id::AppId;"),
    ("src/actors/group.rs", "use crate::shard::Entry; use muster_cluster::{Leadership, ShardHandle};"),
    ("src/shard/machine.rs", "use crate::store::keys; use muster_cluster::ShardMachine;"),
    ("src/store/mod.rs", "use muster_cluster::{Rows, Slot, disk::DiskError}; use crate::id::Gno;"),
    ("src/group/mute.rs", "use super::{Group, Refusal}; use crate::time::Stamp; use smol_str::SmolStr; use std::fmt;"),
    ("src/group/mod.rs", "mod mute; fn f() { mute::decide(u64::from(1u8), Role::Owner) }"),
    ("src/lib.rs", "//! See store.\npub mod actors;\npub mod store;"),
    ("cluster/src/lib.rs", "use openraft::Raft; use rocksdb::DB; use crate::disk::Disk;"),
    ("src/time.rs", "use std::time::{SystemTime, UNIX_EPOCH};"),
    ("src/bench/report.rs", "use std::time::SystemTime; use crate::time::Millis;"),
    // Words in comments and texts, local modules, fields and visibilities are no references.
    ("src/api/mod.rs", "/// Reads [`crate::store::keys`].\n// crate::store\nfn f() { let _ = \"crate::store\"; }"),
    ("src/api/mod.rs", "mod wire; fn f(x: X) { wire::render(x.store, x.group) }"),
    ("src/actors/view.rs", "pub(in crate::actors) fn f() {} pub(crate) fn g() {}"),
    ("src/store/mod.rs", "#[cfg(test)] mod tests { use crate::group::testing::a_group; }"),
    ("src/group/mute.rs", "#[cfg(test)] mod tests { use proptest::prelude::*; use super::*; }"),
    ("src/group/mute.rs", "#[rustfmt::skip] #[allow(clippy::all)] fn f() {}"),
];

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned(), test: false }
}

#[test]
fn a_wrong_arrow_is_seen() {
    for (file, text, complaint) in WRONG {
        let found = violations(&source(file, text));
        assert!(found.iter().any(|v| v.why.contains(complaint)), "{file}: {text}\nfound {found:?}, not: {complaint}");
    }
}

#[test]
fn a_right_arrow_is_left_alone() {
    for (file, text) in RIGHT {
        assert_eq!(violations(&source(file, text)), [], "{file}: {text}");
    }
}

#[test]
fn a_violation_names_its_line() {
    let found = violations(&source("src/api/mod.rs", "use std::fmt;\n\nuse crate::{\n    store,\n};"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].to_string(), "src/api/mod.rs:3: crate::store: api may not use store");
}

#[test]
fn callers_of_decide_are_counted_however_they_are_written() {
    #[rustfmt::skip]
    let table = [
        ("src/actors/group.rs", "use crate::group; fn f() { group::decide(a, b, c) }", 1),
        ("src/actors/group.rs", "use crate::group::decide; fn f() { decide(a, b, c); decide(d, e, f) }", 2),
        ("src/actors/group.rs", "use crate::group::decide as judge; fn f() { xs.map(judge) }", 1),
        ("src/actors/group.rs", "fn f() { crate::group::decide(a, b, c) }", 1),
        ("src/actors/group.rs", "use crate::group::*;", 1),
        ("src/actors/group.rs", "use crate::group::decide; fn f(x: X) { x.decide() }", 0),
        ("src/actors/group.rs", "#[cfg(test)] mod tests { fn f() { crate::group::decide(a, b, c) } }", 0),
        ("src/group/mod.rs", "mod mute; fn f() { mute::decide(a); crate::group::decide(b) }", 0),
    ];
    for (file, text, count) in table {
        assert_eq!(callers_of_decide(&source(file, text)).len(), count, "{text}");
    }
}

#[test]
fn test_files_and_test_code_are_told_apart() {
    let text = "#[cfg(test)] mod testing; mod state; #[cfg(not(test))] use a::b; #[cfg(test)] use c::d; use e::f;";
    let found = scan(text, &["group"]).expect("tokens");
    assert_eq!(found.test_files, ["testing"]);
    let tests: Vec<_> = found.references.iter().map(|r| (r.path.join("::"), r.test)).collect();
    assert_eq!(tests, [("a::b".into(), false), ("c::d".into(), true), ("e::f".into(), false)]);

    let mut declared = source("src/group/mod.rs", text).declares_tests();
    declared.extend(source("src/lib.rs", "#[cfg(test)] mod harness;").declares_tests());
    let wanted = ["src/group/testing.rs", "src/group/testing/", "src/harness.rs", "src/harness/"];
    assert_eq!(declared, wanted);
    let testing = Source { test: true, ..source("src/group/testing.rs", "use proptest::prelude::*;") };
    assert_eq!(violations(&testing), []);
}
