//! Connections that are open at once and say nothing, for callers that only check out.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use evenkeel::{
    BoxFuture, Connector, Liveness, Resolve, Resolved, Runtime, Sleep, Target, Timer, Transport,
};
use futures_lite::{AsyncRead, AsyncWrite};

/// A runtime without sockets. Nothing waits in it, so that any number of threads can use it.
pub(crate) fn runtime() -> Runtime {
    Runtime::custom(Memory, Memory, Memory)
}

#[derive(Clone, Copy, Debug)]
struct Memory;

impl Timer for Memory {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the timer")]
    fn now(&self) -> Instant {
        Instant::now()
    }
}

struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}

impl Connector for Memory {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Transport>) })
    }
}

impl Resolve for Memory {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Box::pin(async move { Ok(vec![addr].into()) })
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Memory {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Alive
    }

    fn abort(&mut self) {}
}
