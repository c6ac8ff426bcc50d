//! One flipped byte is found when the folder is opened, or ends everything when it is read; the file is named.

use std::fs;
use std::path::{Path, PathBuf};

use muster_cluster::testing;
use muster_cluster::{BarrierError, Cluster, ClusterOptions, Health, OpenError};

use crate::recorder::{Recorder, put, run, started, stored_data};

/// The biggest file of the database that has this ending.
fn file_with(dir: &Path, ending: &str) -> Option<PathBuf> {
    let files = fs::read_dir(dir.join("db")).expect("a database").map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()))
}

fn write_some(dir: &Path) {
    run(async {
        let cluster = Cluster::open(testing::options(dir, 1)).expect("opened");
        let (shard, leadership) = started(&cluster, &Recorder::default()).await;
        for i in 0..100_u64 {
            put(&shard, leadership, incompressible(i)).await;
        }
        cluster.stop().await;
    });
}

/// Opening once more writes what the log held into tables.
fn write_tables(dir: &Path) {
    write_some(dir);
    run(async { Cluster::open(testing::options(dir, 1)).expect("opened").stop().await });
}

/// A kilobyte that compression leaves alone, so that it lies in the files as it is.
fn incompressible(seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    })
    .take(1024)
    .collect()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("read");
    bytes[at] ^= 0x10;
    fs::write(file, bytes).expect("written");
}

fn assert_refused_naming(dir: &Path, file: &Path, at: usize) {
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    match Cluster::open(testing::options(dir, 1)) {
        Err(OpenError::Corrupt { reason, .. }) => assert!(reason.contains(&name), "{reason} does not name {name}"),
        Err(other) => panic!("byte {at} of {name}: {other}"),
        Ok(_) => panic!("byte {at} of {name} was taken for whole"),
    }
}

#[test]
fn a_flipped_byte_in_the_write_ahead_log_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    write_some(dir.path());
    let file = file_with(dir.path(), ".log").expect("a write-ahead log");
    let len = fs::metadata(&file).expect("a size").len() as usize;
    assert!(len > 150_000, "a log of {len} bytes is too short to show anything");
    // In each third, and in the last block, which recovery alone would take for a torn tail.
    for at in [len / 6, len / 2, len * 5 / 6, len - 20_000] {
        flip(&file, at);
        assert_refused_naming(dir.path(), &file, at);
        flip(&file, at);
    }
    run(async {
        let cluster = Cluster::open(testing::options(dir.path(), 1)).expect("whole again");
        let (shard, _) = started(&cluster, &Recorder::default()).await;
        assert_eq!(stored_data(&shard).len(), 100);
        cluster.stop().await;
    });
}

/// The length of a record in the last block, made longer than the file: every recovery mode of the database
/// takes it for the end of the log and drops the flushed records behind it.
#[test]
fn a_flipped_length_near_the_end_of_the_log_is_refused() {
    const BLOCK: usize = 32 * 1024;
    let dir = tempfile::tempdir().expect("a folder");
    write_some(dir.path());
    let file = file_with(dir.path(), ".log").expect("a write-ahead log");
    let bytes = fs::read(&file).expect("read");
    let mut at = bytes.len() / BLOCK * BLOCK;
    // The second record of the block: the length is behind four bytes of checksum, low byte first.
    at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    assert!(at + 4096 < bytes.len(), "no records behind");
    let mut damaged = bytes.clone();
    damaged[at + 5] |= 0x80;
    fs::write(&file, &damaged).expect("written");
    assert_refused_naming(dir.path(), &file, at + 5);

    let rows = rows_after_recovery_alone(&dir.path().join("db"));
    assert!(rows < 100, "recovery alone keeps {rows} of 100 rows: our own check is not needed for this");
}

/// How many rows the database itself comes back with.
fn rows_after_recovery_alone(path: &Path) -> usize {
    let mut options = rocksdb::Options::default();
    options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
    let db = rocksdb::DB::open_cf(&options, path, ["log", "meta", "state"]).expect("it does not mind");
    let state = db.cf_handle("state").expect("a family");
    db.iterator_cf(state, rocksdb::IteratorMode::Start)
        .filter(|row| row.as_ref().is_ok_and(|(key, _)| key.contains(&b'r')))
        .count()
}

#[test]
fn a_torn_tail_is_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    write_some(dir.path());
    let file = file_with(dir.path(), ".log").expect("a write-ahead log");
    let len = fs::metadata(&file).expect("a size").len();
    fs::File::options().write(true).open(&file).expect("opened").set_len(len - 3).expect("cut");
    run(async {
        let cluster = Cluster::open(testing::options(dir.path(), 1)).expect("a torn tail is no damage");
        let (shard, _) = started(&cluster, &Recorder::default()).await;
        // The rows of the last entry were torn off; its log record is before them and brings them back.
        assert_eq!(stored_data(&shard).len(), 100);
        cluster.stop().await;
    });
}

