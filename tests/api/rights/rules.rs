//! The cells of every rank, put to `muster::group::decide`: users have no way in over HTTP yet.

use std::collections::BTreeMap;

use muster::group::{
    Add, ApplyJoin, AttributeChange, Ban, Card, ChangeAttributes, ChangeCounters, ChangeLiveAdmins, ChangeMember,
    ChangeProfile, Command, Context, CounterChange, Create, CustomRule, CustomRules, Destroy, Facts, Group, Import,
    ImportMember, ImportMembers, InviteJoin, Kind, Limits, Member, MsgFlag, Mute, NewMember, Operator, Profile, Rank,
    Remove, Restriction, Role, Transfer, Unban, decide,
};
use muster::id::AccountId;
use muster::time::Stamp;

use super::{ADMINS, APP_ADMIN, Ask, LIVE, MEMBERS, OWNER, RANKS, RIGHTS, STRANGERS, TYPES, WORK, expected};
use super::{On, other_history};

const KINDS: [Kind; 5] = [Kind::Work, Kind::Public, Kind::Meeting, Kind::AvChatRoom, Kind::Community];
const NOW: Stamp = Stamp(1_760_000_000_000);

/// Who asks, in the order of [`RANKS`].
const OPERATORS: [&str; 5] = ["root", OWNER, ADMINS[0], MEMBERS[0], STRANGERS[0]];

fn account(name: &str) -> AccountId {
    AccountId::parse(name).expect("a well-formed account")
}

/// What the configuration of the nodes declares.
fn limits() -> Limits {
    let rule = |key: &str, write: Rank, own_write: bool| CustomRule {
        key: key.to_owned(),
        kinds: Vec::new(),
        read: Rank::NotMember,
        write,
        own_read: true,
        own_write,
    };
    let group = vec![
        rule("by_member", Rank::Member, false),
        rule("by_admin", Rank::Admin, false),
        rule("by_owner", Rank::Owner, false),
        rule("by_app", Rank::AppAdmin, false),
    ];
    let member = vec![rule("by_member", Rank::Member, true), rule("by_owner", Rank::Owner, false)];
    Limits { custom: CustomRules { group, member }, ..Limits::default() }
}

fn apply(word: &str) -> ApplyJoin {
    match word {
        "FreeAccess" => ApplyJoin::Free,
        "NeedPermission" => ApplyJoin::NeedPermission,
        _ => ApplyJoin::Disabled,
    }
}

fn invite(word: &str) -> InviteJoin {
    match word {
        "FreeAccess" => InviteJoin::Free,
        "NeedPermission" => InviteJoin::NeedPermission,
        _ => InviteJoin::Disabled,
    }
}

/// The group that something is asked of, with everybody known to it.
fn a_group(ask: Ask, kind: usize) -> Group {
    let is_live = kind == LIVE;
    let has_owner = ask != Ask::TransferOrphan;
    let [applying, inviting] = Ask::joins(kind);
    let invite_join = match ask {
        Ask::Add(option) if !is_live => invite(option),
        _ => invite(inviting[0]),
    };
    let mut members: Vec<(&str, Role)> = Vec::new();
    if has_owner && !is_live {
        members.push((OWNER, Role::Owner));
    }
    if kind != WORK {
        members.extend(ADMINS.map(|name| (name, Role::Admin)));
    }
    members.extend(MEMBERS.map(|name| (name, Role::Member)));
    let mut group = Group::new(Facts {
        kind: KINDS[kind],
        owner: has_owner.then(|| account(OWNER)),
        created: Stamp(NOW.0 - 1_000_000),
        members_max: if is_live { 0 } else { 6_000 },
        member_count: if is_live { 0 } else { members.len() as u32 },
        admin_count: if kind == WORK { 0 } else { ADMINS.len() as u32 },
        apply_join: apply(applying[0]),
        invite_join,
        mute_all: false,
        history_before_join: !other_history(kind),
        support_topic: ask == Ask::PermissionsOfTopics,
        enable_permission: false,
        default_permission: 0,
        active: true,
        next_msg_seq: 1,
        next_join_seq: members.len() as u64,
        info_seq: 1,
        last_info: Stamp(NOW.0 - 1_000_000),
        last_msg: Stamp(0),
        last_joined: Stamp(NOW.0 - 1_000_000),
        joins_in_order: true,
    });
    group.learn_profile(Profile { name: "club".into(), ..Profile::default() });
    group.learn_attributes(BTreeMap::from([("k".to_owned(), "old".to_owned())]));
    group.learn_counters(BTreeMap::from([("k".to_owned(), 7)]));
    for name in [&[OWNER], &ADMINS[..], &MEMBERS, &STRANGERS].concat() {
        group.learn(account(name), None);
        group.learn_restriction(account(name), Restriction::default());
    }
    for (join_seq, (name, role)) in members.into_iter().enumerate() {
        group.learn(account(name), Some(Member { role, join_seq: join_seq as u64 }));
        let card = Card { msg_flag: MsgFlag::AcceptAndNotify, name_card: String::new(), custom: Vec::new() };
        group.learn_card(account(name), card);
    }
    group
}

