//! Decided changes through entries, machines and rows of two shards, without a log: what the doctor finds in the end,
//! and that rows and rules agree on every group after every change.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use muster_cluster::testing::Bench;
use muster_cluster::{Committed, Payload, ShardId, Slot};
use parking_lot::Mutex;

use super::codes::is_over;
use super::machine::Sink;
use super::*;
use crate::group::testing::{account, accounts, add, app_admin, create, destroy, new_member, remove};
use crate::group::{self, Command, Context, Decision, Event, Group, Kind, Limits, Notice, Restriction, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::Keys;
use crate::time::Stamp;

mod changes;
mod doctor;
mod formats;
mod random;
mod reading;

const APP: AppId = AppId(1);
const SHARDS: u16 = 2;
const TERM: u64 = 3;

/// Key and value.
type Row = (Vec<u8>, Vec<u8>);

struct Side {
    bench: Bench,
    machine: Machine,
    heard: Arc<Mutex<Vec<Applied>>>,
    index: u64,
    seq: u64,
    log: Vec<Committed>,
}

impl Side {
    fn new(shard: u16) -> Self {
        let heard: Arc<Mutex<Vec<Applied>>> = Arc::default();
        let ears = heard.clone();
        let sink: Sink = Arc::new(move |told: Told| ears.lock().extend(told.applied()));
        let machine = Machine::new(ShardId(shard), SHARDS, sink);
        Self { bench: Bench::default(), machine, heard, index: 0, seq: 0, log: Vec::new() }
    }

    fn machine_sink(&self) -> Sink {
        let ears = self.heard.clone();
        Arc::new(move |told: Told| ears.lock().extend(told.applied()))
    }

    fn commit(&mut self, term: u64, items: &[Item]) -> Committed {
        self.index += 1;
        self.seq += 1;
        let items: Vec<Vec<u8>> = items.iter().map(Item::encode).collect();
        let payload = Proposal::join(term, self.seq, items.iter().map(Vec::as_slice), 0);
        Committed { index: self.index, term: TERM, payload: Payload::Data(payload) }
    }

    fn apply(&mut self, entries: &[Committed]) -> Vec<AppliedProposal> {
        self.log.extend_from_slice(entries);
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
    on_their_way: Vec<(ShardId, OutboxRow)>,
    jobs: Vec<(ShardId, Job)>,
    limits: Limits,
    at: u64,
}

/// Accounts of random changes; what is known of them is compared after every change.
const NAMES: [&str; 9] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"];

fn group_id(n: u8) -> GroupId {
    GroupId::parse(&format!("g{n}")).expect("an id")
}

impl World {
    fn new() -> Self {
        Self {
            sides: (0..SHARDS).map(Side::new).collect(),
            groups: HashMap::new(),
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
        let (group, ..) = self.groups.entry(id.clone()).or_default();
        if let Some(group) = group.as_mut() {
            for named in command.named_accounts() {
                if !group.knows(named) {
                    group.learn(named.clone(), None);
                }
            }
        }
        let context = Context {
            limits: &self.limits,
            at: Stamp(self.at),
            full_accounts: &[],
            unknown_accounts: &[],
            daily_quota_spent: false,
            app_full: None,
        };
        let decision = group::decide(group.as_ref(), command, &context).ok()?;
        (!decision.events.is_empty()).then(|| self.commit(id, decision))
    }

    /// Commits one event that nobody judged, with what it tells.
    fn happen(&mut self, id: &GroupId, event: Event, notices: Vec<Notice>) {
        let decision = Decision { events: vec![event], notices, ..Decision::default() };
        assert_eq!(self.commit(id, decision), Outcome::Applied);
    }

    /// Folds and commits a decision as an actor would, and compares rows with rules afterwards.
    fn commit(&mut self, id: &GroupId, decision: Decision) -> Outcome {
        let (group, version, counter) = self.groups.entry(id.clone()).or_default();
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
            request: None,
        };
        let is_new = group.is_none();
        decision.fold(group);
        if let Some(group) = group.as_mut().filter(|_| is_new) {
            // What becomes of mutes and bans is then followed, as attributes and counters are.
            for name in NAMES {
                group.learn_restriction(account(name), Restriction::default());
            }
        }
        *version = group.as_ref().map(|_| next);
        let shard = self.shard(id);
        let side = &mut self.sides[usize::from(shard.0)];
        let committed = side.commit(TERM, &[Item::Group(entry)]);
        let applied = side.apply(&[committed]);
        let outcome = applied[0].outcomes[0];
        self.take(shard, applied);
        self.compare(id);
        outcome
    }

    fn lookups(&self, id: &GroupId) -> Lookups {
        Lookups::new(self.rows(id).clone())
    }

    fn rows(&self, id: &GroupId) -> &muster_cluster::Rows {
        self.sides[usize::from(self.shard(id).0)].bench.rows()
    }

    fn head(&self, id: &GroupId) -> Head {
        self.lookups(id).header(APP, id).expect("rows").expect("a group")
    }

    /// Slot and number of a group: where its rows are.
    fn place(&self, id: &GroupId) -> (Slot, Gno) {
        (slot_of(APP, id), self.head(id).gno)
    }

    /// What the rows say of a group against what the rules hold of it.
    fn compare(&self, id: &GroupId) {
        let lookups = self.lookups(id);
        let head = lookups.header(APP, id).expect("rows");
        let group = self.groups[id].0.as_ref();
        assert_eq!(head.as_ref().map(|h| &h.facts), group.map(Group::facts), "rows and rules agree on {id}");
        let (Some(head), Some(group)) = (head, group) else { return };
        let (slot, gno, kind) = (slot_of(APP, id), head.gno, head.facts.kind);
        assert_eq!(Some(lookups.attributes(slot, gno).expect("rows")).as_ref(), group.attributes());
        assert_eq!(Some(lookups.counters(slot, gno).expect("rows")).as_ref(), group.counters());
        for name in NAMES.map(account) {
            let row = lookups.restriction(slot, gno, &name).expect("rows");
            let rules = group.restriction(&name);
            let agree = |row, rules| row == rules || row == 0 && is_over(rules, self.at / 1000);
            assert!(agree(row.muted_until, rules.muted_until), "{id} {name}: {row:?} {rules:?}");
            assert!(agree(row.banned_until, rules.banned_until), "{id} {name}: {row:?} {rules:?}");
            let member = lookups.member(slot, gno, &name).expect("rows");
            if !group.knows(&name) {
                assert_eq!(member, None);
                continue;
            }
            assert_eq!(member.as_ref(), group.member(&name), "{id} {name}");
            if let Some(member) = member.filter(|_| group.knows_card(&name)) {
                let card = lookups.card(slot, gno, member.join_seq, kind).expect("rows");
                assert_eq!(card.as_ref(), Some(group.card(&name)), "{id} {name}");
            }
        }
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
        let rows: Vec<Row> = self.sides.iter().flat_map(rows_of).collect();
        looked_through(rows.iter())
    }

    fn settle(&mut self) {
        while !self.on_their_way.is_empty() || !self.jobs.is_empty() {
            self.deliver(false);
            self.step_job();
        }
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

fn a_live_room(world: &mut World, owner: &str) -> GroupId {
    let id = group_id(7);
    let command = group::Create { owner: Some(account(owner)), ..create(Kind::AvChatRoom) };
    assert_eq!(world.submit(&id, &Command::Create(command)), Some(Outcome::Applied));
    id
}

fn an_addition(world: &World, id: &GroupId, base: Option<Version>, name: &str) -> GroupEntry {
    let mut decided = world.groups[id].0.clone().expect("a group");
    decided.learn(account(name), None);
    let context = Context {
        limits: &world.limits,
        at: Stamp(5_000),
        full_accounts: &[],
        unknown_accounts: &[],
        daily_quota_spent: false,
        app_full: None,
    };
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
        request: None,
    }
}

/// What the doctor says of these rows, in whatever order they come.
fn looked_through<'r>(rows: impl Iterator<Item = &'r Row>) -> Findings {
    let mut rows: Vec<&Row> = rows.collect();
    rows.sort();
    let slot_of = |key: &[u8]| u16::from_be_bytes([key[0], key[1]]);
    let found: Result<Findings, Infallible> = look_through(SHARDS, |slots, each| {
        let wanted = rows.iter().filter(|(key, _)| slots.contains(&slot_of(key)));
        wanted.for_each(|(key, value)| each(slot_of(key), key, value));
        Ok(())
    });
    found.unwrap_or_else(|never| match never {})
}

fn rows_of(side: &Side) -> Vec<Row> {
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
fn what_was_delivered_before_is_not_folded_again() {
    let mut world = World::new();
    let quota = |delta| vec![Effect::Quota { app: 1, day: 5, delta }];
    let side = &mut world.sides[1];
    let mut deliver = |rows: Vec<(u64, Vec<Effect>)>| {
        let committed = side.commit(TERM, &[Item::Inbox(Delivery { source: 0, rows })]);
        let applied = side.apply(&[committed]).remove(0);
        (applied.deliveries, applied.counts.len())
    };
    assert_eq!(deliver(vec![(1, quota(1)), (2, quota(1))]), (vec![(ShardId(0), 2)], 2));
    assert_eq!(deliver(vec![(1, quota(1)), (2, quota(1))]), (vec![(ShardId(0), 2)], 0));
    assert_eq!(deliver(vec![(2, quota(1)), (3, quota(1))]), (vec![(ShardId(0), 3)], 1));
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

/// Rows without the generation of their keys.
fn comparable(side: &Side) -> Vec<Row> {
    rows_of(side).into_iter().map(|(key, value)| (Keys::without_generation(&key), value)).collect()
}

/// A replica that is filled between two steps counts another generation than the one that it was filled from.
#[test]
fn a_disband_goes_on_alike_where_rows_have_another_generation() {
    for generation in [1, 2, 7] {
        let mut world = World::new();
        world.limits.create_group_member = 2_000;
        let names: Vec<String> = (0..500).map(|n| format!("m{n}")).collect();
        let id = a_created_group(&mut world, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let shard = world.shard(&id);
        // Generations of another order than that of the first replica: before it and after it.
        let here = &mut world.sides[usize::from(shard.0)];
        here.bench = here.bench.filled(4).expect("rows in memory");
        here.machine = Machine::new(shard, SHARDS, here.machine_sink());
        assert_eq!(world.submit(&id, &Command::Destroy(destroy(app_admin()))), Some(Outcome::Applied));
        let job = world.jobs.pop().expect("a job").1;

        let here = &mut world.sides[usize::from(shard.0)];
        let mut there = Side::new(shard.0);
        for step in 0.. {
            if step == 1 {
                there.bench = here.bench.filled(generation).expect("rows in memory");
                (there.index, there.seq) = (here.index, here.seq);
            }
            let entry = here.commit(TERM, &[Item::DisbandStep { gno: job.gno.0 }]);
            let told = here.apply(std::slice::from_ref(&entry));
            if step > 0 {
                assert_eq!(format!("{:?}", there.apply(&[entry])), format!("{told:?}"));
                assert_eq!(comparable(&there), comparable(here));
            }
            if told[0].jobs.is_empty() {
                break;
            }
        }
        assert!(world.examine().differences.is_empty());
    }
}

/// About as many rows as a step takes, counters of places that were left among them.
#[test]
fn a_disband_is_the_same_whatever_one_apply_takes() {
    for members in 115..130 {
        let mut world = World::new();
        world.limits.create_group_member = 2_000;
        let names: Vec<String> = (0..members).map(|n| format!("m{n}")).collect();
        let id = a_created_group(&mut world, &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(world.submit(&id, &Command::Remove(remove(&["m7"]))), Some(Outcome::Applied));
        assert_eq!(world.submit(&id, &Command::Destroy(destroy(app_admin()))), Some(Outcome::Applied));
        let shard = world.shard(&id);
        let log = &world.sides[usize::from(shard.0)].log;
        let applied = |at_once: usize| {
            let mut side = Side::new(shard.0);
            let told: Vec<_> = log.chunks(at_once).flat_map(|entries| side.apply(entries)).collect();
            let jobs: Vec<Vec<Job>> = told.into_iter().map(|proposal| proposal.jobs).collect();
            (jobs, rows_of(&side))
        };
        let one_by_one = applied(1);
        assert!((2..=3).all(|at_once| applied(at_once) == one_by_one), "{members} members");
    }
}

/// What a proposal does to others may be many times its own size.
#[test]
fn effects_of_long_texts_leave_in_several_rows() {
    let mut world = World::new();
    world.limits.kick_reason_bytes = 1 << 20;
    let names: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = a_created_group(&mut world, &names);
    let reason = "x".repeat(10_000);
    let command = Command::Remove(group::Remove { reason, ..remove(&names) });
    assert_eq!(world.submit(&id, &command), Some(Outcome::Applied));
    let sizes: Vec<usize> = world.on_their_way.iter().map(|(_, row)| bytes_of(&row.effects)).collect();
    assert!(sizes.iter().sum::<usize>() > 300_000 && sizes.iter().all(|bytes| *bytes <= 128 << 10), "{sizes:?}");
    world.settle();
    assert_eq!(world.examine().differences, Vec::<String>::new());
}
