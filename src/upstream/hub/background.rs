//! What the pool and its background work tell each other.

use super::Hub;
use crate::rt::BoxFuture;
use crate::sync::Ordering;

impl Hub {
    /// Whether servers are checked, if there is somebody to do it.
    pub(crate) fn has_checks(&self) -> bool {
        self.config.health_check.is_on()
    }

    /// The number of the last change of who is to be checked.
    pub(crate) fn edition(&self) -> u64 {
        // Ordering: Acquire pairs with `new_edition`.
        self.edition.load(Ordering::Acquire)
    }

    /// Other servers are to be checked.
    pub(crate) fn new_edition(&self) {
        if self.has_checks() {
            // Ordering: Release: whoever sees the new number finds the roster as it is now.
            self.edition.fetch_add(1, Ordering::Release);
            self.driver.wake();
        }
    }

    /// How background work begins.
    pub(crate) fn at_beginning(&self, start: impl Fn() + Send + Sync + 'static) {
        drop(self.starter.set(Box::new(start)));
    }

    /// There are connections to be kept open, or there may be now.
    pub(crate) fn keep_floor(&self) {
        if self.config.min_idle > 0 {
            self.begin();
            self.driver.wake();
        }
    }

    /// Begins background work, if it has a place and has not begun.
    pub(crate) fn begin(&self) {
        let Some(start) = self.starter.get() else {
            return;
        };
        // Ordering: Relaxed. All that matters is that one caller sees false.
        if !self.started.swap(true, Ordering::Relaxed) {
            start();
        }
    }

    /// A dial begins.
    pub(crate) fn dialling(&self) {
        self.begin();
        // Ordering: AcqRel, see `rests`.
        if self.resting.swap(false, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// Whether nothing is open. If so, the next dial wakes the driver.
    pub(crate) fn rests(&self) -> bool {
        // Ordering: AcqRel, and a read-modify-write, so that it has a place in the word's order: a
        // dial that comes after it finds it set; one that came before has its permit, which the
        // look at the total then sees.
        self.resting.swap(true, Ordering::AcqRel);
        let rests = self.total.in_use() == 0;
        if !rests {
            // Ordering: as above. The caller comes back by itself.
            self.resting.swap(false, Ordering::AcqRel);
        }
        rests
    }

    /// Leaves something to the driver. Without one, it is dropped.
    pub(crate) fn leave(&self, errand: BoxFuture<'static, ()>) {
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

    /// Whether a driver is at work, for one whose task is registered in a line: if so, the task is
    /// woken when the driver ends.
    pub(crate) fn relies_on_driver(&self) -> bool {
        // Ordering: AcqRel, and a read-modify-write, as in `leave`: either the driver's end comes
        // after it, and whoever rouses the line then finds the task; or it comes before, and we
        // see that.
        self.driven.fetch_and(true, Ordering::AcqRel)
    }

    /// At this tick a server is to be looked at, for grants to be taken back; whether that is
    /// earlier than was known. The driver is then to be woken; without one, those who wait look.
    pub(crate) fn note_look(&self, tick: u64) -> bool {
        // Ordering: Release: the driver finds the server's time as we do.
        self.look_at.fetch_min(tick, Ordering::Release) > tick
    }

    /// The tick at which to look at the servers next. For the driver.
    pub(crate) fn next_look(&self) -> Option<u64> {
        // Ordering: Relaxed. It is acquired when the time has come.
        Some(self.look_at.load(Ordering::Relaxed)).filter(|at| *at != u64::MAX)
    }

    /// The servers are about to be looked at. What is noted from now on stays.
    pub(crate) fn begin_look(&self) {
        // Ordering: Acquire pairs with `note_look`.
        self.look_at.swap(u64::MAX, Ordering::Acquire);
    }

    /// The driver has ended, or was dropped.
    pub(crate) fn undriven(&self) {
        // Ordering: AcqRel, see `leave`.
        self.driven.swap(false, Ordering::AcqRel);
        self.drop_errands();
        while let Some(stirred) = self.stirred.pop() {
            drop(stirred);
        }
        self.lifecycle.notify();
    }

    fn drop_errands(&self) {
        while let Some(errand) = self.errands.pop() {
            drop(errand);
        }
    }
}
