//! Requests reach servers, answers come back whole, and connections are used again.

use bytes::Bytes;
use std::time::Duration;

use evenkeel::{Body, Pool, ResponseInfo, Runtime};
use http::{Method, Request};

use crate::support::run::under_block_on;
use crate::support::server::{Server, filler};
use crate::support::{
    Manner, assert_balanced, block_on, for_each_runtime, get_text, parse, pool_of,
};

fn request(method: Method, target: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(target).body(body.into()).expect("a valid request")
}

#[test]
fn sequential_requests_share_one_connection_under_every_runtime() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = env.builder().server(parse(&server.url(""))).build().unwrap();
        for number in 0..10 {
            let path = format!("/{number}x");
            assert_eq!(get_text(&pool, &path).await.unwrap(), format!("GET {path}\n"));
        }
        let counts = server.counts();
        assert_eq!((counts.accepted, counts.requests), (1, 10), "{}", env.name);
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!((metrics.connections_created, metrics.connections_reused), (1, 9));
        assert_eq!(metrics.idle_connections, 1);
    });
}

#[test]
fn a_bare_poll_loop_is_executor_enough() {
    let server = Server::start();
    let pool = pool_of(&[&server]);
    let text = futures_lite::future::block_on(get_text(&pool, "/bare")).unwrap();
    assert_eq!(text, "GET /bare\n");
}

#[test]
fn every_kind_of_body_arrives_whole() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for kind in ["b", "c", "t", "eof", "close", "http10", "http10-keep"] {
            for length in [0, 1, 2, 1000, 70_000, 1_000_000] {
                let path = format!("/{kind}/{length}");
                let text = get_text(&pool, &path).await.unwrap();
                assert!(text == filler(length), "{path}: {} bytes", text.len());
            }
        }
        assert_balanced(&pool.metrics());
        assert_eq!(pool.metrics().failed_requests, 0);
    });
}

#[test]
fn a_connection_is_used_again_only_when_both_sides_keep_it() {
    block_on(|| async {
        let rows = [
            ("/b/10", true),
            ("/c/10", true),
            ("/t/10", true),
            ("/http10-keep/10", true),
            ("/interim", true),
            ("/status/204", true),
            ("/status/304", true),
            ("/status/404", true),
            ("/status/500", true),
            ("/close/10", false),
            ("/eof/10", false),
            ("/http10/10", false),
            ("/stray", false),
        ];
        for (path, kept) in rows {
            let server = Server::start();
            let pool = pool_of(&[&server]);
            get_text(&pool, path).await.unwrap();
            assert_eq!(get_text(&pool, "/next").await.unwrap(), "GET /next\n", "{path}");
            assert_eq!(server.counts().accepted, if kept { 1 } else { 2 }, "{path}");
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn the_end_of_the_body_gives_the_connection_back() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let response = pool.get("/b/100000").await.unwrap();
        assert_eq!(pool.metrics().active_connections, 1);
        let body = response.into_body().bytes().await.unwrap();
        assert_eq!(body.len(), 100_000);
        assert_eq!(pool.metrics().idle_connections, 1);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn answers_without_a_body_end_at_their_head() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for path in ["/b/5", "/c/5", "/eof/5", "/echo"] {
            let head = request(Method::HEAD, path, Body::empty());
            let response = pool.send(head).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.into_body().bytes().await.unwrap().is_empty(), "{path}");
        }
        for status in [204, 304] {
            let response = pool.get(format!("/status/{status}")).await.unwrap();
            assert_eq!(response.status(), status);
            assert!(response.into_body().bytes().await.unwrap().is_empty());
        }
    });
}

#[test]
fn interim_answers_are_not_taken_for_the_answer() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let response = pool.get("/interim").await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("link"));
        assert_eq!(response.into_body().text().await.unwrap(), "GET /interim\n");
    });
}

#[test]
fn request_bodies_of_every_type_arrive() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let bodies: [(Body, &str); 4] = [
            ("static".into(), "static"),
            ("owned".to_owned().into(), "owned"),
            (b"vector".to_vec().into(), "vector"),
            (Bytes::from_static(b"bytes").into(), "bytes"),
        ];
        for (body, sent) in bodies {
            let response = pool.send(request(Method::POST, "/post", body)).await.unwrap();
            let text = response.into_body().text().await.unwrap();
            assert_eq!(text, format!("POST /post\n{sent}"));
        }
        let large = filler(1_000_000);
        let response = pool.send(request(Method::PUT, "/put", large.clone())).await.unwrap();
        let text = response.into_body().text().await.unwrap();
        assert!(text == format!("PUT /put\n{large}"), "{} bytes", text.len());
        assert_eq!(server.counts().accepted, 1);
    });
}

