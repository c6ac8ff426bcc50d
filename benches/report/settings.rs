//! What is measured, and at which scale: from the environment, as `make` hands it on.

use std::env;
use std::path::PathBuf;

use crate::Outcome;

/// Sizes of all parts. Each has a variable of its name in capitals; the quick scale exercises every part and
/// measures nothing that could be quoted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The parts asked for; empty: all.
    pub parts: Vec<String>,
    pub quick: bool,
    /// Rounds of the workloads, and of what is compared with something else.
    pub rounds: u64,
    /// Groups that are made to see what a group costs.
    pub groups: u64,
    /// Members of the largest group.
    pub members: u64,
    /// Dormant groups of 100 members that are met by a first command.
    pub cold_groups: u64,
    /// Dormant large groups that are met by a first command, and the members of each.
    pub cold_large_groups: u64,
    pub cold_large_members: u64,
    pub steady_seconds: u64,
    pub overload_seconds: u64,
    /// Where the page goes.
    pub out: PathBuf,
    /// Where data folders are made, and removed again.
    pub scratch: PathBuf,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Names a variable whose value is no number above 0.
    pub fn from_env() -> Outcome<Self> {
        let quick = env::var("QUICK").is_ok_and(|value| !value.is_empty() && value != "0");
        let number = |name: &str, full: u64, small: u64| match env::var(name).ok().filter(|value| !value.is_empty()) {
            None => Ok(if quick { small } else { full }),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name} is {text:?}, not a number above 0")),
            },
        };
        let folder = |name: &str, otherwise: PathBuf| env::var_os(name).map_or(otherwise, PathBuf::from);
        let parts = env::var("PARTS").unwrap_or_default();
        Ok(Self {
            parts: parts.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            quick,
            rounds: number("ROUNDS", 3, 1)?,
            groups: number("GROUPS", 1_000_000, 5_000)?,
            members: number("MEMBERS", 1_000_000, 10_000)?,
            cold_groups: number("COLD_GROUPS", 1_000, 50)?,
            cold_large_groups: number("COLD_LARGE_GROUPS", 20, 3)?,
            cold_large_members: number("COLD_LARGE_MEMBERS", 100_000, 5_000)?,
            steady_seconds: number("STEADY_SECONDS", 600, 8)?,
            overload_seconds: number("OVERLOAD_SECONDS", 600, 8)?,
            out: folder("REPORT_DIR", PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench")),
            scratch: folder("SCRATCH_DIR", PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
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
        let quick = if self.quick { " QUICK=1" } else { "" };
        format!("make bench PARTS={part}{quick}")
    }
}
