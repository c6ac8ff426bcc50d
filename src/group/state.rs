//! What the rules hold of one group: its settings, its counts, and what somebody asked about of its members.
//!
//! A group does not hold its roster. Cost follows the request: the actor learns the rows of the accounts
//! that a command names before the command is judged, so a group of a million members costs what a group
//! of ten costs. Asking about an account that was not learnt is a mistake of the caller and panics.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::role::{Operation, Options, permit};
use super::{
    AddedMember, ApplyJoin, Created, CustomField, FOR_EVER_SECS, ImportedMember, InviteJoin, Kind, Limits,
    MemberChange, MsgFlag, Notice, Operator, ProfileChange, Rank, Refusal, Role, custom,
};
use crate::id::AccountId;
use crate::time::Stamp;

/// One group as its rules see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(super) facts: Facts,
    /// Made when something is learnt, dropped when all is forgotten: most groups that are active know nothing else
    /// most of the time.
    pub(super) known: Option<Box<Known>>,
}

/// What was learnt of a group beside its facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    pub profile: Option<Profile>,
    /// `None` within: learnt not to be a member.
    pub members: FxHashMap<AccountId, Option<Member>>,
    pub cards: FxHashMap<AccountId, Card>,
    pub restrictions: FxHashMap<AccountId, Restriction>,
    pub attributes: Option<BTreeMap<String, String>>,
    pub counters: Option<BTreeMap<String, i64>>,
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
    /// The latest moment at which anybody joined; 0: nobody yet.
    pub last_joined: Stamp,
    /// The join order is the order of joining moments; an import may break it for good.
    pub joins_in_order: bool,
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

/// What a member looks like and wants, learnt only when a command compares with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub msg_flag: MsgFlag,
    pub name_card: String,
    /// In the order in which the keys were first set.
    pub custom: Vec<CustomField>,
}

/// What an account may not do, a member or not. Unix seconds; 0 or past: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    pub muted_until: u64,
    pub banned_until: u64,
}

