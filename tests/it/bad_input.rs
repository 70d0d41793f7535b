//! What users get wrong and what servers do wrong: each a clear error of the right kind, and never
//! a panic.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel::{
    Body, BoxFuture, Builder, Config, Connector, Error, ErrorKind, Phase, Pool, Resolve, Resolved,
    Runtime, Server, Target, Transport,
};
use http::Request;
use socket2::Socket;

use crate::support::server::hold_port;
use crate::support::{self, server};
use crate::support::{Manner, assert_balanced, block_on, builder_of, get_text, parse, pool_of};

#[test]
fn junk_in_place_of_a_servers_url_is_refused_with_a_reason() {
    let rows = [
        ("", "empty"),
        ("   ", "empty"),
        ("://:invalid-url", "invalid"),
        ("\u{0}\u{1}", "invalid"),
        ("example.com", "scheme"),
        ("localhost:8080", "invalid"),
        ("http://", "invalid"),
        ("ftp://example.com", "ftp"),
        ("http://example.com?a=b", "query"),
        ("http://example.com/#top", "fragment"),
        ("http://user:secret@example.com", "user info"),
        ("http://example.com:99999", "port"),
    ];
    for (url, reason) in rows {
        let error = Server::new(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Url, "{url:?}");
        let text = error.to_string();
        assert!(text.contains(reason), "{url:?}: {text}");
        assert!(!text.contains("secret"), "a password does not belong in a message: {text}");
    }
}

#[test]
fn a_megabyte_of_junk_makes_a_short_message() {
    let error = Server::new("x".repeat(1 << 20)).expect_err("junk");
    assert!(error.to_string().len() < 1000);
}

/// Gives a setting a value that it may not have; the duration is zero.
type Change = fn(Builder, Duration) -> Builder;

#[test]
fn a_setting_out_of_range_or_in_contradiction_is_refused_by_name() {
    let zero = Duration::ZERO;
    let rows: [(&str, Change); 10] = [
        ("max_connections_per_server", |b, _| b.max_connections_per_server(0)),
        ("max_total_connections", |b, _| b.max_total_connections(0)),
        ("max_connecting", |b, _| b.max_connecting(0)),
        ("connect_timeout", |b, zero| b.connect_timeout(zero)),
        ("request_timeout", |b, zero| b.request_timeout(Some(zero))),
        ("idle_conn_timeout", |b, zero| b.idle_conn_timeout(zero)),
        ("max_idle_time", |b, zero| b.max_idle_time(zero)),
        ("cleanup_interval", |b, zero| b.cleanup_interval(zero)),
        ("min_idle", |b, _| b.max_connections_per_server(5).min_idle(6)),
        ("min_idle", |b, _| b.max_idle_connections(5).min_idle(6)),
    ];
    for (field, change) in rows {
        let error = change(builder_of(&[]), zero).build().expect_err(field);
        assert_eq!(error.kind(), ErrorKind::Config, "{field}");
        assert!(error.is_usage());
        assert!(error.to_string().contains(field), "{field}: {error}");
    }
    let mut config = Config::default();
    config.max_total_connections = 0;
    let error = Pool::builder().config(config).build().expect_err("zero");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_pool_without_servers_builds_and_says_so_when_asked() {
    block_on(|| async {
        let pool = pool_of(&[]);
        let error = get_text(&pool, "/").await.expect_err("no servers");
        assert_eq!(error.kind(), ErrorKind::NoServers);
        assert_balanced(&pool.metrics());
    });
}

#[test]
#[cfg(not(feature = "rustls-no-provider"))]
fn a_server_with_https_is_refused_by_a_build_without_tls_which_names_the_feature() {
    let secure = || parse("https://api.example");
    let error = Pool::builder().server(secure()).build().expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["https://api.example", "the feature `rustls`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let pool = pool_of(&[]);
    assert_eq!(pool.add_server(secure()).expect_err("no TLS").kind(), ErrorKind::Config);
    assert_eq!(pool.server_stats().len(), 0);
}

#[test]
fn an_absolute_url_of_a_foreign_origin_is_refused_with_advice() {
    block_on(|| async {
        let server = support::Server::start();
        let pool = pool_of(&[&server]);
        for url in ["http://elsewhere.example/x", "https://127.0.0.1/x"] {
            let error = get_text(&pool, url).await.expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Request, "{url}: {error:?}");
            assert!(error.to_string().contains("add_server"), "{error}");
        }
        assert_eq!(server.counts().requests, 0);
    });
}

#[test]
fn a_path_that_is_no_path_is_refused() {
    block_on(|| async {
        let server = support::Server::start();
        let pool = pool_of(&[&server]);
        for path in ["/with space", "/line\r\nbreak: x", "/nul\u{0}"] {
            let error = get_text(&pool, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::Request, "{path:?}: {error:?}");
            assert!(error.is_usage());
        }
        assert_eq!(server.counts().requests, 0);
    });
}

#[test]
fn a_port_where_nobody_listens_refuses_at_once() {
    block_on(|| async {
        let (_held, addr) = hold_port();
        let url = format!("http://{addr}");
        let pool = Pool::builder()
            .health_check(evenkeel::HealthCheck::off())
            .server(parse(&url))
            .build()
            .unwrap();
        let error = get_text(&pool, "/").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
        assert!(error.is_connect());
        assert_eq!(error.phase(), Some(Phase::Connect));
        assert_eq!(error.server(), Some(url.as_str()));
        assert!(error.is_retry_safe(), "nothing was sent");
        assert!(pool.metrics().connect_errors >= 1);
        assert_balanced(&pool.metrics());
    });
}

/// A port whose queue of unaccepted connections is full, so that it answers no further one; and
/// what must be kept for it to stay so. `None` where the system does not work like this.
fn black_hole() -> Option<(SocketAddr, Socket, Vec<TcpStream>)> {
    let (socket, addr) = hold_port();
    socket.listen(0).expect("to listen");
    let mut queued = Vec::new();
    while queued.len() < 64 {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
            Ok(stream) => queued.push(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Some((addr, socket, queued));
            }
            Err(_) => return None,
        }
    }
    None
}

