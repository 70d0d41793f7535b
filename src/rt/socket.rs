//! What the socket adapters share: options, and raw looks at a TCP socket.
//!
//! Everything here is a plain, non-blocking system call on the socket itself. No readiness cache
//! is consulted or told, which is what makes [`peek`] trustworthy: a reactor that has not run
//! since the peer closed still believes the socket to be quiet.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::Liveness;

/// The range that Linux accepts for keep-alive times; it refuses what lies outside, and has no
/// parts of a second. Other systems accept at least this much.
const KEEP_ALIVE_RANGE: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(32_767));

/// Sets what every connection of a pool has: no delay of small writes, and TCP keep-alive where
/// it is asked for.
pub(super) fn set_options(socket: SockRef<'_>, keep_alive: Option<Duration>) -> io::Result<()> {
    // A request is one write as a rule; Nagle's algorithm would only hold back the second one.
    socket.set_tcp_nodelay(true)?;
    if let Some(silence) = keep_alive {
        let silence = silence.clamp(KEEP_ALIVE_RANGE.0, KEEP_ALIVE_RANGE.1);
        let options = TcpKeepalive::new().with_time(silence);
        #[cfg(any(
            target_os = "android",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "illumos",
            target_os = "ios",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
            target_os = "windows",
        ))]
        let options = options.with_interval(silence);
        // This switches SO_KEEPALIVE on, too.
        socket.set_tcp_keepalive(&options)?;
    }
    Ok(())
}

/// Reads what the kernel has, without waiting. The socket must be non-blocking.
pub(super) fn read(socket: SockRef<'_>, buf: &mut [u8]) -> io::Result<usize> {
    (&*socket).read(buf)
}

/// Looks at an idle socket without consuming anything. The socket must be non-blocking.
pub(super) fn peek(socket: SockRef<'_>) -> Liveness {
    let mut byte = [MaybeUninit::uninit()];
    loop {
        return match socket.peek(&mut byte) {
            Ok(0) => Liveness::Closed,
            Ok(_) => Liveness::Unexpected,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Liveness::Alive,
                io::ErrorKind::Interrupted => continue,
                _ => Liveness::Closed,
            },
        };
    }
}

/// Makes the coming close an abortive one, and ends both directions now.
///
/// Errors are of no use to anyone here: the socket is given up either way.
pub(super) fn abort(socket: SockRef<'_>) {
    // With a linger time of zero, the close that follows throws unsent bytes away and answers the
    // peer with a reset, instead of delivering them in the background.
    drop(socket.set_linger(Some(Duration::ZERO)));
    drop(socket.shutdown(Shutdown::Both));
}
