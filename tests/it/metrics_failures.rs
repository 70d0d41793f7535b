//! Goal: each failed request is counted under what it failed of, once, and nothing else is. Method:
//! one world for each cause, in which it alone can occur.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use evenkeel::rt::sim::Sim;
use evenkeel::{
    Body, BoxFuture, Builder, Connector, Destroyed, FailureCause, Liveness, Metrics, Pool, Retry,
    Select, Target, Transport,
};
use futures_lite::future::poll_once;
use futures_lite::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use http::{Method, Request};
use http_body::Frame;

use crate::support::sim::{MS, ONE, SECOND, TWO, builder, get, hold, request, whole};
use crate::support::{SimServer, assert_balanced, parse};

struct World {
    sim: Sim,
    _server: SimServer,
    pool: Pool,
}

fn world(settings: impl FnOnce(Builder) -> Builder) -> World {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1);
    let pool = settings(builder).build().expect("a valid pool");
    World { sim, _server: server, pool }
}

/// One request has failed, of this, and the server was or was not to blame.
#[track_caller]
fn assert_failed(pool: &Pool, cause: FailureCause, at_server: bool) {
    let metrics = pool.metrics();
    let seen: Vec<_> = metrics.failures.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(seen, [(cause, 1)], "{metrics:?}");
    assert_eq!(metrics.failed_requests, 1);
    assert_eq!(metrics.timeouts, u64::from(cause.is_timeout()));
    assert_balanced(&metrics);
    let servers: u64 = pool.server_stats().iter().map(|stats| stats.failures.of(cause)).sum();
    assert_eq!(servers, u64::from(at_server), "{cause:?} at the server");
}

/// The request fails of this.
#[track_caller]
fn assert_fails(world: &World, request: Request<Body>, cause: FailureCause, at_server: bool) {
    let ended = world.sim.block_on(async { whole(world.pool.send(request).await?).await });
    ended.expect_err("it cannot succeed");
    assert_failed(&world.pool, cause, at_server);
}

fn get_of(path: &str) -> Request<Body> {
    request(Method::GET, path)
}

#[test]
fn a_request_that_finds_no_server_fails_of_that() {
    let world = world(|builder| builder);
    let nowhere = get_of("/");
    let id = world.pool.server_stats()[0].id;
    world.pool.remove_server(id).unwrap();
    assert_fails(&world, nowhere, FailureCause::NoServers, false);
}

#[test]
fn a_full_line_and_a_long_one_are_told_apart() {
    for (waiters, cause) in [(0, FailureCause::QueueFull), (1, FailureCause::QueueTimeout)] {
        let world = world(|builder| builder.max_waiters(waiters).queue_timeout(SECOND));
        world.sim.block_on(async {
            let held = hold(&world.pool, 1).await;
            get(&world.pool, "/").await.expect_err("there is no connection for it");
            drop(held);
        });
        assert_failed(&world.pool, cause, false);
        let metrics = world.pool.metrics();
        assert_eq!(metrics.queue_full, u64::from(waiters == 0));
    }
}

#[test]
fn what_keeps_a_connection_from_being_made_is_told_apart() {
    let nameless = world(|builder| builder);
    let id = nameless.pool.server_stats()[0].id;
    nameless.pool.remove_server(id).unwrap();
    nameless.pool.add_server(parse("http://no.such.name")).unwrap();
    assert_fails(&nameless, get_of("/"), FailureCause::Resolve, false);

    let mut refused = world(|builder| builder);
    let World { sim, _server: server, .. } = &mut refused;
    sim.block_on(server.stop());
    assert_fails(&refused, get_of("/"), FailureCause::Connect, false);

    let lost = world(|builder| builder.connect_timeout(SECOND));
    lost.sim.net().black_hole(ONE);
    assert_fails(&lost, get_of("/"), FailureCause::ConnectTimeout, false);
}

#[test]
fn each_step_of_an_exchange_has_a_timeout_of_its_own() {
    let timed = || {
        world(|builder| {
            let builder = builder.write_timeout(SECOND).response_head_timeout(SECOND);
            builder.body_read_timeout(SECOND)
        })
    };
    let upload = Request::post("/deaf").body(Body::from(vec![b'x'; 1 << 20])).unwrap();
    assert_fails(&timed(), upload, FailureCause::WriteTimeout, true);
    assert_fails(&timed(), get_of("/never"), FailureCause::ResponseTimeout, true);
    assert_fails(&timed(), get_of("/stall/100"), FailureCause::BodyTimeout, true);
}

#[test]
fn a_connection_that_breaks_is_stale_only_if_it_had_been_idle() {
    let fresh = world(|builder| builder);
    assert_fails(&fresh, get_of("/drop"), FailureCause::Reset, true);

    let warm = world(|builder| builder);
    warm.sim.block_on(get(&warm.pool, "/drop-next")).unwrap();
    // It is not sent twice, since that may do twice what it does.
    assert_fails(&warm, request(Method::POST, "/"), FailureCause::Stale, true);

    // One that can be sent again succeeds: only the attempt at the server has failed.
    let again = world(|builder| builder);
    again.sim.block_on(async {
        get(&again.pool, "/drop-next").await.unwrap();
        get(&again.pool, "/").await.unwrap();
    });
    assert_eq!(again.pool.metrics().failures.total(), 0);
    assert_eq!(again.pool.server_stats()[0].failures.stale, 1);
}

