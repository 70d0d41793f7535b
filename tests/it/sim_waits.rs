//! Where a caller waits, and what a wait that was too long comes to.

use evenkeel::rt::sim::Sim;
use evenkeel::{ErrorKind, Phase, Select};
use futures_lite::future::poll_once;
use http::Method;

use crate::support::assert_balanced;
use crate::support::sim::{ONE, SECOND, TWO, builder, get, hold, id_at, request, wished};
use crate::support::sim_server::SimServer;

#[test]
fn a_caller_waits_where_the_line_is_shortest() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_connections_per_server(1).build().unwrap();
    sim.block_on(async {
        let held = hold(&pool, 2).await;
        let busy = id_at(&pool, &one);
        let mut crowd: Vec<_> =
            (0..3).map(|_| Box::pin(pool.send(wished("/", Select::new().server(busy))))).collect();
        for waiter in &mut crowd {
            assert!(poll_once(waiter).await.is_none());
        }
        // Whosever turn it is: both stand at the other server.
        let mut two_more: Vec<_> = (0..2).map(|_| Box::pin(get(&pool, "/"))).collect();
        for waiter in &mut two_more {
            assert!(poll_once(waiter).await.is_none());
        }
        let waiting: Vec<_> = pool.server_stats().iter().map(|stats| stats.waiting).collect();
        assert_eq!(waiting, [3, 2]);
        drop(held);
        for waiter in crowd {
            drop(waiter.await.unwrap());
        }
        for waiter in two_more {
            waiter.await.unwrap();
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_caller_that_is_polled_after_its_deadline_sends_nothing() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).max_connections_per_server(1).build().unwrap();
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut post = request(Method::POST, "/");
        post.extensions_mut().insert(Select::new().timeout(SECOND));
        let mut late = Box::pin(pool.send(post));
        assert!(poll_once(&mut late).await.is_none());
        // Granted in time; but its task has other things to do.
        drop(held);
        sim.sleep(SECOND * 2).await;
        let error = late.await.expect_err("too late");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Queue)));
        assert!(error.is_retry_safe());
        assert_eq!(pool.metrics().idle_connections, 1, "the connection was given back");
    });
    assert_eq!(server.requests(), 0);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_try_looks_at_every_server() {
    let sim = Sim::new();
    let last = SimServer::start(&sim, TWO);
    let mut builder = builder(&sim, &[]);
    for host in 1..=40 {
        builder = builder.server(format!("http://10.0.1.{host}").try_into().unwrap());
    }
    let pool = builder.build().unwrap();
    pool.add_server(last.url().try_into().unwrap()).unwrap();
    let id = id_at(&pool, &last);
    sim.block_on(async {
        drop(pool.checkout(Select::new().server(id)).await.unwrap());
        for turn in 0..41 {
            let found = pool.try_checkout(&Select::new());
            assert_eq!(found.expect("it is idle").server_id(), id, "turn {turn}");
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn waits_are_told_by_their_quantiles() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).max_connections_per_server(1).build().unwrap();
    sim.block_on(async {
        assert_eq!(pool.wait_times().count(), 0);
        for seconds in [1, 3] {
            let held = hold(&pool, 1).await;
            let mut waiter = Box::pin(get(&pool, "/"));
            assert!(poll_once(&mut waiter).await.is_none());
            sim.sleep(SECOND * seconds).await;
            drop(held);
            waiter.await.unwrap();
        }
        let waits = pool.wait_times();
        assert_eq!((waits.count(), waits.beyond()), (2, 0));
        for (told, seconds) in [(waits.quantile(0.5), 1), (waits.max(), 3)] {
            let nanos = seconds * 1_000_000_000;
            let told = told.expect("waits");
            assert!((nanos..nanos + nanos / 16).contains(&told), "{told} for {seconds} s");
        }
    });
    assert_balanced(&pool.metrics());
}
