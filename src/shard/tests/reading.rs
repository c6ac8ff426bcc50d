//! What reads answer from rows.

use super::*;
use crate::group::testing::{change_profile, remove};
use crate::group::{ImportedMember, MemberChange};

fn names(members: &[MemberView]) -> Vec<&str> {
    members.iter().map(|member| member.account.as_str()).collect()
}

impl World {
    fn page(&self, id: &GroupId, roles: &[Role], from: PageStart, limit: usize) -> MemberPage {
        let query = MemberQuery { roles: roles.to_vec(), from, limit };
        let page = reads::members(self.rows(id), APP, id, &query).expect("rows").expect("a group");
        let walked = reads::members_walked(&self.head(id).facts, &query);
        assert!(page.members.len() as u64 <= walked, "{} of {walked}", page.members.len());
        page
    }

    /// All pages by cursor.
    fn by_cursor(&self, id: &GroupId, roles: &[Role]) -> Vec<String> {
        let (mut from, mut all) = (Some(0), Vec::new());
        while let Some(place) = from {
            let page = self.page(id, roles, PageStart::JoinSeq(place), 2);
            all.extend(names(&page.members).into_iter().map(str::to_owned));
            from = page.next;
        }
        all
    }

    fn shards(&self) -> Vec<muster_cluster::Rows> {
        self.sides.iter().map(|side| side.bench.rows().clone()).collect()
    }

    fn all_groups(&self, kind: Option<Kind>, next: u64, limit: usize) -> AllGroupsPage {
        reads::all_groups(&self.shards(), APP, &AllGroupsQuery { kind, next, limit }).expect("rows")
    }
}

/// A group with several blocks of places, and its members in join order.
fn a_group_of_801(world: &mut World) -> (GroupId, Vec<String>) {
    world.limits.create_group_member = 2_000;
    let mut all: Vec<String> = (0..800).map(|n| format!("m{n:03}")).collect();
    let id = a_created_group(world, &all.iter().map(String::as_str).collect::<Vec<_>>());
    all.insert(0, "ann".to_owned());
    (id, all)
}

fn imported(name: &str, role: Role, joined: u64) -> ImportedMember {
    ImportedMember { account: account(name), role, joined: Stamp(joined), msg_seq: 0 }
}

/// docs/spec/rest-api.md 4.4: by joining time, then by account; the cursor skips and repeats nobody.
#[test]
fn members_are_listed_by_joining_time_also_after_an_import() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u8"]);
    let now = world.at;
    let members = vec![
        imported("u5", Role::Member, now + 5),
        imported("u2", Role::Admin, 20),
        imported("u1", Role::Member, 20),
        imported("u4", Role::Member, 10),
        imported("u3", Role::Admin, 10),
    ];
    world.happen(&id, Event::MembersImported { members }, vec![]);
    assert!(!world.head(&id).facts.joins_in_order);
    let ordered = ["u3", "u4", "u1", "u2", "ann", "u8", "u5"];
    for offset in 0..8 {
        let page = world.page(&id, &[], PageStart::Offset(offset as u64), 3);
        assert_eq!(names(&page.members), ordered[offset.min(7)..(offset + 3).min(7)], "{offset}");
        assert_eq!(page.member_count, 7);
    }
    let admins = world.page(&id, &[Role::Owner, Role::Admin], PageStart::Offset(1), 5);
    assert_eq!(names(&admins.members), ["u2", "ann"]);
    let ordinary = world.page(&id, &[Role::Member], PageStart::Offset(1), 2);
    assert_eq!(names(&ordinary.members), ["u1", "u8"]);
    let listed = reads::group(world.rows(&id), APP, &id, true).expect("rows").expect("a group").members;
    assert_eq!(names(&listed.expect("members")), ordered);

    let in_join_order = ["ann", "u8", "u5", "u2", "u1", "u4", "u3"];
    assert_eq!(world.by_cursor(&id, &[]), in_join_order);
    assert_eq!(world.by_cursor(&id, &[Role::Admin]), ["u2", "u3"]);
    assert_eq!(world.by_cursor(&id, &[Role::Member]), ["u8", "u5", "u1", "u4"]);
}

