//! Opening a connection: look the name up, try its addresses in turn, under one deadline.

mod error;
mod race;
mod resolve;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

pub(crate) use self::error::{DialError, DialErrorKind};
use crate::rt::{Runtime, Sleep, Transport};

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
    let addrs = resolve::look_up(runtime, host, port, sleep.as_mut()).await?;
    race::connect(runtime, host, &addrs, keep_alive, deadline, sleep.as_mut()).await
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
