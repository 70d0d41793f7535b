//! [`Lease`]: a connection on loan, and the only way back.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::hub::Hub;
pub(crate) use super::tally::CloseReason;
use super::tally::Count;
use super::trial::Trial;
use crate::conn::Conn;
use crate::lockfree::idle::{Candidate, Parked, Slot};
use crate::lockfree::settle;
use crate::lockfree::ticket::Permit;
use crate::policy::reuse;
use crate::rt::{Liveness, Transport};

/// A connection and its home.
pub(crate) struct Held {
    conn: Conn,
    /// The connection's own pointer to its server. It is cloned on each way back, since nothing
    /// else keeps the server alive once the connection is parked; being the connection's alone, its
    /// count is not shared between threads as the server's own would be.
    home: Arc<Home>,
    /// The tick at which it is too old.
    ends_at: u64,
    loan: Loan,
}

/// What is known of the current loan. It lies with the connection, so that a lease is a pointer,
/// and moves from hand to hand in a register.
#[derive(Debug, Default)]
struct Loan {
    /// The place in the idle set; `None` while the connection is parked.
    slot: Option<Slot>,
    /// When the connection was parked before this loan; `None` if it was made for it.
    parked_at: Option<u64>,
    /// How long it took to make, if it was made for this loan.
    connect: Duration,
    /// It was idle, and nobody had to wait for it.
    direct: bool,
    /// It is for the one request that the server is tried with.
    trial: bool,
    /// What the connection is closed for, if it may not be used again.
    close: Option<CloseReason>,
}

struct Home {
    backend: Arc<Backend>,
}

/// A connection on loan. Dropping it gives the connection back: to the first in line, to the idle
/// set, or, if it cannot be used again, by closing it.
pub(crate) struct Lease {
    /// `None` only while it is being dropped.
    held: Option<Box<Held>>,
}

impl Lease {
    /// A new connection's first loan.
    pub(super) fn born(
        backend: Arc<Backend>,
        transport: Box<dyn Transport>,
        slot: Slot,
        began: Instant,
    ) -> Self {
        let hub = &backend.hub;
        let signal = backend.signal(&slot);
        let now = hub.now();
        let connect = now.saturating_duration_since(began);
        let conn = Conn::new(transport, hub.conns.clone(), signal, now);
        let loan = Loan { slot: Some(slot), connect, ..Loan::default() };
        let ends_at = hub.end_of_life();
        let held = Box::new(Held { conn, home: Arc::new(Home { backend }), ends_at, loan });
        Self { held: Some(held) }
    }

    /// A loan of a connection that was parked, or has just been handed over.
    #[inline]
    pub(super) fn of(parked: Parked<Box<Held>>) -> Self {
        let Parked { slot, value: mut held, since } = parked;
        held.loan = Loan { slot: Some(slot), parked_at: Some(since), ..Loan::default() };
        let lease = Self { held: Some(held) };
        lease.backend().hub.tally.add(Count::Unparked, 1);
        lease
    }

    /// Looks whether a connection that has been idle is still good `now`, in ticks; if not, it says
    /// why, and the lease closes it when dropped. One that was made for the loan is good.
    #[inline]
    pub(super) fn check(&mut self, now: u64) -> Result<(), CloseReason> {
        let Some(since) = self.parked_at() else {
            return Ok(());
        };
        let backend = self.backend();
        let parked = || backend.gate.idle.len() + 1;
        let idle = now.saturating_sub(since);
        let hint = self.conn_ref().peer_keep_alive();
        if backend.hub.idle_limits.is_expired(idle, parked)
            || hint.is_some_and(|hint| reuse::is_beyond_hint(idle, hint))
        {
            self.held_mut().loan.close = Some(CloseReason::Idle);
            return Err(CloseReason::Idle);
        }
        if now >= self.held().ends_at {
            self.held_mut().loan.close = Some(CloseReason::Lifetime);
            return Err(CloseReason::Lifetime);
        }
        self.look().map_or(Ok(()), Err)
    }

