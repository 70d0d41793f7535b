//! What a caller may ask for, and what not: whatever it is, the server reads one request, or none.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::{Body, Error, ErrorKind};
use http::{Method, Request};
use http_body::Frame;

use crate::support::{
    Server, assert_balanced, at_rest, block_on, for_each_runtime, get_text, parse, pool_of,
};

/// A body of pieces that does not know its length, or says nothing of it.
struct Pieces(Vec<&'static [u8]>);

impl Pieces {
    fn new(pieces: &[&'static [u8]]) -> Self {
        Self(pieces.iter().rev().copied().collect())
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

const EVIL: &[u8] = b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n";

#[test]
fn a_body_that_is_not_of_its_stated_length_ends_its_connection_and_smuggles_nothing() {
    // The pieces, and whether they are what the length says.
    let rows: [(&[&[u8]], bool); 7] = [
        (&[b"hello"], true),
        (&[b"he", b"", b"llo"], true),
        (&[b"hell"], false),
        (&[], false),
        (&[b"hello, "], false),
        (&[b"hello", EVIL], false),
        (&[b"hello, ", EVIL], false),
    ];
    for_each_runtime(move |env| async move {
        for (pieces, is_whole) in rows {
            let server = Server::start();
            let builder = env.builder().server(parse(&server.url("")));
            let pool = builder.request_timeout(Some(Duration::from_secs(60))).build().unwrap();
            let request = Request::post("/jobs").header("content-length", "5");
            let outcome = pool.send(request.body(Pieces::new(pieces)).unwrap()).await;
            let context = format!("{pieces:?}, {}: {outcome:?}", env.name);
            assert_eq!(outcome.is_ok(), is_whole, "{context}");
            match outcome {
                Ok(response) => {
                    assert_eq!(response.into_body().text().await.unwrap(), "POST /jobs\nhello");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Body, "{context}"),
            }
            assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n", "{context}");
            let metrics = at_rest(&pool).await;
            assert_balanced(&metrics);
            // What was refused before a byte was sent leaves the connection as it was.
            assert!(metrics.idle_connections == 1, "{context}: {metrics:?}");
            pool.shutdown(Duration::from_secs(10)).await;
            server.until(|counts| counts.open == 0).await;
            // The GET, and the POST if it came whole before its body went on.
            assert!(server.counts().requests <= 2, "{context}");
        }
    });
}

#[test]
fn fields_that_contradict_the_body_or_the_connection_are_refused_unsent() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let rows = [
            ("content-length", "4"),
            ("content-length", "6"),
            ("content-length", "+5"),
            ("content-length", "5, 6"),
            ("content-length", ""),
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "gzip, chunked"),
            ("upgrade", "h2c"),
            ("host", "me@elsewhere"),
            ("te", "trailers"),
            ("connection", "content-length"),
        ];
        for (name, value) in rows {
            let request = Request::post("/").header(name, value).body(Body::from("hello"));
            let error = pool.send(request.unwrap()).await.map(drop).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Request, "{name}: {value}: {error:?}");
            assert!(error.is_usage() && error.is_retry_safe(), "{name}: {value}");
            let again = error.into_request().expect("nothing was sent");
            assert_eq!(again.headers()[name], value);
        }
        assert_eq!(server.counts().requests, 0);
        assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n");
        // None of them has cost a connection.
        assert_eq!(pool.metrics().connections_created, 1);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn fields_that_agree_with_the_body_and_each_other_are_sent() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for fields in [
            &[("content-length", "5")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("transfer-encoding", "chunked")],
            &[("trailer", "x-sum")],
            &[("te", "trailers"), ("connection", "TE")],
        ] {
            let request = fields
                .iter()
                .fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
            let response = pool.send(request.body(Body::from("hello")).unwrap()).await.unwrap();
            assert_eq!(response.into_body().text().await.unwrap(), "POST /\nhello", "{fields:?}");
        }
        assert_eq!(pool.metrics().connections_created, 1);
    });
}

async fn ask(pool: &evenkeel::Pool, method: Method, target: &str) -> Result<String, Error> {
    let request = Request::builder().method(method).uri(target).body(Body::empty());
    pool.send(request.expect("a valid request")).await?.into_body().text().await
}

#[test]
fn a_target_may_be_the_server_as_a_whole_for_options_alone() {
    block_on(|| async {
        let server = Server::start();
        // The base path is of no account to it.
        let base = format!("{}/base", server.url(""));
        let pool = evenkeel::Pool::builder().server(parse(&base)).build().unwrap();
        assert_eq!(ask(&pool, Method::OPTIONS, "*").await.unwrap(), "OPTIONS *\n");
        assert_eq!(ask(&pool, Method::OPTIONS, "/x").await.unwrap(), "OPTIONS /base/x\n");
        for method in [Method::GET, Method::POST, Method::TRACE] {
            let error = ask(&pool, method, "*").await.expect_err("it names no resource");
            assert_eq!(error.kind(), ErrorKind::Request, "{error:?}");
        }
        assert_eq!(server.counts().requests, 2);
        assert_balanced(&pool.metrics());
    });
}
