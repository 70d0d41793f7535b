//! Takes back what was granted to callers who do not come for it, while others wait.

use std::time::Instant;

use crate::lockfree::settle;
use crate::upstream::Directory;

/// Looks at every server whose time has come; when to look again, if a grant is still out.
///
/// Each call that enters a line, leaves one or gives something back looks too. This is for the
/// line where nothing happens.
pub(super) fn look(directory: &Directory) -> Option<Instant> {
    let hub = &directory.hub;
    let now = hub.tick(hub.now());
    let mut next: Option<u64> = None;
    for backend in directory.servers() {
        if backend.gate.look_at().is_some_and(|at| at <= now) {
            settle::look(&*backend);
        }
        if let Some(at) = backend.gate.look_at() {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    }
    // At least a tick ahead, or a rounding would make it spin.
    next.map(|at| hub.at(at.max(now + 1)))
}
