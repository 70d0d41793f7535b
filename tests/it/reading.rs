//! Ways to read a body: up to a bound, into a writer, as JSON.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use evenkeel::{Body, Error, ErrorKind, Pool, Select};
use futures_lite::AsyncWrite;
use http::Request;

use crate::support::{Server, assert_balanced, block_on, pool_of};

async fn body(pool: &Pool, path: &str) -> Body {
    pool.get(path).await.expect("an answer").into_body()
}

/// What the server says when it is asked by POST.
async fn echo(pool: &Pool, body: Body) -> Body {
    let request = Request::post("/").body(body).expect("a request");
    pool.send(request).await.expect("an answer").into_body()
}

#[track_caller]
fn assert_refused(outcome: Result<impl Sized, Error>, words: &str) {
    let error = outcome.map(drop).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Body);
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_body_is_read_up_to_a_bound_however_its_length_is_told() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for path in ["/b/1000", "/c/1000", "/eof/1000"] {
            let bytes = body(&pool, path).await.bytes_up_to(1000).await.expect("just fits");
            assert_eq!(bytes.len(), 1000, "{path}");
            let outcome = body(&pool, path).await.bytes_up_to(999).await;
            assert_refused(outcome, "longer than 999 bytes");
        }
        assert_eq!(Body::empty().bytes_up_to(0).await.expect("fits").len(), 0);
        assert_refused(Body::from("a").bytes_up_to(0).await, "longer than 0 bytes");

        let mut held = pool.checkout(Select::new()).await.expect("one");
        let request = || Request::get("/b/10").body(Body::empty()).expect("a request");
        let outcome = held.send(request()).await.expect("an answer").into_body();
        assert_refused(outcome.bytes_up_to(9).await, "longer than 9 bytes");
        // The rest had come already: the connection is as good as before.
        let answer = held.send(request()).await.expect("an answer").into_body();
        assert_eq!(answer.bytes_up_to(10).await.expect("just fits").len(), 10);
        drop(held);
        assert_balanced(&pool.metrics());
    });
}

/// Takes so many bytes, three at a time, and then fails.
struct Full {
    room: usize,
    is_flushed: bool,
}

impl AsyncWrite for Full {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(3).min(self.room);
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        self.room -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_body_is_copied_into_a_writer_whose_failure_is_the_source() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        for path in ["/b/100", "/t/100"] {
            let mut writer = Full { room: 100, is_flushed: false };
            let length = body(&pool, path).await.copy_to(&mut writer).await.expect("all of it");
            assert_eq!((length, writer.room, writer.is_flushed), (100, 0, true), "{path}");
            let outcome =
                body(&pool, path).await.copy_to(Full { room: 99, is_flushed: false }).await;
            let error = outcome.expect_err("no room");
            assert_eq!(error.kind(), ErrorKind::Body);
            let source = std::error::Error::source(&error).expect("the writer's");
            let source = source.downcast_ref::<io::Error>().expect("an I/O error");
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn json_goes_out_and_comes_back_and_an_error_says_where_it_ends() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let sums = Body::from_json(&vec![1, 2, 3]).expect("numbers");
        // The server's echo begins with a line of its own.
        let text = echo(&pool, sums).await.text().await.expect("text");
        let back: Vec<u8> = Body::from(text.lines().last().expect("a line").to_owned())
            .json()
            .await
            .expect("the same numbers");
        assert_eq!(back, [1, 2, 3]);

        let outcome = echo(&pool, Body::empty()).await.json::<Vec<u8>>().await;
        assert_refused(outcome, "line 1, column 1");
        let secret = Body::from("\"hunter2\"").json::<u8>().await;
        assert!(!secret.as_ref().expect_err("no number").to_string().contains("hunter2"));
        let keyed = std::collections::BTreeMap::from([((), 1)]);
        assert_refused(Body::from_json(&keyed), "cannot be JSON");
    });
}
