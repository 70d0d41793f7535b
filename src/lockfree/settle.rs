//! Several servers and one total: who is served when something comes free.
//!
//! [`Gate::pair`](super::gate::Gate::pair) brings one server's waiters together with its own
//! connections and room. What it cannot do alone is to take a permit of the total, which the
//! servers share. That is done here, outside of any line's ownership, and iteratively: serving one
//! server may free something for another, which is then served too, and the depth of the stack
//! stays what it is.
//!
//! # A permit of the total
//!
//! A server that lacks one takes a free one. If there is none, the longest idle connection of
//! another server is closed and its permit handed over by value. If there is none of those either,
//! the server marks itself in the total, reads once more, and leaves. It is served again when
//!
//! - a permit is put back: the same word shows the mark ([`Total::put`], [`Total::next`]);
//! - a connection is parked elsewhere: the one who parks looks at the mark *after* parking, and
//!   the one who marks looks at the idle sets *after* marking. The two looks cross; that one of
//!   them succeeds is the work of [`Idle::fence`](super::idle::Idle::fence), a read-modify-write
//!   on each idle word: a park that comes later in that word's order acquires the mark;
//! - a line elsewhere is let go that hid what is parked there: the same crossing, with the
//!   operation that takes WAITERS out of the word in the place of the park;
//! - it has no connection at all, and others are so busy that none of theirs is ever parked: then
//!   one check-in elsewhere gives its connection up ([`Total::yields`]).
//!
//! A permit that is brought for a server becomes a credit of that server, spent by the owner of
//! its line in one step with the room in its ledger. A credit that finds nobody goes back. So
//! neither half of a permit is ever held while waiting for the other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

pub use self::site::{Dispose, Site};
use super::gate::Left;
use super::idle::{AfterPark, Candidate, Parked, Slot};
use super::shrink::shed;
use super::ticket::Permit;
use super::total::{Need, Total};
use super::waiters::Woken;

mod site;

/// Takes grants back that have been out for too long, if others wait for them.
pub fn look<S: Site>(site: &S) {
    site.gate().looked();
    settle(site);
}

/// Serves `site`, and then everybody for whom that, or anything since, has freed something.
pub fn settle<S: Site>(site: &S) {
    Rounds::new().run(site);
}

/// Servers being served, one after another, by one thread.
pub(super) struct Rounds<S: Site> {
    /// Those to be looked at next.
    more: Vec<S::Handle>,
    /// A connection has come into sight that those who were starved before may have missed. True
    /// until one of them has looked, after marking itself again, and found nothing: a mark may be
    /// out of date, so that to serve the first of the queue is not enough.
    pub(super) shown: bool,
    /// A connection was out of its set, in our hands, while a limit may have shrunk. Its server is
    /// among those to be looked at.
    put_back: bool,
    /// Wakers and sockets are foreign code. If one panics, the permits are settled all the same,
    /// and everybody else is woken, before the panic goes on.
    panic: thread::Result<()>,
}

impl<S: Site> Rounds<S> {
    pub(super) fn new() -> Self {
        Self { more: Vec::new(), shown: false, put_back: false, panic: Ok(()) }
    }

    pub(super) fn run(mut self, first: &S) {
        let mut next: Option<S::Handle> = None;
        loop {
            let site = next.as_deref().unwrap_or(first);
            let freed = self.serve(site);
            self.put(site, freed);
            let following = self.more.pop().or_else(|| self.starved(site.total()));
            if following.is_none() {
                break;
            }
            next = following;
        }
        self.end();
    }

    /// A permit of the total has been put back: serves those who were waiting for one first, and
    /// `site`, which has just had it, after them, if it has waiters of its own.
    pub(super) fn run_freed(mut self, site: &S, waiting: bool) {
        let starved = self.starved(site.total());
        if waiting {
            self.more.push(site.handle());
        }
        match starved.or_else(|| self.more.pop()) {
            Some(first) => self.run(&*first),
            None => self.end(),
        }
    }

    fn end(self) {
        if let Err(panic) = self.panic {
            resume_unwind(panic);
        }
    }

    /// Puts permits of the total back. The caller then serves the starved.
    pub(super) fn put(&mut self, site: &S, permits: u32) {
        let total = site.total();
        if total.put(permits) {
            self.shown |= total.is_starved();
            total.calm(|| site.is_any_above());
        }
    }

