//! This pool, over transports in memory.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use evenkeel::{
    BoxFuture, Builder, Connector, Liveness, Pool, Resolve, Runtime, Select, Server, Sleep, Target,
    Timer, Transport,
};
use futures_io::{AsyncRead, AsyncWrite};

use super::{CONNECTIONS, Cycle};
use crate::measure::now;

/// A builder of pools over transports in memory.
pub(crate) fn builder(clock: Clock) -> Builder {
    Pool::builder().runtime(Runtime::custom(clock, Memory, Memory))
}

/// A pool of one server, all of whose connections are idle.
pub(super) struct Evenkeel {
    pool: Pool,
    select: Select,
}

impl Evenkeel {
    /// Opens the connections and gives them back.
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let pool = builder(clock)
            .server(Server::new("http://127.0.0.1").map_err(io::Error::other)?)
            .max_idle_connections(CONNECTIONS)
            .build()
            .map_err(io::Error::other)?;
        let select = Select::new();
        let mut loans = Vec::new();
        for _ in 0..CONNECTIONS {
            let loan = async_io::block_on(pool.checkout(select.clone()));
            loans.push(loan.map_err(io::Error::other)?);
        }
        drop(loans);
        Ok(Self { pool, select })
    }
}

impl Cycle for Evenkeel {
    fn cycle(&self) {
        let loan = self.pool.try_checkout(&self.select);
        drop(std::hint::black_box(loan.expect("one is idle")));
    }
}

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's time.
    System,
    /// Always the same time: what is left is the pool's own.
    Still,
}

thread_local! {
    static START: Instant = now();
}

impl Timer for Clock {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    fn now(&self) -> Instant {
        match self {
            Self::System => now(),
            Self::Still => START.with(|start| *start),
        }
    }
}

/// Nothing here waits, so no sleep has to end.
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

/// A network in which every connection is open and silent.
#[derive(Clone, Copy, Debug)]
struct Memory;

impl Connector for Memory {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Transport>) })
    }
}

impl Resolve for Memory {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)]) })
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
