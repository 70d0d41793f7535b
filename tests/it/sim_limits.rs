//! Goal: limits that change while the pool is in use hold at once: nobody's connection is cut, no
//! more are opened than may be, and who can be served is. Method: virtual time, and the servers'
//! own count of sockets.

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Checkout, ErrorKind, Limits, Pool, Select};
use futures_lite::future::{poll_once, zip};
use http::Method;

use crate::support::join::{Job, join_all};
use crate::support::sim::{BACKGROUNDS, MS, ONE, SECOND, TWO, builder, get, hold, id_at, request};
use crate::support::{SimServer, assert_balanced};

/// Changes some of the limits.
#[track_caller]
pub(crate) fn change(pool: &Pool, change: impl FnOnce(&mut Limits)) {
    let mut limits = pool.limits();
    change(&mut limits);
    pool.set_limits(limits).expect("they are valid");
    assert_eq!(pool.limits(), limits);
}

pub(crate) fn per_server(pool: &Pool, limit: usize) {
    change(pool, |limits| limits.max_connections_per_server = limit);
}

pub(crate) fn total(pool: &Pool, limit: usize) {
    change(pool, |limits| limits.max_total_connections = limit);
}

/// So many connections to this server, which are then on loan.
pub(crate) async fn hold_at(pool: &Pool, server: &SimServer, count: usize) -> Vec<Checkout> {
    let mut held = Vec::new();
    for _ in 0..count {
        let select = Select::new().server(id_at(pool, server));
        held.push(pool.checkout(select).await.expect("there is room"));
    }
    held
}

/// Whether an exchange still works.
async fn is_alive(checkout: &mut Checkout) -> bool {
    match checkout.send(request(Method::GET, "/")).await {
        Ok(response) => response.into_body().bytes().await.is_ok(),
        Err(_) => false,
    }
}

pub(crate) fn one(sim: &Sim) -> (SimServer, Builder) {
    let server = SimServer::start(sim, ONE);
    let builder = builder(sim, &[&server]);
    (server, builder)
}

#[test]
fn a_server_that_shrinks_closes_what_is_idle_and_no_more_than_is_too_much() {
    let sim = Sim::new();
    let (server, builder) = one(&sim);
    let pool = builder.max_connections_per_server(8).build().unwrap();
    sim.block_on(async {
        let mut held = hold(&pool, 6).await;
        held.truncate(2);
        assert_eq!(pool.metrics().idle_connections, 4);
        per_server(&pool, 4);
        sim.settle().await;
        assert_eq!((server.counts().open, pool.metrics().idle_connections), (4, 2));
        assert_eq!(pool.metrics().destroyed.limit, 2);
        for checkout in &mut held {
            assert!(is_alive(checkout).await, "it was cut");
        }
    });
    assert_eq!(pool.server_stats()[0].max_connections, 4);
    assert_balanced(&pool.metrics());
}

