//! [`Turn`]: how much a task does on a connection before it makes way.
//!
//! A peer can be as fast as we are, and a caller's body always ready. Then nothing ever waits: the
//! alarm, which is set by whoever waits, is not set, and the other tasks of the executor starve.
//! So what is done without waiting is counted. When it comes to a turn's worth, the task looks at
//! the clock itself, asks to be woken, and ends its poll. A usual request is over long before.

/// How many bytes make a turn.
const WHOLE: usize = 1 << 20;

/// What the least step counts for, in bytes: the cost of tiny ones is not in their bytes.
const STEP: usize = 8 * 1024;

/// What has been done since the task last waited.
#[derive(Debug, Default)]
pub(super) struct Turn {
    spent: usize,
}

impl Turn {
    /// Counts a read, a write, or a frame, which moved so many bytes.
    pub(super) fn step(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_add(bytes.max(STEP));
    }

    pub(super) fn is_over(&self) -> bool {
        self.spent >= WHOLE
    }
}
