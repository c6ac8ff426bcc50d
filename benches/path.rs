//! What does each step of a command's way cost: decide, evolve, encode, apply, activate?

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use muster::group::{self, Add, Command, Context, Create, Event, Group, Kind, Limits, Operator};
use muster::id::{AccountId, AppId, GroupId};
use muster::shard::{EventForm, GroupEntry, Item, Lookups, Machine, Proposal, Version, slot_of};
use muster::time::Stamp;
use muster_cluster::testing::Bench;
use muster_cluster::{Committed, Payload, ShardId};

const APP: AppId = AppId(1);
const ENTRIES: u64 = 256;

fn account(name: &str) -> AccountId {
    AccountId::parse(name).expect("an account id")
}

fn group_id(n: u64) -> GroupId {
    GroupId::parse(&format!("group-{n}")).expect("a group id")
}

fn operator() -> Operator {
    Operator::AppAdmin { name: account("administrator") }
}

fn create() -> Command {
    Command::Create(Create {
        operator: operator(),
        kind: Kind::Public,
        name: "a group".into(),
        introduction: "intro".into(),
        notification: "notice".into(),
        face_url: String::new(),
        owner: Some(account("owner")),
        members_max: None,
        apply_join: None,
        invite_join: None,
        custom: vec![],
        members: vec![],
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
    })
}

fn add(n: u64) -> Command {
    Command::Add(Add { operator: operator(), accounts: vec![account(&format!("user-{n}"))], silent: true })
}

fn context(limits: &Limits) -> Context<'_> {
    Context {
        limits,
        at: Stamp(1_760_000_000_000),
        full_accounts: &[],
        unknown_accounts: &[],
        daily_quota_spent: false,
        app_full: None,
    }
}

fn made(limits: &Limits) -> Option<Group> {
    let mut made = None;
    let decision = group::decide(None, &create(), &context(limits)).expect("a group");
    decision.events.iter().for_each(|event| group::evolve(&mut made, event));
    made
}

fn joined(limits: &Limits, n: u64) -> (Option<Group>, Vec<Event>) {
    let mut group = made(limits);
    if let Some(group) = group.as_mut() {
        group.learn(account(&format!("user-{n}")), None);
    }
    let events = group::decide(group.as_ref(), &add(n), &context(limits)).expect("a join").events;
    (group, events)
}

fn entry(id: GroupId, base: Option<Version>, counter: u64, events: &[Event]) -> Item {
    Item::Group(GroupEntry {
        app: APP.0,
        group: id.into(),
        base,
        next: Version { term: 1, activation: 1, counter },
        at: 1_760_000_000_000,
        operator: account("administrator").into(),
        events: events.iter().map(EventForm::from).collect(),
        notices: vec![],
        quota_day: None,
        request: None,
    })
}

fn committed(index: u64, items: &[Item]) -> Committed {
    let items: Vec<Vec<u8>> = items.iter().map(Item::encode).collect();
    let payload = Proposal::join(1, index, items.iter().map(Vec::as_slice), 0);
    Committed { index, term: 1, payload: Payload::Data(payload) }
}

/// A shard in memory with one group, and an entry of many joins to it.
fn shard() -> (Bench, Machine, Committed) {
    let limits =
        Limits { max_members: group::PerKind { public: 0, ..Limits::default().max_members }, ..Limits::default() };
    let bench = Bench::default();
    let mut machine = Machine::new(ShardId(0), 1, Arc::new(|_| {}));
    let created = group::decide(None, &create(), &context(&limits)).expect("a group").events;
    let first = committed(1, &[entry(group_id(0), None, 1, &created)]);
    bench.apply(&mut machine, &[first]).expect("rows in memory");
    let joins: Vec<Item> = (0..ENTRIES)
        .map(|n| {
            let base = Version { term: 1, activation: 1, counter: n + 1 };
            entry(group_id(0), Some(base), n + 2, &joined(&limits, n).1)
        })
        .collect();
    let many = committed(2, &joins);
    (bench, machine, many)
}

fn path(criterion: &mut Criterion) {
    let limits = Limits::default();
    let (group, events) = joined(&limits, 1);
    criterion.bench_function("decide a join", |b| {
        let command = add(1);
        b.iter(|| group::decide(black_box(group.as_ref()), &command, &context(&limits)));
    });
    criterion.bench_function("evolve a join", |b| {
        b.iter_batched_ref(
            || group.clone(),
            |group| group::evolve(group, black_box(&events[0])),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("encode a join", |b| {
        let base = Version { term: 1, activation: 1, counter: 1 };
        b.iter(|| entry(group_id(1), Some(base), 2, black_box(&events)).encode());
    });

    let mut throughput = criterion.benchmark_group("apply");
    throughput.throughput(Throughput::Elements(ENTRIES));
    throughput.bench_function("256 joins of one group, one entry", |b| {
        b.iter_batched(
            shard,
            |(bench, mut machine, many)| bench.apply(&mut machine, &[many]).expect("rows in memory"),
            BatchSize::PerIteration,
        );
    });
    throughput.finish();

    let (bench, mut machine, many) = shard();
    bench.apply(&mut machine, &[many]).expect("rows in memory");
    let lookups = Lookups::new(bench.rows().clone());
    // Entries that were dropped as conflicts would be fast, too.
    let last = account(&format!("user-{}", ENTRIES - 1));
    let header = lookups.header(APP, &group_id(0)).expect("rows").expect("a group");
    let joined = lookups.member(slot_of(APP, &group_id(0)), header.gno, &last).expect("rows");
    assert!(joined.is_some(), "the joins were not applied");
    criterion.bench_function("activate: header and one member", |b| {
        let (id, who) = (group_id(0), account("user-7"));
        b.iter(|| {
            let header = lookups.header(APP, &id).expect("rows").expect("a group");
            let member = lookups.member(slot_of(APP, &id), header.gno, &who).expect("rows");
            (Group::new(header.facts), member)
        });
    });
}

criterion_group!(benches, path);
criterion_main!(benches);
