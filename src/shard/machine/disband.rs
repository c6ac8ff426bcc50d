//! The end of a group: its id is free at once, its members are told and deleted in chunks.

use muster_cluster::{DiskError, Row, ShardId, Slot};

use super::events::{Change, Ended};
use super::{AppliedProposal, EventIds, Job, Outcome, Turn};
use crate::id::{AppId, Gno};
use crate::shard::codes::{kind_byte, kind_of};
use crate::shard::entry::Effect;
use crate::shard::lookup::shard_of_account;
use crate::store::keys::Keys;
use crate::store::{AccountText, FeedRow, JobRow, MemberRow, decode, encode};

/// Members of a disbanded group that one entry tells and deletes: bounds what a turn of apply costs, as other groups
/// of the shard wait for it.
pub const DISBAND_CHUNK: usize = 128;

impl Turn<'_, '_> {
    /// Frees the id of a disbanded group, tells the first members and leaves a job for the rest.
    pub(super) fn end(
        &mut self,
        change: Change,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<(), DiskError> {
        let Some(Ended { kind, owner, member_count }) = change.ended else {
            panic!("group {} vanished without being disbanded", change.id);
        };
        let name = self.writer.profile(change.slot, change.gno)?.name;
        self.writer.remove_head(change.app, &change.id);
        self.writer.settle_left(change.slot, change.gno);
        let index = self.writer.keys.index(change.slot, change.app, kind_byte(kind), change.gno);
        self.writer.tx.delete(index);
        self.writer.count_groups(change.app, kind_byte(kind), -1)?;
        let job = JobRow {
            slot: change.slot.0,
            app: change.app.0,
            group: change.id.into(),
            kind: kind_byte(kind),
            name,
            operator: change.operator.as_str().to_owned(),
            at: change.at.0,
            event_id: ids.next(),
            gone_before: Vec::new(),
        };
        self.writer.tx.put(self.writer.keys.job(self.writer.shard, change.gno), encode(&job));
        // The owner of a live room is recorded and is no member, unless it is one of the admins.
        if let Some(owner) = owner.filter(|_| !kind.stores_members())
            && self.writer.member_key(change.slot, change.gno, &owner)?.is_none()
        {
            let report = report_of(&job);
            effects.push(Effect::Told { app: job.app, account: AccountText(owner), report });
        }
        // Whoever disbands a large group does not wait for its members.
        if member_count > DISBAND_CHUNK {
            applied.jobs.push(Job { slot: change.slot, gno: change.gno });
            return Ok(());
        }
        self.tell_next(change.gno, job, effects, applied)
    }

    /// Tells and deletes the next members; then deletes what else the group had; then the job.
    pub(super) fn disband_step(
        &mut self,
        gno: Gno,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<Outcome, DiskError> {
        let Some(mut job) = self.writer.tx.read(&self.writer.keys.job(self.writer.shard, gno), decode::<JobRow>)?
        else {
            return Ok(Outcome::Conflict);
        };
        if job.event_id.is_empty() {
            // A job of an earlier release: everybody heard of another event.
            job.event_id = ids.next();
        }
        self.tell_next(gno, job, effects, applied)?;
        Ok(Outcome::Applied)
    }

    fn tell_next(
        &mut self,
        gno: Gno,
        mut job: JobRow,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<(), DiskError> {
        let slot = Slot(job.slot);
        let counts_members = kind_of(job.kind).stores_members();
        let report = report_of(&job);
        let mut budget = DISBAND_CHUNK;
        let mut gone_before = self.writer.keys.in_generation(&job.gone_before);
        let (from, to) = self.writer.keys.all_members(slot, gno);
        let members = self.next_rows(&mut gone_before, &from, &to, &mut budget)?;
        let mut by_shard: Vec<(ShardId, Vec<AccountText>)> = Vec::new();
        for (key, value) in members {
            let MemberRow { account, .. } = MemberRow::decode(&value);
            self.writer.tx.delete(self.writer.keys.member_key(slot, gno, &account.0));
            self.writer.tx.delete(key.to_vec());
            if !counts_members {
                // An admin of a live room is in no joined list that would have to be shortened.
                effects.push(Effect::Told { app: job.app, account, report: report.clone() });
                continue;
            }
            let target = shard_of_account(AppId(job.app), &account.0, self.writer.shards);
            match by_shard.iter_mut().find(|(shard, _)| *shard == target) {
                Some((_, accounts)) => accounts.push(account),
                None => by_shard.push((target, vec![account])),
            }
        }
        for (_, accounts) in by_shard {
            effects.push(Effect::Ended { app: job.app, accounts, slot: slot.0, gno: gno.0, report: report.clone() });
        }
        if budget > 0 {
            self.writer.tx.delete(self.writer.keys.profile(slot, gno));
        }
        for (from, to) in self.writer.keys.beside_members(slot, gno) {
            for (key, _) in self.next_rows(&mut gone_before, &from, &to, &mut budget)? {
                self.writer.tx.delete(key.to_vec());
            }
        }
        let key = self.writer.keys.job(self.writer.shard, gno);
        if budget > 0 {
            self.writer.tx.delete(key);
            applied.jobs_done.push(Job { slot, gno });
        } else {
            job.gone_before = Keys::without_generation(&gone_before);
            self.writer.tx.put(key, encode(&job));
            applied.jobs.push(Job { slot, gno });
        }
        Ok(())
    }

    /// Rows of a range that are still there, as many as the budget allows, which they use up; moves the mark behind
    /// them, or behind the range if it holds no more.
    fn next_rows(
        &self,
        gone_before: &mut Vec<u8>,
        from: &[u8],
        to: &[u8],
        budget: &mut usize,
    ) -> Result<Vec<Row>, DiskError> {
        if *budget == 0 {
            return Ok(Vec::new());
        }
        let rows = self.writer.tx.scan(from.max(gone_before), to, *budget)?;
        *budget -= rows.len();
        match rows.last().filter(|_| *budget == 0) {
            Some((last, _)) => {
                gone_before.clear();
                gone_before.extend_from_slice(last);
                gone_before.push(0);
            }
            None => *gone_before = to.max(gone_before).to_vec(),
        }
        Ok(rows)
    }
}

/// Report 5. Source: docs/spec/events.md 1.
fn report_of(job: &JobRow) -> FeedRow {
    FeedRow {
        event_id: job.event_id.clone(),
        at: job.at,
        report_type: 5,
        group: job.group.clone(),
        group_name: job.name.clone(),
        kind: job.kind,
        operator: job.operator.clone(),
        remark: String::new(),
        value: 0,
    }
}
