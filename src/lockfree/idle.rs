//! The idle set: which connections are parked, in words of flags.
//!
//! # Representation
//!
//! A server's connections live in cells. One 64-bit word stands for 62 of them, and there are as
//! many words as are needed (`growth`):
//!
//! ```text
//! bit 63  CLOSED    the server is closed: what is parked must be closed again
//! bit 62  WAITERS   somebody is in line: a take is refused, a park must tell the line
//! bit i   the connection in cell i is parked, and whoever clears the bit owns it
//! ```
//!
//! A second word of each pair says which cells are free. A [`Slot`] is the right to one cell: it
//! is not `Copy`, so a cell has one owner at a time, and the bit *is* the hand-over. Hence no ABA,
//! no allocation, and no deferred reclamation.
//!
//! A take claims the *lowest* parked bit. Use concentrates on the low slots, so that the
//! connections that a smaller load no longer needs age in peace at the high end, from which the
//! reaper takes them.
//!
//! # The race between parking and waiting
//!
//! A check-in parks (one read-modify-write on the word) and *then* loads the same word. A waiter
//! is entered in line, and *then* WAITERS is set (a read-modify-write that returns the bits). The
//! two operations on the one word have an order. If the park is first, whoever sets the flag finds
//! the bit in the word; if the flag is first, the load behind the park shows the flag, because a
//! thread never reads a word older than what it wrote itself. Either way somebody knows of both.
//!
//! So it is in the first 16 words. Those after them share their flags, so that the cost of waiting
//! does not grow with the set (`wide`).
//!
//! # What is not promised
//!
//! The order of takes is not "last in, first out" to the letter, and [`Idle::len`] is a sum over
//! several words read one after another: a hint, never a basis for "full".

use std::fmt;

use self::shape::{
    CLOSED, FIRST, GROUP, MOST_WORDS, NARROW, PARKED, WAITERS, groups, highest_first, lowest_first,
    nth, places,
};
use self::word::Word;
use super::segments::Segments;
use crate::sync::{AtomicU64, AtomicUsize, CachePadded, Ordering};

#[cfg(evenkeel_loom)]
pub use self::shape::{NARROW as NARROW_WORDS, PER_WORD};
pub use self::word::Slot;

mod growth;
mod shape;
mod wide;
mod word;

/// A connection out of its cell, and the right to put it back.
#[derive(Debug)]
pub struct Parked<T> {
    /// The right to the cell.
    pub slot: Slot,
    /// The connection.
    pub value: T,
    /// When it was parked, in the caller's ticks.
    pub since: u64,
}

/// What a [`Idle::take`] found.
#[derive(Debug)]
pub enum Take<T> {
    /// A connection.
    Got(Parked<T>),
    /// Nothing is parked.
    Empty,
    /// Somebody is in line already, or the set is closed: the caller must not overtake.
    Refused,
}

impl<T> Take<T> {
    fn got(self) -> Option<Parked<T>> {
        match self {
            Self::Got(parked) => Some(parked),
            Self::Empty | Self::Refused => None,
        }
    }
}

/// What a [`Idle::park`] must act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPark {
    /// Nothing: the connection is parked.
    Quiet,
    /// Somebody waits in line for it.
    Waiters,
    /// The set was closed: it must be drained again.
    Closed,
}

/// A parked connection as seen in passing.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    index: u32,
    /// When it was parked, in ticks.
    pub since: u64,
}

impl Candidate {
    /// The index of its cell: see [`Slot::index`].
    pub fn index(&self) -> usize {
        self.index as usize
    }
}

/// The parked connections of one server.
pub struct Idle<T> {
    /// The first words, without a detour for a server that has no more.
    first: [Word<T>; FIRST],
    /// Those after them.
    words: Segments<Word<T>, FIRST>,
    /// The heads of the groups of wide words.
    heads: Segments<CachePadded<AtomicU64>, 2>,
    /// CLOSED | how many words there are.
    published: AtomicU64,
    slow: CachePadded<Slow>,
}

