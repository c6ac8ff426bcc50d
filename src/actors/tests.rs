//! The whole path below HTTP: commands through actors, log and rows on a real database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_cluster::{Cluster, ClusterOptions, DiskObserver, DiskOptions};

use super::*;
use crate::group::{
    Add, AddResult, Answer, Command, Create, Destroy, Kind, Limits, NewMember, Operator, Refusal, Remove, Role,
};
use crate::id::{AccountId, AppId, GroupId};

const APP: AppId = AppId(7);

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn group(name: &str) -> GroupId {
    GroupId::parse(name).unwrap()
}

fn operator() -> Operator {
    Operator::AppAdmin { name: account("administrator") }
}

fn create(owner: Option<&str>, members: &[&str]) -> Command {
    Command::Create(Create {
        operator: operator(),
        kind: Kind::Public,
        name: "a group".into(),
        introduction: String::new(),
        notification: String::new(),
        face_url: String::new(),
        owner: owner.map(account),
        members_max: None,
        apply_join: None,
        invite_join: None,
        custom: vec![],
        members: members
            .iter()
            .map(|m| NewMember { account: account(m), role: Role::Member, custom: vec![] })
            .collect(),
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
    })
}

fn add(accounts: &[String]) -> Command {
    let accounts = accounts.iter().map(|a| account(a)).collect();
    Command::Add(Add { operator: operator(), accounts, silent: true })
}

fn remove(accounts: &[&str]) -> Command {
    let accounts = accounts.iter().map(|a| account(a)).collect();
    Command::Remove(Remove { operator: operator(), accounts, silent: false, reason: String::new() })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

async fn start_in(folder: &std::path::Path, limits: Limits) -> (Cluster, Service) {
    let cluster = Cluster::open(ClusterOptions {
        data_dir: folder.to_owned(),
        shards: 4,
        disk: DiskOptions {
            flush: false,
            block_cache_bytes: 8 << 20,
            memtable_bytes: 8 << 20,
            wal_bytes: 64 << 20,
            observer: DiskObserver::default(),
        },
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_millis(600),
        election_max: Duration::from_millis(1000),
        log_bytes_max: 16 << 20,
    })
    .unwrap();
    let limits: AppLimits = Arc::new([(APP, Arc::new(limits))].into_iter().collect());
    let arbiters = [actix_rt::Arbiter::current()];
    let service = start(cluster.clone(), &arbiters, HostOptions::default(), limits).await.unwrap();
    service.until_ready(Duration::from_secs(10)).await.unwrap();
    (cluster, service)
}

fn joined_ids(list: &JoinedList) -> Vec<&str> {
    list.groups.iter().map(|g| g.id.as_str()).collect()
}

fn all() -> JoinedQuery {
    JoinedQuery { limit: 5000, ..JoinedQuery::default() }
}

#[actix_rt::test]
async fn a_change_is_seen_by_every_read_that_follows_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, service) = start_in(folder.path(), Limits::default()).await;
    let g = group("g1");
    let done = service.submit(APP, g.clone(), create(Some("ann"), &["bob"]), soon()).await;
    assert_eq!(done, Ok(Answer::Done));
    assert_eq!(
        service.submit(APP, g.clone(), create(Some("ann"), &[]), soon()).await,
        Err(SubmitError::Refused(Refusal::GroupIdOwned))
    );
    for n in 0..50 {
        let name = format!("u{n}");
        let added = service.submit(APP, g.clone(), add(&[name.clone(), "bob".into()]), soon()).await;
        assert_eq!(added, Ok(Answer::Added(vec![AddResult::Added, AddResult::AlreadyMember])));
        let joined = service.joined(APP, &account(&name), all(), soon()).await.unwrap();
        assert_eq!(joined_ids(&joined), ["g1"]);
    }
    let read = service.groups(APP, &[g.clone(), group("none")], true, soon()).await;
    let view = read[0].as_ref().unwrap();
    assert_eq!(view.facts.member_count, 52);
    assert_eq!(view.members.as_ref().unwrap().len(), 52);
    assert_eq!(read[1], Err(ReadError::NoSuchGroup));
    let removed = service.submit(APP, g.clone(), remove(&["bob", "nobody"]), soon()).await;
    assert_eq!(removed, Ok(Answer::Done));
    assert_eq!(service.joined(APP, &account("bob"), all(), soon()).await.unwrap().total, 0);
    let destroyed = service.submit(APP, g.clone(), Command::Destroy(Destroy { operator: operator() }), soon()).await;
    assert_eq!(destroyed, Ok(Answer::Done));
    assert_eq!(service.joined(APP, &account("ann"), all(), soon()).await.unwrap().total, 0);
    assert_eq!(
        service.submit(APP, g.clone(), add(&["zoe".into()]), soon()).await,
        Err(SubmitError::Refused(Refusal::NoSuchGroup))
    );
    assert_eq!(service.submit(APP, g, create(None, &[]), soon()).await, Ok(Answer::Done));
    cluster.stop().await;
}

