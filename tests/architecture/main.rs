//! Do the arrows of ARCHITECTURE.md hold in every file, and does what they cite exist? Would a wrong one be seen?

mod citations;
mod planted;
mod rules;
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{Source, callers_of_decide, rooms, violations};

#[test]
fn every_arrow_points_the_right_way() {
    let wrong: Vec<String> = sources().iter().flat_map(violations).map(|v| v.to_string()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rules_are_asked_in_one_place() {
    let sources = sources();
    let callers: Vec<String> = sources.iter().flat_map(callers_of_decide).collect();
    // Once there is a node, somebody must ask; a second place would decide without the order of the first.
    let wired = sources.iter().any(|s| s.room() == Some("node"));
    assert!(callers.len() == usize::from(wired), "group::decide is called at {callers:?}");
    assert!(callers.iter().all(|at| at.starts_with("src/actors/")), "group::decide is called at {callers:?}");
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for source in sources() {
        let Some(room) = source.room() else { continue };
        assert!(rooms().any(|known| known == room), "{}: no line in the table of arrows", source.file);
        let on_map = map.contains(&format!("src/{room}/")) || map.contains(&format!("src/{room}.rs"));
        assert!(on_map, "{}: ARCHITECTURE.md does not name its room", source.file);
    }
}

#[test]
fn the_engines_are_dependencies_of_cluster_alone() {
    let names = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(file)).expect(file);
        let manifest: toml::Table = text.parse().expect(file);
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| manifest.get(*section)?.as_table())
            .flat_map(|table| table.keys().cloned())
            .collect()
    };
    let server = names("Cargo.toml");
    assert!(server.iter().any(|d| d == "muster-cluster"), "{server:?}");
    assert!(!server.iter().any(|d| d == "openraft" || d == "rocksdb"), "{server:?}");
    let cluster = names("cluster/Cargo.toml");
    assert!(cluster.iter().any(|d| d == "openraft"), "{cluster:?}");
    assert!(!cluster.iter().any(|d| d == "muster"), "{cluster:?}");
}

#[test]
fn the_search_sees_the_files_and_their_arrows() {
    let sources = sources();
    let service = sources.iter().find(|s| s.file == "src/actors/service.rs").expect("src/actors/service.rs");
    assert!(service.references().iter().any(|r| r.path.starts_with(&["crate".into(), "group".into()])));
    assert!(sources.iter().any(|s| s.file == "cluster/src/lib.rs"));
    assert!(sources.iter().any(|s| s.file == "src/group/mod.rs"));
}

/// Every Rust file of the repository except this test, which quotes wrong arrows.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["src", "cluster", "tests", "benches", "examples"] {
        gather(&root().join(folder), &mut files);
    }
    files.sort();
    let read = |path: PathBuf| {
        let file = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
        Source { file, text, test: false }
    };
    let mut sources: Vec<Source> =
        files.into_iter().map(read).filter(|s| !s.file.starts_with("tests/architecture/")).collect();
    let tests: Vec<String> = sources.iter().flat_map(Source::declares_tests).collect();
    for source in &mut sources {
        source.test = tests.iter().any(|t| source.file == *t || t.ends_with('/') && source.file.starts_with(t));
    }
    sources
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    // A folder that does not exist yet holds no wrong arrow.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("readable folder").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