/// What opening and closing, and the line, touch: away from what each take reads.
struct Slow {
    /// The words below are full. A hint: where to look for a free cell.
    full: AtomicUsize,
    /// In how many places the owner of the line has dealt with the flags.
    known: AtomicUsize,
}

impl<T> Idle<T> {
    /// An empty set that begins with so many words.
    pub fn new(words: usize) -> Self {
        let slow = Slow { full: AtomicUsize::new(0), known: AtomicUsize::new(0) };
        let idle = Self {
            first: std::array::from_fn(Word::born),
            words: Segments::new(),
            heads: Segments::new(),
            published: AtomicU64::new(0),
            slow: CachePadded::new(slow),
        };
        for at in 0..words.clamp(1, MOST_WORDS) {
            idle.publish(at as u64);
        }
        idle.unflag_waiters();
        idle
    }

    /// How many words there are.
    #[inline]
    fn count(&self) -> usize {
        // Ordering: Acquire pairs with the Release in `publish`: the words are there.
        (self.published.load(Ordering::Acquire) & !CLOSED) as usize
    }

    #[inline]
    fn word(&self, at: usize) -> &Word<T> {
        if at < FIRST {
            return &self.first[at];
        }
        self.words.get(at - FIRST).unwrap_or_else(|| unreachable!("word {at} was published"))
    }

    fn head(&self, group: usize) -> &AtomicU64 {
        self.heads.get(group).unwrap_or_else(|| unreachable!("head {group} was published"))
    }

    /// The words with flags: the narrow ones, and the heads of the others.
    fn places(&self, count: usize) -> impl Iterator<Item = &AtomicU64> {
        let narrow = (0..count.min(NARROW)).map(|at| self.word(at).idle());
        narrow.chain((0..groups(count)).map(|group| self.head(group)))
    }

    /// The lowest parked connection, beginning with the word that `hint` names. Refused while
    /// somebody waits in line.
    #[inline]
    pub fn take(&self, hint: usize) -> Take<T> {
        let count = self.count();
        let narrow = count.min(NARROW);
        let first = nth(hint, narrow);
        for step in 0..narrow {
            let mut at = first + step;
            if at >= narrow {
                at -= narrow;
            }
            match self.word(at).take(at, WAITERS | CLOSED) {
                Take::Empty => {}
                found => return found,
            }
        }
        if count > NARROW { self.take_wide(count) } else { Take::Empty }
    }

    /// The lowest parked connection, whoever waits. For the one who serves the line, once it is
    /// flagged, and for whoever drains a closed set.
    pub fn claim(&self) -> Option<Parked<T>> {
        let count = self.count();
        (0..count.min(NARROW))
            .find_map(|at| self.word(at).take(at, 0).got())
            .or_else(|| (0..groups(count)).find_map(|group| self.claim_wide(group)))
    }

    /// Parks a connection, and says who must hear of it.
    #[inline]
    pub fn park(&self, parked: Parked<T>) -> AfterPark {
        let at = parked.slot.word();
        let word = self.word(at);
        word.park(parked);
        let flags = if at < NARROW {
            // Ordering: Relaxed. Coherence alone shows every flag that was set before our park (see
            // the module's text); whoever acts on it synchronises through the line's ownership.
            word.idle().load(Ordering::Relaxed)
        } else {
            self.show(at)
        };
        if flags & CLOSED != 0 {
            AfterPark::Closed
        } else if flags & WAITERS != 0 {
            AfterPark::Waiters
        } else {
            AfterPark::Quiet
        }
    }

    /// Tells check-ins that somebody waits in line. Only for the owner of the line.
    pub fn flag_waiters(&self) {
        for place in self.places(self.count()) {
            // Ordering: Relaxed. The order of the operations on this word is all that is needed: a
            // park that came before is seen in the word, one that comes later sees the flag. And
            // the claim that follows acquires what it claims.
            place.fetch_or(WAITERS, Ordering::Relaxed);
        }
    }

