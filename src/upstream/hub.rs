//! [`Hub`]: what all servers of a pool share.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::tally::{Count, Tally};
use crate::config::Config;
use crate::conn::ConnShared;
use crate::lockfree::counter::Max;
use crate::lockfree::lifecycle::Lifecycle;
use crate::lockfree::peak_ewma::TICK;
use crate::lockfree::total::Total;
use crate::policy::reuse::IdleLimits;
use crate::rt::{BoxFuture, Runtime};
use crate::sync::{AtomicBool, Ordering, Queue, TaskCell};

/// The limits, the clock, the counters and the end of a pool. It knows no server.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) idle_limits: IdleLimits,
    pub(crate) conns: Arc<ConnShared>,
    pub(crate) total: Total<Arc<Backend>>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) tally: Tally,
    pub(crate) longest_wait: Max,
    /// The zero of the clock that ages are measured on.
    start: Instant,
    /// Work left behind by callers who have gone, for the driver.
    pub(crate) errands: Queue<BoxFuture<'static, ()>>,
    /// The driver's task, if there is a driver.
    pub(crate) driver: TaskCell,
    /// Whether a driver is at work: else nothing is left to it.
    pub(crate) driven: AtomicBool,
    /// Begins background work; done once, with the first dial.
    starter: OnceLock<Box<dyn Fn() + Send + Sync>>,
    started: AtomicBool,
}

impl Hub {
    pub(crate) fn new(config: Config, conns: ConnShared) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "validated to be at most 2^30")]
        let total = Total::new(config.max_total_connections as u32);
        Self {
            idle_limits: IdleLimits::new(&config),
            total,
            lifecycle: Lifecycle::new(),
            tally: Tally::new(),
            longest_wait: Max::new(),
            start: conns.runtime.timer().now(),
            errands: Queue::new(),
            driver: TaskCell::new(),
            driven: AtomicBool::new(false),
            starter: OnceLock::new(),
            started: AtomicBool::new(false),
            conns: Arc::new(conns),
            config,
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.conns.runtime
    }

    pub(crate) fn now(&self) -> Instant {
        self.runtime().timer().now()
    }

    /// `now` on the pool's own clock, in milliseconds.
    pub(crate) fn tick(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// `now` on the clock of the peaks, which goes round.
    #[inline]
    pub(crate) fn fine_tick(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.start);
        #[expect(clippy::cast_possible_truncation, reason = "it goes round")]
        let tick = (since.as_nanos() / u128::from(TICK)) as u32;
        tick
    }

    /// The time of a tick.
    pub(crate) fn at(&self, tick: u64) -> Instant {
        self.start + Duration::from_millis(tick)
    }

    /// Counts for the pool and for the server.
    #[inline]
    pub(crate) fn count(&self, backend: &Backend, what: Count) {
        self.tally.incr(what);
        backend.tally.incr(what);
    }

    /// What to do before the first dial.
    pub(crate) fn at_first_dial(&self, start: impl Fn() + Send + Sync + 'static) {
        drop(self.starter.set(Box::new(start)));
    }

    /// A dial begins.
    pub(super) fn dialling(&self) {
        // Ordering: Relaxed. All that matters is that one caller sees false.
        if let (Some(start), false) =
            (self.starter.get(), self.started.swap(true, Ordering::Relaxed))
        {
            start();
        }
    }

    /// Leaves something to the driver. Without one, it is dropped.
    pub(super) fn leave(&self, errand: BoxFuture<'static, ()>) {
        // Ordering: Acquire pairs with the Release of the driver's start.
        if !self.driven.load(Ordering::Acquire) || !self.lifecycle.is_open() {
            return;
        }
        self.errands.push(errand);
        self.driver.wake();
        // Ordering: AcqRel, and a read-modify-write, so that it has a place in the word's order:
        // either the driver's end comes after it, and the driver's last look at the queue finds
        // the errand; or it comes before, and we see that.
        if !self.driven.fetch_and(true, Ordering::AcqRel) {
            self.drop_errands();
        }
    }

    /// The driver has ended, or was dropped.
    pub(crate) fn undriven(&self) {
        // Ordering: AcqRel, see `leave`.
        self.driven.swap(false, Ordering::AcqRel);
        self.drop_errands();
        self.lifecycle.notify();
    }

    fn drop_errands(&self) {
        while let Some(errand) = self.errands.pop() {
            drop(errand);
        }
    }

    /// A socket has been closed or a dial given up: whoever waits for the last one is told.
    pub(crate) fn after_close(&self) {
        if !self.lifecycle.is_open() && self.total.in_use() == 0 {
            self.lifecycle.notify();
        }
    }
}