    /// The next server that waits for a permit, if there is a cause to serve it.
    fn starved(&self, total: &Total<S::Handle>) -> Option<S::Handle> {
        let (site, need) = if self.shown { total.pop() } else { total.next() }?;
        site.gate().unmark(need);
        Some(site)
    }

    /// Serves one server; returns the permits of the total that came free.
    fn serve(&mut self, site: &S) -> u32 {
        let (gate, total) = (site.gate(), site.total());
        let mut freed = 0;
        loop {
            let mut woken = Woken::default();
            let left = gate.pair(|| site.tick(), &mut woken);
            self.note(woken.wake());
            self.tell(site, &left);
            freed += left.surplus;
            let counts = gate.ledger.counts();
            if counts.closed {
                freed += self.drain(site);
            }
            // The line hid what is parked here, or we did. The look at the total comes after it
            // was let go, as after a park.
            let hidden = left.reopened || self.put_back;
            if hidden && total.wants_parked() && !gate.idle.is_empty() {
                self.trim(site);
                self.shown |= left.reopened && total.is_starved();
            }
            if !left.lacks_total {
                return freed;
            }
            if total.take() || self.evict_for(site) {
                gate.credit();
                continue;
            }
            let need = if counts.open == 0 { Need::First } else { Need::More };
            let entered = gate.mark(need);
            if total.mark(entered.then(|| site.handle()), need) {
                continue;
            }
            // Whoever found the mark set already can rely on the one who set it.
            if entered {
                site.fence_elsewhere();
                if self.evict_for(site) {
                    gate.credit();
                    continue;
                }
            }
            self.shown = false;
            if !left.undecided {
                return freed;
            }
            gate.decide();
        }
    }

    fn tell(&mut self, site: &S, left: &Left) {
        if left.reclaimed > 0 {
            site.reclaimed(left.reclaimed);
        }
        if let Some(tick) = left.look_at {
            self.note(catch_unwind(AssertUnwindSafe(|| site.look_at(tick))));
        }
    }

    /// Closes the longest idle connection of another server; its permit of the total is then ours.
    /// Not if more permits are in use than there are: then none may pass on to another socket.
    fn evict_for(&mut self, site: &S) -> bool {
        let total = site.total();
        while total.surplus() == 0 {
            if !self.evict(site, || site.longest_idle_elsewhere(), Dispose::Evicted) {
                return false;
            }
            // Whoever parked it may have known of a limit that has shrunk since.
            if total.surplus() == 0 {
                return true;
            }
            self.put(site, 1);
        }
        false
    }

    /// Closes the connection that `find` names, if there is one; its permit of the total is then
    /// ours.
    pub(super) fn evict(
        &mut self,
        site: &S,
        mut find: impl FnMut() -> Option<(S::Handle, Candidate)>,
        why: Dispose,
    ) -> bool {
        while let Some((other, seen)) = find() {
            let gate = other.gate();
            match gate.idle.claim_at(seen) {
                // Used by somebody else first: look again.
                None => {}
                Some(parked) if parked.since == seen.since => {
                    self.dispose(&*other, parked.value, why);
                    gate.idle.vacate(parked.slot);
                    if gate.ledger.closed() {
                        self.more.push(other);
                    }
                    return true;
                }
                // Used and parked again. Others who looked meanwhile missed it, and we may find
                // one that has been idle for longer when we look again.
                Some(parked) => {
                    let after = gate.idle.park(parked);
                    self.put_back |= site.total().may_be_passed();
                    if after != AfterPark::Quiet || self.put_back {
                        self.more.push(other);
                    }
                    self.shown |= site.total().is_starved();
                }
            }
        }
        false
    }

    /// Closes what is parked at a closed server; returns how many permits that frees.
    fn drain(&mut self, site: &S) -> u32 {
        let gate = site.gate();
        let mut freed = 0;
        while let Some(parked) = gate.idle.claim() {
            self.dispose(site, parked.value, Dispose::Shut);
            gate.idle.vacate(parked.slot);
            gate.ledger.closed();
            freed += 1;
        }
        freed
    }

