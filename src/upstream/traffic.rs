//! What is counted of an exchange and of a connection: ends and bytes; and what is told of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::backend::Backend;
use super::distributions::nanos;
use super::held::Held;
use super::hub::Hub;
use super::lease::Lease;
use super::tally::Count;
use crate::event::{CloseReason, Event, FailureCause, RequestOutcome};
use crate::server::ServerId;

/// After so many bytes those of a long body or tunnel are counted, though it has not ended.
const LONG: u64 = 64 * 1024;

/// The request whose response is coming in over a connection.
#[derive(Debug)]
pub(crate) struct Ongoing {
    /// When it was asked for.
    pub(crate) began: Instant,
    /// How long it took until the head of its response was here, in nanoseconds.
    pub(crate) took: u64,
    /// How many bytes of the connection had come by then.
    pub(crate) read: u64,
    /// What an observer is told of it; `None` without one.
    pub(crate) facts: Option<Box<Facts>>,
}

/// What an observer is told of a request, as far as it is known.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) server: Option<(ServerId, Arc<str>)>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) attempts: u32,
    pub(crate) reused: bool,
}

impl Facts {
    /// Tells that the request has ended.
    pub(crate) fn tell(&self, hub: &Hub, outcome: Count, duration: Duration) {
        hub.tell(|| Event::RequestDone {
            method: &self.method,
            path: &self.path,
            status: self.status,
            outcome: match outcome {
                Count::Succeeded => RequestOutcome::Succeeded,
                Count::Failed(cause) => RequestOutcome::Failed(cause),
                _ => RequestOutcome::Cancelled,
            },
            server: self.server.as_ref().map(|(id, _)| *id),
            url: self.server.as_ref().map(|(_, url)| &**url),
            attempts: self.attempts,
            reused: self.reused,
            duration,
        });
    }
}

impl Hub {
    /// Counts the end of a request that has no response, and tells it.
    pub(crate) fn end_request(&self, began: Instant, outcome: Count, facts: Option<&Facts>) {
        self.note_time();
        self.tally.incr(outcome);
        let took = self.now().saturating_duration_since(began);
        if outcome != Count::Cancelled {
            self.histograms.requests.record(nanos(took));
        }
        if let Some(facts) = facts {
            facts.tell(self, outcome, took);
        }
    }
}

/// Closes a connection: counts that, and tells it. Its permits are the caller's business.
pub(super) fn dispose(backend: &Backend, held: Box<Held>, reason: CloseReason) {
    let (hub, conn) = (&backend.hub, &held.conn);
    let age = hub.now().saturating_duration_since(conn.born());
    let (uses, bytes_in, bytes_out) = (conn.uses(), conn.bytes_in(), conn.bytes_out());
    drop(held);
    hub.count(backend, Count::Closed(reason));
    hub.histograms.ages.record(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    hub.histograms.uses.record(u64::from(uses));
    let (id, url) = (backend.id, backend.server.url());
    hub.tell(|| Event::ConnectionClosed { id, url, reason, age, uses, bytes_in, bytes_out });
}

impl Lease {
    /// The head of a response has come, and its body follows.
    #[inline]
    pub(crate) fn go_on(&mut self, began: Instant, took: u64, facts: Option<Box<Facts>>) {
        let held = self.held_mut();
        held.ongoing = Ongoing { began, took, read: held.conn.bytes_in(), facts };
    }

    /// The request has ended: counts that, and its bytes; the tick at which it has. It has ended
    /// with the last byte that came, and the clock is read only if one came after the head.
    #[inline]
    pub(crate) fn end_request(&mut self, outcome: Count) -> u64 {
        let held = self.held_mut();
        let (backend, ongoing) = (&*held.home.backend, &mut held.ongoing);
        let hub = &backend.hub;
        let is_whole = matches!(outcome, Count::Succeeded | Count::Failed(FailureCause::Status));
        let took = if is_whole && held.conn.bytes_in() == ongoing.read {
            ongoing.took
        } else {
            nanos(hub.now().saturating_duration_since(ongoing.began))
        };
        let tick = hub.note_time();
        let traffic = held.conn.tell_traffic();
        hub.tally.end(Some(outcome), traffic);
        backend.tally.end(Some(outcome), traffic);
        if outcome != Count::Cancelled {
            hub.histograms.requests.record(took);
        }
        if let Some(facts) = ongoing.facts.take() {
            facts.tell(hub, outcome, Duration::from_nanos(took));
        }
        tick
    }

    /// Gives the connection back, it being this tick.
    #[inline]
    pub(crate) fn back_at(mut self, tick: u64) {
        self.held_mut().loan.back_at = Some(tick);
    }

    /// Counts the bytes so far, if they are worth it.
    #[inline]
    pub(crate) fn count_bytes_of_long_exchange(&mut self) {
        if self.conn_ref().untold_traffic().total() >= LONG {
            self.count_rest();
        }
    }

    /// Counts the bytes of an exchange that does not end, or has not ended well.
    #[cold]
    pub(super) fn count_rest(&mut self) {
        let (conn, backend) = self.split();
        backend.hub.note_time();
        let traffic = conn.tell_traffic();
        backend.hub.tally.end(None, traffic);
        backend.tally.end(None, traffic);
    }
}
