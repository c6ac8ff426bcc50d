//! The log of one shard, in the log and meta families.
//!
//! Every write goes through the disk's one queue: appends, votes, truncations, cuts and the rows of applied
//! entries survive in the order they were made. What is not surely stored yet, or not applied, is kept in
//! memory, so that neither apply nor replication reads what was just written.
//!
//! The committed index is not stored. The applied one is, with the rows; what was committed beyond it is
//! applied again when the leader of the next term commits its first entry, before anything is served.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::codec::{self, Kind};
use super::types::{Entry, LogId, Types, Vote};
use crate::disk::{Batch, Disk, DiskError, Family, Then};
use crate::slot::ShardId;

/// Entries that are stored and applied stay in memory while all of them take less, for peers that are a little behind.
const TAIL_BYTES_MAX: usize = 1 << 20;

/// Bytes of entries that one append takes to a peer: it has to arrive, and be flushed there, before the peer is taken for
/// silent, and whatever else goes there waits behind it.
const APPEND_BYTES_MAX: usize = 1 << 20;

/// What an entry costs in memory beside its payload, roughly.
const ENTRY_BYTES: usize = 96;

/// The log of a shard; clones are readers of the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    shard: ShardId,
    disk: Disk,
    tail: Mutex<Tail>,
    /// Every entry below this index has its rows in the disk's queue.
    applied_end: AtomicU64,
    growth: Growth,
}

/// How much was appended since the log was last cut.
pub(crate) struct Growth {
    bytes: AtomicU64,
    cut_at_bytes: u64,
    pub(crate) due: Notify,
}

#[derive(Default)]
struct Tail {
    entries: VecDeque<TailEntry>,
    bytes: usize,
    /// The append each entry came with, and the last one that is flushed.
    appends: u64,
    flushed: u64,
}

struct TailEntry {
    entry: Entry,
    bytes: usize,
    append: u64,
}

impl LogStore {
    /// `applied`: what the rows hold already. The log asks to be cut whenever it has grown by `cut_at_bytes`.
    pub(crate) fn new(shard: ShardId, disk: Disk, applied: Option<LogId>, cut_at_bytes: u64) -> Self {
        let growth = Growth { bytes: AtomicU64::new(0), cut_at_bytes, due: Notify::new() };
        let applied_end = AtomicU64::new(applied.map_or(0, |id| id.index() + 1));
        Self { shared: Arc::new(Shared { shard, disk, tail: Mutex::default(), applied_end, growth }) }
    }

    /// Entries up to `index` have their rows in the disk's queue.
    pub(crate) fn applied(&self, index: u64) {
        self.shared.applied_end.store(index + 1, Ordering::Release);
    }

    pub(crate) fn growth(&self) -> &Growth {
        &self.shared.growth
    }

    fn meta<T: serde::de::DeserializeOwned>(&self, kind: Kind) -> Result<Option<T>, io::Error> {
        codec::read_meta(&self.shared.disk, self.shared.shard, kind).map_err(io::Error::other)
    }

    /// Stored bytes that make no sense: acknowledged entries may be gone, nothing this replica says can be trusted.
    fn corrupt(&self, reason: String) -> io::Error {
        let error = DiskError::Corrupt(format!("log of shard {}: {reason}", self.shared.shard.0));
        self.shared.disk.fail(&error);
        io::Error::other(error)
    }

    /// Entries of the range one after the other, as many as fit in `portion`; one, if there is one, in any case.
    fn read(&self, from: u64, to: u64, mut portion: Portion) -> Result<Vec<Entry>, io::Error> {
        // Memory first: what it does not hold any more has been in the store since before it was let go.
        let (stored_to, recent) = {
            let tail = self.shared.tail.lock();
            let first = tail.first_index().unwrap_or(u64::MAX);
            let skip = from.saturating_sub(first).min(tail.entries.len() as u64) as usize;
            let mut of_tail = portion.clone();
            let recent = tail.entries.iter().skip(skip).take_while(|e| e.entry.index() < to && of_tail.takes(e.bytes));
            (to.min(first), recent.map(|e| (e.bytes, e.entry.clone())).collect::<Vec<_>>())
        };
        let mut entries = match from < stored_to {
            true => self.read_stored(from, stored_to, &mut portion)?,
            false => Vec::new(),
        };
        if !portion.is_over {
            entries.extend(recent.into_iter().take_while(|(bytes, _)| portion.takes(*bytes)).map(|(_, entry)| entry));
        }
        match entries.windows(2).find(|pair| pair[0].index() + 1 != pair[1].index()) {
            None => Ok(entries),
            Some(pair) => Err(self.corrupt(format!("nothing between {} and {}", pair[0].index(), pair[1].index()))),
        }
    }

