//! TLS as a transport: the engine behind the interface of any other.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::{HandshakeKind, ProtocolVersion};

use super::engine::{End, LOOKS, READS, TlsStream};
use crate::rt::{Liveness, TlsInfo, Transport, TransportInfo};

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..READS {
            let taken = self.take(buf)?;
            if taken > 0 || buf.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            self.push_beside(cx);
            if let Some(end) = self.ended() {
                return Poll::Ready(end);
            }
            ready!(self.poll_fill(cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl TlsStream {
    /// Writes, in a read, a rest of the request or what rustls has to answer. That it cannot be
    /// written is no reason not to read: the peer may have said why.
    fn push_beside(&mut self, cx: &mut Context<'_>) {
        // Two tasks may use the stream once it is a tunnel. A writer that waits is woken, and sends
        // the rest itself; were this task's waker put in the place of its own, it would sleep on.
        if self.tls.wants_write() && self.write_error.is_none() && !self.writer_waits {
            if let Poll::Ready(Err(error)) = self.poll_push(cx, &mut 0) {
                self.write_error = Some(error);
            }
        }
    }

    /// Writes, for a writer, what is there to be written, all of it.
    fn poll_push_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let pushed = self.poll_push(cx, &mut 0);
        self.writer_waits = pushed.is_pending();
        pushed
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    // Plaintext counts as written once it is encrypted and the kernel took some of what rustls had
    // to send, or may yet. An error means that it took none of it.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.write_error.take() {
            return Poll::Ready(Err(self.reason(error)));
        }
        if let Err(error) = ready!(self.poll_push_all(cx)) {
            return Poll::Ready(Err(self.reason(error)));
        }
        let accepted = self.tls.writer().write_vectored(bufs)?;
        let mut taken = 0;
        match self.poll_push(cx, &mut taken) {
            Poll::Ready(Err(error)) if taken == 0 => Poll::Ready(Err(self.reason(error))),
            Poll::Ready(Err(error)) => {
                self.write_error = Some(error);
                Poll::Ready(Ok(accepted))
            }
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(accepted)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.write_error.take() {
            return Poll::Ready(Err(error));
        }
        ready!(self.poll_push_all(cx))?;
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_goodbye();
        ready!(self.poll_push_all(cx))?;
        Pin::new(&mut *self.inner).poll_close(cx)
    }
}

impl Transport for TlsStream {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for _ in 0..READS {
            let taken = self.take(buf)?;
            if taken > 0 || buf.is_empty() {
                return Ok(taken);
            }
            match self.ended() {
                Some(end) => return end,
                None => self.try_fill()?,
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// What has come is read and decrypted: a session ticket may come at any time, and is none of
    /// anybody's business. Plaintext stays where it is.
    fn try_peek(&mut self) -> Liveness {
        for _ in 0..LOOKS {
            self.process();
            if self.plain > 0 {
                return Liveness::Unexpected;
            }
            if self.end != End::Open || self.write_error.is_some() {
                return Liveness::Closed;
            }
            match self.try_fill() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Nobody knows yet what a record is that has come in part. And a rest of the
                    // request before, or an answer of rustls, is to go out first.
                    let quiet = self.records.is_between() && self.push_now();
                    return if quiet { Liveness::Alive } else { Liveness::Unexpected };
                }
                Err(_) => return Liveness::Closed,
            }
        }
        Liveness::Unexpected
    }

    /// The transport below is watched once all that has come is decrypted: what is woken for may be
    /// a session ticket, and then it is watched again.
    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Liveness> {
        for _ in 0..LOOKS {
            match self.try_peek() {
                Liveness::Alive => {}
                other => return Poll::Ready(other),
            }
            match ready!(self.inner.poll_peek(cx)) {
                // It has just come.
                Liveness::Unexpected => {}
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(Liveness::Alive)
    }

    fn info(&self) -> TransportInfo {
        let mut info = self.inner.info();
        info.tls = Some(TlsInfo {
            is_1_3: self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            alpn: self.tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
        });
        info
    }

    fn abort(&mut self) {
        self.said_goodbye = true;
        self.inner.abort();
    }
}

impl Drop for TlsStream {
    /// Tells the peer that nothing was cut off, if it can be told at once.
    fn drop(&mut self) {
        if !self.said_goodbye && self.write_error.is_none() && !self.tls.is_handshaking() {
            self.say_goodbye();
            self.push_now();
        }
        self.input.clear();
        self.give_back();
    }
}
