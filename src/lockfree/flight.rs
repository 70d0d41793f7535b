//! A future that many wait for, and that belongs to none of them.
//!
//! Whoever is polled takes the future out of its place, polls it, and puts it back. So it goes on
//! as long as anybody who waits is polled, whoever that is, and one who is dropped takes nothing
//! with it. The future is polled with a waker of its own, the bell, which wakes all who wait. One
//! that everybody has left stays in its place, for the next who comes.
//!
//! *Waiter against waker.* A waiter registers with the bell, and then looks: is there an answer, or
//! something in the place? A waker changes what the future looks at, and then rings.
//!
//! *Waiter against one who polls.* A waiter that finds the place empty though there is a future
//! sleeps: another has it in hand at this moment. That one either ends it, which rings once its
//! output has been published; or puts it back. A ring that came while it was in hand may have woken
//! a waiter who found the place empty, and whom nobody wakes again. So each ring leaves a mark, and
//! whoever puts the future back takes the mark off *after* that, and rings again if it was there.
//! Both are read-modify-writes on one flag: if the mark comes later, then the ring that follows it
//! wakes a waiter who finds the future in its place. Leave out the second ring, and
//! `flight.rs::a_wake_comes_while_another_polls` in `loom-tests` sleeps for ever.
//!
//! *One future after another.* A future is begun by whoever moves the flag from "none", and the
//! flag moves back only after the output has been published: so whoever begins one sees the answers
//! of all before it, and should look at them once more, in [`begin`](Flight::begin).
//!
//! What is *not* promised: a thread that stalls while it has the future in hand holds up all who
//! wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
// Not the one of `sync`: a waker is made of this one, and its count is no part of the protocol.
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::lifecycle::{Lifecycle, Watcher};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use crate::sync::{AtomicBool, Queue};

/// A place for one future at a time: see the module.
pub struct Flight<F> {
    /// Whether there is a future: in its place, or in the hand of one who polls it.
    is_there: AtomicBool,
    place: Queue<F>,
    bell: Arc<Bell>,
}

/// Wakes all who wait. Not a part of the flight itself: the future holds it, and the flight holds
/// the future.
#[derive(Debug, Default)]
struct Bell {
    watched: Lifecycle,
    rang: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: AcqRel, and a read-modify-write. Release: whoever takes the mark off sees what
        // this wake is about. Acquire: if it was taken off before, the future is in its place for
        // those whom we wake now.
        self.rang.swap(true, AcqRel);
        self.watched.notify();
    }
}

/// What came of a look at the future.
pub enum Progress<'a, F: Future + Unpin> {
    /// There is nothing in its place: no future, or one that another polls.
    Absent,
    /// It has not ended.
    Pending,
    /// It has ended, and nobody has been told.
    Ended(F::Output, Ended<'a>),
}

impl<F: Future + Unpin> Flight<F> {
    /// An empty place.
    pub fn new() -> Self {
        Self { is_there: AtomicBool::new(false), place: Queue::new(), bell: Arc::default() }
    }

    /// Puts what `make` makes into the place, if there is no future, and if `make` makes one.
    /// Whether it did.
    pub fn begin(&self, make: impl FnOnce() -> Option<F>) -> bool {
        // Ordering: Acquire pairs with the Release in `Ended`: what was published before is visible
        // to `make`.
        if self.is_there.swap(true, Acquire) {
            return false;
        }
        let ended = Ended { is_there: &self.is_there, bell: &self.bell };
        let Some(future) = make() else {
            return false;
        };
        std::mem::forget(ended);
        self.place.push(future);
        true
    }

    /// Polls the future, if it is in its place. Who waits for it has registered before, by
    /// [`watch`](Self::watch).
    pub fn poll(&self) -> Progress<'_, F> {
        let Some(mut future) = self.place.pop() else {
            return Progress::Absent;
        };
        // If the future panics it is over, and all are told.
        let ended = Ended { is_there: &self.is_there, bell: &self.bell };
        // Ordering: AcqRel. Acquire: the poll sees what the ring was about whose mark this takes
        // off. Release: a later ring comes after it.
        self.bell.rang.swap(false, AcqRel);
        let waker = Waker::from(self.bell.clone());
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Progress::Ended(output, ended),
            Poll::Pending => {
                std::mem::forget(ended);
                self.place.push(future);
                // Ordering: AcqRel, and a read-modify-write: see the module, and `wake_by_ref`.
                if self.bell.rang.swap(false, AcqRel) {
                    self.bell.watched.notify();
                }
                Progress::Pending
            }
        }
    }

    /// Takes the future out, if it is in its place, and tells all who wait that there is none.
    pub fn abandon(&self) -> Option<F> {
        let future = self.place.pop()?;
        drop(Ended { is_there: &self.is_there, bell: &self.bell });
        Some(future)
    }

    /// For one who waits. To be polled until what it waits for is there, and to call
    /// [`poll`](Self::poll) and [`begin`](Self::begin) in each look.
    pub fn watch(&self) -> Watcher<'_> {
        self.bell.watched.watch()
    }
}

/// The end of a future. Its output is to be published before this is dropped, which tells all.
pub struct Ended<'a> {
    is_there: &'a AtomicBool,
    bell: &'a Bell,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire in `begin`.
        self.is_there.store(false, Release);
        self.bell.watched.notify();
    }
}

impl<F: Future + Unpin> Default for Flight<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> fmt::Debug for Flight<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("bell", &self.bell).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ended")
    }
}

impl<F: Future + Unpin> fmt::Debug for Progress<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Pending => "Pending",
            Self::Ended(..) => "Ended",
        })
    }
}
