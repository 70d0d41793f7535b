//! The head of a response: from bytes to status and fields.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use httparse::{Header, ParserConfig, Status};

use super::error::ProtocolError;

/// How much of a head is accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes of one head. Interim heads together may have as many again.
    pub(crate) max_bytes: usize,
    /// Fields of one head, and of a trailer section.
    pub(crate) max_fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024, max_fields: 512 }
    }
}

/// The head of a final response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Less than a head.
    Partial,
    /// An interim response, `len` bytes long. Not 101, which ends the exchange. It is clean if it
    /// is strict, and does not ask for the end of the connection.
    Interim { len: usize, status: StatusCode, clean: bool },
    /// A final response, or 101, `len` bytes long. It is strict if every line ends with CRLF.
    Final { len: usize, head: ResponseHead, strict: bool },
}

/// Most heads fit; only one that does not costs an allocation for the parser's table.
const USUAL_FIELDS: usize = 64;

/// Decodes one head from a buffer that begins with it and grows.
#[derive(Debug, Default)]
pub(crate) struct HeadDecoder {
    /// Up to here there is no end of head. Zero: the bytes have not been looked at.
    scanned: usize,
}

impl HeadDecoder {
    /// Looks at `input`: all the bytes since the start of the head.
    ///
    /// The first look parses at once, because nearly every head comes in one piece. If it is not
    /// whole, later looks only search the new bytes for its end: parsing from the start each time
    /// would make a head that trickles in cost the square of its length.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
    ) -> Result<Decoded, ProtocolError> {
        if input.is_empty() {
            return Ok(Decoded::Partial);
        }
        // The parser skips empty lines before the status line; a stray CRLF from the last
        // response must not be forgiven so.
        let start = b"HTTP/1.";
        let known = start.len().min(input.len());
        if input[..known] != start[..known] {
            return Err(ProtocolError::NotHttp1);
        }
        if self.scanned > 0 && !end_of_head(input, self.scanned) {
            self.scanned = input.len();
            return check_length(input.len(), limits).map(|()| Decoded::Partial);
        }
        self.scanned = input.len();
        let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
        parse(input, limits, &mut usual[..USUAL_FIELDS.min(limits.max_fields)])
    }
}

fn check_length(len: usize, limits: &HeadLimits) -> Result<(), ProtocolError> {
    if len > limits.max_bytes { Err(ProtocolError::HeadTooLarge) } else { Ok(()) }
}

/// Whether an empty line ends behind `scanned`. The last two bytes before it are looked at again:
/// the empty line may have been cut in two.
fn end_of_head(input: &[u8], scanned: usize) -> bool {
    let tail = &input[scanned.saturating_sub(2)..];
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

fn parse<'input>(
    input: &'input [u8],
    limits: &HeadLimits,
    table: &mut [MaybeUninit<Header<'input>>],
) -> Result<Decoded, ProtocolError> {
    let fields = table.len();
    let mut response = httparse::Response::new(&mut []);
    // Each leniency that the parser knows stays off: no blank before a colon, no folded lines, no
    // skipping of bad ones. RFC 9112 section 5.1 makes the first a known way to smuggle.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.5
    //# a recipient of CR, LF, or NUL within a field value MUST either reject the message or replace
    //# each of those characters with SP before further processing or forwarding of that message.
    // Other control characters are refused, too.
    let config = ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, input, table) {
        Ok(Status::Partial) => check_length(input.len(), limits).map(|()| Decoded::Partial),
        Ok(Status::Complete(len)) => {
            check_length(len, limits)?;
            finish(&response, &input[..len])
        }
        Err(httparse::Error::TooManyHeaders) if fields < limits.max_fields => {
            parse(input, limits, &mut vec![MaybeUninit::uninit(); limits.max_fields])
        }
        Err(error) => Err(refusal(error, input)),
    }
}

#[cold]
fn refusal(error: httparse::Error, input: &[u8]) -> ProtocolError {
    match error {
        httparse::Error::TooManyHeaders => ProtocolError::TooManyFields,
        httparse::Error::Version => ProtocolError::NotHttp1,
        // A line that begins with a blank is reported as a bad name or value; say what it is.
        _ if is_folded(input) => ProtocolError::Folded,
        _ => ProtocolError::Head,
    }
}

