//! [`ExchangeError`]: what went wrong on a connection, and how far the request had come.

use std::error::Error;
use std::fmt;
use std::io;

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
    /// The caller's body has given an answer: a frame, its end, or an error.
    pub(crate) body_taken: bool,
}

#[derive(Debug)]
pub(crate) enum ExchangeErrorKind {
    /// The deadline passed.
    Timeout,
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
        matches!(self, Self::Body(_) | Self::Request(_) | Self::Timeout)
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

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            ExchangeErrorKind::Timeout => "the deadline passed",
            ExchangeErrorKind::Cut => "the connection was cut by the pool",
            ExchangeErrorKind::Io(_) => "the connection failed",
            ExchangeErrorKind::Eof if self.received => {
                "the server closed the connection in the middle of its response"
            }
            ExchangeErrorKind::Eof => "the server closed the connection without a response",
            ExchangeErrorKind::Protocol(_) => "the server broke the protocol",
            ExchangeErrorKind::Body(_) => "the request's body failed",
            ExchangeErrorKind::Request(_) => "the request cannot be sent",
        })
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ExchangeErrorKind::Io(error) => Some(error),
            ExchangeErrorKind::Protocol(error) => Some(error),
            ExchangeErrorKind::Body(error) => Some(&**error),
            ExchangeErrorKind::Request(error) => Some(error),
            _ => None,
        }
    }
}
