//! Chance that a seed repeats.
//!
//! Hash maps, tokio's `select!`, the order in which it wakes who waits for the same thing, and election timeouts all draw
//! on what the system calls random. A thread that was given a seed draws on that instead, so nothing in the program under
//! test has to be told of it.
//!
//! tokio also counts its runtimes per process: a run is repeated in a process of its own, see `seeds.rs`.

use std::cell::RefCell;

use crate::random::Random;

thread_local! {
    static OF_THREAD: RefCell<Option<Random>> = const { RefCell::new(None) };
}

/// Runs something on a thread of its own to which nothing is random but the seed.
pub fn with_seed<T: Send + 'static>(seed: u64, run: impl FnOnce() -> T + Send + 'static) -> std::thread::Result<T> {
    let seeded = move || {
        OF_THREAD.set(Some(Random::of_seed(seed)));
        run()
    };
    std::thread::Builder::new().name(format!("seed {seed}")).spawn(seeded).expect("a thread").join()
}

/// Takes the place of the C library's function, which std and the crate `getrandom` call.
///
/// # Safety
/// As of the original: `length` bytes from `buffer` on may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
    // A thread that is ending has no seed any more.
    let seeded = OF_THREAD.try_with(|of_thread| {
        let mut of_thread = of_thread.borrow_mut();
        let random = of_thread.as_mut()?;
        for i in 0..length {
            // SAFETY: the caller says that so many bytes may be written.
            unsafe { buffer.add(i).write(random.bits() as u8) };
        }
        Some(length as isize)
    });
    match seeded {
        Ok(Some(length)) => length,
        // SAFETY: what the original does.
        _ => unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize },
    }
}
