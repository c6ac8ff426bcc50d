//! Changing settings and texts of a group. Source: docs/spec/rest-api.md 4.6, docs/spec/group-types.md 6.3.
//!
//! All or nothing: one field that may not be changed refuses the request. A field that already has the value
//! asked for is no change, and is in neither event nor tip.

use super::role::{Operation, permit};
use super::{
    ChangeProfile, Context, Decision, Event, Facts, Group, Limits, Notice, Profile, ProfileChange, Refusal, Tip,
    custom, notice,
};

pub(super) fn decide(
    group: Option<&Group>,
    change: &ChangeProfile,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let facts = group.facts();
    let profile = group.profile().expect("the profile was judged before its row was read");

    check_rights(group, change, context.limits)?;
    if context.unknown_accounts.contains(change.operator.name()) {
        return Err(Refusal::NoSuchAccount { account: change.operator.name().clone() });
    }
    check_values(facts, profile, change, context.limits)?;
    let changes = changes(facts, profile, change);
    if changes.is_empty() {
        return Ok(Decision::default());
    }
    let notices = notices(facts, change, &changes);
    let decision = Decision::one(Event::ProfileChanged { changes, at: context.at });
    Ok(Decision { notices, ..decision })
}

/// Every field that is named needs its right, whether or not it would change.
fn check_rights(group: &Group, change: &ChangeProfile, limits: &Limits) -> Result<(), Refusal> {
    let facts = group.facts();
    let rank = group.rank(&change.operator);
    let mut options = group.options(limits);
    // Topics may be enabled together with what needs them.
    options.support_topic |= change.support_topic == Some(true);

    let texts = [&change.name, &change.introduction, &change.notification, &change.face_url];
    // Setting what the kind fixes to the value it has is harmless, and clients send back what they have read.
    let keeps_apply_join = facts.kind.fixes_apply_join() && change.apply_join == Some(facts.apply_join);
    let keeps_invite_join = facts.kind.fixes_invite_join() && change.invite_join == Some(facts.invite_join);
    let named = [
        (Operation::ChangeProfile, true),
        (Operation::ChangeTexts, texts.iter().any(|text| text.is_some())),
        (Operation::ChangeApplyJoin, change.apply_join.is_some() && !keeps_apply_join),
        (Operation::ChangeInviteJoin, change.invite_join.is_some() && !keeps_invite_join),
        (Operation::ChangeMembersMax, change.members_max.is_some()),
        (Operation::ChangeMuteAll, change.mute_all.is_some()),
        (Operation::ChangeHistoryBeforeJoin, change.history_before_join.is_some()),
        (Operation::ChangeSupportTopic, change.support_topic.is_some()),
        (Operation::ChangePermissions, change.enable_permission.is_some() || change.default_permission.is_some()),
    ];
    let named = named.into_iter().filter(|(_, is_named)| *is_named).map(|(operation, _)| operation);
    let keys = limits.group_keys(facts.kind);
    let custom = change.custom.iter().map(|(key, _)| keys.write(key));
    named.chain(custom).try_for_each(|operation| permit(facts.kind, rank, operation, options))
}

/// Judges the values that would change; what stays as it is was judged when it was set.
fn check_values(facts: &Facts, profile: &Profile, change: &ChangeProfile, limits: &Limits) -> Result<(), Refusal> {
    let refuse = |field, what| Err(Refusal::BadParameter { field, what });
    if let Some(wanted) = new_members_max(facts, change) {
        if !limits.allows_members_max(facts.kind, wanted) {
            return refuse("MaxMemberNum", "more than this type of group may have");
        }
        if wanted != 0 && wanted < facts.member_count {
            return refuse("MaxMemberNum", "less than the group has members");
        }
    }
    if change.support_topic == Some(false) && facts.support_topic {
        return refuse("SupportTopic", "topics cannot be disabled again");
    }
    let has_permissions = change.enable_permission.unwrap_or(facts.enable_permission);
    if !has_permissions && change.default_permission.is_some_and(|wanted| wanted != facts.default_permission) {
        return refuse("DefaultPermission", "has no effect without EnablePermission");
    }
    limits.group_keys(facts.kind).check(&profile.custom, &change.custom)
}

/// The maximum of members if it changes; ignored in a live room: docs/spec/group-types.md 6.3.
fn new_members_max(facts: &Facts, change: &ChangeProfile) -> Option<u32> {
    change.members_max.filter(|wanted| facts.kind.stores_members() && *wanted != facts.members_max)
}

