//! Goal: a server that cannot be connected to is left in peace for a while, whoever waits for it is
//! told so at once, and none of that happens to one that works. Method: virtual time.

use std::sync::mpsc;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Dialling, Error, ErrorKind, Event, Phase, Pool, Select};
use futures_lite::future::{poll_once, zip};

use crate::support::join::{Job, join_all};
use crate::support::sim::{BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold};
use crate::support::{SimServer, assert_balanced};

fn after(failures: u32) -> Dialling {
    Dialling::new().failures_before_back_off(failures)
}

/// A request that fails: the error.
fn fail(sim: &Sim, pool: &Pool) -> Error {
    sim.block_on(get(pool, "/")).expect_err("nobody listens")
}

#[test]
fn a_server_that_fails_as_often_as_it_may_is_left_in_peace_and_not_before() {
    for failures in [1, 3] {
        let sim = Sim::new();
        let mut server = SimServer::start(&sim, ONE);
        sim.block_on(server.stop());
        let pool = builder(&sim, &[&server]).dialling(after(failures)).build().unwrap();
        for _ in 0..failures {
            assert_eq!(fail(&sim, &pool).retry_after(), None, "it was tried");
        }
        let start = sim.now();
        let error = fail(&sim, &pool);
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Some(Phase::Connect)));
        assert!(error.is_connect() && error.is_retry_safe());
        let left = error.retry_after().expect("it was not tried");
        assert!((50 * MS..=100 * MS).contains(&left), "{left:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("{failures} dials have failed in a row")), "{text}");
        assert!(text.contains("connection refused"), "{text}");
        assert_eq!(server.counts().attempts, failures as usize);
        assert_eq!(sim.now(), start);

        sim.advance(left - Duration::from_nanos(1));
        assert!(fail(&sim, &pool).retry_after().is_some());
        sim.advance(Duration::from_nanos(1));
        assert_eq!(fail(&sim, &pool).retry_after(), None);
        assert_eq!(server.counts().attempts, failures as usize + 1);
        let metrics = pool.metrics();
        assert_eq!(metrics.connect_errors, u64::from(failures) + 1);
        assert_balanced(&metrics);
    }
}

#[test]
fn pauses_double_up_to_the_longest() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    let terms = after(1).min_back_off(10 * MS).max_back_off(70 * MS);
    let pool = builder(&sim, &[&server]).dialling(terms).build().unwrap();
    for whole in [10, 20, 40, 70, 70] {
        assert_eq!(fail(&sim, &pool).retry_after(), None);
        let left = fail(&sim, &pool).retry_after().expect("a pause");
        assert!((whole * MS / 2..=whole * MS).contains(&left), "{whole}: {left:?}");
        sim.advance(left);
    }
}

#[test]
fn after_a_connection_it_begins_anew() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    let pool = builder(&sim, &[&server]).dialling(after(2)).build().unwrap();
    for _ in 0..2 {
        fail(&sim, &pool);
    }
    sim.advance(100 * MS);
    server.restart();
    sim.block_on(get(&pool, "/")).unwrap();
    pool.close_idle();
    sim.block_on(server.stop());
    assert_eq!(fail(&sim, &pool).retry_after(), None);
    assert_eq!(fail(&sim, &pool).retry_after(), None, "one failure is not enough again");
    let left = fail(&sim, &pool).retry_after().expect("a pause");
    assert!(left <= 100 * MS, "it is the first pause again: {left:?}");
}

fn gets(pool: &Pool, count: usize) -> Vec<Job<Result<bool, Error>>> {
    let job = |_| {
        let pool = pool.clone();
        Box::pin(async move { get(&pool, "/").await }) as Job<_>
    };
    (0..count).map(job).collect()
}

#[test]
fn those_in_line_are_told_at_once() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().black_hole(ONE);
        let builder = builder(&sim, &[&server]).max_connecting(1).connect_timeout(SECOND);
        let pool = background.build(&sim, builder.dialling(after(2)));
        let start = sim.now();
        let errors = sim.block_on(join_all(gets(&pool, 10)));
        assert_eq!(sim.now() - start, SECOND * 2, "{background:?}");
        let errors: Vec<Error> = errors.into_iter().map(Result::unwrap_err).collect();
        let dialled = errors.iter().filter(|error| error.is_timeout()).count();
        let told = errors.iter().filter(|error| error.retry_after().is_some()).count();
        assert_eq!((dialled, told, server.counts().attempts), (2, 8, 2), "{background:?}");
        assert_balanced(&pool.metrics());
        assert_eq!(pool.metrics().total_connections, 0);
    }
}

