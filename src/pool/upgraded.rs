//! [`Upgraded`]: a connection that does not speak HTTP any more.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::server::{Server, ServerId};
use crate::upstream::Lease;

/// A connection that has become a plain byte stream.
///
/// That happens if the server answers a request that has an `Upgrade` field (and the
/// `Connection: upgrade` that goes with it) with 101, to a protocol that was offered; or a CONNECT,
/// whose URI is a host and a port, with 2xx. The stream is then in the response's body,
/// [`Body::into_upgraded`](crate::Body::into_upgraded), or in the checkout,
/// [`Checkout::into_upgraded`](crate::Checkout::into_upgraded). Any other answer is an ordinary
/// response.
///
/// What the server sent right behind its head is read first. The request ended with that head, and
/// its time limits with it. The connection counts against the limits of the pool until this is
/// dropped, and is then closed: it never goes back. [`Pool::shutdown`](crate::Pool::shutdown) waits
/// for it, and cuts it at the end of the grace.
///
/// ```no_run
/// # async fn example(pool: evenkeel::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// use evenkeel::Body;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use http::{Request, StatusCode, header};
///
/// let request = Request::get("/chat")
///     .header(header::CONNECTION, "upgrade")
///     .header(header::UPGRADE, "websocket")
///     .body(Body::empty())?;
/// let response = pool.send(request).await?;
/// assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
/// let mut stream = response.into_body().into_upgraded().map_err(|_| "no upgrade")?;
/// stream.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// stream.read_exact(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
pub struct Upgraded {
    lease: Lease,
}

impl Upgraded {
    /// The connection of this lease, which must be one.
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease }
    }

    /// The server that the connection leads to.
    pub fn server(&self) -> &Server {
        &self.lease.backend().server
    }

    /// The server's id.
    pub fn server_id(&self) -> ServerId {
        self.lease.backend().id
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = self.lease.conn().poll_tunnel_read(cx, buf);
        self.lease.count_bytes_of_long_exchange();
        read
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.lease.conn().poll_tunnel_write(cx, bufs);
        self.lease.count_bytes_of_long_exchange();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lease.conn().poll_tunnel_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lease.conn().poll_tunnel_close(cx)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("server", &self.server().url()).finish_non_exhaustive()
    }
}
