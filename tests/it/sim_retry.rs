//! Goal: a request is sent again where that helps and does no harm, and nowhere else. Method:
//! servers that answer badly, break or go silent, in virtual time.

use std::sync::mpsc;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Builder, Error, ErrorKind, Event, Pool, ResponseInfo, Retry, Select, Server};
use http::{Method, Request, Response};

use crate::support::sim::{MS, ONE, SECOND, TWO, builder, hold, info, open_traps, request, wished};
use crate::support::sim_server::SimServer;
use crate::support::{assert_balanced, parse};

/// Servers at these base paths, of a pool that wants no 503.
fn world<const N: usize>(
    bases: [&str; N],
    settings: impl FnOnce(Builder) -> Builder,
) -> (Sim, [SimServer; N], Pool) {
    const ADDRS: [&str; 3] = [ONE, TWO, "10.0.0.3:8080"];
    let sim = Sim::new();
    let mut at = 0;
    let servers = bases.map(|_| {
        at += 1;
        SimServer::start(&sim, ADDRS[at - 1])
    });
    let builder = builder(&sim, &[]).seed(1).retry(Retry::new().on_status([503]));
    let urls = servers.iter().zip(bases).map(|(server, base)| server.url() + base);
    let builder = urls.fold(builder, |builder, url| builder.server(parse(&url)));
    let pool = settings(builder).build().expect("a valid pool");
    (sim, servers, pool)
}

/// The status, how often the request was tried, and how long it took.
async fn send<B>(sim: &Sim, pool: &Pool, request: Request<B>) -> (u16, u32, Duration)
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let began = sim.now();
    let response = pool.send(request).await.expect("an answer");
    let (status, attempts) = (response.status().as_u16(), info(&response).attempts);
    response.into_body().bytes().await.expect("all of it");
    (status, attempts, sim.now() - began)
}

async fn get(sim: &Sim, pool: &Pool, path: &str) -> (u16, u32, Duration) {
    send(sim, pool, request(Method::GET, path)).await
}

const NOW: Duration = Duration::ZERO;

#[test]
fn an_answer_that_is_not_wanted_is_asked_of_another_server_at_once() {
    let (sim, [bad, good], pool) = world(["/fails/9/30", ""], |builder| builder);
    sim.block_on(async {
        assert_eq!(get(&sim, &pool, "/").await, (200, 2, NOW));
        assert_eq!(get(&sim, &pool, "/").await, (200, 2, NOW));
    });
    assert_eq!((bad.requests(), good.requests()), (2, 2));
    let (metrics, stats) = (pool.metrics(), pool.server_stats());
    assert_eq!((metrics.retries, metrics.retries_refused, metrics.stale_retries), (2, 0, 0));
    assert_eq!((metrics.total_requests, metrics.successful_requests), (2, 2));
    assert_eq!((stats[0].total_requests, stats[0].failed_requests), (2, 2));
    assert_eq!((stats[1].total_requests, stats[1].successful_requests), (2, 2));
    assert_eq!(metrics.connections_created, 2, "what was not wanted was read, and left clean");
    assert_balanced(&metrics);
}

