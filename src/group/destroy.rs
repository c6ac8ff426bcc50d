//! Disbanding a group. Source: docs/spec/rest-api.md 4.10, docs/spec/group-types.md 6.1.

use super::role::{Operation, permit};
use super::{Context, Decision, Destroy, Event, Group, Refusal};

pub(super) fn decide(group: Option<&Group>, destroy: &Destroy, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    permit(group.facts().kind, group.rank(&destroy.operator), Operation::Destroy, group.options(context.limits))?;
    // No notice: the members of the moment hear of it from apply, which alone has them all.
    Ok(Decision::one(Event::Destroyed { at: context.at }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, Kind, Rank};

    #[test]
    fn the_owner_disbands_but_not_a_work_group() {
        let group = |kind| given(a_group(kind).owner("ann").member("bob"));
        let refused = |rank| Refusal::NotPermitted { rank, operation: "disbanding the group" };
        for kind in [Kind::Public, Kind::Meeting, Kind::Community] {
            let after = group(kind).asked(destroy(by("ann"))).decides([Event::Destroyed { at: NOW }], [], Answer::Done);
            assert_eq!(after, None);
            group(kind).asked(destroy(by("bob"))).refuses(refused(Rank::Member));
        }
        group(Kind::Work).asked(destroy(by("ann"))).refuses(refused(Rank::Owner));
        group(Kind::Work).asked(destroy(app_admin())).decides([Event::Destroyed { at: NOW }], [], Answer::Done);
    }

    #[test]
    fn the_owner_of_a_live_room_need_not_be_in_it() {
        let room = given(a_group(Kind::AvChatRoom).owner("ann"));
        room.clone().asked(destroy(by("ann"))).decides([Event::Destroyed { at: NOW }], [], Answer::Done);
        room.asked(destroy(by("bob"))).refuses_with(10007);
        given(NO_GROUP).asked(destroy(app_admin())).refuses(Refusal::NoSuchGroup);
    }
}
