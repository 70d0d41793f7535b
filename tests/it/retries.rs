//! Retries over real sockets, under each runtime: what `sim_retry` shows in virtual time holds
//! there, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::{Body, Ejection, Error, Pool, ResponseInfo, Retry, RetryBudget};
use http::{Method, Request};

use crate::support::run::workers_of;
use crate::support::{Manner, Server, assert_balanced, at_rest, for_each_runtime, parse};

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 4\r\n\r\nbusy";
const BUSY_BRIEFLY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

/// The status, and how often the request was tried.
async fn send(pool: &Pool, method: Method, body: &'static str) -> Result<(u16, u32), Error> {
    let request = Request::builder().method(method).uri("/").body(Body::from(body));
    let response = pool.send(request.expect("a valid request")).await?;
    let info = response.extensions().get::<ResponseInfo>().expect("every response has it");
    let outcome = (response.status().as_u16(), info.attempts);
    response.into_body().bytes().await?;
    Ok(outcome)
}

#[test]
fn with_retries_a_server_that_is_busy_costs_no_get_and_no_connection() {
    for_each_runtime(|env| async move {
        let (busy, good) = (Server::with(Manner::Says(BUSY)), Server::start());
        let builder = env.builder().server(parse(&busy.url(""))).server(parse(&good.url("")));
        let retry = Retry::new().on_status([503]);
        let budget = RetryBudget::new().percent(100);
        // Or it would soon be asked no more.
        let builder = builder.ejection(Ejection::off());
        let pool = builder.retry(retry).retry_budget(budget).build().unwrap();
        let (caller, name) = (pool.clone(), env.name);
        let jobs = workers_of(8, 400, move |_| {
            let pool = caller.clone();
            async move {
                let (status, attempts) = send(&pool, Method::GET, "").await.unwrap();
                assert!(status == 200 && attempts <= 2, "{name}: {status}, {attempts}");
            }
        });
        env.join_all(jobs).await;
        let metrics = at_rest(&pool).await;
        // A retry takes a turn, too, so that more than every second one began at the busy server.
        assert!((200..=400).contains(&metrics.retries), "{name}: {}", metrics.retries);
        assert_eq!(busy.counts().requests, metrics.retries, "{name}");
        assert_eq!((good.counts().requests, metrics.failed_requests), (400, 0), "{name}");
        assert_eq!(metrics.destroyed.not_reusable, 0, "{name}: each answer was read to its end");
        assert_balanced(&metrics);
    });
}

#[test]
fn the_only_server_is_asked_again_after_a_pause_under_every_runtime() {
    for_each_runtime(|env| async move {
        let server = Server::with(Manner::Says(BUSY_BRIEFLY));
        let pause = Duration::from_millis(1);
        let retry = Retry::new().on_status([503]).max_attempts(5).backoff(pause, pause);
        let pool = env.builder().server(parse(&server.url(""))).retry(retry).build().unwrap();
        assert_eq!(send(&pool, Method::GET, "").await.unwrap(), (503, 5), "{}", env.name);
        assert_eq!((server.counts().requests, server.counts().accepted), (5, 1), "{}", env.name);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_date_to_come_back_at_is_one_of_the_server_s_own_clock() {
    // Long ago: now, and in an hour.
    const NOW: &[u8] = b"HTTP/1.1 503 Busy\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    const LATER: &[u8] = b"HTTP/1.1 503 Busy\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Retry-After: Sun, 06 Nov 1994 09:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    for_each_runtime(|env| async move {
        for (says, attempts) in [(NOW, 3), (LATER, 1)] {
            let server = Server::with(Manner::Says(says));
            let builder = env.builder().server(parse(&server.url("")));
            let pool = builder.retry(Retry::new().on_status([503])).build().unwrap();
            assert_eq!(send(&pool, Method::GET, "").await.unwrap(), (503, attempts));
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn servers_that_cut_their_connections_lose_no_put_and_see_no_post_twice() {
    for_each_runtime(|env| async move {
        for cut_after in [1, 3] {
            let servers = [(), ()].map(|()| Server::with(Manner::CloseAfter(cut_after)));
            let servers = servers.map(Arc::new);
            let add = |builder: evenkeel::Builder, server: &Arc<Server>| {
                builder.server(parse(&server.url("")))
            };
            let pool = servers.iter().fold(env.builder(), add).build().unwrap();
            let lost = Arc::new(AtomicU64::new(0));
            for (method, body) in [(Method::PUT, "text"), (Method::POST, "text")] {
                let before: u64 = servers.iter().map(|server| server.counts().requests).sum();
                let (caller, counter) = (pool.clone(), lost.clone());
                let of_job = method.clone();
                let jobs = workers_of(8, 400, move |_| {
                    let (pool, lost, method) = (caller.clone(), counter.clone(), of_job.clone());
                    async move {
                        if send(&pool, method, body).await.is_err() {
                            lost.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
                env.join_all(jobs).await;
                let lost = lost.swap(0, Ordering::Relaxed);
                let after: u64 = servers.iter().map(|server| server.counts().requests).sum();
                let came = after - before;
                let name = format!("{}, {method}, {cut_after}: {lost} lost, {came}", env.name);
                if method == Method::PUT {
                    assert!(lost == 0 && came >= 400, "{name}");
                } else {
                    // One that was lost may have come or not; none came twice.
                    assert!((400 - lost..=400).contains(&came), "{name}");
                }
            }
            assert_balanced(&at_rest(&pool).await);
        }
    });
}
