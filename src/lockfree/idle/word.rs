//! One word of the idle set, and the cells that it stands for.

#![expect(unsafe_code, reason = "cells are owned through their bit, which the compiler cannot see")]

use std::mem::MaybeUninit;

use super::shape::{PARKED, PER_WORD, highest_first};
use super::{Candidate, Parked, Take};
use crate::sync::{AtomicU64, CachePadded, Ordering, UnsafeCell};

/// The right to one cell of the set.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Each word has as many indices as it has bits, so that no division is needed to get back.
    const STRIDE: usize = u64::BITS as usize;

    fn new(word: usize, bit: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "there are at most 1,058 words")]
        Self((word * Self::STRIDE) as u32 + bit)
    }

    /// The cell's index, for state that is kept beside the set: a word's indices begin at the
    /// word's number times 64, and two of them are not used.
    pub fn index(&self) -> usize {
        self.0 as usize
    }

    /// The number of the word.
    pub(super) fn word(&self) -> usize {
        self.index() / Self::STRIDE
    }

    fn place(&self) -> usize {
        self.index() % Self::STRIDE
    }

    fn bit(&self) -> u64 {
        1 << self.place()
    }

    /// The slot in which a connection was seen, for whoever clears its bit.
    pub(super) fn seen(seen: Candidate) -> Self {
        Self(seen.index)
    }
}

/// A word, with its cells.
pub(super) struct Word<T> {
    flags: CachePadded<Flags>,
    cells: [Cell<T>; PER_WORD],
}

struct Flags {
    /// Bits "parked"; CLOSED and WAITERS too, if the word is a narrow one.
    idle: AtomicU64,
    /// Bits "free": the cell has no owner.
    free: AtomicU64,
}

struct Cell<T> {
    /// Initialised exactly while the cell's idle bit is set, or its claimer is about to read it.
    value: UnsafeCell<MaybeUninit<T>>,
    /// When the value was parked, in ticks. May be read without owning the cell: then a hint.
    since: AtomicU64,
}

// SAFETY: a value is moved in by the owner of its cell and moved out by the one thread that clears
// its bit; no reference to it is ever shared. So `T: Send` is all that is needed for both.
unsafe impl<T: Send> Send for Word<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Word<T> {}

impl<T> Word<T> {
    /// A word without connections, all of its cells free.
    pub(super) fn new(flags: u64) -> Self {
        let (idle, free) = (AtomicU64::new(flags), AtomicU64::new((1 << PER_WORD) - 1));
        let cell =
            |_| Cell { value: UnsafeCell::new(MaybeUninit::uninit()), since: AtomicU64::new(0) };
        Self { flags: CachePadded::new(Flags { idle, free }), cells: std::array::from_fn(cell) }
    }

    /// The bits "parked", and the flags of a narrow word.
    #[inline]
    pub(super) fn idle(&self) -> &AtomicU64 {
        &self.flags.idle
    }

    /// The lowest parked connection, unless one of the flags `refuse` is set. The word is number
    /// `at`.
    #[inline]
    pub(super) fn take(&self, at: usize, refuse: u64) -> Take<T> {
        // Ordering: Relaxed. Only a guess at which bit to try; the claim below decides.
        let mut seen = self.idle().load(Ordering::Relaxed);
        loop {
            if seen & refuse != 0 {
                return Take::Refused;
            }
            if seen & PARKED == 0 {
                return Take::Empty;
            }
            if let Some(parked) = self.take_at(Slot::new(at, seen.trailing_zeros())) {
                return Take::Got(parked);
            }
            // Ordering: Relaxed, as above.
            seen = self.idle().load(Ordering::Relaxed);
        }
    }

    /// The connection in this slot, if it is parked.
    #[inline]
    pub(super) fn take_at(&self, slot: Slot) -> Option<Parked<T>> {
        let bit = slot.bit();
        // Ordering: Acquire pairs with the Release in `park`: the value written there is visible
        // before we read the cell. Testing the single bit lets the compiler emit `lock btr`.
        if self.idle().fetch_and(!bit, Ordering::Acquire) & bit == 0 {
            return None;
        }
        let cell = &self.cells[slot.place()];
        // Ordering: Relaxed. Written before the bit was set, and the claim acquired that.
        let since = cell.since.load(Ordering::Relaxed);
        // SAFETY: [1] the bit was set, so the cell was initialised by `park`; [2] we cleared it,
        // so nobody else reads it; [3] the claim's Acquire makes the write visible.
        let value = cell.value.with_mut(|value| unsafe { value.cast::<T>().read() });
        Some(Parked { slot, value, since })
    }

    /// Puts a connection into its cell and sets its bit. The caller then looks at the flags.
    #[inline]
    pub(super) fn park(&self, parked: Parked<T>) {
        let Parked { slot, value, since } = parked;
        let cell = &self.cells[slot.place()];
        cell.value.with_mut(|place| {
            // SAFETY: holding the slot we own the cell; it is uninitialised, so nothing is lost.
            unsafe { (*place).write(value) };
        });
        // Ordering: Relaxed. The bit's Release below publishes it.
        cell.since.store(since, Ordering::Relaxed);
        // Ordering: Release publishes the cell to whoever claims the bit. Acquire pairs with
        // `fence`: one who looked here before we parked has marked the total limit before, and
        // we look at that mark next.
        self.idle().fetch_or(slot.bit(), Ordering::AcqRel);
    }

    /// A free cell, if there is one.
    pub(super) fn reserve(&self, at: usize) -> Option<Slot> {
        let free = &self.flags.free;
        // Ordering: Relaxed. A guess, as in `take`.
        let mut seen = free.load(Ordering::Relaxed);
        while seen != 0 {
            let slot = Slot::new(at, seen.trailing_zeros());
            // Ordering: Acquire pairs with the Release in `vacate`: the last owner's reads of the
            // cell are over before we write to it.
            if free.fetch_and(!slot.bit(), Ordering::Acquire) & slot.bit() != 0 {
                return Some(slot);
            }
            // Ordering: Relaxed, as above.
            seen = free.load(Ordering::Relaxed);
        }
        None
    }

    /// Gives a cell up.
    pub(super) fn vacate(&self, slot: &Slot) {
        // Ordering: Release: our use of the cell happens before the next owner's.
        self.flags.free.fetch_or(slot.bit(), Ordering::Release);
    }

    /// How many connections are parked. A hint.
    pub(super) fn len(&self) -> usize {
        // Ordering: Relaxed. A count for statistics and policy, not for decisions on ownership.
        (self.idle().load(Ordering::Relaxed) & PARKED).count_ones() as usize
    }

    /// What is parked, highest slot first, unless one of the flags `hide` is set.
    pub(super) fn parked(&self, at: usize, hide: u64) -> impl Iterator<Item = Candidate> + '_ {
        // Ordering: Acquire: after `fence`, or for the age below, see the cells as parked.
        let seen = self.idle().load(Ordering::Acquire);
        let bits = if seen & hide == 0 { seen & PARKED } else { 0 };
        highest_first(bits).map(move |bit| {
            let slot = Slot::new(at, bit);
            // Ordering: Relaxed. A hint: confirmed once the cell is ours.
            let since = self.cells[slot.place()].since.load(Ordering::Relaxed);
            Candidate { index: slot.0, since }
        })
    }
}
