//! Those who wait: one node each, and what they are given. (The line they stand in: `line`.)
//!
//! # A node
//!
//! A node is shared by the waiter and by whoever serves the line. Its state only moves on:
//!
//! ```text
//! WAITING ──► GRANTED ──► TAKEN      a grant has been written; the waiter's side takes it
//!    │           └──────► RECLAIMED  it was not taken in time, and went to the next: this one
//!    │                    │    │     waits again
//!    │                    │    └───► GRANTED ──► TAKEN    for good
//!    └────────────────────┴────────► CANCELLED   the waiter has gone; the server keeps what it
//!                                                meant to give
//! ```
//!
//! Each move is a compare-and-swap, so that of two that compete exactly one happens. While the
//! state is WAITING or RECLAIMED, and after CANCELLED, the grant cell belongs to the line's owner.
//! From GRANTED on it belongs to whoever moves the state on: to TAKEN, on the waiter's side, where
//! there may be two who try, the place in line and the permit of one who dials; or to RECLAIMED,
//! the line's owner, to whom the cell returns. So nothing is lost and nothing is had twice, in any
//! order.
//!
//! # Reclaiming
//!
//! A task that is woken is not always polled: its future stands aside in a `select`, or its thread
//! is stuck. What it was granted would be lost to all the others meanwhile. So the line's owner may
//! take a grant back, once: the waiter who lost one stands in line again, and keeps the second for
//! as long as it likes. It is woken once for each of the two, at most.

#![expect(unsafe_code, reason = "the grant cell's owner follows from the node's state")]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::thread;

use super::idle::Parked;
use crate::sync::{AtomicU32, Ordering, TaskCell, UnsafeCell};

const WAITING: u32 = 0;
const GRANTED: u32 = 1;
const CANCELLED: u32 = 2;
const TAKEN: u32 = 3;
const RECLAIMED: u32 = 4;

/// How many priority classes there are.
pub const CLASSES: usize = 8;

/// What a waiter is given.
#[derive(Debug)]
pub enum Grant<T> {
    /// A connection, and its cell.
    Connection(Parked<T>),
    /// The right to open one: counted as open and as connecting already.
    Permit,
    /// The server is closed.
    Closed,
    /// It has no place in line: all are taken by callers who come before it.
    Refused,
    /// It had a place, which a caller of a higher class has now.
    Shed,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A connection or a permit; of this class.
    Anything {
        /// Below [`CLASSES`]; higher is sooner.
        class: u8,
    },
    /// A connection: it holds a permit already, and is dialling.
    Connection,
}

/// One who waits.
pub struct Node<T> {
    /// WAITING, GRANTED, TAKEN, RECLAIMED or CANCELLED.
    state: AtomicU32,
    /// Owned as the module's text says.
    grant: UnsafeCell<Option<Grant<T>>>,
    task: TaskCell,
    wants: Wants,
    /// Whether it entered the line although all places were taken.
    pub(super) guest: bool,
}

// SAFETY: the grant cell has one owner at a time, handed over by the compare-and-swaps on `state`;
// a grant only ever moves between threads.
unsafe impl<T: Send> Send for Node<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Node<T> {}

