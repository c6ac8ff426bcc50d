//! How much memory the named processes hold, once a second, from `/proc`.
//!
//! The named processes only, without their children: looking for children would stop the one thread of the harness
//! for milliseconds in every second.

use std::fs;

/// Bytes of a page. Source: proc_pid_statm(5); Muster builds for x86-64 and for arm64 kernels with pages of 4 KiB.
const PAGE_BYTES: u64 = 4096;
/// Caches fill and queues find their length in the first fifth of a run: two minutes of ten. What is compared begins then.
///
/// Source: the promise under overload, "flat after the first two minutes" of ten.
const SETTLING_SHARE: usize = 5;
/// What is compared are means of so many seconds: rows are written in waves, which collect in memory for some seconds
/// and are gone then.
const MEAN_SECS: usize = 60;

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

    /// Means of whole minutes since it should have settled.
    fn minutes(&self) -> impl Iterator<Item = f64> {
        let settled = &self.by_sec[self.by_sec.len() / SETTLING_SHARE..];
        settled.chunks_exact(MEAN_SECS).map(|minute| minute.iter().sum::<f64>() / MEAN_SECS as f64)
    }

    /// The mean of the first minute in which it should have settled, in a run that is long enough.
    pub fn settled(&self) -> Option<f64> {
        self.minutes().next()
    }

    /// The largest distance of the mean of a later minute from [`Self::settled`], in percent of it.
    pub fn drift_percent(&self) -> Option<f64> {
        let settled = self.settled().filter(|mb| *mb > 0.0)?;
        self.minutes().skip(1).map(|mb| (mb - settled).abs() / settled * 100.0).reduce(f64::max)
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
    fn minutes_behind_the_first_fifth_are_compared() {
        let mut memory = Memory::default();
        let mut take = |secs: usize, mb: &dyn Fn(usize) -> f64| {
            let from = memory.by_sec().len();
            (from..from + secs).for_each(|sec| memory.note(sec, mb(sec)));
            memory.clone()
        };
        let settling = take(60, &|sec| 10.0 + sec as f64);
        assert_eq!((settling.settled(), settling.drift_percent()), (None, None));
        // Ups and downs within a minute are none between minutes.
        let settled = take(60, &|sec| if sec % 2 == 0 { 150.0 } else { 250.0 });
        assert_eq!(settled.drift_percent(), None);
        take(60, &|_| 190.0);
        take(60, &|_| 206.0);
        let all = take(60, &|_| 200.0);
        assert_eq!((all.settled(), all.drift_percent()), (Some(200.0), Some(5.0)));
        assert_eq!((all.first(), all.max(), all.last()), (Some(10.0), Some(250.0), Some(200.0)));
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
