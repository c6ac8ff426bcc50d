//! The end of a group: its id is free at once, its members are told and deleted in chunks.

use muster_cluster::{DiskError, Slot};

use super::events::{Change, Ended};
use super::{AppliedProposal, EventIds, Job, Outcome, Turn};
use crate::id::{AccountId, Gno};
use crate::shard::codes::{kind_byte, kind_of};
use crate::shard::entry::Effect;
use crate::store::{AccountText, FeedRow, JobRow, MemberKey, MemberRow, decode, encode};

/// Members of a disbanded group that one entry tells and deletes: bounds what a turn of apply costs.
pub const DISBAND_CHUNK: usize = 500;

impl Turn<'_, '_> {
    /// Frees the id of a disbanded group, tells the first members and leaves a job for the rest.
    pub(super) fn end(
        &mut self,
        change: Change,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<(), DiskError> {
        let Some(Ended { kind, owner }) = change.ended else {
            panic!("group {} vanished without being disbanded", change.id);
        };
        let name = self.writer.profile(change.slot, change.gno)?.name;
        self.writer.remove_head(change.app, &change.id);
        self.writer.forget_places(change.slot, change.gno);
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
        };
        self.writer.tx.put(self.writer.keys.job(self.writer.shard, change.gno), encode(&job));
        let event_id = ids.next();
        // The owner of a live room is recorded and is no member, unless it is one of the admins.
        if let Some(owner) = owner.filter(|_| !kind.stores_members())
            && self.writer.member_key(change.slot, change.gno, &owner)?.is_none()
        {
            let report = report_of(&job, event_id.clone());
            effects.push(Effect::Told { app: job.app, account: AccountText(owner), report });
        }
        self.tell_next(change.gno, job, event_id, effects, applied)
    }

    /// Tells and deletes the next members; then deletes what else the group had; then the job.
    pub(super) fn disband_step(
        &mut self,
        gno: Gno,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<Outcome, DiskError> {
        let Some(job) = self.writer.tx.read(&self.writer.keys.job(self.writer.shard, gno), decode::<JobRow>)? else {
            return Ok(Outcome::Conflict);
        };
        self.tell_next(gno, job, ids.next(), effects, applied)?;
        Ok(Outcome::Applied)
    }

    fn tell_next(
        &mut self,
        gno: Gno,
        job: JobRow,
        event_id: String,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<(), DiskError> {
        let slot = Slot(job.slot);
        let counts_members = kind_of(job.kind).stores_members();
        let report = report_of(&job, event_id);
        let (from, to) = self.writer.keys.members_from(slot, gno, 0);
        let members = self.writer.tx.scan(&from, &to, DISBAND_CHUNK)?;
        let mut budget = DISBAND_CHUNK - members.len();
        for (key, value) in &members {
            let row: MemberRow = decode(value);
            let account = row.account.0;
            let Some(member) = self.writer.member_key(slot, gno, &account)? else {
                panic!("gno {gno} lists {account} by place and not by name");
            };
            debug_assert_eq!(&self.writer.keys.member(slot, gno, member.join_seq)[..], &key[..]);
            self.delete_for_ever(slot, gno, &account, member);
            let (app, account, report) = (job.app, AccountText(account), report.clone());
            effects.push(match counts_members {
                true => Effect::Left { app, account, slot: slot.0, gno: gno.0, report: Some(report) },
                // An admin of a live room is in no joined list that would have to be shortened.
                false => Effect::Told { app, account, report },
            });
        }
        if budget > 0 {
            let (from, to) = self.writer.keys.whole_group(slot, gno);
            let rest = self.writer.tx.scan(&from, &to, budget)?;
            budget -= rest.len();
            for (key, _) in rest {
                self.writer.tx.delete(key.to_vec());
            }
        }
        let job = Job { slot, gno };
        if budget > 0 {
            self.writer.tx.delete(self.writer.keys.job(self.writer.shard, gno));
            applied.jobs_done.push(job);
        } else {
            applied.jobs.push(job);
        }
        Ok(())
    }

    /// Deletes a member of a group that is no more: its place counters go with the group's other rows.
    fn delete_for_ever(&mut self, slot: Slot, gno: Gno, account: &AccountId, member: MemberKey) {
        let keys = self.writer.keys;
        self.writer.tx.delete(keys.member_key(slot, gno, account));
        self.writer.tx.delete(keys.member(slot, gno, member.join_seq));
    }
}

/// Report 5. Source: docs/spec/events.md 1.
fn report_of(job: &JobRow, event_id: String) -> FeedRow {
    FeedRow {
        event_id,
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
