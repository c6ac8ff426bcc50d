//! Holds what clients remember against what a node tells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::{Accounts, COUNTER_OF_ALL, Content, Model, Perhaps, SHARED_GROUP, counter_of};
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
        Some(content) => {
            shared_group(model, &content.members, &mut differences);
            counts(model, &content.counters, &mut differences);
        }
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
            "GroupBaseInfoFilter": ["Type", "Name", "Introduction", "Notification", "MemberNum", "Owner_Account"],
            "MemberInfoFilter": ["Role"],
        });
        let answer = client.ok("get_group_info", json!({ "GroupIdList": ids, "ResponseFilter": filter })).await;
        let groups = answer["GroupInfo"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(groups.len(), ids.len(), "{answer}");
        for (id, group) in ids.iter().zip(groups) {
            match content(group) {
                Ok(None) => drop(found.insert((*id).to_owned(), None)),
                Ok(Some(content)) => {
                    let is_live = group["Type"] == "AVChatRoom";
                    let whole = with_the_rest(client, id, is_live, content).await;
                    found.insert((*id).to_owned(), Some(whole));
                }
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
    let owner = text("Owner_Account").to_owned();
    if group["Type"] == "AVChatRoom" {
        return Ok(Some(Content { number, owner, ..Content::default() }));
    }
    let list = group["MemberList"].as_array().ok_or_else(|| format!("shows no members: {group}"))?;
    let of = |role: &str| {
        let with_role = list.iter().filter(|member| role.is_empty() || member["Role"] == role);
        with_role.filter_map(|member| member["Member_Account"].as_str()).map(str::to_owned).collect::<Accounts>()
    };
    let (members, admins) = (of(""), of("Admin"));
    if group["MemberNum"] != list.len() || members.len() != list.len() {
        return Err(format!("counts {} members and shows {}: {group}", group["MemberNum"], list.len()));
    }
    if of("Owner") != Accounts::from([owner.clone()]) {
        return Err(format!("is owned by {owner} and shows another owner: {group}"));
    }
    Ok(Some(Content { number, owner, members, admins, ..Content::default() }))
}

/// Reads what the profile and the list of members do not show.
async fn with_the_rest(client: &mut Client, id: &str, is_live: bool, mut content: Content) -> Content {
    let names = |answer: &Value, list: &str, field: &str| -> Accounts {
        let items = answer[list].as_array().unwrap_or_else(|| panic!("{id}: {answer}"));
        items.iter().map(|item| item[field].as_str().unwrap_or_else(|| panic!("{id}: {answer}")).to_owned()).collect()
    };
    let muted = client.ok("get_group_muted_account", json!({ "GroupId": id })).await;
    content.muted = names(&muted, "MutedAccountList", "Member_Account");
    let attributes = client.ok("get_group_attr", json!({ "GroupId": id })).await;
    for item in attributes["GroupAttrAry"].as_array().unwrap_or_else(|| panic!("{id}: {attributes}")) {
        let text = |field: &str| item[field].as_str().unwrap_or_else(|| panic!("{id}: {attributes}")).to_owned();
        content.attributes.insert(text("key"), text("value"));
    }
    let counters = client.ok("get_group_counter", json!({ "GroupId": id })).await;
    for item in counters["GroupCounter"].as_array().unwrap_or_else(|| panic!("{id}: {counters}")) {
        let key = item["Key"].as_str().unwrap_or_else(|| panic!("{id}: {counters}"));
        let value = item["Value"].as_i64().unwrap_or_else(|| panic!("{id}: {counters}"));
        content.counters.insert(key.to_owned(), value);
    }
    if is_live {
        let banned = client.ok("get_group_ban_member", json!({ "GroupId": id, "Offset": 0 })).await;
        content.banned = names(&banned, "BannedAccountList", "Member_Account");
        let admins = client.ok("get_admin_list", json!({ "GroupId": id })).await;
        content.admins = names(&admins, "Admin_List", "Admin_Account");
    }
    content
}

fn own_groups(model: &mut Model, found: &BTreeMap<String, Option<Content>>, differences: &mut Vec<String>) {
    for group in model.clients.iter_mut().flat_map(|memory| &mut memory.groups) {
        // One that could not be read is a difference already.
        let Some(now) = found.get(&group.id) else { continue };
        let perhaps = group.perhaps.take().map(|perhaps| perhaps.after);
        if *now != group.known && Some(now) != perhaps.as_ref() {
            differences
                .push(format!("group {}: acknowledged {:?}, perhaps {perhaps:?}, is {now:?}", group.id, group.known));
        }
        group.known = now.clone();
    }
}

fn shared_group(model: &mut Model, members: &Accounts, differences: &mut Vec<String>) {
    for crowd in model.clients.iter_mut().map(|memory| &mut memory.crowd) {
        if let Some(Perhaps { after: (accounts, enter), .. }) = crowd.perhaps.take() {
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

/// Every increment that was acknowledged is there once, every other one at most once, and both counters of one request
/// tell the same.
fn counts(model: &mut Model, counters: &BTreeMap<String, i64>, differences: &mut Vec<String>) {
    let mut sum = 0;
    for memory in &mut model.clients {
        let found = counters.get(&counter_of(memory.client)).copied().unwrap_or_default();
        let perhaps = memory.count.perhaps.take().map(|perhaps| perhaps.after);
        if found != memory.count.known && Some(found) != perhaps {
            let known = memory.count.known;
            differences.push(format!(
                "client {}: acknowledged {known} increments, perhaps {perhaps:?}, counted {found}",
                memory.client
            ));
        }
        memory.count.known = found;
        sum += found;
    }
    let of_all = counters.get(COUNTER_OF_ALL).copied().unwrap_or_default();
    if of_all != sum {
        differences.push(format!(
            "the counters of all clients are {sum} and their sum is counted as {of_all}: acknowledged apart"
        ));
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
