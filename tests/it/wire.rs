//! Answers as bytes: what each comes to, and whether its connection may be used again. Every rule
//! of the decoder once, over real sockets, under every runtime.

use evenkeel::{Body, Error, ErrorKind, Phase, Pool};
use http::{Method, Request};

use crate::support::run::Env;
use crate::support::{
    Manner, Server, assert_balanced, block_on, builder_of, for_each_runtime, parse,
};

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
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

async fn exchange(pool: &Pool, method: &Method) -> Result<(u16, String), Error> {
    let request = Request::builder().method(method).uri("/").body(Body::empty());
    let response = pool.send(request.expect("a valid request")).await?;
    Ok((response.status().as_u16(), response.into_body().text().await?))
}

async fn comes(env: &Env, manner: Manner, method: &Method, expected: Comes) {
    let server = Server::with(manner);
    let pool = env.builder().server(parse(&server.url(""))).build().expect("a valid pool");
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
    ("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("HTTP/2 200\r\nContent-Length: 2\r\n\r\nhi", Refused),
    ("<html>hi</html>", Refused),
    ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Refused),
    // Interim responses.
    ("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Kept(200, "hi")),
    ("HTTP/1.1 102 P\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Closed(200, "hi")),
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

#[test]
fn each_answer_comes_to_what_it_must_and_keeps_its_connection_only_if_it_may() {
    for_each_runtime(|env| async move {
        for (bytes, expected) in KEPT_OPEN {
            comes(&env, Manner::Says(bytes.as_bytes()), &Method::GET, *expected).await;
        }
        for (bytes, expected) in CLOSED {
            comes(&env, Manner::SaysAndCloses(bytes.as_bytes()), &Method::GET, *expected).await;
        }
    });
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_fields_say() {
    for_each_runtime(|env| async move {
        let rows: [(&str, Comes); 4] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Kept(200, "")),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Kept(200, "")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Closed(200, "")),
            ("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", Closed(200, "")),
        ];
        for (bytes, expected) in rows {
            comes(&env, Manner::Says(bytes.as_bytes()), &Method::HEAD, expected).await;
        }
    });
}

/// A head of so many fields, and of so many bytes.
fn head(fields: usize, bytes: usize) -> &'static [u8] {
    let mut text = "HTTP/1.1 204 No Content\r\n".to_owned();
    for number in 1..fields {
        text += &format!("x-{number}: y\r\n");
    }
    text += "x-last: ";
    let filler = bytes.saturating_sub(text.len() + 4);
    text += &"z".repeat(filler);
    text += "\r\n\r\n";
    text.leak().as_bytes()
}

#[test]
fn a_head_at_the_limits_is_accepted_and_one_over_refused() {
    block_on(|| async {
        for (fields, bytes, accepted) in [(150, 5000, true), (151, 5000, false), (150, 5001, false)]
        {
            let server = Server::with(Manner::Says(head(fields, bytes)));
            let builder = builder_of(&[&server]).max_head_size(5000).max_headers(150);
            let pool = builder.build().unwrap();
            match pool.get("/").await {
                Ok(response) => assert_eq!((response.headers().len(), accepted), (fields, true)),
                Err(error) => {
                    assert_eq!((error.kind(), accepted), (ErrorKind::Protocol, false), "{error}");
                }
            }
        }
    });
}

#[test]
fn a_target_is_sent_as_a_url_to_a_proxy_and_leads_anywhere() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).build().unwrap();
        let to = |url: &str| {
            let mut request = Request::get(url).body(Body::empty()).unwrap();
            request.extensions_mut().insert(evenkeel::Select::new().absolute_form());
            request
        };
        for (url, target, host) in [
            ("http://far.example:81/x?y=z", "http://far.example:81/x?y=z", "far.example:81"),
            ("http://far.example", "http://far.example/", "far.example"),
            ("/own", &format!("http://{}/own", server.addr()), &server.addr().to_string()),
        ] {
            let response = pool.send(to(url)).await.unwrap();
            assert_eq!(response.headers()["x-host"], host);
            let text = response.into_body().text().await.unwrap();
            assert_eq!(text, format!("GET {target}\n"));
        }
        for bad in ["https://far.example/", "http://me:secret@far.example/", "far.example"] {
            let error = pool.send(to(bad)).await.expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Request, "{bad}: {error}");
            assert!(!error.to_string().contains("secret"));
            assert_eq!(error.into_request().expect("nothing was sent").uri(), bad);
        }
        assert_eq!(server.counts().requests, 3);
    });
}

#[test]
fn a_request_that_could_not_be_sent_comes_back() {
    block_on(|| async {
        let (held, addr) = crate::support::server::hold_port();
        let pool = Pool::builder()
            .health_check(evenkeel::HealthCheck::off())
            .server(parse(&format!("http://{addr}")))
            .build()
            .unwrap();
        let mut body = Body::from("hello");
        let request = Request::post("/jobs").header("x-a", "b").body(&mut body).unwrap();
        let error = pool.send(request).await.expect_err("nobody listens");
        assert!(error.is_connect() && !error.reused());
        let again = error.into_request().expect("nothing was sent");
        assert_eq!(
            (again.method(), &again.headers()["x-a"]),
            (&Method::POST, &"b".parse().unwrap())
        );
        drop(held);

        let server = Server::start();
        let id = pool.add_server(parse(&server.url(""))).unwrap();
        let mut again = again.map(|()| body);
        again.extensions_mut().insert(evenkeel::Select::new().server(id));
        let text = pool.send(again).await.unwrap().into_body().text().await.unwrap();
        assert_eq!(text, "POST /jobs\nhello");
    });
}

#[test]
fn a_checkout_that_cannot_send_gives_the_request_back() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).build().unwrap();
        let mut checkout = pool.checkout(evenkeel::Select::new()).await.unwrap();
        let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        checkout.send(request("/close/1")).await.unwrap().into_body().bytes().await.unwrap();
        let error = checkout.send(request("/next")).await.map(drop).expect_err("it is closed");
        assert_eq!(error.into_request().expect("nothing was sent").uri(), "/next");
        let mut fresh = pool.checkout(evenkeel::Select::new()).await.unwrap();
        let error = fresh.send(request("http://far/")).await.map(drop).expect_err("a stranger");
        assert_eq!(error.into_request().expect("nothing was sent").uri(), "http://far/");
        let error = fresh.send(request("/drop")).await.map(drop).expect_err("it drops it");
        assert!(error.into_request().is_none(), "it may have been acted on");
    });
}
