//! From openraft's apply stream to the application's machine, one batch at a time.
//!
//! ```text
//! entries ──► machine.apply(entries, tx) ──► overlay ──► queue ──► written: retire, release, respond
//! ```
//!
//! Apply does not wait for its rows to be written: the overlay shows them to the next apply. Whoever asked for
//! the entries is told on the writer thread, after they are written.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, TryStreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::codec::{self, Kind};
use super::log_store::LogStore;
use super::mark::Mark;
use super::snapshot::{Builder, ShardSnapshot, delete_older};
use super::types::{LogId, Membership, Proposal, Snapshot, SnapshotMeta, Types};
use crate::application::{Committed, Payload, Release, ShardMachine, Transaction};
use crate::disk::{Batch, Disk, DiskError, Family, Rows, Then};
use crate::slot::ShardId;

/// Entries and payload bytes handed to the machine at once: a turn of the arbiter, and one batch of rows.
const APPLY_ENTRIES_MAX: usize = 256;
const APPLY_BYTES_MAX: usize = 1 << 20;

/// A read that began with the rows of a generation is over by then; no request may take longer.
const READS_END_WITHIN: Duration = Duration::from_secs(60);

/// What of a shard's log is in the database, for all to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The index of the last entry whose rows are written.
    pub(crate) written: u64,
    /// Nothing further will be written.
    pub(crate) stopped: bool,
}

/// Where a replica says how far it is. Two watches, as who leads changes seldom and rows are written all the time.
#[derive(Clone)]
pub(crate) struct Reports {
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    /// The term of the last leadership whose first entry is written.
    pub(crate) blank_term: Arc<watch::Sender<u64>>,
    /// Where somebody wants to look at the rows.
    pub(crate) mark: Arc<Mark>,
}

impl Reports {
    pub(crate) fn new(applied: &Applied) -> Self {
        let written = applied.0.map_or(0, |id| id.index());
        Self {
            progress: Arc::new(watch::Sender::new(Progress { written, stopped: false })),
            blank_term: Arc::new(watch::Sender::new(0)),
            mark: Arc::default(),
        }
    }

    pub(crate) fn stopped(&self) {
        self.progress.send_modify(|progress| progress.stopped = true);
    }
}

/// The replica's state machine as openraft sees it.
pub(crate) struct Replica {
    shard: ShardId,
    disk: Disk,
    rows: Rows,
    log: LogStore,
    /// openraft wants `Sync`; there is one caller, so the lock is never contended (`get_mut`).
    machine: Mutex<Box<dyn ShardMachine>>,
    applied: Applied,
    reports: Reports,
    places: Vec<Range<u16>>,
    filled: fn(),
}

/// Up to where the log is in the rows, and who the replicas were then.
pub(crate) type Applied = (Option<LogId>, Membership);

pub(crate) fn read_applied(disk: &Disk, shard: ShardId) -> Result<Applied, io::Error> {
    Ok(codec::read_meta(disk, shard, Kind::Applied).map_err(io::Error::other)?.unwrap_or_default())
}

/// Entries on their way through one apply.
#[derive(Default)]
struct Chunk {
    entries: Vec<Committed>,
    responders: Vec<ApplyResponder<Types>>,
    last: Option<LogId>,
    bytes: usize,
}

