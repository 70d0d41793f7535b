//! The head of a request: from `http` types to bytes.

use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, Method};
use http_body::SizeHint;

use super::buffer::Buffer;
use super::error::EncodeError;
use super::framing::{self, Asked};

/// A request's head, as the parts it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    pub(crate) form: Form,
    /// What goes before the path: empty, or a path without a trailing slash.
    pub(crate) base_path: &'a str,
    /// Path and query, as `http::uri::PathAndQuery` prints them.
    pub(crate) path: &'a str,
    /// The authority that the target has, or would have: `Host`, for a caller who sets none.
    pub(crate) authority: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// How the target is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a path, to the server that it leads to.
    #[default]
    Origin,
    /// As a URL, to a proxy.
    Absolute {
        /// Its scheme is `https`: it leads to the proxy itself, which is spoken to by TLS.
        https: bool,
    },
    /// As a host and a port: for CONNECT, and nothing else.
    Authority,
}

/// What is known of a request's body before its first byte.
#[derive(Clone, Debug)]
pub(crate) struct BodyHint {
    /// There will be no frame at all.
    pub(crate) ended: bool,
    pub(crate) size: SizeHint,
}

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// After so many more bytes.
    Length { left: u64 },
    /// By its chunks.
    Chunked,
    /// It has been told.
    Done,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) sending: Sending,
    /// The request says `Connection: close`.
    pub(crate) close: bool,
    /// The request says that its body waits for a 100.
    pub(crate) expects: bool,
    /// What decides how the response is read.
    pub(crate) asked: Asked,
}

/// Which of the fields that matter here a head has, found in one pass over it. Nearly every head
/// lacks most of them, and each look-up would hash a name to find nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    host: bool,
    connection: bool,
    content_length: bool,
    transfer_encoding: bool,
    trailer: bool,
    expect: bool,
    upgrade: bool,
    te: bool,
}

impl Present {
    fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            present.host |= *name == header::HOST;
            present.connection |= *name == header::CONNECTION;
            present.content_length |= *name == header::CONTENT_LENGTH;
            present.transfer_encoding |= *name == header::TRANSFER_ENCODING;
            present.trailer |= *name == header::TRAILER;
            present.expect |= *name == header::EXPECT;
            present.upgrade |= *name == header::UPGRADE;
            present.te |= *name == header::TE;
        }
        present
    }
}

/// Writes the head. On an error `out` holds nothing of use.
pub(crate) fn request(
    out: &mut Buffer,
    head: &RequestHead<'_>,
    body: &BodyHint,
) -> Result<Encoded, EncodeError> {
    debug_assert_eq!(head.form == Form::Authority, head.method == Method::CONNECT);
    let present = Present::of(head.headers);
    let framing = frame(head, body, present)?;
    let expects = present.expect && expects_continue(head, framing)?;
    let upgrade = if present.upgrade { Some(offers(head.headers)?) } else { None };
    let close = present.connection && options(head.headers)?;
    if present.te {
        takes_trailers(head.headers)?;
    }
    out.put(head.method.as_str().as_bytes());
    out.put(b" ");
    put_target(out, head)?;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-6.2
    //# A client MUST NOT send a version to which it is not conformant.
    // With the name of the first field, which is always the same.
    out.put(b" HTTP/1.1\r\nhost: ");
    put_host(out, head, present.host)?;
    for (name, value) in head.headers {
        // `Host` has been written, and framing is ours to write.
        if ![header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name) {
            put_field(out, name, value);
        }
    }
    match framing {
        Declared::Nothing => out.put(b"\r\n"),
        Declared::Length(length) => {
            out.put(b"content-length: ");
            put_decimal(out, length);
            out.put(b"\r\n\r\n");
        }
        Declared::Chunked => out.put(b"transfer-encoding: chunked\r\n\r\n"),
    }
    let sending = match framing {
        Declared::Nothing | Declared::Length(0) => Sending::Done,
        Declared::Length(left) => Sending::Length { left },
        Declared::Chunked => Sending::Chunked,
    };
    let connect = head.form == Form::Authority;
    let asked = Asked { head: head.method == Method::HEAD, connect, upgrade };
    Ok(Encoded { sending, close, expects, asked })
}