fn finish(response: &httparse::Response<'_, '_>, bytes: &[u8]) -> Result<Decoded, ProtocolError> {
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(ProtocolError::Head)?;
    let (len, strict) = (bytes.len(), has_strict_lines(response.headers, bytes));
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        let clean = strict && !asks_for_close(response.headers);
        return Ok(Decoded::Interim { len, status, clean });
    }
    let version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let headers = fields(response.headers, bytes).ok_or(ProtocolError::Head)?;
    Ok(Decoded::Final { len, head: ResponseHead { version, status, headers }, strict })
}

/// Whether an interim response says that it is one of the connection's last. What else its fields
/// say is nobody's business here, so no map is made of them.
fn asks_for_close(parsed: &[Header<'_>]) -> bool {
    let mut lines = parsed.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    let close = |member: &[u8]| member.trim_ascii().eq_ignore_ascii_case(b"close");
    lines.any(|line| line.value.split(|byte| *byte == b',').any(close))
}

/// Whether every line of a parsed head ends with CRLF. Each name begins a line, so the line before
/// it is seen by the two bytes before it; nothing is scanned.
//= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
//# Although the line terminator for the start-line and fields is the sequence CRLF, a recipient MAY
//# recognize a single LF as a line terminator and ignore any preceding CR.
// We do. But hops that differ about it can be played off against each other, so nothing that
// follows such a head is believed.
//= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
//# A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR
//# with SP before processing the element or forwarding the message.
// The parser refuses it.
fn has_strict_lines(parsed: &[Header<'_>], bytes: &[u8]) -> bool {
    let begins_strictly = |field: &Header<'_>| {
        let at = field.name.as_ptr().addr() - bytes.as_ptr().addr();
        bytes[..at].ends_with(b"\r\n")
    };
    bytes.ends_with(b"\r\n\r\n") && parsed.iter().all(begins_strictly)
}

/// Makes a map of parsed fields, whose values all are slices of one copy of `bytes`.
pub(super) fn fields(parsed: &[Header<'_>], bytes: &[u8]) -> Option<HeaderMap> {
    let shared = share(bytes);
    let mut headers = HeaderMap::try_with_capacity(parsed.len()).ok()?;
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = if field.value.is_empty() {
            HeaderValue::from_static("")
        } else {
            let at = field.value.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
            HeaderValue::from_maybe_shared(shared.slice(at..at + field.value.len())).ok()?
        };
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-5.2
//# A user agent that receives an obs-fold in a response message that is not within a "message/http"
//# container MUST replace each received obs-fold with one or more SP octets prior to interpreting
//# the field value.
// We interpret no value of such a message, but refuse all of it, and say why: hops that read the
// fold as a field of its own see other framing.
//= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
//# A recipient that receives whitespace between the start-line and the first header field MUST
//# either reject the message as invalid or consume each whitespace-preceded line without further
//# processing of it
fn is_folded(input: &[u8]) -> bool {
    input.windows(2).any(|pair| matches!(pair, b"\n " | b"\n\t"))
}

/// A copy of `bytes` in one allocation.
///
/// `Bytes::copy_from_slice` would make a second one at the first slice, for the reference count.
/// With an owner of fixed size, count and bytes live in the same block.
fn share(bytes: &[u8]) -> Bytes {
    match bytes.len() {
        0..=256 => Block::<256>::bytes(bytes),
        257..=512 => Block::<512>::bytes(bytes),
        513..=1024 => Block::<1024>::bytes(bytes),
        _ => Bytes::copy_from_slice(bytes),
    }
}

struct Block<const N: usize> {
    len: usize,
    memory: [u8; N],
}

impl<const N: usize> Block<N> {
    fn bytes(from: &[u8]) -> Bytes {
        let mut block = Self { len: from.len(), memory: [0; N] };
        block.memory[..from.len()].copy_from_slice(from);
        Bytes::from_owner(block)
    }
}

impl<const N: usize> AsRef<[u8]> for Block<N> {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

#[cfg(test)]
mod tests;
