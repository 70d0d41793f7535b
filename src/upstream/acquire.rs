//! From a wish to a connection: the first look, the line, the dial.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::backend::Backend;
use super::dialling::{Dialling, dial_failed};
use super::directory::{Directory, closed};
use super::lease::Lease;
use super::pick::{Nobody, Pick};
use super::tally::Count;
use crate::conn::DialError;
use crate::error::{Error, ErrorKind, Phase};
use crate::lockfree::permits::Refused;
use crate::lockfree::ticket::{Granted, Ticket};
use crate::rt::Sleep;
use crate::select::Select;
use crate::server::ServerId;

/// What a caller wants, and what it has tried.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// Only this server will do.
    pub(crate) server: Option<ServerId>,
    /// What else the caller asks for.
    pub(crate) select: &'a Select,
    /// Of the whole request.
    pub(crate) deadline: Option<Instant>,
    /// When the request began.
    pub(crate) now: Instant,
    /// Servers that could not be connected to.
    pub(crate) tried: &'a mut Vec<ServerId>,
    /// Connections that were idle when the request began will not do: two of them have failed.
    pub(crate) fresh: bool,
    /// Whether the caller would wait for a connection to be opened.
    pub(crate) may_dial: bool,
}

impl Wish<'_> {
    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether a connection that was parked at `since` will not do, the request having begun at
    /// `began`. One that was parked in that very tick may have been there before it.
    fn distrusts(&self, began: u64, since: u64) -> bool {
        self.fresh && since <= began
    }

    /// How many servers have been tried.
    fn tries(&self) -> u32 {
        u32::try_from(self.tried.len()).unwrap_or(u32::MAX)
    }
}

/// A connection for the request: an idle one, or the first that comes free, or a new one. If a
/// server cannot be connected to, the next is tried, as long as there is time.
///
/// # Cancel safety
/// Dropping the future leaves the line; what had been granted goes to the next. A dial goes on
/// without its caller if there is a driver, for the benefit of those who come after, and is given
/// up otherwise.
pub(crate) async fn acquire(directory: &Directory, wish: Wish<'_>) -> Result<Lease, Error> {
    let hub = &*directory.hub;
    if wish.is_late(wish.now) {
        let message = "the request had no time left when it began";
        return Err(Error::new(ErrorKind::Timeout, message).at(Phase::Queue).retry_safe(true));
    }
    let began = hub.tick(wish.now);
    let mut waited = false;
    let mut failed = None;
    loop {
        if !hub.lifecycle.is_open() {
            return Err(closed());
        }
        let (backend, mut found) = match directory.pick(&wish) {
            // The hit path: no clock, no shared count.
            Pick::Idle(lease, since) if !waited && !wish.distrusts(began, since) => {
                match checked(lease, Some(since), began) {
                    Some(lease) => return Ok(lease.direct()),
                    None => continue,
                }
            }
            Pick::Idle(lease, since) => (lease.backend().clone(), Ok((lease, Some(since)))),
            Pick::Wait(backend) => {
                let found = wait_at(&backend, &wish).await;
                (backend, found)
            }
            Pick::None(nobody) => {
                return Err(failed.unwrap_or_else(|| refusal(nobody, &wish)));
            }
        };
        while let Ok((_, Some(since))) = found {
            if !wish.distrusts(began, since) {
                break;
            }
            found = renew(found, &backend, &wish).await;
        }
        waited = true;
        let now = hub.now();
        match found {
            // It may have come too late, or its caller may have been polled too late.
            Ok(_) if wish.is_late(now) => {
                return Err(queue_timeout(&backend).after_attempts(wish.tries()));
            }
            Ok((lease, since)) => {
                if let Some(lease) = checked(lease, since, hub.tick(now)) {
                    return Ok(lease);
                }
            }
            Err(Missed::Dial(error)) => {
                wish.tried.push(backend.id);
                let error = dial_failed(&backend, error).after_attempts(wish.tries());
                if wish.is_late(now) {
                    return Err(error);
                }
                failed = Some(error);
            }
            // The server was removed, or the pool closed, which the next round tells.
            Err(Missed::Closed) => {}
            Err(missed) => return Err(missed.into_error(&backend).after_attempts(wish.tries())),
        }
    }
}

/// An idle connection, now. Never waits, and opens none.
pub(crate) fn try_acquire(directory: &Directory, wish: Wish<'_>) -> Option<Lease> {
    while directory.hub.lifecycle.is_open() {
        match directory.pick(&wish) {
            Pick::Idle(lease, since) => {
                let now = directory.hub.tick(wish.now);
                if let Some(lease) = checked(lease, Some(since), now) {
                    return Some(lease);
                }
            }
            _ => return None,
        }
    }
    None
}

