//! Watches idle connections: see `upstream/watch.rs`.

use std::time::{Duration, Instant};

use crate::upstream::{Directory, Hub};

/// Looks at the connections whose sockets have stirred.
pub(super) fn look(hub: &Hub) {
    while let Some((backend, seen)) = hub.next_stirred() {
        backend.watch_idle(seen);
    }
}

/// Has every connection watched that has been idle for an interval; when to look again, unless
/// nothing is open.
pub(super) fn sweep(directory: &Directory, interval: Duration) -> Option<Instant> {
    let hub = &directory.hub;
    if hub.rests() {
        return None;
    }
    let tick = hub.tick();
    // Not under a pin: closing may take long.
    for backend in directory.servers() {
        for seen in backend.gate.idle.parked() {
            let idle = Duration::from_millis(tick.saturating_sub(seen.since));
            if idle >= interval && !backend.is_watched(seen) {
                backend.watch_idle(seen);
            }
        }
    }
    Some(hub.now() + interval)
}
