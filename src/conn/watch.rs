//! An idle connection, watched for what its peer does.

use std::task::{Context, Poll, Waker};

use super::Conn;
use crate::rt::Liveness;

impl Conn {
    /// Looks as [`liveness`](Self::liveness) does, at an idle connection. If that is pending, the
    /// watcher is woken once when it changes.
    pub(crate) fn watch(&mut self, watcher: &Waker) -> Poll<Liveness> {
        if self.dead || self.wakers.signal.is_cut() || !self.input.is_empty() {
            return Poll::Ready(self.liveness());
        }
        // Before the look: what comes after it wakes somebody.
        self.wakers.signal.watch(watcher);
        let mut cx = Context::from_waker(&self.wakers.io);
        self.transport.get_mut().poll_peek(&mut cx)
    }
}
