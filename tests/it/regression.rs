//! Faults that were measured in the pool this one descends from, one test each. The names say the
//! fault, as a claim that it is gone.

use std::time::Duration;

use evenkeel::{Error, Select, Server as Address};
use futures_lite::future::{poll_once, zip};

use crate::support::join::{Job, join_all};
use crate::support::{
    Server, assert_balanced, block_on, builder_of, get_text, id_of, parse, pool_of,
};

const AMPLE: Duration = Duration::from_secs(100);

/// A limit of two "connections" let 50 requests run over 50 sockets.
#[test]
fn fifty_parallel_requests_keep_a_limit_of_two_sockets() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(2).build().unwrap();
        let jobs = (0..50).map(|_| {
            let pool = pool.clone();
            Box::pin(async move { get_text(&pool, "/b/1000").await.map(drop) })
                as Job<Result<(), Error>>
        });
        for outcome in join_all(jobs.collect()).await {
            outcome.unwrap();
        }
        assert_eq!(server.counts().max_open, 2);
        assert_balanced(&pool.metrics());
    });
}

/// The count of connections in use grew with every reuse, until the limit refused everybody.
#[test]
fn a_limit_does_not_wear_out_with_use() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(2).build().unwrap();
        for _ in 0..100 {
            drop(pool.checkout(Select::new()).await.unwrap());
        }
        let both = zip(pool.checkout(Select::new()), pool.checkout(Select::new())).await;
        assert!(both.0.is_ok() && both.1.is_ok());
    });
}

/// Closing one connection closed all idle ones of the server.
#[test]
fn closing_one_connection_leaves_the_others_alone() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(pool.checkout(Select::new()).await.unwrap());
        }
        held.pop().unwrap().discard();
        drop(held);
        server.until(|counts| counts.accepted == 5 && counts.open == 4).await;
        assert_eq!(pool.metrics().idle_connections, 4);
        for _ in 0..20 {
            get_text(&pool, "/").await.unwrap();
        }
        assert_eq!(pool.metrics().connections_created, 5);
    });
}

/// The cleanup looked at one connection per server and round.
#[test]
fn one_sweep_closes_every_expired_connection() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let mut held = Vec::new();
        for _ in 0..50 {
            held.push(pool.checkout(Select::new()).await.unwrap());
        }
        drop(held);
        server.until(|counts| counts.open == 50).await;
        pool.close_idle();
        server.until(|counts| counts.open == 0).await;
        assert_eq!(pool.metrics().idle_connections, 0);
        assert_balanced(&pool.metrics());
    });
}

/// A checkout for a port where nobody listens gave a connection, and no error.
#[test]
fn a_checkout_for_a_refused_port_is_an_error() {
    block_on(|| async {
        let mut server = Server::start();
        let pool = pool_of(&[&server]);
        server.stop();
        let error = pool.checkout(Select::new()).await.expect_err("nobody listens");
        assert!(error.is_connect(), "{error:?}");
    });
}

/// An expired context still got a connection.
#[test]
fn a_checkout_without_time_gets_no_connection() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        drop(pool.checkout(Select::new()).await.unwrap());
        let hopeless = Select::new().timeout(Duration::ZERO);
        let error = pool.checkout(hopeless).await.expect_err("no time at all");
        assert!(error.is_timeout(), "{error:?}");
        assert_balanced(&pool.metrics());
    });
}

/// The clock in place of a counter sent all requests of a short run to one server.
#[test]
fn a_short_run_reaches_every_server() {
    block_on(|| async {
        for count in [2, 4, 5, 8] {
            let (servers, _) = Server::group(count);
            let pool = pool_of(&servers.iter().collect::<Vec<_>>());
            for _ in 0..count {
                get_text(&pool, "/").await.unwrap();
            }
            assert!(servers.iter().all(|server| server.counts().requests == 1), "{count}");
        }
    });
}

