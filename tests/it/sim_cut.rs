//! Goal: a request of which a byte was taken is not sent again, unless it may be repeated. Method:
//! connections that take so many bytes of a request, for each number of them, and then break.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Body, BoxFuture, Connector, ErrorKind, HealthCheck, Liveness, Pool, Target, Transport,
};
use futures_lite::io::{AsyncRead, AsyncWrite};
use http::{Method, Request};

use crate::support::sim::{MS, info};
use crate::support::{assert_balanced, parse};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What all connections have in common.
#[derive(Default)]
struct World {
    /// How many bytes of the next request are taken, less one; then its connection breaks. Zero:
    /// there is nothing of the kind.
    cut: AtomicUsize,
    /// How many requests were begun, by at least a byte, and how many came whole.
    begun: AtomicUsize,
    whole: AtomicUsize,
}

/// Connections of one world.
struct Cutting(Arc<World>);

impl Connector for Cutting {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let world = self.0.clone();
        let wire = Wire { world, input: Vec::new(), answers: 0, left: None };
        Box::pin(async { Ok(Box::new(wire) as Box<dyn Transport>) })
    }
}

/// A connection whose server answers each whole request at once.
struct Wire {
    world: Arc<World>,
    input: Vec<u8>,
    /// Answers that were not read yet.
    answers: usize,
    /// It breaks when it has taken so many bytes more.
    left: Option<usize>,
}

impl Wire {
    fn take(&mut self, bytes: &[u8]) {
        if self.input.is_empty() && !bytes.is_empty() {
            self.world.begun.fetch_add(1, Ordering::Relaxed);
        }
        self.input.extend_from_slice(bytes);
        let Some(head) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else {
            return;
        };
        let text = String::from_utf8(self.input[..head].to_vec()).expect("heads are text");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        if self.input.len() == head + 4 + length {
            self.world.whole.fetch_add(1, Ordering::Relaxed);
            self.input.clear();
            self.answers += usize::from(self.left != Some(0));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.answers > 0 {
            self.answers -= 1;
            buf[..ANSWER.len()].copy_from_slice(ANSWER);
            return Poll::Ready(Ok(ANSWER.len()));
        }
        match self.left {
            Some(0) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            _ => Poll::Pending,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(cut) = self.world.cut.swap(0, Ordering::Relaxed).checked_sub(1) {
            self.left = Some(cut);
        }
        let n = self.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.left = self.left.map(|left| left - n);
        self.take(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Wire {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Alive
    }

    fn abort(&mut self) {}
}

/// What became of a request that was cut after so many bytes.
struct Outcome {
    /// How often it was tried, or the error.
    result: Result<u32, evenkeel::Error>,
    /// On how many connections it was begun.
    begun: usize,
    whole: usize,
}

/// Sends a request whose first connection, warm or new, breaks after so many bytes of it.
fn cut(make: impl Fn() -> Request<Body>, warm: bool, after: usize) -> Outcome {
    let (sim, world) = (Sim::new(), Arc::<World>::default());
    let wires = Cutting(world.clone());
    let runtime = sim.runtime().wrap_connector(move |_: Arc<dyn Connector>| wires);
    let pool = Pool::builder()
        .runtime(runtime)
        .server(parse("http://10.0.0.1"))
        .health_check(HealthCheck::off())
        .build()
        .expect("a valid pool");
    sim.block_on(async {
        if warm {
            pool.get("/").await.expect("nothing is cut yet");
        }
        world.cut.store(after + 1, Ordering::Relaxed);
        let count = |of: &AtomicUsize| of.swap(0, Ordering::Relaxed);
        let _ = (count(&world.begun), count(&world.whole));
        let result = pool.send(make()).await.map(|response| info(&response).attempts);
        sim.sleep(MS).await;
        assert_balanced(&pool.metrics());
        Outcome { result, begun: count(&world.begun), whole: count(&world.whole) }
    })
}

fn request(method: Method, body: &Body) -> Request<Body> {
    let body = body.try_clone().expect("it is made of bytes");
    Request::builder().method(method).uri("/jobs").body(body).expect("a valid request")
}

/// The length of a POST on the wire: when so much of it is taken, it has come whole.
fn length_of_post(body: &Body) -> usize {
    let post = || request(Method::POST, body);
    (1..).find(|&at| cut(post, true, at).whole > 0).expect("it has an end")
}

#[test]
fn a_post_that_is_cut_at_any_byte_is_sent_again_only_if_that_was_the_first() {
    for body in [Body::empty(), Body::from("text")] {
        let whole = length_of_post(&body);
        assert!(whole > 50, "{whole}");
        for warm in [true, false] {
            for at in 0..=whole {
                let outcome = cut(|| request(Method::POST, &body), warm, at);
                let name = format!("{body:?}, warm: {warm}, cut at {at} of {whole}");
                if at == 0 {
                    assert_eq!(outcome.result.expect("it is safe"), 2, "{name}");
                    assert_eq!((outcome.begun, outcome.whole), (1, 1), "{name}");
                    continue;
                }
                let error = outcome.result.expect_err("it may have been carried out");
                assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{name}");
                assert!(!error.is_retry_safe() && error.into_request().is_none(), "{name}");
                assert_eq!((outcome.begun, outcome.whole), (1, usize::from(at == whole)), "{name}");
            }
        }
    }
}

#[test]
fn a_put_that_is_cut_at_any_byte_is_sent_again_whole_if_its_connection_was_stale() {
    let body = Body::from("text");
    let whole = length_of_post(&body) - "POST".len() + "PUT".len();
    for at in 0..=whole {
        let outcome = cut(|| request(Method::PUT, &body), true, at);
        assert_eq!(outcome.result.expect("it may be repeated"), 2, "cut at {at}");
        assert_eq!(outcome.begun, 1 + usize::from(at > 0), "cut at {at}");
        assert_eq!(outcome.whole, 1 + usize::from(at == whole), "cut at {at}");
        // On a new connection, that is the server's answer.
        let outcome = cut(|| request(Method::PUT, &body), false, at);
        assert_eq!(outcome.result.is_ok(), at == 0, "cut at {at}");
    }
}

#[test]
fn a_body_larger_than_a_buffer_is_sent_again_from_where_it_is() {
    let body = Body::from(vec![b'x'; 100_000]);
    for at in [0, 1, 100, 16_384, 50_000, 100_000] {
        let outcome = cut(|| request(Method::PUT, &body), true, at);
        assert_eq!(outcome.result.expect("it may be repeated"), 2, "cut at {at}");
        assert_eq!(outcome.whole, 1, "cut at {at}");
    }
}
