//! Goal: a shutdown ends what must end at its instant, tells everybody who waits, and reports what
//! it did. Method: every kind of caller under way, in virtual time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Error, ErrorKind, Phase, Pool, ShutdownReport};
use futures_lite::future::{poll_once, zip};
use http::{Method, Request};

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, builder, get, hold, id_at, request,
};
use crate::support::{SimServer, assert_balanced};

const GRACE: Duration = Duration::from_secs(5);

/// Completed, cut, idle closed, waiters failed.
fn numbers(report: &ShutdownReport) -> [u64; 4] {
    [report.completed, report.cut, report.idle_closed, report.waiters_failed]
}

/// A world with a pool of at most two connections.
fn world(background: Background) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(2);
    let pool = background.build(&sim, builder);
    (sim, server, pool)
}

/// Nothing is left in the world but the server.
#[track_caller]
fn assert_gone(sim: &Sim, server: &SimServer, pool: &Pool) {
    sim.block_on(sim.settle());
    assert_eq!(sim.tasks(), server.tasks(), "a task is left");
    assert_eq!((server.counts().open, server.counts().connecting), (0, 0));
    assert!(!pool.metrics().background);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_request_that_ends_within_the_grace_is_completed() {
    for background in BACKGROUNDS {
        for path in ["/after/3000", "/trickle/3/1000"] {
            let (sim, server, pool) = world(background);
            sim.block_on(async {
                drop(hold(&pool, 2).await);
                let start = sim.now();
                let shutdown = async {
                    sim.sleep(MS).await;
                    pool.shutdown(GRACE).await
                };
                let (outcome, report) = zip(get(&pool, path), shutdown).await;
                outcome.unwrap();
                assert_eq!(numbers(&report), [1, 0, 1, 0], "{background:?} {path}");
                assert_eq!(sim.now() - start, SECOND * 3, "the last one ends it");
            });
            assert_gone(&sim, &server, &pool);
        }
    }
}

/// A request under way when its connection is cut ends at the same instant.
#[track_caller]
fn is_cut_in(phase: Phase, request: impl Fn() -> Request<Body>) {
    for background in BACKGROUNDS {
        let (sim, server, pool) = world(background);
        sim.block_on(async {
            let start = sim.now();
            // A task of its own: only the cut itself can wake it.
            let (ended, outcome) = smol::channel::bounded::<Result<(), Error>>(1);
            let (twin, request) = (pool.clone(), request());
            sim.spawn(async move {
                let whole = async { twin.send(request).await?.into_body().bytes().await.map(drop) };
                ended.send(whole.await).await.expect("the test waits for it");
            });
            sim.sleep(MS).await;
            let report = pool.shutdown(GRACE).await;
            sim.settle().await;
            let outcome = outcome.try_recv().expect("it ends at once");
            let error = outcome.expect_err("it never ends by itself");
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Some(phase)));
            assert_eq!(error.server(), Some(server.url().as_str()));
            assert_eq!((error.attempts(), error.is_retry_safe()), (1, false));
            assert_eq!(numbers(&report), [0, 1, 0, 0]);
            assert_eq!(sim.now() - start, GRACE + MS);
        });
        assert_eq!(pool.metrics().destroyed.shutdown, 1, "{:?}", pool.metrics().destroyed);
        assert_gone(&sim, &server, &pool);
    }
}

#[test]
fn a_writer_that_is_held_up_is_cut_at_the_deadline() {
    // The server never closes its side of this one, but that is its own affair.
    is_cut_in(Phase::Write, || {
        Request::post("/deaf").body(Body::from(vec![b'x'; 1 << 20])).unwrap()
    });
}

#[test]
fn a_caller_without_an_answer_is_cut_at_the_deadline() {
    is_cut_in(Phase::Response, || request(Method::GET, "/never"));
}

#[test]
fn a_reader_of_a_stalled_body_is_cut_at_the_deadline() {
    is_cut_in(Phase::Body, || request(Method::GET, "/stall/100"));
}

#[test]
fn a_checkout_is_used_while_the_pool_drains_and_not_after_it() {
    let (sim, server, pool) = world(Background::Spawned);
    sim.block_on(async {
        let mut held = hold(&pool, 1).await.remove(0);
        let mut shutdown = Box::pin(pool.shutdown(GRACE));
        assert!(poll_once(&mut shutdown).await.is_none());
        let response = held.send(request(Method::GET, "/")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        assert_eq!(numbers(&shutdown.await), [0, 1, 0, 0]);
        let error = held.send(request(Method::GET, "/")).await.map(drop);
        assert!(error.expect_err("it was cut").is_closed());
        drop(held);
    });
    assert_gone(&sim, &server, &pool);
}

#[test]
fn those_in_line_are_sent_away_at_once() {
    for background in BACKGROUNDS {
        let (sim, server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 2).await;
            let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(get(&pool, "/"))).collect();
            for waiter in &mut waiters {
                assert!(poll_once(waiter).await.is_none());
            }
            let start = sim.now();
            let mut shutdown = Box::pin(pool.shutdown(GRACE));
            assert!(poll_once(&mut shutdown).await.is_none());
            for waiter in waiters {
                let error = waiter.await.expect_err("the pool closes");
                assert!(error.is_closed() && error.is_retry_safe(), "{error:?}");
            }
            assert_eq!(sim.now(), start);
            sim.sleep(SECOND).await;
            drop(held);
            assert_eq!(numbers(&shutdown.await), [2, 0, 0, 3]);
            assert_eq!(sim.now() - start, SECOND);
        });
        assert_gone(&sim, &server, &pool);
    }
}

