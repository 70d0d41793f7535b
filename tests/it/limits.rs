//! Limits count sockets, exactly; and who must wait waits in order, within a bound.

use std::time::Duration;

use evenkeel::{ErrorKind, Phase, Select};
use futures_lite::future::{poll_once, zip};

use crate::support::load::{CALLERS, Load, REQUESTS};
use crate::support::run::{
    under_block_on, under_smol, under_tokio_current_thread, under_tokio_multi_thread,
};
use crate::support::{
    Env, Manner, Server, assert_balanced, block_on, builder_of, for_each_runtime, get_text, id_of,
};

async fn carry_the_load(env: Env) {
    let load = Load::new(env.builder());
    env.run_concurrently(CALLERS, REQUESTS, load.job()).await;
    load.verify().await;
}

#[test]
fn twenty_thousand_requests_keep_the_limit_under_block_on() {
    under_block_on(carry_the_load);
}

#[test]
fn twenty_thousand_requests_keep_the_limit_under_smol() {
    under_smol(carry_the_load);
}

#[test]
fn twenty_thousand_requests_keep_the_limit_under_tokio_current_thread() {
    under_tokio_current_thread(carry_the_load);
}

#[test]
fn twenty_thousand_requests_keep_the_limit_under_tokio_multi_thread() {
    under_tokio_multi_thread(carry_the_load);
}

