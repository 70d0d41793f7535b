//! What requests tell about a server: for the strategy that learns from it, and for its health.

use std::time::{Duration, Instant};

use super::backend::Backend;
use super::tally::Count;
use crate::health::Share;
use crate::lockfree::snapshot::Change;
use crate::server::{Fault, HealthReason};
use crate::strategy::Strategy;

/// A failure counts as a response that took so long at least: one that fails fast would otherwise
/// look better than all others, and draw all traffic.
const PENALTY: Duration = Duration::from_secs(5);

/// A server that asks for more time than this is asked again all the same.
const LONGEST_PENALTY: Duration = Duration::from_secs(300);

/// How an attempt at a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a response.
    Answered,
    /// With an error, or a response that says that it cannot serve.
    Failed(Fault),
    /// The same, and the server says for how long.
    FailedFor(Fault, Duration),
}

impl Outcome {
    /// What an attempt that took so long counts as.
    fn counts_as(self, took: Duration) -> Duration {
        match self {
            Self::Answered => took,
            Self::Failed(_) => took.max(PENALTY),
            Self::FailedFor(_, asked) => took.max(PENALTY).max(asked.min(LONGEST_PENALTY)),
        }
    }
}

impl Backend {
    /// Takes note of how an attempt ended, and how long it took.
    #[inline]
    pub(crate) fn note(&self, now: Instant, took: Duration, outcome: Outcome) {
        match outcome {
            Outcome::Answered => self.vitals.succeeded(),
            Outcome::Failed(fault) | Outcome::FailedFor(fault, _) => self.note_fault(fault),
        }
        if self.hub.config.load_balance_strategy != Strategy::PeakEwma {
            return;
        }
        self.response_peak.record(self.hub.fine_tick(now), nanos(outcome.counts_as(took)));
    }

    /// Takes note of a failure, and ejects the server if that was one too many.
    #[cold]
    fn note_fault(&self, fault: Fault) {
        let rules = &self.hub.config.ejection;
        let in_a_row = if fault == Fault::TooManyRequests { 0 } else { self.vitals.failed() };
        self.hurry_check();
        if !rules.is_on {
            return;
        }
        let why = if rules.failures_in_a_row.is_some_and(|most| in_a_row >= most) {
            HealthReason::Failures(fault)
        } else if self.failed_of_late().trips(rules) {
            HealthReason::SuccessRate
        } else {
            return;
        };
        if let Some(directory) = self.directory() {
            directory.eject(self.id, why);
        }
    }

    /// Counts one more failure in the window.
    fn failed_of_late(&self) -> Share {
        let rules = &self.hub.config.ejection;
        let now = self.hub.tick();
        let counted = self.tally.read();
        let ends = counted.of(Count::Succeeded) + counted.failed() + counted.of(Count::DialErrors);
        // This one is not counted yet.
        let ended = ends + 1;
        self.vitals.window().update(|window| {
            let (window, share) = window.and_failure(now, rules.window, ended);
            Change::Replace(window, share)
        })
    }

    /// Takes note of an attempt, begun at `since`, whose caller gave up: it would have taken longer
    /// than it has.
    pub(crate) fn note_abandoned(&self, since: Instant) {
        if self.hub.config.load_balance_strategy == Strategy::PeakEwma {
            let now = self.hub.now();
            let took = now.saturating_duration_since(since);
            self.response_peak.record_at_least(self.hub.fine_tick(now), nanos(took));
        }
    }

    /// Takes note of a connection that was made; its dial began at `begun`.
    pub(super) fn note_connected(&self, begun: Instant) {
        if self.hub.config.load_balance_strategy == Strategy::PeakEwma {
            let now = self.hub.now();
            let took = now.saturating_duration_since(begun);
            self.connect_peak.record(self.hub.fine_tick(now), nanos(took));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_as_a_slow_response_and_as_the_server_asks_up_to_a_bound() {
        let seconds = Duration::from_secs;
        let failed = Outcome::Failed(Fault::Reset);
        let failed_for = |asked| Outcome::FailedFor(Fault::Unavailable, seconds(asked));
        let rows = [
            (Outcome::Answered, 0, 0),
            (Outcome::Answered, 9, 9),
            (failed, 0, 5),
            (failed, 6, 6),
            (failed_for(0), 1, 5),
            (failed_for(30), 1, 30),
            (failed_for(30), 31, 31),
            (failed_for(300), 0, 300),
            (failed_for(301), 0, 300),
            (failed_for(u64::MAX), 0, 300),
        ];
        for (outcome, took, counts) in rows {
            assert_eq!(outcome.counts_as(seconds(took)), seconds(counts), "{outcome:?}, {took} s");
        }
    }
}