/// The connection, if it is still good at `now`; otherwise it is closed. A new one is good.
fn checked(mut lease: Lease, since: Option<u64>, now: u64) -> Option<Lease> {
    if let Some(since) = since {
        lease.check(since, now).ok()?;
    }
    Some(lease.noted())
}

/// Opens a new connection in the place of one that is not trusted.
async fn renew(
    found: Result<Found, Missed>,
    backend: &Arc<Backend>,
    wish: &Wish<'_>,
) -> Result<Found, Missed> {
    let (lease, _) = found?;
    match lease.renew() {
        Some(permit) => Dialling::begin(backend, permit, wish).await,
        // As many are being opened as may: its place has been given up.
        None => wait_at(backend, wish).await,
    }
}

/// A connection, and since when it was parked, if it was.
pub(super) type Found = (Lease, Option<u64>);

/// Why a wait ended without a connection.
pub(super) enum Missed {
    Closed,
    Full,
    Timeout,
    Dial(DialError),
}

impl Missed {
    fn into_error(self, backend: &Backend) -> Error {
        match self {
            Self::Closed => closed(),
            Self::Full => {
                backend.hub.count(backend, Count::QueueFull);
                queue_full(backend)
            }
            Self::Timeout => queue_timeout(backend),
            Self::Dial(error) => dial_failed(backend, error),
        }
    }
}

/// Stands in line at one server, and dials if that is what it is given. With a connection that
/// was parked comes the time since when.
async fn wait_at(backend: &Arc<Backend>, wish: &Wish<'_>) -> Result<Found, Missed> {
    // Dropped last: by then all that had been granted here has been given back.
    let _told = Told(backend.clone());
    let mut ticket =
        Ticket::enter(&**backend, wish.select.priority).map_err(|refused| match refused {
            Refused::Closed => Missed::Closed,
            Refused::Full => Missed::Full,
        })?;
    let mut limit = Limit::new(backend, wish.deadline);
    let mut since = None;
    let granted = poll_fn(|cx| {
        if let Poll::Ready(granted) = ticket.poll(cx.waker()) {
            return Poll::Ready(Some(granted));
        }
        since.get_or_insert_with(|| backend.hub.now());
        limit.poll(cx).map(|()| None)
    })
    .await;
    drop(ticket);
    if let Some(since) = since {
        record_wait(backend, since);
    }
    match granted {
        None => Err(Missed::Timeout),
        Some(Granted::Closed) => Err(Missed::Closed),
        Some(Granted::Connection(parked)) => {
            let since = parked.since;
            Ok((Lease::of(parked), Some(since)))
        }
        Some(Granted::Permit(permit)) => Dialling::begin(backend, permit, wish).await,
    }
}

/// Tells a shutdown, when dropped, that a permit may have come back without having been used.
pub(super) struct Told(pub(super) Arc<Backend>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.hub.after_close();
    }
}

fn record_wait(backend: &Backend, since: Instant) {
    let hub = &backend.hub;
    let waited = hub.now().saturating_duration_since(since);
    let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
    hub.count(backend, Count::Waits);
    hub.tally.add(Count::WaitNanos, nanos);
    hub.longest_wait.record(nanos);
}

/// A deadline whose sleep is made when it is first waited for.
struct Limit<'a> {
    backend: &'a Backend,
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<dyn Sleep>>>,
}

impl<'a> Limit<'a> {
    fn new(backend: &'a Backend, deadline: Option<Instant>) -> Self {
        Self { backend, deadline, sleep: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self.backend.hub.runtime().timer();
        self.sleep.get_or_insert_with(|| timer.sleep_until(deadline)).as_mut().poll(cx)
    }
}

fn refusal(nobody: Nobody, wish: &Wish<'_>) -> Error {
    let kind = match nobody {
        Nobody::NotFound => ErrorKind::NotFound,
        Nobody::Exhausted if !wish.tried.is_empty() => ErrorKind::Connect,
        _ => ErrorKind::NoServers,
    };
    Error::new(kind, nobody.message(wish)).retry_safe(true)
}

fn queue_full(backend: &Backend) -> Error {
    let waiting = backend.hub.config.max_waiters;
    Error::new(ErrorKind::QueueFull, format!("{waiting} callers wait for a connection already"))
        .at(Phase::Queue)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
}

fn queue_timeout(backend: &Backend) -> Error {
    let counts = backend.gate.ledger.counts();
    let message = format!(
        "no connection came free in time ({} open, {} connecting, {} waiting)",
        counts.open, counts.connecting, counts.waiting
    );
    Error::new(ErrorKind::Timeout, message)
        .at(Phase::Queue)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
}