    /// The line is empty again. Only for the owner of the line.
    pub fn unflag_waiters(&self) {
        let count = self.count();
        for place in self.places(count) {
            // Ordering: Acquire pairs with `fence`: one who looked here and passed the word over
            // has marked the total before, and the owner of the line looks at that mark next.
            // Release pairs with it, and with the parks that find the flag gone: see there.
            place.fetch_and(!WAITERS, Ordering::AcqRel);
        }
        // Ordering: Relaxed. It belongs to the owner of the line.
        self.slow.known.store(places(count), Ordering::Relaxed);
    }

    /// Refuses takes from now on; whoever parks later is told. The caller drains with `claim`.
    pub fn close(&self) {
        // Ordering: Acquire, as in `count`. That no word is forgotten follows from the order of the
        // operations on this one.
        let count = self.published.fetch_or(CLOSED, Ordering::Acquire) & !CLOSED;
        for place in self.places(count as usize) {
            // Ordering: Relaxed, as in `flag_waiters`. Whoever parks later and sees the flag pairs,
            // as we do: the second of the two to pair sees what the first has done, and drains.
            place.fetch_or(CLOSED, Ordering::Relaxed);
        }
    }

    /// Orders a look at the parked connections against parks: each park is either visible to the
    /// look that follows, or comes after this fence and sees everything done before it. Or it is in
    /// a word that was born meanwhile, hidden by WAITERS, and whoever takes that off sees it.
    pub fn fence(&self) {
        // Ordering: Release, as below. Acquire pairs with `unflag_waiters`, which begins with this
        // word too: if that was before us, we know the words that it knew; if not, it sees what we
        // did, and so do those who find a flag gone that we did not know of.
        self.word(0).idle().fetch_or(0, Ordering::AcqRel);
        for place in self.places(self.count()).skip(1) {
            // Ordering: Release. A read-modify-write has a place in the word's order of changes:
            // the parks behind it, whose own read-modify-write acquires, see what we did; those
            // before it are seen by the look itself, which reads this value or a later one.
            place.fetch_or(0, Ordering::Release);
        }
    }

    /// The parked connections, highest slot first, with the time each was parked: hints, to be
    /// confirmed by [`claim_at`](Self::claim_at). Words with somebody in line are passed over.
    pub fn parked(&self) -> impl Iterator<Item = Candidate> + '_ {
        let count = self.count();
        let wide = (0..groups(count)).rev().flat_map(move |group| {
            // Ordering: Acquire: after `fence`, see the words as they were when parked in.
            let seen = self.head(group).load(Ordering::Acquire);
            let bits = if seen & WAITERS == 0 { seen & PARKED } else { 0 };
            highest_first(bits).flat_map(move |bit| {
                let at = NARROW + group * GROUP + bit as usize;
                self.word(at).parked(at, 0)
            })
        });
        let narrow = (0..count.min(NARROW)).rev();
        wide.chain(narrow.flat_map(move |at| self.word(at).parked(at, WAITERS)))
    }

    /// Claims what is parked at the candidate's cell now. If it was parked later than the
    /// candidate was, it is another connection, or the same one after another use: the caller
    /// puts it back as a check-in would.
    pub fn claim_at(&self, seen: Candidate) -> Option<Parked<T>> {
        let slot = Slot::seen(seen);
        self.word(slot.word()).take_at(slot)
    }

    /// How many connections are parked. A hint.
    pub fn len(&self) -> usize {
        self.occupied().map(|at| self.word(at).len()).sum()
    }

    /// Whether nothing is parked. A hint.
    pub fn is_empty(&self) -> bool {
        self.occupied().all(|at| self.word(at).len() == 0)
    }

    /// The words that may hold something.
    fn occupied(&self) -> impl Iterator<Item = usize> {
        let count = self.count();
        let wide = (0..groups(count)).flat_map(|group| {
            // Ordering: Acquire, as in `take_wide`.
            lowest_first(group, self.head(group).load(Ordering::Acquire))
        });
        (0..count.min(NARROW)).chain(wide)
    }
}

impl<T> Drop for Idle<T> {
    fn drop(&mut self) {
        while let Some(parked) = self.claim() {
            drop(parked);
        }
    }
}

impl<T> fmt::Debug for Idle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("words", &self.count()).field("parked", &self.len()).finish()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