#[test]
fn a_dial_under_way_is_given_up_at_once_and_is_no_completed_loan() {
    for background in BACKGROUNDS {
        let (sim, server, pool) = world(background);
        sim.net().black_hole(ONE);
        sim.block_on(async {
            let start = sim.now();
            let shutdown = async {
                sim.sleep(MS).await;
                pool.shutdown(GRACE).await
            };
            let (outcome, report) = zip(get(&pool, "/"), shutdown).await;
            let error = outcome.expect_err("the pool closes");
            assert!(error.is_closed() && error.is_retry_safe(), "{error:?}");
            assert_eq!(numbers(&report), [0, 0, 0, 0], "{background:?}");
            assert_eq!(sim.now() - start, MS);
        });
        assert_eq!(pool.metrics().connects_cancelled, 1);
        assert_gone(&sim, &server, &pool);
    }
}

#[test]
fn a_dial_that_was_left_to_the_driver_is_given_up_at_once() {
    let (sim, server, pool) = world(Background::Spawned);
    sim.net().black_hole(ONE);
    sim.block_on(async {
        let mut caller = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut caller).await.is_none());
        sim.settle().await;
        drop(caller);
        sim.settle().await;
        assert_eq!(server.counts().connecting, 1);
        let start = sim.now();
        assert_eq!(numbers(&pool.shutdown(GRACE).await), [0, 0, 0, 0]);
        assert_eq!(sim.now(), start);
    });
    assert_gone(&sim, &server, &pool);
}

#[test]
fn a_grant_that_is_not_taken_does_not_hold_the_shutdown_up() {
    // A waiter is given a connection, or a permit, and has not been polled since.
    let cases = [(false, false), (false, true), (true, false), (true, true)];
    for background in BACKGROUNDS {
        for (discard, take) in cases {
            let (sim, server, pool) = world(background);
            sim.block_on(async {
                let mut held = hold(&pool, 2).await;
                let mut waiter = Box::pin(get(&pool, "/"));
                assert!(poll_once(&mut waiter).await.is_none());
                if discard {
                    held.remove(0).discard();
                }
                drop(held);
                let start = sim.now();
                // Nothing wakes this task but what the shutdown itself waits for, and it is polled
                // once before the waiter goes.
                sim.settle().await;
                let shutdown = pool.shutdown(GRACE);
                let goes = async { if take { drop(waiter.await) } else { drop(waiter) } };
                let (report, ()) = zip(shutdown, goes).await;
                assert_eq!(sim.now(), start, "{background:?} discard {discard} take {take}");
                assert_eq!(report.cut, 0);
            });
            assert_gone(&sim, &server, &pool);
        }
    }
}

#[test]
fn a_connection_of_a_removed_server_is_cut_at_the_deadline_too() {
    let (sim, server, pool) = world(Background::Spawned);
    sim.block_on(async {
        let response = pool.get("/stall/100").await.unwrap();
        pool.remove_server(id_at(&pool, &server)).unwrap();
        let start = sim.now();
        let body = response.into_body().bytes();
        let (outcome, report) = zip(body, pool.shutdown(GRACE)).await;
        assert!(outcome.expect_err("it never ends by itself").is_closed());
        assert_eq!(numbers(&report), [0, 1, 0, 0]);
        assert_eq!(sim.now() - start, GRACE);
    });
    assert_gone(&sim, &server, &pool);
}

#[test]
fn callers_with_different_graces_get_the_same_report_when_the_shorter_ends() {
    let (sim, server, pool) = world(Background::Spawned);
    sim.block_on(async {
        drop(hold(&pool, 2).await);
        let reading = get(&pool, "/never");
        let (long, short) = (pool.shutdown(SECOND * 20), pool.shutdown(SECOND * 2));
        let start = sim.now();
        let shutdowns = async {
            sim.sleep(MS).await;
            zip(long, short).await
        };
        let (outcome, (long, short)) = zip(reading, shutdowns).await;
        assert!(outcome.expect_err("it was cut").is_closed());
        assert_eq!(long, short);
        assert_eq!(numbers(&long), [0, 1, 1, 0]);
        assert_eq!(pool.shutdown(GRACE).await, long, "and so does who comes later");
        assert_eq!(sim.now() - start, SECOND * 2 + MS);
    });
    assert_gone(&sim, &server, &pool);
}

#[test]
fn a_shutdown_whose_future_is_dropped_goes_on_by_itself() {
    let (sim, server, pool) = world(Background::Spawned);
    sim.block_on(async {
        let body = pool.get("/trickle/4/1000").await.unwrap().into_body();
        assert!(poll_once(pool.shutdown(Duration::ZERO + GRACE)).await.is_none());
        assert!(get(&pool, "/").await.expect_err("it stays closed").is_closed());
        sim.settle().await;
        assert_eq!(sim.tasks(), server.tasks(), "background work has ended");
        assert_eq!(body.bytes().await.unwrap().len(), 4);
        assert_eq!(server.counts().open, 0);
        assert_eq!(numbers(&pool.shutdown(GRACE).await), [1, 0, 0, 0]);
    });
    assert_gone(&sim, &server, &pool);
}

#[test]
fn a_shutdown_without_grace_cuts_at_once() {
    let (sim, server, pool) = world(Background::Driven);
    sim.block_on(async {
        let start = sim.now();
        let shutdown = async {
            sim.sleep(MS).await;
            pool.shutdown(Duration::ZERO).await
        };
        let (outcome, report) = zip(get(&pool, "/never"), shutdown).await;
        assert!(outcome.expect_err("it was cut").is_closed());
        assert_eq!(numbers(&report), [0, 1, 0, 0]);
        assert_eq!(sim.now() - start, MS);
    });
    assert_gone(&sim, &server, &pool);
}
