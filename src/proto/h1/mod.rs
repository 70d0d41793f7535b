//! HTTP/1.1, the client's side, sans I/O: bytes in, events out.
//!
//! [`Exchange`] is the state machine of one request and its response; the other modules are its
//! parts. Nothing in here reads a clock or a socket, so that each rule can be tested, and fuzzed,
//! on plain bytes.

mod buffer;
mod chunked;
mod decode;
mod encode;
mod error;
mod exchange;
mod framing;

pub(crate) use self::buffer::{BUFFER, Buffer};
pub(crate) use self::decode::{Decoded, HeadDecoder, HeadLimits, ResponseHead};
pub(crate) use self::encode::{BodyHint, Form, RequestHead};
pub(crate) use self::error::{BodyLengthError, EncodeError, ProtocolError};
pub(crate) use self::exchange::{BodyEvent, Exchange};
