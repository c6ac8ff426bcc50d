//! What hosts of shards say to hosts on other nodes, as bytes.
//!
//! A call is `HOST_CALL u8 | VERSION u8 | kind u8`, then notes, `count u32` and that many of them, or one question. An
//! answer is `VERSION u8`, then one [`AnswerForm`]. Everything behind the heads is MessagePack. Notes are encoded where
//! they arise, so that a line only joins bytes. The types here are the format: names of variants are stable, new ones
//! are added, a new field goes to the end with `#[serde(default)]`. What groups and limits are made of is not here.

use std::sync::Arc;

use bytes::Bytes;
use muster_cluster::{ShardId, Slot};
use serde::{Deserialize, Serialize};

use super::SubmitError;
use super::message::{Cancel, Deliver, Grant, PlaceId, Received};
use crate::group::AppLimit;
use crate::id::{AccountId, AppId, Gno};
use crate::shard::{AccountText, Effect, GroupText, IdentityChange, Job};

/// The first byte of a call of a host's; calls of other kinds begin with others.
pub const HOST_CALL: u8 = 1;
const VERSION: u8 = 1;
const NOTES: u8 = 0;
const QUESTION: u8 = 1;
const NOTES_HEAD_LEN: usize = 3 + 4;
/// Notes in one call; more in one are not from a node of ours.
pub(super) const NOTES_MAX: usize = 1024;

/// Said to the host of a shard, which answers nothing. Whatever is said is said again when it was lost.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum NoteForm {
    Deliver { to: u16, source: u16, term: u64, newest: Option<NewestForm>, rows: Vec<(u64, Vec<Effect>)> },
    Received { to: u16, target: u16, term: u64, through: u64, applied: u64, again: bool, asks: bool },
    Cancel { to: u16, cancel: CancelForm },
}

