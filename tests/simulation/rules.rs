//! The rules that what clients are told rests on, each with a test that fails without it (ARCHITECTURE.md, "What makes
//! it right").
//!
//! Two more are looked at in every run (`world.rs`): what is applied anywhere is flushed on a majority, and nobody leads
//! before it has applied the first entry of its own term.

use std::sync::atomic::Ordering;
use std::time::Duration;

use muster::shard::slot_of;
use muster_cluster::{ReadPolicy, ShardId, shard_of_slot};
use tokio::sync::oneshot::error::TryRecvError;

use crate::actions::{APP, group_id};
use crate::chance::with_seed;
use crate::cluster::Simulated;
use crate::history::{Account, Action, Answer, Counter, Profile, Role};
use crate::host::Reply;
use crate::random::Random;
use crate::world::{SHARDS, World};

const NODES: usize = 3;
const GROUP: usize = 0;
/// What a leader's lease is good for: `cluster/src/testing.rs` and `LEASE_PERCENT`.
const LEASE: Duration = Duration::from_millis(210);
/// `shard::proposer::FOLLOWER_ITEMS_MIN`.
const FOLLOWER_ITEMS: usize = 8;
const SOON: Duration = Duration::from_millis(500);

/// Runs a test on three nodes that have formed a cluster, with a group in it.
fn on_three_nodes(seed: u64, test: impl FnOnce(&mut Simulated) + Send + 'static) {
    on_nodes(NODES, seed, test);
}

fn on_nodes(nodes: usize, seed: u64, test: impl FnOnce(&mut Simulated) + Send + 'static) {
    let run = move || {
        let mut random = Random::of_seed(seed);
        let world = World::new(seed, nodes, &mut random);
        let mut simulated = Simulated::new(world, 5, &mut random);
        simulated.form();
        let (leader, _) = simulated.leader_but(shard(), None);
        let reply = simulated.asked(leader, GROUP, Action::Create(1), "created");
        assert!(matches!(reply, Reply::Answered(Answer::Done)), "{reply:?}");
        test(&mut simulated);
    };
    with_seed(seed, run).unwrap_or_else(|_| panic!("with seed {seed}"));
}

fn shard() -> ShardId {
    shard_of_slot(slot_of(APP, &group_id(GROUP)), SHARDS)
}

fn add(account: u8) -> Action {
    Action::Add(vec![Account(account)])
}

fn role(profile: &Profile, account: u8) -> Option<Role> {
    profile.roster[usize::from(account)]
}

/// Reads the group from its leader, whoever that is.
fn profile(simulated: &mut Simulated) -> Profile {
    for _ in 0..20 {
        let (leader, _) = simulated.leader_but(shard(), None);
        if let Reply::Answered(Answer::Profile(profile)) = simulated.asked(leader, GROUP, Action::ReadProfile, "") {
            return profile;
        }
    }
    panic!("no leader answers");
}

#[test]
fn what_is_flushed_on_one_node_alone_is_not_acknowledged() {
    on_three_nodes(1, |simulated| {
        let (leader, _) = simulated.leader_but(shard(), None);
        for other in simulated.others(leader) {
            simulated.world.nodes[other].disk.lock().hangs_for = Duration::from_secs(60);
        }
        let mut answer = simulated.ask(leader, GROUP, add(1), "added");
        simulated.pass(SOON);
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Empty)), "acknowledged");
        for node in 0..NODES {
            simulated.crash(node, 0);
        }
        // The one that had flushed it comes too late to be asked.
        simulated.others(leader).for_each(|other| simulated.start(other));
        assert_eq!(role(&profile(simulated), 1), None);
    });
}

#[test]
fn what_was_acknowledged_survives_power_loss_everywhere() {
    on_three_nodes(2, |simulated| {
        for account in 1..8 {
            let (leader, _) = simulated.leader_but(shard(), None);
            let reply = simulated.asked(leader, GROUP, add(account), &format!("added {account}"));
            assert!(matches!(&reply, Reply::Answered(Answer::Added(entered)) if entered[..] == [true]), "{reply:?}");
            (0..NODES).for_each(|node| simulated.crash(node, 0));
            // Any two of them must know it.
            let away = usize::from(account) % NODES;
            simulated.others(away).for_each(|node| simulated.start(node));
            let profile = profile(simulated);
            assert!((1..=account).all(|account| role(&profile, account).is_some()), "{profile:?}");
            simulated.start(away);
            simulated.pass(SOON);
        }
    });
}

