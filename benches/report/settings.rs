//! What is measured, and at which scale: from the environment, as `make` hands it on.

use std::env;
use std::path::PathBuf;

use crate::Outcome;

/// Sizes of all parts. The quick scale exercises every part and measures nothing that could be quoted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `PARTS`: those asked for, with commas; empty: all.
    pub parts: Vec<String>,
    /// `QUICK`: anything but 0.
    pub quick: bool,
    /// `ROUNDS` of the workloads, and of what is compared with something else.
    pub rounds: u64,
    /// `ACTIVE_GROUPS` that are made to see what a group costs.
    pub active_groups: u64,
    /// `LARGEST_GROUP`, in members.
    pub largest_group: u64,
    /// `DORMANT_GROUPS` of 100 members that are met by a first command.
    pub dormant_groups: u64,
    /// `DORMANT_LARGE_GROUPS` that are met by a first command, and the `DORMANT_LARGE_MEMBERS` of each.
    pub dormant_large_groups: u64,
    pub dormant_large_members: u64,
    /// `STEADY_SECONDS`
    pub steady_seconds: u64,
    /// `OVERLOAD_SECONDS`
    pub overload_seconds: u64,
    /// `OVERLOAD_CONNECTIONS`: so many that the rate is not what the answers allow; as far as files may be open.
    pub overload_connections: u64,
    /// `REPORT_DIR`: where the page goes.
    pub out: PathBuf,
    /// `SCRATCH_DIR`: where data folders are made, and removed again. Its disk is the one that is measured.
    pub scratch: PathBuf,
    /// What was set of all this, as it was set.
    set: Vec<String>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Names a variable whose value is no number above 0.
    pub fn from_env() -> Outcome<Self> {
        let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let quick = given("QUICK").is_some_and(|value| value != "0");
        let mut set: Vec<String> = quick.then(|| "QUICK=1".to_owned()).into_iter().collect();
        let mut number = |name: &str, full: u64, small: u64| match given(name) {
            None => Ok(if quick { small } else { full }),
            Some(text) => {
                set.push(format!("{name}={text}"));
                match text.parse() {
                    Ok(number) if number > 0 => Ok(number),
                    _ => Err(format!("{name} is {text:?}, not a number above 0")),
                }
            }
        };
        let folder = |name: &str, otherwise: PathBuf| given(name).map_or(otherwise, PathBuf::from);
        let parts = given("PARTS").unwrap_or_default();
        Ok(Self {
            parts: parts.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            quick,
            rounds: number("ROUNDS", 3, 1)?,
            active_groups: number("ACTIVE_GROUPS", 1_000_000, 5_000)?,
            largest_group: number("LARGEST_GROUP", 1_000_000, 10_000)?,
            dormant_groups: number("DORMANT_GROUPS", 1_000, 50)?,
            dormant_large_groups: number("DORMANT_LARGE_GROUPS", 20, 3)?,
            dormant_large_members: number("DORMANT_LARGE_MEMBERS", 100_000, 5_000)?,
            steady_seconds: number("STEADY_SECONDS", 600, 8)?,
            overload_seconds: number("OVERLOAD_SECONDS", 600, 8)?,
            overload_connections: number("OVERLOAD_CONNECTIONS", 10_000, 1_000)?,
            out: folder("REPORT_DIR", PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench")),
            scratch: folder("SCRATCH_DIR", PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
            set,
        })
    }

    pub fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    /// The number for this scale.
    pub fn scaled<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Why no bar is judged, if none is.
    pub fn too_small(&self) -> Option<&'static str> {
        self.quick.then_some("quick scale")
    }

    /// The command that measures a part again.
    pub fn command(&self, part: &str) -> String {
        [format!("make bench PARTS={part}")].into_iter().chain(self.set.iter().cloned()).collect::<Vec<_>>().join(" ")
    }
}
