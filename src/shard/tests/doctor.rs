//! What the doctor finds: rows taken away, and rows put in.

use std::collections::BTreeSet;

use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{Batch, Cluster, Family};

use super::*;
use crate::group::testing::remove;
use crate::group::{MemberChange, MsgFlag};
use crate::store::keys::LEFT_BITS;
use crate::store::{AccountHeader, GroupHeader, JoinedRow, Key, Keys, MemberKey, MemberRow, decode, encode};

type Rows = Vec<Row>;

/// A public group with everything a group can have, a live room, and a message still on its way.
fn a_world_of_all_rows() -> World {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    let mut told = add(&["u3"]);
    told.silent = false;
    world.submit(&id, &Command::Add(told));
    let at = Stamp(world.at);
    let until = world.at / 1000 + 1_000;
    let role = MemberChange::Role(Role::Admin);
    world.happen(&id, Event::MemberChanged { account: account("u1"), changes: vec![role] }, vec![]);
    world.happen(&id, Event::Muted { accounts: accounts(&["u2", "far"]), until_secs: until, at }, vec![]);
    let set = vec![("route".to_owned(), "north".to_owned())];
    world.happen(&id, Event::AttributesChanged { set, removed: vec![] }, vec![]);
    world.happen(&id, Event::CountersChanged { set: vec![("likes".to_owned(), 3)], removed: vec![] }, vec![]);
    let room = a_live_room(&mut world, "olga");
    let ban = Event::Banned { accounts: accounts(&["u4"]), until_secs: until, description: "ads".into(), at };
    world.happen(&room, ban, vec![]);
    let appointed = Event::LiveAdminsChanged { appointed: accounts(&["u5"]), dismissed: vec![], at };
    world.happen(&room, appointed, vec![]);
    world.settle();
    // One more change whose message stays on its way.
    world.submit(&group_id(1), &Command::Create(create(Kind::Public)));
    let mut other = add(&["u1", "u2", "u3", "u4", "u5"]);
    other.silent = true;
    world.submit(&group_id(1), &Command::Add(other));
    assert!(!world.on_their_way.is_empty());
    assert_eq!(world.examine().differences, Vec::<String>::new());
    world
}

fn all_rows(world: &World) -> Rows {
    world.sides.iter().flat_map(rows_of).collect()
}

fn differences<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<String> {
    let mut found = looked_through(rows).differences;
    found.dedup();
    found
}

#[test]
fn the_doctor_misses_every_row_that_is_missing() {
    let rows = all_rows(&a_world_of_all_rows());
    let mut kinds = BTreeSet::new();
    for (missing, (key, _)) in rows.iter().enumerate() {
        let parsed = Key::parse(key).expect("a key of the catalogue");
        // Nothing else says what these should be.
        if matches!(parsed, Key::Quota { .. } | Key::Attribute { .. } | Key::Counter { .. }) {
            continue;
        }
        let others = rows.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, row)| row);
        assert!(!differences(others).is_empty(), "{parsed:?}");
        kinds.insert(format!("{parsed:?}").split(' ').next().unwrap_or_default().to_owned());
    }
    assert!(kinds.len() >= 17, "{kinds:?}");
}

/// Changes the first row that `change` has something to say about; it must be noticed.
fn finds(rows: &Rows, what: &str, change: impl Fn(&Key, &[u8]) -> Option<Vec<u8>>) {
    let mut rows = rows.clone();
    let changed = rows.iter_mut().find_map(|(key, value)| {
        let other = change(&Key::parse(key).expect("a key of the catalogue"), value)?;
        assert_ne!(&other, value, "{what}");
        *value = other;
        Some(())
    });
    assert!(changed.is_some(), "{what}: no such row");
    let found = differences(rows.iter());
    assert!(found.iter().any(|difference| difference.contains(what)), "{what}: {found:?}");
}

