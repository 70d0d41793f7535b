//! [`Body`]: what is sent, and what comes back.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::account::Ends;
use super::exchange;
use super::read::{collect, text};
use super::upgraded::Upgraded;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::event::FailureCause;
use crate::upstream::{Count, Lease};

/// A request's or a response's body.
///
/// For requests it is made of bytes or text; any other [`http_body::Body`] can be sent as well.
///
/// A response's body streams from its connection, and gives it back at the end of the body. If it
/// is dropped before, what has already arrived is read, up to a bound and without waiting; if that
/// is not the end, the connection is closed.
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Incoming(Incoming<Lease>),
    Upgraded(Upgraded),
}

impl Body {
    /// A body of no bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Another body of the same bytes, which it shares; `None` for the body of a response, which
    /// comes in only once.
    ///
    /// ```
    /// assert!(evenkeel::Body::from("{}").try_clone().is_some());
    /// ```
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let kind = match &self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Bytes(bytes) => Kind::Bytes(bytes.clone()),
            Kind::Incoming(_) | Kind::Upgraded(_) => return None,
        };
        Some(Self { kind })
    }

    /// The body of the response that is coming in over the connection.
    pub(super) fn incoming(mut lease: Lease, ok: bool, attempts: u32) -> Self {
        if lease.conn_ref().is_tunnel() {
            // The request has ended here, and well: what follows is none.
            lease.end_request(Count::Succeeded);
            return Self { kind: Kind::Upgraded(Upgraded::new(lease)) };
        }
        Self { kind: Incoming::new(lease, ok, attempts).map_or(Kind::Empty, Kind::Incoming) }
    }

    /// The connection as a plain byte stream, if the response has turned it into one: see
    /// [`Upgraded`].
    ///
    /// # Errors
    /// The body itself, if it is a body.
    pub fn into_upgraded(self) -> Result<Upgraded, Self> {
        match self.kind {
            Kind::Upgraded(upgraded) => Ok(upgraded),
            kind => Err(Self { kind }),
        }
    }

    /// Reads the whole body, however long it is: nothing but the request's time limit ends one that
    /// does not end by itself, and all of it is in memory until then.
    /// [`bytes_up_to`](Self::bytes_up_to) has a bound.
    ///
    /// # Errors
    /// [`ErrorKind::Reset`] if the connection ends before the body does; [`ErrorKind::Timeout`],
    /// [`ErrorKind::Protocol`], [`ErrorKind::Closed`] as they say.
    ///
    /// # Cancel safety
    /// Dropping the future drops the body, and with it what had been read.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        collect(self, usize::MAX).await
    }

    /// Reads the whole body as UTF-8 text; however long it is, as [`bytes`](Self::bytes) does.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); [`ErrorKind::Body`] if it is not UTF-8.
    ///
    /// # Cancel safety
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String, Error> {
        text(self.bytes().await?)
    }

    fn poll_any(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.kind {
            Kind::Empty | Kind::Upgraded(_) => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Incoming(incoming) => incoming.poll_frame(cx),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.poll_any(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty | Kind::Upgraded(_) => true,
            Kind::Bytes(_) => false,
            Kind::Incoming(incoming) => incoming.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty | Kind::Upgraded(_) => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let kind = if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) };
        Self { kind }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Bytes(_) => "bytes",
            Kind::Incoming(_) => "incoming",
            Kind::Upgraded(_) => "upgraded",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

/// The body of a response on a [`Checkout`](crate::Checkout), which it borrows.
///
/// When it has been read to the end, the checkout can send the next request. If it is dropped
/// before, the rest is read as for [`Body`]; if that is not the end, the checkout's connection is
/// of no further use.
pub struct LeasedBody<'a> {
    incoming: Option<Incoming<&'a mut Lease>>,
}

impl<'a> LeasedBody<'a> {
    pub(super) fn new(lease: &'a mut Lease, ok: bool) -> Self {
        Self { incoming: Incoming::new(lease, ok, 1) }
    }

    /// Reads the whole body: see [`Body::bytes`].
    ///
    /// # Errors
    /// As [`Body::bytes`].
    ///
    /// # Cancel safety
    /// As [`Body::bytes`].
    pub async fn bytes(self) -> Result<Bytes, Error> {
        collect(self, usize::MAX).await
    }

    /// Reads the whole body as UTF-8 text: see [`Body::text`].
    ///
    /// # Errors
    /// As [`Body::text`].
    ///
    /// # Cancel safety
    /// As [`Body::text`].
    pub async fn text(self) -> Result<String, Error> {
        text(self.bytes().await?)
    }
}

impl http_body::Body for LeasedBody<'_> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.incoming {
            None => Poll::Ready(None),
            Some(incoming) => incoming.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_over)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl fmt::Debug for LeasedBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedBody").finish_non_exhaustive()
    }
}

/// A body on its way in: owns or borrows the lease.
struct Incoming<L: Ends> {
    /// `None` once the body is over.
    lease: Option<L>,
    /// The response's status was good.
    ok: bool,
    /// How many connections were tried for the request.
    attempts: u32,
}

/// How a body ended.
#[derive(Clone, Copy)]
enum Ended {
    /// All of it came.
    Whole,
    /// The connection failed, or the time was up.
    Failed(FailureCause),
    /// The caller dropped it.
    GivenUp,
}

impl<L: Ends> Incoming<L> {
    /// `None` if there is nothing more to come.
    fn new(lease: L, ok: bool, attempts: u32) -> Option<Self> {
        let mut incoming = Self { lease: Some(lease), ok, attempts };
        let complete = incoming
            .lease
            .as_mut()
            .is_some_and(|lease| lease.borrow_mut().conn().is_body_complete());
        if complete {
            incoming.finish(Ended::Whole);
            return None;
        }
        Some(incoming)
    }

    fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(None);
        };
        let lease = lease.borrow_mut();
        match ready!(lease.conn().poll_frame(cx)) {
            Some(Ok(frame)) => {
                lease.count_bytes_of_long_exchange();
                // With the last byte, not after it: the next request finds the connection.
                if lease.conn().is_body_complete() {
                    self.finish(Ended::Whole);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                lease.mark_broken();
                let cause = exchange::cause(&error, false);
                let error = exchange::failed(lease, error, false);
                let error = error.after_attempts(self.attempts);
                self.finish(Ended::Failed(cause));
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.finish(Ended::Whole);
                Poll::Ready(None)
            }
        }
    }

    /// The body is over: counts, and gives the connection back.
    fn finish(&mut self, how: Ended) {
        if let Some(lease) = self.lease.take() {
            lease.end(match how {
                Ended::Whole if self.ok => Count::Succeeded,
                Ended::Whole => Count::Failed(FailureCause::Status),
                Ended::Failed(cause) => Count::Failed(cause),
                Ended::GivenUp => Count::Cancelled,
            });
        }
    }

    fn is_over(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lease {
            None => SizeHint::with_exact(0),
            Some(lease) => lease.borrow().conn_ref().size_hint(),
        }
    }
}

impl<L: Ends> Drop for Incoming<L> {
    fn drop(&mut self) {
        if let Some(lease) = &mut self.lease {
            // What came of it was enough for the caller if this was all but the last of it. Whether
            // the connection can be used again, the lease finds out.
            if lease.borrow_mut().conn().drain() {
                self.finish(Ended::Whole);
            } else {
                self.finish(Ended::GivenUp);
            }
        }
    }
}
