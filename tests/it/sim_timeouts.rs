//! Goal: each deadline ends the step that it is for, at its instant, says which step that was, and
//! leaves the pool whole. Method: servers that stop at every step, in virtual time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Error, ErrorKind, Phase, Pool, Select};
use http::Request;
use http_body::Body as _;

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, PAST_DIAL_GRACE, SECOND, TWO, builder, get, hold, info,
    request, wished,
};
use crate::support::{SimServer, assert_balanced, parse};

/// What a failure must say: its kind, step, server, attempts, and whether to try again.
#[derive(Debug, PartialEq)]
struct Says<'a> {
    kind: ErrorKind,
    phase: Option<Phase>,
    server: Option<&'a str>,
    attempts: u32,
    retry_safe: bool,
}

impl<'a> Says<'a> {
    fn of(error: &'a Error) -> Self {
        Self {
            kind: error.kind(),
            phase: error.phase(),
            server: error.server(),
            attempts: error.attempts(),
            retry_safe: error.is_retry_safe(),
        }
    }

    fn timeout(phase: Phase, server: &'a str, attempts: u32, retry_safe: bool) -> Self {
        let (phase, server) = (Some(phase), Some(server));
        Self { kind: ErrorKind::Timeout, phase, server, attempts, retry_safe }
    }
}

/// Nothing is left of the request: no socket in use, no place in line, no permit.
#[track_caller]
fn assert_whole(sim: &Sim, pool: &Pool, servers: &[&SimServer]) {
    let limit = 2;
    sim.block_on(async {
        sim.sleep(PAST_DIAL_GRACE).await;
        sim.settle().await;
        let open: usize = servers.iter().map(|server| server.counts().open).sum();
        let metrics = pool.metrics();
        assert_eq!(open as u64, metrics.idle_connections, "{metrics:?}");
        let connecting: usize = servers.iter().map(|server| server.counts().connecting).sum();
        assert_eq!(connecting, 0, "a dial is left");
        assert_balanced(&metrics);
        for server in servers {
            sim.net().heal(server.addr());
        }
        drop(hold(pool, limit).await);
    });
    assert_balanced(&pool.metrics());
}

/// A pool with one server and two connections at most.
fn small(sim: &Sim, server: &SimServer, background: Background) -> Pool {
    background.build(sim, builder(sim, &[server]).max_connections_per_server(2))
}

#[test]
fn connecting_to_a_black_hole_ends_at_the_connect_timeout() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = small(&sim, &server, background);
        sim.net().black_hole(ONE);
        let start = sim.now();
        let error = sim.block_on(get(&pool, "/")).expect_err("nobody answers");
        assert_eq!(sim.now() - start, SECOND * 10, "{background:?}");
        let url = server.url();
        assert_eq!(Says::of(&error), Says::timeout(Phase::Connect, &url, 1, true));
        assert!(error.is_connect() && error.is_timeout());
        assert_eq!((pool.metrics().connect_errors, pool.metrics().timeouts), (1, 1));
        assert_whole(&sim, &pool, &[&server]);
    }
}

#[test]
fn resolving_and_connecting_share_one_timeout() {
    // How long the look-up and the connect take, and where the time ends, if it does.
    let rows = [
        (4000, 5999, None),
        (4000, 6001, Some(Phase::Connect)),
        (9999, 0, None),
        (10_001, 0, Some(Phase::Resolve)),
    ];
    for (resolve, connect, ends) in rows {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().name("api.test", &["10.0.0.1"]);
        sim.net().lookup_delay("api.test", MS * resolve);
        sim.net().connect_delay(ONE, MS * connect);
        let builder = Pool::builder().server(parse("http://api.test:8080"));
        let builder = builder.max_connections_per_server(2);
        let pool = Background::Absent.build(&sim, builder);
        let start = sim.now();
        let outcome = sim.block_on(get(&pool, "/"));
        let took = sim.now() - start;
        match ends {
            None => {
                outcome.unwrap();
                assert_eq!(took, MS * (resolve + connect));
            }
            Some(phase) => {
                let error = outcome.expect_err("it takes too long");
                let url = "http://api.test:8080";
                assert_eq!(Says::of(&error), Says::timeout(phase, url, 1, true));
                assert_eq!(took, SECOND * 10);
            }
        }
        sim.net().lookup_delay("api.test", Duration::ZERO);
        assert_whole(&sim, &pool, &[&server]);
    }
}

