//! [`Retry`]: when a request is sent again, and [`RetryBudget`]: how often at most, over all.

use std::time::Duration;

use super::check::{in_range, positive, refuse};
use crate::error::Error;

/// When a request is sent again, and how soon.
///
/// The setting of a pool ([`Config::retry`](crate::Config::retry)), or of one request
/// ([`Select::retry`](crate::Select::retry)).
///
/// Without any wish of yours a request is sent again only where that cannot do harm: nothing of it
/// had been sent; or a connection that had been open before turned out to be stale, and the request
/// may be repeated. This asks for more:
///
/// ```
/// use evenkeel::{Pool, Retry};
///
/// let pool = Pool::builder()
///     .retry(Retry::new().max_attempts(4).on_status([429, 502, 503, 504]).on_no_answer(true))
///     .build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// A request *may be repeated* if its method is idempotent (GET, HEAD, OPTIONS, TRACE, PUT,
/// DELETE: RFC 9110 §9.2.2), if it has an `Idempotency-Key` or `X-Idempotency-Key`, or if its
/// caller says so ([`Select::idempotent`](crate::Select::idempotent)). Its body can be sent again
/// as long as no more than its first piece has been taken, and that lies in one place in memory:
/// that is so for an empty body, for one made of bytes or text, and for most others that come in
/// one piece. Only then is it sent again.
///
/// The next attempt goes at once to a server that this request has not tried. If there is none, it
/// goes where it may after a pause: by chance between nothing and `base_delay`, twice as much for
/// each further time, up to `max_delay` ("full jitter": M. Brooker, *Exponential Backoff and
/// Jitter*, AWS Architecture Blog, 2015); and not before the time that a `Retry-After` asks for
/// (RFC 9110 §10.2.3). If the request's deadline comes first, or a server asks for more than five
/// minutes, the caller gets the answer, or the error, as it is. Each retry but that of a stale
/// connection is drawn on the [`RetryBudget`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often a request is sent at most, the first time included; servers that cannot be
    /// connected to do not count, nor do stale connections, of which there may be two. Default: 3.
    /// Range: 1, which is never again, not even after a stale connection, to 100.
    pub max_attempts: u32,
    /// Answers to ask another server for a better one, or the same one later, if the request may be
    /// repeated. Default: none. Range of each: 400 to 599.
    pub statuses: Vec<u16>,
    /// Whether to send a request again that may be repeated, was sent on a new connection, and got
    /// no byte of an answer: the connection broke, or the
    /// [`write_timeout`](crate::Config::write_timeout) or the
    /// [`response_head_timeout`](crate::Config::response_head_timeout) passed, on any connection.
    /// Default: false, since the server may be at work on it.
    pub on_no_answer: bool,
    /// The longest first pause before a server is asked again. Default: 50 ms.
    pub base_delay: Duration,
    /// The longest pause that the pool makes by itself. Default: 1 s. At least `base_delay`.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            statuses: Vec::new(),
            on_no_answer: false,
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(1),
        }
    }
}

impl Retry {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request is sent once, whatever happens. It still goes on to another server if it cannot
    /// connect to the first.
    #[must_use]
    pub fn never() -> Self {
        Self::new().max_attempts(1)
    }

    /// See the [field](Self#structfield.max_attempts).
    #[must_use]
    pub fn max_attempts(mut self, most: u32) -> Self {
        self.max_attempts = most;
        self
    }

    /// See [`statuses`](Self#structfield.statuses). Takes the place of earlier ones.
    #[must_use]
    pub fn on_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// See the [field](Self#structfield.on_no_answer).
    #[must_use]
    pub fn on_no_answer(mut self, on: bool) -> Self {
        self.on_no_answer = on;
        self
    }

    /// How long to pause before a server is asked again: see the
    /// [field](Self#structfield.base_delay) and [`max_delay`](Self#structfield.max_delay).
    #[must_use]
    pub fn backoff(mut self, base_delay: Duration, max_delay: Duration) -> Self {
        (self.base_delay, self.max_delay) = (base_delay, max_delay);
        self
    }

