//! The disk under a node: what it has flushed, what it still takes, and what a power cut leaves of it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::random::Random;
use crate::support::Settings;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storage/shim.c");

// The layout of shim.c: a header of eight words, then slots of four.
const FAULTS: u64 = 0;
const ROOM: u64 = 8;
const WRITES_REFUSED: u64 = 16;
const FLUSHES_FAILED: u64 = 24;
const FLUSHES_HANGING: u64 = 32;
const HEADER_BYTES: usize = 64;
const SLOT_BYTES: usize = 32;
const SLOTS: usize = 65536;
const FLUSH_FAILS: u64 = 1;
const FLUSH_HANGS: u64 = 2;
const ANY_ROOM: i64 = -1;

/// What is left of the bytes that no flush covered.
#[derive(Clone, Copy, Debug)]
pub enum Tail {
    /// Nothing.
    Gone,
    /// Of each file some of its first ones: a record may end in the middle.
    Torn,
}

/// What a power cut took.
#[derive(Debug)]
pub struct Cut {
    pub files: usize,
    pub bytes: u64,
}

/// The shim, built, with its table.
pub struct Shim {
    folder: tempfile::TempDir,
    table: File,
}

impl Shim {
    pub fn build() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the shim");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .arg(library(folder.path()))
            .arg(SOURCE)
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("a C compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = File::options().create_new(true).read(true).write(true).open(table(folder.path()));
        let table = table.expect("the shim's table");
        table.set_len((HEADER_BYTES + SLOTS * SLOT_BYTES) as u64).expect("room for the table");
        let shim = Self { folder, table };
        shim.lift();
        shim
    }

    /// Settings of a node that runs on this disk; its data folder will be `data` in `folder`.
    pub fn under(&self, folder: &Path, toml: &str) -> Settings {
        let text = |path: PathBuf| path.into_os_string().into_string().expect("a path that is text");
        let data = folder.canonicalize().expect("the node's folder").join("data");
        Settings {
            toml: toml.into(),
            environment: vec![
                ("LD_PRELOAD".into(), text(library(self.folder.path()))),
                ("STORAGE_SHIM_TABLE".into(), text(table(self.folder.path()))),
                ("STORAGE_SHIM_DATA".into(), text(data)),
            ],
            ..Settings::default()
        }
    }

    /// From now on the disk takes so many bytes and no more.
    pub fn fill(&self, room_bytes: i64) {
        self.put(ROOM, room_bytes as u64);
    }

    /// From now on every flush fails.
    pub fn fail_flushes(&self) {
        self.put(FAULTS, FLUSH_FAILS);
    }

    /// From now on a flush ends no sooner than the fault.
    pub fn hang_flushes(&self) {
        self.put(FAULTS, FLUSH_HANGS);
    }

    /// Ends every fault.
    pub fn lift(&self) {
        self.put(ROOM, ANY_ROOM as u64);
        self.put(FAULTS, 0);
    }

    pub fn writes_refused(&self) -> u64 {
        self.get(WRITES_REFUSED)
    }

    pub fn flushes_failed(&self) -> u64 {
        self.get(FLUSHES_FAILED)
    }

    /// Flushes that hang right now.
    pub fn flushes_hanging(&self) -> u64 {
        self.get(FLUSHES_HANGING)
    }

    /// Takes from every file in a folder that no process uses what no flush covered.
    pub fn cut_power(&self, data_dir: &Path, tail: Tail, random: &mut Random) -> Cut {
        let flushed = self.flushed();
        let mut cut = Cut { files: 0, bytes: 0 };
        for path in files_in(data_dir) {
            let meta = path.metadata().expect("a file");
            let known = flushed.get(&(meta.dev(), meta.ino())).copied();
            // A kill between making a file and remembering it leaves an empty one.
            assert!(
                known.is_some() || meta.len() == 0 || !holds_data(&path),
                "{} was written behind the back of the shim: what a power cut leaves of it is not known",
                path.display()
            );
            let Some(unflushed) = known.and_then(|flushed| meta.len().checked_sub(flushed)).filter(|&n| n > 0) else {
                continue;
            };
            let kept = match tail {
                Tail::Gone => 0,
                Tail::Torn => random.below(unflushed + 1),
            };
            let file = File::options().write(true).open(&path).expect("a file to cut");
            file.set_len(meta.len() - unflushed + kept).expect("a shorter file");
            cut.files += 1;
            cut.bytes += unflushed - kept;
        }
        cut
    }

