//! What is counted, for the pool and for each server.

use crate::lockfree::counter::Striped;

/// The events that are counted. What can be derived is not: see `Metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    /// Requests begun.
    Requests,
    /// Requests that ended with a status below 500 and a whole body, or one not wanted any more.
    Succeeded,
    /// Requests that ended with an error, or a status of 500 or more.
    Failed,
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
    /// Requests that ran into a deadline, in any phase.
    Timeouts,
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
    /// Connections closed because they had been idle for too long. The reasons for closing follow
    /// in the order of `CloseReason`.
    ClosedIdle,
    ClosedByPeer,
    ClosedPoisoned,
    ClosedNotReusable,
    ClosedBroken,
    ClosedIdleCap,
    ClosedEvicted,
    ClosedShutdown,
    ClosedDiscarded,
    ClosedLimit,
    ClosedLifetime,
    ClosedMaxRequests,
    ClosedUnhealthy,
}

const COUNTS: usize = Count::ClosedUnhealthy as usize + 1;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It had been idle for too long.
    Idle,
    /// The peer had closed it while it was idle.
    Peer,
    /// The peer sent bytes that nobody had asked for.
    Poisoned,
    /// One side wanted it closed after the exchange, or the exchange was left unfinished.
    NotReusable,
    /// It failed.
    Broken,
    /// More connections were idle than may be.
    IdleCap,
    /// Its permit was needed for another server.
    Evicted,
    /// Its server was removed, or the pool closed.
    Shutdown,
    /// Its holder discarded it.
    Discarded,
    /// More were open than may be, since a limit had been lowered.
    Limit,
    /// It was too old.
    Lifetime,
    /// It had carried as many requests as it may.
    MaxRequests,
    /// Its server was taken out of rotation.
    Unhealthy,
}

impl CloseReason {
    pub(crate) fn count(self) -> Count {
        match self {
            Self::Idle => Count::ClosedIdle,
            Self::Peer => Count::ClosedByPeer,
            Self::Poisoned => Count::ClosedPoisoned,
            Self::NotReusable => Count::ClosedNotReusable,
            Self::Broken => Count::ClosedBroken,
            Self::IdleCap => Count::ClosedIdleCap,
            Self::Evicted => Count::ClosedEvicted,
            Self::Shutdown => Count::ClosedShutdown,
            Self::Discarded => Count::ClosedDiscarded,
            Self::Limit => Count::ClosedLimit,
            Self::Lifetime => Count::ClosedLifetime,
            Self::MaxRequests => Count::ClosedMaxRequests,
            Self::Unhealthy => Count::ClosedUnhealthy,
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
        self.0.add(what as usize, n);
    }

    #[inline]
    pub(crate) fn incr(&self, what: Count) {
        self.0.incr(what as usize);
    }

    pub(crate) fn read(&self) -> Counted {
        // Ends stand behind their beginnings, and are read before them, so that what is derived as
        // a difference is never negative.
        Counted(self.0.sums())
    }

    /// How many connections are idle, or on their way from one holder to the next.
    pub(crate) fn idle(&self) -> u64 {
        self.0.gauge(Count::Parked as usize, Count::Unparked as usize)
    }
}

/// The counters at one moment.
#[derive(Debug)]
pub(crate) struct Counted([u64; COUNTS]);

impl Counted {
    pub(crate) fn of(&self, what: Count) -> u64 {
        self.0[what as usize]
    }

    /// Connections closed, for whatever reason.
    pub(crate) fn closed(&self) -> u64 {
        self.0[Count::ClosedIdle as usize..].iter().sum()
    }
}