#[test]
fn a_total_limit_below_what_the_servers_want_is_kept_and_starves_nobody() {
    for_each_runtime(|env| async move {
        let (servers, census) = Server::group(3);
        let builder = servers.iter().fold(env.builder(), |builder, server| {
            builder.server(crate::support::parse(&server.url("")))
        });
        let pool = builder
            .max_connections_per_server(8)
            .max_total_connections(10)
            .request_timeout(Some(Duration::from_secs(100)))
            .build()
            .unwrap();
        let ids: Vec<_> = servers.iter().map(|server| id_of(&pool, server)).collect();
        let job = {
            let pool = pool.clone();
            move |number: usize| {
                let (pool, id) = (pool.clone(), ids[number % 3]);
                async move {
                    let request = http::Request::get("/b/32").extension(Select::new().server(id));
                    let request = request.body(evenkeel::Body::empty()).unwrap();
                    let response = pool.send(request).await.unwrap();
                    assert_eq!(response.into_body().bytes().await.unwrap().len(), 32);
                }
            }
        };
        env.run_concurrently(24, 3000, job).await;
        assert!(census.max_open() <= 10, "under {}: {}", env.name, census.max_open());
        for server in &servers {
            let counts = server.counts();
            assert!(counts.max_open <= 8, "under {}: {counts:?}", env.name);
            assert_eq!(counts.requests, 1000, "under {}", env.name);
        }
        // A dial whose caller was served otherwise goes on without it, until the pool ends.
        pool.shutdown(Duration::from_secs(100)).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn servers_that_share_a_total_limit_never_have_more_open_together() {
    block_on(|| async {
        let (servers, census) = Server::group(3);
        let builder = builder_of(&[&servers[0], &servers[1], &servers[2]]);
        let pool = builder.max_total_connections(4).build().unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.checkout(Select::new()).await.unwrap());
        }
        let fifth = pool.checkout(Select::new());
        futures_lite::pin!(fifth);
        assert!(poll_once(&mut fifth).await.is_none(), "the fifth waits");
        drop(held.pop());
        let mut fifth = fifth.await.unwrap();
        // The answer proves that the server has seen the connection.
        let request = http::Request::get("/").body(evenkeel::Body::empty()).unwrap();
        fifth.send(request).await.unwrap().into_body().bytes().await.unwrap();
        assert!(census.max_open() <= 4, "{}", census.max_open());
        assert!(pool.metrics().total_connections <= 4);
    });
}

#[test]
fn idle_connections_of_one_server_do_not_block_another() {
    block_on(|| async {
        let (first, second) = (Server::start(), Server::start());
        let pool = builder_of(&[&first, &second]).max_total_connections(2).build().unwrap();
        let at_first = Select::new().server(id_of(&pool, &first));
        let at_second = Select::new().server(id_of(&pool, &second));
        let (a, b) = zip(pool.checkout(at_first.clone()), pool.checkout(at_first)).await;
        drop((a.unwrap(), b.unwrap()));
        assert_eq!(pool.metrics().idle_connections, 2);
        drop(pool.checkout(at_second).await.expect("an idle connection makes room"));
        first.until(|counts| counts.accepted == 2 && counts.open == 1).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_caller_at_the_limit_is_served_and_one_over_waits_for_its_turn() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(2).build().unwrap();
        let first = pool.checkout(Select::new()).await.unwrap();
        let second = pool.checkout(Select::new()).await.unwrap();
        let third = pool.checkout(Select::new());
        futures_lite::pin!(third);
        assert!(poll_once(&mut third).await.is_none());
        assert_eq!(pool.metrics().waiting, 1);
        drop(first);
        drop(third.await.unwrap());
        drop(second);
        assert_eq!(pool.metrics().connections_created, 2);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn callers_are_served_in_the_order_of_their_coming_and_urgent_ones_first() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(1).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiters: Vec<_> = [("first", 0), ("second", 0), ("urgent", 3)]
            .map(|(name, priority)| {
                let checkout = pool.checkout(Select::new().priority(priority));
                Some((name, Box::pin(checkout)))
            })
            .into();
        for (_, waiter) in waiters.iter_mut().flatten() {
            assert!(poll_once(waiter).await.is_none());
        }
        drop(held);
        let mut served = Vec::new();
        while served.len() < 3 {
            for slot in &mut waiters {
                let Some((name, waiter)) = slot else { continue };
                if let Some(checkout) = poll_once(waiter).await {
                    served.push(*name);
                    *slot = None;
                    drop(checkout.unwrap());
                    break;
                }
            }
        }
        assert_eq!(served, ["urgent", "first", "second"]);
    });
}

#[test]
fn a_wait_ends_at_the_deadline_and_says_so() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_connections_per_server(1).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let hurried = Select::new().timeout(Duration::from_millis(20));
        let error = pool.checkout(hurried).await.expect_err("nobody gives it back");
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Queue));
        drop(held);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn the_last_place_in_the_queue_is_given_and_one_over_is_refused() {
    block_on(|| async {
        let server = Server::start();
        let builder = builder_of(&[&server]).max_connections_per_server(1);
        let pool = builder.max_waiters(2).build().unwrap();
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut waiter = Box::pin(pool.checkout(Select::new()));
            assert!(poll_once(&mut waiter).await.is_none());
            waiting.push(waiter);
        }
        let error = pool.checkout(Select::new()).await.expect_err("the queue is full");
        assert_eq!(error.kind(), ErrorKind::QueueFull);
        // A place that is given up is free at once.
        drop(waiting.pop());
        let mut again = Box::pin(pool.checkout(Select::new()));
        assert!(poll_once(&mut again).await.is_none(), "there is a place again");
        drop((waiting, again, held));
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn idle_connections_above_the_cap_are_closed() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_idle_connections(2).build().unwrap();
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(pool.checkout(Select::new()).await.unwrap());
        }
        drop(held);
        server.until(|counts| counts.accepted == 5 && counts.open == 2).await;
        assert_eq!(pool.metrics().idle_connections, 2);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn no_connection_is_kept_with_an_idle_cap_of_zero() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).max_idle_connections(0).build().unwrap();
        for _ in 0..3 {
            get_text(&pool, "/").await.unwrap();
            server.until(|counts| counts.open == 0).await;
        }
        assert_eq!(server.counts().accepted, 3);
    });
}

#[test]
fn a_failed_dial_gives_its_permit_back() {
    block_on(|| async {
        let mut server = Server::with(Manner::Answer);
        let pool = builder_of(&[&server]).max_connections_per_server(1).build().unwrap();
        server.stop();
        for _ in 0..5 {
            assert!(get_text(&pool, "/").await.expect_err("nobody listens").is_connect());
        }
        server.restart();
        // If it never is, the watchdog ends this loop.
        while get_text(&pool, "/back").await.is_err() {}
        assert!(pool.metrics().connect_errors >= 1);
        assert_balanced(&pool.metrics());
    });
}