    /// Looks whether a quiet connection is still good; if not, it says why, and the lease closes
    /// it when dropped.
    #[inline]
    pub(crate) fn look(&mut self) -> Option<CloseReason> {
        let reason = match self.conn().liveness() {
            Liveness::Closed => CloseReason::Peer,
            Liveness::Unexpected => CloseReason::Poisoned,
            Liveness::Alive | Liveness::Unknown => return None,
        };
        self.held_mut().loan.close = Some(reason);
        Some(reason)
    }

    /// Counted, if the connection was open already.
    #[inline]
    pub(super) fn noted(self) -> Self {
        if self.is_reused() {
            let backend = self.backend();
            backend.hub.count(backend, Count::Reused);
        }
        self
    }

    /// Closes the connection, and keeps its permits for a new one. `None` if as many are being
    /// opened as may; then the permits are given back.
    pub(super) fn renew(mut self) -> Option<Permit<Backend>> {
        let mut held = self.held.take()?;
        let slot = held.loan.slot.take()?;
        let home = held.home.clone();
        drop(held);
        home.backend.hub.count(&home.backend, CloseReason::Broken.count());
        let permit = settle::renew(&*home.backend, slot);
        home.backend.hub.after_close();
        permit
    }

    /// Whether the connection was open already, and not made for this loan.
    pub(crate) fn is_reused(&self) -> bool {
        self.parked_at().is_some()
    }

    /// Whether the next request can be sent over the connection.
    pub(crate) fn is_usable(&self) -> bool {
        self.conn_ref().is_reusable() && !self.held().is_spent()
    }

    /// Since when the connection had been parked, in ticks, before this loan.
    pub(super) fn parked_at(&self) -> Option<u64> {
        self.held().loan.parked_at
    }

    /// Notes that nobody had to wait for the connection.
    pub(super) fn direct(mut self) -> Self {
        self.held_mut().loan.direct = true;
        self
    }

    /// Whether the connection was had at once.
    pub(crate) fn is_direct(&self) -> bool {
        self.held().loan.direct
    }

    /// The loan is for the request on trial.
    pub(super) fn on_trial(mut self, trial: Trial) -> Self {
        // From now on the lease has the right, and gives it back.
        std::mem::forget(trial);
        self.held_mut().loan.trial = true;
        self
    }

    /// Whether it is for the one request that the server is tried with.
    pub(crate) fn is_trial(&self) -> bool {
        self.held().loan.trial
    }

    /// How long resolving and connecting took; zero if it was not for this loan.
    pub(crate) fn connect_time(&self) -> Duration {
        self.held().loan.connect
    }

    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.held().home.backend
    }

    pub(crate) fn conn(&mut self) -> &mut Conn {
        &mut self.held_mut().conn
    }

    /// The connection, and the server that it leads to.
    pub(crate) fn split(&mut self) -> (&mut Conn, &Backend) {
        let held = self.held_mut();
        (&mut held.conn, &held.home.backend)
    }

    pub(crate) fn conn_ref(&self) -> &Conn {
        &self.held().conn
    }

    /// Closes the connection instead of giving it back.
    pub(crate) fn close(mut self, reason: CloseReason) {
        self.held_mut().loan.close = Some(reason);
    }

    /// What the connection is closed for if it turns out not to be reusable.
    pub(crate) fn mark_broken(&mut self) {
        self.held_mut().loan.close = Some(CloseReason::Broken);
    }

    fn held(&self) -> &Held {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a lease is emptied only by its drop"),
        }
    }

    fn held_mut(&mut self) -> &mut Held {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a lease is emptied only by its drop"),
        }
    }
}

impl Held {
    /// Whether it has carried as many requests as it may.
    fn is_spent(&self) -> bool {
        let most = self.home.backend.hub.config.max_requests_per_connection;
        most.is_some_and(|most| self.conn.uses() >= most)
    }

