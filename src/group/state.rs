//! What the rules hold of one group: its settings, its counts, and the members that somebody asked about.
//!
//! A group does not hold its roster. Cost follows the request: the actor learns the rows of the accounts
//! that a command names before the command is judged, so a group of a million members costs what a group
//! of ten costs. Asking about an account that was not learnt is a mistake of the caller and panics.

use rustc_hash::FxHashMap;

use super::role::Options;
use super::{
    AddedMember, ApplyJoin, Created, CustomField, InviteJoin, Kind, Notice, Operator, ProfileChange, Rank, Role, custom,
};
use crate::id::AccountId;
use crate::time::Stamp;

/// One group as its rules see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(super) facts: Facts,
    pub(super) profile: Option<Profile>,
    /// `None` within: learnt not to be a member.
    pub(super) known: FxHashMap<AccountId, Option<Member>>,
}

/// Settings and counts: always present, one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub kind: Kind,
    pub owner: Option<AccountId>,
    pub created: Stamp,
    /// 0: unlimited.
    pub members_max: u32,
    pub member_count: u32,
    /// Stored members with the role Admin.
    pub admin_count: u32,
    pub apply_join: ApplyJoin,
    pub invite_join: InviteJoin,
    pub mute_all: bool,
    pub history_before_join: bool,
    pub support_topic: bool,
    pub enable_permission: bool,
    pub default_permission: u64,
    /// A Work group is inactive until its first message.
    pub active: bool,
    /// The message sequence number that the next message or stored tip gets; begins at 1.
    pub next_msg_seq: u64,
    /// The place in join order that the next member gets; begins at 0, never reused.
    pub next_join_seq: u64,
    /// One more for every change of the profile; begins at 1, so that 0 is "never read" for clients.
    pub info_seq: u64,
    /// Last change of the profile or of the membership.
    pub last_info: Stamp,
    /// Last message; 0: none.
    pub last_msg: Stamp,
}

/// The texts, learnt only when a command compares with them.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Profile {
    pub name: String,
    pub introduction: String,
    pub notification: String,
    pub face_url: String,
    /// In the order in which the keys were first set.
    pub custom: Vec<CustomField>,
}

/// One stored member, as far as rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub role: Role,
    pub join_seq: u64,
}

impl Group {
    pub fn new(facts: Facts) -> Self {
        Self { facts, profile: None, known: FxHashMap::default() }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    pub fn learn_profile(&mut self, profile: Profile) {
        self.profile = Some(profile);
    }

    pub fn forget_profile(&mut self) {
        self.profile = None;
    }

    /// Whether the account's membership, or its absence, is known.
    pub fn knows(&self, account: &AccountId) -> bool {
        self.known.contains_key(account)
    }

    /// Takes what the rows say of an account.
    pub fn learn(&mut self, account: AccountId, member: Option<Member>) {
        self.known.insert(account, member);
    }

    pub fn forget(&mut self, account: &AccountId) {
        self.known.remove(account);
    }

    /// How many accounts are known: what the actor's memory follows.
    pub fn known_count(&self) -> usize {
        self.known.len()
    }

    /// The member of that name.
    ///
    /// # Panics
    /// If nobody learnt about the account: a rule would then judge on a guess.
    pub fn member(&self, account: &AccountId) -> Option<&Member> {
        match self.known.get(account) {
            Some(member) => member.as_ref(),
            None => panic!("member {account} was judged before its row was read"),
        }
    }

    /// The standing of whoever asks.
    ///
    /// # Panics
    /// As [`Group::member`], unless it is the owner or an app admin.
    pub(super) fn rank(&self, operator: &Operator) -> Rank {
        match operator {
            Operator::AppAdmin { .. } => Rank::AppAdmin,
            // By the facts and not by a row: the owner of a live room has none.
            Operator::Account(account) if self.facts.owner.as_ref() == Some(account) => Rank::Owner,
            Operator::Account(account) => self.member(account).map_or(Rank::NotMember, |member| member.role.into()),
        }
    }

    /// The settings that rights depend on.
    pub(super) fn options(&self) -> Options {
        Options { invite_join: self.facts.invite_join, support_topic: self.facts.support_topic }
    }
}

/// How events change a group. They judge nothing; what they assert is a mistake in the log or in its reader.
impl Group {
    /// A group as it begins: no members yet, its texts known.
    pub(super) fn begin(created: &Created) -> Self {
        let facts = Facts {
            kind: created.kind,
            owner: created.owner.clone(),
            created: created.at,
            members_max: created.members_max,
            member_count: 0,
            admin_count: 0,
            apply_join: created.apply_join,
            invite_join: created.invite_join,
            mute_all: false,
            history_before_join: created.history_before_join,
            support_topic: created.support_topic,
            enable_permission: created.enable_permission,
            default_permission: created.default_permission,
            active: !created.kind.starts_inactive(),
            next_msg_seq: 1,
            next_join_seq: 0,
            info_seq: 1,
            last_info: created.at,
            last_msg: Stamp(0),
        };
        let profile = Profile {
            name: created.name.clone(),
            introduction: created.introduction.clone(),
            notification: created.notification.clone(),
            face_url: created.face_url.clone(),
            custom: created.custom.clone(),
        };
        Self { profile: Some(profile), ..Self::new(facts) }
    }

