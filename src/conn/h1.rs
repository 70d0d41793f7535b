//! Drives an HTTP/1.1 exchange over a transport, from inside the caller's own poll.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::Response;
use http_body::Body;

use super::clock::Step;
use super::error::ExchangeErrorKind as Failed;
use super::turn::Turn;
use super::upload::{Filled, Upload};
use super::{Conn, ExchangeError, Progress};
use crate::config::Steps;
use crate::error::{BoxError, Phase};
use crate::proto::h1::{BodyHint, Exchange, ProtocolError, RequestHead, ResponseHead};

impl Conn {
    /// Sends a request and reads the head of the final response. `deadline` is that of the whole
    /// exchange, and still holds while the body is read; `steps` are the times of its steps, if
    /// they are not the pool's.
    ///
    /// # Errors
    /// The phase is [`Phase::Write`] until the last byte of the request is written, then
    /// [`Phase::Response`]. If nothing was sent and the fault is the caller's, the connection is
    /// as good as before, and [`is_reusable`](Self::is_reusable) says so.
    ///
    /// # Cancel safety
    /// If the future is dropped before a byte was written, nothing has happened. After that the
    /// connection is not reusable.
    pub(crate) async fn exchange<B>(
        &mut self,
        head: &RequestHead<'_>,
        upload: &mut Upload<'_, B>,
        deadline: Option<Instant>,
        steps: Option<Box<Steps>>,
    ) -> Result<Response<()>, ExchangeError>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let attempt = Attempt(self);
        let conn = &mut *attempt.0;
        conn.pace.begin(steps);
        conn.begin(head, upload.hint(), deadline)?;
        let result = poll_fn(|cx| conn.poll_response(cx, upload)).await;
        match result {
            Ok(head) => conn.accept(head, upload.has_unsent()),
            Err(kind) => {
                let sent = conn.request_written() && !upload.has_unsent();
                Err(conn.fail(kind, if sent { Phase::Response } else { Phase::Write }))
            }
        }
    }

    fn begin(
        &mut self,
        head: &RequestHead<'_>,
        body: &BodyHint,
        deadline: Option<Instant>,
    ) -> Result<(), ExchangeError> {
        self.deadline = deadline;
        self.progress = Progress::default();
        self.turn = Turn::default();
        if !self.out.has_memory() {
            self.out = self.shared.buffers.lend();
        }
        match Exchange::start(&mut self.out, head, body) {
            Ok(exchange) => {
                self.exchange = exchange;
                self.uses = self.uses.saturating_add(1);
                Ok(())
            }
            Err(error) => {
                self.exchange = Exchange::default();
                Err(self.fail(Failed::Request(error), Phase::Write))
            }
        }
    }

    /// All of the request that was put out is with the kernel.
    fn request_written(&self) -> bool {
        self.exchange.request_done() && self.out.is_empty()
    }

    /// The final head has come.
    fn accept(
        &mut self,
        head: ResponseHead,
        data_left: bool,
    ) -> Result<Response<()>, ExchangeError> {
        if !self.request_written() || data_left {
            if self.exchange.is_tunnel() {
                //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
                //# A client cannot begin using an upgraded protocol on the connection until it has
                //# completely sent the request message
                return Err(self.fail(ProtocolError::EarlyUpgrade.into(), Phase::Write));
            }
            self.exchange.stop_sending();
            self.out.clear();
        }
        if self.exchange.response_done() {
            self.settle();
        }
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        Ok(response)
    }

    /// Writes and reads until the final head is here.
    ///
    /// Reading goes on while writing is held up, or a long body is on its way: a server may answer
    /// early and then stop reading, and two sides that both only write wait for ever.
    fn poll_response<B>(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload<'_, B>,
    ) -> Poll<Result<ResponseHead, Failed>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        self.look(cx)?;
        loop {
            let filled = if self.exchange.awaits_continue() {
                Filled::Waiting
            } else {
                upload.fill(cx, &mut self.exchange, &mut self.out, &mut self.turn)?
            };
            let mut more = filled == Filled::Full;
            if !self.out.is_empty() || upload.has_unsent() {
                match self.poll_send(upload.unsent()) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(self.salvage(error)),
                    Poll::Pending => more = false,
                }
            }
            let waited_for_leave = self.exchange.awaits_continue();
            match self.poll_head() {
                Poll::Pending if more && !self.turn.is_over() => continue,
                // The leave has just come.
                Poll::Pending if waited_for_leave && !self.exchange.awaits_continue() => continue,
                Poll::Pending => {}
                ready => return ready,
            }
            let step = self.step(upload.has_unsent());
            match self.wait(cx, step) {
                // It may be an old server that does not know what it was asked.
                Poll::Ready(Err(Failed::Stall)) if step == Step::Expect => self.exchange.proceed(),
                waited => return waited,
            }
        }
    }

    /// What the exchange waits for.
    fn step(&self, data_left: bool) -> Step {
        if data_left || !self.out.is_empty() {
            Step::Write
        } else if self.exchange.awaits_continue() {
            Step::Expect
        } else if self.exchange.request_done() {
            Step::Head
        } else {
            Step::Caller
        }
    }

    /// Reads until the final head is here, or the turn is over. It always reads once: an answer
    /// must be seen even if each turn is used up by sending a long body.
    fn poll_head(&mut self) -> Poll<Result<ResponseHead, Failed>> {
        let mut last = false;
        loop {
            if let Some(head) = self.take_head()? {
                return Poll::Ready(Ok(head));
            }
            if last {
                return Poll::Pending;
            }
            if ready!(self.poll_read()).map_err(Failed::Io)? == 0 {
                return Poll::Ready(Err(Failed::Eof));
            }
            last = self.turn.is_over();
        }
    }

    /// Looks for the final head in what has been read.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, Failed> {
        if self.input.is_empty() {
            return Ok(None);
        }
        // A peer that talks before it is asked is answering somebody else's question.
        if !self.progress.sent {
            return Err(ProtocolError::Unsolicited.into());
        }
        let (used, head) = self.exchange.head(self.input.data(), &self.shared.limits)?;
        self.input.consume(used);
        Ok(head)
    }

    /// Writing has failed, but the server may have said why before it closed: looks for a
    /// response in what the kernel has. No more can come after a reset, so this does not wait.
    fn salvage(&mut self, error: io::Error) -> Result<ResponseHead, Failed> {
        while self.progress.sent {
            match self.take_head() {
                Ok(Some(head)) => return Ok(head),
                Ok(None) => {}
                Err(_) => break,
            }
            match self.try_read() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        Err(Failed::Io(error))
    }

    #[cold]
    pub(super) fn fail(&mut self, kind: Failed, phase: Phase) -> ExchangeError {
        // A connection that has failed may be kept a while by its owner, but not its caller's task.
        self.wakers.signal.forget_task();
        let Progress { sent, received } = self.progress;
        if sent || received || !kind.spares_connection() {
            self.dead = true;
        }
        ExchangeError { kind, phase, sent, received }
    }
}

/// A request under way. Dropped at any point, it undoes what has had no effect outside.
struct Attempt<'c>(&'c mut Conn);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let conn = &mut *self.0;
        if !conn.progress.sent && !conn.progress.received {
            conn.exchange = Exchange::default();
            conn.out.clear();
            conn.settle();
        } else if conn.exchange.awaits_head() {
            conn.wakers.signal.forget_task();
        }
    }
}
