//! Decided changes through entries, machines and rows of two shards, without a log: what the doctor finds in the end,
//! and that rows and rules agree on every group after every change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use muster_cluster::testing::Bench;
use muster_cluster::{Committed, Payload, ShardId};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::machine::Sink;
use super::*;
use crate::group::testing::{account, add, app_admin, change_profile, create, destroy, new_member, remove};
use crate::group::{self, Command, Context, Group, Kind, Limits, Role};
use crate::id::{AccountId, AppId, GroupId};
use crate::time::Stamp;

const APP: AppId = AppId(1);
const SHARDS: u16 = 2;
const TERM: u64 = 3;

struct Side {
    bench: Bench,
    machine: Machine,
    heard: Arc<Mutex<Vec<Applied>>>,
    index: u64,
    seq: u64,
}

impl Side {
    fn new(shard: u16) -> Self {
        let heard: Arc<Mutex<Vec<Applied>>> = Arc::default();
        let ears = heard.clone();
        let sink: Sink = Arc::new(move |applied| ears.lock().extend(applied));
        Self { bench: Bench::default(), machine: Machine::new(ShardId(shard), SHARDS, sink), heard, index: 0, seq: 0 }
    }

    fn commit(&mut self, term: u64, items: &[Item]) -> Committed {
        self.index += 1;
        self.seq += 1;
        let items: Vec<Vec<u8>> = items.iter().map(Item::encode).collect();
        let payload = Proposal::join(term, self.seq, items.iter().map(Vec::as_slice), 0);
        Committed { index: self.index, term: TERM, payload: Payload::Data(payload) }
    }

    fn apply(&mut self, entries: &[Committed]) -> Vec<AppliedProposal> {
        let release = self.bench.apply(&mut self.machine, entries).expect("rows in memory");
        if let Some(release) = release {
            release();
        }
        std::mem::take(&mut *self.heard.lock()).into_iter().filter_map(|a| a.proposal).collect()
    }
}

/// Two shards, the groups as their actors would hold them, and what is on its way between.
struct World {
    sides: Vec<Side>,
    groups: HashMap<GroupId, (Option<Group>, Option<Version>, u64)>,
    members: HashMap<GroupId, BTreeSet<AccountId>>,
    on_their_way: Vec<(ShardId, OutboxRow)>,
    jobs: Vec<(ShardId, Job)>,
    limits: Limits,
    at: u64,
}

fn group_id(n: u8) -> GroupId {
    GroupId::parse(&format!("g{n}")).expect("an id")
}

impl World {
    fn new() -> Self {
        Self {
            sides: (0..SHARDS).map(Side::new).collect(),
            groups: HashMap::new(),
            members: HashMap::new(),
            on_their_way: Vec::new(),
            jobs: Vec::new(),
            limits: Limits::default(),
            at: 1_000,
        }
    }

    fn shard(&self, id: &GroupId) -> ShardId {
        muster_cluster::shard_of_slot(slot_of(APP, id), SHARDS)
    }

    fn take(&mut self, shard: ShardId, proposals: Vec<AppliedProposal>) {
        for proposal in proposals {
            self.on_their_way.extend(proposal.outbox.into_iter().map(|row| (shard, row)));
            self.jobs.extend(proposal.jobs.into_iter().map(|job| (shard, job)));
        }
    }

    /// Judges, folds and commits one command; the entry's outcome.
    fn submit(&mut self, id: &GroupId, command: &Command) -> Option<Outcome> {
        self.at += 7;
        let (group, version, counter) = self.groups.entry(id.clone()).or_default();
        if let Some(group) = group.as_mut() {
            let roster = self.members.entry(id.clone()).or_default();
            for named in command.named_accounts() {
                if !group.knows(named) {
                    assert!(!roster.contains(named), "members stay known in this world");
                    group.learn(named.clone(), None);
                }
            }
        }
        let context =
            Context { limits: &self.limits, at: Stamp(self.at), full_accounts: &[], daily_quota_spent: false };
        let decision = group::decide(group.as_ref(), command, &context).ok()?;
        if decision.events.is_empty() {
            return None;
        }
        *counter += 1;
        let next = Version { term: TERM, activation: 1, counter: *counter };
        let entry = GroupEntry {
            app: APP.0,
            group: id.clone().into(),
            base: *version,
            next,
            at: self.at,
            operator: account("administrator").into(),
            events: decision.events.iter().map(EventForm::from).collect(),
            notices: decision.notices.iter().map(NoticeForm::from).collect(),
            quota_day: Some(20_000),
        };
        decision.fold(group);
        *version = group.as_ref().map(|_| next);
        let facts = group.as_ref().map(|g| g.facts().clone());
        let shard = self.shard(id);
        let side = &mut self.sides[usize::from(shard.0)];
        let committed = side.commit(TERM, &[Item::Group(entry)]);
        let applied = side.apply(&[committed]);
        let outcome = applied[0].outcomes[0];
        self.take(shard, applied);
        let header = Lookups::new(self.sides[usize::from(shard.0)].bench.rows().clone()).header(APP, id).expect("rows");
        assert_eq!(header.map(|h| h.facts), facts, "rows and rules agree on {id}");
        Some(outcome)
    }

