//! Open, draining, closed: and a way to wait for it, or for anything else that ends.
//!
//! Two kinds of things are waited for when a pool goes down: a state (the background tasks end
//! when it drains) and a condition that is kept elsewhere (no connection is left). Both are
//! watched in one place. Whoever makes a condition true calls [`Lifecycle::notify`] *afterwards*;
//! a change of state notifies by itself.
//!
//! *Watcher against notifier.* A watcher looks, registers, raises the WATCHED flag in the word,
//! and looks **again**. A notifier changes the condition, takes the flag down, and, if it was up,
//! wakes all that are registered. Both touch the flag with a read-modify-write, so one comes
//! first. If the notifier does, the watcher's second look sees the change; if the watcher does,
//! the notifier finds the flag and the registration. Leave out the second look, and
//! `lifecycle.rs::a_notification_races_a_watcher` in `loom-tests` sleeps for ever.
//!
//! *Notifier against notifier.* The second may find the flag down, or the queue empty, because the
//! first has taken the watcher into its hand and not woken it yet. That watcher *will* be woken,
//! and before it sleeps again it touches the flag: if after the second notifier, its last look
//! sees the second's change; if before, the second finds the flag up and the node in the queue.
//!
//! *Notifier against its own wakers.* A waker may run the task on the spot, and the task may
//! register again at once. A notifier therefore wakes as many as were registered when it looked,
//! not until nobody is left: the queue is first in first out, so those are all of the old ones,
//! and those that come meanwhile have looked after the change.
//!
//! *Garbage.* The queue cannot give up a node from its middle, so a watcher that is dropped leaves
//! its node behind, without its waker. It is not lost: it goes to the `vacant` ones, and the next
//! watcher moves in before a new node is ever made. So there are never more nodes than there have
//! been watchers alive at one time.
//!
//! What is *not* promised: who is woken first; that a woken watcher finds its condition true (it
//! looks, and goes on waiting); and that waiting is lock-free in the strict sense: a notifier that
//! is stopped by the scheduler in the middle of its round delays those it was about to wake.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Poll};

use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::{Arc, AtomicBool, AtomicU32, Queue, TaskCell};

const DRAINING: u32 = 1;
const CLOSED: u32 = 1 << 1;
const WATCHED: u32 = 1 << 2;

/// How far down it has gone. It never goes back up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In service.
    Open,
    /// No new work; what has begun may end.
    Draining,
    /// No work at all.
    Closed,
}

impl State {
    fn of(word: u32) -> Self {
        if word & CLOSED != 0 {
            Self::Closed
        } else if word & DRAINING != 0 {
            Self::Draining
        } else {
            Self::Open
        }
    }
}

/// A state that only goes down, and those who watch it: see the module.
#[derive(Debug)]
pub struct Lifecycle {
    /// DRAINING | CLOSED | WATCHED. Each is a bit of its own, so that every step is one RMW that
    /// cannot fail, and whoever finds the bit new is the one who took the step. WATCHED is up if a
    /// watcher may be asleep that no notifier has taken upon itself.
    word: AtomicU32,
    /// Nodes to be woken at the next notification; some of them vacant.
    watching: Queue<Arc<Node>>,
    /// Nodes without a watcher; some of them still in `watching`.
    vacant: Queue<Arc<Node>>,
}

/// A place in the queue, of one watcher at a time.
#[derive(Debug, Default)]
struct Node {
    waker: TaskCell,
    /// Set by the owner before it pushes the node, cleared by the notifier that has popped it. The
    /// owner pushes it only when it finds this clear, so it is never in the queue twice.
    queued: AtomicBool,
}

