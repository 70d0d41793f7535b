//! [`BackOff`]: a server that fails again and again to be connected to is left in peace for a
//! while, and then for longer.
//!
//! Only where there is no connection to it at all: one that works shows that it lives. In a pause
//! whoever would wait for it, or open a connection, is told so at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Dialling;
use crate::lockfree::snapshot::{Change, Snapshot};
use crate::policy::backoff::dial_pause;

/// The failures of one server, since it could last be connected to. Hits never look at it.
pub(crate) struct BackOff {
    state: Snapshot<State>,
}

#[derive(Clone, Default)]
struct State {
    /// Dials that failed, those that failed together counted once in a pause.
    failures: u32,
    pauses: u32,
    /// When the last pause began, and when it ends.
    paused: Option<(Instant, Instant)>,
    /// What the last failure was.
    last: Arc<str>,
}

/// A pause that is not over.
#[derive(Debug)]
pub(crate) struct Pause {
    pub(crate) left: Duration,
    pub(crate) failures: u32,
    pub(crate) last: Arc<str>,
}

/// A dial that has failed.
pub(super) struct Failure<'a> {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) what: &'a str,
    /// Whether there is a connection to the server.
    pub(super) is_live: bool,
    pub(super) dice: u64,
}

impl BackOff {
    pub(super) fn new() -> Self {
        Self { state: Snapshot::new(State::default()) }
    }

    /// A dial has made a connection.
    pub(super) fn succeeded(&self) {
        self.state.update(|state| match state.failures {
            0 => Change::Keep(()),
            _ => Change::Replace(State::default(), ()),
        });
    }

    /// A dial has failed. The pause that begins now, if one does.
    pub(super) fn failed(&self, failure: &Failure<'_>, terms: &Dialling) -> Option<Pause> {
        if terms.failures_before_back_off == 0 {
            return None;
        }
        self.state.update(|state| {
            // Those that began before the pause are part of what it is for.
            if state.paused.is_some_and(|(began, _)| failure.began < began) {
                return Change::Keep(None);
            }
            let mut next = state.clone();
            next.failures = state.failures.saturating_add(1);
            next.last = failure.what.into();
            if next.failures < terms.failures_before_back_off || failure.is_live {
                return Change::Replace(next, None);
            }
            let (least, most) = (terms.min_back_off, terms.max_back_off);
            let left = dial_pause(state.pauses, least, most, failure.dice);
            next.pauses = state.pauses.saturating_add(1);
            next.paused = Some((failure.ended, failure.ended + left));
            let pause = Pause { left, failures: next.failures, last: next.last.clone() };
            Change::Replace(next, Some(pause))
        })
    }

    /// The pause, if there is one. Asks for the time only if there may be.
    pub(super) fn pause(&self, now: impl FnOnce() -> Instant) -> Option<Pause> {
        self.state.with(|state| {
            let left = state.paused?.1.checked_duration_since(now())?;
            let last = state.last.clone();
            (!left.is_zero()).then_some(Pause { left, failures: state.failures, last })
        })
    }
}