/// A pool, and a server that says these bytes to whoever connects.
fn rude(words: &'static [u8]) -> World {
    let world = world(|builder| builder);
    let listener = world.sim.net().listen(TWO);
    world.sim.spawn(async move {
        loop {
            let mut stream = listener.accept().await;
            stream.write_all(words).await.expect("somebody listens");
            std::future::pending::<()>().await;
        }
    });
    let id = world.pool.server_stats()[0].id;
    world.pool.remove_server(id).expect("it is there");
    world.pool.add_server(parse(&format!("http://{TWO}"))).expect("the pool is open");
    world
}

/// Connections that have an answer before they take a request.
struct Early;

impl Connector for Early {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Transport>) })
    }
}

impl AsyncRead for Early {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        buf[..ANSWER.len()].copy_from_slice(ANSWER);
        Poll::Ready(Ok(ANSWER.len()))
    }
}

impl AsyncWrite for Early {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Transport for Early {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Alive
    }

    fn abort(&mut self) {}
}

/// A request's body that fails.
struct Broken;

#[derive(Debug)]
struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault of the caller")
    }
}

impl std::error::Error for Fault {}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(Some(Err(Fault)))
    }
}

#[test]
fn bytes_that_nobody_asked_for_are_told_apart_from_a_bad_answer() {
    assert_fails(&rude(b"nonsense\r\n\r\n"), get_of("/"), FailureCause::Protocol, true);

    let early = world(|builder| {
        builder.runtime(Sim::new().runtime().wrap_connector(|_| Early)).retry(Retry::never())
    });
    assert_fails(&early, get_of("/"), FailureCause::Poisoned, true);
}

#[test]
fn the_callers_own_faults_are_told_apart() {
    let faulty = world(|builder| builder);
    let post = Request::post("/").body(Broken).unwrap();
    faulty.sim.block_on(faulty.pool.send(post)).expect_err("its body fails");
    assert_failed(&faulty.pool, FailureCause::Body, true);

    let contradictory = world(|builder| builder);
    let mut request = get_of("/");
    request.headers_mut().insert("content-length", "7".parse().unwrap());
    assert_fails(&contradictory, request, FailureCause::Request, true);
}

#[test]
fn what_a_shutdown_cuts_fails_of_that() {
    let world = world(|builder| builder);
    world.sim.block_on(async {
        let mut cut = Box::pin(get(&world.pool, "/never"));
        assert!(poll_once(&mut cut).await.is_none());
        world.sim.settle().await;
        assert!(poll_once(&mut cut).await.is_none());
        world.pool.shutdown(MS).await;
        cut.await.expect_err("it was cut");
    });
    assert_failed(&world.pool, FailureCause::Closed, true);
}

#[test]
fn a_status_of_500_is_a_failure_and_one_of_499_is_none() {
    let bad = world(|builder| builder);
    bad.sim.block_on(get(&bad.pool, "/status/500")).expect("it is a response");
    assert_failed(&bad.pool, FailureCause::Status, true);

    let good = world(|builder| builder);
    good.sim.block_on(async {
        for path in ["/status/499", "/status/404", "/", "/b/100000"] {
            get(&good.pool, path).await.unwrap();
        }
        // Nor is a request a failure that its caller gave up.
        let mut gone = Box::pin(get(&good.pool, "/never"));
        assert!(poll_once(&mut gone).await.is_none());
    });
    let metrics = good.pool.metrics();
    assert_eq!((metrics.failures.total(), metrics.cancelled_requests), (0, 1), "{metrics:?}");
    assert_balanced(&metrics);
}

#[test]
fn connections_are_counted_by_why_they_were_closed_at_the_pool_and_at_the_server() {
    let world = world(|builder| builder.max_requests_per_connection(2));
    world.sim.block_on(async {
        get(&world.pool, "/close").await.unwrap();
        get(&world.pool, "/drop").await.unwrap_err();
        for _ in 0..2 {
            get(&world.pool, "/").await.unwrap();
        }
        hold(&world.pool, 1).await.pop().unwrap().discard();
        let mut checkout = world.pool.checkout(Select::new()).await.unwrap();
        checkout.send(get_of("/")).await.unwrap();
        drop(checkout);
        world.pool.shutdown(SECOND).await;
    });
    let mut expected = Destroyed::default();
    (expected.not_reusable, expected.broken, expected.max_requests) = (1, 1, 1);
    (expected.discarded, expected.shutdown) = (1, 1);
    let metrics: Metrics = world.pool.metrics();
    assert_eq!(metrics.destroyed, expected);
    assert_eq!(world.pool.server_stats()[0].destroyed, expected);
    assert_balanced(&metrics);
}