/// [`NoteForm::Deliver`] with shared effects; the bytes are the same.
#[derive(Serialize)]
enum NoteRef<'a> {
    Deliver { to: u16, source: u16, term: u64, newest: Option<NewestForm>, rows: Vec<(u64, &'a [Effect])> },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NewestForm {
    target_term: u64,
    seq: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CancelForm {
    app: u32,
    accounts: Vec<AccountText>,
    quota_day: Option<i32>,
    app_limits: Vec<u8>,
    /// Term and number of the place.
    #[serde(default)]
    place: (u64, u64),
}

/// Asked of the host of a shard, or of all hosts of a node that lead.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum QuestionForm {
    Settle { shard: u16 },
    Endings {},
    Reserve { shard: u16, app: u32, accounts: Vec<AccountText>, quota_day: Option<i32>, app_limits: Vec<u8> },
    GiveBack { shard: u16, cancel: CancelForm },
    Mint { shard: u16, app: u32, caller: String, command: String, id: String, group: GroupText },
    ChangeAccounts { shard: u16, app: u32, changes: Vec<IdentityChange> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum AnswerForm {
    Done {},
    Endings {
        led: Vec<u16>,
        /// Shard, slot and number of each group.
        groups: Vec<(u16, u16, u64)>,
    },
    Granted {
        full: Vec<AccountText>,
        held: Vec<AccountText>,
        quota_spent: bool,
        quota_held: bool,
        app_full: Option<u8>,
        app_held: Vec<u8>,
        /// Term and number of the place.
        #[serde(default)]
        place: (u64, u64),
    },
    Minted {
        group: GroupText,
    },
    Changed {
        unknown: Vec<u32>,
    },
    /// See [`failure_byte`].
    Failed {
        failure: u8,
    },
}

/// A call as its receiver reads it.
#[derive(Debug, PartialEq)]
pub(super) enum CallForm {
    Notes(Vec<NoteForm>),
    Question(QuestionForm),
}

/// Why bytes are no call or answer; nothing is done then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("version {0}, this binary reads {VERSION}")]
    Version(u8),
    #[error("it ends too early")]
    Short,
    #[error("kind {0} is unknown")]
    Kind(u8),
    #[error("{0} notes, at most {NOTES_MAX} are taken")]
    TooMany(u32),
    #[error("it does not decode: {0}")]
    Form(String),
}

/// A message that is one-way, and how it travels to another node.
pub(super) trait Note {
    /// Bytes for [`join_notes`].
    fn encode(&self, to: ShardId) -> Vec<u8>;
}

impl Note for Deliver {
    fn encode(&self, to: ShardId) -> Vec<u8> {
        let rows = self.rows.iter().map(|(seq, effects)| (*seq, effects.as_slice())).collect();
        let newest = self.newest.map(|(target_term, seq)| NewestForm { target_term, seq });
        pack(&NoteRef::Deliver { to: to.0, source: self.source.0, term: self.term, newest, rows })
    }
}

impl Note for Received {
    fn encode(&self, to: ShardId) -> Vec<u8> {
        let Received { target, term, through, applied, again, asks } = *self;
        pack(&NoteForm::Received { to: to.0, target: target.0, term, through, applied, again, asks })
    }
}

impl Note for Cancel {
    fn encode(&self, to: ShardId) -> Vec<u8> {
        pack(&NoteForm::Cancel { to: to.0, cancel: CancelForm::from(self) })
    }
}

fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    rmp_serde::encode::write(&mut bytes, value).expect("wire forms hold nothing that MessagePack cannot");
    bytes
}

fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, WireError> {
    rmp_serde::from_slice(bytes).map_err(|error| WireError::Form(error.to_string()))
}

/// A call of notes.
pub(super) fn join_notes(notes: &[Vec<u8>]) -> Bytes {
    let len = notes.iter().map(Vec::len).sum::<usize>();
    let mut call = Vec::with_capacity(NOTES_HEAD_LEN + len);
    call.extend_from_slice(&[HOST_CALL, VERSION, NOTES]);
    call.extend_from_slice(&(notes.len() as u32).to_be_bytes());
    notes.iter().for_each(|note| call.extend_from_slice(note));
    call.into()
}

/// A call that asks.
pub(super) fn encode_question(question: &QuestionForm) -> Bytes {
    let mut call = vec![HOST_CALL, VERSION, QUESTION];
    call.extend_from_slice(&pack(question));
    call.into()
}

/// Reads a call without its first byte.
///
/// # Errors
/// [`WireError`] for bytes that no release wrote, or a later one.
pub(super) fn decode_call(call: &[u8]) -> Result<CallForm, WireError> {
    let ([version, kind], body) = call.split_first_chunk().ok_or(WireError::Short)?;
    if *version != VERSION {
        return Err(WireError::Version(*version));
    }
    match *kind {
        NOTES => decode_notes(body).map(CallForm::Notes),
        QUESTION => unpack(body).map(CallForm::Question),
        kind => Err(WireError::Kind(kind)),
    }
}

fn decode_notes(body: &[u8]) -> Result<Vec<NoteForm>, WireError> {
    let (count, body) = body.split_first_chunk().ok_or(WireError::Short)?;
    let count = u32::from_be_bytes(*count);
    if count as usize > NOTES_MAX {
        return Err(WireError::TooMany(count));
    }
    let mut decoder = rmp_serde::Deserializer::from_read_ref(body);
    let note = |_| NoteForm::deserialize(&mut decoder).map_err(|error| WireError::Form(error.to_string()));
    (0..count).map(note).collect()
}

pub(super) fn encode_answer(answer: &AnswerForm) -> Bytes {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&pack(answer));
    bytes.into()
}

/// # Errors
/// As [`decode_call`].
pub(super) fn decode_answer(bytes: &[u8]) -> Result<AnswerForm, WireError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => unpack(body),
        Some((version, _)) => Err(WireError::Version(*version)),
        None => Err(WireError::Short),
    }
}

/// Never reused.
fn app_limit_byte(limit: AppLimit) -> u8 {
    match limit {
        AppLimit::Groups => 1,
        AppLimit::LiveRooms => 2,
        AppLimit::Communities => 3,
    }
}

/// A limit of a later release is none that this one holds places of.
fn app_limit_of(byte: u8) -> Option<AppLimit> {
    [AppLimit::Groups, AppLimit::LiveRooms, AppLimit::Communities].into_iter().find(|l| app_limit_byte(*l) == byte)
}

