//! The idle set: which connections are parked, in words of flags.
//!
//! # Representation
//!
//! A server's connections live in a slab of cells. One 64-bit word stands for 62 of them:
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
//! two operations on the one word have an order. If the park is first, the flag's return value
//! shows the parked bit; if the flag is first, the load behind the park shows the flag, because a
//! thread never reads a word older than what it wrote itself. Either way somebody knows of both.
//!
//! # What is not promised
//!
//! The order of takes is not "last in, first out" to the letter, and [`Idle::len`] is a sum over
//! several words read one after another: a hint, never a basis for "full".

#![expect(unsafe_code, reason = "cells are owned through their bit, which the compiler cannot see")]

use std::fmt;
use std::mem::MaybeUninit;

use crate::sync::{AtomicU64, CachePadded, Ordering, UnsafeCell};

/// How many connections one word stands for.
pub const PER_WORD: usize = 62;
const WAITERS: u64 = 1 << 62;
const CLOSED: u64 = 1 << 63;
const PARKED: u64 = WAITERS - 1;

/// The right to one cell of the slab.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    fn new(word: usize, bit: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a slab has at most 65,535 cells")]
        Self((word * PER_WORD) as u32 + bit)
    }

    /// The cell's index, for state that is kept beside the slab.
    pub fn index(&self) -> usize {
        self.0 as usize
    }

    fn word(&self) -> usize {
        self.index() / PER_WORD
    }

    fn bit(&self) -> u64 {
        1 << (self.index() % PER_WORD)
    }
}

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

struct Word {
    /// CLOSED | WAITERS | 62 bits "parked".
    idle: AtomicU64,
    /// 62 bits "free": the cell has no owner.
    free: AtomicU64,
}

struct Cell<T> {
    /// Initialised exactly while the cell's idle bit is set, or its claimer is about to read it.
    value: UnsafeCell<MaybeUninit<T>>,
    /// When the value was parked, in ticks. May be read without owning the cell: then a hint.
    since: AtomicU64,
}

/// The parked connections of one server.
pub struct Idle<T> {
    words: Box<[CachePadded<Word>]>,
    cells: Box<[Cell<T>]>,
}

// SAFETY: a value is moved in by the owner of its cell and moved out by the one thread that clears
// its bit; no reference to it is ever shared. So `T: Send` is all that is needed for both.
unsafe impl<T: Send> Send for Idle<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Idle<T> {}

impl<T> Idle<T> {
    /// A set for at most `limit` connections, spread over at least `words` words.
    pub fn new(limit: usize, words: usize) -> Self {
        let words = words.max(limit.div_ceil(PER_WORD)).min(limit).max(1);
        // Cells are dealt out evenly, so that no word is a straggler with a cell or two.
        let (share, rest) = (limit / words, limit % words);
        let words: Box<[_]> = (0..words)
            .map(|i| {
                let cells = share + usize::from(i < rest);
                let free = AtomicU64::new((1 << cells) - 1);
                CachePadded::new(Word { idle: AtomicU64::new(0), free })
            })
            .collect();
        let cells = (0..words.len() * PER_WORD)
            .map(|_| Cell {
                value: UnsafeCell::new(MaybeUninit::uninit()),
                since: AtomicU64::new(0),
            })
            .collect();
        Self { words, cells }
    }

    /// How many cells the slab has: more than any slot's index.
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// The lowest parked connection, beginning with the word that `hint` names. Refused while
    /// somebody waits in line.
    #[inline]
    pub fn take(&self, hint: usize) -> Take<T> {
        let count = self.words.len();
        let first = if count == 1 { 0 } else { hint % count };
        for step in 0..count {
            let mut word = first + step;
            if word >= count {
                word -= count;
            }
            match self.take_from(word, WAITERS | CLOSED) {
                Take::Empty => {}
                found => return found,
            }
        }
        Take::Empty
    }