    /// Delivers the oldest row of a queue, maybe twice, and the truncation it allows.
    fn deliver(&mut self, twice: bool) {
        let Some((source, row)) = (!self.on_their_way.is_empty()).then(|| self.on_their_way.remove(0)) else { return };
        let target = row.target;
        for _ in 0..=u8::from(twice) {
            let item = ItemRef::inbox(source.0, [(row.seq, row.effects.as_slice())].into_iter()).encode();
            let side = &mut self.sides[usize::from(target.0)];
            side.index += 1;
            side.seq += 1;
            let payload = Proposal::join(TERM, side.seq, [item.as_slice()].into_iter(), 0);
            let entry = Committed { index: side.index, term: TERM, payload: Payload::Data(payload) };
            let applied = side.apply(&[entry]);
            assert_eq!(applied[0].deliveries, [(source, row.seq)]);
            self.take(target, applied);
        }
        let side = &mut self.sides[usize::from(source.0)];
        let ack = side.commit(TERM, &[Item::OutboxAck { target: target.0, through: row.seq }]);
        side.apply(&[ack]);
    }

    fn step_job(&mut self) {
        let Some((shard, job)) = self.jobs.pop() else { return };
        let side = &mut self.sides[usize::from(shard.0)];
        let step = side.commit(TERM, &[Item::DisbandStep { gno: job.gno.0 }]);
        let applied = side.apply(&[step]);
        self.take(shard, applied);
    }

    fn examine(&self) -> Findings {
        let mut doctor = Doctor::default();
        for side in &self.sides {
            let view = side.bench.rows().view();
            view.scan(&[], &[0xff; 8], |key, value| {
                doctor.row(key, value);
                true
            })
            .expect("rows in memory");
        }
        doctor.finish(SHARDS)
    }

