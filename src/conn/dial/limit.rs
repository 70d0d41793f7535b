//! [`Limit`]: the one deadline of a dial, and its one sleep.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::rt::{Sleep, Timer};

/// How often a sleep may end before its time. One that does so again and again belongs to a runtime
/// that has ended, and there is no time left on it.
const MAX_EARLY: u32 = 64;

/// Until when a dial may take.
pub(super) struct Limit<'a> {
    timer: &'a dyn Timer,
    deadline: Instant,
    sleep: Pin<Box<dyn Sleep>>,
    /// When the sleep ends; `None` once it has.
    ends: Option<Instant>,
    early: u32,
}

impl<'a> Limit<'a> {
    pub(super) fn new(timer: &'a dyn Timer, deadline: Instant) -> Self {
        let sleep = timer.sleep_until(deadline);
        Self { timer, deadline, sleep, ends: Some(deadline), early: 0 }
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ready at `at`, or a little earlier: to be asked until the clock says that it is time.
    pub(super) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.ends != Some(at) {
            self.sleep.as_mut().reset(at);
            self.ends = Some(at);
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.ends = None;
        let now = self.now();
        self.early = if now < at { self.early + 1 } else { 0 };
        if self.early > MAX_EARLY {
            self.deadline = self.deadline.min(now);
        }
        Poll::Ready(())
    }

    /// The outcome of `future`, or `None` if the deadline passes first.
    pub(super) async fn before<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // The work goes first: what is done is not too late.
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            loop {
                let deadline = self.deadline;
                ready!(self.poll_at(deadline, cx));
                if self.now() >= self.deadline {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }
}
