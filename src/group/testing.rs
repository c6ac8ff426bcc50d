//! Groups and commands for tests, and the one helper through which they ask: given, asked, expected.
//!
//! ```text
//! given(a_group(Kind::Public).owner("ann")).asked(add(&["bob"])).decides(events, notices, answer)
//! ```

use super::*;

/// When everything in a test is decided.
pub(crate) const NOW: Stamp = Stamp(1_760_000_000_000);
/// When the groups of tests were created.
pub(crate) const EARLIER: Stamp = Stamp(1_750_000_000_000);

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::parse(name).expect("a well-formed account")
}

pub(crate) fn accounts(names: &[&str]) -> Vec<AccountId> {
    names.iter().map(|name| account(name)).collect()
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<CustomField> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Begins a group; with nothing added it is empty, ownerless and called "club".
pub(crate) fn a_group(kind: Kind) -> GroupBuilder {
    let created = Created {
        kind,
        owner: None,
        name: "club".into(),
        introduction: String::new(),
        notification: String::new(),
        face_url: String::new(),
        members_max: Limits::default().members_max_unnamed(kind),
        apply_join: kind.default_apply_join(),
        invite_join: kind.default_invite_join(),
        history_before_join: kind.default_history_before_join(),
        custom: Vec::new(),
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
        active: !kind.starts_inactive(),
        at: EARLIER,
    };
    GroupBuilder {
        created,
        members: Vec::new(),
        active: false,
        messages: 0,
        restrictions: Vec::new(),
        attributes: Vec::new(),
        counters: Vec::new(),
    }
}

pub(crate) struct GroupBuilder {
    created: Created,
    members: Vec<AddedMember>,
    active: bool,
    messages: u64,
    restrictions: Vec<(AccountId, Restriction)>,
    attributes: Vec<CustomField>,
    counters: Vec<(String, i64)>,
}

impl GroupBuilder {
    /// Recorded in a live room, a member elsewhere.
    pub(crate) fn owner(mut self, name: &str) -> Self {
        self.created.owner = Some(account(name));
        if self.created.kind.stores_members() { self.joined(name, Role::Owner) } else { self }
    }

    /// Of a live room too, where an admin is no member.
    pub(crate) fn admin(self, name: &str) -> Self {
        self.joined(name, Role::Admin)
    }

    pub(crate) fn member(self, name: &str) -> Self {
        self.joined(name, Role::Member)
    }

    /// Adds so many ordinary members, called `m1` and so on.
    pub(crate) fn members(self, count: usize) -> Self {
        (1..=count).fold(self, |group, n| group.member(&format!("m{n}")))
    }

    fn joined(mut self, name: &str, role: Role) -> Self {
        self.members.push(AddedMember { account: account(name), role, custom: Vec::new() });
        self
    }

    /// A first message was sent.
    pub(crate) fn active(mut self) -> Self {
        self.active = true;
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Created)) -> Self {
        change(&mut self.created);
        self
    }

    /// So many messages were sent.
    pub(crate) fn messages(mut self, count: u64) -> Self {
        self.messages = count;
        self
    }

    /// Silenced until that Unix second, a member or not.
    pub(crate) fn muted(mut self, name: &str, muted_until: u64) -> Self {
        self.restrictions.push((account(name), Restriction { muted_until, banned_until: 0 }));
        self
    }

    /// Kept out until that Unix second.
    pub(crate) fn banned(mut self, name: &str, banned_until: u64) -> Self {
        self.restrictions.push((account(name), Restriction { muted_until: 0, banned_until }));
        self
    }

    pub(crate) fn attributes(mut self, pairs: &[(&str, &str)]) -> Self {
        self.attributes = fields(pairs);
        self
    }

    pub(crate) fn counters(mut self, pairs: &[(&str, i64)]) -> Self {
        self.counters = pairs.iter().map(|(key, value)| (key.to_string(), *value)).collect();
        self
    }

    pub(crate) fn build(self) -> Group {
        let mut group = Group::begin(&self.created);
        if self.created.kind.stores_members() {
            group.admit(&self.members, self.created.at);
        } else {
            let admins: Vec<AccountId> = self.members.into_iter().map(|admin| admin.account).collect();
            group.change_live_admins(&admins, &[]);
        }
        group.facts.active |= self.active;
        group.facts.next_msg_seq += self.messages;
        self.restrictions.into_iter().for_each(|(account, r)| group.learn_restriction(account, r));
        group.change_attributes(&self.attributes, &[]);
        group.change_counters(&self.counters, &[]);
        group.check();
        group
    }
}

