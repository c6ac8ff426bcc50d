//! Messages between shards: what this host has for others, and what others have for it.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use muster_cluster::ShardId;

use super::{ShardHost, answer};
use crate::actors::ReadError;
use crate::actors::message::{Deliver, Origin, Received, SettleInbox};
use crate::actors::words::{ReceivedWord, Words};
use crate::shard::{Item, ItemRef};

/// What was received waits so long for an entry that leaves anyway: an entry of its own costs as much as a command.
/// The sender has it on disk, and who wants to read it does not wait for this.
const INBOX_LINGER: Duration = Duration::from_millis(5);

impl ShardHost {
    /// Hands new outbox rows to their targets' hosts.
    pub(super) fn deliver(&mut self) {
        let Some(leading) = self.leading.as_mut() else { return };
        // Of what is lost before all hosts are there to be spoken to nobody would notice for a while.
        if self.neighbours.peers().is_empty() {
            return;
        }
        for (target, rows) in leading.courier.due() {
            let deliver = Deliver { source: self.shard, term: leading.shared.term, newest: None, rows };
            self.neighbours.tell(target, deliver);
        }
    }

    /// Makes itself heard: as a source, to those who wait for an answer of its leader, and as a target, which has to
    /// know what earlier leaderships may have received.
    pub(super) fn begin(&mut self) {
        self.deliver();
        let Some(leading) = self.leading.as_ref() else { return };
        for other in (0..self.shards).map(ShardId).filter(|other| *other != self.shard) {
            let heard_of = Deliver { source: self.shard, term: leading.shared.term, newest: None, rows: Vec::new() };
            self.neighbours.tell(other, heard_of);
        }
        self.ask_sources();
        self.catch_up();
    }

    /// Asks those who have not answered: their shards may have had no leader.
    pub(super) fn ask_sources(&self) {
        let Some(leading) = self.leading.as_ref() else { return };
        for source in leading.recovering.unanswered() {
            self.say_received(source, leading.inbox.applied_through(source), false, true);
        }
    }

    /// What is held beyond what is applied is to be claimed only once this leadership is confirmed.
    pub(super) fn say_received(&self, source: ShardId, through: u64, again: bool, asks: bool) {
        let Some(leading) = self.leading.as_ref() else { return };
        let applied = leading.inbox.applied_through(source);
        let received = Received { target: self.shard, term: leading.shared.term, through, applied, again, asks };
        self.neighbours.tell(source, received);
    }

    /// Says what waited for this leadership to be confirmed, if it was.
    pub(super) fn say_confirmed(&mut self, words: Words, is_confirmed: bool) {
        let Some(leading) = self.leading.as_mut() else { return };
        leading.unconfirmed.end();
        if !is_confirmed {
            return;
        }
        // A target's leader is told which row for it is the newest, as of after it asked. Whatever earlier leaders of it
        // said they had received is not newer: it went through this leadership, or through one before it, whose rows were
        // all applied when this one began.
        for (target, asked_in) in words.newest {
            let newest = Some((asked_in, leading.courier.newest(target)));
            let answer = Deliver { source: self.shard, term: leading.shared.term, newest, rows: Vec::new() };
            self.neighbours.tell(target, answer);
        }
        for (source, ReceivedWord { through, again }) in words.received {
            let asks = self.leading.as_ref().is_some_and(|leading| leading.recovering.is_unanswered(source));
            self.say_received(source, through, again, asks);
        }
    }

    /// Says that this leadership has recovered, when it has.
    pub(super) fn catch_up(&mut self) {
        let Some(leading) = self.leading.as_mut() else { return };
        leading.recovering.catch_up(&leading.inbox);
        if leading.recovering.is_over() {
            self.neighbours.recovered().set(self.shard, Some(leading.shared.term));
        }
    }

    pub(super) fn release_indexed(&mut self) {
        let Some(leading) = self.leading.as_mut() else { return };
        let (courier, index_wait) = (&leading.courier, self.options.index_wait);
        for unindexed in leading.unindexed.extract_if(.., |u| {
            u.needs.iter().all(|(target, seq)| courier.received(*target) >= *seq) || u.since.elapsed() >= index_wait
        }) {
            unindexed.entries.into_iter().for_each(answer);
        }
        for job in leading.courier.told() {
            self.neighbours.disbanding().end(self.shard, job);
        }
    }

    /// Proposes what was received if somebody waits for it; else it rides in the next entry, or leaves in a while.
    pub(super) fn schedule_inbox(&mut self, ctx: &mut Context<Self>) {
        let Some(leading) = self.leading.as_mut() else { return };
        if leading.inbox.is_awaited() {
            self.propose_inbox();
        } else if leading.inbox.has_due() && !std::mem::replace(&mut leading.is_lingering, true) {
            ctx.run_later(INBOX_LINGER, |host, _| {
                if let Some(leading) = host.leading.as_mut() {
                    leading.is_lingering = false;
                }
                host.propose_inbox();
            });
        }
    }

    pub(super) fn propose_inbox(&mut self) {
        let Some(leading) = self.leading.as_mut() else { return };
        for (source, rows) in leading.inbox.due() {
            let item = ItemRef::inbox(source.0, rows.iter().map(|(seq, effects)| (*seq, effects.as_slice())));
            leading.shared.push(item.encode(), Origin::Inbox { source });
        }
    }
}

impl Handler<Deliver> for ShardHost {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) {
        let Some(leading) = self.leading.as_mut() else { return };
        let Deliver { source, term, newest, rows } = deliver;
        let Some((through, again)) = leading.inbox.receive(source, term, rows) else { return };
        // An answer to an earlier leadership says nothing of what that one received afterwards.
        if let Some((_, newest)) = newest.filter(|(asked_in, _)| *asked_in == leading.shared.term) {
            leading.recovering.answered(source, newest);
        }
        // It is a promise to whoever waits for it: a leader that was deposed meanwhile cannot keep it.
        leading.unconfirmed.received(source, ReceivedWord { through, again });
        self.catch_up();
        self.say_once_confirmed(ctx);
        self.schedule_inbox(ctx);
    }
}

impl Handler<Received> for ShardHost {
    type Result = ();

    fn handle(&mut self, received: Received, ctx: &mut Self::Context) {
        let Some(leading) = self.leading.as_mut() else { return };
        let Received { target, term, through, applied, again, asks } = received;
        leading.courier.receipt(target, term, through, applied, again);
        // The truncation rides in this shard's next entry; the sweep sends it when there is none.
        if !leading.shared.proposer.borrow().is_empty()
            && let Some(through) = leading.courier.acknowledge(target)
        {
            let item = Item::OutboxAck { target: target.0, through };
            leading.shared.push(item.encode(), Origin::OutboxAck { target, through });
        }
        if asks {
            leading.unconfirmed.newest(target, term);
        }
        self.deliver();
        self.say_once_confirmed(ctx);
        self.release_indexed();
    }
}

impl Handler<SettleInbox> for ShardHost {
    type Result = ();

    fn handle(&mut self, settle: SettleInbox, ctx: &mut Self::Context) {
        let Some(leading) = self.leading.as_mut() else {
            let _ = settle.reply.send(Err(ReadError::Unavailable { what: "this node does not lead the shard" }));
            return;
        };
        leading.inbox.wait(settle.reply);
        self.schedule_inbox(ctx);
    }
}
