//! Goal: whoever waits is served in order, by whatever comes free first, and by nobody twice.
//! Method: servers of one connection, and callers who come one after another.

use std::pin::Pin;

use evenkeel::rt::sim::Sim;
use evenkeel::{Checkout, Error, ErrorKind, Phase, Pool, Select};
use futures_lite::future::poll_once;

use crate::support::sim::{
    BACKGROUNDS, MS, ONE, SECOND, TWO, builder, get, hold, id_at, request, wished,
};
use crate::support::{SimServer, assert_balanced, parse};

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<Checkout, Error>> + 'a>>;

/// A caller that stands in line.
#[track_caller]
fn wait(pool: &Pool, select: Select) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(async move { pool.checkout(select).await });
    let polled = futures_lite::future::block_on(poll_once(&mut waiter));
    assert!(polled.is_none(), "there is nothing to wait for");
    waiter
}

/// The waiters' numbers in the order in which they are served, once `held` comes back.
async fn order(held: Vec<Checkout>, mut waiters: Vec<(usize, Waiter<'_>)>) -> Vec<usize> {
    drop(held);
    let mut served = Vec::new();
    while !waiters.is_empty() {
        let mut next = None;
        for (at, (_, waiter)) in waiters.iter_mut().enumerate() {
            if let Some(checkout) = poll_once(waiter).await {
                assert!(next.is_none(), "two are served by one connection");
                next = Some((at, checkout.expect("a connection")));
            }
        }
        let (at, checkout) = next.expect("nobody is served");
        served.push(waiters.remove(at).0);
        drop(checkout);
    }
    served
}

fn one_connection(sim: &Sim, server: &SimServer) -> Pool {
    builder(sim, &[server]).max_connections_per_server(1).build().expect("a valid pool")
}

#[test]
fn callers_are_served_in_the_order_in_which_they_came() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let waiters = (0..40).map(|n| (n, wait(&pool, Select::new()))).collect();
        assert_eq!(order(held, waiters).await, (0..40).collect::<Vec<_>>());
    });
    assert_eq!(server.counts().opened, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn each_of_eight_classes_goes_before_the_lower_ones() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let classes = [0, 5, 3, 7, 1, 255, 6, 4, 2, 0];
        let waiter = |(n, class): (usize, &u8)| (n, wait(&pool, Select::new().priority(*class)));
        let waiters = classes.iter().enumerate().map(waiter).collect();
        // What is above seven counts as seven, and so comes behind the first of seven.
        assert_eq!(order(held, waiters).await, [3, 5, 6, 1, 7, 2, 8, 4, 0, 9]);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn the_lowest_class_is_not_starved_by_the_higher_ones() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let low = (0, wait(&pool, Select::new()));
        let high = (1..100).map(|n| (n, wait(&pool, Select::new().priority(7))));
        let served = order(held, [low].into_iter().chain(high).collect()).await;
        let turn = served.iter().position(|n| *n == 0).unwrap();
        assert!((1..=16).contains(&turn), "{turn}");
    });
}

#[test]
fn a_request_carries_its_priority_in_its_extensions() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let (plain, urgent) =
            (wished("/a", Select::new()), wished("/b", Select::new().priority(1)));
        let mut plain = Box::pin(pool.send(plain));
        let mut urgent = Box::pin(pool.send(urgent));
        assert!(poll_once(&mut plain).await.is_none());
        assert!(poll_once(&mut urgent).await.is_none());
        drop(held);
        sim.settle().await;
        assert!(poll_once(&mut plain).await.is_none());
        drop(urgent.await.unwrap());
        drop(plain.await.unwrap());
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn the_last_place_in_line_is_given_and_one_over_is_refused() {
    for places in [0, 1, 5] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_connections_per_server(1);
        let pool = builder.max_waiters(places).build().unwrap();
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut waiters: Vec<_> = (0..places).map(|_| wait(&pool, Select::new())).collect();
            assert_eq!(pool.metrics().waiting, places as u64);
            let error = get(&pool, "/").await.expect_err("one over");
            assert_eq!(error.kind(), ErrorKind::QueueFull);
            assert_eq!(error.phase(), Some(Phase::Queue));
            assert_eq!(error.server(), Some(server.url().as_str()));
            assert!(error.is_retry_safe() && error.attempts() == 0);
            let metrics = pool.metrics();
            assert_eq!((metrics.queue_full, metrics.failed_requests), (1, 1));
            if waiters.pop().is_some() {
                drop(wait(&pool, Select::new()));
            }
            drop(waiters);
            drop(held);
            assert!(get(&pool, "/").await.unwrap(), "the line is empty");
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn with_no_places_in_line_a_caller_for_whom_there_is_room_is_served() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let builder = builder(&sim, &[&one, &two]).max_waiters(0).max_connections_per_server(2);
    let pool = builder.max_total_connections(2).build().unwrap();
    sim.block_on(async {
        let at = |server| pool.checkout(Select::new().server(id_at(&pool, server)));
        let held = [at(&one).await.unwrap(), at(&one).await.unwrap()];
        let refused = at(&two).await.expect_err("no permit of the total is free");
        assert_eq!(refused.kind(), ErrorKind::QueueFull);
        drop(held);
        drop(at(&two).await.expect("an idle connection makes room"));
        get(&pool, "/").await.unwrap();
    });
    assert_eq!(pool.metrics().queue_full, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_waiter_whose_server_is_removed_is_served_by_another() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
        let pool = background.build(&sim, builder(&sim, &[&one]).max_connections_per_server(1));
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut waiter = Box::pin(get(&pool, "/"));
            let only = Select::new().server(id_at(&pool, &one));
            let mut picky = Box::pin(pool.checkout(only));
            assert!(poll_once(&mut waiter).await.is_none());
            assert!(poll_once(&mut picky).await.is_none());
            pool.add_server(parse(&two.url())).unwrap();
            pool.remove_server(id_at(&pool, &one)).unwrap();
            waiter.await.unwrap();
            let error = picky.await.expect_err("the one it wants is gone");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(two.requests(), 1);
            drop(held);
            assert_eq!(one.counts().open, 0);
        });
        assert_eq!(pool.metrics().destroyed.shutdown, 1);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_connection_granted_to_a_caller_who_has_gone_goes_to_the_next() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let first = wait(&pool, Select::new());
        let second = wait(&pool, Select::new());
        let start = sim.now();
        drop(held);
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(sim.now(), start);
        assert_eq!(pool.metrics().idle_connections, 1);
    });
    assert_eq!(server.counts().opened, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_permit_granted_to_a_caller_who_has_gone_goes_to_the_next() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let mut held = hold(&pool, 1).await;
        let first = wait(&pool, Select::new());
        let second = wait(&pool, Select::new());
        held.pop().unwrap().discard();
        assert_eq!(server.counts().open, 0);
        drop(first);
        drop(second.await.unwrap());
    });
    assert_eq!(server.counts().opened, 2);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_connection_that_dies_on_its_way_to_a_waiter_is_replaced() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let mut held = hold(&pool, 1).await;
        let request = request(http::Method::GET, "/fin/5");
        held[0].send(request).await.unwrap().into_body().bytes().await.unwrap();
        let waiter = wait(&pool, Select::new());
        drop(held);
        // It was granted while it was alive, and is taken once it is dead.
        sim.sleep(MS * 10).await;
        let checkout = waiter.await.unwrap();
        assert_eq!(checkout.info().uses, 0);
    });
    assert_eq!((server.counts().opened, pool.metrics().destroyed.by_peer), (2, 1));
    assert_balanced(&pool.metrics());
}

