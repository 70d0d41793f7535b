//! From a wish to a connection: the first look, the line, the dial.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::backend::Backend;
use super::directory::{Directory, Pick, closed};
use super::lease::Lease;
use super::tally::Count;
use crate::conn::{DialError, DialErrorKind, dial};
use crate::error::{Error, ErrorKind, Phase};
use crate::lockfree::hint::thread_hint;
use crate::lockfree::permits::Refused;
use crate::lockfree::ticket::{Granted, Permit, Ticket};
use crate::rt::{BoxFuture, Sleep};
use crate::server::ServerId;

/// What a caller wants, and what it has tried.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// Only this server will do.
    pub(crate) server: Option<ServerId>,
    /// Higher is sooner.
    pub(crate) class: u8,
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
    if wish.deadline.is_some_and(|deadline| deadline <= wish.now) {
        let message = "the request had no time left when it began";
        return Err(Error::new(ErrorKind::Timeout, message).at(Phase::Queue).retry_safe(true));
    }
    let mut failed: Option<Error> = None;
    loop {
        if !hub.lifecycle.is_open() {
            return Err(closed());
        }
        let backend = match directory.pick(&wish) {
            Pick::Idle(lease, since) => match checked(lease, since, &wish) {
                Some(lease) => return Ok(lease),
                None => continue,
            },
            Pick::Wait(backend) => backend,
            none => return Err(failed.unwrap_or_else(|| refusal(&none, wish.server))),
        };
        match wait_at(&backend, &wish).await {
            Ok((lease, Some(since))) => {
                if let Some(lease) = checked(lease, since, &wish) {
                    return Ok(lease);
                }
            }
            Ok((lease, None)) => return Ok(lease),
            // The server was removed, or the pool closed, which the next round tells.
            Err(Missed::Closed) => {}
            Err(Missed::Full) => {
                hub.count(&backend, Count::QueueFull);
                return Err(queue_full(&backend).after_attempts(wish.tries()));
            }
            Err(Missed::Timeout) => {
                return Err(queue_timeout(&backend).after_attempts(wish.tries()));
            }
            Err(Missed::Dial(error)) => {
                let out_of_time = wish.deadline.is_some_and(|deadline| deadline <= hub.now());
                wish.tried.push(backend.id);
                let error = dial_failed(&backend, error).after_attempts(wish.tries());
                if out_of_time {
                    return Err(error);
                }
                failed = Some(error);
            }
        }
    }
}

/// An idle connection, now. Never waits, and opens none.
pub(crate) fn try_acquire(directory: &Directory, wish: Wish<'_>) -> Option<Lease> {
    while directory.hub.lifecycle.is_open() {
        match directory.pick(&wish) {
            Pick::Idle(lease, since) => {
                if let Some(lease) = checked(lease, since, &wish) {
                    return Some(lease);
                }
            }
            _ => return None,
        }
    }
    None
}

/// The connection, if it is still good and new enough; otherwise it is closed.
fn checked(mut lease: Lease, since: u64, wish: &Wish<'_>) -> Option<Lease> {
    let began = lease.backend().hub.tick(wish.now);
    // One that was parked in the tick in which the request began may have been there before it.
    if wish.fresh && since <= began {
        lease.mark_broken();
        return None;
    }
    lease.check(since, began).ok()?;
    Some(lease.reused())
}

/// Why a wait ended without a connection.
enum Missed {
    Closed,
    Full,
    Timeout,
    Dial(DialError),
}

