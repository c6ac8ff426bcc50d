//! Creating a group. Source: docs/spec/rest-api.md 4.2, docs/spec/group-types.md 6.1.

use rustc_hash::FxHashSet;

use super::limits::within;
use super::role::{Operation, Options, permit};
use super::{
    AddedMember, AppLimit, Context, Create, Created, Decision, Event, Group, Kind, Limits, Notice, Operator, Rank,
    Refusal, Report, Role, Tip, custom, notice,
};
use crate::id::AccountId;
use crate::time::Stamp;

pub(super) fn decide(group: Option<&Group>, create: &Create, context: &Context<'_>) -> Result<Decision, Refusal> {
    let beginning = begin(group, create, Operation::Create, context)?;
    check_quotas(&beginning, context)?;
    let notices = notices(create, beginning.owner.as_ref(), &beginning.members);
    Ok(Decision { notices, ..beginning.decision(create, context.at, !create.kind.starts_inactive()) })
}

/// What a group that may begin begins with; created or imported.
pub(super) struct Beginning {
    owner: Option<AccountId>,
    members: Vec<AddedMember>,
    members_max: u32,
}

/// Judges all that a creation and an import have in common: everything but quotas.
pub(super) fn begin(
    group: Option<&Group>,
    create: &Create,
    operation: Operation,
    context: &Context<'_>,
) -> Result<Beginning, Refusal> {
    if let Some(present) = group {
        return Err(taken(present, create));
    }
    let owner = owner(create);
    check_rights(create, owner, operation, context.limits)?;
    check_values(create, context.limits)?;
    let members = roster(create, owner, context.limits)?;
    let mut named = owner.into_iter().chain(create.members.iter().map(|member| &member.account));
    if let Some(unknown) = named.find(|account| context.unknown_accounts.contains(account)) {
        return Err(Refusal::NoSuchAccount { account: unknown.clone() });
    }
    Ok(Beginning { owner: owner.cloned(), members, members_max: members_max(create, context.limits) })
}

impl Beginning {
    /// # Errors
    /// [`Refusal::TooManyGroups`] if one of the members may not enter another group.
    pub(super) fn check_accounts(&self, context: &Context<'_>) -> Result<(), Refusal> {
        match self.members.iter().any(|member| context.full_accounts.contains(&member.account)) {
            true => Err(Refusal::TooManyGroups { max: context.limits.groups_per_user }),
            false => Ok(()),
        }
    }

    /// The group begins at that moment, and its members join then; nobody is told yet.
    pub(super) fn decision(self, create: &Create, at: Stamp, active: bool) -> Decision {
        let mut decision = Decision::one(Event::Created(created(create, self.owner, self.members_max, at, active)));
        if !self.members.is_empty() {
            decision.events.push(Event::MembersAdded { members: self.members, at });
        }
        decision
    }
}

/// Clients take "it is already yours" as success and go on, so it must be said to the owner only.
///
/// Source: docs/spec/identifiers.md 1.2.
fn taken(present: &Group, create: &Create) -> Refusal {
    let requester = create.owner.as_ref().unwrap_or(create.operator.name());
    match present.facts().owner.as_ref() == Some(requester) {
        true => Refusal::GroupIdOwned,
        false => Refusal::GroupIdTaken,
    }
}

/// An account owns what it creates; an app admin may name somebody, or nobody.
fn owner(create: &Create) -> Option<&AccountId> {
    match &create.operator {
        Operator::Account(account) => Some(account),
        Operator::AppAdmin { .. } => create.owner.as_ref(),
    }
}

fn check_rights(
    create: &Create,
    owner: Option<&AccountId>,
    operation: Operation,
    limits: &Limits,
) -> Result<(), Refusal> {
    // Whoever creates a group may decide what its owner may.
    let rank = match create.operator {
        Operator::AppAdmin { .. } => Rank::AppAdmin,
        Operator::Account(_) => Rank::Owner,
    };
    let kind = create.kind;
    let invite_join = create.invite_join.unwrap_or(kind.default_invite_join());
    let (support_topic, admins_manage_admins) = (create.support_topic, limits.admins_manage_admins);
    let options = Options { invite_join, support_topic, admins_manage_admins };
    let permit = |operation| permit(kind, rank, operation, options);

    permit(operation)?;
    if !create.members.is_empty() {
        permit(Operation::CreateWithMembers)?;
    }
    if create.support_topic {
        permit(Operation::ChangeSupportTopic)?;
    }
    if create.enable_permission || create.default_permission != 0 {
        permit(Operation::ChangePermissions)?;
    }
    let keys = limits.group_keys(kind);
    create.custom.iter().try_for_each(|(key, _)| permit(keys.write(key)))?;
    let keys = limits.member_keys(kind);
    for member in &create.members {
        let is_own = owner == Some(&member.account);
        let mut rights = member.custom.iter().flat_map(|(key, _)| keys.write_of_member(key, is_own, member.role));
        rights.try_for_each(permit)?;
    }
    Ok(())
}