/// The row of a public group's header with one field changed.
fn header(key: &Key, value: &[u8], change: impl Fn(&mut GroupHeader)) -> Option<Vec<u8>> {
    let Key::Header { .. } = key else { return None };
    let mut row: GroupHeader = decode(value);
    let before = row.clone();
    change(&mut row);
    (row != before).then(|| encode(&row))
}

fn member(key: &Key, value: &[u8], name: &str, change: impl Fn(&mut MemberRow)) -> Option<Vec<u8>> {
    let Key::Member { .. } = key else { return None };
    let mut row: MemberRow = decode(value);
    (row.account.0 == account(name)).then(|| {
        change(&mut row);
        encode(&row)
    })
}

#[test]
fn the_doctor_finds_every_copy_that_differs() {
    let rows = all_rows(&a_world_of_all_rows());
    finds(&rows, "mutes, has 2", |key, value| {
        header(key, value, |row| row.mute_count += u32::from(row.mute_count > 0))
    });
    finds(&rows, "bans, has 1", |key, value| header(key, value, |row| row.ban_count += row.ban_count));
    finds(&rows, "admins, has 1", |key, value| header(key, value, |row| row.admin_count *= 2));
    finds(&rows, "a live room counts 1 members", |key, value| {
        header(key, value, |row| row.member_count += u32::from(row.kind == 4))
    });
    finds(&rows, "the last is", |key, value| header(key, value, |row| row.last_joined = row.last_joined.min(1)));
    finds(&rows, "by place and", |key, value| member(key, value, "u2", |row| row.mute_until += 1));
    finds(&rows, "its mute says", |key, value| match key {
        Key::Mute { account: muted, .. } if *muted == account("u2") => Some(encode(&(decode::<u64>(value) + 1))),
        _ => None,
    });
    finds(&rows, "by place and", |key, value| match key {
        Key::MemberKey { account: named, .. } if *named == account("u1") => {
            Some(encode(&MemberKey { role: 3, ..decode(value) }))
        }
        _ => None,
    });
    finds(&rows, "joined in order", |key, value| member(key, value, "u3", |row| row.joined = 1));
    finds(&rows, "lists {", |key, _| matches!(key, Key::Role { role: 2, .. }).then(|| b"u2".to_vec()));
    finds(&rows, "is no admin", |key, value| member(key, value, "u5", |row| row.role = 3));
    finds(&rows, "groups of kind", |key, value| {
        matches!(key, Key::Census { .. }).then(|| encode(&(decode::<u64>(value) + 1)))
    });
    for change in [
        |row: &mut JoinedRow| row.flags ^= JoinedRow::flags(true, false, false),
        |row: &mut JoinedRow| row.flags |= JoinedRow::flags(false, false, true),
        |row: &mut JoinedRow| row.join_seq += 1,
        |row: &mut JoinedRow| row.joined += 1,
        |row: &mut JoinedRow| row.kind = 5,
    ] {
        finds(&rows, "lists slot", |key, value| match key {
            Key::Joined { account: named, .. } if *named == account("ann") => {
                let mut row = decode(value);
                change(&mut row);
                Some(encode(&row))
            }
            _ => None,
        });
    }
    finds(&rows, "groups beside those that it has", |key, value| match key {
        Key::Account { .. } => {
            let row: AccountHeader = decode(value);
            Some(encode(&AccountHeader { joined_count: row.joined_count + 1, ..row }))
        }
        _ => None,
    });
}

