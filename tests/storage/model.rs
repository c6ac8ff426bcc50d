//! What clients remember: what was acknowledged, what was refused, and what perhaps happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::random::Random;

/// Groups whose ids one client uses again and again; nobody else changes them.
const GROUPS_PER_CLIENT: usize = 12;
/// So many of them are live rooms.
const ROOMS_PER_CLIENT: usize = 3;
/// Accounts that all clients add to their groups.
const ACCOUNTS: u64 = 60;
/// Accounts that one client alone puts into the group shared by all.
const CROWD_PER_CLIENT: usize = 30;

/// The group that all clients change at once.
pub const SHARED_GROUP: &str = "shared";
pub const SHARED_OWNER: &str = "boss";
/// The counter of the shared group that all clients increase, each beside one of its own.
pub const COUNTER_OF_ALL: &str = "all";

/// The counter that one client alone increases.
pub fn counter_of(client: usize) -> String {
    format!("of-{client}")
}

pub type Accounts = BTreeSet<String>;

/// A request as it can be made again, under the name that it had.
pub type Asked = (&'static str, Value);

/// A group, as far as these clients change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Stands in name, introduction and notification: a profile that is half changed shows two numbers.
    pub number: u64,
    pub owner: String,
    /// The owner too; nobody in a live room.
    pub members: Accounts,
    /// Of a live room too, where they are no members.
    pub admins: Accounts,
    /// For ever, members or not.
    pub muted: Accounts,
    /// Live rooms only, for ever.
    pub banned: Accounts,
    pub attributes: BTreeMap<String, String>,
    pub counters: BTreeMap<String, i64>,
}

/// A change whose outcome is unknown: what there is if it happened, and how to ask again.
#[derive(Clone, Debug)]
pub struct Perhaps<T> {
    pub after: T,
    pub asked: Asked,
}

/// A group of one client.
#[derive(Clone, Debug)]
pub struct Owned {
    pub id: String,
    /// Who owns it when it is made.
    pub owner: String,
    pub is_live: bool,
    /// After the last answer; `None`: it does not exist.
    pub known: Option<Content>,
    pub perhaps: Option<Perhaps<Option<Content>>>,
}

/// One client's part of the shared group.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Whether each account is a member.
    pub known: BTreeMap<String, bool>,
    /// Accounts of a change whose outcome is unknown, and what they are if it happened: all of them or none.
    pub perhaps: Option<Perhaps<(Accounts, bool)>>,
}

/// How often one client has counted in the shared group: its own counter says so, and that of all says the sum.
#[derive(Clone, Debug, Default)]
pub struct Count {
    pub known: i64,
    pub perhaps: Option<Perhaps<i64>>,
}

/// What one client remembers.
pub struct Memory {
    pub groups: Vec<Owned>,
    pub crowd: Crowd,
    pub count: Count,
    pub random: Random,
    pub client: usize,
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
            is_live: i < ROOMS_PER_CLIENT,
            known: None,
            perhaps: None,
        };
        let crowd = (0..CROWD_PER_CLIENT).map(|i| (format!("crowd-{client}-{i}"), false)).collect();
        Self {
            groups: (0..GROUPS_PER_CLIENT).map(group).collect(),
            crowd: Crowd { known: crowd, perhaps: None },
            count: Count::default(),
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

    /// A name that no request had before.
    pub fn next_request(&mut self) -> String {
        format!("request-{}", self.next_number())
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
