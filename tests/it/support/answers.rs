//! Answers as bytes: what each comes to, and whether its connection may be used again. Every rule
//! of the decoder once.

use evenkeel::{Body, Builder, Error, ErrorKind, Phase, Pool};
use http::{Method, Request};

use super::run::Env;
use super::{Manner, Server, assert_balanced};

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comes {
    /// A status and a body; the connection is used again.
    Kept(u16, &'static str),
    /// The same, and the connection is closed.
    Closed(u16, &'static str),
    /// The head is refused.
    Refused,
    /// The body is refused, behind a head that is not.
    Broken,
    /// The connection ends before the body does.
    Short,
}

use Comes::{Broken, Closed, Kept, Refused, Short};

pub(crate) async fn exchange(pool: &Pool, method: &Method) -> Result<(u16, String), Error> {
    let request = Request::builder().method(method).uri("/").body(Body::empty());
    let response = pool.send(request.expect("a valid request")).await?;
    Ok((response.status().as_u16(), response.into_body().text().await?))
}

/// A way to a server: a builder with it, and what must be there meanwhile.
pub(crate) type Way<G> = fn(&Env, Server) -> (Builder, G);

async fn comes<G>(env: &Env, way: Way<G>, manner: Manner, method: &Method, expected: Comes) {
    let (builder, _guard) = way(env, Server::with(manner));
    let pool = builder.build().expect("a valid pool");
    for round in 1..=2 {
        let outcome = exchange(&pool, method).await;
        let context = format!("{}: {manner:?}: {outcome:?}", env.name);
        match (expected, outcome) {
            (Kept(status, text) | Closed(status, text), Ok((found, body))) => {
                assert_eq!((found, body.as_str()), (status, text), "{context}");
            }
            (Refused, Err(error)) => {
                let seen = (error.kind(), error.phase());
                assert_eq!(seen, (ErrorKind::Protocol, Some(Phase::Response)), "{context}");
                assert!(!error.is_retry_safe(), "{context}");
            }
            (Broken, Err(error)) => {
                let seen = (error.kind(), error.phase());
                assert_eq!(seen, (ErrorKind::Protocol, Some(Phase::Body)), "{context}");
            }
            (Short, Err(error)) => {
                let seen = (error.kind(), error.phase());
                assert_eq!(seen, (ErrorKind::Reset, Some(Phase::Body)), "{context}");
            }
            _ => panic!("not {expected:?}: {context}"),
        }
        let kept = matches!(expected, Kept(..));
        let metrics = pool.metrics();
        assert_eq!(metrics.connections_created, if kept { 1 } else { round }, "{context}");
        assert_eq!(metrics.idle_connections, u64::from(kept), "{context}");
        assert_balanced(&metrics);
    }
}

/// Answers to a GET, over a connection that the server keeps open.
#[rustfmt::skip]
const KEPT_OPEN: &[(&str, Comes)] = &[
    // Where a body ends.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Kept(200, "")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", Kept(200, "hi")),
    ("HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", Kept(204, "")),
    ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", Kept(204, "")),
    ("HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n", Kept(304, "")),
    // Some take this for another coding.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n\
      2\r\nhi\r\n0\r\n\r\n", Closed(200, "hi")),
    // Said twice.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
      0\r\n\r\n", Closed(200, "")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n", Closed(204, "")),
    ("HTTP/1.1 204 No\r\nTransfer-Encoding: c,,k\r\n\r\n", Closed(204, "")),
    ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked,\r\n\r\n", Closed(304, "")),
    // Lengths that are none.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nhi!", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhi", Refused),
    // Codings other than one `chunked` never fall back to a length.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n\
      0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", Kept(200, "")),
    // Chunks.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
      2;a=\"b\"\r\nhi\r\n0\r\nx: y\r\n\r\n", Kept(200, "hi")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\0\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
      10000000000000002\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\x7f\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\nhi\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: \x01\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: a\rb\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n z\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: \0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx : y\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\n\r\n", Broken),
    // Heads.
    ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", Closed(200, "hi")),
    ("HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nA: \x7f\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\nA\0: b\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1200 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("hi", Refused),
    ("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/2 200\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("<html>hi</html>", Refused),
    ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    // Interim responses.
    ("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("HTTP/1.1 102 P\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.1 103 E\r\nConnection: close\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.1 199 ?\r\nContent-Length: 9\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", Refused),
    // Bytes that are left over.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", Closed(200, "hi")),
    ("HTTP/1.1 204 No\r\n\r\n\r\n", Closed(204, "")),
    // The connection's own options.
    ("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: CLOSE\r\nContent-Length: 2\r\n\r\n\
      hi", Closed(200, "hi")),
    ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("HTTP/1.0 204 No\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n\
      ", Closed(204, "")),
    // An upgrade that was not asked for is none.
    ("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n\
      hi", Kept(200, "hi")),
];

/// Answers to a GET, behind which the server closes.
const CLOSED: &[(&str, Comes)] = &[
    ("HTTP/1.1 200 OK\r\n\r\nup to the end", Closed(200, "up to the end")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", Short),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", Short),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nh", Short),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n", Short),
];

/// Answers to a HEAD, over a connection that the server keeps open.
const TO_HEAD: &[(&str, Comes)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Kept(200, "")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Kept(200, "")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Closed(200, "")),
    ("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", Closed(200, "")),
];

/// Each answer comes to what it must, and keeps its connection only if it may.
pub(crate) async fn assert_answers<G>(env: &Env, way: Way<G>) {
    for (bytes, expected) in KEPT_OPEN {
        comes(env, way, Manner::Says(bytes.as_bytes()), &Method::GET, *expected).await;
    }
    for (bytes, expected) in CLOSED {
        comes(env, way, Manner::SaysAndCloses(bytes.as_bytes()), &Method::GET, *expected).await;
    }
}

/// An answer to HEAD has no body, whatever its fields say.
pub(crate) async fn assert_answers_to_head<G>(env: &Env, way: Way<G>) {
    for (bytes, expected) in TO_HEAD {
        comes(env, way, Manner::Says(bytes.as_bytes()), &Method::HEAD, *expected).await;
    }
}
