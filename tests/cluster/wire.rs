//! Operations as requests of the REST API, and its answers as what they say about a group.

use serde_json::{Value, json};

use crate::history::{ACCOUNTS, Account, Action, Answer, COUNTERS, OWNER, Profile, Role, Roster};

const OUTCOME_UNKNOWN: &str = "outcome unknown:";

/// What an answer is worth.
pub enum Sorted {
    Answer(Answer),
    /// Nothing happened, promised.
    Unavailable(u64),
    Unknown,
}

pub fn account_name(account: Account) -> String {
    format!("account-{}", account.0)
}

fn counter_name(i: usize) -> String {
    format!("counter-{i}")
}

fn group_name(number: u64) -> String {
    format!("n{number}")
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Admin => "Admin",
        Role::Member => "Member",
    }
}

/// The command and its body.
pub fn request(group: &str, action: &Action) -> (&'static str, Value) {
    let names = |accounts: &[Account]| accounts.iter().map(|account| account_name(*account)).collect::<Vec<_>>();
    let (command, mut body) = match action {
        Action::Create(name) => {
            ("create_group", json!({"Type": "Public", "Name": group_name(*name), "Owner_Account": account_name(OWNER)}))
        }
        Action::Destroy => ("destroy_group", json!({})),
        Action::Add(accounts) => {
            let list: Value = names(accounts).into_iter().map(|name| json!({"Member_Account": name})).collect();
            ("add_group_member", json!({"MemberList": list}))
        }
        Action::Remove(accounts) => ("delete_group_member", json!({"MemberToDel_Account": names(accounts)})),
        Action::SetRole(account, role) => {
            ("modify_group_member_info", json!({"Member_Account": account_name(*account), "Role": role_name(*role)}))
        }
        Action::Rename(name) => ("modify_group_base_info", json!({"Name": group_name(*name)})),
        Action::Count(counter, by) => {
            let counter = json!({"Key": counter_name(usize::from(counter.0)), "Value": by});
            ("update_group_counter", json!({"Mode": "Increase", "GroupCounter": [counter]}))
        }
        Action::ReadProfile => {
            let filter = json!({
                "GroupBaseInfoFilter": ["Name", "MemberNum", "NextMsgSeq", "InfoSeq", "Owner_Account"],
                "MemberInfoFilter": ["Account", "Role"],
            });
            return ("get_group_info", json!({"GroupIdList": [group], "ResponseFilter": filter}));
        }
        Action::ReadRoles(accounts) => ("get_role_in_group", json!({"User_Account": names(accounts)})),
        Action::ReadCounters => ("get_group_counter", json!({})),
    };
    body["GroupId"] = json!(group);
    (command, body)
}

/// Sorts an answer by its code, and reads what it says.
///
/// # Panics
/// If it has a code that no request of a run can be answered with.
pub fn sort(action: &Action, answer: &Value) -> Sorted {
    let info = answer["ErrorInfo"].as_str().unwrap_or_default();
    match answer["ErrorCode"].as_u64() {
        Some(0) => {
            Sorted::Answer(read(action, answer).unwrap_or_else(|wrong| Answer::Nonsense(format!("{wrong}: {answer}"))))
        }
        Some(10010) => Sorted::Answer(Answer::NoGroup),
        Some(10021 | 10025) if matches!(action, Action::Create(_)) => Sorted::Answer(Answer::Exists),
        Some(10004) if matches!(action, Action::SetRole(..)) => Sorted::Answer(Answer::NotMember),
        Some(10002) if info.starts_with(OUTCOME_UNKNOWN) => Sorted::Unknown,
        Some(code @ (60008 | 60018)) => Sorted::Unavailable(code),
        _ => panic!("{action:?} is answered {answer}"),
    }
}

/// What an answer OK says.
fn read(action: &Action, answer: &Value) -> Result<Answer, String> {
    match action {
        Action::Create(_) | Action::Destroy | Action::Remove(_) | Action::SetRole(..) | Action::Rename(_) => {
            Ok(Answer::Done)
        }
        Action::Add(accounts) => {
            let entered: Vec<bool> = in_order(answer, "MemberList", accounts)?
                .into_iter()
                .map(|item| match item["Result"].as_u64() {
                    Some(1) => Ok(true),
                    Some(2) => Ok(false),
                    _ => Err("an account neither entered nor was there"),
                })
                .collect::<Result<_, _>>()?;
            Ok(Answer::Added(entered))
        }
        Action::ReadRoles(accounts) => {
            let roles = in_order(answer, "UserIdList", accounts)?.into_iter().map(|item| role(&item["Role"]));
            Ok(Answer::Roles(roles.collect::<Result<_, _>>()?))
        }
        Action::Count(counter, _) => {
            let values = counters(answer)?;
            let value = values[usize::from(counter.0)].filter(|_| values.iter().flatten().count() == 1);
            value.map(Answer::Counted).ok_or_else(|| "not the counter that was asked for".into())
        }
        Action::ReadCounters => Ok(Answer::Counters(counters(answer)?.map(Option::unwrap_or_default))),
        Action::ReadProfile => profile(answer),
    }
}

