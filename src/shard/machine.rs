//! The machine of a shard: committed entries become rows, in log order.
//!
//! It compares fences, folds events, writes rows, outbox and inbox cursors of an entry together, and says what
//! came of each item. It judges nothing: that happened before the entry was proposed.
//! It tells nobody anything itself: outcomes leave once the rows are written.

use std::sync::Arc;

use muster_cluster::{Committed, DiskError, Payload, Release, ShardId, ShardMachine, Slot, Transaction};

use super::codes::{Head, apply_join_byte, invite_join_byte, kind_byte, member_of};
use super::entry::{Delivery, Effect, GroupEntry, Item, Proposal};
use super::lookup::slot_of;
use super::rows::{Count, Writer, change_texts};
use crate::group::{self, Event, Group, Kind, Notice, ProfileChange, Report, Tip};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::{
    AccountText, FeedRow, JobRow, JoinedRow, MemberKey, MemberRow, ProfileRow, ShardRow, TipChange, decode, encode,
};
use crate::time::Stamp;

/// Members of a disbanded group that one entry tells and deletes: bounds what a turn of apply costs.
pub const DISBAND_CHUNK: usize = 500;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Decided on a state that is no more, or in another term; nothing was written.
    Conflict,
}

/// An outbox row that this apply wrote.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub target: ShardId,
    pub seq: u64,
    pub effects: Arc<Vec<Effect>>,
}

/// A disbanded group with members left to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub slot: Slot,
    pub gno: Gno,
}

/// What became of a proposal.
#[derive(Debug)]
pub struct AppliedProposal {
    pub seq: u64,
    /// One per item.
    pub outcomes: Vec<Outcome>,
    pub outbox: Vec<OutboxRow>,
    /// Jobs that have more to do.
    pub jobs: Vec<Job>,
    /// Jobs whose last members have been told by this proposal.
    pub jobs_done: Vec<Job>,
    /// Counts that this proposal changed here, one by one.
    pub counts: Vec<Count>,
    /// Source and sequence of deliveries that are applied now.
    pub deliveries: Vec<(ShardId, u64)>,
}

/// What one log entry came to.
#[derive(Debug)]
pub struct Applied {
    /// The term in the entry's own log id.
    pub term: u64,
    pub stamp: Stamp,
    /// `None`: the first entry of a leadership.
    pub proposal: Option<AppliedProposal>,
}

/// Hears what was applied, after it was written, in log order; called on the writer thread.
pub type Sink = Arc<dyn Fn(Vec<Applied>) + Send + Sync>;

/// The state of one shard.
pub struct Machine {
    shard: ShardId,
    shards: u16,
    sink: Sink,
    /// Read from its row at the first apply; this machine is the only writer.
    row: Option<ShardRow>,
}

impl Machine {
    pub fn new(shard: ShardId, shards: u16, sink: Sink) -> Self {
        Self { shard, shards, sink, row: None }
    }
}

impl ShardMachine for Machine {
    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        let writer = Writer::new(tx, self.shard, self.shards);
        let row = match self.row {
            Some(row) => row,
            None => writer.shard_row()?,
        };
        let mut entry = Turn { writer, row };
        let mut applied = Vec::with_capacity(entries.len());
        for committed in entries {
            let proposal = match &committed.payload {
                Payload::Membership => continue,
                Payload::Blank => None,
                Payload::Data(bytes) => {
                    let proposal = Proposal::decode(bytes).unwrap_or_else(|error| {
                        panic!("entry {} of shard {} does not decode: {error}", committed.index, self.shard.0)
                    });
                    Some(entry.proposal(committed, proposal)?)
                }
            };
            applied.push(Applied { term: committed.term, stamp: Stamp(entry.row.last_stamp), proposal });
        }
        let Turn { mut writer, row } = entry;
        if self.row != Some(row) {
            writer.set_shard_row(row);
            self.row = Some(row);
        }
        writer.finish();
        if applied.is_empty() {
            return Ok(None);
        }
        let sink = self.sink.clone();
        Ok(Some(Box::new(move || sink(applied))))
    }
}

