//! Which limits that span shards a command meets.

use crate::group::{Command, Kind, Limits};
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
}

pub(super) fn takes_of(command: &Command, limits: &Limits) -> Takes {
    match command {
        Command::Create(create) => {
            let counts = create.kind != Kind::Community || limits.daily_net_counts_community;
            let quota = limits.daily_net_groups > 0 && counts;
            let mut accounts = Vec::new();
            if create.kind.stores_members() {
                accounts.extend(create.owner.clone());
                accounts.extend(create.members.iter().map(|m| m.account.clone()));
                accounts.sort_unstable();
                accounts.dedup();
            }
            Takes { accounts, adds_group: quota, quota }
        }
        Command::Add(add) => {
            let mut accounts = add.accounts.clone();
            accounts.sort_unstable();
            accounts.dedup();
            Takes { accounts, adds_group: false, quota: false }
        }
        Command::Destroy(_) => Takes { quota: limits.daily_net_groups > 0, ..Takes::default() },
        Command::Remove(_) | Command::ChangeProfile(_) => Takes::default(),
    }
}

/// The quota's day, counted from 1970. Source: docs/spec/limits.md 4, the daily "net" quota.
pub(super) fn day_of(at: Stamp, limits: &Limits) -> i32 {
    let local = at.0 as i64 + i64::from(limits.daily_reset_utc_offset_minutes) * MINUTE_MS;
    local.div_euclid(DAY_MS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

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
