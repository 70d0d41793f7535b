//! The scripted transport.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

use crate::rt::{Liveness, Transport};
use crate::sync::{AtomicBool, Ordering, Queue, TaskCell};

/// What a read meets. An empty script is a peer that is silent.
#[derive(Debug)]
pub(super) enum Read {
    Bytes(Vec<u8>),
    Pending,
    Eof,
    Fail(io::ErrorKind),
}

/// What a write meets. An empty script takes everything.
#[derive(Debug)]
pub(super) enum Write {
    Take(usize),
    Pending,
    Fail(io::ErrorKind),
}

/// Both ends' view of one connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    reads: Queue<Read>,
    writes: Queue<Write>,
    written: Queue<Vec<u8>>,
    reader: TaskCell,
    aborted: AtomicBool,
}

impl Wire {
    pub(super) fn transport(self: &Arc<Self>) -> Box<dyn Transport> {
        Box::new(Scripted { wire: self.clone(), current: Vec::new(), ended: false })
    }

    pub(super) fn answers(&self, bytes: impl AsRef<[u8]>) {
        self.reads.push(Read::Bytes(bytes.as_ref().to_vec()));
    }

    pub(super) fn reads(&self, step: Read) {
        self.reads.push(step);
    }

    pub(super) fn writes(&self, step: Write) {
        self.writes.push(step);
    }

    /// How many steps of the script for reads are left.
    pub(super) fn unread(&self) -> usize {
        self.reads.len()
    }

    /// Takes a step of the script for writes back.
    pub(super) fn next_write(&self) -> Option<Write> {
        self.writes.pop()
    }

    /// Each write that was taken since the last look.
    pub(super) fn written(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.written.pop()).collect()
    }

    /// The same, joined.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.written().concat()).unwrap()
    }

    /// The waker that the transport was last polled with.
    pub(super) fn reader(&self) -> Waker {
        self.reader.take().expect("nobody waits to read")
    }

    pub(super) fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }
}

struct Scripted {
    wire: Arc<Wire>,
    current: Vec<u8>,
    ended: bool,
}

impl Scripted {
    /// `None`: the read would block.
    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        assert!(!buf.is_empty(), "a read without room cannot be told from the end");
        if self.current.is_empty() && !self.ended {
            match self.wire.reads.pop()? {
                Read::Bytes(bytes) => self.current = bytes,
                Read::Pending => return None,
                Read::Eof => self.ended = true,
                Read::Fail(kind) => return Some(Err(kind.into())),
            }
        }
        let n = buf.len().min(self.current.len());
        buf[..n].copy_from_slice(&self.current[..n]);
        self.current.drain(..n);
        Some(Ok(n))
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.read(buf) {
            Some(result) => Poll::Ready(result),
            None => {
                this.wire.reader.register(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let given: usize = bufs.iter().map(|slice| slice.len()).sum();
        assert!(given > 0, "an empty write says nothing");
        let most = match self.wire.writes.pop() {
            Some(Write::Pending) => return Poll::Pending,
            Some(Write::Fail(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Write::Take(n)) => n.min(given),
            None => given,
        };
        let mut bytes = Vec::with_capacity(most);
        for slice in bufs {
            let n = slice.len().min(most - bytes.len());
            bytes.extend_from_slice(&slice[..n]);
        }
        let n = bytes.len();
        self.wire.written.push(bytes);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Scripted {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn try_peek(&mut self) -> Liveness {
        match (self.current.is_empty(), self.ended) {
            (false, _) => Liveness::Unexpected,
            (true, true) => Liveness::Closed,
            (true, false) => Liveness::Alive,
        }
    }

    fn abort(&mut self) {
        self.wire.aborted.store(true, Ordering::Relaxed);
    }
}
