//! An exponentially weighted moving average of durations, in one word.
//!
//! The average moves by 1/2^shift of the way to each sample: it weighs by the *number* of samples
//! and knows no time. The first sample sets it, since a start at zero would make a slow server
//! look fast until the average had caught up.
//!
//! Two requests that end together race for the word. Each computes the next average from the one
//! it saw and swaps it in only if the word is still the same; the loser computes again from the
//! winner's. So the average is always the result of *some* order of the samples, and a reader,
//! who loads one word, never sees half of an update.
//!
//! After [`TRIES`] lost races a sample is dropped. That is safe: each lost race is another sample
//! that got in, so the average is fresh, and the dropped one would have moved it by a 2^shift-th
//! part. It bounds what [`Ewma::record`] costs. What is not promised: that every sample counts when
//! more than [`TRIES`] requests end in the same few nanoseconds. The *first* sample is never
//! dropped for nothing: it can only lose to another first sample.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// How often a sample is tried before it is dropped.
pub const TRIES: u32 = 4;

/// Fractional bits of the average. Without them the average would stop up to 2^shift − 1 ns short
/// of a constant sample, since the last steps would round to nothing.
const FRACTION: u32 = 8;

/// The greatest sample that fits, about 417 days. Longer ones are cut to it.
const LONGEST: u64 = (1 << 55) - 1;

/// No sample yet. Averages stay below 2^63, so none can look like this.
const EMPTY: u64 = u64::MAX;

/// A moving average of durations in nanoseconds.
#[derive(Debug)]
pub struct Ewma {
    /// [`EMPTY`], or the average in nanoseconds times 2^[`FRACTION`].
    word: AtomicU64,
    /// The weight of a sample is 1/2^shift.
    shift: u32,
}

impl Ewma {
    /// An empty average in which a sample weighs 1/2^`shift`.
    ///
    /// # Panics
    /// If `shift` is above 8: the average would no longer reach a constant sample.
    pub fn new(shift: u32) -> Self {
        assert!(shift <= FRACTION, "the weight of a sample must be at least 1/256");
        Self { word: AtomicU64::new(EMPTY), shift }
    }

    /// Takes a sample in. `false` if it was dropped because others came in its way.
    pub fn record(&self, nanos: u64) -> bool {
        // Ordering: Relaxed here and below. The word is all there is: it guards no other memory,
        // and the order of samples is the order of swaps on this one word.
        let mut seen = self.word.load(Relaxed);
        for _ in 0..TRIES {
            let next = self.next(seen, nanos);
            // Ordering: Relaxed, as above. Not the weak one: a failure must be another's sample.
            match self.word.compare_exchange(seen, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// The average in nanoseconds, or `None` before the first sample.
    pub fn value(&self) -> Option<u64> {
        // Ordering: Relaxed. One word, read whole.
        match self.word.load(Relaxed) {
            EMPTY => None,
            word => Some((word + (1 << (FRACTION - 1))) >> FRACTION),
        }
    }

    /// The word after `seen`. It lies between `seen` and the sample, both included.
    fn next(&self, seen: u64, nanos: u64) -> u64 {
        let sample = nanos.min(LONGEST) << FRACTION;
        if seen == EMPTY {
            sample
        } else if sample >= seen {
            seen + ((sample - seen) >> self.shift)
        } else {
            seen - ((seen - sample) >> self.shift)
        }
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_empty_until_the_first_sample_sets_it() {
        let ewma = Ewma::new(3);
        assert_eq!(ewma.value(), None);
        assert!(ewma.record(800));
        assert_eq!(ewma.value(), Some(800));
    }

    #[test]
    fn a_first_sample_of_zero_is_a_sample() {
        let ewma = Ewma::new(3);
        ewma.record(0);
        assert_eq!(ewma.value(), Some(0));
        ewma.record(800);
        assert_eq!(ewma.value(), Some(100));
    }

    #[test]
    fn each_sample_moves_it_by_its_weight() {
        let ewma = Ewma::new(2);
        let mut seen = Vec::new();
        for sample in [1_000, 2_000, 2_000, 0] {
            ewma.record(sample);
            seen.push(ewma.value().unwrap());
        }
        // 1000, +1000/4, +750/4 = 1437.5, −1437.5/4 = 1078.1
        assert_eq!(seen, [1_000, 1_250, 1_438, 1_078]);
    }

    #[test]
    fn it_reaches_a_constant_sample_from_below_and_above() {
        for start in [0, 1_000_000] {
            let ewma = Ewma::new(8);
            ewma.record(start);
            for _ in 0..10_000 {
                ewma.record(500);
            }
            assert!(ewma.value().unwrap().abs_diff(500) <= 1, "from {start}");
        }
    }

    #[test]
    fn the_longest_sample_is_kept_whole() {
        let ewma = Ewma::new(3);
        ewma.record(LONGEST);
        assert_eq!(ewma.value(), Some(LONGEST));
    }

    #[test]
    fn a_sample_over_the_longest_is_cut() {
        let ewma = Ewma::new(3);
        ewma.record(u64::MAX);
        assert_eq!(ewma.value(), Some(LONGEST));
        ewma.record(0);
        assert_eq!(ewma.value(), Some(LONGEST - LONGEST.div_ceil(8)));
    }

    #[test]
    #[should_panic(expected = "at least 1/256")]
    fn a_weight_below_the_fraction_is_refused() {
        let _refused = Ewma::new(9);
    }
}