/// What really changes, in the order in which the reference lists the fields.
fn changes(facts: &Facts, profile: &Profile, change: &ChangeProfile) -> Vec<ProfileChange> {
    fn differs<T: PartialEq + Clone>(wanted: &Option<T>, present: &T) -> Option<T> {
        wanted.clone().filter(|wanted| wanted != present)
    }
    use ProfileChange::*;
    let settings = [
        differs(&change.name, &profile.name).map(Name),
        differs(&change.introduction, &profile.introduction).map(Introduction),
        differs(&change.notification, &profile.notification).map(Notification),
        differs(&change.face_url, &profile.face_url).map(FaceUrl),
        new_members_max(facts, change).map(MembersMax),
        differs(&change.apply_join, &facts.apply_join).map(ApplyJoin),
        differs(&change.invite_join, &facts.invite_join).map(InviteJoin),
        differs(&change.mute_all, &facts.mute_all).map(MuteAll),
        differs(&change.history_before_join, &facts.history_before_join).map(HistoryBeforeJoin),
        differs(&change.support_topic, &facts.support_topic).map(SupportTopic),
        differs(&change.enable_permission, &facts.enable_permission).map(EnablePermission),
        differs(&change.default_permission, &facts.default_permission).map(DefaultPermission),
    ];
    let custom = custom::changes(&profile.custom, &change.custom).into_iter().map(Custom);
    settings.into_iter().flatten().chain(custom).collect()
}

