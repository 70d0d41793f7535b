//! [`Upload`]: the caller's body on its way to the wire.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::Body;

use super::error::ExchangeErrorKind;
use super::turn::Turn;
use crate::error::BoxError;
use crate::proto::h1::{BUFFER, Buffer, Exchange};

/// Up to here the buffer takes pieces. The rest is for the framing behind them: a buffer that has
/// to grow is not kept.
const FULL: usize = BUFFER - 64;

/// How far a [`fill`](Upload::fill) came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// There is something to write before more fits, or the turn is over.
    Full,
    /// The caller's body has nothing now; its task will be woken.
    Waiting,
    /// All of the request has been put out.
    Done,
}

/// The caller's body and the piece of it that is being written.
///
/// It lives in the request's future, not in the connection: the type of the body stays there.
pub(super) struct Upload<'b, B: Body> {
    body: Pin<&'b mut B>,
    /// A piece too large to be worth copying; it is written from where it is, behind the buffer.
    pub(super) data: Option<B::Data>,
    ended: bool,
    /// The body has given an answer, be it only that it has ended: it cannot be asked again from
    /// its beginning.
    pub(super) taken: bool,
}

impl<'b, B> Upload<'b, B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(body: Pin<&'b mut B>) -> Self {
        let ended = body.is_end_stream();
        Self { body, data: None, ended, taken: false }
    }

    /// Takes what the body has ready, until a piece is in hand that the buffer has no room for.
    ///
    /// The caller's own context is used: what the body waits for is no business of the connection.
    #[inline]
    pub(super) fn fill(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        out: &mut Buffer,
        turn: &mut Turn,
    ) -> Result<Filled, ExchangeErrorKind> {
        loop {
            if self.data.is_some() {
                return Ok(Filled::Full);
            }
            if self.ended {
                exchange.end_body(out, None)?;
                return Ok(Filled::Done);
            }
            let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
                return Ok(Filled::Waiting);
            };
            self.taken = true;
            let Some(frame) = frame else {
                self.ended = true;
                continue;
            };
            let frame = frame.map_err(|error| ExchangeErrorKind::Body(error.into()))?;
            match frame.into_data() {
                // Nothing is written of an empty piece, so it is counted here.
                Ok(data) if !data.has_remaining() => {
                    turn.step(0);
                    if turn.is_over() {
                        return Ok(Filled::Full);
                    }
                }
                Ok(data) => self.put(data, exchange, out)?,
                Err(frame) => {
                    exchange.end_body(out, frame.trailers_ref())?;
                    self.ended = true;
                }
            }
        }
    }

    fn put(
        &mut self,
        mut data: B::Data,
        exchange: &mut Exchange,
        out: &mut Buffer,
    ) -> Result<(), ExchangeErrorKind> {
        let len = data.remaining();
        exchange.begin_data(out, len as u64)?;
        // Copying a piece that fits beside the rest is cheaper than one more system call, or than
        // a vectored write, which costs the kernel more than a plain one.
        if len <= FULL.saturating_sub(out.len()) {
            while data.has_remaining() {
                let piece = data.chunk();
                let n = piece.len();
                out.put(piece);
                data.advance(n);
            }
            exchange.end_data(out);
        } else {
            self.data = Some(data);
        }
        Ok(())
    }
}