    fn settle(&mut self) {
        while !self.on_their_way.is_empty() || !self.jobs.is_empty() {
            self.deliver(false);
            self.step_job();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Submit(u8, Box<Command>),
    Deliver { twice: bool },
    Job,
}

fn name() -> impl Strategy<Value = String> {
    (0..9u8).prop_map(|n| format!("u{n}"))
}

fn command() -> impl Strategy<Value = Command> {
    let names = || prop::collection::vec(name(), 1..5);
    prop_oneof![
        3 => (prop::sample::select(&Kind::ALL[..]), prop::option::of(name()), prop::collection::vec((name(), any::<bool>()), 0..4))
            .prop_map(|(kind, owner, members)| {
                let mut create = create(kind);
                create.owner = owner.map(|o| account(&o));
                if kind.stores_members() {
                    create.members = members
                        .iter()
                        .map(|(m, admin)| new_member(m, if *admin && kind != Kind::Work { Role::Admin } else { Role::Member }))
                        .collect();
                }
                Command::Create(create)
            }),
        5 => (names(), any::<bool>()).prop_map(|(names, silent)| {
            let mut add = add(&names.iter().map(String::as_str).collect::<Vec<_>>());
            add.silent = silent;
            Command::Add(add)
        }),
        4 => names().prop_map(|names| Command::Remove(remove(&names.iter().map(String::as_str).collect::<Vec<_>>()))),
        2 => ("[a-z]{1,8}", prop::option::of("[a-z]{0,8}")).prop_map(|(name, value)| {
            let mut change = change_profile();
            change.name = Some(name);
            change.custom = value.into_iter().map(|v| ("key".to_owned(), v)).collect();
            Command::ChangeProfile(change)
        }),
        1 => Just(Command::Destroy(destroy(app_admin()))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4u8, command()).prop_map(|(group, command)| Step::Submit(group, Box::new(command))),
        5 => any::<bool>().prop_map(|twice| Step::Deliver { twice }),
        1 => Just(Step::Job),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn rows_keep_every_promise_whatever_is_asked(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        let mut applied = 0;
        for step in steps {
            match step {
                Step::Submit(group, command) => {
                    if let Some(outcome) = world.submit(&group_id(group), &command) {
                        prop_assert_eq!(outcome, Outcome::Applied);
                        applied += 1;
                    }
                }
                Step::Deliver { twice } => world.deliver(twice),
                Step::Job => world.step_job(),
            }
        }
        let findings = world.examine();
        prop_assert_eq!(findings.differences, Vec::<String>::new());
        world.settle();
        let findings = world.examine();
        prop_assert_eq!(findings.differences, Vec::<String>::new());
        prop_assert_eq!(findings.on_their_way, 0);
        prop_assert!(applied == 0 || findings.rows > 0);
    }
}

fn a_created_group(world: &mut World, members: &[&str]) -> GroupId {
    let id = group_id(0);
    let mut command = create(Kind::Public);
    command.owner = Some(account("ann"));
    command.members = members.iter().map(|m| new_member(m, Role::Member)).collect();
    assert_eq!(world.submit(&id, &Command::Create(command)), Some(Outcome::Applied));
    id
}

fn an_addition(world: &World, id: &GroupId, base: Option<Version>, name: &str) -> GroupEntry {
    let mut decided = world.groups[id].0.clone().expect("a group");
    decided.learn(account(name), None);
    let context = Context { limits: &world.limits, at: Stamp(5_000), full_accounts: &[], daily_quota_spent: false };
    let decision = group::decide(Some(&decided), &Command::Add(add(&[name])), &context).expect("an addition");
    GroupEntry {
        app: APP.0,
        group: id.clone().into(),
        base,
        next: Version { term: TERM, activation: 9, counter: 1 },
        at: 5_000,
        operator: account("administrator").into(),
        events: decision.events.iter().map(EventForm::from).collect(),
        notices: decision.notices.iter().map(NoticeForm::from).collect(),
        quota_day: None,
    }
}

fn rows_of(side: &Side) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let view = side.bench.rows().view();
    view.scan(&[], &[0xff; 8], |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })
    .expect("rows in memory");
    rows
}

#[test]
fn an_entry_decided_on_another_state_writes_nothing() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &[]);
    let current = world.groups[&id].1.expect("a version");
    let stale = [
        None,
        Some(Version { counter: current.counter + 1, ..current }),
        // A dead activation may have left the same counter: the activation is compared too, and its term.
        Some(Version { activation: current.activation + 1, ..current }),
        Some(Version { term: current.term - 1, ..current }),
    ];
    for base in stale {
        let entry = an_addition(&world, &id, base, "bob");
        let shard = usize::from(world.shard(&id).0);
        let side = &mut world.sides[shard];
        let before = rows_of(side);
        let committed = side.commit(TERM, &[Item::Group(entry)]);
        assert_eq!(side.apply(&[committed])[0].outcomes, [Outcome::Conflict], "{base:?}");
        assert_eq!(rows_of(side), before, "{base:?}");
    }
}

#[test]
fn an_entry_that_lands_in_another_term_writes_nothing() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &[]);
    let entry = an_addition(&world, &id, world.groups[&id].1, "bob");
    let shard = usize::from(world.shard(&id).0);
    let side = &mut world.sides[shard];
    let before = rows_of(side);
    let committed = side.commit(TERM - 1, &[Item::Group(entry)]);
    assert_eq!(side.apply(&[committed])[0].outcomes, [Outcome::Conflict]);
    assert_eq!(rows_of(side), before);
}

#[test]
fn rows_do_not_depend_on_how_many_entries_one_apply_takes() {
    let build = |together: bool| {
        let mut world = World::new();
        let id = a_created_group(&mut world, &["u1"]);
        let shard = usize::from(world.shard(&id).0);
        let mut version = world.groups[&id].1;
        let mut entries = Vec::new();
        for n in 0..20 {
            let mut entry = an_addition(&world, &id, version, &format!("n{n}"));
            entry.next.counter = n + 1;
            version = Some(entry.next);
            entries.push(world.sides[shard].commit(TERM, &[Item::Group(entry)]));
        }
        match together {
            true => drop(world.sides[shard].apply(&entries)),
            false => entries.iter().for_each(|entry| drop(world.sides[shard].apply(std::slice::from_ref(entry)))),
        }
        rows_of(&world.sides[shard])
    };
    assert_eq!(build(true), build(false));
}

