//! The one door to atomics, shared cells, queues and wakers.
//!
//! Everything in `lockfree` is written against this module and nothing else, so that the very
//! same source is compiled twice: with `core` and crossbeam in production, and with loom's models
//! under `--cfg evenkeel_loom`, where loom explores the interleavings and memory orderings.
//!
//! A private cfg name is used because plain `--cfg loom` is global and breaks crates that have
//! loom support of their own.

#[cfg(not(evenkeel_loom))]
pub use self::real::*;

#[cfg(evenkeel_loom)]
pub use self::model::*;

pub use std::sync::atomic::Ordering;

#[cfg(not(evenkeel_loom))]
mod real {
    pub use std::hint::spin_loop;
    pub use std::sync::Arc;
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

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
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
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

#[cfg(evenkeel_loom)]
mod model {
    use std::collections::VecDeque;
    use std::ops::Deref;

    /// Not modelled, and so not for `lockfree`: the free list of buffers above it uses it.
    pub use crossbeam_queue::ArrayQueue;
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::Arc;
    pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
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

    /// The linearizable FIFO that `crossbeam_queue::SegQueue` promises to be. crossbeam-queue has
    /// no loom support: what is proved here is proved on the assumption that it keeps its promise.
    #[derive(Debug)]
    pub struct Queue<T>(loom::sync::Mutex<VecDeque<T>>);

    impl<T> Default for Queue<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> Queue<T> {
        pub fn new() -> Self {
            Self(loom::sync::Mutex::new(VecDeque::new()))
        }

        pub fn push(&self, value: T) {
            self.0.lock().unwrap().push_back(value);
        }

        pub fn pop(&self) -> Option<T> {
            self.0.lock().unwrap().pop_front()
        }

        pub fn len(&self) -> usize {
            self.0.lock().unwrap().len()
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