#[test]
fn the_request_timeout_ends_a_dial_that_would_have_more_time() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = small(&sim, &server, background);
        sim.net().black_hole(ONE);
        let hurried = wished("/", Select::new().timeout(SECOND * 3));
        let start = sim.now();
        let error = sim.block_on(pool.send(hurried)).expect_err("nobody answers");
        assert_eq!(sim.now() - start, SECOND * 3);
        let url = server.url();
        assert_eq!(Says::of(&error), Says::timeout(Phase::Connect, &url, 1, true));
        assert_whole(&sim, &pool, &[&server]);
    }
}

#[test]
fn the_request_timeout_ends_the_wait_in_line() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    let url = server.url();
    sim.block_on(async {
        let held = hold(&pool, 2).await;
        let start = sim.now();
        let error = get(&pool, "/").await.expect_err("nobody gives one back");
        assert_eq!(sim.now() - start, SECOND * 30);
        assert_eq!(Says::of(&error), Says::timeout(Phase::Queue, &url, 0, true));
        assert!(!error.is_connect());
        let metrics = pool.metrics();
        assert_eq!((metrics.waiting, metrics.timeouts, metrics.failed_requests), (0, 1, 1));
        assert_eq!(metrics.max_wait_time, SECOND * 30);
        drop(held);
    });
    assert_whole(&sim, &pool, &[&server]);
}

/// A request that ends at the pool's timeout in the given step.
#[track_caller]
fn ends_in(phase: Phase, request: impl Fn() -> Request<Body>) {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = small(&sim, &server, background);
        let start = sim.now();
        let error = sim.block_on(async {
            let response = pool.send(request()).await?;
            assert_eq!(phase, Phase::Body, "a head has come");
            response.into_body().bytes().await.map(drop)
        });
        let error = error.expect_err("it never ends");
        assert_eq!(sim.now() - start, SECOND * 30, "{background:?}");
        let url = server.url();
        assert_eq!(Says::of(&error), Says::timeout(phase, &url, 1, false));
        let metrics = pool.metrics();
        assert_eq!((metrics.timeouts, metrics.failed_requests), (1, 1));
        assert_eq!(server.requests(), 1, "a timeout is not retried");
        assert_eq!(server.counts().open, 0, "the connection is of no more use");
        assert_whole(&sim, &pool, &[&server]);
    }
}

#[test]
fn the_request_timeout_ends_a_write_that_is_held_up() {
    ends_in(Phase::Write, || Request::post("/deaf").body(Body::from(vec![b'x'; 1 << 20])).unwrap());
}

#[test]
fn the_request_timeout_ends_the_wait_for_the_head() {
    ends_in(Phase::Response, || request(http::Method::GET, "/never"));
}

#[test]
fn the_request_timeout_ends_a_body_that_stalls() {
    ends_in(Phase::Body, || request(http::Method::GET, "/stall/100"));
}

#[test]
fn the_request_timeout_ends_a_body_that_keeps_trickling() {
    ends_in(Phase::Body, || request(http::Method::GET, "/trickle/100/700"));
}

#[test]
fn the_request_timeout_counts_while_the_caller_does_not_read() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    let url = server.url();
    sim.block_on(async {
        let response = pool.get("/trickle/50/1000").await.unwrap();
        sim.sleep(SECOND * 40).await;
        let start = sim.now();
        let error = response.into_body().bytes().await.expect_err("the time is up");
        assert_eq!(Says::of(&error), Says::timeout(Phase::Body, &url, 1, false));
        assert_eq!(sim.now(), start, "and was up before");
    });
    assert_whole(&sim, &pool, &[&server]);
}

