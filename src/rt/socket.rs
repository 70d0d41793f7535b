//! What the socket adapters share: options, and raw looks at a socket.
//!
//! Everything here is a plain, non-blocking system call on the socket itself. No readiness cache
//! is consulted or told, which is what makes [`peek`] trustworthy: a reactor that has not run
//! since the peer closed still believes the socket to be quiet.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use socket2::SockAddr;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{Liveness, Target};
use crate::config::SocketOptions;

/// The range that Linux accepts for keep-alive times; it refuses what lies outside, and has no
/// parts of a second. Other systems accept at least this much.
const KEEP_ALIVE_RANGE: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(32_767));

/// A TCP socket for a connection to `addr`: non-blocking, with its options set, and not connected.
pub(super) fn tcp(addr: SocketAddr, target: &Target) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    set_options(&socket, target)?;
    let options = &target.options;
    let local = match addr {
        SocketAddr::V4(_) => options.local_v4.map(IpAddr::V4),
        SocketAddr::V6(_) => options.local_v6.map(IpAddr::V6),
    };
    if let Some(local) = local {
        let failed = |error| named(&format!("binding to {local}"), error);
        socket.bind(&SocketAddr::new(local, 0).into()).map_err(failed)?;
    }
    Ok(socket.into())
}

/// A connected, non-blocking Unix-domain socket. These connect at once or not at all.
#[cfg(unix)]
pub(super) fn unix(path: &Path, options: &SocketOptions) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    set_buffers(&socket, options)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let message = "as many connections wait to be accepted as may";
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        }
        Err(error) => Err(error),
    }
}

fn set_options(socket: &Socket, target: &Target) -> io::Result<()> {
    let options = &target.options;
    // A request is one write as a rule; Nagle's algorithm would only hold back the second one.
    socket.set_tcp_nodelay(options.no_delay)?;
    set_keep_alive(socket, target).map_err(|error| named("keep-alive", error))?;
    if let Some(timeout) = options.user_timeout {
        set_user_timeout(socket, timeout).map_err(|error| named("user_timeout", error))?;
    }
    if let Some(interface) = &options.interface {
        let failed = |error| named(&format!("interface {interface}"), error);
        bind_device(socket, interface).map_err(failed)?;
    }
    set_buffers(socket, options)
}

fn set_buffers(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    let set = |size: Option<usize>, set: &dyn Fn(usize) -> io::Result<()>| size.map_or(Ok(()), set);
    set(options.send_buffer, &|size| socket.set_send_buffer_size(size))?;
    set(options.receive_buffer, &|size| socket.set_recv_buffer_size(size))
}

/// The error, and which option it is about.
fn named(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn set_keep_alive(socket: &Socket, target: &Target) -> io::Result<()> {
    let Some(silence) = target.keep_alive else {
        return Ok(());
    };
    let clamp = |time: Duration| time.clamp(KEEP_ALIVE_RANGE.0, KEEP_ALIVE_RANGE.1);
    let params = TcpKeepalive::new().with_time(clamp(silence));
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
    let params = {
        let interval = target.options.keep_alive_interval.unwrap_or(silence);
        let params = params.with_interval(clamp(interval));
        match target.options.keep_alive_count {
            Some(count) => params.with_retries(count),
            None => params,
        }
    };
    // This switches SO_KEEPALIVE on, too.
    socket.set_tcp_keepalive(&params)
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn bind_device(socket: &Socket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn set_user_timeout(_: &Socket, _: Duration) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "not on this platform"))
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn bind_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "not on this platform"))
}

#[cfg(not(unix))]
/// Why there is no connection to an address of a kind that this connector does not know.
pub(super) fn unsupported(addr: &super::Address) -> io::Error {
    let message = format!("{addr}: no connections of this kind on this platform");
    io::Error::new(io::ErrorKind::Unsupported, message)
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