/// The command that the request comes to; `None`: it is refused at the edge, or is a read.
fn command(ask: Ask, kind: usize, operator: Operator, on: &str) -> Option<Command> {
    let on = account(on);
    let accounts = vec![on.clone()];
    let asked = Asked { operator: operator.clone(), kind, on: on.clone() };
    Some(match ask {
        Ask::CreateWith("Owner") | Ask::Read(_) => return None,
        Ask::Create => Command::Create(asked.create(None)),
        Ask::CreateWithMembers => Command::Create(asked.create(Some(Role::Member))),
        Ask::CreateWith(_) => Command::Create(asked.create(Some(Role::Admin))),
        Ask::Import => Command::Import(Import { group: asked.create(None), created: None }),
        Ask::ImportMembers => {
            let member = ImportMember { account: on, role: Role::Member, joined: None, unread: None };
            Command::ImportMembers(ImportMembers { operator, members: vec![member] })
        }
        Ask::Transfer | Ask::TransferOrphan => Command::Transfer(Transfer { operator, to: on }),
        Ask::Disband => Command::Destroy(Destroy { operator }),
        Ask::Add(_) => Command::Add(Add { operator, accounts, silent: false }),
        Ask::Remove => Command::Remove(Remove { operator, accounts, silent: false, reason: String::new() }),
        Ask::Mute => Command::Mute(Mute { operator, accounts, for_secs: 60 }),
        Ask::Unmute => Command::Mute(Mute { operator, accounts, for_secs: 0 }),
        Ask::Ban => Command::Ban(Ban { operator, accounts, for_secs: 60, description: String::new() }),
        Ask::Unban => Command::Unban(Unban { operator, accounts }),
        Ask::AppointLive => Command::ChangeLiveAdmins(ChangeLiveAdmins { operator, accounts, appoint: true }),
        Ask::DismissLive => Command::ChangeLiveAdmins(ChangeLiveAdmins { operator, accounts, appoint: false }),
        Ask::Role(_) | Ask::MuteMember | Ask::NameCard | Ask::MemberField(_) | Ask::MsgFlag => {
            Command::ChangeMember(asked.change_member(ask))
        }
        Ask::Attributes(name) => {
            let (key, pair) = ("k".to_owned(), vec![("k".to_owned(), "v".to_owned())]);
            let change = match name {
                "set_group_attr" => AttributeChange::Replace(pair),
                "modify_group_attr" => AttributeChange::Merge(pair),
                "clear_group_attr" => AttributeChange::Clear,
                _ => AttributeChange::Delete(vec![key]),
            };
            Command::ChangeAttributes(ChangeAttributes { operator, change })
        }
        Ask::Counters(name) => {
            let pair = vec![("k".to_owned(), 1)];
            let change = match name {
                "Set" => CounterChange::Set(pair),
                "Increase" => CounterChange::Increase(pair),
                "Decrease" => CounterChange::Decrease(pair),
                _ => CounterChange::Delete(vec!["k".to_owned()]),
            };
            Command::ChangeCounters(ChangeCounters { operator, change })
        }
        _ => Command::ChangeProfile(asked.change_profile(ask)),
    })
}

/// Who asks, in which type of group, about whom.
struct Asked {
    operator: Operator,
    kind: usize,
    on: AccountId,
}

impl Asked {
    fn create(self, member: Option<Role>) -> Create {
        let members = member.map(|role| NewMember { account: self.on, role, custom: Vec::new() });
        Create {
            operator: self.operator,
            kind: KINDS[self.kind],
            name: "club".into(),
            introduction: String::new(),
            notification: String::new(),
            face_url: String::new(),
            owner: None,
            members_max: None,
            apply_join: None,
            invite_join: None,
            custom: Vec::new(),
            members: members.into_iter().collect(),
            support_topic: false,
            enable_permission: false,
            default_permission: 0,
        }
    }

