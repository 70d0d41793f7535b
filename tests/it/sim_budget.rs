//! How often requests are sent again when every connection breaks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Body, BoxFuture, Builder, Connector, ErrorKind, Liveness, Metrics, Pool, Retry, RetryBudget,
    Target, Transport,
};
use futures_lite::io::{AsyncRead, AsyncWrite};
use http::Request;

use crate::support::sim::{MS, ONE, SECOND, TWO, builder, get};
use crate::support::sim_server::SimServer;
use crate::support::{assert_balanced, parse};

const NANO: Duration = Duration::from_nanos(1);

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

#[test]
fn a_request_that_was_tried_in_vain_is_given_back_if_its_body_was_not_asked() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let runtime = sim.runtime().wrap_connector(|_: Arc<dyn Connector>| Brittle);
    let pool = builder(&sim, &[&server]).runtime(runtime).build().unwrap();
    for body in ["", "text"] {
        let request = Request::post("/jobs").body(Body::from(body)).unwrap();
        let error = sim.block_on(pool.send(request)).map(drop).expect_err("it breaks");
        assert_eq!((error.attempts(), error.reused()), (3, false));
        assert!(error.is_retry_safe(), "nothing was sent, in any attempt");
        // The pool could send the text three times; but it has it, and not the caller.
        assert_eq!(error.into_request().is_some(), body.is_empty());
    }
    assert_balanced(&pool.metrics());
}

#[test]
fn the_budget_is_what_its_settings_say() {
    // Percent, a second, requests in a window of two seconds: retries of the third that were left.
    for (percent, per_second, requests, allowed) in
        [(0, 0, 9, 0), (0, 2, 9, 4), (50, 0, 9, 4), (50, 2, 9, 8), (1000, 0, 9, 9)]
    {
        let budget = RetryBudget::new().percent(percent).per_second(per_second).window(SECOND * 2);
        let settings = |builder: Builder| {
            let retry = Retry::new().max_attempts(2).on_status([503]).backoff(NANO, NANO);
            builder.retry(retry).retry_budget(budget)
        };
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = settings(builder(&sim, &[&server])).build().unwrap();
        let round = async || {
            let before = server.requests();
            for _ in 0..requests {
                get(&pool, "/status/503").await.unwrap();
            }
            server.requests() - before - requests
        };
        sim.block_on(async {
            // Each request pays in before it draws.
            assert_eq!(round().await, allowed, "{budget:?}");
            sim.sleep(SECOND * 2).await;
            assert_eq!(round().await, allowed, "{budget:?}: the window is over");
        });
        let metrics = pool.metrics();
        assert_eq!(metrics.retries, 2 * allowed as u64);
        assert_eq!(metrics.retries_refused, 2 * (requests - allowed) as u64);
        assert_balanced(&metrics);
    }
}

/// Requests at this pace for so many seconds, while all servers fail.
fn storm(base: &str, retry: Retry, per_second: u32, seconds: u32) -> (u64, u64, Metrics) {
    let sim = Sim::new();
    let servers = [ONE, TWO, "10.0.0.3:8080"].map(|addr| SimServer::start(&sim, addr));
    let urls = servers.each_ref().map(|server| parse(&(server.url() + base)));
    let builder = urls.into_iter().fold(builder(&sim, &[]), Builder::server);
    let pool = builder.seed(7).retry(retry).build().expect("a valid pool");
    let requests = per_second * seconds;
    sim.block_on(async {
        let tasks = Arc::new(AtomicUsize::new(0));
        for _ in 0..requests {
            let (pool, tasks) = (pool.clone(), tasks.clone());
            tasks.fetch_add(1, Ordering::Relaxed);
            sim.spawn(async move {
                drop(get(&pool, "/").await);
                tasks.fetch_sub(1, Ordering::Relaxed);
            });
            sim.sleep(SECOND / per_second).await;
        }
        while tasks.load(Ordering::Relaxed) > 0 {
            sim.sleep(MS).await;
        }
    });
    let attempts = servers.iter().map(|server| server.requests() as u64).sum();
    assert_balanced(&pool.metrics());
    (u64::from(requests), attempts, pool.metrics())
}

#[test]
fn when_all_servers_fail_the_attempts_stay_within_the_budget() {
    let retry = Retry::new().on_status([503]).on_no_answer(true).max_attempts(10);
    for base in ["/status/503", "/drop"] {
        for per_second in [5, 50, 500] {
            let (requests, attempts, metrics) = storm(base, retry.clone(), per_second, 20);
            // Two windows of ten seconds, of ten a second; and a fifth of the requests.
            let most = requests + requests / 5 + 10 * 20;
            let name = format!("{base}, {per_second} a second: {attempts} for {requests}");
            assert!(attempts <= most, "{name}, at most {most}");
            // It is used, too: were it not, there would be no retries at all.
            let wanted = (10 * requests).min(most);
            assert!(attempts * 10 > wanted * 9, "{name}, of {wanted}");
            assert_eq!(metrics.retries, attempts - requests, "{name}");
            assert_eq!(metrics.stale_retries, 0, "{name}");
        }
    }
}
