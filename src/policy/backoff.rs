//! How long to wait before a server is asked again.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

use crate::config::Retry;

/// The pause before the server is asked for the `nth` time again, from 0 on, as the dice fall:
/// evenly between nothing and `base_delay`, doubled each time up to `max_delay`.
///
/// "Full jitter": callers that failed together must not come back together. M. Brooker,
/// *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015.
pub(crate) fn pause(retry: &Retry, nth: u32, dice: u64) -> Duration {
    let doubled = 1_u32.checked_shl(nth).and_then(|times| retry.base_delay.checked_mul(times));
    let most = doubled.map_or(retry.max_delay, |most| most.min(retry.max_delay));
    // Settings are at most ten years: in nanoseconds far below 2^64.
    let nanos = (most.as_nanos() * u128::from(dice)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How long the server asks to be left alone: `None` if it does not, or not in a way that can be
/// understood. What is beyond all measure is the longest time there is.
///
/// A date is taken from the answer's own `Date`, so that clocks need not agree; only without one is
/// the local clock read.
///
//= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
//# The Retry-After field value can be either an HTTP-date or a number of seconds to delay after
//# receiving the response.
pub(crate) fn retry_after(
    headers: &HeaderMap,
    clock: impl FnOnce() -> SystemTime,
) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
    //# delay-seconds  = 1*DIGIT
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = date(headers, &DATE).unwrap_or_else(clock);
    // In the past: now.
    Some(until.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_pause_is_drawn_from_an_interval_that_doubles_up_to_a_bound() {
        let retry = Retry::new().backoff(MS * 50, MS * 300);
        let most = |nth| pause(&retry, nth, u64::MAX).as_nanos();
        // One unit less: the end is not drawn.
        let below = |millis: u128| millis * 1_000_000 - 1;
        for (nth, millis) in [(0, 50), (1, 100), (2, 200), (3, 300), (31, 300), (u32::MAX, 300)] {
            assert_eq!(most(nth), below(millis), "{nth}");
            assert_eq!(pause(&retry, nth, 0), Duration::ZERO);
            assert_eq!(pause(&retry, nth, 1 << 63).as_nanos(), millis * 500_000);
        }
    }

    #[test]
    fn the_longest_settings_do_not_overflow() {
        let year = Duration::from_secs(60 * 60 * 24 * 365);
        let retry = Retry::new().backoff(year * 10, year * 10);
        retry.validate().unwrap();
        assert_eq!(pause(&retry, 40, u64::MAX), year * 10 - Duration::from_nanos(1));
    }

    #[test]
    fn a_server_asks_for_time_in_seconds_or_until_a_date() {
        const NOON: &str = "Wed, 25 Nov 2026 12:00:00 GMT";
        let noon = || httpdate::parse_http_date(NOON).unwrap();
        let secs = |seconds| Some(Duration::from_secs(seconds));
        let rows = [
            (None, None, None),
            (Some("0"), None, secs(0)),
            (Some(" 120 "), None, secs(120)),
            (Some("99999999999999999999999"), None, secs(u64::MAX)),
            (Some(""), None, None),
            (Some("-1"), None, None),
            (Some("+1"), None, None),
            (Some("1.5"), None, None),
            (Some("soon"), None, None),
            // By the local clock, for want of a better one, in each of the three formats.
            (Some("Wed, 25 Nov 2026 12:00:30 GMT"), None, secs(30)),
            (Some("Wednesday, 25-Nov-26 12:00:30 GMT"), None, secs(30)),
            (Some("Wed Nov 25 12:00:30 2026"), None, secs(30)),
            (Some("Wed, 25 Nov 2026 11:59:59 GMT"), None, secs(0)),
            (Some("Wed, 25 Nov 2026 12:00:30 GMT"), Some("yesterday"), secs(30)),
            // By the server's own clock, though it is a year ahead.
            (
                Some("Thu, 25 Nov 2027 12:00:30 GMT"),
                Some("Thu, 25 Nov 2027 12:00:20 GMT"),
                secs(10),
            ),
        ];
        for (asked, date, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, asked), (DATE, date)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(retry_after(&headers, noon), expected, "{asked:?}, {date:?}");
        }
    }
}
