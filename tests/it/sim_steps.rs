//! Goal: each step of a request ends at its own time, if it has one, and says which it was; what
//! gets on is never cut. Method: servers that stop at every step, in virtual time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Builder, Dialling, Error, ErrorKind, Phase, Pool, Select};
use http::{Method, Request};

use crate::support::sim::{MS, ONE, SECOND, builder, get, hold, info, request, wished};
use crate::support::{SimServer, assert_balanced};

/// A world with one server, and a pool of two connections.
fn world(settings: impl FnOnce(Builder) -> Builder) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = settings(builder(&sim, &[&server]).max_connections_per_server(2));
    let pool = builder.build().expect("a valid pool");
    (sim, server, pool)
}

/// The request ends in this step, at this time; whether it was safe to send it again.
#[track_caller]
fn assert_ends(
    sim: &Sim,
    pool: &Pool,
    request: Request<Body>,
    phase: Phase,
    at: Duration,
) -> Error {
    let start = sim.now();
    let outcome = sim.block_on(async { pool.send(request).await?.into_body().bytes().await });
    let error = outcome.expect_err("it takes too long");
    assert_eq!(sim.now() - start, at, "{error:?}");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(phase)), "{error:?}");
    assert!(error.is_timeout());
    assert_balanced(&pool.metrics());
    assert_eq!(pool.metrics().idle_connections, 0, "the connection is of no more use");
    error
}

fn upload(path: &str, length: usize) -> Request<Body> {
    Request::post(path).body(Body::from(vec![b'x'; length])).expect("a valid request")
}

fn with(mut request: Request<Body>, select: Select) -> Request<Body> {
    request.extensions_mut().insert(select);
    request
}

#[test]
fn a_write_that_is_held_up_ends_at_its_own_time() {
    let (sim, server, pool) = world(|builder| builder.write_timeout(SECOND * 2));
    assert_ends(&sim, &pool, upload("/deaf", 1 << 20), Phase::Write, SECOND * 2);
    // A server that takes its time before it reads, and one that takes too much of it.
    sim.block_on(async { pool.send(upload("/deaf/1999", 1 << 20)).await.map(drop) }).unwrap();
    assert_ends(&sim, &pool, upload("/deaf/2001", 1 << 20), Phase::Write, SECOND * 2);
    let patient = with(upload("/deaf/5000", 1 << 20), Select::new().write_timeout(SECOND * 6));
    sim.block_on(async { pool.send(patient).await.map(drop) }).unwrap();
    let hasty = with(upload("/deaf", 1 << 20), Select::new().write_timeout(MS));
    assert_ends(&sim, &pool, hasty, Phase::Write, MS);
    assert_eq!(server.counts().open as u64, pool.metrics().idle_connections);
}

#[test]
fn the_wait_for_the_head_ends_at_its_own_time() {
    let (sim, _server, pool) = world(|builder| builder.response_head_timeout(SECOND * 3));
    let error =
        assert_ends(&sim, &pool, request(Method::GET, "/never"), Phase::Response, SECOND * 3);
    assert!(!error.is_retry_safe() && !error.reused() && error.into_request().is_none());
    sim.block_on(get(&pool, "/after/2999")).unwrap();
    let late = request(Method::GET, "/after/3001");
    let error = assert_ends(&sim, &pool, late, Phase::Response, SECOND * 3);
    assert!(error.reused());
    let patient = wished("/after/9000", Select::new().response_head_timeout(SECOND * 10));
    sim.block_on(async { pool.send(patient).await.map(drop) }).unwrap();
}

#[test]
fn the_time_of_the_head_begins_when_the_request_is_sent() {
    let (sim, _server, pool) = world(|builder| builder.response_head_timeout(SECOND));
    // The body is held up for longer than the head may take.
    sim.block_on(async { pool.send(upload("/deaf/5000", 1 << 20)).await.map(drop) }).unwrap();
}

#[test]
fn a_body_that_stalls_ends_at_its_own_time() {
    let (sim, _server, pool) = world(|builder| builder.body_read_timeout(SECOND * 2));
    assert_ends(&sim, &pool, request(Method::GET, "/stall/100"), Phase::Body, SECOND * 2);
    sim.block_on(get(&pool, "/trickle/6/1999")).unwrap();
    assert_ends(&sim, &pool, request(Method::GET, "/trickle/6/2001"), Phase::Body, SECOND * 2);
    let hasty = wished("/trickle/6/50", Select::new().body_read_timeout(MS * 49));
    assert_ends(&sim, &pool, hasty, Phase::Body, MS * 49);
}

#[test]
fn the_time_in_which_nobody_reads_does_not_count() {
    let (sim, _server, pool) =
        world(|builder| builder.body_read_timeout(SECOND).request_timeout(None));
    sim.block_on(async {
        let response = pool.get("/b/1000000").await.unwrap();
        sim.sleep(SECOND * 60).await;
        assert_eq!(response.into_body().bytes().await.unwrap().len(), 1_000_000);
    });
}