    /// The lowest parked connection, whoever waits. For the one who serves the line, and for
    /// whoever drains a closed set.
    pub fn claim(&self) -> Option<Parked<T>> {
        (0..self.words.len()).find_map(|word| match self.take_from(word, 0) {
            Take::Got(parked) => Some(parked),
            Take::Empty | Take::Refused => None,
        })
    }

    #[inline]
    fn take_from(&self, word: usize, refuse: u64) -> Take<T> {
        let idle = &self.words[word].idle;
        // Ordering: Relaxed. Only a guess at which bit to try; the claim below decides.
        let mut seen = idle.load(Ordering::Relaxed);
        loop {
            if seen & refuse != 0 {
                return Take::Refused;
            }
            if seen & PARKED == 0 {
                return Take::Empty;
            }
            let slot = Slot::new(word, seen.trailing_zeros());
            if self.clear(&slot) {
                return Take::Got(self.unpark(slot));
            }
            // Ordering: Relaxed, as above.
            seen = idle.load(Ordering::Relaxed);
        }
    }

    /// Clears the slot's idle bit; true if it was set, and so is ours now.
    #[inline]
    fn clear(&self, slot: &Slot) -> bool {
        let bit = slot.bit();
        // Ordering: Acquire pairs with the Release in `park`: the value written there is visible
        // before we read the cell. Testing the single bit lets the compiler emit `lock btr`.
        self.words[slot.word()].idle.fetch_and(!bit, Ordering::Acquire) & bit != 0
    }

    /// Moves the value out. The caller has just cleared the slot's bit.
    #[inline]
    fn unpark(&self, slot: Slot) -> Parked<T> {
        let cell = &self.cells[slot.index()];
        // Ordering: Relaxed. Written before the bit was set, and the claim acquired that.
        let since = cell.since.load(Ordering::Relaxed);
        // SAFETY: [1] the bit was set, so the cell was initialised by `park`; [2] we cleared it,
        // so nobody else reads it; [3] the claim's Acquire makes the write visible.
        let value = cell.value.with_mut(|value| unsafe { value.cast::<T>().read() });
        Parked { slot, value, since }
    }

    /// Parks a connection, and says who must hear of it.
    #[inline]
    pub fn park(&self, parked: Parked<T>) -> AfterPark {
        let Parked { slot, value, since } = parked;
        let cell = &self.cells[slot.index()];
        cell.value.with_mut(|place| {
            // SAFETY: holding the slot we own the cell; it is uninitialised, so nothing is lost.
            unsafe { (*place).write(value) };
        });
        // Ordering: Relaxed. The bit's Release below publishes it.
        cell.since.store(since, Ordering::Relaxed);
        let idle = &self.words[slot.word()].idle;
        // Ordering: Release publishes the cell to whoever claims the bit. Acquire pairs with
        // `fence`: one who looked here before we parked has marked the total limit before, and
        // we look at that mark next.
        idle.fetch_or(slot.bit(), Ordering::AcqRel);
        // Ordering: Relaxed. Coherence alone shows every flag that was set before our park (see
        // the module's text); whoever acts on it synchronises through the line's ownership.
        let flags = idle.load(Ordering::Relaxed);
        if flags & CLOSED != 0 {
            AfterPark::Closed
        } else if flags & WAITERS != 0 {
            AfterPark::Waiters
        } else {
            AfterPark::Quiet
        }
    }

    /// Claims a free cell for a new connection. The caller holds a permit, and there are no more
    /// permits than cells: a free cell exists, though another thread may get to it first.
    pub fn reserve(&self, hint: usize) -> Slot {
        loop {
            for step in 0..self.words.len() {
                let word = (hint.wrapping_add(step)) % self.words.len();
                let free = &self.words[word].free;
                // Ordering: Relaxed. A guess, as in `take_from`.
                let mut seen = free.load(Ordering::Relaxed);
                while seen != 0 {
                    let slot = Slot::new(word, seen.trailing_zeros());
                    // Ordering: Acquire pairs with the Release in `vacate`: the last owner's reads
                    // of the cell are over before we write to it.
                    if free.fetch_and(!slot.bit(), Ordering::Acquire) & slot.bit() != 0 {
                        return slot;
                    }
                    // Ordering: Relaxed, as above.
                    seen = free.load(Ordering::Relaxed);
                }
            }
            crate::sync::spin_loop();
        }
    }