#[test]
fn those_in_line_are_told_though_the_total_is_used_up_elsewhere() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let builder = builder(&sim, &[&one]).max_total_connections(2).connect_timeout(SECOND);
    let pool = builder.dialling(after(1)).build().unwrap();
    sim.block_on(async {
        sim.net().black_hole(TWO);
        let held = hold(&pool, 1).await;
        let id = pool.add_server(crate::support::parse(&two.url())).unwrap();
        let only = || {
            let select = Select::new().server(id);
            pool.checkout(select)
        };
        let start = sim.now();
        let (first, second) = zip(only(), only()).await;
        assert!(first.unwrap_err().is_timeout());
        assert!(second.unwrap_err().retry_after().is_some());
        assert_eq!(sim.now() - start, SECOND);
        drop(held);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn those_in_line_are_told_though_one_before_them_does_not_come() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    sim.net().black_hole(ONE);
    let builder = builder(&sim, &[&server]).max_connecting(1).connect_timeout(SECOND);
    let pool = builder.dialling(after(1)).build().unwrap();
    sim.block_on(async {
        let (mut first, mut lazy) = (Box::pin(get(&pool, "/")), Box::pin(get(&pool, "/")));
        assert!(poll_once(&mut first).await.is_none());
        // It is given the permit of the dial that fails, and is not polled.
        assert!(poll_once(&mut lazy).await.is_none());
        let (tell, told) = mpsc::channel();
        let last = pool.clone();
        sim.spawn(async move { tell.send(get(&last, "/").await).unwrap() });
        sim.settle().await;
        assert!(first.await.unwrap_err().is_timeout());
        // The clock stands still.
        sim.settle().await;
        let last = told.try_recv().expect("it is told at once");
        assert!(last.unwrap_err().retry_after().is_some());
        assert!(lazy.await.unwrap_err().retry_after().is_some());
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn failures_that_come_together_make_one_pause() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    sim.net().connect_delay(ONE, SECOND);
    let pool = builder(&sim, &[&server]).dialling(after(3)).build().unwrap();
    let errors = sim.block_on(join_all(gets(&pool, 10)));
    assert!(errors.iter().all(|outcome| outcome.as_ref().unwrap_err().retry_after().is_none()));
    assert_eq!(server.counts().attempts, 10);
    let left = fail(&sim, &pool).retry_after().expect("a pause");
    assert!(left <= 100 * MS, "it is the first one: {left:?}");
}

#[test]
fn a_server_with_a_connection_is_dialled_however_often_it_fails() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).dialling(after(1)).build().unwrap();
    let held = sim.block_on(hold(&pool, 1));
    sim.block_on(server.stop());
    for _ in 0..5 {
        assert_eq!(fail(&sim, &pool).retry_after(), None);
    }
    assert_eq!(server.counts().attempts, 6);
    drop(held);
    // It is idle now, and serves.
    sim.block_on(get(&pool, "/")).unwrap();
    pool.close_idle();
    assert_eq!(fail(&sim, &pool).retry_after(), None);
    assert!(fail(&sim, &pool).retry_after().is_some());
}

#[test]
fn a_server_in_a_pause_is_passed_over_without_a_dial() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    sim.net().black_hole(ONE);
    let builder = builder(&sim, &[&one, &two]).connect_timeout(SECOND).max_idle_connections(0);
    let terms = after(1).min_back_off(SECOND * 60).max_back_off(SECOND * 60);
    let pool = builder.dialling(terms).build().unwrap();
    let start = sim.now();
    for _ in 0..10 {
        sim.block_on(get(&pool, "/")).unwrap();
    }
    assert_eq!(one.counts().attempts, 1);
    assert_eq!(sim.now() - start, SECOND, "only the first dial took its time");
    assert_eq!(pool.metrics().failed_requests, 0);
    assert_balanced(&pool.metrics());
}

#[test]
fn without_back_off_each_request_dials() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    let pool = builder(&sim, &[&server]).dialling(after(0)).build().unwrap();
    for _ in 0..20 {
        assert_eq!(fail(&sim, &pool).retry_after(), None);
    }
    assert_eq!(server.counts().attempts, 20);
}

#[test]
fn the_observer_is_told_of_a_pause() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    let (tell, told) = mpsc::channel();
    let builder =
        builder(&sim, &[&server]).dialling(after(2)).observer(move |event: &Event<'_>| {
            if let Event::DialsPaused { url, failures, pause, .. } = event {
                tell.send(((*url).to_owned(), *failures, *pause)).unwrap();
            }
        });
    let pool = builder.build().unwrap();
    fail(&sim, &pool);
    assert!(told.try_recv().is_err());
    fail(&sim, &pool);
    let (url, failures, pause) = told.try_recv().unwrap();
    assert_eq!((url, failures), (server.url(), 2));
    assert_eq!(fail(&sim, &pool).retry_after(), Some(pause));
}

#[test]
fn a_shutdown_in_a_pause_ends_at_once() {
    let sim = Sim::new();
    let mut server = SimServer::start(&sim, ONE);
    sim.block_on(server.stop());
    let pool = Background::Spawned.build(&sim, builder(&sim, &[&server]).dialling(after(1)));
    fail(&sim, &pool);
    let start = sim.now();
    sim.block_on(pool.shutdown(SECOND));
    assert_eq!(sim.now(), start);
    assert!(fail(&sim, &pool).is_closed());
    assert_balanced(&pool.metrics());
}
