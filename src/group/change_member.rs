//! Changing one member. Source: docs/spec/rest-api.md 4.9, docs/spec/group-types.md 6.4.
//!
//! All or nothing, as with the profile: every field that is named needs its right, whether or not it would change,
//! and a field that already has the value asked for is no change. Nobody is told of name cards and custom fields
//! (docs/spec/events.md 4).

use super::role::{Operation, permit};
use super::{
    ChangeMember, Context, Decision, Event, Group, Limits, Member, MemberChange, Notice, Operator, Refusal, Report,
    Role, Tip, custom, mute, notice,
};

pub(super) fn decide(group: Option<&Group>, change: &ChangeMember, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    check_rights(group, change, context.limits)?;
    let Some(member) = group.member(&change.account) else {
        return Err(Refusal::BadParameter { field: "Member_Account", what: "not a member of the group" });
    };
    check_values(group, member, change, context.limits)?;

    let changes = changes(group, member, change);
    let mut decision = match change.mute_for_secs {
        Some(for_secs) if mute::changes(group.restriction(&change.account), for_secs, context.at) => {
            mute::silence(group, &change.operator, vec![change.account.clone()], for_secs, context.at)
        }
        _ => Decision::default(),
    };
    if !changes.is_empty() {
        let mut notices = notices(group, change, &changes);
        notices.append(&mut decision.notices);
        decision.notices = notices;
        decision.events.insert(0, Event::MemberChanged { account: change.account.clone(), changes });
    }
    Ok(decision)
}

fn check_rights(group: &Group, change: &ChangeMember, limits: &Limits) -> Result<(), Refusal> {
    let (kind, rank, options) = (group.facts().kind, group.rank(&change.operator), group.options(limits));
    let permit = |operation| permit(kind, rank, operation, options);
    permit(Operation::ChangeMember)?;

    let is_own = change.operator == Operator::Account(change.account.clone());
    // Rank is judged before the target: on a stranger one may what one may on an ordinary member.
    let role = group.role(&change.account).unwrap_or(Role::Member);
    if change.role.is_some() {
        permit(Operation::SetAdmin(role))?;
    }
    if change.msg_flag.is_some() {
        permit(if is_own { Operation::ChangeOwn } else { Operation::ChangeOthersMsgFlag })?;
    }
    if change.name_card.is_some() {
        permit(if is_own { Operation::ChangeOwn } else { Operation::ChangeOther(role) })?;
    }
    if let Some(for_secs) = change.mute_for_secs {
        mute::check_rights(group, &change.operator, &[&change.account], for_secs, limits)?;
    }
    let keys = limits.member_keys(kind);
    let mut custom = change.custom.iter().flat_map(|(key, _)| keys.write_of_member(key, is_own, role));
    custom.try_for_each(permit)
}

fn check_values(group: &Group, member: &Member, change: &ChangeMember, limits: &Limits) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::BadParameter { field: "Role", what });
    let facts = group.facts();
    match change.role {
        Some(Role::Owner) => return refuse("the owner is named by a transfer"),
        Some(Role::Admin) if member.role != Role::Admin && !limits.allows_admins(facts.admin_count + 1) => {
            return refuse("too many admins");
        }
        Some(Role::Admin | Role::Member) | None => {}
    }
    limits.member_keys(facts.kind).check(&group.card(&change.account).custom, &change.custom)
}

/// What really changes, but for the mute.
fn changes(group: &Group, member: &Member, change: &ChangeMember) -> Vec<MemberChange> {
    let card = group.card(&change.account);
    let fields = [
        change.role.filter(|role| *role != member.role).map(MemberChange::Role),
        change.msg_flag.filter(|flag| *flag != card.msg_flag).map(MemberChange::MsgFlag),
        change.name_card.clone().filter(|text| *text != card.name_card).map(MemberChange::NameCard),
    ];
    let custom = custom::changes(&card.custom, &change.custom).into_iter().map(MemberChange::Custom);
    fields.into_iter().flatten().chain(custom).collect()
}

