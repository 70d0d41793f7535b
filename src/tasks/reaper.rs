//! The reaper: closes what has been idle for too long, before anybody asks for it.

use std::time::{Duration, Instant};

use crate::upstream::{CloseReason, Directory};

/// By which ages are measured.
const TICK: Duration = Duration::from_millis(1);

/// Closes every expired connection; when to look again.
///
/// Correctness does not depend on it: an expired connection is never handed out. It only frees
/// sockets early.
pub(super) fn sweep(directory: &Directory) -> Instant {
    let hub = &directory.hub;
    let now = hub.now();
    let tick = hub.tick();
    let latest = now + hub.config.cleanup_interval;
    let mut next = latest;
    // Not under a pin: closing may take long.
    for backend in directory.servers() {
        let mut parked = backend.gate.idle.len();
        for seen in backend.gate.idle.parked() {
            let idle = tick.saturating_sub(seen.since);
            if hub.idle_limits.is_expired(idle, || parked) {
                if backend.close_idle_if(seen, CloseReason::Idle) {
                    parked = parked.saturating_sub(1);
                }
            } else {
                let expires_in = Duration::from_millis(hub.idle_limits.expires_in(idle, parked));
                next = now.checked_add(expires_in).map_or(next, |expires| next.min(expires));
            }
        }
    }
    // At least a tick ahead, or a rounding would make it spin.
    next.max(now + TICK)
}
