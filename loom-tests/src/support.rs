use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::model::Builder;

/// Threads, for what is used under shuttle too.
pub mod threads {
    pub use loom::future::block_on;
    pub use loom::sync::Arc;
    pub use loom::thread::{JoinHandle, spawn};
}

/// Explores every execution of `f` with at most `bound` preemptions, or as many as
/// `LOOM_MAX_PREEMPTIONS` says, and prints how many there were.
///
/// # Panics
/// If an execution fails; if there was only one, which shows that `f` has nothing to explore; and
/// if loom was told to stop early, since it would report that as a success.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "how long a model takes is no part of it")]
pub fn model(name: &str, bound: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    assert!(
        builder.max_duration.is_none() && builder.max_permutations.is_none(),
        "LOOM_MAX_DURATION and LOOM_MAX_PERMUTATIONS end a model early and call it a success"
    );
    // Loom's default is too low for a queue and three threads. A model that gets there spins.
    builder.max_branches = 20_000;
    let bound = *builder.preemption_bound.get_or_insert(bound);

    let executions = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    builder.check({
        let executions = Arc::clone(&executions);
        move || {
            executions.fetch_add(1, Relaxed);
            f();
        }
    });
    let executions = executions.load(Relaxed);
    let time = start.elapsed();
    println!("LOOM {name}: {executions} executions in {time:.2?} (preemption bound {bound})");
    assert!(executions > 1, "{name}: one execution only, nothing was explored");
}

/// The model is named after the test function it stands in.
#[macro_export]
macro_rules! models {
    ($($(#[$attr:meta])* fn $name:ident($bound:literal) $body:block)*) => {$(
        $(#[$attr])*
        #[test]
        fn $name() {
            let file = module_path!();
            $crate::model(&format!("{file}::{}", stringify!($name)), $bound, || $body);
        }
    )*};
}

/// Polls `future` once, with a waker that does nothing.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    poll_with(future, Waker::noop())
}

/// Polls `future` once.
pub fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(waker)) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Counts wakes. What it counts with is no part of the model.
#[derive(Debug, Default)]
pub struct CountWakes(AtomicUsize);

impl CountWakes {
    /// A count of zero, and a waker that adds to it.
    pub fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }

    /// How often the waker was woken.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A plain variable, as the rest of the program has them: every access is checked by loom, which
/// fails the model where a read and a write, or two writes, are not ordered.
#[derive(Debug)]
pub struct Plain<T>(UnsafeCell<T>);

// SAFETY: this is not sound in general. It is in a model: loom runs one thread at a time, and fails
// the execution in which the accesses below are not ordered, which is what `Plain` is for.
unsafe impl<T: Send> Sync for Plain<T> {}

impl<T: Copy> Plain<T> {
    /// A variable with a value.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads it.
    #[track_caller]
    pub fn get(&self) -> T {
        // SAFETY: [1] loom has just checked that every write happened before; [2] no other thread
        //         runs in this closure.
        self.0.with(|value| unsafe { *value })
    }

    /// Writes it.
    #[track_caller]
    pub fn set(&self, value: T) {
        // SAFETY: as in `get`, of reads too.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}
