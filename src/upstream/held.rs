//! [`Held`]: a connection, its home, and what is known of its loan.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::traffic::Ongoing;
use crate::conn::Conn;
use crate::event::CloseReason;
use crate::lockfree::idle::Slot;

/// A connection and its home.
pub(crate) struct Held {
    pub(super) conn: Conn,
    /// The connection's own pointer to its server. It is cloned on each way back, since nothing
    /// else keeps the server alive once the connection is parked; being the connection's alone, its
    /// count is not shared between threads as the server's own would be.
    pub(super) home: Arc<Home>,
    /// The tick at which it is too old.
    pub(super) ends_at: u64,
    pub(super) loan: Loan,
    pub(super) ongoing: Ongoing,
}

/// What is known of the current loan. It lies with the connection, so that a lease is a pointer,
/// and moves from hand to hand in a register.
#[derive(Debug)]
pub(super) struct Loan {
    /// The place in the idle set; `None` while the connection is parked.
    pub(super) slot: Option<Slot>,
    /// When the connection was parked before this loan; `None` if it was made for it.
    pub(super) parked_at: Option<u64>,
    /// How long it took to make, if it was made for this loan.
    pub(super) connect: Duration,
    /// It was idle, and nobody had to wait for it.
    pub(super) direct: bool,
    /// It is for the one request that the server is tried with.
    pub(super) trial: bool,
    /// The connection is to be retired after it, and is counted so.
    pub(super) last: bool,
    /// Since when it has been out as a checkout, in ticks; the end of time if it is none.
    pub(super) since: u64,
    /// The tick at which it comes back, if that has been read.
    pub(super) back_at: Option<u64>,
    /// What the connection is closed for, if it may not be used again.
    pub(super) close: Option<CloseReason>,
}

impl Default for Loan {
    fn default() -> Self {
        Self {
            slot: None,
            parked_at: None,
            connect: Duration::ZERO,
            direct: false,
            since: u64::MAX,
            back_at: None,
            trial: false,
            last: false,
            close: None,
        }
    }
}

pub(super) struct Home {
    pub(super) backend: Arc<Backend>,
}

impl Held {
    /// Whether it has carried as many requests as it may.
    pub(super) fn is_spent(&self) -> bool {
        let most = self.home.backend.hub.config.max_requests_per_connection;
        most.is_some_and(|most| self.conn.uses() >= most)
    }

    /// Why a good connection is not to be used again, it being `now` in ticks.
    pub(super) fn retires(&self, now: u64) -> Option<CloseReason> {
        if now >= self.ends_at {
            return Some(CloseReason::Lifetime);
        }
        if self.home.backend.vitals.is_out() {
            return Some(CloseReason::Unhealthy);
        }
        self.is_spent().then_some(CloseReason::MaxRequests)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("conn", &self.conn).finish_non_exhaustive()
    }
}
