//! Goal: a connection that went bad costs its caller nothing, and a request is never carried out
//! twice by our doing. Method: servers that close, drop and talk at the wrong moment.

use std::pin::Pin;
use std::task::{Context, Poll};

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Error, ErrorKind, Phase, Pool, Select};
use http::{Method, Request};

use crate::support::sim::{
    MS, ONE, SECOND, TWO, builder, get, hold, info, open_traps, request, whole,
};
use crate::support::{SimServer, assert_balanced};

fn world() -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().expect("a valid pool");
    (sim, server, pool)
}

async fn send(pool: &Pool, request: Request<Body>) -> Result<(u32, bool), Error> {
    let response = pool.send(request).await?;
    let (attempts, reused) = (info(&response).attempts, info(&response).reused);
    whole(response).await?;
    Ok((attempts, reused))
}

#[test]
fn a_connection_that_the_peer_closed_while_idle_is_replaced_without_an_error() {
    for path in ["/last", "/fin/5"] {
        let (sim, server, pool) = world();
        sim.block_on(async {
            get(&pool, path).await.unwrap();
            sim.sleep(SECOND).await;
            assert_eq!(send(&pool, request(Method::POST, "/")).await.unwrap(), (1, false));
        });
        let metrics = pool.metrics();
        assert_eq!((metrics.destroyed.by_peer, metrics.connections_reused), (1, 0), "{path}");
        assert_eq!((server.counts().opened, server.counts().open), (2, 1));
        assert_balanced(&metrics);
    }
}

#[test]
fn a_close_that_crosses_the_request_is_retried_for_get_and_not_for_post() {
    for method in [Method::GET, Method::POST] {
        let (sim, server, pool) = world();
        sim.net().latency(MS * 10);
        let outcome = sim.block_on(async {
            get(&pool, "/fin/5").await.unwrap();
            // The end of stream is under way, and cannot be seen yet.
            sim.sleep(MS * 2).await;
            send(&pool, request(method.clone(), "/")).await
        });
        if method == Method::GET {
            assert_eq!(outcome.unwrap(), (2, false));
            assert_eq!(server.requests(), 2);
        } else {
            let error = outcome.expect_err("it may have been carried out");
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Reset, Some(Phase::Response)));
            assert!(!error.is_retry_safe());
            assert_eq!((error.attempts(), server.counts().opened), (1, 1));
        }
        assert_eq!(pool.metrics().destroyed.broken, 1);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_server_that_resets_every_warm_connection_costs_one_attempt_more() {
    // So many idle connections that give no answer.
    for (traps, attempts) in [(0, 1), (1, 2), (2, 2), (20, 2)] {
        let (sim, server, pool) = world();
        sim.block_on(async {
            open_traps(&pool, traps).await;
            let get = request(Method::GET, "/");
            assert_eq!(send(&pool, get).await.unwrap(), (attempts, false), "{traps}");
        });
        assert_eq!(server.requests(), traps + attempts as usize);
        let metrics = pool.metrics();
        assert_eq!((metrics.total_requests, metrics.failed_requests), (traps as u64 + 1, 0));
        let retries = (metrics.stale_retries, metrics.retries, metrics.retries_refused);
        assert_eq!(retries, (u64::from(attempts) - 1, 0, 0));
        assert_balanced(&metrics);
    }
}

