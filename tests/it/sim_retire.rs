//! Goal: a connection is retired when it is too old or has carried its requests, and never while it
//! is in use. Method: virtual time, with and without background work.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{ErrorKind, Select};
use http::Method;

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at, request,
};
use crate::support::{SimServer, assert_balanced};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_connection_is_used_until_its_lifetime_ends_and_not_after() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_lifetime(MINUTE);
        let pool = background.build(&sim, builder);
        sim.block_on(async {
            get(&pool, "/").await.unwrap();
            for _ in 0..5 {
                sim.sleep(SECOND * 10).await;
                assert!(get(&pool, "/").await.unwrap(), "{background:?}: too early");
            }
            sim.sleep(MINUTE / 10 * 9 - SECOND * 50 - MS).await;
            assert!(get(&pool, "/").await.unwrap(), "{background:?}: too early");
            sim.sleep(MINUTE / 10 + MS).await;
            assert!(!get(&pool, "/").await.unwrap(), "{background:?}: too late");
        });
        let metrics = pool.metrics();
        assert_eq!((server.counts().opened, server.counts().open), (2, 1));
        assert_eq!((metrics.destroyed.lifetime, metrics.destroyed.idle), (1, 0));
        assert_balanced(&metrics);
    }
}

#[test]
fn a_lifetime_that_ends_in_use_cuts_nothing_and_the_connection_is_closed_as_it_comes_back() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_lifetime(MINUTE);
    let pool = Background::Spawned.build(&sim, builder);
    sim.block_on(async {
        let mut held = pool.checkout(Select::new()).await.unwrap();
        sim.sleep(MINUTE * 2).await;
        let response = held.send(request(Method::GET, "/")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        assert_eq!(server.counts().open, 1);
        drop(held);
        sim.settle().await;
        assert_eq!(server.counts().open, 0);
    });
    assert_eq!(pool.metrics().destroyed.lifetime, 1);
    assert_balanced(&pool.metrics());
}

/// The seconds after which each of twenty connections that were made together was closed.
fn ends(seed: u64) -> Vec<usize> {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_lifetime(SECOND * 80).seed(seed);
    let pool = Background::Driven.build(&sim, builder);
    sim.block_on(async {
        drop(hold(&pool, 20).await);
        sim.sleep(SECOND * 72 - MS).await;
        assert_eq!(server.counts().open, 20);
        let mut left = Vec::new();
        for _ in 0..8 {
            sim.sleep(SECOND).await;
            sim.settle().await;
            left.push(server.counts().open);
        }
        sim.sleep(MS).await;
        sim.settle().await;
        assert_eq!(server.counts().open, 0);
        assert_eq!(pool.metrics().destroyed.lifetime, 20);
        left
    })
}

#[test]
fn connections_made_together_end_apart_and_the_same_with_the_same_seed() {
    let left = ends(7);
    assert!(left[0] > 10 && (4..=16).contains(&left[3]) && left[6] < 10, "{left:?}");
    assert_eq!(left, ends(7));
    assert_ne!(left, ends(8));
}

#[test]
fn a_connection_carries_as_many_requests_as_it_may_and_no_more() {
    for most in [1, 3] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_requests_per_connection(most);
        let pool = builder.build().unwrap();
        sim.block_on(async {
            for turn in 0..most * 2 {
                assert_eq!(get(&pool, "/").await.unwrap(), turn % most != 0, "{most}, {turn}");
            }
        });
        assert_eq!((server.counts().opened, server.counts().open), (2, 0));
        assert_eq!(pool.metrics().destroyed.max_requests, 2);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_checkout_that_has_carried_its_requests_is_of_no_further_use() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).max_requests_per_connection(1).build().unwrap();
    sim.block_on(async {
        let mut held = pool.checkout(Select::new()).await.unwrap();
        let response = held.send(request(Method::GET, "/")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        assert!(!held.is_usable());
        let error = held.send(request(Method::GET, "/")).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retry_safe()), (ErrorKind::Request, true));
    });
    assert_eq!(server.counts().open, 0);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_that_takes_no_more_requests_is_taken_at_its_word() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().unwrap();
    sim.block_on(async {
        get(&pool, "/more/1").await.unwrap();
        assert!(get(&pool, "/more/0").await.unwrap());
        assert!(!get(&pool, "/").await.unwrap());
    });
    assert_eq!(pool.metrics().destroyed.not_reusable, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn idle_connections_are_closed_by_what_is_told_of_them_and_the_others_stay() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).build().unwrap();
    sim.block_on(async {
        let mut held = hold(&pool, 4).await;
        let response = held[0].send(request(Method::GET, "/")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        sim.sleep(SECOND).await;
        // One of each server is idle for three seconds, and one of each is on loan.
        drop(held.drain(..2));
        sim.sleep(SECOND * 3).await;
        let mut seen = Vec::new();
        let none = pool.close_idle_where(|info| {
            seen.push((info.server, info.idle, info.age, info.uses));
            false
        });
        assert_eq!(none, 0);
        seen.sort_by_key(|(_, _, _, uses)| *uses);
        let ids = [id_at(&pool, &one), id_at(&pool, &two)];
        let (fresh, used) = (seen[0], seen[1]);
        assert_eq!((fresh.1, fresh.2, fresh.3), (SECOND * 3, SECOND * 4, 0));
        assert_eq!((used.1, used.2, used.3), (SECOND * 3, SECOND * 4, 1));
        assert!(seen.len() == 2 && ids.contains(&used.0) && fresh.0 != used.0);
        assert_eq!(pool.close_idle_where(|info| info.uses == 1), 1);
        assert_eq!(pool.metrics().idle_connections, 1);
        // What was looked at has not grown younger by it.
        assert_eq!(pool.close_idle_where(|info| info.idle >= SECOND * 3), 1);
    });
    assert_eq!((one.counts().open, two.counts().open), (1, 1), "those that were on loan");
    assert_eq!(pool.metrics().destroyed.discarded, 2);
    assert_balanced(&pool.metrics());
}
