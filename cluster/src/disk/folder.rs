//! The data folder: whose it is, what format it has, and the lock against a second process.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::log_file::crc32c;
use crate::handle::OpenError;

/// The format this binary writes, and the newest it reads.
///
/// Raise it when an older binary would misread what is written; say in the commit how older data is read.
pub(crate) const FORMAT: u32 = 3;
/// The oldest it reads: without a word on how the folder came about, as every one of them founded a cluster of its own.
/// Format 1, which no release wrote, counted who is at a place instead of who has left it.
const OLDEST_FORMAT: u32 = 2;

const FORMAT_FILE: &str = "FORMAT";
const DRAFT_FILE: &str = "FORMAT.new";

/// The folder of the database in the data folder, and the file every database has.
pub(crate) const DATABASE_DIR: &str = "db";
const DATABASE_FILE: &str = "CURRENT";
const LOCK_FILE: &str = "LOCK";
/// The cluster that a node without an identity has promised to belong to.
const PROMISE_FILE: &str = "PROMISE";
/// There since damage was met in a read, until a start has read everything and found none.
const DAMAGED_FILE: &str = "DAMAGED";

/// The first node of a cluster; further ones are numbered by the cluster when they join.
const FIRST_NODE: u32 = 1;

/// What a data folder is for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) shards: u16,
    pub(crate) cluster: u64,
    /// The replica's name in every shard: the node's number in the high half, the incarnation of this folder in
    /// the low one. A folder that was wiped comes back under another name, as it forgot what it promised.
    pub(crate) node: u64,
    /// The node made the cluster, and every shard that is not there yet; a node that was let in never does.
    pub(crate) founder: bool,
}

impl Identity {
    /// A cluster of its own.
    pub(crate) fn new(shards: u16) -> io::Result<Self> {
        Ok(Self::founding(shards, random()?, new_incarnation()?))
    }

    /// The first node of a cluster.
    pub(crate) fn founding(shards: u16, cluster: u64, incarnation: u32) -> Self {
        Self { shards, cluster, node: u64::from(FIRST_NODE) << 32 | u64::from(incarnation), founder: true }
    }
}

/// A name for a folder that no other one has had.
pub(crate) fn new_incarnation() -> io::Result<u32> {
    Ok(random()? as u32)
}

/// The cluster that a node without an identity has promised to belong to, if any.
pub(crate) fn read_promise(path: &Path) -> Result<Option<u64>, OpenError> {
    let file = path.join(PROMISE_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Failed { path: path.into(), reason: error.to_string() }),
    };
    let promised = text.lines().next().and_then(|line| u64::from_str_radix(line.strip_prefix("cluster ")?, 16).ok());
    match promised.filter(|cluster| text == promise(*cluster)) {
        Some(cluster) => Ok(Some(cluster)),
        None => {
            let reason = format!("{} does not have the checksum it names", file.display());
            Err(OpenError::Corrupt { path: path.into(), reason })
        }
    }
}

/// Keeps a promise, so that a start after a crash still keeps it.
pub(crate) fn write_promise(path: &Path, cluster: u64) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let draft = path.join(format!("{PROMISE_FILE}.new"));
    let mut file = File::create(&draft)?;
    file.write_all(promise(cluster).as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path.join(PROMISE_FILE))?;
    File::open(path)?.sync_all()
}

fn promise(cluster: u64) -> String {
    with_checksum(&format!("cluster {cluster:016x}\n"))
}