    fn change_profile(self, ask: Ask) -> ChangeProfile {
        let mut change = ChangeProfile::nothing(self.operator);
        let [applying, inviting] = Ask::joins(self.kind);
        let text = Some("other".to_owned());
        match ask {
            Ask::Text("Name") => change.name = text,
            Ask::Text("Introduction") => change.introduction = text,
            Ask::Text("Notification") => change.notification = text,
            Ask::Text(_) => change.face_url = text,
            Ask::GroupField(key) => change.custom = vec![(key.to_owned(), "v".to_owned())],
            Ask::ApplyJoin => change.apply_join = Some(apply(applying[1])),
            Ask::ApplyJoinAsItIs => change.apply_join = Some(apply(applying[0])),
            Ask::InviteJoin => change.invite_join = Some(invite(inviting[1])),
            Ask::InviteJoinAsItIs => change.invite_join = Some(invite(inviting[0])),
            Ask::MembersMax => change.members_max = Some(500),
            Ask::MuteAll => change.mute_all = Some(true),
            Ask::HistoryBeforeJoin => change.history_before_join = Some(other_history(self.kind)),
            Ask::SupportTopic => change.support_topic = Some(true),
            Ask::Permissions | Ask::PermissionsOfTopics => change.enable_permission = Some(true),
            other => panic!("{other:?} is no change of the profile"),
        }
        change
    }

    fn change_member(self, ask: Ask) -> ChangeMember {
        let mut change = ChangeMember {
            operator: self.operator,
            account: self.on,
            role: None,
            msg_flag: None,
            name_card: None,
            mute_for_secs: None,
            custom: Vec::new(),
        };
        match ask {
            Ask::Role("Admin") => change.role = Some(Role::Admin),
            Ask::Role(_) => change.role = Some(Role::Member),
            Ask::MuteMember => change.mute_for_secs = Some(60),
            Ask::NameCard => change.name_card = Some("card".into()),
            Ask::MemberField(key) => change.custom = vec![(key.to_owned(), "v".to_owned())],
            _ => change.msg_flag = Some(MsgFlag::Discard),
        }
        change
    }
}

/// The code of a command among a group; 0: it is allowed.
fn code(ask: Ask, kind: usize, command: &Command, limits: &Limits) -> u32 {
    let group = (!ask.makes_the_group()).then(|| a_group(ask, kind));
    let context = Context {
        limits,
        at: NOW,
        full_accounts: &[],
        unknown_accounts: &[],
        daily_quota_spent: false,
        app_full: None,
    };
    decide(group.as_ref(), command, &context).map_or_else(|refusal| refusal.code(), |_| 0)
}

fn operator(rank: usize) -> Operator {
    match rank {
        APP_ADMIN => Operator::AppAdmin { name: account(OPERATORS[rank]) },
        _ => Operator::Account(account(OPERATORS[rank])),
    }
}

/// Runs every cell that is there; what differs, and how many there were.
fn executed(limits: &Limits, rows: impl Iterator<Item = (Ask, On, [&'static str; 5])>) -> (Vec<String>, usize) {
    let (mut wrong, mut executed) = (Vec::new(), 0);
    for (ask, on, cells) in rows {
        for (kind, name) in TYPES.iter().enumerate() {
            for rank in 0..RANKS.len() {
                let Some(expected) = expected(&cells, kind, rank) else { continue };
                let on_account = on.account(OPERATORS[rank]);
                let Some(command) = command(ask, kind, operator(rank), on_account) else { continue };
                executed += 1;
                let found = code(ask, kind, &command, limits);
                if found != expected {
                    wrong.push(format!(
                        "{ask:?} on {on:?} in {name} by {}: expected {expected}, found {found}",
                        RANKS[rank]
                    ));
                }
            }
        }
    }
    (wrong, executed)
}

#[test]
fn every_cell_of_every_rank_by_the_rules() {
    let (wrong, executed) = executed(&limits(), RIGHTS.iter().copied());
    println!("{executed} cells by the rules");
    assert!(wrong.is_empty(), "{} of {executed}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(executed > 1_500, "{executed}");
}

/// `groups.admins_manage_admins = false` leaves admins to the owner: docs/spec/README.md.
#[test]
fn admins_may_be_left_to_the_owner() {
    let limits = Limits { admins_manage_admins: false, ..limits() };
    #[rustfmt::skip]
    let rows = [
        (Ask::Role("Admin"),  On::Member,   ["77.77", "++777", "++777", "77777", "++777"]),
        (Ask::Role("Member"), On::Admin,    [".....", "++777", "++777", "77777", "++777"]),
        (Ask::Role("Member"), On::Oneself,  [".7.77", ".4777", ".4777", ".7777", ".4777"]),
        (Ask::Role("Member"), On::Owner,    ["77.77", "44777", "44777", "77777", "44777"]),
        (Ask::Role("Admin"),  On::Stranger, ["77.77", "44777", "44777", "77777", "44777"]),
    ];
    let (wrong, executed) = executed(&limits, rows.into_iter());
    assert!(wrong.is_empty(), "{} of {executed}:\n{}", wrong.len(), wrong.join("\n"));
}
