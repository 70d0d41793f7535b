//! A small stable number for each thread, to keep threads off each other's cache lines.
//!
//! Whoever has several words that would serve equally well (words of an idle set, stripes of a
//! counter) starts at `thread_hint() % words`. A thread is given the lowest number that is free, so
//! the first n threads spread evenly over n words; a hash of the thread's identity would not.
//!
//! A number below [`OWNED`] belongs to one thread at a time: it is given back when the thread
//! ends, and what the thread did is seen by the next one that is given it. So a word that is
//! written only under one such number has one writer, who needs no read-modify-write. Threads
//! beyond that many, and a thread whose locals are being torn down, have numbers from [`OWNED`] on.
//! Those may be shared, and nothing that must be *right* may depend on them.
//!
//! Under the model every thread has the number [`OWNED`] unless the model says otherwise
//! (`set_thread_hint`). That is the hard case, all threads on one shared word; it keeps a model the
//! same in every execution, where numbers handed out by the schedule would not; and it spares each
//! model the branches of a word that it is not about. The numbers have models of their own.

use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, AtomicUsize};

/// The numbers below this one have one holder at a time.
pub const OWNED: usize = u64::BITS as usize;

/// Hands out numbers: those below [`OWNED`] to one holder at a time, the others over and over.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Bit i: the number i has a holder.
    held: AtomicU64,
    /// How many numbers from `OWNED` on have been handed out.
    beyond: AtomicUsize,
}

impl Numbers {
    /// All numbers are free.
    #[cfg(not(evenkeel_loom))]
    pub const fn new() -> Self {
        Self { held: AtomicU64::new(0), beyond: AtomicUsize::new(0) }
    }

    /// All numbers are free.
    #[cfg(evenkeel_loom)]
    pub fn new() -> Self {
        Self { held: AtomicU64::new(0), beyond: AtomicUsize::new(0) }
    }

    /// The lowest number that is free, or one from [`OWNED`] on.
    pub fn take(&self) -> usize {
        loop {
            // Ordering: Relaxed. A guess; the operation below decides.
            let number = self.held.load(Relaxed).trailing_ones();
            if number >= u64::BITS {
                return self.shared();
            }
            let bit = 1 << number;
            // Ordering: Acquire pairs with the Release in `give_back`: what the last holder wrote
            // is what we go on from.
            if self.held.fetch_or(bit, Acquire) & bit == 0 {
                return number as usize;
            }
        }
    }

    /// A number that others may have too.
    pub fn shared(&self) -> usize {
        // Ordering: Relaxed. The number guards no memory.
        OWNED + self.beyond.fetch_add(1, Relaxed) % OWNED
    }

    /// The holder of the number has made its last use of it.
    pub fn give_back(&self, number: usize) {
        if number < OWNED {
            // Ordering: Release; see `take`.
            self.held.fetch_and(!(1 << number), Release);
        }
    }
}

#[cfg(not(evenkeel_loom))]
mod local {
    use std::cell::Cell;

    use super::Numbers;

    const UNSET: usize = usize::MAX;
    static NUMBERS: Numbers = Numbers::new();
    // Const-initialised and without a destructor: the read is one load, and it cannot fail while
    // the thread is being torn down.
    thread_local!(static HINT: Cell<usize> = const { Cell::new(UNSET) });
    // Apart from it, and touched once: what gives the number back.
    thread_local!(static HELD: Held = Held(NUMBERS.take()));

    struct Held(usize);

    impl Drop for Held {
        fn drop(&mut self) {
            // Destructors that run after this one must not write where the next holder does.
            HINT.set(NUMBERS.shared());
            NUMBERS.give_back(self.0);
        }
    }

    /// This thread's number. Costs one thread-local read after the first call.
    #[inline]
    pub fn thread_hint() -> usize {
        match HINT.get() {
            UNSET => first(),
            number => number,
        }
    }

    #[cold]
    fn first() -> usize {
        let number = HELD.try_with(|held| held.0).unwrap_or_else(|_| NUMBERS.shared());
        HINT.set(number);
        number
    }
}

#[cfg(not(evenkeel_loom))]
pub use self::local::thread_hint;

#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
use loom::thread_local;
#[cfg(evenkeel_shuttle)]
use shuttle::thread_local;

#[cfg(evenkeel_loom)]
thread_local!(static HINT: std::cell::Cell<usize> = std::cell::Cell::new(OWNED));

/// This thread's number: [`OWNED`], or what the model chose.
#[cfg(evenkeel_loom)]
pub fn thread_hint() -> usize {
    HINT.with(std::cell::Cell::get)
}

/// Lets a model place the current thread.
#[cfg(evenkeel_loom)]
pub fn set_thread_hint(number: usize) {
    HINT.with(|hint| hint.set(number));
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_number() {
        assert_eq!(thread_hint(), thread_hint());
    }

    #[test]
    fn threads_alive_together_have_different_numbers() {
        let mine = thread_hint();
        let theirs = std::thread::scope(|scope| {
            let thread = scope.spawn(thread_hint);
            thread.join().unwrap()
        });
        assert_ne!(mine, theirs);
    }

    #[test]
    fn the_lowest_free_number_is_handed_out() {
        let numbers = Numbers::new();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [0, 1, 2]);
        numbers.give_back(1);
        assert_eq!([numbers.take(), numbers.take()], [1, 3]);
    }

    #[test]
    fn numbers_beyond_the_owned_ones_are_shared() {
        let numbers = Numbers::new();
        (0..OWNED).for_each(|number| assert_eq!(numbers.take(), number));
        assert_eq!(numbers.take(), OWNED);
        // Nobody owned it: nothing comes free.
        numbers.give_back(OWNED);
        assert_eq!(numbers.take(), OWNED + 1);
        numbers.give_back(OWNED - 1);
        assert_eq!(numbers.take(), OWNED - 1);
    }

    #[test]
    fn a_thread_that_is_torn_down_shares_its_number() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                SEEN.set(thread_hint()).unwrap();
            }
        }
        thread_local!(static LATE: Late = const { Late });
        static SEEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        let before = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // Made before the number is taken, and so dropped after it has been given back.
                LATE.with(|_| ());
                thread_hint()
            });
            thread.join().unwrap()
        });
        assert!(before < OWNED && SEEN.get().is_some_and(|seen| *seen >= OWNED));
    }
}