/// A data folder held by this process. Others can have it when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    identity: Identity,
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it if absent, as that of a cluster of its own.
    pub(crate) fn open(path: &Path, shards: u16) -> Result<Self, OpenError> {
        Self::open_as(path, shards, || Identity::new(shards))
    }

    /// The same, under an identity that the caller gives it if it is absent.
    pub(crate) fn open_as(
        path: &Path,
        shards: u16,
        identity: impl FnOnce() -> io::Result<Identity>,
    ) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::Failed { path: path.into(), reason: error.to_string() };
        fs::create_dir_all(path).map_err(failed)?;
        let folder = Self::take(path, || begin(path, identity))?;
        if folder.identity.shards != shards {
            return Err(OpenError::ShardsDiffer { path: path.into(), found: folder.identity.shards, wanted: shards });
        }
        Ok(folder)
    }

    /// What a folder is; `None`: it was never made. Takes nothing.
    pub(crate) fn identity_of(path: &Path) -> Result<Option<Identity>, OpenError> {
        match fs::read_to_string(path.join(FORMAT_FILE)) {
            Ok(text) => Ok(Some(parse(path, &text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::Failed { path: path.into(), reason: error.to_string() }),
        }
    }

    /// Takes a folder that is there already, whatever number of shards it has.
    pub(crate) fn open_present(path: &Path) -> Result<Self, OpenError> {
        let absent = || OpenError::Failed { path: path.into(), reason: "it is no data folder".into() };
        if !path.join(FORMAT_FILE).exists() {
            return Err(absent());
        }
        Self::take(path, || Err(absent()))
    }

    fn take(path: &Path, begin: impl FnOnce() -> Result<Identity, OpenError>) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::Failed { path: path.into(), reason: error.to_string() };
        let lock = File::options().create(true).append(true).open(path.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.into() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let identity = match fs::read_to_string(path.join(FORMAT_FILE)) {
            Ok(text) => {
                let database = path.join(DATABASE_DIR).join(DATABASE_FILE);
                if !database.exists() {
                    let reason = format!("{} is missing", database.display());
                    return Err(OpenError::Corrupt { path: path.into(), reason });
                }
                parse(path, &text)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => begin()?,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path: path.into(), identity, _lock: lock })
    }

    /// To be called when the database is there: from now on the folder must have both.
    pub(crate) fn made(&self) -> io::Result<()> {
        let draft = self.path.join(DRAFT_FILE);
        if draft.exists() {
            fs::rename(draft, self.path.join(FORMAT_FILE))?;
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// Whether a process that served from this folder met damage.
    pub(crate) fn is_marked_damaged(&self) -> bool {
        self.path.join(DAMAGED_FILE).exists()
    }

    /// To be called when everything was read and found whole: somebody has mended it.
    pub(crate) fn unmark_damaged(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(DAMAGED_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }
}

/// Remembers in a folder that this process serves from that damage was met, for the next start.
pub(crate) fn mark_damaged(path: &Path, reason: &str) -> io::Result<()> {
    let mut file = File::create(path.join(DAMAGED_FILE))?;
    file.write_all(reason.as_bytes())?;
    file.sync_all()?;
    File::open(path)?.sync_all()
}

/// Writes the format file of a new folder under its draft name.
///
/// It gets its name in [`Folder::made`], when there is a database. So a folder that has the one without the other
/// has lost something, and is refused: an empty database would forget what was acknowledged, a new name what
/// was voted. A draft is left by a first start that did not get that far; nothing was served from it.
fn begin(path: &Path, identity: impl FnOnce() -> io::Result<Identity>) -> Result<Identity, OpenError> {
    if path.join(DATABASE_DIR).exists() && !path.join(DRAFT_FILE).exists() {
        let reason = format!("{} is missing beside a database", path.join(FORMAT_FILE).display());
        return Err(OpenError::Corrupt { path: path.into(), reason });
    }
    let identity = identity().and_then(|identity| write(path, identity).map(|()| identity));
    identity.map_err(|error| OpenError::Failed { path: path.into(), reason: error.to_string() })
}

fn write(path: &Path, identity: Identity) -> io::Result<()> {
    let body = body(FORMAT, identity);
    let mut file = File::create(path.join(DRAFT_FILE))?;
    file.write_all(with_checksum(&body).as_bytes())?;
    file.sync_all()?;
    File::open(path)?.sync_all()
}

fn body(format: u32, identity: Identity) -> String {
    let Identity { shards, cluster, node, founder } = identity;
    let birth = match (format, founder) {
        (2, _) => "",
        (_, true) => "birth founded\n",
        (_, false) => "birth joined\n",
    };
    format!("format {format}\nshards {shards}\ncluster {cluster:016x}\nnode {node:016x}\n{birth}")
}

fn with_checksum(body: &str) -> String {
    format!("{body}checksum {:08x}\n", crc32c(body.as_bytes()))
}

fn parse(path: &Path, text: &str) -> Result<Identity, OpenError> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    // The version is looked at before everything else: a newer format may have other fields.
    let format = field("format").and_then(|v| v.parse().ok());
    if let Some(found) = format.filter(|&found| found > FORMAT) {
        return Err(OpenError::NewerFormat { path: path.into(), found, known: FORMAT });
    }
    if let Some(found) = format.filter(|&found| found < OLDEST_FORMAT) {
        return Err(OpenError::OlderFormat { path: path.into(), found, oldest: OLDEST_FORMAT });
    }
    let identity = || {
        Some(Identity {
            shards: field("shards")?.parse().ok()?,
            cluster: u64::from_str_radix(field("cluster")?, 16).ok()?,
            node: u64::from_str_radix(field("node")?, 16).ok()?,
            founder: field("birth").is_none_or(|birth| birth == "founded"),
        })
    };
    match (format, identity()) {
        // The text itself, not what it says: a letter of another case is damage too.
        (Some(format), Some(identity)) if text == with_checksum(&body(format, identity)) => Ok(identity),
        _ => {
            let reason = format!("{} does not have the checksum it names", path.join(FORMAT_FILE).display());
            Err(OpenError::Corrupt { path: path.into(), reason })
        }
    }
}

/// A number no other folder has, from the system's source.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder, with something that looks like a database in it.
    fn make(path: &Path) -> Folder {
        let folder = Folder::open(path, 8).expect("opened");
        fs::create_dir(path.join(DATABASE_DIR)).expect("made");
        fs::write(path.join(DATABASE_DIR).join(DATABASE_FILE), "").expect("written");
        folder.made().expect("kept");
        folder
    }

    fn refusal(path: &Path, shards: u16) -> String {
        match Folder::open(path, shards) {
            Err(OpenError::Corrupt { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_keeps_its_identity_and_is_held_by_one() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(Folder::identity_of(dir.path()).expect("no folder yet"), None);
        let first = make(dir.path());
        assert_eq!(Folder::identity_of(dir.path()).expect("read"), Some(first.identity()));
        assert!(matches!(Folder::open(dir.path(), 8), Err(OpenError::InUse { .. })));
        let identity = first.identity();
        drop(first);
        assert_eq!(Folder::open(dir.path(), 8).expect("opened").identity(), identity);
        assert!(matches!(Folder::open(dir.path(), 4), Err(OpenError::ShardsDiffer { found: 8, wanted: 4, .. })));
    }

    #[test]
    fn another_format_and_a_damaged_file_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(make(dir.path()));
        let file = dir.path().join(FORMAT_FILE);
        let text = fs::read_to_string(&file).expect("read");
        fs::write(&file, text.replace("format 3", "format 4")).expect("written");
        assert!(matches!(Folder::open(dir.path(), 8), Err(OpenError::NewerFormat { found: 4, known: 3, .. })));
        fs::write(&file, text.replace("format 3", "format 1")).expect("written");
        assert!(matches!(Folder::open(dir.path(), 8), Err(OpenError::OlderFormat { found: 1, oldest: 2, .. })));
        fs::write(&file, text.replace("shards 8", "shards 9")).expect("written");
        assert!(refusal(dir.path(), 9).contains(FORMAT_FILE));
    }

    #[test]
    fn a_folder_that_lost_its_format_file_or_its_database_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(make(dir.path()));
        fs::rename(dir.path().join(DATABASE_DIR), dir.path().join("lost")).expect("moved");
        assert!(refusal(dir.path(), 8).contains(DATABASE_FILE));
        fs::rename(dir.path().join("lost"), dir.path().join(DATABASE_DIR)).expect("moved");
        fs::remove_file(dir.path().join(FORMAT_FILE)).expect("removed");
        assert!(refusal(dir.path(), 8).contains(FORMAT_FILE));
    }

    #[test]
    fn a_folder_of_the_format_before_founded_a_cluster() {
        let dir = tempfile::tempdir().expect("a folder");
        let identity = make(dir.path()).identity();
        fs::write(dir.path().join(FORMAT_FILE), with_checksum(&body(2, identity))).expect("written");
        assert_eq!(Folder::open(dir.path(), 8).expect("opened").identity(), identity);
        assert!(identity.founder);
    }

    #[test]
    fn a_promise_is_kept_and_one_that_cannot_be_read_is_no_promise_to_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read_promise(dir.path()).expect("read"), None);
        write_promise(dir.path(), 77).expect("kept");
        assert_eq!(read_promise(dir.path()).expect("read"), Some(77));
        fs::write(dir.path().join(PROMISE_FILE), "cluster 000000000000004e\n").expect("written");
        assert!(matches!(read_promise(dir.path()), Err(OpenError::Corrupt { .. })));
    }

    #[test]
    fn a_first_start_that_was_interrupted_can_be_repeated() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(Folder::open(dir.path(), 8).expect("begun"));
        drop(Folder::open(dir.path(), 4).expect("begun again, and with another number"));
        fs::create_dir(dir.path().join(DATABASE_DIR)).expect("made");
        drop(Folder::open(dir.path(), 8).expect("begun again beside half a database"));
    }
}
