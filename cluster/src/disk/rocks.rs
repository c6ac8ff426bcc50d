//! RocksDB as [`Storage`]: settings, opening, errors.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, ErrorKind, MemtableFactory, Options, ReadOptions, ReadTier, SliceTransform, SnapshotWithThreadMode,
    WriteBatch, WriteBufferManager, WriteOptions,
};

use super::folder::{DATABASE_DIR, Folder};
use super::log_file;
use super::row_prefix;
use super::storage::{Cached, Each, Snapshot, Storage};
use super::table_file::{self, Found, Scope};
use super::{Batch, DiskError, DiskOptions, Family};
use crate::disk::batch::Op;
use crate::handle::OpenError;

/// One memtable of the log family: entries die young, a large one lets most of them die before they are sorted into a table.
const LOG_MEMTABLE_BYTES: usize = 64 << 20;
const STATE_MEMTABLE_BYTES: usize = 64 << 20;
const META_MEMTABLE_BYTES: usize = 4 << 20;

/// The kernel starts writing the log back after this many bytes, so that a flush finds little left to do.
const WAL_BYTES_PER_SYNC: u64 = 512 << 10;

const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Of a state memtable, how much its filter may take.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;
/// A state memtable is divided by prefixes of rows, and those by their hash into so many lists.
const STATE_MEMTABLE: MemtableFactory = MemtableFactory::HashSkipList {
    bucket_count: 1 << 16,
    // Deep enough for the rows of one huge group, which share a prefix.
    height: 12,
    branching_factor: 4,
};
/// Stored beside each table: another way to take a prefix needs another name.
const PREFIX_NAME: &str = "muster.row_prefix.1";
const BACKGROUND_JOBS: i32 = 2;
const BLOCK_BYTES: usize = 8 << 10;

/// RocksDB's own diary, not the write-ahead log.
const DIARY_FILES: usize = 4;
const DIARY_BYTES: usize = 16 << 20;

pub(crate) struct Rocks {
    db: DB,
    /// Dropped after the database: the lock ends when nothing writes any more.
    folder: Folder,
}

impl Rocks {
    /// Opens the database of a folder, making it if absent, and checks what can be checked in time.
    pub(crate) fn open(folder: Folder, options: &DiskOptions) -> Result<Self, OpenError> {
        let data_dir = folder.path().to_owned();
        let data_dir = data_dir.as_path();
        let path = data_dir.join(DATABASE_DIR);
        let open_error = |error: rocksdb::Error| open_error(data_dir, error);
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let families =
            Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache)));
        match find_damage(&path) {
            Ok(None) => {}
            Ok(Some(reason)) => return Err(OpenError::Corrupt { path: data_dir.into(), reason }),
            Err(error) => {
                return Err(OpenError::Failed {
                    path: data_dir.into(),
                    reason: format!("cannot read the log files: {error}"),
                });
            }
        }
        let database_options = database_options(options);
        let open = || DB::open_cf_descriptors(&database_options, &path, families);
        let db = stepped_back(open).map_err(open_error)?;
        let rocks = Self { db, folder };
        // A folder in which damage was met is read to the end: it must not serve again from what is damaged.
        let bytes_max = if rocks.folder.is_marked_damaged() { u64::MAX } else { options.start_check_bytes_max };
        rocks.check_tables(bytes_max).map_err(|error| OpenError::of(data_dir, error))?;
        let marked = rocks.folder.unmark_damaged();
        marked
            .and_then(|()| rocks.folder.made())
            .map_err(|error| OpenError::Failed { path: data_dir.into(), reason: error.to_string() })?;
        Ok(rocks)
    }

    /// Reads table files block by block, so that damage is found now and not in a year.
    ///
    /// Of all of them what is not rows, which RocksDB has just read, too; their rows newest first, up to `bytes_max`
    /// of files. Younger files hold what was written since the last start: nobody may have read it yet.
    fn check_tables(&self, bytes_max: u64) -> Result<(), DiskError> {
        let files = self.db.live_files().map_err(disk_error)?;
        let mut files: Vec<(String, u64)> = files.into_iter().map(|file| (file.name, file.size as u64)).collect();
        let checked = newest_within(&mut files, bytes_max);
        if checked < files.len() {
            let (tables, unread) = (files.len(), files.len() - checked);
            tracing::info!(tables, unread, "the rows of the older tables are checked when they are read");
        }
        for (i, (name, _)) in files.iter().enumerate() {
            let scope = if i < checked { Scope::Everything } else { Scope::AllButRows };
            // The name begins with a slash.
            check_table(&self.db.path().join(name.trim_start_matches('/')), scope)?;
        }
        Ok(())
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("the families are made when the database is opened")
    }
}

