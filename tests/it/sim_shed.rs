//! Goal: a full line keeps the callers of the highest priority, and the oldest of those.
//! Method: lines with few places, and callers of every class.

use std::pin::Pin;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Error, ErrorKind, Phase, Pool, Select};
use futures_lite::future::poll_once;
use http::Response;

use crate::sim_limits::change;
use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at, whole, wished,
};
use crate::support::{SimServer, assert_balanced};

type Caller<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + 'a>>;

/// A request of this class.
fn call(pool: &Pool, class: u8) -> Caller<'_> {
    Box::pin(pool.send(wished("/", Select::new().priority(class))))
}

/// A request that stands in line.
async fn wait(pool: &Pool, class: u8) -> Caller<'_> {
    let mut caller = call(pool, class);
    assert!(poll_once(&mut caller).await.is_none(), "there is nothing to wait for");
    caller
}

/// Which of them have been turned away; they are taken out.
async fn turned_away(callers: &mut Vec<(usize, Caller<'_>)>, server: &SimServer) -> Vec<usize> {
    let mut away = Vec::new();
    let mut stay = Vec::new();
    for (at, mut caller) in callers.drain(..) {
        match poll_once(&mut caller).await {
            None => stay.push((at, caller)),
            Some(ended) => {
                let error = ended.expect_err("nothing comes free");
                assert_eq!(
                    (error.kind(), error.phase()),
                    (ErrorKind::QueueFull, Some(Phase::Queue))
                );
                assert_eq!(error.server(), Some(server.url().as_str()));
                assert!(error.is_retry_safe() && error.attempts() == 0);
                assert!(error.to_string().contains("higher priority"), "{error}");
                away.push(at);
            }
        }
    }
    *callers = stay;
    away
}

fn world(places: usize) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1).max_waiters(places);
    let pool = builder.build().expect("a valid pool");
    (sim, server, pool)
}

#[test]
fn each_of_eight_classes_is_sent_away_before_the_higher_ones() {
    let (sim, server, pool) = world(8);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = Vec::new();
        for (at, class) in [3, 0, 7, 2, 5, 1, 6, 4].into_iter().enumerate() {
            line.push((at, wait(&pool, class).await));
        }
        // Those of the classes from 0 to 6, by their places in line.
        for (came, gone) in (8..).zip([1, 5, 3, 0, 7, 4, 6]) {
            line.push((came, wait(&pool, 7).await));
            assert_eq!(turned_away(&mut line, &server).await, [gone]);
            assert_eq!(pool.metrics().waiting, 8);
        }
        let refused = call(&pool, 255).await.expect_err("all are of the highest class");
        assert_eq!(refused.kind(), ErrorKind::QueueFull);
        assert!(refused.to_string().contains("8 callers wait"), "{refused}");
        assert!(turned_away(&mut line, &server).await.is_empty());
        let metrics = pool.metrics();
        assert_eq!((metrics.queue_full, metrics.shed, metrics.failed_requests), (8, 7, 8));
        drop(held);
        for (_, caller) in line {
            whole(caller.await.unwrap()).await.unwrap();
        }
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn of_one_class_the_youngest_is_sent_away_first() {
    let (sim, server, pool) = world(3);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = Vec::new();
        for at in 0..3 {
            line.push((at, wait(&pool, 0).await));
        }
        for (came, gone) in [(3, 2), (4, 1), (5, 0)] {
            line.push((came, wait(&pool, 1).await));
            assert_eq!(turned_away(&mut line, &server).await, [gone]);
        }
        drop((line, held));
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_newcomer_of_the_lowest_class_in_line_is_refused_itself() {
    for class in 0..8 {
        let (sim, server, pool) = world(2);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut line = vec![(0, wait(&pool, class).await), (1, wait(&pool, 7).await)];
            for lower in 0..=class {
                let refused = call(&pool, lower).await.expect_err("none is lower");
                assert_eq!(refused.kind(), ErrorKind::QueueFull);
                assert!(refused.to_string().contains("2 callers wait"), "{refused}");
            }
            assert!(turned_away(&mut line, &server).await.is_empty());
            let metrics = pool.metrics();
            assert_eq!((metrics.queue_full, metrics.shed), (u64::from(class) + 1, 0));
            drop((line, held));
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn one_who_was_sent_away_may_come_again() {
    let (sim, server, pool) = world(1);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = vec![(0, wait(&pool, 0).await)];
        let urgent = wait(&pool, 1).await;
        assert_eq!(turned_away(&mut line, &server).await, [0]);
        drop(urgent);
        let again = wait(&pool, 0).await;
        drop(held);
        whole(again.await.unwrap()).await.unwrap();
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_place_that_is_free_is_taken_before_anybody_is_sent_away() {
    let (sim, server, pool) = world(2);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = vec![(0, wait(&pool, 0).await)];
        let gone = wait(&pool, 0).await;
        drop(gone);
        line.push((1, wait(&pool, 7).await));
        assert!(turned_away(&mut line, &server).await.is_empty());
        drop((line, held));
    });
    assert_eq!(pool.metrics().queue_full, 0);
    assert_balanced(&pool.metrics());
}

#[test]
fn with_no_places_the_highest_class_is_refused_as_the_lowest_is() {
    let (sim, _server, pool) = world(0);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        for class in [0, 7] {
            let refused = call(&pool, class).await.expect_err("no place, and no room");
            assert!(refused.to_string().contains("0 callers wait"), "{refused}");
        }
        drop(held);
        whole(call(&pool, 7).await.unwrap()).await.unwrap();
    });
    assert_balanced(&pool.metrics());
}

/// The server has room, and the line is full, since the total is used up.
#[test]
fn at_the_total_limit_the_lowest_makes_way_too() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let builder = builder(&sim, &[&one, &two]).max_total_connections(1).max_waiters(1);
    let pool = builder.build().unwrap();
    sim.block_on(async {
        let at = |server: &SimServer| Select::new().server(id_at(&pool, server));
        let held = pool.checkout(at(&one)).await.unwrap();
        let send = |class| Box::pin(pool.send(wished("/", at(&two).priority(class)))) as Caller<'_>;
        let mut line = vec![(0, send(1))];
        assert!(poll_once(&mut line[0].1).await.is_none());
        for class in [0, 1] {
            let refused = send(class).await.expect_err("none is lower");
            assert!(refused.to_string().contains("1 callers wait"), "{refused}");
        }
        let mut urgent = send(2);
        assert!(poll_once(&mut urgent).await.is_none());
        assert_eq!(turned_away(&mut line, &two).await, [0]);
        drop(held);
        whole(urgent.await.unwrap()).await.unwrap();
    });
    assert_balanced(&pool.metrics());
}

