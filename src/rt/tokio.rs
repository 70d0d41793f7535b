//! Sockets, timers and names of a tokio runtime.
//!
//! tokio finds its runtime in a thread-local. Here it is entered through the handle around
//! whatever looks for it, so a pool may be used from any thread. The runtime must have been built
//! with `enable_all`, and must run: a `current_thread` runtime does so inside `block_on` only.
//!
//! What is left of a runtime that has shut down: sockets and look-ups answer with errors, sleeps
//! end at once. (tokio's own sleeps panic then.)

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use tokio::io::{Interest, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{
    Address, BoxFuture, Connector, Liveness, Resolve, Resolved, Sleep, Target, Timer, Transport,
    TransportInfo, socket,
};

#[cfg(test)]
mod tests;

/// Clock, connector and resolver of one tokio runtime.
#[derive(Clone, Debug)]
pub(super) struct Tokio {
    handle: Handle,
    life: Arc<Life>,
}

impl Tokio {
    pub(super) fn new(handle: Handle) -> Self {
        let life = Arc::new(Life(handle.spawn(std::future::pending())));
        Self { handle, life }
    }

    async fn open(&self, addr: SocketAddr, target: &Target) -> io::Result<TokioStream<TcpStream>> {
        if self.life.is_over() {
            return Err(shut_down());
        }
        let socket = TcpSocket::from_std_stream(socket::tcp(addr, target)?);
        let future = Box::pin(socket.connect(addr));
        let stream = Entered { handle: &self.handle, future }.await?;
        Ok(TokioStream { stream, peer: Some(addr) })
    }

    #[cfg(unix)]
    async fn open_unix(
        &self,
        path: &std::path::Path,
        target: &Target,
    ) -> io::Result<TokioStream<UnixStream>> {
        if self.life.is_over() {
            return Err(shut_down());
        }
        let stream = socket::unix(path, &target.options)?;
        // Registered with the reactor when it is polled, and not before.
        let future = Box::pin(async move { UnixStream::from_std(stream) });
        let stream = Entered { handle: &self.handle, future }.await?;
        Ok(TokioStream { stream, peer: None })
    }
}

/// Tells whether the runtime still runs, which a [`Handle`] does not: a task without end, ended
/// only by the runtime's shutdown (or with this value). A runtime ends its tasks before its
/// timers and sockets.
#[derive(Debug)]
struct Life(JoinHandle<()>);

impl Life {
    fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn shut_down() -> io::Error {
    io::Error::other("the tokio runtime has shut down")
}

/// Polls in the runtime's context, and makes an error of a panic: tokio panics where the runtime
/// lacks what is asked of it (a driver, a thread), and a pool should say so in its own errors.
struct Entered<'a, F> {
    handle: &'a Handle,
    future: Pin<Box<F>>,
}

impl<T, F: Future<Output = io::Result<T>>> Future for Entered<'_, F> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _context = self.handle.enter();
        // Unwind safety: after a panic the future is only dropped.
        catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx))).unwrap_or_else(|_| {
            Poll::Ready(Err(io::Error::other(
                "the tokio runtime has no sockets: build it with `enable_all`",
            )))
        })
    }
}

impl Tokio {
    /// Why a pool cannot use this runtime, if it cannot.
    ///
    /// tokio offers no question about its timers, only a panic to whoever makes one without them.
    /// Sockets are left to the first connect: to ask for them costs one.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let now = self.now();
        // Unwind safety: nothing but the sleep itself was touched.
        let sleep = catch_unwind(AssertUnwindSafe(|| drop(self.sleep_until(now))));
        sleep.err().map(|_| "the tokio runtime has no timers: build it with `enable_all`")
    }
}

impl Timer for Tokio {
    /// # Panics
    /// If the runtime was built without timers; tokio's message says so. A pool is not built on
    /// such a runtime: see [`Tokio::fault`].
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let _context = self.handle.enter();
        let sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
        Box::pin(Nap { sleep, life: self.life.clone() })
    }

    fn coarse_millis(&self) -> Option<u64> {
        super::coarse_millis()
    }
}

