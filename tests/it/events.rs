//! Goal: an observer is told of each thing once, as it is, and of nothing that has not happened.
//! Method: the events of small worlds in virtual time, in their order.

use std::sync::mpsc::{Receiver, channel};

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Event, Pool, RequestOutcome, Select};
use futures_lite::future::poll_once;
use http::Method;

use crate::support::sim::{BACKGROUNDS, MS, ONE, SECOND, builder, get, hold, request, whole};
use crate::support::{SimServer, assert_balanced};

struct World {
    sim: Sim,
    server: SimServer,
    pool: Pool,
    told: Receiver<String>,
}

/// An event in a few words.
fn short(event: &Event<'_>) -> String {
    match event {
        Event::ConnectionOpened { took, .. } => format!("opened in {took:?}"),
        Event::ConnectionClosed { reason, uses, .. } => {
            format!("closed {} after {uses}", reason.as_str())
        }
        Event::RequestDone {
            method, path, status, outcome, attempts, reused, duration, ..
        } => {
            let status = status.map_or(0, |status| status.as_u16());
            let outcome = match outcome {
                RequestOutcome::Succeeded => "ok",
                RequestOutcome::Failed(cause) => cause.as_str(),
                _ => "cancelled",
            };
            let reused = if *reused { "reused" } else { "new" };
            format!("{method} {path} {status} {outcome} {attempts} {reused} {duration:?}")
        }
        Event::QueueFull { shed, .. } => format!("full {shed}"),
        Event::CheckoutHeld { held, .. } => format!("held {held:?}"),
        Event::DrainBegun { on_loan, waiters_failed, .. } => {
            format!("drain {on_loan} {waiters_failed}")
        }
        Event::DrainEnded { completed, cut, .. } => format!("drained {completed} {cut}"),
        other => format!("{other:?}"),
    }
}

fn world(settings: impl FnOnce(Builder) -> Builder) -> World {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let (tell, told) = channel();
    let builder = builder(&sim, &[&server]).max_connections_per_server(1);
    let builder = settings(builder).observer(move |event: &Event<'_>| {
        // A pool that ends with its test tells of it when nobody listens any more.
        drop(tell.send(short(event)));
    });
    let pool = builder.build().expect("a valid pool");
    let world = World { sim, server, pool, told };
    assert_eq!(world.told().len(), 1, "the server has joined");
    world
}

impl World {
    fn told(&self) -> Vec<String> {
        self.told.try_iter().collect()
    }
}