#[test]
fn a_flipped_byte_in_a_table_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    write_tables(dir.path());
    let file = file_with(dir.path(), ".sst").expect("a table");
    let len = fs::metadata(&file).expect("a size").len() as usize;
    assert!(len > 90_000, "a table of {len} bytes does not hold the rows");
    for at in [len / 6, len / 2, len * 5 / 6] {
        flip(&file, at);
        assert_refused_naming(dir.path(), &file, at);
        flip(&file, at);
    }
    Cluster::open(testing::options(dir.path(), 1)).expect("whole again");
}

/// The table that holds the rows of the state.
fn table_of_state(dir: &Path) -> PathBuf {
    let path = dir.join("db");
    let db = rocksdb::DB::open_cf_for_read_only(&rocksdb::Options::default(), &path, ["log", "meta", "state"], false);
    let tables = db.expect("a database").live_files().expect("its tables");
    let of_state: Vec<_> = tables.iter().filter(|table| table.column_family_name == "state").collect();
    let [table] = of_state[..] else { panic!("{} tables of state", of_state.len()) };
    path.join(table.name.trim_start_matches('/'))
}

/// Options under which a start reads no rows of tables.
fn unchecked(dir: &Path) -> ClusterOptions {
    let mut options = testing::options(dir, 1);
    options.disk.start_check_bytes_max = 0;
    options
}

#[test]
fn damage_that_no_start_looked_for_ends_everything_when_it_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    write_tables(dir.path());
    let file = table_of_state(dir.path());
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    // Rows begin the file.
    let at = 20_000;
    flip(&file, at);
    run(async {
        let cluster = Cluster::open(unchecked(dir.path())).expect("the rows are not looked at");
        let (shard, _) = started(&cluster, &Recorder::default()).await;
        assert!(cluster.remember_damage().is_none());
        let read = shard.rows().view().scan(&[], &[u8::MAX], |_, _| true);
        let error = read.expect_err("a row was read that is not what was written").to_string();
        assert!(error.contains(&name) && error.contains("offset "), "{error} does not name {name} and a place");
        assert_eq!(cluster.health(), Health::Failed { reason: error.clone() });
        // Nothing is told any more, also not of what is whole.
        assert!(matches!(shard.read_barrier().await, Err(BarrierError::Stopped)));
        let damage = cluster.remember_damage().expect("damage").to_string();
        assert!(damage.contains(&error), "{damage}");
        cluster.stop().await;
    });
    // It is not forgotten: a process that met it must not be followed by one that serves until it meets it again.
    for _ in 0..2 {
        match Cluster::open(unchecked(dir.path())) {
            Err(OpenError::Corrupt { reason, .. }) => assert!(reason.contains(&name), "{reason} does not name {name}"),
            other => panic!("{:?}", other.err()),
        }
    }
    // Mended, it is trusted as before: the second start looks at no rows.
    for _ in 0..2 {
        flip(&file, at);
        run(async { Cluster::open(unchecked(dir.path())).expect("opened").stop().await });
    }
}

#[test]
fn what_is_not_rows_is_checked_whatever_the_bound() {
    let dir = tempfile::tempdir().expect("a folder");
    write_tables(dir.path());
    let file = file_with(dir.path(), ".sst").expect("a table");
    let len = fs::metadata(&file).expect("a size").len() as usize;
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    // The properties, before the list of blocks and the footer: of some of these RocksDB says only that the manifest
    // may be damaged.
    for at in (len - 1_000..len - 300).step_by(7) {
        flip(&file, at);
        match Cluster::open(unchecked(dir.path())) {
            Err(OpenError::Corrupt { reason, .. }) => {
                assert!(reason.contains(&name) && reason.contains("offset "), "byte {at} of {name}: {reason}");
            }
            other => panic!("byte {at} of {name}: {:?}", other.err()),
        }
        flip(&file, at);
    }
}

#[test]
fn a_flipped_byte_in_the_manifest_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    write_some(dir.path());
    let current = fs::read_to_string(dir.path().join("db/CURRENT")).expect("read");
    let file = dir.path().join("db").join(current.trim());
    let len = fs::metadata(&file).expect("a size").len() as usize;
    for at in [len / 6, len / 2] {
        flip(&file, at);
        assert_refused_naming(dir.path(), &file, at);
        flip(&file, at);
    }
}
