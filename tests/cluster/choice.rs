//! What a client asks next: chance decides, by shares.

use crate::history::{ACCOUNTS, Account, Action, COUNTERS, Counter, OWNER, Role};
use crate::random::Random;

/// How often each kind of action is chosen.
pub struct Shares {
    pub destroy: u64,
    pub create: u64,
    pub add: u64,
    pub remove: u64,
    pub set_role: u64,
    pub rename: u64,
    pub count: u64,
    pub read_profile: u64,
    pub read_roles: u64,
    pub read_counters: u64,
}

impl Shares {
    /// One of them; no other request of the run has the number.
    pub fn choose(&self, random: &mut Random, number: u64) -> Action {
        let shares = [
            self.destroy,
            self.create,
            self.add,
            self.remove,
            self.set_role,
            self.rename,
            self.count,
            self.read_profile,
            self.read_roles,
            self.read_counters,
        ];
        let mut drawn = random.below(shares.iter().sum());
        let is_beyond = |share: &&u64| {
            let is_beyond = drawn >= **share;
            drawn -= if is_beyond { **share } else { 0 };
            is_beyond
        };
        match shares.iter().take_while(is_beyond).count() {
            0 => Action::Destroy,
            1 => Action::Create(number),
            2 => Action::Add(some_accounts(random)),
            3 => Action::Remove(some_accounts(random)),
            4 => Action::SetRole(some_account(random), if random.below(2) == 0 { Role::Admin } else { Role::Member }),
            5 => Action::Rename(number),
            6 => Action::Count(Counter(random.below(COUNTERS as u64) as u8), 1),
            7 => Action::ReadProfile,
            8 => Action::ReadRoles(some_accounts(random)),
            _ => Action::ReadCounters,
        }
    }
}

/// Any but the owner, who is not removed.
fn some_account(random: &mut Random) -> Account {
    Account(random.between(u64::from(OWNER.0) + 1, ACCOUNTS as u64) as u8)
}

/// Mostly one.
fn some_accounts(random: &mut Random) -> Vec<Account> {
    let mut accounts = vec![some_account(random)];
    while random.below(4) == 0 {
        accounts.push(some_account(random));
    }
    accounts.sort();
    accounts.dedup();
    accounts
}