    pub(super) fn dispose(&mut self, site: &S, conn: S::Conn, why: Dispose) {
        self.note(catch_unwind(AssertUnwindSafe(|| site.dispose(conn, why))));
    }

    fn note(&mut self, result: thread::Result<()>) {
        if self.panic.is_ok() {
            self.panic = result;
        }
    }
}

/// Gives a good connection back: to the first in line, or to the idle set; or, if another server
/// has none at all and cannot get one, its permit to that; or it is closed, if a limit has shrunk.
#[inline]
pub fn check_in<S: Site>(site: &S, parked: Parked<S::Conn>) {
    let total = site.total();
    if !total.wants_check_ins() {
        return park(site, parked);
    }
    // Above a limit nothing is parked, handed on or yielded.
    if let Err(parked) = shed(site, parked) {
        if total.yields() {
            yield_up(site, parked);
        } else {
            park(site, parked);
        }
    }
}

/// Closes a good connection for a server that has none. The permit is handed over by value: were
/// it put back first, whoever comes by could take it.
fn yield_up<S: Site>(site: &S, parked: Parked<S::Conn>) {
    let total = site.total();
    let mut rounds = Rounds::new();
    rounds.dispose(site, parked.value, Dispose::Evicted);
    site.gate().idle.vacate(parked.slot);
    let waiting = site.gate().ledger.closed();
    let first = if total.surplus() == 0 { total.pop_first() } else { None };
    match first {
        Some(first) => {
            first.gate().unmark(Need::First);
            first.gate().credit();
            if waiting {
                rounds.more.push(site.handle());
            }
            rounds.run(&*first);
        }
        None => {
            rounds.put(site, 1);
            rounds.run_freed(site, waiting);
        }
    }
    // If more are desperate, the next check-in is asked.
    total.refresh();
}

/// Parks a connection, and serves whoever wants it.
#[inline]
fn park<S: Site>(site: &S, parked: Parked<S::Conn>) {
    let (idle, total) = (&site.gate().idle, site.total());
    match idle.park(parked) {
        AfterPark::Quiet => {}
        AfterPark::Waiters | AfterPark::Closed => settle(site),
    }
    // After the park: the one who marks, or changes a limit, looks at the idle sets afterwards.
    if total.wants_parked() && !idle.is_empty() {
        let mut rounds = Rounds::<S>::new();
        rounds.trim(site);
        rounds.shown = total.is_starved();
        rounds.run_freed(site, false);
    }
}

/// A connection has been closed: gives its cell and both its permits back.
pub fn close<S: Site>(site: &S, slot: Slot) {
    give_back(site, slot, Rounds::new());
}

fn give_back<S: Site>(site: &S, slot: Slot, mut rounds: Rounds<S>) {
    site.gate().idle.vacate(slot);
    let waiting = site.gate().ledger.closed();
    rounds.put(site, 1);
    rounds.run_freed(site, waiting);
}

/// A dial has come to nothing: gives both its permits back.
pub(super) fn abandon<S: Site>(site: &S) {
    let waiting = site.gate().ledger.abandoned();
    let mut rounds = Rounds::new();
    rounds.put(site, 1);
    rounds.run_freed(site, waiting);
}

/// A connection has been closed, and a new one is to be opened on its permits. `None` if as many
/// are being opened as may, or a limit is passed: then the permits are given back.
pub fn renew<S: Site>(site: &S, slot: Slot) -> Option<Permit<S>> {
    if site.total().surplus() > 0 || !site.gate().ledger.reopen() {
        close(site, slot);
        return None;
    }
    site.gate().idle.vacate(slot);
    Some(Permit::outside(site))
}

/// Claims the idle connection that was seen, if it is still there and unused since, with its cell;
/// the caller closes it and calls [`close`].
pub fn claim<S: Site>(site: &S, seen: Candidate) -> Option<Parked<S::Conn>> {
    let parked = site.gate().idle.claim_at(seen)?;
    if parked.since == seen.since {
        return Some(parked);
    }
    park(site, parked);
    None
}

/// Ends a server's life: everybody in line is sent away, what is parked is closed, and what is on
/// loan is closed when it comes back.
pub fn shut<S: Site>(site: &S) {
    site.gate().close();
    settle(site);
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
