//! One caller waiting for one answer, and who may still give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::Span;

use super::SubmitError;
use crate::group::Answer;

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The actor's end of a call that is answered with a `T`.
#[derive(Debug)]
pub struct Call<T = Answer> {
    reply: Option<oneshot::Sender<Result<T, SubmitError>>>,
    state: Arc<AtomicU8>,
    deadline: Instant,
    /// The request it belongs to, for logs.
    span: Span,
}

/// The caller's end.
#[derive(Debug)]
pub struct Caller<T = Answer> {
    answer: oneshot::Receiver<Result<T, SubmitError>>,
    state: Arc<AtomicU8>,
    deadline: Instant,
}

pub fn call<T>(deadline: Instant) -> (Call<T>, Caller<T>) {
    let (reply, answer) = oneshot::channel();
    let state = Arc::new(AtomicU8::new(WAITING));
    let span = Span::current();
    (Call { reply: Some(reply), state: state.clone(), deadline, span }, Caller { answer, state, deadline })
}

impl<T> Call<T> {
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is logged on behalf of the call is logged in here.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Claims the right to act; `false`: the caller has been told that nothing happened, so nothing may.
    pub fn begin(&self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        match self.state.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == BEGUN,
        }
    }

    /// Nothing came of it after all; the caller may give up again.
    pub fn rewind(&self) {
        let _ = self.state.compare_exchange(BEGUN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    pub fn answer(mut self, result: Result<T, SubmitError>) {
        if let Some(reply) = self.reply.take() {
            // A caller that went away needs no answer.
            let _ = reply.send(result);
        }
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            // Dropped on the way, by an actor that stopped: only what had begun can have happened.
            let begun = self.state.load(Ordering::Acquire) == BEGUN;
            let what = "the group's actor stopped";
            let _ = reply.send(Err(if begun {
                SubmitError::Indeterminate { what }
            } else {
                SubmitError::Unavailable { what }
            }));
        }
    }
}

impl<T> Caller<T> {
    /// Waits for the answer, or for the deadline; then says whether anything can have happened.
    pub async fn wait(self) -> Result<T, SubmitError> {
        let Caller { answer, state, deadline } = self;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SubmitError::Indeterminate { what: "the node is stopping" }),
            Err(_) => match state.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => Err(SubmitError::Unavailable { what: "the deadline passed before the change was proposed" }),
                Err(_) => Err(SubmitError::Indeterminate { what: "the deadline passed after the change was proposed" }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn who_gives_up_first_decides() {
        let (held, caller) = call::<Answer>(soon());
        assert!(matches!(caller.wait().await, Err(SubmitError::Unavailable { .. })));
        assert!(!held.begin());

        let (held, caller) = call::<Answer>(soon());
        assert!(held.begin());
        assert!(matches!(caller.wait().await, Err(SubmitError::Indeterminate { .. })));

        let (held, caller) = call::<Answer>(soon());
        assert!(held.begin());
        held.rewind();
        assert!(matches!(caller.wait().await, Err(SubmitError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_is_answered() {
        let (held, caller) = call::<Answer>(soon());
        drop(held);
        assert!(matches!(caller.wait().await, Err(SubmitError::Unavailable { .. })));
        let (held, caller) = call::<Answer>(soon());
        assert!(held.begin());
        drop(held);
        assert!(matches!(caller.wait().await, Err(SubmitError::Indeterminate { .. })));
    }
}