/// An appointment is told to the appointed and to the group, a receive option to the devices of its member.
///
/// Source: docs/spec/events.md 2.2, 4.
fn notices(group: &Group, change: &ChangeMember, changes: &[MemberChange]) -> Vec<Notice> {
    let facts = group.facts();
    let operator = change.operator.name();
    let accounts = || vec![change.account.clone()];
    let mut notices = Vec::new();
    for change in changes {
        match change {
            MemberChange::Role(role) => {
                let (report, tip) = match role {
                    Role::Admin => (Report::AdminGranted, Tip::AdminsAppointed { accounts: accounts() }),
                    Role::Member | Role::Owner => (Report::AdminRevoked, Tip::AdminsDismissed { accounts: accounts() }),
                };
                if notice::reports_appointments(facts.kind) {
                    notices.push(Notice::report(accounts(), operator, report));
                }
                if notice::stores_rank_tips(facts.kind, facts.active) {
                    notices.push(Notice::tip(operator, tip));
                }
            }
            MemberChange::MsgFlag(flag) => {
                notices.push(Notice::report(accounts(), operator, Report::MsgFlagChanged { flag: *flag }));
            }
            MemberChange::NameCard(_) | MemberChange::Custom(_) => {}
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, CustomRule, FOR_EVER_SECS, Kind, MsgFlag, Rank};

    fn a_public_group() -> Given {
        given(a_group(Kind::Public).owner("ann").admin("amy").admin("abe").member("bob").member("cid"))
    }

    fn with_role(name: &str, role: Role) -> ChangeMember {
        ChangeMember { role: Some(role), ..change_member(name) }
    }

    fn with_card(name: &str, text: &str) -> ChangeMember {
        ChangeMember { name_card: Some(text.into()), ..change_member(name) }
    }

    fn with_flag(name: &str, flag: MsgFlag) -> ChangeMember {
        ChangeMember { msg_flag: Some(flag), ..change_member(name) }
    }

    fn with_custom(name: &str, pairs: &[(&str, &str)]) -> ChangeMember {
        ChangeMember { custom: fields(pairs), ..change_member(name) }
    }

    fn changed(name: &str, changes: Vec<MemberChange>) -> Event {
        Event::MemberChanged { account: account(name), changes }
    }

    fn tip(tip: Tip) -> Notice {
        Notice::Tip { operator: account("root"), tip }
    }

    #[test]
    fn several_fields_change_together_and_each_is_told_as_it_should_be() {
        let asked = ChangeMember {
            role: Some(Role::Admin),
            msg_flag: Some(MsgFlag::Discard),
            name_card: Some("Bob (maps)".into()),
            mute_for_secs: Some(60),
            custom: fields(&[("badge", "7"), ("gone", "")]),
            ..change_member("bob")
        };
        let until_secs = NOW.secs() + 60;
        let changes = vec![
            MemberChange::Role(Role::Admin),
            MemberChange::MsgFlag(MsgFlag::Discard),
            MemberChange::NameCard("Bob (maps)".into()),
            MemberChange::Custom(("badge".into(), "7".into())),
        ];
        let group = a_public_group().asked(asked.clone()).decides(
            [changed("bob", changes), Event::Muted { accounts: accounts(&["bob"]), until_secs, at: NOW }],
            [
                report(&["bob"], "root", Report::AdminGranted),
                tip(Tip::AdminsAppointed { accounts: accounts(&["bob"]) }),
                report(&["bob"], "root", Report::MsgFlagChanged { flag: MsgFlag::Discard }),
                report(&["bob"], "root", Report::Muted { until_secs }),
                tip(Tip::MembersMuted { accounts: accounts(&["bob"]), for_secs: 60 }),
            ],
            Answer::Done,
        );
        let group = group.expect("still there");
        let facts = group.facts();
        assert_eq!((facts.admin_count, facts.next_msg_seq, facts.info_seq, facts.last_info), (3, 3, 1, EARLIER));
        assert_eq!(group.card(&account("bob")).custom, fields(&[("badge", "7")]));
        given(group).asked(asked).changes_nothing();
    }

    #[test]
    fn a_member_that_is_so_already_is_left_alone() {
        let asked = ChangeMember {
            role: Some(Role::Member),
            msg_flag: Some(MsgFlag::AcceptAndNotify),
            name_card: Some(String::new()),
            mute_for_secs: Some(0),
            custom: fields(&[("none", "")]),
            ..change_member("bob")
        };
        a_public_group().asked(asked).changes_nothing();
        a_public_group().asked(change_member("bob")).changes_nothing();
        // Clients send all they know of a member, its owner's silence included.
        a_public_group().asked(ChangeMember { mute_for_secs: Some(0), ..change_member("ann") }).changes_nothing();
    }

    #[test]
    fn a_dismissal_is_told_where_the_kind_tells_it() {
        for (kind, notices) in [(Kind::Public, 2), (Kind::Meeting, 0), (Kind::Community, 2)] {
            let group = given(a_group(kind).owner("ann").admin("amy"));
            let (decision, group) = group.asked(with_role("amy", Role::Member)).succeeds();
            assert_eq!((decision.notices.len(), group.facts().admin_count), (notices, 0), "{kind:?}");
            if notices == 2 {
                let told = [
                    report(&["amy"], "root", Report::AdminRevoked),
                    tip(Tip::AdminsDismissed { accounts: accounts(&["amy"]) }),
                ];
                assert_eq!(decision.notices, told);
            }
        }
    }

    #[test]
    fn admins_appoint_and_dismiss_unless_it_is_left_to_the_owner() {
        let asked = |operator, name, role| ChangeMember { operator: by(operator), ..with_role(name, role) };
        let refused = |rank| Refusal::NotPermitted { rank, operation: "appointing or dismissing an admin" };
        a_public_group().asked(asked("amy", "bob", Role::Admin)).succeeds();
        a_public_group().asked(asked("amy", "abe", Role::Member)).succeeds();
        a_public_group().asked(asked("amy", "amy", Role::Member)).succeeds();
        a_public_group().asked(asked("amy", "ann", Role::Member)).refuses(refused(Rank::Admin));
        a_public_group().asked(asked("bob", "bob", Role::Admin)).refuses(refused(Rank::Member));
        for operator in [by("ann"), app_admin()] {
            let asked = ChangeMember { operator, ..with_role("ann", Role::Member) };
            a_public_group().asked(asked).refuses(bad("Role", "the owner stays the owner"));
        }
        a_public_group().asked(with_role("bob", Role::Owner)).refuses(bad("Role", "the owner is named by a transfer"));

        let by_owner = || a_public_group().limits(|limits| limits.admins_manage_admins = false);
        by_owner().asked(asked("amy", "bob", Role::Admin)).refuses(refused(Rank::Admin));
        by_owner().asked(asked("ann", "bob", Role::Admin)).succeeds();
        let limited = |max| a_public_group().limits(move |limits| limits.admins_per_group = max);
        limited(2).asked(with_role("bob", Role::Admin)).refuses(bad("Role", "too many admins"));
        limited(3).asked(with_role("bob", Role::Admin)).succeeds();
        limited(1).asked(with_role("amy", Role::Admin)).changes_nothing();
        given(a_group(Kind::Work).member("bob")).asked(with_role("bob", Role::Admin)).refuses_with(10007);
    }

    #[test]
    fn own_fields_are_ones_own_and_others_need_a_higher_rank() {
        let card =
            |operator, name| a_public_group().asked(ChangeMember { operator: by(operator), ..with_card(name, "x") });
        let custom = |operator, name| {
            a_public_group().asked(ChangeMember { operator: by(operator), ..with_custom(name, &[("k", "1")]) })
        };
        let operation = "changing another's NameCard or AppMemberDefinedData";
        for name in ["ann", "amy", "bob"] {
            card(name, name).succeeds();
            custom(name, name).succeeds();
        }
        for (operator, name, rank) in
            [("amy", "ann", Rank::Admin), ("amy", "abe", Rank::Admin), ("bob", "cid", Rank::Member)]
        {
            card(operator, name).refuses(Refusal::NotPermitted { rank, operation });
            custom(operator, name).refuses(Refusal::NotPermitted { rank, operation });
        }
        for (operator, name) in [("ann", "amy"), ("amy", "bob")] {
            card(operator, name).succeeds();
            custom(operator, name).succeeds();
        }
        a_public_group().asked(with_card("ann", "x")).succeeds();

        let flag = |operator| ChangeMember { operator: by(operator), ..with_flag("bob", MsgFlag::Discard) };
        let told = report(&["bob"], "bob", Report::MsgFlagChanged { flag: MsgFlag::Discard });
        let changes = vec![MemberChange::MsgFlag(MsgFlag::Discard)];
        a_public_group().asked(flag("bob")).decides([changed("bob", changes)], [told], Answer::Done);
        let refusal = Refusal::NotPermitted { rank: Rank::Owner, operation: "changing another's MsgFlag" };
        a_public_group().asked(flag("ann")).refuses(refusal);
    }

    #[test]
    fn muting_is_as_muting_is() {
        let muting = |name, for_secs| ChangeMember { mute_for_secs: Some(for_secs), ..change_member(name) };
        a_public_group().asked(muting("ann", 60)).refuses(bad("MuteTime", "the owner cannot be muted"));
        let asked = |operator, name| ChangeMember { operator: by(operator), ..muting(name, FOR_EVER_SECS) };
        a_public_group().asked(asked("amy", "abe")).refuses_with(10007);
        a_public_group().asked(asked("amy", "bob")).succeeds();
        given(a_group(Kind::Work).member("bob")).asked(muting("bob", 0)).refuses_with(10007);
        // One field that may not be changed keeps the others.
        a_public_group().asked(ChangeMember { name_card: Some("x".into()), ..asked("bob", "bob") }).refuses_with(10007);
        // Promoting does not lift a mute: docs/spec/group-types.md 6.4.
        let group = given(a_group(Kind::Public).owner("ann").member("bob").muted("bob", u64::from(FOR_EVER_SECS)));
        let (_, group) = group.asked(with_role("bob", Role::Admin)).succeeds();
        assert_eq!(group.restriction(&account("bob")).muted_until, u64::from(FOR_EVER_SECS));
    }

    #[test]
    fn a_declared_key_has_ranks_of_its_own() {
        let declared = |limits: &mut Limits| {
            limits.custom.member = vec![
                custom_rule("level", Rank::Owner, &[]),
                CustomRule { own_write: true, ..custom_rule("mood", Rank::Owner, &[]) },
                custom_rule("open", Rank::NotMember, &[]),
                custom_rule("seat", Rank::Member, &[Kind::Meeting]),
            ];
        };
        let may = |operator: Operator, name, key| {
            let asked = ChangeMember { operator, ..with_custom(name, &[(key, "1")]) };
            a_public_group().limits(declared).asked(asked).result.map(|_| ()).map_err(|refusal| refusal.code())
        };
        for (key, own, by_admin, by_owner) in [
            ("level", Err(10007), Err(10007), Ok(())),
            ("mood", Ok(()), Err(10007), Ok(())),
            ("open", Ok(()), Ok(()), Ok(())),
            ("other", Ok(()), Ok(()), Ok(())),
            ("seat", Err(10004), Err(10004), Err(10004)),
        ] {
            let found = (may(by("bob"), "bob", key), may(by("amy"), "bob", key), may(by("ann"), "bob", key));
            assert_eq!(found, (own, by_admin, by_owner), "{key}");
            assert_eq!(may(app_admin(), "ann", key), by_owner, "{key}");
            // A right to the key is no right to somebody of the same rank.
            assert_eq!(may(by("cid"), "bob", key), Err(10007), "{key}");
        }
        let full = a_public_group().limits(|limits| limits.member_custom_keys = 1);
        full.asked(with_custom("bob", &[("a", "1"), ("b", "1")]))
            .refuses(bad("AppMemberDefinedData", "too many custom fields"));
    }

    #[test]
    fn the_target_is_a_member_and_the_group_no_live_room() {
        let stranger = || bad("Member_Account", "not a member of the group");
        a_public_group().asked(change_member("eve")).refuses(stranger());
        a_public_group().asked(with_card("eve", "x")).refuses(stranger());
        // Rank before targets.
        a_public_group().asked(ChangeMember { operator: by("bob"), ..with_card("eve", "x") }).refuses_with(10007);
        a_public_group().asked(ChangeMember { operator: by("eve"), ..with_card("eve", "x") }).refuses_with(10007);
        let refusal = || Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "changing a member" };
        let room = || given(a_group(Kind::AvChatRoom).owner("ann").admin("amy"));
        room().asked(with_card("amy", "x")).refuses(refusal());
        room().asked(ChangeMember { operator: by("ann"), ..change_member("ann") }).refuses(refusal());
        given(NO_GROUP).asked(change_member("bob")).refuses(Refusal::NoSuchGroup);
    }
}
