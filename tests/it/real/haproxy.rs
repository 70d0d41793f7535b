//! haproxy before the tests' own server, in each of its ways to keep connections.

use std::net::SocketAddr;

use evenkeel::{Body, Select};

use super::load::{assert_none_twice, end, get_all, post_all};
use super::{Real, books_after_the_end};
use crate::support::run::{under_smol, under_tokio_multi_thread};
use crate::support::{Env, Server, assert_balanced, get_text};

const REQUESTS: usize = 2000;
/// After so many requests of a connection the next one is answered by a close.
const ALLOWED: u64 = 7;

/// haproxy in this mode, and before this backend; `more` is for its front.
fn start(env: &Env, mode: &str, backend: &str, more: &str) -> Option<Real> {
    let configure = |addr: SocketAddr| {
        format!(
            "global\n nbthread 1\n\
             defaults\n mode http\n option {mode}\n timeout connect 30s\n \
             timeout client 100s\n timeout server 100s\n timeout http-keep-alive 1s\n\
             frontend it\n bind {addr}\n default_backend origin\n{more}\
             backend origin\n server one {backend}\n"
        )
    };
    // Not more than the name of a directory can be.
    let name = format!("{mode}-{}-{}", more.len(), env.name);
    Real::with_files("haproxy", &name, &["-db", "-f", "server.conf"], configure)
}

fn backend(origin: &Server) -> String {
    origin.addr().to_string()
}

async fn pass_through(env: Env) {
    for mode in ["http-keep-alive", "http-server-close", "httpclose"] {
        let origin = Server::start();
        let Some(proxy) = start(&env, mode, &backend(&origin), "") else {
            return;
        };
        let pool = proxy.pool(&env);
        let path = |number| format!("/through?n={number}");
        let check = |number, text: &str| text == format!("GET /through?n={number}\n");
        get_all(&env, &pool, REQUESTS, path, check).await;
        assert_eq!(origin.counts().requests, REQUESTS as u64, "{mode}: each came once");
        let outcomes = post_all(&env, &pool, "/post", || Body::from("hello"), REQUESTS).await;
        assert_none_twice(&outcomes, posts(&origin));
        let metrics = books_after_the_end(&pool).await;
        assert_balanced(&metrics);
        let closes = mode == "httpclose";
        let all = 2 * REQUESTS as u64;
        assert_eq!(metrics.connections_created >= all, closes, "{mode}: {metrics:?}");
        assert!(!closes || metrics.failed_requests == 0, "{mode}: nothing was used twice");
        eprintln!("{mode}, {}: {} connections", env.name, metrics.connections_created);
    }
}

fn posts(origin: &Server) -> Vec<usize> {
    let number = |target: &String| {
        let (_, number) = target.split_once("?id=").expect("an id");
        number.parse().expect("a number")
    };
    origin.posts().iter().map(number).collect()
}

/// Counts the requests of each connection, by its port, and closes in place of an answer.
fn cuts() -> String {
    format!(
        " stick-table type integer size 100k expire 60s store http_req_cnt\n \
         tcp-request connection track-sc0 src_port\n \
         http-request reject if {{ sc_http_req_cnt(0) gt {ALLOWED} }}\n"
    )
}

/// GETs and POSTs, of whose connections each is cut at its eighth request, without an answer.
async fn pass_under_cuts(env: Env) {
    let origin = Server::start();
    let Some(proxy) = start(&env, "http-keep-alive", &backend(&origin), &cuts()) else {
        return;
    };
    let pool = proxy.pool(&env);
    let path = |number| format!("/through?n={number}");
    let check = |number, text: &str| text == format!("GET /through?n={number}\n");
    get_all(&env, &pool, REQUESTS, path, check).await;
    assert_eq!(origin.counts().requests, REQUESTS as u64, "each came once");
    let outcomes = post_all(&env, &pool, "/post", || Body::from("hello"), REQUESTS).await;
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    assert_none_twice(&outcomes, posts(&origin));
    let metrics = end(&env, &pool, 2 * REQUESTS, ALLOWED + 1).await;
    assert_eq!(metrics.failed_requests, failed as u64);
    // It can only guess that a POST was not carried out, and does not.
    assert!(failed > 0, "{metrics:?}");
}

#[test]
fn haproxy_passes_every_request_through_once_in_each_of_its_modes() {
    under_tokio_multi_thread(pass_through);
    under_smol(pass_through);
}

#[test]
fn haproxy_that_cuts_without_an_answer_costs_no_get_and_is_given_no_post_twice() {
    under_tokio_multi_thread(pass_under_cuts);
    under_smol(pass_under_cuts);
}

#[test]
fn a_408_on_a_connection_that_was_opened_ahead_meets_no_request() {
    under_smol(|env| async move {
        let origin = Server::start();
        let impatient = " timeout http-request 1s\n";
        let Some(proxy) = start(&env, "http-keep-alive", &backend(&origin), impatient) else {
            return;
        };
        let pool = proxy.pool(&env);
        drop(pool.checkout(Select::new()).await.expect("a connection"));
        // One that comes later has its 408 later: with that, the first has its own.
        let last = proxy.outlast("");
        assert!(last.starts_with("HTTP/1.1 408"), "{last}");
        let outcomes = post_all(&env, &pool, "/post", || Body::from("hello"), 1).await;
        assert_eq!(outcomes, [(0, Ok(()))]);
        let metrics = books_after_the_end(&pool).await;
        let destroyed = &metrics.destroyed;
        assert_eq!((metrics.connections_created, destroyed.poisoned + destroyed.by_peer), (2, 1));
        assert_balanced(&metrics);
    });
}

#[test]
fn haproxy_whose_backend_is_down_answers_503() {
    under_smol(|env| async move {
        // Nobody listens on a port that is held.
        let (_port, nobody) = crate::support::server::hold_port();
        let Some(proxy) = start(&env, "http-keep-alive", &nobody.to_string(), "") else {
            return;
        };
        let pool = proxy.pool(&env);
        let response = pool.get("/").await.expect("an answer");
        assert_eq!(response.status(), 503);
        response.into_body().bytes().await.expect("a body");
        assert!(get_text(&pool, "/").await.is_ok(), "its answer is no fault of the connection");
        assert_balanced(&books_after_the_end(&pool).await);
    });
}
