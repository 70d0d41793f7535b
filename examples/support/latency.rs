//! How long things took, by size: a histogram of bounded memory.

#![allow(dead_code, reason = "each example that includes this file uses a part of it")]

use std::time::Duration;

/// Sixteen sizes in each doubling, so that a time is told to within a sixteenth of it.
const STEPS_BITS: u32 = 4;
const STEPS: usize = 1 << STEPS_BITS;
/// Microseconds up to 2^36, which is 19 hours.
const DOUBLINGS: usize = 33;

/// Times and their numbers.
#[derive(Clone)]
pub(crate) struct Latency {
    counts: Vec<u32>,
    count: u64,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * DOUBLINGS], count: 0, longest: Duration::ZERO }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        let size = size_of(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.counts[size] = self.counts[size].saturating_add(1);
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*others);
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The time within which this share of all took, 0 to 1; `None` if there was nothing.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        if share >= 1.0 {
            return Some(self.longest);
        }
        let mut left = (share * self.count as f64).ceil().max(1.0);
        for (size, count) in self.counts.iter().enumerate() {
            left -= f64::from(*count);
            if left <= 0.0 {
                return Some(Duration::from_micros(end_of(size)).min(self.longest));
            }
        }
        Some(self.longest)
    }

    /// How many took less than each power of two of microseconds, and at least the one before.
    pub(crate) fn doublings(&self) -> Vec<(Duration, u64)> {
        let sum = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum();
        let groups = self.counts.chunks(STEPS).enumerate();
        let end = |group: usize| Duration::from_micros((STEPS as u64) << group);
        groups.map(|(group, counts)| (end(group), sum(counts))).collect()
    }
}

/// Which size a time is of.
fn size_of(micros: u64) -> usize {
    let doubling = (u64::BITS - micros.leading_zeros()).saturating_sub(STEPS_BITS);
    let shift = doubling.saturating_sub(1);
    let step = usize::try_from((micros >> shift) % STEPS as u64).unwrap_or(0);
    (doubling as usize * STEPS + step).min(STEPS * DOUBLINGS - 1)
}

/// The longest time of a size, in microseconds.
fn end_of(size: usize) -> u64 {
    let (doubling, step) = (size / STEPS, (size % STEPS) as u64);
    match doubling {
        0 => step,
        _ => ((STEPS as u64 + step + 1) << (doubling - 1)) - 1,
    }
}
