//! The reaper: closes what has been idle for too long, before anybody asks for it.

use std::time::{Duration, Instant};

use crate::lockfree::idle::Candidate;
use crate::policy::reuse::LEAD;
use crate::upstream::{Backend, CloseReason, Directory};

/// By which ages are measured.
const TICK: Duration = Duration::from_millis(1);

/// Closes every expired connection, and notes how many will be soon; when to look again.
///
/// Correctness does not depend on it: an expired connection is never handed out. It only frees
/// sockets early.
pub(super) fn sweep(directory: &Directory) -> Instant {
    let hub = &directory.hub;
    let now = hub.now();
    let tick = hub.tick();
    let mut next = now + hub.config.cleanup_interval;
    // Not under a pin: closing may take long.
    for backend in directory.servers() {
        let ahead = sweep_server(&backend, tick);
        let ahead = ahead.map(Duration::from_millis).and_then(|ahead| now.checked_add(ahead));
        next = ahead.map_or(next, |at| next.min(at));
    }
    // At least a tick ahead, or a rounding would make it spin.
    next.max(now + TICK)
}

/// The same for one server; in how many ticks to look again.
fn sweep_server(backend: &Backend, tick: u64) -> Option<u64> {
    let has_floor = backend.hub.config.min_idle > 0;
    let mut idle: Vec<Candidate> = backend.gate.idle.parked().collect();
    // What stays for the floor is what has been used last.
    idle.sort_by_key(|seen| seen.since);
    let mut parked = idle.len();
    let (mut ending, mut next) = (0, u64::MAX);
    for seen in idle {
        let end = End::of(backend, seen, tick, parked);
        if end.left == 0 {
            if backend.close_idle_if(seen, end.reason) {
                parked = parked.saturating_sub(1);
            }
        } else if has_floor && end.left > end.lead() {
            next = next.min(end.left - end.lead());
        } else {
            ending += 1;
            parked = parked.saturating_sub(1);
            next = next.min(end.left);
        }
    }
    backend.note_ending(ending);
    (next != u64::MAX).then_some(next)
}

/// The end of an idle connection, if nothing else happens.
struct End {
    /// In so many ticks.
    left: u64,
    /// How long it was to live.
    life: u64,
    reason: CloseReason,
}

impl End {
    /// Of a connection of a server that has `parked` idle ones.
    fn of(backend: &Backend, seen: Candidate, tick: u64, parked: usize) -> Self {
        let hub = &backend.hub;
        let idle = tick.saturating_sub(seen.since);
        let terms = backend.terms_of_idle(seen);
        let by_server = terms.keep.min(backend.learned_limit(tick).unwrap_or(u64::MAX));
        let by_config = hub.idle_limits.expires_in(idle, parked);
        let left = by_config.min(by_server.saturating_sub(idle));
        let too_old = terms.ends_at.saturating_sub(tick);
        if too_old < left {
            let lifetime = hub.config.max_lifetime.map_or(u128::MAX, |limit| limit.as_millis());
            let life = u64::try_from(lifetime).unwrap_or(u64::MAX);
            return Self { left: too_old, life, reason: CloseReason::Lifetime };
        }
        Self { left, life: idle.saturating_add(left), reason: CloseReason::Idle }
    }

    /// How long before it the connection is replaced: if it does not live for long, a quarter of
    /// that.
    fn lead(&self) -> u64 {
        LEAD.min(self.life / 4)
    }
}