#[test]
fn a_delivery_with_a_gap_is_not_folded() {
    let mut world = World::new();
    let effects = [Effect::Quota { app: 1, day: 5, delta: 1 }];
    let side = &mut world.sides[1];
    let committed = side.commit(TERM, &[Item::Inbox(Delivery { source: 0, rows: vec![(2, effects.to_vec())] })]);
    let applied = side.apply(&[committed]);
    assert_eq!(applied[0].deliveries, [(ShardId(0), 0)]);
    assert!(applied[0].counts.is_empty());
}

#[test]
fn a_large_disband_is_told_in_chunks_and_leaves_nothing() {
    let mut world = World::new();
    world.limits.create_group_member = 2_000;
    let names: Vec<String> = (0..1_200).map(|n| format!("m{n}")).collect();
    let id = a_created_group(&mut world, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(world.submit(&id, &Command::Destroy(destroy(app_admin()))), Some(Outcome::Applied));
    assert_eq!(world.jobs.len(), 1);
    assert_eq!(world.examine().differences, Vec::<String>::new());
    // The id is free at once, before everybody was told.
    a_created_group(&mut world, &["m3"]);
    world.settle();
    let findings = world.examine();
    assert_eq!(findings.differences, Vec::<String>::new());
    assert_eq!((findings.groups, findings.members), (1, 2));
}

#[test]
fn entries_keep_their_bytes() {
    let entry = GroupEntry {
        app: 7,
        group: group_id(1).into(),
        base: None,
        next: Version { term: 1, activation: 2, counter: 3 },
        at: 4,
        operator: account("ann").into(),
        events: vec![EventForm::MembersRemoved { accounts: vec![account("bob").into()], at: 4 }],
        notices: vec![],
        quota_day: None,
    };
    let bytes = Item::Group(entry).encode();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "81a547726f7570990 7a26731c0930102030 4a3616e6e9181ae4d656d6265727352656d6f7665649291a3626f620490c0"
            .replace(' ', "")
    );
    let proposal = Proposal::join(1, 2, [bytes.as_slice()].into_iter(), bytes.len());
    let decoded = Proposal::decode(&proposal).expect("a proposal");
    assert_eq!((decoded.term, decoded.seq, decoded.items.len()), (1, 2, 1));
    assert_eq!(decoded.items[0].encode(), bytes);
    for cut in 0..proposal.len() {
        assert!(Proposal::decode(&proposal[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn the_doctor_misses_every_row_that_is_missing() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    let mut silent = add(&["u3"]);
    silent.silent = false;
    world.submit(&id, &Command::Add(silent));
    world.settle();
    // One more change whose message stays on its way.
    world.submit(&group_id(1), &Command::Create(create(Kind::Public)));
    let mut other = add(&["u1", "u2", "u3", "u4", "u5"]);
    other.silent = true;
    world.submit(&group_id(1), &Command::Add(other));
    assert!(!world.on_their_way.is_empty());
    assert_eq!(world.examine().differences, Vec::<String>::new());

    let rows: Vec<(Vec<u8>, Vec<u8>)> = world.sides.iter().flat_map(rows_of).collect();
    let mut kinds = BTreeSet::new();
    for (missing, (key, _)) in rows.iter().enumerate() {
        let parsed = crate::store::Key::parse(key).expect("a key of the catalogue");
        // Nothing else says what a quota should be, and an inbox cursor may always lag behind.
        if matches!(parsed, crate::store::Key::Quota { .. }) {
            continue;
        }
        let mut doctor = Doctor::default();
        rows.iter().enumerate().filter(|(n, _)| *n != missing).for_each(|(_, (key, value))| doctor.row(key, value));
        let findings = doctor.finish(SHARDS);
        assert!(findings.difference_count > 0, "{parsed:?}");
        kinds.insert(format!("{parsed:?}").split(' ').next().unwrap_or_default().to_owned());
    }
    assert!(kinds.len() >= 14, "{kinds:?}");
}
