//! Who may not speak, and who may not enter.

use muster_cluster::{DiskError, Rows};

use super::open;
use crate::id::{AppId, GroupId};
use crate::shard::codes::is_over;
use crate::shard::view::{BanPage, BanQuery, MutedList};
use crate::store::{BanRow, Key, decode};

/// Everybody muted at `now_secs` (Unix seconds), members or not, by account.
pub fn muted(rows: &Rows, app: AppId, id: &GroupId, now_secs: u64) -> Result<Option<MutedList>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let mut muted = Vec::new();
    let (from, to) = group.keys.mutes(group.slot, group.gno);
    group.view.scan(&from, &to, |key, value| {
        let until = decode::<u64>(value);
        if let Some(Key::Mute { account, .. }) = Key::parse(key)
            && !is_over(until, now_secs)
        {
            muted.push((account, until));
        }
        true
    })?;
    Ok(Some(MutedList { kind: group.facts.kind, muted }))
}

/// A page of bans, by account. It walks over what it skips: bans in force have no number of their own.
pub fn bans(rows: &Rows, app: AppId, id: &GroupId, query: &BanQuery) -> Result<Option<BanPage>, DiskError> {
    let Some(group) = open(rows, app, id)? else { return Ok(None) };
    let mut page = BanPage { kind: group.facts.kind, banned: Vec::new(), has_more: false };
    let mut skip = query.offset;
    let (from, to) = group.keys.bans(group.slot, group.gno);
    group.view.scan(&from, &to, |key, value| {
        let until = decode::<BanRow>(value).until;
        let Some(Key::Ban { account, .. }) = Key::parse(key) else { return true };
        if is_over(until, query.now_secs) {
            return true;
        }
        if skip > 0 {
            skip -= 1;
            return true;
        }
        if page.banned.len() == query.limit {
            page.has_more = true;
            return false;
        }
        page.banned.push((account, until));
        true
    })?;
    Ok(Some(page))
}