impl Replica {
    pub(crate) fn new(
        shard: ShardId,
        rows: Rows,
        log: LogStore,
        applied: Applied,
        machine: Box<dyn ShardMachine>,
        reports: Reports,
        (places, filled): (Vec<Range<u16>>, fn()),
    ) -> Self {
        let disk = rows.disk().clone();
        Self { shard, disk, rows, log, machine: Mutex::new(machine), applied, reports, places, filled }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied.0, last_membership: self.applied.1.clone() }
    }

    /// Puts an entry into a chunk.
    ///
    /// Entries must follow each other: a hole in the log would otherwise be applied as if nothing had been there.
    fn take(&mut self, chunk: &mut Chunk, (entry, responder): EntryResponder<Types>) -> Result<(), io::Error> {
        let next = chunk.last.or(self.applied.0).map_or(0, |id| id.index() + 1);
        if entry.log_id.index() != next {
            let found = entry.log_id.index();
            let reason = format!("log of shard {} goes on at {found} where {next} was to be applied", self.shard.0);
            return self.disk.checked(Err(DiskError::Corrupt(reason))).map_err(io::Error::other);
        }
        let payload = match entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(Proposal(bytes)) => {
                chunk.bytes += bytes.len();
                Payload::Data(bytes)
            }
            EntryPayload::Membership(membership) => {
                self.applied.1 = Membership::new(Some(entry.log_id), membership);
                Payload::Membership
            }
        };
        let term = entry.log_id.committed_leader_id().term;
        chunk.entries.push(Committed { index: entry.log_id.index(), term, payload });
        chunk.responders.extend(responder);
        chunk.last = Some(entry.log_id);
        Ok(())
    }

    async fn apply_chunk(&mut self, chunk: Chunk) -> Result<(), io::Error> {
        let Some(last) = chunk.last else { return Ok(()) };
        let mut tx = Transaction::new(&self.rows);
        let release = self.machine.get_mut().apply(&chunk.entries, &mut tx);
        let release = self.disk.checked(release).map_err(io::Error::other)?;
        let writes = tx.into_writes();
        self.applied.0 = Some(last);

        let place = self.disk.reserve().await.map_err(io::Error::other)?;
        let mut batch = Batch::default();
        batch.put(Family::Meta, codec::meta_key(self.shard, Kind::Applied), codec::encode(&self.applied)?);
        let retire = self.rows.overlay(writes, &mut batch);
        let blank_term = chunk.entries.iter().rev().find(|e| e.payload == Payload::Blank).map(|e| e.term);
        let reports = self.reports.clone();
        let written = move |result: Result<(), DiskError>| match result {
            Ok(()) => {
                retire.retire();
                reports.progress.send_modify(|progress| progress.written = last.index());
                if let Some(term) = blank_term {
                    reports.blank_term.send_replace(term);
                }
                release_all(release, chunk.responders);
            }
            // Neither is run: who waits learns that the outcome is unknown.
            Err(_) => reports.stopped(),
        };
        place.send(batch, Then::Written(Box::new(written)));
        // After the batch is in the queue, not before: what is applied may be cut from the log.
        self.log.applied(last.index());
        Ok(())
    }

    /// Lets somebody look at the rows as they are at an index that has just been applied.
    async fn show(&self, index: u64) {
        let mut progress = self.reports.progress.subscribe();
        // An error would say that nobody reports any more, and this one does.
        let _ = progress.wait_for(|progress| progress.stopped || progress.written >= index).await;
        self.reports.mark.reached(index).await;
    }
}

/// Deletes the rows that others have replaced, when nobody can still be reading them.
async fn forget_older(disk: Disk, shard: ShardId, places: Vec<Range<u16>>, generation: u32) {
    tokio::time::sleep(READS_END_WITHIN).await;
    let mut old = Batch::default();
    delete_older(&mut old, &places, generation);
    if let Err(error) = disk.submit(old).await {
        // The next start finds them.
        tracing::warn!(shard = shard.0, %error, "rows that were replaced could not be deleted");
    }
}

fn release_all(release: Option<Release>, responders: Vec<ApplyResponder<Types>>) {
    if let Some(release) = release {
        release();
    }
    for responder in responders {
        responder.send(());
    }
}

impl RaftStateMachine<Types> for Replica {
    type SnapshotData = ShardSnapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<Applied, io::Error> {
        Ok(self.applied.clone())
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut chunk = Chunk::default();
        while let Some(entry) = entries.try_next().await? {
            self.take(&mut chunk, entry)?;
            if let Some(last) = chunk.last.filter(|last| self.reports.mark.is_at(last.index())) {
                self.apply_chunk(std::mem::take(&mut chunk)).await?;
                self.show(last.index()).await;
            }
            if chunk.entries.len() >= APPLY_ENTRIES_MAX || chunk.bytes >= APPLY_BYTES_MAX {
                self.apply_chunk(std::mem::take(&mut chunk)).await?;
            }
        }
        self.apply_chunk(chunk).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.meta())
    }

    /// Takes over rows that were received under a generation of their own: one batch makes them the shard's.
    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: ShardSnapshot) -> Result<(), io::Error> {
        let Some(generation) = snapshot.received else {
            return Err(io::Error::other(format!("no rows of shard {} were received", self.shard.0)));
        };
        let applied = (meta.last_log_id, meta.last_membership.clone());
        let mut batch = Batch::default();
        batch.put(Family::Meta, codec::meta_key(self.shard, Kind::Applied), codec::encode(&applied)?);
        batch.put(Family::Meta, codec::meta_key(self.shard, Kind::Generation), codec::encode(&generation)?);
        // The rows are before this in the queue, so they survive if this does.
        self.disk.submit(batch).await.map_err(io::Error::other)?;
        self.rows.switch(generation);
        self.applied = applied;
        let restored = self.machine.get_mut().restored(&self.rows);
        self.disk.checked(restored).map_err(io::Error::other)?;
        if let Some(last) = meta.last_log_id {
            self.log.applied(last.index());
            self.reports.progress.send_modify(|progress| progress.written = last.index());
        }
        tracing::info!(shard = self.shard.0, applied = ?meta.last_log_id.map(|id| id.index()), "filled from a peer");
        (self.filled)();
        tokio::spawn(forget_older(self.disk.clone(), self.shard, self.places.clone(), generation));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        // Whoever asks gets the rows as they are.
        let of_rows = |meta| Snapshot { meta, snapshot: ShardSnapshot { received: None } };
        Ok(self.applied.0.map(|_| of_rows(self.meta())))
    }
}