impl Lifecycle {
    /// Open, and unwatched.
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0), watching: Queue::new(), vacant: Queue::new() }
    }

    /// Where it stands. What was done before the step to this state is visible to whoever sees it.
    #[inline]
    pub fn state(&self) -> State {
        // Ordering: Acquire pairs with the Release half of `step`.
        State::of(self.word.load(Acquire))
    }

    /// Whether it is in service: one load.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// Starts to drain. `true` for the one caller who made that step: it is not made twice, nor
    /// after [`close`](Self::close).
    ///
    /// # Panics
    /// As [`notify`](Self::notify).
    pub fn drain(&self) -> bool {
        self.step(DRAINING)
    }

    /// Closes. `true` for the one caller who made that step.
    ///
    /// # Panics
    /// As [`notify`](Self::notify).
    pub fn close(&self) -> bool {
        self.step(CLOSED)
    }

    fn step(&self, to: u32) -> bool {
        // Ordering: AcqRel. Release publishes what the caller did before to all who see the bit;
        // Acquire shows what the maker of the step did to a caller who comes too late.
        let before = self.word.fetch_or(to, AcqRel);
        // A step to where it is already, or back up, is none.
        let stepped = before & (CLOSED | to) == 0;
        if stepped {
            self.notify();
        }
        stepped
    }

    /// Wakes all who watch, to look at their conditions again. One RMW if nobody does.
    ///
    /// What the caller did before, they see.
    ///
    /// # Panics
    /// If a waker panics. All the others have been woken by then.
    pub fn notify(&self) {
        // Ordering: AcqRel. Release: a watcher whose RMW comes later looks after it and sees what
        // our caller changed. Acquire: of a watcher whose RMW came before, we see the node.
        if self.word.fetch_and(!WATCHED, AcqRel) & WATCHED == 0 {
            return;
        }
        let mut panic = None;
        for _ in 0..self.watching.len() {
            // Empty: another notifier was faster, and wakes what it took.
            let Some(node) = self.watching.pop() else {
                break;
            };
            panic = node.wake().err().or(panic);
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// A watcher, for one task at a time. Costs nothing until it has to wait.
    pub fn watch(&self) -> Watcher<'_> {
        Watcher { lifecycle: self, node: None }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// Wakes the owner, if there is one, after the node has been popped.
    fn wake(&self) -> Result<(), Box<dyn Any + Send>> {
        // Ordering: Relaxed, and *before* the wake. The owner registers its waker and then looks at
        // this mark; we clear the mark and then wake. That is what a task cell is made for: either
        // the wake finds the waker, or the look finds the mark clear and the owner pushes again.
        self.queued.store(false, Relaxed);
        // A waker is foreign code. Its panic must not cost the others their wake-up.
        catch_unwind(AssertUnwindSafe(|| self.waker.wake()))
    }
}

/// Waits on a [`Lifecycle`].
pub struct Watcher<'a> {
    lifecycle: &'a Lifecycle,
    /// None until it first has to wait.
    node: Option<Arc<Node>>,
}

impl Watcher<'_> {
    /// Ready once `done` is true of the state and of whatever else it looks at.
    ///
    /// `done` is asked again after each step of the state and each [`notify`](Lifecycle::notify),
    /// and sees what was done before them, by whatever kind of read. It is asked up to twice in
    /// one poll. The waker of the last poll is the one that is woken.
    pub fn poll_until(
        &mut self,
        cx: &Context<'_>,
        mut done: impl FnMut(State) -> bool,
    ) -> Poll<()> {
        let lifecycle = self.lifecycle;
        if done(lifecycle.state()) {
            return Poll::Ready(());
        }
        let node = self.node.get_or_insert_with(|| lifecycle.vacant.pop().unwrap_or_default());
        node.waker.register(cx.waker());
        // Ordering: Relaxed, and *after* `register`: see `Node::wake`.
        if !node.queued.load(Relaxed) {
            // Ordering: Relaxed. Only the owner sets the mark, so nobody comes between the look
            // and this; and the push takes it to the notifier who will clear it.
            node.queued.store(true, Relaxed);
            lifecycle.watching.push(Arc::clone(node));
        }
        // Ordering: AcqRel pairs with the RMW in `notify`. Release shows our node to a notifier
        // that comes later; Acquire shows us the change of one that came before.
        let word = lifecycle.word.fetch_or(WATCHED, AcqRel);
        if done(State::of(word)) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            // The waker may hold a whole task alive, and nobody knows for how long the node stays
            // empty.
            let waker = node.waker.take();
            self.lifecycle.vacant.push(node);
            // Last, since dropping it is foreign code.
            drop(waker);
        }
    }
}

impl fmt::Debug for Watcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("waiting", &self.node.is_some()).finish()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