#[test]
fn a_request_is_told_once_when_its_body_has_ended() {
    let world = world(|builder| builder);
    world.sim.net().connect_delay(ONE, MS * 5);
    world.sim.block_on(async {
        let response = world.pool.get("/trickle/3/10").await.unwrap();
        assert_eq!(world.told(), ["opened in 5ms"]);
        whole(response).await.unwrap();
        assert_eq!(world.told(), ["GET /trickle/3/10 200 ok 1 new 35ms"]);
        get(&world.pool, "/a?secret=1").await.unwrap();
        assert_eq!(world.told(), ["GET /a 200 ok 1 reused 0ns"], "without the query");
        get(&world.pool, "/status/404").await.unwrap();
        get(&world.pool, "/status/503").await.unwrap();
        let mut checkout = world.pool.checkout(Select::new()).await.unwrap();
        assert_eq!(
            world.told(),
            ["GET /status/404 404 ok 1 reused 0ns", "GET /status/503 503 status 1 reused 0ns"]
        );
        let head = checkout.send(request(Method::PUT, "/")).await.unwrap();
        drop(head);
        drop(checkout.into_send(request(Method::GET, "/b/10")).await.unwrap());
        assert_eq!(world.told(), ["PUT / 200 ok 1 reused 0ns", "GET /b/10 200 ok 1 reused 0ns"]);
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn a_request_that_fails_or_is_given_up_is_told_once_with_its_cause() {
    let mut world = world(|builder| builder.max_waiters(0));
    world.sim.block_on(async {
        get(&world.pool, "/drop").await.unwrap_err();
        let told = world.told();
        assert_eq!(told, ["opened in 0ns", "closed broken after 1", "GET /drop 0 reset 1 new 0ns"]);
        // Sent twice, told once.
        get(&world.pool, "/drop-next").await.unwrap();
        get(&world.pool, "/").await.unwrap();
        let told = world.told();
        let expected = [
            "opened in 0ns",
            "GET /drop-next 200 ok 1 new 0ns",
            "closed broken after 2",
            "Retry { id: ServerId(1), url: \"http://10.0.0.1:8080\", attempt: 1, reason: Stale, \
             pause: 0ns }",
            "opened in 0ns",
            "GET / 200 ok 2 new 0ns",
        ];
        assert_eq!(told, expected);
        let mut given_up = Box::pin(get(&world.pool, "/never"));
        assert!(poll_once(&mut given_up).await.is_none());
        world.sim.sleep(SECOND).await;
        drop(given_up);
        let expected = ["closed not_reusable after 2", "GET /never 0 cancelled 1 reused 1s"];
        assert_eq!(world.told(), expected);
        let half = world.pool.get("/stall/100").await.unwrap();
        drop(half);
        let expected = [
            "opened in 0ns",
            "GET /stall/100 200 cancelled 1 new 0ns",
            "closed not_reusable after 1",
        ];
        assert_eq!(world.told(), expected);
        let held = hold(&world.pool, 1).await;
        get(&world.pool, "/").await.unwrap_err();
        assert_eq!(world.told(), ["opened in 0ns", "full false", "GET / 0 queue_full 0 new 0ns"]);
        drop(held);
        world.pool.close_idle();
        assert_eq!(world.told(), ["closed discarded after 0"]);
    });
    let World { sim, server, .. } = &mut world;
    sim.block_on(server.stop());
    world.sim.block_on(get(&world.pool, "/")).unwrap_err();
    assert_eq!(world.told(), ["GET / 0 connect 1 new 0ns"], "no connection has come about");
    assert_balanced(&world.pool.metrics());
}

#[test]
fn a_caller_who_is_turned_away_for_another_is_told_as_shed() {
    let world = world(|builder| builder.max_waiters(1));
    world.sim.block_on(async {
        let held = hold(&world.pool, 1).await;
        world.told();
        let mut low = Box::pin(world.pool.checkout(Select::new()));
        assert!(poll_once(&mut low).await.is_none());
        let mut high = Box::pin(world.pool.checkout(Select::new().priority(1)));
        assert!(poll_once(&mut high).await.is_none());
        low.await.unwrap_err();
        assert_eq!(world.told(), ["full true"]);
        drop(held);
        drop(high.await.unwrap());
        assert_eq!(world.told(), Vec::<String>::new());
    });
}

#[test]
fn hold_warning_is_how_long_a_checkout_may_be_out() {
    let world = world(|builder| builder.hold_warning(SECOND));
    world.sim.block_on(async {
        get(&world.pool, "/").await.unwrap();
        world.told();
        for (time, told) in [(MS * 999, vec![]), (SECOND, vec!["held 1s"])] {
            let checkout = world.pool.checkout(Select::new()).await.unwrap();
            world.sim.sleep(time).await;
            drop(checkout);
            assert_eq!(world.told(), told, "{time:?}");
        }
        let tried = world.pool.try_checkout(&Select::new()).unwrap();
        world.sim.sleep(SECOND * 2).await;
        tried.discard();
        assert_eq!(world.told(), ["closed discarded after 1", "held 2s"]);
        // Waiting for it is not holding it, and a body is no checkout.
        let held = hold(&world.pool, 1).await;
        let mut waits = Box::pin(world.pool.checkout(Select::new()));
        assert!(poll_once(&mut waits).await.is_none());
        world.sim.sleep(SECOND * 5).await;
        drop(held);
        drop(waits.await.unwrap());
        assert_eq!(world.told(), ["opened in 0ns", "held 5s"]);
        get(&world.pool, "/after/3000").await.unwrap();
        assert_eq!(world.told(), ["GET /after/3000 200 ok 1 reused 3s"]);
    });
}

#[test]
fn a_shutdown_is_told_in_its_steps_and_each_once() {
    let world = world(|builder| builder);
    world.sim.block_on(async {
        get(&world.pool, "/").await.unwrap();
        let mut on_loan = Box::pin(get(&world.pool, "/never"));
        assert!(poll_once(&mut on_loan).await.is_none());
        let mut waits = Box::pin(get(&world.pool, "/"));
        assert!(poll_once(&mut waits).await.is_none());
        world.told();
        futures_lite::future::zip(world.pool.shutdown(SECOND), world.pool.shutdown(SECOND)).await;
        assert_eq!(world.told(), ["drain 1 1", "drained 0 1", "Closed"]);
        waits.await.unwrap_err();
        on_loan.await.unwrap_err();
        world.pool.shutdown(SECOND).await;
    });
    let told = world.told();
    let expected =
        ["GET / 0 closed 0 new 1s", "closed shutdown after 2", "GET /never 0 closed 1 reused 1s"];
    assert_eq!(told, expected);
    let World { pool, told, .. } = world;
    drop(pool);
    assert_eq!(told.try_iter().count(), 0, "it was closed before");
}

#[test]
fn a_pool_that_is_dropped_closes_and_tells_so() {
    let World { sim, pool, told, server: _server } = world(|builder| builder);
    sim.block_on(get(&pool, "/")).unwrap();
    let other = pool.clone();
    drop(pool);
    assert_eq!(told.try_iter().filter(|event| event == "Closed").count(), 0);
    drop(other);
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, ["closed shutdown after 1", "Closed"]);
}

#[test]
fn as_many_connections_and_requests_are_told_as_are_counted() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let (tell, told) = channel();
        let builder = builder(&sim, &[&server]).max_connections_per_server(3).max_waiters(2);
        let builder = builder.idle_conn_timeout(MS * 100).observer(move |event: &Event<'_>| {
            drop(tell.send(short(event)));
        });
        let pool = background.build(&sim, builder);
        sim.block_on(async {
            for path in ["/", "/close", "/drop", "/last", "/extra", "/b/200000", "/status/500"] {
                let many = (0..7).map(|_| {
                    let pool = pool.clone();
                    Box::pin(async move { drop(get(&pool, path).await) })
                        as crate::support::join::Job<()>
                });
                crate::support::join::join_all(many.collect()).await;
                let mut limits = pool.limits();
                limits.max_total_connections = 1 + limits.max_total_connections % 2;
                pool.set_limits(limits).unwrap();
                sim.sleep(MS * 150).await;
            }
        });
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        let told: Vec<_> = told.try_iter().collect();
        let count = |begin: &str| told.iter().filter(|event| event.starts_with(begin)).count();
        assert_eq!(count("opened") as u64, metrics.connections_created, "{background:?}");
        assert_eq!(count("closed") as u64, metrics.connections_destroyed, "{background:?}");
        for (reason, closed) in metrics.destroyed.iter() {
            let begin = format!("closed {} ", reason.as_str());
            assert_eq!(count(&begin) as u64, closed, "{background:?}, {reason:?}");
        }
        assert_eq!(count("GET") as u64, metrics.total_requests, "{background:?}");
        assert_eq!(count("full") as u64, metrics.queue_full, "{background:?}");
    }
}
