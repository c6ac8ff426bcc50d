//! What single events do to rows, and whom they tell.

use super::super::requests::REQUEST_BUCKET_MS;
use super::*;
use crate::group::testing::remove;
use crate::group::{ImportedMember, MemberChange, MsgFlag, Report, Tip};
use crate::store::keys::LEFT_BITS;
use crate::store::{AccountHeader, FeedRow, GroupLogRow, JoinedRow, Key, Keys, MemberRow, ShardRow, decode, encode};

const KEYS: fn() -> Keys = || Keys::new(1);

impl World {
    fn rows_where<T: serde::de::DeserializeOwned>(&self, wanted: impl Fn(&Key) -> bool) -> Vec<T> {
        let rows = self.sides.iter().flat_map(rows_of);
        rows.filter(|(key, _)| Key::parse(key).is_some_and(|key| wanted(&key)))
            .map(|(_, value)| decode(&value))
            .collect()
    }

    /// Numbers, remarks and values of the reports to an account, in order.
    fn told(&self, name: &str) -> Vec<(u8, String, u64)> {
        let feed: Vec<FeedRow> =
            self.rows_where(|key| matches!(key, Key::Feed { account: of, .. } if *of == account(name)));
        feed.into_iter().map(|row| (row.report_type, row.remark, row.value)).collect()
    }

    fn joined_row(&self, name: &str) -> Option<JoinedRow> {
        self.rows_where(|key| matches!(key, Key::Joined { account: of, .. } if *of == account(name))).pop()
    }

    fn joined_count(&self, name: &str) -> u64 {
        let rows: Vec<AccountHeader> =
            self.rows_where(|key| matches!(key, Key::Account { account: of, .. } if *of == account(name)));
        rows.first().map_or(0, |row| row.joined_count)
    }

    fn member_row(&self, name: &str) -> Option<MemberRow> {
        let rows: Vec<MemberRow> = self.rows_where(|key| matches!(key, Key::Member { .. }));
        rows.into_iter().find(|row| row.account.0 == account(name))
    }

    fn now_secs(&self) -> u64 {
        self.at / 1000
    }

    fn mute(&mut self, id: &GroupId, names: &[&str], until_secs: u64) {
        let event = Event::Muted { accounts: accounts(names), until_secs, at: Stamp(self.at) };
        self.happen(id, event, vec![]);
    }
}