pub(super) fn app_limit_bytes(limits: &[AppLimit]) -> Vec<u8> {
    limits.iter().copied().map(app_limit_byte).collect()
}

pub(super) fn app_limits_of(bytes: &[u8]) -> Vec<AppLimit> {
    bytes.iter().copied().filter_map(app_limit_of).collect()
}

pub(super) fn texts(accounts: &[AccountId]) -> Vec<AccountText> {
    accounts.iter().cloned().map(AccountText).collect()
}

pub(super) fn accounts_of(texts: Vec<AccountText>) -> Vec<AccountId> {
    texts.into_iter().map(|text| text.0).collect()
}

/// What a caller may do is all that travels. Never reused.
pub(super) fn failure_byte(error: &SubmitError) -> u8 {
    match error {
        SubmitError::Overloaded { .. } => 1,
        SubmitError::Indeterminate { .. } => 3,
        _ => 2,
    }
}

pub(super) fn failure_of(byte: u8) -> SubmitError {
    match byte {
        1 => SubmitError::Overloaded { what: "the node that leads the shard has too much to do" },
        2 => SubmitError::Unavailable { what: "the node that was asked does not lead the shard, or is recovering" },
        _ => SubmitError::Indeterminate { what: "the node that leads the shard does not know" },
    }
}

fn place_form(place: PlaceId) -> (u64, u64) {
    (place.term, place.number)
}

fn place_of((term, number): (u64, u64)) -> PlaceId {
    PlaceId { term, number }
}

impl From<&Cancel> for CancelForm {
    fn from(cancel: &Cancel) -> Self {
        Self {
            app: cancel.app.0,
            accounts: texts(&cancel.accounts),
            quota_day: cancel.quota_day,
            app_limits: app_limit_bytes(&cancel.app_limits),
            place: place_form(cancel.place),
        }
    }
}

impl From<CancelForm> for Cancel {
    fn from(form: CancelForm) -> Self {
        Self {
            app: AppId(form.app),
            accounts: accounts_of(form.accounts),
            quota_day: form.quota_day,
            app_limits: app_limits_of(&form.app_limits),
            place: place_of(form.place),
        }
    }
}

impl From<Grant> for AnswerForm {
    fn from(grant: Grant) -> Self {
        AnswerForm::Granted {
            full: texts(&grant.full),
            held: texts(&grant.held),
            quota_spent: grant.quota_spent,
            quota_held: grant.quota_held,
            app_full: grant.app_full.map(app_limit_byte),
            app_held: app_limit_bytes(&grant.app_held),
            place: place_form(grant.place),
        }
    }
}

/// What was granted; `None`: another answer.
pub(super) fn grant_of(answer: AnswerForm) -> Option<Grant> {
    let AnswerForm::Granted { full, held, quota_spent, quota_held, app_full, app_held, place } = answer else {
        return None;
    };
    Some(Grant {
        full: accounts_of(full),
        held: accounts_of(held),
        quota_spent,
        quota_held,
        app_full: app_full.and_then(app_limit_of),
        app_held: app_limits_of(&app_held),
        place: place_of(place),
    })
}

/// A message for a host of this node, out of a note; `None`: it speaks of shards that are not there.
pub(super) fn message_of(note: NoteForm, shards: u16) -> Option<(ShardId, Told)> {
    let (to, told) = match note {
        NoteForm::Deliver { to, source, term, newest, rows } => {
            let rows = rows.into_iter().map(|(seq, effects)| (seq, Arc::new(effects))).collect();
            let newest = newest.map(|newest| (newest.target_term, newest.seq));
            (to, Told::Deliver(Deliver { source: ShardId(source), term, newest, rows }))
        }
        NoteForm::Received { to, target, term, through, applied, again, asks } => {
            (to, Told::Received(Received { target: ShardId(target), term, through, applied, again, asks }))
        }
        NoteForm::Cancel { to, cancel } => (to, Told::Cancel(cancel.into())),
    };
    let is_known = match &told {
        Told::Deliver(deliver) => deliver.source.0 < shards && deliver.source.0 != to,
        Told::Received(received) => received.target.0 < shards && received.target.0 != to,
        Told::Cancel(_) => true,
    };
    (is_known && to < shards).then_some((ShardId(to), told))
}

