//! Holds what clients remember against what a node tells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::{Accounts, Content, Model, SHARED_GROUP};
use crate::support::Client;

/// Groups per `get_group_info`. Source: docs/spec/limits.md 3.
const GROUPS_PER_CALL: usize = 50;
/// Messages between shards are on their way after a restart; so long they may take to arrive.
const CATCH_UP: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Compares everything; what differs, one line each. What was unknown is known afterwards.
pub async fn check(client: &mut Client, model: &mut Model) -> Vec<String> {
    let mut differences = Vec::new();
    let mut found = read_groups(client, model, &mut differences).await;
    own_groups(model, &found, &mut differences);
    match found.remove(SHARED_GROUP).flatten() {
        Some(content) => shared_group(model, &content.members, &mut differences),
        None => differences.push("the shared group is gone".into()),
    }
    if differences.is_empty() {
        // Held against the rosters, which are right.
        joined_lists(client, model, &mut differences).await;
    }
    differences
}

async fn read_groups(
    client: &mut Client,
    model: &Model,
    differences: &mut Vec<String>,
) -> BTreeMap<String, Option<Content>> {
    let own = model.clients.iter().flat_map(|memory| &memory.groups).map(|group| group.id.as_str());
    let ids: Vec<&str> = own.chain([SHARED_GROUP]).collect();
    let mut found = BTreeMap::new();
    for ids in ids.chunks(GROUPS_PER_CALL) {
        let filter = json!({
            "GroupBaseInfoFilter": ["Name", "Introduction", "Notification", "MemberNum"],
            "MemberInfoFilter": ["Member_Account"],
        });
        let answer = client.ok("get_group_info", json!({ "GroupIdList": ids, "ResponseFilter": filter })).await;
        let groups = answer["GroupInfo"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(groups.len(), ids.len(), "{answer}");
        for (id, group) in ids.iter().zip(groups) {
            match content(group) {
                Ok(content) => drop(found.insert((*id).to_owned(), content)),
                Err(wrong) => differences.push(format!("group {id}: {wrong}")),
            }
        }
    }
    found
}

/// A group as a node shows it; `None`: it does not exist.
fn content(group: &Value) -> Result<Option<Content>, String> {
    match group["ErrorCode"].as_u64() {
        Some(0) => {}
        Some(10010) => return Ok(None),
        _ => return Err(format!("cannot be read: {group}")),
    }
    let text = |field: &str| group[field].as_str().unwrap_or_default();
    let name = text("Name");
    if text("Introduction") != name || text("Introduction") != text("Notification") {
        return Err(format!("its profile is there half: {group}"));
    }
    let number =
        name.strip_prefix('n').and_then(|n| n.parse().ok()).ok_or_else(|| format!("has another name: {group}"))?;
    let list = group["MemberList"].as_array().ok_or_else(|| format!("shows no members: {group}"))?;
    let members: Accounts = list.iter().filter_map(|m| m["Member_Account"].as_str()).map(str::to_owned).collect();
    if group["MemberNum"] != list.len() || members.len() != list.len() {
        return Err(format!("counts {} members and shows {}: {group}", group["MemberNum"], list.len()));
    }
    Ok(Some(Content { number, members }))
}

fn own_groups(model: &mut Model, found: &BTreeMap<String, Option<Content>>, differences: &mut Vec<String>) {
    for group in model.clients.iter_mut().flat_map(|memory| &mut memory.groups) {
        // One that could not be read is a difference already.
        let Some(now) = found.get(&group.id) else { continue };
        let perhaps = group.perhaps.take();
        if *now != group.known && Some(now) != perhaps.as_ref() {
            differences
                .push(format!("group {}: acknowledged {:?}, perhaps {perhaps:?}, is {now:?}", group.id, group.known));
        }
        group.known = now.clone();
    }
}

fn shared_group(model: &mut Model, members: &Accounts, differences: &mut Vec<String>) {
    for crowd in model.clients.iter_mut().map(|memory| &mut memory.crowd) {
        if let Some((accounts, enter)) = crowd.perhaps.take() {
            let there = accounts.iter().filter(|account| members.contains(*account)).count();
            if there != 0 && there != accounts.len() {
                differences
                    .push(format!("of {accounts:?} {there} are members of the shared group: a change is there half"));
            }
            if (there > 0) == enter {
                crowd.known.extend(accounts.into_iter().map(|account| (account, enter)));
            }
        }
    }
    let known = model.crowd();
    for lost in known.difference(members) {
        differences.push(format!("the shared group: {lost} was acknowledged as a member and is none"));
    }
    for extra in members.difference(&known) {
        differences.push(format!("the shared group: {extra} is a member and was not acknowledged as one"));
    }
}

async fn joined_lists(client: &mut Client, model: &Model, differences: &mut Vec<String>) {
    let until = Instant::now() + CATCH_UP;
    for (account, groups) in model.joined() {
        loop {
            let answer = client.ok("get_joined_group_list", json!({ "Member_Account": account })).await;
            let list = answer["GroupIdList"].as_array().unwrap_or_else(|| panic!("{answer}"));
            let listed = list.iter().filter_map(|group| group["GroupId"].as_str()).map(str::to_owned).collect();
            if groups == listed && answer["TotalCount"] == list.len() {
                break;
            }
            if Instant::now() > until {
                differences.push(format!("{account} is in {groups:?} and lists {answer} {CATCH_UP:?} after the start"));
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
