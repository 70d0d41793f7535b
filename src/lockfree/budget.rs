//! A retry budget: how many requests may be sent again, measured by how many there are.
//!
//! Retries help when few requests fail and do harm when most of them do: then they multiply the
//! load of servers that have too much of it already. So each request pays in a part of a retry, a
//! retry takes a whole one out, and what was paid in is worth nothing once the window has passed.
//! A floor lets those retry who send little. This is the budget of the field: Finagle's
//! `RetryBudget`, from which tower's `TpsBudget` (0.5.3, `retry/budget/tps_budget.rs`) and
//! linkerd's have their meaning and their numbers: 20 %, 10 a second, 10 seconds. As theirs, it
//! bounds a sum over a sliding window in ten slots, and not a bucket of tokens: when a retry is let
//! through, the retries in the window, this one among them, are at most
//!
//! ```text
//! per_second × window  +  per_mille / 1000 × the requests in the window
//! ```
//!
//! Unlike theirs it has no lock, and the bound is exact under races: with tower's, two threads may
//! both see the last retry there and both take it.
//!
//! # Representation
//!
//! Every word is a slot's number (32 bits) above a count (32 bits), so that a word whose slot is
//! over is told from one that counts now. Requests are counted in one word per slot and stripe: one
//! compare-and-swap on a line that is this thread's own, most of the time. Retries of the slot that
//! is going on are counted in `head`, and those of the slots before in `past`.
//!
//! # Why the bound is exact
//!
//! Every retry is a compare-and-swap on `head` that adds one, from a value for which the sum was
//! within the bound. For that the sum of retries must not miss one:
//!
//! - one of the same slot has changed `head`, and the compare-and-swap fails;
//! - one of an earlier slot is in `past`: whoever moves `head` to the next slot has first put the
//!   value that it moves away from into `past`. A value that was put there by one whose
//!   compare-and-swap then failed was smaller, and `past` keeps the greatest.
//!
//! A request that is missed makes the sum smaller, which is safe; but one's own is seen, and so are
//! those of everybody whose retry is seen.
//!
//! Time is given in milliseconds. Threads may differ about it: `head` never goes back, and a
//! request that comes a whole window late is not counted.

use std::array;

use super::counter::{Stripe, Stripes, cores};
use crate::sync::{AtomicU64, CachePadded, Ordering};

/// In how many slots the window slides. (A model has two, or it reads for ever.)
const SLOTS: u32 = if cfg!(evenkeel_loom) { 2 } else { 10 };

/// How many retries a budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Retries for a thousand requests.
    pub per_mille: u32,
    /// Retries for each second, whether or not there are requests.
    pub per_second: u32,
    /// How long requests and retries count, in milliseconds: 1,000 to 60,000.
    pub window: u64,
}

impl Default for Terms {
    /// One retry for five requests and ten for each second, over ten seconds.
    fn default() -> Self {
        Self { per_mille: 200, per_second: 10, window: 10_000 }
    }
}

/// The retries that are left, of a pool.
#[derive(Debug)]
pub struct Budget {
    terms: Terms,
    /// Requests, by slot: slot n is counted in word n modulo [`SLOTS`].
    requests: Stripes<[AtomicU64; SLOTS as usize]>,
    /// Retries of the slot that is going on. Never goes down, as a number.
    head: CachePadded<AtomicU64>,
    /// Retries of the slots before.
    past: [AtomicU64; SLOTS as usize],
}

impl Budget {
    /// A budget for a clock that starts near zero, with about one stripe for each core.
    ///
    /// # Panics
    /// If the window is not within its limits.
    pub fn new(terms: Terms) -> Self {
        Self::with_stripes(terms, cores())
    }

    /// The same with at least `stripes` stripes, as long as that is a sensible number.
    ///
    /// # Panics
    /// If the window is not within its limits.
    pub fn with_stripes(terms: Terms, stripes: usize) -> Self {
        assert!((1_000..=60_000).contains(&terms.window), "a window is one second to one minute");
        let zeros = || array::from_fn(|_| AtomicU64::new(0));
        Self {
            terms,
            requests: Stripes::new(0, stripes, zeros),
            head: CachePadded::new(AtomicU64::new(0)),
            past: zeros(),
        }
    }

    /// Counts a request that begins at `now`: its first attempt, not its retries.
    #[inline]
    pub fn deposit(&self, now: u64) {
        let slot = self.slot(now);
        let (Stripe::Owned(words) | Stripe::Shared(words)) = self.requests.mine();
        let word = &words[index(slot)];
        // Ordering: Relaxed, here and below. A count guards no memory. That a request is seen by
        // those who have seen its retry, is the work of `withdraw`.
        let mut seen = word.load(Ordering::Relaxed);
        while slot_of(seen) <= slot {
            // At most 2^32 in six seconds: no thread is that fast.
            let next = seen.max(first_of(slot)) + 1;
            // Ordering: Relaxed, as above.
            match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes a retry at `now`, if one is left. Counted whether or not the retry comes about.
    pub fn withdraw(&self, now: u64) -> bool {
        let slot = self.slot(now);
        // Ordering: Acquire pairs with the Release below: `past` is complete for this slot, and
        // the requests of those who took a retry are counted.
        let mut seen = self.head.load(Ordering::Acquire);
        loop {
            let moves_on = slot_of(seen) < slot;
            if moves_on {
                // Ordering: Relaxed. The Release below publishes it before anybody counts on it.
                self.past[index(slot_of(seen))].fetch_max(seen, Ordering::Relaxed);
            } else if !self.has_one(seen) {
                return false;
            }
            let next = if moves_on { first_of(slot) } else { seen + 1 };
            // Ordering: Release, see above; and Acquire on failure, as above. On success there is
            // nothing more to acquire: the value is the one that was seen.
            let swapped =
                self.head.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Acquire);
            match swapped {
                Ok(_) if moves_on => seen = next,
                Ok(_) => return true,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Whether a retry is left in the slot that `head` names. Meant for as long as `head` stays.
    fn has_one(&self, head: u64) -> bool {
        let now = slot_of(head);
        // Ordering: Relaxed. `withdraw` has acquired what has to be there.
        let counts = |words: &[AtomicU64; SLOTS as usize], wanted: fn(u32) -> bool| -> u64 {
            let words = words.iter().map(|word| word.load(Ordering::Relaxed));
            let within = |word: &u64| now.checked_sub(slot_of(*word)).is_some_and(wanted);
            words.filter(within).map(count_of).sum()
        };
        let requests: u64 =
            self.requests.iter().map(|words| counts(words, |age| age < SLOTS)).sum();
        // One that moves `head` on may have put the slot that still goes on there already.
        let retries = count_of(head) + counts(&self.past, |age| age > 0 && age < SLOTS);
        // In thousandths of a retry: a rate per second, times milliseconds.
        let floor = u64::from(self.terms.per_second) * self.terms.window;
        let allowed = floor.saturating_add(requests.saturating_mul(self.terms.per_mille.into()));
        (retries + 1) * 1_000 <= allowed
    }

    fn slot(&self, now: u64) -> u32 {
        // With the shortest window this is thirteen years; then the window stands still.
        u32::try_from(now.saturating_mul(SLOTS.into()) / self.terms.window).unwrap_or(u32::MAX)
    }
}

fn index(slot: u32) -> usize {
    (slot % SLOTS) as usize
}

/// The word of a slot in which nothing has been counted.
fn first_of(slot: u32) -> u64 {
    u64::from(slot) << 32
}

fn slot_of(word: u64) -> u32 {
    (word >> 32) as u32
}

fn count_of(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
