//! What holds of any history: any commands by anybody, from an empty start.
//!
//! The group is kept as the shell keeps it, facts, texts and one row per member; a command is judged with the
//! rows of the accounts that it names and of no others. That a refusal changes nothing needs no test: `decide`
//! has nothing it could change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::testing::{account, app_admin, create};
use super::*;

const ACCOUNTS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "fay"];

/// Small enough for a history of a few commands to meet every limit.
fn small_limits() -> Limits {
    Limits {
        group_custom_keys: 2,
        member_custom_keys: 1,
        admins_per_group: 2,
        max_members: PerKind { work: 5, public: 5, meeting: 5, avchatroom: 0, community: 5 },
        ..Limits::default()
    }
}

/// One command and what else it is judged with.
#[derive(Clone, Debug)]
struct Step {
    command: Command,
    full_accounts: Vec<AccountId>,
    daily_quota_spent: bool,
}

fn any_account() -> impl Strategy<Value = AccountId> {
    prop::sample::select(&ACCOUNTS[..]).prop_map(account)
}

fn any_operator() -> impl Strategy<Value = Operator> {
    prop_oneof![1 => Just(app_admin()), 3 => any_account().prop_map(Operator::Account)]
}

fn any_custom() -> impl Strategy<Value = Vec<CustomField>> {
    let field = (prop::sample::select(vec!["a", "b", "c"]), prop::sample::select(vec!["", "1", "2"]));
    let some = vec(field.prop_map(|(key, value)| (key.to_string(), value.to_string())), 1..4);
    prop_oneof![3 => Just(Vec::new()), 1 => some]
}

fn any_apply_join() -> impl Strategy<Value = ApplyJoin> {
    prop::sample::select(vec![ApplyJoin::Free, ApplyJoin::NeedPermission, ApplyJoin::Disabled])
}

fn any_invite_join() -> impl Strategy<Value = InviteJoin> {
    prop::sample::select(vec![InviteJoin::Free, InviteJoin::NeedPermission, InviteJoin::Disabled])
}

/// From too few to too many under [`small_limits`].
fn any_members_max() -> impl Strategy<Value = u32> {
    0..=6u32
}

fn any_create(kind: Kind) -> impl Strategy<Value = Command> {
    let role = prop_oneof![8 => Just(Role::Member), 4 => Just(Role::Admin), 1 => Just(Role::Owner)];
    let member = (any_account(), role, any_custom());
    let member = member.prop_map(|(account, role, custom)| NewMember { account, role, custom });
    let members = prop_oneof![1 => Just(Vec::new()), 2 => vec(member, 1..5)];
    let people = (any_operator(), weighted(0.7, any_account()), members);
    let options = (
        weighted(0.2, any_members_max()),
        weighted(0.3, any_apply_join()),
        weighted(0.5, any_invite_join()),
        any_custom(),
    );
    let topics = (prop::bool::weighted(0.2), prop::bool::weighted(0.1), prop_oneof![9 => Just(0), 1 => Just(5u64)]);
    (people, options, topics).prop_map(move |(people, options, topics)| {
        let (operator, owner, members) = people;
        let (members_max, apply_join, invite_join, custom) = options;
        let (support_topic, enable_permission, default_permission) = topics;
        Command::Create(Create {
            operator,
            owner,
            members,
            members_max,
            apply_join,
            invite_join,
            custom,
            support_topic,
            enable_permission,
            default_permission,
            ..create(kind)
        })
    })
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    weighted(0.15, prop::sample::select(vec!["club", "team"]).prop_map(String::from))
}

