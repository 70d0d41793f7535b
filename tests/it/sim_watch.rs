//! Goal: with background work an idle connection that its server closes, or spoils, is closed at
//! once, and nothing else is. Method: virtual time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Pool, Select};

use crate::support::sim::{BACKGROUNDS, Background, MS, ONE, SECOND, builder, get, hold};
use crate::support::{SimServer, assert_balanced};

fn world(background: Background) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = background.build(&sim, builder(&sim, &[&server]));
    (sim, server, pool)
}

/// How many sockets are open once so much time has passed and everything has come to rest.
async fn open_after(time: Duration, sim: &Sim, server: &SimServer) -> usize {
    sim.sleep(time).await;
    sim.settle().await;
    server.counts().open
}

#[test]
fn an_idle_connection_that_its_server_closes_is_closed_at_once() {
    for background in [Background::Spawned, Background::Driven] {
        for latency in [0, 7] {
            let (sim, server, pool) = world(background);
            sim.net().latency(MS * latency);
            sim.block_on(async {
                get(&pool, "/fin/5000").await.unwrap();
                assert_eq!(open_after(SECOND * 5 - MS, &sim, &server).await, 1);
                assert_eq!(open_after(MS, &sim, &server).await, 0, "{background:?}, {latency}");
            });
            let metrics = pool.metrics();
            assert_eq!((metrics.destroyed.by_peer, metrics.connections_destroyed), (1, 1));
            assert_balanced(&metrics);
        }
    }
}

#[test]
fn without_background_work_a_close_is_noticed_at_the_next_use() {
    let (sim, server, pool) = world(Background::Absent);
    sim.block_on(async {
        get(&pool, "/fin/5000").await.unwrap();
        assert_eq!(open_after(SECOND * 60, &sim, &server).await, 1);
        assert!(!get(&pool, "/").await.unwrap());
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 1);
}

#[test]
fn bytes_that_nobody_asked_for_close_an_idle_connection_at_once() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        get(&pool, "/late/5000").await.unwrap();
        assert_eq!(open_after(SECOND * 5 - MS, &sim, &server).await, 1);
        assert_eq!(open_after(MS, &sim, &server).await, 0);
    });
    assert_eq!(pool.metrics().destroyed.poisoned, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_close_before_the_first_look_is_found_by_the_look() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        get(&pool, "/fin/5").await.unwrap();
        assert_eq!(open_after(SECOND - MS, &sim, &server).await, 1);
        assert_eq!(open_after(SECOND + MS, &sim, &server).await, 0);
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 1);
}

#[test]
fn a_connection_is_watched_again_after_each_use_and_ages_as_before() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        for _ in 0..3 {
            get(&pool, "/").await.unwrap();
            sim.sleep(SECOND * 3).await;
        }
        // The looks have not made it any younger.
        assert!(get(&pool, "/fin/5000").await.unwrap());
        sim.sleep(SECOND * 2).await;
        let seen = pool.close_idle_where(|info| info.idle != SECOND * 2);
        assert_eq!(seen, 0);
        assert_eq!(open_after(SECOND * 3 - MS, &sim, &server).await, 1);
        assert_eq!(open_after(MS, &sim, &server).await, 0);
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 1);
}

#[test]
fn a_close_of_one_connection_leaves_the_others_and_those_on_loan_alone() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        let mut held = hold(&pool, 3).await;
        let dying = held[0].send(crate::support::sim::request(http::Method::GET, "/fin/9000"));
        dying.await.unwrap().into_body().bytes().await.unwrap();
        let on_loan = held.split_off(2);
        drop(held);
        sim.sleep(SECOND * 3).await;
        // It is watched, and on loan again when the server closes it.
        let again = hold(&pool, 2).await;
        assert_eq!(open_after(SECOND * 6, &sim, &server).await, 3);
        drop(again);
        assert_eq!(open_after(SECOND * 2, &sim, &server).await, 2);
        drop(on_loan);
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn nothing_is_watched_if_that_is_not_wanted() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = Background::Driven.build(&sim, builder(&sim, &[&server]).watch_interval(None));
    sim.block_on(async {
        get(&pool, "/fin/5000").await.unwrap();
        assert_eq!(open_after(SECOND * 89, &sim, &server).await, 1);
        assert_eq!(open_after(SECOND, &sim, &server).await, 0, "it has expired");
    });
    assert_eq!(pool.metrics().destroyed.idle, 1);
}

#[test]
fn a_pool_with_watched_connections_ends_and_leaves_nothing_behind() {
    for background in BACKGROUNDS {
        for shut in [true, false] {
            let (sim, server, pool) = world(background);
            sim.block_on(async {
                drop(hold(&pool, 3).await);
                sim.sleep(SECOND * 3).await;
                if shut {
                    assert_eq!(pool.shutdown(SECOND).await.idle_closed, 3);
                }
                drop(pool);
                sim.settle().await;
            });
            assert_eq!(server.counts().open, 0, "{background:?}");
            assert_eq!(sim.tasks(), server.tasks(), "{background:?}");
        }
    }
}

#[test]
fn a_pool_with_nothing_open_is_not_looked_at_until_something_is() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        sim.sleep(SECOND * 100).await;
        get(&pool, "/fin/5000").await.unwrap();
        assert_eq!(open_after(SECOND * 5, &sim, &server).await, 0);
        sim.sleep(SECOND * 100).await;
        get(&pool, "/fin/5000").await.unwrap();
        assert_eq!(open_after(SECOND * 5, &sim, &server).await, 0);
        assert!(pool.try_checkout(&Select::new()).is_none());
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 2);
}
