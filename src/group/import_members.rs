//! Importing members as they were elsewhere. Source: docs/spec/rest-api.md 4.18, docs/spec/errors.md 6.
//!
//! Silent, and judged item by item: whatever keeps one account out (its moment, its limits, a full group, that it
//! does not exist) is a result of its own and refuses nobody else, also if it keeps everybody out. The documented
//! codes of the command know no other answer.

use super::admission::Admission;
use super::role::{Operation, permit};
use super::{
    AddResult, Answer, Context, Decision, Event, Facts, Group, ImportMember, ImportMembers, ImportedMember, Kind,
    Limits, Refusal, Role,
};
use crate::time::Stamp;

pub(super) fn decide(
    group: Option<&Group>,
    import: &ImportMembers,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let facts = group.facts();
    permit(facts.kind, group.rank(&import.operator), Operation::ImportMembers, group.options(context.limits))?;
    check_roles(facts.kind, &import.members)?;

    let mut admission = Admission::new(group, context);
    let mut results = Vec::with_capacity(import.members.len());
    let mut members = Vec::new();
    for member in &import.members {
        let joined = joined(facts, member, context.at);
        let result = admission.ask(&member.account, joined.is_some());
        if let (AddResult::Added, Some(joined)) = (result, joined) {
            let (account, role) = (member.account.clone(), member.role);
            members.push(ImportedMember { account, role, joined, msg_seq: msg_seq(facts, member) });
        }
        results.push(result);
    }
    check_admins(facts, &members, context.limits)?;

    // Lists show who joined first, and those of one moment by name: docs/spec/rest-api.md 4.4.
    members.sort_unstable_by(|a, b| (a.joined, &a.account).cmp(&(b.joined, &b.account)));
    let events = if members.is_empty() { Vec::new() } else { vec![Event::MembersImported { members }] };
    Ok(Decision { events, ..Decision::default() }.answering(Answer::Added(results)))
}

fn check_roles(kind: Kind, members: &[ImportMember]) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::BadParameter { field: "Role", what });
    for member in members {
        match member.role {
            Role::Owner => return refuse("the owner is named by a transfer"),
            Role::Admin if kind == Kind::Work => return refuse("this type of group has no admins"),
            Role::Admin | Role::Member => {}
        }
    }
    Ok(())
}

fn check_admins(facts: &Facts, entering: &[ImportedMember], limits: &Limits) -> Result<(), Refusal> {
    let admins = entering.iter().filter(|member| member.role == Role::Admin).count() as u32;
    match admins == 0 || limits.allows_admins(facts.admin_count + admins) {
        true => Ok(()),
        false => Err(Refusal::BadParameter { field: "Role", what: "too many admins" }),
    }
}

/// When a member joined; `None` if that cannot be: before the group was there, or later than now.
///
/// Moments are shown and named in whole seconds, so the second of the creation is not before it.
fn joined(facts: &Facts, member: &ImportMember, at: Stamp) -> Option<Stamp> {
    let joined = member.joined.unwrap_or(at);
    (joined.secs() >= facts.created.secs() && joined <= at).then(|| joined.max(facts.created))
}

