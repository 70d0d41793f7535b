//! Idle connections are watched, so that one that its server closes is noticed at once.
//!
//! The driver cannot watch a connection that is parked: it belongs to whoever takes it first. So it
//! claims it for a moment, leaves a waker with its socket, and puts it back as it was. The waker is
//! the one that the connection has for its exchanges, too (`conn::Signal`); it finds no task while
//! the connection is idle, and wakes the watcher instead, which tells the driver where to look.
//!
//! A hit knows nothing of this and pays nothing for it. The price is one look for each time that a
//! connection is idle for a while; one that is busy costs nothing.

use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use super::backend::Backend;
use super::hub::Hub;
use super::lease::{CloseReason, Lease};
use crate::conn::Watched;
use crate::lockfree::idle::Candidate;
use crate::lockfree::settle;
use crate::policy::reuse;
use crate::rt::Liveness;
use crate::sync::Ordering;

/// A connection that was idle and watched, and whose socket has become ready.
#[derive(Clone)]
pub(crate) struct Stirred {
    backend: Weak<Backend>,
    seen: Candidate,
}

/// Tells the driver.
struct Watcher {
    hub: Weak<Hub>,
    stirred: Stirred,
}

impl Wake for Watcher {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        // Ordering: Relaxed. Without a driver the next checkout finds out.
        if hub.driven.load(Ordering::Relaxed) {
            hub.stirred.push(self.stirred.clone());
            hub.driver.wake();
        }
    }
}

impl Hub {
    /// The next connection to look at, with its server.
    pub(crate) fn next_stirred(&self) -> Option<(Arc<Backend>, Candidate)> {
        std::iter::from_fn(|| self.stirred.pop())
            .find_map(|Stirred { backend, seen }| Some((backend.upgrade()?, seen)))
    }
}

impl Backend {
    /// What is known of the idle connection that was seen, if it is watched.
    pub(crate) fn watched(&self, seen: Candidate) -> Option<Watched> {
        self.signal_at(seen.index())?.watched(seen.since)
    }

    /// Looks at the idle connection that was seen, and closes it if it is not good any more; else
    /// it is watched from now on, and put back as it was.
    pub(crate) fn watch_idle(&self, seen: Candidate) {
        let Some(parked) = settle::claim(self, seen) else {
            return;
        };
        // It is closed if the transport panics.
        let mut lease = Lease::of(parked);
        let stirred = Stirred { backend: Arc::downgrade(lease.backend()), seen };
        let watcher = Watcher { hub: Arc::downgrade(&self.hub), stirred };
        // If it was watched, it has been closed just now.
        let is_exact = self.watched(seen).is_some();
        let watched = lease.terms();
        let reason = match lease.conn().watch(&Waker::from(Arc::new(watcher))) {
            Poll::Pending => {
                if let Some(signal) = self.signal_at(seen.index()) {
                    signal.note_watched(seen.since, watched);
                }
                None
            }
            Poll::Ready(Liveness::Closed) => Some(CloseReason::Peer),
            Poll::Ready(Liveness::Unexpected) => Some(CloseReason::Poisoned),
            Poll::Ready(Liveness::Alive | Liveness::Unknown) => None,
        };
        match reason {
            Some(reason) => {
                self.learn(seen.since, self.hub.tick(), is_exact);
                lease.close(reason);
            }
            None => lease.put_back(),
        }
    }

    /// Takes note of a connection that was parked at `since` and found closed `now`, in ticks.
    #[cold]
    pub(super) fn learn(&self, since: u64, now: u64, is_exact: bool) {
        if self.hub.config.learn_idle_limit {
            self.learned.closed(since, now, is_exact);
        }
    }

    /// For how many ticks a connection may be idle `now`, by what was learned from others.
    #[inline]
    pub(crate) fn learned_limit(&self, now: u64) -> Option<u64> {
        self.learned.limit(now).map(reuse::within)
    }
}