impl Group {
    pub fn new(facts: Facts) -> Self {
        Self { facts, known: None }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    fn learning(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }

    pub fn profile(&self) -> Option<&Profile> {
        self.known.as_ref()?.profile.as_ref()
    }

    pub fn learn_profile(&mut self, profile: Profile) {
        self.learning().profile = Some(profile);
    }

    /// The attributes that members share; `None`: not learnt.
    pub fn attributes(&self) -> Option<&BTreeMap<String, String>> {
        self.known.as_ref()?.attributes.as_ref()
    }

    pub fn learn_attributes(&mut self, attributes: BTreeMap<String, String>) {
        self.learning().attributes = Some(attributes);
    }

    /// The group's counters; `None`: not learnt.
    pub fn counters(&self) -> Option<&BTreeMap<String, i64>> {
        self.known.as_ref()?.counters.as_ref()
    }

    pub fn learn_counters(&mut self, counters: BTreeMap<String, i64>) {
        self.learning().counters = Some(counters);
    }

    /// Whether the account's membership, or its absence, is known.
    pub fn knows(&self, account: &AccountId) -> bool {
        self.known.as_ref().is_some_and(|known| known.members.contains_key(account))
    }

    /// Takes what the rows say of an account.
    pub fn learn(&mut self, account: AccountId, member: Option<Member>) {
        self.learning().members.insert(account, member);
    }

    pub fn knows_card(&self, account: &AccountId) -> bool {
        self.known.as_ref().is_some_and(|known| known.cards.contains_key(account))
    }

    pub fn learn_card(&mut self, account: AccountId, card: Card) {
        self.learning().cards.insert(account, card);
    }

    pub fn knows_restriction(&self, account: &AccountId) -> bool {
        self.known.as_ref().is_some_and(|known| known.restrictions.contains_key(account))
    }

    pub fn learn_restriction(&mut self, account: AccountId, restriction: Restriction) {
        self.learning().restrictions.insert(account, restriction);
    }

    /// Lets go of everything that is known about an account.
    pub fn forget(&mut self, account: &AccountId) {
        let Some(known) = &mut self.known else { return };
        known.members.remove(account);
        known.cards.remove(account);
        known.restrictions.remove(account);
        if known.is_empty() {
            self.known = None;
        }
    }

    /// Lets go of everything but the facts.
    pub fn forget_all(&mut self) {
        self.known = None;
    }

    /// How many accounts are known: what the actor's memory follows.
    pub fn known_count(&self) -> usize {
        self.known.as_ref().map_or(0, |known| known.members.len())
    }

    /// The member of that name.
    ///
    /// # Panics
    /// If nobody learnt about the account: a rule would then judge on a guess.
    pub fn member(&self, account: &AccountId) -> Option<&Member> {
        match self.known.as_ref().and_then(|known| known.members.get(account)) {
            Some(member) => member.as_ref(),
            None => panic!("member {account} was judged before its row was read"),
        }
    }

    /// A member's card.
    ///
    /// # Panics
    /// If nobody learnt it.
    pub fn card(&self, account: &AccountId) -> &Card {
        let known = self.known.as_ref().and_then(|known| known.cards.get(account));
        known.unwrap_or_else(|| panic!("the card of {account} was judged before its row was read"))
    }

    /// What an account may not do.
    ///
    /// # Panics
    /// If nobody learnt it.
    pub fn restriction(&self, account: &AccountId) -> Restriction {
        let known = self.known.as_ref().and_then(|known| known.restrictions.get(account)).copied();
        known.unwrap_or_else(|| panic!("the restrictions of {account} were judged before their rows were read"))
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

    /// The role of an account that something is done to; `None`: no member.
    ///
    /// # Panics
    /// As [`Group::rank`].
    pub(super) fn role(&self, account: &AccountId) -> Option<Role> {
        match self.facts.owner.as_ref() == Some(account) {
            true => Some(Role::Owner),
            false => self.member(account).map(|member| member.role),
        }
    }

    /// Whether the operator may do something at all, and then to each of the targets; who is no member is judged as
    /// an ordinary one.
    pub(super) fn permit_on_each(
        &self,
        operator: &Operator,
        operation: Operation,
        on_target: impl Fn(Role) -> Operation,
        targets: &[&AccountId],
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let (kind, rank, options) = (self.facts.kind, self.rank(operator), self.options(limits));
        permit(kind, rank, operation, options)?;
        let role = |account: &AccountId| self.role(account).unwrap_or(Role::Member);
        targets.iter().try_for_each(|account| permit(kind, rank, on_target(role(account)), options))
    }

    /// The settings that rights depend on, of the group and of its app.
    pub(super) fn options(&self, limits: &Limits) -> Options {
        Options {
            invite_join: self.facts.invite_join,
            support_topic: self.facts.support_topic,
            admins_manage_admins: limits.admins_manage_admins,
        }
    }
}

impl Known {
    fn is_empty(&self) -> bool {
        let of_all = self.profile.is_some() || self.attributes.is_some() || self.counters.is_some();
        !of_all && self.members.is_empty() && self.cards.is_empty() && self.restrictions.is_empty()
    }

    fn member_mut(&mut self, account: &AccountId) -> Option<&mut Member> {
        self.members.get_mut(account).and_then(Option::as_mut)
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
            active: created.active,
            next_msg_seq: 1,
            next_join_seq: 0,
            info_seq: 1,
            last_info: created.at,
            last_msg: Stamp(0),
            last_joined: Stamp(0),
            joins_in_order: true,
        };
        let profile = Profile {
            name: created.name.clone(),
            introduction: created.introduction.clone(),
            notification: created.notification.clone(),
            face_url: created.face_url.clone(),
            custom: created.custom.clone(),
        };
        let mut group = Self::new(facts);
        group.learn_profile(profile);
        group.learn_attributes(BTreeMap::new());
        group.learn_counters(BTreeMap::new());
        group
    }

    /// Takes new members in, in join order; they are known afterwards.
    ///
    /// # Panics
    /// If one of them is known to be a member.
    pub(super) fn admit(&mut self, members: &[AddedMember], at: Stamp) {
        for added in members {
            self.seat(&added.account, added.role, at);
            if let Some(card) = self.card_mut(&added.account) {
                card.custom.clone_from(&added.custom);
            }
        }
        self.facts.last_info = at;
    }

    /// Takes in who joined elsewhere; they are known afterwards.
    ///
    /// # Panics
    /// As [`Group::admit`].
    pub(super) fn admit_imported(&mut self, members: &[ImportedMember]) {
        // Those of one moment are listed by name, and the last of those who are here may come after the first of these.
        if let Some(first) = members.first() {
            self.facts.joins_in_order &= self.facts.member_count == 0 || first.joined > self.facts.last_joined;
        }
        for imported in members {
            self.seat(&imported.account, imported.role, imported.joined);
            self.facts.last_info = self.facts.last_info.max(imported.joined);
        }
    }

    fn seat(&mut self, account: &AccountId, role: Role, joined: Stamp) {
        let facts = &mut self.facts;
        let member = Member { role, join_seq: facts.next_join_seq };
        facts.next_join_seq += 1;
        facts.member_count += 1;
        facts.admin_count += u32::from(role == Role::Admin);
        facts.joins_in_order &= joined >= facts.last_joined;
        facts.last_joined = facts.last_joined.max(joined);
        let card = Card { msg_flag: facts.kind.default_msg_flag(), name_card: String::new(), custom: Vec::new() };
        let known = self.learning();
        known.cards.insert(account.clone(), card);
        let earlier = known.members.insert(account.clone(), Some(member));
        assert!(!matches!(earlier, Some(Some(_))), "{account} joins a group it is a member of");
    }

    /// Lets members go; they are known not to be members afterwards.
    ///
    /// # Panics
    /// If one of them is not known to be a member: its role has to be counted down.
    pub(super) fn dismiss(&mut self, accounts: &[AccountId], at: Stamp) {
        for account in accounts {
            let known = self.learning();
            let member = known.members.insert(account.clone(), None).flatten();
            known.cards.remove(account);
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
            if let Some(profile) = self.known.as_mut().and_then(|known| known.profile.as_mut()) {
                profile.change(change);
            }
        }
        self.facts.info_seq += 1;
        self.facts.last_info = at;
    }

    /// Takes new fields of a member over; what its card says only where that is known.
    ///
    /// # Panics
    /// If it is not known to be a member and its role changes: roles are counted.
    pub(super) fn change_member(&mut self, account: &AccountId, changes: &[MemberChange]) {
        for change in changes {
            let card = self.card_mut(account);
            match change {
                MemberChange::Role(role) => self.set_role(account, *role),
                MemberChange::MsgFlag(flag) => card.into_iter().for_each(|card| card.msg_flag = *flag),
                MemberChange::NameCard(text) => card.into_iter().for_each(|card| card.name_card.clone_from(text)),
                MemberChange::Custom(field) => card.into_iter().for_each(|card| custom::apply(&mut card.custom, field)),
            }
        }
    }

    fn card_mut(&mut self, account: &AccountId) -> Option<&mut Card> {
        self.known.as_mut()?.cards.get_mut(account)
    }

    fn set_role(&mut self, account: &AccountId, role: Role) {
        let member = self.known.as_mut().and_then(|known| known.member_mut(account));
        let member = member.unwrap_or_else(|| panic!("{account} gets a role and is not known to be a member"));
        let facts = &mut self.facts;
        facts.admin_count -= u32::from(member.role == Role::Admin);
        facts.admin_count += u32::from(role == Role::Admin);
        member.role = role;
    }

    /// Hands the group on.
    ///
    /// # Panics
    /// If either of them is not known to be a member.
    pub(super) fn hand_over(&mut self, from: Option<&AccountId>, to: &AccountId, at: Stamp) {
        if let Some(from) = from {
            self.set_role(from, Role::Member);
        }
        self.set_role(to, Role::Owner);
        self.facts.owner = Some(to.clone());
        self.facts.info_seq += 1;
        self.facts.last_info = at;
    }

    /// Restricts accounts; only what is known of them is kept.
    pub(super) fn restrict(&mut self, accounts: &[AccountId], change: impl Fn(&mut Restriction)) {
        let Some(known) = &mut self.known else { return };
        for account in accounts {
            if let Some(restriction) = known.restrictions.get_mut(account) {
                change(restriction);
            }
        }
    }

    /// Takes attributes over, if they are known.
    pub(super) fn change_attributes(&mut self, set: &[(String, String)], removed: &[String]) {
        let Some(attributes) = self.known.as_mut().and_then(|known| known.attributes.as_mut()) else { return };
        attributes.retain(|key, _| !removed.contains(key));
        attributes.extend(set.iter().cloned());
    }

    /// Takes counters over, if they are known.
    pub(super) fn change_counters(&mut self, set: &[(String, i64)], removed: &[String]) {
        let Some(counters) = self.known.as_mut().and_then(|known| known.counters.as_mut()) else { return };
        counters.retain(|key, _| !removed.contains(key));
        counters.extend(set.iter().cloned());
    }

    /// Seats and unseats admins of a live room: they are stored and are no members.
    ///
    /// # Panics
    /// If one that is dismissed is not known to be an admin.
    pub(super) fn change_live_admins(&mut self, appointed: &[AccountId], dismissed: &[AccountId]) {
        for account in appointed {
            let admin = Member { role: Role::Admin, join_seq: self.facts.next_join_seq };
            self.facts.next_join_seq += 1;
            self.facts.admin_count += 1;
            self.learning().members.insert(account.clone(), Some(admin));
        }
        for account in dismissed {
            let admin = self.learning().members.insert(account.clone(), None).flatten();
            assert!(admin.is_some(), "{account} is dismissed and is not known to be an admin");
            self.facts.admin_count -= 1;
        }
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
        self.check_kind();
        let nothing = Known::default();
        let known = self.known.as_deref().unwrap_or(&nothing);
        self.check_members(known);
        self.check_sequences(known);
        self.check_cards(known);
        self.check_restrictions(known);
        self.check_shared(known);
    }

    /// One owner at most, the one the facts name; counts that leave room for everybody known.
    fn check_members(&self, known: &Known) {
        let facts = &self.facts;
        let members = || known.members.iter().filter_map(|(account, member)| member.map(|member| (account, member)));
        let count_of = |role: Role| members().filter(|(_, member)| member.role == role).count();

        for (account, _) in members().filter(|(_, member)| member.role == Role::Owner) {
            assert_eq!(Some(account), facts.owner.as_ref(), "an owner's row that is not the owner");
        }
        if let Some(owner) = &facts.owner
            && facts.kind.stores_members()
            && let Some(member) = known.members.get(owner)
        {
            assert_eq!(member.map(|member| member.role), Some(Role::Owner), "the owner {owner} is not a member");
        }
        assert!(count_of(Role::Admin) <= facts.admin_count as usize, "more admins known than counted");
        if facts.kind.stores_members() {
            let ranked = facts.admin_count + u32::from(facts.owner.is_some());
            assert!(members().count() <= facts.member_count as usize, "more members known than counted");
            assert!(ranked <= facts.member_count, "{ranked} owner and admins among {} members", facts.member_count);
        } else {
            // Its admins have rows and are no members; its owner has none.
            assert_eq!(facts.member_count, 0, "a live room counts no members");
            assert_eq!(count_of(Role::Member) + count_of(Role::Owner), 0, "a live room stores admins only");
            assert!(members().all(|(account, _)| Some(account) != facts.owner.as_ref()), "the owner is an admin");
        }
        assert!(facts.members_max == 0 || facts.member_count <= facts.members_max, "more members than allowed");
    }

    /// Numbers are given once and in order.
    fn check_sequences(&self, known: &Known) {
        let facts = &self.facts;
        let mut seqs: Vec<u64> = known.members.values().flatten().map(|member| member.join_seq).collect();
        seqs.sort_unstable();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "two members share a place in join order");
        assert!(seqs.last().is_none_or(|last| *last < facts.next_join_seq), "a place in join order is given again");
        assert!(u64::from(facts.member_count) <= facts.next_join_seq, "more members than ever joined");
        assert!(facts.next_msg_seq >= 1 && facts.info_seq >= 1, "a sequence began below 1");
        assert!(facts.created <= facts.last_info, "changed before it was created");
        let somebody_joined = facts.kind.stores_members() && facts.next_join_seq > 0;
        assert_eq!(facts.last_joined != Stamp(0), somebody_joined, "a last moment of joining and nobody joined");
        assert!(!somebody_joined || facts.created <= facts.last_joined, "everybody joined before it was created");
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

impl Group {
    /// Only stored members have a card.
    fn check_cards(&self, known: &Known) {
        for (account, card) in &known.cards {
            assert!(matches!(known.members.get(account), Some(Some(_))), "{account} has a card and is no member");
            assert!(self.facts.kind.stores_members(), "{account} has a card in a live room");
            check_custom(&card.custom);
        }
    }

    /// Nobody is muted where nobody can be, nor banned, nor for longer than the wire can say.
    fn check_restrictions(&self, known: &Known) {
        let kind = self.facts.kind;
        for (account, restriction) in &known.restrictions {
            let Restriction { muted_until, banned_until } = *restriction;
            assert!(kind != Kind::Work || muted_until == 0, "{account} is muted in a Work group");
            assert!(kind == Kind::AvChatRoom || banned_until == 0, "{account} is banned from a {kind:?} group");
            assert!(muted_until.max(banned_until) <= FOR_EVER_SECS.into(), "{account} is restricted beyond for ever");
        }
    }

    /// What belongs to the whole group and is learnt only when a command needs it.
    fn check_shared(&self, known: &Known) {
        if let Some(profile) = &known.profile {
            assert!(!profile.name.is_empty(), "a group without a name");
            check_custom(&profile.custom);
        }
        if let Some(attributes) = &known.attributes {
            assert!(attributes.keys().all(|key| !key.is_empty()), "an attribute without a key");
        }
        if let Some(counters) = &known.counters {
            assert!(counters.keys().all(|key| !key.is_empty()), "a counter without a key");
            assert!(self.facts.kind != Kind::Community || counters.is_empty(), "a community has counters");
        }
    }
}

fn check_custom(fields: &[CustomField]) {
    for (at, (key, value)) in fields.iter().enumerate() {
        assert!(!value.is_empty(), "custom field {key} is kept without a value");
        assert!(fields[..at].iter().all(|(earlier, _)| earlier != key), "custom field {key} is kept twice");
    }
}
