//! One group as the rules have it, carried out one request after the other: what answers are held against.

use crate::history::{Action, Answer, COUNTERS, OWNER, Profile, Role};

/// A group, or that there is none.
pub type State = Option<Group>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    pub profile: Profile,
    pub counters: [i64; COUNTERS],
}

/// Carries a request out: what a node must answer, and what there is afterwards.
pub fn carry_out(state: &State, action: &Action) -> (Answer, State) {
    match (state, action) {
        (None, Action::Create(name)) => (Answer::Done, Some(Group::new(*name))),
        (None, _) => (Answer::NoGroup, None),
        (Some(_), Action::Create(_)) => (Answer::Exists, *state),
        (Some(_), Action::Destroy) => (Answer::Done, None),
        (Some(group), action) => {
            let mut group = *group;
            let answer = group.change_or_show(action);
            (answer, Some(group))
        }
    }
}

impl Group {
    fn new(name: u64) -> Self {
        let mut roster = [None; _];
        roster[usize::from(OWNER.0)] = Some(Role::Owner);
        Self { profile: Profile { roster, name, next_msg_seq: 1, info_seq: 1 }, counters: [0; COUNTERS] }
    }

    fn change_or_show(&mut self, action: &Action) -> Answer {
        let Self { profile, counters } = self;
        match action {
            Action::Create(_) | Action::Destroy => unreachable!("of the whole group"),
            Action::Add(accounts) => {
                let entered = accounts.iter().map(|account| {
                    let place = &mut profile.roster[usize::from(account.0)];
                    let is_new = place.is_none();
                    place.get_or_insert(Role::Member);
                    is_new
                });
                let entered: Vec<bool> = entered.collect();
                profile.next_msg_seq += u64::from(entered.contains(&true));
                Answer::Added(entered)
            }
            Action::Remove(accounts) => {
                let left = accounts.iter().filter(|account| profile.roster[usize::from(account.0)].take().is_some());
                profile.next_msg_seq += u64::from(left.count() > 0);
                Answer::Done
            }
            Action::SetRole(account, role) => match &mut profile.roster[usize::from(account.0)] {
                None => Answer::NotMember,
                Some(present) => {
                    profile.next_msg_seq += u64::from(present != role);
                    *present = *role;
                    Answer::Done
                }
            },
            Action::Rename(name) => {
                let changes = u64::from(profile.name != *name);
                profile.name = *name;
                profile.next_msg_seq += changes;
                profile.info_seq += changes;
                Answer::Done
            }
            Action::Count(counter, by) => {
                let value = &mut counters[usize::from(counter.0)];
                *value += by;
                Answer::Counted(*value)
            }
            Action::ReadProfile => Answer::Profile(*profile),
            Action::ReadRoles(accounts) => {
                Answer::Roles(accounts.iter().map(|account| profile.roster[usize::from(account.0)]).collect())
            }
            Action::ReadCounters => Answer::Counters(*counters),
        }
    }
}
