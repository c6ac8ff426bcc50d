//! A data folder on a real disk: made, kept, held by one.

use muster_cluster::testing;
use muster_cluster::{Cluster, OpenError, ShardId};

use crate::recorder::{Recorder, put, run, started, stored_data};

#[test]
fn a_folder_keeps_what_was_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = testing::options(dir.path(), 1);
    for round in 0..4_usize {
        run(async {
            let cluster = Cluster::open(options.clone()).expect("opened");
            let (shard, leadership) = started(&cluster, &Recorder::default()).await;
            assert_eq!(stored_data(&shard).len(), round * 50);
            for i in 0..50_u8 {
                put(&shard, leadership, vec![i; 200]).await;
            }
            cluster.stop().await;
        });
    }
}

#[test]
fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = testing::options(dir.path(), 1);
    let first = Cluster::open(options.clone()).expect("opened");
    assert!(matches!(Cluster::open(options.clone()), Err(OpenError::InUse { .. })));
    run(async {
        first.stop().await;
    });
    drop(first);
    Cluster::open(options).expect("free again");
}

#[test]
fn a_shard_is_started_once_and_must_exist() {
    run(async {
        let cluster = testing::open(&testing::MemoryStore::new(), 1).expect("opened");
        let (_shard, _) = started(&cluster, &Recorder::default()).await;
        for id in [0, 1] {
            let refused = cluster.start_shard(ShardId(id), Box::new(Recorder::default())).await;
            assert!(matches!(refused.err(), Some(OpenError::Failed { .. })));
        }
        cluster.stop().await;
    });
}

#[test]
fn a_newer_format_and_another_number_of_shards_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    run(async {
        Cluster::open(testing::options(dir.path(), 4)).expect("made").stop().await;
    });
    let refused = Cluster::open(testing::options(dir.path(), 8));
    assert!(matches!(refused.err(), Some(OpenError::ShardsDiffer { found: 4, wanted: 8, .. })));
    let file = dir.path().join("FORMAT");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, text.replace("format 3\n", "format 7\n")).expect("written");
    let refused = Cluster::open(testing::options(dir.path(), 4));
    assert!(matches!(refused.err(), Some(OpenError::NewerFormat { found: 7, known: 3, .. })));
}