/// With nobody gone an offset is a place; afterwards the counters of places that were left say where it is.
#[test]
fn offsets_count_members_whoever_has_left() {
    let mut world = World::new();
    let (id, all) = a_group_of_801(&mut world);
    let gone: [Vec<usize>; 4] = [vec![], vec![400], vec![1, 2, 255, 256, 257], (258..400).collect()];
    let mut left = all.clone();
    for places in gone {
        let leaving: Vec<&str> = places.iter().map(|place| all[*place].as_str()).collect();
        if !leaving.is_empty() {
            assert_eq!(world.submit(&id, &Command::Remove(remove(&leaving))), Some(Outcome::Applied));
            left.retain(|name| !leaving.contains(&name.as_str()));
        }
        for offset in [0, 1, 254, 255, 256, 257, 300, left.len() - 3, left.len(), left.len() + 1] {
            let page = world.page(&id, &[], PageStart::Offset(offset as u64), 3);
            let expected = &left[offset.min(left.len())..(offset + 3).min(left.len())];
            assert_eq!(names(&page.members), expected, "{offset} of {}", left.len());
        }
    }
}

/// Blocks of places that everybody has left are gone around; nobody behind them is missed.
#[test]
fn lists_go_around_places_that_were_left() {
    let mut world = World::new();
    let (id, all) = a_group_of_801(&mut world);
    let check = |world: &World, left: &[String]| {
        for offset in [0, 100, 199, 200, 201, left.len() - 1, left.len()] {
            let page = world.page(&id, &[], PageStart::Offset(offset as u64), 150);
            assert_eq!(names(&page.members), &left[offset.min(left.len())..(offset + 150).min(left.len())], "{offset}");
        }
        assert_eq!(world.by_cursor(&id, &[]), left);
        let listed = reads::group(world.rows(&id), APP, &id, true).expect("rows").expect("a group").members;
        assert_eq!(names(&listed.expect("members")), left);
    };
    // The second block and the third; then a few of the first, and all behind the third.
    let mut left = all.clone();
    for places in [256..768, 201..210, 768..801] {
        for some in all[places].chunks(100) {
            let leaving: Vec<&str> = some.iter().map(String::as_str).collect();
            assert_eq!(world.submit(&id, &Command::Remove(remove(&leaving))), Some(Outcome::Applied));
            left.retain(|name| !some.contains(name));
        }
        check(&world, &left);
    }
    // Behind places that were left, and out of order.
    let members = vec![imported("old", Role::Member, 1)];
    world.happen(&id, Event::MembersImported { members }, vec![]);
    let first = world.page(&id, &[], PageStart::Offset(0), 2);
    assert_eq!(names(&first.members), ["old", "ann"]);
    assert_eq!(world.by_cursor(&id, &[]).last().map(String::as_str), Some("old"));
}

#[test]
fn members_by_name_come_in_the_order_asked_for() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1", "u2"]);
    let changes = vec![MemberChange::NameCard("Lena".into())];
    world.happen(&id, Event::MemberChanged { account: account("u2"), changes }, vec![]);
    let asked = accounts(&["u2", "nobody", "ann", "u2"]);
    let named = reads::named_members(world.rows(&id), APP, &id, &asked).expect("rows").expect("a group");
    let cards: Vec<_> =
        named.members.iter().map(|m| m.as_ref().map(|m| (m.account.as_str(), m.name_card.as_str()))).collect();
    assert_eq!(cards, [Some(("u2", "Lena")), None, Some(("ann", "")), Some(("u2", "Lena"))]);
    let none = reads::named_members(world.rows(&id), APP, &group_id(3), &asked).expect("rows");
    assert_eq!(none, None);
}

/// docs/spec/rest-api.md 4.14: only mutes in force, by account.
#[test]
fn mutes_that_are_over_are_not_listed() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1"]);
    let at = Stamp(world.at);
    let ever = u64::from(group::FOR_EVER_SECS);
    for (name, until_secs) in [("u3", 100), ("u1", 101), ("far", ever), ("u2", 102)] {
        world.happen(&id, Event::Muted { accounts: accounts(&[name]), until_secs, at }, vec![]);
    }
    let muted = |now| reads::muted(world.rows(&id), APP, &id, now).expect("rows").expect("a group").muted;
    let list = |named: &[(&str, u64)]| named.iter().map(|(name, until)| (account(name), *until)).collect::<Vec<_>>();
    assert_eq!(muted(99), list(&[("far", ever), ("u1", 101), ("u2", 102), ("u3", 100)]));
    assert_eq!(muted(101), list(&[("far", ever), ("u2", 102)]));
    assert_eq!(muted(ever + 1), list(&[("far", ever)]));
}

