//! Sockets, timers and names over the async-io reactor.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::{
    Address, BoxFuture, Connector, Liveness, Resolve, Resolved, Sleep, Target, Timer, Transport,
    TransportInfo, socket,
};

/// The clock and the connector. async-io has one reactor per process, so this has no state.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsyncIo;

impl Timer for AsyncIo {
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(async_io::Timer::at(deadline)))
    }

    fn coarse_millis(&self) -> Option<u64> {
        super::coarse_millis()
    }
}

struct Nap(async_io::Timer);

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for Nap {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.set_at(deadline);
    }
}

impl Connector for AsyncIo {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            Ok(match &target.addr {
                Address::Ip(addr) => Box::new(AsyncIoStream::connect(*addr, target).await?) as _,
                #[cfg(unix)]
                Address::Unix(path) => {
                    let stream = Async::new_nonblocking(socket::unix(path, &target.options)?)?;
                    Box::new(AsyncIoStream { stream, peer: None }) as Box<dyn Transport>
                }
                #[cfg(not(unix))]
                addr => return Err(socket::unsupported(addr)),
            })
        })
    }
}

/// What a stream of this adapter is made of: a TCP or a Unix-domain stream.
#[cfg(unix)]
trait Socket: std::os::fd::AsFd + Send + Sync + Unpin + 'static {}
#[cfg(unix)]
impl<T: std::os::fd::AsFd + Send + Sync + Unpin + 'static> Socket for T {}
#[cfg(windows)]
trait Socket: std::os::windows::io::AsSocket + Send + Sync + Unpin + 'static {}
#[cfg(windows)]
impl<T: std::os::windows::io::AsSocket + Send + Sync + Unpin + 'static> Socket for T {}

struct AsyncIoStream<S> {
    stream: Async<S>,
    /// `None` for a Unix-domain socket.
    peer: Option<SocketAddr>,
}

impl AsyncIoStream<TcpStream> {
    async fn connect(peer: SocketAddr, target: &Target) -> io::Result<Self> {
        let stream = Async::new_nonblocking(socket::tcp(peer, target)?)?;
        match SockRef::from(stream.get_ref()).connect(&peer.into()) {
            Err(error) if !is_in_progress(&error) => return Err(error),
            _ => {}
        }
        stream.writable().await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(Self { stream, peer: Some(peer) }),
        }
    }
}

/// Whether a connection goes on being made.
fn is_in_progress(error: &io::Error) -> bool {
    // Elsewhere it would block, as far as the error tells.
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    is_retry(error)
}

impl<S: Socket> AsyncIoStream<S> {
    /// Waits for readability first, then reads.
    ///
    /// The usual order, reading first and waiting on "would block", costs two useless system
    /// calls per request here: the read right after a request was written is a certain miss; and
    /// a read that succeeds without having waited leaves the reactor's note of that readiness
    /// behind, so that the next wait ends at once, for nothing.
    fn poll_read_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.stream.poll_readable(cx))?;
            match read(self.stream.get_ref()) {
                Err(error) if is_retry(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes first, and waits for writability only when the socket is full: it seldom is.
    fn poll_write_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match write(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.stream.poll_writable(cx))?;
        }
    }
}

fn is_retry(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl<S: Socket> AsyncRead for AsyncIoStream<S>
where
    for<'s> &'s S: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, |mut stream| stream.read(buf))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, |mut stream| stream.read_vectored(bufs))
    }
}

impl<S: Socket> AsyncWrite for AsyncIoStream<S>
where
    for<'s> &'s S: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |mut stream| stream.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match SockRef::from(self.stream.get_ref()).shutdown(Shutdown::Write) {
            // The peer was faster: there is nothing left to close.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl<S: Socket> Transport for AsyncIoStream<S>
where
    for<'s> &'s S: Read + Write,
{
    // async-io registers interest for one event at a time, and asks the kernel anew each time. A
    // raw read behind its back can at worst make one wait end early, which `poll_read_with`
    // answers by waiting again.
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        socket::read(SockRef::from(self.stream.get_ref()), buf)
    }

    fn try_peek(&mut self) -> Liveness {
        socket::peek(SockRef::from(self.stream.get_ref()))
    }

    // The reactor asks the kernel about the state, and not about a change: what has come before the
    // call is told, too. The next exchange finds its waker registered already, and so the system
    // call is not one more.
    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Liveness> {
        loop {
            if ready!(self.stream.poll_readable(cx)).is_err() {
                return Poll::Ready(Liveness::Closed);
            }
            match self.try_peek() {
                Liveness::Alive => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn info(&self) -> TransportInfo {
        let local = SockRef::from(self.stream.get_ref()).local_addr().ok();
        TransportInfo { local: local.and_then(|addr| addr.as_socket()), peer: self.peer, tls: None }
    }

    fn abort(&mut self) {
        socket::abort(SockRef::from(self.stream.get_ref()));
    }
}

/// The system's resolver, on the thread pool of the `blocking` crate.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnblockedLookup;

impl Resolve for UnblockedLookup {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async move {
            if let Ok(ip) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(ip, port)].into());
            }
            let host = host.to_owned();
            blocking::unblock(move || Ok((host, port).to_socket_addrs()?.collect())).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::tests::{assert_more_options, assert_options};

    #[test]
    fn options_are_set_on_the_socket() {
        let connect = |target: &Target, check: &dyn Fn(SockRef<'_>)| {
            let Address::Ip(addr) = target.addr else { panic!("a TCP address") };
            let connect = AsyncIoStream::connect(addr, target);
            let stream = futures_lite::future::block_on(connect).unwrap();
            check(SockRef::from(stream.stream.get_ref()));
        };
        assert_options(connect);
        assert_more_options(connect);
    }
}
