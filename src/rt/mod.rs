//! The outside world as traits: tasks, time, sockets and names.
//!
//! A pool is given a [`Runtime`] and uses nothing else: no ambient context, no global registry, no
//! detection. Two pools in one process may use two runtimes. Boxing happens per connection, never
//! per request.

#[cfg(feature = "async-io")]
mod async_io;
mod runtime;
#[cfg(feature = "test-util")]
pub mod sim;
#[cfg(any(feature = "async-io", feature = "tokio"))]
mod socket;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "tokio")]
mod tokio;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};

pub(crate) use self::runtime::Background;
pub use self::runtime::Runtime;
use crate::config::SocketOptions;

/// A boxed future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs detached background work.
///
/// A task is polled to its end unless the executor itself stops; a panic inside it must not reach
/// the caller of `spawn`. Any `Fn(BoxFuture<'static, ()>)` is a spawner:
///
/// ```
/// fn assert_spawner(_: impl evenkeel::Spawner) {}
/// assert_spawner(|task: evenkeel::BoxFuture<'static, ()>| drop(task));
/// ```
pub trait Spawner: Send + Sync + 'static {
    /// Starts `task` and forgets it.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

impl<F> Spawner for F
where
    F: Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
{
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self(task);
    }
}

/// A timer that can be set again without a new allocation.
///
/// After it has completed it may be polled again only once it has been [`reset`](Sleep::reset).
pub trait Sleep: Future<Output = ()> + Send {
    /// Moves the deadline, earlier or later.
    fn reset(self: Pin<&mut Self>, deadline: Instant);
}

/// The clock, and sleeps on it.
pub trait Timer: Send + Sync + 'static {
    /// A sleep that ends at `deadline`.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>>;

    /// The time now. A virtual clock answers with its own time.
    #[expect(clippy::disallowed_methods, reason = "the default clock is the system's")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Milliseconds since any fixed moment, on a clock that is cheaper to read than
    /// [`now`](Timer::now). If there is one, the pool measures by it, and by nothing else, how long
    /// a connection has been idle, how long what was granted to a caller is not taken, and the
    /// window of the budget of retries. It may lag behind by some milliseconds, by which those
    /// times are then longer or shorter; but it must never go back.
    ///
    /// `None`, the default, says that there is none, and must always be the answer then.
    fn coarse_millis(&self) -> Option<u64> {
        None
    }
}

/// The system's coarse clock, which the kernel moves on at each of its ticks, every 1 to 10 ms.
/// Reading it takes a tenth of the time that the precise one takes, since it asks no hardware.
#[cfg(any(feature = "async-io", feature = "tokio"))]
fn coarse_millis() -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let (secs, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        Some(secs * 1000 + nanos / 1_000_000)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    None
}

/// What a look at an idle connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// Nothing to read: open, and quiet as it should be.
    Alive,
    /// The peer has closed, or the socket has an error.
    Closed,
    /// Bytes that nobody asked for: the connection must not be used again.
    Unexpected,
    /// The transport cannot tell.
    Unknown,
}

/// A connected byte stream.
///
/// [`try_read`](Transport::try_read) and [`try_peek`](Transport::try_peek) are raw system calls:
/// they never block, register no waker and consult no readiness cache. (A runtime that caches
/// readiness answers "would block" for a socket whose end of stream is already in the kernel.)
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Reads what the kernel has, without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is nothing to read; any other error of the socket.
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Looks, without consuming anything and without waiting, whether the connection is still
    /// good for another request.
    fn try_peek(&mut self) -> Liveness;

    /// Looks as [`try_peek`](Transport::try_peek) does, and watches a connection that is quiet.
    ///
    /// `Pending` promises that the task is woken once there is something to read, or the peer has
    /// closed. `Ready` is what the look showed; if that is [`Liveness::Alive`] or
    /// [`Liveness::Unknown`], nobody is woken, and the pool looks again after a while: that is the
    /// default. A waker that was left by `poll_read` may be forgotten, and the other way round.
    fn poll_peek(&mut self, _: &mut Context<'_>) -> Poll<Liveness> {
        Poll::Ready(self.try_peek())
    }

    /// Facts about the connection.
    fn info(&self) -> TransportInfo {
        TransportInfo::default()
    }

    /// Closes at once: what is still unsent is thrown away, and the peer may see a reset.
    fn abort(&mut self);
}

/// Facts about a connected [`Transport`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TransportInfo {
    /// The address of this side, where there is one.
    pub local: Option<SocketAddr>,
    /// The address of the other side, where there is one.
    pub peer: Option<SocketAddr>,
    /// What was agreed on, if TLS is spoken over it.
    pub tls: Option<TlsInfo>,
}

/// What the two sides of a TLS connection agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// TLS 1.3; else it is TLS 1.2.
    pub is_1_3: bool,
    /// The protocol that was agreed on by ALPN, if the server named one.
    pub alpn: Option<String>,
    /// The session is that of an earlier connection.
    pub resumed: bool,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A Unix-domain socket in the file system.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => fmt::Display::fmt(addr, f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a [`Connector`] is to connect to, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The address: one of those that [`Resolve`] gave, or the path of a server's socket.
    pub addr: Address,
    /// The host of the server's URL, or of the proxy's, as a name or literal address, without
    /// brackets.
    pub host: String,
    /// Send TCP keep-alive probes after this much silence. `None`: never.
    pub keep_alive: Option<Duration>,
    /// What else to set on the socket.
    pub options: SocketOptions,
}

impl Target {
    /// A target at `addr`, named `host`, without TCP keep-alive.
    pub fn new(addr: impl Into<Address>, host: impl Into<String>) -> Self {
        let options = SocketOptions::default();
        Self { addr: addr.into(), host: host.into(), keep_alive: None, options }
    }
}

/// Opens connections.
///
/// Timeouts are not its business: the pool drops a connect that takes too long, and dropping must
/// close the half-open socket.
pub trait Connector: Send + Sync + 'static {
    /// Connects to one address.
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>>;
}

/// Turns a host name into addresses.
///
/// The pool keeps what it answers for a while ([`Dialling`](crate::Dialling)), makes one look-up at
/// a time for each name, and does not ask for literal addresses. So this may be as slow as it must,
/// but not block the thread.
pub trait Resolve: Send + Sync + 'static {
    /// Looks `host` up. An empty answer counts as a failure to resolve.
    ///
    /// The addresses are tried in their order, but for their families, which take turns.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>>;
}

/// What a [`Resolve`]r found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The addresses, the most wanted first.
    pub addrs: Vec<SocketAddr>,
    /// How long they may be used. `None`: the resolver does not know.
    pub ttl: Option<Duration>,
}

impl Resolved {
    /// These addresses, for as long as the resolver says.
    pub fn new(addrs: Vec<SocketAddr>, ttl: impl Into<Option<Duration>>) -> Self {
        Self { addrs, ttl: ttl.into() }
    }
}

impl From<Vec<SocketAddr>> for Resolved {
    fn from(addrs: Vec<SocketAddr>) -> Self {
        Self { addrs, ttl: None }
    }
}

impl FromIterator<SocketAddr> for Resolved {
    fn from_iter<T: IntoIterator<Item = SocketAddr>>(addrs: T) -> Self {
        Self { addrs: addrs.into_iter().collect(), ttl: None }
    }
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("info", &self.info()).finish_non_exhaustive()
    }
}