/// One that voted within a lease that it had granted before would elect a second leader while the first one may still
/// answer reads alone.
#[test]
fn whoever_was_just_started_helps_nobody_to_be_elected() {
    for seed in 0..6 {
        on_three_nodes(seed, |simulated| {
            let (leader, term) = simulated.leader_but(shard(), None);
            let others: Vec<usize> = simulated.others(leader).collect();
            let [helper, candidate] = others[..] else { panic!("three nodes") };
            // Whoever does not hear the leader wants to be elected, and is refused by the one that does.
            simulated.part(leader, candidate);
            simulated.pass(Duration::from_secs(2));
            assert_eq!(simulated.world.leader(shard()), Some((leader, term)));
            // Until now the helper has answered the leader.
            simulated.part(leader, helper);
            simulated.crash(helper, 10);
            let crashed = simulated.sim.elapsed();
            simulated.start(helper);
            let second = |simulated: &Simulated| simulated.world.leader(shard()).filter(|now| now.1 > term);
            simulated.until(Duration::from_secs(5), "another leads", second);
            let after = simulated.sim.elapsed() - crashed;
            assert!(after >= LEASE, "another leader {after:?} after the first one was last answered");
        });
    }
}

#[test]
fn a_leader_that_was_replaced_answers_no_reads() {
    on_three_nodes(4, |simulated| {
        let (old, _) = simulated.leader_but(shard(), None);
        simulated.others(old).for_each(|other| simulated.part(old, other));
        let (new, _) = simulated.leader_but(shard(), Some(old));
        let reply = simulated.asked(new, GROUP, add(3), "added");
        assert!(matches!(reply, Reply::Answered(Answer::Added(_))), "{reply:?}");
        for _ in 0..5 {
            let reply = simulated.asked(old, GROUP, Action::ReadProfile, "");
            assert!(!matches!(reply, Reply::Answered(_)), "{reply:?} though another leads");
        }
        simulated.others(old).for_each(|other| simulated.heal(old, other));
        simulated.pass(SOON);
        let reply = simulated.asked(old, GROUP, Action::ReadRoles(vec![Account(3)]), "");
        assert!(matches!(&reply, Reply::Answered(Answer::Roles(roles)) if roles[0].is_some()), "{reply:?}");
    });
}

/// Its clock stood still while it slept, so that its lease looks fresh; the others have waited it out.
#[test]
fn a_leader_that_has_slept_answers_no_reads_before_it_is_heard_again() {
    for slept_ms in [0, 400] {
        on_three_nodes(10, move |simulated| {
            let (leader, _) = simulated.leader_but(shard(), None);
            simulated.others(leader).for_each(|other| simulated.part(leader, other));
            simulated.world.nodes[leader].slept_ms.fetch_add(slept_ms, Ordering::AcqRel);
            let reply = simulated.asked(leader, GROUP, Action::ReadProfile, "");
            assert_eq!(matches!(reply, Reply::Answered(_)), slept_ms == 0, "{reply:?} after {slept_ms} ms of sleep");
            simulated.others(leader).for_each(|other| simulated.heal(leader, other));
            profile(simulated);
        });
    }
}

/// Where no clock is trusted, a majority is asked, however fresh the lease is.
#[test]
fn a_leader_that_is_to_ask_a_majority_answers_no_reads_alone() {
    on_three_nodes(11, |simulated| {
        *simulated.world.reads.lock() = ReadPolicy::Quorum;
        for node in 0..NODES {
            simulated.crash(node, 0);
            simulated.start(node);
            simulated.pass(Duration::from_secs(1));
        }
        let (leader, _) = simulated.leader_but(shard(), None);
        let follower = simulated.others(leader).next().expect("three nodes");
        for node in [leader, follower] {
            let reply = simulated.asked(node, GROUP, Action::ReadProfile, "");
            assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        }
        simulated.others(leader).for_each(|other| simulated.part(leader, other));
        let reply = simulated.asked(leader, GROUP, Action::ReadProfile, "");
        assert!(!matches!(reply, Reply::Answered(_)), "{reply:?}");
    });
}