/// Stands in line at one server, and dials if that is what it is given. With a connection that
/// was parked comes the time since when.
async fn wait_at(
    backend: &Arc<Backend>,
    wish: &Wish<'_>,
) -> Result<(Lease, Option<u64>), Missed> {
    // Dropped last: by then all that had been granted here has been given back.
    let _told = Told(backend);
    let mut ticket = Ticket::enter(&**backend, wish.class).map_err(|refused| match refused {
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
struct Told<'a>(&'a Backend);

impl Drop for Told<'_> {
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

/// A caller that dials: still in line, for a connection that comes back before the dial ends.
struct Dialling<'a> {
    backend: &'a Arc<Backend>,
    line: Ticket<Backend>,
    /// `None` once it has ended.
    dial: Option<BoxFuture<'static, Result<Lease, DialError>>>,
}

impl<'a> Dialling<'a> {
    async fn begin(
        backend: &'a Arc<Backend>,
        permit: Permit<Backend>,
        wish: &Wish<'_>,
    ) -> Result<(Lease, Option<u64>), Missed> {
        let line = Ticket::enter_dialling(&permit);
        let mut dialling = Self { backend, line, dial: Some(open(permit, wish.deadline)) };
        poll_fn(|cx| dialling.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Lease, Option<u64>), Missed>> {
        match self.line.poll(cx.waker()) {
            Poll::Ready(Granted::Connection(parked)) => {
                let since = parked.since;
                return Poll::Ready(Ok((Lease::of(parked), Some(since))));
            }
            Poll::Ready(Granted::Closed) => {
                self.dial = None;
                return Poll::Ready(Err(Missed::Closed));
            }
            // One that dials is given no second permit; dropping it would give it back.
            Poll::Ready(Granted::Permit(_)) | Poll::Pending => {}
        }
        let Some(dial) = &mut self.dial else {
            return Poll::Pending;
        };
        match dial.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.dial = None;
                Poll::Ready(result.map(|lease| (lease, None)).map_err(Missed::Dial))
            }
        }
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        let Some(dial) = self.dial.take() else {
            return;
        };
        // With a driver the dial goes on, for whoever comes next; without, this drops it.
        self.backend.hub.leave(Box::pin(async move { drop(dial.await) }));
    }
}

/// A dial as a future of its own, which holds all that it needs: whoever polls it last gets the
/// connection, and dropping it closes the socket before the permit is given back.
fn open(
    permit: Permit<Backend>,
    deadline: Option<Instant>,
) -> BoxFuture<'static, Result<Lease, DialError>> {
    Box::pin(async move {
        let mut opening = Opening::new(permit);
        let backend = opening.backend.clone();
        let (hub, server) = (&backend.hub, &backend.server);
        let limit = hub.now() + hub.config.connect_timeout;
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        let keep_alive = hub.config.keep_alive_timeout;
        let dialled =
            dial(hub.runtime(), server.host(), server.port(), keep_alive, limit).await;
        match dialled {
            Ok(transport) => Ok(opening.connected(transport)),
            Err(error) => {
                opening.outcome = Count::DialErrors;
                Err(error)
            }
        }
    })
}

/// A permit in use for a dial, and what is counted when that ends.
struct Opening {
    permit: Option<Permit<Backend>>,
    backend: Arc<Backend>,
    outcome: Count,
}

impl Opening {
    fn new(permit: Permit<Backend>) -> Self {
        let backend = crate::lockfree::settle::Site::handle(permit.site());
        backend.hub.count(&backend, Count::Dials);
        backend.hub.dialling();
        Self { permit: Some(permit), backend, outcome: Count::DialsCancelled }
    }

    fn connected(&mut self, transport: Box<dyn crate::rt::Transport>) -> Lease {
        match self.permit.take() {
            Some(permit) => {
                let slot = permit.connected(thread_hint());
                self.outcome = Count::Created;
                Lease::born(self.backend.clone(), transport, slot)
            }
            None => unreachable!("a dial connects once"),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.backend.hub.count(&self.backend, self.outcome);
        drop(self.permit.take());
        self.backend.hub.after_close();
    }
}

fn refusal(pick: &Pick, server: Option<ServerId>) -> Error {
    let error = match (pick, server) {
        (Pick::NotFound, Some(id)) => {
            Error::new(ErrorKind::NotFound, format!("there is no server {id} in the pool"))
        }
        (Pick::Exhausted, _) => Error::new(ErrorKind::Connect, "no server could be reached"),
        _ => Error::new(ErrorKind::NoServers, "the pool has no servers; add one with add_server"),
    };
    error.retry_safe(true)
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

fn dial_failed(backend: &Backend, error: DialError) -> Error {
    let kind = match error.kind() {
        DialErrorKind::Resolve => ErrorKind::Resolve,
        DialErrorKind::Connect => ErrorKind::Connect,
        DialErrorKind::Timeout(_) => ErrorKind::Timeout,
    };
    let phase = error.phase();
    let (message, source) = error.into_parts();
    let error = Error::new(kind, message)
        .at(phase)
        .of_server(backend.server.shared_url())
        .retry_safe(true);
    match source {
        Some(source) => error.with_source(source),
        None => error,
    }
}
