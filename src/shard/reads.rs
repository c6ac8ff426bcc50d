//! Reads of the committed state, on the thread that asks.
//!
//! Rows are written before an outcome is given out; so one database view, taken behind a read barrier, holds every
//! change acknowledged before the request arrived. No actor is asked and none is activated.

use muster_cluster::{DiskError, Rows, Slot, View};

use super::codes::{Head, kind_of, role_of};
use super::view::{
    GroupView, JoinedGroup, JoinedList, JoinedQuery, MemberPage, MemberQuery, MemberView, MsgFlag, PageStart,
};
use crate::group::{Kind, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys::{PLACE_SHIFT, join_seq_of_member, slot_of_group};
use crate::store::{AccountText, GroupHeader, JoinedRow, Key, Keys, MemberKey, MemberRow, ProfileRow, decode};
use crate::time::Stamp;

/// A full list of members is only given of groups up to so many. Source: docs/spec/rest-api.md 4.3.
pub const LISTED_MEMBERS_MAX: u32 = 6000;

fn member_view(row: MemberRow, kind: Kind) -> MemberView {
    let flag = match row.msg_flag {
        1 => MsgFlag::AcceptAndNotify,
        2 => MsgFlag::AcceptNotNotify,
        3 => MsgFlag::Discard,
        4 => MsgFlag::AcceptNotNotifyExceptAt,
        _ => MsgFlag::default_of(kind),
    };
    MemberView {
        role: role_of(row.role),
        account: row.account.0,
        joined: Stamp(row.joined),
        msg_seq: row.msg_seq,
        msg_flag: flag,
        last_send: Stamp(row.last_send),
        name_card: row.name_card,
        mute_until: row.mute_until,
        custom: row.custom,
    }
}

/// One group, with its members if wanted and if it is small enough to list.
pub fn group(rows: &Rows, app: AppId, id: &GroupId, with_members: bool) -> Result<Option<GroupView>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let Some(header) = view.read(&keys.header(app, id), decode::<GroupHeader>)? else { return Ok(None) };
    group_of(&view, keys, app, id, header, with_members).map(Some)
}

fn group_of(
    view: &View<'_>,
    keys: Keys,
    app: AppId,
    id: &GroupId,
    header: GroupHeader,
    with_members: bool,
) -> Result<GroupView, DiskError> {
    let (slot, head) = (slot_of_group(app, id), Head::from(header));
    let (gno, facts) = (head.gno, head.facts);
    let lists = with_members && facts.kind.stores_members() && facts.member_count <= LISTED_MEMBERS_MAX;
    let mut profile = None;
    let mut members = lists.then(|| Vec::with_capacity(facts.member_count as usize));
    match &mut members {
        // Profile and members lie side by side: one scan reads both.
        Some(members) => {
            let (from, to) = keys.profile_and_members(slot, gno);
            view.scan(&from, &to, |_, value| {
                match profile {
                    None => profile = Some(decode::<ProfileRow>(value)),
                    Some(_) => members.push(member_view(decode(value), facts.kind)),
                }
                true
            })?;
        }
        None => profile = view.read(&keys.profile(slot, gno), decode::<ProfileRow>)?,
    }
    let Some(profile) = profile else { panic!("group {id} has a header and no profile row") };
    if let Some(members) = &mut members {
        by_join_time(members);
    }
    Ok(GroupView {
        id: id.clone(),
        facts,
        name: profile.name,
        introduction: profile.introduction,
        notification: profile.notification,
        face_url: profile.face_url,
        custom: profile.custom,
        members,
    })
}

/// Join order is join time already; only members of one moment are put in order of their ids.
fn by_join_time(members: &mut [MemberView]) {
    if !members.is_sorted_by(|a, b| (a.joined, &a.account) <= (b.joined, &b.account)) {
        members.sort_by(|a, b| (a.joined, &a.account).cmp(&(b.joined, &b.account)));
    }
}

/// A page of members, in join order.
pub fn members(rows: &Rows, app: AppId, id: &GroupId, query: &MemberQuery) -> Result<Option<MemberPage>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let Some(header) = view.read(&keys.header(app, id), decode::<GroupHeader>)? else { return Ok(None) };
    let (slot, head) = (slot_of_group(app, id), Head::from(header));
    let (gno, facts) = (head.gno, head.facts);
    let mut page = MemberPage { kind: facts.kind, member_count: facts.member_count, members: Vec::new(), next: None };
    if !facts.kind.stores_members() {
        return Ok(Some(page));
    }
    let wants = |role: Role| query.roles.is_empty() || query.roles.contains(&role);
    if !wants(Role::Member) {
        // Owner and admins have an index of their own, so their page costs what they are.
        listed_by_role(&view, keys, slot, gno, query, &mut page)?;
        return Ok(Some(page));
    }
    let (mut skip, start) = match query.from {
        PageStart::JoinSeq(join_seq) => (0, join_seq),
        PageStart::Offset(offset) if query.roles.is_empty() => {
            let Some((start, skip)) = place_of(&view, keys, slot, gno, offset)? else { return Ok(Some(page)) };
            (skip, start)
        }
        PageStart::Offset(offset) => (offset, 0),
    };
    let (from, to) = keys.members_from(slot, gno, start);
    view.scan(&from, &to, |key, value| {
        let row: MemberRow = decode(value);
        if !wants(role_of(row.role)) {
            return true;
        }
        if skip > 0 {
            skip -= 1;
            return true;
        }
        if page.members.len() == query.limit {
            page.next = join_seq_of_member(key);
            return false;
        }
        page.members.push(member_view(row, facts.kind));
        true
    })?;
    Ok(Some(page))
}

