//! A whole world in memory, for tests: virtual time, a network, and an executor.
//!
//! [`Sim`] runs a test on one thread, without a socket and without waiting: when no task can go
//! on, it moves its clock to the next timer. A test of a 90 s timeout takes microseconds and
//! comes out the same each time. When there is no timer either, nothing can ever happen again,
//! and the test fails with a panic that says so, instead of hanging.
//!
//! ```
//! use std::time::Duration;
//! use evenkeel::rt::sim::Sim;
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//!
//! let sim = Sim::new();
//! let listener = sim.net().listen("10.0.0.1:80");
//! sim.net().name("api.test", &["10.0.0.1"]);
//!
//! // A server: answers each connection after a second.
//! let time = sim.clone();
//! sim.spawn(async move {
//!     loop {
//!         let mut stream = listener.accept().await;
//!         time.sleep(Duration::from_secs(1)).await;
//!         stream.write_all(b"hello").await.unwrap();
//!     }
//! });
//!
//! let runtime = sim.runtime(); // for the pool under test
//! let started = sim.now();
//! sim.block_on(async {
//!     let mut stream = sim.net().connect("10.0.0.1:80").await.unwrap();
//!     let mut text = String::new();
//!     stream.read_to_string(&mut text).await.unwrap();
//!     assert_eq!(text, "hello");
//! });
//! assert_eq!(sim.now() - started, Duration::from_secs(1));
//! assert_eq!(sim.net().counts("10.0.0.1:80").open, 0);
//! # drop(runtime);
//! ```

#![expect(
    clippy::disallowed_types,
    reason = "a test tool on one thread: its locks are never contended"
)]

mod clock;
mod executor;
mod net;
mod pipe;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::clock::Clock;
use self::executor::Executor;
pub use self::net::{SimListener, SimNet};
pub use self::socket::SimCounts;
pub use self::stream::SimStream;
use super::{BoxFuture, Runtime, Sleep, Timer};

/// Virtual time, a network and an executor for one test. Clones are handles to the same world.
///
/// See the [module](self) for an example.
#[derive(Clone)]
pub struct Sim {
    clock: Arc<Clock>,
    executor: Arc<Executor>,
    net: SimNet,
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}

impl Sim {
    /// A new world: no tasks, no listeners, and a clock that stands still.
    pub fn new() -> Self {
        let clock = Arc::new(Clock::new());
        let executor = Arc::new(Executor::new());
        Self { net: SimNet::new(clock.clone()), clock, executor }
    }

    /// A [`Runtime`] on this world's clock, network and executor.
    pub fn runtime(&self) -> Runtime {
        // Weak: the executor may own the pool that owns this.
        let executor = Arc::downgrade(&self.executor);
        self.runtime_without_background().spawner(move |task: BoxFuture<'static, ()>| {
            if let Some(executor) = executor.upgrade() {
                executor.spawn(task);
            }
        })
    }

    /// Like [`runtime`](Self::runtime), but with no place for background work.
    pub fn runtime_without_background(&self) -> Runtime {
        Runtime::custom(self.clock.clone(), self.net.clone(), self.net.clone())
    }

    /// The network.
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// Runs `future` to its end, together with all spawned tasks, first come, first served.
    ///
    /// Whenever nothing is ready, the clock moves to the next timer. Tasks that are unfinished at
    /// the end stay, and go on with the next call.
    ///
    /// # Panics
    /// With "nothing can make progress" if `future` waits, nothing is ready and no timer is set;
    /// and if called from inside a task of this world. Panics of tasks pass through.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor.block_on(&self.clock, future)
    }

    /// Starts a task. It runs inside [`block_on`](Self::block_on).
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.executor.spawn(Box::pin(task));
    }

    /// Lets all other tasks run until each of them waits for something. The clock stands still.
    ///
    /// # Cancel safety
    /// Safe: nothing happens but waiting.
    pub async fn settle(&self) {
        self.executor.settle().await;
    }

    /// How many spawned tasks have not ended.
    pub fn tasks(&self) -> usize {
        self.executor.tasks()
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Moves the clock ahead in one jump, and ends the sleeps that are due.
    ///
    /// Their tasks run afterwards and all see the new time. To go through the events in between
    /// one by one, [`sleep`](Self::sleep) instead.
    pub fn advance(&self, by: Duration) {
        self.clock.advance_to(self.clock.now() + by);
    }

    /// Waits until the clock has moved on by `time`.
    ///
    /// # Cancel safety
    /// Safe: nothing happens but waiting.
    pub async fn sleep(&self, time: Duration) {
        self.clock.sleep(self.now() + time).await;
    }
}

impl Timer for Sim {
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.clock.sleep_until(deadline)
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("elapsed", &self.clock.elapsed())
            .field("tasks", &self.tasks())
            .finish_non_exhaustive()
    }
}

/// Locks, also after a panic: a failed test must not fail again in every destructor.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