/// One tip for the request, and only if a text changed; custom fields go along with it.
///
/// Settings are not told by default, and custom fields alone are not stored: docs/spec/events.md 2.1, 2.2.
fn notices(facts: &Facts, change: &ChangeProfile, changes: &[ProfileChange]) -> Vec<Notice> {
    use ProfileChange::*;
    let is_text = |change: &&ProfileChange| matches!(change, Name(_) | Introduction(_) | Notification(_) | FaceUrl(_));
    let is_told = |change: &&ProfileChange| is_text(change) || matches!(change, Custom(_));
    if !notice::stores_text_tips(facts.kind, facts.active) || !changes.iter().any(|change| is_text(&change)) {
        return Vec::new();
    }
    let told = changes.iter().filter(is_told).cloned().collect();
    vec![Notice::tip(change.operator.name(), Tip::ProfileChanged { changes: told })]
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, ApplyJoin, InviteJoin, Kind, Rank};

    fn profile_tip(changes: Vec<ProfileChange>) -> Notice {
        Notice::Tip { operator: account("root"), tip: Tip::ProfileChanged { changes } }
    }

    fn changed(changes: Vec<ProfileChange>) -> Event {
        Event::ProfileChanged { changes, at: NOW }
    }

    fn a_public_group() -> Given {
        given(a_group(Kind::Public).owner("ann").admin("amy").member("bob").with(|created| {
            created.introduction = "walks".into();
            created.custom = fields(&[("city", "Graz"), ("day", "Sunday")]);
        }))
    }

    #[test]
    fn only_what_changes_is_written_and_only_texts_and_custom_fields_are_told() {
        let asked = ChangeProfile {
            name: Some("club".into()),
            introduction: Some(String::new()),
            face_url: Some("f".into()),
            members_max: Some(400),
            apply_join: Some(ApplyJoin::Free),
            mute_all: Some(true),
            custom: fields(&[("city", ""), ("day", "Sunday"), ("new", "1")]),
            ..change_profile()
        };
        let texts = vec![ProfileChange::Introduction(String::new()), ProfileChange::FaceUrl("f".into())];
        let settings = vec![
            ProfileChange::MembersMax(400),
            ProfileChange::ApplyJoin(ApplyJoin::Free),
            ProfileChange::MuteAll(true),
        ];
        let custom: Vec<_> = fields(&[("city", ""), ("new", "1")]).into_iter().map(ProfileChange::Custom).collect();
        let written = [texts.clone(), settings, custom.clone()].concat();
        let told = [texts, custom].concat();

        let group = a_public_group().asked(asked).decides([changed(written)], [profile_tip(told)], Answer::Done);
        let group = group.expect("still there");
        let (facts, profile) = (group.facts(), group.profile().expect("known"));
        assert_eq!((facts.info_seq, facts.next_msg_seq, facts.last_info), (2, 2, NOW));
        assert_eq!((facts.members_max, facts.mute_all), (400, true));
        assert_eq!(profile.introduction, "");
        assert_eq!(profile.custom, fields(&[("day", "Sunday"), ("new", "1")]));
    }

    #[test]
    fn a_profile_that_is_so_already_is_left_alone() {
        let same = ChangeProfile {
            name: Some("club".into()),
            introduction: Some("walks".into()),
            members_max: Some(6000),
            apply_join: Some(ApplyJoin::NeedPermission),
            mute_all: Some(false),
            custom: fields(&[("day", "Sunday"), ("none", "")]),
            ..change_profile()
        };
        a_public_group().asked(same).changes_nothing();
        a_public_group().asked(change_profile()).changes_nothing();
        // A maximum that was set when the cap was higher may be sent back.
        let same = ChangeProfile { members_max: Some(6000), ..change_profile() };
        a_public_group().limits(|limits| limits.max_members.public = 100).asked(same).changes_nothing();
    }

    #[test]
    fn settings_and_custom_fields_alone_are_not_told() {
        let muted = ChangeProfile { mute_all: Some(true), ..change_profile() };
        a_public_group().asked(muted).decides([changed(vec![ProfileChange::MuteAll(true)])], [], Answer::Done);
        let custom = ChangeProfile { custom: fields(&[("city", "Wien")]), ..change_profile() };
        let (decision, group) = a_public_group().asked(custom).succeeds();
        assert_eq!((decision.notices, group.facts().info_seq, group.facts().next_msg_seq), (vec![], 2, 1));
    }

    #[test]
    fn a_new_name_is_told_where_tips_are_stored() {
        let renamed = || ChangeProfile { name: Some("new".into()), ..change_profile() };
        for (group, tips) in [
            (a_group(Kind::Work), 0),
            (a_group(Kind::Work).active(), 1),
            (a_group(Kind::Public), 1),
            (a_group(Kind::Meeting), 1),
            (a_group(Kind::AvChatRoom), 0),
            (a_group(Kind::Community), 1),
        ] {
            let (decision, after) = given(group).asked(renamed()).succeeds();
            assert_eq!(decision.notices.len(), tips, "{:?}", after.facts());
            assert_eq!(after.facts().next_msg_seq, 1 + tips as u64);
        }
    }

    #[test]
    fn one_forbidden_field_refuses_all() {
        let asked = |operator, change: ChangeProfile| {
            a_public_group().asked(ChangeProfile { operator, name: Some("new".into()), ..change }).result.map(|_| ())
        };
        let refused = |rank, operation| Err(Refusal::NotPermitted { rank, operation });
        let max = || ChangeProfile { members_max: Some(100), ..change_profile() };
        let history = || ChangeProfile { history_before_join: Some(true), ..change_profile() };
        assert_eq!(asked(by("amy"), change_profile()), Ok(()));
        assert_eq!(asked(by("amy"), max()), refused(Rank::Admin, "changing MaxMemberNum"));
        assert_eq!(asked(by("ann"), max()), Ok(()));
        assert_eq!(asked(by("ann"), history()), refused(Rank::Owner, "changing HistoryMsgBeforeJoin"));
        assert_eq!(asked(app_admin(), history()), Ok(()));
        let texts = "changing Name, Introduction, Notification or FaceUrl";
        assert_eq!(asked(by("bob"), change_profile()), refused(Rank::Member, texts));
        assert_eq!(asked(by("eve"), change_profile()), refused(Rank::NotMember, "changing the profile"));
        // Naming a field needs its right, also with the value that it has.
        let same = ChangeProfile { operator: by("amy"), members_max: Some(6000), ..change_profile() };
        a_public_group().asked(same).refuses_with(10007);
    }

    #[test]
    fn what_a_kind_fixes_can_be_named_but_not_changed() {
        let apply = |apply_join| ChangeProfile { apply_join: Some(apply_join), ..change_profile() };
        let invite = |invite_join| ChangeProfile { invite_join: Some(invite_join), ..change_profile() };
        let (work, room) = (given(a_group(Kind::Work)), given(a_group(Kind::AvChatRoom)));
        work.clone().asked(apply(ApplyJoin::Disabled)).changes_nothing();
        work.clone().asked(apply(ApplyJoin::Free)).refuses_with(10007);
        work.clone().asked(invite(InviteJoin::Disabled)).succeeds();
        room.clone().asked(apply(ApplyJoin::Free)).changes_nothing();
        room.clone().asked(apply(ApplyJoin::Disabled)).refuses_with(10007);
        room.clone().asked(invite(InviteJoin::Disabled)).changes_nothing();
        room.clone().asked(invite(InviteJoin::Free)).refuses_with(10007);
        room.clone().asked(ChangeProfile { members_max: Some(7), ..change_profile() }).changes_nothing();

        for value in [true, false] {
            work.clone().asked(ChangeProfile { mute_all: Some(value), ..change_profile() }).refuses_with(10007);
            for kind in [Kind::AvChatRoom, Kind::Community] {
                let history = ChangeProfile { history_before_join: Some(value), ..change_profile() };
                given(a_group(kind)).asked(history).refuses_with(10007);
            }
        }
    }

    #[test]
    fn the_maximum_of_members_lies_between_the_members_and_the_cap() {
        let group = || given(a_group(Kind::Public).members(5));
        let asked = |max| ChangeProfile { members_max: Some(max), ..change_profile() };
        let (_, after) = group().asked(asked(5)).succeeds();
        assert_eq!(after.facts().members_max, 5);
        group().asked(asked(4)).refuses(bad("MaxMemberNum", "less than the group has members"));
        group().asked(asked(6001)).refuses(bad("MaxMemberNum", "more than this type of group may have"));
        group().asked(asked(0)).refuses(bad("MaxMemberNum", "more than this type of group may have"));
        let (_, after) = group().limits(|limits| limits.max_members.public = 0).asked(asked(0)).succeeds();
        assert_eq!(after.facts().members_max, 0);
    }

    #[test]
    fn topics_are_enabled_once_and_carry_the_permissions() {
        let topics = |value| ChangeProfile { support_topic: Some(value), ..change_profile() };
        let plain = || given(a_group(Kind::Community).owner("ann"));
        let topical = || given(a_group(Kind::Community).owner("ann").with(|created| created.support_topic = true));
        plain().asked(ChangeProfile { operator: by("ann"), ..topics(true) }).succeeds();
        plain().asked(topics(false)).changes_nothing();
        topical().asked(topics(true)).changes_nothing();
        topical().asked(topics(false)).refuses(bad("SupportTopic", "topics cannot be disabled again"));
        given(a_group(Kind::Public)).asked(topics(true)).refuses_with(10007);

        let permissions =
            ChangeProfile { enable_permission: Some(true), default_permission: Some(3), ..change_profile() };
        plain().asked(permissions.clone()).refuses_with(10007);
        topical().asked(permissions.clone()).succeeds();
        let (_, after) = plain().asked(ChangeProfile { support_topic: Some(true), ..permissions.clone() }).succeeds();
        assert_eq!(after.facts().default_permission, 3);
        topical().asked(ChangeProfile { enable_permission: None, ..permissions }).refuses_with(10004);
    }

    #[test]
    fn custom_fields_are_counted_as_they_will_be() {
        let asked = |pairs: &[(&str, &str)]| ChangeProfile { custom: fields(pairs), ..change_profile() };
        let group = || a_public_group().limits(|limits| limits.group_custom_keys = 2);
        group().asked(asked(&[("new", "1")])).refuses(bad("AppDefinedData", "too many custom fields"));
        let (_, after) = group().asked(asked(&[("new", "1"), ("city", "")])).succeeds();
        assert_eq!(after.profile().expect("known").custom, fields(&[("day", "Sunday"), ("new", "1")]));
    }

    #[test]
    fn a_declared_key_has_a_rank_of_its_own() {
        let declared = |limits: &mut Limits| {
            limits.custom.group = vec![
                custom_rule("anyone", Rank::NotMember, &[]),
                custom_rule("owner", Rank::Owner, &[]),
                custom_rule("root", Rank::AppAdmin, &[]),
                custom_rule("work", Rank::Member, &[Kind::Work]),
            ];
        };
        let codes = |key: &str| {
            [by("eve"), by("bob"), by("amy"), by("ann"), app_admin()].map(|operator| {
                let asked = ChangeProfile { operator, custom: fields(&[(key, "1")]), ..change_profile() };
                a_public_group().limits(declared).asked(asked).result.map_or_else(|refusal| refusal.code(), |_| 0)
            })
        };
        assert_eq!(codes("anyone"), [10007, 0, 0, 0, 0]);
        assert_eq!(codes("owner"), [10007, 10007, 10007, 0, 0]);
        assert_eq!(codes("root"), [10007, 10007, 10007, 10007, 0]);
        assert_eq!(codes("other"), [10007, 10007, 0, 0, 0]);
        // Of other kinds: nobody has a right to it that the texts do not give, and it is wrong for everybody.
        assert_eq!(codes("work"), [10007, 10007, 10004, 10004, 10004]);
    }

    #[test]
    fn whoever_is_named_as_the_operator_exists() {
        let unknown = Refusal::NoSuchAccount { account: account("root") };
        a_public_group().unknown(&["root"]).asked(change_profile()).refuses(unknown);
    }

    #[test]
    fn there_has_to_be_a_group() {
        given(NO_GROUP).asked(change_profile()).refuses(Refusal::NoSuchGroup);
    }
}
