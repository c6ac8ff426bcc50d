//! What clients remember: what was acknowledged, what was refused, and what perhaps happened.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;

/// Groups whose ids one client uses again and again; nobody else changes them.
const GROUPS_PER_CLIENT: usize = 12;
/// Accounts that all clients add to their groups.
const ACCOUNTS: u64 = 60;
/// Accounts that one client alone puts into the group shared by all.
const CROWD_PER_CLIENT: usize = 30;

/// The group that all clients change at once.
pub const SHARED_GROUP: &str = "shared";
pub const SHARED_OWNER: &str = "boss";

pub type Accounts = BTreeSet<String>;

/// A group, as far as these clients change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Stands in name, introduction and notification: a profile that is half changed shows two numbers.
    pub number: u64,
    /// The owner too.
    pub members: Accounts,
}

/// A group of one client.
#[derive(Clone, Debug)]
pub struct Owned {
    pub id: String,
    pub owner: String,
    /// After the last answer; `None`: it does not exist.
    pub known: Option<Content>,
    /// What it is instead, if the change whose outcome is unknown happened.
    pub perhaps: Option<Option<Content>>,
}

/// One client's part of the shared group.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Whether each account is a member.
    pub known: BTreeMap<String, bool>,
    /// Accounts of a change whose outcome is unknown, and what they are if it happened: all of them or none.
    pub perhaps: Option<(Accounts, bool)>,
}

/// What one client remembers.
pub struct Memory {
    pub groups: Vec<Owned>,
    pub crowd: Crowd,
    pub random: Random,
    client: usize,
    /// Of the profile given last; all clients count apart.
    number: u64,
}

/// What all clients remember, between two runs.
pub struct Model {
    pub clients: Vec<Memory>,
}

impl Model {
    pub fn new(clients: usize, random: &mut Random) -> Self {
        Self { clients: (0..clients).map(|client| Memory::new(client, random.fork())).collect() }
    }

    /// The shared group's members for certain, and those who perhaps are.
    pub fn crowd(&self) -> Accounts {
        let known = self.clients.iter().flat_map(|client| &client.crowd.known);
        let mut members: Accounts = known.filter(|(_, is)| **is).map(|(account, _)| account.clone()).collect();
        members.insert(SHARED_OWNER.into());
        members
    }

    /// For every account there is, the groups it must list; after everything unknown was looked up.
    pub fn joined(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut joined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for account in (0..ACCOUNTS).map(account) {
            joined.entry(account).or_default();
        }
        for memory in &self.clients {
            for group in &memory.groups {
                joined.entry(group.owner.clone()).or_default();
                for member in group.known.iter().flat_map(|content| &content.members) {
                    joined.entry(member.clone()).or_default().insert(group.id.clone());
                }
            }
            for account in memory.crowd.known.keys() {
                joined.entry(account.clone()).or_default();
            }
        }
        for member in self.crowd() {
            joined.entry(member).or_default().insert(SHARED_GROUP.into());
        }
        joined
    }
}

impl Memory {
    fn new(client: usize, random: Random) -> Self {
        let group = |i: usize| Owned {
            id: format!("c{client}-g{i}"),
            owner: format!("owner-{client}"),
            known: None,
            perhaps: None,
        };
        let crowd = (0..CROWD_PER_CLIENT).map(|i| (format!("crowd-{client}-{i}"), false)).collect();
        Self {
            groups: (0..GROUPS_PER_CLIENT).map(group).collect(),
            crowd: Crowd { known: crowd, perhaps: None },
            random,
            client,
            number: 0,
        }
    }

    /// A number that no profile had before.
    pub fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number * 1_000 + self.client as u64
    }

    /// Up to `count_max` accounts none of them in `without`; perhaps nobody is left.
    pub fn some_accounts(&mut self, without: &Accounts, count_max: u64) -> Accounts {
        let count = self.random.between(1, count_max + 1);
        (0..count).map(|_| account(self.random.below(ACCOUNTS))).filter(|a| !without.contains(a)).collect()
    }
}

fn account(i: u64) -> String {
    format!("user-{i}")
}
