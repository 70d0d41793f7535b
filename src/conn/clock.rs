//! Time within an exchange: the deadline of the whole, and how long each step may take.
//!
//! A step is timed only once it has to be waited for, and then from that moment: a request that
//! never waits reads no clock. Its end is set once, and again after each progress.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Conn;
use super::error::ExchangeErrorKind as Failed;
use crate::config::Steps;

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// More of the caller's own body, for which only the deadline of the whole counts.
    #[default]
    Caller,
    /// That the kernel takes more of the request.
    Write,
    /// The leave to send the body.
    Expect,
    /// The final head.
    Head,
    /// More of the response's body.
    Body,
}

/// The times of the steps, and the step under way.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Of this exchange, if they are not the pool's.
    own: Option<Box<Steps>>,
    step: Step,
    /// When the step that is waited for is to be over. `None`: it was not waited for yet.
    end: Option<Instant>,
}

impl Pace {
    /// A new exchange begins.
    pub(super) fn begin(&mut self, own: Option<Box<Steps>>) {
        self.own = own;
        self.end = None;
    }

    /// Something was sent or came: what is waited for next has all its time.
    pub(super) fn progress(&mut self) {
        self.end = None;
    }
}

impl Conn {
    /// What comes first in each poll that may touch the socket; `signal.rs` says why first.
    #[inline]
    pub(super) fn look(&mut self, cx: &Context<'_>) -> Result<(), Failed> {
        self.wakers.signal.register(cx.waker());
        self.check()
    }

    /// Whether the exchange may go on. The end of a step is judged only by
    /// [`wait`](Self::wait), when it is known that there is nothing to read or to write.
    #[inline]
    pub(super) fn check(&mut self) -> Result<(), Failed> {
        if self.wakers.signal.is_cut() {
            return Err(Failed::Cut);
        }
        if self.wakers.signal.take_timer_fired()
            && self.alarm.fired(&self.wakers.timer, self.deadline)
        {
            return Err(Failed::Timeout);
        }
        Ok(())
    }

    /// What comes last in a poll that ends pending: because something has to be waited for, or
    /// because the task's turn is over.
    pub(super) fn wait<T>(&mut self, cx: &Context<'_>, step: Step) -> Poll<Result<T, Failed>> {
        let turn_is_over = std::mem::take(&mut self.turn).is_over();
        let end = self.end_of(step);
        let until = match end {
            None => self.deadline,
            Some(end) => Some(self.deadline.map_or(end, |deadline| deadline.min(end))),
        };
        let clock = self.shared.runtime.timer();
        let passed = match until {
            None => false,
            // We shall be back at once: an alarm is for those who sleep.
            Some(until) if turn_is_over => until <= clock.now(),
            Some(until) => self.alarm.wait(clock, &self.wakers.timer, until),
        };
        if passed {
            let whole = end.is_none() || until == self.deadline;
            return Poll::Ready(Err(if whole { Failed::Timeout } else { Failed::Stall }));
        }
        if turn_is_over {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// When the step is to be over, if it is timed at all.
    #[inline]
    fn end_of(&mut self, step: Step) -> Option<Instant> {
        let limit = self.limit_of(step)?;
        self.end_after(step, limit)
    }

    #[cold]
    fn end_after(&mut self, step: Step, limit: Duration) -> Option<Instant> {
        if self.pace.step != step {
            self.pace.step = step;
            self.pace.end = None;
        }
        if self.pace.end.is_none() {
            self.pace.end = self.shared.runtime.timer().now().checked_add(limit);
        }
        self.pace.end
    }

    fn limit_of(&self, step: Step) -> Option<Duration> {
        let steps = self.pace.own.as_deref().unwrap_or(&self.shared.steps);
        match step {
            Step::Caller => None,
            Step::Write => steps.write,
            Step::Expect => Some(steps.expect),
            Step::Head => steps.head,
            Step::Body => steps.body,
        }
    }
}
