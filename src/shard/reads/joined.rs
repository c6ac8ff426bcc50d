//! What an account has joined.

use muster_cluster::{DiskError, Rows, Slot};

use super::groups::{group_of, head};
use super::members::member_view;
use crate::group::Kind;
use crate::id::{AccountId, AppId, Gno};
use crate::shard::codes::kind_of;
use crate::shard::view::{JoinedGroup, JoinedList, JoinedQuery};
use crate::store::{AccountHeader, AccountText, GroupHeader, JoinedRow, Key, Keys, MemberKey, MemberRow, decode};

/// One joined group before anything about the group itself is read.
pub struct Joined {
    pub slot: Slot,
    pub gno: Gno,
    pub row: JoinedRow,
}

impl Joined {
    /// Whether only the group itself can say if it matches a filter by topics.
    pub fn may_have_topics(&self) -> bool {
        may_have_topics(&self.row)
    }
}

/// Groups that an account has joined, those of running disbands included: how long its list is to read.
pub fn joined_count(rows: &Rows, app: AppId, account: &AccountId) -> Result<u64, DiskError> {
    let keys = Keys::new(rows.generation());
    let header = rows.read(&keys.account(app, account), decode::<AccountHeader>)?;
    Ok(header.unwrap_or_default().joined_count)
}

/// Topics can be enabled after an account has joined, and its row is not told; they are never disabled again.
fn may_have_topics(row: &JoinedRow) -> bool {
    kind_of(row.kind) == Kind::Community && !row.has_topics()
}

/// What an account has joined, filtered and in order. A filter by topics needs [`keep_by_topics`] besides.
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
            && query.support_topic.is_none_or(|t| t == row.has_topics() || may_have_topics(&row))
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

/// Asks the groups themselves about topics, where the joined rows do not know.
///
/// `rows_of` finds the rows of a slot's shard.
pub fn keep_by_topics<'r>(
    all: Vec<Joined>,
    rows_of: impl Fn(Slot) -> &'r Rows,
    app: AppId,
    has_topics: bool,
) -> Result<Vec<Joined>, DiskError> {
    let mut kept = Vec::with_capacity(all.len());
    for joined in all {
        let fits = match joined.may_have_topics() {
            false => true,
            true => {
                let head = head(rows_of(joined.slot), app, &joined.row.group.0)?;
                head.is_some_and(|head| head.gno == joined.gno && head.facts.support_topic == has_topics)
            }
        };
        if fits {
            kept.push(joined);
        }
    }
    Ok(kept)
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
        let row = view.read(&keys.member(joined.slot, joined.gno, key.join_seq), MemberRow::decode)?;
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
