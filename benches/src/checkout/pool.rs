//! This pool, over transports in memory.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use evenkeel::{
    BoxFuture, Builder, Connector, Liveness, Pool, Resolve, Resolved, Runtime, Select, Server,
    Sleep, Target, Timer, Transport,
};
use futures_io::{AsyncRead, AsyncWrite};

use super::others::at_once;
use super::{CONNECTIONS, Cycle};
use crate::measure::now;

/// A builder of pools over transports in memory.
pub(crate) fn builder(clock: Clock) -> Builder {
    Pool::builder().runtime(clock.runtime())
}

/// A pool all of whose connections are idle.
pub(super) struct Evenkeel {
    pool: Pool,
    select: Select,
}

/// The same, by the call that never waits.
pub(super) struct Try(pub(super) Evenkeel);

impl Evenkeel {
    /// Opens the connections, as many to each server, and gives them back.
    pub(super) fn new(clock: Clock, servers: usize) -> io::Result<Self> {
        let mut pool = builder(clock).max_idle_connections(CONNECTIONS);
        for port in 0..servers {
            let url = format!("http://127.0.0.1:{}", 8000 + port);
            pool = pool.server(Server::new(url).map_err(io::Error::other)?);
        }
        let pool = pool.build().map_err(io::Error::other)?;
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
        let loan = at_once(self.pool.checkout(&self.select));
        drop(std::hint::black_box(loan.expect("one is idle")));
    }
}

impl Cycle for Try {
    fn cycle(&self) {
        let loan = self.0.pool.try_checkout(&self.0.select);
        drop(std::hint::black_box(loan.expect("one is idle")));
    }
}

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// That of `Runtime::async_io`: ages by the system's coarse clock.
    Coarse,
    /// The system's precise clock alone, as with a timer of one's own.
    Precise,
    /// Always the same time: what is left is the pool's own.
    Still,
}

impl Clock {
    fn runtime(self) -> Runtime {
        match self {
            Self::Coarse => Runtime::async_io().connector(Memory).resolver(Memory),
            Self::Precise | Self::Still => Runtime::custom(self, Memory, Memory),
        }
    }
}

impl Timer for Clock {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    fn now(&self) -> Instant {
        now()
    }

    fn coarse_millis(&self) -> Option<u64> {
        matches!(self, Self::Still).then_some(0)
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