#[test]
fn the_wait_in_line_ends_at_its_own_time() {
    let (sim, _server, pool) = world(|builder| builder.queue_timeout(SECOND * 4));
    sim.block_on(async {
        let held = hold(&pool, 2).await;
        for (select, time) in [
            (Select::new(), SECOND * 4),
            (Select::new().queue_timeout(MS * 10), MS * 10),
            (Select::new().timeout(SECOND), SECOND),
        ] {
            let start = sim.now();
            let error = pool.send(wished("/x?y", select)).await.expect_err("nobody gives one back");
            assert_eq!(sim.now() - start, time);
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Queue)));
            let again = error.into_request().expect("nothing was sent");
            assert_eq!((again.method(), again.uri().to_string().as_str()), (&Method::GET, "/x?y"));
        }
        drop(held);
        // Whoever does not have to wait is not hurried.
        let unhurried = wished("/after/9000", Select::new().queue_timeout(MS));
        pool.send(unhurried).await.unwrap();
    });
}

#[test]
fn a_connection_opened_for_a_request_has_that_request_s_time() {
    let (sim, server, pool) = world(|builder| {
        let builder = builder.connect_timeout(SECOND * 5);
        builder.dialling(Dialling::new().failures_before_back_off(0))
    });
    sim.net().black_hole(ONE);
    for time in [SECOND * 2, SECOND * 8] {
        let select = Select::new().connect_timeout(time);
        assert_ends(&sim, &pool, wished("/", select), Phase::Connect, time);
    }
    assert_ends(&sim, &pool, wished("/", Select::new()), Phase::Connect, SECOND * 5);
    let endless = Select::new().connect_timeout(Duration::MAX).timeout(SECOND * 9);
    assert_ends(&sim, &pool, wished("/", endless), Phase::Connect, SECOND * 9);
    sim.net().heal(ONE);
    sim.block_on(get(&pool, "/")).unwrap();
    assert_eq!(server.requests(), 1);
}

/// What became of a body that was to wait.
async fn left(pool: &Pool, path: &str) -> Result<String, Error> {
    let request = Request::put(path).header("expect", "100-continue").body(Body::from("hello"));
    pool.send(request.expect("a valid request")).await?.into_body().text().await
}

#[test]
fn a_body_waits_for_leave_no_longer_than_it_may() {
    let (sim, server, pool) = world(|builder| builder.expect_timeout(MS * 200));
    sim.block_on(async {
        let start = sim.now();
        assert_eq!(left(&pool, "/leave/199").await.unwrap(), "held");
        assert_eq!(sim.now() - start, MS * 199, "it goes out with the leave");
        assert_eq!(left(&pool, "/leave/201").await.unwrap(), "sent");
        // A server that does not know what it was asked waits for the body, and gets it.
        let start = sim.now();
        assert_eq!(left(&pool, "/after/0").await.unwrap(), "PUT /after/0");
        assert_eq!(sim.now() - start, MS * 200);
    });
    assert_eq!(server.counts().opened, 1, "the connection is as good as before");
    assert_balanced(&pool.metrics());
}

#[test]
fn a_request_whose_expectation_fails_is_repeated_without_it_and_on_another_connection() {
    let (sim, server, pool) = world(|builder| builder);
    sim.block_on(async {
        let start = sim.now();
        assert_eq!(left(&pool, "/refuse").await.unwrap(), "PUT /refuse");
        assert_eq!(sim.now(), start, "there was nothing to wait for");
        get(&pool, "/").await.unwrap();
    });
    assert_eq!((server.requests(), server.counts().opened), (3, 2));
    let metrics = pool.metrics();
    assert_eq!((metrics.destroyed.not_reusable, metrics.retries), (1, 1));
    assert_eq!((metrics.total_requests, metrics.successful_requests), (2, 2));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_response_says_how_long_each_step_took() {
    let (sim, _server, pool) = world(|builder| builder.max_connections_per_server(1));
    sim.net().connect_delay(ONE, MS * 50);
    sim.block_on(async {
        for (connect, head) in [(50, 200), (0, 300)] {
            let response = pool.get(format!("/after/{head}")).await.unwrap();
            let timings = info(&response).timings;
            assert_eq!(timings.queue, Duration::ZERO);
            assert_eq!((timings.connect, timings.head), (MS * connect, MS * head));
            response.into_body().bytes().await.unwrap();
        }
        let held = hold(&pool, 1).await;
        let waits = async {
            let response = pool.get("/after/10").await.unwrap();
            let timings = info(&response).timings;
            assert_eq!((timings.queue, timings.connect), (MS * 70, Duration::ZERO));
            assert_eq!(timings.head, MS * 10);
        };
        let releases = async {
            sim.sleep(MS * 70).await;
            drop(held);
        };
        futures_lite::future::zip(waits, releases).await;
    });
}

#[test]
fn two_sides_that_both_send_do_not_wait_for_each_other() {
    let (sim, server, pool) = world(|builder| builder);
    sim.net().capacity(4000);
    sim.block_on(async {
        let start = sim.now();
        let response = pool.send(upload("/flood/8000000", 8_000_000)).await.unwrap();
        assert_eq!(response.into_body().bytes().await.unwrap().len(), 8_000_000);
        assert_eq!(sim.now(), start, "nobody waited for a timeout");
    });
    assert_eq!(server.counts().open, 0, "the request was not sent whole");
    assert_balanced(&pool.metrics());
}
