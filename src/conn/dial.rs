//! Opening a connection: look the name up, try its addresses in turn, under one deadline.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{BoxError, Phase};
use crate::rt::{Runtime, Sleep, Target, Transport};

#[cfg(test)]
mod tests;

/// Why no connection came about. `Display` says it in full, with the first addresses that were
/// tried.
#[derive(Debug)]
pub(crate) struct DialError {
    kind: DialErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// What a dial failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialErrorKind {
    /// The name has no address, or could not be looked up.
    Resolve,
    /// No address took the connection.
    Connect,
    /// The server took the connection, and TLS over it failed.
    #[cfg_attr(not(feature = "rustls-no-provider"), expect(dead_code, reason = "there is none"))]
    Tls,
    /// The deadline passed in this phase: `Resolve`, `Connect` or `Tls`.
    Timeout(Phase),
}

impl DialError {
    pub(crate) fn kind(&self) -> DialErrorKind {
        self.kind
    }

    /// The phase in which it failed, or in which the deadline passed.
    pub(crate) fn phase(&self) -> Phase {
        match self.kind {
            DialErrorKind::Resolve => Phase::Resolve,
            DialErrorKind::Connect => Phase::Connect,
            DialErrorKind::Tls => Phase::Tls,
            DialErrorKind::Timeout(phase) => phase,
        }
    }

    /// The message, and the last error of the resolver or of a socket, if there was one.
    pub(crate) fn into_parts(self) -> (String, Option<BoxError>) {
        (self.message, self.source)
    }

    pub(super) fn new(kind: DialErrorKind, message: String, source: Option<io::Error>) -> Self {
        Self { kind, message, source: source.map(BoxError::from) }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for DialError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// Connects to `host`, which is a name or a literal address without brackets.
///
/// One `deadline` covers the look-up and all attempts. Addresses are tried in the resolver's
/// order. Each attempt may take a fair share of what is left, the time divided by the addresses
/// not yet tried, so that an address that never answers leaves time for the next; the last one
/// has all the rest.
///
/// # Errors
/// See [`DialErrorKind`]. It is a timeout if the deadline has passed, even if some of the
/// addresses failed for other reasons.
///
/// # Cancel safety
/// Dropping the future closes the half-open socket. A look-up that is already running on a thread
/// goes on unheard.
pub(crate) async fn dial(
    runtime: &Runtime,
    host: &str,
    port: u16,
    keep_alive: Option<Duration>,
    deadline: Instant,
) -> Result<Box<dyn Transport>, DialError> {
    let mut sleep = runtime.timer().sleep_until(deadline);
    let addrs = look_up(runtime, host, port, sleep.as_mut()).await?;

    let mut target = Target { addr: addrs[0], host: host.to_owned(), keep_alive };
    let mut failures = Failures::default();
    let mut source = None;
    let mut out_of_time = false;
    for (tried, &addr) in addrs.iter().enumerate() {
        let now = runtime.timer().now();
        if tried > 0 && now >= deadline {
            break;
        }
        sleep.as_mut().reset(share_end(now, deadline, addrs.len() - tried));
        target.addr = addr;
        match before(sleep.as_mut(), runtime.dialler().connect(&target)).await {
            Some(Ok(transport)) => return Ok(transport),
            Some(Err(error)) => {
                failures.note(addr, &error);
                source = Some(error);
            }
            None => {
                out_of_time = tried + 1 == addrs.len();
                failures.note(addr, &"no answer in time");
            }
        }
    }

    if out_of_time || runtime.timer().now() >= deadline {
        let message = format!("connecting to {host} took too long: {failures}");
        return Err(DialError::new(DialErrorKind::Timeout(Phase::Connect), message, source));
    }
    let message = format!("could not connect to {host}: {failures}");
    Err(DialError::new(DialErrorKind::Connect, message, source))
}

/// The addresses of `host`: at least one.
async fn look_up(
    runtime: &Runtime,
    host: &str,
    port: u16,
    deadline: Pin<&mut dyn Sleep>,
) -> Result<Vec<SocketAddr>, DialError> {
    let (kind, message, source) = match before(deadline, runtime.lookup().resolve(host, port)).await
    {
        Some(Ok(addrs)) if !addrs.is_empty() => return Ok(addrs),
        Some(Ok(_)) => (DialErrorKind::Resolve, format!("{host} has no address"), None),
        Some(Err(error)) => {
            (DialErrorKind::Resolve, format!("could not resolve {host}: {error}"), Some(error))
        }
        None => {
            let kind = DialErrorKind::Timeout(Phase::Resolve);
            (kind, format!("resolving {host} took too long"), None)
        }
    };
    Err(DialError::new(kind, message, source))
}

/// When an attempt must be over, if `left` addresses are still to be tried, this one included.
fn share_end(now: Instant, deadline: Instant, left: usize) -> Instant {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    match deadline.checked_duration_since(now) {
        // The last share is set to the deadline itself: no rounding may cut it short.
        Some(remaining) if left > 1 => now + remaining / left,
        _ => deadline,
    }
}

/// How many addresses that failed are named. A name may have hundreds.
const MOST_NAMED: usize = 8;

/// The addresses that failed, for the message.
#[derive(Default)]
struct Failures {
    named: String,
    count: usize,
}

impl Failures {
    fn note(&mut self, addr: SocketAddr, error: &dyn fmt::Display) {
        if self.count < MOST_NAMED {
            let separator = if self.count == 0 { "" } else { "; " };
            self.named.push_str(&format!("{separator}{addr}: {error}"));
        }
        self.count += 1;
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named)?;
        match self.count.saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The outcome of `future`, or `None` if `sleep` ends first.
async fn before<T>(mut sleep: Pin<&mut dyn Sleep>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // The work goes first: what is done is not too late.
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}
