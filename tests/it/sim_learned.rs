//! Goal: connections end a moment before their server would close them, as far as that is said or
//! can be learned, and no accident teaches it. Method: virtual time, with and without background.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Pool, Select};
use http::Method;

use crate::support::sim::{Background, MS, ONE, SECOND, builder, get, hold, request};
use crate::support::{SimServer, assert_balanced};

fn world(background: Background, set: impl FnOnce(Builder) -> Builder) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = background.build(&sim, set(builder(&sim, &[&server])));
    (sim, server, pool)
}

fn learned(pool: &Pool) -> Option<Duration> {
    pool.server_stats()[0].learned_idle_limit
}

/// How many sockets are open once so much time has passed and everything has come to rest.
async fn open_after(time: Duration, sim: &Sim, server: &SimServer) -> usize {
    sim.sleep(time).await;
    sim.settle().await;
    server.counts().open
}

/// Has the server close so many connections, one after another, after five seconds each.
async fn teach(sim: &Sim, pool: &Pool, times: usize) {
    for _ in 0..times {
        get(pool, "/fin/5000").await.expect("an answer");
        sim.sleep(SECOND * 7).await;
    }
}

#[test]
fn a_limit_that_was_seen_three_times_is_kept_with_a_margin() {
    let (sim, server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        teach(&sim, &pool, 2).await;
        assert_eq!(learned(&pool), None);
        teach(&sim, &pool, 1).await;
        assert_eq!(learned(&pool), Some(SECOND * 4));
        get(&pool, "/").await.unwrap();
        assert_eq!(open_after(SECOND * 4 - MS, &sim, &server).await, 1);
        assert_eq!(open_after(MS, &sim, &server).await, 0);
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.destroyed.by_peer, metrics.destroyed.idle), (3, 1));
    assert_balanced(&metrics);
}

#[test]
fn without_background_work_a_limit_is_learned_from_what_is_found_closed() {
    let (sim, _server, pool) = world(Background::Absent, |builder| builder);
    sim.block_on(async {
        teach(&sim, &pool, 4).await;
        // Each was found closed by the next request, seven seconds after the one before.
        assert_eq!(learned(&pool), Some(SECOND * 6));
        assert!(get(&pool, "/").await.is_ok());
        sim.sleep(SECOND * 6 - MS).await;
        assert!(get(&pool, "/").await.unwrap(), "too early");
        sim.sleep(SECOND * 6).await;
        assert!(!get(&pool, "/").await.unwrap(), "too late");
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_that_closes_all_of_its_connections_once_teaches_nothing() {
    let (sim, server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        for _ in 0..2 {
            let mut held = hold(&pool, 20).await;
            for checkout in &mut held {
                let response = checkout.send(request(Method::GET, "/fin/3000")).await.unwrap();
                response.into_body().bytes().await.unwrap();
            }
            drop(held);
            assert_eq!(open_after(SECOND * 5, &sim, &server).await, 0);
        }
        assert_eq!(learned(&pool), None);
        get(&pool, "/").await.unwrap();
        sim.sleep(SECOND * 89).await;
        assert!(get(&pool, "/").await.unwrap());
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 40);
}

#[test]
fn connections_that_are_good_at_that_age_refute_what_was_suspected() {
    let (sim, _server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        for _ in 0..5 {
            teach(&sim, &pool, 1).await;
            get(&pool, "/").await.unwrap();
            sim.sleep(SECOND * 5).await;
            assert!(get(&pool, "/").await.unwrap());
            pool.close_idle();
        }
    });
    assert_eq!(learned(&pool), None);
}

#[test]
fn a_watched_connection_that_outlives_the_suspicion_refutes_it_when_it_is_closed() {
    let (sim, _server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        get(&pool, "/fin/2000").await.unwrap();
        sim.sleep(SECOND * 4).await;
        for _ in 0..3 {
            get(&pool, "/fin/8000").await.unwrap();
            sim.sleep(SECOND * 10).await;
        }
    });
    assert_eq!(learned(&pool), Some(SECOND * 7));
}

#[test]
fn what_was_learned_is_forgotten_after_ten_minutes() {
    let (sim, _server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        teach(&sim, &pool, 3).await;
        sim.sleep(SECOND * 590).await;
        assert_eq!(learned(&pool), Some(SECOND * 4));
        sim.sleep(SECOND * 10).await;
        assert_eq!(learned(&pool), None);
        get(&pool, "/").await.unwrap();
        sim.sleep(SECOND * 60).await;
        assert!(get(&pool, "/").await.unwrap());
    });
}

#[test]
fn a_pool_that_is_not_to_learn_does_not() {
    for background in [Background::Driven, Background::Absent] {
        let (sim, _server, pool) = world(background, |builder| builder.learn_idle_limit(false));
        sim.block_on(async {
            teach(&sim, &pool, 5).await;
            assert_eq!(learned(&pool), None);
        });
    }
}

#[test]
fn a_limit_is_learned_from_bytes_that_announce_the_close_as_well() {
    let (sim, _server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        for _ in 0..3 {
            get(&pool, "/late/5000").await.unwrap();
            sim.sleep(SECOND * 7).await;
        }
        assert_eq!(learned(&pool), Some(SECOND * 4));
    });
    assert_eq!(pool.metrics().destroyed.poisoned, 3);
}

#[test]
fn what_a_server_says_is_kept_with_a_margin_and_background_work_closes_in_time() {
    // It says 60 s each time.
    let (sim, server, pool) = world(Background::Driven, |builder| builder);
    sim.block_on(async {
        get(&pool, "/more/9").await.unwrap();
        assert_eq!(open_after(SECOND * 59 - MS, &sim, &server).await, 1);
        assert_eq!(open_after(MS, &sim, &server).await, 0);
    });
    assert_eq!(pool.metrics().destroyed.idle, 1);

    let (sim, _server, pool) = world(Background::Absent, |builder| builder);
    sim.block_on(async {
        get(&pool, "/more/9").await.unwrap();
        sim.sleep(SECOND * 59 - MS).await;
        assert!(get(&pool, "/more/9").await.unwrap(), "too early");
        sim.sleep(SECOND * 59).await;
        assert!(pool.try_checkout(&Select::new()).is_none(), "too late");
    });
    assert_eq!(pool.metrics().destroyed.idle, 1);
}
