//! nginx, which closes connections after a hundred requests or a second of silence.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::{Body, Error};
use http::Request;
use http_body::Frame;

use super::load::{assert_none_twice, end, get_all, is_large, post_all, posts_in};
use super::{LARGE, Real, books_after_the_end};
use crate::support::run::{under_block_on, under_smol, under_tokio_multi_thread};
use crate::support::{Env, Server, assert_balanced, for_each_runtime, get_text, parse};

const REQUESTS: usize = 20_000;
const POSTS: usize = 4000;
const ALLOWED: u64 = 100;

fn start(name: &str) -> Option<Real> {
    start_before(name, "127.0.0.1:1")
}

/// nginx, which passes on to `origin` what is asked for below `/echo`.
fn start_before(name: &str, origin: &str) -> Option<Real> {
    let args = ["-p", ".", "-c", "server.conf", "-e", "error.log"];
    Real::with_files("nginx", name, &args, |addr| configuration(addr, origin))
}

fn configuration(addr: SocketAddr, origin: &str) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; log_format line '$request';
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            keepalive_requests {ALLOWED}; keepalive_timeout 1s;
            server {{
                listen {addr}; root .;
                location = /nth {{ return 200 $connection_requests; }}
                location = /post {{ access_log access.log line; return 200 ok; }}
                location = /chunked {{
                    alias large; sub_filter_types *; sub_filter nothing something;
                }}
                location = /tight {{ client_max_body_size 1k; return 200 ok; }}
                location /echo {{
                    client_max_body_size 0;
                    proxy_http_version 1.1; proxy_pass http://{origin};
                }}
            }}
        }}"
    )
}

#[test]
fn nginx_answers_twenty_thousand_requests_under_every_runtime() {
    for_each_runtime(|env| async move {
        let Some(nginx) = start(env.name) else {
            return;
        };
        let pool = nginx.pool(&env);
        let path = |number| if is_large(number) { "/large" } else { "/nth" }.to_owned();
        let check = |number, text: &str| match is_large(number) {
            true => text.len() == LARGE,
            // Which request of its connection it was.
            false => text.parse().is_ok_and(|nth: u64| (1..=ALLOWED).contains(&nth)),
        };
        get_all(&env, &pool, REQUESTS, path, check).await;
        let metrics = end(&env, &pool, REQUESTS, ALLOWED).await;
        assert_eq!(metrics.successful_requests, REQUESTS as u64);
    });
}

async fn post_under_cuts(env: Env) {
    let Some(mut nginx) = start(&format!("post-{}", env.name)) else {
        return;
    };
    let pool = nginx.pool(&env);
    let outcomes = post_all(&env, &pool, "/post", || Body::from("hello"), POSTS).await;
    end(&env, &pool, POSTS, ALLOWED).await;
    assert_none_twice(&outcomes, posts_in(&nginx.end_and_read("access.log")));
}

#[test]
fn nginx_is_given_no_post_twice() {
    under_tokio_multi_thread(post_under_cuts);
    under_smol(post_under_cuts);
}

#[test]
fn a_request_after_nginx_has_closed_the_idle_connection_is_answered() {
    under_block_on(|env| async move {
        let Some(nginx) = start("idle") else {
            return;
        };
        let pool = nginx.pool(&env);
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "1");
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "2");
        nginx.outlast("GET /nth HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "1");
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn chunks_of_nginx_come_whole_and_their_connection_stays() {
    under_smol(|env| async move {
        let Some(nginx) = start("chunked") else {
            return;
        };
        let pool = nginx.pool(&env);
        for _ in 0..3 {
            let response = pool.get("/chunked").await.unwrap();
            assert_eq!(response.headers()["transfer-encoding"], "chunked");
            assert_eq!(response.into_body().bytes().await.unwrap().len(), LARGE);
        }
        assert_eq!(pool.metrics().connections_created, 1);
        assert_balanced(&books_after_the_end(&pool).await);
    });
}

/// A body of so many pieces of 64 KiB, which says nothing of its length.
struct Pieces {
    left: usize,
    /// It may not be asked for any.
    forbidden: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        assert!(!self.forbidden, "nobody has given leave to send it");
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'z'; 1 << 16])))))
    }
}

