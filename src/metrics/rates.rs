//! [`Rates`]: how much there was between two snapshots.

use std::time::Duration;

use super::Metrics;

/// What happened in a second, on average, between two snapshots: see [`Metrics::since`].
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rates {
    /// The time between the two.
    pub elapsed: Duration,
    /// Requests begun in a second.
    pub requests: f64,
    /// Requests answered with a status below 500 in a second.
    pub successful_requests: f64,
    /// Requests that failed in a second.
    pub failed_requests: f64,
    /// Requests given up in a second.
    pub cancelled_requests: f64,
    /// Connections made in a second.
    pub connections_created: f64,
    /// Connections closed in a second.
    pub connections_destroyed: f64,
    /// Bytes read in a second.
    pub bytes_in: f64,
    /// Bytes written in a second.
    pub bytes_out: f64,
    /// The share of failures in the requests that ended with an answer or an error, 0 to 1. Zero if
    /// none did.
    pub failure_ratio: f64,
    /// The share of loans, 0 to 1, that were of a connection which was open already. Zero if there
    /// were none.
    pub reuse_ratio: f64,
}

impl Metrics {
    /// What has happened since `earlier` was read from the same pool. All rates are zero if no time
    /// has passed, or if `earlier` is the later one.
    ///
    /// ```
    /// # let pool = evenkeel::Pool::builder().build()?;
    /// let before = pool.metrics();
    /// // ... some minutes later:
    /// let rates = pool.metrics().since(&before);
    /// println!("{:.1} requests/s, {:.1} % failed", rates.requests, rates.failure_ratio * 100.0);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of 2^52 is none")]
    pub fn since(&self, earlier: &Self) -> Rates {
        let elapsed = self.uptime.saturating_sub(earlier.uptime);
        let more = |of: fn(&Self) -> u64| of(self).saturating_sub(of(earlier)) as f64;
        let rate = |of: fn(&Self) -> u64| {
            if elapsed.is_zero() { 0.0 } else { more(of) / elapsed.as_secs_f64() }
        };
        let share = |part: f64, rest: f64| if part > 0.0 { part / (part + rest) } else { 0.0 };
        Rates {
            elapsed,
            requests: rate(|m| m.total_requests),
            successful_requests: rate(|m| m.successful_requests),
            failed_requests: rate(|m| m.failed_requests),
            cancelled_requests: rate(|m| m.cancelled_requests),
            connections_created: rate(|m| m.connections_created),
            connections_destroyed: rate(|m| m.connections_destroyed),
            bytes_in: rate(|m| m.bytes_in),
            bytes_out: rate(|m| m.bytes_out),
            failure_ratio: share(more(|m| m.failed_requests), more(|m| m.successful_requests)),
            reuse_ratio: share(more(|m| m.connections_reused), more(|m| m.connections_created)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_time_and_never_infinite_or_negative() {
        let before = Metrics { uptime: Duration::from_secs(2), ..Metrics::default() };
        let after = Metrics {
            uptime: Duration::from_secs(6),
            total_requests: 8,
            successful_requests: 3,
            failed_requests: 1,
            bytes_in: 4000,
            connections_created: 1,
            connections_reused: 3,
            ..Metrics::default()
        };
        let rates = after.since(&before);
        assert_eq!((rates.requests, rates.bytes_in, rates.bytes_out), (2.0, 1000.0, 0.0));
        assert_eq!((rates.failure_ratio, rates.reuse_ratio), (0.25, 0.75));
        assert_eq!(rates.elapsed, Duration::from_secs(4));
        let nothing = Rates::default();
        assert_eq!(after.since(&after), nothing);
        assert_eq!(before.since(&after), nothing);
    }
}