#[test]
fn an_answer_one_millisecond_before_the_timeout_is_in_time() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    sim.block_on(async {
        get(&pool, "/after/29999").await.unwrap();
        get(&pool, "/after/30001").await.expect_err("two milliseconds more are too many");
        get(&pool, "/trickle/3/9999").await.unwrap();
    });
    assert_eq!(pool.metrics().timeouts, 1);
    assert_whole(&sim, &pool, &[&server]);
}

#[test]
fn a_request_s_own_timeout_replaces_the_pool_s_both_ways() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    sim.block_on(async {
        let start = sim.now();
        let shorter = wished("/after/5000", Select::new().timeout(SECOND));
        assert!(pool.send(shorter).await.expect_err("five are too many").is_timeout());
        assert_eq!(sim.now() - start, SECOND);
        let longer = wished("/after/50000", Select::new().timeout(SECOND * 60));
        assert!(pool.send(longer).await.is_ok());
        assert_eq!(sim.now() - start, SECOND * 51);
    });
    assert_whole(&sim, &pool, &[&server]);
}

#[test]
fn without_a_request_timeout_a_request_takes_as_long_as_it_takes() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(2).request_timeout(None);
    let pool = Background::Absent.build(&sim, builder);
    sim.block_on(async {
        get(&pool, "/after/86400000").await.unwrap();
        get(&pool, "/trickle/2/86400000").await.unwrap();
        let response = pool.get("/after/10").await.unwrap();
        assert_eq!(info(&response).attempts, 1);
    });
    assert_whole(&sim, &pool, &[&server]);
}

#[test]
fn a_deadline_does_not_outlive_its_request_on_a_connection() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    sim.block_on(async {
        // The first sets the connection's alarm, the others move it later, earlier and off.
        let limits = [(1000, 2), (29_000, 30), (500, 1), (1500, 2)];
        for (ms, limit) in limits {
            let path = format!("/after/{ms}");
            let timed = wished(&path, Select::new().timeout(SECOND * limit));
            pool.send(timed).await.unwrap().into_body().bytes().await.unwrap();
        }
        let start = sim.now();
        let hurried = wished("/never", Select::new().timeout(MS * 10));
        assert!(pool.send(hurried).await.expect_err("never").is_timeout());
        assert_eq!(sim.now() - start, MS * 10);
    });
    assert_eq!(server.counts().opened, 1);
    assert_whole(&sim, &pool, &[&server]);
}

#[test]
fn a_request_that_has_tried_another_server_says_so_when_its_time_ends() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let builder = builder(&sim, &[&one, &two]).max_connections_per_server(1);
    let pool = builder.connect_timeout(SECOND).build().unwrap();
    sim.block_on(async {
        let only = Select::new().server(crate::support::sim::id_at(&pool, &two));
        let held = pool.checkout(only).await.unwrap();
        sim.net().black_hole(ONE);
        // The first is dialled in vain, then the caller waits in line at the second.
        let start = sim.now();
        let error = get(&pool, "/").await.expect_err("neither serves");
        assert_eq!(sim.now() - start, SECOND * 30);
        let url = two.url();
        assert_eq!(Says::of(&error), Says::timeout(Phase::Queue, &url, 1, true));
        drop(held);
    });
    sim.net().heal(ONE);
    assert_balanced(&pool.metrics());
}

#[test]
fn an_unread_body_keeps_its_size_hint_after_time_has_passed() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = small(&sim, &server, Background::Absent);
    sim.block_on(async {
        let response = pool.get("/trickle/5/1000").await.unwrap();
        sim.sleep(SECOND * 2).await;
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert_eq!(response.into_body().bytes().await.unwrap().len(), 5);
    });
    assert_whole(&sim, &pool, &[&server]);
}