#[test]
fn the_base_path_goes_before_the_requests_path() {
    block_on(|| async {
        let server = Server::start();
        let base = parse(&server.url("/base/"));
        let pool = Pool::builder()
            .health_check(evenkeel::HealthCheck::off())
            .server(base)
            .build()
            .unwrap();
        assert_eq!(get_text(&pool, "/x?y=1").await.unwrap(), "GET /base/x?y=1\n");
    });
}

#[test]
fn the_host_field_names_the_picked_server() {
    block_on(|| async {
        let servers = [Server::start(), Server::start()];
        let pool = pool_of(&[&servers[0], &servers[1]]);
        for _ in 0..4 {
            let response = pool.get("/x").await.unwrap();
            let info: ResponseInfo = response.extensions().get().cloned().expect("facts");
            let url = format!("http://{}", response.headers()["x-host"].to_str().unwrap());
            let stats = pool.server_stats();
            let picked = stats.iter().find(|stats| stats.id == info.server).unwrap();
            assert_eq!(picked.url, url);
            response.into_body().bytes().await.unwrap();
        }
    });
}

#[test]
fn a_response_tells_whether_its_connection_was_used_before() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for reused in [false, true] {
            let response = pool.get("/").await.unwrap();
            let info: ResponseInfo = response.extensions().get().cloned().expect("facts");
            assert_eq!((info.reused, info.attempts), (reused, 1));
            response.into_body().bytes().await.unwrap();
        }
    });
}

/// Limits far above the number of workers, so that nothing but need keeps connections few. Idle
/// connections are not watched: the look at one is an exception to the rule, and comes about where
/// the machine lets a worker stand for as long.
#[test]
fn workers_open_no_more_connections_than_they_are() {
    const WORKERS: usize = 64;
    for_each_runtime(|env| async move {
        let server = Server::start();
        let builder = env.builder().server(parse(&server.url(""))).max_idle_connections(4096);
        let builder = builder.max_total_connections(4096).max_connections_per_server(4096);
        let pool = builder.watch_interval(None).build().unwrap();
        let job = {
            let pool = pool.clone();
            move |_| {
                let pool = pool.clone();
                async move {
                    get_text(&pool, "/b/64").await.unwrap();
                }
            }
        };
        env.run_concurrently(WORKERS, 3000, job).await;
        // Those that were closed before the server accepted them count too.
        let metrics = pool.metrics();
        let opened = metrics.connections_created;
        assert!(opened <= WORKERS as u64, "{opened} under {}: {metrics:?}", env.name);
        assert_eq!(server.counts().requests, 3000);
        pool.shutdown(Duration::from_secs(100)).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_connection_that_the_server_closed_without_notice_costs_no_request() {
    block_on(|| async {
        let server = Server::with(Manner::CloseAfter(3));
        let pool = pool_of(&[&server]);
        for _ in 0..12 {
            assert_eq!(get_text(&pool, "/b/3").await.unwrap(), "abc");
        }
        assert_eq!(server.counts().requests, 12);
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_pool_with_a_driver_works_while_it_is_polled_and_while_it_is_not() {
    under_block_on(|env| async move {
        let server = Server::start();
        let builder = env.builder().server(parse(&server.url("")));
        let (pool, driver) = builder.build_with_driver().unwrap();
        get_text(&pool, "/unpolled").await.unwrap();
        let polled =
            futures_lite::future::or(async { get_text(&pool, "/polled").await.map(drop) }, async {
                driver.await;
                panic!("the driver ended before the pool");
            });
        polled.await.unwrap();
        assert_eq!(server.counts().accepted, 1);
    });
}

#[test]
fn two_pools_of_two_runtimes_live_in_one_process() {
    under_block_on(|env| async move {
        let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let server = Server::start();
        let ours = env.builder().server(parse(&server.url(""))).build().unwrap();
        let theirs = Pool::builder().runtime(Runtime::tokio(tokio.handle().clone()));
        let theirs = theirs.server(parse(&server.url(""))).build().unwrap();
        // Both from the same foreign thread, outside of tokio.
        assert_eq!(get_text(&ours, "/ours").await.unwrap(), "GET /ours\n");
        assert_eq!(get_text(&theirs, "/theirs").await.unwrap(), "GET /theirs\n");
    });
}