fn check_values(create: &Create, limits: &Limits) -> Result<(), Refusal> {
    let refuse = |field, what| Err(Refusal::BadParameter { field, what });
    if create.default_permission != 0 && !create.enable_permission {
        return refuse("DefaultPermission", "has no effect without EnablePermission");
    }
    if let Some(wanted) = create.members_max
        && create.kind.stores_members()
        && !limits.allows_members_max(create.kind, wanted)
    {
        return refuse("MaxMemberCount", "more than this type of group may have");
    }
    for member in &create.members {
        match member.role {
            Role::Owner => return refuse("Role", "the owner is named by Owner_Account"),
            Role::Admin if create.kind == Kind::Work => return refuse("Role", "this type of group has no admins"),
            Role::Admin | Role::Member => {}
        }
    }
    limits.group_keys(create.kind).check(&[], &create.custom)
}

/// The members a group begins with, by name: its owner and the listed ones, each once and the first mention counts.
fn roster(create: &Create, owner: Option<&AccountId>, limits: &Limits) -> Result<Vec<AddedMember>, Refusal> {
    // The owner of a live room is recorded and has to enter like anybody: docs/spec/group-types.md 4.
    if !create.kind.stores_members() {
        return Ok(Vec::new());
    }
    let mut members = Vec::with_capacity(create.members.len() + 1);
    if let Some(owner) = owner {
        let listed = create.members.iter().find(|member| member.account == *owner);
        let asked = listed.map_or(&[][..], |member| &member.custom);
        members.push(AddedMember { account: owner.clone(), role: Role::Owner, custom: custom::changes(&[], asked) });
    }
    let mut seen: FxHashSet<&AccountId> = owner.into_iter().collect();
    for member in &create.members {
        if seen.insert(&member.account) {
            let custom = custom::changes(&[], &member.custom);
            members.push(AddedMember { account: member.account.clone(), role: member.role, custom });
        }
    }
    // Who joins in one moment is listed by name: docs/spec/rest-api.md 4.4.
    members.sort_unstable_by(|a, b| a.account.cmp(&b.account));
    let keys = limits.member_keys(create.kind);
    members.iter().try_for_each(|member| keys.check(&[], &member.custom))?;
    let admins = members.iter().filter(|member| member.role == Role::Admin).count();
    if !limits.allows_admins(admins as u32) {
        return Err(Refusal::BadParameter { field: "Role", what: "too many admins" });
    }
    Ok(members)
}

/// 0: unlimited. What is asked for a live room is ignored: docs/spec/rest-api.md 4.2.
fn members_max(create: &Create, limits: &Limits) -> u32 {
    match create.members_max {
        Some(wanted) if create.kind.stores_members() => wanted,
        _ => limits.members_max_unnamed(create.kind),
    }
}

/// In the order of their codes: docs/spec/group-types.md 6.
fn check_quotas(beginning: &Beginning, context: &Context<'_>) -> Result<(), Refusal> {
    let (limits, members_max) = (context.limits, beginning.members_max);
    if context.daily_quota_spent {
        return Err(Refusal::DailyQuota { max: limits.daily_net_groups });
    }
    if context.app_full == Some(AppLimit::LiveRooms) {
        return Err(Refusal::TooManyLiveRooms { max: limits.avchatrooms_per_app });
    }
    beginning.check_accounts(context)?;
    if !within(beginning.members.len(), members_max as usize) {
        return Err(Refusal::TooManyMembers { max: members_max });
    }
    match context.app_full {
        Some(AppLimit::Groups) => Err(Refusal::TooManyGroupsInApp { max: limits.groups_per_app }),
        Some(AppLimit::Communities) => Err(Refusal::TooManyGroupsInApp { max: limits.communities_per_app }),
        Some(AppLimit::LiveRooms) | None => Ok(()),
    }
}

