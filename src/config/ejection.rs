//! [`Ejection`]: when requests that fail take a server out of rotation.

use std::time::Duration;

use super::check::{in_range, positive, refuse};
use crate::error::Error;

/// When a server whose requests fail is left alone for a while (outlier detection, a circuit
/// breaker for each server).
///
/// A server is ejected after so many failures in a row, or if too few of its recent requests
/// succeed. It is left alone for [`base_time`], twice as long each further time, up to
/// [`max_time`], a fifth more or less by chance. Then it is on trial: one request at a time, until
/// [`trials`] of them have succeeded. With health checks, a check must have succeeded first, so
/// that no request is risked on a server that is known to be ill. For each minute in which it is
/// well, one ejection is forgotten.
///
/// [`base_time`]: Self#structfield.base_time
/// [`max_time`]: Self#structfield.max_time
/// [`trials`]: Self#structfield.trials
///
/// Failures are connections that cannot be made, timeouts, new connections that break, answers
/// that are no HTTP, and the statuses 429 (not among those in a row) and 5xx. What the caller or
/// the pool did is none: a malformed request, one given up, a full line, a deadline that passed
/// before anything was sent.
///
/// The rules are those of Envoy's outlier detection and of Finagle's failure accrual.
///
/// ```
/// use evenkeel::{Ejection, Pool};
///
/// let pool = Pool::builder().ejection(Ejection::new().failures_in_a_row(10)).build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ejection {
    pub(crate) is_on: bool,
    /// How many failures in a row eject a server. Default: 5. `None`: none do. At least 1.
    pub failures_in_a_row: Option<u32>,
    /// What share of the requests of the last [`window`](Self#structfield.window), in percent, must
    /// have succeeded. Below it the server is ejected. It is counted from the first failure in the
    /// window on. Default: 50. Range: 1 to 100. `None`: any share will do.
    pub min_success: Option<u32>,
    /// How far back requests count for [`min_success`](Self#structfield.min_success).
    /// Default: 10 s.
    pub window: Duration,
    /// How many requests there must have been to judge by their share. Default: 20. At least 1.
    pub min_requests: u32,
    /// How long a server is left alone the first time. Default: 1 s.
    pub base_time: Duration,
    /// How long a server is left alone at most. Default: 60 s. At least `base_time`.
    pub max_time: Duration,
    /// How many requests on trial must succeed. Default: 2. At least 1.
    pub trials: u32,
    /// What share of the servers may be ejected at a time, in percent, the one that is about to be
    /// included. The last server that takes requests never is. Default: 50. Range: 1 to 100.
    pub max_share: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            is_on: true,
            failures_in_a_row: Some(5),
            min_success: Some(50),
            window: Duration::from_secs(10),
            min_requests: 20,
            base_time: Duration::from_secs(1),
            max_time: Duration::from_secs(60),
            trials: 2,
            max_share: 50,
        }
    }
}

impl Ejection {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No server is ever ejected.
    #[must_use]
    pub fn off() -> Self {
        Self { is_on: false, ..Self::default() }
    }

    /// See the [field](Self#structfield.failures_in_a_row).
    #[must_use]
    pub fn failures_in_a_row(mut self, count: impl Into<Option<u32>>) -> Self {
        self.failures_in_a_row = count.into();
        self
    }

    /// See the [field](Self#structfield.min_success).
    #[must_use]
    pub fn min_success(mut self, percent: impl Into<Option<u32>>) -> Self {
        self.min_success = percent.into();
        self
    }

    /// See the [field](Self#structfield.window).
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// See the [field](Self#structfield.min_requests).
    #[must_use]
    pub fn min_requests(mut self, count: u32) -> Self {
        self.min_requests = count;
        self
    }

    /// See the [field](Self#structfield.base_time).
    #[must_use]
    pub fn base_time(mut self, time: Duration) -> Self {
        self.base_time = time;
        self
    }

    /// See the [field](Self#structfield.max_time).
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// See the [field](Self#structfield.trials).
    #[must_use]
    pub fn trials(mut self, count: u32) -> Self {
        self.trials = count;
        self
    }

    /// See the [field](Self#structfield.max_share).
    #[must_use]
    pub fn max_share(mut self, percent: u32) -> Self {
        self.max_share = percent;
        self
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let count = |name, value: u32| in_range(name, value as usize, 1, 1 << 30);
        count("ejection.failures_in_a_row", self.failures_in_a_row.unwrap_or(1))?;
        count("ejection.min_requests", self.min_requests)?;
        count("ejection.trials", self.trials)?;
        in_range("ejection.min_success", self.min_success.unwrap_or(1) as usize, 1, 100)?;
        in_range("ejection.max_share", self.max_share as usize, 1, 100)?;
        positive("ejection.window", self.window)?;
        positive("ejection.base_time", self.base_time)?;
        positive("ejection.max_time", self.max_time)?;
        if self.max_time < self.base_time {
            let (base, max) = (self.base_time, self.max_time);
            return Err(refuse(format!(
                "ejection.max_time is {max:?}, and must be at least ejection.base_time ({base:?})"
            )));
        }
        Ok(())
    }
}
