//! Whatever is asked and whatever happens, rows keep every promise.

use proptest::prelude::*;

use super::*;
use crate::group::testing::{change_profile, remove};
use crate::group::{ImportedMember, MemberChange, MsgFlag, Report, Tip};

#[derive(Clone, Debug)]
enum Step {
    Submit(u8, Box<Command>),
    Happen(u8, Happening),
    Deliver { twice: bool },
    Job,
}

/// Something that may happen to a group, for [`World::event`] to make an event of that fits it.
#[derive(Clone, Debug)]
enum Happening {
    /// Names with the milliseconds since they joined elsewhere.
    Import(Vec<(String, u64)>),
    Member {
        name: String,
        admin: bool,
        flag: MsgFlag,
        card: String,
        custom: String,
    },
    Owner(String),
    Mute(Vec<String>, Span),
    Attributes(Vec<(String, String)>, Vec<String>),
    Counters(Vec<(String, i64)>, Vec<String>),
    Ban(Vec<String>, Span),
    Unban(Vec<String>),
    LiveAdmins(Vec<String>, bool),
}

/// How long a mute or a ban lasts.
#[derive(Clone, Copy, Debug)]
enum Span {
    None,
    Secs(u64),
    ForEver,
}

impl World {
    fn until(&self, span: Span) -> u64 {
        match span {
            Span::None => 0,
            Span::Secs(secs) => self.at / 1000 + secs,
            Span::ForEver => u64::from(group::FOR_EVER_SECS),
        }
    }