    fn read_stored(&self, from: u64, to: u64, portion: &mut Portion) -> Result<Vec<Entry>, io::Error> {
        let shard = self.shared.shard;
        let mut entries = Ok(Vec::new());
        let mut each = |_: &[u8], value: &[u8]| match (codec::decode_entry(value), &mut entries) {
            (Ok(_), Ok(_)) if !portion.takes(value.len()) => false,
            (Ok(entry), Ok(list)) => {
                list.push(entry);
                true
            }
            (Err(error), _) => {
                entries = Err(error);
                false
            }
            (Ok(_), Err(_)) => false,
        };
        let disk = &self.shared.disk;
        disk.checked(disk.storage().scan(
            Family::Log,
            &codec::log_key(shard, from),
            &codec::log_key(shard, to),
            &mut each,
        ))
        .map_err(io::Error::other)?;
        entries.map_err(|error| self.corrupt(format!("an entry between {from} and {to}: {error}")))
    }
}

/// How much of a range is read at once.
#[derive(Clone)]
struct Portion {
    bytes_left: usize,
    has_some: bool,
    is_over: bool,
}

impl Portion {
    fn of(bytes: usize) -> Self {
        Self { bytes_left: bytes, has_some: false, is_over: false }
    }

    fn all() -> Self {
        Self::of(usize::MAX)
    }

    /// Whether there is room for one more; the first always finds it, and behind one that does not nobody does.
    fn takes(&mut self, bytes: usize) -> bool {
        self.is_over |= self.has_some && bytes > self.bytes_left;
        self.has_some = true;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        !self.is_over
    }
}

impl Growth {
    fn add(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before < self.cut_at_bytes && before + bytes as u64 >= self.cut_at_bytes {
            self.due.notify_one();
        }
    }

