//! Which room may use which: ARCHITECTURE.md, "Arrows", as a table.

use std::fmt;

use crate::scan::{Reference, Scan, scan};

/// What a room may use of the replication crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cluster {
    Nothing,
    /// Rows and where they lie; nothing that proposes, leads or is led.
    Rows,
    All,
}

/// One folder or file directly under `src/`.
struct Room {
    name: &'static str,
    /// Rooms it may use, or single modules of them (`api::auth`).
    may: &'static [&'static str],
    cluster: Cluster,
}

/// Used by everything except the rules.
const EVERYWHERE: &[&str] = &["id", "time", "metrics"];

/// A room that has no line here may not exist: a new arrow is a decision.
#[rustfmt::skip]
const ROOMS: &[Room] = &[
    Room { name: "main",    may: &["node", "cli", "config"], cluster: Cluster::Nothing },
    Room { name: "cli",     may: &["node", "config", "bench", "api::auth", "admin::status", "admin::doctor"], cluster: Cluster::Nothing },
    Room { name: "bench",   may: &[], cluster: Cluster::Nothing },
    Room { name: "node",    may: &["config", "api", "admin", "actors", "shard", "store", "group", "account"], cluster: Cluster::All },
    Room { name: "config",  may: &["group"], cluster: Cluster::Nothing },
    Room { name: "api",     may: &["actors", "config", "group", "account"], cluster: Cluster::Nothing },
    Room { name: "admin",   may: &["shard"], cluster: Cluster::All },
    Room { name: "actors",  may: &["shard", "group", "account"], cluster: Cluster::All },
    Room { name: "shard",   may: &["store", "group", "account"], cluster: Cluster::All },
    Room { name: "store",   may: &[], cluster: Cluster::Rows },
    Room { name: "group",   may: &[], cluster: Cluster::Nothing },
    Room { name: "account", may: &[], cluster: Cluster::Nothing },
    Room { name: "id",      may: &[], cluster: Cluster::Nothing },
    Room { name: "time",    may: &[], cluster: Cluster::Nothing },
    Room { name: "metrics", may: &[], cluster: Cluster::Nothing },
    Room { name: "lib",     may: &[], cluster: Cluster::Nothing },
];

/// Pure rooms: what they may use is named one by one, other crates included.
const PURE: &[&str] = &["group", "account"];
const PURE_MAY: &[&str] = &["id", "time"];
const PURE_CRATES: &[&str] = &["std", "core", "alloc", "rustc_hash", "smol_str", "thiserror"];
/// `prop` is what proptest's prelude calls proptest.
const PURE_TEST_CRATES: &[&str] = &["proptest", "prop"];
/// The parts of std that reach outside the process or ask it for something.
const IMPURE_STD: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// What [`Cluster::Rows`] means.
const CLUSTER_ROWS: &[&str] = &[
    "disk",
    "Batch",
    "Disk",
    "DiskError",
    "Family",
    "Lookup",
    "Row",
    "Rows",
    "View",
    "Transaction", // rows
    "slot",
    "ShardId",
    "Slot",
    "SLOTS",
    "slot_of", // keys begin with a slot
];

/// Engines that live behind `cluster/`.
const CLUSTER_ONLY: &[&str] = &["openraft", "openraft_multi", "rocksdb", "librocksdb_sys"];

/// Crates that one folder keeps to itself, so that what they bring stays in one place.
const HOUSED: &[(&str, &str)] = &[("utoipa", "src/api/openapi/")];

/// Who may ask the machine for the time of day.
const CLOCK_READERS: &[&str] = &["time", "bench"];

/// An arrow that points the wrong way.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    pub file: String,
    pub line: usize,
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// A file by its path from the root of the repository, and its text.
pub struct Source {
    pub file: String,
    pub text: String,
    /// Declared under `#[cfg(test)]` by the file above it: all of it is test code.
    pub test: bool,
}

impl Source {
    /// The crate root it belongs to (`src`, `cluster/src`, `tests/api`, …) and its module path there.
    fn place(&self) -> (&str, Vec<&str>) {
        let (root, inner) = ["cluster/src/", "cluster/tests/", "src/"]
            .iter()
            .find_map(|root| Some((*root, self.file.strip_prefix(root)?)))
            .unwrap_or(("", &self.file));
        let mut module: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
        if module.len() > 1 && module.last() == Some(&"mod") {
            module.pop();
        }
        (root, module)
    }

    /// The room under `src/` that it belongs to.
    pub fn room(&self) -> Option<&str> {
        match self.place() {
            ("src/", module) => module.first().copied(),
            _ => None,
        }
    }

    /// What the file refers to.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.scan().references;
        references.iter_mut().for_each(|r| r.test |= self.test);
        references
    }

    /// The files and folders that this one declares to be test code.
    pub fn declares_tests(&self) -> Vec<String> {
        let (root, _) = self.place();
        let here = self.module().iter().map(|part| format!("{part}/")).collect::<String>();
        let below = |name: &String| format!("{root}{here}{name}");
        self.scan().test_files.iter().map(below).flat_map(|path| [format!("{path}.rs"), format!("{path}/")]).collect()
    }

    /// Its path as Rust has it: `lib.rs` is the root.
    fn module(&self) -> Vec<&str> {
        let (_, module) = self.place();
        if module == ["lib"] { Vec::new() } else { module }
    }

    fn scan(&self) -> Scan {
        scan(&self.text, &self.module()).unwrap_or_else(|e| panic!("{}: {e}", self.file))
    }
}

