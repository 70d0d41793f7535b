//! Connections that nobody asked for: opened ahead of need, and only where they are in nobody's
//! way.
//!
//! All other permits are given to somebody in line, by the line's owner. A spare one is taken
//! beside the line, in the order of all permits: of the total, then of the server. Both steps are
//! compare-and-swaps, so that no limit is passed, and the second looks, in the same word, whether
//! anybody waits and how many are open.
//!
//! It gives way. It is not taken while somebody waits for a connection to this server, or any
//! server for a permit of the total; and nothing is closed for it. A caller who comes a moment too
//! late for the last permit waits for the connection that is being opened on it, or for the permit:
//! as for any dial, whoever drops the [`Permit`] settles. The owner of the line, who saw room and
//! finds it taken, keeps the total's permit as a credit, as where a connection is renewed.
//!
//! A spare permit is counted as outside the line, so that those in line do not rely on it: they
//! open connections of their own, if there is room.

use super::settle::{Rounds, Site};
use super::ticket::Permit;

/// The right to open a connection to a server that has fewer than `most`, if nobody wants it more.
pub fn spare<S: Site>(site: &S, most: u32) -> Option<Permit<S>> {
    let (gate, total) = (site.gate(), site.total());
    // A look first, so that nothing is taken in vain.
    if !gate.ledger.has_spare(most) || total.is_starved() || !total.take() {
        return None;
    }
    if gate.ledger.open_spare(most) {
        return Some(Permit::outside(site));
    }
    let mut rounds = Rounds::new();
    rounds.put(site, 1);
    rounds.run_freed(site, true);
    None
}