/// What a host is told by another node.
#[derive(Debug)]
pub(super) enum Told {
    Deliver(Deliver),
    Received(Received),
    Cancel(Cancel),
}

/// Shard, slot and number of a group whose members are being told of its end.
pub(super) fn ending_form((shard, job): &(ShardId, Job)) -> (u16, u16, u64) {
    (shard.0, job.slot.0, job.gno.0)
}

pub(super) fn ending_of((shard, slot, gno): (u16, u16, u64)) -> (ShardId, Job) {
    (ShardId(shard), Job { slot: Slot(slot), gno: Gno(gno) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: ShardId = ShardId(2);
    const APP: AppId = AppId(7);

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    fn quota(day: i32) -> Effect {
        Effect::Quota { app: 7, day, delta: -1 }
    }

    fn deliver() -> Deliver {
        let rows = vec![(5, Arc::new(vec![quota(1), quota(2)])), (6, Arc::new(vec![]))];
        Deliver { source: ShardId(1), term: 3, newest: Some((4, 6)), rows }
    }

    fn received() -> Received {
        Received { target: ShardId(3), term: 4, through: 300, applied: 2, again: true, asks: false }
    }

    fn cancel() -> Cancel {
        let (accounts, app_limits) = (vec![account("ann")], vec![AppLimit::Groups, AppLimit::Communities]);
        Cancel { app: APP, accounts, quota_day: Some(-5), app_limits, place: PlaceId { term: 3, number: 300 } }
    }

    fn questions() -> [QuestionForm; 6] {
        let cancel = CancelForm::from(&cancel());
        let accounts = texts(&[account("ann"), account("bob")]);
        let group = GroupText(crate::id::GroupId::parse("@TGS#2A").unwrap());
        let changes = vec![IdentityChange::deleted(account("eve"))];
        [
            QuestionForm::Settle { shard: 1 },
            QuestionForm::Endings {},
            QuestionForm::Reserve { shard: 1, app: 7, accounts, quota_day: None, app_limits: vec![2] },
            QuestionForm::GiveBack { shard: 1, cancel },
            QuestionForm::Mint {
                shard: 1,
                app: 7,
                caller: "root".into(),
                command: "create_group".into(),
                id: "r1".into(),
                group,
            },
            QuestionForm::ChangeAccounts { shard: 1, app: 7, changes },
        ]
    }

    fn answers() -> [AnswerForm; 6] {
        let grant = Grant {
            full: vec![account("ann")],
            quota_held: true,
            app_full: Some(AppLimit::LiveRooms),
            app_held: vec![AppLimit::Groups],
            place: PlaceId { term: 4, number: 2 },
            ..Grant::default()
        };
        [
            AnswerForm::Done {},
            AnswerForm::Endings { led: vec![0, 2], groups: vec![(2, 1023, 9)] },
            grant.into(),
            AnswerForm::Minted { group: GroupText(crate::id::GroupId::parse("g").unwrap()) },
            AnswerForm::Changed { unknown: vec![0, 300] },
            AnswerForm::Failed { failure: 2 },
        ]
    }

    #[test]
    fn notes_come_back_as_they_were_said() {
        let call = join_notes(&[deliver().encode(TO), received().encode(TO), cancel().encode(TO)]);
        assert_eq!(call[0], HOST_CALL);
        let Ok(CallForm::Notes(notes)) = decode_call(&call[1..]) else { panic!("a call of notes") };
        let told: Vec<_> = notes.into_iter().map(|note| message_of(note, 4).unwrap()).collect();
        assert!(told.iter().all(|(to, _)| *to == TO));
        let [(_, Told::Deliver(first)), (_, Told::Received(second)), (_, Told::Cancel(third))] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(format!("{first:?}"), format!("{:?}", deliver()));
        assert_eq!(format!("{second:?}"), format!("{:?}", received()));
        assert_eq!(*third, cancel());
    }

    #[test]
    fn questions_and_answers_come_back() {
        for question in questions() {
            let call = encode_question(&question);
            assert_eq!(call[0], HOST_CALL);
            assert_eq!(decode_call(&call[1..]), Ok(CallForm::Question(question)));
        }
        for answer in answers() {
            assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
        }
        for limit in [AppLimit::Groups, AppLimit::LiveRooms, AppLimit::Communities] {
            assert_eq!(app_limits_of(&app_limit_bytes(&[limit])), [limit]);
        }
        let [_, _, granted, ..] = answers();
        let grant = grant_of(granted).unwrap();
        assert_eq!((grant.app_full, grant.quota_held, grant.held), (Some(AppLimit::LiveRooms), true, vec![]));
        assert_eq!(grant.place, PlaceId { term: 4, number: 2 });
        for failure in 1..=3 {
            assert_eq!(failure_byte(&failure_of(failure)), failure);
        }
    }

    /// A changed byte here is a node that its neighbours do not understand.
    #[test]
    fn the_bytes_are_these() {
        let [settle, endings, ..] = questions();
        let bytes = [
            hex(&join_notes(&[received().encode(TO)])),
            hex(&deliver().encode(TO)),
            hex(&cancel().encode(TO)),
            hex(&encode_question(&settle)),
            hex(&encode_question(&endings)),
            hex(&encode_answer(&AnswerForm::Failed { failure: 2 })),
        ];
        assert_eq!(bytes, GOLDEN);
    }

    const GOLDEN: [&str; 6] = [
        "0101000000000181a8526563656976656497020304cd012c02c3c2",
        "81a744656c69766572950201039204069292059281a551756f7461930701ff81a551756f7461930702ff920690",
        "81a643616e63656c9202950791a3616e6efb9201039203cd012c",
        "01010181a6536574746c659101",
        "01010181a7456e64696e677390",
        "0181a64661696c65649102",
    ];

    #[test]
    fn what_no_release_wrote_is_refused() {
        assert_eq!(decode_call(&[]), Err(WireError::Short));
        assert_eq!(decode_call(&[VERSION + 1, NOTES, 0, 0, 0, 0]), Err(WireError::Version(VERSION + 1)));
        assert_eq!(decode_call(&[VERSION, 9]), Err(WireError::Kind(9)));
        assert_eq!(decode_call(&[VERSION, NOTES, 0]), Err(WireError::Short));
        assert_eq!(decode_call(&[VERSION, NOTES, 0xff, 0xff, 0xff, 0xff]), Err(WireError::TooMany(u32::MAX)));
        assert_eq!(decode_answer(&[]), Err(WireError::Short));
        assert_eq!(decode_answer(&[7, 0]), Err(WireError::Version(7)));
        // A shard to itself, or one that is not there.
        let to_itself =
            NoteForm::Received { to: 2, target: 2, term: 1, through: 0, applied: 0, again: false, asks: false };
        assert!(message_of(to_itself, 4).is_none());
        assert!(message_of(NoteForm::Cancel { to: 4, cancel: CancelForm::from(&cancel()) }, 4).is_none());
    }

    #[test]
    fn damage_is_an_error_or_another_message_and_never_a_panic() {
        let mut calls: Vec<Bytes> = questions().iter().map(encode_question).collect();
        calls.push(join_notes(&[deliver().encode(TO), received().encode(TO), cancel().encode(TO)]));
        for call in calls {
            for at in 1..call.len() {
                assert!(decode_call(&call[1..at]).is_err(), "cut at {at}");
                for flip in [0x01, 0x80, 0xff] {
                    let mut damaged = call.to_vec();
                    damaged[at] ^= flip;
                    if let Ok(CallForm::Notes(notes)) = decode_call(&damaged[1..]) {
                        let _ = notes.into_iter().map(|note| message_of(note, 4)).collect::<Vec<_>>();
                    }
                }
            }
        }
        for answer in answers() {
            let answer = encode_answer(&answer);
            for at in 0..answer.len() {
                assert!(decode_answer(&answer[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
