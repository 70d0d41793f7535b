//! [`TlsStream`]: what goes between rustls and the transport below.
//!
//! rustls does no I/O. What comes is read into a buffer that is lent, as for any exchange, and
//! given to it piece by piece, no further than to the first plaintext: so what rustls holds is
//! bounded. What it wants to send is written at once; what the kernel does not take stays with
//! rustls, and goes out with the next read or write. No more plaintext is taken before that.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustls::ClientConnection;

use super::Tls;
use super::fault::{Scene, TlsFault, truncated};
use super::records::Records;
use crate::conn::{ConnShared, DialError};
use crate::proto::h1::Buffer;
use crate::rt::Transport;

/// How many times a look at an idle connection reads. A peer that has more to say than that to
/// nobody is not one to go on with.
pub(super) const LOOKS: usize = 4;

/// How many reads in a row may bring no plaintext. After these the task makes way: a peer that is
/// always ready, and says nothing, must not have it for ever.
pub(super) const READS: usize = 64;

/// How many of the first bytes are kept, to tell what it is that is no TLS.
const FIRST: usize = 5;

pub(super) struct TlsStream {
    pub(super) inner: Box<dyn Transport>,
    pub(super) tls: ClientConnection,
    shared: Arc<ConnShared>,
    facts: Tls,
    /// What has come and rustls has not seen yet. Without memory unless there is some.
    pub(super) input: Buffer,
    pub(super) records: Records,
    first: ([u8; FIRST], usize),
    /// The last read filled the buffer.
    more_is_likely: bool,
    /// How much plaintext rustls holds for us.
    pub(super) plain: usize,
    pub(super) end: End,
    /// Writing has failed, part of it done. The next write says so.
    pub(super) write_error: Option<io::Error>,
    /// Whoever writes waits to go on, and is to be woken for it, and nobody else.
    pub(super) writer_waits: bool,
    /// The alert that ends TLS has been put out, or is not to be.
    pub(super) said_goodbye: bool,
}

/// How the stream from the peer has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Open,
    /// By the alert that says so.
    Clean,
    /// By the end of the transport's stream, and nothing else.
    Cut,
    Fault(rustls::Error),
}

impl TlsStream {
    pub(super) fn new(
        facts: &Tls,
        inner: Box<dyn Transport>,
        shared: Arc<ConnShared>,
    ) -> Result<Self, DialError> {
        let tls = ClientConnection::new(facts.config.clone(), facts.server_name.clone())
            .map_err(|error| DialError::of_tls(&facts.name, io::Error::other(error)))?;
        Ok(Self {
            inner,
            tls,
            shared,
            facts: facts.clone(),
            input: Buffer::default(),
            records: Records::default(),
            first: ([0; FIRST], 0),
            more_is_likely: false,
            plain: 0,
            end: End::Open,
            write_error: None,
            writer_waits: false,
            said_goodbye: false,
        })
    }