    /// Why a good connection is not to be used again, it being `now` in ticks.
    fn retires(&self, now: u64) -> Option<CloseReason> {
        if now >= self.ends_at {
            return Some(CloseReason::Lifetime);
        }
        if self.home.backend.vitals.is_out() {
            return Some(CloseReason::Unhealthy);
        }
        self.is_spent().then_some(CloseReason::MaxRequests)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let Some(slot) = held.loan.slot.take() else {
            return;
        };
        let home = held.home.clone();
        let backend = &*home.backend;
        let hub = &backend.hub;
        if held.loan.trial {
            backend.vitals.end_trial();
        }
        let now = hub.tick();
        let reason = match held.loan.close {
            None if held.conn.is_reusable() => held.retires(now),
            // Whatever its holder made of that.
            _ if held.conn.is_cut() => Some(CloseReason::Shutdown),
            None => Some(CloseReason::NotReusable),
            given => given,
        };
        match reason {
            Some(reason) => close(backend, held, slot, reason),
            None => {
                hub.tally.add(Count::Parked, 1);
                settle::check_in(backend, Parked { slot, value: held, since: now });
                trim(backend, hub);
            }
        }
        hub.after_close();
    }
}

/// Closes a connection that is in nobody's hands but ours.
fn close(backend: &Backend, mut held: Box<Held>, slot: Slot, reason: CloseReason) {
    if held.conn.is_unfinished() {
        // Nobody will read the rest: the peer is told at once, and what is unsent is not sent.
        held.conn.abort();
    }
    // The socket is closed before its permit is given to anybody.
    drop(held);
    backend.hub.count(backend, reason.count());
    settle::close(backend, slot);
}

/// Closes a connection that was counted as parked. Its permits are the caller's business.
pub(super) fn dispose_parked(backend: &Backend, held: Box<Held>, reason: CloseReason) {
    drop(held);
    backend.hub.tally.add(Count::Unparked, 1);
    backend.hub.count(backend, reason.count());
}

/// Closes the longest idle connections while more are idle than may be.
fn trim(backend: &Backend, hub: &Hub) {
    let most = hub.idle_cap() as u64;
    // Open connections are counted in one word anyway, and only above the cap can idle ones be.
    // Those that are counted include some on their way to a waiter, so the rest is looked at.
    while hub.total.in_use() > most
        && hub.tally.idle() > most
        && backend.directory().is_some_and(|directory| directory.parked() > most)
    {
        // None is in sight: what is parked is hidden by a line, whose owner is about to give it to
        // somebody. To look until that is done would be to wait for another thread.
        let Some((backend, seen)) = backend.longest_idle() else {
            break;
        };
        // If another thread was faster, there is one less; or it is in use, and the look above
        // says so.
        backend.close_idle_if(seen, CloseReason::IdleCap);
    }
}

impl Backend {
    /// Looks at the idle connection that was seen, if it has not been used since. It is out of the
    /// set for that moment, and comes back as it was.
    fn inspect<R>(&self, seen: Candidate, look: impl FnOnce(&Held) -> R) -> Option<R> {
        let parked = settle::claim(self, seen)?;
        let found = look(&parked.value);
        settle::check_in(self, parked);
        Some(found)
    }

    /// The tick at which the idle connection that was seen will be too old.
    pub(crate) fn end_of_idle(&self, seen: Candidate) -> Option<u64> {
        self.hub.config.max_lifetime?;
        self.inspect(seen, |held| held.ends_at)
    }

    /// When the idle connection that was seen was made, and how many requests it has carried.
    pub(crate) fn facts_of_idle(&self, seen: Candidate) -> Option<(Instant, u32)> {
        self.inspect(seen, |held| (held.conn.born(), held.conn.uses()))
    }

    /// Closes the idle connection that was seen, if it has not been used since.
    pub(crate) fn close_idle_if(&self, seen: Candidate, reason: CloseReason) -> bool {
        let Some(parked) = settle::claim(self, seen) else {
            return false;
        };
        dispose_parked(self, parked.value, reason);
        settle::close(self, parked.slot);
        self.hub.after_close();
        true
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("conn", &self.conn).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("server", &self.backend().server.url())
            .field("reused", &self.is_reused())
            .finish_non_exhaustive()
    }
}
