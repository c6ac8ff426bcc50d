//! What holds of any history: any commands by anybody, from an empty start.
//!
//! The group is kept as the shell keeps it: facts, texts, attributes, counters, and rows per account; a command is
//! judged with what it needs (`Command::needs`), with the rows of the accounts that it names and of no others. That a refusal changes nothing needs no test: `decide`
//! has nothing it could change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::testing::{account, app_admin, create, custom_rule};
use super::*;

const ACCOUNTS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "fay"];

/// Small enough for a history of a few commands to meet every limit.
fn small_limits() -> Limits {
    Limits {
        group_custom_keys: 2,
        member_custom_keys: 1,
        admins_per_group: 2,
        avchatroom_admins: 2,
        attr_keys: 2,
        attr_total_bytes: 6,
        counter_keys: 2,
        max_members: PerKind { work: 5, public: 5, meeting: 5, avchatroom: 0, community: 5 },
        custom: CustomRules {
            group: vec![custom_rule("b", Rank::AppAdmin, &[])],
            member: vec![custom_rule("b", Rank::Admin, &[]), custom_rule("c", Rank::Member, &[Kind::Public])],
        },
        ..Limits::default()
    }
}

/// When a history begins, in Unix seconds: late enough for imports from before.
const BEGIN_SECS: u64 = 1000;

/// One command and what else it is judged with.
#[derive(Clone, Debug)]
struct Step {
    command: Command,
    /// Since the step before.
    elapsed_ms: u64,
    full_accounts: Vec<AccountId>,
    unknown_accounts: Vec<AccountId>,
    daily_quota_spent: bool,
    app_full: Option<AppLimit>,
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

fn any_import(kind: Kind) -> impl Strategy<Value = Command> {
    let created = weighted(0.7, any_moment());
    (any_create(kind), created).prop_map(|(command, created)| {
        let Command::Create(mut group) = command else { unreachable!("a creation is a creation") };
        group.members.clear();
        Command::Import(Import { group, created })
    })
}

/// Before a history, at its beginning, and long after it.
fn any_moment() -> impl Strategy<Value = Stamp> {
    let secs = prop_oneof![8 => BEGIN_SECS - 20..=BEGIN_SECS, 1 => Just(BEGIN_SECS * 9)];
    secs.prop_map(|secs| Stamp(secs * 1000))
}

fn any_import_members() -> impl Strategy<Value = Command> {
    let role = prop_oneof![12 => Just(Role::Member), 4 => Just(Role::Admin), 1 => Just(Role::Owner)];
    let member = (any_account(), role, weighted(0.7, any_moment()), weighted(0.3, 0..9u64));
    let member = member.prop_map(|(account, role, joined, unread)| ImportMember { account, role, joined, unread });
    // An app admin more often than elsewhere: nobody else may.
    let operator = prop_oneof![2 => Just(app_admin()), 3 => any_operator()];
    (operator, vec(member, 1..4))
        .prop_map(|(operator, members)| Command::ImportMembers(ImportMembers { operator, members }))
}

fn any_span() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![0, 1, 60, FOR_EVER_SECS])
}