/// There is no end to how many wait as their number is lowered; each gives way to one who comes.
#[test]
fn those_who_stay_in_a_line_that_has_shrunk_give_way_to_higher_classes() {
    let (sim, server, pool) = world(100);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = Vec::new();
        for at in 0..100 {
            line.push((at, wait(&pool, 1).await));
        }
        change(&pool, |limits| limits.max_waiters = 2);
        for (came, gone) in (100..200).zip((0..100).rev()) {
            line.push((came, wait(&pool, 2).await));
            assert_eq!(turned_away(&mut line, &server).await, [gone]);
        }
        for class in 0..3 {
            let refused = call(&pool, class).await.expect_err("nobody is of a lower class");
            assert_eq!(refused.kind(), ErrorKind::QueueFull);
        }
        drop(held);
        for (_, caller) in line {
            whole(caller.await.expect("it is still in line")).await.unwrap();
        }
    });
    assert_balanced(&pool.metrics());
}

/// Callers without a place wait for a permit of the total as the server's own limit is lowered.
#[test]
fn a_caller_without_a_place_is_refused_when_the_room_goes_that_let_it_in() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_waiters(0).max_connecting(2);
    let pool = builder.max_connections_per_server(2).build().unwrap();
    sim.net().connect_delay(ONE, SECOND);
    sim.block_on(async {
        let (first, second) = (wait(&pool, 0).await, wait(&pool, 0).await);
        change(&pool, |limits| limits.max_connections_per_server = 1);
        for class in [0, 7] {
            let refused = call(&pool, class).await.expect_err("no place, and no room");
            assert_eq!(refused.kind(), ErrorKind::QueueFull);
        }
        // Both dials were begun before; what is too much is closed as it comes back.
        for caller in [first, second] {
            whole(caller.await.expect("its dial ends")).await.unwrap();
        }
        assert_eq!(server.counts().open, 1);
        whole(call(&pool, 0).await.expect("one is idle")).await.unwrap();
    });
    assert_balanced(&pool.metrics());
}

/// A dial that was left will serve the newcomer: it may wait for it, without a place.
#[test]
fn with_no_places_a_caller_may_wait_for_a_dial_that_another_has_left() {
    for background in BACKGROUNDS.into_iter().filter(|background| background.is_there()) {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = background.build(&sim, builder(&sim, &[&server]).max_waiters(0));
        sim.block_on(async {
            // The driver is at work from the first dial on.
            get(&pool, "/close").await.unwrap();
            sim.settle().await;
            sim.net().connect_delay(ONE, MS * 100);
            for class in [0, 7] {
                let start = sim.now();
                drop(wait(&pool, 0).await);
                whole(call(&pool, class).await.expect("it is waited for")).await.unwrap();
                assert_eq!(sim.now() - start, MS * 100);
                get(&pool, "/close").await.unwrap();
            }
        });
        assert_eq!(server.counts().opened, 3, "none was opened beside it");
        assert_balanced(&pool.metrics());
    }
}

/// A storm of urgent callers takes every place, and each call ends.
#[test]
fn a_storm_of_high_priority_passes_and_loses_nobody() {
    for background in BACKGROUNDS {
        storm(background);
    }
}

const CLASSES: [u8; 8] = [0, 5, 2, 7, 4, 1, 6, 3];

fn storm(background: Background) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1).max_waiters(4);
    let pool = background.build(&sim, builder);
    let (served, away) = sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut callers: Vec<_> =
            CLASSES.iter().cycle().take(200).map(|class| call(&pool, *class)).collect();
        let mut ended = Vec::new();
        for caller in &mut callers {
            ended.push(poll_once(caller).await);
            assert!(pool.metrics().waiting <= 4);
        }
        drop(held);
        let (mut served, mut away) = (0, 0);
        for (ended, caller) in ended.into_iter().zip(callers) {
            let ended = match ended {
                Some(ended) => ended,
                None => caller.await,
            };
            match ended {
                Ok(response) => {
                    served += 1;
                    whole(response).await.expect("a whole answer");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::QueueFull);
                    away += 1;
                }
            }
        }
        sim.sleep(SECOND).await;
        (served, away)
    });
    assert_eq!((served, away), (4, 196));
    let metrics = pool.metrics();
    assert_eq!(metrics.queue_full, 196);
    assert!((1..196).contains(&metrics.shed), "{metrics:?}");
    assert_balanced(&metrics);
}
