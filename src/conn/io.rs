//! Bytes between the buffers and the transport.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::Conn;
use super::upload::Piece;
use crate::proto::h1::BUFFER;

/// Pieces of a caller's body that one vectored write takes along.
const PIECES: usize = 16;

impl Conn {
    /// Writes the buffer, and the piece behind it, until all of it is with the kernel, or the turn
    /// is over. The end of a chunk may be left in the buffer, to go with what follows.
    pub(super) fn poll_send<D: Buf>(
        &mut self,
        mut data: Option<&mut Piece<D>>,
    ) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(&self.wakers.io);
        let mut transport = Pin::new(self.transport.get_mut().as_mut());
        loop {
            let written = match &data {
                Some(piece) => {
                    let mut slices = [IoSlice::new(&[]); PIECES];
                    slices[0] = IoSlice::new(self.out.data());
                    let first = usize::from(self.out.is_empty());
                    let count = 1 + piece.slices(&mut slices[1..]);
                    transport.as_mut().poll_write_vectored(&mut cx, &slices[first..count])
                }
                None if self.out.is_empty() => return Poll::Ready(Ok(())),
                None => transport.as_mut().poll_write(&mut cx, self.out.data()),
            };
            let n = match ready!(written) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.progress.sent = true;
            self.bytes_out += n as u64;
            self.turn.step(n);
            self.pace.progress();
            let of_buffer = n.min(self.out.len());
            self.out.consume(of_buffer);
            if let Some(piece) = &mut data {
                piece.advance((n - of_buffer).min(piece.remaining()));
                if piece.remaining() == 0 {
                    self.exchange.end_data(&mut self.out);
                    return Poll::Ready(Ok(()));
                }
            }
            if self.turn.is_over() {
                return Poll::Pending;
            }
        }
    }

    /// Reads once, behind what is there. Zero is the end of the stream.
    pub(super) fn poll_read(&mut self) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut cx = Context::from_waker(&self.wakers.io);
        let mut transport = Pin::new(self.transport.get_mut().as_mut());
        let read = loop {
            match ready!(transport.as_mut().poll_read(&mut cx, self.input.space())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = self.note_read(read);
        self.turn.step(*read.as_ref().unwrap_or(&0));
        Poll::Ready(read)
    }

    /// Like `poll_read`, of what the kernel has now.
    pub(super) fn try_read(&mut self) -> io::Result<usize> {
        self.make_room();
        let read = self.transport.get_mut().try_read(self.input.space());
        self.note_read(read)
    }

    fn note_read(&mut self, read: io::Result<usize>) -> io::Result<usize> {
        let n = read?;
        self.input.filled(n);
        self.bytes_in += n as u64;
        self.progress.received |= n > 0;
        Ok(n)
    }

    /// Sees to it that the next read has room, so that zero bytes read always mean the end.
    fn make_room(&mut self) {
        if !self.input.has_memory() {
            // The request is written: its memory will do for the response.
            self.input = if self.out.is_empty() && self.out.has_memory() {
                std::mem::take(&mut self.out)
            } else {
                self.shared.buffers.lend()
            };
        }
        if self.input.room() == 0 {
            // Only a head can fill the buffer: it is decoded whole, within its limit.
            self.input.reserve(BUFFER);
        }
    }
}