/// Numbers: docs/spec/events.md 1 and 2.
#[test]
fn reports_and_tips_have_the_numbers_of_the_reference() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    let operator = account("administrator");
    let report = |report| Notice::Report { to: accounts(&["u1"]), operator: operator.clone(), report };
    let tip = |tip| Notice::Tip { operator: operator.clone(), tip };
    let card = |text: &str| vec![MemberChange::NameCard(text.into())];
    let notices = vec![
        report(Report::AdminGranted),
        report(Report::AdminRevoked),
        report(Report::Muted { until_secs: 99 }),
        report(Report::MsgFlagChanged { flag: MsgFlag::Discard }),
        report(Report::Banned { until_secs: 98, description: "ads".into() }),
        report(Report::Unbanned),
        tip(Tip::AdminsAppointed { accounts: accounts(&["u1"]) }),
        tip(Tip::AdminsDismissed { accounts: accounts(&["u2"]) }),
        tip(Tip::MembersMuted { accounts: accounts(&["u1", "u2"]), for_secs: 60 }),
        tip(Tip::OwnerChanged { owner: account("u2") }),
    ];
    let tips_before = world.head(&id).facts.next_msg_seq;
    world.happen(&id, Event::MemberChanged { account: account("u1"), changes: card("Lena") }, notices);
    world.settle();

    let told = world.told("u1");
    let expected = [(9, "", 0), (10, "", 0), (17, "", 99), (21, "", 3), (22, "ads", 98), (23, "", 0)];
    let expected: Vec<(u8, String, u64)> =
        expected.map(|(number, remark, value)| (number, remark.into(), value)).into();
    assert_eq!(told[told.len() - expected.len()..], expected);

    let log: Vec<GroupLogRow> = world.rows_where(|key| matches!(key, Key::GroupLog { seq, .. } if *seq >= tips_before));
    let tips: Vec<_> = log.iter().map(|row| (row.op_type, row.accounts.join(" "), row.value)).collect();
    assert_eq!(tips, [(4, "u1".into(), 0), (5, "u2".into(), 0), (7, "u1 u2".into(), 60), (6, String::new(), 0)]);
    let change = &log[3].changes[..];
    assert!(
        matches!(change, [change] if change.flag == 5 && change.value == "u2" && change.key.is_empty()),
        "{change:?}"
    );
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// docs/spec/group-types.md 4: a mute survives leaving and rejoining.
#[test]
fn a_mute_is_taken_over_by_whoever_joins_again() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1"]);
    assert_eq!(world.head(&id).mute_count, 0);
    let until = world.now_secs() + 100;
    world.mute(&id, &["u1", "u2"], until);
    assert_eq!(world.head(&id).mute_count, 2);
    assert_eq!(world.member_row("u1").map(|row| row.mute_until), Some(until));

    world.submit(&id, &Command::Remove(remove(&["u1"])));
    world.submit(&id, &Command::Add(add(&["u1", "u3"])));
    let joined = Stamp(world.at);
    let imported = ImportedMember { account: account("u2"), role: Role::Member, joined, msg_seq: 4 };
    world.happen(&id, Event::MembersImported { members: vec![imported] }, vec![]);
    for (name, muted) in [("u1", until), ("u2", until), ("u3", 0)] {
        assert_eq!(world.member_row(name).map(|row| row.mute_until), Some(muted), "{name}");
    }
    assert_eq!(world.member_row("u2").map(|row| row.msg_seq), Some(4));
    // Lifted, also where nobody is muted.
    world.mute(&id, &["u1", "u2", "u3", "u4"], 0);
    assert_eq!(world.member_row("u1").map(|row| row.mute_until), Some(0));
    assert_eq!(world.head(&id).mute_count, 0);
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