    /// Until both sides can send.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..READS {
            let written = match self.poll_push(cx, &mut 0) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.reason(error))),
                written => written.is_ready(),
            };
            match self.end {
                End::Open if !self.tls.is_handshaking() => {
                    return if written { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
                End::Open => {}
                End::Clean | End::Cut => {
                    return Poll::Ready(Err(TlsFault::ended(&self.scene()).into()));
                }
                // What the peer is to be told has just been written, if it could be.
                End::Fault(_) => {
                    return self.ended().map_or(Poll::Pending, |end| Poll::Ready(end.map(drop)));
                }
            }
            ready!(self.poll_fill(cx))?;
            self.process();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once into the buffer, all of which rustls has seen.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lend();
        // The last read took all that there was room for, so that the kernel is likely to have
        // more: under async-io this saves a wait for each 16 KiB of a long body.
        if self.more_is_likely {
            match self.inner.try_read(self.input.space()) {
                Err(error) if is_no_answer(&error) => {}
                read => return Poll::Ready(read.map(|n| self.filled(n))),
            }
        }
        loop {
            match ready!(Pin::new(&mut *self.inner).poll_read(cx, self.input.space())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return Poll::Ready(read.map(|n| self.filled(n))),
            }
        }
    }

    /// The same, of what the kernel has now.
    pub(super) fn try_fill(&mut self) -> io::Result<()> {
        self.lend();
        loop {
            match self.inner.try_read(self.input.space()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read.map(|n| self.filled(n));
                    self.give_back();
                    return read;
                }
            }
        }
    }

    fn filled(&mut self, n: usize) {
        if n == 0 {
            self.end = End::Cut;
        }
        self.more_is_likely = n == self.input.room();
        let (first, kept) = &mut self.first;
        let more = n.min(FIRST - *kept);
        first[*kept..*kept + more].copy_from_slice(&self.input.space()[..more]);
        *kept += more;
        self.input.filled(n);
    }

    fn lend(&mut self) {
        if !self.input.has_memory() {
            self.input = self.shared.buffers.lend();
        }
    }

    pub(super) fn give_back(&mut self) {
        if self.input.is_empty() && self.input.has_memory() {
            self.shared.buffers.give_back(std::mem::take(&mut self.input));
        }
    }

    /// Gives rustls what has come, up to the first plaintext or the end.
    pub(super) fn process(&mut self) {
        while !self.input.is_empty() && self.plain == 0 {
            match self.process_some() {
                Ok(()) => {}
                Err(fault) => self.end = End::Fault(fault),
            }
            if matches!(self.end, End::Clean | End::Fault(_)) {
                self.input.clear();
            }
        }
        self.give_back();
    }

    fn process_some(&mut self) -> Result<(), rustls::Error> {
        // It takes as much as it likes, and refuses more only while it holds plaintext.
        let taken = self.tls.read_tls(&mut self.input.data());
        let taken = taken.map_err(|error| rustls::Error::General(error.to_string()))?;
        self.records.pass(&self.input.data()[..taken]);
        self.input.consume(taken);
        let state = self.tls.process_new_packets()?;
        self.plain = state.plaintext_bytes_to_read();
        if state.peer_has_closed() {
            self.end = End::Clean;
        }
        Ok(())
    }

    /// Plaintext that is here, or can be had from what is.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            if self.plain == 0 {
                self.process();
                if self.plain == 0 {
                    break;
                }
            }
            let n = self.tls.reader().read(&mut buf[filled..])?;
            self.plain = self.plain.saturating_sub(n);
            filled += n;
        }
        Ok(filled)
    }

    /// What a reader gets once there is no more plaintext; `None` if more can come.
    pub(super) fn ended(&self) -> Option<io::Result<usize>> {
        match &self.end {
            End::Open => None,
            End::Clean => Some(Ok(0)),
            End::Cut => Some(Err(truncated())),
            End::Fault(fault) => Some(Err(TlsFault::new(fault.clone(), &self.scene()).into())),
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            name: &self.facts.name,
            has_identity: self.facts.has_identity,
            first: &self.first.0[..self.first.1],
            handshaking: self.tls.is_handshaking(),
        }
    }

    /// Writes what rustls has to send; `taken` counts what the kernel took of it.
    pub(super) fn poll_push(
        &mut self,
        cx: &mut Context<'_>,
        taken: &mut usize,
    ) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut pipe = Pipe { inner: &mut *self.inner, cx };
            match self.tls.write_tls(&mut pipe) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => *taken += n,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Poll::Pending,
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what can be written now, where nobody waits to write.
    pub(super) fn push_now(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        matches!(self.poll_push(&mut cx, &mut 0), Poll::Ready(Ok(())))
    }

    /// Why writing has failed: the peer may have said so before it closed.
    #[cold]
    pub(super) fn reason(&mut self, error: io::Error) -> io::Error {
        for _ in 0..LOOKS {
            self.process();
            if self.end != End::Open || self.plain > 0 || self.try_fill().is_err() {
                break;
            }
        }
        match &self.end {
            End::Fault(fault) => TlsFault::new(fault.clone(), &self.scene()).into(),
            End::Cut | End::Clean if self.tls.is_handshaking() => {
                TlsFault::ended(&self.scene()).into()
            }
            _ => error,
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.tls.send_close_notify();
        }
    }
}

fn is_no_answer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The transport below, as rustls wants to write to it.
struct Pipe<'a, 'w> {
    inner: &'a mut dyn Transport,
    cx: &'a mut Context<'w>,
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        as_io(Pin::new(&mut *self.inner).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        as_io(Pin::new(&mut *self.inner).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn as_io<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
