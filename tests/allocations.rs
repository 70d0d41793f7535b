//! What the ways through the pool allocate on the heap. The counts are exact: one more should not
//! come about unnoticed, nor one less.
//!
//! The connections are in memory, so that nothing runs but the pool, and all on one thread.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use allocation_counter::measure;
use evenkeel::{
    Body, BoxFuture, Connector, Liveness, Pool, Resolve, Resolved, Runtime, Select, Server, Sleep,
    Target, Timer, Transport,
};
use futures_lite::{AsyncRead, AsyncWrite};
use http::{Request, Uri};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello";

/// More than the pins after which epochs are turned, and than a ring of anything might hold.
const CYCLES: usize = 1000;

#[test]
fn a_checkout_and_check_in_of_an_idle_connection_allocate_nothing() {
    let pool = pool();
    let select = Select::new();
    let cycle = || {
        drop(at_once(pool.checkout(select.clone())).unwrap());
        drop(pool.try_checkout(&select).unwrap());
    };
    // The first one dials, and each thread's first look registers it with the epochs.
    cycle();
    let allocated = measure(|| (0..CYCLES).for_each(|_| cycle()));
    assert_eq!(allocated.count_total, 0);
}

/// The head's bytes, and two of `http`'s map of them; the body's bytes; and three of `http`'s for
/// the `ResponseInfo` in the response's extensions.
#[test]
fn a_get_allocates_seven_times() {
    let pool = pool();
    let get = || {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/hello");
        let response = at_once(pool.send(request)).unwrap();
        let bytes = at_once(response.into_body().bytes()).unwrap();
        assert_eq!(bytes, "hello");
    };
    get();
    let allocated = measure(|| (0..CYCLES).for_each(|_| get()));
    assert_eq!(allocated.count_total, 7 * CYCLES as u64);
    assert_eq!(pool.metrics().connections_created, 1);
}

fn pool() -> Pool {
    Pool::builder()
        .runtime(Runtime::custom(Still(start()), Memory::default(), Memory::default()))
        .server(Server::new("http://127.0.0.1").expect("a valid URL"))
        .build()
        .expect("a valid pool")
}

/// The future's value: nothing here waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[expect(clippy::disallowed_methods, reason = "any moment will do")]
fn start() -> Instant {
    Instant::now()
}

/// A clock that stands still.
struct Still(Instant);

impl Timer for Still {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    fn now(&self) -> Instant {
        self.0
    }
}

struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}

/// A network whose servers answer each write at once.
#[derive(Clone, Default)]
struct Memory {
    /// A request has come that was not answered yet.
    asked: bool,
}

impl Connector for Memory {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(Self::default()) as Box<dyn Transport>) })
    }
}

impl Resolve for Memory {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Box::pin(async move { Ok(vec![addr].into()) })
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !std::mem::take(&mut self.asked) {
            return Poll::Pending;
        }
        buf[..RESPONSE.len()].copy_from_slice(RESPONSE);
        Poll::Ready(Ok(RESPONSE.len()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Memory {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Alive
    }

    fn abort(&mut self) {}
}
