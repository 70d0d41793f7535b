//! How often requests are sent again when every connection breaks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use evenkeel::rt::sim::Sim;
use evenkeel::{BoxFuture, Connector, ErrorKind, Liveness, Pool, Target, Transport};
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::support::assert_balanced;
use crate::support::sim::{ONE, SECOND, builder, get};
use crate::support::sim_server::SimServer;

/// Connections that break as the first byte is to be written.
struct Brittle;

impl Connector for Brittle {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Transport>) })
    }
}

impl AsyncRead for Brittle {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Brittle {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Brittle {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Alive
    }

    fn abort(&mut self) {}
}

/// How often this many requests are sent again, all together.
async fn retries(pool: &Pool, requests: usize) -> u32 {
    let mut retries = 0;
    for _ in 0..requests {
        let error = get(pool, "/").await.expect_err("it breaks");
        assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
        assert!(error.is_retry_safe(), "nothing was sent");
        retries += error.attempts() - 1;
    }
    retries
}

#[test]
fn new_connections_that_break_are_replaced_within_the_budget() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let runtime = sim.runtime().wrap_connector(|_: Arc<dyn Connector>| Brittle);
    let pool = builder(&sim, &[&server]).runtime(runtime).build().unwrap();
    sim.block_on(async {
        // Two more tries each, as long as there are a hundred and one for five requests.
        assert_eq!(retries(&pool, 55).await, 110);
        assert_eq!(retries(&pool, 5).await, 2);
        assert_eq!(retries(&pool, 5).await, 1);
        sim.sleep(SECOND * 10).await;
        assert_eq!(retries(&pool, 1).await, 2, "what was taken is forgotten with its window");
    });
    assert_balanced(&pool.metrics());
}
