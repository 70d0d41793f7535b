//! [`Alarm`]: one sleep per connection, touched as rarely as can be.
//!
//! Most requests end before their task ever waits long, and setting a timer costs more than the
//! pool's whole share of a request. So the sleep is made when a request first has to wait, it is
//! polled only to register and when it has fired, and a deadline that moves *later* (the usual
//! case: the next request on the connection) leaves it alone: it fires early once, and is set
//! again then if anyone still waits. Only a deadline that moves *earlier* sets it at once.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use sync_wrapper::SyncWrapper;

use crate::rt::{Sleep, Timer};

#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<SyncWrapper<Pin<Box<dyn Sleep>>>>,
    /// When the sleep ends. `None`: it has ended, or there is none.
    armed: Option<Instant>,
}

impl Alarm {
    /// The timer's waker was called: whether `deadline` has passed.
    pub(super) fn fired(&mut self, timer: &Waker, deadline: Option<Instant>) -> bool {
        // A sleep that is still pending keeps the waker it has; the call was a stray.
        let Some(armed) = self.armed else {
            return false;
        };
        if self.poll(timer).is_pending() {
            return false;
        }
        deadline.is_some_and(|deadline| deadline <= armed)
    }

    /// The task is about to wait: sees to it that the timer's waker is called no later than at
    /// `deadline`. Whether it has passed already.
    pub(super) fn wait(&mut self, clock: &dyn Timer, timer: &Waker, deadline: Instant) -> bool {
        match (self.armed, &mut self.sleep) {
            (Some(armed), _) if armed <= deadline => return false,
            (_, Some(sleep)) => sleep.get_mut().as_mut().reset(deadline),
            (_, None) => self.sleep = Some(SyncWrapper::new(clock.sleep_until(deadline))),
        }
        self.armed = Some(deadline);
        self.poll(timer).is_ready()
    }

    fn poll(&mut self, timer: &Waker) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        let polled = sleep.get_mut().as_mut().poll(&mut Context::from_waker(timer));
        if polled.is_ready() {
            self.armed = None;
        }
        polled
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("armed", &self.armed).finish_non_exhaustive()
    }
}
