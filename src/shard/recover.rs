//! What a new leader reads of its shard before it serves; runs where waiting is allowed.

use std::sync::Arc;

use muster_cluster::{DiskError, Rows, ShardId, Slot};

use super::{Effect, Job, OutboxRow};
use crate::id::Gno;
use crate::store::{JobRow, Key, Keys, OutboxHead, ShardRow, decode};

/// What a leadership begins with.
#[derive(Debug, Default)]
pub struct Recovery {
    pub last_stamp: u64,
    pub heads: Vec<(ShardId, OutboxHead)>,
    pub outbox: Vec<OutboxRow>,
    pub cursors: Vec<(ShardId, u64)>,
    pub jobs: Vec<Job>,
}

/// Reads it.
///
/// # Errors
/// A row that cannot be read: the shard must not be served.
pub fn recover(rows: &Rows, shard: ShardId, shards: u16) -> Result<Recovery, DiskError> {
    let keys = Keys::new(rows.generation());
    let view = rows.view();
    let mut recovery = Recovery {
        last_stamp: view.read(&keys.shard(shard), decode::<ShardRow>)?.unwrap_or_default().last_stamp,
        ..Recovery::default()
    };
    for other in (0..shards).map(ShardId) {
        if let Some(head) = view.read(&keys.outbox_head(shard, other), decode::<OutboxHead>)? {
            recovery.heads.push((other, head));
            let (from, to) = (keys.outbox(shard, other, head.first), keys.outbox(shard, other, head.next));
            view.scan(&from, &to, |key, value| {
                if let Some(Key::Outbox { target, seq, .. }) = Key::parse(key) {
                    let effects = Arc::new(decode::<Vec<Effect>>(value));
                    recovery.outbox.push(OutboxRow { target, seq, effects });
                }
                true
            })?;
        }
        if let Some(cursor) = view.read(&keys.inbox_cursor(shard, other), decode::<u64>)? {
            recovery.cursors.push((other, cursor));
        }
    }
    let (from, to) = keys.all_jobs(shard);
    view.scan(&from, &to, |key, value| {
        if let Some(Key::Job { gno, .. }) = Key::parse(key) {
            recovery.jobs.push(Job { slot: Slot(decode::<JobRow>(value).slot), gno: Gno(gno.0) });
        }
        true
    })?;
    Ok(recovery)
}