/// One apply under way.
struct Turn<'a, 'tx> {
    writer: Writer<'a, 'tx>,
    row: ShardRow,
}

/// Numbers the events of one log entry, so that everybody who hears of one hears the same id.
struct EventIds {
    shard: ShardId,
    index: u64,
    next: u32,
}

impl EventIds {
    fn next(&mut self) -> String {
        self.next += 1;
        format!("{:x}-{:x}-{:x}", self.shard.0, self.index, self.next)
    }
}

impl Turn<'_, '_> {
    fn proposal(&mut self, committed: &Committed, proposal: Proposal) -> Result<AppliedProposal, DiskError> {
        let mut applied = AppliedProposal {
            seq: proposal.seq,
            outcomes: Vec::with_capacity(proposal.items.len()),
            outbox: Vec::new(),
            jobs: Vec::new(),
            jobs_done: Vec::new(),
            counts: Vec::new(),
            deliveries: Vec::new(),
        };
        if proposal.term != committed.term {
            applied.outcomes.resize(proposal.items.len(), Outcome::Conflict);
            return Ok(applied);
        }
        let mut ids = EventIds { shard: self.writer.shard, index: committed.index, next: 0 };
        let mut effects = Vec::new();
        for item in proposal.items {
            let outcome = match item {
                Item::Group(entry) => self.group(entry, &mut ids, &mut effects, &mut applied)?,
                Item::Inbox(delivery) => self.inbox(delivery, &mut applied)?,
                Item::OutboxAck { target, through } => self.outbox_ack(ShardId(target), through)?,
                Item::DisbandStep { gno } => self.disband_step(Gno(gno), &mut ids, &mut effects, &mut applied)?,
            };
            applied.outcomes.push(outcome);
        }
        self.send(effects, &mut applied)?;
        Ok(applied)
    }

    /// Folds what belongs here; the rest leaves in one outbox row per target.
    fn send(&mut self, effects: Vec<Effect>, applied: &mut AppliedProposal) -> Result<(), DiskError> {
        let mut by_target: Vec<(ShardId, Vec<Effect>)> = Vec::new();
        for effect in effects {
            let target = self.writer.target_of(&effect);
            if target == self.writer.shard {
                self.fold(&effect, applied)?;
                continue;
            }
            match by_target.iter_mut().find(|(t, _)| *t == target) {
                Some((_, list)) => list.push(effect),
                None => by_target.push((target, vec![effect])),
            }
        }
        for (target, effects) in by_target {
            let mut head = self.writer.outbox_head(target)?;
            let seq = head.next;
            head.next += 1;
            self.writer.set_outbox_head(target, head);
            self.writer.tx.put(self.writer.keys.outbox(self.writer.shard, target, seq), encode(&effects));
            applied.outbox.push(OutboxRow { target, seq, effects: Arc::new(effects) });
        }
        Ok(())
    }

    fn fold(&mut self, effect: &Effect, applied: &mut AppliedProposal) -> Result<(), DiskError> {
        applied.counts.extend(self.writer.fold(effect)?);
        Ok(())
    }

    fn inbox(&mut self, delivery: Delivery, applied: &mut AppliedProposal) -> Result<Outcome, DiskError> {
        let source = ShardId(delivery.source);
        let mut cursor = self.writer.inbox_cursor(source)?;
        for (seq, effects) in delivery.rows {
            if seq <= cursor {
                continue;
            }
            if seq != cursor + 1 {
                // A gap: the courier begins again behind the cursor.
                break;
            }
            for effect in &effects {
                self.fold(effect, applied)?;
            }
            cursor = seq;
        }
        self.writer.set_inbox_cursor(source, cursor);
        applied.deliveries.push((source, cursor));
        Ok(Outcome::Applied)
    }

    fn outbox_ack(&mut self, target: ShardId, through: u64) -> Result<Outcome, DiskError> {
        let mut head = self.writer.outbox_head(target)?;
        while head.first <= through && head.first < head.next {
            self.writer.tx.delete(self.writer.keys.outbox(self.writer.shard, target, head.first));
            head.first += 1;
        }
        self.writer.set_outbox_head(target, head);
        Ok(Outcome::Applied)
    }

