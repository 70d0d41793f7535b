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
        let learned = backend.learned_limit(tick);
        for seen in backend.gate.idle.parked() {
            let idle = tick.saturating_sub(seen.since);
            let terms = backend.terms_of_idle(seen);
            let by_server = terms.keep.min(learned.unwrap_or(u64::MAX)).saturating_sub(idle);
            let by_config = hub.idle_limits.expires_in(idle, parked);
            let expires = tick.saturating_add(by_config.min(by_server));
            let ends = terms.ends_at;
            let reason = if tick >= expires {
                CloseReason::Idle
            } else if tick >= ends {
                CloseReason::Lifetime
            } else {
                let ahead = Duration::from_millis(expires.min(ends) - tick);
                next = now.checked_add(ahead).map_or(next, |at| next.min(at));
                continue;
            };
            if backend.close_idle_if(seen, reason) {
                parked = parked.saturating_sub(1);
            }
        }
    }
    // At least a tick ahead, or a rounding would make it spin.
    next.max(now + TICK)
}
