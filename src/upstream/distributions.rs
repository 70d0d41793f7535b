//! [`Distributions`]: how long things take. One histogram of each kind for all servers together.

use std::time::Duration;

use crate::lockfree::counter::cores;
use crate::lockfree::histogram::{Distribution, Histogram};

/// How long the steps of a pool's requests took, and what became of its connections: see
/// [`Pool::distributions`](crate::Pool::distributions).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distributions {
    /// How long callers waited for a connection to come free, those who waited. In nanoseconds.
    pub queue_wait: Distribution,
    /// How long it took to make a connection: resolving and connecting. In nanoseconds.
    pub connect: Distribution,
    /// From the first byte of a request to the head of its response, for each attempt that got one.
    /// In nanoseconds.
    pub response_head: Distribution,
    /// From the call to the end of the response's body or to the error, for each request that its
    /// caller did not give up: waits, connects and attempts included. In nanoseconds.
    pub request: Distribution,
    /// How old connections were when they were closed. In milliseconds.
    pub connection_age: Distribution,
    /// How many requests connections had carried when they were closed.
    pub connection_uses: Distribution,
}

impl Distributions {
    /// What has come since `earlier` was read from the same pool.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            queue_wait: self.queue_wait.since(&earlier.queue_wait),
            connect: self.connect.since(&earlier.connect),
            response_head: self.response_head.since(&earlier.response_head),
            request: self.request.since(&earlier.request),
            connection_age: self.connection_age.since(&earlier.connection_age),
            connection_uses: self.connection_uses.since(&earlier.connection_uses),
        }
    }
}

/// Where times and counts are recorded, by their sizes.
#[derive(Debug)]
pub(crate) struct Histograms {
    /// Of those who waited for a connection, in nanoseconds, as the next three.
    pub(crate) waits: Histogram,
    pub(crate) connects: Histogram,
    pub(crate) heads: Histogram,
    pub(crate) requests: Histogram,
    /// Of connections that were closed, in milliseconds.
    pub(crate) ages: Histogram,
    /// The same, how many requests they had carried.
    pub(crate) uses: Histogram,
}

impl Histograms {
    pub(crate) fn new() -> Self {
        // Each request is recorded in two of them.
        let often = || Histogram::with_owned(2 * cores(), cores().div_ceil(4));
        Self {
            waits: Histogram::new(),
            connects: Histogram::new(),
            heads: often(),
            requests: often(),
            ages: Histogram::new(),
            uses: Histogram::new(),
        }
    }

    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        let all =
            [&self.waits, &self.connects, &self.heads, &self.requests, &self.ages, &self.uses];
        all.into_iter().map(Histogram::bytes).sum()
    }

    pub(crate) fn snapshot(&self) -> Distributions {
        Distributions {
            queue_wait: self.waits.snapshot(),
            connect: self.connects.snapshot(),
            response_head: self.heads.snapshot(),
            request: self.requests.snapshot(),
            connection_age: self.ages.snapshot(),
            connection_uses: self.uses.snapshot(),
        }
    }
}

/// A time as it is recorded.
#[inline]
pub(crate) fn nanos(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(time.subsec_nanos()))
}
