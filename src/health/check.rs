//! The counts of health checks, and when the next one is due.

use std::time::Duration;

use crate::config::HealthCheck;
use crate::server::Health;

/// Health checks in a row that came out the same. One of the two is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ok: u32,
    pub(crate) failed: u32,
}

impl Counts {
    /// With one more.
    pub(crate) fn and(self, ok: bool) -> Self {
        match ok {
            true => Self { ok: self.ok.saturating_add(1), failed: 0 },
            false => Self { ok: 0, failed: self.failed.saturating_add(1) },
        }
    }
}

/// How long after the last check began the next one is due, but for the jitter.
pub(crate) fn next_in(
    check: &HealthCheck,
    health: Health,
    counts: Counts,
    is_idle: bool,
) -> Duration {
    let fast = check.fast_interval.min(check.interval);
    match health {
        Health::Down if counts.ok == 0 => {
            let beyond = counts.failed.saturating_sub(check.unhealthy_threshold).min(16);
            let most = check.down_interval.min(check.interval).max(fast);
            fast.saturating_mul(1 << beyond).min(most)
        }
        Health::Down | Health::Ejected | Health::Trial => fast,
        Health::Unknown | Health::Up if counts.failed > 0 => fast,
        _ if is_idle => check.idle_interval.max(check.interval),
        _ => check.interval,
    }
}

/// A tenth more or less, so that checks that began together drift apart.
pub(crate) fn jittered(interval: Duration, dice: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_next_check_is_sooner_in_doubt_and_later_without_traffic() {
        let check = HealthCheck::default();
        let (none, bad) = (Counts::default(), |failed| Counts { ok: 0, failed });
        let good = |ok| Counts { ok, failed: 0 };
        let rows = [
            (Health::Up, good(9), false, secs(30)),
            (Health::Up, good(9), true, secs(60)),
            (Health::Unknown, none, false, secs(30)),
            (Health::Up, bad(1), true, secs(1)),
            (Health::Unknown, bad(2), false, secs(1)),
            (Health::Down, bad(3), true, secs(1)),
            (Health::Down, bad(4), false, secs(2)),
            (Health::Down, bad(5), false, secs(3)),
            (Health::Down, bad(u32::MAX), false, secs(3)),
            (Health::Down, good(1), false, secs(1)),
            (Health::Ejected, good(4), false, secs(1)),
            (Health::Trial, good(4), false, secs(1)),
        ];
        for (health, counts, is_idle, expected) in rows {
            assert_eq!(next_in(&check, health, counts, is_idle), expected, "{health}, {counts:?}");
        }
    }

    #[test]
    fn no_interval_is_above_a_short_one_but_the_idle_one() {
        let check = HealthCheck::default().interval(Duration::from_millis(10));
        for health in [Health::Up, Health::Down, Health::Ejected] {
            for failed in [0, 1, 3, 9] {
                let next = next_in(&check, health, Counts { ok: 0, failed }, false);
                assert_eq!(next, Duration::from_millis(10), "{health}, {failed}");
            }
        }
        assert_eq!(next_in(&check, Health::Up, Counts::default(), true), secs(60));
    }

    #[test]
    fn the_jitter_is_a_tenth() {
        assert_eq!(jittered(secs(10), 0.0), secs(9));
        assert_eq!(jittered(secs(10), 0.5), secs(10));
        assert_eq!(jittered(secs(10), 1.0), secs(11));
    }
}