#[test]
fn a_body_that_nginx_refuses_ends_with_its_413_and_is_not_sent_where_it_waits() {
    under_smol(|env| async move {
        let Some(nginx) = start("refused") else {
            return;
        };
        let pool = nginx.pool(&env);
        // It answers at once, and closes only after it has read on for a while.
        let long = Request::post("/tight").body(Body::from(vec![b'z'; 24 << 20])).unwrap();
        let response = pool.send(long).await.unwrap();
        assert_eq!(response.status(), 413);
        response.into_body().bytes().await.expect("a page about it");
        let body = Pieces { left: 1, forbidden: true };
        let waits = Request::post("/tight").header("expect", "100-continue");
        let waits = waits.header("content-length", 1 << 16).body(body).unwrap();
        let response = pool.send(waits).await.unwrap();
        assert_eq!(response.status(), 413);
        response.into_body().bytes().await.expect("a page about it");
        assert_eq!(get_text(&pool, "/tight").await.unwrap(), "ok");
        let metrics = books_after_the_end(&pool).await;
        assert_eq!((metrics.connections_created, metrics.failed_requests), (3, 0));
        assert_balanced(&metrics);
    });
}

#[test]
fn a_body_that_waits_goes_out_at_nginx_s_leave_and_so_do_chunks() {
    under_smol(|env| async move {
        let origin = Server::start();
        let backend = origin.url("").replace("http://", "");
        let Some(nginx) = start_before("leave", &backend) else {
            return;
        };
        let builder = env.builder().server(parse(&nginx.url()));
        // Without leave it would be sent only when the time of the whole is over.
        let builder = builder.expect_timeout(Duration::from_secs(1000));
        let pool = builder.request_timeout(Some(Duration::from_secs(100))).build().unwrap();
        for expects in [true, false, true] {
            let post = Request::post("/echo");
            let post = if expects { post.header("expect", "100-continue") } else { post };
            let body = Pieces { left: 20, forbidden: false };
            let text = pool.send(post.body(body).unwrap()).await.unwrap().into_body().text().await;
            let expected = format!("POST /echo\n{}", "z".repeat(20 << 16));
            assert!(text.is_ok_and(|text| text == expected), "waits: {expects}");
        }
        let metrics = books_after_the_end(&pool).await;
        assert_eq!((metrics.connections_created, metrics.failed_requests), (1, 0));
        assert_balanced(&metrics);
    });
}

#[test]
fn the_silence_that_nginx_bears_is_learned_and_it_has_nothing_to_close_any_more() {
    under_block_on(|env| async move {
        let Some(nginx) = start("silence") else {
            return;
        };
        let builder = env.builder().server(parse(&nginx.url()));
        let pool = builder.watch_interval(Duration::from_millis(50)).build().unwrap();
        let learned = || pool.server_stats()[0].learned_idle_limit;
        let closed = async || {
            let before = pool.metrics().connections_destroyed;
            get_text(&pool, "/small").await.unwrap();
            while pool.metrics().connections_destroyed == before {
                // The silence itself is what is waited for, and nginx knows no virtual time.
                smol::Timer::after(Duration::from_millis(5)).await;
            }
        };
        // More than are needed, in case that the machine is slow, and the ages do not agree.
        for _ in 0..9 {
            if learned().is_none() {
                closed().await;
            }
        }
        let limit = learned().expect("it closes after a second each time");
        assert!(limit > Duration::from_millis(400), "{limit:?}");
        assert!(pool.metrics().destroyed.by_peer >= 3);
        for _ in 0..9 {
            if pool.metrics().destroyed.idle == 0 {
                closed().await;
            }
        }
        assert!(pool.metrics().destroyed.idle > 0, "we are never the first to close");
        assert_balanced(&pool.metrics());
    });
}
