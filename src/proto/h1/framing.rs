//! Where the body of a response ends, and whether the connection outlives it.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
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
    /// There is none, and what follows is not HTTP any more.
    Tunnel,
}

/// The verdict on a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) body: BodyKind,
    /// The connection may carry another request after this response.
    pub(crate) persistent: bool,
    /// How long the peer says that it keeps the connection.
    pub(crate) keep_alive: Option<Duration>,
}

/// What of a request decides how its response is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// By HEAD.
    pub(crate) head: bool,
    /// By CONNECT.
    pub(crate) connect: bool,
    /// The lines of the request's `Upgrade` field. Boxed: hardly any request has one.
    pub(crate) upgrade: Option<Box<[HeaderValue]>>,
}

/// Applies RFC 9112 section 6.3, in its order.
pub(crate) fn of_response(
    asked: &Asked,
    response: &ResponseHead,
) -> Result<Framing, ProtocolError> {
    let headers = &response.headers;
    let present = Present::of(headers);
    let hint = |name| if present.keep_alive { keep_alive(headers, name) } else { None };
    let (keep_alive, more) = (hint("timeout=").map(Duration::from_secs), hint("max="));
    let framing = |body, persistent| Framing { body, persistent, keep_alive };
    let (coded, counted) = (present.transfer_encoding, present.lengths > 0);
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //# A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
    //# header field MUST treat the message as if the framing is faulty, even if a
    //# Content-Length is present, and close the connection after processing the message.
    let faulty = coded && (counted || response.version != Version::HTTP_11);
    // Whatever comes of it below, a response that says its length twice, in two ways, smells of
    // smuggling: nothing that follows it is believed.
    let persistent = persists(response, present.connection) && !faulty && more != Some(0);

    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        switched(asked, headers)?;
        return Ok(framing(BodyKind::Tunnel, false));
    }

    // Before the rule on statuses without a body: a 204 to CONNECT opens a tunnel, too.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Any 2xx (Successful) response to a CONNECT request implies that the connection will become
    //# a tunnel immediately after the empty line that concludes the header fields. A client MUST
    //# ignore any Content-Length or Transfer-Encoding header fields received in such a message.
    if asked.connect && response.status.is_success() {
        return Ok(framing(BodyKind::Tunnel, false));
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Any response to a HEAD request and any response with a 1xx (Informational), 204 (No
    //# Content), or 304 (Not Modified) status code is always terminated by the first empty line
    //# after the header fields, regardless of the header fields present in the message, and thus
    //# cannot contain a message body or trailer section.
    let bodiless = matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if asked.head || bodiless {
        // A length or a coding that is none frames nothing here. It still tells of a peer to
        // beware of.
        let odd = (counted && content_length(headers).is_none())
            || (coded && list(headers, &header::TRANSFER_ENCODING).any(<[u8]>::is_empty));
        return Ok(framing(BodyKind::Empty, persistent && !odd));
    }

    if coded {
        let plain = only_chunked(response)?;
        return Ok(framing(BodyKind::Chunked, persistent && plain));
    }

    if counted {
        let (body, once) = counted_body(headers, &present)?;
        return Ok(framing(body, persistent && once));
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Otherwise, this is a response message without a declared message body length, so the
    //# message body length is determined by the number of octets received prior to the server
    //# closing the connection.
    Ok(framing(BodyKind::Close, false))
}

/// The body of a response whose length is stated, and whether it is stated once.
//= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
//# If a message is received without Transfer-Encoding and with an invalid Content-Length
//# header field, then the message framing is invalid and the recipient MUST treat it as an
//# unrecoverable error, unless the field value can be successfully parsed as a
//# comma-separated list [...], all values in the list are valid, and all values in the list
//# are the same
fn counted_body(
    headers: &HeaderMap,
    present: &Present<'_>,
) -> Result<(BodyKind, bool), ProtocolError> {
    let body = |length| if length == 0 { BodyKind::Empty } else { BodyKind::Length(length) };
    // Nearly always there is one line, with one number: no list to look up and take apart.
    if let (Some(only), 1) = (present.content_length, present.lengths) {
        if let Some(length) = decimal(only.as_bytes()) {
            return Ok((body(length), true));
        }
    }
    let stated = content_length(headers).ok_or(ProtocolError::ContentLength)?;
    // Saying it twice is legal. It is also what a broken or hostile hop looks like.
    Ok((body(stated.value), !stated.repeated))
}

/// Accepts a 101 that keeps to what was asked for.
fn switched(asked: &Asked, headers: &HeaderMap) -> Result<(), ProtocolError> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A server that sends a 101 (Switching Protocols) response MUST send an Upgrade header field
    //# to indicate the new protocol(s) to which the connection is being switched
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A server MUST NOT switch to a protocol that was not indicated by the client in the
    //# corresponding request's Upgrade header field.
    let offers = asked.upgrade.as_deref().unwrap_or_default();
    let offered = |taken: &[u8]| members(offers).any(|offer| offer.eq_ignore_ascii_case(taken));
    let mut taken = list(headers, &header::UPGRADE).filter(|member| !member.is_empty()).peekable();
    if taken.peek().is_some() && taken.all(offered) {
        return Ok(());
    }
    Err(ProtocolError::Upgrade)
}

/// Which of the fields that matter here a head has, found in one pass over it. Nearly every head
/// lacks most of them, and each look-up would hash a name to find nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Present<'a> {
    connection: bool,
    /// The last line of `Content-Length`, and how many there are.
    content_length: Option<&'a HeaderValue>,
    lengths: usize,
    transfer_encoding: bool,
    keep_alive: bool,
}

