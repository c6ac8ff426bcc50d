//! What a change tells: tips in the group's log, reports in the feeds of accounts.

use muster_cluster::DiskError;

use super::events::Change;
use super::{EventIds, Turn};
use crate::group::{self, Group, Notice, ProfileChange, Report, Tip};
use crate::id::AccountId;
use crate::shard::codes::{apply_join_byte, invite_join_byte, kind_byte, msg_flag_byte};
use crate::shard::entry::Effect;
use crate::store::{AccountText, FeedRow, GroupLogRow, TipChange};
use crate::time::Stamp;

impl Turn<'_, '_> {
    /// Writes tips into the group's log and pairs reports with the effects on the accounts they are for.
    pub(super) fn notices(
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
                    let (report_type, remark, value) = report_fields(report);
                    let row = FeedRow {
                        event_id: ids.next(),
                        at: change.at.0,
                        report_type,
                        group: change.id.clone().into(),
                        group_name: name,
                        kind: kind_byte(kind),
                        operator: operator.as_str().to_owned(),
                        remark,
                        value,
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
        for (account, row) in change.relisted.drain(..) {
            effects.push(Effect::JoinedChanged {
                app: change.app.0,
                account: AccountText(account),
                slot: change.slot.0,
                gno: change.gno.0,
                row,
            });
        }
        // What is left is for accounts that neither join nor leave.
        for (account, report) in reports {
            effects.push(Effect::Told { app: change.app.0, account: AccountText(account.clone()), report });
        }
        Ok(())
    }
}

/// `ReportType`, remark and number of a report. Source: docs/spec/events.md 1.
fn report_fields(report: &Report) -> (u8, String, u64) {
    match report {
        Report::Kicked { reason } => (4, reason.clone(), 0),
        Report::GroupCreated => (6, String::new(), 0),
        Report::Invited => (7, String::new(), 0),
        Report::AdminGranted => (9, String::new(), 0),
        Report::AdminRevoked => (10, String::new(), 0),
        Report::Muted { until_secs } => (17, String::new(), *until_secs),
        Report::MsgFlagChanged { flag } => (21, String::new(), msg_flag_byte(*flag).into()),
        Report::Banned { until_secs, description } => (22, description.clone(), *until_secs),
        Report::Unbanned => (23, String::new(), 0),
    }
}

/// Source of numbers and fields: docs/spec/events.md 2.
fn tip_row(tip: &Tip, operator: &AccountId, event_id: String, at: Stamp) -> GroupLogRow {
    let names = |accounts: &[AccountId]| accounts.iter().map(|a| a.as_str().to_owned()).collect();
    let mut row = GroupLogRow {
        op_type: 0,
        event_id,
        at: at.0,
        operator: operator.as_str().to_owned(),
        accounts: Vec::new(),
        member_count: 0,
        remark: String::new(),
        changes: Vec::new(),
        value: 0,
    };
    match tip {
        Tip::MembersInvited { accounts, member_count } => {
            (row.op_type, row.accounts, row.member_count) = (1, names(accounts), *member_count);
        }
        Tip::MembersKicked { accounts, member_count, reason } => {
            (row.op_type, row.accounts, row.member_count) = (3, names(accounts), *member_count);
            row.remark.clone_from(reason);
        }
        Tip::AdminsAppointed { accounts } => (row.op_type, row.accounts) = (4, names(accounts)),
        Tip::AdminsDismissed { accounts } => (row.op_type, row.accounts) = (5, names(accounts)),
        Tip::ProfileChanged { changes } => {
            (row.op_type, row.changes) = (6, changes.iter().map(tip_change).collect());
        }
        Tip::OwnerChanged { owner } => {
            let change = TipChange { flag: 5, key: String::new(), value: owner.as_str().to_owned() };
            (row.op_type, row.changes) = (6, vec![change]);
        }
        Tip::MembersMuted { accounts, for_secs } => {
            (row.op_type, row.accounts, row.value) = (7, names(accounts), (*for_secs).into());
        }
    }
    row
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
