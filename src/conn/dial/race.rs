//! The second step of a dial: one of the addresses is connected to.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use super::before;
use super::error::{DialError, DialErrorKind, Failures};
use crate::error::Phase;
use crate::rt::{Runtime, Sleep, Target, Transport};

/// Connects to the first of `addrs` that takes it. `sleep` may be set at will.
pub(super) async fn connect(
    runtime: &Runtime,
    host: &str,
    addrs: &[SocketAddr],
    keep_alive: Option<Duration>,
    deadline: Instant,
    mut sleep: Pin<&mut dyn Sleep>,
) -> Result<Box<dyn Transport>, DialError> {
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

/// When an attempt must be over, if `left` addresses are still to be tried, this one included.
fn share_end(now: Instant, deadline: Instant, left: usize) -> Instant {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    match deadline.checked_duration_since(now) {
        // The last share is set to the deadline itself: no rounding may cut it short.
        Some(remaining) if left > 1 => now + remaining / left,
        _ => deadline,
    }
}
