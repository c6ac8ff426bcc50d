//! What a command depends on beyond its group: limits that span shards, and accounts that have to exist.

use crate::group::{AppLimit, Command, Create, Kind, Limits};
use crate::id::AccountId;
use crate::time::Stamp;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// What a command takes from limits held elsewhere.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Takes {
    /// Accounts that may enter the group.
    pub accounts: Vec<AccountId>,
    /// One of the day's new groups.
    pub adds_group: bool,
    /// It counts in the day's quota, one way or the other.
    pub quota: bool,
    /// Limits on all groups of the app that it takes a place of.
    pub app_limits: Vec<AppLimit>,
}

pub(super) fn takes_of(command: &Command, limits: &Limits) -> Takes {
    match command {
        Command::Create(create) => {
            let counts = create.kind != Kind::Community || limits.daily_net_counts_community;
            let quota = limits.daily_net_groups > 0 && counts;
            Takes { accounts: founders(create), adds_group: quota, quota, app_limits: app_limits(create.kind, limits) }
        }
        // A migration is not growth: docs/spec/limits.md 4, the daily "net" quota.
        Command::Import(import) => Takes { accounts: founders(&import.group), ..Takes::default() },
        Command::Add(add) => Takes { accounts: each_once(add.accounts.iter()), ..Takes::default() },
        Command::ImportMembers(import) => {
            Takes { accounts: each_once(import.members.iter().map(|member| &member.account)), ..Takes::default() }
        }
        Command::Destroy(_) => Takes { quota: limits.daily_net_groups > 0, ..Takes::default() },
        Command::Remove(_)
        | Command::ChangeProfile(_)
        | Command::ChangeMember(_)
        | Command::Mute(_)
        | Command::Transfer(_)
        | Command::ChangeAttributes(_)
        | Command::ChangeCounters(_)
        | Command::Ban(_)
        | Command::Unban(_)
        | Command::ChangeLiveAdmins(_) => Takes::default(),
    }
}

/// Who is in a group as it begins. Live rooms store no members, so nobody's groups are counted there.
fn founders(create: &Create) -> Vec<AccountId> {
    match create.kind.stores_members() {
        true => each_once(create.owner.iter().chain(create.members.iter().map(|member| &member.account))),
        false => Vec::new(),
    }
}

fn each_once<'a>(accounts: impl Iterator<Item = &'a AccountId>) -> Vec<AccountId> {
    let mut accounts: Vec<AccountId> = accounts.cloned().collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

fn app_limits(kind: Kind, limits: &Limits) -> Vec<AppLimit> {
    let mut met = vec![AppLimit::Groups];
    match kind {
        Kind::AvChatRoom => met.push(AppLimit::LiveRooms),
        Kind::Community => met.push(AppLimit::Communities),
        Kind::Work | Kind::Public | Kind::Meeting => {}
    }
    met.retain(|limit| limit.of(limits) > 0);
    met
}

/// The accounts that have to exist where not everybody does: whom the command would make an owner or a member, and
/// whom it names as the one who acts. Each once.
///
/// Who is removed, muted or banned need not exist. Source: docs/spec/errors.md 6.
pub(super) fn must_exist(command: &Command) -> Vec<&AccountId> {
    let mut accounts: Vec<&AccountId> = match command {
        Command::Create(create) => create.owner.iter().chain(create.members.iter().map(|m| &m.account)).collect(),
        Command::Import(import) => import.group.owner.iter().collect(),
        Command::Add(add) => add.accounts.iter().collect(),
        Command::ImportMembers(import) => import.members.iter().map(|m| &m.account).collect(),
        Command::Transfer(transfer) => vec![&transfer.to],
        _ => Vec::new(),
    };
    accounts.push(command.operator().name());
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// The quota's day, counted from 1970. Source: docs/spec/limits.md 4, the daily "net" quota.
pub(super) fn day_of(at: Stamp, limits: &Limits) -> i32 {
    let local = at.0 as i64 + i64::from(limits.daily_reset_utc_offset_minutes) * MINUTE_MS;
    local.div_euclid(DAY_MS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Add, Operator, Remove, Transfer};

    #[test]
    fn who_comes_in_and_who_acts_must_exist() {
        let account = |name: &str| AccountId::parse(name).unwrap();
        let operator = Operator::AppAdmin { name: account("root") };
        let add = Add {
            operator: operator.clone(),
            accounts: vec![account("bob"), account("ann"), account("bob")],
            silent: false,
        };
        let transfer = Transfer { operator: operator.clone(), to: account("ann") };
        let remove = Remove { operator, accounts: vec![account("ann")], silent: false, reason: String::new() };
        for (command, expected) in [
            (Command::Add(add), &["ann", "bob", "root"][..]),
            (Command::Transfer(transfer), &["ann", "root"]),
            (Command::Remove(remove), &["root"]),
        ] {
            let names: Vec<&str> = must_exist(&command).into_iter().map(AccountId::as_str).collect();
            assert_eq!(names, expected, "{command:?}");
        }
    }

    #[test]
    fn the_day_turns_at_the_configured_hour() {
        let limits = Limits::default();
        let sixteen_utc = 20_000 * DAY_MS as u64 + 16 * 3_600_000;
        assert_eq!(day_of(Stamp(sixteen_utc - 1), &limits), 20_000);
        assert_eq!(day_of(Stamp(sixteen_utc), &limits), 20_001);
        let utc = Limits { daily_reset_utc_offset_minutes: 0, ..Limits::default() };
        assert_eq!(day_of(Stamp(sixteen_utc), &utc), 20_000);
    }
}
