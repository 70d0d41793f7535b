//! Which connections are trusted with the next request, and what that costs the others.

use evenkeel::rt::sim::Sim;
use evenkeel::{ErrorKind, Pool, Select};
use http::Method;

use crate::support::assert_balanced;
use crate::support::sim::{MS, ONE, SECOND, TWO, builder, get, hold, info, open_traps, request};
use crate::support::sim_server::SimServer;

#[test]
fn a_stray_response_never_meets_the_next_request_of_a_checkout() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().unwrap();
    sim.block_on(async {
        let mut checkout = pool.checkout(Select::new()).await.unwrap();
        let response = checkout.send(request(Method::GET, "/late/50")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        sim.sleep(SECOND).await;
        let error = checkout.send(request(Method::GET, "/next")).await.expect_err("poisoned");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.is_retry_safe(), "the request was not sent");
        drop(checkout);
        assert_eq!(pool.metrics().destroyed.poisoned, 1);
    });
    assert_eq!(server.requests(), 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_checkout_whose_server_has_closed_says_so_before_it_sends() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().unwrap();
    sim.block_on(async {
        let mut checkout = pool.checkout(Select::new()).await.unwrap();
        let response = checkout.send(request(Method::GET, "/fin/50")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        sim.sleep(SECOND).await;
        let error = checkout.send(request(Method::POST, "/next")).await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
        assert!(error.is_retry_safe(), "a POST of which nothing was sent");
    });
    assert_eq!(server.requests(), 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_stale_connection_costs_the_others_nothing() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().unwrap();
    sim.block_on(async {
        // The trap is in the lowest slot, which is taken first.
        let trap = hold(&pool, 1).await;
        let good = hold(&pool, 29).await;
        drop(trap);
        open_traps(&pool, 1).await;
        drop(good);
        assert_eq!(pool.metrics().idle_connections, 30);
        let response = pool.send(request(Method::GET, "/")).await.unwrap();
        assert_eq!((info(&response).attempts, info(&response).reused), (2, false));
        drop(response);
        let metrics = pool.metrics();
        // The one that broke, and one that gave its place to the new one.
        assert_eq!((metrics.destroyed.broken, metrics.idle_connections), (2, 29));
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_new_connection_takes_a_stale_one_s_place_when_there_is_no_room() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).max_connections_per_server(3).build().unwrap();
    sim.block_on(async {
        open_traps(&pool, 3).await;
        assert!(!get(&pool, "/").await.unwrap(), "a new one, though three were open");
    });
    assert_eq!(server.counts().peak, 3);
    assert_balanced(&pool.metrics());
}

/// A pool whose first server's look-up hangs for a while, and whose second answers.
fn world_with_a_slow_name(sim: &Sim, two: &SimServer) -> Pool {
    sim.net().lookup_delay("slow.test", SECOND * 2);
    builder(sim, &[two])
        .server("http://slow.test:8080".try_into().expect("a valid URL"))
        .idle_conn_timeout(SECOND)
        .build()
        .expect("a valid pool")
}

#[test]
fn a_connection_that_expires_while_its_caller_dials_elsewhere_is_not_used() {
    let sim = Sim::new();
    let two = SimServer::start(&sim, TWO);
    let pool = world_with_a_slow_name(&sim, &two);
    sim.block_on(async {
        // Whosever turn it is first, after two requests the good one has been used.
        for _ in 0..2 {
            get(&pool, "/").await.unwrap();
        }
        // One of the next two begins at the slow one, which takes longer than the other's
        // connection may be idle.
        for _ in 0..2 {
            let before = sim.now();
            let reused = get(&pool, "/").await.unwrap();
            let waited = sim.now() - before >= SECOND * 2;
            assert_eq!(reused, !waited, "an expired connection was used, or a good one was not");
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_connector_that_panics_leaves_the_background_at_work() {
    use evenkeel::{BoxFuture, Connector, Target, Transport};
    use std::io;

    struct Panics;
    impl Connector for Panics {
        fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
            Box::pin(async { panic!("a connector's own fault") })
        }
    }

    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let runtime = sim.runtime().connector(Panics);
    let pool = builder(&sim, &[&server]).runtime(runtime).build().unwrap();
    let call = || sim.block_on(get(&pool, "/"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("it panics");
    sim.block_on(sim.sleep(MS));
    let metrics = pool.metrics();
    assert!(metrics.background, "the driver goes on");
    assert_eq!((metrics.total_connections, metrics.connecting), (0, 0));
    assert_balanced(&metrics);
}

#[test]
fn a_shutdown_does_not_wait_long_for_background_work_that_does_not_run() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    // Polled once, and then no more.
    let stuck = |task: evenkeel::BoxFuture<'static, ()>| {
        let mut task = task;
        let waker = std::task::Waker::noop();
        assert!(task.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        std::mem::forget(task);
    };
    let runtime = sim.runtime_without_background().spawner(stuck);
    let pool = builder(&sim, &[&server]).runtime(runtime).build().unwrap();
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        let began = sim.now();
        pool.shutdown(SECOND * 100).await;
        assert_eq!(sim.now() - began, SECOND);
    });
}