/// A follower knows less than its leader, and asks it before it answers.
#[test]
fn a_follower_answers_reads_with_what_its_leader_has_acknowledged() {
    on_three_nodes(5, |simulated| {
        let (leader, _) = simulated.leader_but(shard(), None);
        for account in 1..8 {
            let reply = simulated.asked(leader, GROUP, add(account), &format!("added {account}"));
            assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
            for other in simulated.others(leader) {
                let reply = simulated.asked(other, GROUP, Action::ReadRoles(vec![Account(account)]), "");
                assert!(matches!(&reply, Reply::Answered(Answer::Roles(roles)) if roles[0].is_some()), "{reply:?}");
            }
        }
    });
}

/// What a replaced leader had decided meets the fences of what was decided since: it does not happen.
#[test]
fn what_a_replaced_leader_decided_does_not_happen_later() {
    on_three_nodes(6, |simulated| {
        let (old, _) = simulated.leader_but(shard(), None);
        simulated.others(old).for_each(|other| simulated.part(old, other));
        let mut late = simulated.ask(old, GROUP, add(1), "late");
        let (new, _) = simulated.leader_but(shard(), Some(old));
        let reply = simulated.asked(new, GROUP, add(2), "added");
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        simulated.others(old).for_each(|other| simulated.heal(old, other));
        simulated.pass(Duration::from_secs(2));
        let told = late.try_recv();
        assert!(!matches!(told, Ok(Reply::Answered(_))), "{told:?}");
        let profile = profile(simulated);
        assert_eq!((role(&profile, 1), role(&profile, 2)), (None, Some(Role::Member)));
    });
}

#[test]
fn a_repeated_request_is_carried_out_once_whoever_leads_by_then() {
    on_three_nodes(7, |simulated| {
        let count = Action::Count(Counter(0), 1);
        for round in 1..6_i64 {
            let request = format!("counted {round}");
            let (leader, _) = simulated.leader_but(shard(), None);
            let first = simulated.asked(leader, GROUP, count.clone(), &request);
            assert!(matches!(first, Reply::Answered(Answer::Counted(value)) if value == round), "{first:?}");
            simulated.crash(leader, 0);
            let (next, _) = simulated.leader_but(shard(), Some(leader));
            let again = simulated.asked(next, GROUP, count.clone(), &request);
            assert!(matches!(again, Reply::Answered(Answer::Counted(value)) if value == round), "{again:?}");
            simulated.start(leader);
            simulated.pass(Duration::from_secs(1));
        }
    });
}

/// A replica that was away for longer than the log is kept is filled from rows, and counts as much as any other.
#[test]
fn whoever_missed_more_than_the_log_keeps_is_filled() {
    on_three_nodes(8, |simulated| {
        let (leader, _) = simulated.leader_but(shard(), None);
        let away = simulated.others(leader).next().expect("another node");
        simulated.crash(away, 0);
        for round in 0..200 {
            let (leader, _) = simulated.leader_but(shard(), None);
            let action = if round % 2 == 0 { add(1) } else { Action::Remove(vec![Account(1)]) };
            simulated.asked(leader, GROUP, action, &format!("{round}"));
        }
        simulated.start(away);
        simulated.until(Duration::from_secs(10), "filled", |simulated| {
            (simulated.world.tally.lock().filled > 0).then_some(())
        });
        simulated.pass(SOON);
        let (leader, _) = simulated.leader_but(shard(), None);
        let other = simulated.others(leader).find(|other| *other != away).expect("three nodes");
        simulated.crash(other, 0);
        let reply = simulated.asked(leader, GROUP, add(5), "added");
        assert!(matches!(reply, Reply::Answered(Answer::Added(_))), "{reply:?}");
        simulated.crash(leader, 0);
        simulated.start(other);
        assert!(role(&profile(simulated), 5).is_some());
    });
}