fn any_change_profile() -> impl Strategy<Value = Command> {
    let texts = (any_text(), any_text(), any_text(), any_text(), any_custom());
    let options = (weighted(0.1, any_members_max()), weighted(0.1, any_apply_join()), weighted(0.1, any_invite_join()));
    let flag = || weighted(0.1, any::<bool>());
    let flags = (flag(), flag(), flag(), flag(), weighted(0.1, prop::sample::select(vec![0, 5u64])));
    (any_operator(), texts, options, flags).prop_map(|(operator, texts, options, flags)| {
        let (name, introduction, notification, face_url, custom) = texts;
        let (members_max, apply_join, invite_join) = options;
        let (mute_all, history_before_join, support_topic, enable_permission, default_permission) = flags;
        Command::ChangeProfile(ChangeProfile {
            operator,
            name,
            introduction,
            notification,
            face_url,
            members_max,
            apply_join,
            invite_join,
            mute_all,
            history_before_join,
            enable_permission,
            default_permission,
            support_topic,
            custom,
        })
    })
}

fn any_command(kind: Kind) -> impl Strategy<Value = Command> {
    let some = || vec(any_account(), 1..4);
    let add = (any_operator(), some(), any::<bool>());
    let add = add.prop_map(|(operator, accounts, silent)| Command::Add(Add { operator, accounts, silent }));
    let remove = (any_operator(), some(), any::<bool>());
    let remove = remove.prop_map(|(operator, accounts, silent)| {
        Command::Remove(Remove { operator, accounts, silent, reason: String::new() })
    });
    let destroy = any_operator().prop_map(|operator| Command::Destroy(Destroy { operator }));
    prop_oneof![2 => any_create(kind), 4 => add, 3 => remove, 5 => any_change_profile(), 1 => destroy]
}

