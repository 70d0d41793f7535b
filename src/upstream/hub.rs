//! [`Hub`]: what all servers of a pool share.

mod background;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::distributions::Histograms;
use super::tally::{Count, Tally};
use super::watch::Stirred;
use super::window::{Passed, Window};
use crate::config::{Config, Limits, RetryBudget};
use crate::conn::{ConnShared, Profiles};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::lockfree::budget::{Budget, Terms};
use crate::lockfree::counter::Max;
use crate::lockfree::lifecycle::Lifecycle;
use crate::lockfree::peak_ewma::TICK;
use crate::lockfree::snapshot::Snapshot;
use crate::lockfree::total::Total;
use crate::policy::reuse::{self, IdleLimits};
use crate::rt::{BoxFuture, Runtime};
use crate::server::ServerId;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, CachePadded, Ordering, Queue, TaskCell};
use crate::trace;

/// The limits, the clock, the counters and the end of a pool. It knows no server.
pub(crate) struct Hub {
    /// The settings that stay. Those that can change are in `limits`.
    pub(crate) config: Config,
    /// The limits as they were last set. The total, each server's ledger and `idle_cap` have copies
    /// of what they need, brought in line by `keep_up`.
    pub(super) limits: Snapshot<Limits>,
    idle_cap: AtomicUsize,
    pub(crate) idle_limits: IdleLimits,
    /// Where the dice of lifetimes and pauses begin, and how often they were thrown.
    seed: u64,
    throws: AtomicU64,
    pub(crate) conns: Arc<ConnShared>,
    /// How TLS is spoken, where it is.
    pub(super) tls: Profiles,
    pub(crate) total: Total<Arc<Backend>>,
    pub(crate) lifecycle: Lifecycle,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) tally: Tally,
    pub(crate) longest_wait: Max,
    pub(crate) histograms: Histograms,
    window: Window,
    /// For so many ticks a checkout may be out without being told of.
    pub(super) hold_warning: u64,
    /// Dials that are left to the driver.
    pub(crate) left: AtomicUsize,
    /// How many requests may be sent again.
    pub(crate) budget: Budget,
    /// The zero of the ticks: by the coarse clock, if the timer has one, else by the precise one.
    first_tick: u64,
    start: Instant,
    /// Work left behind by callers who have gone, for the driver.
    pub(crate) errands: Queue<BoxFuture<'static, ()>>,
    /// Idle connections whose sockets have stirred, for the driver.
    pub(super) stirred: Queue<Stirred>,
    /// Whether the driver has nothing to watch, and is to be told of the next dial.
    resting: AtomicBool,
    /// The driver's task, if there is a driver.
    pub(crate) driver: TaskCell,
    /// Whether a driver is at work: else nothing is left to it.
    pub(crate) driven: CachePadded<AtomicBool>,
    /// The tick at which to look for grants to be taken back; `u64::MAX` if there are none.
    look_at: AtomicU64,
    /// How long a grant may be out, in ticks.
    pub(super) grace: u64,
    /// Counts the changes of who is to be checked.
    edition: AtomicU64,
    /// Servers that are to be checked ahead of time, each once.
    pub(crate) hurried: Queue<ServerId>,
    /// Begins background work; done once, with the first dial, or with the first server where
    /// servers are checked.
    starter: OnceLock<Box<dyn Fn() + Send + Sync>>,
    started: AtomicBool,
}

/// Ten years: beyond any wait, and safe to add to any instant.
const FAR_MILLIS: u64 = 1000 * 60 * 60 * 24 * 365 * 10;

