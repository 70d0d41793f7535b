//! The body of a response, on its way to the caller.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::clock::Step;
use super::error::ExchangeErrorKind as Failed;
use super::{Conn, ExchangeError};
use crate::error::Phase;
use crate::proto::h1::BodyEvent;

impl Conn {
    /// The next frame of the response's body. When it has handed out the last one,
    /// [`is_body_complete`](Self::is_body_complete) is true at once. `None` means that the body is
    /// whole; on a connection that has failed, or was aborted, each call is an error.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if self.is_body_complete() {
            return Poll::Ready(None);
        }
        if self.dead {
            // However often it is asked: a body that was cut short has no end.
            let error = self.fail(Failed::Io(io::ErrorKind::NotConnected.into()), Phase::Body);
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(self.poll_body(cx)) {
            Ok(frame) => Poll::Ready(frame.map(Ok)),
            Err(kind) => Poll::Ready(Some(Err(self.fail(kind, Phase::Body)))),
        }
    }

    fn poll_body(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Failed>> {
        self.check()?;
        let mut registered = false;
        loop {
            if self.turn.is_over() {
                return self.wait(cx, Step::Body);
            }
            match self.next_event()? {
                BodyEvent::Data(n) => {
                    self.turn.step(0);
                    let data = Bytes::copy_from_slice(&self.input.data()[..n]);
                    self.took(n);
                    self.look_ahead();
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                BodyEvent::End(trailers) => {
                    self.settle();
                    return Poll::Ready(Ok(trailers.map(Frame::trailers)));
                }
                BodyEvent::More => {}
            }
            // Data that is here already needs no task; only waiting does.
            if !registered {
                self.look(cx)?;
                registered = true;
            }
            match self.poll_read() {
                Poll::Pending => return self.wait(cx, Step::Body),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Io(error))),
                //= https://www.rfc-editor.org/rfc/rfc9112#section-8
                //# A client that receives an incomplete response message, which can occur when a
                //# connection is closed prematurely or when decoding a supposedly chunked transfer
                //# coding fails, MUST record the message as incomplete.
                Poll::Ready(Ok(0)) if !self.exchange.end_of_stream() => {
                    return Poll::Ready(Err(Failed::Eof));
                }
                Poll::Ready(Ok(_)) => self.pace.progress(),
            }
        }
    }

    #[inline]
    fn next_event(&mut self) -> Result<BodyEvent, Failed> {
        let (used, event) = self.exchange.body(self.input.data())?;
        self.input.consume(used);
        Ok(event)
    }

    #[inline]
    fn took(&mut self, n: usize) {
        self.input.consume(n);
        self.exchange.took(n);
    }

    /// If the end of the body has come with the last data, notices it now: the connection is free
    /// before the caller has even seen that data. A fault is reported by the next call.
    fn look_ahead(&mut self) {
        if let Ok(BodyEvent::End(trailers)) = self.next_event() {
            self.trailers = trailers;
            self.settle();
        }
    }

    /// Reads the rest of the body, without waiting, if it is at most `limit` bytes of it. Whether
    /// that was all.
    pub(super) fn drain_ready(&mut self, limit: u64) -> bool {
        if self.exchange.awaits_head() {
            return false;
        }
        let mut left = limit;
        loop {
            match self.next_event() {
                Ok(BodyEvent::End(_)) => return true,
                Ok(BodyEvent::Data(n)) => {
                    self.took(n);
                    continue;
                }
                Ok(BodyEvent::More) => {}
                Err(_) => return false,
            }
            // A stated length that is too long is not worth a single read.
            if left == 0 || self.size_hint().exact().is_some_and(|rest| rest > left) {
                return false;
            }
            match self.try_read() {
                Ok(n) if n > 0 => left = left.saturating_sub(n as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
    }
}
