//! What goes into a shard's log: decided changes of groups, deliveries from other shards, and housekeeping.
//!
//! A proposal is `format u8 | term u64 | sequence u64 | count u32`, then that many items in MessagePack.
//! Items are encoded where they arise, so that the proposer only joins bytes. The types here are the format;
//! `group` has its own, so that changing a rule never changes stored bytes by accident.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codes::{
    apply_join_byte, apply_join_of, invite_join_byte, invite_join_of, kind_byte, kind_of, msg_flag_byte, msg_flag_of,
    role_byte, role_of,
};
use super::requests::RequestForm;
use crate::group::{
    AddedMember, Created, CustomField, Event, ImportedMember, MemberChange, Notice, ProfileChange, Report, Tip,
};
use crate::id::AccountId;
use crate::store::{AccountText, FeedRow, GroupText, JoinedRow, Version};
use crate::time::Stamp;

const FORMAT: u8 = 1;
const HEAD_LEN: usize = 1 + 8 + 8 + 4;

/// A decoded proposal.
#[derive(Debug)]
pub struct Proposal {
    /// The leadership it was made in; compared with the term of the log entry.
    pub term: u64,
    /// Its number in that leadership.
    pub seq: u64,
    pub items: Vec<Item>,
}

/// One thing in a proposal. Variants are format: new ones go at the end.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Group(GroupEntry),
    Inbox(Delivery),
    /// The target has applied our outbox through this sequence.
    OutboxAck {
        target: u16,
        through: u64,
    },
    /// The next members of a disbanded group.
    DisbandStep {
        gno: u64,
    },
    /// Gives a request its id unless it has one already.
    Mint {
        app: u32,
        request: RequestForm,
        at: u64,
    },
    /// Drops the oldest records of requests before a bucket.
    DropRequests {
        before: u32,
    },
    /// Accounts of this shard that are imported or forgotten.
    Accounts(AccountsEntry),
}

/// [`Item`] before it is encoded, where its parts are shared; the bytes are the same.
#[derive(Serialize)]
pub enum ItemRef<'a> {
    Inbox(DeliveryRef<'a>),
}

/// [`Delivery`] with shared effects.
#[derive(Serialize)]
pub struct DeliveryRef<'a> {
    pub source: u16,
    pub rows: Vec<(u64, &'a [Effect])>,
}

impl<'a> ItemRef<'a> {
    pub fn inbox(source: u16, rows: impl Iterator<Item = (u64, &'a [Effect])>) -> Self {
        ItemRef::Inbox(DeliveryRef { source, rows: rows.collect() })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        rmp_serde::encode::write(&mut bytes, self).expect("items hold nothing that MessagePack cannot");
        bytes
    }
}

/// A decided change of one group.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupEntry {
    pub app: u32,
    pub group: GroupText,
    /// What it was decided on; `None`: no such group.
    pub base: Option<Version>,
    /// What it leaves.
    pub next: Version,
    pub at: u64,
    /// Who caused it.
    pub operator: AccountText,
    pub events: Vec<EventForm>,
    pub notices: Vec<NoticeForm>,
    /// The day whose quota a creation or a disband counts in, if the app counts.
    pub quota_day: Option<i32>,
    /// What a repetition of the request is answered.
    #[serde(default)]
    pub request: Option<RequestForm>,
}

/// Changes of accounts of one app, in the order of the request.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountsEntry {
    pub app: u32,
    pub at: u64,
    pub changes: Vec<IdentityChange>,
}

/// What becomes of one account's identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IdentityChange {
    /// A text of `None` is left as it is.
    Imported {
        account: AccountText,
        nick: Option<String>,
        face_url: Option<String>,
    },
    Deleted {
        account: AccountText,
    },
}

/// Outbox rows of one source, in order.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub source: u16,
    pub rows: Vec<(u64, Vec<Effect>)>,
}

