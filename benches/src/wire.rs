//! The HTTP that the server, the floor and the reference need, and no more.

use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use httparse::{EMPTY_HEADER, Status};

use crate::options::Options;

/// The request that the floor writes again and again.
pub(crate) fn request_bytes(options: &Options) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", options.path, options.addr).into_bytes()
}

/// Where the empty line ends that ends a head.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// How long a response is in all, from its head. `None` if the head is not whole.
pub(crate) fn response_length(bytes: &[u8]) -> Option<usize> {
    let head = end_of_head(bytes)?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let (_, rest) = text.split_once("content-length: ")?;
    let (digits, _) = rest.split_once("\r\n")?;
    Some(head + digits.parse::<usize>().ok()?)
}

/// Writes a request's head: what no client can leave out.
///
/// # Panics
/// If the request has no absolute URL.
pub(crate) fn serialise(request: &Request<()>, out: &mut Vec<u8>) {
    let uri = request.uri();
    let authority = uri.authority().expect("an absolute URL").as_str();
    out.clear();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(authority.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in request.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes a response's head out of `buffer`, with the length of its body. `None` if it is not whole.
///
/// # Panics
/// If it is no head: the server is ours.
pub(crate) fn take_head(buffer: &mut BytesMut) -> Option<(Response<()>, usize)> {
    let mut table = [EMPTY_HEADER; 32];
    let mut spans = [(0, 0, 0, 0); 32];
    let mut parsed = httparse::Response::new(&mut table);
    let Status::Complete(used) = parsed.parse(buffer).expect("a head") else {
        return None;
    };
    let at = |part: &[u8]| part.as_ptr().addr() - buffer.as_ptr().addr();
    let count = parsed.headers.len();
    for (span, field) in spans.iter_mut().zip(&*parsed.headers) {
        let (name, value) = (field.name.as_bytes(), field.value);
        *span = (at(name), name.len(), at(value), value.len());
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).expect("a status");
    let head = buffer.split_to(used).freeze();
    let mut response = Response::new(());
    *response.status_mut() = status;
    response.headers_mut().reserve(count);
    let mut length = 0;
    for &(name, name_len, value, value_len) in &spans[..count] {
        let name = HeaderName::from_bytes(&head[name..name + name_len]).expect("a name");
        let value = HeaderValue::from_maybe_shared(head.slice(value..value + value_len));
        let value = value.expect("a value");
        if name == CONTENT_LENGTH {
            length = value.to_str().ok().and_then(|text| text.parse().ok()).expect("a length");
        }
        response.headers_mut().append(name, value);
    }
    Some((response, length))
}