impl From<GroupBuilder> for Option<Group> {
    fn from(builder: GroupBuilder) -> Self {
        Some(builder.build())
    }
}

/// The operator that the commands below have unless a test names another.
pub(crate) fn app_admin() -> Operator {
    Operator::AppAdmin { name: account("root") }
}

pub(crate) fn by(name: &str) -> Operator {
    Operator::Account(account(name))
}

pub(crate) fn create(kind: Kind) -> Create {
    Create {
        operator: app_admin(),
        kind,
        name: "club".into(),
        introduction: String::new(),
        notification: String::new(),
        face_url: String::new(),
        owner: None,
        members_max: None,
        apply_join: None,
        invite_join: None,
        custom: Vec::new(),
        members: Vec::new(),
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
    }
}

pub(crate) fn new_member(name: &str, role: Role) -> NewMember {
    NewMember { account: account(name), role, custom: Vec::new() }
}

pub(crate) fn add(names: &[&str]) -> Add {
    Add { operator: app_admin(), accounts: accounts(names), silent: false }
}

pub(crate) fn remove(names: &[&str]) -> Remove {
    Remove { operator: app_admin(), accounts: accounts(names), silent: false, reason: "spam".into() }
}

pub(crate) fn change_profile() -> ChangeProfile {
    ChangeProfile::nothing(app_admin())
}

pub(crate) fn destroy(operator: Operator) -> Destroy {
    Destroy { operator }
}

pub(crate) fn import(group: Create, created: Option<Stamp>) -> Import {
    Import { group, created }
}

pub(crate) fn import_members(members: Vec<ImportMember>) -> ImportMembers {
    ImportMembers { operator: app_admin(), members }
}

/// An ordinary member that joins now and has read everything.
pub(crate) fn import_member(name: &str) -> ImportMember {
    ImportMember { account: account(name), role: Role::Member, joined: None, unread: None }
}

pub(crate) fn change_member(name: &str) -> ChangeMember {
    ChangeMember {
        operator: app_admin(),
        account: account(name),
        role: None,
        msg_flag: None,
        name_card: None,
        mute_for_secs: None,
        custom: Vec::new(),
    }
}

pub(crate) fn mute(names: &[&str], for_secs: u32) -> Mute {
    Mute { operator: app_admin(), accounts: accounts(names), for_secs }
}

pub(crate) fn transfer(to: &str) -> Transfer {
    Transfer { operator: app_admin(), to: account(to) }
}

pub(crate) fn change_attributes(change: AttributeChange) -> ChangeAttributes {
    ChangeAttributes { operator: app_admin(), change }
}

pub(crate) fn change_counters(change: CounterChange) -> ChangeCounters {
    ChangeCounters { operator: app_admin(), change }
}

pub(crate) fn ban(names: &[&str], for_secs: u32) -> Ban {
    Ban { operator: app_admin(), accounts: accounts(names), for_secs, description: "spam".into() }
}

pub(crate) fn unban(names: &[&str]) -> Unban {
    Unban { operator: app_admin(), accounts: accounts(names) }
}

pub(crate) fn appoint(names: &[&str]) -> ChangeLiveAdmins {
    ChangeLiveAdmins { operator: app_admin(), accounts: accounts(names), appoint: true }
}

pub(crate) fn dismiss(names: &[&str]) -> ChangeLiveAdmins {
    ChangeLiveAdmins { appoint: false, ..appoint(names) }
}

macro_rules! into_command {
    ($($intention:ident),*) => {
        $(impl From<$intention> for Command {
            fn from(command: $intention) -> Self {
                Command::$intention(command)
            }
        })*
    };
}
into_command!(
    Create,
    Import,
    Add,
    ImportMembers,
    Remove,
    ChangeProfile,
    ChangeMember,
    Mute,
    Transfer,
    ChangeAttributes,
    ChangeCounters,
    Ban,
    Unban,
    ChangeLiveAdmins,
    Destroy
);

/// A declared custom key that everybody may read, and of oneself with the rank to write it only.
pub(crate) fn custom_rule(key: &str, write: Rank, kinds: &[Kind]) -> CustomRule {
    let (key, kinds) = (key.to_owned(), kinds.to_vec());
    CustomRule { key, kinds, read: Rank::NotMember, write, own_read: true, own_write: false }
}