#[actix_rt::test]
async fn concurrent_joins_of_one_group_are_pipelined_and_all_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, service) = start_in(folder.path(), Limits::default()).await;
    let g = group("hot");
    service.submit(APP, g.clone(), create(Some("ann"), &[]), soon()).await.unwrap();
    let joins = (0..500).map(|n| service.submit(APP, g.clone(), add(&[format!("u{n}")]), soon()));
    for joined in futures::future::join_all(joins).await {
        assert_eq!(joined, Ok(Answer::Added(vec![AddResult::Added])));
    }
    let twice = (0..50).map(|_| service.submit(APP, g.clone(), add(&["same".into()]), soon()));
    let added = futures::future::join_all(twice).await;
    let firsts = added.iter().filter(|a| **a == Ok(Answer::Added(vec![AddResult::Added]))).count();
    assert_eq!(firsts, 1);
    for n in 0..500 {
        let joined = service.joined(APP, &account(&format!("u{n}")), all(), soon()).await.unwrap();
        assert_eq!(joined.total, 1, "u{n}");
    }
    let query = MemberQuery { roles: vec![], from: PageStart::Offset(300), limit: 100 };
    let page = service.members(APP, &g, query, soon()).await.unwrap();
    assert_eq!((page.member_count, page.members.len()), (502, 100));
    assert_eq!(page.members[0].account, account("u299"));
    cluster.stop().await;
}

#[actix_rt::test]
async fn a_disband_beyond_one_chunk_reaches_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, service) = start_in(folder.path(), Limits::default()).await;
    let g = group("big");
    service.submit(APP, g.clone(), create(Some("ann"), &[]), soon()).await.unwrap();
    for chunk in 0..6 {
        let names: Vec<String> = (0..300).map(|n| format!("u{}", chunk * 300 + n)).collect();
        service.submit(APP, g.clone(), add(&names), soon()).await.unwrap();
    }
    service.submit(APP, g.clone(), Command::Destroy(Destroy { operator: operator() }), soon()).await.unwrap();
    // Also those whom no message has reached yet do not see it.
    for name in ["ann", "u0", "u700", "u1799"] {
        assert_eq!(service.joined(APP, &account(name), all(), soon()).await.unwrap().total, 0, "{name}");
    }
    service.submit(APP, g.clone(), create(Some("bob"), &["u700"]), soon()).await.unwrap();
    assert_eq!(service.joined(APP, &account("u700"), all(), soon()).await.unwrap().total, 1);
    cluster.stop().await;
}

#[actix_rt::test]
async fn quotas_are_exact_under_concurrency() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { daily_net_groups: 20, groups_per_user: 3, ..Limits::default() };
    let (cluster, service) = start_in(folder.path(), limits).await;
    let creates = (0..60).map(|n| service.submit(APP, group(&format!("g{n}")), create(None, &[]), soon()));
    let done = futures::future::join_all(creates).await;
    assert_eq!(done.iter().filter(|d| d.is_ok()).count(), 20);
    let refused = Err(SubmitError::Refused(Refusal::DailyQuota { max: 20 }));
    assert_eq!(done.iter().filter(|d| **d == refused).count(), 40);
    let made: Vec<usize> = (0..60).filter(|n| done[*n].is_ok()).collect();
    for n in &made[..3] {
        let joined = service.submit(APP, group(&format!("g{n}")), add(&["eve".into()]), soon()).await;
        assert_eq!(joined, Ok(Answer::Added(vec![AddResult::Added])));
    }
    let fourth = service.submit(APP, group(&format!("g{}", made[3])), add(&["eve".into()]), soon()).await;
    assert_eq!(fourth, Err(SubmitError::Refused(Refusal::TooManyGroups { max: 3 })));
    service.submit(APP, group(&format!("g{}", made[0])), remove(&["eve"]), soon()).await.unwrap();
    let again = service.submit(APP, group(&format!("g{}", made[3])), add(&["eve".into()]), soon()).await;
    assert_eq!(again, Ok(Answer::Added(vec![AddResult::Added])));
    cluster.stop().await;
}
