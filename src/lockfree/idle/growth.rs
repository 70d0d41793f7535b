//! Growth: words are made as they are needed.
//!
//! A set is born with a word or two, and gets one more whenever all cells are taken. `published`
//! holds their number, and CLOSED:
//!
//! - Whoever closes the set sets CLOSED there, and learns how many words to mark. A word is
//!   published by a compare-and-swap on the same `published`: it fails if the set was closed
//!   meanwhile, and if the set is known to be closed, the word is marked before it is tried.
//! - A word is *born with WAITERS set*. The owner of the line may have flagged the words that it
//!   knew a moment before; if it has, a park in the new one tells the line as in any other. And
//!   the flag is only ever taken off by the owner of the line, so it knows every word without it,
//!   and hands that knowledge on with the line. If nobody waits, the flag has to go: whoever
//!   published the word pairs afterwards, and the owner sees that there is a new one
//!   ([`Idle::has_grown`]).

use super::shape::{CLOSED, FIRST, GROUP, MOST_WORDS, NARROW, PER_WORD, WAITERS, nth, places};
use super::{Idle, Slot, Word};
use crate::sync::{AtomicU64, CachePadded, Ordering};

impl<T> Idle<T> {
    /// Claims a free cell for a new connection, and makes a word more if there is none. The caller
    /// holds a permit, and there are no more permits than cells that can be made. It pairs
    /// afterwards: see the module's text on growth.
    pub fn reserve(&self, hint: usize) -> Slot {
        loop {
            // Ordering: Acquire, as in `count`.
            let seen = self.published.load(Ordering::Acquire);
            let count = (seen & !CLOSED) as usize;
            if let Some(slot) = self.find_free(hint, count) {
                return slot;
            }
            if count < MOST_WORDS {
                self.publish(seen);
            } else {
                // There is a free cell, though another thread was faster than we were.
                crate::sync::spin_loop();
            }
        }
    }

    fn find_free(&self, hint: usize, count: usize) -> Option<Slot> {
        let reserve = |at: usize| self.word(at).reserve(at);
        let hinted = reserve(nth(hint, count.min(NARROW)));
        if hinted.is_some() {
            return hinted;
        }
        let full = &self.slow.full;
        // Ordering: Relaxed, here and below. A hint: before a word is made, all are looked at.
        let from = full.load(Ordering::Relaxed);
        if let Some(slot) = (from..count).find_map(reserve) {
            if slot.word() > from {
                // Ordering: Relaxed, as above. It fails if a cell came free below meanwhile.
                let _ =
                    full.compare_exchange(from, slot.word(), Ordering::Relaxed, Ordering::Relaxed);
            }
            return Some(slot);
        }
        (0..from).find_map(reserve)
    }

    /// Makes the next word, unless another thread is faster. `seen` is what was published.
    pub(super) fn publish(&self, seen: u64) {
        let at = (seen & !CLOSED) as usize;
        if let Some(index) = at.checked_sub(FIRST) {
            self.words.get_or_make(index, |index| Word::born(FIRST + index));
        }
        let flags = match at.checked_sub(NARROW) {
            None => self.word(at).idle(),
            Some(wide) => {
                let born = |_| CachePadded::new(AtomicU64::new(WAITERS));
                self.heads.get_or_make(wide / GROUP, born)
            }
        };
        if seen & CLOSED != 0 {
            // Ordering: Relaxed. Published below; and a park that sees the flag pairs.
            flags.fetch_or(CLOSED, Ordering::Relaxed);
        }
        // Ordering: Release: whoever sees the number finds the word. It fails if another thread has
        // published one, or closed the set: the caller then looks again.
        let _ =
            self.published.compare_exchange(seen, seen + 1, Ordering::Release, Ordering::Relaxed);
    }

    /// Gives a cell up. Must happen before the permit is given back.
    pub fn vacate(&self, slot: Slot) {
        let at = slot.word();
        self.word(at).vacate(&slot);
        // Ordering: Relaxed, here and below. A hint, as in `find_free`.
        if at < self.slow.full.load(Ordering::Relaxed) {
            // Ordering: Relaxed, as above.
            self.slow.full.fetch_min(at, Ordering::Relaxed);
        }
    }

    /// How many connections have cells now.
    pub fn cells(&self) -> usize {
        self.count() * PER_WORD
    }

    /// Whether flags were born that nobody has taken off yet. Only for the owner of the line.
    pub fn has_grown(&self) -> bool {
        // Ordering: Relaxed, as in `unflag_waiters`.
        self.slow.known.load(Ordering::Relaxed) < places(self.count())
    }
}
