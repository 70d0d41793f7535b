//! The reaper: closes what has been idle for too long, before anybody asks for it.

use std::time::Instant;

use crate::upstream::{CloseReason, Directory};

/// Closes every expired connection; when to look again.
///
/// Correctness does not depend on it: an expired connection is never handed out. It only frees
/// sockets early.
pub(super) fn sweep(directory: &Directory) -> Instant {
    let hub = &directory.hub;
    let now = hub.now();
    let tick = hub.tick(now);
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
                let expires = tick + hub.idle_limits.expires_in(idle, parked);
                next = next.min(hub.at(expires));
            }
        }
    }
    // At least a tick ahead, or a rounding would make it spin.
    next.clamp(hub.at(tick + 1), latest.max(hub.at(tick + 1)))
}