    /// Takes new members in, in join order; they are known afterwards.
    ///
    /// # Panics
    /// If one of them is known to be a member.
    pub(super) fn admit(&mut self, members: &[AddedMember], at: Stamp) {
        for added in members {
            let member = Member { role: added.role, join_seq: self.facts.next_join_seq };
            self.facts.next_join_seq += 1;
            self.facts.member_count += 1;
            self.facts.admin_count += u32::from(added.role == Role::Admin);
            let earlier = self.known.insert(added.account.clone(), Some(member));
            assert!(!matches!(earlier, Some(Some(_))), "{} joins a group it is a member of", added.account);
        }
        self.facts.last_info = at;
    }

    /// Lets members go; they are known not to be members afterwards.
    ///
    /// # Panics
    /// If one of them is not known to be a member: its role has to be counted down.
    pub(super) fn dismiss(&mut self, accounts: &[AccountId], at: Stamp) {
        for account in accounts {
            let member = self.known.insert(account.clone(), None).flatten();
            let member = member.unwrap_or_else(|| panic!("{account} leaves a group it is not known to be in"));
            self.facts.member_count -= 1;
            match member.role {
                Role::Owner => self.facts.owner = None,
                Role::Admin => self.facts.admin_count -= 1,
                Role::Member => {}
            }
        }
        self.facts.last_info = at;
    }

    /// Takes new texts and settings over; texts only where they are known.
    pub(super) fn change_profile(&mut self, changes: &[ProfileChange], at: Stamp) {
        for change in changes {
            self.change_setting(change);
            if let Some(profile) = &mut self.profile {
                profile.change(change);
            }
        }
        self.facts.info_seq += 1;
        self.facts.last_info = at;
    }

    fn change_setting(&mut self, change: &ProfileChange) {
        let facts = &mut self.facts;
        match change {
            ProfileChange::MembersMax(value) => facts.members_max = *value,
            ProfileChange::ApplyJoin(value) => facts.apply_join = *value,
            ProfileChange::InviteJoin(value) => facts.invite_join = *value,
            ProfileChange::MuteAll(value) => facts.mute_all = *value,
            ProfileChange::HistoryBeforeJoin(value) => facts.history_before_join = *value,
            ProfileChange::SupportTopic(value) => facts.support_topic = *value,
            ProfileChange::EnablePermission(value) => facts.enable_permission = *value,
            ProfileChange::DefaultPermission(value) => facts.default_permission = *value,
            ProfileChange::Name(_)
            | ProfileChange::Introduction(_)
            | ProfileChange::Notification(_)
            | ProfileChange::FaceUrl(_)
            | ProfileChange::Custom(_) => {}
        }
    }

    /// Counts what a notice takes of the group: a tip is stored under the next message sequence number.
    pub(super) fn number(&mut self, notice: &Notice) {
        match notice {
            Notice::Tip { .. } => self.facts.next_msg_seq += 1,
            Notice::Report { .. } => {}
        }
    }
}

impl Profile {
    /// Takes a new text or custom field over; settings are not part of the texts.
    pub fn change(&mut self, change: &ProfileChange) {
        match change {
            ProfileChange::Name(value) => self.name.clone_from(value),
            ProfileChange::Introduction(value) => self.introduction.clone_from(value),
            ProfileChange::Notification(value) => self.notification.clone_from(value),
            ProfileChange::FaceUrl(value) => self.face_url.clone_from(value),
            ProfileChange::Custom(field) => custom::apply(&mut self.custom, field),
            ProfileChange::MembersMax(_)
            | ProfileChange::ApplyJoin(_)
            | ProfileChange::InviteJoin(_)
            | ProfileChange::MuteAll(_)
            | ProfileChange::HistoryBeforeJoin(_)
            | ProfileChange::SupportTopic(_)
            | ProfileChange::EnablePermission(_)
            | ProfileChange::DefaultPermission(_) => {}
        }
    }
}

/// What is true of every group between two decisions.
impl Group {
    /// Asserts the invariants, as far as the known members show them. For tests: it looks at every known member.
    ///
    /// # Panics
    /// Naming the first that is broken.
    pub fn check(&self) {
        self.check_members();
        self.check_sequences();
        self.check_kind();
        if let Some(profile) = &self.profile {
            profile.check();
        }
    }