/// The counts of total, active and idle connections were never written.
#[test]
fn every_connection_count_is_live() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let first = pool.checkout(Select::new()).await.unwrap();
        drop(pool.checkout(Select::new()).await.unwrap());
        let metrics = pool.metrics();
        assert_eq!(metrics.total_connections, 2);
        assert_eq!(metrics.active_connections, 1);
        assert_eq!(metrics.idle_connections, 1);
        assert!(metrics.pool_utilization > 0.0, "{metrics:?}");
        first.discard();
        let metrics = pool.metrics();
        assert_eq!((metrics.total_connections, metrics.connections_destroyed), (1, 1));
    });
}

/// Successful requests and the average response time stayed zero: the pool saw no request.
#[test]
fn outcomes_and_response_times_are_counted() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        assert_eq!(pool.server_stats()[0].response_time, Duration::ZERO);
        get_text(&pool, "/").await.unwrap();
        get_text(&pool, "/drop").await.expect_err("no answer");
        drop(pool.get("/b/10000000").await.unwrap());
        let metrics = pool.metrics();
        assert_eq!(metrics.total_requests, 3);
        assert_eq!((metrics.successful_requests, metrics.failed_requests), (1, 1));
        assert_eq!(metrics.cancelled_requests, 1);
        assert!(metrics.average_response_time > Duration::ZERO);
        assert!(pool.server_stats()[0].response_time > Duration::ZERO);
        assert_balanced(&metrics);
    });
}

/// Callers that waited when the pool shut down waited for ever.
#[test]
fn a_waiter_is_woken_by_the_shutdown() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(1).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiter = Box::pin(pool.checkout(Select::new()));
        assert!(poll_once(&mut waiter).await.is_none());
        let shutdown = pool.shutdown(Duration::ZERO);
        let (outcome, report) = zip(waiter, shutdown).await;
        assert!(outcome.expect_err("closed").is_closed());
        assert_eq!(report.waiters_failed, 1);
        drop(held);
    });
}

/// A second shutdown crashed the process.
#[test]
fn a_second_shutdown_is_harmless() {
    block_on(|| async {
        let pool = builder_of(&[]).build().unwrap();
        let first = pool.shutdown(AMPLE).await;
        let second = pool.shutdown(AMPLE).await;
        assert_eq!(first.completed, second.completed);
    });
}

/// A connection given back while its server was being removed crashed the process.
#[test]
fn a_connection_outlives_the_removal_of_its_server() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let mut held = pool.checkout(Select::new()).await.unwrap();
        pool.remove_server(id_of(&pool, &server)).unwrap();
        let request = http::Request::get("/last").body(evenkeel::Body::empty()).unwrap();
        let response = held.send(request).await.unwrap();
        assert_eq!(response.into_body().text().await.unwrap(), "GET /last\n");
        drop(held);
        server.until(|counts| counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

/// A waiter had chosen its server for good, and failed when that server left.
#[test]
fn a_waiter_whose_server_leaves_turns_to_another() {
    block_on(|| async {
        let (leaves, stays) = (Server::start(), Server::start());
        let pool = builder_of(&[&leaves]).max_connections_per_server(1).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiter = Box::pin(pool.checkout(Select::new()));
        assert!(poll_once(&mut waiter).await.is_none());
        pool.add_server(parse(&stays.url(""))).unwrap();
        pool.remove_server(id_of(&pool, &leaves)).unwrap();
        let checkout = waiter.await.expect("another server has room");
        assert_eq!(checkout.server().url(), stays.url(""));
        drop((held, checkout));
    });
}

/// Junk was accepted as a server, and a URL in capitals was never found again.
#[test]
fn a_url_in_capitals_names_the_same_server_and_junk_names_none() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[]).build().unwrap();
        let plain = pool.add_server(parse(&server.url(""))).unwrap();
        let shouted = server.url("/").replace("http", "HTTP");
        assert_eq!(pool.add_server(parse(&shouted)).unwrap(), plain);
        assert_eq!(pool.server_stats().len(), 1);
        assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n");
        for junk in ["", "example.com", "localhost:8080", "ftp://x", "http://"] {
            assert!(Address::new(junk).is_err(), "{junk:?}");
        }
    });
}
