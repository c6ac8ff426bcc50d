//! What only live rooms have: bans and stored admins.

use serde_json::{Value, json};

use super::{World, assert_until};
use crate::expect;
use crate::shared::names;

const ADMINS_MAX: usize = 5;

impl World {
    /// At least one of the accounts, and one of them twice at times.
    fn some_accounts(&mut self, max: usize) -> Vec<String> {
        let mut some = self.random.some(&self.accounts, max);
        some.push(self.random.pick(&self.accounts).clone());
        some
    }

    pub(super) async fn ban(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let asked = self.some_accounts(3);
        let lifts = self.random.once_in(3);
        let secs = if self.random.once_in(4) { u32::MAX } else { 100_000 + self.random.below(1000) as u32 };
        let mut body = json!({"GroupId": id, "Members_Account": asked});
        if !lifts {
            body["Duration"] = json!(secs);
        }
        let command = if lifts { "unban_group_member" } else { "ban_group_member" };
        let (moment, answer) = self.send(command, &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if !group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        assert_eq!(answer, expect::ok(json!({})), "{command} {body}");
        for account in asked {
            match lifts {
                true => group.bans.remove(&account),
                false => group.bans.insert(account, moment.plus(secs)),
            };
        }
    }

    pub(super) async fn change_admins(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let asked = self.some_accounts(2);
        let appoints = !self.random.once_in(3);
        let body = json!({"GroupId": id, "CommandType": if appoints { 1 } else { 2 }, "Admin_Account": asked});
        let (_, answer) = self.send("modify_admin", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if !group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        let mut wanted = group.admins.clone();
        for account in asked {
            match appoints {
                // The owner is above them.
                true if wanted.contains(&account) || group.owner == account => {}
                true => wanted.push(account),
                false => wanted.retain(|admin| *admin != account),
            }
        }
        if wanted.len() > ADMINS_MAX {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})), "{body}");
        group.admins = wanted;
    }

    pub(super) async fn read_live(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let (_, answer) = self.send("get_admin_list", &json!({"GroupId": id})).await;
        match self.groups.get(&id) {
            None => Self::assert_refused(&answer, 10010),
            Some(group) if !group.is_live() => Self::assert_refused(&answer, 10007),
            Some(group) => {
                let shown = |name| json!({"Admin_Account": name, "NickName": "", "Avatar": ""});
                let expected: Vec<Value> = group.admins.iter().map(shown).collect();
                assert_eq!(answer, expect::ok(json!({"Admin_List": expected})));
            }
        }
        self.read_bans(&id).await;
    }

    async fn read_bans(&mut self, id: &str) {
        let limit = 1 + self.random.below(4);
        let mut seen = Vec::new();
        let mut offset = 0;
        loop {
            let body = json!({"GroupId": id, "Offset": offset, "Limit": limit});
            let (_, answer) = self.send("get_group_ban_member", &body).await;
            let Some(group) = self.groups.get(id) else { return Self::assert_refused(&answer, 10010) };
            if !group.is_live() {
                return Self::assert_refused(&answer, 10007);
            }
            let page = names(&answer["BannedAccountList"], "Member_Account");
            for shown in answer["BannedAccountList"].as_array().expect("a list") {
                let account = shown["Member_Account"].as_str().expect("an account");
                assert_until(&shown["BannedUntil"], group.bans.get(account));
            }
            assert!(page.len() <= limit, "{body}: {answer}");
            seen.extend(page);
            if answer["NextOffset"] == 0 {
                assert_eq!(seen.iter().collect::<Vec<_>>(), group.bans.keys().collect::<Vec<_>>(), "{answer}");
                return;
            }
            assert_eq!(answer["NextOffset"], seen.len(), "{body}: {answer}");
            offset = seen.len();
        }
    }
}