/// docs/spec/rest-api.md 4.27: the offset counts bans in force.
#[test]
fn pages_of_bans_count_bans_in_force() {
    let mut world = World::new();
    let id = a_live_room(&mut world, "olga");
    let at = Stamp(world.at);
    for n in 0..9_u64 {
        let (accounts, until_secs) = (accounts(&[&format!("b{n}")]), 100 + n % 2);
        let description = String::new();
        world.happen(&id, Event::Banned { accounts, until_secs, description, at }, vec![]);
    }
    let page = |offset, limit, now_secs| {
        let query = BanQuery { offset, limit, now_secs };
        let page = reads::bans(world.rows(&id), APP, &id, &query).expect("rows").expect("a group");
        let names: Vec<String> = page.banned.iter().map(|(account, _)| account.as_str().to_owned()).collect();
        (names.join(" "), page.has_more)
    };
    assert_eq!(page(0, 4, 50), ("b0 b1 b2 b3".into(), true));
    assert_eq!(page(8, 4, 50), ("b8".into(), false));
    assert_eq!(page(0, 3, 100), ("b1 b3 b5".into(), true));
    assert_eq!(page(3, 3, 100), ("b7".into(), false));
    assert_eq!(page(1, 3, 100), ("b3 b5 b7".into(), false));
    assert_eq!(page(9, 3, 100), (String::new(), false));
}

#[test]
fn what_members_share_is_listed_by_key() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &[]);
    let pairs = |named: &[(&str, &str)]| -> Vec<(String, String)> {
        named.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let set = pairs(&[("route", "north"), ("leader", "otto"), ("", "odd"), ("群", "")]);
    world.happen(&id, Event::AttributesChanged { set, removed: vec![] }, vec![]);
    let (set, removed) = (pairs(&[("route", "south")]), vec![String::new(), "none".into()]);
    world.happen(&id, Event::AttributesChanged { set, removed }, vec![]);
    let shared = reads::attributes(world.rows(&id), APP, &id).expect("rows").expect("a group");
    assert_eq!(shared.values, pairs(&[("leader", "otto"), ("route", "south"), ("群", "")]));

    let set = vec![("likes".to_owned(), i64::MIN), ("b".to_owned(), 7)];
    world.happen(&id, Event::CountersChanged { set, removed: vec![] }, vec![]);
    let counted = reads::counters(world.rows(&id), APP, &id).expect("rows").expect("a group");
    assert_eq!(counted.values, [("b".to_owned(), 7), ("likes".to_owned(), i64::MIN)]);
    // Gone with the group, and not found by the next one of the same id.
    world.submit(&id, &Command::Destroy(destroy(app_admin())));
    world.settle();
    a_created_group(&mut world, &[]);
    assert_eq!(reads::attributes(world.rows(&id), APP, &id).expect("rows").expect("a group").values, []);
    assert_eq!(reads::counters(world.rows(&id), APP, &id).expect("rows").expect("a group").values, []);
}

#[test]
fn all_groups_are_paged_without_a_gap_while_groups_come_and_go() {
    let mut world = World::new();
    let kind = |n: u8| Kind::ALL[usize::from(n) % Kind::ALL.len()];
    for n in 0..60 {
        world.submit(&group_id(n), &Command::Create(create(kind(n))));
    }
    let elsewhere = reads::all_groups(&world.shards(), AppId(2), &AllGroupsQuery { kind: None, next: 0, limit: 9 });
    assert_eq!(elsewhere.expect("rows"), AllGroupsPage { total: 0, ids: vec![], next: 0 });
    assert_eq!(world.all_groups(None, 0, 60).next, 0);
    assert_eq!(world.all_groups(None, 1 << 53, 60).ids, []);

    for wanted in [None, Some(Kind::Public), Some(Kind::AvChatRoom), Some(Kind::Community)] {
        let fits = |n: &u8| wanted.is_none_or(|wanted| wanted == kind(*n));
        let mut expected: Vec<GroupId> = (0..60).filter(fits).map(group_id).collect();
        expected.sort();
        let (mut next, mut seen, mut come) = (0, Vec::new(), 100);
        loop {
            let page = world.all_groups(wanted, next, 5);
            assert!(page.ids.len() <= 5 && page.next < 1 << 53);
            assert!(page.next == 0 || page.ids.len() == 5);
            seen.extend(page.ids);
            next = page.next;
            if next == 0 {
                break;
            }
            // Between two pages one comes, and goes, and comes again.
            let id = group_id(come);
            world.submit(&id, &Command::Create(create(kind(come))));
            world.submit(&id, &Command::Destroy(destroy(app_admin())));
            world.submit(&id, &Command::Create(create(kind(come))));
            come += 1;
        }
        let mut old: Vec<GroupId> = seen.iter().filter(|id| expected.contains(id)).cloned().collect();
        old.sort();
        assert_eq!(old, expected, "{wanted:?}");
        let total = seen.iter().collect::<std::collections::HashSet<_>>().len();
        assert_eq!(total, seen.len(), "nobody is repeated");
        for id in (100..come).map(group_id) {
            world.submit(&id, &Command::Destroy(destroy(app_admin())));
        }
        assert_eq!(world.all_groups(wanted, 0, 1).total, expected.len() as u64);
    }
    assert_eq!(world.examine().differences, Vec::<String>::new());
}