/// What a group's change does elsewhere. It folds without looking: the log gives the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    Joined {
        app: u32,
        account: AccountText,
        slot: u16,
        gno: u64,
        row: JoinedRow,
        report: Option<FeedRow>,
    },
    Left {
        app: u32,
        account: AccountText,
        slot: u16,
        gno: u64,
        report: Option<FeedRow>,
    },
    Quota {
        app: u32,
        day: i32,
        delta: i64,
    },
    /// Reported to one whose membership does not change.
    Told {
        app: u32,
        account: AccountText,
        report: FeedRow,
    },
    /// What a joined list says of the group has changed; nothing, where the group is not in the list any more.
    JoinedChanged {
        app: u32,
        account: AccountText,
        slot: u16,
        gno: u64,
        row: JoinedRow,
    },
    /// Members of a disbanded group, all of one shard and all told the same.
    Ended {
        app: u32,
        accounts: Vec<AccountText>,
        slot: u16,
        gno: u64,
        report: FeedRow,
    },
}

/// What an effect, a report and a joined row take beside their texts, rather more.
const EFFECT_BYTES: usize = 64;

/// About as many bytes as effects take in rows, entries and between nodes: what bounds these in number alone would let
/// one of long texts grow beyond everything.
pub fn bytes_of(effects: &[Effect]) -> usize {
    effects.iter().map(Effect::bytes).sum()
}