    fn group(
        &mut self,
        entry: GroupEntry,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<Outcome, DiskError> {
        let (app, id) = (AppId(entry.app), entry.group.0);
        let head = self.writer.head(app, &id)?;
        if head.as_ref().map(|h| h.version) != entry.base {
            return Ok(Outcome::Conflict);
        }
        self.row.last_stamp = self.row.last_stamp.max(entry.at);
        let events: Vec<Event> = entry.events.into_iter().map(Event::from).collect();
        let notices: Vec<Notice> = entry.notices.into_iter().map(Notice::from).collect();

        let is_new = head.is_none();
        let slot = slot_of(app, &id);
        let (gno, mut group) = match head {
            Some(head) => (head.gno, Some(Group::new(head.facts))),
            None => {
                let gno = Gno(self.row.next_gno);
                self.row.next_gno += 1;
                (gno, None)
            }
        };
        let mut change = Change {
            app,
            id,
            slot,
            gno,
            at: Stamp(entry.at),
            operator: entry.operator.0,
            name: None,
            joined: Vec::new(),
            left: Vec::new(),
            ended: None,
        };
        for event in &events {
            self.event(&mut group, event, &mut change, is_new, &notices)?;
        }
        self.notices(&mut group, &notices, &mut change, ids, effects)?;
        if let Some(day) = entry.quota_day {
            let delta = i64::from(is_new) - i64::from(change.ended.is_some());
            if delta != 0 {
                effects.push(Effect::Quota { app: app.0, day, delta });
            }
        }
        match group {
            Some(group) => {
                let head = Head { gno, version: entry.next, facts: group.facts().clone() };
                self.writer.set_head(app, &change.id, head);
            }
            None => self.end(change, ids, effects, applied)?,
        }
        Ok(Outcome::Applied)
    }

    /// Folds one event into facts and rows.
    fn event(
        &mut self,
        group: &mut Option<Group>,
        event: &Event,
        change: &mut Change,
        is_new: bool,
        notices: &[Notice],
    ) -> Result<(), DiskError> {
        let (slot, gno) = (change.slot, change.gno);
        match event {
            Event::Created(created) => {
                group::evolve(group, event);
                let profile = ProfileRow {
                    name: created.name.clone(),
                    introduction: created.introduction.clone(),
                    notification: created.notification.clone(),
                    face_url: created.face_url.clone(),
                    custom: created.custom.clone(),
                };
                self.writer.set_profile(slot, gno, &profile);
                let index = self.writer.keys.index(slot, change.app, kind_byte(created.kind), gno);
                self.writer.tx.put(index, change.id.as_str().as_bytes().to_vec());
                change.name = Some(profile.name);
            }
            Event::MembersAdded { members, at } => {
                let Some(facts) = group.as_ref().map(|g| g.facts().clone()) else {
                    panic!("members join group {} which does not exist", change.id);
                };
                // A newcomer has nothing unread, the tip about the joining included.
                let tips = notices.iter().filter(|n| matches!(n, Notice::Tip { .. })).count() as u64;
                let msg_seq = if is_new { 0 } else { facts.next_msg_seq - 1 + tips };
                for (member, join_seq) in members.iter().zip(facts.next_join_seq..) {
                    self.writer.insert_member(slot, gno, join_seq, member, *at, msg_seq)?;
                    if let Some(group) = group.as_mut() {
                        group.learn(member.account.clone(), None);
                    }
                    let is_owner = facts.owner.as_ref() == Some(&member.account);
                    let row = JoinedRow {
                        group: change.id.clone().into(),
                        kind: kind_byte(facts.kind),
                        joined: at.0,
                        join_seq,
                        flags: JoinedRow::flags(is_owner, facts.active, facts.support_topic),
                    };
                    change.joined.push((member.account.clone(), row));
                }
                group::evolve(group, event);
            }
            Event::MembersRemoved { accounts, .. } => {
                for account in accounts {
                    let Some(row) = self.writer.member_key(slot, gno, account)? else {
                        panic!("{account} is removed from group {} but is no member", change.id);
                    };
                    if let Some(group) = group.as_mut() {
                        group.learn(account.clone(), Some(member_of(&row)));
                    }
                    self.writer.delete_member(slot, gno, account, row)?;
                    change.left.push(account.clone());
                }
                group::evolve(group, event);
            }
            Event::ProfileChanged { changes, .. } => {
                let mut profile = self.writer.profile(slot, gno)?;
                change_texts(&mut profile, changes);
                self.writer.set_profile(slot, gno, &profile);
                group::evolve(group, event);
            }
            Event::Destroyed { .. } => {
                change.ended = group.as_ref().map(|g| g.facts().kind);
                group::evolve(group, event);
            }
        }
        Ok(())
    }

    /// Writes tips into the group's log and pairs reports with the effects on the accounts they are for.
    fn notices(
        &mut self,
        group: &mut Option<Group>,
        notices: &[Notice],
        change: &mut Change,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
    ) -> Result<(), DiskError> {
        let mut reports: Vec<(&AccountId, FeedRow)> = Vec::new();
        for notice in notices {
            match notice {
                Notice::Tip { operator, tip } => {
                    let Some(group) = group.as_mut() else { continue };
                    let seq = group.facts().next_msg_seq;
                    let row = tip_row(tip, operator, ids.next(), change.at);
                    self.writer.append_tip(change.slot, change.gno, seq, &row);
                    group::evolve_notice(group, notice);
                }
                Notice::Report { to, operator, report } => {
                    let Some(kind) = group.as_ref().map(|g| g.facts().kind) else { continue };
                    let name = match &change.name {
                        Some(name) => name.clone(),
                        None => {
                            let name = self.writer.profile(change.slot, change.gno)?.name;
                            change.name = Some(name.clone());
                            name
                        }
                    };
                    let (number, remark) = match report {
                        Report::Kicked { reason } => (4, reason.clone()),
                        Report::GroupCreated => (6, String::new()),
                        Report::Invited => (7, String::new()),
                    };
                    let row = FeedRow {
                        event_id: ids.next(),
                        at: change.at.0,
                        report_type: number,
                        group: change.id.clone().into(),
                        group_name: name,
                        kind: kind_byte(kind),
                        operator: operator.as_str().to_owned(),
                        remark,
                    };
                    reports.extend(to.iter().map(|account| (account, row.clone())));
                }
            }
        }
        let mut report_for = |account: &AccountId| {
            let at = reports.iter().position(|(to, _)| *to == account)?;
            Some(reports.swap_remove(at).1)
        };
        for (account, row) in change.joined.drain(..) {
            effects.push(Effect::Joined {
                app: change.app.0,
                report: report_for(&account),
                account: AccountText(account),
                slot: change.slot.0,
                gno: change.gno.0,
                row,
            });
        }
        for account in change.left.drain(..) {
            effects.push(Effect::Left {
                app: change.app.0,
                report: report_for(&account),
                account: AccountText(account),
                slot: change.slot.0,
                gno: change.gno.0,
            });
        }
        // What is left is for accounts that neither join nor leave: the recorded owner of a live room.
        for (account, report) in reports {
            effects.push(Effect::Told { app: change.app.0, account: AccountText(account.clone()), report });
        }
        Ok(())
    }

    /// Frees the id of a disbanded group, tells the first members and leaves a job for the rest.
    fn end(
        &mut self,
        change: Change,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<(), DiskError> {
        let Some(kind) = change.ended else {
            panic!("group {} vanished without being disbanded", change.id);
        };
        let name = self.writer.profile(change.slot, change.gno)?.name;
        self.writer.remove_head(change.app, &change.id);
        self.writer.forget_places(change.slot, change.gno);
        let index = self.writer.keys.index(change.slot, change.app, kind_byte(kind), change.gno);
        self.writer.tx.delete(index);
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
        self.disband_step(change.gno, ids, effects, applied)?;
        Ok(())
    }

    /// Tells and deletes the next members; then deletes what else the group had; then the job.
    fn disband_step(
        &mut self,
        gno: Gno,
        ids: &mut EventIds,
        effects: &mut Vec<Effect>,
        applied: &mut AppliedProposal,
    ) -> Result<Outcome, DiskError> {
        let job_key = self.writer.keys.job(self.writer.shard, gno);
        let Some(job) = self.writer.tx.read(&job_key, decode::<JobRow>)? else {
            return Ok(Outcome::Conflict);
        };
        let slot = Slot(job.slot);
        let report = FeedRow {
            event_id: ids.next(),
            at: job.at,
            report_type: 5,
            group: job.group,
            group_name: job.name,
            kind: job.kind,
            operator: job.operator,
            remark: String::new(),
        };
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
            effects.push(Effect::Left {
                app: job.app,
                account: AccountText(account),
                slot: slot.0,
                gno: gno.0,
                report: Some(report.clone()),
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
            self.writer.tx.delete(job_key);
            applied.jobs_done.push(job);
        } else {
            applied.jobs.push(job);
        }
        Ok(Outcome::Applied)
    }

    /// Deletes a member of a group that is no more: its place counters go with the group's other rows.
    fn delete_for_ever(&mut self, slot: Slot, gno: Gno, account: &AccountId, member: MemberKey) {
        let keys = self.writer.keys;
        self.writer.tx.delete(keys.member_key(slot, gno, account));
        self.writer.tx.delete(keys.member(slot, gno, member.join_seq));
    }
}

/// One group's change while it is applied.
struct Change {
    app: AppId,
    id: GroupId,
    slot: Slot,
    gno: Gno,
    at: Stamp,
    operator: AccountId,
    /// The group's name, once somebody needed it.
    name: Option<String>,
    joined: Vec<(AccountId, JoinedRow)>,
    left: Vec<AccountId>,
    /// Its kind, once it is disbanded.
    ended: Option<Kind>,
}

/// Source of numbers and fields: docs/spec/events.md 2.
fn tip_row(tip: &Tip, operator: &AccountId, event_id: String, at: Stamp) -> crate::store::GroupLogRow {
    let names = |accounts: &[AccountId]| accounts.iter().map(|a| a.as_str().to_owned()).collect();
    let (op_type, accounts, member_count, remark, changes) = match tip {
        Tip::MembersInvited { accounts, member_count } => {
            (1, names(accounts), *member_count, String::new(), Vec::new())
        }
        Tip::MembersKicked { accounts, member_count, reason } => {
            (3, names(accounts), *member_count, reason.clone(), Vec::new())
        }
        Tip::ProfileChanged { changes } => (6, Vec::new(), 0, String::new(), changes.iter().map(tip_change).collect()),
    };
    crate::store::GroupLogRow {
        op_type,
        event_id,
        at: at.0,
        operator: operator.as_str().to_owned(),
        accounts,
        member_count,
        remark,
        changes,
    }
}

/// Source: docs/spec/events.md 2.1.
fn tip_change(change: &ProfileChange) -> TipChange {
    let (flag, key, value) = match change {
        ProfileChange::Name(text) => (1, "", text.clone()),
        ProfileChange::Introduction(text) => (2, "", text.clone()),
        ProfileChange::Notification(text) => (3, "", text.clone()),
        ProfileChange::FaceUrl(text) => (4, "", text.clone()),
        ProfileChange::Custom((key, value)) => (6, key.as_str(), value.clone()),
        ProfileChange::MuteAll(on) => (8, "", u8::from(*on).to_string()),
        ProfileChange::ApplyJoin(option) => (11, "", apply_join_byte(*option).to_string()),
        ProfileChange::InviteJoin(option) => (12, "", invite_join_byte(*option).to_string()),
        ProfileChange::EnablePermission(on) => (13, "", u8::from(*on).to_string()),
        ProfileChange::DefaultPermission(bits) => (14, "", bits.to_string()),
        // No tip tells of these; the rules leave them out.
        ProfileChange::MembersMax(_) | ProfileChange::HistoryBeforeJoin(_) | ProfileChange::SupportTopic(_) => {
            (0, "", String::new())
        }
    };
    TipChange { flag, key: key.to_owned(), value }
}