#[test]
fn the_only_server_is_asked_again_after_a_pause() {
    let (sim, [server], pool) = world([""], |builder| builder);
    let mut pauses = Vec::new();
    sim.block_on(async {
        for round in 1..=20 {
            let (status, attempts, took) =
                get(&sim, &pool, &format!("/fails/{}", server.requests() + 2)).await;
            assert_eq!((status, attempts), (200, 3), "{round}");
            assert!(took < MS * 150, "{took:?}");
            pauses.push(took);
        }
    });
    let mean = pauses.iter().sum::<Duration>() / 20;
    assert!(mean > MS * 40 && mean < MS * 110, "by chance 75 ms: {mean:?}");
    assert_eq!((server.counts().opened, pool.metrics().retries), (1, 40));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_request_is_sent_as_often_as_it_may_and_no_more() {
    for most in [1, 2, 3, 7] {
        let retry = Retry::new().on_status([503]).max_attempts(most);
        for of_pool in [true, false] {
            let setting = if of_pool { retry.clone() } else { Retry::never() };
            let (sim, [server], pool) = world(["/status/503"], |builder| builder.retry(setting));
            let select = Select::new();
            let select = if of_pool { select } else { select.retry(retry.clone()) };
            sim.block_on(async {
                let (status, attempts, _) = send(&sim, &pool, wished("/", select)).await;
                assert_eq!((status, attempts), (503, most));
            });
            assert_eq!(server.requests(), most as usize);
            assert_eq!(pool.metrics().failed_requests, 1);
            assert_balanced(&pool.metrics());
        }
    }
}

#[test]
fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let (sim, [one, two], pool) = world(["/fails/1/2", "/fails/9/3"], |builder| builder);
    sim.block_on(async {
        // The one, the other at once, and whichever once both may be asked again.
        let (_, attempts, took) = get(&sim, &pool, "/").await;
        assert_eq!((attempts, took), (3, SECOND * 3));
    });
    assert_eq!(one.requests() + two.requests(), 3);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_that_asks_for_more_time_than_there_is_gives_its_answer_to_the_caller() {
    // The request's time, what the server asks for, and what comes of it.
    let rows = [
        (Some(MS * 2001), 2, (200, 2, SECOND * 2)),
        (Some(SECOND * 2), 2, (503, 1, NOW)),
        (None, 300, (200, 2, SECOND * 300)),
        (None, 301, (503, 1, NOW)),
    ];
    for (time, asks, outcome) in rows {
        let base = format!("/fails/1/{asks}/5000");
        let (sim, [_server], pool) = world([&base], |builder| builder.request_timeout(time));
        sim.block_on(async {
            assert_eq!(get(&sim, &pool, "/").await, outcome, "{time:?}, {asks}")
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_pause_never_lasts_beyond_the_deadline() {
    for seed in 0..50 {
        let retry = Retry::new().on_status([503]).max_attempts(100).backoff(SECOND, SECOND * 9);
        let settings = |builder: Builder| builder.seed(seed).retry(retry);
        let (sim, [_server], pool) = world(["/status/503"], settings);
        sim.block_on(async {
            let (status, _, took) = get(&sim, &pool, "/").await;
            assert_eq!(status, 503, "the last answer, and no timeout");
            assert!(took < SECOND * 30, "{took:?}");
        });
        assert_eq!(pool.metrics().timeouts, 0);
        assert_balanced(&pool.metrics());
    }
}

/// A POST with this body, and what `change` does to it.
fn post<B>(body: B, change: impl FnOnce(&mut Request<B>)) -> Request<B> {
    let mut request = Request::post("/").body(body).expect("a valid request");
    change(&mut request);
    request
}

#[test]
fn an_answer_is_asked_for_again_only_if_the_request_may_be_repeated_with_its_body() {
    let key = |name: &'static str| {
        move |request: &mut Request<Body>| {
            request.headers_mut().insert(name, "8e03978e".parse().unwrap());
        }
    };
    let says = |says| {
        move |request: &mut Request<Body>| {
            request.extensions_mut().insert(Select::new().idempotent(says));
        }
    };
    let text = || Body::from("text");
    let mut get = request(Method::GET, "/");
    says(false)(&mut get);
    let rows = [
        ("a POST", post(text(), |_| {}), 1),
        ("an empty POST", post(Body::empty(), |_| {}), 1),
        ("a POST with a key", post(text(), key("idempotency-key")), 2),
        ("a POST with the older key", post(text(), key("x-idempotency-key")), 2),
        ("a POST whose caller says so", post(text(), says(true)), 2),
        ("a POST whose caller says no", post(text(), says(false)), 1),
        ("a GET whose caller says no", get, 1),
    ];
    for (name, request, attempts) in rows {
        let (sim, [bad, good], pool) = world(["/fails/9", ""], |builder| builder);
        sim.block_on(async {
            let (_, tried, _) = send(&sim, &pool, request).await;
            assert_eq!(tried, attempts, "{name}");
        });
        assert_eq!((bad.requests(), good.requests()), (1, attempts as usize - 1), "{name}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn an_answer_too_late_on_a_used_connection_is_a_stale_connection() {
    for (method, outcome) in [(Method::GET, (200, 2)), (Method::POST, (408, 1))] {
        let (sim, [server], pool) = world([""], |builder| builder);
        sim.block_on(async {
            get(&sim, &pool, "/late-next").await;
            let (status, attempts, took) = send(&sim, &pool, request(method, "/")).await;
            assert_eq!((status, attempts, took), (outcome.0, outcome.1, NOW));
        });
        assert_eq!(server.requests(), 1 + outcome.1 as usize);
        let metrics = pool.metrics();
        assert_eq!((metrics.stale_retries, metrics.retries), (u64::from(outcome.1) - 1, 0));
        assert_balanced(&metrics);
    }
}

#[test]
fn a_stale_connection_does_not_count_as_an_attempt_but_where_there_is_only_one() {
    for (most, attempts) in [(1, None), (2, Some(3))] {
        let retry = Retry::new().on_status([503]).max_attempts(most);
        let (sim, [server], pool) = world([""], |builder| builder.retry(retry));
        sim.block_on(async {
            open_traps(&pool, 1).await;
            // Stale; a bad answer; and a good one.
            let outcome = pool.get("/fails/3").await.map(|response| info(&response).attempts);
            assert_eq!(outcome.ok(), attempts);
        });
        assert_eq!(server.requests(), 1 + attempts.unwrap_or(1) as usize);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn silence_is_asked_of_another_server_where_that_is_wished_for() {
    let silent = Retry::new().on_no_answer(true);
    let rows = [
        ("/drop", Method::GET, silent.clone(), Some(NOW)),
        ("/drop", Method::GET, Retry::new(), None),
        ("/drop", Method::POST, silent.clone(), None),
        ("/never", Method::GET, silent.clone(), Some(SECOND)),
        ("/never", Method::GET, Retry::new(), None),
        ("/never", Method::POST, silent, None),
    ];
    for (base, method, retry, expected) in rows {
        let name = format!("{method} {base}, {retry:?}");
        let settings = |builder: Builder| builder.response_head_timeout(SECOND).retry(retry);
        let (sim, [bad, good], pool) = world([base, ""], settings);
        sim.block_on(async {
            let began = sim.now();
            let outcome = pool.send(request(method, "/")).await;
            assert_eq!(outcome.is_ok().then(|| sim.now() - began), expected, "{name}");
        });
        assert_eq!(bad.requests(), 1, "{name}");
        assert_eq!(good.requests(), usize::from(expected.is_some()), "{name}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn where_no_other_server_can_be_reached_the_request_comes_back_to_the_first() {
    let (sim, [one], pool) =
        world(["/fails/1/5"], |builder| builder.server(parse("http://10.0.0.9")));
    sim.block_on(async {
        // The one, the other in vain, and the one again, when it has asked for it.
        assert_eq!(get(&sim, &pool, "/").await, (200, 3, SECOND * 5));
    });
    assert_eq!((one.requests(), pool.metrics().connect_errors), (2, 1));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_that_was_asked_for_is_the_only_one_that_is_asked_again() {
    let (sim, [one, two], pool) = world(["/fails/2/1", ""], |builder| builder);
    let only = Select::new().server(pool.server_stats()[0].id);
    let impatient = only.clone().timeout(MS * 500);
    sim.block_on(async {
        assert_eq!(send(&sim, &pool, wished("/", impatient)).await, (503, 1, NOW));
        assert_eq!(send(&sim, &pool, wished("/", only)).await, (200, 2, SECOND));
    });
    assert_eq!((one.requests(), two.requests()), (3, 0));
}

#[test]
fn the_end_of_the_pool_ends_a_pause() {
    let (sim, [_server], pool) = world(["/fails/9/20"], |builder| builder);
    sim.block_on(async {
        let shutdown = async {
            sim.sleep(SECOND).await;
            assert_eq!(pool.metrics().total_connections, 1, "the one is idle");
            pool.shutdown(SECOND * 5).await;
        };
        let began = sim.now();
        let request = async {
            let error = pool.get("/").await.map(drop).expect_err("the pool is closed");
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Closed, 1));
            assert!(!error.is_retry_safe(), "it may have been carried out");
            assert_eq!(sim.now() - began, SECOND);
        };
        futures_lite::future::zip(shutdown, request).await;
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn what_is_left_of_an_unwanted_answer_is_read_if_it_is_here() {
    for (length, kept) in [(60_000, true), (100_000, false)] {
        let base = format!("/fails/1/1/{length}");
        let (sim, [server], pool) = world([&base], |builder| builder);
        sim.net().capacity(200_000);
        sim.block_on(async { assert_eq!(get(&sim, &pool, "/").await, (200, 2, SECOND)) });
        assert_eq!(server.counts().opened, if kept { 1 } else { 2 }, "{length}");
        assert_eq!(pool.metrics().destroyed.not_reusable, u64::from(!kept), "{length}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn the_times_of_a_later_attempt_are_its_own() {
    let (sim, [_server], pool) = world(["/fails/1/2"], |builder| builder);
    sim.net().latency(MS * 5);
    sim.block_on(async {
        let response: Response<Body> = pool.get("/").await.unwrap();
        let ResponseInfo { timings, attempts, reused, .. } = info(&response);
        assert_eq!((*attempts, *reused), (2, true));
        assert_eq!((timings.head, timings.connect), (MS * 10, NOW));
        assert!(timings.queue >= SECOND * 2, "the earlier attempt included: {timings:?}");
    });
    let stats = pool.server_stats();
    assert_eq!(stats[0].response_time, MS * 10, "the pause is not the server's");
}

#[test]
fn a_connection_that_expires_during_a_pause_is_not_used() {
    let settings = |builder: Builder| builder.idle_conn_timeout(SECOND * 5);
    let (sim, [server], pool) = world(["/fails/1/6"], settings);
    sim.block_on(async { assert_eq!(get(&sim, &pool, "/").await, (200, 2, SECOND * 6)) });
    assert_eq!((server.counts().opened, pool.metrics().destroyed.idle), (2, 1));
    assert_balanced(&pool.metrics());
}

#[test]
fn the_observer_is_told_of_each_retry_and_why() {
    let (tell, told) = mpsc::channel();
    let observer = move |event: &Event<'_>| {
        if let Event::Retry { url, attempt, reason, pause, .. } = event {
            tell.send(format!("{url} {attempt} {reason:?} {pause:?}")).expect("the test listens");
        }
    };
    let (sim, [_server], pool) = world([""], |builder| builder.observer(observer));
    sim.block_on(async {
        open_traps(&pool, 1).await;
        assert_eq!(get(&sim, &pool, "/fails/3/2").await, (200, 3, SECOND * 2));
    });
    let url = "http://10.0.0.1:8080";
    let expected = [format!("{url} 1 Stale 0ns"), format!("{url} 2 Status(503) 2s")];
    assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_wish_that_is_out_of_range_is_refused_by_name() {
    let (sim, [server], pool) = world([""], |builder| builder);
    let refused = |retry| -> Error {
        let request = wished("/", Select::new().retry(retry));
        sim.block_on(pool.send(request)).map(drop).expect_err("out of range")
    };
    let error = refused(Retry::new().max_attempts(0));
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("retry.max_attempts is 0"), "{error}");
    assert!(refused(Retry::new().on_status([399])).to_string().contains("retry.statuses is 399"));
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_backup_is_asked_when_the_others_have_failed() {
    let settings = |builder: Builder| {
        let backup = Server::new("http://10.0.0.3:8080").expect("a valid URL");
        builder.server(backup.priority_tier(1))
    };
    let (sim, [one, two], pool) = world(["/status/503", "/status/503"], settings);
    let backup = SimServer::start(&sim, "10.0.0.3:8080");
    sim.block_on(async { assert_eq!(get(&sim, &pool, "/").await, (200, 3, NOW)) });
    assert_eq!((one.requests(), two.requests(), backup.requests()), (1, 1, 1));
}

#[test]
fn a_retry_waits_in_line_like_any_other_request() {
    let (sim, [_server], pool) =
        world(["/fails/1/1"], |builder| builder.max_connections_per_server(1));
    sim.block_on(async {
        let first = get(&sim, &pool, "/");
        let other = async {
            sim.sleep(MS * 500).await;
            let held = hold(&pool, 1).await;
            sim.sleep(SECOND).await;
            drop(held);
        };
        let (outcome, ()) = futures_lite::future::zip(first, other).await;
        assert_eq!(outcome, (200, 2, MS * 1500));
    });
    assert_balanced(&pool.metrics());
}
