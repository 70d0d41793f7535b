//! [`Buffers`]: memory lent to connections while they work.
//!
//! An idle connection holds no buffer, so ten thousand of them cost little. A small request needs
//! one: its bytes are written from it, and the response is then read into the same memory.

use crate::proto::h1::{BUFFER, Buffer};
use crate::sync::ArrayQueue;

/// A bounded free list. Beyond its bound, memory comes from and goes to the allocator.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: ArrayQueue<Buffer>,
}

impl Buffers {
    /// Keeps at most `keep` buffers (at least one) for the next borrower.
    pub(crate) fn new(keep: usize) -> Self {
        Self { free: ArrayQueue::new(keep.max(1)) }
    }

    pub(crate) fn lend(&self) -> Buffer {
        self.free.pop().unwrap_or_else(Buffer::allocate)
    }

    /// Takes a buffer back. One that grew for a large head is let go, so that a rare giant does
    /// not become the usual size.
    pub(crate) fn give_back(&self, mut buffer: Buffer) {
        if buffer.capacity() == BUFFER {
            buffer.clear();
            drop(self.free.push(buffer));
        }
    }

    /// How many wait for the next borrower.
    pub(crate) fn kept(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty() {
        let buffers = Buffers::new(2);
        let mut buffer = buffers.lend();
        buffer.put(b"secret");
        buffers.give_back(buffer);
        assert_eq!(buffers.kept(), 1);
        assert!(buffers.lend().is_empty());
        assert_eq!(buffers.kept(), 0);
    }

    #[test]
    fn the_list_is_bounded_and_keeps_no_giants() {
        let buffers = Buffers::new(1);
        buffers.give_back(Buffer::allocate());
        buffers.give_back(Buffer::allocate());
        assert_eq!(buffers.kept(), 1);
        let mut giant = buffers.lend();
        giant.reserve(BUFFER + 1);
        buffers.give_back(giant);
        buffers.give_back(Buffer::default());
        assert_eq!(buffers.kept(), 0);
    }
}
