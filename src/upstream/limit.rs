//! [`Limit`]: the sleep of one who waits in line.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::backend::Backend;
use crate::lockfree::settle;
use crate::rt::Sleep;

/// How often in a row a sleep may end before its time. One that does so again and again belongs to
/// a runtime that has ended.
const MAX_EARLY: u32 = 64;

/// Ends at the deadline. Where no driver does it, it wakes in between, to look for a grant that
/// somebody else does not come for. A driver that ends has those who wait polled again.
pub(super) struct Limit<'a> {
    backend: &'a Backend,
    deadline: Option<Instant>,
    /// Made when it is first waited for.
    sleep: Option<Pin<Box<dyn Sleep>>>,
    /// When the sleep ends; `None` if it is not waited for.
    until: Option<Instant>,
    /// Whether there was a driver when that was decided.
    driven: bool,
    early: u32,
}

impl<'a> Limit<'a> {
    pub(super) fn new(backend: &'a Backend, deadline: Option<Instant>) -> Self {
        Self { backend, deadline, sleep: None, until: None, driven: false, early: 0 }
    }

    /// Ready at the deadline. The wait began at `since`.
    pub(super) fn poll(&mut self, since: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let hub = &self.backend.hub;
        if self.sleep.is_none() {
            self.sleep_until_next(since);
        } else if self.driven && !hub.relies_on_driver() {
            self.sleep_until_next(hub.now());
        }
        while let (Some(sleep), Some(until)) = (&mut self.sleep, self.until) {
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            if self.deadline == Some(until) {
                return Poll::Ready(());
            }
            let now = hub.now();
            self.early = if now < until { self.early + 1 } else { 0 };
            // What is taken back may be given to us: then our task is woken.
            if self.backend.gate.look_at().is_some_and(|at| at <= hub.tick()) {
                settle::look(self.backend);
            }
            self.sleep_until_next(now);
        }
        Poll::Pending
    }

    fn sleep_until_next(&mut self, now: Instant) {
        self.driven = self.backend.hub.relies_on_driver();
        let until = self.next(now);
        self.until = until;
        match (&mut self.sleep, until) {
            (Some(sleep), Some(until)) => sleep.as_mut().reset(until),
            (sleep @ None, Some(until)) => {
                *sleep = Some(self.backend.hub.runtime().timer().sleep_until(until));
            }
            (_, None) => {}
        }
    }

    /// When to wake next, at `now`.
    fn next(&self, now: Instant) -> Option<Instant> {
        let hub = &self.backend.hub;
        if self.driven || self.early > MAX_EARLY {
            return self.deadline;
        }
        // A grant that is given from now on is not overdue before.
        let latest = hub.tick().saturating_add(hub.grace);
        let look_at = self.backend.gate.look_at().map_or(latest, |at| at.min(latest));
        let look_at = hub.at(look_at, now);
        Some(self.deadline.map_or(look_at, |deadline| deadline.min(look_at)))
    }
}
