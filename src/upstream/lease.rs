//! [`Lease`]: a connection on loan, and the only way back.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::held::{Held, Home, Loan};
use super::hub::Hub;
use super::tally::Count;
use super::traffic::{Ongoing, dispose};
use super::trial::Trial;
use crate::conn::{Conn, Watched};
pub(crate) use crate::event::CloseReason;
use crate::lockfree::idle::{Parked, Slot};
use crate::lockfree::settle;
use crate::lockfree::ticket::Permit;
use crate::policy::reuse;
use crate::rt::{Liveness, Transport};

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
        let mut conn = Conn::new(transport, hub.conns.clone(), signal, now);
        if backend.tls.is_some() {
            conn.note_tls();
        }
        let loan = Loan { slot: Some(slot), connect, ..Loan::default() };
        let ends_at = hub.end_of_life();
        let ongoing = Ongoing { began: now, took: 0, read: 0, facts: None };
        let held =
            Box::new(Held { conn, home: Arc::new(Home { backend }), ends_at, loan, ongoing });
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
            || hint.is_some_and(|hint| idle >= reuse::within_hint(hint))
            || backend.learned_limit(now).is_some_and(|limit| idle >= limit)
        {
            self.held_mut().loan.close = Some(CloseReason::Idle);
            return Err(CloseReason::Idle);
        }
        if now >= self.held().ends_at {
            self.held_mut().loan.close = Some(CloseReason::Lifetime);
            return Err(CloseReason::Lifetime);
        }
        match self.look() {
            None => self.backend().learned.survived(idle),
            Some(reason) => {
                // It was closed at this age, or before.
                self.backend().learn(since, now, false);
                return Err(reason);
            }
        }
        Ok(())
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
        if held.loan.last {
            home.backend.end_last();
        }
        dispose(&home.backend, held, CloseReason::Broken);
        let permit = settle::renew(&*home.backend, slot);
        home.backend.hub.after_close();
        permit
    }

    /// Puts a connection back that was only looked at: it is as old as it was, and counts as idle
    /// since then.
    pub(super) fn put_back(mut self) {
        let parked = self.held.take().and_then(|mut held| {
            let (slot, since) = (held.loan.slot.take()?, held.loan.parked_at?);
            Some((held.home.clone(), Parked { slot, value: held, since }))
        });
        if let Some((home, parked)) = parked {
            let backend = &*home.backend;
            backend.hub.tally.add(Count::Parked, 1);
            settle::check_in(backend, parked);
            backend.hub.after_close();
        }
    }

    /// A request is about to be sent at this tick. If the connection is to be retired after it, and
    /// may belong to a floor, another one is opened meanwhile.
    #[inline]
    pub(crate) fn note_request(&mut self, tick: u64) {
        if self.backend().hub.config.min_idle > 0 {
            self.note_last(tick);
        }
    }

    #[cold]
    fn note_last(&mut self, tick: u64) {
        let held = self.held_mut();
        let backend = &*held.home.backend;
        let most = backend.hub.config.max_requests_per_connection.unwrap_or(u32::MAX);
        let ends = held.conn.uses().saturating_add(1) >= most
            || held.ends_at <= tick.saturating_add(reuse::LEAD);
        if ends && !held.loan.last {
            backend.begin_last();
            held.loan.last = true;
            backend.hub.keep_floor();
        }
    }

    /// By what it is retired while it is idle.
    pub(super) fn terms(&self) -> Watched {
        let keep = self.conn_ref().peer_keep_alive().map_or(u64::MAX, reuse::within_hint);
        Watched { keep, ends_at: self.held().ends_at }
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

    /// How the trial ended is noted: the next may begin, however long this loan lasts.
    #[cold]
    pub(crate) fn end_trial(&mut self) {
        let held = self.held_mut();
        if std::mem::take(&mut held.loan.trial) {
            held.home.backend.vitals.end_trial();
        }
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

    /// It is a checkout since this tick, and is told of if it is out for too long.
    #[inline]
    pub(crate) fn held_since(mut self, tick: u64) -> Self {
        self.held_mut().loan.since = tick;
        self
    }

    /// What the connection is closed for if it turns out not to be reusable.
    pub(crate) fn mark_broken(&mut self) {
        self.held_mut().loan.close = Some(CloseReason::Broken);
    }

    pub(super) fn held(&self) -> &Held {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a lease is emptied only by its drop"),
        }
    }

    pub(super) fn held_mut(&mut self) -> &mut Held {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a lease is emptied only by its drop"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.conn.untold_traffic().total() > 0) {
            self.count_rest();
        }
        let Some(mut held) = self.held.take() else {
            return;
        };
        let Some(slot) = held.loan.slot.take() else {
            return;
        };
        let home = held.home.clone();
        let backend = &*home.backend;
        let hub = &backend.hub;
        if held.loan.last {
            backend.end_last();
        }
        if held.loan.trial {
            backend.vitals.end_trial();
        }
        let now = held.loan.back_at.unwrap_or_else(|| hub.tick());
        let out = now.saturating_sub(held.loan.since);
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
        if out >= hub.hold_warning {
            backend.tell_held(Duration::from_millis(out));
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
    dispose(backend, held, reason);
    settle::close(backend, slot);
    backend.hub.keep_floor();
}

/// Closes a connection that was counted as parked. Its permits are the caller's business.
pub(super) fn dispose_parked(backend: &Backend, held: Box<Held>, reason: CloseReason) {
    backend.hub.tally.add(Count::Unparked, 1);
    dispose(backend, held, reason);
    backend.hub.keep_floor();
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

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("server", &self.backend().server.url())
            .field("reused", &self.is_reused())
            .finish_non_exhaustive()
    }
}
