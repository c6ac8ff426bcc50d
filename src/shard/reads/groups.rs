//! Groups by name.

use muster_cluster::{DiskError, Rows, View};

use super::members::{Roster, by_join_time, member_view};
use crate::id::{AppId, GroupId};
use crate::shard::codes::Head;
use crate::shard::view::GroupView;
use crate::store::keys::slot_of_group;
use crate::store::{GroupHeader, Keys, MemberRow, ProfileRow, Version, decode};

/// A full list of members is only given of groups up to so many. Source: docs/spec/rest-api.md 4.3.
pub const LISTED_MEMBERS_MAX: u32 = 6000;

/// A group's facts and what counts its other rows.
pub fn head(rows: &Rows, app: AppId, id: &GroupId) -> Result<Option<Head>, DiskError> {
    let keys = Keys::new(rows.generation());
    Ok(rows.read(&keys.header(app, id), decode::<GroupHeader>)?.map(Head::from))
}

/// The version that a group has now.
pub fn version(rows: &Rows, app: AppId, id: &GroupId) -> Result<Option<Version>, DiskError> {
    let keys = Keys::new(rows.generation());
    rows.read(&keys.header(app, id), |header| decode::<GroupHeader>(header).version)
}

/// One group, with its members if wanted and if it is small enough to list.
pub fn group(rows: &Rows, app: AppId, id: &GroupId, with_members: bool) -> Result<Option<GroupView>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let Some(header) = view.read(&keys.header(app, id), decode::<GroupHeader>)? else { return Ok(None) };
    group_of(&view, keys, app, id, header, with_members).map(Some)
}

pub(super) fn group_of(
    view: &View<'_>,
    keys: Keys,
    app: AppId,
    id: &GroupId,
    header: GroupHeader,
    with_members: bool,
) -> Result<GroupView, DiskError> {
    let (slot, head) = (slot_of_group(app, id), Head::from(header));
    let (gno, version, facts) = (head.gno, head.version, head.facts);
    let lists = with_members && facts.kind.stores_members() && facts.member_count <= LISTED_MEMBERS_MAX;
    let mut profile = None;
    let mut members = lists.then(|| Vec::with_capacity(facts.member_count as usize));
    let roster = Roster { view, keys, slot, gno, facts: &facts };
    match &mut members {
        // Profile and members lie side by side: one scan reads both.
        Some(members) if !roster.is_sparse() => {
            let (from, to) = keys.profile_and_members(slot, gno);
            view.scan(&from, &to, |_, value| {
                match profile {
                    None => profile = Some(decode::<ProfileRow>(value)),
                    Some(_) => members.push(member_view(MemberRow::decode(value), facts.kind)),
                }
                true
            })?;
        }
        members => {
            profile = view.read(&keys.profile(slot, gno), decode::<ProfileRow>)?;
            if let Some(members) = members {
                roster.each(0, facts.member_count.into(), |_, value| {
                    members.push(member_view(MemberRow::decode(value), facts.kind));
                    true
                })?;
            }
        }
    }
    let Some(profile) = profile else { panic!("group {id} has a header and no profile row") };
    // Otherwise in the order of joining, as pages have them: who came first is first, also within a millisecond.
    if let Some(members) = members.as_mut().filter(|_| !facts.joins_in_order) {
        by_join_time(members);
    }
    Ok(GroupView {
        id: id.clone(),
        version,
        facts,
        name: profile.name,
        introduction: profile.introduction,
        notification: profile.notification,
        face_url: profile.face_url,
        custom: profile.custom,
        members,
    })
}