fn created(create: &Create, owner: Option<AccountId>, members_max: u32, at: Stamp, active: bool) -> Created {
    let kind = create.kind;
    // Documented as "valid only for groups that can be applied to": where a kind fixes an option, a client that
    // sends one with every creation still gets its group. Changing it later is refused.
    let apply_join = create.apply_join.filter(|_| !kind.fixes_apply_join());
    let invite_join = create.invite_join.filter(|_| !kind.fixes_invite_join());
    Created {
        kind,
        owner,
        name: create.name.clone(),
        introduction: create.introduction.clone(),
        notification: create.notification.clone(),
        face_url: create.face_url.clone(),
        members_max,
        apply_join: apply_join.unwrap_or(kind.default_apply_join()),
        invite_join: invite_join.unwrap_or(kind.default_invite_join()),
        history_before_join: kind.default_history_before_join(),
        custom: custom::changes(&[], &create.custom),
        support_topic: create.support_topic,
        enable_permission: create.enable_permission,
        default_permission: create.default_permission,
        active,
        at,
    }
}

/// The owner hears of the group, the others of their membership, and the group of those others.
///
/// Source: docs/spec/events.md 4.
fn notices(create: &Create, owner: Option<&AccountId>, members: &[AddedMember]) -> Vec<Notice> {
    let operator = create.operator.name();
    let mut notices = Vec::new();
    if let Some(owner) = owner {
        notices.push(Notice::report(vec![owner.clone()], operator, Report::GroupCreated));
    }
    let others: Vec<AccountId> =
        members.iter().filter(|member| member.role != Role::Owner).map(|member| member.account.clone()).collect();
    if !others.is_empty() {
        notices.push(Notice::report(others.clone(), operator, Report::Invited));
        if notice::stores_member_tips(create.kind, !create.kind.starts_inactive()) {
            let member_count = members.len() as u32;
            notices.push(Notice::tip(operator, Tip::MembersInvited { accounts: others, member_count }));
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, ApplyJoin, InviteJoin, NewMember};

    fn members(listed: &[(&str, Role)]) -> Vec<NewMember> {
        listed.iter().map(|(name, role)| new_member(name, *role)).collect()
    }

    fn begun(kind: Kind) -> Created {
        Created {
            kind,
            owner: None,
            name: "club".into(),
            introduction: String::new(),
            notification: String::new(),
            face_url: String::new(),
            members_max: 6000,
            apply_join: kind.default_apply_join(),
            invite_join: kind.default_invite_join(),
            history_before_join: kind.default_history_before_join(),
            custom: Vec::new(),
            support_topic: false,
            enable_permission: false,
            default_permission: 0,
            active: !kind.starts_inactive(),
            at: NOW,
        }
    }

    #[test]
    fn owner_and_members_join_in_order_and_are_told() {
        let listed = members(&[("bob", Role::Admin), ("cid", Role::Member)]);
        let asked = Create { owner: Some(account("ann")), members: listed, ..create(Kind::Public) };
        let group = given(NO_GROUP).asked(asked).decides(
            [
                Event::Created(Created { owner: Some(account("ann")), ..begun(Kind::Public) }),
                added(&[("ann", Role::Owner), ("bob", Role::Admin), ("cid", Role::Member)]),
            ],
            [
                report(&["ann"], "root", Report::GroupCreated),
                report(&["bob", "cid"], "root", Report::Invited),
                invited_tip(&["bob", "cid"], "root", 3),
            ],
            Answer::Done,
        );
        let group = group.expect("created");
        let facts = group.facts();
        assert_eq!((facts.member_count, facts.admin_count, facts.next_join_seq), (3, 1, 3));
        assert_eq!((facts.next_msg_seq, facts.info_seq, facts.created, facts.last_info), (2, 1, NOW, NOW));
        assert_eq!(group.member(&account("cid")).map(|member| member.join_seq), Some(2));
    }

    #[test]
    fn each_account_is_counted_once_and_the_owner_as_owner() {
        let mut listed = members(&[
            ("bob", Role::Admin),
            ("ann", Role::Member),
            ("bob", Role::Member),
            ("ann", Role::Admin),
            ("cid", Role::Member),
        ]);
        listed[1].custom = fields(&[("badge", "7"), ("gone", "")]);
        let asked = Create { owner: Some(account("ann")), members: listed, ..create(Kind::Meeting) };
        let (decision, group) = given(NO_GROUP).asked(asked).succeeds();
        let Some(Event::MembersAdded { members, .. }) = decision.events.last() else { panic!("{decision:?}") };
        let joined: Vec<_> = members.iter().map(|member| (member.account.as_str(), member.role)).collect();
        assert_eq!(joined, [("ann", Role::Owner), ("bob", Role::Admin), ("cid", Role::Member)]);
        assert_eq!(members[0].custom, fields(&[("badge", "7")]));
        assert_eq!(group.facts().member_count, 3);
        // Member changes of a Meeting are not stored, the reports are sent all the same.
        assert_eq!(decision.notices.len(), 2);
        assert_eq!(group.facts().next_msg_seq, 1);
    }

    #[test]
    fn a_group_may_begin_with_nobody_in_it() {
        given(NO_GROUP).asked(create(Kind::Work)).decides([Event::Created(begun(Kind::Work))], [], Answer::Done);
    }

    #[test]
    fn a_user_owns_what_it_creates() {
        let asked = Create { operator: by("ann"), owner: Some(account("bob")), ..create(Kind::Community) };
        let (_, group) = given(NO_GROUP).asked(asked).succeeds();
        assert_eq!(group.facts().owner, Some(account("ann")));
        assert_eq!(group.member(&account("ann")).map(|member| member.role), Some(Role::Owner));
    }

    #[test]
    fn a_live_room_records_its_owner_and_nobody_joins() {
        let asked = Create {
            owner: Some(account("ann")),
            members_max: Some(5),
            apply_join: Some(ApplyJoin::Disabled),
            invite_join: Some(InviteJoin::Free),
            ..create(Kind::AvChatRoom)
        };
        let begun = Created { owner: Some(account("ann")), members_max: 0, ..begun(Kind::AvChatRoom) };
        let told = [report(&["ann"], "root", Report::GroupCreated)];
        given(NO_GROUP).asked(asked.clone()).decides([Event::Created(begun)], told, Answer::Done);
        // Whatever the cap is, what is asked for does not matter.
        let capped = given(NO_GROUP).limits(|limits| limits.max_members.avchatroom = 3);
        assert_eq!(capped.asked(asked.clone()).succeeds().1.facts().members_max, 3);
        // It does not count among the owner's groups, so the owner's limit does not matter.
        given(NO_GROUP).full(&["ann"]).asked(asked.clone()).succeeds();
        let with_members = Create { members: members(&[("bob", Role::Member)]), ..asked };
        given(NO_GROUP)
            .asked(with_members)
            .refuses(Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "initial members" });
    }

    #[test]
    fn a_work_group_is_inactive_and_keeps_its_join_option() {
        let asked = Create {
            owner: Some(account("ann")),
            members: members(&[("bob", Role::Member)]),
            apply_join: Some(ApplyJoin::Free),
            invite_join: Some(InviteJoin::NeedPermission),
            ..create(Kind::Work)
        };
        let (decision, group) = given(NO_GROUP).asked(asked).succeeds();
        assert!(!group.facts().active);
        assert_eq!(group.facts().apply_join, ApplyJoin::Disabled);
        assert_eq!(group.facts().invite_join, InviteJoin::NeedPermission);
        assert!(decision.notices.iter().all(|notice| matches!(notice, Notice::Report { .. })), "{decision:?}");
        assert_eq!(decision.notices.len(), 2);
    }

    #[test]
    fn kinds_begin_as_documented() {
        use {ApplyJoin as A, InviteJoin as I};
        let table = [
            (Kind::Work, A::Disabled, I::Free, false, 6000),
            (Kind::Public, A::NeedPermission, I::Disabled, false, 6000),
            (Kind::Meeting, A::Free, I::Disabled, true, 6000),
            (Kind::AvChatRoom, A::Free, I::Disabled, false, 0),
            (Kind::Community, A::Free, I::Free, true, 100_000),
        ];
        for (kind, apply_join, invite_join, history, members_max) in table {
            let (_, group) = given(NO_GROUP).asked(create(kind)).succeeds();
            let facts = group.facts();
            assert_eq!((facts.apply_join, facts.invite_join), (apply_join, invite_join), "{kind:?}");
            assert_eq!((facts.history_before_join, facts.members_max), (history, members_max), "{kind:?}");
        }
    }

    #[test]
    fn roles_are_checked() {
        let with = |kind, role| Create { members: members(&[("bob", role)]), ..create(kind) };
        given(NO_GROUP).asked(with(Kind::Public, Role::Owner)).refuses_with(10004);
        given(NO_GROUP).asked(with(Kind::Work, Role::Admin)).refuses_with(10004);
        given(NO_GROUP).asked(with(Kind::Community, Role::Admin)).succeeds();

        let two = Create { members: members(&[("a", Role::Admin), ("b", Role::Admin)]), ..create(Kind::Public) };
        given(NO_GROUP).limits(|l| l.admins_per_group = 2).asked(two.clone()).succeeds();
        given(NO_GROUP).limits(|l| l.admins_per_group = 0).asked(two.clone()).succeeds();
        given(NO_GROUP).limits(|l| l.admins_per_group = 1).asked(two).refuses(bad("Role", "too many admins"));
    }

    #[test]
    fn the_maximum_of_members_is_within_the_cap() {
        let with = |members_max| Create { members_max, ..create(Kind::Public) };
        let of = |members_max, change: fn(&mut Limits)| {
            given(NO_GROUP).limits(change).asked(with(members_max)).succeeds().1.facts().members_max
        };
        assert_eq!(of(Some(6000), |_| ()), 6000);
        assert_eq!(of(None, |l| l.default_max_members.public = 200), 200);
        assert_eq!(of(None, |l| l.default_max_members.public = 7000), 6000);
        assert_eq!(of(Some(0), |l| l.max_members.public = 0), 0);
        for beyond in [0, 6001] {
            given(NO_GROUP).asked(with(Some(beyond))).refuses_with(10004);
        }
    }

    #[test]
    fn topics_belong_to_communities_and_permissions_to_topics() {
        let topics = |kind| Create { support_topic: true, ..create(kind) };
        given(NO_GROUP).asked(topics(Kind::Community)).succeeds();
        given(NO_GROUP).asked(topics(Kind::Public)).refuses_with(10007);

        let permissions = Create { enable_permission: true, default_permission: 3, ..topics(Kind::Community) };
        let (_, group) = given(NO_GROUP).asked(permissions.clone()).succeeds();
        assert_eq!((group.facts().enable_permission, group.facts().default_permission), (true, 3));
        let without_topics = Create { support_topic: false, ..permissions.clone() };
        given(NO_GROUP).asked(without_topics).refuses_with(10007);
        let without_effect = Create { enable_permission: false, ..permissions };
        given(NO_GROUP).asked(without_effect).refuses_with(10004);
    }

    #[test]
    fn custom_fields_are_merged_and_counted() {
        let asked = Create {
            custom: fields(&[("a", "1"), ("b", ""), ("a", "2"), ("c", "3")]),
            members: vec![NewMember { custom: fields(&[("x", "1"), ("y", "2")]), ..new_member("bob", Role::Member) }],
            ..create(Kind::Public)
        };
        let (_, group) = given(NO_GROUP).limits(|l| l.group_custom_keys = 2).asked(asked.clone()).succeeds();
        assert_eq!(group.profile().expect("known").custom, fields(&[("a", "2"), ("c", "3")]));
        let field = |name| bad(name, "too many custom fields");
        given(NO_GROUP).limits(|l| l.group_custom_keys = 1).asked(asked.clone()).refuses(field("AppDefinedData"));
        given(NO_GROUP).limits(|l| l.member_custom_keys = 1).asked(asked).refuses(field("AppMemberDefinedData"));
    }

    #[test]
    fn quotas_come_last_and_in_order_of_their_codes() {
        let asked = Create {
            owner: Some(account("ann")),
            members: members(&[("bob", Role::Member)]),
            members_max: Some(1),
            ..create(Kind::Public)
        };
        let given = given(NO_GROUP);
        given.clone().quota_spent().full(&["bob"]).asked(asked.clone()).refuses(Refusal::DailyQuota { max: 10_000 });
        given.clone().full(&["bob"]).asked(asked.clone()).refuses(Refusal::TooManyGroups { max: 5000 });
        given.clone().full(&["ann"]).asked(asked.clone()).refuses(Refusal::TooManyGroups { max: 5000 });
        given.clone().asked(asked.clone()).refuses(Refusal::TooManyMembers { max: 1 });
        given.clone().asked(Create { members_max: Some(2), ..asked.clone() }).succeeds();
        // A value that is wrong in itself is said before any quota.
        given.quota_spent().asked(Create { members_max: Some(9000), ..asked }).refuses_with(10004);
    }

    #[test]
    fn an_app_has_so_many_groups_rooms_and_communities() {
        let full = |limit, kind| given(NO_GROUP).app_full(limit).asked(create(kind));
        let limits = |limits: &mut Limits| (limits.groups_per_app, limits.avchatrooms_per_app) = (7, 8);
        let given = given(NO_GROUP).limits(limits);
        let groups = given.clone().app_full(AppLimit::Groups).asked(create(Kind::Public));
        groups.refuses(Refusal::TooManyGroupsInApp { max: 7 });
        let rooms = given.app_full(AppLimit::LiveRooms).asked(create(Kind::AvChatRoom));
        rooms.refuses(Refusal::TooManyLiveRooms { max: 8 });
        full(AppLimit::Communities, Kind::Community).refuses(Refusal::TooManyGroupsInApp { max: 100_000 });
    }

    #[test]
    fn whoever_is_named_exists() {
        let unknown = |name| Refusal::NoSuchAccount { account: account(name) };
        let listed = members(&[("bob", Role::Member), ("cid", Role::Member)]);
        let asked = Create { owner: Some(account("ann")), members: listed, ..create(Kind::Public) };
        let missing = |names: &[&str]| given(NO_GROUP).unknown(names).quota_spent().asked(asked.clone());
        missing(&["ann", "cid"]).refuses(unknown("ann"));
        missing(&["cid", "bob"]).refuses(unknown("bob"));
        missing(&["cid"]).refuses(unknown("cid"));
        let room = Create { owner: Some(account("ann")), ..create(Kind::AvChatRoom) };
        given(NO_GROUP).unknown(&["ann"]).asked(room).refuses(unknown("ann"));
    }

    #[test]
    fn a_user_sets_the_custom_fields_that_an_owner_may() {
        let declared = |limits: &mut Limits| {
            let high = [custom_rule("high", Rank::AppAdmin, &[]), custom_rule("work", Rank::Member, &[Kind::Work])];
            let low = [custom_rule("low", Rank::Owner, &[])];
            (limits.custom.group, limits.custom.member) = ([&high[..], &low].concat(), [&low[..], &high].concat());
        };
        let code = |operator, group: &[(&str, &str)], member: &[(&str, &str)]| {
            let bob = NewMember { custom: fields(member), ..new_member("bob", Role::Member) };
            let asked = Create { operator, custom: fields(group), members: vec![bob], ..create(Kind::Public) };
            given(NO_GROUP).limits(declared).asked(asked).result.map(|_| ()).map_err(|refusal| refusal.code())
        };
        let (low, high, work) = (&[("low", "1"), ("other", "1")], &[("high", "1")], &[("work", "1")]);
        assert_eq!(code(by("ann"), low, low), Ok(()));
        assert_eq!(code(by("ann"), high, low), Err(10007));
        assert_eq!(code(by("ann"), low, high), Err(10007));
        assert_eq!(code(app_admin(), high, high), Ok(()));
        assert_eq!(code(app_admin(), work, low), Err(10004));
        assert_eq!(code(app_admin(), low, work), Err(10004));
    }

    #[test]
    fn an_id_in_use_is_yours_or_taken() {
        let present = || given(a_group(Kind::Public).owner("ann"));
        let owned_by = |name| Create { owner: Some(account(name)), ..create(Kind::Public) };
        present().asked(owned_by("ann")).refuses(Refusal::GroupIdOwned);
        present().asked(owned_by("bob")).refuses(Refusal::GroupIdTaken);
        present().asked(create(Kind::Public)).refuses(Refusal::GroupIdTaken);
        present().asked(Create { operator: by("ann"), ..create(Kind::Work) }).refuses(Refusal::GroupIdOwned);
        // The named owner is the requester, whoever signs.
        present().asked(Create { operator: by("ann"), ..owned_by("bob") }).refuses(Refusal::GroupIdTaken);
        given(a_group(Kind::Public)).asked(create(Kind::Public)).refuses(Refusal::GroupIdTaken);
        // The id is looked at first: a client that retries gets this answer also on a full day.
        present().quota_spent().asked(owned_by("ann")).refuses(Refusal::GroupIdOwned);
    }
}
