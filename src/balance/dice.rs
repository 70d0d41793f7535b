//! Random numbers for picks: not secret, but fair, fast, and the same again for the same seed.
#![expect(clippy::cast_possible_truncation, reason = "a word is cut on purpose")]

use super::round_robin::Ahead;
use crate::lockfree::hint::thread_hint;
use crate::sync::{AtomicU64, CachePadded, Ordering};

/// 2^64 over the golden ratio: the step of a Weyl sequence, which visits every word once.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number
/// generators*, 2014): each bit of the result depends on each bit of the word.
#[inline]
pub(super) fn scramble(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A generator for many threads: each adds to a counter, on a stripe of its own as far as there
/// are stripes, and scrambles what it got.
#[derive(Debug)]
pub(super) struct Dice {
    /// Their number is a power of two.
    stripes: Box<[CachePadded<AtomicU64>]>,
}

impl Dice {
    /// Dice that fall the same way each time: one sequence, whichever threads draw.
    pub(super) fn seeded(seed: u64) -> Self {
        Self::with_stripes(seed, 1)
    }

    /// Dice that fall differently in each pool.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self::with_stripes(fastrand::u64(..), cores.min(16).next_power_of_two() as u64)
    }

    fn with_stripes(seed: u64, stripes: u64) -> Self {
        let start = |stripe| AtomicU64::new(scramble(seed.wrapping_add(stripe)));
        Self { stripes: (0..stripes).map(|stripe| CachePadded::new(start(stripe))).collect() }
    }

    /// The next throw; in a look ahead, the one that would be.
    #[inline]
    pub(super) fn throw(&self, ahead: Option<&Ahead>) -> Throw {
        let stripe = &self.stripes[thread_hint() & (self.stripes.len() - 1)];
        // Ordering: Relaxed. The count guards no memory; as a read-modify-write it gives each
        // number out once.
        let word = match ahead {
            None => stripe.fetch_add(STEP, Ordering::Relaxed),
            // Ordering: Relaxed, as above.
            Some(ahead) => {
                let seen = stripe.load(Ordering::Relaxed);
                seen.wrapping_add(STEP.wrapping_mul(ahead.throw()))
            }
        };
        // Scrambled before it is stepped on: the next thread's throw begins one step from here.
        Throw(scramble(word.wrapping_add(STEP)))
    }
}

/// One throw: as many numbers as a pick needs.
#[derive(Clone, Debug)]
pub(super) struct Throw(u64);

impl Throw {
    /// A number of 64 random bits.
    #[inline]
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        scramble(self.0)
    }

    /// A number below `n`, which is at least 1 and at most 2^32. Its bias is below n / 2^32.
    #[inline]
    pub(super) fn below(&mut self, n: usize) -> usize {
        scale(self.word() as u32, n)
    }

    /// A number below `n`, which is at least 1. Its bias is below n / 2^64.
    pub(super) fn below_wide(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }
}

/// The share of `n` that `word` is of 2^32.
#[inline]
pub(super) fn scale(word: u32, n: usize) -> usize {
    ((u64::from(word) * n as u64) >> 32) as usize
}
