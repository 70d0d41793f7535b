//! Several servers and one total: who is served when something comes free.
//!
//! [`Gate::pair`] brings one server's waiters together with its own connections and room. What it
//! cannot do alone is to take a permit of the total, which the servers share. That is done here,
//! outside of any line's ownership, and iteratively: serving one server may free something for
//! another, which is then served too, and the depth of the stack stays what it is.
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
//! - it has no connection at all, and others are so busy that none of theirs is ever parked: then
//!   one check-in elsewhere gives its connection up ([`Total::yields`]).
//!
//! A permit that is brought for a server becomes a credit of that server, spent by the owner of
//! its line in one step with the room in its ledger. A credit that finds nobody goes back. So
//! neither half of a permit is ever held while waiting for the other.

use std::ops::Deref;

use super::gate::Gate;
use super::idle::{AfterPark, Candidate, Parked, Slot};
use super::permits::{Need, Total};

/// A server, as seen from here.
pub trait Site: Sized {
    /// Its connections.
    type Conn;

    /// A shared pointer to it, made only off the hit path.
    type Handle: Deref<Target = Self>;

    /// A pointer to this server.
    fn handle(&self) -> Self::Handle;

    /// Its gate.
    fn gate(&self) -> &Gate<Self::Conn>;

    /// The total that it shares with others.
    fn total(&self) -> &Total<Self::Handle>;

    /// The longest idle connection of the other servers.
    fn longest_idle_elsewhere(&self) -> Option<(Self::Handle, Candidate)>;

    /// Calls [`Idle::fence`](super::idle::Idle::fence) on every other server.
    fn fence_elsewhere(&self);

    /// Closes a connection that was idle or has just come back.
    fn dispose(&self, conn: Self::Conn, why: Dispose);
}

/// Why a good connection is closed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispose {
    /// Its permit goes to another server.
    Evicted,
    /// Its server or the pool has been closed.
    Shut,
}

/// Serves `site`, and then everybody for whom that, or anything since, has freed something.
pub fn settle<S: Site>(site: &S) {
    let mut more = Vec::new();
    let mut next: Option<S::Handle> = None;
    loop {
        let site = next.as_deref().unwrap_or(site);
        let freed = serve(site, &mut more);
        site.total().put(freed);
        match following::<S>(site.total(), &mut more) {
            Some(site) => next = Some(site),
            None => return,
        }
    }
}

/// A permit of the total has been put back: serves those who were waiting for one first, and
/// `site` after them if it has waiters of its own.
fn settle_freed<S: Site>(site: &S, waiting: bool) {
    let mut more = Vec::new();
    if waiting {
        more.push(site.handle());
    }
    // Those who were starved come before the one who has just had a permit.
    let first = site.total().next().map(|(site, need)| {
        site.gate().unmark(need);
        site
    });
    let mut next = first.or_else(|| more.pop());
    while let Some(site) = next {
        let freed = serve(&*site, &mut more);
        site.total().put(freed);
        next = following::<S>(site.total(), &mut more);
    }
}

fn following<S: Site>(total: &Total<S::Handle>, more: &mut Vec<S::Handle>) -> Option<S::Handle> {
    more.pop().or_else(|| {
        let (site, need) = total.next()?;
        site.gate().unmark(need);
        Some(site)
    })
}

/// Serves one server; returns the permits of the total that came free. Servers that must be looked
/// at afterwards are added to `more`.
fn serve<S: Site>(site: &S, more: &mut Vec<S::Handle>) -> u32 {
    let (gate, total) = (site.gate(), site.total());
    let mut freed = 0;
    loop {
        let left = gate.pair();
        freed += left.surplus;
        let counts = gate.ledger.counts();
        if counts.closed {
            freed += drain(site);
        }
        if left.put_back && total.is_starved() {
            // It was out of the idle set while others looked there.
            more.extend(relieved::<S>(total));
        }
        if !left.lacks_total {
            return freed;
        }
        if total.take() || evict_for(site, more) {
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
            if evict_for(site, more) {
                gate.credit();
                continue;
            }
        }
        return freed;
    }
}

/// Closes the longest idle connection of another server; its permit of the total is then ours.
fn evict_for<S: Site>(site: &S, more: &mut Vec<S::Handle>) -> bool {
    while let Some((other, seen)) = site.longest_idle_elsewhere() {
        let gate = other.gate();
        match gate.idle.claim_at(seen) {
            // Used by somebody else first: look again.
            None => {}
            Some(parked) if parked.since == seen.since => {
                other.dispose(parked.value, Dispose::Evicted);
                gate.idle.vacate(parked.slot);
                if gate.ledger.closed() {
                    more.push(other);
                }
                return true;
            }
            // Used and parked again. Others who looked for something to evict meanwhile missed
            // it; but we look again, and either take it or see it in use.
            Some(parked) => match gate.idle.park(parked) {
                AfterPark::Quiet => {}
                AfterPark::Waiters | AfterPark::Closed => more.push(other),
            },
        }
    }
    false
}

/// A server that waits for a permit, to be served since there is an idle connection to evict.
fn relieved<S: Site>(total: &Total<S::Handle>) -> Option<S::Handle> {
    let (site, need) = total.pop()?;
    site.gate().unmark(need);
    Some(site)
}

/// Closes what is parked at a closed server; returns how many permits that frees.
fn drain<S: Site>(site: &S) -> u32 {
    let gate = site.gate();
    let mut freed = 0;
    while let Some(parked) = gate.idle.claim() {
        site.dispose(parked.value, Dispose::Shut);
        gate.idle.vacate(parked.slot);
        gate.ledger.closed();
        freed += 1;
    }
    freed
}

/// Gives a good connection back: to the first in line, or to the idle set; or, if another server
/// has none at all and cannot get one, its permit to that.
pub fn check_in<S: Site>(site: &S, parked: Parked<S::Conn>) {
    let total = site.total();
    if total.yields() {
        site.dispose(parked.value, Dispose::Evicted);
        return close(site, parked.slot);
    }
    park(site, parked);
}

/// Parks a connection, and serves whoever wants it.
fn park<S: Site>(site: &S, parked: Parked<S::Conn>) {
    let (idle, total) = (&site.gate().idle, site.total());
    match idle.park(parked) {
        AfterPark::Quiet => {}
        AfterPark::Waiters | AfterPark::Closed => settle(site),
    }
    // After the park: the one who marks looks at the idle sets after marking.
    if total.is_starved() && !idle.is_empty() {
        if let Some(starved) = relieved::<S>(total) {
            settle(&*starved);
        }
    }
}

/// A connection has been closed: gives its cell and both its permits back.
pub fn close<S: Site>(site: &S, slot: Slot) {
    site.gate().idle.vacate(slot);
    let waiting = site.gate().ledger.closed();
    site.total().put(1);
    settle_freed(site, waiting);
}

/// A dial has come to nothing: gives both its permits back.
pub(super) fn abandon<S: Site>(site: &S) {
    let waiting = site.gate().ledger.abandoned();
    site.total().put(1);
    settle_freed(site, waiting);
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
