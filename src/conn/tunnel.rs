//! A connection after HTTP: a plain byte stream.
//!
//! Reading and writing may be done by two tasks now, and a [`Signal`](super::Signal) knows one. So
//! the transport, which knows a reader and a writer, is given their own wakers, and the signal only
//! that of the last one that came. A cut wakes this one, it aborts the transport, and that wakes
//! the other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::Conn;
use crate::rt::Transport;

impl Conn {
    /// Reads: first what came together with the response, then from the transport.
    pub(crate) fn poll_tunnel_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.input.is_empty() {
            let read = ready!(self.tunnel(cx)?.poll_read(cx, buf))?;
            self.bytes_in += read as u64;
            return Poll::Ready(Ok(read));
        }
        // Not after a cut either.
        self.tunnel(cx)?;
        let n = buf.len().min(self.input.len());
        buf[..n].copy_from_slice(&self.input.data()[..n]);
        self.input.consume(n);
        if self.input.is_empty() {
            self.give_buffers_back();
        }
        Poll::Ready(Ok(n))
    }

    /// Writes some of the pieces.
    pub(crate) fn poll_tunnel_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.tunnel(cx)?.poll_write_vectored(cx, pieces))?;
        self.bytes_out += written as u64;
        Poll::Ready(Ok(written))
    }

    /// Sees to it that what was written is on its way.
    pub(crate) fn poll_tunnel_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tunnel(cx)?.poll_flush(cx)
    }

    /// Ends the side that writes.
    pub(crate) fn poll_tunnel_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tunnel(cx)?.poll_close(cx)
    }

    /// The transport, unless the connection has been cut.
    fn tunnel(&mut self, cx: &Context<'_>) -> io::Result<Pin<&mut dyn Transport>> {
        self.wakers.signal.register(cx.waker());
        if self.wakers.signal.is_cut() {
            self.abort();
            let message = "the pool was shut down";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        }
        Ok(Pin::new(self.transport.get_mut().as_mut()))
    }
}
