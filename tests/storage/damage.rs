//! One flipped byte in a stored file: the node does not serve wrong or missing data, it names the file and the place.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::crash::{SETTINGS, start};
use crate::faults::until_ready_says;
use crate::load::{Load, make_shared_group};
use crate::model::Model;
use crate::random::Random;
use crate::shim::files_in;
use crate::support::{Node, Settings, doctor, until};

const CLIENTS: usize = 8;
/// Runs of the node: every start writes what the log held before into tables.
const RUNS: usize = 3;
const CHANGES_PER_RUN: u64 = 400;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Tables that are damaged, largest first.
const TABLES: usize = 3;
/// So many groups whose texts lie in tables, each of so many words of 16 bytes.
const GROUPS: usize = 400;
const TEXT_WORDS: usize = 14;
/// Of a table.
const PLACES: usize = 8;
const TEXTS_LOOKED_FOR: usize = 5;
/// A log is damaged in its first so many per cent, and only if it is so large that whole records follow there: damage
/// in the last record looks like a torn tail, which is accepted.
const LOG_PER_CENT: u64 = 50;
const LOG_BYTES_MIN: u64 = 64 * 1024;

/// By id and text.
type Groups = Vec<(String, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_named_and_nothing_is_served_from_it() {
    let mut random = Random::of_test("damage");
    let whole = a_folder_with_tables_and_a_log(&mut random).await;
    for file in damaged_files(whole.path()) {
        let path = whole.path().join("data").join(&file);
        let bytes = fs::metadata(&path).expect("a file").len();
        let used = if is_log(&path) { bytes * LOG_PER_CENT / 100 } else { bytes };
        assert!(used >= 3, "{} holds nothing to damage", path.display());
        for third in 0..3 {
            let at = random.between(used * third / 3, used * (third + 1) / 3);
            refuses(whole.path(), &file, at);
        }
    }
    // The same folder without damage starts: it was the damage that was refused.
    let node = start(whole, settings());
    drop(node);
}

async fn a_folder_with_tables_and_a_log(random: &mut Random) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the node");
    let mut node = start(folder, settings());
    make_shared_group(&mut node.client().await).await;
    let mut model = Model::new(CLIENTS, random);
    for run in 1..=RUNS {
        let load = Load::start(node.address, model);
        until("changes to store", LOAD_TIMEOUT, || load.acknowledged() >= CHANGES_PER_RUN).await;
        (model, _) = load.finish().await;
        let mut stopped = node.kill();
        if run == RUNS {
            return stopped.folder;
        }
        if run + 1 == RUNS {
            // With room in memory nothing is written into tables: all of the last run stays in one log.
            stopped.settings.toml = "[limits]\ndaily_net_groups = 0\nattr_write_per_sec = 0\n".to_owned();
        }
        node = stopped.start();
    }
    unreachable!("the last run returns")
}

/// A start that reads no rows of tables: the node meets the damage when somebody asks for what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_only_a_read_meets_stops_the_node_and_is_named() {
    let mut random = Random::of_test("damage met by a read");
    let (whole, groups) = a_folder_with_long_texts(&mut random).await;
    let data = whole.path().join("data");
    // The logs of the shards are in tables, too, and nobody asks for those: a text may be in several.
    for table in files_in(&data).into_iter().filter(|file| is_table(file)) {
        let file = table.strip_prefix(&data).expect("a file of the folder");
        let bytes = fs::read(&table).expect("a table");
        // A node reads some blocks itself at the start: so several places, all over the table.
        for some in groups.chunks(GROUPS / PLACES) {
            let Some(at) = place_of_a_text(&bytes, &some[..TEXTS_LOOKED_FOR]) else { continue };
            if is_met_by_a_read(whole.path(), file, at, &groups).await {
                return;
            }
        }
    }
    panic!("no damage was met by a read");
}

/// Groups in tables, by id and text; each start writes what the log held before into tables.
async fn a_folder_with_long_texts(random: &mut Random) -> (tempfile::TempDir, Groups) {
    let node = start(tempfile::tempdir().expect("a folder for the node"), unchecked());
    let mut client = node.client().await;
    let mut groups = Groups::new();
    for i in 0..GROUPS {
        // Compression leaves it alone, so many blocks of a table hold nothing else.
        let text: String = (0..TEXT_WORDS).map(|_| format!("{:016x}", random.bits())).collect();
        let body = json!({ "Type": "Public", "GroupId": format!("g{i}"), "Name": "n", "Introduction": text });
        client.ok("create_group", body).await;
        groups.push((format!("g{i}"), text));
    }
    (node.kill().start().kill().folder, groups)
}

/// Where a piece of some group's text lies in a table.
fn place_of_a_text(table: &[u8], groups: &[(String, String)]) -> Option<u64> {
    // Compression takes pieces out of a text that it has seen before, but not many.
    const PIECE_BYTES: usize = 16;
    let pieces = groups.iter().flat_map(|(_, text)| text.as_bytes().chunks_exact(PIECE_BYTES));
    pieces.filter_map(|piece| table.windows(PIECE_BYTES).position(|bytes| bytes == piece)).map(|at| at as u64).next()
}

