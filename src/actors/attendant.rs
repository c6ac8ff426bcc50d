//! Answers what hosts of other nodes say and ask: hands it to the host of this node, which knows whether it leads.
//!
//! What cannot be read is refused and does nothing; nothing here waits longer than whoever asked.

use std::time::Instant;

use bytes::Bytes;
use muster_cluster::{NodeId, ShardId};
use tokio::sync::oneshot;

use super::message::Reserve;
use super::neighbours::{EndingThere, Neighbours};
use super::service::within;
use super::wire::{
    AnswerForm, CallForm, QuestionForm, Told, accounts_of, app_limits_of, decode_call, encode_answer, ending_form,
    failure_byte, message_of,
};
use super::{ReadError, SubmitError};
use crate::id::AppId;
use crate::shard::{GroupText, RequestAnswer, RequestForm};

const UNREADABLE: SubmitError = SubmitError::Unavailable { what: "the call cannot be read" };
const NOT_HERE: SubmitError = SubmitError::Unavailable { what: "this node does not lead the shard" };

/// Answers a call of another node's hosts, given without its first byte.
pub(super) async fn attend(
    neighbours: &Neighbours,
    takes_writes: impl FnOnce() -> Result<(), SubmitError>,
    from: NodeId,
    call: &[u8],
    deadline: Instant,
) -> Bytes {
    let answered = match decode_call(call) {
        Ok(CallForm::Notes(notes)) => {
            let shards = neighbours.peers().len() as u16;
            for note in notes {
                match message_of(note, shards) {
                    Some((shard, told)) => hear(neighbours, shard, told),
                    None => tracing::warn!(node = %from, "a note speaks of shards that do not exist"),
                }
            }
            Ok(AnswerForm::Done {})
        }
        Ok(CallForm::Question(question)) => answer(neighbours, takes_writes, question, deadline).await,
        Err(error) => {
            tracing::warn!(node = %from, %error, "a call of another node cannot be read");
            Err(UNREADABLE)
        }
    };
    encode_answer(&answered.unwrap_or_else(|error| AnswerForm::Failed { failure: failure_byte(&error) }))
}

fn hear(neighbours: &Neighbours, shard: ShardId, told: Told) {
    let Some(peer) = neighbours.peer(shard) else { return };
    match told {
        Told::Deliver(deliver) => peer.host.do_send(deliver),
        Told::Received(received) => peer.host.do_send(received),
        Told::Cancel(cancel) => peer.host.do_send(cancel),
    }
}

async fn answer(
    neighbours: &Neighbours,
    takes_writes: impl FnOnce() -> Result<(), SubmitError>,
    question: QuestionForm,
    deadline: Instant,
) -> Result<AnswerForm, SubmitError> {
    match question {
        QuestionForm::Settle { shard } => {
            let settled = within(deadline, neighbours.settle_for_another(ShardId(shard))).await;
            settled.map(|()| AnswerForm::Done {}).map_err(|error| match error {
                ReadError::Overloaded { what } => SubmitError::Overloaded { what },
                _ => NOT_HERE,
            })
        }
        QuestionForm::Endings {} => {
            let EndingThere { led, groups } = neighbours.endings_for_another().await;
            let led = led.into_iter().map(|shard| shard.0).collect();
            Ok(AnswerForm::Endings { led, groups: groups.iter().map(ending_form).collect() })
        }
        QuestionForm::Reserve { shard, app, accounts, quota_day, app_limits } => {
            let app = AppId(app);
            let peer = neighbours.peer(ShardId(shard)).ok_or(NOT_HERE)?;
            let limits = neighbours.limits_of(app).ok_or(NOT_HERE)?;
            let (accounts, app_limits) = (accounts_of(accounts), app_limits_of(&app_limits));
            let (reply, granted) = oneshot::channel();
            peer.host.do_send(Reserve { app, limits, accounts, quota_day, app_limits, reply });
            match tokio::time::timeout_at(deadline.into(), granted).await {
                Ok(granted) => granted.unwrap_or(Err(NOT_HERE)).map(AnswerForm::from),
                Err(_) => Err(SubmitError::Unavailable { what: "the deadline passed" }),
            }
        }
        QuestionForm::GiveBack { shard, cancel } => {
            // The mailbox keeps the order: whoever asks afterwards finds the places free.
            hear(neighbours, ShardId(shard), Told::Cancel(cancel.into()));
            Ok(AnswerForm::Done {})
        }
        QuestionForm::Mint { shard, app, caller, command, id, group } => {
            takes_writes()?;
            let request = RequestForm { caller, command, id, answer: RequestAnswer::Minted(group) };
            let minted = neighbours.mint_here(ShardId(shard), AppId(app), request, deadline).await?;
            Ok(AnswerForm::Minted { group: GroupText(minted) })
        }
        QuestionForm::ChangeAccounts { shard, app, changes } => {
            takes_writes()?;
            let unknown =
                neighbours.change_accounts_here(ShardId(shard), AppId(app), changes, deadline)?.wait().await?;
            Ok(AnswerForm::Changed { unknown: unknown.into_iter().map(|at| at as u32).collect() })
        }
    }
}