    /// One owner at most, the one the facts name; counts that leave room for everybody known.
    fn check_members(&self) {
        let facts = &self.facts;
        let members = || self.known.iter().filter_map(|(account, member)| member.map(|member| (account, member)));
        let count_of = |role: Role| members().filter(|(_, member)| member.role == role).count();

        for (account, _) in members().filter(|(_, member)| member.role == Role::Owner) {
            assert_eq!(Some(account), facts.owner.as_ref(), "an owner's row that is not the owner");
        }
        if let Some(owner) = &facts.owner
            && facts.kind.stores_members()
            && let Some(known) = self.known.get(owner)
        {
            assert_eq!(known.map(|member| member.role), Some(Role::Owner), "the owner {owner} is not a member");
        }
        assert!(count_of(Role::Admin) <= facts.admin_count as usize, "more admins known than counted");
        if facts.kind.stores_members() {
            let ranked = facts.admin_count + u32::from(facts.owner.is_some());
            assert!(members().count() <= facts.member_count as usize, "more members known than counted");
            assert!(ranked <= facts.member_count, "{ranked} owner and admins among {} members", facts.member_count);
        } else {
            assert_eq!(facts.member_count, 0, "a live room stores no ordinary members");
            assert_eq!(count_of(Role::Member), 0, "a live room stores no ordinary members");
        }
        assert!(facts.members_max == 0 || facts.member_count <= facts.members_max, "more members than allowed");
    }

    /// Numbers are given once and in order.
    fn check_sequences(&self) {
        let facts = &self.facts;
        let mut seqs: Vec<u64> = self.known.values().flatten().map(|member| member.join_seq).collect();
        seqs.sort_unstable();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "two members share a place in join order");
        assert!(seqs.last().is_none_or(|last| *last < facts.next_join_seq), "a place in join order is given again");
        assert!(u64::from(facts.member_count) <= facts.next_join_seq, "more members than ever joined");
        assert!(facts.next_msg_seq >= 1 && facts.info_seq >= 1, "a sequence began below 1");
        assert!(facts.created <= facts.last_info, "changed before it was created");
    }

    /// What a kind fixes stays so: docs/spec/group-types.md 3.
    fn check_kind(&self) {
        let facts = &self.facts;
        let kind = facts.kind;
        assert!(!kind.fixes_apply_join() || facts.apply_join == kind.default_apply_join(), "{kind:?} join option");
        assert!(!kind.fixes_invite_join() || facts.invite_join == kind.default_invite_join(), "{kind:?} invite option");
        assert!(kind != Kind::Work || facts.admin_count == 0, "a Work group has admins");
        assert!(kind != Kind::Work || !facts.mute_all, "a Work group is muted");
        assert!(kind.starts_inactive() || facts.active, "a {kind:?} group is inactive");
        assert!(kind == Kind::Community || !facts.support_topic, "a {kind:?} group has topics");
        assert!(facts.support_topic || !facts.enable_permission, "permission groups without topics");
        assert!(facts.support_topic || facts.default_permission == 0, "default permissions without topics");
        if matches!(kind, Kind::AvChatRoom | Kind::Community) {
            assert_eq!(facts.history_before_join, kind.default_history_before_join(), "{kind:?} history option");
        }
    }
}

impl Profile {
    fn check(&self) {
        assert!(!self.name.is_empty(), "a group without a name");
        for (at, (key, value)) in self.custom.iter().enumerate() {
            assert!(!value.is_empty(), "custom field {key} is kept without a value");
            assert!(self.custom[..at].iter().all(|(earlier, _)| earlier != key), "custom field {key} is kept twice");
        }
    }
}
