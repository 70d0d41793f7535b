//! Counters that many threads add to and few read.
//!
//! One shared counter makes every request of every core write the same cache line. Here each
//! thread adds to its own stripe, and a reader sums the stripes. A stripe that a thread owns by its
//! number (see `hint`) has one writer: an addition is a load and a store, a tenth of what a
//! read-modify-write costs. When a thread ends, the next one that is given its number goes on where
//! it left off. Threads beyond the owned stripes add to shared ones, by read-modify-write. A sum
//! costs one cache miss for each stripe, which is the reader's to pay.
//!
//! What a reader may rely on while writers run:
//! - No value is torn, none is lost: once the writers have been joined, the sums are exact.
//! - Each counter only grows: a thread that reads it twice never sees it shrink. (Each stripe
//!   grows, and a thread never reads an older value of a word than it has read before.)
//! - What a thread added itself, it sees.
//!
//! What it may *not* rely on: that the sums belong together. They are no cut through time; a
//! request may show in one counter and not yet in another, in either order, even when one thread
//! wrote both. [`Striped::gauge`] therefore has to expect a difference that is, for a moment,
//! below zero.

use std::array;
use std::thread::available_parallelism;

use super::hint::{OWNED, thread_hint};
use crate::sync::{AtomicU64, CachePadded, Ordering::Relaxed};

/// More stripes of a kind than this cost memory and readers' time, and buy little.
const MAX_STRIPES: usize = 16;
const _: () = assert!(MAX_STRIPES <= OWNED);

/// A `T` for each stripe, on cache lines of its own.
#[derive(Debug)]
pub(super) struct Stripes<T> {
    /// Stripe i is written by the thread with the number i, and by no other.
    owned: Box<[CachePadded<T>]>,
    /// For all other threads. Their count is a power of two, so that a thread finds its stripe with
    /// a mask.
    shared: Box<[CachePadded<T>]>,
}

