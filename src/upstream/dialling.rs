//! Opening a connection: a dial, the permit that it uses, and the caller who waits for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::acquire::{Told, Wish};
use super::backend::Backend;
use super::distributions::nanos;
use super::lease::Lease;
use super::missed::Missed;
use super::tally::Count;
use crate::config::FOREVER;
use crate::conn::{DialError, DialErrorKind, Setting, dial};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::lockfree::hint::thread_hint;
use crate::lockfree::settle::Site;
use crate::lockfree::ticket::{Granted, Permit, Ticket};
use crate::rt::{BoxFuture, Transport};
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
        let line = (!wish.wants_new(backend.id)).then(|| Ticket::enter_dialling(&mut permit));
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
pub(super) struct Opened {
    lease: Lease,
    opening: Opening,
}

/// A dial as a future of its own, which holds all that it needs: whoever polls it last gets the
/// connection, and dropping it closes the socket before the permit is given back.
pub(super) fn open(
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
        let setting = Setting::new(&hub.conns, &hub.config);
        let dialled = dial(setting, server, limit).await;
        match secured(&backend, dialled, limit).await {
            Ok(transport) => {
                let slot = opening.permit.connected(thread_hint());
                backend.dial_succeeded(began);
                let lease = Lease::born(backend, transport, slot, began);
                opening.is_made(lease.connect_time());
                Ok(Opened { lease, opening })
            }
            Err(error) => {
                opening.outcome = Count::DialErrors;
                backend.dial_failed(began, &error);
                Err(error)
            }
        }
    })
}

/// The connected transport, with TLS on top if that is how the server is spoken to.
async fn secured(
    backend: &Backend,
    dialled: Result<Box<dyn Transport>, DialError>,
    limit: Instant,
) -> Result<Box<dyn Transport>, DialError> {
    match &backend.tls {
        Some(tls) => tls.handshake(dialled?, &backend.hub.conns, limit).await,
        None => dialled,
    }
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
        backend.hub.dialling();
        let told = Told(backend.clone());
        Self { permit, _told: told, backend, outcome: Count::DialsCancelled }
    }

    /// There is a connection.
    fn is_made(&mut self, took: Duration) {
        self.outcome = Count::Created;
        let (hub, id, url) = (&self.backend.hub, self.backend.id, self.backend.server.url());
        hub.histograms.connects.record(nanos(took));
        hub.tell(|| Event::ConnectionOpened { id, url, took });
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
        DialErrorKind::Resolve | DialErrorKind::Connect | DialErrorKind::Tls => Fault::Connect,
    }
}

pub(super) fn dial_failed(backend: &Backend, error: DialError) -> Error {
    let kind = match error.kind() {
        DialErrorKind::Resolve => ErrorKind::Resolve,
        DialErrorKind::Connect => ErrorKind::Connect,
        DialErrorKind::Tls => ErrorKind::Tls,
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
