//! What a peer, or a caller, can do wrong on the wire.

use std::error::Error;
use std::fmt;

/// The peer did not speak HTTP/1.1 as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// The first bytes are no HTTP/1.x status line.
    NotHttp1,
    /// The status line or a field line is malformed.
    Head,
    /// A field is continued on a second line (obs-fold).
    Folded,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// The head, or the trailer section, has more fields than the limit.
    TooManyFields,
    /// Interim (1xx) responses without end.
    TooManyInterim,
    /// 101, though that was not asked for, or not to this protocol.
    Upgrade,
    /// The connection is to be switched, or a tunnel, before the server has the whole request.
    EarlyUpgrade,
    /// Bytes came before the request was sent.
    Unsolicited,
    /// A transfer coding other than exactly one `chunked`.
    TransferEncoding,
    /// A `Content-Length` that is no number, or several that differ.
    ContentLength,
    /// The chunked framing is malformed.
    Chunk,
    /// Chunk extensions out of all proportion to the data.
    ChunkExtensions,
    /// The trailer section is malformed.
    Trailers,
    /// The trailer section is longer than the limit.
    TrailersTooLarge,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp1 => "the answer is not HTTP/1.x",
            Self::Head => "the response's head is malformed",
            Self::Folded => "a field of the response is continued on a second line",
            Self::HeadTooLarge => "the response's head is longer than max_head_size",
            Self::TooManyFields => "the response has more fields than max_headers",
            Self::TooManyInterim => "too many interim responses",
            Self::Upgrade => "the server switched to a protocol that it was not offered",
            Self::EarlyUpgrade => "the server switched protocols in the middle of the request",
            Self::Unsolicited => "the server answered before it was asked",
            Self::TransferEncoding => "the response's Transfer-Encoding is not chunked",
            Self::ContentLength => "the response's Content-Length is invalid",
            Self::Chunk => "the response's chunked framing is malformed",
            Self::ChunkExtensions => "the response's chunk extensions are longer than the limit",
            Self::Trailers => "the response's trailer section is malformed",
            Self::TrailersTooLarge => "the response's trailer section is longer than the limit",
        })
    }
}

impl Error for ProtocolError {}

/// The request cannot be sent as it is. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    /// CONNECT to something other than a host and a port.
    Connect,
    /// TRACE or CONNECT with a body.
    Content,
    /// `Expect: 100-continue` without a body.
    Expect,
    /// `Upgrade` without `Connection: upgrade`.
    Upgrade,
    /// `TE` without `Connection: te`.
    Te,
    /// `TE` offers a coding, and none but `chunked` can be decoded.
    TeCoding,
    /// `Connection` names a field that frames or routes the message.
    Connection,
    /// The path has a byte that no request target may have.
    Target,
    /// More than one `Host`, or one that is no host.
    Host,
    /// The caller's `Transfer-Encoding` is not `chunked`, or contradicts the body.
    TransferEncoding,
    /// The caller's `Content-Length` is no number, or there are several that differ.
    ContentLength,
    /// The caller's `Content-Length` contradicts the body.
    LengthMismatch { stated: u64, actual: u64 },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the target of CONNECT is not a host and a port",
            Self::Content => "a TRACE or CONNECT request has no body",
            Self::Expect => "the request expects 100-continue, but has no body",
            Self::Upgrade => "the request has an Upgrade field, but no Connection: upgrade",
            Self::Te => "the request has a TE field, but no Connection: te",
            Self::TeCoding => "the request's TE field may say trailers, and nothing else",
            Self::Connection => {
                "the request's Connection field names Host, Content-Length or Transfer-Encoding"
            }
            Self::Target => "the path has a byte that a request target may not have",
            Self::Host => "the request's Host is not one host, with a port or without",
            Self::TransferEncoding => {
                "the request's Transfer-Encoding contradicts its body, from which it is derived"
            }
            Self::ContentLength => "the request's Content-Length is invalid",
            Self::LengthMismatch { stated, actual } => {
                return write!(
                    f,
                    "the request's Content-Length is {stated}, but its body has {actual} bytes",
                );
            }
        })
    }
}

impl Error for EncodeError {}

/// The caller's body broke its own word, halfway through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLengthError {
    /// It ended this many bytes too early.
    Short { missing: u64 },
    /// It went on beyond its length.
    Long,
    /// Its trailers carry a field that frames, routes or authenticates a message.
    Trailer,
}

impl fmt::Display for BodyLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { missing } => {
                write!(f, "the request's body ended {missing} bytes before its stated length")
            }
            Self::Long => f.write_str("the request's body is longer than its stated length"),
            Self::Trailer => {
                f.write_str("the request's trailers carry a field that may not be one")
            }
        }
    }
}

impl Error for BodyLengthError {}
