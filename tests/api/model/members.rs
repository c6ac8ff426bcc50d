//! What is done to members: their fields, their silence, their owner, those who come from elsewhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{FOR_EVER, Group, Member, Moment, PAST_SECS, World, assert_until, merge_custom};
use crate::expect;
use crate::shared::{names, with};
use crate::support::{ADMIN, now_secs};

const FLAGS: [&str; 4] = ["AcceptAndNotify", "AcceptNotNotify", "Discard", "AcceptNotNotifyExceptAt"];

/// One member as a request imports it.
struct Imported {
    account: String,
    role: &'static str,
    unread: u64,
    /// The second it joined, and whether that can be.
    joined: Option<(u64, bool)>,
}

impl Group {
    /// Begins or ends silences; says so in the group if one of its members is among them.
    fn silence(&mut self, accounts: &[String], secs: u32, moment: Moment) {
        let until = moment.plus(secs);
        let is_changed = |account: &String| match secs {
            0 => self.mutes.contains_key(account),
            // Two spans are never the same but for the one without an end.
            _ => self.mutes.get(account) != Some(&until),
        };
        let changed: BTreeSet<String> = accounts.iter().filter(|name| is_changed(name)).cloned().collect();
        if changed.iter().any(|account| self.has(account)) {
            self.tell_ranks();
        }
        for account in changed {
            match secs {
                0 => self.mutes.remove(&account),
                _ => self.mutes.insert(account, until),
            };
        }
    }
}

impl World {
    /// A span that no other command names, or the one without an end, or none.
    fn span(&mut self) -> u32 {
        match self.random.below(6) {
            0 | 1 => 0,
            2 => u32::MAX,
            _ => 100_000 + 10 * u32::try_from(self.command).expect("a number of a command"),
        }
    }