    pub(crate) fn restart(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Tail {
    fn push(&mut self, entry: Entry, append: u64) {
        let payload = match &entry.payload {
            EntryPayload::Normal(proposal) => proposal.0.len(),
            _ => 0,
        };
        let bytes = payload + ENTRY_BYTES;
        self.bytes += bytes;
        self.entries.push_back(TailEntry { entry, bytes, append });
    }

    /// Lets go of old entries that the store has and nobody needs to apply.
    fn trim(&mut self, applied_end: u64) {
        while self.bytes > TAIL_BYTES_MAX
            && self
                .entries
                .front()
                .is_some_and(|first| first.append <= self.flushed && first.entry.index() < applied_end)
        {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.bytes -= first.bytes;
        }
    }

    fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|first| first.entry.index())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last + 1,
            Bound::Excluded(&end) => end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, Portion::all())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, Portion::of(APPEND_BYTES_MAX))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.meta(Kind::Vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let shard = self.shared.shard;
        let purged: Option<LogId> = self.meta(Kind::Purged)?;
        let recent = self.shared.tail.lock().entries.back().map(|last| last.entry.log_id);
        if let Some(last) = recent {
            return Ok(LogState { last_purged_log_id: purged, last_log_id: Some(last) });
        }
        let mut last = None;
        let mut found = |_: &[u8], value: &[u8]| last = Some(codec::decode_entry(value));
        let disk = &self.shared.disk;
        disk.checked(disk.storage().last(Family::Log, &codec::log_key(shard, 0), &codec::log_end(shard), &mut found))
            .map_err(io::Error::other)?;
        let last = last.transpose().map_err(|error| self.corrupt(format!("the last entry: {error}")))?;
        let last = last.map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let mut batch = Batch::default();
        batch.put(Family::Meta, codec::meta_key(self.shared.shard, Kind::Vote), codec::encode(vote)?);
        self.shared.disk.submit(batch).await.map_err(io::Error::other)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let shared = self.shared.clone();
        let place = self.shared.disk.reserve().await.map_err(io::Error::other)?;
        let mut batch = Batch::default();
        let append = {
            let mut tail = shared.tail.lock();
            tail.appends += 1;
            let append = tail.appends;
            for entry in entries {
                batch.put(Family::Log, codec::log_key(shared.shard, entry.index()), codec::encode_entry(&entry)?);
                tail.push(entry, append);
            }
            tail.trim(shared.applied_end.load(Ordering::Acquire));
            append
        };
        shared.growth.add(batch.bytes());
        let flushed = move |result: Result<(), DiskError>| {
            if result.is_ok() {
                shared.tail.lock().flushed = append;
            }
            callback.io_completed(result.map_err(io::Error::other));
        };
        place.send(batch, Then::Flushed(Box::new(flushed)));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let first_gone = last.map_or(0, |id| id.index() + 1);
        let place = self.shared.disk.reserve().await.map_err(io::Error::other)?;
        let shard = self.shared.shard;
        {
            let mut tail = self.shared.tail.lock();
            while tail.entries.back().is_some_and(|e| e.entry.index() >= first_gone) {
                let gone = tail.entries.pop_back().map_or(0, |e| e.bytes);
                tail.bytes -= gone;
            }
        }
        let mut batch = Batch::default();
        batch.delete_range(Family::Log, codec::log_key(shard, first_gone), codec::log_end(shard));
        // Readers look at the store for what memory does not hold, so wait until the store has forgotten it.
        place.write(batch).await.map_err(io::Error::other)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let applied_end = self.shared.applied_end.load(Ordering::Acquire);
        if upto.index() >= applied_end {
            return Err(io::Error::other(format!(
                "asked to cut the log at {upto}, but only what is before {applied_end} is applied"
            )));
        }
        let shard = self.shared.shard;
        let from = self.meta::<LogId>(Kind::Purged)?.map_or(0, |id| id.index() + 1);
        let place = self.shared.disk.reserve().await.map_err(io::Error::other)?;
        {
            let mut tail = self.shared.tail.lock();
            while tail.first_index().is_some_and(|first| first <= upto.index()) {
                tail.pop_front();
            }
        }
        // The rows of these entries are before this in the queue, so in the write-ahead log too: no crash can
        // lose rows whose entries are gone.
        let mut batch = Batch::default();
        batch.put(Family::Meta, codec::meta_key(shard, Kind::Purged), codec::encode(&upto)?);
        batch.delete_range(Family::Log, codec::log_key(shard, from), codec::log_key(shard, upto.index() + 1));
        place.write(batch).await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::type_config::TypeConfigExt;
    use tokio::sync::oneshot;

    use super::*;
    use crate::disk::MemoryStore;
    use crate::raft::types::Proposal;

    const SHARD: ShardId = ShardId(1);

    fn log_on(store: &MemoryStore) -> LogStore {
        let disk =
            Disk::start(Arc::new(store.clone()), true, 0, crate::disk::DiskObserver::default()).expect("threads");
        LogStore::new(SHARD, disk, None, u64::MAX)
    }

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(term.into(), index)
    }

    fn entry(term: u64, index: u64, bytes: usize) -> Entry {
        let payload = EntryPayload::Normal(Proposal(Bytes::from(vec![term as u8; bytes])));
        Entry { log_id: id(term, index), payload }
    }

    /// Begins an append; the receiver tells when it is flushed.
    async fn append(log: &mut LogStore, entries: Vec<Entry>) -> oneshot::Receiver<Result<(), io::Error>> {
        let (done, flushed) = Types::oneshot();
        log.append(entries, IOFlushed::signal(done)).await.expect("taken");
        flushed
    }

    async fn ids(log: &mut LogStore, range: std::ops::Range<u64>) -> Vec<(u64, u64)> {
        let entries = log.try_get_log_entries(range).await.expect("read");
        entries.iter().map(|entry| (entry.log_id.committed_leader_id().term, entry.index())).collect()
    }

    #[tokio::test]
    async fn entries_are_readable_before_and_reported_after_the_flush() {
        let store = MemoryStore::new();
        let mut log = log_on(&store);
        store.hang_flushes();
        let mut flushed = append(&mut log, vec![entry(1, 0, 10), entry(1, 1, 10)]).await;
        assert_eq!(ids(&mut log, 0..9).await, [(1, 0), (1, 1)]);
        assert_eq!(ids(&mut log, 1..2).await, [(1, 1)]);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(flushed.try_recv().is_err(), "reported before the flush");
        store.resume_flushes();
        flushed.await.expect("answered").expect("flushed");
        assert_eq!(store.after_power_loss().log_entries(), 2);
    }

    #[tokio::test]
    async fn what_is_appended_after_a_truncation_replaces_what_was_there() {
        let store = MemoryStore::new();
        let mut log = log_on(&store);
        drop(append(&mut log, (0..10).map(|i| entry(1, i, 10)).collect()).await);
        log.truncate_after(Some(id(1, 4))).await.expect("truncated");
        assert_eq!(ids(&mut log, 3..99).await, [(1, 3), (1, 4)]);
        append(&mut log, vec![entry(2, 5, 10), entry(2, 6, 10)]).await.await.expect("answered").expect("flushed");
        let wanted = [(1, 4), (2, 5), (2, 6)];
        assert_eq!(ids(&mut log, 4..99).await, wanted);

        let mut again = log_on(&store.after_power_loss());
        assert_eq!(ids(&mut again, 4..99).await, wanted);
        assert_eq!(again.get_log_state().await.expect("read").last_log_id, Some(id(2, 6)));
    }

    #[tokio::test]
    async fn memory_lets_go_only_of_what_is_flushed_and_applied() {
        const ENTRIES: u64 = 64;
        let mut log = log_on(&MemoryStore::new());
        for i in 0..ENTRIES {
            append(&mut log, vec![entry(1, i, TAIL_BYTES_MAX / 8)]).await.await.expect("answered").expect("flushed");
        }
        assert_eq!(log.shared.tail.lock().first_index(), Some(0), "nothing is applied yet");
        log.applied(39);
        append(&mut log, vec![entry(1, ENTRIES, 1)]).await.await.expect("answered").expect("flushed");
        assert_eq!(log.shared.tail.lock().first_index(), Some(40));
        // Half from the store, half from memory.
        assert_eq!(ids(&mut log, 30..50).await, (30..50).map(|i| (1, i)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_peer_is_sent_no_more_at_once_than_an_append_takes() {
        const ENTRIES: u64 = 24;
        let mut log = log_on(&MemoryStore::new());
        for i in 0..ENTRIES {
            // Three of them, and not quite a fourth.
            append(&mut log, vec![entry(1, i, APPEND_BYTES_MAX / 4)]).await.await.expect("answered").expect("flushed");
        }
        append(&mut log, vec![entry(1, ENTRIES, 3 * APPEND_BYTES_MAX)])
            .await
            .await
            .expect("answered")
            .expect("flushed");
        log.applied(ENTRIES / 2 - 1);
        append(&mut log, vec![entry(1, ENTRIES + 1, 1)]).await.await.expect("answered").expect("flushed");
        let first_in_memory = log.shared.tail.lock().first_index().expect("some");
        assert_eq!(first_in_memory, ENTRIES / 2);
        // From the store, from memory, across, and one that is larger than all that.
        for from in 0..ENTRIES - 3 {
            let sent = log.limited_get_log_entries(from, ENTRIES + 2).await.expect("read");
            let sent: Vec<u64> = sent.iter().map(|entry| entry.index()).collect();
            assert_eq!(sent, [from, from + 1, from + 2], "memory begins at {first_in_memory}");
        }
        for (from, expected) in [(ENTRIES, vec![ENTRIES]), (ENTRIES + 1, vec![ENTRIES + 1])] {
            let sent = log.limited_get_log_entries(from, ENTRIES + 2).await.expect("read");
            assert_eq!(sent.iter().map(|entry| entry.index()).collect::<Vec<_>>(), expected);
        }
        assert_eq!(ids(&mut log, 0..ENTRIES + 2).await.len() as u64, ENTRIES + 2);
    }

    #[tokio::test]
    async fn the_log_is_not_cut_beyond_what_is_applied() {
        let store = MemoryStore::new();
        let mut log = log_on(&store);
        append(&mut log, (0..10).map(|i| entry(1, i, 10)).collect()).await.await.expect("answered").expect("flushed");
        log.applied(5);
        log.purge(id(1, 6)).await.expect_err("not applied");
        assert_eq!(store.log_entries(), 10);
        log.purge(id(1, 5)).await.expect("cut");
        assert_eq!(ids(&mut log, 0..99).await, [(1, 6), (1, 7), (1, 8), (1, 9)]);
        let state = log_on(&store.after_kill()).get_log_state().await.expect("read");
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(1, 5)), Some(id(1, 9))));
    }

    #[tokio::test]
    async fn a_hole_is_damage() {
        let store = MemoryStore::new();
        let mut log = log_on(&store);
        append(&mut log, vec![entry(1, 0, 1), entry(1, 1, 1), entry(1, 3, 1)])
            .await
            .await
            .expect("answered")
            .expect("flushed");
        let mut again = log_on(&store.after_kill());
        let error = again.try_get_log_entries(0..9).await.expect_err("taken for whole");
        assert!(error.to_string().contains("between 1 and 3"), "{error}");
        assert!(again.shared.disk.failure().is_some());
    }
}
