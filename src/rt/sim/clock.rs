//! Virtual time: it moves when told to.

#![expect(
    clippy::disallowed_types,
    reason = "a test tool on one thread: its locks are never contended"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::lock;
use crate::rt::{Sleep, Timer};

/// A deadline, and a number that tells sleeps with the same deadline apart, first come first.
type Key = (Instant, u64);

pub(super) struct Clock {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    now: Instant,
    next: u64,
    sleepers: BTreeMap<Key, Waker>,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "an instant can be had from the system only; all others are counted from this one"
    )]
    pub(super) fn new() -> Self {
        let start = Instant::now();
        let state = State { now: start, next: 0, sleepers: BTreeMap::new() };
        Self { start, state: Mutex::new(state) }
    }

    pub(super) fn now(&self) -> Instant {
        lock(&self.state).now
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now() - self.start
    }

    pub(super) fn sleep(self: &Arc<Self>, deadline: Instant) -> SimSleep {
        SimSleep { clock: self.clone(), deadline, key: None }
    }

    /// Moves to `to`, never back, and wakes who is due, in the order of their deadlines.
    pub(super) fn advance_to(&self, to: Instant) {
        let mut state = lock(&self.state);
        let now = state.now.max(to);
        state.now = now;
        let mut due = Vec::new();
        while let Some(first) = state.sleepers.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        // A waker is foreign code: it must not run under the lock.
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Moves to the next deadline. False if nobody sleeps.
    pub(super) fn advance_to_next(&self) -> bool {
        let next = lock(&self.state).sleepers.keys().next().copied();
        match next {
            Some((deadline, _)) => {
                self.advance_to(deadline);
                true
            }
            None => false,
        }
    }
}

impl Timer for Arc<Clock> {
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.sleep(deadline))
    }

    fn now(&self) -> Instant {
        Clock::now(self)
    }
}

/// A sleep on the virtual clock.
pub(super) struct SimSleep {
    clock: Arc<Clock>,
    deadline: Instant,
    /// The place of its waker among the sleepers. Once woken, it has none there.
    key: Option<Key>,
}

impl SimSleep {
    /// Sets another deadline. A task that waits for this sleep is woken at the new one.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(key) = self.key.take() {
            let mut state = lock(&self.clock.state);
            if let Some(waker) = state.sleepers.remove(&key) {
                let key = state.key(deadline);
                state.sleepers.insert(key, waker);
                self.key = Some(key);
            }
        }
    }
}

impl State {
    fn key(&mut self, deadline: Instant) -> Key {
        self.next += 1;
        (deadline, self.next)
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = lock(&this.clock.state);
        let ready = state.now >= this.deadline;
        let old = if ready {
            this.key.take().and_then(|key| state.sleepers.remove(&key))
        } else {
            let key = *this.key.get_or_insert_with(|| state.key(this.deadline));
            state.sleepers.insert(key, cx.waker().clone())
        };
        // The old waker may own whatever it likes, so it is dropped without the lock.
        drop(state);
        drop(old);
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for SimSleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.get_mut().set_deadline(deadline);
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = lock(&self.clock.state).sleepers.remove(&key);
            drop(waker);
        }
    }
}