    pub(super) async fn mute(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let mut asked = self.random.some(&self.accounts, 2);
        asked.push(self.random.pick(&self.accounts).clone());
        let secs = self.span();
        let name = if self.random.once_in(3) { "ShutUpTime" } else { "MuteTime" };
        let body = json!({"GroupId": id, "Members_Account": asked, name: secs});
        let (moment, answer) = self.send("forbid_send_msg", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_work() {
            return Self::assert_refused(&answer, 10007);
        }
        let is_bad = |name: &String| *name == group.owner || !group.is_live() && !group.has(name);
        if secs != 0 && asked.iter().any(is_bad) {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})));
        group.silence(&asked, secs, moment);
    }

    pub(super) async fn change_member(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let account = self.random.pick(&self.accounts).clone();
        let mut body = json!({"GroupId": id, "Member_Account": account});
        let random = &mut self.random;
        let mut role = random.once_in(3).then(|| *random.pick(&["Admin", "Member"]));
        let flag = random.once_in(3).then(|| *random.pick(&FLAGS));
        let card = random.once_in(3).then(|| ["", "Card", "Karte"][random.below(3)]);
        let custom = random.custom();
        let mut secs = if random.once_in(3) { Some(self.span()) } else { None };
        // Nobody may be an admin or muted there; which is said first of somebody who is not even in, is nobody's promise.
        if let Some(group) = self.groups.get(&id).filter(|group| group.is_work()) {
            role = role.filter(|role| *role == "Admin" && group.has(&account));
            secs = secs.filter(|_| group.has(&account));
        }
        let custom_shown: Vec<Value> = custom.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let mute_name = *self.random.pick(&["MuteTime", "ShutUpTime", "ShutUpUntil"]);
        body = with(
            body,
            json!({"Role": role, "MsgFlag": flag, "NameCard": card, mute_name: secs, "AppMemberDefinedData": custom_shown}),
        );
        let (moment, answer) = self.send("modify_group_member_info", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_live() || group.is_work() && (role.is_some() || secs.is_some()) {
            return Self::assert_refused(&answer, 10007);
        }
        let is_owner = group.owner == account;
        if !group.has(&account) || is_owner && (role.is_some() || secs.is_some_and(|secs| secs != 0)) {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})), "{body}");

        let member = group.member(&account).expect("it is in");
        member.flag = flag.unwrap_or(member.flag);
        member.card = card.map_or_else(|| member.card.clone(), str::to_owned);
        merge_custom(&mut member.custom, custom);
        if let Some(role) = role.filter(|role| *role != member.role) {
            member.role = role;
            group.tell_ranks();
        }
        if let Some(secs) = secs {
            group.silence(&[account], secs, moment);
        }
    }

    pub(super) async fn transfer(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let to = self.random.pick(&self.accounts).clone();
        let label = if self.random.once_in(3) { json!(ADMIN) } else { Value::Null };
        let body = with(json!({"GroupId": id, "NewOwner_Account": to}), json!({"From_Account": label}));
        let (_, answer) = self.send("change_group_owner", &body).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        if !group.has(&to) || group.owner == to {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({})));
        let before = std::mem::replace(&mut group.owner, to.clone());
        if let Some(owner) = group.member(&before) {
            owner.role = "Member";
        }
        group.member(&to).expect("it is in").role = "Owner";
        group.info_seq += 1;
        group.tell_texts();
    }

    pub(super) async fn import(&mut self) {
        let random = &mut self.random;
        let id = random.pick(&self.ids).clone();
        let kinds: Vec<_> =
            expect::STORED.into_iter().filter(|k| id.starts_with('@') == (k.wire == "Community")).collect();
        let kind = *random.pick(&kinds);
        let owner = if random.once_in(3) { None } else { Some(random.pick(&self.accounts).clone()) };
        let is_taken = self.groups.contains_key(&id);
        let is_future = !is_taken && random.once_in(8);
        let created = match random.below(3) {
            _ if is_future => Some(now_secs() + 1000),
            0 => None,
            _ => Some(now_secs() - random.below(PAST_SECS as usize / 2) as u64 - 1),
        };
        let members_max = random.once_in(2).then(|| 1 + random.below(8) as u32);
        let name = format!("club {}", random.below(100));
        let body = with(
            json!({"Type": random.pick(kind.names), "Name": name, "GroupId": id}),
            json!({"Owner_Account": owner, "CreateTime": created, "MaxMemberCount": members_max}),
        );
        let (moment, answer) = self.send("import_group", &body).await;

        if let Some(present) = self.groups.get(&id) {
            let is_own = present.owner == owner.as_deref().unwrap_or(ADMIN);
            return Self::assert_refused(&answer, if is_own { 10025 } else { 10021 });
        }
        if is_future {
            return Self::assert_refused(&answer, 10004);
        }
        assert_eq!(answer, expect::ok(json!({"GroupId": id})));
        let began = created.map_or(moment, Moment::named);
        let mut group = Group::new(kind, began, name, owner.clone(), true);
        group.members.extend(owner.map(|owner| Member::new(kind, owner, "Owner", began, 0)));
        group.members_max = members_max.unwrap_or(kind.members_max);
        self.groups.insert(id, group);
    }

    pub(super) async fn import_members(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let group = self.groups.get(&id);
        let no_admins = group.is_none_or(Group::is_work);
        let since_secs = group.map_or(0, |group| group.created.to_ms as u64 / 1000);
        let mut items = Vec::new();
        let mut asked: Vec<Imported> = Vec::new();
        for _ in 0..=self.random.below(4) {
            let random = &mut self.random;
            let account = random.pick(&self.accounts).clone();
            let is_admin = !no_admins && random.once_in(5);
            let unread = random.once_in(2).then(|| random.below(5) as u64);
            let now = now_secs();
            // Whether a moment that cannot be, or the membership is looked at first, is nobody's promise.
            let is_in =
                group.is_some_and(|group| group.has(&account)) || asked.iter().any(|item| item.account == account);
            let joined = match random.below(6) {
                0 if !is_in => Some((1, false)),
                1 if !is_in => Some((now + 1000, false)),
                2 | 3 => Some((since_secs + random.below((now - since_secs.min(now)) as usize + 1) as u64, true)),
                _ => None,
            };
            items.push(with(
                json!({"Member_Account": account}),
                json!({
                    "Role": is_admin.then_some("Admin"), "UnreadMsgNum": unread, "JoinTime": joined.map(|(secs, _)| secs),
                }),
            ));
            let role = if is_admin { "Admin" } else { "Member" };
            asked.push(Imported { account, role, unread: unread.unwrap_or(0), joined });
        }
        let (moment, answer) = self.send("import_group_member", &json!({"GroupId": id, "MemberList": items})).await;

        let Some(group) = self.groups.get_mut(&id) else { return Self::assert_refused(&answer, 10010) };
        if group.is_live() {
            return Self::assert_refused(&answer, 10007);
        }
        let mut results = Vec::new();
        for Imported { account, role, unread, joined } in asked {
            let result = if group.has(&account) {
                2
            } else if joined.is_some_and(|(_, is_possible)| !is_possible)
                || group.members.len() >= group.members_max as usize
            {
                0
            } else {
                // The second of the creation stands for the moment of it.
                let at = joined.map_or(moment, |(secs, _)| Moment::named(secs));
                group.in_order &= joined.is_none();
                let msg_seq = (group.next_seq - 1).saturating_sub(unread);
                group.members.push(Member::new(group.kind, account.clone(), role, at, msg_seq));
                1
            };
            results.push(json!({"Member_Account": account, "Result": result}));
        }
        assert_eq!(answer, expect::ok(json!({"MemberList": results})));
    }

    /// Members by name, and their roles.
    pub(super) async fn read_named(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        let mut asked = self.random.some(&self.accounts, 5);
        asked.push(self.random.pick(&self.accounts).clone());
        let (_, mut answer) =
            self.send("get_specified_group_member_info", &json!({"GroupId": id, "Member_List_Account": asked})).await;
        let (_, roles) = self.send("get_role_in_group", &json!({"GroupId": id, "User_Account": asked})).await;
        let Some(group) = self.groups.get(&id) else {
            Self::assert_refused(&roles, 10010);
            return Self::assert_refused(&answer, 10010);
        };
        if group.is_live() {
            Self::assert_refused(&roles, 10007);
            return Self::assert_refused(&answer, 10007);
        }
        group.settle_members(&mut answer["MemberList"]);
        let found = |name: &String| group.members.iter().find(|member| member.account == *name);
        let shown: Vec<Value> = asked.iter().filter_map(found).map(|member| group.shown_member(member)).collect();
        let expected = expect::ok(json!({"GroupId": id, "MemberList": shown}));
        assert_eq!(expect::settled(answer, self.since), expected);
        let role =
            |name| json!({"Member_Account": name, "Role": found(name).map_or("NotMember", |member| member.role)});
        let expected: Vec<Value> = asked.iter().map(role).collect();
        assert_eq!(roles, expect::ok(json!({"UserIdList": expected})));
    }

    pub(super) async fn read_muted(&mut self) {
        let id = self.random.pick(&self.ids).clone();
        for (command, list, until) in [
            ("get_group_muted_account", "MutedAccountList", "MutedUntil"),
            ("get_group_shutted_uin", "ShuttedUinList", "ShuttedUntil"),
        ] {
            let (_, answer) = self.send(command, &json!({"GroupId": id})).await;
            let Some(group) = self.groups.get(&id) else {
                Self::assert_refused(&answer, 10010);
                continue;
            };
            assert_eq!((&answer["ErrorCode"], &answer["GroupId"]), (&json!(0), &json!(id)), "{answer}");
            let expected: Vec<&String> = group.mutes.keys().collect();
            assert_eq!(names(&answer[list], "Member_Account").iter().collect::<Vec<_>>(), expected, "{answer}");
            for (shown, end) in answer[list].as_array().expect("a list").iter().zip(group.mutes.values()) {
                assert_until(&shown[until], Some(end));
                assert!(end.1 <= FOR_EVER && shown.as_object().map(serde_json::Map::len) == Some(2), "{answer}");
            }
        }
    }
}
