//! What every server has to carry: many requests, over connections that it cuts by its own rules.

use std::sync::mpsc::channel;

use evenkeel::{Body, Metrics, Pool};
use http::Request;

use super::books_after_the_end;
use crate::support::{Env, assert_balanced, get_text};

/// How many callers at a time.
const CALLERS: usize = 32;

/// One POST: its number, and whether it was answered; if not, whether it is called safe to repeat.
type Outcome = (usize, Result<(), bool>);

/// Whether this request is one for the large file; the others are for something small.
pub(super) fn is_large(number: usize) -> bool {
    number % 50 == 0
}

/// Sends so many GETs, each to the path that `path` gives it: all are answered, as `check` says.
pub(super) async fn get_all(
    env: &Env,
    pool: &Pool,
    total: usize,
    path: fn(usize) -> String,
    check: fn(usize, &str) -> bool,
) {
    let (complain, complaints) = channel();
    let job = {
        let pool = pool.clone();
        move |number: usize| {
            let (pool, complain) = (pool.clone(), complain.clone());
            async move {
                let complaint = match get_text(&pool, &path(number)).await {
                    Ok(text) if check(number, &text) => return,
                    Ok(text) => format!("{number}: {} bytes that are wrong", text.len()),
                    Err(error) => format!("{number}: {error:?}"),
                };
                complain.send(complaint).expect("the test waits for it");
            }
        }
    };
    env.run_concurrently(CALLERS, total, job).await;
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "under {}: {complaints:#?}", env.name);
}

/// Sends so many POSTs to `path`, the number of each in the query.
pub(super) async fn post_all(
    env: &Env,
    pool: &Pool,
    path: &str,
    body: fn() -> Body,
    total: usize,
) -> Vec<Outcome> {
    let (report, reports) = channel();
    let job = {
        let (pool, path) = (pool.clone(), path.to_owned());
        move |number: usize| {
            let (pool, report) = (pool.clone(), report.clone());
            let post = Request::post(format!("{path}?id={number}")).body(body());
            async move {
                let outcome = match pool.send(post.expect("a valid request")).await {
                    Ok(response) => {
                        assert_eq!(response.status(), 200);
                        response.into_body().bytes().await.expect("a body");
                        Ok(())
                    }
                    Err(error) => Err(error.is_retry_safe()),
                };
                report.send((number, outcome)).expect("the test waits for it");
            }
        }
    };
    env.run_concurrently(CALLERS, total, job).await;
    let outcomes: Vec<_> = reports.into_iter().collect();
    assert_eq!(outcomes.len(), total);
    outcomes
}

/// None was carried out twice, and each error says truly whether it was carried out at all. `seen`
/// holds the number of each POST as often as the server has carried it out.
pub(super) fn assert_none_twice(outcomes: &[Outcome], seen: impl IntoIterator<Item = usize>) {
    let mut times = vec![0; outcomes.len()];
    for number in seen {
        times[number] += 1;
    }
    for &(number, outcome) in outcomes {
        let times = times[number];
        assert!(times <= 1, "POST {number} was carried out {times} times");
        match outcome {
            Ok(()) => assert_eq!(times, 1, "POST {number} was answered"),
            Err(safe) => assert!(!safe || times == 0, "POST {number} was called safe to repeat"),
        }
    }
}

/// The numbers of the POSTs in a log that has their targets.
pub(super) fn posts_in(log: &str) -> Vec<usize> {
    let number = |line: &str| {
        let (_, rest) = line.split_once("POST ")?.1.split_once("?id=")?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    log.lines().filter_map(number).collect()
}

/// Ends the pool: its books balance, it kept its connections as far as the server let it, and the
/// server did cut: it allows so many requests a connection.
pub(super) async fn end(env: &Env, pool: &Pool, total: usize, allowed: u64) -> Metrics {
    let metrics = books_after_the_end(pool).await;
    assert_balanced(&metrics);
    assert!(metrics.connections_created >= metrics.successful_requests / allowed, "{metrics:?}");
    assert!(metrics.connections_reused > total as u64 / 2, "{metrics:?}");
    eprintln!(
        "{}: {} failed, {} connections",
        env.name, metrics.failed_requests, metrics.connections_created
    );
    metrics
}
