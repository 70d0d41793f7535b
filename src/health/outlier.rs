//! The failures of a server's requests: how many of late, and how long it is left alone for them.

use std::time::Duration;

use crate::config::Ejection;

/// Into how many parts the window is divided: one of them leaves at a time.
const PARTS: usize = 10;

/// Failures of late, and how many requests there were since.
///
/// A success must cost nothing, so it is not noted here: requests are counted elsewhere anyway,
/// and that count is looked at when one fails. So requests count from the first failure in the
/// window on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// At most [`PARTS`], in order. None until the first failure.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// Its number, counted from the beginning of time.
    number: u64,
    failed: u64,
    /// How many requests had ended before its first failure.
    before: u64,
}

impl Window {
    /// With one more failure, and how many there have been in the window, of how many requests.
    /// `ended` is how many requests have ended since the beginning of time, this one included.
    pub(crate) fn and_failure(&self, now: u64, length: Duration, ended: u64) -> (Self, Share) {
        let part = (length.as_millis() / PARTS as u128).max(1);
        let number = u64::try_from(u128::from(now) / part).unwrap_or(u64::MAX);
        let in_window = |part: &&Part| part.number + PARTS as u64 > number;
        let mut parts: Vec<Part> = self.parts.iter().filter(in_window).copied().collect();
        match parts.last_mut() {
            Some(last) if last.number == number => last.failed += 1,
            _ => parts.push(Part { number, failed: 1, before: ended.saturating_sub(1) }),
        }
        let failed = parts.iter().map(|part| part.failed).sum();
        let requests = parts.first().map_or(0, |first| ended.saturating_sub(first.before));
        // Counters are read one after another, and may lag behind.
        let share = Share { failed, requests: requests.max(failed) };
        (Self { parts }, share)
    }
}

/// How many of how many requests have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) failed: u64,
    pub(crate) requests: u64,
}

impl Share {
    /// Whether that is too many.
    pub(crate) fn trips(self, rules: &Ejection) -> bool {
        let ok = self.requests - self.failed;
        rules.min_success.is_some_and(|percent| {
            self.requests >= u64::from(rules.min_requests)
                && ok * 100 < u64::from(percent) * self.requests
        })
    }
}

/// For how long a server is left alone, in milliseconds, that has been ejected so often before.
pub(crate) fn leave_alone(rules: &Ejection, before: u32, dice: u64) -> u64 {
    let time = rules.base_time.saturating_mul(1 << before.min(20)).min(rules.max_time);
    #[expect(clippy::cast_precision_loss, reason = "a die needs no more")]
    let dice = (dice >> 11) as f64 / (1_u64 << 53) as f64;
    u64::try_from(time.mul_f64(0.8 + 0.4 * dice).as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    /// What is seen at the last of these failures, each given by its time and the requests ended.
    fn share(failures: &[(u64, u64)]) -> Share {
        let (mut window, mut share) = (Window::default(), Share { failed: 0, requests: 0 });
        for &(now, ended) in failures {
            (window, share) = window.and_failure(now, WINDOW, ended);
            assert!(window.parts.len() <= PARTS);
        }
        share
    }

    #[test]
    fn failures_leave_the_window_after_its_length() {
        assert_eq!(share(&[(500, 10), (9_999, 30)]), Share { failed: 2, requests: 21 });
        assert_eq!(share(&[(500, 10), (10_000, 30)]), Share { failed: 1, requests: 1 });
        assert_eq!(share(&[(0, 1), (1000, 2), (11_500, 9)]), Share { failed: 1, requests: 1 });
        let steady: Vec<(u64, u64)> = (0..100).map(|n| (n * 1000, n * 5)).collect();
        assert_eq!(share(&steady), Share { failed: 10, requests: 46 });
    }

    #[test]
    fn a_count_that_lags_behind_makes_no_more_failures_than_requests() {
        assert_eq!(share(&[(0, 1), (1, 1), (2, 1)]), Share { failed: 3, requests: 3 });
    }

    #[test]
    fn half_of_twenty_requests_may_fail_and_not_one_more() {
        let rules = Ejection::default();
        assert!(!Share { failed: 10, requests: 20 }.trips(&rules));
        assert!(Share { failed: 11, requests: 20 }.trips(&rules));
        assert!(!Share { failed: 19, requests: 19 }.trips(&rules));
        assert!(!Share { failed: 20, requests: 20 }.trips(&rules.min_success(None)));
    }

    #[test]
    fn each_time_a_server_is_left_alone_for_twice_as_long_up_to_a_minute() {
        let rules = Ejection::default();
        let middle = 1 << 63;
        let times = [0, 1, 2, 5, 6, 7, u32::MAX].map(|before| leave_alone(&rules, before, middle));
        assert_eq!(times, [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!((leave_alone(&rules, 0, 0), leave_alone(&rules, 0, u64::MAX)), (800, 1200));
    }
}
