//! Servers that do wrong at every step, over real sockets: each has the same end under every
//! runtime, within its time, and the next request is answered on a connection of its own.

use std::time::Duration;

use evenkeel::{Body, Builder, Destroyed, Error, ErrorKind, Phase, Pool};
use http::Request;

use crate::support::run::Env;
use crate::support::server::Act::{
    self, Fill, Gate, HalfClose, Listen, Pause, Read, ReadHead, Repeat, Reset, Send, Trickle,
};
use crate::support::{Manner, Server, assert_balanced, at_rest, for_each_runtime, get_text, parse};

/// What the first request comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    /// A status and a body.
    Answer(u16, &'static str),
    Fails(ErrorKind, Phase),
}

use Comes::{Answer, Fails};

/// Whether the first connection is still good for the second request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Kept,
    Closed,
}

use Then::{Closed, Kept};

const HI: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const CHUNKS: &[u8] =
    b"HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\
    \r\n\r\n1;a=b\r\nh\r\n001\r\ni\r\n0\r\nx-t: y\r\n\r\n";
const PROMISE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
const UP_TO_THE_END: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nnot all";
const TOO_LARGE: &[u8] = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno";
const RESET: (ErrorKind, Phase) = (ErrorKind::Reset, Phase::Response);

/// A GET is sent to each, and then another one.
#[rustfmt::skip]
const GETS: &[(&str, &[Act], Comes, Then)] = &[
    ("a delay", &[Read, Pause(20), Send(HI), Read, Send(HI), Listen], Answer(200, "hi"), Kept),
    ("single bytes", &[Read, Trickle(HI), Read, Send(HI), Listen], Answer(200, "hi"), Kept),
    ("chunks in single bytes",
        &[Read, Trickle(CHUNKS), Read, Send(HI), Listen], Answer(200, "hi"), Kept),
    ("close on accept", &[], Fails(RESET.0, RESET.1), Closed),
    ("close without an answer", &[Read], Fails(RESET.0, RESET.1), Closed),
    ("half-close without an answer", &[Read, HalfClose, Listen], Fails(RESET.0, RESET.1), Closed),
    ("half-close in a head",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nA"), HalfClose, Listen], Fails(RESET.0, RESET.1), Closed),
    ("half-close in a body",
        &[Read, Send(PROMISE), HalfClose, Listen], Fails(ErrorKind::Reset, Phase::Body), Closed),
    ("half-close at the end",
        &[Read, Send(UP_TO_THE_END), HalfClose, Listen], Answer(200, "not all"), Closed),
    ("half-close behind an answer",
        &[Read, Send(HI), HalfClose, Listen], Answer(200, "hi"), Closed),
    ("reset without an answer", &[Read, Reset], Fails(RESET.0, RESET.1), Closed),
    ("reset in a head",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nA"), Reset], Fails(RESET.0, RESET.1), Closed),
    ("reset in a body",
        &[Read, Send(PROMISE), Pause(20), Reset], Fails(ErrorKind::Reset, Phase::Body), Closed),
    ("reset in a body that would end with the connection",
        &[Read, Send(UP_TO_THE_END), Pause(20), Reset],
        Fails(ErrorKind::Reset, Phase::Body), Closed),
    ("a head cut short",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nA: b\r\n")], Fails(RESET.0, RESET.1), Closed),
    ("a body cut short", &[Read, Send(PROMISE)], Fails(ErrorKind::Reset, Phase::Body), Closed),
    ("garbage",
        &[Read, Send(b"\x16\x03\x01\x02\0\x01"), Listen],
        Fails(ErrorKind::Protocol, Phase::Response), Closed),
    ("garbage behind a head",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\0\xff"), Listen],
        Fails(ErrorKind::Protocol, Phase::Body), Closed),
    ("interim responses without end",
        &[Read, Repeat(b"HTTP/1.1 102 P\r\n\r\n")],
        Fails(ErrorKind::Protocol, Phase::Response), Closed),
    ("a head without end",
        &[Read, Send(b"HTTP/1.1 200 OK\r\n"), Repeat(b"A: b\r\n")],
        Fails(ErrorKind::Protocol, Phase::Response), Closed),
    ("a field without end",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nA: "), Repeat(b"bbbbbbbb")],
        Fails(ErrorKind::Protocol, Phase::Response), Closed),
    ("a chunk extension without end",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"), Repeat(b"bbb")],
        Fails(ErrorKind::Protocol, Phase::Body), Closed),
    ("trailers without end",
        &[Read, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
            Repeat(b"a: b\r\n")],
        Fails(ErrorKind::Protocol, Phase::Body), Closed),
    ("an answer in the middle of nothing", &[Read, Send(b"\r\n"), Send(HI), Listen],
        Fails(ErrorKind::Protocol, Phase::Response), Closed),
    ("close after two", &[Read, Send(HI), Read, Send(HI)], Answer(200, "hi"), Kept),
    ("close after one, unannounced", &[Read, Send(HI)], Answer(200, "hi"), Closed),
];

/// The time limits are not what ends these; where one does, its step has a time of its own.
fn pool_to(env: &Env, server: &Server) -> Pool {
    let builder = env.builder().server(parse(&server.url(""))).max_connections_per_server(1);
    builder.request_timeout(Some(Duration::from_secs(60))).build().expect("a valid pool")
}

#[track_caller]
fn assert_comes(outcome: Result<(u16, String), Error>, expected: Comes, context: &str) {
    match (outcome, expected) {
        (Ok((status, text)), Answer(..)) => {
            assert_eq!((status, text.as_str()), parts(expected), "{context}");
        }
        (Err(error), Fails(kind, phase)) => {
            assert_eq!((error.kind(), error.phase()), (kind, Some(phase)), "{context}: {error:?}");
            assert!(!error.is_retry_safe(), "{context}: {error:?}");
        }
        (outcome, expected) => panic!("{context}: not {expected:?}, but {outcome:?}"),
    }
}

fn parts(expected: Comes) -> (u16, &'static str) {
    match expected {
        Answer(status, text) => (status, text),
        Fails(..) => (0, ""),
    }
}

async fn send(pool: &Pool, request: Request<Body>) -> Result<(u16, String), Error> {
    let response = pool.send(request).await?;
    Ok((response.status().as_u16(), response.into_body().text().await?))
}

fn get() -> Request<Body> {
    Request::get("/").body(Body::empty()).expect("a valid request")
}

fn post(length: usize) -> Request<Body> {
    Request::post("/").body(Body::from(vec![b'y'; length])).expect("a valid request")
}

/// How many connections were closed, without the reasons why: a peer's close is seen by the next
/// request, or by the last one, whichever is faster.
fn closed(destroyed: &Destroyed) -> u64 {
    destroyed.by_peer + destroyed.poisoned + destroyed.not_reusable + destroyed.broken
}

#[test]
fn each_fault_has_its_end_and_the_next_request_its_answer() {
    for_each_runtime(|env| async move {
        for &(name, acts, expected, then) in GETS {
            let context = format!("{name}, {}", env.name);
            let server = Server::with(Manner::Plays(acts));
            let pool = pool_to(&env, &server);
            assert_comes(send(&pool, get()).await, expected, &context);
            let next = get_text(&pool, "/").await.expect(&context);
            assert_eq!(next, if then == Kept { "hi" } else { "GET /\n" }, "{context}");
            let metrics = at_rest(&pool).await;
            let opened = if then == Kept { 1 } else { 2 };
            assert_eq!(metrics.connections_created, opened, "{context}: {metrics:?}");
            assert_eq!(closed(&metrics.destroyed), opened - 1, "{context}: {metrics:?}");
            assert_balanced(&metrics);
        }
    });
}

/// More than two kernels take before anybody reads.
const MANY: usize = 24 << 20;

/// A POST of many bytes is sent to each, which reads no more than its head.
#[rustfmt::skip]
const UPLOADS: &[(&str, &[Act], Comes)] = &[
    ("an early answer", &[ReadHead, Send(TOO_LARGE), Gate], Answer(413, "no")),
    ("an early answer before a close", &[ReadHead, Send(TOO_LARGE), Pause(20)], Answer(413, "no")),
    ("an early answer and a half-close",
        &[ReadHead, Send(TOO_LARGE), HalfClose, Gate], Answer(413, "no")),
    ("an early answer without a length",
        &[ReadHead, Send(b"HTTP/1.1 413 No\r\n\r\nno"), HalfClose, Gate], Answer(413, "no")),
    ("half-close without an answer",
        &[ReadHead, HalfClose, Gate], Fails(ErrorKind::Reset, Phase::Write)),
    ("reset without an answer", &[ReadHead, Reset], Fails(ErrorKind::Reset, Phase::Write)),
    ("garbage", &[ReadHead, Send(b"SSH-2.0-x\r\n"), Gate],
        Fails(ErrorKind::Protocol, Phase::Write)),
    ("interim responses without end",
        &[ReadHead, Repeat(b"HTTP/1.1 102 P\r\n\r\n")], Fails(ErrorKind::Protocol, Phase::Write)),
];

#[test]
fn a_long_upload_ends_with_what_its_server_says_or_does() {
    for_each_runtime(|env| async move {
        for &(name, acts, expected) in UPLOADS {
            let context = format!("{name}, {}", env.name);
            let server = Server::with(Manner::Plays(acts));
            let pool = pool_to(&env, &server);
            assert_comes(send(&pool, post(MANY)).await, expected, &context);
            assert_eq!(get_text(&pool, "/").await.expect(&context), "GET /\n", "{context}");
            let metrics = at_rest(&pool).await;
            assert_eq!(metrics.connections_created, 2, "{context}: {metrics:?}");
            assert_eq!(server.counts().requests, 2, "{context}: it is sent once");
            assert_balanced(&metrics);
        }
    });
}

#[test]
fn a_server_that_reads_nothing_before_it_has_written_all_is_read() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 25165824\r\n\r\n";
    for_each_runtime(|env| async move {
        let server = Server::with(Manner::Plays(&[ReadHead, Send(HEAD), Fill(MANY), Listen]));
        let pool = pool_to(&env, &server);
        let (status, text) = send(&pool, post(MANY)).await.expect("an answer");
        assert_eq!((status, text.len()), (200, MANY), "{}", env.name);
        assert_balanced(&pool.metrics());
        assert_eq!(pool.metrics().idle_connections, 0, "the request was not sent whole");
    });
}

#[test]
fn bytes_that_come_while_a_connection_is_idle_meet_no_request() {
    const LATE: &[u8] = b"HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nlate";
    for_each_runtime(|env| async move {
        let server = Server::with(Manner::Plays(&[Read, Send(HI), Gate, Send(LATE), Listen]));
        let pool = pool_to(&env, &server);
        assert_eq!(get_text(&pool, "/").await.unwrap(), "hi");
        server.open_gate();
        server.until(|counts| counts.acts == 4).await;
        assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n", "{}", env.name);
        let metrics = pool.metrics();
        assert_eq!(
            (metrics.destroyed.poisoned, metrics.connections_created),
            (1, 2),
            "{metrics:?}"
        );
        assert_balanced(&metrics);
    });
}

/// A response, long enough to leave most of itself in the kernel, and another one right behind it.
fn glued(length: usize) -> &'static [u8] {
    let mut text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    text += &"x".repeat(length);
    text += "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    text.leak().as_bytes()
}

#[test]
fn a_second_answer_glued_to_the_first_is_not_that_of_the_request_in_line() {
    for length in [2, 20_000, 60_000] {
        let acts: &'static [Act] = vec![Read, Gate, Send(glued(length)), Listen].leak();
        for_each_runtime(move |env| async move {
            let server = Server::with(Manner::Plays(acts));
            let pool = pool_to(&env, &server);
            let first = get_text(&pool, "/1");
            let second = async {
                server.until(|counts| counts.waiting == 1).await;
                get_text(&pool, "/2").await
            };
            let opens = async {
                server.until(|counts| counts.waiting == 1).await;
                while pool.metrics().waiting == 0 {
                    futures_lite::future::yield_now().await;
                }
                server.open_gate();
            };
            let both = futures_lite::future::zip(first, second);
            let ((first, second), ()) = futures_lite::future::zip(both, opens).await;
            assert_eq!(first.unwrap().len(), length);
            assert_eq!(second.unwrap(), "GET /2\n", "{length}, {}", env.name);
            let metrics = at_rest(&pool).await;
            assert_eq!(metrics.connections_created, 2, "{metrics:?}");
            let destroyed = &metrics.destroyed;
            assert_eq!(destroyed.not_reusable + destroyed.poisoned, 1, "{destroyed:?}");
            assert_balanced(&metrics);
        });
    }
}

#[test]
fn a_server_that_is_too_slow_ends_at_the_time_of_the_step() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow";
    type Limit = fn(Builder, Duration) -> Builder;
    let rows: [(&[Act], usize, Phase, Limit); 4] = [
        (&[Read, Listen], 0, Phase::Response, |b, time| b.response_head_timeout(time)),
        (&[Read, Trickle(b"HTTP/1.1 200 OK\r\nA"), Listen], 0, Phase::Response, |b, time| {
            b.response_head_timeout(time)
        }),
        (&[Read, Send(HEAD), Listen], 0, Phase::Body, |b, time| b.body_read_timeout(time)),
        // It neither answers nor reads, and both kernels are full.
        (&[ReadHead, Gate], MANY, Phase::Write, |b, time| b.write_timeout(time)),
    ];
    for (acts, upload, phase, limit) in rows {
        for_each_runtime(move |env| async move {
            let server = Server::with(Manner::Plays(acts));
            let builder = env.builder().server(parse(&server.url("")));
            let pool = limit(builder, Duration::from_millis(50)).build().unwrap();
            let request = if upload > 0 { post(upload) } else { get() };
            let error = send(&pool, request).await.expect_err("it is too slow");
            let seen = (error.kind(), error.phase());
            assert_eq!(seen, (ErrorKind::Timeout, Some(phase)), "{}: {error:?}", env.name);
            assert_eq!(closed(&pool.metrics().destroyed), 1);
            assert_balanced(&pool.metrics());
        });
    }
}

