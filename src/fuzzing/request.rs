//! Requests: what is written parses back as what was asked for, and as nothing else.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http_body::SizeHint;

use crate::proto::h1::{BodyHint, Buffer, Exchange, Form, RequestHead};

/// An arbitrary request is refused, or parses back as itself: line, fields and body.
///
/// Input: `K` for a body of known length, `T` for chunks with all the fields as trailers too, or
/// anything else for chunks; a byte for the size of its
/// pieces; lines: `METHOD path`, then `name: value` each, then an empty one; the body.
pub fn h1_roundtrip(input: &[u8]) {
    let [kind, pieces, rest @ ..] = input else {
        return;
    };
    let Some((method, path, headers, body)) = parse(rest) else {
        return;
    };
    let head = RequestHead {
        method: &method,
        form: if method == Method::CONNECT { Form::Authority } else { Form::Origin },
        base_path: "/base",
        path: path.as_str(),
        authority: "authority:1",
        headers: &headers,
    };
    let known = *kind == b'K';
    let size = if known { SizeHint::with_exact(body.len() as u64) } else { SizeHint::default() };
    let hint = BodyHint { ended: known && body.is_empty(), size };
    let mut out = Buffer::default();
    let Ok(mut exchange) = Exchange::start(&mut out, &head, &hint) else {
        return;
    };
    let head_len = out.len();
    let trailers = (*kind == b'T').then_some(&headers);
    let sent = send(&mut exchange, &mut out, body, usize::from(*pieces) + 1, trailers);
    let body = Body { body, trailers, whole: sent };
    check(&head, &out.data()[..head_len], &out.data()[head_len..], &body);
    assert!(!sent || exchange.request_done());
}

/// `body` as chunks of `piece` bytes.
pub(super) fn chunks(body: &[u8], piece: usize) -> Vec<u8> {
    let headers = HeaderMap::new();
    let head = RequestHead {
        method: &Method::POST,
        form: Form::Origin,
        base_path: "",
        path: "/",
        authority: "",
        headers: &headers,
    };
    let hint = BodyHint { ended: false, size: SizeHint::default() };
    let mut out = Buffer::default();
    let mut exchange = Exchange::start(&mut out, &head, &hint).expect("a plain request");
    out.clear();
    assert!(send(&mut exchange, &mut out, body, piece, None));
    out.data().to_vec()
}

/// Whether all of the body was accepted.
fn send(
    exchange: &mut Exchange,
    out: &mut Buffer,
    body: &[u8],
    piece: usize,
    trailers: Option<&HeaderMap>,
) -> bool {
    for data in body.chunks(piece) {
        if exchange.begin_data(out, data.len() as u64).is_err() {
            return false;
        }
        out.put(data);
        exchange.end_data(out);
    }
    exchange.end_body(out, trailers).is_ok()
}

type Parsed<'a> = (Method, PathAndQuery, HeaderMap, &'a [u8]);

/// Only what the types of `http` let through can be a request at all.
fn parse(input: &[u8]) -> Option<Parsed<'_>> {
    let (line, mut rest) = line(input)?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&line[..space]).ok()?;
    let path = PathAndQuery::try_from(&line[space + 1..]).ok()?;
    let mut headers = HeaderMap::new();
    loop {
        let (line, behind) = self::line(rest)?;
        rest = behind;
        if line.is_empty() {
            return Some((method, path, headers, rest));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        headers.try_append(name, value).ok()?;
    }
}

/// Up to the next LF, and what is behind it. A CR before it stays, and is refused as a value.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = input.iter().position(|byte| *byte == b'\n')?;
    Some((&input[..at], &input[at + 1..]))
}

/// What was to be sent behind the head.
struct Body<'a> {
    body: &'a [u8],
    trailers: Option<&'a HeaderMap>,
    /// All of it was accepted.
    whole: bool,
}

fn check(asked: &RequestHead<'_>, head: &[u8], sent: &[u8], given: &Body<'_>) {
    let Body { body, whole, .. } = *given;
    let mut table = vec![httparse::EMPTY_HEADER; asked.headers.len() + 3];
    let mut parsed = httparse::Request::new(&mut table);
    let status = parsed.parse(head).expect("what is written is well-formed");
    assert_eq!(status, httparse::Status::Complete(head.len()));
    assert_eq!(parsed.method, Some(asked.method.as_str()));
    let target = parsed.path.expect("a target");
    assert!(
        target.is_ascii()
            && (["*", "authority:1"].contains(&target) || target.starts_with("/base/"))
    );

    let field = |name: &HeaderName| {
        let same = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name.as_str());
        parsed.headers.iter().filter(same).map(|field| field.value).collect::<Vec<_>>()
    };
    for name in asked.headers.keys() {
        let expected: Vec<_> =
            asked.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
        if ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name) {
            assert_eq!(field(name), expected, "{name}");
        }
    }
    assert_eq!(field(&header::HOST).len(), 1);
    let (lengths, codings) = (field(&header::CONTENT_LENGTH), field(&header::TRANSFER_ENCODING));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => assert!(sent.is_empty()),
        ([length], []) => {
            let stated: usize = std::str::from_utf8(length).expect("digits").parse().expect("fits");
            assert!(sent.len() <= stated, "never more than was stated");
            assert!(!whole || (sent == body && sent.len() == stated));
        }
        ([], [coding]) => {
            assert_eq!(*coding, b"chunked");
            check_chunks(sent, given);
        }
        both => panic!("two framings: {both:?}"),
    }
}

/// Chunks come back as what was sent, and so do trailers, unless they were refused.
fn check_chunks(sent: &[u8], given: &Body<'_>) {
    if !given.whole {
        // Only trailers can be refused here, and then there is no end.
        assert!(given.trailers.is_some_and(|map| !map.is_empty()));
        assert!(!sent.ends_with(b"\r\n0\r\n\r\n") || given.body.ends_with(b"\r\n0\r\n"));
        return;
    }
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    answer.extend_from_slice(sent);
    let seen = super::read(&Method::GET, &answer, usize::MAX, 0);
    // What we send may be more than what we would take.
    if given.trailers.is_some_and(|map| map.len() > 100 || sent.len() > 16 * 1024) {
        return;
    }
    assert_eq!((seen.data.as_slice(), seen.complete), (given.body, Some(answer.len())));
    let trailers = given.trailers.filter(|map| !map.is_empty());
    assert_eq!(seen.trailers.as_ref(), trailers);
}
