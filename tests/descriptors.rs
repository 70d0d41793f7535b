//! A request that is dropped at any of its awaits leaves nothing behind: no lease, no permit, no
//! socket.
//!
//! This test is alone in its binary because it counts the descriptors of the whole process.

#[path = "it/support/mod.rs"]
mod support;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use evenkeel::{Body, Error, Pool, Select};

use support::fd::open_descriptors;
use support::{Server, assert_balanced, block_on, builder_of};

/// Far more polls than any of the operations needs; what is pending for ever ends here.
const POLLS: usize = 12;

/// Polls `operation` until it has been pending `polls` times, and then drops it.
/// Returns whether it came to its end before.
async fn drop_after(polls: usize, operation: impl Future<Output = Result<(), Error>>) -> bool {
    let mut operation = pin!(operation);
    let mut pending = 0;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(outcome) = operation.as_mut().poll(cx) {
            outcome.expect("nothing fails but by being dropped");
            return Poll::Ready(true);
        }
        pending += 1;
        if pending > polls { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

async fn get(pool: &Pool, path: &str) -> Result<(), Error> {
    pool.get(path).await?.into_body().bytes().await.map(drop)
}

async fn post(pool: &Pool, length: usize) -> Result<(), Error> {
    let request = http::Request::post("/post").body(Body::from(vec![b'x'; length]));
    pool.send(request.expect("a valid request")).await?.into_body().bytes().await.map(drop)
}

async fn checkout(pool: &Pool) -> Result<(), Error> {
    let mut checkout = pool.checkout(Select::new()).await?;
    let request = http::Request::get("/c/50000").body(Body::empty()).expect("a valid request");
    checkout.send(request).await?.into_body().bytes().await.map(drop)
}

/// What is dropped: each takes a different way through the pool.
async fn operation(number: usize, pool: &Pool) -> Result<(), Error> {
    match number {
        0 => get(pool, "/echo").await,
        1 => get(pool, "/b/3000000").await,
        2 => get(pool, "/c/300000").await,
        3 => get(pool, "/eof/1000").await,
        4 => post(pool, 3_000_000).await,
        5 => pool.warm(2).await.map(drop),
        _ => checkout(pool).await,
    }
}

/// The pool is as if nothing had happened: every permit is there, and nobody holds a connection.
async fn assert_whole(pool: &Pool, server: &Server, limit: usize, what: &str) {
    let metrics = pool.metrics();
    assert_eq!(metrics.active_connections, 0, "{what}: {metrics:?}");
    assert_balanced(&metrics);
    let mut held = Vec::new();
    for _ in 0..limit {
        held.push(pool.checkout(Select::new()).await.expect("no permit is lost"));
    }
    drop(held);
    pool.close_idle();
    server.until(|counts| counts.open == 0).await;
}

/// The process has as many descriptors open as before.
///
/// The server accepts a connection whose dial was dropped later than the client closes it, and
/// then has a descriptor of its own for a moment; so the count is given time to come down.
async fn assert_descriptors(before: Option<usize>, what: &str) {
    for _ in 0..5000 {
        if open_descriptors() == before {
            return;
        }
        smol::Timer::after(Duration::from_millis(1)).await;
    }
    panic!("{what}: {:?} descriptors are open, {before:?} before", open_descriptors());
}

#[test]
fn an_operation_dropped_at_any_await_leaves_nothing_behind() {
    block_on(|| async {
        const LIMIT: usize = 2;
        let server = Server::start();
        // The driver is not polled: a dial must die with its last caller, and nothing tidies up
        // behind a dropped future but the drop itself.
        let builder = builder_of(&[&server]).max_connections_per_server(LIMIT);
        let (pool, _driver) = builder.build_with_driver().unwrap();
        // Whatever is started once and kept is started before the first count.
        get(&pool, "/echo").await.unwrap();
        pool.close_idle();
        server.until(|counts| counts.open == 0).await;
        let before = open_descriptors();
        if before.is_none() {
            eprintln!(
                "skipped: this system does not count descriptors; the server's count remains"
            );
        }
        for warm in [false, true] {
            for number in 0..7 {
                for polls in 0..POLLS {
                    if warm {
                        get(&pool, "/echo").await.unwrap();
                    }
                    let what = format!("operation {number}, dropped after {polls}, warm: {warm}");
                    drop_after(polls, operation(number, &pool)).await;
                    assert_whole(&pool, &server, LIMIT, &what).await;
                    assert_descriptors(before, &what).await;
                }
            }
        }
        dropped_in_the_queue(&pool, &server, LIMIT).await;
        assert_descriptors(before, "dropped in the queue").await;
    });
}

/// Waiters that are dropped, before and after a connection was handed to them.
async fn dropped_in_the_queue(pool: &Pool, server: &Server, limit: usize) {
    for handed_over in [false, true] {
        let mut held = Vec::new();
        for _ in 0..limit {
            held.push(pool.checkout(Select::new()).await.expect("there is room"));
        }
        let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(get(pool, "/echo"))).collect();
        for waiter in &mut waiters {
            assert!(futures_lite::future::poll_once(waiter).await.is_none());
        }
        if handed_over {
            held.clear();
        }
        waiters.clear();
        held.clear();
        assert_whole(pool, server, limit, "dropped in the queue").await;
    }
}