#[test]
fn what_is_on_loan_is_not_cut_and_is_closed_when_it_comes_back_as_far_as_it_is_too_much() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let (server, builder) = one(&sim);
        let pool = background.build(&sim, builder.max_connections_per_server(5));
        sim.block_on(async {
            let mut held = hold(&pool, 5).await;
            per_server(&pool, 2);
            for checkout in &mut held {
                assert!(is_alive(checkout).await, "it was cut");
            }
            for (left, expected) in [(4, 4), (3, 3), (2, 2), (1, 2), (0, 2)] {
                held.truncate(left);
                sim.settle().await;
                assert_eq!(server.counts().open, expected, "{left} on loan");
            }
            assert_eq!(pool.metrics().destroyed.limit, 3);
            assert!(get(&pool, "/").await.unwrap(), "the rest is used again");
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn the_total_shrinks_to_the_youngest_of_all_servers() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).build().unwrap();
    sim.block_on(async {
        let (first, second) = (hold_at(&pool, &one, 3).await, hold_at(&pool, &two, 3).await);
        // The connections of the two servers come back in turn.
        for (first, second) in first.into_iter().zip(second) {
            drop(first);
            sim.sleep(MS).await;
            drop(second);
            sim.sleep(MS).await;
        }
        for (limit, at_one, at_two) in [(5, 2, 3), (4, 2, 2), (1, 0, 1)] {
            total(&pool, limit);
            sim.settle().await;
            assert_eq!((one.counts().open, two.counts().open), (at_one, at_two), "of {limit}");
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_line_that_never_empties_does_not_keep_a_pool_above_its_limit() {
    for whole in [true, false] {
        let sim = Sim::new();
        let (server, builder) = one(&sim);
        let pool = builder.max_connections_per_server(8).max_total_connections(8).build().unwrap();
        let caller = |_| -> Job<()> {
            let pool = pool.clone();
            Box::pin(async move {
                for _ in 0..40 {
                    get(&pool, "/after/3").await.expect("served within its time");
                }
            })
        };
        let callers = join_all((0..24).map(caller).collect());
        sim.block_on(zip(callers, async {
            sim.sleep(MS * 20).await;
            assert_eq!(server.counts().open, 8);
            if whole {
                total(&pool, 2)
            } else {
                per_server(&pool, 2)
            }
            // Each connection comes back once in three milliseconds.
            sim.sleep(MS * 8).await;
            assert_eq!(server.counts().open, 2);
            assert!(pool.metrics().waiting >= 8, "the load goes on");
            let opened = server.counts().opened;
            sim.sleep(MS * 50).await;
            assert_eq!((server.counts().open, server.counts().opened), (2, opened));
            if whole {
                total(&pool, 5)
            } else {
                per_server(&pool, 5)
            }
            sim.sleep(MS * 20).await;
            assert_eq!((server.counts().open, server.counts().opened), (5, opened + 3));
        }));
        assert!(server.counts().peak <= 8);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn callers_in_line_are_served_at_once_when_a_limit_grows() {
    for whole in [true, false] {
        let sim = Sim::new();
        let (server, builder) = one(&sim);
        let pool = builder.max_connections_per_server(1).max_total_connections(1).build().unwrap();
        if whole {
            per_server(&pool, 3)
        } else {
            total(&pool, 3)
        }
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut waiters: Vec<_> =
                (0..3).map(|_| Box::pin(pool.checkout(Select::new()))).collect();
            for waiter in &mut waiters {
                assert!(poll_once(waiter).await.is_none());
            }
            if whole {
                total(&pool, 3)
            } else {
                per_server(&pool, 3)
            }
            let third = waiters.pop().unwrap();
            let second = waiters.pop().unwrap();
            let first = waiters.pop().unwrap();
            let (a, b) = zip(first, second).await;
            let served = (a.unwrap(), b.unwrap());
            assert_eq!(server.counts().open, 3);
            assert_eq!(pool.metrics().waiting, 1, "there is no room for the third");
            drop((held, served));
            third.await.unwrap();
        });
        assert_eq!(server.counts().opened, 3);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_server_that_was_starved_is_served_when_the_total_grows() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_total_connections(1).build().unwrap();
    sim.block_on(async {
        let held = hold_at(&pool, &one, 1).await;
        let select = Select::new().server(id_at(&pool, &two));
        let mut waiter = Box::pin(pool.checkout(select));
        assert!(poll_once(&mut waiter).await.is_none());
        total(&pool, 2);
        waiter.await.unwrap();
        assert_eq!((one.counts().open, two.counts().open), (1, 1));
        drop(held);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_that_is_starved_while_the_total_is_passed_is_served_when_it_is_kept() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_total_connections(3).build().unwrap();
    sim.block_on(async {
        let mut held = hold_at(&pool, &one, 3).await;
        total(&pool, 1);
        let select = Select::new().server(id_at(&pool, &two));
        let mut waiter = Box::pin(pool.checkout(select));
        for left in [2, 1] {
            assert!(poll_once(&mut waiter).await.is_none());
            held.truncate(left);
            sim.settle().await;
            assert_eq!((one.counts().open, two.counts().open), (left, 0));
        }
        drop(held);
        waiter.await.unwrap();
        assert_eq!((one.counts().open, two.counts().open), (0, 1));
        assert!(one.counts().opened + two.counts().opened == 4);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_pool_grows_far_beyond_what_it_was_made_for() {
    let sim = Sim::new();
    let (server, builder) = one(&sim);
    let builder = builder.max_connections_per_server(1).max_total_connections(1);
    let pool = builder.max_idle_connections(500).build().unwrap();
    sim.block_on(async {
        drop(hold(&pool, 1).await);
        change(&pool, |limits| {
            limits.max_connections_per_server = 300;
            limits.max_total_connections = 400;
        });
        let held = hold(&pool, 300).await;
        assert_eq!(server.counts().open, 300);
        drop(held);
        assert_eq!(pool.metrics().idle_connections, 300);
        per_server(&pool, 3);
        sim.settle().await;
        assert_eq!(server.counts().open, 3);
        assert!(get(&pool, "/").await.unwrap());
    });
    assert_eq!(server.counts().peak, 300);
    assert_balanced(&pool.metrics());
}

#[test]
fn the_idle_cap_shrinks_to_those_used_last_and_grows_again() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).build().unwrap();
    sim.block_on(async {
        let (old, young) = (hold_at(&pool, &one, 3).await, hold_at(&pool, &two, 3).await);
        drop(old);
        sim.sleep(MS).await;
        drop(young);
        change(&pool, |limits| limits.max_idle_connections = 4);
        sim.settle().await;
        assert_eq!((one.counts().open, two.counts().open), (1, 3));
        change(&pool, |limits| limits.max_idle_connections = 0);
        sim.settle().await;
        assert_eq!((one.counts().open, two.counts().open), (0, 0));
        drop(hold(&pool, 2).await);
        assert_eq!(pool.metrics().idle_connections, 0);
        change(&pool, |limits| limits.max_idle_connections = 1);
        drop(hold(&pool, 2).await);
        assert_eq!(pool.metrics().idle_connections, 1);
    });
    assert_eq!(pool.metrics().destroyed.idle_cap, 9);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_line_that_shrinks_sends_nobody_away_and_lets_nobody_in() {
    let sim = Sim::new();
    let (_server, builder) = one(&sim);
    let pool = builder.max_connections_per_server(1).max_waiters(2).build().unwrap();
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let (mut first, mut second) =
            (Box::pin(pool.checkout(Select::new())), Box::pin(pool.checkout(Select::new())));
        assert!(poll_once(&mut first).await.is_none() && poll_once(&mut second).await.is_none());
        change(&pool, |limits| limits.max_waiters = 1);
        let refused = pool.checkout(Select::new()).await.expect_err("the line is full");
        assert_eq!(refused.kind(), ErrorKind::QueueFull);
        change(&pool, |limits| limits.max_waiters = 3);
        let mut third = Box::pin(pool.checkout(Select::new()));
        assert!(poll_once(&mut third).await.is_none());
        drop(held);
        for waiter in [first, second, third] {
            drop(waiter.await.expect("it is still in line"));
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn more_dial_at_a_time_when_that_limit_grows() {
    let sim = Sim::new();
    let (server, builder) = one(&sim);
    sim.net().connect_delay(ONE, SECOND);
    let pool = builder.max_connecting(1).build().unwrap();
    sim.block_on(async {
        let checkouts = join_all(
            (0..3)
                .map(|_| -> Job<Checkout> {
                    let pool = pool.clone();
                    Box::pin(
                        async move { pool.checkout(Select::new()).await.expect("there is room") },
                    )
                })
                .collect(),
        );
        let start = sim.now();
        let (held, ()) = zip(checkouts, async {
            sim.sleep(MS).await;
            assert_eq!(pool.metrics().connecting, 1);
            change(&pool, |limits| limits.max_connecting = 3);
            sim.sleep(MS).await;
            assert_eq!(pool.metrics().connecting, 3);
        })
        .await;
        assert!(sim.now() - start < SECOND * 2, "they dialled one after another");
        drop(held);
    });
    assert_eq!(server.counts().opened, 3);
    assert_balanced(&pool.metrics());
}