/// Whether a node on a copy with one damaged byte meets it when groups are read; what it tells until then must be
/// right, and what it says from then on is file and place.
async fn is_met_by_a_read(whole: &Path, file: &Path, at: u64, groups: &Groups) -> bool {
    let copy = tempfile::tempdir().expect("a folder for the copy");
    copy_folder(&whole.join("data"), &copy.path().join("data"));
    flip(&copy.path().join("data").join(file), at);
    let name = file.file_name().and_then(|name| name.to_str()).expect("a file's name");
    let node = match Node::try_start_in(copy, unchecked()) {
        Ok(node) => node,
        // What it reads itself at the start has shown it.
        Err((_, said)) => {
            insist_on_name(name, at, &said);
            return false;
        }
    };
    if tells_all(&node, groups).await {
        println!("{name} byte {at}: not met");
        return false;
    }
    insist_on_name(name, at, &until_ready_says(&node, &[name]).await);
    insist_on_name(name, at, &node.log());
    assert!(!tells_all(&node, &groups[..1]).await && !tells_all(&node, &groups[GROUPS - 1..]).await, "it goes on");
    let (stopped, status) = tokio::task::spawn_blocking(|| node.terminate()).await.expect("its end");
    assert_eq!(status.code(), Some(1), "{status}");
    let (_, said) = Node::try_start_in(stopped.folder, stopped.settings).err().expect("damage does not go away");
    insist_on_name(name, at, said.lines().last().unwrap_or_default());
    true
}

fn insist_on_name(name: &str, at: u64, said: &str) {
    let line = said.lines().find(|line| line.contains(name) && names_a_place(line));
    println!("{name} byte {at}: {}", line.unwrap_or("(nothing)").trim());
    assert!(line.is_some(), "{name} byte {at} is damaged and not named:\n{said}");
}

/// Reads groups; `false`: the node refuses to tell one. What it tells must be what was acknowledged.
async fn tells_all(node: &Node, groups: &[(String, String)]) -> bool {
    let mut client = node.client().await;
    for (id, text) in groups {
        let answer = client.call("get_group_info", json!({ "GroupIdList": [id] })).await;
        let group = &answer["GroupInfo"][0];
        if answer["ErrorCode"] == 60008 || group["ErrorCode"] == 60008 {
            return false;
        }
        assert_eq!(group["Introduction"], text.as_str(), "{answer}");
    }
    true
}

/// Starts a node on a copy with one damaged byte and insists that it names file and place.
fn refuses(whole: &Path, file: &Path, at: u64) {
    let copy = tempfile::tempdir().expect("a folder for the copy");
    copy_folder(&whole.join("data"), &copy.path().join("data"));
    let path = copy.path().join("data").join(file);
    flip(&path, at);
    let (found, healthy) = doctor(&copy.path().join("data"));
    assert!(!healthy, "doctor took {} for whole with byte {at} flipped: {found}", file.display());
    match Node::try_start_in(copy, settings()) {
        Ok(_) => panic!("the node serves from {} with byte {at} flipped", file.display()),
        Err((_, said)) => {
            let name = file.file_name().and_then(|name| name.to_str()).expect("a file's name");
            let place = is_log(file) || is_table(file);
            let line = said.lines().find(|line| line.contains(name) && (names_a_place(line) || !place));
            println!("{} byte {at}: {}", file.display(), line.unwrap_or("(nothing)").trim());
            assert!(line.is_some(), "{} byte {at} is damaged and not named:\n{said}", file.display());
        }
    }
}

/// `offset 4096` or `byte 4096`.
fn names_a_place(line: &str) -> bool {
    ["offset ", "byte "]
        .iter()
        .any(|word| line.split(word).skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_digit())))
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).expect("a file to damage");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    // Not the bit of upper and lower case: a number in hex would stay what it is.
    file.write_all_at(&[byte[0] ^ 1], at).expect("another byte");
}

/// The largest tables, every large write-ahead log, the manifest, the format; below the data folder.
fn damaged_files(folder: &Path) -> Vec<PathBuf> {
    let data = folder.join("data");
    let mut tables = Vec::new();
    let mut others = Vec::new();
    for path in files_in(&data) {
        let bytes = path.metadata().expect("a file").len();
        let relative = path.strip_prefix(&data).expect("a file of the folder").to_owned();
        match () {
            () if is_table(&path) => tables.push((bytes, relative)),
            () if is_log(&path) && bytes >= LOG_BYTES_MIN => others.push(relative),
            () if is_manifest(&path) => others.push(relative),
            () if relative == Path::new("FORMAT") => others.push(relative),
            () => {}
        }
    }
    tables.sort();
    assert!(tables.len() >= TABLES, "only {} tables were written", tables.len());
    assert!(others.iter().any(|path| is_log(path)), "no write-ahead log is large enough");
    tables.into_iter().rev().take(TABLES).map(|(_, path)| path).chain(others).collect()
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sst")
}

/// A write-ahead log; not the database's diary, which is called `LOG`.
fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("MANIFEST-"))
}

fn copy_folder(from: &Path, to: &Path) {
    for file in files_in(from) {
        let copy = to.join(file.strip_prefix(from).expect("a file of the folder"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(&file, copy).expect("a copy");
    }
}

fn settings() -> Settings {
    Settings { toml: SETTINGS.into(), ..Settings::default() }
}

/// A start reads no rows. With room in memory only starts write tables, and so few that nothing is compacted, which
/// would read them, too.
fn unchecked() -> Settings {
    let toml = "[limits]\ndaily_net_groups = 0\n[storage]\nstart_check_bytes_max = 0\n".to_owned();
    Settings { toml, ..Settings::default() }
}