#[test]
fn at_the_total_limit_the_longest_idle_of_another_server_makes_room() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_total_connections(3).build().unwrap();
    sim.block_on(async {
        let at = |server| pool.checkout(Select::new().server(id_at(&pool, server)));
        let first = at(&one).await.unwrap();
        sim.sleep(SECOND).await;
        let second = at(&one).await.unwrap();
        sim.sleep(SECOND).await;
        let third = at(&one).await.unwrap();
        for checkout in [second, third, first] {
            drop(checkout);
            sim.sleep(SECOND).await;
        }
        let guest = at(&two).await.unwrap();
        assert_eq!((one.counts().open, two.counts().open), (2, 1));
        let metrics = pool.metrics();
        assert_eq!((metrics.destroyed.evicted, metrics.total_connections), (1, 3));
        let ages = [at(&one).await.unwrap(), at(&one).await.unwrap()].map(|c| c.info().age);
        assert!(!ages.contains(&(SECOND * 4)), "the longest idle is the one to go: {ages:?}");
        drop(guest);
    });
    assert_eq!(one.counts().peak, 3);
    assert_balanced(&pool.metrics());
}

#[test]
fn at_the_total_limit_a_connection_that_is_parked_elsewhere_makes_room_for_a_waiter() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_total_connections(2).build().unwrap();
    sim.block_on(async {
        let at = |server| Select::new().server(id_at(&pool, server));
        let mut held = vec![pool.checkout(at(&one)).await.unwrap()];
        held.push(pool.checkout(at(&two)).await.unwrap());
        // The second has a connection already, and wants one more.
        let waiter = wait(&pool, at(&two));
        sim.settle().await;
        drop(held.remove(0));
        assert_eq!(one.counts().open, 0);
        drop(waiter.await.unwrap());
        drop(held);
    });
    assert_eq!(pool.metrics().destroyed.evicted, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_without_any_connection_gets_its_turn_though_others_are_never_idle() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_total_connections(1).build().unwrap();
    sim.block_on(async {
        let at = |server| Select::new().server(id_at(&pool, server));
        let mut held = pool.checkout(at(&one)).await.unwrap();
        let mut line: Vec<_> = (0..3).map(|_| wait(&pool, at(&one))).collect();
        let mut guest = wait(&pool, at(&two));
        // Whenever the one connection comes back, somebody waits for it already.
        let mut rounds = 0;
        let guest = loop {
            line.push(wait(&pool, at(&one)));
            drop(held);
            if let Some(guest) = poll_once(&mut guest).await {
                break guest.unwrap();
            }
            held = line.remove(0).await.unwrap();
            rounds += 1;
            assert!(rounds < 3, "the guest starves");
        };
        assert_eq!((one.counts().open, two.counts().open), (0, 1));
        drop(guest);
        for waiter in line {
            drop(waiter.await.unwrap());
        }
    });
    assert_eq!(one.counts().peak + two.counts().peak, 2, "one each, one after the other");
    assert_balanced(&pool.metrics());
}

#[test]
fn a_caller_at_a_saturated_server_is_served_by_one_that_has_room() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_connections_per_server(2).build().unwrap();
    sim.block_on(async {
        let at = Select::new().server(id_at(&pool, &one));
        let held = [pool.checkout(at.clone()).await.unwrap(), pool.checkout(at).await.unwrap()];
        let start = sim.now();
        for _ in 0..4 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!((sim.now(), two.requests()), (start, 4));
        drop(held);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn nobody_overtakes_a_line_by_coming_at_the_right_moment() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = one_connection(&sim, &server);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let waiter = wait(&pool, Select::new());
        drop(held);
        assert!(pool.try_checkout(&Select::new()).is_none(), "it is the waiter's");
        let late = wait(&pool, Select::new());
        drop(waiter.await.unwrap());
        drop(late.await.unwrap());
    });
    assert_balanced(&pool.metrics());
}
