//! The end of a pool: requests in flight finish or are cut, nobody waits for ever, nothing stays.

use std::time::Duration;

use evenkeel::{ErrorKind, Select, ShutdownReport};
use futures_lite::future::{or, pending, poll_once, zip};

use crate::support::{
    Server, assert_balanced, block_on, builder_of, for_each_runtime, get_text, parse, pool_of,
};

/// Longer than a test takes: a shutdown that waits this long has failed.
const AMPLE: Duration = Duration::from_secs(100);

fn numbers(report: &ShutdownReport) -> [u64; 4] {
    [report.completed, report.cut, report.idle_closed, report.waiters_failed]
}

#[test]
fn requests_in_flight_finish_within_the_grace_under_every_runtime() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = env.builder().server(parse(&server.url(""))).build().unwrap();
        let request = get_text(&pool, "/gate");
        let shutdown = async {
            server.until(|counts| counts.waiting == 1).await;
            let opened = async {
                // Open only once the pool refuses new work: the request ends while it drains.
                while !get_text(&pool, "/").await.is_err_and(|error| error.is_closed()) {
                    futures_lite::future::yield_now().await;
                }
                server.open_gate();
            };
            zip(pool.shutdown(AMPLE), opened).await.0
        };
        let (text, report) = zip(request, shutdown).await;
        assert_eq!(text.unwrap(), "GET /gate\n", "under {}", env.name);
        assert_eq!((report.completed, report.cut), (1, 0), "under {}: {report:?}", env.name);
        server.until(|counts| counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn requests_still_in_flight_at_the_deadline_are_cut() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let request = get_text(&pool, "/hang");
        let shutdown = async {
            server.until(|counts| counts.waiting == 1).await;
            pool.shutdown(Duration::from_millis(20)).await
        };
        let (text, report) = zip(request, shutdown).await;
        let error = text.expect_err("its connection was cut");
        assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
        assert_eq!((report.completed, report.cut), (0, 1), "{report:?}");
        server.until(|counts| counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn waiters_and_newcomers_are_told_at_once() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(1).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.checkout(Select::new()))).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).await.is_none());
        }
        let mut shutdown = Box::pin(pool.shutdown(AMPLE));
        assert!(poll_once(&mut shutdown).await.is_none(), "one is still out");
        for waiter in waiters {
            assert!(waiter.await.expect_err("closed").is_closed());
        }
        assert!(pool.checkout(Select::new()).await.expect_err("closed").is_closed());
        assert!(get_text(&pool, "/").await.expect_err("closed").is_closed());
        assert!(pool.try_checkout(&Select::new()).is_none());
        assert!(pool.add_server(parse("http://127.0.0.1:1")).expect_err("closed").is_closed());
        drop(held);
        let report = shutdown.await;
        assert_eq!((report.cut, report.waiters_failed), (0, 3), "{report:?}");
        server.until(|counts| counts.accepted == 1 && counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn idle_connections_are_closed_and_reported() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let held = zip(pool.checkout(Select::new()), pool.checkout(Select::new())).await;
        drop((held.0.unwrap(), held.1.unwrap()));
        let report = pool.shutdown(AMPLE).await;
        assert_eq!(numbers(&report), [0, 0, 2, 0]);
        server.until(|counts| counts.accepted == 2 && counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn every_caller_gets_the_same_report_at_once_or_one_after_another() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        get_text(&pool, "/").await.unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let twin = pool.clone();
        let mut both = Box::pin(zip(pool.shutdown(AMPLE), twin.shutdown(AMPLE)));
        assert!(poll_once(&mut both).await.is_none());
        drop(held);
        let (first, second) = both.await;
        assert_eq!(numbers(&first), numbers(&second));
        assert_eq!(numbers(&first), numbers(&pool.shutdown(AMPLE).await));
    });
}

#[test]
fn a_dropped_shutdown_is_not_undone() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let held = pool.checkout(Select::new()).await.unwrap();
        assert!(poll_once(pool.shutdown(AMPLE)).await.is_none());
        assert!(get_text(&pool, "/").await.expect_err("closed").is_closed());
        drop(held);
        let report = pool.shutdown(AMPLE).await;
        assert_eq!(report.cut, 0);
        server.until(|counts| counts.accepted == 1 && counts.open == 0).await;
    });
}

#[test]
fn an_unused_pool_shuts_down_at_once() {
    block_on(|| async {
        let pool = builder_of(&[]).build().unwrap();
        let report = pool.shutdown(AMPLE).await;
        assert_eq!(numbers(&report), [0, 0, 0, 0]);
    });
}

#[test]
fn a_pool_that_is_dropped_closes_its_connections() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = env.builder().server(parse(&server.url(""))).build().unwrap();
        get_text(&pool, "/").await.unwrap();
        let twin = pool.clone();
        drop(pool);
        assert_eq!(get_text(&twin, "/still").await.unwrap(), "GET /still\n");
        drop(twin);
        server.until(|counts| counts.open == 0).await;
    });
}

#[test]
fn a_body_outlives_its_pool() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let response = pool.get("/b/1000000").await.unwrap();
        drop(pool);
        let body = response.into_body().bytes().await;
        // Either is honest; half a body is not.
        match body {
            Ok(bytes) => assert_eq!(bytes.len(), 1_000_000),
            Err(error) => assert!(error.is_closed(), "{error:?}"),
        }
        server.until(|counts| counts.open == 0).await;
    });
}

#[test]
fn the_driver_ends_with_the_pool() {
    block_on(|| async {
        let server = Server::start();
        let (pool, driver) = builder_of(&[&server]).build_with_driver().unwrap();
        get_text(&pool, "/").await.unwrap();
        let closed = async {
            pool.shutdown(AMPLE).await;
            pending().await
        };
        or(driver, closed).await;
    });
}