impl<'a> Present<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, value) in headers {
            if *name == header::CONTENT_LENGTH {
                present.content_length = Some(value);
                present.lengths += 1;
            }
            present.connection |= *name == header::CONNECTION;
            present.transfer_encoding |= *name == header::TRANSFER_ENCODING;
            present.keep_alive |= name.as_str() == "keep-alive";
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
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    //# A client that receives a "close" connection option MUST cease sending requests on that
    //# connection and close the connection after reading the response message containing the
    //# "close" connection option
    let option = |token| present && has_token(&response.headers, &header::CONNECTION, token);
    !option("close") && (response.version == Version::HTTP_11 || option("keep-alive"))
}

/// Accepts exactly one coding, `chunked`.
///
/// The RFC reads a response whose last coding is another one until the connection closes. We
/// refuse it: we have not offered any coding in `TE`, and handing a coded body on as if it were
/// plain would be wrong. Falling back to a `Content-Length` would be a hole.
///
/// Whether it is said without empty members in the list: some decoders take `chunked,` for another
/// coding, so nothing that follows such a response is believed.
fn only_chunked(response: &ResponseHead) -> Result<bool, ProtocolError> {
    if response.version != Version::HTTP_11 {
        return Err(ProtocolError::TransferEncoding);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# If a message is received with both a Transfer-Encoding and a Content-Length header
    //# field, the Transfer-Encoding overrides the Content-Length.
    if !is_chunked(&response.headers) {
        return Err(ProtocolError::TransferEncoding);
    }
    Ok(list(&response.headers, &header::TRANSFER_ENCODING).all(|member| !member.is_empty()))
}

/// Whether `Transfer-Encoding` is exactly one `chunked`.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2
    //# A recipient MUST parse and ignore a reasonable number of empty list elements
    let mut codings = list(headers, &header::TRANSFER_ENCODING).filter(|member| !member.is_empty());
    let coding = codings.next();
    coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// The length that `Content-Length` states.
pub(super) struct StatedLength {
    pub(super) value: u64,
    /// More than once, on several lines or in a list.
    pub(super) repeated: bool,
}

/// Reads all `Content-Length` fields. `None`: one is malformed, or they differ, or there is none.
pub(super) fn content_length(headers: &HeaderMap) -> Option<StatedLength> {
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
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//# a recipient MUST anticipate potentially large decimal numerals and prevent parsing errors due
//# to integer conversion overflows or precision loss due to integer conversion
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
pub(super) fn list<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    members(headers.get_all(name))
}

fn members<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    let split = |line: &'a HeaderValue| line.as_bytes().split(|byte| *byte == b',');
    lines.into_iter().flat_map(split).map(<[u8]>::trim_ascii)
}

/// A number that the peer gives in `Keep-Alive: timeout=5, max=99`: for how many seconds it keeps
/// an idle connection, or how many requests more it takes.
fn keep_alive(headers: &HeaderMap, wanted: &str) -> Option<u64> {
    let lines = headers.get_all("keep-alive");
    members(lines).find_map(|member| {
        let (name, value) = member.split_at_checked(wanted.len())?;
        if !name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return None;
        }
        decimal(value)
    })
}

#[cfg(test)]
mod tests;
