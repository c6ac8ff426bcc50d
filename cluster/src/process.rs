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

#[cfg(test)]
mod tests {
    #[test]
    fn huge_pages_are_off_afterwards() {
        super::disable_huge_pages().expect("allowed");
        // SAFETY: as above.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) }, 1);
    }
}