    /// (device, inode) → bytes that the last flush covered.
    fn flushed(&self) -> HashMap<(u64, u64), u64> {
        let mut slots = vec![0; SLOTS * SLOT_BYTES];
        self.table.read_exact_at(&mut slots, HEADER_BYTES as u64).expect("the table");
        let word = |bytes: &[u8], i: usize| u64::from_ne_bytes(bytes[i * 8..i * 8 + 8].try_into().expect("a word"));
        slots
            .chunks_exact(SLOT_BYTES)
            .filter(|slot| word(slot, 1) != 0)
            .map(|slot| ((word(slot, 0), word(slot, 1)), word(slot, 2)))
            .collect()
    }

    fn put(&self, at: u64, value: u64) {
        self.table.write_all_at(&value.to_ne_bytes(), at).expect("the shim's table");
    }

    fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.table.read_exact_at(&mut bytes, at).expect("the shim's table");
        u64::from_ne_bytes(bytes)
    }
}

impl Drop for Shim {
    /// A node must not be left hanging by a test that failed.
    fn drop(&mut self) {
        self.lift();
    }
}

fn library(folder: &Path) -> PathBuf {
    folder.join("shim.so")
}

fn table(folder: &Path) -> PathBuf {
    folder.join("table")
}

/// Every file in a folder and the folders in it.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry of a folder");
            match entry.file_type().expect("its type").is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    files
}

/// Tables, write-ahead logs, manifests.
fn holds_data(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell command on the shim's disk, in the data folder.
    fn run(shim: &Shim, folder: &Path, script: &str) -> bool {
        let status = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.join("data"))
            .envs(shim.under(folder, "").environment)
            .status()
            .expect("a shell");
        status.success()
    }

    fn bytes(path: &Path) -> u64 {
        path.metadata().expect("a file").len()
    }

    #[test]
    fn a_power_cut_leaves_what_was_flushed() {
        let (shim, folder) = (Shim::build(), tempfile::tempdir().expect("a folder"));
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let append = "oflag=append conv=notrunc";
        let script = format!(
            "dd if=/dev/zero of=flushed bs=100 count=3 conv=fsync
             dd if=/dev/zero of=half bs=100 count=3 conv=fdatasync && dd if=/dev/zero of=half bs=50 count=1 {append}
             dd if=/dev/zero of=never bs=100 count=3
             dd if=/dev/zero of=again bs=100 count=3 conv=fsync && dd if=/dev/zero of=again bs=100 count=2"
        );
        assert!(run(&shim, folder.path(), &script));
        let cut = shim.cut_power(&data, Tail::Gone, &mut Random::of_test("shim"));
        let left = ["flushed", "half", "never", "again"].map(|name| bytes(&data.join(name)));
        assert_eq!((left, cut.files, cut.bytes), ([300, 300, 0, 0], 3, 550));
    }

    #[test]
    fn a_fault_meets_files_of_the_data_folder_and_ends() {
        let (shim, folder) = (Shim::build(), tempfile::tempdir().expect("a folder"));
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        shim.fill(150);
        assert!(!run(&shim, folder.path(), "dd if=/dev/zero of=full bs=100 count=3"));
        assert_eq!((bytes(&data.join("full")), shim.writes_refused() > 0), (150, true));
        assert!(run(&shim, folder.path(), "dd if=/dev/zero of=../elsewhere bs=100 count=3"));
        shim.lift();
        shim.fail_flushes();
        assert!(!run(&shim, folder.path(), "dd if=/dev/zero of=failed bs=100 count=1 conv=fsync"));
        assert_eq!(shim.flushes_failed(), 1);
        shim.lift();
        // What a failed flush let go does not come back with the next one.
        assert!(run(&shim, folder.path(), "dd if=/dev/zero of=failed bs=100 count=1 oflag=append conv=notrunc,fsync"));
        shim.cut_power(&data, Tail::Gone, &mut Random::of_test("shim"));
        assert_eq!(bytes(&data.join("failed")), 0);
    }

    #[test]
    fn a_hanging_flush_ends_with_the_fault() {
        let (shim, folder) = (Shim::build(), tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        shim.hang_flushes();
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| run(&shim, folder.path(), "dd if=/dev/zero of=f bs=100 count=1 conv=fsync"));
            while shim.flushes_hanging() == 0 {
                assert!(!flush.is_finished(), "the flush did not hang");
                std::thread::yield_now();
            }
            shim.lift();
            assert!(flush.join().expect("no panic"));
        });
        assert_eq!(shim.flushes_hanging(), 0);
    }
}