    /// What could be decided of it on the group as it is, and what would be told; `None`: nothing.
    fn event(&self, group: &Group, happening: &Happening) -> Option<(Event, Vec<Notice>)> {
        let facts = group.facts();
        let (stores, at) = (facts.kind.stores_members(), Stamp(self.at));
        let standing = |name: &AccountId| if group.knows(name) { group.member(name).copied() } else { None };
        let operator = account("administrator");
        let tip = |tip| match stores {
            true => vec![Notice::Tip { operator: operator.clone(), tip }],
            false => vec![],
        };
        let report = |to: Vec<AccountId>, report| Notice::Report { to, operator: operator.clone(), report };
        let unique = |names: &[String]| {
            let mut named: Vec<AccountId> = names.iter().map(|name| account(name)).collect();
            named.sort_unstable();
            named.dedup();
            named
        };
        Some(match happening {
            Happening::Import(named) if stores => {
                let mut members: Vec<ImportedMember> = Vec::new();
                for (name, ago) in named {
                    let account = account(name);
                    if standing(&account).is_none() && members.iter().all(|member| member.account != account) {
                        let role = if ago % 2 == 0 && facts.kind != Kind::Work { Role::Admin } else { Role::Member };
                        let joined = Stamp(self.at.saturating_sub(*ago).max(1));
                        members.push(ImportedMember { account, role, joined, msg_seq: *ago });
                    }
                }
                (!members.is_empty()).then_some((Event::MembersImported { members }, vec![]))?
            }
            Happening::Member { name, admin, flag, card, custom } if stores => {
                let account = account(name);
                let member = standing(&account)?;
                let mut changes = vec![
                    MemberChange::MsgFlag(*flag),
                    MemberChange::NameCard(card.clone()),
                    MemberChange::Custom(("key".into(), custom.clone())),
                ];
                let mut notices = vec![report(vec![account.clone()], Report::MsgFlagChanged { flag: *flag })];
                let role = if *admin { Role::Admin } else { Role::Member };
                if facts.kind != Kind::Work && member.role != Role::Owner && member.role != role {
                    changes.push(MemberChange::Role(role));
                    let accounts = vec![account.clone()];
                    notices.extend(match admin {
                        true => tip(Tip::AdminsAppointed { accounts: accounts.clone() }),
                        false => tip(Tip::AdminsDismissed { accounts: accounts.clone() }),
                    });
                    notices.push(report(accounts, if *admin { Report::AdminGranted } else { Report::AdminRevoked }));
                }
                (Event::MemberChanged { account, changes }, notices)
            }
            Happening::Owner(name) if stores => {
                let to = account(name);
                standing(&to).filter(|member| member.role != Role::Owner)?;
                let notices = tip(Tip::OwnerChanged { owner: to.clone() });
                (Event::OwnerChanged { from: facts.owner.clone(), to, at }, notices)
            }
            Happening::Mute(names, span) => {
                let (accounts, until_secs) = (unique(names), self.until(*span));
                let mut notices = tip(Tip::MembersMuted { accounts: accounts.clone(), for_secs: 5 });
                notices.push(report(accounts.clone(), Report::Muted { until_secs }));
                (Event::Muted { accounts, until_secs, at }, notices)
            }
            Happening::Attributes(set, removed) => {
                (Event::AttributesChanged { set: set.clone(), removed: removed.clone() }, vec![])
            }
            Happening::Counters(set, removed) if facts.kind != Kind::Community => {
                (Event::CountersChanged { set: set.clone(), removed: removed.clone() }, vec![])
            }
            Happening::Ban(names, span) if !stores => {
                let (accounts, until_secs, description) = (unique(names), self.until(*span), "ads".to_owned());
                let banned = Report::Banned { until_secs, description: description.clone() };
                let notices = vec![report(accounts.clone(), banned)];
                (Event::Banned { accounts, until_secs, description, at }, notices)
            }
            Happening::Unban(names) if !stores => {
                let accounts = unique(names);
                let notices = vec![report(accounts.clone(), Report::Unbanned)];
                (Event::Unbanned { accounts }, notices)
            }
            Happening::LiveAdmins(names, appoint) if !stores => {
                let fits = |name: &AccountId| standing(name).is_some() != *appoint;
                let named: Vec<AccountId> = unique(names).into_iter().filter(fits).collect();
                (!named.is_empty()).then_some(())?;
                let notices = vec![report(named.clone(), Report::AdminGranted)];
                let (appointed, dismissed) = if *appoint { (named, vec![]) } else { (vec![], named) };
                (Event::LiveAdminsChanged { appointed, dismissed, at }, notices)
            }
            _ => return None,
        })
    }
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

fn happening() -> impl Strategy<Value = Happening> {
    let names = || prop::collection::vec(name(), 1..5);
    let flag = prop::sample::select(vec![MsgFlag::AcceptAndNotify, MsgFlag::Discard, MsgFlag::AcceptNotNotify]);
    let span = || {
        prop_oneof![
            Just(Span::None),
            (1..4u64).prop_map(Span::Secs),
            (1..4u64).prop_map(Span::Secs),
            Just(Span::ForEver)
        ]
    };
    let key = || "[ab]{1,2}";
    let keys = move || prop::collection::vec(key(), 0..3);
    prop_oneof![
        2 => prop::collection::vec((name(), 0..3_000u64), 1..5).prop_map(Happening::Import),
        3 => (name(), any::<bool>(), flag, "[a-z]{0,3}", "[a-z]{0,3}")
            .prop_map(|(name, admin, flag, card, custom)| Happening::Member { name, admin, flag, card, custom }),
        2 => name().prop_map(Happening::Owner),
        4 => (names(), span()).prop_map(|(names, span)| Happening::Mute(names, span)),
        1 => (prop::collection::vec((key(), "[a-z]{0,3}"), 0..3), keys()).prop_map(|(set, gone)| Happening::Attributes(set, gone)),
        1 => (prop::collection::vec((key(), any::<i64>()), 0..3), keys()).prop_map(|(set, gone)| Happening::Counters(set, gone)),
        3 => (names(), span()).prop_map(|(names, span)| Happening::Ban(names, span)),
        1 => names().prop_map(Happening::Unban),
        2 => (names(), any::<bool>()).prop_map(|(names, appoint)| Happening::LiveAdmins(names, appoint)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4u8, command()).prop_map(|(group, command)| Step::Submit(group, Box::new(command))),
        8 => (0..4u8, happening()).prop_map(|(group, happening)| Step::Happen(group, happening)),
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
                Step::Happen(id, happening) => {
                    // Long enough for mutes and bans to end.
                    world.at += 700;
                    let id = group_id(id);
                    let group = world.groups.get(&id).and_then(|(group, ..)| group.as_ref());
                    if let Some((event, notices)) = group.and_then(|group| world.event(group, &happening)) {
                        world.happen(&id, event, notices);
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