#[test]
fn rows_that_are_over_are_swept_a_few_at_a_time() {
    let mut world = World::new();
    let id = a_live_room(&mut world, "olga");
    let names: Vec<String> = (0..40).map(|n| format!("m{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (soon, ever) = (world.now_secs() + 10, u64::from(group::FOR_EVER_SECS));
    world.mute(&id, &names, soon);
    world.mute(&id, &["a", "z"], ever);
    let ban = |world: &World, names: &[&str], until_secs| Event::Banned {
        accounts: accounts(names),
        until_secs,
        description: "ads".into(),
        at: Stamp(world.at),
    };
    let event = ban(&world, &names, soon);
    world.happen(&id, event, vec![]);
    assert_eq!((world.head(&id).mute_count, world.head(&id).ban_count), (42, 40));

    world.at += 11_000;
    // Behind `m30` there are nine and `z`, then it goes on from the first, which never ends.
    world.mute(&id, &["m30"], ever);
    let mutes = |world: &World| -> Vec<String> {
        let list = reads::muted(world.rows(&id), APP, &id, 0).expect("rows").expect("a group");
        list.muted.into_iter().map(|(account, _)| account.as_str().to_owned()).collect()
    };
    let left = mutes(&world);
    assert_eq!(left.len(), 42 - 9 - 5);
    assert_eq!((left[0].as_str(), left[1].as_str()), ("a", "m05"));
    assert_eq!(left[left.len() - 2..], ["m30", "z"]);
    assert_eq!(world.head(&id).mute_count as usize, left.len());
    for _ in 0..3 {
        world.mute(&id, &["nobody"], 0);
    }
    assert_eq!(mutes(&world), ["a", "m30", "z"]);

    for counted in [24, 8, 0] {
        world.happen(&id, Event::Unbanned { accounts: accounts(&["nobody"]) }, vec![]);
        assert_eq!(world.head(&id).ban_count, counted);
    }
    let event = ban(&world, &["m01"], ever);
    world.happen(&id, event, vec![]);
    assert_eq!(world.head(&id).ban_count, 1);
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

#[test]
fn admins_of_a_live_room_are_stored_and_have_joined_nothing() {
    let mut world = World::new();
    let id = a_live_room(&mut world, "olga");
    let change = |appointed: &[&str], dismissed: &[&str], at| Event::LiveAdminsChanged {
        appointed: accounts(appointed),
        dismissed: accounts(dismissed),
        at: Stamp(at),
    };
    world.happen(&id, change(&["u3", "u1", "u2"], &[], world.at), vec![]);
    world.happen(&id, change(&["u4"], &["u1"], world.at), vec![]);
    let facts = world.head(&id).facts;
    assert_eq!((facts.member_count, facts.admin_count), (0, 3));
    let admins = reads::live_admins(world.rows(&id), APP, &id).expect("rows").expect("a group").admins;
    assert_eq!(admins, accounts(&["u3", "u2", "u4"]));
    assert_eq!(world.examine().differences, Vec::<String>::new());

    world.submit(&id, &Command::Destroy(destroy(app_admin())));
    world.settle();
    for name in ["u2", "u3", "u4", "olga"] {
        let told = world.told(name);
        assert_eq!(told.last(), Some(&(5, String::new(), 0)), "{name}");
        assert_eq!((world.joined_count(name), world.joined_row(name)), (0, None), "{name}");
    }
    assert_eq!(world.told("u1"), []);
    let findings = world.examine();
    assert_eq!((findings.differences, findings.groups), (vec![], 0));
}

#[test]
fn an_owner_who_is_an_admin_too_hears_of_the_end_once() {
    let mut world = World::new();
    let id = a_live_room(&mut world, "olga");
    let appointed = Event::LiveAdminsChanged { appointed: accounts(&["olga"]), dismissed: vec![], at: Stamp(world.at) };
    world.happen(&id, appointed, vec![]);
    world.settle();
    let before = world.told("olga").len();
    world.submit(&id, &Command::Destroy(destroy(app_admin())));
    world.settle();
    assert_eq!(world.told("olga").len(), before + 1);
}

#[test]
fn a_transfer_reaches_the_joined_lists_of_both() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    world.settle();
    let owner = |world: &World, name: &str| world.joined_row(name).map(|row| row.is_owner());
    let transfer = |world: &World, from: &str, to: &str| Event::OwnerChanged {
        from: Some(account(from)),
        to: account(to),
        at: Stamp(world.at),
    };
    assert_eq!((owner(&world, "ann"), owner(&world, "u1")), (Some(true), Some(false)));
    world.happen(&id, transfer(&world, "ann", "u1"), vec![]);
    world.settle();
    assert_eq!((owner(&world, "ann"), owner(&world, "u1")), (Some(false), Some(true)));
    assert_eq!(world.head(&id).facts.owner, Some(account("u1")));
    // Whoever left meanwhile is not put back into a list.
    world.happen(&id, transfer(&world, "u1", "u2"), vec![]);
    world.submit(&id, &Command::Remove(remove(&["u1"])));
    world.settle();
    assert_eq!((owner(&world, "u1"), owner(&world, "u2")), (None, Some(true)));
    assert_eq!(world.joined_count("u1"), 0);
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// An effect that comes when the account is not in the group changes nothing.
#[test]
fn a_joined_list_is_changed_only_where_the_group_is_in_it() {
    let mut world = World::new();
    let row = JoinedRow { group: group_id(1).into(), kind: 2, joined: 1, join_seq: 0, flags: 1 };
    let changed = Effect::JoinedChanged { app: APP.0, account: account("u1").into(), slot: 3, gno: 4, row };
    let shard = shard_of_account(APP, &account("u1"), SHARDS);
    let side = &mut world.sides[usize::from(shard.0)];
    let delivery = Delivery { source: 1 - shard.0, rows: vec![(1, vec![changed])] };
    let committed = side.commit(TERM, &[Item::Inbox(delivery)]);
    side.apply(&[committed]);
    assert_eq!(world.joined_row("u1"), None);
}

#[test]
fn a_member_that_changes_keeps_its_place() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1"]);
    let field = |value: &str| MemberChange::Custom(("key".to_owned(), value.to_owned()));
    let changes = vec![MemberChange::Role(Role::Admin), MemberChange::NameCard("Lena".into()), field("a"), field("b")];
    world.happen(&id, Event::MemberChanged { account: account("u1"), changes }, vec![]);
    let row = world.member_row("u1").expect("a member");
    assert_eq!((row.role, row.name_card.as_str(), row.msg_flag), (2, "Lena", 0));
    assert_eq!(row.custom, [("key".to_owned(), "b".to_owned())]);
    assert_eq!(world.head(&id).facts.admin_count, 1);
    let changes = vec![MemberChange::Role(Role::Member), MemberChange::MsgFlag(MsgFlag::Discard), field("")];
    world.happen(&id, Event::MemberChanged { account: account("u1"), changes }, vec![]);
    let row = world.member_row("u1").expect("a member");
    assert_eq!((row.role, row.msg_flag, row.custom), (3, 3, vec![]));
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// Puts and deletes rows as they are.
struct Raw(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl muster_cluster::ShardMachine for Raw {
    fn apply(
        &mut self,
        _: &[Committed],
        tx: &mut muster_cluster::Transaction<'_>,
    ) -> Result<Option<muster_cluster::Release>, muster_cluster::DiskError> {
        for (key, value) in self.0.drain(..) {
            match value {
                Some(value) => tx.put(key, value),
                None => tx.delete(key),
            }
        }
        Ok(None)
    }
}

/// Rows of before there was a census are counted once, by the first apply.
#[test]
fn a_census_is_taken_where_there_was_none() {
    let mut world = World::new();
    for n in 0..6 {
        world.submit(&group_id(n), &Command::Create(create(if n % 2 == 0 { Kind::Public } else { Kind::Meeting })));
    }
    let counted = |world: &World| -> Vec<u64> {
        let of = |kind| move |shard: u16| (ShardId(shard), kind);
        let all = (0..SHARDS).map(of(Kind::Public)).chain((0..SHARDS).map(of(Kind::Meeting)));
        all.map(|(shard, kind)| {
            let lookups = Lookups::new(world.sides[usize::from(shard.0)].bench.rows().clone());
            lookups.groups(shard, APP, &[kind]).expect("rows")
        })
        .collect()
    };
    let before = counted(&world);
    assert_eq!(before.iter().sum::<u64>(), 6);
    for (shard, side) in (0..SHARDS).map(ShardId).zip(&mut world.sides) {
        let key = KEYS().shard(shard);
        let row = side.bench.rows().read(&key, decode::<ShardRow>).expect("rows").unwrap_or_default();
        let mut raw = vec![(key, Some(encode(&(row.next_gno, row.last_stamp))))];
        raw.extend([2, 3].map(|kind| (KEYS().census(shard, APP, kind), None)));
        side.bench.apply(&mut Raw(raw), &[]).expect("rows in memory");
        side.machine = Machine::new(shard, SHARDS, side.machine_sink());
    }
    assert_eq!(counted(&world), [0; 4]);
    assert_eq!(world.examine().differences, Vec::<String>::new());
    for side in &mut world.sides {
        let nothing = side.commit(TERM, &[]);
        side.apply(&[nothing]);
    }
    assert_eq!(counted(&world), before);
    world.submit(&group_id(0), &Command::Destroy(destroy(app_admin())));
    world.submit(&group_id(1), &Command::Destroy(destroy(app_admin())));
    assert_eq!(counted(&world).iter().sum::<u64>(), 4);
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// Gives ids to requests, in a bucket.
fn mints(bucket: u64, ids: std::ops::Range<u32>) -> Vec<Item> {
    let mint = |id: u32| {
        let answer = RequestAnswer::Minted(group_id(0).into());
        let request = RequestForm { caller: "root".into(), command: "create_group".into(), id: id.to_string(), answer };
        Item::Mint { app: APP.0, request, at: bucket * REQUEST_BUCKET_MS }
    };
    ids.map(mint).collect()
}

fn records_of(side: &Side) -> Vec<Vec<u8>> {
    let keys = rows_of(side).into_iter().map(|(key, _)| key);
    keys.filter(|key| matches!(Key::parse(key), Some(Key::Request { .. }))).collect()
}

#[test]
fn replicas_drop_the_same_records_of_requests_whatever_they_remember() {
    let (mut remembers, mut forgets) = (Side::new(0), Side::new(0));
    let mut count = 0;
    let drop = |before| vec![Item::DropRequests { before }];
    for (items, added, left) in [
        (mints(5, 0..1200), 1200, None),
        (mints(6, 2000..2010), 10, None),
        (drop(6), -500, Some(6)),
        (drop(6), -500, Some(6)),
        // A leader whose clock is behind the one that dropped.
        (mints(4, 3000..3003), 3, None),
        (mints(5, 0..2), 2, None),
        (drop(6), -205, None),
        (mints(5, 4000..4001), 1, None),
        (drop(5), 0, None),
        (drop(6), -1, None),
        (mints(7, 5000..5600), 600, None),
        (drop(8), -500, Some(8)),
        (drop(7), 0, None),
        (drop(8), -110, None),
    ] {
        forgets.machine = Machine::new(ShardId(0), SHARDS, forgets.machine_sink());
        for side in [&mut remembers, &mut forgets] {
            let committed = side.commit(TERM, &items);
            let applied = side.apply(&[committed]);
            assert_eq!(applied[0].requests_left, left, "{:?}", items[0]);
        }
        count += added;
        assert_eq!(records_of(&remembers).len() as i64, count, "{:?}", items[0]);
        assert!(rows_of(&remembers) == rows_of(&forgets), "{:?}", items[0]);
    }
    assert_eq!(count, 0);
}

/// The database passes over each row that was deleted: a step that began with the first would pass over all earlier ones.
#[test]
fn a_drop_of_records_goes_on_where_the_last_step_ended() {
    let mut side = Side::new(0);
    let committed = side.commit(TERM, &mints(5, 0..1200));
    side.apply(&[committed]);
    let first = records_of(&side).remove(0);
    let step = |side: &mut Side, left| {
        let committed = side.commit(TERM, &[Item::DropRequests { before: 6 }]);
        assert_eq!(side.apply(&[committed])[0].requests_left, left);
    };
    step(&mut side, Some(6));
    // Behind the machine's back: whoever looks from the first on meets it.
    side.bench.apply(&mut Raw(vec![(first.clone(), Some(Vec::new()))]), &[]).expect("rows in memory");
    step(&mut side, Some(6));
    step(&mut side, None);
    assert_eq!(records_of(&side), [first]);
}

/// Admins of a live room take places in its order, and nobody counts how many were left.
#[test]
fn a_live_room_has_no_counters_of_places() {
    let mut world = World::new();
    let id = a_live_room(&mut world, "olga");
    for (appointed, dismissed) in [(["u1"].as_slice(), [].as_slice()), (&[], &["u1"])] {
        let (appointed, dismissed) = (accounts(appointed), accounts(dismissed));
        world.happen(&id, Event::LiveAdminsChanged { appointed, dismissed, at: Stamp(world.at) }, vec![]);
    }
    let (slot, gno) = world.place(&id);
    for bits in LEFT_BITS {
        assert_eq!(world.rows(&id).read(&KEYS().left(slot, gno, bits, 1), decode::<u32>).expect("rows"), None);
    }
}