#[test]
fn a_body_without_end_can_be_left_at_any_time_and_ends_with_the_request_s() {
    for_each_runtime(|env| async move {
        let acts = &[Read, Send(b"HTTP/1.1 200 OK\r\n\r\n"), Repeat(&[b'x'; 1000])];
        let server = Server::with(Manner::Plays(acts));
        let pool = pool_to(&env, &server);
        let mut body = pool.get("/").await.unwrap().into_body();
        for _ in 0..3 {
            let frame = next(&mut body).await.expect("more").unwrap();
            assert!(frame.into_data().is_ok_and(|data| data.starts_with(b"x")));
        }
        drop(body);
        assert_eq!(pool.metrics().idle_connections, 0, "its rest is too long to be read");
        server.until(|counts| counts.open == 0).await;

        let server = Server::with(Manner::Plays(acts));
        let builder = env.builder().server(parse(&server.url("")));
        let pool = builder.request_timeout(Some(Duration::from_secs(1))).build().unwrap();
        let mut body = pool.get("/").await.unwrap().into_body();
        let error = loop {
            match next(&mut body).await.expect("it has no end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let seen = (error.kind(), error.phase());
        assert_eq!(seen, (ErrorKind::Timeout, Some(Phase::Body)), "{}", env.name);
        drop(body);
        assert_balanced(&pool.metrics());
    });
}

async fn next(body: &mut Body) -> Option<Result<http_body::Frame<bytes::Bytes>, Error>> {
    let mut body = std::pin::Pin::new(body);
    std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await
}
