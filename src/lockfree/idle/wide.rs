//! Many words: what keeps the cost of waiting from growing with the set.
//!
//! The first 16 words are *narrow*: each has its own flags. The words after those are *wide*: they
//! come in groups of 32, whose flags are in one word, the group's head:
//!
//! ```text
//! bit 63  CLOSED
//! bit 62  WAITERS
//! bit i   word i of the group may hold a parked connection
//! ```
//!
//! A park in a wide word sets the bit in the word, *then* the one in the head, by a
//! read-modify-write that returns the flags. It meets the one that sets WAITERS there: it is the
//! race that `idle` tells of, with the head in the word's place.
//!
//! The bit in the head is a hint that may be too high, never too low. Takes leave it alone. It
//! goes in [`Idle::claim`], when an empty word is found: the bit is taken off, and then the word
//! is *looked at again*. A park that set the head's bit before that is acquired by taking it off,
//! so the second look finds the connection; one that sets it later finds the flags, for a claim is
//! made by the owner of a flagged line or in a closed set, and its check-in pairs or drains. So
//! there is no moment at which nobody knows of a parked connection.
//!
//! Hence the line is entered, served and left at the cost of 16 words and some 33 heads, and of a
//! look at each wide word that was parked in since the last claim that found nothing. A take pays
//! for such a look as well, a load for each word that has been emptied, until a miss tidies up.

use super::shape::{CLOSED, GROUP, NARROW, WAITERS, groups, lowest_first};
use super::{Idle, Parked, Take};
use crate::sync::Ordering;

impl<T> Idle<T> {
    #[inline(never)]
    pub(super) fn take_wide(&self, count: usize) -> Take<T> {
        for group in 0..groups(count) {
            // Ordering: Acquire pairs with the Release in `show`: the word is there. Which bit to
            // try is a guess; the claim of the connection decides.
            let seen = self.head(group).load(Ordering::Acquire);
            if seen & (WAITERS | CLOSED) != 0 {
                return Take::Refused;
            }
            for at in lowest_first(group, seen) {
                if let found @ Take::Got(_) = self.word(at).take(at, 0) {
                    return found;
                }
            }
        }
        Take::Empty
    }

    pub(super) fn claim_wide(&self, group: usize) -> Option<Parked<T>> {
        let head = self.head(group);
        // Ordering: Acquire, as in `take_wide`. A park that is not seen here comes after the flag.
        let seen = head.load(Ordering::Acquire);
        lowest_first(group, seen).find_map(|at| {
            let word = self.word(at);
            let bit = 1 << ((at - NARROW) % GROUP);
            loop {
                if let Take::Got(parked) = word.take(at, 0) {
                    return Some(parked);
                }
                // Ordering: Acquire: a park whose bit we take off here is seen by the second look.
                head.fetch_and(!bit, Ordering::Acquire);
                if word.len() == 0 {
                    return None;
                }
                // Ordering: Relaxed. The bit says what it said before: the Release of the park
                // that set it first goes on through the read-modify-writes behind it.
                head.fetch_or(bit, Ordering::Relaxed);
            }
        })
    }

    /// Notes that something is parked in a wide word; the flags of its group.
    pub(super) fn show(&self, at: usize) -> u64 {
        let (group, bit) = ((at - NARROW) / GROUP, 1 << ((at - NARROW) % GROUP));
        // Ordering: Release: whoever sees the bit, or takes it off, finds the connection in the
        // word. Acquire pairs with `fence`, as in a narrow word.
        self.head(group).fetch_or(bit, Ordering::AcqRel)
    }
}