fn any_change_member() -> impl Strategy<Value = Command> {
    let role = prop_oneof![4 => Just(Role::Member), 4 => Just(Role::Admin), 1 => Just(Role::Owner)];
    let flag = prop::sample::select(vec![MsgFlag::AcceptAndNotify, MsgFlag::AcceptNotNotify, MsgFlag::Discard]);
    let fields = (weighted(0.25, role), weighted(0.15, flag), any_text(), weighted(0.15, any_span()), any_custom());
    // Oneself about as often as another.
    let people = (any_operator(), any_account(), any::<bool>());
    (people, fields).prop_map(|((operator, other, is_own), fields)| {
        let account = if is_own { operator.name().clone() } else { other };
        let (role, msg_flag, name_card, mute_for_secs, custom) = fields;
        Command::ChangeMember(ChangeMember { operator, account, role, msg_flag, name_card, mute_for_secs, custom })
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["x", "y", "z"]).prop_map(String::from)
}

fn any_change_attributes() -> impl Strategy<Value = Command> {
    let pairs = || vec((any_key(), prop::sample::select(vec!["", "1", "22"]).prop_map(String::from)), 1..4);
    let change = prop_oneof![
        pairs().prop_map(AttributeChange::Replace),
        pairs().prop_map(AttributeChange::Merge),
        vec(any_key(), 1..3).prop_map(AttributeChange::Delete),
        Just(AttributeChange::Clear),
    ];
    (any_operator(), change)
        .prop_map(|(operator, change)| Command::ChangeAttributes(ChangeAttributes { operator, change }))
}

fn any_change_counters() -> impl Strategy<Value = Command> {
    let number = prop_oneof![8 => -2..3i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let pairs = vec((any_key(), number), 1..4).boxed();
    let change = prop_oneof![
        pairs.clone().prop_map(CounterChange::Set),
        pairs.clone().prop_map(CounterChange::Increase),
        pairs.prop_map(CounterChange::Decrease),
        vec(any_key(), 1..3).prop_map(CounterChange::Delete),
        Just(CounterChange::Clear),
    ];
    (any_operator(), change).prop_map(|(operator, change)| Command::ChangeCounters(ChangeCounters { operator, change }))
}

fn any_command(kind: Kind) -> impl Strategy<Value = Command> {
    // One alone often: a list is as forbidden as its worst account.
    let some = || prop_oneof![vec(any_account(), 1..2), vec(any_account(), 1..4)];
    let add = (any_operator(), some(), any::<bool>());
    let add = add.prop_map(|(operator, accounts, silent)| Command::Add(Add { operator, accounts, silent }));
    let remove = (any_operator(), some(), any::<bool>());
    let remove = remove.prop_map(|(operator, accounts, silent)| {
        Command::Remove(Remove { operator, accounts, silent, reason: String::new() })
    });
    let destroy = any_operator().prop_map(|operator| Command::Destroy(Destroy { operator }));
    let mute = (any_operator(), some(), any_span());
    let mute = mute.prop_map(|(operator, accounts, for_secs)| Command::Mute(Mute { operator, accounts, for_secs }));
    let transfer = (any_operator(), any_account());
    let transfer = transfer.prop_map(|(operator, to)| Command::Transfer(Transfer { operator, to }));
    let ban = (any_operator(), some(), any_span());
    let ban = ban.prop_map(|(operator, accounts, for_secs)| {
        // The edge lets no ban of no length through.
        Command::Ban(Ban { operator, accounts, for_secs: for_secs.max(1), description: String::new() })
    });
    let unban = (any_operator(), some());
    let unban = unban.prop_map(|(operator, accounts)| Command::Unban(Unban { operator, accounts }));
    let operator = prop_oneof![1 => Just(app_admin()), 1 => any_operator()];
    let live_admins = (operator, some(), any::<bool>());
    let live_admins = live_admins.prop_map(|(operator, accounts, appoint)| {
        Command::ChangeLiveAdmins(ChangeLiveAdmins { operator, accounts, appoint })
    });
    // What a kind does not support is asked for now and then.
    let (stored, live) = if kind.stores_members() { (4, 1) } else { (1, 4) };
    prop_oneof![
        2 => any_create(kind),
        1 => any_import(kind),
        stored => add,
        stored => any_import_members(),
        stored => remove,
        4 => any_change_profile(),
        stored => any_change_member(),
        4 => mute,
        2 => transfer,
        4 => any_change_attributes(),
        4 => any_change_counters(),
        live => ban,
        live => unban,
        live => live_admins,
        1 => destroy,
    ]
}

/// A first creation, so that most of a history is about a group, and what follows.
fn any_history() -> impl Strategy<Value = Vec<Step>> {
    prop::sample::select(&Kind::ALL[..]).prop_flat_map(|kind| {
        let step = move |command: BoxedStrategy<Command>| {
            let elapsed_ms = prop_oneof![4 => Just(1), 1 => Just(1500u64)];
            let unknown_accounts = prop_oneof![9 => Just(Vec::new()), 1 => vec(any_account(), 1..4)];
            let app_full = prop::sample::select(vec![AppLimit::Groups, AppLimit::LiveRooms, AppLimit::Communities]);
            let full = (vec(any_account(), 0..2), prop::bool::weighted(0.05), weighted(0.05, app_full));
            (command, elapsed_ms, unknown_accounts, full).prop_map(|(command, elapsed_ms, unknown_accounts, full)| {
                let (full_accounts, daily_quota_spent, app_full) = full;
                Step { command, elapsed_ms, full_accounts, unknown_accounts, daily_quota_spent, app_full }
            })
        };
        let first = step(prop_oneof![3 => any_create(kind), 1 => any_import(kind)].boxed());
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

/// The group as rows keep it.
#[derive(Default)]
struct Rows {
    facts: Option<Facts>,
    profile: Profile,
    attributes: BTreeMap<String, String>,
    counters: BTreeMap<String, i64>,
    members: BTreeMap<AccountId, Member>,
    cards: BTreeMap<AccountId, Card>,
    /// Of members and others; no row is no restriction.
    restrictions: BTreeMap<AccountId, Restriction>,
}

/// A group, and all that was decided of it.
struct World {
    rows: Rows,
    log: Vec<Decision>,
    at: Stamp,
}

impl World {
    fn new() -> Self {
        Self { rows: Rows::default(), log: Vec::new(), at: Stamp(BEGIN_SECS * 1000) }
    }

    fn ask(&mut self, step: &Step) -> (Cell, Result<Decision, Refusal>) {
        self.at = Stamp(self.at.0 + step.elapsed_ms);
        let limits = small_limits();
        let context = Context {
            limits: &limits,
            at: self.at,
            full_accounts: &step.full_accounts,
            unknown_accounts: &step.unknown_accounts,
            daily_quota_spent: step.daily_quota_spent,
            app_full: step.app_full,
        };
        let kind = match &step.command {
            Command::Create(create) => Some(create.kind),
            Command::Import(import) => Some(import.group.kind),
            _ => self.rows.facts.as_ref().map(|facts| facts.kind),
        };
        let (rank, name) = (self.rank(step.command.operator()), name(&step.command));

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
        let owner = self.rows.facts.as_ref().and_then(|facts| facts.owner.as_ref());
        match self.rows.members.get(account) {
            _ if owner == Some(account) => Rank::Owner,
            Some(member) => member.role.into(),
            None => Rank::NotMember,
        }
    }

    /// What the shell would learn before it asks.
    fn activate(&self, command: &Command) -> Option<Group> {
        let (rows, needs) = (&self.rows, command.needs());
        let mut group = Group::new(rows.facts.clone()?);
        let owner = group.facts().owner.clone().filter(|_| needs.owner);
        for account in command.named_accounts().into_iter().chain(owner.as_ref()) {
            group.learn(account.clone(), rows.members.get(account).copied());
            if let Some(card) = rows.cards.get(account).filter(|_| needs.cards) {
                group.learn_card(account.clone(), card.clone());
            }
            if needs.restrictions {
                let restriction = rows.restrictions.get(account).copied().unwrap_or_default();
                group.learn_restriction(account.clone(), restriction);
            }
        }
        if needs.profile {
            group.learn_profile(rows.profile.clone());
        }
        if needs.attributes {
            group.learn_attributes(rows.attributes.clone());
        }
        if needs.counters {
            group.learn_counters(rows.counters.clone());
        }
        Some(group)
    }

    fn store(&mut self, group: Option<Group>) {
        let rows = &mut self.rows;
        let Some(group) = group else { return *rows = Rows::default() };
        rows.facts = Some(group.facts);
        let known = group.known.map(|known| *known).unwrap_or_default();
        for (account, member) in known.members {
            if member.is_none() {
                rows.cards.remove(&account);
            }
            match member {
                Some(member) => rows.members.insert(account, member),
                None => rows.members.remove(&account),
            };
        }
        rows.cards.extend(known.cards);
        rows.restrictions.extend(known.restrictions);
        if let Some(profile) = known.profile {
            rows.profile = profile;
        }
        rows.attributes = known.attributes.unwrap_or_else(|| std::mem::take(&mut rows.attributes));
        rows.counters = known.counters.unwrap_or_else(|| std::mem::take(&mut rows.counters));
    }

    /// The group with everything known about it.
    fn whole(&self) -> Option<Group> {
        let rows = &self.rows;
        let mut group = Group::new(rows.facts.clone()?);
        group.learn_profile(rows.profile.clone());
        group.learn_attributes(rows.attributes.clone());
        group.learn_counters(rows.counters.clone());
        rows.members.iter().for_each(|(account, member)| group.learn(account.clone(), Some(*member)));
        rows.cards.iter().for_each(|(account, card)| group.learn_card(account.clone(), card.clone()));
        rows.restrictions.iter().for_each(|(account, r)| group.learn_restriction(account.clone(), *r));
        learn_unrestricted(&mut group);
        Some(group)
    }

    fn check(&self) {
        let Some(group) = self.whole() else { return assert!(self.rows.members.is_empty()) };
        group.check();
        // With every row known, counts are exact; the admins of a live room are stored and not counted as members.
        let (facts, members) = (group.facts(), &self.rows.members);
        let admins = members.values().filter(|member| member.role == Role::Admin).count();
        assert_eq!(admins, facts.admin_count as usize);
        let cards: Vec<_> = self.rows.cards.keys().collect();
        if facts.kind.stores_members() {
            let owner = members.iter().find(|(_, member)| member.role == Role::Owner).map(|(account, _)| account);
            assert_eq!(owner, facts.owner.as_ref());
            assert_eq!(members.len(), facts.member_count as usize);
            assert_eq!(cards, members.keys().collect::<Vec<_>>());
        } else {
            assert_eq!((members.len(), cards.len()), (admins, 0));
        }
        let limits = small_limits();
        assert!(self.rows.attributes.len() <= limits.attr_keys && self.rows.counters.len() <= limits.counter_keys);
    }
}

/// Whoever has no row of restrictions has none.
fn learn_unrestricted(group: &mut Group) {
    for account in ACCOUNTS.map(account) {
        if !group.knows_restriction(&account) {
            group.learn_restriction(account, Restriction::default());
        }
    }
}

const COMMANDS: [&str; 15] = [
    "create",
    "import",
    "add",
    "import members",
    "remove",
    "change profile",
    "change member",
    "mute",
    "transfer",
    "change attributes",
    "change counters",
    "ban",
    "unban",
    "change live admins",
    "destroy",
];

fn name(command: &Command) -> &'static str {
    match command {
        Command::Create(_) => "create",
        Command::Import(_) => "import",
        Command::Add(_) => "add",
        Command::ImportMembers(_) => "import members",
        Command::Remove(_) => "remove",
        Command::ChangeProfile(_) => "change profile",
        Command::ChangeMember(_) => "change member",
        Command::Mute(_) => "mute",
        Command::Transfer(_) => "transfer",
        Command::ChangeAttributes(_) => "change attributes",
        Command::ChangeCounters(_) => "change counters",
        Command::Ban(_) => "ban",
        Command::Unban(_) => "unban",
        Command::ChangeLiveAdmins(_) => "change live admins",
        Command::Destroy(_) => "destroy",
    }
}

/// What asking for the same again comes to, once it was done.
enum Again {
    AlreadySo,
    /// With one of these codes.
    Refused(&'static [u32]),
    /// It is done again: it counts, or it begins a new span.
    Changed,
}

fn begins_span(for_secs: u32) -> bool {
    for_secs != 0 && for_secs != FOR_EVER_SECS
}

fn again(command: &Command) -> Again {
    match command {
        // A second creation meets the first, a second end nothing.
        Command::Create(_) | Command::Import(_) => Again::Refused(&[10021, 10025]),
        Command::Destroy(_) => Again::Refused(&[10010]),
        // Whoever has handed a group on may not do it again; an app admin hears who the owner is.
        Command::Transfer(_) => Again::Refused(&[10004, 10007]),
        Command::ChangeAttributes(ChangeAttributes { change: AttributeChange::Delete(_), .. }) => {
            Again::Refused(&[10050])
        }
        Command::ChangeCounters(ChangeCounters {
            change: CounterChange::Increase(_) | CounterChange::Decrease(_),
            ..
        }) => Again::Changed,
        Command::Mute(mute) if begins_span(mute.for_secs) => Again::Changed,
        Command::ChangeMember(change) if change.mute_for_secs.is_some_and(begins_span) => Again::Changed,
        // Who appoints or dismisses may lose the right to do what goes along with it.
        Command::ChangeMember(change) if change.role.is_some() => Again::Changed,
        Command::Ban(_) => Again::Changed,
        _ => Again::AlreadySo,
    }
}

proptest! {
    #[test]
    fn invariants_hold_after_every_command(history in any_history()) {
        let mut world = World::new();
        for step in &history {
            let _ = world.ask(step);
            world.check();
        }
    }

    #[test]
    fn events_replayed_give_the_same_group(history in any_history()) {
        let mut world = World::new();
        for step in &history {
            let _ = world.ask(step);
        }
        let mut replayed = None;
        for decision in &world.log {
            replayed.iter_mut().for_each(learn_unrestricted);
            decision.fold(&mut replayed);
        }
        replayed.iter_mut().for_each(learn_unrestricted);
        // Whom the replay knows to have left has no row.
        if let Some(group) = &mut replayed {
            let known = group.known.as_mut().expect("its texts are");
            known.members.retain(|_, member| member.is_some());
        }
        prop_assert_eq!(replayed, world.whole());
    }

    #[test]
    fn asking_again_changes_nothing(history in any_history()) {
        let mut world = World::new();
        for step in &history {
            let Ok(first) = world.ask(step).1 else { continue };
            let second = world.ask(step).1;
            match (again(&step.command), second) {
                (Again::AlreadySo, Ok(second)) => {
                    prop_assert!(second.events.is_empty() && second.notices.is_empty(), "{first:?}, then {second:?}");
                }
                (Again::Refused(codes), Err(refusal)) => prop_assert!(codes.contains(&refusal.code()), "{refusal:?}"),
                (Again::Changed, _) => {}
                (_, second) => prop_assert!(false, "{first:?}, then {second:?}"),
            }
        }
    }

    #[test]
    fn only_real_changes_are_told_and_to_somebody(history in any_history()) {
        let mut world = World::new();
        for step in &history {
            let before = world.rows.facts.as_ref().map_or(1, |facts| facts.next_msg_seq);
            let Ok(decision) = world.ask(step).1 else { continue };
            prop_assert!(!decision.events.is_empty() || decision.notices.is_empty(), "{decision:?}");
            let mut tips = 0;
            for notice in &decision.notices {
                match notice {
                    Notice::Report { to, .. } => prop_assert!(!to.is_empty()),
                    Notice::Tip { .. } => tips += 1,
                }
            }
            let Some(facts) = &world.rows.facts else { continue };
            let is_silent = matches!(step.command, Command::Import(_) | Command::ImportMembers(_));
            prop_assert!(!is_silent || decision.notices.is_empty(), "{decision:?}");
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
    use Kind::{AvChatRoom, Community, Work};
    match (command, kind, rank) {
        (_, Work, Rank::Admin) | (_, AvChatRoom, Rank::Member) => &[],
        ("create", _, Rank::AppAdmin | Rank::NotMember) => &[Changed, Refused],
        ("create", _, _) => &[Refused],
        ("import", AvChatRoom, _) => &[Refused],
        ("import", _, Rank::AppAdmin) => &[Changed, Refused],
        ("import", _, _) => &[Refused],
        ("add", AvChatRoom, _) | ("add", _, Rank::NotMember) => &[Refused],
        ("add", _, _) => &[Changed, AlreadySo, Refused],
        ("import members", AvChatRoom, _) => &[Refused],
        ("import members", _, Rank::AppAdmin) => &[Changed, AlreadySo, Refused],
        ("import members", _, _) => &[Refused],
        ("remove", AvChatRoom, _) | ("remove", _, Rank::Member | Rank::NotMember) => &[Refused],
        ("remove", Work, Rank::AppAdmin) => &[Changed, AlreadySo],
        ("remove", _, _) => &[Changed, AlreadySo, Refused],
        ("change profile", _, Rank::NotMember) => &[Refused],
        // A member who names no field is not refused.
        ("change profile", kind, Rank::Member) if kind != Work => &[AlreadySo, Refused],
        ("change profile", AvChatRoom, Rank::Admin) => &[AlreadySo, Refused],
        ("change profile", _, _) => &[Changed, AlreadySo, Refused],
        ("change member", AvChatRoom, _) | ("change member", _, Rank::NotMember) => &[Refused],
        ("change member", _, _) => &[Changed, AlreadySo, Refused],
        ("mute", Work, _) | ("mute", _, Rank::Member | Rank::NotMember) => &[Refused],
        ("mute", _, _) => &[Changed, AlreadySo, Refused],
        ("transfer", AvChatRoom, _) => &[Refused],
        ("transfer", _, Rank::AppAdmin | Rank::Owner) => &[Changed, Refused],
        ("transfer", _, _) => &[Refused],
        ("change attributes", _, Rank::NotMember) => &[Refused],
        ("change attributes", _, _) => &[Changed, AlreadySo, Refused],
        ("change counters", Community, _) | ("change counters", _, Rank::NotMember) => &[Refused],
        ("change counters", _, _) => &[Changed, AlreadySo, Refused],
        ("ban" | "unban", _, Rank::NotMember) => &[Refused],
        // Nobody is beyond an app admin; an owner is not above itself.
        ("ban", AvChatRoom, Rank::AppAdmin) => &[Changed],
        ("ban", AvChatRoom, _) => &[Changed, Refused],
        ("unban", AvChatRoom, Rank::AppAdmin) => &[Changed, AlreadySo],
        ("unban", AvChatRoom, _) => &[Changed, AlreadySo, Refused],
        ("ban" | "unban", _, _) => &[Refused],
        ("change live admins", AvChatRoom, Rank::AppAdmin) => &[Changed, AlreadySo, Refused],
        ("change live admins", _, _) => &[Refused],
        ("destroy", _, Rank::AppAdmin) => &[Changed],
        ("destroy", kind, Rank::Owner) if kind != Work => &[Changed],
        ("destroy", _, _) => &[Refused],
        (other, _, _) => panic!("no such command: {other}"),
    }
}

/// The strategies reach everything that can happen, and nothing happens that cannot.
#[test]
fn every_ending_is_reached() {
    const HISTORIES: usize = 10_000;
    const RANKS: [Rank; 5] = [Rank::NotMember, Rank::Member, Rank::Admin, Rank::Owner, Rank::AppAdmin];

    let mut expected: BTreeSet<Cell> = BTreeSet::new();
    for kind in Kind::ALL {
        for rank in RANKS {
            for command in COMMANDS {
                expected
                    .extend(possible(kind, rank, command).iter().map(|&ending| (Some(kind), rank, command, ending)));
            }
        }
    }
    // Without a group there is nothing but a beginning to be had, and nobody has a rank in it.
    for rank in [Rank::AppAdmin, Rank::NotMember] {
        let others = COMMANDS.iter().filter(|command| !["create", "import"].contains(command));
        expected.extend(others.map(|&command| (None, rank, command, Ending::Refused)));
    }

    let mut reached: BTreeSet<Cell> = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..HISTORIES {
        let history = any_history().new_tree(&mut runner).expect("a history").current();
        let mut world = World::new();
        reached.extend(history.iter().map(|step| world.ask(step).0));
    }
    let missed: Vec<_> = expected.difference(&reached).collect();
    let impossible: Vec<_> = reached.difference(&expected).collect();
    assert!(missed.is_empty() && impossible.is_empty(), "missed {missed:?}, impossible {impossible:?}");
}