#[test]
fn servers_that_reset_every_warm_connection_cost_two_attempts_more() {
    let sim = Sim::new();
    let servers = [ONE, TWO, "10.0.0.3:8080"].map(|addr| SimServer::start(&sim, addr));
    let pool = builder(&sim, &servers.each_ref()).build().unwrap();
    sim.block_on(async {
        open_traps(&pool, 30).await;
        let get = request(Method::GET, "/");
        assert_eq!(send(&pool, get).await.unwrap(), (3, false), "another server's, and a new one");
    });
    assert_eq!(pool.metrics().stale_retries, 2);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_bad_connection_that_comes_back_during_the_request_is_not_used() {
    let (sim, server, pool) = world();
    sim.net().latency(MS * 5);
    sim.block_on(async {
        let mut held = hold(&pool, 3).await;
        for checkout in &mut held {
            let response = checkout.send(request(Method::GET, "/drop-next")).await.unwrap();
            response.into_body().bytes().await.unwrap();
        }
        let late = held.pop();
        drop(held);
        let mut get = Box::pin(send(&pool, request(Method::GET, "/")));
        assert!(futures_lite::future::poll_once(&mut get).await.is_none());
        sim.sleep(MS * 2).await;
        drop(late);
        // One of the three, and then not the others.
        assert_eq!(get.await.unwrap(), (2, false));
    });
    assert_eq!((server.requests(), pool.metrics().failed_requests), (5, 0));
    assert_balanced(&pool.metrics());
}

#[test]
fn an_idle_connection_of_another_server_is_used_for_the_retry() {
    let sim = Sim::new();
    let servers = [ONE, TWO].map(|addr| SimServer::start(&sim, addr));
    let pool = builder(&sim, &servers.each_ref()).build().unwrap();
    sim.block_on(async {
        // A trap at the one, a good connection at the other; and then it is the trap's turn.
        get(&pool, "/drop-next").await.unwrap();
        get(&pool, "/").await.unwrap();
        assert_eq!(send(&pool, request(Method::GET, "/")).await.unwrap(), (2, true));
    });
    assert_eq!((servers[0].counts().opened, servers[1].counts().opened), (1, 1));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_post_is_never_sent_twice() {
    for body in ["", "text"] {
        let (sim, server, pool) = world();
        sim.block_on(async {
            open_traps(&pool, 2).await;
            let post = Request::post("/").body(Body::from(body)).unwrap();
            let error = send(&pool, post).await.expect_err("it may have been carried out");
            assert_eq!(error.kind(), ErrorKind::Reset);
            assert_eq!(error.phase(), Some(Phase::Response));
            assert_eq!(error.attempts(), 1);
            assert!(!error.is_retry_safe());
        });
        assert_eq!(server.requests(), 3);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_body_of_bytes_is_sent_again_and_one_of_which_two_pieces_are_gone_is_not() {
    let (sim, server, pool) = world();
    sim.block_on(async {
        for body in ["", "text"] {
            open_traps(&pool, 1).await;
            let put = Request::put("/").body(Body::from(body)).unwrap();
            assert_eq!(send(&pool, put).await.unwrap(), (2, false));
        }
        open_traps(&pool, 1).await;
        let put = Request::put("/").body(Pieces(vec!["te", "xt"])).unwrap();
        let error = pool.send(put).await.map(drop).expect_err("the body is used up");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1));
        assert!(error.into_request().is_none(), "it may have been carried out");
    });
    assert_eq!(server.requests(), 8);
    assert_balanced(&pool.metrics());
}

/// A body of these pieces, the last first, and of no known length.
struct Pieces(Vec<&'static str>);

impl http_body::Body for Pieces {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Error>>> {
        let piece = self.0.pop();
        Poll::Ready(piece.map(|piece| Ok(http_body::Frame::data(piece.into()))))
    }
}

/// An empty body that does not know it is empty, and must not be asked twice.
struct Once(bool);

impl http_body::Body for Once {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Error>>> {
        assert!(!std::mem::replace(&mut self.0, true), "it was asked again after its end");
        Poll::Ready(None)
    }
}

#[test]
fn a_body_that_has_told_its_end_is_not_asked_again_when_the_request_is_sent_again() {
    let (sim, _server, pool) = world();
    sim.block_on(async {
        open_traps(&pool, 1).await;
        let put = Request::put("/").body(Once(false)).unwrap();
        let response = pool.send(put).await.unwrap();
        assert_eq!(info(&response).attempts, 2);
        assert_eq!(response.into_body().text().await.unwrap(), "PUT /");
    });
}

#[test]
fn a_new_connection_that_gives_no_answer_is_not_tried_again() {
    let (sim, server, pool) = world();
    let error = sim.block_on(get(&pool, "/drop")).expect_err("no answer");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1));
    assert!(!error.is_retry_safe());
    assert_eq!((server.requests(), server.counts().open), (1, 0));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_request_that_was_sent_once_is_not_called_safe_when_the_next_attempt_finds_no_server() {
    let (sim, mut server, pool) = world();
    sim.block_on(async {
        open_traps(&pool, 1).await;
        server.stop().await;
        let error = get(&pool, "/").await.expect_err("nobody listens any more");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 2));
        assert!(!error.is_retry_safe(), "the first attempt was sent");
        let error = get(&pool, "/").await.expect_err("nobody listens any more");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1));
        assert!(error.is_retry_safe(), "nothing was sent");
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_checkout_leaves_the_retry_to_its_holder() {
    let (sim, server, pool) = world();
    sim.block_on(async {
        open_traps(&pool, 1).await;
        let mut checkout = pool.checkout(Select::new()).await.unwrap();
        let error = checkout.send(request(Method::GET, "/")).await.map(drop);
        let error = error.expect_err("no answer");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1));
        assert!(!checkout.is_usable());
        let error = checkout.send(request(Method::GET, "/")).await.map(drop);
        assert_eq!(error.expect_err("it is broken").kind(), ErrorKind::Request);
    });
    assert_eq!((server.requests(), server.counts().open), (2, 0));
    assert_eq!(pool.metrics().destroyed.broken, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn bytes_that_nobody_asked_for_poison_an_idle_connection() {
    let (sim, server, pool) = world();
    sim.block_on(async {
        get(&pool, "/late/5").await.unwrap();
        sim.sleep(MS * 10).await;
        assert_eq!(send(&pool, request(Method::GET, "/")).await.unwrap(), (1, false));
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.destroyed.poisoned, metrics.failed_requests), (1, 0));
    assert_eq!((server.counts().opened, server.counts().open), (2, 1));
    assert_balanced(&metrics);
}

#[test]
fn bytes_that_nobody_asked_for_do_not_reach_one_who_waits_in_line() {
    let (sim, server, pool) = world();
    sim.block_on(async {
        let mut limits = pool.limits();
        limits.max_connections_per_server = 1;
        pool.set_limits(limits).unwrap();
        let mut held = hold(&pool, 1).await.remove(0);
        let response = held.send(request(Method::GET, "/late/5")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        let mut waiting = Box::pin(send(&pool, request(Method::POST, "/")));
        assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
        sim.sleep(MS * 10).await;
        // They are in the kernel when the connection passes from hand to hand.
        drop(held);
        assert_eq!(waiting.await.unwrap(), (1, false));
    });
    assert_eq!(pool.metrics().destroyed.poisoned, 1);
    assert_eq!((server.counts().opened, server.counts().peak), (2, 1));
    assert_balanced(&pool.metrics());
}

#[test]
fn a_connection_is_not_kept_when_one_side_closes_or_bytes_are_left_over() {
    let closing = || {
        let close = Request::get("/").header("connection", "close");
        close.body(Body::empty()).unwrap()
    };
    let rows = [
        (request(Method::GET, "/extra"), 1),
        (request(Method::GET, "/close"), 1),
        (closing(), 1),
        (request(Method::GET, "/b/100000"), 0),
    ];
    for (request, closed) in rows {
        let (sim, server, pool) = world();
        let uri = request.uri().clone();
        sim.block_on(async { send(&pool, request).await.unwrap() });
        let metrics = pool.metrics();
        assert_eq!(metrics.destroyed.not_reusable, closed, "{uri}");
        assert_eq!(server.counts().open as u64, 1 - closed, "{uri}");
        assert_eq!(metrics.successful_requests, 1);
        assert_balanced(&metrics);
    }
}

#[test]
fn a_body_that_is_dropped_saves_its_connection_only_if_its_rest_is_here() {
    // What is here within the bound is read; what is still to come is not waited for.
    for (path, kept) in [("/b/60000", 1), ("/b/100000", 0), ("/trickle/2/5", 0)] {
        let (sim, server, pool) = world();
        sim.block_on(async {
            let response = pool.get(path).await.unwrap();
            sim.settle().await;
            drop(response);
            assert_eq!(server.counts().open, kept, "{path}");
        });
        let metrics = pool.metrics();
        assert_eq!(
            (metrics.successful_requests, metrics.cancelled_requests),
            match kept {
                1 => (1, 0),
                _ => (0, 1),
            }
        );
        assert_balanced(&metrics);
    }
}

#[test]
fn a_server_error_is_a_response_that_counts_as_failed() {
    let (sim, server, pool) = world();
    sim.block_on(async {
        for (path, failed) in [("/status/404", 0), ("/status/500", 1), ("/status/503", 2)] {
            assert!(get(&pool, path).await.is_ok());
            assert_eq!(pool.metrics().failed_requests, failed, "{path}");
        }
    });
    assert_eq!(server.counts().opened, 1, "the connection is as good as before");
    assert_balanced(&pool.metrics());
}
