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
    /// Groups whose jobs are done, while messages that tell of their end are in the outbox.
    pub untold: Vec<Job>,
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
    recovery.untold = untold(&recovery.outbox, &recovery.jobs);
    Ok(recovery)
}

fn untold(outbox: &[OutboxRow], jobs: &[Job]) -> Vec<Job> {
    let mut untold: Vec<Job> = outbox
        .iter()
        .flat_map(|row| row.effects.iter())
        .filter_map(|effect| match effect {
            Effect::Ended { slot, gno, .. } => Some(Job { slot: Slot(*slot), gno: Gno(*gno) }),
            _ => None,
        })
        .filter(|job| !jobs.contains(job))
        .collect();
    untold.sort_unstable_by_key(|job| (job.slot, job.gno));
    untold.dedup();
    untold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GroupId;
    use crate::store::{FeedRow, GroupText};

    fn ended(seq: u64, gno: u64) -> OutboxRow {
        let report = FeedRow {
            event_id: "1-2-3".into(),
            at: 1,
            report_type: 5,
            group: GroupText(GroupId::parse("g").expect("an id")),
            group_name: String::new(),
            kind: 1,
            operator: String::new(),
            remark: String::new(),
            value: 0,
        };
        let ended = Effect::Ended { app: 1, accounts: Vec::new(), slot: 9, gno, report };
        let other = Effect::Quota { app: 1, day: 1, delta: -1 };
        OutboxRow { target: ShardId(1), seq, effects: Arc::new(vec![other, ended]) }
    }

    #[test]
    fn an_end_that_not_everybody_has_heard_of_outlives_its_job() {
        let job = |gno| Job { slot: Slot(9), gno: Gno(gno) };
        let outbox = [ended(1, 4), ended(2, 5), ended(3, 4), ended(4, 6)];
        assert_eq!(untold(&outbox, &[job(5)]), [job(4), job(6)]);
    }
}
