//! What is counted of a request: its end, and that it has one.

use std::time::Instant;

use crate::event::FailureCause;
use crate::upstream::{Backend, Count, Hub};

/// Counts a request of the pool, from its beginning to its end.
pub(super) struct Running<'a> {
    hub: &'a Hub,
    /// `None`: it goes on, with the response's body.
    outcome: Option<Count>,
}

impl<'a> Running<'a> {
    pub(super) fn begin(hub: &'a Hub) -> Self {
        hub.tally.incr(Count::Requests);
        Self { hub, outcome: Some(Count::Cancelled) }
    }

    pub(super) fn failed(&mut self, cause: FailureCause) {
        self.outcome = Some(Count::Failed(cause));
    }

    pub(super) fn goes_on(&mut self) {
        self.outcome = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.hub.tally.incr(outcome);
        }
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
