//! What is left when nobody changes anything any more: every node shows the same groups, and every account lists the
//! groups that have it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{Remembered, Worker, World};
use crate::history::{ACCOUNTS, Account, Action, Answer};
use crate::random::Random;
use crate::support::{APP, Client, KEY};
use crate::wire::account_name;

/// Messages between shards may still be on their way, and so may what nobody knows the outcome of.
const CATCH_UP: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The client that reads. It makes no request that needs a name of its own.
const READER: usize = 999;

/// Reads all groups through every node, as part of the history, and the groups of all accounts; what differs.
pub async fn settle(world: &World, remembered: &mut Remembered) -> Vec<String> {
    let mut reader = Worker::new(world.clone(), READER, Random::of_seed(0), Arc::default());
    let mut differences = Vec::new();
    for node in 0..world.nodes.len() {
        let until = Instant::now() + CATCH_UP;
        loop {
            let found = match members(&mut reader, world, node).await {
                Ok(groups) => compare(world, node, &groups).await,
                Err(why) => vec![why],
            };
            if found.is_empty() {
                break;
            }
            if Instant::now() > until {
                differences.extend(found);
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    remembered.add(reader.finish());
    differences
}

/// Who is in each group, as a node shows it; nobody in one that is not there.
async fn members(reader: &mut Worker, world: &World, node: usize) -> Result<Vec<BTreeSet<Account>>, String> {
    let mut groups = Vec::new();
    for group in 0..world.groups.len() {
        let roster = match reader.ask(node, group, Action::ReadProfile).await {
            Some(Answer::Profile(profile)) => profile.roster,
            Some(Answer::NoGroup) => Default::default(),
            other => return Err(format!("node {node} shows {} as {other:?}", world.groups[group])),
        };
        let accounts = (0..ACCOUNTS as u8).map(Account);
        groups.push(accounts.filter(|account| roster[usize::from(account.0)].is_some()).collect());
        match reader.ask(node, group, Action::ReadCounters).await {
            Some(Answer::Counters(_) | Answer::NoGroup) => {}
            other => return Err(format!("node {node} shows counters of {} as {other:?}", world.groups[group])),
        }
    }
    Ok(groups)
}

/// Holds the lists of all accounts, as a node gives them, against who is in the groups.
async fn compare(world: &World, node: usize, groups: &[BTreeSet<Account>]) -> Vec<String> {
    let mut client = Client::to(world.nodes[node], APP, KEY);
    let mut differences = Vec::new();
    for account in (0..ACCOUNTS as u8).map(Account) {
        let name = account_name(account);
        let has_it = |(i, _): &(usize, &String)| groups[*i].contains(&account);
        let expected: BTreeSet<&str> =
            world.groups.iter().enumerate().filter(has_it).map(|(_, id)| id.as_str()).collect();
        let answer = client.try_call("get_joined_group_list", &json!({"Member_Account": name})).await;
        let answer = answer.unwrap_or_else(|why| json!(why));
        if !lists(&answer, &expected) {
            differences.push(format!("node {node}: {name} is in {expected:?} and lists {answer}"));
        }
    }
    differences
}

/// Whether an account's list has those groups, each once, and no other.
fn lists(answer: &Value, groups: &BTreeSet<&str>) -> bool {
    let list = answer["GroupIdList"].as_array().map_or(&[][..], Vec::as_slice);
    let listed: BTreeSet<&str> = list.iter().filter_map(|group| group["GroupId"].as_str()).collect();
    answer["ErrorCode"] == 0 && listed == *groups && list.len() == groups.len() && answer["TotalCount"] == list.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_a_ghost_or_without_a_group_is_wrong() {
        let answer = |ids: &[&str], total: usize| {
            let list: Value = ids.iter().map(|id| json!({"GroupId": id})).collect();
            json!({"ErrorCode": 0, "TotalCount": total, "GroupIdList": list})
        };
        let groups = BTreeSet::from(["a", "b"]);
        assert!(lists(&answer(&["b", "a"], 2), &groups));
        for wrong in [
            answer(&["a", "b", "ghost"], 3),
            answer(&["a"], 1),
            answer(&["a", "a"], 2),
            answer(&["a", "b", "b"], 3),
            answer(&["a", "b"], 3),
            json!({"ErrorCode": 60018}),
            json!("the connection broke"),
        ] {
            assert!(!lists(&wrong, &groups), "{wrong}");
        }
    }
}