/// The last message that a member has read. Source: docs/spec/rest-api.md 4.18.
fn msg_seq(facts: &Facts, member: &ImportMember) -> u64 {
    let last_msg_seq = facts.next_msg_seq - 1;
    last_msg_seq.saturating_sub(member.unread.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{AddResult::*, Rank};

    fn secs_after(begin: Stamp, secs: u64) -> Stamp {
        Stamp(begin.0 + secs * 1000)
    }

    fn imported(name: &str, role: Role, joined: Stamp, msg_seq: u64) -> ImportedMember {
        ImportedMember { account: account(name), role, joined, msg_seq }
    }

    fn results(outcome: Outcome) -> Vec<AddResult> {
        match outcome.succeeds().0.answer {
            Answer::Added(results) => results,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn members_join_by_moment_and_name_and_nobody_is_told() {
        let asked = import_members(vec![
            ImportMember { joined: Some(secs_after(EARLIER, 9)), ..import_member("dan") },
            ImportMember { role: Role::Admin, unread: Some(3), ..import_member("eve") },
            ImportMember { joined: Some(secs_after(EARLIER, 9)), ..import_member("cid") },
            ImportMember { joined: Some(EARLIER), unread: Some(99), ..import_member("fay") },
            import_member("bob"),
            import_member("eve"),
        ]);
        let group = a_group(Kind::Public).owner("ann").member("bob").messages(10);
        let group = given(group).asked(asked).decides(
            [Event::MembersImported {
                members: vec![
                    imported("fay", Role::Member, EARLIER, 0),
                    imported("cid", Role::Member, secs_after(EARLIER, 9), 10),
                    imported("dan", Role::Member, secs_after(EARLIER, 9), 10),
                    imported("eve", Role::Admin, NOW, 7),
                ],
            }],
            [],
            Answer::Added(vec![Added, Added, Added, Added, AlreadyMember, AlreadyMember]),
        );
        let group = group.expect("still there");
        let facts = group.facts();
        assert_eq!((facts.member_count, facts.admin_count, facts.next_msg_seq), (6, 1, 11));
        // The owner is there since the same moment.
        assert_eq!((facts.last_joined, facts.joins_in_order), (NOW, false));
        assert_eq!(group.member(&account("dan")).map(|member| member.join_seq), Some(4));
    }

    #[test]
    fn a_moment_lies_between_the_beginning_and_now() {
        let begun = Stamp(EARLIER.0 + 700);
        let import_at = |joined| {
            let group = a_group(Kind::Public).with(|created| created.at = begun);
            let asked = ImportMember { joined: Some(joined), ..import_member("dan") };
            given(group).asked(import_members(vec![asked]))
        };
        // The second in which the group began, as clients know it.
        let (_, group) = import_at(EARLIER).succeeds();
        assert_eq!(group.facts().last_joined, begun);
        assert_eq!(results(import_at(NOW)), [Added]);
        assert_eq!(results(import_at(Stamp(EARLIER.0 - 1000))), [Failed]);
        import_at(Stamp(NOW.0 + 1)).decides([], [], Answer::Added(vec![Failed]));
    }

    #[test]
    fn a_member_that_failed_may_be_named_again() {
        let early = ImportMember { joined: Some(Stamp(0)), ..import_member("dan") };
        let asked = import_members(vec![early, import_member("dan"), import_member("dan")]);
        assert_eq!(results(given(a_group(Kind::Meeting)).asked(asked)), [Failed, Added, AlreadyMember]);
    }

    #[test]
    fn who_joined_before_others_breaks_the_order_of_joining() {
        let asked = |name, secs| {
            let joined = Some(secs_after(EARLIER, secs));
            import_members(vec![ImportMember { joined, ..import_member(name) }])
        };
        let (_, after) = given(a_group(Kind::Public).owner("ann")).asked(asked("dan", 9)).succeeds();
        assert!(after.facts().joins_in_order);
        let (_, after) = given(after).asked(asked("eve", 10)).succeeds();
        assert!(after.facts().joins_in_order);
        // Those of one moment are listed by name, whoever was imported first.
        for (name, secs) in [("cid", 9), ("abe", 10)] {
            let (_, after) = given(after.clone()).asked(asked(name, secs)).succeeds();
            assert_eq!((after.facts().joins_in_order, after.facts().last_joined), (false, secs_after(EARLIER, 10)));
        }
        let nobody = given(a_group(Kind::Public).with(|created| created.at = EARLIER));
        let (_, first) = nobody.asked(asked("dan", 0)).succeeds();
        assert!(first.facts().joins_in_order);
    }

    #[test]
    fn limits_keep_out_one_by_one() {
        let three = || import_members(vec![import_member("dan"), import_member("eve"), import_member("fay")]);
        let room_for = |free| given(a_group(Kind::Public).with(|created| created.members_max = free));
        assert_eq!(results(room_for(2).asked(three())), [Added, Added, Failed]);
        assert_eq!(results(room_for(2).full(&["dan"]).unknown(&["eve"]).asked(three())), [Failed, Failed, Added]);
        let everybody = ["dan", "eve", "fay"];
        room_for(9).unknown(&everybody).asked(three()).decides([], [], Answer::Added(vec![Failed; 3]));
        let full = given(a_group(Kind::Public).members(1).with(|created| created.members_max = 1));
        full.asked(three()).decides([], [], Answer::Added(vec![Failed; 3]));
    }

    #[test]
    fn roles_are_checked() {
        let asked = |kind, role| {
            let member = ImportMember { role, ..import_member("dan") };
            let members = vec![member.clone(), ImportMember { account: account("eve"), ..member }];
            let given = given(a_group(kind).owner("ann")).limits(|limits| limits.admins_per_group = 1);
            given.asked(import_members(members))
        };
        asked(Kind::Public, Role::Owner).refuses(bad("Role", "the owner is named by a transfer"));
        asked(Kind::Work, Role::Admin).refuses(bad("Role", "this type of group has no admins"));
        asked(Kind::Public, Role::Admin).refuses(bad("Role", "too many admins"));
        assert_eq!(results(asked(Kind::Public, Role::Member)), [Added, Added]);
    }

    #[test]
    fn it_is_for_app_admins_and_stored_kinds() {
        let asked = |operator| ImportMembers { operator, ..import_members(vec![import_member("dan")]) };
        let refusal = Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "importing members" };
        given(a_group(Kind::AvChatRoom).owner("ann")).asked(asked(app_admin())).refuses(refusal);
        let refusal = Refusal::NotPermitted { rank: Rank::Owner, operation: "importing members" };
        given(a_group(Kind::Public).owner("ann")).asked(asked(by("ann"))).refuses(refusal);
        given(NO_GROUP).asked(asked(app_admin())).refuses(Refusal::NoSuchGroup);
    }
}
