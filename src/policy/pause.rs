//! How long to leave a server alone that could not be connected to.

use std::time::Duration;

/// After the first failure.
const SHORTEST: Duration = Duration::from_millis(500);
/// However many there were.
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after so many failures in a row: twice as long each time. As the dice fall, up to a
/// quarter shorter, so that pools that failed together do not come back together.
pub(crate) fn pause(failures: u32, dice: u64) -> Duration {
    let whole = SHORTEST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let nanos = whole.as_nanos();
    let early = (nanos / 4 * u128::from(dice)) >> 64;
    Duration::from_nanos(u64::try_from(nanos - early).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_a_minute() {
        let millis = |failures| pause(failures, 0).as_millis();
        assert_eq!(
            [1, 2, 3, 7, 8, u32::MAX].map(millis),
            [500, 1000, 2000, 32_000, 60_000, 60_000]
        );
    }

    #[test]
    fn a_pause_is_up_to_a_quarter_shorter_by_chance() {
        assert_eq!(pause(2, 1 << 63), Duration::from_millis(875));
        assert!(pause(2, u64::MAX) >= Duration::from_millis(750));
    }
}
