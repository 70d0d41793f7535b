//! The scripted clock and body, and a world made of them and of a scripted transport.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame};

pub(super) use super::wire::{Read, Wire, Write};
use super::*;
use crate::rt::{BoxFuture, Connector, Resolve, Sleep, Target, Timer};
use crate::sync::{AtomicU64, AtomicUsize, Ordering, TaskCell};

/// A clock that the test turns, and what was asked of it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Milliseconds since the world began.
    now: AtomicU64,
    pub(super) sleeps: AtomicUsize,
    pub(super) resets: AtomicUsize,
    pub(super) polls: AtomicUsize,
    sleeper: TaskCell,
}

impl Clock {
    /// Moves the time and wakes who sleeps, as a timer would.
    pub(super) fn turn(&self, to: u64) {
        self.now.store(to, Ordering::Relaxed);
        self.sleeper.wake();
    }

    /// Sleeps made, resets, and polls of a sleep.
    pub(super) fn asked(&self) -> (usize, usize, usize) {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (get(&self.sleeps), get(&self.resets), get(&self.polls))
    }
}

#[derive(Clone)]
struct Hands(Arc<Clock>, Instant);

struct Nap(Hands, Instant);

impl Timer for Hands {
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.sleeps.fetch_add(1, Ordering::Relaxed);
        Box::pin(Nap(self.clone(), deadline))
    }

    fn now(&self) -> Instant {
        self.1 + Duration::from_millis(self.0.now.load(Ordering::Relaxed))
    }
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.0.polls.fetch_add(1, Ordering::Relaxed);
        if self.0.now() >= self.1 {
            return Poll::Ready(());
        }
        self.0.0.sleeper.register(cx.waker());
        Poll::Pending
    }
}

impl Sleep for Nap {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.0.resets.fetch_add(1, Ordering::Relaxed);
        self.1 = deadline;
    }
}

struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

impl Resolve for Nowhere {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<crate::rt::Resolved>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// A connection, and all that is around it.
pub(super) struct World {
    pub(super) conn: Conn,
    pub(super) signal: Arc<Signal>,
    pub(super) wire: Arc<Wire>,
    pub(super) clock: Arc<Clock>,
    pub(super) shared: Arc<ConnShared>,
    start: Instant,
}

impl Conn {
    /// An exchange whose body is not sent twice.
    pub(super) async fn request<B>(
        &mut self,
        head: &RequestHead<'_>,
        body: Pin<&mut B>,
        deadline: Option<Instant>,
        steps: Option<Box<Steps>>,
    ) -> Result<http::Response<()>, ExchangeError>
    where
        B: Body,
        B::Error: Into<crate::error::BoxError>,
    {
        self.exchange(head, &mut Upload::new(body), deadline, steps).await
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an `Instant` to count from has no other source")]
    pub(super) fn new() -> Self {
        let (wire, clock, start) =
            (Arc::new(Wire::default()), Arc::new(Clock::default()), Instant::now());
        let shared = Arc::new(ConnShared {
            proxy: None,
            names: Names::new(Default::default()),
            runtime: Runtime::custom(Hands(clock.clone(), start), Nowhere, Nowhere),
            buffers: Buffers::new(8),
            limits: HeadLimits::default(),
            steps: crate::config::Config::default().steps(),
        });
        let signal = Arc::<Signal>::default();
        let conn = Conn::new(wire.transport(), shared.clone(), signal.clone(), start);
        Self { signal, conn, wire, clock, shared, start }
    }

    /// A moment, in milliseconds since the world began.
    pub(super) fn at(&self, millis: u64) -> Option<Instant> {
        Some(self.start + Duration::from_millis(millis))
    }

    /// Sends a GET that must be answered without waiting.
    pub(super) fn get(&mut self) -> Result<http::Response<()>, ExchangeError> {
        let headers = HeaderMap::new();
        now(self.conn.request(&get(&headers), empty().as_mut(), None, None))
    }

    /// Sends a POST that must be answered without waiting.
    pub(super) fn post(&mut self, body: Script) -> Result<http::Response<()>, ExchangeError> {
        let headers = HeaderMap::new();
        now(self.conn.request(&post(&headers), Box::pin(body).as_mut(), None, None))
    }

    /// The same, and whether the body was asked.
    pub(super) fn post_and_tell(
        &mut self,
        body: Script,
    ) -> (Result<http::Response<()>, ExchangeError>, bool) {
        let (headers, mut body) = (HeaderMap::new(), Box::pin(body));
        let mut upload = Upload::new(body.as_mut());
        let result = now(self.conn.exchange(&post(&headers), &mut upload, None, None));
        (result, upload.is_taken())
    }

    /// Reads the body to its end, which must come without waiting.
    pub(super) fn read_body(&mut self) -> Result<Vec<u8>, ExchangeError> {
        let mut data = Vec::new();
        loop {
            match self.poll_frame() {
                Poll::Ready(Some(frame)) => {
                    data.extend(frame?.into_data().expect("no trailers here"));
                }
                Poll::Ready(None) => return Ok(data),
                Poll::Pending => panic!("the body has to wait"),
            }
        }
    }

    pub(super) fn poll_frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        self.conn.poll_frame(&Context::from_waker(Waker::noop()))
    }
}

fn head<'a>(method: &'a Method, headers: &'a HeaderMap) -> RequestHead<'a> {
    RequestHead { method, form: Form::Origin, base_path: "", path: "/", authority: "test", headers }
}

pub(super) fn get(headers: &HeaderMap) -> RequestHead<'_> {
    head(&Method::GET, headers)
}

pub(super) fn post(headers: &HeaderMap) -> RequestHead<'_> {
    head(&Method::POST, headers)
}

pub(super) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a future that does not have to wait.
pub(super) fn now<F: Future>(future: F) -> F::Output {
    match poll(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future has to wait"),
    }
}

/// What a caller's body does when it is asked for a frame.
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    Pending,
    Fail,
    /// The end, of which the body did not know before it was asked.
    End,
}

/// A caller's body that follows a script. It may not be asked again after its end.
pub(super) struct Script {
    pub(super) pieces: VecDeque<Piece>,
    pub(super) length: Option<u64>,
    ended: bool,
}

impl Script {
    pub(super) fn new(length: Option<u64>, pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), length, ended: false }
    }

    pub(super) fn known(data: &'static [u8]) -> Self {
        Self::new(Some(data.len() as u64), [Piece::Data(Bytes::from_static(data))])
    }
}

pub(super) fn empty() -> Pin<Box<Script>> {
    Box::pin(Script::new(Some(0), []))
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        assert!(!self.ended, "a body was asked again after its end");
        Poll::Ready(match self.pieces.pop_front() {
            None | Some(Piece::End) => {
                self.ended = true;
                None
            }
            Some(Piece::Pending) => return Poll::Pending,
            Some(Piece::Fail) => Some(Err("the body broke")),
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::Trailers(map)) => Some(Ok(Frame::trailers(map))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
