//! How often values of each size came, for quantiles: of durations, ages and counts.
//!
//! The range is cut into buckets whose width grows with the value. Below 16 each value has its
//! own; above, each power of two is cut into 16 of equal width. So a value and the greatest one of
//! its bucket differ by less than 1/16 of the value, whatever its size: by 6.25 % at most, and
//! always to the same side. A quantile is told by that greatest one: never too low, never 6.25 %
//! too high.
//!
//! Values of 2^40 (18 minutes in nanoseconds) and more share one bucket more, and are told by the
//! least one of it: there the quantile is too low, and [`Distribution::beyond`] says of how many
//! values that is true.
//!
//! Recording is one addition to this thread's stripe, as in [`counter`](super::counter); what is
//! said there of a reader who looks while writers run holds of each bucket here. In particular
//! nothing is lost, and a thread never sees the count shrink.
//!
//! A stripe has 593 counters and takes 4,864 bytes; there is one for about each core and there are
//! 16 at most, which makes 76 KiB. So a pool can afford a few histograms, but not one for each of
//! many servers.

use std::fmt;

use super::counter::{Striped, cores};

/// Each power of two is cut into 2^`FINE` buckets. (A model has few buckets, or it reads for ever.)
const FINE: u32 = if cfg!(evenkeel_loom) { 1 } else { 4 };

/// Values from 2^`RANGE` on share the last bucket.
const RANGE: u32 = if cfg!(evenkeel_loom) { 3 } else { 40 };

/// The buckets of the range, and the one beyond it.
const BUCKETS: usize = ((RANGE as usize - FINE as usize + 1) << FINE) + 1;
const BEYOND: usize = BUCKETS - 1;

/// Values and how often they came.
#[derive(Debug)]
pub struct Histogram {
    buckets: Striped<BUCKETS>,
}

impl Histogram {
    /// No values, and about one stripe for each core.
    pub fn new() -> Self {
        Self::with_stripes(cores())
    }

    /// No values, and at least `stripes` stripes as long as that is a sensible number.
    pub fn with_stripes(stripes: usize) -> Self {
        Self { buckets: Striped::with_stripes(0, stripes) }
    }

    /// The same, and so many stripes that one thread owns: for what is recorded so often that a
    /// read-modify-write is worth saving.
    pub fn with_owned(owned: usize, stripes: usize) -> Self {
        Self { buckets: Striped::with_stripes(owned, stripes) }
    }

    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.buckets.bytes()
    }

    /// Counts a value.
    #[inline]
    pub fn record(&self, value: u64) {
        self.buckets.incr(bucket(value));
    }

    /// What has been recorded so far.
    pub fn snapshot(&self) -> Distribution {
        Distribution { counts: (0..BUCKETS).map(|bucket| self.buckets.sum(bucket)).collect() }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The bucket of a value.
#[inline]
fn bucket(value: u64) -> usize {
    if value >> RANGE != 0 {
        return BEYOND;
    }
    // 0 for the values that have a bucket each, then one more for each power of two.
    let power = (value | ((1 << FINE) - 1)).ilog2() - (FINE - 1);
    let place = ((value >> power.saturating_sub(1)) & ((1 << FINE) - 1)) as usize;
    ((power as usize) << FINE) + place
}

/// The value that stands for a bucket: the greatest in it, or the least of those beyond the range.
fn value_of(bucket: usize) -> u64 {
    let (power, place) = (bucket >> FINE, (bucket & ((1 << FINE) - 1)) as u64);
    match power {
        _ if bucket == BEYOND => 1 << RANGE,
        0 => place,
        _ => (((1 << FINE) + place + 1) << (power - 1)) - 1,
    }
}

/// The middle of a bucket.
#[expect(clippy::cast_precision_loss, reason = "values of the range are below 2^52")]
fn middle_of(bucket: usize) -> f64 {
    let greatest = value_of(bucket);
    if bucket == BEYOND || bucket == 0 {
        return greatest as f64;
    }
    let least = value_of(bucket - 1) + 1;
    (least + greatest) as f64 / 2.0
}

/// Values and how often they came, as they were at one moment.
///
/// A value is known only to about 6 %: what is told is the greatest one that it may have been, less
/// than 1/16 above what it was. Values of 2^40 and more, 18 minutes in nanoseconds, are told as
/// 2^40; how many there were, [`beyond`](Self::beyond) says.
#[derive(Clone, PartialEq, Eq)]
pub struct Distribution {
    counts: Box<[u64]>,
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// The value that a share `q` of all values does not exceed: 0.5 for the median, 0.99 for the
    /// value that one in a hundred exceeds. A `q` below 0 is taken for 0, which asks for the least
    /// value; one above 1 for 1, which asks for the greatest. `None` if there are no values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        #[expect(clippy::cast_possible_truncation, reason = "it is cut to the range of the count")]
        #[expect(clippy::cast_precision_loss, reason = "one in 2^52 values is no matter")]
        #[expect(clippy::cast_sign_loss, reason = "a cast from below zero gives zero")]
        let rank = (q * count as f64).ceil() as u64;
        let mut ahead = rank.clamp(1, count.max(1));
        let mut buckets = self.counts.iter();
        let bucket = buckets.position(|in_it| {
            let found = ahead <= *in_it;
            ahead = ahead.saturating_sub(*in_it);
            found
        });
        bucket.map(value_of)
    }

    /// How many values were not above `bound`. Those of the bucket that `bound` is in are left out,
    /// unless it is the greatest of them: it is never too many, and too few only by values that are
    /// within 6.25 % of the bound.
    #[must_use]
    pub fn at_most(&self, bound: u64) -> u64 {
        let all = self.counts.iter().enumerate();
        let below = all.take_while(|(bucket, _)| *bucket != BEYOND && value_of(*bucket) <= bound);
        below.fold(0, |sum, (_, count)| sum.wrapping_add(*count))
    }

    /// About the sum of all values: each is taken for the middle of its bucket, which is off by
    /// 3.2 % of the value at most.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 52 bits")]
    pub fn sum(&self) -> f64 {
        let all = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        all.map(|(bucket, count)| middle_of(bucket) * *count as f64).sum()
    }

    /// The greatest value. `None` if there are no values.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.counts.iter().rposition(|count| *count > 0).map(value_of)
    }

    /// How many values were 2^40 or more, and are told as if they were 2^40.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.counts[BEYOND]
    }

    /// The values that have come since `earlier` was read from the same source.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // Two threads may have read in another order than they think: then nothing has come.
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self { counts: pairs.map(|(now, then)| now.saturating_sub(*then)).collect() }
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution")
            .field("count", &self.count())
            .field("median", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
