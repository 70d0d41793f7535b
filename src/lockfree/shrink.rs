//! Limits that change while the pool is in use, and what becomes of the connections above them.
//!
//! # What is promised
//!
//! Once [`resize`] has returned, no permit is given by the limits before it, neither a server's
//! nor the total's: see `permits` and `total`. If a limit has grown, those who can be served by it
//! have been. If it has shrunk, as many idle connections have been closed as there are too many,
//! the longest idle first, and no more; what is on loan is never cut. As long as there are still
//! too many,
//!
//! - a connection that comes back is closed instead of being parked or handed on, even if somebody
//!   waits for it: else a line that never empties would keep a pool above its limit for ever. Those
//!   in line wait for the connections that remain; a limit is at least one;
//! - a permit of the total is not passed on by value, and a connection is not renewed;
//! - one that is being opened is finished, and goes to its caller; it is closed when it comes back.
//!
//! So after as many connections have come back as were too many, none is.
//!
//! # Nobody misses it
//!
//! A check-in that saw the limits of before may park while they shrink. The limits are stored,
//! SHRINKING is set in the total's word, *then* comes a read-modify-write on each idle word
//! ([`Idle::fence`](super::idle::Idle::fence)), and then the look at what is parked. The check-in
//! parks with a read-modify-write on its idle word, and *then* looks for SHRINKING. If the park is
//! first, it is in sight of the look; if the fence is first, the park acquires what came before it.
//! The same holds for a line that is let go and shows what it hid, and for one who looked for
//! something to close and puts it back, since it has been used. SHRINKING is taken down by one
//! who found no limit passed, which remains so until the next change, since no permit is given
//! above a limit; and only if no limit has changed since.
//!
//! Who of those who could close a connection does, and how often, is settled by
//! [`Claims`](super::claims::Claims): one for each server, one for the total.
//!
//! A server without a permit that has marked itself relies on being served when something comes
//! free. While the total is passed, a permit that is put back is not free, and nothing is closed
//! for it. So whoever puts the permit back by which the limit is kept again serves the marked, who
//! may now have an idle connection closed for them; [`Total::put`] tells.

use super::idle::{Candidate, Parked};
use super::settle::{Dispose, Rounds, Site};
use super::total::Total;

/// A claim on a server's surplus, on the total's, or on both by the same connection.
struct Surplus {
    server: bool,
    total: bool,
}

impl Surplus {
    /// For a connection of this server.
    fn of<S: Site>(site: &S) -> Option<Self> {
        let server = site.gate().ledger.claim_surplus();
        let total = site.total().claim_surplus();
        (server || total).then_some(Self { server, total })
    }

    /// By which limit the connection to be closed is found.
    fn claim<S: Site>(site: &S, by: Limit) -> Option<Self> {
        match by {
            Limit::Server => site.gate().ledger.claim_surplus().then(|| {
                let total = site.total().claim_surplus();
                Self { server: true, total }
            }),
            Limit::Total => {
                let total = site.total().claim_surplus();
                total.then_some(Self { server: false, total })
            }
        }
    }

    /// The connection is closed, and its permits have been given back.
    fn end<S: Site>(self, site: &S) {
        if self.server {
            site.gate().ledger.end_claim();
        }
        if self.total {
            site.total().end_claim();
        }
    }
}

#[derive(Clone, Copy)]
enum Limit {
    Server,
    Total,
}

impl Limit {
    /// The idle connections that count for this limit, the longest idle first.
    fn idle<S: Site>(self, site: &S) -> std::vec::IntoIter<(S::Handle, Candidate)> {
        let mut idle = match self {
            Self::Server => site.gate().idle.parked().map(|seen| (site.handle(), seen)).collect(),
            Self::Total => site.idle_anywhere(),
        };
        idle.sort_by_key(|(_, seen)| seen.since);
        idle.into_iter()
    }
}

/// Serves everybody by limits that have been set before, and closes what is idle above them.
pub fn resize<S: Site>(sites: &[S::Handle], total: &Total<S::Handle>) {
    total.announce();
    for site in sites {
        site.gate().idle.fence();
    }
    for site in sites {
        let mut rounds = Rounds::new();
        rounds.trim(&**site);
        // A total that has grown up to what is in use has no permit free, but lets one pass on.
        rounds.shown = total.is_starved();
        rounds.run(&**site);
    }
    total.calm(|| sites.first().is_some_and(|site| site.is_any_above()));
}

/// Closes a connection that has come back, if a limit is passed; else it is the caller's again.
pub(super) fn shed<S: Site>(site: &S, parked: Parked<S::Conn>) -> Result<(), Parked<S::Conn>> {
    let Some(surplus) = Surplus::of(site) else {
        return Err(parked);
    };
    let mut rounds = Rounds::new();
    rounds.dispose(site, parked.value, Dispose::Surplus);
    site.gate().idle.vacate(parked.slot);
    let waiting = site.gate().ledger.closed();
    rounds.put(site, 1);
    surplus.end(site);
    // Others who were refused meanwhile have relied on the claim.
    rounds.trim(site);
    rounds.run_freed(site, waiting);
    Ok(())
}

impl<S: Site> Rounds<S> {
    /// Closes idle connections, the longest idle first, until no limit is passed or none is idle.
    pub(super) fn trim(&mut self, site: &S) {
        self.trim_by(site, Limit::Server);
        self.trim_by(site, Limit::Total);
    }

    fn trim_by(&mut self, site: &S, by: Limit) {
        // One look serves for as many as are too many: what is parked after it is younger than all
        // that was seen. And nothing is given up for lost without another look.
        let mut idle = Vec::new().into_iter();
        while let Some(surplus) = Surplus::claim(site, by) {
            let closed = self.evict(site, || idle.next(), Dispose::Surplus);
            if closed {
                self.put(site, 1);
            }
            surplus.end(site);
            if !closed {
                // After the end: one who parked before it, and was refused, has relied on us.
                idle = by.idle(site);
                if idle.as_slice().is_empty() {
                    return;
                }
            }
        }
    }
}