impl<T> Node<T> {
    /// A node that waits.
    pub fn new(wants: Wants) -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            grant: UnsafeCell::new(None),
            task: TaskCell::new(),
            wants,
            guest: false,
        }
    }

    /// A node that waits although all places were taken.
    pub(super) fn guest(wants: Wants) -> Self {
        Self { guest: true, ..Self::new(wants) }
    }

    /// What it waits for.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// The waiter's look, on each poll. The task is registered *before* the state is read: a grant
    /// in between then either is seen here or wakes the task.
    pub fn poll(&self, waker: &Waker) -> Option<Grant<T>> {
        self.task.register(waker);
        self.take()
    }

    /// Takes what has been granted, if anything has, and nobody else has taken it.
    fn take(&self) -> Option<Grant<T>> {
        // Ordering: Acquire pairs with the Release in `give`: the grant is written. A failure says
        // that there is nothing to read.
        self.state.compare_exchange(GRANTED, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
        self.taken()
    }

    /// The waiter goes. If it had been given something, that comes back, to be handed on.
    pub fn cancel(&self) -> Result<(), Option<Grant<T>>> {
        // Ordering: Relaxed. A guess; the compare-and-swap confirms it.
        let mut seen = self.state.load(Ordering::Relaxed);
        // Ends: the state only moves on.
        loop {
            let next = match seen {
                WAITING | RECLAIMED => CANCELLED,
                GRANTED => TAKEN,
                _ => return Err(None),
            };
            // Ordering: Acquire pairs with the Release in `give`, as in `take`; and with the one in
            // `reclaim`: we are counted as waiting again before we are counted off. Release: who
            // sees us gone sees that we are leaving (`Gate::leave`).
            let moved =
                self.state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed);
            match moved {
                Ok(GRANTED) => return Err(self.taken()),
                Ok(_) => {
                    // The waker must not live on in a node that waits to be swept.
                    drop(self.task.take());
                    return Ok(());
                }
                Err(now) => seen = now,
            }
        }
    }

    /// What had been granted, once the state is TAKEN by us.
    fn taken(&self) -> Option<Grant<T>> {
        // The node may live on for a while in the list of grants; the waker must not.
        drop(self.task.take());
        self.take_grant()
    }

    fn take_grant(&self) -> Option<Grant<T>> {
        // SAFETY: the cell is ours: we moved the state away from GRANTED, or we are the line's
        // owner and the waiter has gone.
        self.grant.with_mut(|grant| unsafe { (*grant).take() })
    }

    /// Gives the waiter something, or hands it back if the waiter has gone. The caller owns the
    /// line and has taken the node out of it. The waker is to be woken later.
    pub(super) fn give(&self, grant: Grant<T>) -> Result<Given, Grant<T>> {
        self.grant.with_mut(|cell| {
            // SAFETY: until the state leaves WAITING or RECLAIMED the cell belongs to the line's
            // owner, and after CANCELLED too.
            unsafe { *cell = Some(grant) };
        });
        // Ordering: Relaxed. Only owners of the line reclaim, and one shows the next what it did.
        let again = self.state.load(Ordering::Relaxed) == RECLAIMED;
        let from = if again { RECLAIMED } else { WAITING };
        // Ordering: Release publishes the grant to the waiter's Acquire. Nothing is read on
        // success; on failure the cell is still ours, and Acquire is for those who count: see
        // `is_gone`.
        let moved =
            self.state.compare_exchange(from, GRANTED, Ordering::Release, Ordering::Acquire);
        match moved {
            Ok(_) => Ok(Given { waker: self.task.take(), again }),
            Err(_) => match self.take_grant() {
                Some(grant) => Err(grant),
                None => Ok(Given { waker: None, again }),
            },
        }
    }

    /// Takes back what was given and not taken, if it still is not. The waiter then waits again;
    /// the caller, who owns the line, has counted it before and puts it back into the line.
    pub(super) fn reclaim(&self) -> Option<Grant<T>> {
        // Ordering: Release: a waiter that leaves now counts itself off after our count. Nothing
        // is read that the waiter wrote: the grant was written by an owner of the line.
        self.state
            .compare_exchange(GRANTED, RECLAIMED, Ordering::Release, Ordering::Relaxed)
            .ok()?;
        self.take_grant()
    }

    /// Its task, to be woken though nothing is given: the task then looks again, and registers
    /// again before it does.
    pub(super) fn rouse(&self) -> Option<Waker> {
        self.task.take()
    }

    /// Whether it has been given something that it has not taken. A hint for the line's owner.
    pub(super) fn is_granted(&self) -> bool {
        // Ordering: Relaxed. Whoever acts on it does so by compare-and-swap.
        self.state.load(Ordering::Relaxed) == GRANTED
    }

    /// Whether it has been given nothing so far, and has not gone. A hint, as above.
    pub(super) fn is_waiting(&self) -> bool {
        // Ordering: Relaxed, as above.
        self.state.load(Ordering::Relaxed) == WAITING
    }

    pub(super) fn is_gone(&self) -> bool {
        // Ordering: Acquire: one that has gone is seen to be leaving, if it is still counted.
        // CANCELLED is final; seeing it late costs one failed grant.
        self.state.load(Ordering::Acquire) == CANCELLED
    }
}

/// A grant has been given.
pub(super) struct Given {
    /// Of the task to be woken.
    pub(super) waker: Option<Waker>,
    /// Whether the waiter had lost one before: then it keeps this one.
    pub(super) again: bool,
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("wants", &self.wants).finish_non_exhaustive()
    }
}

/// Wakers to be called once the line has been let go: a waker is foreign code, which may come
/// back into the pool, or panic. Whatever it does, the others are woken too.
#[derive(Default)]
pub(super) struct Woken {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Woken {
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        if self.first.is_none() {
            self.first = waker;
        } else {
            self.rest.extend(waker);
        }
    }

    fn next(&mut self) -> Option<Waker> {
        self.first.take().or_else(|| self.rest.pop())
    }

    /// Calls them all; the first panic is returned when all have been called.
    pub(super) fn wake(mut self) -> thread::Result<()> {
        let mut first = Ok(());
        while let Some(waker) = self.next() {
            first = first.and(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
        first
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