/// The event of accounts becoming members now.
pub(crate) fn added(members: &[(&str, Role)]) -> Event {
    let member = |(name, role): &(&str, Role)| AddedMember { account: account(name), role: *role, custom: Vec::new() };
    Event::MembersAdded { members: members.iter().map(member).collect(), at: NOW }
}

pub(crate) fn removed(names: &[&str]) -> Event {
    Event::MembersRemoved { accounts: accounts(names), at: NOW }
}

pub(crate) fn report(to: &[&str], operator: &str, report: Report) -> Notice {
    Notice::Report { to: accounts(to), operator: account(operator), report }
}

pub(crate) fn invited_tip(names: &[&str], operator: &str, member_count: u32) -> Notice {
    let tip = Tip::MembersInvited { accounts: accounts(names), member_count };
    Notice::Tip { operator: account(operator), tip }
}

pub(crate) fn bad(field: &'static str, what: &'static str) -> Refusal {
    Refusal::BadParameter { field, what }
}

pub(crate) fn given(group: impl Into<Option<Group>>) -> Given {
    Given {
        group: group.into(),
        limits: Limits::default(),
        full_accounts: Vec::new(),
        unknown_accounts: Vec::new(),
        daily_quota_spent: false,
        app_full: None,
    }
}

pub(crate) const NO_GROUP: Option<Group> = None;

/// A group, or none, and what else a command is judged with.
#[derive(Clone)]
pub(crate) struct Given {
    group: Option<Group>,
    limits: Limits,
    full_accounts: Vec<AccountId>,
    unknown_accounts: Vec<AccountId>,
    daily_quota_spent: bool,
    app_full: Option<AppLimit>,
}

impl Given {
    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Those are in as many groups as they may.
    pub(crate) fn full(mut self, names: &[&str]) -> Self {
        self.full_accounts = accounts(names);
        self
    }

    /// Those do not exist.
    pub(crate) fn unknown(mut self, names: &[&str]) -> Self {
        self.unknown_accounts = accounts(names);
        self
    }

    pub(crate) fn app_full(mut self, limit: AppLimit) -> Self {
        self.app_full = Some(limit);
        self
    }

    pub(crate) fn quota_spent(mut self) -> Self {
        self.daily_quota_spent = true;
        self
    }

    /// Judges the command, having learnt of the accounts it names and of no others; folds what was decided.
    pub(crate) fn asked(mut self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        if let Some(group) = &mut self.group {
            for account in command.named_accounts() {
                if !group.knows(account) {
                    group.learn(account.clone(), None);
                }
                if command.needs().restrictions && !group.knows_restriction(account) {
                    group.learn_restriction(account.clone(), Restriction::default());
                }
            }
        }
        let context = Context {
            limits: &self.limits,
            at: NOW,
            full_accounts: &self.full_accounts,
            unknown_accounts: &self.unknown_accounts,
            daily_quota_spent: self.daily_quota_spent,
            app_full: self.app_full,
        };
        let result = decide(self.group.as_ref(), &command, &context);
        let mut after = self.group;
        if let Ok(decision) = &result {
            decision.fold(&mut after);
        }
        if let Some(group) = &after {
            group.check();
        }
        Outcome { result, after }
    }
}

pub(crate) struct Outcome {
    pub(crate) result: Result<Decision, Refusal>,
    after: Option<Group>,
}

impl Outcome {
    /// Exactly this was decided; gives the group as it is then.
    #[track_caller]
    pub(crate) fn decides(
        self,
        events: impl Into<Vec<Event>>,
        notices: impl Into<Vec<Notice>>,
        answer: Answer,
    ) -> Option<Group> {
        let (events, notices) = (events.into(), notices.into());
        assert_eq!(self.result, Ok(Decision { events, notices, answer }));
        self.after
    }

    /// It is so already: no entry, nothing to tell.
    #[track_caller]
    pub(crate) fn changes_nothing(self) {
        assert_eq!(self.result, Ok(Decision::default()));
    }

    #[track_caller]
    pub(crate) fn refuses(self, refusal: Refusal) {
        assert_eq!(self.result, Err(refusal));
    }

    #[track_caller]
    pub(crate) fn refuses_with(self, code: u32) {
        assert_eq!(self.result.map_err(|refusal| refusal.code()), Err(code));
    }

    /// Something was decided; gives it and the group as it is then.
    #[track_caller]
    pub(crate) fn succeeds(self) -> (Decision, Group) {
        (self.result.expect("not refused"), self.after.expect("a group"))
    }
}