/// A thread's stripe.
pub(super) enum Stripe<'a, T> {
    /// No other thread writes to it.
    Owned(&'a T),
    /// Others may.
    Shared(&'a T),
}

impl<T> Stripes<T> {
    /// About so many stripes of each kind, as long as that is a sensible number.
    pub(super) fn new(owned: usize, shared: usize, make: impl Fn() -> T) -> Self {
        let stripes = |count| (0..count).map(|_| CachePadded::new(make())).collect();
        Self {
            owned: stripes(owned.min(MAX_STRIPES)),
            shared: stripes(shared.clamp(1, MAX_STRIPES).next_power_of_two()),
        }
    }

    /// This thread's stripe.
    #[inline]
    pub(super) fn mine(&self) -> Stripe<'_, T> {
        let number = thread_hint();
        match self.owned.get(number) {
            Some(stripe) => Stripe::Owned(stripe),
            None => Stripe::Shared(&self.shared[number & (self.shared.len() - 1)]),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.owned.iter().chain(&self.shared).map(|stripe| &**stripe)
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> usize {
        (self.owned.len() + self.shared.len()) * size_of::<CachePadded<T>>()
    }
}

/// About how many threads run at a time, and so how many stripes are worth their memory.
pub fn cores() -> usize {
    available_parallelism().map_or(1, |cores| cores.get())
}

/// `N` counters, striped over threads.
#[derive(Debug)]
pub struct Striped<const N: usize> {
    /// All `N` counters of a stripe lie together: one request touches several of them, and they
    /// have one writer most of the time.
    stripes: Stripes<[AtomicU64; N]>,
}

impl<const N: usize> Striped<N> {
    /// Counters at zero. The threads that own a stripe are twice as many as there are cores: beside
    /// those that work there are always some that looked in once.
    pub fn new() -> Self {
        Self::with_stripes(2 * cores(), cores())
    }

    /// Counters at zero, with about so many stripes of each kind, as long as that is a sensible
    /// number.
    pub fn with_stripes(owned: usize, shared: usize) -> Self {
        Self { stripes: Stripes::new(owned, shared, || array::from_fn(|_| AtomicU64::new(0))) }
    }

    /// How much memory they take.
    pub fn bytes(&self) -> usize {
        self.stripes.bytes()
    }

    /// Adds `n` to `counter`. It wraps at 2^64.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    #[inline]
    pub fn add(&self, counter: usize, n: u64) {
        self.add_all([(counter, n)]);
    }

    /// Adds to several counters: the thread's stripe is looked for once.
    ///
    /// # Panics
    /// If a counter is not below `N`.
    #[inline]
    pub fn add_all<const K: usize>(&self, adds: [(usize, u64); K]) {
        match self.stripes.mine() {
            Stripe::Owned(stripe) => adds.into_iter().for_each(|(counter, n)| {
                let word = &stripe[counter];
                // Ordering: Relaxed. A count guards no memory, and joining the writers orders it
                // before the reader. No RMW: nobody else writes to the word while the number is
                // ours, and what its last holder wrote we see, because the number was handed over.
                word.store(word.load(Relaxed).wrapping_add(n), Relaxed);
            }),
            Stripe::Shared(stripe) => adds.into_iter().for_each(|(counter, n)| {
                // Ordering: Relaxed, as above; but this stripe others may write to.
                stripe[counter].fetch_add(n, Relaxed);
            }),
        }
    }

    /// Adds one to `counter`.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    #[inline]
    pub fn incr(&self, counter: usize) {
        self.add(counter, 1);
    }

    /// The value of `counter`: see the module for what that means while writers run.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    pub fn sum(&self, counter: usize) -> u64 {
        // Ordering: Relaxed, as in `add`. Coherence alone makes each stripe monotone.
        let stripes = self.stripes.iter().map(|stripe| stripe[counter].load(Relaxed));
        stripes.fold(0, u64::wrapping_add)
    }

    /// All the values, each as [`sum`](Self::sum) gives it, read from the last to the first.
    pub fn sums(&self) -> [u64; N] {
        let mut sums = [0; N];
        for (counter, sum) in sums.iter_mut().enumerate().rev() {
            *sum = self.sum(counter);
        }
        sums
    }

    /// How much `up` is ahead of `down`: a level, kept as two counters that only grow.
    ///
    /// A level in one striped counter would have stripes below zero (up on one thread, down on
    /// another); two counters keep every word monotone. A reader may see a step down before the
    /// step up that it undoes: that shows as 0, never as a number near 2^64.
    ///
    /// # Panics
    /// If `up` or `down` is not below `N`.
    pub fn gauge(&self, up: usize, down: usize) -> u64 {
        let level = self.sum(up).wrapping_sub(self.sum(down));
        // The top bit means "below zero" here: no level comes near 2^63.
        if level >> 63 == 0 { level } else { 0 }
    }
}

impl<const N: usize> Default for Striped<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The greatest value ever recorded.
#[derive(Debug, Default)]
pub struct Max {
    /// Not striped: it is written only by those who raise it, and they get rarer and rarer.
    value: AtomicU64,
}

impl Max {
    /// A register at zero.
    pub fn new() -> Self {
        Self { value: AtomicU64::new(0) }
    }

    /// Raises the register to `value`, if it is lower.
    #[inline]
    pub fn record(&self, value: u64) {
        // Ordering: Relaxed. The register only grows, so even a stale value that is not below
        // ours proves that there is nothing to do; and then nobody's cache line is taken away.
        if self.value.load(Relaxed) < value {
            // Ordering: Relaxed, as above. `fetch_max` and not a store: somebody may have
            // recorded more since the load.
            self.value.fetch_max(value, Relaxed);
        }
    }

    /// The greatest value recorded, or 0.
    pub fn get(&self) -> u64 {
        // Ordering: Relaxed. The number guards no memory.
        self.value.load(Relaxed)
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_after_the_writers_are_joined() {
        let counters = Striped::<2>::with_stripes(4, 2);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counters.incr(0);
                        counters.add(1, 3);
                    }
                });
            }
        });
        assert_eq!(counters.sums(), [8_000, 24_000]);
    }

    #[test]
    fn shared_stripes_are_a_power_of_two_and_both_kinds_are_bounded() {
        let stripes = |wanted| Stripes::new(0, wanted, || ()).shared.len();
        assert_eq!([stripes(0), stripes(1), stripes(3), stripes(16)], [1, 1, 4, 16]);
        assert_eq!(stripes(17), 16);
        let owned = |wanted| Stripes::new(wanted, 1, || ()).owned.len();
        assert_eq!([owned(0), owned(3), owned(16), owned(17)], [0, 3, 16, 16]);
    }

    #[test]
    fn a_counter_wraps_and_its_sum_with_it() {
        let counters = Striped::<1>::with_stripes(1, 1);
        counters.add(0, u64::MAX);
        counters.add(0, 3);
        assert_eq!(counters.sum(0), 2);
    }

    #[test]
    fn a_gauge_is_the_difference_across_a_wrap() {
        let counters = Striped::<2>::with_stripes(1, 1);
        counters.add(0, u64::MAX);
        counters.add(1, u64::MAX - 1);
        counters.add(0, 4);
        assert_eq!(counters.gauge(0, 1), 5);
    }

    #[test]
    fn a_gauge_below_zero_reads_as_zero() {
        let counters = Striped::<2>::with_stripes(1, 1);
        counters.incr(1);
        assert_eq!(counters.gauge(0, 1), 0);
    }

    #[test]
    fn max_keeps_the_greatest() {
        let max = Max::new();
        for value in [3, 9, 4] {
            max.record(value);
        }
        assert_eq!(max.get(), 9);
    }
}