#[test]
fn a_port_that_never_answers_ends_at_the_connect_timeout() {
    block_on(|| async {
        let Some((addr, _socket, _queued)) = black_hole() else {
            eprintln!("skipped: this system has no way to make a port that never answers");
            return;
        };
        let builder = Pool::builder()
            .health_check(evenkeel::HealthCheck::off())
            .server(parse(&format!("http://{addr}")));
        let pool = builder.connect_timeout(Duration::from_millis(50)).build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("nobody answers");
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Connect));
        assert_balanced(&pool.metrics());
    });
}

/// A network in which nothing answers.
struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(std::future::pending())
    }
}

/// Resolves every name to these addresses, or fails.
struct Names(Option<Vec<SocketAddr>>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        let answer =
            self.0.clone().ok_or_else(|| io::Error::other(format!("no such host: {host}")));
        Box::pin(std::future::ready(answer.map(Resolved::from)))
    }
}

#[test]
fn a_dial_that_hangs_ends_at_the_connect_timeout() {
    block_on(|| async {
        let runtime = Runtime::async_io().connector(Nowhere);
        let builder = Pool::builder().runtime(runtime).server(parse("http://127.0.0.1:1"));
        let pool = builder.connect_timeout(Duration::from_millis(20)).build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("nobody answers");
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_of_its_own_kind() {
    block_on(|| async {
        for names in [Names(None), Names(Some(Vec::new()))] {
            let runtime = Runtime::async_io().resolver(names);
            let builder = Pool::builder().runtime(runtime).server(parse("http://no.such.host"));
            let pool = builder.build().unwrap();
            let error = get_text(&pool, "/").await.expect_err("no such host");
            assert_eq!(error.kind(), ErrorKind::Resolve, "{error:?}");
            assert_eq!(error.phase(), Some(Phase::Resolve));
            assert!(error.is_connect() && error.is_retry_safe());
            assert_eq!(error.server(), Some("http://no.such.host"));
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn the_addresses_of_a_name_are_tried_until_one_accepts() {
    block_on(|| async {
        let server = support::Server::start();
        let (_held, refuses) = hold_port();
        let names = Names(Some(vec![refuses, server.addr()]));
        let builder = Pool::builder().runtime(Runtime::async_io().resolver(names));
        let pool = builder.server(parse("http://two.addresses")).build().unwrap();
        assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n");
        assert_eq!(pool.metrics().connections_created, 1);
    });
}

/// What a request to a server of this manner ends with.
async fn outcome(manner: Manner, path: &str) -> Error {
    let server = server::Server::with(manner);
    let builder = builder_of(&[&server]).request_timeout(Some(Duration::from_secs(10)));
    let pool = builder.build().expect("a valid pool");
    let error = get_text(&pool, path).await.expect_err("no answer can come");
    assert_eq!(error.server(), Some(server.url("").as_str()));
    server.until(|counts| counts.open == 0).await;
    assert_balanced(&pool.metrics());
    assert_eq!(pool.metrics().failed_requests, 1);
    error
}

#[test]
fn a_server_that_closes_at_once_is_a_reset_connection() {
    block_on(|| async {
        let error = outcome(Manner::CloseOnAccept, "/").await;
        assert_eq!(error.kind(), ErrorKind::Reset, "{error:?}");
        let error = outcome(Manner::Answer, "/drop").await;
        assert_eq!(error.kind(), ErrorKind::Reset, "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Response));
    });
}

#[test]
fn a_server_that_sends_garbage_is_a_protocol_error() {
    block_on(|| async {
        let error = outcome(Manner::Garbage, "/").await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Response));
    });
}

/// A body that ends with an error of the caller's own.
#[derive(Debug, PartialEq)]
struct Stolen;

impl fmt::Display for Stolen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("somebody took the rest of it")
    }
}

impl StdError for Stolen {}

impl http_body::Body for Stolen {
    type Data = bytes::Bytes;
    type Error = Self;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self>>> {
        Poll::Ready(Some(Err(Self)))
    }
}

/// What each level of an error says, from the outermost.
fn levels(error: &Error) -> Vec<String> {
    let mut levels = vec![error.to_string()];
    let mut next = error.source();
    while let Some(level) = next {
        levels.push(level.to_string());
        next = level.source();
    }
    levels
}

#[test]
fn each_level_of_an_error_says_something_new() {
    block_on(|| async {
        let server = support::Server::start();
        let pool = pool_of(&[&server]);
        let coded = Request::get("/").header("transfer-encoding", "chunked").body(Body::empty());
        let long = Request::get("/").header("content-length", "7").body(Body::empty());
        let short = Request::post("/").header("content-length", "7").body(Stolen);
        let refused = pool.send(short.unwrap()).await.map(drop).expect_err("it is stolen");
        let source = refused.source().and_then(|source| source.downcast_ref::<Stolen>());
        assert_eq!(source, Some(&Stolen), "the caller's own error is right beneath");
        let errors = [
            outcome(Manner::Answer, "/drop").await,
            outcome(Manner::Answer, "/cut/1000").await,
            outcome(Manner::Garbage, "/").await,
            pool.send(coded.unwrap()).await.map(drop).expect_err("it has no chunks"),
            pool.send(long.unwrap()).await.map(drop).expect_err("it has no such length"),
            pool.get("/a b").await.map(drop).expect_err("it is no path"),
            refused,
        ];
        for error in &errors {
            let levels = levels(error);
            for (at, level) in levels.iter().enumerate() {
                for other in &levels[at + 1..] {
                    assert!(!level.contains(other) && !other.contains(level), "{levels:?}");
                }
            }
        }
        let depth = errors.each_ref().map(|error| levels(error).len());
        assert_eq!(depth, [1, 1, 2, 2, 2, 2, 2], "{errors:?}");
        let [.., refused] = errors;
        assert!(refused.is_retry_safe(), "nothing was sent");
        assert!(refused.into_request().is_none(), "but the body was asked");
    });
}

#[test]
fn a_body_that_is_cut_short_is_never_taken_for_a_whole_one() {
    block_on(|| async {
        let error = outcome(Manner::Answer, "/cut/1000").await;
        assert_eq!(error.kind(), ErrorKind::Reset, "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Body));
        assert!(!error.is_retry_safe(), "the server has acted on it");
    });
}

#[test]
fn a_server_that_never_answers_ends_at_the_request_timeout() {
    block_on(|| async {
        let server = server::Server::with(Manner::Silent);
        let builder = builder_of(&[&server]).request_timeout(Some(Duration::from_millis(50)));
        let pool = builder.build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("it is silent");
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.phase(), Some(Phase::Response));
        server.until(|counts| counts.accepted == 1 && counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}
