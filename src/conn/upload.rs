//! [`Upload`]: the caller's body on its way to the wire.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::Body;

use super::error::ExchangeErrorKind;
use super::turn::Turn;
use crate::error::BoxError;
use crate::proto::h1::{BUFFER, BodyHint, Buffer, Exchange};

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
/// It lives in the request's future, not in the connection: the type of the body stays there, and
/// with it what has been taken from the body, so that it can be sent again.
pub(crate) struct Upload<'b, B: Body> {
    body: Pin<&'b mut B>,
    /// What the body said of itself before anything was taken from it.
    hint: BodyHint,
    piece: Option<Piece<B::Data>>,
    /// The piece is to be sent again, before the body is asked for more.
    again: bool,
    ended: bool,
    /// The body has given an answer, be it only that it has ended: it cannot be asked again from
    /// its beginning.
    taken: bool,
    /// All that has been taken from the body is in `piece`.
    kept: bool,
}

impl<'b, B> Upload<'b, B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(body: Pin<&'b mut B>) -> Self {
        let ended = body.is_end_stream();
        let hint = BodyHint { ended, size: body.size_hint() };
        Self { body, hint, piece: None, again: false, ended, taken: false, kept: true }
    }

    /// Whether the body has given an answer.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    /// Whether the whole body can be sent, though it may have been sent already: no more than one
    /// piece has been taken from it, and that is still here.
    pub(crate) fn is_replayable(&self) -> bool {
        self.kept
    }

    /// Begins anew, for another attempt. The body must be [replayable](Self::is_replayable).
    pub(crate) fn rewind(&mut self) {
        debug_assert!(self.kept, "what is gone cannot be sent again");
        if let Some(piece) = &mut self.piece {
            piece.written = 0;
            self.again = true;
        }
    }

    pub(super) fn hint(&self) -> &BodyHint {
        &self.hint
    }

    /// The piece, if some of it is still to be written from where it is.
    pub(super) fn unsent(&mut self) -> Option<&mut Piece<B::Data>> {
        self.piece.as_mut().filter(|piece| piece.remaining() > 0 && !self.again)
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.piece.as_ref().is_some_and(|piece| piece.remaining() > 0 && !self.again)
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
        if self.piece.is_some() && std::mem::take(&mut self.again) {
            self.put(exchange, out)?;
        }
        loop {
            if self.has_unsent() {
                return Ok(Filled::Full);
            }
            if self.ended {
                exchange.end_body(out, None)?;
                return Ok(Filled::Done);
            }
            if !self.kept {
                self.piece = None;
            }
            let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
                return Ok(Filled::Waiting);
            };
            self.taken = true;
            let Some(frame) = frame else {
                self.ended = true;
                continue;
            };
            let frame = frame.map_err(|error| {
                self.kept = false;
                ExchangeErrorKind::Body(error.into())
            })?;
            match frame.into_data() {
                // Nothing is written of an empty piece, so it is counted here.
                Ok(data) if !data.has_remaining() => {
                    turn.step(0);
                    if turn.is_over() {
                        return Ok(Filled::Full);
                    }
                }
                Ok(data) => {
                    let piece = Piece::new(data);
                    self.kept &= self.piece.is_none() && piece.whole;
                    self.piece = Some(piece);
                    self.put(exchange, out)?;
                }
                Err(frame) => {
                    self.kept = false;
                    exchange.end_body(out, frame.trailers_ref())?;
                    self.ended = true;
                }
            }
        }
    }

    /// Puts the piece out: copied, or to be written from where it is.
    fn put(&mut self, exchange: &mut Exchange, out: &mut Buffer) -> Result<(), ExchangeErrorKind> {
        let Some(piece) = &mut self.piece else {
            return Ok(());
        };
        let len = piece.remaining();
        exchange.begin_data(out, len as u64)?;
        // Copying a piece that fits beside the rest is cheaper than one more system call, or than
        // a vectored write, which costs the kernel more than a plain one.
        if len <= FULL.saturating_sub(out.len()) {
            while piece.remaining() > 0 {
                let bytes = piece.chunk();
                let n = bytes.len();
                out.put(bytes);
                piece.advance(n);
            }
            exchange.end_data(out);
        }
        Ok(())
    }
}

/// A piece of a body, and how much of it has been written.
///
/// One that lies in a single place in memory is left as it is, so that it can be written again.
pub(super) struct Piece<D> {
    data: D,
    /// How much of a whole piece has been written.
    written: usize,
    /// It lies in a single place; else what is written is taken off.
    whole: bool,
}

impl<D: Buf> Piece<D> {
    fn new(data: D) -> Self {
        let whole = data.chunk().len() == data.remaining();
        Self { data, written: 0, whole }
    }

    /// How much is still to be written.
    pub(super) fn remaining(&self) -> usize {
        self.data.remaining() - self.written
    }

    fn chunk(&self) -> &[u8] {
        &self.data.chunk()[self.written..]
    }

    /// What is to be written next, for a vectored write. How many slices that is.
    pub(super) fn slices<'d>(&'d self, slices: &mut [IoSlice<'d>]) -> usize {
        if !self.whole {
            return self.data.chunks_vectored(slices);
        }
        slices[0] = IoSlice::new(self.chunk());
        1
    }

    pub(super) fn advance(&mut self, n: usize) {
        if self.whole {
            self.written += n;
        } else {
            self.data.advance(n);
        }
    }
}
