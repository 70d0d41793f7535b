//! How long to wait before a server is asked, or dialled, again.

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
    part(doubled(nth, retry.base_delay, retry.max_delay), dice)
}

/// The pause before a server that cannot be connected to is dialled for the `nth` time again, from
/// 0 on: `least`, doubled each time up to `most`; and shortened by up to a half, as the dice fall.
/// It is never short: here the pause is for the server's sake, and not for that of one request.
pub(crate) fn dial_pause(nth: u32, least: Duration, most: Duration, dice: u64) -> Duration {
    let half = doubled(nth, least, most) / 2;
    half + part(half, dice)
}

/// `least`, doubled so often, up to `most`.
fn doubled(times: u32, least: Duration, most: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(times).and_then(|times| least.checked_mul(times));
    doubled.map_or(most, |doubled| doubled.min(most))
}

/// An even part of it, as the dice fall; never the whole.
fn part(whole: Duration, dice: u64) -> Duration {
    // Settings are at most ten years: in nanoseconds far below 2^64.
    let nanos = (whole.as_nanos() * u128::from(dice)) >> 64;
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
    fn pauses_double_up_to_the_longest_and_are_never_less_than_half() {
        for (count, whole) in [(0, 100), (1, 200), (4, 1600), (5, 2000), (31, 2000), (99, 2000)] {
            let pauses: Vec<_> = (0..1000)
                .map(|dice| {
                    dial_pause(count, 100 * MS, 2000 * MS, fastrand::Rng::with_seed(dice).u64(..))
                })
                .collect();
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*least >= whole * MS / 2 && *most <= whole * MS, "{count}: {least:?} {most:?}");
            // They are spread over nearly all of that.
            assert!(*most - *least > whole * MS * 9 / 20, "{count}");
        }
    }

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