/// The place in a page's `next` may be that of a group that is gone by then.
#[test]
fn a_page_may_begin_where_a_group_was() {
    let mut world = World::new();
    for n in 0..6 {
        world.submit(&group_id(n), &Command::Create(create(Kind::Public)));
    }
    let all = world.all_groups(None, 0, 6).ids;
    let first = world.all_groups(None, 0, 2);
    world.submit(&all[2], &Command::Destroy(destroy(app_admin())));
    let rest = world.all_groups(None, first.next, 9);
    assert_eq!((first.ids, rest.ids, rest.total), (all[..2].to_vec(), all[3..].to_vec(), 5));
}

/// The row in the list was written when the account joined, and topics were enabled afterwards.
#[test]
fn a_joined_list_by_topics_asks_the_groups() {
    let mut world = World::new();
    let communities = ["@TGS#_a", "@TGS#_b", "@TGS#_c"].map(|id| GroupId::parse(id).expect("an id"));
    for id in &communities {
        let command = group::Create { members: vec![new_member("u1", Role::Member)], ..create(Kind::Community) };
        world.submit(id, &Command::Create(command));
    }
    a_created_group(&mut world, &["u1"]);
    let enable = group::ChangeProfile { support_topic: Some(true), ..change_profile() };
    assert_eq!(world.submit(&communities[1], &Command::ChangeProfile(enable)), Some(Outcome::Applied));
    world.settle();
    let joined = |world: &World, topics: Option<bool>, kind: Option<Kind>| {
        let query = JoinedQuery { support_topic: topics, kind, with_inactive: true, ..JoinedQuery::default() };
        let shard = usize::from(shard_of_account(APP, &account("u1"), SHARDS).0);
        let all = reads::joined(&world.shards()[shard], APP, &account("u1"), &query, |_, _| false).expect("rows");
        let shards = world.shards();
        let rows_of = |slot| &shards[usize::from(muster_cluster::shard_of_slot(slot, SHARDS).0)];
        let all = match topics {
            Some(wanted) => reads::keep_by_topics(all, rows_of, APP, wanted).expect("rows"),
            None => all,
        };
        all.iter().map(|joined| joined.row.group.0.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(joined(&world, Some(true), None), ["@TGS#_b"]);
    assert_eq!(joined(&world, Some(false), Some(Kind::Community)), ["@TGS#_a", "@TGS#_c"]);
    assert_eq!(joined(&world, Some(false), None), ["@TGS#_a", "@TGS#_c", "g0"]);
    assert_eq!(joined(&world, None, None).len(), 4);
    // Once it has joined again its own row says so.
    world.submit(&communities[1], &Command::Remove(remove(&["u1"])));
    world.submit(&communities[1], &Command::Add(add(&["u1"])));
    world.settle();
    assert_eq!(joined(&world, Some(true), None), ["@TGS#_b"]);
    // A group that is gone matches nothing, whatever the row says of it.
    world.submit(&communities[0], &Command::Destroy(destroy(app_admin())));
    assert_eq!(joined(&world, Some(false), Some(Kind::Community)), ["@TGS#_c"]);
}

#[test]
fn single_rows_are_found_in_memory_or_are_said_to_be_cold() {
    use muster_cluster::Lookup;
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1"]);
    let at = Stamp(world.at);
    world.happen(&id, Event::Muted { accounts: accounts(&["u1"]), until_secs: 99, at }, vec![]);
    let (slot, gno) = world.place(&id);
    let lookups = world.lookups(&id);
    let restriction = |name: &str| match lookups.restriction_now(slot, gno, &account(name), Kind::Public).expect("rows")
    {
        Lookup::Found(restriction) => restriction,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(restriction("u1"), Restriction { muted_until: 99, banned_until: 0 });
    assert_eq!(restriction("u2"), Restriction::default());
    let card = |join_seq| lookups.card_now(slot, gno, join_seq, Kind::Public).expect("rows");
    assert!(matches!(card(1), Lookup::Found(card) if card.msg_flag == Kind::Public.default_msg_flag()));
    assert!(matches!(card(9), Lookup::Absent));
    let shard = world.shard(&id);
    let groups = |kinds| lookups.groups(shard, APP, kinds).expect("rows");
    assert_eq!([groups(&Kind::ALL), groups(&[Kind::Public]), groups(&[Kind::Work])], [1, 1, 0]);
}
