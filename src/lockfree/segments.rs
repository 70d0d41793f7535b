//! An array that only grows, and is read by index without a lock.
//!
//! # Representation
//!
//! A fixed head of pointers, each null or to a segment. A segment is twice as long as the one
//! before it, so twelve pointers reach far, an index finds its segment by its highest bit, and an
//! array that is used from its beginning is at most `FIRST` longer than twice what is used.
//! Nothing ever moves: a reference to an element is good for as long as the array.
//!
//! ```text
//! segment     0      1          2                  3
//! elements    FIRST  2 × FIRST  4 × FIRST          8 × FIRST    …
//! ```
//!
//! # The race between two who make the same segment
//!
//! Both make one, and each offers it by a compare-and-swap from null. The one who comes second
//! drops what it has made, which nobody else has seen, and uses what the first one offered. So a
//! segment is published once, whole, and never replaced; and nobody waits for anybody.

#![expect(unsafe_code, reason = "a pointer that is published is good until the array is dropped")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

/// How many segments there can be. With the shortest of one element, they hold 4,095.
const SEGMENTS: usize = 12;

/// An array of elements that are made when somebody first asks for them, or for a neighbour.
///
/// `FIRST` is the length of the first segment, a power of two.
pub struct Segments<T, const FIRST: usize> {
    heads: [AtomicPtr<T>; SEGMENTS],
    /// Elements are made by any thread, used by all, and dropped by the last.
    owns: PhantomData<*mut T>,
}

// SAFETY: it owns its elements, as a `Box<[T]>` does.
unsafe impl<T: Send, const FIRST: usize> Send for Segments<T, FIRST> {}
// SAFETY: `&T` is handed out, hence `T: Sync`; and what one thread makes through `&self` another
// one drops, hence `T: Send`.
unsafe impl<T: Send + Sync, const FIRST: usize> Sync for Segments<T, FIRST> {}

impl<T, const FIRST: usize> Segments<T, FIRST> {
    /// An array without any element.
    pub fn new() -> Self {
        const { assert!(FIRST.is_power_of_two()) };
        let heads = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { heads, owns: PhantomData }
    }

    /// The element, if its segment has been made.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (segment, offset) = locate::<FIRST>(index);
        // Ordering: Acquire pairs with the Release in `make`: the elements are seen as made.
        let head = self.heads.get(segment)?.load(Ordering::Acquire);
        if head.is_null() {
            return None;
        }
        // SAFETY: a head that is not null points to `FIRST << segment` elements; `offset` is less.
        let element = unsafe { head.add(offset) };
        // SAFETY: [1] the Acquire shows the element as made; [2] it is freed by `drop` alone, which
        // has the array for itself; [3] nobody has an exclusive reference to it.
        Some(unsafe { &*element })
    }

    /// The element; its segment is made first if need be, each element by a call of `make` with its
    /// index. Two threads may both call it, and the elements of one of them are dropped.
    ///
    /// # Panics
    /// If the index is beyond what an array can hold.
    pub fn get_or_make(&self, index: usize, make: impl Fn(usize) -> T) -> &T {
        loop {
            if let Some(element) = self.get(index) {
                return element;
            }
            self.make(locate::<FIRST>(index).0, &make);
        }
    }

    #[cold]
    fn make(&self, segment: usize, make: impl Fn(usize) -> T) {
        let head = &self.heads[segment];
        let elements: Box<[T]> = indices::<FIRST>(segment).map(make).collect();
        let mine = Box::into_raw(elements);
        // Ordering: Release: whoever finds the segment finds its elements made. Relaxed on failure:
        // what the other one made is acquired by `get`.
        let offered = head.compare_exchange(
            ptr::null_mut(),
            mine.cast(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        if offered.is_err() {
            // SAFETY: it comes from `into_raw` above, and was not published.
            drop(unsafe { Box::from_raw(mine) });
        }
    }

    /// Every element that has been made, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..SEGMENTS)
            .map(indices::<FIRST>)
            .filter(|segment| self.get(segment.start).is_some())
            .flatten()
            .filter_map(|index| self.get(index))
    }
}

/// The segment that an index falls into, and its place there.
#[inline]
const fn locate<const FIRST: usize>(index: usize) -> (usize, usize) {
    let segment = (index / FIRST + 1).ilog2();
    (segment as usize, index - FIRST * ((1 << segment) - 1))
}

/// The indices of a segment's elements.
fn indices<const FIRST: usize>(segment: usize) -> std::ops::Range<usize> {
    FIRST * ((1 << segment) - 1)..FIRST * ((2 << segment) - 1)
}

impl<T, const FIRST: usize> Default for Segments<T, FIRST> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const FIRST: usize> Drop for Segments<T, FIRST> {
    fn drop(&mut self) {
        for (segment, head) in self.heads.iter().enumerate() {
            // Ordering: Relaxed. Whoever drops the array comes after all who used it.
            let head = head.load(Ordering::Relaxed);
            if !head.is_null() {
                let elements = ptr::slice_from_raw_parts_mut(head, FIRST << segment);
                // SAFETY: it was published by `make`, with this length; nobody else has it now.
                drop(unsafe { Box::from_raw(elements) });
            }
        }
    }
}

impl<T: fmt::Debug, const FIRST: usize> fmt::Debug for Segments<T, FIRST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