fn profile(answer: &Value) -> Result<Answer, String> {
    let group = &answer["GroupInfo"][0];
    match group["ErrorCode"].as_u64() {
        Some(0) => {}
        Some(10010) => return Ok(Answer::NoGroup),
        _ => return Err("a group that cannot be read".into()),
    }
    let number = |field: &str| group[field].as_u64().ok_or_else(|| format!("no {field}"));
    let list = group["MemberList"].as_array().ok_or("no members")?;
    let mut roster = Roster::default();
    for member in list {
        let place = &mut roster[account(&member["Member_Account"])?];
        if place.replace(role(&member["Role"])?.ok_or("a member that is none")?).is_some() {
            return Err("a member twice".into());
        }
    }
    if number("MemberNum")? != list.len() as u64 {
        return Err("another count than members".into());
    }
    if group["Owner_Account"] != account_name(OWNER) {
        return Err("another owner".into());
    }
    let name = group["Name"].as_str().and_then(|name| name.strip_prefix('n')?.parse().ok()).ok_or("another name")?;
    let (next_msg_seq, info_seq) = (number("NextMsgSeq")?, number("InfoSeq")?);
    Ok(Answer::Profile(Profile { roster, name, next_msg_seq, info_seq }))
}

/// The items of a list, one for each account that was asked for.
fn in_order<'a>(answer: &'a Value, list: &str, accounts: &[Account]) -> Result<Vec<&'a Value>, String> {
    let items: Vec<&Value> = answer[list].as_array().into_iter().flatten().collect();
    let are_named = items.iter().zip(accounts).all(|(item, account)| item["Member_Account"] == account_name(*account));
    match items.len() == accounts.len() && are_named {
        true => Ok(items),
        false => Err(format!("{list} names others than were asked for")),
    }
}

fn counters(answer: &Value) -> Result<[Option<i64>; COUNTERS], String> {
    let mut values = [None; COUNTERS];
    for item in answer["GroupCounter"].as_array().into_iter().flatten() {
        let i = (0..COUNTERS).find(|i| item["Key"] == counter_name(*i)).ok_or("a counter that nobody made")?;
        values[i] = Some(item["Value"].as_i64().ok_or("a counter without a value")?);
    }
    Ok(values)
}

fn account(name: &Value) -> Result<usize, String> {
    (0..ACCOUNTS).find(|i| *name == account_name(Account(*i as u8))).ok_or_else(|| format!("a ghost: {name}"))
}

fn role(name: &Value) -> Result<Option<Role>, String> {
    match name.as_str() {
        Some("Owner") => Ok(Some(Role::Owner)),
        Some("Admin") => Ok(Some(Role::Admin)),
        Some("Member") => Ok(Some(Role::Member)),
        Some("NotMember") => Ok(None),
        _ => Err(format!("no role: {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile_with(changes: impl Fn(&mut Value)) -> Answer {
        let members = json!([
            {"Member_Account": "account-0", "Role": "Owner"},
            {"Member_Account": "account-3", "Role": "Admin"},
        ]);
        let mut group = json!({
            "ErrorCode": 0, "Name": "n7", "MemberNum": 2, "NextMsgSeq": 3, "InfoSeq": 1,
            "Owner_Account": "account-0", "MemberList": members,
        });
        changes(&mut group);
        let answer = json!({"ErrorCode": 0, "GroupInfo": [group]});
        match sort(&Action::ReadProfile, &answer) {
            Sorted::Answer(answer) => answer,
            Sorted::Unavailable(_) | Sorted::Unknown => panic!("{answer} is an answer"),
        }
    }

    #[test]
    fn a_profile_that_no_group_can_have_is_nonsense() {
        let mut roster = Roster::default();
        (roster[0], roster[3]) = (Some(Role::Owner), Some(Role::Admin));
        let profile = Profile { roster, name: 7, next_msg_seq: 3, info_seq: 1 };
        assert_eq!(profile_with(|_| ()), Answer::Profile(profile));
        assert_eq!(profile_with(|group| group["ErrorCode"] = json!(10010)), Answer::NoGroup);
        let wrong: [fn(&mut Value); 6] = [
            |group| group["MemberNum"] = json!(3),
            |group| group["MemberList"][1]["Member_Account"] = json!("ghost"),
            |group| group["MemberList"][1]["Member_Account"] = json!("account-0"),
            |group| group["MemberList"][1]["Role"] = json!("NotMember"),
            |group| group["Owner_Account"] = json!("account-3"),
            |group| group["NextMsgSeq"] = json!(null),
        ];
        for changes in wrong {
            let answer = profile_with(changes);
            assert!(matches!(answer, Answer::Nonsense(_)), "{answer:?}");
        }
    }

    #[test]
    fn what_happened_is_told_from_what_may_have_happened() {
        let sorted = |code: u64, info: &str| sort(&Action::Destroy, &json!({"ErrorCode": code, "ErrorInfo": info}));
        assert!(matches!(sorted(0, ""), Sorted::Answer(Answer::Done)));
        assert!(matches!(sorted(10010, ""), Sorted::Answer(Answer::NoGroup)));
        assert!(matches!(sorted(60018, ""), Sorted::Unavailable(60018)));
        assert!(matches!(sorted(10002, "outcome unknown: the leader is gone"), Sorted::Unknown));
    }
}
