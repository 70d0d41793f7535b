//! What a caller holds, and what the model says of it.

use std::task::Waker;

use super::fleet::{Server, Wakes};
use super::model::Parked as Idle;
use crate::lockfree::ticket::{Permit, Ticket};
use crate::sync::Arc;

/// What the model says that somebody in line has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gift {
    Connection(u64),
    Permit,
    Closed,
    /// The line is full, and the youngest of the lowest class must go.
    SentAway,
}

/// A place in line.
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) ticket: Ticket<Server>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) waker: Waker,
    pub(super) gift: Option<Gift>,
}

/// A caller in line, or one who dials.
pub(super) struct Caller {
    pub(super) at: usize,
    /// `None`: it has left the line, or not entered it yet.
    pub(super) place: Option<Place>,
    /// `Some`: it dials, and stands in line for a connection only.
    pub(super) permit: Option<Permit<Server>>,
    /// It has stood in line while it dialled.
    pub(super) entered: bool,
}

/// A connection that the step has brought to its server, or that was there for it.
pub(super) struct Brought {
    pub(super) at: usize,
    pub(super) slot: usize,
    pub(super) idle: Idle,
}
