//! Those who wait: one node each, and the line they stand in.
//!
//! # A node
//!
//! A node is shared by the waiter and by whoever serves the line. Its state only moves on:
//!
//! ```text
//! WAITING ──► GRANTED ──► TAKEN   a grant has been written; one on the waiter's side takes it
//!    └──────► CANCELLED           the waiter has gone; the server keeps what it meant to give
//! ```
//!
//! The moves from WAITING are compare-and-swaps, so exactly one happens. Before it, the grant cell
//! belongs to the one who serves; after CANCELLED it stays with the one who serves, who takes the
//! grant back. After GRANTED it belongs to whoever moves it to TAKEN: on the waiter's side there
//! may be two who try, the place in line and the permit of one who dials. Nothing is lost in any
//! order.
//!
//! # The line
//!
//! The line is plain data: it has one owner at a time (see `gate`). Diallers, who hold a permit
//! and are opening a connection, stand before the others and want only a connection; the others
//! stand in eight classes, first come first served in each, a higher class before a lower one.
//! Every sixteenth grant goes to the lowest class that has somebody, so that none starves.
//!
//! # Bounds
//!
//! A cancelled node stays in line until somebody comes past. Once more than `SWEEP` nodes have
//! been cancelled, and more than are alive, the next owner of the line sweeps them out: the line
//! never holds more than twice the living plus `SWEEP`, and each cancel pays for one removal.

#![expect(unsafe_code, reason = "the grant cell's owner follows from the node's state")]

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::thread;

use super::idle::Parked;
use crate::sync::{Arc, AtomicU32, Ordering, TaskCell, UnsafeCell};

const WAITING: u32 = 0;
const GRANTED: u32 = 1;
const CANCELLED: u32 = 2;
const TAKEN: u32 = 3;

/// How many priority classes there are.
pub const CLASSES: usize = 8;
/// Every so many grants one goes to the lowest class.
const GUARD: u32 = 16;
/// How many cancelled nodes a short line may hold.
pub const SWEEP: usize = if cfg!(evenkeel_loom) { 1 } else { 32 };

/// What a waiter is given.
#[derive(Debug)]
pub enum Grant<T> {
    /// A connection, and its cell.
    Connection(Parked<T>),
    /// The right to open one: counted as open and as connecting already.
    Permit,
    /// The server is closed.
    Closed,
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
    /// WAITING, GRANTED, TAKEN or CANCELLED.
    state: AtomicU32,
    /// Owned as the module's text says.
    grant: UnsafeCell<Option<Grant<T>>>,
    task: TaskCell,
    wants: Wants,
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
        }
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
        self.take_grant()
    }

    /// The waiter goes. If it had been given something, that comes back, to be handed on.
    pub fn cancel(&self) -> Result<(), Option<Grant<T>>> {
        // Ordering: Relaxed: nothing of ours is published; the grant cell was never ours. On
        // failure `take` looks again.
        let moved =
            self.state.compare_exchange(WAITING, CANCELLED, Ordering::Relaxed, Ordering::Relaxed);
        match moved {
            Ok(_) => {
                // The waker must not live on in a node that waits to be swept.
                drop(self.task.take());
                Ok(())
            }
            Err(_) => Err(self.take()),
        }
    }

    fn take_grant(&self) -> Option<Grant<T>> {
        // SAFETY: the cell is ours: we moved the state to TAKEN, or we are the line's owner and the
        // waiter has gone.
        self.grant.with_mut(|grant| unsafe { (*grant).take() })
    }

    /// Gives the waiter something, or hands it back if the waiter has gone. The caller owns the
    /// line and has taken the node out of it. The waker is to be woken later.
    fn give(&self, grant: Grant<T>) -> Result<Option<Waker>, Grant<T>> {
        self.grant.with_mut(|cell| {
            // SAFETY: until the state leaves WAITING the cell belongs to the line's owner, and
            // after CANCELLED too.
            unsafe { *cell = Some(grant) };
        });
        // Ordering: Release publishes the grant to the waiter's Acquire. Nothing is read on
        // success; on failure the cell is still ours.
        let moved =
            self.state.compare_exchange(WAITING, GRANTED, Ordering::Release, Ordering::Relaxed);
        match moved {
            Ok(_) => Ok(self.task.take()),
            Err(_) => match self.take_grant() {
                Some(grant) => Err(grant),
                None => Ok(None),
            },
        }
    }

    /// Whether nothing has been granted so far. For the waiter.
    pub fn is_waiting(&self) -> bool {
        // Ordering: Relaxed. Nothing is read on the strength of it.
        self.state.load(Ordering::Relaxed) == WAITING
    }

    fn is_gone(&self) -> bool {
        // Ordering: Relaxed. CANCELLED is final; seeing it late costs one failed grant.
        self.state.load(Ordering::Relaxed) == CANCELLED
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("wants", &self.wants).finish_non_exhaustive()
    }
}

