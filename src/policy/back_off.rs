//! How long a server that cannot be connected to is left in peace.

use std::time::Duration;

/// The pause number `count`, from zero on: `least`, twice as long each time, at most `most`; and
/// shortened by up to a half, by chance, so that many clients do not come back together.
pub(crate) fn pause(count: u32, least: Duration, most: Duration, dice: u64) -> Duration {
    let whole = least.checked_mul(1u32.checked_shl(count).unwrap_or(u32::MAX)).unwrap_or(most);
    let half = whole.min(most) / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(fastrand::Rng::with_seed(dice).u64(0..=nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_less_than_half() {
        for (count, whole) in [(0, 100), (1, 200), (4, 1600), (5, 2000), (31, 2000), (99, 2000)] {
            let pauses: Vec<_> =
                (0..1000).map(|dice| pause(count, 100 * MS, 2000 * MS, dice)).collect();
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*least >= whole * MS / 2 && *most <= whole * MS, "{count}: {least:?} {most:?}");
            // They are spread over nearly all of that.
            assert!(*most - *least > whole * MS * 9 / 20, "{count}");
        }
    }
}