/// A first creation, so that most of a history is about a group, and what follows.
fn any_history() -> impl Strategy<Value = Vec<Step>> {
    prop::sample::select(&Kind::ALL[..]).prop_flat_map(|kind| {
        let step = |command| (command, vec(any_account(), 0..2), prop::bool::weighted(0.05));
        let step = move |command: BoxedStrategy<Command>| {
            step(command).prop_map(|(command, full_accounts, daily_quota_spent)| Step {
                command,
                full_accounts,
                daily_quota_spent,
            })
        };
        let first = step(any_create(kind).boxed());
        (first, vec(step(any_command(kind).boxed()), 0..40)).prop_map(|(first, mut rest)| {
            rest.insert(0, first);
            rest
        })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Changed,
    AlreadySo,
    Refused,
}

/// What was asked of whom, and how it went; no kind where there was no group.
type Cell = (Option<Kind>, Rank, &'static str, Ending);

/// The group as rows keep it, and all that was decided of it.
#[derive(Default)]
struct World {
    facts: Option<Facts>,
    profile: Profile,
    rows: BTreeMap<AccountId, Member>,
    log: Vec<Decision>,
    at: Stamp,
}

impl World {
    fn ask(&mut self, step: &Step) -> (Cell, Result<Decision, Refusal>) {
        self.at = Stamp(self.at.0 + 1);
        let limits = small_limits();
        let context = Context {
            limits: &limits,
            at: self.at,
            full_accounts: &step.full_accounts,
            daily_quota_spent: step.daily_quota_spent,
        };
        let kind = match &step.command {
            Command::Create(create) => Some(create.kind),
            _ => self.facts.as_ref().map(|facts| facts.kind),
        };
        let (rank, name) = (self.rank(operator(&step.command)), name(&step.command));

        let mut group = self.activate(&step.command);
        let result = decide(group.as_ref(), &step.command, &context);
        let ending = match &result {
            Ok(decision) if decision.events.is_empty() => Ending::AlreadySo,
            Ok(_) => Ending::Changed,
            Err(_) => Ending::Refused,
        };
        if let Ok(decision) = &result {
            decision.fold(&mut group);
            self.store(group);
            self.log.push(decision.clone());
        }
        ((kind, rank, name, ending), result)
    }

    /// What the operator is, by the rows and not by the rules.
    fn rank(&self, operator: &Operator) -> Rank {
        let Operator::Account(account) = operator else { return Rank::AppAdmin };
        let owner = self.facts.as_ref().and_then(|facts| facts.owner.as_ref());
        match self.rows.get(account) {
            _ if owner == Some(account) => Rank::Owner,
            Some(member) => member.role.into(),
            None => Rank::NotMember,
        }
    }

    fn activate(&self, command: &Command) -> Option<Group> {
        let mut group = Group::new(self.facts.clone()?);
        for account in command.named_accounts() {
            group.learn(account.clone(), self.rows.get(account).copied());
        }
        if command.needs_profile() {
            group.learn_profile(self.profile.clone());
        }
        Some(group)
    }

    fn store(&mut self, group: Option<Group>) {
        let Some(group) = group else {
            *self = World { log: std::mem::take(&mut self.log), at: self.at, ..World::default() };
            return;
        };
        for (account, member) in group.known {
            match member {
                Some(member) => self.rows.insert(account, member),
                None => self.rows.remove(&account),
            };
        }
        self.facts = Some(group.facts);
        self.profile = group.profile.unwrap_or_else(|| std::mem::take(&mut self.profile));
    }

    /// The group with everything known about it.
    fn whole(&self) -> Option<Group> {
        let mut group = Group::new(self.facts.clone()?);
        group.learn_profile(self.profile.clone());
        self.rows.iter().for_each(|(account, member)| group.learn(account.clone(), Some(*member)));
        Some(group)
    }

    fn check(&self) {
        let Some(group) = self.whole() else { return assert!(self.rows.is_empty()) };
        group.check();
        // With every row known, counts are exact.
        let facts = group.facts();
        let admins = self.rows.values().filter(|member| member.role == Role::Admin).count();
        let owner = self.rows.iter().find(|(_, member)| member.role == Role::Owner).map(|(account, _)| account);
        assert_eq!(self.rows.len(), facts.member_count as usize);
        assert_eq!(admins, facts.admin_count as usize);
        if facts.kind.stores_members() {
            assert_eq!(owner, facts.owner.as_ref());
        }
    }
}

fn operator(command: &Command) -> &Operator {
    match command {
        Command::Create(c) => &c.operator,
        Command::Add(c) => &c.operator,
        Command::Remove(c) => &c.operator,
        Command::ChangeProfile(c) => &c.operator,
        Command::Destroy(c) => &c.operator,
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Create(_) => "create",
        Command::Add(_) => "add",
        Command::Remove(_) => "remove",
        Command::ChangeProfile(_) => "change profile",
        Command::Destroy(_) => "destroy",
    }
}

proptest! {
    #[test]
    fn invariants_hold_after_every_command(history in any_history()) {
        let mut world = World::default();
        for step in &history {
            let _ = world.ask(step);
            world.check();
        }
    }

    #[test]
    fn events_replayed_give_the_same_group(history in any_history()) {
        let mut world = World::default();
        for step in &history {
            let _ = world.ask(step);
        }
        let mut replayed = None;
        for decision in &world.log {
            decision.fold(&mut replayed);
        }
        // Whom the replay knows to have left has no row.
        if let Some(group) = &mut replayed {
            group.known.retain(|_, member| member.is_some());
        }
        prop_assert_eq!(replayed, world.whole());
    }

    #[test]
    fn asking_again_changes_nothing(history in any_history()) {
        let mut world = World::default();
        for step in &history {
            let Ok(first) = world.ask(step).1 else { continue };
            match &step.command {
                // A second creation meets the first, a second end nothing.
                Command::Create(_) => prop_assert!(matches!(
                    world.ask(step).1,
                    Err(Refusal::GroupIdOwned | Refusal::GroupIdTaken)
                )),
                Command::Destroy(_) => prop_assert_eq!(world.ask(step).1, Err(Refusal::NoSuchGroup)),
                Command::Add(_) | Command::Remove(_) | Command::ChangeProfile(_) => {
                    let again = world.ask(step).1.expect("what was done is not refused");
                    prop_assert!(again.events.is_empty() && again.notices.is_empty(), "{first:?}, then {again:?}");
                }
            }
        }
    }

    #[test]
    fn only_real_changes_are_told_and_to_somebody(history in any_history()) {
        let mut world = World::default();
        for step in &history {
            let before = world.facts.as_ref().map_or(1, |facts| facts.next_msg_seq);
            let (cell, result) = world.ask(step);
            let Ok(decision) = result else { continue };
            prop_assert!(!decision.events.is_empty() || decision.notices.is_empty(), "{decision:?}");
            let mut tips = 0;
            for notice in &decision.notices {
                match notice {
                    Notice::Report { to, .. } => prop_assert!(!to.is_empty()),
                    Notice::Tip { .. } => tips += 1,
                }
            }
            let Some(facts) = &world.facts else { continue };
            // A creation begins a count of its own.
            let before = if cell.2 == "create" { 1 } else { before };
            prop_assert_eq!(facts.next_msg_seq, before + tips);
            prop_assert!(tips == 0 || (facts.active && facts.kind != Kind::AvChatRoom), "{decision:?}");
        }
    }
}

/// How a command can end, by kind and rank; nothing for ranks that the kind does not have.
///
/// Source: docs/spec/group-types.md 3 and 6.
fn possible(kind: Kind, rank: Rank, command: &str) -> &'static [Ending] {
    use Ending::{AlreadySo, Changed, Refused};
    use Kind::{AvChatRoom, Work};
    match (command, kind, rank) {
        (_, Work, Rank::Admin) | (_, AvChatRoom, Rank::Admin | Rank::Member) => &[],
        ("create", _, Rank::AppAdmin | Rank::NotMember) => &[Changed, Refused],
        ("create", _, _) => &[Refused],
        ("add", AvChatRoom, _) | ("add", _, Rank::NotMember) => &[Refused],
        ("add", _, _) => &[Changed, AlreadySo, Refused],
        ("remove", AvChatRoom, _) | ("remove", _, Rank::Member | Rank::NotMember) => &[Refused],
        ("remove", Work, Rank::AppAdmin) => &[Changed, AlreadySo],
        ("remove", _, _) => &[Changed, AlreadySo, Refused],
        ("change profile", _, Rank::NotMember) => &[Refused],
        // A member who names no field is not refused.
        ("change profile", kind, Rank::Member) if kind != Work => &[AlreadySo, Refused],
        ("change profile", _, _) => &[Changed, AlreadySo, Refused],
        ("destroy", _, Rank::AppAdmin) => &[Changed],
        ("destroy", kind, Rank::Owner) if kind != Work => &[Changed],
        ("destroy", _, _) => &[Refused],
        (other, _, _) => panic!("no such command: {other}"),
    }
}

/// The strategies reach everything that can happen, and nothing happens that cannot.
#[test]
fn every_ending_is_reached() {
    const HISTORIES: usize = 3000;
    const RANKS: [Rank; 5] = [Rank::NotMember, Rank::Member, Rank::Admin, Rank::Owner, Rank::AppAdmin];
    const COMMANDS: [&str; 5] = ["create", "add", "remove", "change profile", "destroy"];

    let mut expected: BTreeSet<Cell> = BTreeSet::new();
    for kind in Kind::ALL {
        for rank in RANKS {
            for command in COMMANDS {
                expected
                    .extend(possible(kind, rank, command).iter().map(|&ending| (Some(kind), rank, command, ending)));
            }
        }
    }
    // Without a group there is nothing but a creation to be had, and nobody has a rank in it.
    for rank in [Rank::AppAdmin, Rank::NotMember] {
        expected.extend(COMMANDS[1..].iter().map(|&command| (None, rank, command, Ending::Refused)));
    }

    let mut reached: BTreeSet<Cell> = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..HISTORIES {
        let history = any_history().new_tree(&mut runner).expect("a history").current();
        let mut world = World::default();
        reached.extend(history.iter().map(|step| world.ask(step).0));
    }
    let missed: Vec<_> = expected.difference(&reached).collect();
    let impossible: Vec<_> = reached.difference(&expected).collect();
    assert!(missed.is_empty() && impossible.is_empty(), "missed {missed:?}, impossible {impossible:?}");
}
