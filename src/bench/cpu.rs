//! How much processor time a tree of processes has used, from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::Sub;

/// Ticks per second in `/proc/PID/stat`; fixed by Linux on every architecture Muster builds for.
///
/// Source: proc_pid_stat(5); `USER_HZ` in the kernel's `include/asm-generic/param.h`.
const TICKS_PER_SEC: u64 = 100;

/// Processor time used since the processes began, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub user_us: u64,
    pub system_us: u64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        // A grandchild that left without being waited for takes its time with it: never below 0.
        Self {
            user_us: self.user_us.saturating_sub(earlier.user_us),
            system_us: self.system_us.saturating_sub(earlier.system_us),
        }
    }
}

impl Cpu {
    pub fn total_us(self) -> u64 {
        self.user_us + self.system_us
    }
}

/// Why the time of a process is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot list /proc: {0}")]
    Proc(#[from] io::Error),
    #[error("no process {0}")]
    Gone(u32),
}

/// Adds up the time of some processes, their children, and the children they have waited for.
///
/// # Errors
/// [`Error::Gone`] if one of `roots` does not run, [`Error::Proc`] where there is no `/proc`.
pub fn used_by(roots: &[u32]) -> Result<Cpu, Error> {
    let mut processes: HashMap<u32, Stat> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // A process that ends while we look is as good as ended before.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        processes.extend(Stat::parse(&text).map(|stat| (pid, stat)));
    }
    if let Some(gone) = roots.iter().find(|pid| !processes.contains_key(pid)) {
        return Err(Error::Gone(*gone));
    }
    Ok(sum(&processes, roots))
}

fn sum(processes: &HashMap<u32, Stat>, roots: &[u32]) -> Cpu {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in processes {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut seen = HashSet::new();
    let mut waiting = roots.to_vec();
    let mut used = Cpu::default();
    while let Some(pid) = waiting.pop() {
        // A process may be named and be the child of a named one: it counts once.
        if !seen.insert(pid) {
            continue;
        }
        if let Some(stat) = processes.get(&pid) {
            used.user_us += stat.user_ticks * 1_000_000 / TICKS_PER_SEC;
            used.system_us += stat.system_ticks * 1_000_000 / TICKS_PER_SEC;
        }
        waiting.extend(children.get(&pid).into_iter().flatten());
    }
    used
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    /// Reads the fields ppid, utime + cutime, stime + cstime. Source: proc_pid_stat(5).
    fn parse(text: &str) -> Option<Self> {
        // The name of the program comes second, in brackets, and may itself hold spaces and brackets.
        let after_name = text.get(text.rfind(')')? + 2..)?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // Field 3 of the manual page is the first one here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            user_ticks: field(14)? + field(16)?,
            system_ticks: field(15)? + field(17)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 9 0 5555 1000000 300";

    #[test]
    fn a_stat_line_is_read_behind_the_last_bracket() {
        assert_eq!(Stat::parse(LINE), Some(Stat { parent: 17, user_ticks: 253, system_ticks: 54 }));
        assert_eq!(Stat::parse("4242 (cut off) S 17"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn children_count_and_count_once() {
        let stat = |parent, user_ticks| Stat { parent, user_ticks, system_ticks: 1 };
        let processes = HashMap::from([(10, stat(1, 5)), (11, stat(10, 7)), (12, stat(11, 11)), (20, stat(1, 1000))]);
        let expected = Cpu { user_us: 230_000, system_us: 30_000 };
        assert_eq!(sum(&processes, &[10]), expected);
        assert_eq!(sum(&processes, &[10, 12]), expected);
    }

    #[test]
    fn this_process_is_found_and_uses_time() {
        let me = std::process::id();
        let before = used_by(&[me]).expect("this process runs");
        let started = std::time::Instant::now();
        // Waits for three ticks of work, however busy the machine is.
        loop {
            let used = used_by(&[me]).expect("this process runs") - before;
            if used.total_us() >= 3 * 1_000_000 / TICKS_PER_SEC {
                break;
            }
            assert!(started.elapsed().as_secs() < 60, "no processor time counted in a minute of work");
        }
    }

    #[test]
    fn a_process_that_does_not_run_is_named() {
        // Above the largest pid_max Linux allows (2^22).
        assert!(matches!(used_by(&[u32::MAX]), Err(Error::Gone(u32::MAX))));
    }
}
