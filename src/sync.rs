//! The one door to atomics, shared cells, queues and wakers.
//!
//! Everything in `lockfree` is written against this module and nothing else, so that the very
//! same source is compiled twice: with `core` and crossbeam in production, and with loom's models
//! under `--cfg evenkeel_loom`, where loom explores the interleavings and memory orderings.
//!
//! With `--cfg evenkeel_shuttle` on top the types are the real ones again, but for the atomics,
//! which are shuttle's: a scheduler chooses at each of them which thread goes on. It knows no
//! memory orderings and explores nothing to the end, but takes as many threads as one likes.
//!
//! Private cfg names are used because plain `--cfg loom` is global and breaks crates that have
//! loom support of their own.
#![cfg_attr(
    not(evenkeel_loom),
    allow(
        unreachable_pub,
        reason = "the models are a crate of their own: there all this is public"
    )
)]

#[cfg(any(not(evenkeel_loom), evenkeel_shuttle))]
pub use self::real::*;

#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
pub use self::model::*;

pub use std::sync::atomic::Ordering;

#[cfg(any(not(evenkeel_loom), evenkeel_shuttle))]
mod real {
    pub use std::sync::Arc;

    #[cfg(evenkeel_shuttle)]
    use shuttle as threads;
    #[cfg(not(evenkeel_shuttle))]
    use std as threads;

    pub use threads::hint::spin_loop;
    pub use threads::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

    pub use crossbeam_queue::{ArrayQueue, SegQueue as Queue};
    pub use crossbeam_utils::CachePadded;

    /// A cell in loom's dialect: access goes through a closure, so that the model can see it.
    #[derive(Debug, Default)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// `atomic_waker::AtomicWaker` under the names that the model has too.
    #[derive(Debug, Default)]
    pub struct TaskCell(atomic_waker::AtomicWaker);

    impl TaskCell {
        pub const fn new() -> Self {
            Self(atomic_waker::AtomicWaker::new())
        }

        #[inline]
        pub fn register(&self, waker: &std::task::Waker) {
            self.0.register(waker);
        }

        #[inline]
        pub fn wake(&self) {
            self.0.wake();
        }

        #[inline]
        pub fn take(&self) -> Option<std::task::Waker> {
            self.0.take()
        }
    }
}

#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
#[expect(clippy::disallowed_types, reason = "the state of a model, which is no hot path")]
#[expect(clippy::unwrap_used, reason = "a poisoned model has failed already")]
mod model {
    use std::collections::VecDeque;
    use std::ops::Deref;
    use std::sync::Mutex;

    use loom::sync::atomic::fence;

    use super::Ordering::{Acquire, Relaxed, Release};

    pub use loom::cell::UnsafeCell;
    pub use loom::sync::Arc;
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    pub use loom::thread::yield_now as spin_loop;

    /// Padding has no meaning in a model.
    #[derive(Debug, Default)]
    pub struct CachePadded<T>(T);

    impl<T> CachePadded<T> {
        pub fn new(value: T) -> Self {
            Self(value)
        }
    }

    impl<T> Deref for CachePadded<T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// What is asked of `crossbeam_queue::SegQueue`, and no more: crossbeam-queue has no loom
    /// support, so what is proved here is proved on the assumption that it keeps this promise.
    ///
    /// - Items come out in the order in which they became visible, each once.
    /// - What the pusher did before the push, the popper sees after the pop.
    /// - A push that *happens before* a pop is seen by it. One that merely came earlier in time may
    ///   be missed: `pop` may say `None` and `len` may be too small. And `None` tells nothing
    ///   about what the pushers that come later will see.
    ///
    /// A mutex around a `VecDeque` would promise more than that (it orders a `None` before the
    /// next push), and would hide the bugs of code that relies on it.
    #[derive(Debug)]
    pub struct Queue<T> {
        /// Pushes so far, as the one word on which loom switches threads and tries stale values. A
        /// popper that reads n has what the first n pushers did before; one that reads an older
        /// number has less, and loom tries that too.
        pushed: AtomicUsize,
        /// Never locked across a point where loom switches: each operation is one step.
        items: Mutex<Items<T>>,
    }

    #[derive(Debug)]
    struct Items<T> {
        queue: VecDeque<T>,
        popped: usize,
    }

    impl<T> Default for Queue<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> Queue<T> {
        pub fn new() -> Self {
            let items = Items { queue: VecDeque::new(), popped: 0 };
            Self { pushed: AtomicUsize::new(0), items: Mutex::new(items) }
        }

        pub fn push(&self, value: T) {
            self.pushed.fetch_add(1, Release);
            self.items.lock().unwrap().queue.push_back(value);
        }

        pub fn pop(&self) -> Option<T> {
            let pushed = self.pushed.load(Relaxed);
            let value = {
                let mut items = self.items.lock().unwrap();
                if pushed <= items.popped {
                    return None;
                }
                items.popped += 1;
                items.queue.pop_front()?
            };
            // Not before: `None` carries nothing over.
            fence(Acquire);
            Some(value)
        }

        pub fn len(&self) -> usize {
            self.pushed.load(Relaxed).saturating_sub(self.items.lock().unwrap().popped)
        }

        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    /// loom's own model of an atomic waker.
    #[derive(Debug)]
    pub struct TaskCell(loom::future::AtomicWaker);

    impl Default for TaskCell {
        fn default() -> Self {
            Self::new()
        }
    }

    impl TaskCell {
        pub fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        pub fn wake(&self) {
            self.0.wake();
        }

        pub fn take(&self) -> Option<std::task::Waker> {
            self.0.take_waker()
        }
    }
}
