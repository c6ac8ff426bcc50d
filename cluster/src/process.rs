//! What a process must ask of the system before its first shard.

/// Switches transparent huge pages off for this process.
///
/// Each replica keeps long, mostly empty queues. On huge pages every replica takes 2 MiB of memory, on small
/// ones about 200 KiB. Call it first in `main`: it says nothing about memory that is in use already.
///
/// # Errors
/// The kernel refuses; the process runs all the same and needs more memory.
pub fn disable_huge_pages() -> std::io::Result<()> {
    // SAFETY: this option takes plain numbers and touches no memory of ours.
    let refused = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } != 0;
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Allows this process as many open files as the system lets it have, and returns how many.
///
/// Shells and services start it with some thousand, which clients alone use up, and a database that cannot open its next
/// file has failed.
///
/// # Errors
/// The kernel refuses; the process runs with what it has.
pub fn raise_file_limit() -> std::io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both read or write one place of ours.
    let refused = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0
        }
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(limit.rlim_cur) }
}

/// How much further back the calling thread stands, in nice levels: a third of the weight of a thread that does not.
const STEP_BACK: i32 = 5;

/// Lets threads that have not called it go first, where there are fewer cores than work.
///
/// For threads that always have something to do under load, so that short work beside them is not kept waiting for
/// milliseconds: they lose none of what the others leave free. Nor do they interrupt each other when they wake up
/// (`SCHED_BATCH`): what comes meanwhile is done together.
///
/// # Errors
/// The kernel refuses; the thread goes on as before, or nearly.
pub fn step_back() -> std::io::Result<()> {
    // The only priority there is in this class.
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: all take plain numbers, or read a place of ours; 0 is the calling thread, as Linux keeps class and nice
    // level for each thread.
    let refused = unsafe {
        let now = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, now + STEP_BACK) != 0
            || libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) != 0
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_thread_that_asks_steps_back() {
        // SAFETY: takes plain numbers.
        let stands = || unsafe { (libc::getpriority(libc::PRIO_PROCESS, 0), libc::sched_getscheduler(0)) };
        let before = stands();
        let within = std::thread::spawn(move || {
            super::step_back().expect("allowed");
            stands()
        });
        // 19 is as far back as there is.
        let expected = ((before.0 + super::STEP_BACK).min(19), libc::SCHED_BATCH);
        assert_eq!((within.join().expect("it ends"), stands()), (expected, before));
    }

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let raised = super::raise_file_limit().expect("allowed");
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes one place of ours.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
        assert_eq!((limit.rlim_cur, limit.rlim_max), (raised, raised));
    }

    #[test]
    fn huge_pages_are_off_afterwards() {
        super::disable_huge_pages().expect("allowed");
        // SAFETY: as above.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) }, 1);
    }
}
