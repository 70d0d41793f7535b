//! The head of a request: from `http` types to bytes.

use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, Method};
use http_body::SizeHint;

use super::buffer::Buffer;
use super::error::EncodeError;
use super::framing::{self, Present};

/// A request's head, as the parts it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    /// What goes before the path: empty, or a path without a trailing slash.
    pub(crate) base_path: &'a str,
    /// Path and query, as `http::uri::PathAndQuery` prints them.
    pub(crate) path: &'a str,
    /// The server's `Host`, for a caller who sets none.
    pub(crate) authority: &'a str,
    pub(crate) headers: &'a HeaderMap,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) sending: Sending,
    /// The request says `Connection: close`.
    pub(crate) close: bool,
}

/// Writes the head. On an error `out` holds nothing of use.
pub(crate) fn request(
    out: &mut Buffer,
    head: &RequestHead<'_>,
    body: &BodyHint,
) -> Result<Encoded, EncodeError> {
    if head.method == Method::CONNECT {
        return Err(EncodeError::Connect);
    }
    let present = Present::of(head.headers);
    let framing = frame(head, body, present)?;
    out.put(head.method.as_str().as_bytes());
    out.put(b" ");
    put_target(out, head)?;
    out.put(b" HTTP/1.1\r\n");
    put_host(out, head, present.host)?;
    for (name, value) in head.headers {
        // `Host` has been written, and framing is ours to write.
        if *name != header::HOST && *name != header::CONTENT_LENGTH {
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
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    //# A client that sends a "close" connection option MUST NOT send further requests on that
    //# connection
    let close =
        present.connection && framing::has_token(head.headers, &header::CONNECTION, "close");
    Ok(Encoded { sending, close })
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
    if present.transfer_encoding {
        return Err(EncodeError::TransferEncoding);
    }
    let stated = if present.content_length {
        Some(framing::content_length(head.headers).ok_or(EncodeError::ContentLength)?.value)
    } else {
        None
    };
    let known = if body.ended { Some(0) } else { body.size.exact() };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8
    //# A client MUST NOT send content in a TRACE request.
    if head.method == Method::TRACE && known != Some(0) {
        return Err(EncodeError::TraceBody);
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
        (Some(_), None) if !body.ended && present.trailer => Ok(Declared::Chunked),
        //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
        //# For example, a user agent normally sends Content-Length in a POST request even when the
        //# value is 0 (indicating empty content).
        (Some(0), None) if expects_content(head.method) => Ok(Declared::Length(0)),
        (Some(0), None) => Ok(Declared::Nothing),
        (Some(length), None) => Ok(Declared::Length(length)),
        (None, None) => Ok(Declared::Chunked),
    }
}

fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn put_target(out: &mut Buffer, head: &RequestHead<'_>) -> Result<(), EncodeError> {
    if head.path == "*" {
        out.put(b"*");
        return if head.method == Method::OPTIONS { Ok(()) } else { Err(EncodeError::Target) };
    }
    put_path(out, head.base_path)?;
    if !head.path.starts_with('/') {
        out.put(b"/");
    }
    put_path(out, head.path)
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

//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
//# A client MUST send a Host header field [...] in all HTTP/1.1 request messages.
fn put_host(out: &mut Buffer, head: &RequestHead<'_>, own: bool) -> Result<(), EncodeError> {
    out.put(b"host: ");
    if own {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => out.put(host.as_bytes()),
            _ => return Err(EncodeError::Host),
        }
    } else {
        out.put(head.authority.as_bytes());
    }
    out.put(b"\r\n");
    Ok(())
}

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
