//! How long a server keeps idle connections, learned from those that it has closed.
//!
//! One word holds what is believed, what is suspected, and since when:
//!
//! ```text
//! bits 44..63   the limit, in units of 4 ms; all ones: none is known
//! bits 24..43   the age at which the last closings came, likewise: a suspicion
//! bits 22..23   how many closings have confirmed that; at three it becomes the limit
//! bits 0..21    when the last of them was, in units of 256 ms, going round
//! ```
//!
//! A server closes idle connections for other reasons than their age, too: it restarts, or has too
//! many. So a single closing, or a single batch of them, must not make all connections short-lived:
//!
//! - Of a batch one closing counts: of two that count, the second connection was parked when the
//!   first was closed, or later.
//! - Three that count must agree: each at three quarters to five quarters of the age before.
//! - A connection that was found to be good at the suspected age refutes the suspicion.
//! - After ten minutes without a closing everything is forgotten. A limit that is kept sees no
//!   closings, so a true one is learned anew then, at the cost of a few closed connections.
//! - An age below half a second is no sign of a limit: a server may close after so many requests.
//!
//! When a connection is found closed at its next use, it was closed at that age *or before*. So the
//! lowest of ages that agree is kept, and such an age above the suspected one says nothing.
//!
//! # Two at a time
//!
//! Each computes the next word from the one it saw, and swaps it in if that is still there; else it
//! computes anew. So the word is always the result of some order of what has happened. Whoever
//! fails has met another's change, and those are rare.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Milliseconds in a unit of age.
const UNIT: u64 = 4;
/// No age. Longer ones, of 70 minutes, are not learned.
const NO_AGE: u64 = (1 << 20) - 1;
/// Milliseconds in a unit of time, as a shift.
const TIME_SHIFT: u32 = 8;
const TIME: u64 = (1 << 22) - 1;
/// How far a clock may be behind, in units of time.
const LATE: u64 = 16;
/// How many closings make a limit.
const ENOUGH: u64 = 3;
/// The least age that is a sign of a limit, in milliseconds.
pub const SHORTEST: u64 = 500;
/// For how long a limit is believed in without a closing, in milliseconds.
pub const MEMORY: u64 = 10 * 60 * 1000;

/// Nothing is known.
const NOTHING: u64 = State { limit: NO_AGE, age: NO_AGE, closings: 0, last: 0 }.word();

/// What a server's closings have taught.
#[derive(Debug)]
pub struct Learned {
    word: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    limit: u64,
    age: u64,
    closings: u64,
    last: u64,
}

impl State {
    const fn word(self) -> u64 {
        self.limit << 44 | self.age << 24 | self.closings << 22 | self.last
    }

    fn of(word: u64) -> Self {
        Self {
            limit: word >> 44,
            age: (word >> 24) & NO_AGE,
            closings: (word >> 22) & 3,
            last: word & TIME,
        }
    }

    /// Whether the last closing was too long ago.
    fn is_forgotten(self, now: u64) -> bool {
        behind_of(self.last, now) > MEMORY >> TIME_SHIFT
    }

    /// After a connection that was parked at `since` was found closed at `now`.
    fn closed(mut self, since: u64, now: u64, is_exact: bool) -> Self {
        let age = now.saturating_sub(since) / UNIT;
        if self.is_forgotten(now) {
            self = Self::of(NOTHING);
        }
        // It belongs to the same batch as the last one.
        if self.word() != NOTHING && behind(since, now) > behind_of(self.last, now) {
            return self;
        }
        let agrees = self.closings > 0 && age * 4 >= self.age * 3 && age * 4 <= self.age * 5;
        if agrees {
            self.age = self.age.min(age);
            self.closings = ENOUGH.min(self.closings + 1);
        } else if self.closings > 0 && age > self.age && !is_exact {
            return self;
        } else {
            (self.age, self.closings) = (age, 1);
        }
        if self.closings == ENOUGH {
            self.limit = self.age;
        }
        self.last = time(now);
        self
    }

    /// After a connection was found to be good that had been idle for so long.
    fn survived(mut self, idle: u64) -> Self {
        if (1..ENOUGH).contains(&self.closings) && idle / UNIT >= self.age {
            if self.limit == NO_AGE {
                return Self::of(NOTHING);
            }
            (self.age, self.closings) = (NO_AGE, 0);
        }
        self
    }
}

fn time(now: u64) -> u64 {
    (now >> TIME_SHIFT) & TIME
}

/// How long before `now` that was, in units of time.
fn behind(then: u64, now: u64) -> u64 {
    behind_of(time(then), now)
}

fn behind_of(then: u64, now: u64) -> u64 {
    let behind = time(now).wrapping_sub(then) & TIME;
    // Another thread has read the clock after us, and is ahead by a little.
    if behind > TIME - LATE { 0 } else { behind }
}

impl Learned {
    /// Without any knowledge.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(NOTHING) }
    }

    /// A connection that was parked at `since` was found closed at `now`, both in milliseconds:
    /// closed just then if that `is_exact`, else at some time before.
    pub fn closed(&self, since: u64, now: u64, is_exact: bool) {
        let age = now.saturating_sub(since);
        if (SHORTEST..NO_AGE * UNIT).contains(&age) {
            self.change(|state| state.closed(since, now, is_exact));
        }
    }

    /// A connection was found to be good at `now` that had been idle for so many milliseconds.
    #[inline]
    pub fn survived(&self, idle: u64) {
        // Ordering: Relaxed here and below. The word is all there is: it guards no other memory,
        // and the order of what happened is the order of swaps on this one word.
        if self.word.load(Relaxed) != NOTHING {
            self.change(|state| state.survived(idle));
        }
    }

    /// How long the server keeps an idle connection, in milliseconds, as far as is known at `now`.
    #[inline]
    pub fn limit(&self, now: u64) -> Option<u64> {
        // Ordering: Relaxed, as above.
        let word = self.word.load(Relaxed);
        if word == NOTHING { None } else { self.believed(word, now) }
    }

    #[cold]
    fn believed(&self, word: u64, now: u64) -> Option<u64> {
        let state = State::of(word);
        if state.is_forgotten(now) {
            // Else the time, which goes round, would look new again some day. If it has changed
            // meanwhile, it is new.
            // Ordering: Relaxed, as above.
            self.word.compare_exchange(word, NOTHING, Relaxed, Relaxed).ok();
            return None;
        }
        (state.limit != NO_AGE).then_some(state.limit * UNIT)
    }

    #[cold]
    fn change(&self, next: impl Fn(State) -> State) {
        // Ordering: Relaxed, as above.
        let mut seen = self.word.load(Relaxed);
        loop {
            let word = next(State::of(seen)).word();
            if word == seen {
                return;
            }
            // Ordering: Relaxed, as above.
            match self.word.compare_exchange(seen, word, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
