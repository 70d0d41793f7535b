//! A TCP connection in memory: two bounded pipes, with half-close and reset.

#![expect(
    clippy::disallowed_types,
    reason = "a test tool on one thread: its locks are never contended"
)]

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};

use super::clock::{Clock, SimSleep};
use super::lock;
use super::pipe::{End, Found, Reader, Wire, wake};
use super::socket::Socket;
use crate::rt::{Liveness, Transport, TransportInfo};

/// One end of a connection in a [`SimNet`](super::SimNet).
///
/// It behaves as a TCP socket does: writes wait once the peer's buffer is full; closing sends an
/// end of stream after what was written, and the other direction goes on; dropping closes, or
/// resets if there are unread bytes; a write to a peer that has gone is accepted once, and then
/// fails.
pub struct SimStream {
    wire: Arc<Mutex<Wire>>,
    side: usize,
    clock: Arc<Clock>,
    latency: Duration,
    /// Waits for bytes that are still on their way.
    arrival: SimSleep,
    local: SocketAddr,
    peer: SocketAddr,
    /// Counts the client's end as an open socket until it is dropped.
    _socket: Option<Socket>,
}

/// What both ends of a new connection share.
pub(super) struct Link {
    pub(super) clock: Arc<Clock>,
    pub(super) latency: Duration,
    pub(super) capacity: usize,
}

impl SimStream {
    /// The client's end, which is counted by `socket`, and the server's.
    pub(super) fn pair(
        link: &Link,
        client: SocketAddr,
        server: SocketAddr,
        socket: Socket,
    ) -> (Self, Self) {
        let wire = Arc::new(Mutex::new(Wire::new(link.capacity)));
        let end = |side, local, peer, socket| Self {
            wire: wire.clone(),
            side,
            clock: link.clock.clone(),
            latency: link.latency,
            arrival: link.clock.sleep(link.clock.now()),
            local,
            peer,
            _socket: socket,
        };
        (end(0, client, server, Some(socket)), end(1, server, client, None))
    }

    /// The address of this end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Closes with a reset instead of an end of stream.
    pub fn reset(mut self) {
        self.abort();
    }

    fn read_now(&self, buf: &mut [u8]) -> Result<io::Result<usize>, Option<Instant>> {
        let now = self.clock.now();
        let mut wire = lock(&self.wire);
        let (input, _) = wire.split(self.side);
        match input.look(now) {
            Found::Bytes => {
                let count = input.take(buf, now);
                let writer = input.writing.take();
                drop(wire);
                wake([writer]);
                Ok(Ok(count))
            }
            Found::End(End::Fin) => Ok(Ok(0)),
            Found::End(End::Reset) => Ok(Err(io::ErrorKind::ConnectionReset.into())),
            Found::Nothing { until } => Err(until),
        }
    }

    /// Has the task woken when there is something to read, which may be under way.
    fn wait_for(&mut self, arrival: Option<Instant>, cx: &mut Context<'_>) {
        lock(&self.wire).split(self.side).0.reading = Some(cx.waker().clone());
        if let Some(arrival) = arrival {
            self.arrival.set_deadline(arrival);
            if Pin::new(&mut self.arrival).poll(cx).is_ready() {
                // The clock was moved just now.
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Writes what there is room for. An error of `WouldBlock` is the only one that leaves the
    /// stream usable.
    fn write_now(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        let mut wire = lock(&self.wire);
        let (input, output) = wire.split(self.side);
        let refused = matches!(output.reader, Reader::Refusing) || output.end.is_some();
        if refused {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if matches!(output.reader, Reader::Gone) {
            // The bytes travel, and are answered with a reset, which is what this end reads
            // unless the end of stream came first.
            output.reader = Reader::Refusing;
            input.end.get_or_insert((now + 2 * self.latency, End::Reset));
            let reader = input.reading.take();
            drop(wire);
            wake([reader]);
            return Ok(buf.len());
        }
        let count = buf.len().min(output.room());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        output.push(&buf[..count], now + self.latency);
        let reader = output.reading.take();
        drop(wire);
        wake([reader]);
        Ok(count)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.read_now(buf) {
            Ok(result) => Poll::Ready(result),
            Err(arrival) => {
                self.wait_for(arrival, cx);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.write_now(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                lock(&self.wire).split(self.side).1.writing = Some(cx.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.as_mut().poll_write(cx, buf) {
                Poll::Ready(Ok(count)) => total += count,
                other if total == 0 => return other,
                _ => break,
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let arrival = self.clock.now() + self.latency;
        let reader = lock(&self.wire).finish(self.side, arrival);
        wake([reader]);
        Poll::Ready(Ok(()))
    }
}

impl Transport for SimStream {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_now(buf).unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn try_peek(&mut self) -> Liveness {
        match lock(&self.wire).split(self.side).0.look(self.clock.now()) {
            Found::Bytes => Liveness::Unexpected,
            Found::Nothing { .. } => Liveness::Alive,
            Found::End(_) => Liveness::Closed,
        }
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Liveness> {
        let found = lock(&self.wire).split(self.side).0.look(self.clock.now());
        match found {
            Found::Nothing { until } => {
                self.wait_for(until, cx);
                Poll::Pending
            }
            Found::Bytes => Poll::Ready(Liveness::Unexpected),
            Found::End(_) => Poll::Ready(Liveness::Closed),
        }
    }

    fn info(&self) -> TransportInfo {
        TransportInfo { local: Some(self.local), peer: Some(self.peer), tls: None }
    }

    fn abort(&mut self) {
        let wakers = lock(&self.wire).reset(self.side, self.clock.now(), self.latency);
        wake(wakers);
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let wakers = lock(&self.wire).close(self.side, self.clock.now(), self.latency);
        wake(wakers);
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStream")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
