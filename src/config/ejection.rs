//! [`Ejection`]: when requests that fail take a server out of rotation.

use std::time::Duration;

use super::check::{in_range, positive, refuse};
use crate::error::Error;

/// When a server whose requests fail is left alone for a while (outlier detection, a circuit
/// breaker for each server).
///
/// A server is ejected after so many failures in a row, or if too few of its recent requests
/// succeed. It is left alone for [`base`](Self::base), twice as long each further time, up to
/// [`most`](Self::most), a fifth more or less by chance. Then it is on trial: one request at a
/// time, until [`trials`](Self::trials) of them have succeeded. With health checks, a check must
/// have succeeded first, so that no request is risked on a server that is known to be ill. For
/// each minute in which it is well, one ejection is forgotten.
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
pub struct Ejection {
    pub(crate) is_on: bool,
    pub(crate) in_a_row: Option<u32>,
    pub(crate) min_success: Option<u32>,
    pub(crate) window: Duration,
    pub(crate) min_requests: u32,
    pub(crate) base: Duration,
    pub(crate) most: Duration,
    pub(crate) trials: u32,
    pub(crate) max_share: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            is_on: true,
            in_a_row: Some(5),
            min_success: Some(50),
            window: Duration::from_secs(10),
            min_requests: 20,
            base: Duration::from_secs(1),
            most: Duration::from_secs(60),
            trials: 2,
            max_share: 50,
        }
    }
}

impl Ejection {
    /// With the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No server is ever ejected.
    #[must_use]
    pub fn off() -> Self {
        Self { is_on: false, ..Self::default() }
    }

    /// How many failures in a row eject a server. Default: 5. `None`: none do. At least 1.
    #[must_use]
    pub fn failures_in_a_row(mut self, count: impl Into<Option<u32>>) -> Self {
        self.in_a_row = count.into();
        self
    }

    /// What share of the requests of the last [`window`](Self::window), in percent, must have
    /// succeeded. Below it the server is ejected. It is counted from the first failure in the
    /// window on. Default: 50. Range: 1 to 100. `None`: any share will do.
    #[must_use]
    pub fn min_success(mut self, percent: impl Into<Option<u32>>) -> Self {
        self.min_success = percent.into();
        self
    }

    /// How far back requests count for [`min_success`](Self::min_success). Default: 10 s.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many requests there must have been to judge by their share. Default: 20. At least 1.
    #[must_use]
    pub fn min_requests(mut self, count: u32) -> Self {
        self.min_requests = count;
        self
    }

    /// How long a server is left alone the first time. Default: 1 s.
    #[must_use]
    pub fn base(mut self, time: Duration) -> Self {
        self.base = time;
        self
    }

    /// How long a server is left alone at the most. Default: 60 s. Not below the first time.
    #[must_use]
    pub fn most(mut self, time: Duration) -> Self {
        self.most = time;
        self
    }

    /// How many requests on trial must succeed. Default: 2. At least 1.
    #[must_use]
    pub fn trials(mut self, count: u32) -> Self {
        self.trials = count;
        self
    }

    /// What share of the servers may be ejected at a time, in percent, the one that is about to be
    /// included. The last server that takes requests never is. Default: 50. Range: 1 to 100.
    #[must_use]
    pub fn max_share(mut self, percent: u32) -> Self {
        self.max_share = percent;
        self
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let count = |name, value: u32| in_range(name, value as usize, 1, 1 << 30);
        count("ejection.failures_in_a_row", self.in_a_row.unwrap_or(1))?;
        count("ejection.min_requests", self.min_requests)?;
        count("ejection.trials", self.trials)?;
        in_range("ejection.min_success", self.min_success.unwrap_or(1) as usize, 1, 100)?;
        in_range("ejection.max_share", self.max_share as usize, 1, 100)?;
        positive("ejection.window", self.window)?;
        positive("ejection.base", self.base)?;
        positive("ejection.most", self.most)?;
        if self.most < self.base {
            return Err(refuse(format!(
                "ejection.most ({:?}) is below ejection.base ({:?})",
                self.most, self.base
            )));
        }
        Ok(())
    }
}
