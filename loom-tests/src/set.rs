//! Idle sets without a server around them.

use evenkeel::lockfree::idle::{AfterPark, Idle, Parked, Take};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use crate::fleet::Conn;

/// Runs `f` on a thread.
pub fn spawn<R: 'static>(
    idle: &Arc<Idle<Conn>>,
    f: impl FnOnce(&Idle<Conn>) -> R + 'static,
) -> JoinHandle<R> {
    let idle = Arc::clone(idle);
    thread::spawn(move || f(&idle))
}

/// Parks a new connection, in a cell that is claimed for it.
pub fn park(idle: &Idle<Conn>, since: u64) -> AfterPark {
    let slot = idle.reserve(0);
    idle.park(Parked { slot, value: Conn::new(), since })
}

/// Takes a connection and uses it.
pub fn take(idle: &Idle<Conn>) -> Option<Parked<Conn>> {
    match idle.take(0) {
        Take::Got(parked) => {
            parked.value.touch();
            Some(parked)
        }
        Take::Empty | Take::Refused => None,
    }
}
