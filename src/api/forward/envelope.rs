//! A request on its way to another node, and its answer on the way back, as bytes.
//!
//! ```text
//! request   kind  version  MessagePack of [app, caller, command, body, request id, minted id or nil]
//! answer    version  0  the finished body as it is
//!           version  1  MessagePack of [code, info, remedy, minted id or nil]
//! ```
//!
//! The kind tells requests from whatever else nodes say to each other. The body is copied once, into the request; from
//! there on everything borrows. How long the asking node waits travels beside the bytes.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::actors::NodeId;
use crate::api::error::{Failure, Remedy};
use crate::id::GroupId;

/// The first byte of every forwarded request.
pub const KIND: u8 = b'R';
/// Counts changes that an older node would misread.
const VERSION: u8 = 1;

/// In front of an answer of each kind.
const DONE: u8 = 0;
const FAILED: u8 = 1;

/// What the MessagePack of a request takes beside its texts, at most.
const OVERHEAD_BYTES: usize = 40;

/// Bytes that are no request or no answer of a version that is known here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("version {0} is not known here")]
    Version(u8),
    #[error("damaged")]
    Damaged,
}

/// A request whose caller was let in.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    pub app: u32,
    pub caller: &'a str,
    /// By name: the places of commands differ between releases.
    pub command: &'a str,
    #[serde(with = "serde_bytes")]
    pub body: &'a [u8],
    /// Names the request in the logs of both nodes.
    pub id: u64,
    /// The id that was minted for the group that it begins.
    pub minted: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Done(Bytes),
    Failed { failure: Failure, minted: Option<GroupId> },
}

#[derive(Serialize, Deserialize)]
struct FailureForm<'a> {
    code: u32,
    info: &'a str,
    remedy: RemedyForm,
    minted: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
enum RemedyForm {
    Nothing,
    Again,
    Ask(u64),
    AgainIfNamed,
}

impl<'a> Request<'a> {
    pub fn encode(&self) -> Bytes {
        let texts = self.caller.len() + self.command.len() + self.body.len() + self.minted.map_or(0, str::len);
        let mut bytes = Vec::with_capacity(texts + OVERHEAD_BYTES);
        bytes.extend([KIND, VERSION]);
        write(&mut bytes, self);
        bytes.into()
    }

    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes {
            [KIND, VERSION, form @ ..] => rmp_serde::from_slice(form).map_err(|_| Unreadable::Damaged),
            [KIND, version, ..] => Err(Unreadable::Version(*version)),
            _ => Err(Unreadable::Damaged),
        }
    }
}

impl Answer {
    pub fn encode(&self) -> Bytes {
        match self {
            Answer::Done(body) => {
                let mut bytes = Vec::with_capacity(2 + body.len());
                bytes.extend([VERSION, DONE]);
                bytes.extend_from_slice(body);
                bytes.into()
            }
            Answer::Failed { failure, minted } => {
                let mut bytes = vec![VERSION, FAILED];
                let remedy = remedy_form(failure.remedy);
                let minted = minted.as_ref().map(GroupId::as_str);
                write(&mut bytes, &FailureForm { code: failure.code, info: &failure.info, remedy, minted });
                bytes.into()
            }
        }
    }

    /// # Errors
    /// [`Unreadable`]: then nothing is known of what the other node did.
    pub fn decode(bytes: &Bytes) -> Result<Self, Unreadable> {
        match bytes[..] {
            [VERSION, DONE, ..] => Ok(Answer::Done(bytes.slice(2..))),
            [VERSION, FAILED, ref form @ ..] => {
                let form: FailureForm<'_> = rmp_serde::from_slice(form).map_err(|_| Unreadable::Damaged)?;
                let minted = form.minted.map(GroupId::parse).transpose().map_err(|_| Unreadable::Damaged)?;
                let failure = Failure::new(form.code, Cow::Owned(form.info.to_owned()));
                Ok(Answer::Failed { failure: failure.with_remedy(remedy_of(&form.remedy)), minted })
            }
            [VERSION, ..] | [] => Err(Unreadable::Damaged),
            [version, ..] => Err(Unreadable::Version(version)),
        }
    }
}