    /// Gives a cell up. Must happen before the permit is given back.
    pub fn vacate(&self, slot: Slot) {
        // Ordering: Release: our use of the cell happens before the next owner's.
        self.words[slot.word()].free.fetch_or(slot.bit(), Ordering::Release);
    }

    /// Tells check-ins that somebody waits in line. Only for the owner of the line.
    pub fn flag_waiters(&self) {
        for word in &self.words {
            // Ordering: Relaxed. The order of the operations on this word is all that is needed: a
            // park that came before is seen in the word, one that comes later sees the flag. And
            // the claim that follows acquires what it claims.
            word.idle.fetch_or(WAITERS, Ordering::Relaxed);
        }
    }

    /// The line is empty again. Only for the owner of the line.
    pub fn unflag_waiters(&self) {
        for word in &self.words {
            // Ordering: Acquire pairs with `fence`: one who looked here and passed the word over
            // has marked the total before, and the owner of the line looks at that mark next.
            word.idle.fetch_and(!WAITERS, Ordering::Acquire);
        }
    }

    /// Refuses takes from now on; whoever parks later is told. The caller drains with `claim`.
    pub fn close(&self) {
        for word in &self.words {
            // Ordering: Relaxed, as in `flag_waiters`. Whoever parks later and sees the flag pairs,
            // as we do: the second of the two to pair sees what the first has done, and drains.
            word.idle.fetch_or(CLOSED, Ordering::Relaxed);
        }
    }

    /// Orders a look at the parked connections against parks: each park is either visible to the
    /// look that follows, or comes after this fence and sees everything done before it.
    pub fn fence(&self) {
        for word in &self.words {
            // Ordering: Release. A read-modify-write has a place in the word's order of changes:
            // the parks behind it, whose own read-modify-write acquires, see what we did; those
            // before it are seen by the look itself, which reads this value or a later one.
            word.idle.fetch_or(0, Ordering::Release);
        }
    }

    /// The parked connections, highest slot first, with the time each was parked: hints, to be
    /// confirmed by [`claim_at`](Self::claim_at). Words with somebody in line are passed over.
    pub fn parked(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.words.iter().enumerate().rev().flat_map(move |(word, pair)| {
            // Ordering: Acquire: after `fence`, or for the age below, see the cells as parked.
            let seen = pair.idle.load(Ordering::Acquire);
            let mut bits = if seen & WAITERS == 0 { seen & PARKED } else { 0 };
            std::iter::from_fn(move || {
                let bit = 63_u32.checked_sub(bits.leading_zeros())?;
                bits &= !(1 << bit);
                let slot = Slot::new(word, bit);
                // Ordering: Relaxed. A hint: confirmed once the cell is ours.
                let since = self.cells[slot.index()].since.load(Ordering::Relaxed);
                Some(Candidate { index: slot.0, since })
            })
        })
    }

    /// Claims what is parked at the candidate's cell now. If it was parked later than the
    /// candidate was, it is another connection, or the same one after another use: the caller
    /// puts it back as a check-in would.
    pub fn claim_at(&self, seen: Candidate) -> Option<Parked<T>> {
        let slot = Slot(seen.index);
        self.clear(&slot).then(|| self.unpark(slot))
    }

    /// How many connections are parked. A hint.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            // Ordering: Relaxed. A count for statistics and policy, not for decisions on ownership.
            .map(|word| (word.idle.load(Ordering::Relaxed) & PARKED).count_ones() as usize)
            .sum()
    }

    /// Whether nothing is parked. A hint.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A parked connection as seen in passing.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    index: u32,
    /// When it was parked, in ticks.
    pub since: u64,
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
        f.debug_struct("Idle")
            .field("words", &self.words.len())
            .field("parked", &self.len())
            .finish()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
