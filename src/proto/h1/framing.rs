//! Where the body of a response ends, and whether the connection outlives it.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use http::{StatusCode, Version};

use super::decode::ResponseHead;
use super::error::ProtocolError;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// By its chunks.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// The verdict on a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) body: BodyKind,
    /// The connection may carry another request after this response.
    pub(crate) persistent: bool,
}

/// Applies RFC 9112 section 6.3, in its order.
pub(crate) fn of_response(
    asked_with_head: bool,
    response: &ResponseHead,
) -> Result<Framing, ProtocolError> {
    let headers = &response.headers;
    let present = Present::of(headers);
    let (coded, counted) = (present.transfer_encoding, present.content_length);
    // Whatever comes of it below, a response that says its length twice, in two ways, smells of
    // smuggling: nothing that follows it is believed.
    let persistent = persists(response, present.connection) && !(coded && counted);

    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Any response to a HEAD request and any response with a 1xx (Informational), 204 (No
    //# Content), or 304 (Not Modified) status code is always terminated by the first empty line
    //# after the header fields, regardless of the header fields present in the message, and thus
    //# cannot contain a message body or trailer section.
    let bodiless = matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if asked_with_head || bodiless || response.status.is_informational() {
        return Ok(Framing { body: BodyKind::Empty, persistent });
    }
    // The rule on 2xx to CONNECT has no place here: CONNECT is never sent.

    if coded {
        only_chunked(response)?;
        return Ok(Framing { body: BodyKind::Chunked, persistent });
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# If a message is received without Transfer-Encoding and with an invalid Content-Length
    //# header field, then the message framing is invalid and the recipient MUST treat it as an
    //# unrecoverable error, unless the field value can be successfully parsed as a
    //# comma-separated list [...], all values in the list are valid, and all values in the list
    //# are the same
    if counted {
        let stated = content_length(headers).ok_or(ProtocolError::ContentLength)?;
        let body = match stated.value {
            0 => BodyKind::Empty,
            n => BodyKind::Length(n),
        };
        // Saying it twice is legal. It is also what a broken or hostile hop looks like.
        return Ok(Framing { body, persistent: persistent && !stated.repeated });
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Otherwise, this is a response message without a declared message body length, so the
    //# message body length is determined by the number of octets received prior to the server
    //# closing the connection.
    Ok(Framing { body: BodyKind::Close, persistent: false })
}

/// Which of the fields that matter here a head has, found in one pass over it. Nearly every head
/// lacks most of them, and each look-up would hash a name to find nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    pub(super) host: bool,
    pub(super) connection: bool,
    pub(super) content_length: bool,
    pub(super) transfer_encoding: bool,
    pub(super) trailer: bool,
}

impl Present {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            present.host |= *name == header::HOST;
            present.connection |= *name == header::CONNECTION;
            present.content_length |= *name == header::CONTENT_LENGTH;
            present.transfer_encoding |= *name == header::TRANSFER_ENCODING;
            present.trailer |= *name == header::TRAILER;
        }
        present
    }
}

/// Whether the connection persists, as far as the `Connection` field, which may be `present`, and
/// the version say.
fn persists(response: &ResponseHead, present: bool) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //# If the "close" connection option is present [...], the connection will not persist after
    //# the current response; else, [...] If the received protocol is HTTP/1.1 (or later), the
    //# connection will persist after the current response; else, [...] If the received protocol
    //# is HTTP/1.0, the "keep-alive" connection option is present, [...] the connection will
    //# persist after the current response; otherwise, [...] The connection will close after the
    //# current response.
    let option = |token| present && has_token(&response.headers, &header::CONNECTION, token);
    !option("close") && (response.version == Version::HTTP_11 || option("keep-alive"))
}

/// Accepts exactly one coding, `chunked`.
///
/// The RFC reads a response whose last coding is another one until the connection closes. We
/// refuse it: we have not offered any coding in `TE`, and handing a coded body on as if it were
/// plain would be wrong. Falling back to a `Content-Length` would be a hole.
fn only_chunked(response: &ResponseHead) -> Result<(), ProtocolError> {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //# A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
    //# header field MUST treat the message as if the framing is faulty, even if a
    //# Content-Length is present, and close the connection after processing the message.
    if response.version != Version::HTTP_11 {
        return Err(ProtocolError::TransferEncoding);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# If a message is received with both a Transfer-Encoding and a Content-Length header
    //# field, the Transfer-Encoding overrides the Content-Length.
    let mut codings = list(&response.headers, &header::TRANSFER_ENCODING)
        // RFC 9110 section 5.6.1 has recipients ignore empty members.
        .filter(|member| !member.is_empty());
    match (codings.next(), codings.next()) {
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(ProtocolError::TransferEncoding),
    }
}

/// The length that `Content-Length` states.
pub(super) struct StatedLength {
    pub(super) value: u64,
    /// More than once, on several lines or in a list.
    pub(super) repeated: bool,
}

/// Reads all `Content-Length` fields. `None`: one is malformed, or they differ, or there is none.
pub(super) fn content_length(headers: &HeaderMap) -> Option<StatedLength> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(only), None) = (lines.next(), lines.next()) {
        // Nearly always there is one line, with one number: no list to take apart.
        if let Some(value) = decimal(only.as_bytes()) {
            return Some(StatedLength { value, repeated: false });
        }
    }
    let mut members = list(headers, &header::CONTENT_LENGTH);
    let value = decimal(members.next()?)?;
    let mut repeated = false;
    for member in members {
        if decimal(member)? != value {
            return None;
        }
        repeated = true;
    }
    Some(StatedLength { value, repeated })
}

/// Digits and nothing else: `str::parse` would allow a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a list-valued field has the member `token`, on any of its lines and in any case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// The members of a list-valued field, over all its lines, without the blanks around them.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
}

/// How long the peer says it keeps an idle connection: `Keep-Alive: timeout=5`.
pub(crate) fn keep_alive_timeout(headers: &HeaderMap) -> Option<Duration> {
    // As in `Present`: a look is cheaper than a look-up that finds nothing.
    let name = headers.keys().find(|name| name.as_str() == "keep-alive")?;
    list(headers, name).find_map(|member| {
        let (name, value) = member.split_at_checked("timeout=".len())?;
        if !name.eq_ignore_ascii_case(b"timeout=") {
            return None;
        }
        decimal(value).map(Duration::from_secs)
    })
}

#[cfg(test)]
mod tests;
