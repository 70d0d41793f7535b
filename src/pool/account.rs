//! What is counted of a request: its end, and that it has one.

use std::borrow::BorrowMut;
use std::time::Instant;

use http::StatusCode;
use http::request::Parts;

use super::exchange::Nth;
use crate::event::FailureCause;
use crate::upstream::{Backend, Count, Facts, Hub, Lease};

/// Counts a request of the pool, from its beginning to its end.
pub(super) struct Running<'a> {
    hub: &'a Hub,
    began: Instant,
    /// `None`: it goes on, with the response's body.
    outcome: Option<Count>,
    /// What an observer is told; `None` without one.
    facts: Option<Box<Facts>>,
}

impl<'a> Running<'a> {
    #[inline]
    pub(super) fn begin(hub: &'a Hub, parts: &Parts, began: Instant) -> Self {
        hub.tally.incr(Count::Requests);
        let facts = hub.is_observed().then(|| facts_of(parts));
        Self { hub, began, outcome: Some(Count::Cancelled), facts }
    }

    /// It is about to be sent over this connection.
    #[inline]
    pub(super) fn tries(&mut self, lease: &Lease, nth: Nth<'_>) {
        if let Some(facts) = &mut self.facts {
            let backend = lease.backend();
            facts.server = Some((backend.id, backend.server.shared_url().clone()));
            (facts.attempts, facts.reused) = (nth.number, nth.reused);
        }
    }

    pub(super) fn failed(&mut self, cause: FailureCause, attempts: u32) {
        self.outcome = Some(Count::Failed(cause));
        if let Some(facts) = &mut self.facts {
            facts.attempts = attempts;
        }
    }

    /// The head of the response came after so many nanoseconds; it ends with the body, which the
    /// lease brings.
    #[inline]
    pub(super) fn goes_on(mut self, lease: &mut Lease, took: u64, status: StatusCode) {
        self.outcome = None;
        let mut facts = self.facts.take();
        if let Some(facts) = &mut facts {
            facts.status = Some(status);
        }
        lease.go_on(self.began, took, facts);
    }
}

#[cold]
fn facts_of(parts: &Parts) -> Box<Facts> {
    Box::new(Facts {
        method: parts.method.clone(),
        path: parts.uri.path().into(),
        server: None,
        status: None,
        attempts: 0,
        reused: false,
    })
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.hub.end_request(self.began, outcome, self.facts.as_deref());
        }
    }
}

/// A lease, owned or lent, whose request ends.
pub(super) trait Ends: BorrowMut<Lease> {
    /// Counts that. Gives the connection back, if it is owned.
    fn end(self, outcome: Count);
}

impl Ends for Lease {
    fn end(mut self, outcome: Count) {
        let tick = self.end_request(outcome);
        self.back_at(tick);
    }
}

impl Ends for &mut Lease {
    fn end(self, outcome: Count) {
        self.end_request(outcome);
    }
}

/// Counts a request at its server.
pub(super) struct Sending<'a> {
    backend: &'a Backend,
    since: Instant,
    /// `None`: there is a response, and it goes on with that one's body.
    outcome: Option<Count>,
}

impl<'a> Sending<'a> {
    pub(super) fn begin(backend: &'a Backend, since: Instant) -> Self {
        backend.tally.incr(Count::Requests);
        Self { backend, since, outcome: Some(Count::Cancelled) }
    }

    pub(super) fn failed(&mut self, cause: FailureCause) {
        self.outcome = Some(Count::Failed(cause));
    }

    pub(super) fn goes_on(&mut self) {
        self.outcome = None;
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let Some(outcome) = self.outcome else {
            return;
        };
        self.backend.tally.incr(outcome);
        if outcome == Count::Cancelled {
            self.backend.note_abandoned(self.since);
        }
    }
}
