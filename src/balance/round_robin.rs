//! Turns: a number that goes up, shared by all threads.

use std::cell::{Cell, RefCell};

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// How far a look ahead has gone: so many turns and throws have been seen that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    turns: Cell<u64>,
    throws: Cell<u64>,
    /// The places of the servers whose loads have been compared.
    compared: RefCell<Vec<usize>>,
}

impl Ahead {
    /// Notes that a server's load is looked at.
    pub(crate) fn compare(&self, at: usize) {
        self.compared.borrow_mut().push(at);
    }

    /// Whose load has been looked at.
    pub(crate) fn compared(&self) -> Vec<usize> {
        self.compared.borrow().clone()
    }

    fn turn(&self) -> u64 {
        self.turns.replace(self.turns.get().wrapping_add(1))
    }

    pub(super) fn throw(&self) -> u64 {
        self.throws.replace(self.throws.get().wrapping_add(1))
    }
}

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

    /// The next turn, which is nobody else's; in a look ahead, the one that would be.
    #[inline]
    pub(super) fn next(&self, ahead: Option<&Ahead>) -> u64 {
        match ahead {
            // Ordering: Relaxed. The turns guard no memory; being read-modify-writes, none is lost.
            None => self.next.fetch_add(1, Ordering::Relaxed),
            // Ordering: Relaxed, as above.
            Some(ahead) => self.next.load(Ordering::Relaxed).wrapping_add(ahead.turn()),
        }
    }
}
