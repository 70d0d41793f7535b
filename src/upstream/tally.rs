//! What is counted, for the pool and for each server.

use crate::conn::Traffic;
use crate::event::{CloseReason, FailureCause};
use crate::lockfree::counter::Striped;

/// The events that are counted. What can be derived is not: see `Metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Requests begun.
    Requests,
    /// Requests that ended with a status below 500 and a whole body, or one not wanted any more.
    Succeeded,
    /// Requests given up by their callers.
    Cancelled,
    /// Connects begun.
    Dials,
    /// Connections made.
    Created,
    /// Connects that failed.
    DialErrors,
    /// Connects given up.
    DialsCancelled,
    /// Loans of a connection that was open already.
    Reused,
    /// Connections given back to wait for the next request. Counted for the pool only, as the next:
    /// how many are parked at one server, its idle set tells.
    Parked,
    /// Connections that left the idle set, by a loan or by being closed.
    Unparked,
    /// Waits for a connection that had to come free.
    Waits,
    /// Their time, in nanoseconds.
    WaitNanos,
    /// Callers refused since too many waited already, and those sent away for others.
    QueueFull,
    /// Those of them who had waited, and were sent away for one of a higher class.
    Shed,
    /// Grants taken back since their callers did not take them. For the pool only.
    Reclaimed,
    /// Requests sent again since a connection had gone stale. For the pool only, as the next two.
    StaleRetries,
    /// Requests sent again for another reason, within the budget.
    Retries,
    /// Requests not sent again only since the budget did not allow it.
    RetriesRefused,
    /// Health checks begun.
    Checks,
    /// Those that succeeded.
    ChecksOk,
    /// Those that failed. What is neither is under way, or was given up.
    ChecksFailed,
    /// Those given up.
    ChecksCancelled,
    /// Servers taken out since their requests failed.
    Ejections,
    /// Bytes read from connections.
    BytesIn,
    /// Bytes written to connections.
    BytesOut,
    /// Requests that ended with an error, or a status of 500 or more, by what they failed of.
    Failed(FailureCause),
    /// Connections closed, by the reason.
    Closed(CloseReason),
}

/// The counters that stand for themselves.
const PLAIN: usize = 25;
const FAILED: usize = PLAIN;
const CLOSED: usize = FAILED + FailureCause::ALL.len();
const COUNTS: usize = CLOSED + CloseReason::ALL.len();

impl Count {
    /// Its counter. Ends stand behind their beginnings.
    #[inline]
    fn place(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::Succeeded => 1,
            Self::Cancelled => 2,
            Self::Dials => 3,
            Self::Created => 4,
            Self::DialErrors => 5,
            Self::DialsCancelled => 6,
            Self::Reused => 7,
            Self::Parked => 8,
            Self::Unparked => 9,
            Self::Waits => 10,
            Self::WaitNanos => 11,
            Self::QueueFull => 12,
            Self::Shed => 13,
            Self::Reclaimed => 14,
            Self::StaleRetries => 15,
            Self::Retries => 16,
            Self::RetriesRefused => 17,
            Self::BytesIn => 18,
            Self::BytesOut => 19,
            Self::Checks => 20,
            Self::ChecksOk => 21,
            Self::ChecksFailed => 22,
            Self::ChecksCancelled => 23,
            Self::Ejections => 24,
            Self::Failed(cause) => FAILED + cause as usize,
            Self::Closed(reason) => CLOSED + reason as usize,
        }
    }
}

/// Counters of every [`Count`].
#[derive(Debug)]
pub(crate) struct Tally(Striped<COUNTS>);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Striped::new())
    }

    #[inline]
    pub(crate) fn add(&self, what: Count, n: u64) {
        self.0.add(what.place(), n);
    }

    /// Counts the bytes of an exchange, and how it ended, if it has.
    #[inline]
    pub(super) fn end(&self, outcome: Option<Count>, traffic: Traffic) {
        // What has not ended adds nothing to any counter.
        let (outcome, one) = outcome.map_or((Count::Succeeded, 0), |outcome| (outcome, 1));
        self.0.add_all([
            (outcome.place(), one),
            (Count::BytesIn.place(), traffic.read),
            (Count::BytesOut.place(), traffic.written),
        ]);
    }

    #[inline]
    pub(crate) fn incr(&self, what: Count) {
        self.0.incr(what.place());
    }

    pub(crate) fn read(&self) -> Counted {
        // Ends stand behind their beginnings, and are read before them, so that what is derived as
        // a difference is never negative.
        Counted(self.0.sums())
    }

    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// One of the counters.
    pub(crate) fn one(&self, what: Count) -> u64 {
        self.0.sum(what.place())
    }

    /// How many connections are idle, or on their way from one holder to the next.
    pub(crate) fn idle(&self) -> u64 {
        self.0.gauge(Count::Parked.place(), Count::Unparked.place())
    }
}

/// The counters at one moment.
#[derive(Debug)]
pub(crate) struct Counted([u64; COUNTS]);

impl Counted {
    pub(crate) fn of(&self, what: Count) -> u64 {
        self.0[what.place()]
    }

    /// Requests that failed, of whatever cause.
    pub(crate) fn failed(&self) -> u64 {
        self.0[FAILED..CLOSED].iter().sum()
    }

    /// Requests that ended, however.
    pub(crate) fn ended(&self) -> u64 {
        self.of(Count::Succeeded) + self.failed() + self.of(Count::Cancelled)
    }

    /// Connections closed, for whatever reason.
    pub(crate) fn closed(&self) -> u64 {
        self.0[CLOSED..].iter().sum()
    }
}