impl Effect {
    fn bytes(&self) -> usize {
        let (accounts, row, report) = match self {
            Effect::Joined { account, row, report, .. } => (account.0.as_str().len(), Some(row), report.as_ref()),
            Effect::Left { account, report, .. } => (account.0.as_str().len(), None, report.as_ref()),
            Effect::Quota { .. } => (0, None, None),
            Effect::Told { account, report, .. } => (account.0.as_str().len(), None, Some(report)),
            Effect::JoinedChanged { account, row, .. } => (account.0.as_str().len(), Some(row), None),
            Effect::Ended { accounts, report, .. } => {
                (accounts.iter().map(|account| account.0.as_str().len() + 2).sum(), None, Some(report))
            }
        };
        let of_row = row.map_or(0, |row| EFFECT_BYTES + row.group.0.as_str().len());
        let of_report = report.map_or(0, |report| {
            let FeedRow { event_id, group, group_name, operator, remark, .. } = report;
            EFFECT_BYTES + event_id.len() + group.0.as_str().len() + group_name.len() + operator.len() + remark.len()
        });
        EFFECT_BYTES + accounts + of_row + of_report
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum EventForm {
    Created {
        kind: u8,
        owner: Option<AccountText>,
        name: String,
        introduction: String,
        notification: String,
        face_url: String,
        members_max: u32,
        apply_join: u8,
        invite_join: u8,
        history_before_join: bool,
        custom: Vec<CustomField>,
        support_topic: bool,
        enable_permission: bool,
        default_permission: u64,
        at: u64,
        /// `None` in entries of before it was said: as its kind begins.
        #[serde(default)]
        active: Option<bool>,
    },
    MembersAdded {
        members: Vec<(AccountText, u8, Vec<CustomField>)>,
        at: u64,
    },
    MembersRemoved {
        accounts: Vec<AccountText>,
        at: u64,
    },
    ProfileChanged {
        changes: Vec<ChangeForm>,
        at: u64,
    },
    Destroyed {
        at: u64,
    },
    /// Account, role, joining moment, last sequence read.
    MembersImported {
        members: Vec<(AccountText, u8, u64, u64)>,
    },
    MemberChanged {
        account: AccountText,
        changes: Vec<MemberChangeForm>,
    },
    OwnerChanged {
        from: Option<AccountText>,
        to: AccountText,
        at: u64,
    },
    Muted {
        accounts: Vec<AccountText>,
        until_secs: u64,
        at: u64,
    },
    AttributesChanged {
        set: Vec<(String, String)>,
        removed: Vec<String>,
    },
    CountersChanged {
        set: Vec<(String, i64)>,
        removed: Vec<String>,
    },
    Banned {
        accounts: Vec<AccountText>,
        until_secs: u64,
        description: String,
        at: u64,
    },
    Unbanned {
        accounts: Vec<AccountText>,
    },
    LiveAdminsChanged {
        appointed: Vec<AccountText>,
        dismissed: Vec<AccountText>,
        at: u64,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum MemberChangeForm {
    Role(u8),
    MsgFlag(u8),
    NameCard(String),
    Custom(String, String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum ChangeForm {
    Name(String),
    Introduction(String),
    Notification(String),
    FaceUrl(String),
    MembersMax(u32),
    ApplyJoin(u8),
    InviteJoin(u8),
    MuteAll(bool),
    HistoryBeforeJoin(bool),
    SupportTopic(bool),
    EnablePermission(bool),
    DefaultPermission(u64),
    Custom(String, String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum NoticeForm {
    Invited { operator: AccountText, accounts: Vec<AccountText>, member_count: u32 },
    Kicked { operator: AccountText, accounts: Vec<AccountText>, member_count: u32, reason: String },
    Changed { operator: AccountText, changes: Vec<ChangeForm> },
    ReportKicked { to: Vec<AccountText>, operator: AccountText, reason: String },
    ReportCreated { to: Vec<AccountText>, operator: AccountText },
    ReportInvited { to: Vec<AccountText>, operator: AccountText },
    AdminsAppointed { operator: AccountText, accounts: Vec<AccountText> },
    AdminsDismissed { operator: AccountText, accounts: Vec<AccountText> },
    OwnerChanged { operator: AccountText, owner: AccountText },
    MembersMuted { operator: AccountText, accounts: Vec<AccountText>, for_secs: u32 },
    ReportAdminGranted { to: Vec<AccountText>, operator: AccountText },
    ReportAdminRevoked { to: Vec<AccountText>, operator: AccountText },
    ReportMuted { to: Vec<AccountText>, operator: AccountText, until_secs: u64 },
    ReportMsgFlag { to: Vec<AccountText>, operator: AccountText, flag: u8 },
    ReportBanned { to: Vec<AccountText>, operator: AccountText, until_secs: u64, description: String },
    ReportUnbanned { to: Vec<AccountText>, operator: AccountText },
}

/// Why bytes of the log are not a proposal; the replica stops.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("a proposal of format {0}, this binary reads {FORMAT}")]
    Format(u8),
    #[error("a proposal ends after {0} bytes")]
    Short(usize),
    #[error("item {index} of a proposal does not decode: {reason}")]
    Item { index: usize, reason: String },
}

impl Item {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        rmp_serde::encode::write(&mut bytes, self).expect("items hold nothing that MessagePack cannot");
        bytes
    }
}

impl Proposal {
    /// Joins encoded items.
    pub fn join<'a>(term: u64, seq: u64, items: impl ExactSizeIterator<Item = &'a [u8]>, bytes_hint: usize) -> Bytes {
        let mut out = Vec::with_capacity(HEAD_LEN + bytes_hint);
        out.push(FORMAT);
        out.extend_from_slice(&term.to_be_bytes());
        out.extend_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(&(items.len() as u32).to_be_bytes());
        for item in items {
            out.extend_from_slice(item);
        }
        out.into()
    }

    /// Reads a proposal back.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that no release wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let head: &[u8; HEAD_LEN] = bytes.first_chunk().ok_or(DecodeError::Short(bytes.len()))?;
        if head[0] != FORMAT {
            return Err(DecodeError::Format(head[0]));
        }
        let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().unwrap_or_default());
        let count = u32::from_be_bytes(head[17..].try_into().unwrap_or_default()) as usize;
        let mut decoder = rmp_serde::Deserializer::from_read_ref(&bytes[HEAD_LEN..]);
        let mut items = Vec::with_capacity(count.min(bytes.len()));
        for index in 0..count {
            let item = Item::deserialize(&mut decoder)
                .map_err(|error| DecodeError::Item { index, reason: error.to_string() })?;
            items.push(item);
        }
        Ok(Self { term: number(1), seq: number(9), items })
    }
}

fn texts(accounts: &[AccountId]) -> Vec<AccountText> {
    accounts.iter().cloned().map(AccountText).collect()
}

fn accounts(texts: Vec<AccountText>) -> Vec<AccountId> {
    texts.into_iter().map(|t| t.0).collect()
}

impl From<&ProfileChange> for ChangeForm {
    fn from(change: &ProfileChange) -> Self {
        match change {
            ProfileChange::Name(text) => ChangeForm::Name(text.clone()),
            ProfileChange::Introduction(text) => ChangeForm::Introduction(text.clone()),
            ProfileChange::Notification(text) => ChangeForm::Notification(text.clone()),
            ProfileChange::FaceUrl(text) => ChangeForm::FaceUrl(text.clone()),
            ProfileChange::MembersMax(max) => ChangeForm::MembersMax(*max),
            ProfileChange::ApplyJoin(option) => ChangeForm::ApplyJoin(apply_join_byte(*option)),
            ProfileChange::InviteJoin(option) => ChangeForm::InviteJoin(invite_join_byte(*option)),
            ProfileChange::MuteAll(on) => ChangeForm::MuteAll(*on),
            ProfileChange::HistoryBeforeJoin(on) => ChangeForm::HistoryBeforeJoin(*on),
            ProfileChange::SupportTopic(on) => ChangeForm::SupportTopic(*on),
            ProfileChange::EnablePermission(on) => ChangeForm::EnablePermission(*on),
            ProfileChange::DefaultPermission(bits) => ChangeForm::DefaultPermission(*bits),
            ProfileChange::Custom((key, value)) => ChangeForm::Custom(key.clone(), value.clone()),
        }
    }
}

impl From<ChangeForm> for ProfileChange {
    fn from(form: ChangeForm) -> Self {
        match form {
            ChangeForm::Name(text) => ProfileChange::Name(text),
            ChangeForm::Introduction(text) => ProfileChange::Introduction(text),
            ChangeForm::Notification(text) => ProfileChange::Notification(text),
            ChangeForm::FaceUrl(text) => ProfileChange::FaceUrl(text),
            ChangeForm::MembersMax(max) => ProfileChange::MembersMax(max),
            ChangeForm::ApplyJoin(option) => ProfileChange::ApplyJoin(apply_join_of(option)),
            ChangeForm::InviteJoin(option) => ProfileChange::InviteJoin(invite_join_of(option)),
            ChangeForm::MuteAll(on) => ProfileChange::MuteAll(on),
            ChangeForm::HistoryBeforeJoin(on) => ProfileChange::HistoryBeforeJoin(on),
            ChangeForm::SupportTopic(on) => ProfileChange::SupportTopic(on),
            ChangeForm::EnablePermission(on) => ProfileChange::EnablePermission(on),
            ChangeForm::DefaultPermission(bits) => ProfileChange::DefaultPermission(bits),
            ChangeForm::Custom(key, value) => ProfileChange::Custom((key, value)),
        }
    }
}

impl From<&MemberChange> for MemberChangeForm {
    fn from(change: &MemberChange) -> Self {
        match change {
            MemberChange::Role(role) => MemberChangeForm::Role(role_byte(*role)),
            MemberChange::MsgFlag(flag) => MemberChangeForm::MsgFlag(msg_flag_byte(*flag)),
            MemberChange::NameCard(text) => MemberChangeForm::NameCard(text.clone()),
            MemberChange::Custom((key, value)) => MemberChangeForm::Custom(key.clone(), value.clone()),
        }
    }
}

impl From<MemberChangeForm> for MemberChange {
    fn from(form: MemberChangeForm) -> Self {
        match form {
            MemberChangeForm::Role(role) => MemberChange::Role(role_of(role)),
            MemberChangeForm::MsgFlag(flag) => MemberChange::MsgFlag(msg_flag_of(flag)),
            MemberChangeForm::NameCard(text) => MemberChange::NameCard(text),
            MemberChangeForm::Custom(key, value) => MemberChange::Custom((key, value)),
        }
    }
}

impl From<&Event> for EventForm {
    fn from(event: &Event) -> Self {
        match event {
            Event::Created(c) => EventForm::Created {
                kind: kind_byte(c.kind),
                owner: c.owner.clone().map(AccountText),
                name: c.name.clone(),
                introduction: c.introduction.clone(),
                notification: c.notification.clone(),
                face_url: c.face_url.clone(),
                members_max: c.members_max,
                apply_join: apply_join_byte(c.apply_join),
                invite_join: invite_join_byte(c.invite_join),
                history_before_join: c.history_before_join,
                custom: c.custom.clone(),
                support_topic: c.support_topic,
                enable_permission: c.enable_permission,
                default_permission: c.default_permission,
                at: c.at.0,
                active: Some(c.active),
            },
            Event::MembersAdded { members, at } => EventForm::MembersAdded {
                members: members
                    .iter()
                    .map(|m| (AccountText(m.account.clone()), role_byte(m.role), m.custom.clone()))
                    .collect(),
                at: at.0,
            },
            Event::MembersRemoved { accounts, at } => EventForm::MembersRemoved { accounts: texts(accounts), at: at.0 },
            Event::ProfileChanged { changes, at } => {
                EventForm::ProfileChanged { changes: changes.iter().map(ChangeForm::from).collect(), at: at.0 }
            }
            Event::Destroyed { at } => EventForm::Destroyed { at: at.0 },
            Event::MembersImported { members } => EventForm::MembersImported {
                members: members
                    .iter()
                    .map(|m| (AccountText(m.account.clone()), role_byte(m.role), m.joined.0, m.msg_seq))
                    .collect(),
            },
            Event::MemberChanged { account, changes } => EventForm::MemberChanged {
                account: AccountText(account.clone()),
                changes: changes.iter().map(MemberChangeForm::from).collect(),
            },
            Event::OwnerChanged { from, to, at } => {
                EventForm::OwnerChanged { from: from.clone().map(AccountText), to: AccountText(to.clone()), at: at.0 }
            }
            Event::Muted { accounts, until_secs, at } => {
                EventForm::Muted { accounts: texts(accounts), until_secs: *until_secs, at: at.0 }
            }
            Event::AttributesChanged { set, removed } => {
                EventForm::AttributesChanged { set: set.clone(), removed: removed.clone() }
            }
            Event::CountersChanged { set, removed } => {
                EventForm::CountersChanged { set: set.clone(), removed: removed.clone() }
            }
            Event::Banned { accounts, until_secs, description, at } => EventForm::Banned {
                accounts: texts(accounts),
                until_secs: *until_secs,
                description: description.clone(),
                at: at.0,
            },
            Event::Unbanned { accounts } => EventForm::Unbanned { accounts: texts(accounts) },
            Event::LiveAdminsChanged { appointed, dismissed, at } => {
                EventForm::LiveAdminsChanged { appointed: texts(appointed), dismissed: texts(dismissed), at: at.0 }
            }
        }
    }
}

impl From<EventForm> for Event {
    fn from(form: EventForm) -> Self {
        match form {
            EventForm::Created {
                kind,
                owner,
                name,
                introduction,
                notification,
                face_url,
                members_max,
                apply_join,
                invite_join,
                history_before_join,
                custom,
                support_topic,
                enable_permission,
                default_permission,
                at,
                active,
            } => Event::Created(Created {
                kind: kind_of(kind),
                owner: owner.map(|o| o.0),
                name,
                introduction,
                notification,
                face_url,
                members_max,
                apply_join: apply_join_of(apply_join),
                invite_join: invite_join_of(invite_join),
                history_before_join,
                custom,
                support_topic,
                enable_permission,
                default_permission,
                active: active.unwrap_or(!kind_of(kind).starts_inactive()),
                at: Stamp(at),
            }),
            EventForm::MembersAdded { members, at } => Event::MembersAdded {
                members: members
                    .into_iter()
                    .map(|(account, role, custom)| AddedMember { account: account.0, role: role_of(role), custom })
                    .collect(),
                at: Stamp(at),
            },
            EventForm::MembersRemoved { accounts: removed, at } => {
                Event::MembersRemoved { accounts: accounts(removed), at: Stamp(at) }
            }
            EventForm::ProfileChanged { changes, at } => {
                Event::ProfileChanged { changes: changes.into_iter().map(ProfileChange::from).collect(), at: Stamp(at) }
            }
            EventForm::Destroyed { at } => Event::Destroyed { at: Stamp(at) },
            EventForm::MembersImported { members } => Event::MembersImported {
                members: members
                    .into_iter()
                    .map(|(account, role, joined, msg_seq)| ImportedMember {
                        account: account.0,
                        role: role_of(role),
                        joined: Stamp(joined),
                        msg_seq,
                    })
                    .collect(),
            },
            EventForm::MemberChanged { account, changes } => Event::MemberChanged {
                account: account.0,
                changes: changes.into_iter().map(MemberChange::from).collect(),
            },
            EventForm::OwnerChanged { from, to, at } => {
                Event::OwnerChanged { from: from.map(|from| from.0), to: to.0, at: Stamp(at) }
            }
            EventForm::Muted { accounts: muted, until_secs, at } => {
                Event::Muted { accounts: accounts(muted), until_secs, at: Stamp(at) }
            }
            EventForm::AttributesChanged { set, removed } => Event::AttributesChanged { set, removed },
            EventForm::CountersChanged { set, removed } => Event::CountersChanged { set, removed },
            EventForm::Banned { accounts: banned, until_secs, description, at } => {
                Event::Banned { accounts: accounts(banned), until_secs, description, at: Stamp(at) }
            }
            EventForm::Unbanned { accounts: unbanned } => Event::Unbanned { accounts: accounts(unbanned) },
            EventForm::LiveAdminsChanged { appointed, dismissed, at } => Event::LiveAdminsChanged {
                appointed: accounts(appointed),
                dismissed: accounts(dismissed),
                at: Stamp(at),
            },
        }
    }
}

impl From<&Notice> for NoticeForm {
    fn from(notice: &Notice) -> Self {
        match notice {
            Notice::Tip { operator, tip } => {
                let operator = AccountText(operator.clone());
                match tip {
                    Tip::MembersInvited { accounts, member_count } => {
                        NoticeForm::Invited { operator, accounts: texts(accounts), member_count: *member_count }
                    }
                    Tip::MembersKicked { accounts, member_count, reason } => NoticeForm::Kicked {
                        operator,
                        accounts: texts(accounts),
                        member_count: *member_count,
                        reason: reason.clone(),
                    },
                    Tip::ProfileChanged { changes } => {
                        NoticeForm::Changed { operator, changes: changes.iter().map(ChangeForm::from).collect() }
                    }
                    Tip::AdminsAppointed { accounts } => {
                        NoticeForm::AdminsAppointed { operator, accounts: texts(accounts) }
                    }
                    Tip::AdminsDismissed { accounts } => {
                        NoticeForm::AdminsDismissed { operator, accounts: texts(accounts) }
                    }
                    Tip::OwnerChanged { owner } => {
                        NoticeForm::OwnerChanged { operator, owner: AccountText(owner.clone()) }
                    }
                    Tip::MembersMuted { accounts, for_secs } => {
                        NoticeForm::MembersMuted { operator, accounts: texts(accounts), for_secs: *for_secs }
                    }
                }
            }
            Notice::Report { to, operator, report } => {
                let (to, operator) = (texts(to), AccountText(operator.clone()));
                match report {
                    Report::Kicked { reason } => NoticeForm::ReportKicked { to, operator, reason: reason.clone() },
                    Report::GroupCreated => NoticeForm::ReportCreated { to, operator },
                    Report::Invited => NoticeForm::ReportInvited { to, operator },
                    Report::AdminGranted => NoticeForm::ReportAdminGranted { to, operator },
                    Report::AdminRevoked => NoticeForm::ReportAdminRevoked { to, operator },
                    Report::Muted { until_secs } => NoticeForm::ReportMuted { to, operator, until_secs: *until_secs },
                    Report::MsgFlagChanged { flag } => {
                        NoticeForm::ReportMsgFlag { to, operator, flag: msg_flag_byte(*flag) }
                    }
                    Report::Banned { until_secs, description } => NoticeForm::ReportBanned {
                        to,
                        operator,
                        until_secs: *until_secs,
                        description: description.clone(),
                    },
                    Report::Unbanned => NoticeForm::ReportUnbanned { to, operator },
                }
            }
        }
    }
}

impl From<NoticeForm> for Notice {
    fn from(form: NoticeForm) -> Self {
        let tip = |operator: AccountText, tip| Notice::Tip { operator: operator.0, tip };
        let report =
            |to, operator: AccountText, report| Notice::Report { to: accounts(to), operator: operator.0, report };
        match form {
            NoticeForm::Invited { operator, accounts: invited, member_count } => {
                tip(operator, Tip::MembersInvited { accounts: accounts(invited), member_count })
            }
            NoticeForm::Kicked { operator, accounts: kicked, member_count, reason } => {
                tip(operator, Tip::MembersKicked { accounts: accounts(kicked), member_count, reason })
            }
            NoticeForm::Changed { operator, changes } => {
                tip(operator, Tip::ProfileChanged { changes: changes.into_iter().map(ProfileChange::from).collect() })
            }
            NoticeForm::ReportKicked { to, operator, reason } => report(to, operator, Report::Kicked { reason }),
            NoticeForm::ReportCreated { to, operator } => report(to, operator, Report::GroupCreated),
            NoticeForm::ReportInvited { to, operator } => report(to, operator, Report::Invited),
            NoticeForm::AdminsAppointed { operator, accounts: named } => {
                tip(operator, Tip::AdminsAppointed { accounts: accounts(named) })
            }
            NoticeForm::AdminsDismissed { operator, accounts: named } => {
                tip(operator, Tip::AdminsDismissed { accounts: accounts(named) })
            }
            NoticeForm::OwnerChanged { operator, owner } => tip(operator, Tip::OwnerChanged { owner: owner.0 }),
            NoticeForm::MembersMuted { operator, accounts: named, for_secs } => {
                tip(operator, Tip::MembersMuted { accounts: accounts(named), for_secs })
            }
            NoticeForm::ReportAdminGranted { to, operator } => report(to, operator, Report::AdminGranted),
            NoticeForm::ReportAdminRevoked { to, operator } => report(to, operator, Report::AdminRevoked),
            NoticeForm::ReportMuted { to, operator, until_secs } => report(to, operator, Report::Muted { until_secs }),
            NoticeForm::ReportMsgFlag { to, operator, flag } => {
                report(to, operator, Report::MsgFlagChanged { flag: msg_flag_of(flag) })
            }
            NoticeForm::ReportBanned { to, operator, until_secs, description } => {
                report(to, operator, Report::Banned { until_secs, description })
            }
            NoticeForm::ReportUnbanned { to, operator } => report(to, operator, Report::Unbanned),
        }
    }
}
