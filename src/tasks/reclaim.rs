//! Takes back what was granted to callers who do not come for it, while others wait.

use crate::lockfree::settle;
use crate::upstream::Directory;

/// There is no driver any more: has those who wait look for themselves.
pub(super) fn leave_to_waiters(directory: &Directory) {
    for backend in directory.servers() {
        backend.gate.rouse();
        settle::settle(&*backend);
    }
}

/// Looks at every server whose time has come, and notes when to look again.
///
/// Whoever enters a line, leaves one or gives something back looks too. This is for the line where
/// nothing happens.
pub(super) fn look(directory: &Directory) {
    let hub = &directory.hub;
    hub.begin_look();
    let now = hub.tick();
    // Not under a pin: wakers are called here.
    for backend in directory.servers() {
        if backend.gate.look_at().is_some_and(|at| at <= now) {
            settle::look(&*backend);
        }
        if let Some(at) = backend.gate.look_at() {
            hub.note_look(at);
        }
    }
}