    /// Checks every field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        in_range("retry.max_attempts", self.max_attempts as usize, 1, 100)?;
        for status in &self.statuses {
            in_range("retry.statuses", usize::from(*status), 400, 599)?;
        }
        positive("retry.base_delay", self.base_delay)?;
        positive("retry.max_delay", self.max_delay)?;
        if self.max_delay < self.base_delay {
            let (base, max) = (self.base_delay, self.max_delay);
            return Err(refuse(format!(
                "retry.max_delay is {max:?}, and must be at least retry.base_delay ({base:?})"
            )));
        }
        Ok(())
    }
}

/// How many retries a pool makes at most, measured by its requests: so they do not multiply the
/// load of servers that are in trouble.
///
/// In any `window` they are at most `percent` of its requests, and `per_second` for each of its
/// seconds. It is on in every pool. The retries of stale connections are not drawn on it: they are
/// the price of keeping connections, and at most two for each request. With zero percent and zero a
/// second, they alone are left.
///
/// The meaning and the numbers are those of Finagle's `RetryBudget`, and of those that took them
/// from there, tower and linkerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Retries for a hundred requests. Default: 20. Range: 0 to 1000.
    pub percent: u32,
    /// Retries for each second, whether or not there are requests. Default: 10.
    /// Range: 0 to 1,000,000.
    pub per_second: u32,
    /// How long requests and retries count. Default: 10 s. Range: 1 s to 1 min.
    pub window: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, per_second: 10, window: Duration::from_secs(10) }
    }
}

impl RetryBudget {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// See the [field](Self#structfield.percent).
    #[must_use]
    pub fn percent(mut self, percent: u32) -> Self {
        self.percent = percent;
        self
    }

    /// See the [field](Self#structfield.per_second).
    #[must_use]
    pub fn per_second(mut self, retries: u32) -> Self {
        self.per_second = retries;
        self
    }

    /// See the [field](Self#structfield.window).
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Checks every field.
    pub(super) fn validate(&self) -> Result<(), Error> {
        in_range("retry_budget.percent", self.percent as usize, 0, 1000)?;
        in_range("retry_budget.per_second", self.per_second as usize, 0, 1_000_000)?;
        if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&self.window) {
            let window = self.window;
            return Err(refuse(format!(
                "retry_budget.window is {window:?}, and must be between 1 s and 1 min"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::error::ErrorKind;

    const MS: Duration = Duration::from_millis(1);

    fn checked(retry: Retry, retry_budget: RetryBudget) -> Result<(), Error> {
        Config { retry, retry_budget, ..Config::default() }.validate()
    }

    #[test]
    fn each_setting_of_retries_is_refused_by_name_out_of_its_range() {
        let (retry, budget) = (Retry::new, RetryBudget::new);
        let rows = [
            ("retry.max_attempts", retry().max_attempts(0), budget()),
            ("retry.max_attempts", retry().max_attempts(101), budget()),
            ("retry.statuses", retry().on_status([503, 399]), budget()),
            ("retry.statuses", retry().on_status([600]), budget()),
            ("retry.base_delay", retry().backoff(Duration::ZERO, MS), budget()),
            ("retry.max_delay", retry().backoff(MS, Duration::MAX), budget()),
            ("retry.max_delay", retry().backoff(MS * 2, MS), budget()),
            ("retry_budget.percent", retry(), budget().percent(1001)),
            ("retry_budget.per_second", retry(), budget().per_second(1_000_001)),
            ("retry_budget.window", retry(), budget().window(MS * 999)),
            ("retry_budget.window", retry(), budget().window(MS * 60_001)),
        ];
        for (name, retry, budget) in rows {
            let error = checked(retry, budget).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(name), "{name}: {error}");
        }
    }

    #[test]
    fn the_ends_of_each_range_of_retries_are_accepted() {
        let low = Retry::never().on_status([400]).backoff(MS, MS);
        checked(low, RetryBudget::new().percent(0).per_second(0).window(MS * 1000)).unwrap();
        let high = Retry::new().max_attempts(100).on_status([599]);
        let most = RetryBudget::new().percent(1000).per_second(1_000_000).window(MS * 60_000);
        checked(high, most).unwrap();
    }
}
