//! How much of its share a server gets that has come back.

/// A whole share.
pub(crate) const TENTHS: u32 = 10;

/// Where a server is on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ramp {
    /// Its share, in tenths: 1 to 10.
    pub(crate) tenths: u32,
    /// When that changes.
    pub(crate) next: u64,
}

/// The share, at `now`, of a server that came back at `since`, if it is to take `length` to have
/// all of it. It depends on nothing but its own time: what else changes in the pool begins it
/// neither anew nor ends it.
pub(crate) fn ramp(now: u64, since: u64, length: u64) -> Ramp {
    let passed = now.saturating_sub(since);
    if passed >= length {
        return Ramp { tenths: TENTHS, next: u64::MAX };
    }
    let whole = u64::from(TENTHS);
    let step = u128::from(passed) * u128::from(whole) / u128::from(length);
    let step = u64::try_from(step).unwrap_or(whole).max(1);
    let next = since.saturating_add((length * (step + 1)).div_ceil(whole));
    Ramp { tenths: u32::try_from(step).unwrap_or(TENTHS), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_from_a_tenth_to_all_in_even_steps() {
        let shares: Vec<u32> = (0..11).map(|n| ramp(500 + n * 1000, 500, 10_000).tenths).collect();
        assert_eq!(shares, [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(ramp(10_499, 500, 10_000).tenths, 9);
        assert_eq!(ramp(0, 500, 10_000).tenths, 1, "a clock that lags");
    }

    #[test]
    fn the_next_step_is_when_the_share_changes() {
        for length in [1, 7, 10, 999, 10_000] {
            let mut now = 0;
            while now < length {
                let Ramp { tenths, next } = ramp(now, 0, length);
                assert!(next > now, "{length}: {now}");
                assert_eq!(ramp(next - 1, 0, length).tenths, tenths, "{length}: {now}");
                assert!(ramp(next, 0, length).tenths > tenths, "{length}: {now}");
                now = next;
            }
        }
        assert_eq!(ramp(10, 0, 10), Ramp { tenths: 10, next: u64::MAX });
    }
}