fn write(bytes: &mut Vec<u8>, form: &impl Serialize) {
    // Into memory, of types that are all in MessagePack.
    rmp_serde::encode::write(bytes, form).unwrap_or_else(|error| unreachable!("it is written into memory: {error}"));
}

fn remedy_form(remedy: Remedy) -> RemedyForm {
    match remedy {
        Remedy::Nothing => RemedyForm::Nothing,
        Remedy::Again => RemedyForm::Again,
        Remedy::Ask(NodeId(node)) => RemedyForm::Ask(node),
        Remedy::AgainIfNamed => RemedyForm::AgainIfNamed,
    }
}

fn remedy_of(form: &RemedyForm) -> Remedy {
    match form {
        RemedyForm::Nothing => Remedy::Nothing,
        RemedyForm::Again => Remedy::Again,
        RemedyForm::Ask(node) => Remedy::Ask(NodeId(*node)),
        RemedyForm::AgainIfNamed => Remedy::AgainIfNamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>() -> Request<'a> {
        Request { app: 7, caller: "root", command: "destroy_group", body: b"{}", id: 258, minted: Some("g") }
    }

    fn failed() -> Answer {
        let failure = Failure::new(60008, "unavailable: x").with_remedy(Remedy::Ask(NodeId(2 << 32)));
        Answer::Failed { failure, minted: GroupId::parse("g").ok() }
    }

    #[test]
    fn bytes_stay_as_they_are() {
        assert_eq!(
            request().encode(),
            [b"R\x01\x96\x07\xa4root\xaddestroy_group\xc4\x02{}".as_slice(), b"\xcd\x01\x02\xa1g"].concat()
        );
        assert_eq!(Answer::Done(Bytes::from_static(b"{}")).encode(), b"\x01\x00{}".as_slice());
        let ask = b"\x81\xa3Ask\xcf\x00\x00\x00\x02\x00\x00\x00\x00".as_slice();
        let form = [b"\x01\x01\x94\xcd\xea\x68\xaeunavailable: x".as_slice(), ask, b"\xa1g"].concat();
        assert_eq!(failed().encode(), form);
    }

    #[test]
    fn what_arrives_is_what_was_sent() {
        for request in [request(), Request { minted: None, body: &[0xff; 70_000], ..request() }] {
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes), Ok(request));
        }
        let remedies = [Remedy::Nothing, Remedy::Again, Remedy::AgainIfNamed, Remedy::Ask(NodeId(u64::MAX))];
        let failures = remedies.map(|remedy| Answer::Failed {
            failure: Failure::new(10002, "outcome unknown: é").with_remedy(remedy),
            minted: None,
        });
        for answer in failures.into_iter().chain([failed(), Answer::Done(Bytes::new())]) {
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn one_piece_of_memory_holds_a_request() {
        let long = "x".repeat(48);
        let body = vec![b' '; 100_000];
        let request = Request {
            app: u32::MAX,
            caller: &long[..32],
            command: "get_specified_group_member_info",
            body: &body,
            id: u64::MAX,
            minted: Some(&long),
        };
        let texts = 32 + request.command.len() + body.len() + 48;
        assert!(request.encode().len() <= texts + OVERHEAD_BYTES);
    }

    #[test]
    fn damage_is_seen_and_harms_nobody() {
        let (asked, answer) = (request().encode(), failed().encode());
        for cut in 0..asked.len() {
            assert!(Request::decode(&asked[..cut]).is_err(), "cut at {cut}");
        }
        for cut in 0..answer.len() {
            assert!(Answer::decode(&answer.slice(..cut)).is_err(), "cut at {cut}");
        }
        for at in 0..asked.len() {
            for bit in 0..8 {
                let mut damaged = asked.to_vec();
                damaged[at] ^= 1 << bit;
                let _ = Request::decode(&damaged);
            }
        }
        for at in 0..answer.len() {
            for bit in 0..8 {
                let mut damaged = answer.to_vec();
                damaged[at] ^= 1 << bit;
                let _ = Answer::decode(&damaged.into());
            }
        }
        assert_eq!(Request::decode(b"R\x02\x96"), Err(Unreadable::Version(2)));
        assert_eq!(Answer::decode(&Bytes::from_static(b"\x02\x00{}")), Err(Unreadable::Version(2)));
    }
}
