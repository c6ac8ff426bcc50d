//! What the system is told of every connection between nodes, whoever opened it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use libc::{c_int, c_uint, socklen_t};
use tokio::net::TcpStream;

/// After so long without a word the system asks the other side whether it is still there, and again as often, in seconds.
const ASK_AFTER_SECS: c_int = 5;
const ASK_EVERY_SECS: c_int = 2;
/// A connection ends when the other side has not acknowledged anything for so long: what it was sent, or that question. A
/// node that has vanished, with its machine or behind a cut, would otherwise keep its place for hours, if not for ever.
/// Longer than any pause of a network that is to be waited out; calls give up much sooner.
const UNACKNOWLEDGED_MS_MAX: c_uint = 10_000;

/// Prepares a connection that was accepted or dialled.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = stream.as_raw_fd();
    set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, ASK_AFTER_SECS)?;
    set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, ASK_EVERY_SECS)?;
    // With this one set, the number of questions means nothing.
    set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS_MAX)?;
    set(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1 as c_int)
}

fn set<T: Copy>(socket: RawFd, level: c_int, option: c_int, value: T) -> io::Result<()> {
    let length = size_of::<T>() as socklen_t;
    // SAFETY: the kernel reads `length` bytes of a value that lives until it is back; a wrong option is an error.
    let refused = unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(stream: &TcpStream, level: c_int, option: c_int) -> c_int {
        let (mut value, mut length) = (-1, size_of::<c_int>() as socklen_t);
        let (place, length) = ((&raw mut value).cast(), &raw mut length);
        // SAFETY: the kernel writes at most `length` bytes to a place of that size.
        let refused = unsafe { libc::getsockopt(stream.as_raw_fd(), level, option, place, length) };
        assert_eq!(refused, 0, "{}", io::Error::last_os_error());
        value
    }

    #[tokio::test]
    async fn a_connection_whose_other_side_has_vanished_ends() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        for stream in [dialled.expect("dialled"), accepted.expect("accepted").0] {
            prepare(&stream).expect("prepared");
            assert!(stream.nodelay().expect("asked"));
            assert_eq!(get(&stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE), 1);
            assert_eq!(get(&stream, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), ASK_AFTER_SECS);
            assert_eq!(get(&stream, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL), ASK_EVERY_SECS);
            assert_eq!(get(&stream, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT), UNACKNOWLEDGED_MS_MAX as c_int);
        }
    }
}