#[test]
fn the_doctor_finds_counters_of_places_that_are_wrong() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2", "u3"]);
    world.submit(&id, &Command::Remove(remove(&["u2"])));
    world.settle();
    let rows = all_rows(&world);
    assert_eq!(differences(rows.iter()), Vec::<String>::new());
    for bits in LEFT_BITS {
        let of_these = |key: &Key| matches!(key, Key::Left { bits: found, .. } if *found == bits);
        for count in [0_u32, 2] {
            finds(&rows, "places left are counted", |key, _| of_these(key).then(|| encode(&count)));
        }
        let others = rows.iter().filter(|(key, _)| !of_these(&Key::parse(key).expect("a key of the catalogue")));
        let found = differences(others);
        assert!(found.iter().any(|difference| difference.contains("are in no counter")), "{found:?}");
    }
    // However many places a damaged header pretends.
    finds(&rows, "are in no counter", |key, value| header(key, value, |row| row.next_join_seq = u64::MAX));
    let (slot, gno) = world.place(&id);
    for (what, key) in [
        ("places left are counted", Keys::new(1).left(slot, gno, 8, u64::MAX)),
        ("has 9 bits", Keys::new(1).left(slot, gno, 9, 0)),
    ] {
        let extra = (key, encode(&1_u32));
        let found = differences(rows.iter().chain([&extra]));
        assert!(found.iter().any(|difference| difference.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn the_doctor_finds_rows_where_none_belong() {
    let world = a_world_of_all_rows();
    let rows = all_rows(&world);
    let keys = Keys::new(1);
    let (slot, gno) = world.place(&group_id(0));
    let nobody = Gno(gno.0 + 1_000);
    let far = account("far");
    let planted: [(&str, Vec<u8>, Vec<u8>); 6] = [
        ("belong to no group", keys.attribute(slot, nobody, "a"), encode(&"b".to_owned())),
        ("belong to no group", keys.counter(slot, nobody, "a"), encode(&1_i64)),
        ("belong to no group", keys.mute(slot, nobody, &far), encode(&9_u64)),
        ("has 3", keys.mute(slot, gno, &account("else")), encode(&9_u64)),
        ("groups of kind", keys.census(ShardId(0), AppId(9), 2), encode(&1_u64)),
        ("by place and", keys.member(slot, gno, 3), {
            let row = rows.iter().find_map(|(key, value)| match Key::parse(key) {
                Some(Key::Member { .. }) => Some(MemberRow::decode(value)),
                _ => None,
            });
            encode(&MemberRow { account: far.clone().into(), ..row.expect("a member") })
        }),
    ];
    for (what, key, value) in planted {
        let extra = (key, value);
        let found = differences(rows.iter().filter(|(key, _)| *key != extra.0).chain([&extra]));
        assert!(found.iter().any(|difference| difference.contains(what)), "{what}: {found:?}");
    }
}

/// A mute that was over is swept some time, and what a member's row says of it is not looked for.
#[test]
fn a_copy_of_a_mute_that_is_over_is_no_difference() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    let mute = |world: &World, name: &str, for_secs: u64| Event::Muted {
        accounts: accounts(&[name]),
        until_secs: world.at / 1000 + for_secs,
        at: Stamp(world.at),
    };
    world.happen(&id, mute(&world, "u1", 10), vec![]);
    world.at += 20_000;
    world.happen(&id, mute(&world, "u2", 10), vec![]);
    assert_eq!(world.head(&id).mute_count, 1);
    assert_eq!(world.examine().differences, Vec::<String>::new());
    // Nor is it one that a member wants something else of messages.
    let flag = MemberChange::MsgFlag(MsgFlag::Discard);
    world.happen(&id, Event::MemberChanged { account: account("u1"), changes: vec![flag] }, vec![]);
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// Between two steps of a disband: who has been told has the group in no list, everybody else has.
#[test]
fn the_doctor_knows_how_far_a_disband_has_come() {
    let mut world = World::new();
    let names: Vec<String> = (0..DISBAND_CHUNK + 9).map(|n| format!("m{n}")).collect();
    let id = a_created_group(&mut world, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let (slot, gno) = world.place(&id);
    world.settle();
    let before = all_rows(&world);
    world.submit(&id, &Command::Destroy(destroy(app_admin())));
    world.step_job();
    let rows = all_rows(&world);
    assert_eq!(differences(rows.iter()), Vec::<String>::new(), "told, on its way");
    let is_joined = |key: &[u8], of: &str| match Key::parse(key) {
        Some(Key::Joined { account: named, .. }) => named == account(of),
        _ => false,
    };
    let is_to_be_told = |name: &&String| {
        let key = Keys::new(1).member_key(slot, gno, &account(name));
        rows.iter().any(|(found, _)| *found == key)
    };
    let to_be_told = names.iter().find(is_to_be_told).expect("some are left");
    let missing = rows.iter().filter(|(key, _)| !is_joined(key, to_be_told));
    let found = differences(missing);
    assert!(found.iter().any(|difference| difference.contains("and has not joined it")), "{found:?}");
    while !world.on_their_way.is_empty() {
        world.deliver(false);
    }
    let rows = all_rows(&world);
    assert_eq!(differences(rows.iter()), Vec::<String>::new(), "told");
    let told = names.iter().find(|name| !is_to_be_told(name)).expect("some have been told");
    let late = before.iter().find(|(key, _)| is_joined(key, told)).expect("a joined row");
    let found = differences(rows.iter().chain([late]));
    assert!(found.iter().any(|difference| difference.contains("where it is no member")), "{found:?}");
    world.settle();
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// A node with these rows, and the store below it.
async fn running(rows: &Rows) -> (MemoryStore, Cluster) {
    let store = MemoryStore::new();
    let cluster = testing::open(&store, SHARDS).expect("opened");
    let mut batch = Batch::default();
    rows.iter().for_each(|(key, value)| batch.put(Family::State, key.clone(), value.clone()));
    cluster.disk().submit(batch).await.expect("written");
    (store, cluster)
}

fn examined(cluster: &Cluster) -> Examined {
    let mut read = 0;
    let examined = examine(cluster, |more| {
        read += more;
        true
    });
    let examined = examined.expect("rows in memory").expect("nobody said no");
    assert!(read >= examined.findings.rows, "{read} of {}", examined.findings.rows);
    examined
}

#[actix_rt::test]
async fn a_running_node_is_looked_through_like_a_folder() {
    let world = a_world_of_all_rows();
    let rows = all_rows(&world);
    let (store, cluster) = running(&rows).await;
    let Examined { findings, ahead } = examined(&cluster);
    assert_eq!((findings.differences, ahead), (vec![], None));
    let offline = world.examine();
    assert_eq!(
        (findings.rows, findings.groups, findings.members, findings.on_their_way),
        (offline.rows, offline.groups, offline.members, offline.on_their_way)
    );
    assert!(examine(&cluster, |_| false).expect("rows in memory").is_none(), "it ends when it is told to");
    // A fault stays, so it is there in every look.
    let is_counted = |(key, _): &&Row| matches!(Key::parse(key), Some(Key::Account { .. }));
    let (key, value) = rows.iter().find(is_counted).expect("an account");
    let header: AccountHeader = decode(value);
    store.damage(key, &encode(&AccountHeader { joined_count: header.joined_count + 1, ..header }));
    let findings = examined(&cluster).findings;
    assert_eq!(findings.difference_count, 1, "{findings:?}");
    assert!(findings.differences[0].contains("groups beside those that it has"), "{findings:?}");
    cluster.stop().await;
}

/// A shard that has applied what its source has not sent: behind for a moment, or wrong for good.
#[actix_rt::test]
async fn a_shard_that_is_ahead_of_another_is_named() {
    let mut rows = all_rows(&a_world_of_all_rows());
    let is_cursor = |(key, _): &&mut Row| matches!(Key::parse(key), Some(Key::InboxCursor { .. }));
    let (key, value) = rows.iter_mut().find(is_cursor).expect("a cursor");
    let Some(Key::InboxCursor { target, source }) = Key::parse(key) else { panic!("just found") };
    *value = encode(&(decode::<u64>(value) + 1_000));
    let (_store, cluster) = running(&rows).await;
    assert_eq!(examined(&cluster).ahead, Some((target, source)));
    cluster.stop().await;
}
