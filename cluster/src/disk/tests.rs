//! The overlay, and reads that find damage.

use std::sync::Arc;

use bytes::Bytes;

use super::*;

fn disk(store: &MemoryStore) -> Disk {
    Disk::start(Arc::new(store.clone()), true, 1 << 20, DiskObserver::default()).expect("threads")
}

fn writes(rows: &[(&'static str, Option<&'static str>)]) -> Writes {
    rows.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()))).collect()
}

/// Writes a batch straight into the store, as the writer does.
fn store_directly(store: &MemoryStore, rows: &[(&'static str, &'static str)]) {
    let mut batch = Batch::default();
    rows.iter().for_each(|(key, value)| batch.put(Family::State, *key, *value));
    Storage::write(store, &[batch]).expect("written");
}

fn scanned(rows: &Rows, own: &Writes, limit: usize) -> Vec<String> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    rows.scan(own, b"a", b"z", limit).expect("read").iter().map(|(k, v)| format!("{}={}", text(k), text(v))).collect()
}

#[test]
fn rows_on_their_way_are_seen_until_they_are_written_and_after() {
    let store = MemoryStore::new();
    let rows = Rows::new(disk(&store), |key| key == b"a", FIRST_GENERATION);
    store_directly(&store, &[("a", "old")]);
    let mut batch = Batch::default();
    let retire = rows.overlay(writes(&[("a", Some("new")), ("b", None)]), &mut batch);
    assert_eq!(rows.read(b"a", <[u8]>::to_vec).expect("read"), Some(b"new".to_vec()));
    assert_eq!(rows.read_cached(b"a", <[u8]>::to_vec).expect("read"), Lookup::Found(b"new".to_vec()));
    assert_eq!(rows.read_cached(b"b", <[u8]>::to_vec).expect("read"), Lookup::Absent);
    assert_eq!(
        rows.view().read(b"a", <[u8]>::to_vec).expect("read"),
        Some(b"old".to_vec()),
        "a view shows what is written"
    );
    Storage::write(&store, &[batch]).expect("written");
    retire.retire();
    assert_eq!(rows.overlaid_rows(), 0);
    assert_eq!(rows.read(b"a", <[u8]>::to_vec).expect("read"), Some(b"new".to_vec()));
}

#[test]
fn a_batch_takes_only_its_own_rows_out_of_the_overlay() {
    let store = MemoryStore::new();
    let rows = Rows::new(disk(&store), |key| key == b"a", FIRST_GENERATION);
    let (mut first, mut second) = (Batch::default(), Batch::default());
    let retire_first = rows.overlay(writes(&[("a", Some("1")), ("b", Some("1"))]), &mut first);
    let retire_second = rows.overlay(writes(&[("a", Some("2"))]), &mut second);
    Storage::write(&store, &[first]).expect("written");
    retire_first.retire();
    assert_eq!(rows.overlaid_rows(), 1);
    assert_eq!(
        rows.read(b"a", <[u8]>::to_vec).expect("read"),
        Some(b"2".to_vec()),
        "the newer row is still on its way"
    );
    Storage::write(&store, &[second]).expect("written");
    retire_second.retire();
    assert_eq!(rows.overlaid_rows(), 0);
    assert_eq!(rows.read(b"a", <[u8]>::to_vec).expect("read"), Some(b"2".to_vec()));
}

#[test]
fn a_scan_merges_store_overlay_and_own_writes() {
    let store = MemoryStore::new();
    let rows = Rows::new(disk(&store), |key| key == b"a", FIRST_GENERATION);
    store_directly(&store, &[("a", "s"), ("c", "s"), ("e", "s"), ("g", "s"), ("z", "out of range")]);
    let mut batch = Batch::default();
    let _retire =
        rows.overlay(writes(&[("b", Some("o")), ("c", None), ("e", Some("o")), ("h", Some("o"))]), &mut batch);
    let own = writes(&[("a", None), ("b", Some("t")), ("d", Some("t")), ("h", None), ("i", Some("t"))]);
    assert_eq!(scanned(&rows, &own, 100), ["b=t", "d=t", "e=o", "g=s", "i=t"]);
    for limit in 0..5 {
        assert_eq!(scanned(&rows, &own, limit), ["b=t", "d=t", "e=o", "g=s", "i=t"][..limit]);
    }
    assert_eq!(scanned(&rows, &Writes::new(), 2), ["a=s", "b=o"]);
    assert_eq!(rows.scan(&own, b"d", b"b", 9).expect("read"), []);
}

#[tokio::test]
async fn a_submitted_batch_survives_power_loss() {
    let store = MemoryStore::new();
    let disk = disk(&store);
    let mut batch = Batch::default();
    batch.put(Family::State, "k", "v");
    disk.submit(batch).await.expect("flushed");
    assert_eq!(store.after_power_loss().rows(), [("k".into(), "v".into())]);
    disk.close().await;
    let refused = disk.submit(Batch::default()).await;
    assert!(matches!(refused, Err(DiskError::Failed(_))), "{refused:?}");
}

#[test]
fn a_damaged_row_fails_the_disk_when_it_is_read() {
    let disk = disk(&MemoryStore::new());
    let read: Result<(), _> = disk.checked(Err(DiskError::Corrupt("000012.sst at 4096".into())));
    read.expect_err("passed on");
    assert_eq!(disk.health(), Health::Failed { reason: "000012.sst at 4096".into() });
    assert!(disk.try_reserve().is_err(), "nothing is written any more");
}