/// The line: nodes in the order in which they are to be served. Plain data.
pub(super) struct Line<T> {
    diallers: VecDeque<Arc<Node<T>>>,
    classes: [VecDeque<Arc<Node<T>>>; CLASSES],
    /// Grants to the classes so far, for the guard against starvation.
    served: u32,
    /// Whether the idle words carry the WAITERS flag.
    pub(super) flagged: bool,
}

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            diallers: VecDeque::new(),
            classes: std::array::from_fn(|_| VecDeque::new()),
            served: 0,
            flagged: false,
        }
    }

    pub(super) fn push(&mut self, node: Arc<Node<T>>) {
        match node.wants() {
            Wants::Connection => self.diallers.push_back(node),
            Wants::Anything { class } => {
                self.classes[usize::from(class).min(CLASSES - 1)].push_back(node);
            }
        }
    }

    /// Whether anybody wants a connection. Nodes at the front that have gone are let go.
    pub(super) fn wants_connection(&mut self) -> bool {
        prune(&mut self.diallers) || self.wants_permit()
    }

    /// Whether anybody wants a permit.
    pub(super) fn wants_permit(&mut self) -> bool {
        // No short cut: each class is to be pruned.
        self.classes.iter_mut().fold(false, |any, class| prune(class) | any)
    }

    /// How many stand in line who dial.
    pub(super) fn diallers(&self) -> u32 {
        let live = self.diallers.iter().filter(|node| !node.is_gone()).count();
        u32::try_from(live).unwrap_or(u32::MAX)
    }

    /// Gives `grant` to the first in line who wants it. Handed back if there is nobody.
    pub(super) fn grant(
        &mut self,
        mut grant: Grant<T>,
        woken: &mut Woken,
    ) -> Result<Wants, Grant<T>> {
        loop {
            let Some(node) = self.next(&grant) else {
                return Err(grant);
            };
            match node.give(grant) {
                Ok(waker) => {
                    woken.push(waker);
                    let wants = node.wants();
                    if let Wants::Anything { .. } = wants {
                        self.served = self.served.wrapping_add(1);
                    }
                    return Ok(wants);
                }
                Err(back) => grant = back,
            }
        }
    }

    fn next(&mut self, grant: &Grant<T>) -> Option<Arc<Node<T>>> {
        if !matches!(grant, Grant::Permit) {
            if let Some(dialler) = self.diallers.pop_front() {
                return Some(dialler);
            }
        }
        let mut classes = self.classes.iter_mut();
        if self.served % GUARD == GUARD - 1 {
            classes.find_map(VecDeque::pop_front)
        } else {
            classes.rev().find_map(VecDeque::pop_front)
        }
    }

    /// Removes every node that has gone.
    pub(super) fn sweep(&mut self) {
        self.diallers.retain(|node| !node.is_gone());
        for class in &mut self.classes {
            class.retain(|node| !node.is_gone());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.diallers.len() + self.classes.iter().map(VecDeque::len).sum::<usize>()
    }
}

/// Lets those at the front go who have gone; whether anybody is left.
fn prune<T>(queue: &mut VecDeque<Arc<Node<T>>>) -> bool {
    while queue.front().is_some_and(|node| node.is_gone()) {
        queue.pop_front();
    }
    !queue.is_empty()
}

/// Wakers to be called once the line has been let go: a waker is foreign code, which may come
/// back into the pool, or panic. Whatever it does, the others are woken too.
#[derive(Default)]
pub(super) struct Woken {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Woken {
    fn push(&mut self, waker: Option<Waker>) {
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
