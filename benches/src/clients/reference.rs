//! The reference: the HTTP work that no client can leave out, and nothing else.
//!
//! Each caller has a connection of its own: the head is written from an `http::Request`, the
//! response's is parsed into an `http::Response`, and the body is a `Bytes`. There is no pool, no
//! limit, no timer and no count. What a pool costs is the distance to this.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_executor::LocalExecutor;
use async_io::Async;
use bytes::BytesMut;
use http::{Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Threads;
use crate::measure::Worker;
use crate::options::Options;
use crate::wire::{serialise, take_head};

/// What both kinds of sockets can do.
trait Wire: Send + 'static {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

impl Wire for tokio::net::TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(AsyncRead::poll_read(Pin::new(self), cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(self), cx, bytes)
    }
}

impl Wire for Async<std::net::TcpStream> {
    // Waits first, always: a read that succeeds without having waited leaves a note of readiness
    // behind, and the next wait ends for nothing.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(cx))?;
            match self.get_ref().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.poll_writable(cx))?;
        }
    }
}

/// Asks again and again over one connection, which is given back for the next phase.
async fn call<W: Wire>(mut wire: W, mut worker: Worker, uri: Uri, room: usize) -> io::Result<W> {
    let mut out = Vec::new();
    let mut buffer = vec![0; room];
    let mut input = BytesMut::new();
    while worker.goes_on() {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        serialise(&request, &mut out);
        let mut sent = 0;
        while sent < out.len() {
            sent += poll_fn(|cx| wire.poll_write(cx, &out[sent..])).await?;
        }
        let mut head = None;
        loop {
            let n = poll_fn(|cx| wire.poll_read(cx, &mut buffer)).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            input.extend_from_slice(&buffer[..n]);
            head = head.or_else(|| take_head(&mut input));
            let Some((response, length)) = &head else {
                continue;
            };
            if input.len() < *length {
                continue;
            }
            std::hint::black_box(response);
            worker.answered(input.split_to(*length).freeze().len());
            break;
        }
    }
    Ok(wire)
}

/// On tokio, with one thread.
///
/// # Errors
/// Those of the sockets.
pub(crate) fn tokio(options: &Options) -> io::Result<()> {
    let uri: Uri = options.url().parse().expect("a URL");
    Threads::One.tokio()?.block_on(async {
        let mut wires = Vec::new();
        for _ in 0..options.concurrency {
            let stream = tokio::net::TcpStream::connect(options.addr).await?;
            stream.set_nodelay(true)?;
            wires.push(stream);
        }
        for mut phase in options.phases() {
            let callers = wires.drain(..).zip(phase.workers());
            let tasks: Vec<_> = callers
                .map(|(wire, worker)| {
                    tokio::spawn(call(wire, worker, uri.clone(), options.buffer()))
                })
                .collect();
            for task in tasks {
                wires.push(task.await.expect("no worker panics")?);
            }
            phase.finish();
        }
        Ok(())
    })
}

/// Over the async-io reactor, with one thread.
///
/// # Errors
/// Those of the sockets.
pub(crate) fn async_io(options: &Options) -> io::Result<()> {
    let uri: Uri = options.url().parse().expect("a URL");
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(async {
        let mut wires = Vec::new();
        for _ in 0..options.concurrency {
            let stream = Async::<std::net::TcpStream>::connect(options.addr).await?;
            stream.get_ref().set_nodelay(true)?;
            wires.push(stream);
        }
        for mut phase in options.phases() {
            let callers = wires.drain(..).zip(phase.workers());
            let tasks: Vec<_> = callers
                .map(|(wire, worker)| {
                    executor.spawn(call(wire, worker, uri.clone(), options.buffer()))
                })
                .collect();
            for task in tasks {
                wires.push(task.await?);
            }
            phase.finish();
        }
        Ok(())
    }))
}
