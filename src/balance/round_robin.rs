//! Turns: a number that goes up, shared by all threads.

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// A cursor. It outlives changes of the set of servers, so that they begin nothing anew: a server
/// that leaves or returns shifts the others' turns by one at most.
#[derive(Debug)]
pub(super) struct Turns {
    next: CachePadded<AtomicU64>,
}

impl Turns {
    /// Begins at `first`: pools that start together should not all ask the same server first.
    pub(super) fn new(first: u64) -> Self {
        Self { next: CachePadded::new(AtomicU64::new(first)) }
    }

    /// The next turn, which is nobody else's.
    #[inline]
    pub(super) fn take(&self) -> u64 {
        // Ordering: Relaxed. The turns guard no memory; being read-modify-writes, none is lost.
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The turn that comes next, and then is still to come.
    pub(super) fn peek(&self) -> u64 {
        // Ordering: Relaxed, as above.
        self.next.load(Ordering::Relaxed)
    }
}