impl Storage for Rocks {
    fn write(&self, batches: &[Batch]) -> Result<(), DiskError> {
        let mut merged = WriteBatch::default();
        // Looked up once: a batch has many rows.
        let families = Family::ALL.map(|family| self.family(family));
        let handle = |family: Family| families[family as usize];
        for op in batches.iter().flat_map(Batch::ops) {
            match op {
                Op::Rows(writes) => {
                    for (key, value) in &**writes {
                        match value {
                            Some(value) => merged.put_cf(handle(Family::State), key, value),
                            None => merged.delete_cf(handle(Family::State), key),
                        }
                    }
                }
                Op::Put { family, key, value } => merged.put_cf(handle(*family), key, value),
                Op::Delete { family, key } => merged.delete_cf(handle(*family), key),
                Op::DeleteRange { family, from, to } => merged.delete_range_cf(handle(*family), from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(merged, &options).map_err(disk_error)
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.db.flush_wal(true).map_err(disk_error)
    }

    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError> {
        if let Some(value) = self.db.get_pinned_cf(self.family(family), key).map_err(disk_error)? {
            found(&value);
        }
        Ok(())
    }

    fn get_cached(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<Cached, DiskError> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        match self.db.get_pinned_cf_opt(self.family(family), key, &options) {
            Ok(Some(value)) => {
                found(&value);
                Ok(Cached::Found)
            }
            Ok(None) => Ok(Cached::Absent),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Cached::Cold),
            Err(error) => Err(disk_error(error)),
        }
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        let options = bounded(from, to);
        walk(self.db.raw_iterator_cf_opt(self.family(family), options), each)
    }

    fn last(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        found: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), DiskError> {
        let mut rows = self.db.raw_iterator_cf_opt(self.family(family), bounded(from, to));
        rows.seek_to_last();
        if let Some((key, value)) = rows.item() {
            found(key, value);
        }
        rows.status().map_err(disk_error)
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(RocksSnapshot { rocks: self, snapshot: self.db.snapshot() })
    }
}

struct RocksSnapshot<'a> {
    rocks: &'a Rocks,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl Snapshot for RocksSnapshot<'_> {
    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError> {
        if let Some(value) = self.snapshot.get_pinned_cf(self.rocks.family(family), key).map_err(disk_error)? {
            found(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        walk(self.snapshot.raw_iterator_cf_opt(self.rocks.family(Family::State), bounded(from, to)), each)
    }

    fn skim(&self, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        let mut options = bounded(from, to);
        options.fill_cache(false);
        walk(self.snapshot.raw_iterator_cf_opt(self.rocks.family(Family::State), options), each)
    }
}

fn bounded(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(!row_prefix::is_shared(from, to));
    options.set_iterate_lower_bound(from);
    options.set_iterate_upper_bound(to);
    options
}

fn walk(mut rows: rocksdb::DBRawIterator<'_>, each: Each<'_>) -> Result<(), DiskError> {
    rows.seek_to_first();
    while let Some((key, value)) = rows.item() {
        if !each(key, value) {
            break;
        }
        rows.next();
    }
    rows.status().map_err(disk_error)
}

/// Opens the database on a thread that has stepped back: those that compact its tables begin with its opening, and
/// stand where their parent does.
fn stepped_back<T: Send>(open: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            if let Err(error) = crate::step_back() {
                tracing::warn!(%error, "compactions do not step back: under load answers may be late");
            }
            open()
        });
        opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn database_options(options: &DiskOptions) -> Options {
    let mut o = Options::default();
    o.create_if_missing(true);
    o.create_missing_column_families(true);
    o.set_paranoid_checks(true);
    // A recycled file holds old records behind the new ones, and the strict modes cannot tell them apart.
    o.set_recycle_log_file_num(0);
    o.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // A closed log file that is missing or too short is damage, too.
    o.set_track_and_verify_wals_in_manifest(true);
    o.set_max_total_wal_size(options.wal_bytes);
    o.set_wal_bytes_per_sync(WAL_BYTES_PER_SYNC);
    o.set_bytes_per_sync(WAL_BYTES_PER_SYNC);
    // Not charged to the block cache: full memtables would leave it no block, and every look-up that must not wait
    // for the disk would find nothing and go to a thread that may.
    o.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(options.memtable_bytes, false));
    o.set_max_background_jobs(BACKGROUND_JOBS);
    // One thread writes, and a divided memtable takes no more.
    o.set_allow_concurrent_memtable_write(false);
    o.set_stats_dump_period_sec(0);
    o.set_stats_persist_period_sec(0);
    o.set_keep_log_file_num(DIARY_FILES);
    o.set_max_log_file_size(DIARY_BYTES);
    o
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(BLOCK_BYTES);
    // Indexes and filters, about two bytes a row, share the bound of the cache, in which they stay longer than rows. In
    // parts: as one block per table they would be large and push each other out.
    table.set_cache_index_and_filter_blocks(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(BLOCK_BYTES);
    table.set_pin_top_level_index_and_filter(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut o = Options::default();
    match family {
        Family::State => {
            table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
            o.set_write_buffer_size(STATE_MEMTABLE_BYTES);
            o.set_prefix_extractor(SliceTransform::create(PREFIX_NAME, row_prefix::of, None));
            o.set_memtable_factory(STATE_MEMTABLE);
            // Most look-ups before a join are for rows that are not there: a filter answers them without a search.
            o.set_memtable_whole_key_filtering(true);
            o.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
        }
        // Entries are read in runs, never by a key that may be absent: no bloom filter.
        Family::Log => o.set_write_buffer_size(LOG_MEMTABLE_BYTES),
        Family::Meta => o.set_write_buffer_size(META_MEMTABLE_BYTES),
    }
    o.set_compression_type(DBCompressionType::Lz4);
    o.set_block_based_table_factory(&table);
    o
}

/// Sorts tables, given by name and size, newest first, and returns how many of them take no more than `bytes_max`.
fn newest_within(files: &mut [(String, u64)], bytes_max: u64) -> usize {
    // Numbers only grow, and a name is its number, of six digits at least.
    files.sort_unstable_by(|(a, _), (b, _)| (b.len(), b).cmp(&(a.len(), a)));
    let mut bytes = 0_u64;
    let fits = |(_, size): &&(String, u64)| {
        bytes = bytes.saturating_add(*size);
        bytes <= bytes_max
    };
    files.iter().take_while(fits).count()
}

fn check_table(path: &Path, scope: Scope) -> Result<(), DiskError> {
    let shown = path.display();
    match table_file::check(path, scope) {
        Ok(Found::Whole) => Ok(()),
        Ok(Found::Damaged(table_file::Damage { offset, bytes })) => Err(DiskError::Corrupt(format!(
            "{shown} does not hold what was written at offset {offset}, in a block of {bytes} bytes"
        ))),
        Ok(Found::Unknown) => {
            tracing::warn!(table = %shown, "a table of an unknown format is checked only when it is read");
            Ok(())
        }
        // A compaction has read it to the end and replaced it meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DiskError::Failed(format!("{shown} cannot be read: {error}"))),
    }
}

/// Looks through the write-ahead logs and the manifests; says which file is damaged and where.
fn find_damage(path: &Path) -> std::io::Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    for file in files.iter().filter(|file| is_log_format(file)) {
        if let Some(damage) = log_file::damage(file)? {
            return Ok(Some(format!(
                "{} is no record at byte {}, though whole records follow from byte {}",
                file.display(),
                damage.offset,
                damage.next_record
            )));
        }
    }
    Ok(None)
}

fn is_log_format(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_suffix(".log").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
        || name.starts_with("MANIFEST-")
}

fn open_error(data_dir: &Path, error: rocksdb::Error) -> OpenError {
    let path = data_dir.into();
    let reason = String::from(error.as_ref());
    match error.kind() {
        _ if is_lock(&error) => OpenError::InUse { path },
        ErrorKind::Corruption => OpenError::Corrupt { path, reason: placed(&data_dir.join(DATABASE_DIR), reason) },
        _ => OpenError::Failed { path, reason },
    }
}

/// Names the place where RocksDB does not: a table whose properties make no sense (it blames the manifest), or a
/// write-ahead log that breaks off although later ones go on.
fn placed(database: &Path, reason: String) -> String {
    if reason.contains(".sst offset ") {
        return reason;
    }
    let Ok(folder) = std::fs::read_dir(database) else { return reason };
    let mut files: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let tables = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "sst"));
    let damaged = tables.filter_map(|file| match check_table(file, Scope::AllButRows) {
        Err(DiskError::Corrupt(place)) => Some(place),
        _ => None,
    });
    let broken = files.iter().filter(|file| is_log_format(file)).filter_map(|file| {
        let offset = log_file::first_break(file).ok()??;
        Some(format!("{} is no record at byte {offset}", file.display()))
    });
    match damaged.chain(broken).next() {
        Some(place) => format!("{reason}: {place}"),
        None => reason,
    }
}

/// RocksDB has no kind for a lock that is held; its message names the file.
fn is_lock(error: &rocksdb::Error) -> bool {
    error.kind() == ErrorKind::IOError && error.as_ref().contains("lock") && error.as_ref().contains("/LOCK")
}

fn disk_error(error: rocksdb::Error) -> DiskError {
    let reason = String::from(error.as_ref());
    match error.kind() {
        ErrorKind::Corruption => DiskError::Corrupt(reason),
        _ => DiskError::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::DiskObserver;

    type State = BTreeMap<Vec<u8>, Vec<u8>>;
    /// A row and its value; `None` deletes.
    type Change = (Vec<u8>, Option<u8>);

    /// Keys of few prefixes, some too short to have one.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let short = prop::collection::vec(0_u8..2, 0..7);
        let long = (0_u8..3, 0_u8..3, prop::collection::vec(any::<u8>(), 0..3))
            .prop_map(|(slot, kind, rest)| [&[slot, 0, 0, 0, 0, 0, kind][..], &rest].concat());
        prop_oneof![1 => short, 5 => long]
    }

    /// Some writes, and whether the memtable is written out behind them.
    fn writes() -> impl Strategy<Value = (Vec<Change>, bool)> {
        (prop::collection::vec((key(), any::<Option<u8>>()), 1..40), any::<bool>())
    }

    fn options() -> DiskOptions {
        DiskOptions {
            flush: true,
            block_cache_bytes: 1 << 20,
            row_cache_bytes: 0,
            memtable_bytes: 64 << 20,
            wal_bytes: 64 << 20,
            start_check_bytes_max: 0,
            observer: DiskObserver::default(),
        }
    }

    fn scanned(from: &[u8], to: &[u8], scan: impl FnOnce(&[u8], &[u8], Each<'_>) -> Result<(), DiskError>) -> State {
        let mut rows = State::new();
        let mut each = |key: &[u8], value: &[u8]| {
            assert!(rows.last_key_value().is_none_or(|(last, _)| &last[..] < key), "{key:?} is out of order");
            rows.insert(key.to_vec(), value.to_vec());
            true
        };
        scan(from, to, &mut each).expect("read");
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_divided_memtable_reads_like_a_sorted_one(
            rounds in prop::collection::vec(writes(), 1..4),
            ranges in prop::collection::vec((key(), key()), 1..20),
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let folder = Folder::open(dir.path(), 1).expect("a fresh folder");
            let rocks = Rocks::open(folder, &options()).expect("a fresh database");
            let mut model = State::new();
            for (writes, is_written_out) in rounds {
                let mut batch = Batch::default();
                for (key, value) in writes {
                    match value {
                        Some(value) => {
                            batch.put(Family::State, key.clone(), vec![value]);
                            model.insert(key, vec![value]);
                        }
                        None => {
                            batch.delete(Family::State, key.clone());
                            model.remove(&key);
                        }
                    }
                }
                rocks.write(&[batch]).expect("written");
                if is_written_out {
                    rocks.db.flush_cf(rocks.family(Family::State)).expect("written out");
                }
            }
            let snapshot = rocks.snapshot();
            for (from, to) in &ranges {
                let expected: State = match from <= to {
                    true => model.range(from.clone()..to.clone()).map(|(k, v)| (k.clone(), v.clone())).collect(),
                    false => State::new(),
                };
                let read = scanned(from, to, |from, to, each| rocks.scan(Family::State, from, to, each));
                prop_assert_eq!(&read, &expected, "{:?} to {:?}", from, to);
                let read = scanned(from, to, |from, to, each| snapshot.scan(from, to, each));
                prop_assert_eq!(&read, &expected, "{:?} to {:?}", from, to);
                let mut value = None;
                rocks.get(Family::State, from, &mut |found| value = Some(found.to_vec())).expect("read");
                prop_assert_eq!(value.as_ref(), model.get(from));
            }
        }
    }

    #[test]
    fn the_newest_tables_are_checked_up_to_the_bound() {
        let tables = |count: usize, bytes_max: u64| {
            let mut files: Vec<_> = ["/000009.sst", "/1000000.sst", "/000010.sst", "/999999.sst"]
                .map(|name| (name.to_owned(), 10))
                .to_vec();
            assert_eq!(newest_within(&mut files, bytes_max), count, "{bytes_max}");
            files.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let newest_first = ["/1000000.sst", "/999999.sst", "/000010.sst", "/000009.sst"];
        for (count, bytes_max) in [(0, 0), (0, 9), (1, 10), (1, 19), (3, 30), (4, 40), (4, u64::MAX)] {
            assert_eq!(tables(count, bytes_max), newest_first);
        }
    }
}
