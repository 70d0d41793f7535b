//! [`Running`]: a request of the pool, as it is counted.

use crate::error::Error;
use crate::upstream::{Count, Hub};

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

    pub(super) fn failed(&mut self, error: Error) -> Error {
        self.outcome = Some(Count::Failed);
        count_timeout(self.hub, &error);
        error
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

/// Counts a request that ran into a deadline, whichever step that was.
pub(super) fn count_timeout(hub: &Hub, error: &Error) {
    if error.is_timeout() {
        hub.tally.add(Count::Timeouts, 1);
    }
}