/// Where the member of that offset is: a place in join order, and how many to pass over from there.
fn place_of(view: &View<'_>, keys: Keys, slot: Slot, gno: Gno, offset: u64) -> Result<Option<(u64, u64)>, DiskError> {
    let (from, to) = keys.places(slot, gno);
    let mut left = offset;
    let mut found = None;
    view.scan(&from, &to, |key, value| {
        let count = u64::from(decode::<u16>(value));
        if left < count {
            if let Some(Key::Place { place, .. }) = Key::parse(key) {
                found = Some((place << PLACE_SHIFT, left));
            }
            return false;
        }
        left -= count;
        true
    })?;
    Ok(found)
}

fn listed_by_role(
    view: &View<'_>,
    keys: Keys,
    slot: Slot,
    gno: Gno,
    query: &MemberQuery,
    page: &mut MemberPage,
) -> Result<(), DiskError> {
    let mut places = Vec::new();
    let (from, to) = keys.roles(slot, gno);
    view.scan(&from, &to, |key, _| {
        if let Some(Key::Role { role, join_seq, .. }) = Key::parse(key)
            && query.roles.contains(&role_of(role))
        {
            places.push(join_seq);
        }
        true
    })?;
    places.sort_unstable();
    let mut places: &[u64] = &places;
    match query.from {
        PageStart::Offset(offset) => {
            places = &places[places.len().min(usize::try_from(offset).unwrap_or(usize::MAX))..];
        }
        PageStart::JoinSeq(from) => places = &places[places.partition_point(|p| *p < from)..],
    }
    page.next = places.get(query.limit).copied();
    for join_seq in places.iter().take(query.limit) {
        if let Some(row) = view.read(&keys.member(slot, gno, *join_seq), decode::<MemberRow>)? {
            page.members.push(member_view(row, page.kind));
        }
    }
    Ok(())
}

/// One joined group before anything about the group itself is read.
pub struct Joined {
    pub slot: Slot,
    pub gno: Gno,
    pub row: JoinedRow,
}

/// What an account has joined, filtered and in order.
pub fn joined(
    rows: &Rows,
    app: AppId,
    account: &AccountId,
    query: &JoinedQuery,
    leaves_out: impl Fn(Slot, Gno) -> bool,
) -> Result<Vec<Joined>, DiskError> {
    let view = rows.view();
    let (from, to) = Keys::new(view.generation()).all_joined(app, account);
    let mut all = Vec::new();
    view.scan(&from, &to, |key, value| {
        let Some(Key::Joined { group_slot, gno, .. }) = Key::parse(key) else { return true };
        let row: JoinedRow = decode(value);
        let kind = kind_of(row.kind);
        let wanted = query.kind.is_none_or(|k| k == kind)
            && query.support_topic.is_none_or(|t| t == row.has_topics())
            && (kind != Kind::AvChatRoom || query.with_live_rooms || query.kind == Some(Kind::AvChatRoom))
            && (row.is_active() || row.is_owner() || query.with_inactive);
        if wanted && !leaves_out(group_slot, gno) {
            all.push(Joined { slot: group_slot, gno, row });
        }
        true
    })?;
    all.sort_by(|a, b| (a.row.joined, &a.row.group.0).cmp(&(b.row.joined, &b.row.group.0)));
    Ok(all)
}

/// Fills in what was asked of a joined group; `None`: it is gone by now.
pub fn joined_group(
    rows: &Rows,
    app: AppId,
    account: &AccountId,
    joined: &Joined,
    query: &JoinedQuery,
) -> Result<Option<JoinedGroup>, DiskError> {
    let id = joined.row.group.0.clone();
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let Some(header) = view.read(&keys.header(app, &id), decode::<GroupHeader>)? else { return Ok(None) };
    if header.gno != joined.gno.0 {
        return Ok(None);
    }
    let kind = kind_of(header.kind);
    let mut own = None;
    if query.with_own
        && let Some(key) = view.read(&keys.member_key(joined.slot, joined.gno, account), decode::<MemberKey>)?
    {
        let row = view.read(&keys.member(joined.slot, joined.gno, key.join_seq), decode::<MemberRow>)?;
        own = row.filter(|row| row.account == AccountText(account.clone())).map(|row| member_view(row, kind));
    }
    let group = match query.with_group {
        true => Some(group_of(&view, keys, app, &id, header, false)?),
        false => None,
    };
    Ok(Some(JoinedGroup { id, group, own }))
}

/// A page of a list that is complete.
pub fn page(all: Vec<Joined>, query: &JoinedQuery) -> (usize, Vec<Joined>) {
    let total = all.len();
    (total, all.into_iter().skip(query.offset).take(query.limit).collect())
}

/// The plain list: ids alone.
pub fn ids_only(total: usize, page: Vec<Joined>) -> JoinedList {
    let groups = page.into_iter().map(|j| JoinedGroup { id: j.row.group.0, group: None, own: None }).collect();
    JoinedList { total, groups }
}
