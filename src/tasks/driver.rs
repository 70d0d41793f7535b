//! [`Driver`]: all background work of a pool as one future.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::health::Prober;
use super::warm::Keeper;
use super::watch::{self, Swept};
use super::{reaper, reclaim};
use crate::rt::{Background, BoxFuture, Sleep};
use crate::sync::Ordering;
use crate::upstream::{Directory, Hub};

/// How long a connection attempt may go on after the last caller who wanted it has gone.
const DIAL_GRACE: Duration = Duration::from_secs(5);

/// The background work of a pool, for a caller who polls it: see
/// [`Builder::build_with_driver`](crate::Builder::build_with_driver). It ends with the pool, and
/// may be dropped at any time: the pool then goes on without.
///
/// Once begun, it should be polled whenever it wakes its task, or dropped. What is left to one that
/// is kept and not polled stays undone: above all, a connection that is being opened when its
/// caller goes keeps its place among `max_connecting` and the other limits, until the driver is
/// polled or dropped, or the pool ends.
#[must_use = "background work is done only while the driver is polled"]
pub struct Driver(BoxFuture<'static, ()>);

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// The driver of a pool. It holds no server and no pool, so that those can end.
pub(crate) fn driver(directory: &Arc<Directory>) -> Driver {
    let (hub, directory) = (directory.hub.clone(), Arc::downgrade(directory));
    Driver(Box::pin(async move {
        let mut work = Work::new(&hub, directory);
        poll_fn(|cx| work.poll(cx)).await;
    }))
}

/// Has background work begin with the first connection, or with the first server if servers are
/// checked, where the runtime has a place for it.
pub(crate) fn arm(directory: &Arc<Directory>) {
    let background = directory.hub.runtime().background().clone();
    if matches!(background, Background::None) {
        return;
    }
    let weak = Arc::downgrade(directory);
    directory.hub.at_beginning(move || {
        let Some(directory) = weak.upgrade() else {
            return;
        };
        let driver = driver(&directory);
        match &background {
            Background::Spawned(spawner) => spawner.spawn(driver.0),
            Background::Thread => start_thread(driver),
            Background::None => {}
        }
    });
    // Servers are checked, and a floor is filled, before the first request.
    if directory.has_servers() {
        if directory.hub.has_checks() {
            directory.hub.begin();
        }
        directory.hub.keep_floor();
    }
}

fn start_thread(driver: Driver) {
    let thread = std::thread::Builder::new().name("evenkeel".to_owned());
    // Without a thread there is no background work, and all else holds: `metrics().background`
    // tells.
    drop(thread.spawn(move || futures_lite::future::block_on(driver)));
}

/// Something left behind by a caller, and until when it may go on.
struct Errand {
    future: BoxFuture<'static, ()>,
    until: Instant,
}

struct Work<'a> {
    hub: &'a Hub,
    directory: Weak<Directory>,
    errands: Vec<Errand>,
    /// `None` if servers are not checked.
    prober: Option<Prober>,
    sleep: Pin<Box<dyn Sleep>>,
    sweep_at: Instant,
    /// When to look for idle connections to watch; `None` if nothing is open.
    watch_at: Option<Instant>,
    keeper: Keeper,
    /// How often in a row the sleep ended before its time.
    early: u32,
}

/// A timer may be early by a rounding. One that is early again and again belongs to a runtime that
/// has ended, and would keep us turning for ever.
const MAX_EARLY: u32 = 64;

impl<'a> Work<'a> {
    fn new(hub: &'a Hub, directory: Weak<Directory>) -> Self {
        // Ordering: Release: whoever leaves an errand to us finds us ready.
        hub.driven.store(true, Ordering::Release);
        let sweep_at = hub.now() + hub.config.cleanup_interval;
        let sleep = hub.runtime().timer().sleep_until(sweep_at);
        let prober = hub.has_checks().then(|| Prober::new(hub));
        let watch_at = None;
        let (errands, keeper) = (Vec::new(), Keeper::default());
        Self { hub, directory, errands, prober, sleep, sweep_at, watch_at, keeper, early: 0 }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before anything is looked at: what comes later wakes us.
        self.hub.driver.register(cx.waker());
        loop {
            if !self.hub.lifecycle.is_open() {
                return Poll::Ready(());
            }
            self.run_errands(cx);
            watch::look(self.hub);
            self.watch();
            self.keep(cx);
            if let Some(prober) = &mut self.prober {
                match self.directory.upgrade() {
                    Some(directory) => prober.poll(cx, self.hub, &directory),
                    None => return Poll::Ready(()),
                }
            }
            let next = self.next();
            self.sleep.as_mut().reset(next);
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = self.hub.now();
            self.early = if now < next { self.early + 1 } else { 0 };
            if self.early > MAX_EARLY {
                return Poll::Ready(());
            }
            // Dropping one closes its socket and gives its permit back.
            self.errands.retain(|errand| errand.until > now);
            self.tell_left();
            if self.hub.next_look().is_some_and(|at| at <= self.hub.tick()) {
                self.directory.upgrade().iter().for_each(|directory| reclaim::look(directory));
            }
            if self.sweep_at <= now {
                match self.directory.upgrade() {
                    Some(directory) => self.sweep_at = reaper::sweep(&directory),
                    None => return Poll::Ready(()),
                }
            }
        }
    }

    /// Keeps the floors, if there are any.
    fn keep(&mut self, cx: &mut Context<'_>) {
        if self.hub.config.min_idle == 0 {
            return;
        }
        let Some(directory) = self.directory.upgrade() else {
            return;
        };
        self.keeper.poll(&directory, cx);
        // Where a dial has ended at once, there may be room for the next.
        while self.keeper.keep(&directory, cx) {}
    }

    /// Watches what is idle, if it is time to.
    fn watch(&mut self) {
        let Some(interval) = self.hub.config.watch_interval else {
            return;
        };
        if self.watch_at.is_none_or(|at| at <= self.hub.now()) {
            let directory = self.directory.upgrade();
            let swept = directory.and_then(|known| watch::sweep(&known, interval));
            if let Some(Swept { retires, .. }) = swept {
                self.sweep_at = self.sweep_at.min(self.hub.at(retires, self.hub.now()));
            }
            self.watch_at = swept.map(|swept| swept.again);
        }
    }

    fn run_errands(&mut self, cx: &mut Context<'_>) {
        while let Some(future) = self.hub.errands.pop() {
            self.errands.push(Errand { future, until: self.hub.now() + DIAL_GRACE });
        }
        self.errands.retain_mut(|errand| errand.future.as_mut().poll(cx).is_pending());
        self.tell_left();
    }

    /// Tells how many dials are left to us.
    fn tell_left(&self) {
        // Ordering: Relaxed. It is only told.
        self.hub.left.store(self.errands.len(), Ordering::Relaxed);
    }

    fn next(&self) -> Instant {
        let errands = self.errands.iter().map(|errand| errand.until);
        let look = self.hub.next_look().map(|at| self.hub.at(at, self.hub.now()));
        let check = self.prober.as_ref().and_then(|prober| prober.next(self.hub));
        let ahead = errands.chain(look).chain(check).chain(self.watch_at);
        ahead.chain(self.keeper.again()).fold(self.sweep_at, Instant::min)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.errands.clear();
        let had_checks = self.prober.take().is_some();
        self.keeper = Keeper::default();
        self.tell_left();
        self.hub.undriven();
        let known = self.directory.upgrade().filter(|_| self.hub.lifecycle.is_open());
        if let Some(directory) = known {
            reclaim::leave_to_waiters(&directory);
            if had_checks {
                directory.unchecked();
            }
        }
    }
}