struct Nap {
    sleep: Pin<Box<tokio::time::Sleep>>,
    life: Arc<Life>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.life.is_over() {
            return Poll::Ready(());
        }
        // The runtime may shut down on another thread just now, and then tokio panics.
        // Unwind safety: a sleep whose runtime has gone is never polled again, see above.
        match catch_unwind(AssertUnwindSafe(|| self.sleep.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) if self.life.is_over() => Poll::Ready(()),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Sleep for Nap {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.sleep.as_mut().reset(deadline.into());
    }
}

impl Connector for Tokio {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            Ok(match &target.addr {
                Address::Ip(addr) => Box::new(self.open(*addr, target).await?) as _,
                #[cfg(unix)]
                Address::Unix(path) => {
                    Box::new(self.open_unix(path, target).await?) as Box<dyn Transport>
                }
                #[cfg(not(unix))]
                addr => return Err(socket::unsupported(addr)),
            })
        })
    }
}

impl Resolve for Tokio {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async move {
            if let Ok(ip) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(ip, port)].into());
            }
            let host = host.to_owned();
            let lookup = move || Ok((host, port).to_socket_addrs()?.collect());
            // A panic here means that the system refused one more thread.
            let lookup = catch_unwind(AssertUnwindSafe(|| self.handle.spawn_blocking(lookup)))
                .map_err(|_| io::Error::other("the tokio runtime could start no thread"))?;
            lookup.await.unwrap_or_else(|_| Err(shut_down()))
        })
    }
}

/// What a stream of this adapter is made of: a TCP or a Unix-domain stream.
#[cfg(unix)]
trait Socket: std::os::fd::AsFd + Io {}
#[cfg(unix)]
impl<T: std::os::fd::AsFd + Io> Socket for T {}
#[cfg(windows)]
trait Socket: std::os::windows::io::AsSocket + Io {}
#[cfg(windows)]
impl<T: std::os::windows::io::AsSocket + Io> Socket for T {}

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static {
    /// Waits until tokio believes that there is something to read.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Looks at what is there to read; `WouldBlock` takes tokio's belief in it away, and spares
    /// what has come since.
    fn look<R>(&self, look: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

macro_rules! io {
    ($stream:ty) => {
        impl Io for $stream {
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn look<R>(&self, look: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(Interest::READABLE, look)
            }
        }
    };
}

io!(TcpStream);
#[cfg(unix)]
io!(UnixStream);

struct TokioStream<S> {
    stream: S,
    /// `None` for a Unix-domain socket.
    peer: Option<SocketAddr>,
}

impl<S: Socket> AsyncRead for TokioStream<S> {
    // Read at once: tokio remembers when a socket was drained, and then makes no system call.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<S: Socket> AsyncWrite for TokioStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Socket> Transport for TokioStream<S> {
    // Raw, past tokio's memory of readiness: that memory answers "would block" without a system
    // call until the reactor has run again, even with the peer's end of stream in the kernel.
    //
    // Reading behind its back breaks nothing. tokio may believe in bytes that were taken here:
    // its next read then meets "would block", forgets the belief and waits. It cannot miss
    // bytes: the kernel reports each arrival as a new edge, whoever read the ones before, and a
    // raw read that finds nothing changes neither side.
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        socket::read(SockRef::from(&self.stream), buf)
    }

    fn try_peek(&mut self) -> Liveness {
        socket::peek(SockRef::from(&self.stream))
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Liveness> {
        loop {
            if ready!(self.stream.poll_readable(cx)).is_err() {
                return Poll::Ready(Liveness::Closed);
            }
            let stream = &self.stream;
            let looked = stream.look(|| match socket::peek(SockRef::from(stream)) {
                Liveness::Alive => Err(io::ErrorKind::WouldBlock.into()),
                other => Ok(other),
            });
            if let Ok(found) = looked {
                return Poll::Ready(found);
            }
        }
    }

    fn info(&self) -> TransportInfo {
        let local = SockRef::from(&self.stream).local_addr().ok();
        TransportInfo { local: local.and_then(|addr| addr.as_socket()), peer: self.peer, tls: None }
    }

    fn abort(&mut self) {
        socket::abort(SockRef::from(&self.stream));
    }
}
