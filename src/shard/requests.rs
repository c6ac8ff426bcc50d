//! What became of requests that carry an id of their caller's, so that a repeated one gets the first answer.
//!
//! A record goes into the same batch as the change it tells of, keyed by a time bucket, so that old ones are dropped
//! by range. It holds the outcome and not the body; but whom an outcome is about it names, as a repetition may name
//! others. What was answered OK is recorded, also if all was so already; what was refused changed nothing, and is
//! judged afresh when it is asked again.
//!
//! Source: docs/spec/client-operations.md 1, `ClientReqId`.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::group::{AddResult, Answer, Command, RemoveResult};
use crate::id::{AccountId, AppId, GroupId};
use crate::store::keys::RequestName;
use crate::store::{AccountText, RequestAnswer};
use crate::time::Stamp;

/// A record is found for at least so long after its change, and at most for twice as long.
pub const REQUEST_BUCKET_MS: u64 = 600_000;
/// Records that one entry drops: bounds what a turn of apply costs.
pub const REQUESTS_DROPPED_MAX: usize = 500;

/// A request as its caller names it: same caller, command and id mean the same request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientRequest {
    pub caller: AccountId,
    pub command: &'static str,
    pub id: SmolStr,
}

/// A request with its outcome, in a log entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestForm {
    pub caller: String,
    pub command: String,
    pub id: String,
    pub answer: RequestAnswer,
}

/// The bucket that records of a moment go into.
pub fn bucket_of(at: Stamp) -> u32 {
    u32::try_from(at.0 / REQUEST_BUCKET_MS).unwrap_or(u32::MAX)
}

/// Where records of late lie, the latest first: what is older is found no more.
pub fn buckets_searched(now: Stamp) -> [u32; 2] {
    let latest = bucket_of(now);
    [latest, latest.saturating_sub(1)]
}

impl ClientRequest {
    /// Names its record; `group` is `None` for that of a minted id.
    pub fn name<'a>(&'a self, app: AppId, group: Option<&'a GroupId>) -> RequestName<'a> {
        RequestName { app, caller: self.caller.as_str(), command: self.command, group, id: &self.id }
    }
}

impl RequestForm {
    pub fn new(request: &ClientRequest, answer: RequestAnswer) -> Self {
        Self {
            caller: request.caller.as_str().to_owned(),
            command: request.command.to_owned(),
            id: request.id.to_string(),
            answer,
        }
    }

    /// As [`ClientRequest::name`].
    pub fn name<'a>(&'a self, app: AppId, group: Option<&'a GroupId>) -> RequestName<'a> {
        RequestName { app, caller: &self.caller, command: &self.command, group, id: &self.id }
    }
}

/// What a repetition of the request is told: the same, with the names of those it is about.
pub fn told_again(answer: &Answer, command: &Command) -> Answer {
    let Answer::Added(results) = answer else { return answer.clone() };
    let accounts: Vec<&AccountId> = match command {
        Command::Add(add) => add.accounts.iter().collect(),
        Command::ImportMembers(import) => import.members.iter().map(|member| &member.account).collect(),
        _ => return answer.clone(),
    };
    Answer::AddedBefore(accounts.into_iter().cloned().zip(results.iter().copied()).collect())
}

/// An answer as a record holds it.
pub fn answer_form(answer: &Answer) -> RequestAnswer {
    match answer {
        Answer::Done => RequestAnswer::Done,
        Answer::Added(results) => RequestAnswer::Added(results.iter().map(|r| *r as u8).collect()),
        Answer::AddedBefore(results) => {
            RequestAnswer::AddedEach(results.iter().map(|(account, r)| (account.clone().into(), *r as u8)).collect())
        }
        Answer::Removed(results) => RequestAnswer::Removed(results.iter().map(|r| *r as u8).collect()),
        Answer::Counted(values) => RequestAnswer::Counted(values.clone()),
    }
}

/// An answer back from its record.
///
/// # Panics
/// On a result that no release wrote, and on the record of a minted id, which answers no command.
pub fn answer_of(form: RequestAnswer) -> Answer {
    match form {
        RequestAnswer::Done => Answer::Done,
        RequestAnswer::Added(results) => Answer::Added(results.into_iter().map(add_result_of).collect()),
        RequestAnswer::Removed(results) => Answer::Removed(results.into_iter().map(remove_result_of).collect()),
        RequestAnswer::AddedEach(results) => {
            let result_of = |(account, result): (AccountText, u8)| (account.0, add_result_of(result));
            Answer::AddedBefore(results.into_iter().map(result_of).collect())
        }
        RequestAnswer::Counted(values) => Answer::Counted(values),
        RequestAnswer::Minted(id) => panic!("the record of the minted id {} is no answer", id.0),
    }
}

/// The id that a request was given.
///
/// # Panics
/// On the record of anything else: they lie under other keys.
pub fn minted_of(form: RequestAnswer) -> GroupId {
    match form {
        RequestAnswer::Minted(id) => id.0,
        other => panic!("{other:?} is recorded where a minted id belongs"),
    }
}

fn add_result_of(byte: u8) -> AddResult {
    use AddResult::{Added, AlreadyMember, AwaitingApproval, Failed};
    let known = [Failed, Added, AlreadyMember, AwaitingApproval].into_iter().find(|result| *result as u8 == byte);
    known.unwrap_or_else(|| panic!("a record has the result {byte}, which no release wrote"))
}

fn remove_result_of(byte: u8) -> RemoveResult {
    use RemoveResult::{Failed, NotMember, Removed};
    let known = [Failed, Removed, NotMember].into_iter().find(|result| *result as u8 == byte);
    known.unwrap_or_else(|| panic!("a record has the result {byte}, which no release wrote"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::{account, add};

    #[test]
    fn a_repetition_is_told_of_those_whom_the_first_request_named() {
        let results = vec![AddResult::Added, AddResult::AlreadyMember];
        let named = vec![(account("bob"), AddResult::Added), (account("ann"), AddResult::AlreadyMember)];
        let command = Command::Add(add(&["bob", "ann"]));
        assert_eq!(told_again(&Answer::Added(results), &command), Answer::AddedBefore(named));
        assert_eq!(told_again(&Answer::Done, &command), Answer::Done);
    }

    #[test]
    fn answers_come_back_as_they_were_recorded() {
        use AddResult::{Added, AlreadyMember, AwaitingApproval};
        for answer in [
            Answer::Done,
            Answer::Added(vec![AddResult::Failed, Added, AlreadyMember, AwaitingApproval]),
            Answer::AddedBefore(vec![(account("ann"), Added), (account("bob"), AlreadyMember)]),
            Answer::Removed(vec![RemoveResult::Failed, RemoveResult::Removed, RemoveResult::NotMember]),
            Answer::Counted(vec![("likes".into(), -3), ("views".into(), i64::MAX)]),
        ] {
            assert_eq!(answer_of(answer_form(&answer)), answer);
        }
    }

    #[test]
    fn a_record_is_found_for_ten_minutes_in_one_of_two_buckets() {
        let made = Stamp(REQUEST_BUCKET_MS * 7 - 1);
        let at = |later: u64| bucket_of(Stamp(made.0 + later));
        assert_eq!((at(0), at(1), at(REQUEST_BUCKET_MS), at(REQUEST_BUCKET_MS + 1)), (6, 7, 7, 8));
    }
}
