//! [`Signal`]: how the outside reaches the task that drives a connection.
//!
//! A connection is driven by whichever task holds it, and that changes with each request. The
//! socket and the timer must not notice: telling a reactor about a new waker costs a lock and
//! often a system call. So both are given wakers that live as long as the connection and only
//! forward to the task registered here.
//!
//! # Why no wake-up is lost
//! A poll goes: register the task, then look at `cut` and `timer_fired`, then poll the socket.
//!
//! * `cut` by another thread: it sets the flag, then wakes. If its wake comes before our
//!   registration, the flag was set before, and the look that follows sees it. If it comes after,
//!   it wakes us. (A wake that meets a registration halfway does one or the other; that is the
//!   promise of an atomic waker.)
//! * The socket becomes ready, or the timer fires: each has our forwarding waker from an earlier
//!   poll, and may use it at any time. Before our registration, the readiness it tells of is still
//!   there when the socket is polled, and the flag is there to be looked at; after it, it wakes us.
//!
//! A socket that becomes ready while no task is registered wakes the watcher instead, if there is
//! one. A task that registers in that moment is woken by its own registration (again the promise
//! of an atomic waker), and the watcher for nothing, which does no harm.
//!
//! Register last instead, and a cut between the look and the registration is slept through.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sync::{AtomicBool, AtomicU64, Ordering, TaskCell};

/// Shared by a connection, its socket's and its timer's wakers, and whoever may cut it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    task: TaskCell,
    cut: AtomicBool,
    timer_fired: AtomicBool,
    /// Whom the socket wakes while no task is registered.
    watcher: TaskCell,
    notes: Notes,
}

/// What the driver knows of the connection that it watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    /// For how many ticks it may be idle, by what its peer has said.
    pub(crate) keep: u64,
    /// The tick at which it is too old.
    pub(crate) ends_at: u64,
}

/// The driver's notes to itself.
#[derive(Debug)]
struct Notes {
    /// When the connection was parked that they are of, in ticks.
    since: AtomicU64,
    keep: AtomicU64,
    ends_at: AtomicU64,
}

impl Default for Notes {
    fn default() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Self { since: never(), keep: never(), ends_at: never() }
    }
}

impl Signal {
    /// Ends the connection's current and all further use, from any thread: its task wakes and
    /// finds out. A connection that is idle is found out at its next use.
    pub(crate) fn cut(&self) {
        // Ordering: Release pairs with the Acquire in `is_cut`, so that whoever sees the flag sees
        // what made us cut. That the wake is not lost is argued above.
        self.cut.store(true, Ordering::Release);
        self.task.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        // Ordering: see `cut`.
        self.cut.load(Ordering::Acquire)
    }

    /// Names the task to wake. Comes before the look at anything that wakes.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Lets go of the task: an idle connection must not keep its last caller's task alive.
    pub(super) fn forget_task(&self) {
        drop(self.task.take());
    }

    /// Has `watcher` woken once when the socket stirs while nobody drives the connection. For its
    /// only holder.
    pub(super) fn watch(&self, watcher: &Waker) {
        self.watcher.register(watcher);
    }

    /// The connection that was parked at this tick is watched.
    pub(crate) fn note_watched(&self, since: u64, watched: Watched) {
        // Ordering: Relaxed, all three. There is one driver, and nobody else reads them.
        self.notes.keep.store(watched.keep, Ordering::Relaxed);
        self.notes.ends_at.store(watched.ends_at, Ordering::Relaxed);
        self.notes.since.store(since, Ordering::Relaxed);
    }

    /// What is known of the connection that was parked at this tick, if it is watched.
    pub(crate) fn watched(&self, since: u64) -> Option<Watched> {
        // Ordering: Relaxed, as in `note_watched`.
        if self.notes.since.load(Ordering::Relaxed) != since {
            return None;
        }
        Some(Watched {
            // Ordering: as above.
            keep: self.notes.keep.load(Ordering::Relaxed),
            ends_at: self.notes.ends_at.load(Ordering::Relaxed),
        })
    }

    /// The socket is ready. It is for the task of an exchange; if there is none, the connection
    /// may be idle, and the watcher finds out.
    fn stir(&self) {
        match self.task.take() {
            Some(task) => task.wake(),
            None => self.watcher.wake(),
        }
    }

    /// Whether the timer has fired since the last look.
    pub(super) fn take_timer_fired(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `TimerWake`. The flag is cleared before the
        // sleep is polled, so a firing in between is either seen by that poll or sets it again.
        // A plain look comes first because it is nearly always false, and a swap would take the
        // line exclusively.
        self.timer_fired.load(Ordering::Relaxed) && self.timer_fired.swap(false, Ordering::Acquire)
    }
}

/// Forwards the socket's wake-ups.
struct IoWake(Arc<Signal>);

impl Wake for IoWake {
    fn wake(self: Arc<Self>) {
        self.0.stir();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.stir();
    }
}

/// Forwards the timer's wake-ups, and says that it was the timer.
struct TimerWake(Arc<Signal>);

impl Wake for TimerWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release; see `take_timer_fired`.
        self.0.timer_fired.store(true, Ordering::Release);
        self.0.task.wake();
    }
}

/// The signal of one connection with its two forwarding wakers.
#[derive(Debug)]
pub(super) struct Wakers {
    pub(super) signal: Arc<Signal>,
    pub(super) io: Waker,
    pub(super) timer: Waker,
}

impl Wakers {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self {
            io: Waker::from(Arc::new(IoWake(signal.clone()))),
            timer: Waker::from(Arc::new(TimerWake(signal.clone()))),
            signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakers_forward_to_the_task_registered_last() {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let wakers = Wakers::new(Arc::default());
        wakers.signal.register(&Waker::from(first.clone()));
        wakers.signal.register(&Waker::from(second.clone()));
        wakers.io.wake_by_ref();
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
        assert!(!wakers.signal.take_timer_fired());
    }

    #[test]
    fn the_timer_s_waker_says_once_that_it_was_the_timer() {
        let task = Arc::new(Count::default());
        let wakers = Wakers::new(Arc::default());
        wakers.signal.register(&Waker::from(task.clone()));
        wakers.timer.wake_by_ref();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        assert!(wakers.signal.take_timer_fired());
        assert!(!wakers.signal.take_timer_fired());
    }

    #[test]
    fn a_cut_marks_and_wakes() {
        let task = Arc::new(Count::default());
        let wakers = Wakers::new(Arc::default());
        wakers.signal.register(&Waker::from(task.clone()));
        wakers.signal.cut();
        assert!(wakers.signal.is_cut());
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_forgotten_task_is_dropped() {
        let task = Arc::new(Count::default());
        let wakers = Wakers::new(Arc::default());
        wakers.signal.register(&Waker::from(task.clone()));
        wakers.signal.forget_task();
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
