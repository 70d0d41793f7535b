//! How long an idle connection is kept.

use std::time::Duration;

use crate::config::Config;

/// How long before its end a connection is replaced that belongs to a floor, in ticks.
pub(crate) const LEAD: u64 = 1000;

/// The idle limits, in ticks of a millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleLimits {
    /// Beyond this a connection above the floor is closed.
    surplus: u64,
    /// Beyond this any connection is closed.
    floor: u64,
    /// How many connections of a server are kept up to `floor`.
    keep: usize,
}

impl IdleLimits {
    pub(crate) fn new(config: &Config) -> Self {
        // Rounded up: a limit of less than a tick is not none at all.
        let ticks = |limit: Duration| {
            u64::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
        };
        Self {
            surplus: ticks(config.idle_conn_timeout),
            floor: ticks(config.max_idle_time),
            keep: config.min_idle,
        }
    }

    /// Whether a connection that has been idle for `idle` ticks is to be closed, given that its
    /// server has `parked` idle ones, this one among them. They are counted only if it matters: a
    /// count costs the more, the more connections a server may have.
    pub(crate) fn is_expired(&self, idle: u64, parked: impl FnOnce() -> usize) -> bool {
        idle >= self.surplus.min(self.floor) && (idle >= self.floor || parked() > self.keep)
    }

    /// In how many ticks a connection that has been idle for `idle` ticks will be expired, if
    /// nothing else changes.
    pub(crate) fn expires_in(&self, idle: u64, parked: usize) -> u64 {
        let limit = if parked > self.keep { self.surplus.min(self.floor) } else { self.floor };
        limit.saturating_sub(idle)
    }
}

/// For how many ticks a connection may be idle, if its peer is known to close it after `limit`
/// ticks: a moment before, its close and our next request would cross. A fifth of the time, or a
/// second if that is less, is left for the way.
pub(crate) fn within(limit: u64) -> u64 {
    limit - (limit / 5).min(1000)
}

/// The same for how long the peer said that it keeps one.
pub(crate) fn within_hint(hint: Duration) -> u64 {
    within(u64::try_from(hint.as_millis()).unwrap_or(u64::MAX))
}

/// The tick at which a connection that is made `now` is too old: as `dice` falls, up to a tenth
/// before the end of its lifetime.
pub(crate) fn end_of_life(now: u64, lifetime: Duration, dice: u64) -> u64 {
    let millis = lifetime.as_millis();
    let early = (millis / 10 * u128::from(dice)) >> 64;
    now.saturating_add(u64::try_from(millis - early).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_s_limit_is_kept_with_a_margin_of_a_fifth_up_to_a_second() {
        let seconds = Duration::from_secs;
        let rows = [(0, 0), (1, 800), (5, 4000), (6, 5000), (3600, 3_599_000)];
        for (hint, kept) in rows {
            assert_eq!(within_hint(seconds(hint)), kept, "{hint} s");
        }
        assert_eq!(within_hint(Duration::MAX), u64::MAX - 1000);
        assert_eq!(within(1004), 804);
    }

    #[test]
    fn a_life_ends_up_to_a_tenth_early() {
        let minute = Duration::from_secs(60);
        assert_eq!(end_of_life(5, minute, 0), 60_005);
        assert_eq!(end_of_life(5, minute, 1 << 63), 57_005);
        assert_eq!(end_of_life(5, minute, u64::MAX), 54_006);
        assert_eq!(end_of_life(u64::MAX - 1, minute, 0), u64::MAX);
        assert_eq!(end_of_life(0, Duration::from_nanos(1), u64::MAX), 0);
    }

    fn limits(min_idle: usize) -> IdleLimits {
        IdleLimits::new(&Config { min_idle, ..Config::default() })
    }

    #[test]
    fn surplus_expires_at_idle_conn_timeout_and_not_before() {
        assert!(!limits(0).is_expired(89_999, || 1));
        assert!(limits(0).is_expired(90_000, || 1));
        assert_eq!(limits(0).expires_in(89_999, 1), 1);
    }

    #[test]
    fn a_limit_below_a_tick_lasts_a_tick() {
        let idle_conn_timeout = Duration::from_nanos(1);
        let limits = IdleLimits::new(&Config { idle_conn_timeout, ..Config::default() });
        assert!(!limits.is_expired(0, || 1));
        assert!(limits.is_expired(1, || 1));
    }

    #[test]
    fn the_floor_is_kept_until_max_idle_time() {
        assert!(limits(2).is_expired(90_000, || 3));
        assert!(!limits(2).is_expired(90_000, || 2));
        assert!(!limits(2).is_expired(299_999, || 2));
        assert!(limits(2).is_expired(300_000, || 1));
        assert_eq!(limits(2).expires_in(90_000, 2), 210_000);
    }

    #[test]
    fn the_smaller_limit_holds_when_the_floor_s_is_the_shorter() {
        let config = Config { max_idle_time: Duration::from_secs(1), ..Config::default() };
        let limits = IdleLimits::new(&config);
        assert!(limits.is_expired(1000, || 1));
        assert_eq!(limits.expires_in(0, 1), 1000);
    }
}
