//! The way of a request to the node that can carry it out, and of its answer back.
//!
//! ```text
//!            ┌──────────────── tried again, inside the deadline ─────────────┐
//!            ▼                                                               │
//! here: carried out ── led by X ──► X: carried out ── not led here, ask Y ───┤
//!            │                            │                                  │
//!            └─ a moment of no leader ────┴─ not reached, lost its leadership┘
//! ```
//!
//! One hop: the node that is asked carries the request out or says who leads, and never asks a third. What may be tried
//! again is said by the [`Remedy`] of a failure; when and how often is decided by [`Tries`], which knows no nodes.
//! Whoever is asked trusts the asking node's word for who calls and counts no rates again; it has room for the request
//! or not, like for any other, and reads it by its own settings of the app.

mod envelope;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use tracing::Instrument;

use self::envelope::{Answer, Unreadable};
use super::admission::{Lane, Turn};
use super::error::{self, Failure, Remedy};
use super::{Asked, Door, ENDPOINTS, Origin, panicked, turned_away};
use crate::actors::{CallError, NodeId};
use crate::id::{AccountId, AppId, GroupId, RequestId};
use crate::metrics;
use crate::time::{Clock, SystemClock};

/// The first byte of what a node asks another with [`Nodes::call`].
pub const FORWARDED: u8 = envelope::KIND;

/// The share of a request's time in which it may be tried again: the rest is for the last try to come to an end.
const TRYING_SHARE: f64 = 0.75;
/// The first pause before another try, doubled each time: by then an election that was nearly over is.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest: shorter than an election takes, and long enough that many who wait are no load.
const PAUSE_MAX: Duration = Duration::from_millis(160);
/// Nodes asked one after the other because each named the next. After so many they do not agree yet, and time must pass.
const REDIRECTS_MAX: u32 = 3;
/// What an answer has to get back to the asking node before that gives up: then it hears that nothing happened, rather
/// than nothing.
const WAY_BACK: Duration = Duration::from_millis(20);

/// How another node answers in a while.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Bytes, CallError>> + Send + 'a>>;

/// The other nodes, as requests reach them.
pub trait Nodes: Send + Sync {
    /// Has another node's [`BackDoor::attend`] answer.
    fn call(&self, node: NodeId, asked: Bytes, deadline: Instant) -> Answering<'_>;
}

/// What is done next about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GiveUp,
    Ask(NodeId),
    /// Time passes, or who leads changes; then it is tried here, from where the way is looked up anew.
    Wait(Duration),
}

/// Until when a request is tried, and how often it was.
#[derive(Clone, Debug)]
struct Tries {
    until: Instant,
    /// A repetition is known to be one, so that it does no harm.
    is_named: bool,
    /// Since the last pause.
    redirects: u32,
    pause: Duration,
}

impl Tries {
    fn new(now: Instant, deadline: Instant, is_named: bool) -> Self {
        let until = now + deadline.saturating_duration_since(now).mul_f64(TRYING_SHARE);
        Self { until, is_named, redirects: 0, pause: PAUSE }
    }

    /// After a try that failed at `now`; `me` is this node.
    fn next(&mut self, remedy: Remedy, now: Instant, me: NodeId) -> Next {
        if remedy == Remedy::Nothing || (remedy == Remedy::AgainIfNamed && !self.is_named) {
            return Next::GiveUp;
        }
        if now >= self.until {
            return Next::GiveUp;
        }
        match remedy {
            Remedy::Ask(node) if node != me && self.redirects < REDIRECTS_MAX => {
                self.redirects += 1;
                Next::Ask(node)
            }
            _ => {
                self.redirects = 0;
                let pause = self.pause.min(self.until - now);
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                Next::Wait(pause)
            }
        }
    }
}

impl Door {
    /// Has a request answered: here, or by the node that leads what it is about.
    ///
    /// `turn` is given up while others work on the request: they have queues of their own.
    pub(super) async fn answered(&self, asked: &Asked<'_>, turn: Turn<'_>) -> Result<Bytes, Failure> {
        let mut turn = Some(turn);
        let mut tries = Tries::new(Instant::now(), asked.call.deadline, asked.is_repeatable());
        let mut outcome = self.carry_out(asked).await;
        let mut unknown = None;
        while let Err(failure) = &outcome {
            if failure.remedy == Remedy::AgainIfNamed && asked.lane() == Lane::Changes {
                unknown = Some(failure.clone());
            }
            let next = tries.next(failure.remedy, Instant::now(), self.service.node());
            if next == Next::GiveUp || !self.service.may_recover() {
                break;
            }
            drop(turn.take());
            outcome = match next {
                Next::Ask(node) => self.ask(node, asked).await,
                Next::Wait(_) | Next::GiveUp => {
                    if let Next::Wait(pause) = next {
                        metrics::get().retries.increment(1);
                        self.service.until_routes_change(PAUSE, pause).await;
                    }
                    turn = Some(self.admission.begin(asked.lane()));
                    self.carry_out(asked).await
                }
            };
        }
        match unknown {
            // Whatever a later try came to: the one whose outcome is not known may still be carried out, or was.
            Some(unknown) => outcome.map_err(|_| unknown),
            None => outcome,
        }
    }

