//! Opening a connection: a dial, the permit that it uses, and the caller who waits for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::acquire::{Missed, Told, Wish};
use super::backend::Backend;
use super::lease::Lease;
use super::outcome::Outcome;
use super::tally::Count;
use crate::config::FOREVER;
use crate::conn::{DialError, DialErrorKind, dial};
use crate::error::{Error, ErrorKind};
use crate::lockfree::hint::thread_hint;
use crate::lockfree::settle::Site;
use crate::lockfree::ticket::{Granted, Permit, Ticket};
use crate::rt::BoxFuture;
use crate::server::Fault;

/// A caller that dials: still in line, for a connection that comes back before the dial ends.
pub(super) struct Dialling<'a> {
    backend: &'a Arc<Backend>,
    /// `None` if only a new connection will do.
    line: Option<Ticket<Backend>>,
    /// What the server's departures were on entering; `None` for one who is to stay.
    departures: Option<u32>,
    /// `None` once it has ended.
    dial: Option<BoxFuture<'static, Result<Opened, DialError>>>,
}

impl<'a> Dialling<'a> {
    pub(super) async fn begin(
        backend: &'a Arc<Backend>,
        mut permit: Permit<Backend>,
        wish: &Wish<'_>,
    ) -> Result<Lease, Missed> {
        let departures = wish.may_move().then(|| backend.vitals.departures());
        let line = (!wish.fresh).then(|| Ticket::enter_dialling(&mut permit));
        let dial = Some(open(permit, wish.deadline(), wish.select.connect()));
        let mut dialling = Self { backend, line, departures, dial };
        poll_fn(|cx| dialling.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Lease, Missed>> {
        let granted = self.line.as_mut().map_or(Poll::Pending, |line| line.poll(cx.waker()));
        match granted {
            Poll::Ready(Granted::Connection(parked)) => {
                return Poll::Ready(Ok(Lease::of(parked)));
            }
            Poll::Ready(Granted::Closed) => {
                self.dial = None;
                return Poll::Ready(Err(Missed::Closed));
            }
            // One that dials is given no second permit (dropping it would give it back), and has no
            // place to lose.
            Poll::Ready(Granted::Permit(_) | Granted::Refused | Granted::Shed) | Poll::Pending => {}
        }
        if self.departures.is_some_and(|before| before != self.backend.vitals.departures()) {
            return Poll::Ready(Err(Missed::Moved));
        }
        // Out of its place while it is polled: if it panics, nobody polls it again.
        let Some(mut dial) = self.dial.take() else {
            return Poll::Pending;
        };
        match dial.as_mut().poll(cx) {
            Poll::Pending => {
                self.dial = Some(dial);
                Poll::Pending
            }
            Poll::Ready(Ok(Opened { lease, opening })) => {
                drop(opening);
                Poll::Ready(Ok(lease))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Missed::Dial(error))),
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

/// A new connection, and the permit with which it was opened. Dropped in this order: a connection
/// that nobody waits for is parked before it is no longer counted as being opened.
struct Opened {
    lease: Lease,
    opening: Opening,
}

/// A dial as a future of its own, which holds all that it needs: whoever polls it last gets the
/// connection, and dropping it closes the socket before the permit is given back.
fn open(
    permit: Permit<Backend>,
    deadline: Option<Instant>,
    timeout: Option<Duration>,
) -> BoxFuture<'static, Result<Opened, DialError>> {
    Box::pin(async move {
        let mut opening = Opening::new(permit);
        let backend = opening.backend.clone();
        let (hub, server) = (&backend.hub, &backend.server);
        let began = hub.now();
        let limit = began + timeout.unwrap_or(hub.config.connect_timeout).min(FOREVER);
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        let keep_alive = hub.config.keep_alive_timeout;
        let dialled = dial(hub.runtime(), server.host(), server.port(), keep_alive, limit).await;
        match dialled {
            Ok(transport) => {
                let slot = opening.permit.connected(thread_hint());
                opening.outcome = Count::Created;
                backend.note_connected(began);
                Ok(Opened { lease: Lease::born(backend, transport, slot, began), opening })
            }
            Err(error) => {
                opening.outcome = Count::DialErrors;
                let now = hub.now();
                let took = now.saturating_duration_since(began);
                backend.note(now, took, Outcome::Failed(fault(&error)));
                Err(error)
            }
        }
    })
}

/// A permit in use for a dial, and what is counted when that ends.
struct Opening {
    // In this order: the permit has come back when a shutdown is told.
    permit: Permit<Backend>,
    _told: Told,
    backend: Arc<Backend>,
    outcome: Count,
}

impl Opening {
    fn new(permit: Permit<Backend>) -> Self {
        let backend = permit.site().handle();
        backend.hub.count(&backend, Count::Dials);
        backend.hub.begin();
        let told = Told(backend.clone());
        Self { permit, _told: told, backend, outcome: Count::DialsCancelled }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.backend.hub.count(&self.backend, self.outcome);
    }
}

/// What a dial that failed says about the server.
pub(super) fn fault(error: &DialError) -> Fault {
    match error.kind() {
        DialErrorKind::Timeout(_) => Fault::Timeout,
        DialErrorKind::Resolve | DialErrorKind::Connect => Fault::Connect,
    }
}

pub(super) fn dial_failed(backend: &Backend, error: DialError) -> Error {
    let kind = match error.kind() {
        DialErrorKind::Resolve => ErrorKind::Resolve,
        DialErrorKind::Connect => ErrorKind::Connect,
        DialErrorKind::Timeout(_) => ErrorKind::Timeout,
    };
    let phase = error.phase();
    let (message, source) = error.into_parts();
    let error =
        Error::new(kind, message).at(phase).of_server(backend.server.shared_url()).retry_safe(true);
    match source {
        Some(source) => error.with_source(source),
        None => error,
    }
}