/// Of two proposals the first is refused, as the lease has run out, and the second gets in when it is renewed, in the same
/// term. It was decided on what the first one would have left; by the number alone nobody could tell, as the activation
/// before this one left the same.
#[test]
fn what_rests_on_a_refused_proposal_is_not_carried_out() {
    let seeds = 0..4;
    let (told, met) = std::sync::mpsc::channel();
    for seed in seeds {
        let told = told.clone();
        on_three_nodes(seed, move |simulated| {
            let (first, _) = simulated.leader_but(shard(), None);
            simulated.crash(first, 0);
            let (leader, term) = simulated.leader_but(shard(), Some(first));
            simulated.start(first);
            simulated.pass(SOON);
            let pairs = [(0, 1), (1, 2), (0, 2)];
            pairs.iter().for_each(|(one, other)| simulated.part(*one, *other));
            simulated.pass(LEASE + LEASE);
            let count = |simulated: &Simulated, n: usize| {
                simulated.ask(leader, GROUP, Action::Count(Counter(0), 1), &format!("counted {n}"))
            };
            let mut refused = count(simulated, 0);
            simulated.step();
            // So many leave while the first is under way.
            let mut behind: Vec<_> = (1..=FOLLOWER_ITEMS).map(|n| count(simulated, n)).collect();
            while matches!(refused.try_recv(), Err(TryRecvError::Empty)) {
                simulated.step();
            }
            pairs.iter().for_each(|(one, other)| simulated.heal(*one, *other));
            simulated.pass(Duration::from_secs(2));
            let answered =
                behind.iter_mut().map(|answer| answer.try_recv()).filter(|told| matches!(told, Ok(Reply::Answered(_))));
            assert_eq!(answered.count(), 0);
            let (leader, now) = simulated.leader_but(shard(), None);
            let counters = simulated.asked(leader, GROUP, Action::ReadCounters, "");
            assert!(matches!(counters, Reply::Answered(Answer::Counters([0, 0]))), "{counters:?}");
            let conflicts = simulated.world.tally.lock().conflicts;
            let _ = told.send(now == term && conflicts > 0);
        });
    }
    drop(told);
    let met = met.iter().filter(|met| *met).count();
    assert!(met > 0, "in no run did the second proposal get into the log of the same term");
    println!("{met} runs met the case");
}

/// Of five, one answers for the later of two entries before the leader itself has flushed it, and then a third one for
/// both: two have the later entry, whoever is counted first.
///
/// Source: issue 1802 of openraft.
#[test]
fn a_majority_is_a_majority_whoever_answers_first() {
    on_nodes(5, 9, |simulated| {
        let (leader, term) = simulated.leader_but(shard(), None);
        let others: Vec<usize> = simulated.others(leader).collect();
        let [first, second, ..] = others[..] else { panic!("five nodes") };
        let pairs = (0..5).flat_map(|one| (one + 1..5).map(move |other| (one, other)));
        for (one, other) in pairs.filter(|pair| [(leader, first), (first, leader)].iter().all(|spared| spared != pair))
        {
            simulated.part(one, other);
        }
        let mut earlier = simulated.ask(leader, GROUP, add(1), "earlier");
        simulated.pass(Duration::from_millis(40));
        simulated.world.nodes[leader].disk.lock().hangs_for = Duration::from_millis(1_500);
        let mut later: Vec<_> = (0..=FOLLOWER_ITEMS)
            .map(|n| simulated.ask(leader, GROUP, Action::Count(Counter(0), 1), &format!("later {n}")))
            .collect();
        simulated.pass(Duration::from_millis(40));
        simulated.heal(leader, second);
        simulated.pass(Duration::from_millis(700));
        assert_eq!(simulated.world.leader(shard()), Some((leader, term)), "the case is not met");
        assert!(matches!(earlier.try_recv(), Ok(Reply::Answered(_))), "three of five have it");
        let told =
            later.iter_mut().map(|later| later.try_recv()).filter(|told| !matches!(told, Err(TryRecvError::Empty)));
        assert_eq!(told.count(), 0, "two of five have them");
    });
}
