//! How much memory the named processes hold, once a second, from `/proc`.
//!
//! The named processes only, without their children: looking for children would stop the one thread of the harness
//! for milliseconds in every second.

use std::fs;

/// Bytes of a page. Source: proc_pid_statm(5); Muster builds for x86-64 and for arm64 kernels with pages of 4 KiB.
const PAGE_BYTES: u64 = 4096;
/// Caches fill and queues find their length first: what is compared begins then.
///
/// Source: the promise under overload, "flat after the first two minutes".
pub const SETTLED_SECS: usize = 120;

/// Resident memory of some processes together, in MiB; one number per second of a run, the first from its beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    by_sec: Vec<f64>,
}

impl Memory {
    /// Takes the value of second `sec`; seconds that nobody looked at repeat the one before.
    pub fn note(&mut self, sec: usize, mb: f64) {
        let before = self.by_sec.last().copied().unwrap_or(mb);
        if self.by_sec.len() < sec {
            self.by_sec.resize(sec, before);
        }
        if self.by_sec.len() == sec {
            self.by_sec.push(mb);
        }
    }

    pub fn by_sec(&self) -> &[f64] {
        &self.by_sec
    }

    pub fn first(&self) -> Option<f64> {
        self.by_sec.first().copied()
    }

    pub fn last(&self) -> Option<f64> {
        self.by_sec.last().copied()
    }

    pub fn max(&self) -> Option<f64> {
        self.by_sec.iter().copied().reduce(f64::max)
    }

    /// The value at [`SETTLED_SECS`], in a run that is long enough.
    pub fn settled(&self) -> Option<f64> {
        self.by_sec.get(SETTLED_SECS).copied()
    }

    /// The largest distance from [`Self::settled`] afterwards, in percent of it.
    pub fn drift_percent(&self) -> Option<f64> {
        let settled = self.settled().filter(|mb| *mb > 0.0)?;
        let later = self.by_sec.iter().skip(SETTLED_SECS);
        later.map(|mb| (mb - settled).abs() / settled * 100.0).reduce(f64::max)
    }
}

/// MiB that the processes hold now; `None` if none was named or one of them has ended.
pub fn resident_mb(pids: &[u32]) -> Option<f64> {
    if pids.is_empty() {
        return None;
    }
    let pages: Option<u64> = pids
        .iter()
        .map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
            text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum();
    Some((pages? * PAGE_BYTES) as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_begins_after_two_minutes() {
        let mut memory = Memory::default();
        for sec in 0..SETTLED_SECS {
            memory.note(sec, 10.0 + sec as f64);
        }
        assert_eq!((memory.settled(), memory.drift_percent()), (None, None));
        for (sec, mb) in [(120, 200.0), (121, 204.0), (122, 190.0), (123, 201.0)] {
            memory.note(sec, mb);
        }
        assert_eq!((memory.first(), memory.max(), memory.last()), (Some(10.0), Some(204.0), Some(201.0)));
        assert_eq!((memory.settled(), memory.drift_percent()), (Some(200.0), Some(5.0)));
    }

    #[test]
    fn seconds_that_were_missed_leave_no_hole() {
        let mut memory = Memory::default();
        for (sec, mb) in [(0, 1.0), (3, 4.0), (3, 9.0), (4, 5.0)] {
            memory.note(sec, mb);
        }
        assert_eq!(memory.by_sec(), [1.0, 1.0, 1.0, 4.0, 5.0]);
    }

    #[test]
    fn this_process_holds_something() {
        let me = std::process::id();
        let one = resident_mb(&[me]).expect("this process runs");
        assert!(one > 0.5, "{one}");
        assert!(resident_mb(&[me, me]).expect("it still does") > one * 1.5);
        assert_eq!((resident_mb(&[]), resident_mb(&[me, u32::MAX])), (None, None));
    }
}
