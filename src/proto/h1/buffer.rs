//! [`Buffer`]: initialised memory with a window of live bytes.

/// The size of a buffer as it is lent: a head and a small body fit, and one read fills it well.
pub(crate) const BUFFER: usize = 16 * 1024;

/// Bytes between a writer at the end and a reader at the start.
///
/// All memory is initialised once, at birth, and stays so: that lets sockets read into it without
/// `unsafe`, and without clearing it for each request.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// `start <= end <= bytes.len()`; both are zero when nothing is live.
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer of the usual size.
    pub(crate) fn allocate() -> Self {
        Self { bytes: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// Whether there is memory behind it at all; `Buffer::default()` has none.
    pub(crate) fn has_memory(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// How much memory is behind it.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// The live bytes.
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the first `n` live bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n.min(self.len());
        if self.start == self.end {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Free room behind the live bytes.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// The free room, to be written to; then call [`filled`](Self::filled).
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Declares the first `n` bytes of [`space`](Self::space) live.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n.min(self.room());
    }

    /// Appends, growing if it must.
    pub(crate) fn put(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.bytes[self.end..self.end + more.len()].copy_from_slice(more);
        self.end += more.len();
    }

    /// Makes room for `n` bytes behind the live ones: by moving them to the front, or by growing.
    pub(crate) fn reserve(&mut self, n: usize) {
        if self.room() >= n {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.room() < n {
            let size = (self.end + n).max(self.bytes.len() * 2).max(64);
            self.bytes.resize(size, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut buffer = Buffer::default();
        assert!(!buffer.has_memory());
        buffer.put(b"hello, ");
        buffer.put(b"world");
        assert_eq!(buffer.data(), b"hello, world");
        buffer.consume(7);
        assert_eq!(buffer.data(), b"world");
        buffer.consume(99);
        assert!(buffer.is_empty());
    }

    #[test]
    fn room_is_made_at_the_front_before_memory_grows() {
        let mut buffer = Buffer::allocate();
        buffer.filled(BUFFER);
        assert_eq!(buffer.room(), 0);
        buffer.consume(BUFFER - 4);
        buffer.reserve(100);
        assert_eq!((buffer.len(), buffer.capacity()), (4, BUFFER));
        buffer.reserve(BUFFER);
        assert!(buffer.room() >= BUFFER);
        assert_eq!(buffer.data(), [0; 4]);
    }
}