    /// Has another node carry a request out.
    async fn ask(&self, node: NodeId, asked: &Asked<'_>) -> Result<Bytes, Failure> {
        let call = &asked.call;
        let request = envelope::Request {
            app: call.app.0,
            caller: call.caller.as_str(),
            command: ENDPOINTS[asked.place].0,
            body: asked.body,
            id: asked.id.0,
            minted: call.minted.get().map(GroupId::as_str),
        };
        metrics::get().forwards_sent.increment(1);
        let failure = match self.nodes.call(node, request.encode(), call.deadline).await {
            Ok(answer) => match Answer::decode(&answer) {
                Ok(Answer::Done(body)) => return Ok(body),
                Ok(Answer::Failed { failure, minted }) => {
                    // Recorded for this request by the node that was asked: whoever is asked next goes on with it.
                    minted.map(|id| call.minted.set(id));
                    return Err(failure);
                }
                Err(why) => {
                    tracing::error!(%node, %why, "the answer of a node cannot be read");
                    unknown("the answer of the leading node cannot be read")
                }
            },
            Err(CallError::NotSent) => {
                let failure = Failure::new(error::UNAVAILABLE, "unavailable: the leading node cannot be reached");
                failure.with_remedy(Remedy::Again)
            }
            Err(CallError::Lost) => unknown("the leading node did not answer"),
        };
        metrics::get().forward_failures.increment(1);
        Err(failure)
    }
}

/// A call went out, and what it did cannot be told.
fn unknown(what: &str) -> Failure {
    Failure::new(error::INTERNAL, format!("outcome unknown: {what}")).with_remedy(Remedy::AgainIfNamed)
}

/// Where the requests of other nodes come in, for as long as the front door is there.
#[derive(Clone)]
pub struct BackDoor(Weak<Door>);

impl BackDoor {
    pub(super) fn to(door: &Arc<Door>) -> Self {
        Self(Arc::downgrade(door))
    }

    /// Answers a node that asks for what this one leads, before `deadline`.
    pub async fn attend(&self, from: NodeId, asked: Bytes, deadline: Instant) -> Bytes {
        metrics::get().forwards_received.increment(1);
        let Some(door) = self.0.upgrade() else {
            let failure = Failure::new(error::UNAVAILABLE, "unavailable: the leading node is starting or stopping");
            return Answer::Failed { failure: failure.with_remedy(Remedy::Again), minted: None }.encode();
        };
        let answer = match envelope::Request::decode(&asked) {
            Ok(request) => {
                let span = tracing::info_span!("request", id = %RequestId(request.id), %from);
                door.attend(&request, deadline).instrument(span).await
            }
            Err(why) => {
                tracing::error!(%from, %why, "a request of another node cannot be read");
                let info = match why {
                    Unreadable::Version(_) => "unavailable: the leading node does not know this form of request yet",
                    Unreadable::Damaged => "unavailable: the request arrived damaged at the leading node",
                };
                Answer::Failed { failure: Failure::new(error::UNAVAILABLE, info), minted: None }
            }
        };
        answer.encode()
    }
}

impl Door {
    async fn attend(&self, request: &envelope::Request<'_>, deadline: Instant) -> Answer {
        let mut place = None;
        let mut minted = None;
        let carried_out = async {
            let asked = self.asked_by_node(request, deadline)?;
            place = Some(asked.place);
            let _place = self.admission.admit_forwarded(asked.lane(), Instant::now()).map_err(turned_away)?;
            let _turn = self.admission.begin(asked.lane());
            let outcome = self.carry_out(&asked).await;
            minted = asked.call.minted.get().cloned();
            outcome
        };
        let outcome = AssertUnwindSafe(carried_out).catch_unwind().await;
        match outcome.unwrap_or_else(|panic| Err(panicked(panic, place))) {
            Ok(body) => Answer::Done(body),
            Err(failure) => Answer::Failed { failure, minted },
        }
    }

    /// Reads a request by the settings of this node.
    fn asked_by_node<'a>(&'a self, request: &envelope::Request<'a>, deadline: Instant) -> Result<Asked<'a>, Failure> {
        let app = AppId(request.app);
        let rules = self.rules_of(app)?;
        let no_such_command = || Failure::new(error::NO_SUCH_COMMAND, "the leading node has no such command");
        let place = ENDPOINTS.iter().position(|(name, ..)| *name == request.command).ok_or_else(no_such_command)?;
        let damaged = || Failure::new(error::UNAVAILABLE, "unavailable: the request arrived damaged");
        let caller = AccountId::parse(request.caller).map_err(|_| damaged())?;
        let minted = request.minted.map(GroupId::parse).transpose().map_err(|_| damaged())?;
        // Half of what is left, should that be less: there is time for something at least.
        let left = deadline.saturating_duration_since(Instant::now());
        let origin = Origin {
            app,
            rules,
            caller,
            deadline: deadline - WAY_BACK.min(left / 2),
            now_secs: SystemClock.now() / 1000,
            id: RequestId(request.id),
            is_counted: true,
            minted,
        };
        self.read(origin, place, request.body, &self.service)
    }
}