/// Every wrong arrow of one file.
pub fn violations(source: &Source) -> Vec<Violation> {
    let references = source.references();
    let found = references.iter().filter_map(|r| Some((r.line, why_not(source, r)?)));
    found.map(|(line, why)| Violation { file: source.file.clone(), line, why }).collect()
}

fn why_not(source: &Source, reference: &Reference) -> Option<String> {
    let shown = reference.path.join("::");
    let is_housed = |(name, folder): &&(&str, &str)| reference.path[0] == *name && !source.file.starts_with(folder);
    if let Some((_, folder)) = HOUSED.iter().find(is_housed) {
        return Some(format!("{shown}: this crate stays inside {folder}"));
    }
    match source.place() {
        ("src/", module) => {
            let name = module[0];
            let Some(room) = ROOMS.iter().find(|r| r.name == name) else {
                return Some(format!("{name} is a room without a line in the table of arrows"));
            };
            why_not_in(room, reference).map(|why| format!("{shown}: {why}"))
        }
        ("cluster/src/", _) | ("cluster/tests/", _) => {
            (reference.path[0] == "muster").then(|| format!("{shown}: cluster knows nothing of src"))
        }
        _ => behind_cluster(reference).map(|why| format!("{shown}: {why}")),
    }
}

fn why_not_in(room: &Room, reference: &Reference) -> Option<String> {
    let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
    if let Some(why) = behind_cluster(reference) {
        return Some(why);
    }
    if path.iter().any(|s| ["SystemTime", "UNIX_EPOCH"].contains(s)) && !CLOCK_READERS.contains(&room.name) {
        return Some("the time of day is read in time.rs only".to_owned());
    }
    match path.as_slice() {
        // The program is a crate of its own and sees the library by its name.
        ["crate" | "muster", rest @ ..] => why_not_room(room, rest, reference.test),
        ["muster_cluster", rest @ ..] => why_not_cluster(room, rest),
        [first, rest @ ..] if PURE.contains(&room.name) => why_not_pure(first, rest, reference),
        _ => None,
    }
}

fn behind_cluster(reference: &Reference) -> Option<String> {
    CLUSTER_ONLY.contains(&reference.path[0].as_str()).then(|| "this engine stays inside cluster/".to_owned())
}

fn why_not_room(room: &Room, path: &[&str], test: bool) -> Option<String> {
    let Some(target) = path.first() else {
        return Some("name the room that is meant, not the whole crate".to_owned());
    };
    let common = if PURE.contains(&room.name) { PURE_MAY } else { EVERYWHERE };
    let may = |entry: &&'static str| path.starts_with(&entry.split("::").collect::<Vec<_>>());
    // The builders of the rules serve every test; nothing else is different for tests.
    let for_tests = test && path.starts_with(&["group", "testing"]);
    let allowed = *target == room.name || common.contains(target) || room.may.iter().any(may) || for_tests;
    (!allowed).then(|| format!("{} may not use {target}", room.name))
}

fn why_not_cluster(room: &Room, path: &[&str]) -> Option<String> {
    let allowed = match room.cluster {
        Cluster::Nothing => false,
        Cluster::Rows => path.first().is_some_and(|item| CLUSTER_ROWS.contains(item)),
        Cluster::All => true,
    };
    (!allowed).then(|| format!("{} may not use this of cluster", room.name))
}

fn why_not_pure(first: &str, rest: &[&str], reference: &Reference) -> Option<String> {
    // `Role::Owner`, `u64::from`: a type is not a crate.
    let is_type = first.starts_with(|c: char| c.is_ascii_uppercase()) || PRIMITIVES.contains(&first);
    if is_type || (reference.test && PURE_TEST_CRATES.contains(&first)) {
        return None;
    }
    if !PURE_CRATES.contains(&first) {
        return Some(format!("the rules may not use {first}"));
    }
    let asks = first == "std" && rest.first().is_some_and(|part| IMPURE_STD.contains(part));
    (asks && !reference.test).then(|| "the rules ask nothing of the outside".to_owned())
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
    "f32", "f64",
];

/// Where `group::decide` is called, outside the rules and outside tests.
///
/// A mention in a `use` line is not a call; a glob import of the rules is, since it hides one.
pub fn callers_of_decide(source: &Source) -> Vec<String> {
    if source.room().is_none_or(|room| room == "group") {
        return Vec::new();
    }
    let is_call = |r: &&Reference| {
        !r.test && (!r.import && r.path == ["crate", "group", "decide"] || r.path == ["crate", "group", "*"])
    };
    source.references().iter().filter(is_call).map(|r| format!("{}:{}", source.file, r.line)).collect()
}

/// The rooms that the table knows.
pub fn rooms() -> impl Iterator<Item = &'static str> {
    ROOMS.iter().map(|r| r.name)
}
