//! [`Hub`]: what all servers of a pool share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::tally::{Count, Tally};
use crate::config::Config;
use crate::conn::ConnShared;
use crate::lockfree::counter::Max;
use crate::lockfree::lifecycle::Lifecycle;
use crate::lockfree::permits::Total;
use crate::policy::reuse::IdleLimits;
use crate::rt::{BoxFuture, Runtime};
use crate::sync::{Queue, TaskCell};

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
    pub(crate) driven: crate::sync::AtomicBool,
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
            driven: crate::sync::AtomicBool::new(false),
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

    /// The time of a tick.
    pub(crate) fn at(&self, tick: u64) -> Instant {
        self.start + Duration::from_millis(tick)
    }

    /// Counts for the pool and for the server.
    #[inline]
    pub(crate) fn count(&self, backend: &Backend, what: Count) {
        self.tally.add(what, 1);
        backend.tally.add(what, 1);
    }

    /// A socket has been closed or a dial given up: whoever waits for the last one is told.
    pub(crate) fn after_close(&self) {
        if !self.lifecycle.is_open() && self.total.in_use() == 0 {
            self.lifecycle.notify();
        }
    }
}
