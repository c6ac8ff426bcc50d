//! Operations of a history as commands of the rules, and what comes of them as answers.

use muster::group::{
    self, Add, AddResult, ChangeCounters, ChangeMember, ChangeProfile, Command, CounterChange, Create, Destroy, Kind,
    Operator, Refusal, Remove,
};
use muster::id::{AccountId, AppId, GroupId};
use muster::shard::reads;
use muster_cluster::{DiskError, Rows};

use crate::history::{ACCOUNTS, Account, Action, Answer, OWNER, Profile, Role, Roster};

pub const APP: AppId = AppId(1);

pub fn group_id(group: usize) -> GroupId {
    GroupId::parse(&format!("group-{group}")).expect("an id")
}

fn account_id(account: Account) -> AccountId {
    AccountId::parse(&format!("account-{}", account.0)).expect("an id")
}

fn account_of(id: &AccountId) -> Option<Account> {
    (0..ACCOUNTS as u8).map(Account).find(|account| account_id(*account) == *id)
}

pub fn admin() -> AccountId {
    AccountId::parse("administrator").expect("an id")
}

fn group_name(number: u64) -> String {
    format!("n{number}")
}

fn counter_name(counter: usize) -> String {
    format!("counter-{counter}")
}

/// What a change is as a command; `None`: a read.
pub fn command(action: &Action) -> Option<Command> {
    let operator = Operator::AppAdmin { name: admin() };
    let ids = |accounts: &[Account]| accounts.iter().copied().map(account_id).collect();
    Some(match action {
        Action::Create(number) => Command::Create(Create {
            operator,
            kind: Kind::Public,
            name: group_name(*number),
            introduction: String::new(),
            notification: String::new(),
            face_url: String::new(),
            owner: Some(account_id(OWNER)),
            members_max: None,
            apply_join: None,
            invite_join: None,
            custom: Vec::new(),
            members: Vec::new(),
            support_topic: false,
            enable_permission: false,
            default_permission: 0,
        }),
        Action::Destroy => Command::Destroy(Destroy { operator }),
        Action::Add(accounts) => Command::Add(Add { operator, accounts: ids(accounts), silent: false }),
        Action::Remove(accounts) => {
            Command::Remove(Remove { operator, accounts: ids(accounts), silent: false, reason: String::new() })
        }
        Action::SetRole(account, role) => Command::ChangeMember(ChangeMember {
            operator,
            account: account_id(*account),
            role: Some(if *role == Role::Admin { group::Role::Admin } else { group::Role::Member }),
            msg_flag: None,
            name_card: None,
            mute_for_secs: None,
            custom: Vec::new(),
        }),
        Action::Rename(number) => Command::ChangeProfile(ChangeProfile {
            name: Some(group_name(*number)),
            ..ChangeProfile::nothing(operator)
        }),
        Action::Count(counter, by) => Command::ChangeCounters(ChangeCounters {
            operator,
            change: CounterChange::Increase(vec![(counter_name(usize::from(counter.0)), *by)]),
        }),
        Action::ReadProfile | Action::ReadRoles(_) | Action::ReadCounters => return None,
    })
}

/// What the rules answered.
pub fn answer(answer: &group::Answer) -> Answer {
    match answer {
        group::Answer::Done => Answer::Done,
        group::Answer::Added(results) => {
            Answer::Added(results.iter().map(|result| *result == AddResult::Added).collect())
        }
        group::Answer::AddedBefore(results) => {
            Answer::Added(results.iter().map(|(_, result)| *result == AddResult::Added).collect())
        }
        group::Answer::Removed(_) => Answer::Done,
        group::Answer::Counted(values) => match values[..] {
            [(_, value)] => Answer::Counted(value),
            _ => Answer::Nonsense(format!("{values:?}")),
        },
    }
}

/// What a refusal says.
pub fn refused(action: &Action, refusal: &Refusal) -> Answer {
    match (action, refusal) {
        (_, Refusal::NoSuchGroup) => Answer::NoGroup,
        (Action::Create(_), Refusal::GroupIdTaken | Refusal::GroupIdOwned) => Answer::Exists,
        (Action::SetRole(..), Refusal::BadParameter { .. }) => Answer::NotMember,
        _ => Answer::Nonsense(refusal.to_string()),
    }
}

fn role_of(role: group::Role) -> Role {
    match role {
        group::Role::Owner => Role::Owner,
        group::Role::Admin => Role::Admin,
        group::Role::Member => Role::Member,
    }
}

/// Answers a read from rows.
///
/// # Errors
/// Rows that cannot be read.
pub fn read(rows: &Rows, group: usize, action: &Action) -> Result<Answer, DiskError> {
    let id = group_id(group);
    if let Action::ReadCounters = action {
        let Some(counters) = reads::counters(rows, APP, &id)? else { return Ok(Answer::NoGroup) };
        let value =
            |i| counters.values.iter().find(|(name, _)| *name == counter_name(i)).map_or(0, |(_, value)| *value);
        return Ok(Answer::Counters(std::array::from_fn(value)));
    }
    let Some(view) = reads::group(rows, APP, &id, true)? else { return Ok(Answer::NoGroup) };
    let mut roster = Roster::default();
    for member in view.members.unwrap_or_default() {
        match account_of(&member.account) {
            Some(account) => roster[usize::from(account.0)] = Some(role_of(member.role)),
            None => return Ok(Answer::Nonsense(format!("{} is a member", member.account))),
        }
    }
    if roster.iter().flatten().count() != view.facts.member_count as usize {
        return Ok(Answer::Nonsense(format!("{} members, and {roster:?}", view.facts.member_count)));
    }
    Ok(match action {
        Action::ReadRoles(accounts) => {
            Answer::Roles(accounts.iter().map(|account| roster[usize::from(account.0)]).collect())
        }
        _ => {
            let name = view.name.strip_prefix('n').and_then(|number| number.parse().ok());
            let Some(name) = name else { return Ok(Answer::Nonsense(view.name)) };
            let (next_msg_seq, info_seq) = (view.facts.next_msg_seq, view.facts.info_seq);
            Answer::Profile(Profile { roster, name, next_msg_seq, info_seq })
        }
    })
}