/// Whether the body waits for a 100.
//= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
//# A client MUST NOT generate a 100-continue expectation in a request that does not include
//# content.
fn expects_continue(head: &RequestHead<'_>, framing: Declared) -> Result<bool, EncodeError> {
    let expects = framing::has_token(head.headers, &header::EXPECT, "100-continue");
    match framing {
        Declared::Nothing | Declared::Length(0) if expects => Err(EncodeError::Expect),
        _ => Ok(expects),
    }
}

/// The protocols that the request offers to switch to.
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
//# A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field
fn offers(headers: &HeaderMap) -> Result<Box<[HeaderValue]>, EncodeError> {
    if !framing::has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(EncodeError::Upgrade);
    }
    Ok(headers.get_all(header::UPGRADE).iter().cloned().collect())
}

/// Looks through the connection options: whether `close` is one.
//= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
//# A client that sends a "close" connection option MUST NOT send further requests on that
//# connection
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
//# A sender MUST NOT send a connection option corresponding to a field that is intended for all
//# recipients of the content.
// Of those, the ones without which the next hop reads another message.
fn options(headers: &HeaderMap) -> Result<bool, EncodeError> {
    let mut close = false;
    for option in framing::list(headers, &header::CONNECTION) {
        close |= option.eq_ignore_ascii_case(b"close");
        let is = |name: &HeaderName| option.eq_ignore_ascii_case(name.as_str().as_bytes());
        if [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(is) {
            return Err(EncodeError::Connection);
        }
    }
    Ok(close)
}

/// Accepts `TE: trailers`. A coding that the server may use on such an offer could not be undone.
//= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.4
//# a sender of TE MUST also send a "TE" connection option within the Connection header field
//= https://www.rfc-editor.org/rfc/rfc9112#section-7.4
//# A client MUST NOT send the chunked transfer coding name in TE; chunked is always acceptable for
//# HTTP/1.1 recipients.
fn takes_trailers(headers: &HeaderMap) -> Result<(), EncodeError> {
    let trailers = |member: &[u8]| member.is_empty() || member.eq_ignore_ascii_case(b"trailers");
    if !framing::list(headers, &header::TE).all(trailers) {
        return Err(EncodeError::TeCoding);
    }
    match framing::has_token(headers, &header::CONNECTION, "te") {
        true => Ok(()),
        false => Err(EncodeError::Te),
    }
}

#[derive(Clone, Copy)]
enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Derives the framing from the body. What the caller says may agree, or add what the body does
/// not know; it never overrules.
fn frame(
    head: &RequestHead<'_>,
    body: &BodyHint,
    present: Present,
) -> Result<Declared, EncodeError> {
    let coded = present.transfer_encoding;
    if coded && (body.ended || present.content_length || !framing::is_chunked(head.headers)) {
        return Err(EncodeError::TransferEncoding);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.2
    //# A sender MUST NOT send a Content-Length header field in any message that contains a
    //# Transfer-Encoding header field.
    let stated = if present.content_length {
        Some(framing::content_length(head.headers).ok_or(EncodeError::ContentLength)?.value)
    } else {
        None
    };
    let known = if body.ended { Some(0) } else { body.size.exact() };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8
    //# A client MUST NOT send content in a TRACE request.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
    //# A CONNECT request message does not have content.
    if matches!(*head.method, Method::TRACE | Method::CONNECT) && known != Some(0) {
        return Err(EncodeError::Content);
    }
    match (known, stated) {
        (Some(actual), Some(stated)) if actual != stated => {
            Err(EncodeError::LengthMismatch { stated, actual })
        }
        (_, Some(stated)) => {
            let (lower, upper) = (body.size.lower(), body.size.upper());
            let actual = if stated < lower { lower } else { upper.unwrap_or(stated).min(stated) };
            if known.is_none() && actual != stated {
                return Err(EncodeError::LengthMismatch { stated, actual });
            }
            Ok(Declared::Length(stated))
        }
        // Trailers can only follow chunks: whoever announces them wants chunks.
        (Some(_), None) if coded || (!body.ended && present.trailer) => Ok(Declared::Chunked),
        //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
        //# For example, a user agent normally sends Content-Length in a POST request even when the
        //# value is 0 (indicating empty content).
        (Some(0), None) if expects_content(head.method) => Ok(Declared::Length(0)),
        (Some(0), None) => Ok(Declared::Nothing),
        (Some(length), None) => Ok(Declared::Length(length)),
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        //# A client MUST NOT send a request containing Transfer-Encoding unless it knows the server
        //# will handle HTTP/1.1 requests (or later minor revisions); such knowledge might be in the
        //# form of specific user configuration
        // That is taken as known: see DESIGN.md.
        (None, None) => Ok(Declared::Chunked),
    }
}

fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn put_target(out: &mut Buffer, head: &RequestHead<'_>) -> Result<(), EncodeError> {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.3
    //# When making a CONNECT request to establish a tunnel through one or more proxies, a client
    //# MUST send only the host and port of the tunnel destination as the request-target.
    if head.form == Form::Authority {
        return put_tunnel(out, head.authority);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4
    //# When a client wishes to request OPTIONS for the server as a whole, as opposed to a specific
    //# named resource of that server, the client MUST send only "*" (%x2A) as the request-target.
    if head.path == "*" {
        out.put(b"*");
        return if head.method == Method::OPTIONS { Ok(()) } else { Err(EncodeError::Target) };
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
    //# When making a request to a proxy, other than a CONNECT or server-wide OPTIONS request (as
    //# detailed below), a client MUST send the target URI in "absolute-form" as the
    //# request-target.
    if let Form::Absolute { https } = head.form {
        out.put(if https { b"https://" } else { b"http://" });
        out.put(head.authority.as_bytes());
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.1
    //# a client MUST send only the absolute path and query components of the target URI as the
    //# request-target. If the target URI's path component is empty, the client MUST send "/" as the
    //# path within the origin-form of request-target.
    if !head.base_path.is_empty() {
        put_path(out, head.base_path)?;
    }
    if !head.path.starts_with('/') {
        out.put(b"/");
    }
    put_path(out, head.path)
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.3
//# There is no default port; a client MUST send the port number even if the CONNECT request is
//# based on a URI reference that contains an authority component with an elided port
fn put_tunnel(out: &mut Buffer, authority: &str) -> Result<(), EncodeError> {
    let (host, port) = authority.rsplit_once(':').ok_or(EncodeError::Connect)?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    let is_host = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || host.contains('@') || !is_port || !is_host {
        return Err(EncodeError::Connect);
    }
    out.put(authority.as_bytes());
    Ok(())
}

/// Writes a path. `http` lets bytes beyond ASCII through; on the wire they are percent-encoded.
fn put_path(out: &mut Buffer, path: &str) -> Result<(), EncodeError> {
    if path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        out.put(path.as_bytes());
        return Ok(());
    }
    for byte in path.bytes() {
        match byte {
            b'#' | 0..=b' ' | 0x7f => return Err(EncodeError::Target),
            b'!'..=b'~' => out.put(&[byte]),
            0x80.. => {
                let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
                out.put(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
    }
    Ok(())
}

/// Writes the value of `Host`, whose name is there already.
//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
//# A client MUST send a Host header field [...] in all HTTP/1.1 request messages.
fn put_host(out: &mut Buffer, head: &RequestHead<'_>, own: bool) -> Result<(), EncodeError> {
    if own {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) if host.as_bytes().iter().all(may_be_host) => {
                out.put(host.as_bytes());
            }
            _ => return Err(EncodeError::Host),
        }
    } else {
        out.put(head.authority.as_bytes());
    }
    out.put(b"\r\n");
    Ok(())
}

/// Not what would begin another part of a URL, or be taken off by one hop and not by the next: two
/// that differ about the host route one request to two places.
fn may_be_host(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b"@/\\?#".contains(byte)
}

/// Writes a field. The types of `http` let no CR, no LF and no NUL into a value, and nothing but a
/// token into a name: one field stays one.
//= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
//# A sender MUST NOT generate a bare CR (a CR character not immediately followed by LF) within any
//# protocol elements other than the content.
//= https://www.rfc-editor.org/rfc/rfc9112#section-5.2
//# A sender MUST NOT generate a message that includes line folding
fn put_field(out: &mut Buffer, name: &HeaderName, value: &HeaderValue) {
    out.put(name.as_str().as_bytes());
    out.put(b": ");
    out.put(value.as_bytes());
    out.put(b"\r\n");
}

fn put_decimal(out: &mut Buffer, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put(&digits[at..]);
}

#[cfg(test)]
mod tests;
