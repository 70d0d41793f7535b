//! A small stable number for each thread, to keep threads off each other's cache lines.
//!
//! Whoever has several words that would serve equally well (stripes of a counter, words of an
//! idle set) starts at `thread_hint() % words`. Numbers are handed out one after the other, so the
//! first n threads spread evenly over n words; a hash of the thread's identity would not. They are
//! never given back: a process that starts threads without end merely goes round the words again.
//!
//! It is a hint and no more. Two threads may share a number (after a wrap), and nothing that must
//! be *right* may depend on it.
//!
//! Under the model every thread has the number 0 unless the model says otherwise
//! (`set_thread_hint`). That is the hard case, all threads on one word; it keeps a model the same
//! in every execution, where numbers handed out by the schedule would not; and it spares each
//! model the branches of a counter that it is not about. The counter has a model of its own.

use crate::sync::{AtomicUsize, Ordering::Relaxed};

/// Hands out the numbers 0, 1, 2, …, each once until it wraps.
#[derive(Debug, Default)]
pub struct Ids {
    /// The next number.
    next: AtomicUsize,
}

impl Ids {
    /// Starts at 0.
    #[cfg(not(evenkeel_loom))]
    pub const fn new() -> Self {
        Self { next: AtomicUsize::new(0) }
    }

    /// Starts at 0.
    #[cfg(evenkeel_loom)]
    pub fn new() -> Self {
        Self { next: AtomicUsize::new(0) }
    }

    /// A number that nobody else was given.
    pub fn next(&self) -> usize {
        // Ordering: Relaxed. Only that it is one step matters: the number guards no memory.
        self.next.fetch_add(1, Relaxed)
    }
}

/// This thread's number. Costs one thread-local read after the first call.
#[cfg(not(evenkeel_loom))]
#[inline]
pub fn thread_hint() -> usize {
    use std::cell::Cell;

    const UNSET: usize = usize::MAX;
    static IDS: Ids = Ids::new();
    // Const-initialised and without a destructor: the read is one load, and it cannot fail while
    // the thread is being torn down.
    thread_local!(static HINT: Cell<usize> = const { Cell::new(UNSET) });

    HINT.with(|hint| {
        let mut number = hint.get();
        if number == UNSET {
            number = IDS.next();
            hint.set(number);
        }
        number
    })
}

#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
use loom::thread_local;
#[cfg(evenkeel_shuttle)]
use shuttle::thread_local;

#[cfg(evenkeel_loom)]
thread_local!(static HINT: std::cell::Cell<usize> = std::cell::Cell::new(0));

/// This thread's number: 0, or what the model chose.
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
    fn numbers_are_handed_out_in_order() {
        let ids = Ids::new();
        assert_eq!([ids.next(), ids.next(), ids.next()], [0, 1, 2]);
    }
}
