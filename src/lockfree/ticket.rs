//! A place in line, and a permit in hand: what a caller holds, given back when it is dropped.
//!
//! A caller that finds nothing parked enters the line even if there is room for a connection of
//! its own: the owner of the line then gives it whichever is there, so that a connection that is
//! parked meanwhile is never passed over for a new one. C callers, each with one connection at a
//! time, open at most C. For that, whatever is in nobody's hands must be in sight of the line's
//! owner at all times: as a parked connection, or as a dial that others have left.
//!
//! # Cancellation
//!
//! Dropping a [`Ticket`] leaves the line; what had been granted already goes to the next. Dropping
//! a [`Permit`] gives the permit back. In every order of drop and grant exactly one side keeps the
//! value: see `waiters`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Poll, Waker};

use super::idle::{Parked, Slot};
use super::permits::{Joined, Refused};
use super::settle::{Site, abandon, check_in, settle};
use super::waiters::{Grant, Node, Wants};
use crate::sync::Arc;

/// A place in a server's line.
pub struct Ticket<S: Site> {
    site: S::Handle,
    /// `None` once the grant has been taken.
    node: Option<Arc<Node<S::Conn>>>,
}

/// What a ticket ends with.
pub enum Granted<S: Site> {
    /// A connection.
    Connection(Parked<S::Conn>),
    /// The right to open one.
    Permit(Permit<S>),
    /// The server is closed.
    Closed,
    /// As many wait as may, and none of a lower class.
    Refused,
    /// A caller of a higher class has the place.
    Shed,
}

impl<S: Site> Ticket<S> {
    /// Enters the line, in the class given. One who enters a full line may be told by
    /// [`poll`](Self::poll) that it has no place there.
    ///
    /// # Errors
    /// If the server is closed, or as many wait as may.
    pub fn enter(site: &S, class: u8) -> Result<Self, Refused> {
        let wants = Wants::Anything { class };
        let ticket = match site.gate().ledger.join(class)? {
            Joined::Place => Self::push(site, Node::new(wants)),
            Joined::Guest => Self::push(site, Node::guest(wants)),
        };
        settle(site);
        Ok(ticket)
    }

    /// Enters the line as one who dials: ahead of the others, and for a connection only.
    pub fn enter_dialling(permit: &mut Permit<S>) -> Self {
        // Before it stands in line: whoever sees it there must not count it twice, or a dial that
        // others have left is overlooked.
        permit.site.gate().entered();
        let ticket = Self::push(&permit.site, Node::new(Wants::Connection));
        permit.caller = ticket.node.clone();
        settle(&*permit.site);
        ticket
    }

    fn push(site: &S, node: Node<S::Conn>) -> Self {
        let node = Arc::new(node);
        site.gate().push(node.clone());
        // Whatever happens from here on, the node is ours to cancel.
        Self { site: site.handle(), node: Some(node) }
    }

    /// Ready once something has been granted; to be asked only until then.
    pub fn poll(&mut self, waker: &Waker) -> Poll<Granted<S>> {
        let Some(node) = &self.node else {
            return Poll::Pending;
        };
        let Some(grant) = node.poll(waker) else {
            return Poll::Pending;
        };
        self.node = None;
        Poll::Ready(match grant {
            Grant::Connection(parked) => Granted::Connection(parked),
            Grant::Permit => Granted::Permit(Permit::of(&*self.site)),
            Grant::Closed => Granted::Closed,
            Grant::Refused => Granted::Refused,
            Grant::Shed => Granted::Shed,
        })
    }
}

impl<S: Site> Drop for Ticket<S> {
    fn drop(&mut self) {
        let Some(node) = self.node.take() else {
            return;
        };
        match self.site.gate().leave(&node) {
            Ok(()) => {
                // The line is swept, and check-ins are no longer told of somebody who has gone.
                settle(&*self.site);
            }
            Err(Some(Grant::Connection(parked))) => check_in(&*self.site, parked),
            Err(Some(Grant::Permit)) => drop(Permit::of(&*self.site)),
            Err(Some(Grant::Closed | Grant::Refused | Grant::Shed) | None) => {}
        }
    }
}

/// The right to one socket while it is being opened. Given back when dropped, unless the
/// connection is there by then.
pub struct Permit<S: Site> {
    site: S::Handle,
    connected: bool,
    /// The place in line of the caller who dials with it, if it has entered. When the dial ends the
    /// caller leaves the line *before* the count of dials goes down: so a dial whose caller stands
    /// in line is never taken for one that nobody waits for, nor the other way round.
    caller: Option<Arc<Node<S::Conn>>>,
}

impl<S: Site> Permit<S> {
    /// Counted as open, as connecting and as entering already.
    pub(super) fn of(site: &S) -> Self {
        Self { site: site.handle(), connected: false, caller: None }
    }

    /// Counted as open and as connecting already, by one who is not the owner of the line, and not
    /// to be counted on by those who stand there.
    pub(super) fn outside(site: &S) -> Self {
        site.gate().entering();
        let permit = Self::of(site);
        // Somebody may have counted on it until now.
        settle(site);
        permit
    }

    /// The server that it is for.
    pub fn site(&self) -> &S {
        &self.site
    }

    /// The connection is there, and has a cell; from now on the permit belongs to it. It is counted
    /// as being opened until this is dropped: if nobody waits for it, that should be after it has
    /// been parked, so that it is in sight all the time.
    pub fn connected(&mut self, hint: usize) -> Slot {
        self.connected = true;
        self.site.gate().idle.reserve(hint)
    }

    /// The dial has ended. A connection that was granted in the same moment goes to the next.
    fn leave_line(&mut self) -> Option<Parked<S::Conn>> {
        let Some(node) = self.caller.take() else {
            self.site.gate().entered();
            return None;
        };
        match node.cancel() {
            Err(Some(Grant::Connection(parked))) => Some(parked),
            _ => None,
        }
    }
}

impl<S: Site> Drop for Permit<S> {
    fn drop(&mut self) {
        let granted = self.leave_line();
        let site = &*self.site;
        // While the dial is still counted: it stands for the connection in our hands, which those
        // in line do not see. Were it counted off first, they would open another.
        let passed_on = match granted {
            Some(parked) => catch_unwind(AssertUnwindSafe(|| check_in(site, parked))),
            None => Ok(()),
        };
        if self.connected {
            site.gate().ledger.connected();
        } else {
            abandon(site);
        }
        // One more may dial now, and check-ins are to hear that the caller has gone.
        settle(site);
        if let Err(panic) = passed_on {
            resume_unwind(panic);
        }
    }
}

impl<S: Site> fmt::Debug for Ticket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("node", &self.node).finish_non_exhaustive()
    }
}

impl<S: Site> fmt::Debug for Permit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("connected", &self.connected).finish_non_exhaustive()
    }
}

impl<S: Site> fmt::Debug for Granted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection(_) => "Connection",
            Self::Permit(_) => "Permit",
            Self::Closed => "Closed",
            Self::Refused => "Refused",
            Self::Shed => "Shed",
        })
    }
}
