//! Watches idle connections: see `upstream/watch.rs`.

use std::time::{Duration, Instant};

use crate::policy::reuse::LEAD;
use crate::upstream::{Directory, Hub};

/// Looks at the connections whose sockets have stirred.
pub(super) fn look(hub: &Hub) {
    while let Some((backend, seen)) = hub.next_stirred() {
        backend.watch_idle(seen);
    }
}

/// What a sweep found out.
#[derive(Clone, Copy)]
pub(super) struct Swept {
    /// When to look again.
    pub(super) again: Instant,
    /// The tick at which the first of those that are watched is to be retired, or replaced, by what
    /// only a look at it could tell: its peer's word, its server's habit, its age.
    pub(super) retires: u64,
}

/// Has every connection watched that has been idle for an interval. `None` if nothing is open.
pub(super) fn sweep(directory: &Directory, interval: Duration) -> Option<Swept> {
    let hub = &directory.hub;
    if hub.rests() {
        return None;
    }
    let tick = hub.tick();
    let lead = if hub.config.min_idle > 0 { LEAD } else { 0 };
    let mut retires = u64::MAX;
    // Not under a pin: closing may take long.
    for backend in directory.servers() {
        let learned = backend.learned_limit(tick).unwrap_or(u64::MAX);
        for seen in backend.gate.idle.parked() {
            let idle = Duration::from_millis(tick.saturating_sub(seen.since));
            if idle >= interval && backend.watched(seen).is_none() {
                backend.watch_idle(seen);
            }
            if let Some(terms) = backend.watched(seen) {
                let at = seen.since.saturating_add(terms.keep.min(learned));
                retires = retires.min(at).min(terms.ends_at);
            }
        }
    }
    Some(Swept { again: hub.now() + interval, retires: retires.saturating_sub(lead) })
}
