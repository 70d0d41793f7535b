//! [`ExchangeError`]: what went wrong on a connection, and how far the request had come.

use std::borrow::Cow;
use std::io;

use super::tls::is_tls_fault;
use crate::error::{BoxError, Phase};
use crate::proto::h1::{BodyLengthError, EncodeError, ProtocolError};

/// Why an exchange failed, with the facts that decide whether it may be tried again.
#[derive(Debug)]
pub(crate) struct ExchangeError {
    pub(crate) kind: ExchangeErrorKind,
    pub(crate) phase: Phase,
    /// The kernel took at least one byte of the request.
    pub(crate) sent: bool,
    /// At least one byte of the response came.
    pub(crate) received: bool,
}

#[derive(Debug)]
pub(crate) enum ExchangeErrorKind {
    /// The deadline passed.
    Timeout,
    /// The time of this step was up.
    Stall,
    /// The pool cut the connection.
    Cut,
    /// The connection failed.
    Io(io::Error),
    /// The peer closed the connection before the end of the response.
    Eof,
    /// The peer did not speak HTTP/1.1 as it should.
    Protocol(ProtocolError),
    /// The caller's body failed, or was not of its stated length.
    Body(BoxError),
    /// The request cannot be sent as it is.
    Request(EncodeError),
}

impl ExchangeErrorKind {
    /// Whether the fault is the caller's alone: if nothing was sent, the connection is as good as
    /// before.
    pub(super) fn spares_connection(&self) -> bool {
        matches!(self, Self::Body(_) | Self::Request(_) | Self::Timeout | Self::Stall)
    }
}

impl ExchangeErrorKind {
    /// Whether it is TLS that failed.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Io(error) if is_tls_fault(error))
    }
}

impl From<BodyLengthError> for ExchangeErrorKind {
    fn from(error: BodyLengthError) -> Self {
        Self::Body(error.into())
    }
}

impl From<ProtocolError> for ExchangeErrorKind {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl ExchangeError {
    /// Whether the connection failed or was closed, or had bytes on it that nobody had asked for:
    /// not a timeout, not the caller, and no fault of an answer.
    pub(crate) fn is_broken(&self) -> bool {
        match self.kind {
            ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof => true,
            ExchangeErrorKind::Protocol(ProtocolError::Unsolicited) => !self.sent,
            _ => false,
        }
    }

    /// What failed, and in which step. It does not say what the cause says, but where that is TLS:
    /// then it says itself what is to be done.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match &self.kind {
            ExchangeErrorKind::Io(fault) if is_tls_fault(fault) => fault.to_string().into(),
            _ => self.step().into(),
        }
    }

    fn step(&self) -> &'static str {
        use ExchangeErrorKind as Kind;
        match (&self.kind, self.phase) {
            (Kind::Timeout, Phase::Body) => "the response's body did not end in time",
            (Kind::Timeout, Phase::Response) => "no response came in time",
            (Kind::Timeout, _) => "the request could not be sent in time",
            (Kind::Stall, Phase::Body) => "no more of the response's body came in time",
            (Kind::Stall, Phase::Response) => "no response came within the time for its head",
            (Kind::Stall, _) => "the server took no more of the request in time",
            (Kind::Cut, _) => {
                "the pool was shut down before the request was done: give Pool::shutdown more time"
            }
            (Kind::Io(_), Phase::Body) => "the connection failed while the response's body came",
            (Kind::Io(_), Phase::Response) if self.received => {
                "the connection failed in the middle of the response's head"
            }
            (Kind::Io(_), Phase::Response) => "the connection failed before the response came",
            (Kind::Io(_), _) => "the connection failed while the request was sent",
            (Kind::Eof, Phase::Body) => {
                "the server closed the connection in the middle of the response's body"
            }
            (Kind::Eof, _) if self.received => {
                "the server closed the connection in the middle of the response's head"
            }
            (Kind::Eof, Phase::Response) => "the server closed the connection without a response",
            (Kind::Eof, _) => "the server closed the connection before it had the whole request",
            (Kind::Protocol(_), _) => "the server's answer is not acceptable HTTP/1.1",
            (Kind::Body(_), _) => "the request's body failed",
            (Kind::Request(_), _) => "the request cannot be sent as it is",
        }
    }

    /// The cause, where there is one beneath: for the caller to see and to downcast, without this
    /// private type in between.
    pub(crate) fn into_source(self) -> Option<BoxError> {
        match self.kind {
            ExchangeErrorKind::Io(error) => Some(error.into()),
            ExchangeErrorKind::Protocol(error) => Some(error.into()),
            ExchangeErrorKind::Body(error) => Some(error),
            ExchangeErrorKind::Request(error) => Some(error.into()),
            ExchangeErrorKind::Timeout
            | ExchangeErrorKind::Stall
            | ExchangeErrorKind::Cut
            | ExchangeErrorKind::Eof => None,
        }
    }
}