/// A length of time in milliseconds, rounded up.
fn ticks(length: Duration) -> u64 {
    u64::try_from(length.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Hub {
    pub(crate) fn new(
        config: Config,
        conns: ConnShared,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, Error> {
        let limits = Limits::of(&config);
        Ok(Self {
            tls: Profiles::new(&config)?,
            idle_limits: IdleLimits::new(&config),
            seed: config.seed.unwrap_or_else(|| fastrand::u64(..)),
            throws: AtomicU64::new(0),
            total: Total::new(total_of(&limits)),
            idle_cap: AtomicUsize::new(limits.max_idle_connections),
            limits: Snapshot::new(limits),
            lifecycle: Lifecycle::new(),
            observer,
            tally: Tally::new(),
            longest_wait: Max::new(),
            histograms: Histograms::new(),
            window: Window::new(ticks(config.metrics_interval)),
            hold_warning: config.hold_warning.map_or(u64::MAX, ticks),
            left: AtomicUsize::new(0),
            budget: Budget::new(terms_of(&config.retry_budget)),
            first_tick: conns.runtime.timer().coarse_millis().unwrap_or(0),
            start: conns.runtime.timer().now(),
            errands: Queue::new(),
            stirred: Queue::new(),
            resting: AtomicBool::new(false),
            driver: TaskCell::new(),
            driven: CachePadded::new(AtomicBool::new(false)),
            look_at: AtomicU64::new(u64::MAX),
            grace: ticks(config.handoff_grace),
            edition: AtomicU64::new(0),
            hurried: Queue::new(),
            starter: OnceLock::new(),
            started: AtomicBool::new(false),
            conns: Arc::new(conns),
            config,
        })
    }

    /// The limits now.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.with(|limits| *limits)
    }

    /// Copies limits to where they are used, until they are those that were last set. `store` puts
    /// them there by a read-modify-write that acquires: whoever overwrites what another has copied
    /// sees the limits that the other had seen, or newer ones, and copies those.
    pub(super) fn keep_up(&self, store: impl Fn(&Limits)) {
        let mut seen = self.limits();
        loop {
            store(&seen);
            let now = self.limits();
            if now == seen {
                return;
            }
            seen = now;
        }
    }

    /// Copies the limits that are not those of one server.
    pub(super) fn keep_up_shared(&self) {
        self.keep_up(|limits| {
            self.total.set_limit(total_of(limits));
            // Ordering: AcqRel, see `keep_up`.
            self.idle_cap.swap(limits.max_idle_connections, Ordering::AcqRel);
        });
    }

    /// How many connections may be idle.
    #[inline]
    pub(super) fn idle_cap(&self) -> usize {
        // Ordering: Relaxed. Whoever parked before this load acquired the fence on its idle word by
        // one who lowered the cap, or is seen by the look that follows that.
        self.idle_cap.load(Ordering::Relaxed)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.conns.runtime
    }

    pub(crate) fn now(&self) -> Instant {
        self.runtime().timer().now()
    }

    /// Now, in milliseconds, on the clock by which connections age. It is a clock of its own: it
    /// may lag behind that of [`now`](Self::now), and the two are never compared.
    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        match self.runtime().timer().coarse_millis() {
            Some(now) => now.saturating_sub(self.first_tick),
            None => {
                let since = self.now().saturating_duration_since(self.start);
                since.as_secs() * 1000 + u64::from(since.subsec_millis())
            }
        }
    }

    /// Where the dice of background work begin.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The tick at which a connection made now is too old.
    pub(super) fn end_of_life(&self) -> u64 {
        let Some(lifetime) = self.config.max_lifetime else {
            return u64::MAX;
        };
        reuse::end_of_life(self.tick(), lifetime, self.throw())
    }

    /// A throw of the dice.
    pub(crate) fn throw(&self) -> u64 {
        // Ordering: Relaxed. It gives each number out once.
        let throw = self.throws.fetch_add(1, Ordering::Relaxed);
        fastrand::Rng::with_seed(self.seed.wrapping_add(throw)).u64(..)
    }

    /// When it will be that tick, it being `now`. As the clock of ticks may lag behind, a sleeper
    /// may find it to be a little later still.
    pub(crate) fn at(&self, tick: u64, now: Instant) -> Instant {
        now + Duration::from_millis(tick.saturating_sub(self.tick()).min(FAR_MILLIS))
    }

    /// `now` on the clock of the peaks, which goes round.
    #[inline]
    pub(crate) fn fine_tick(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.start);
        #[expect(clippy::cast_possible_truncation, reason = "it goes round")]
        let tick = (since.as_nanos() / u128::from(TICK)) as u32;
        tick
    }

    /// How long the pool has been there.
    pub(super) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// Something is about to be counted of which it is told how much there was of late. The tick.
    #[inline]
    pub(super) fn note_time(&self) -> u64 {
        let tick = self.tick();
        self.window.note(tick, &self.tally);
        tick
    }

    /// What has passed of late, and in how many ticks.
    pub(super) fn passed(&self) -> (Passed, u64) {
        self.window.passed(self.tick(), &self.tally)
    }

    /// Whether anybody is told what happens.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.observer.is_some()
    }

    /// Counts for the pool and for the server.
    #[inline]
    pub(crate) fn count(&self, backend: &Backend, what: Count) {
        self.tally.incr(what);
        backend.tally.incr(what);
    }

    /// Tells the observer, if there is one. Not under a pin, nor while a line is owned: it may take
    /// its time, and call the pool.
    pub(crate) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        let is_traced = trace::is_on();
        if self.observer.is_none() && !is_traced {
            return;
        }
        let event = event();
        // Their panics are not those of the request that they were told about.
        drop(catch_unwind(AssertUnwindSafe(|| {
            if let Some(observer) = &self.observer {
                observer.observe(&event);
            }
        })));
        if is_traced {
            drop(catch_unwind(AssertUnwindSafe(|| trace::event(&event))));
        }
    }

    /// A socket has been closed or a dial given up: whoever waits for the last one is told.
    pub(crate) fn after_close(&self) {
        if !self.lifecycle.is_open() && self.total.in_use() == 0 {
            self.lifecycle.notify();
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "validated to be at most 2^30")]
fn total_of(limits: &Limits) -> u32 {
    limits.max_total_connections as u32
}

fn terms_of(budget: &RetryBudget) -> Terms {
    // Validated: at most 1000 % and a minute.
    Terms {
        per_mille: budget.percent * 10,
        per_second: budget.per_second,
        window: ticks(budget.window),
    }
}
