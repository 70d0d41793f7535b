//! What the fuzz targets call, and the replay of their corpus.
//!
//! Each function takes arbitrary bytes and panics if a promise of `proto` is broken. The inputs
//! are made to be written by hand, too: the first bytes choose a variant, the rest is plain HTTP.

#![allow(missing_docs, reason = "compiled for tests and fuzzing only; the module says it all")]
#![allow(clippy::missing_panics_doc, reason = "a panic is how a target reports what it found")]

mod request;

use http::header::HeaderMap;
use http::{Method, header};
use http_body::SizeHint;

use crate::proto::h1::{
    BodyEvent, BodyHint, Buffer, Exchange, Form, HeadLimits, RequestHead, ResponseHead,
};

pub use self::request::h1_roundtrip;

/// What a response came to.
#[derive(Debug, PartialEq)]
struct Seen {
    head: Option<ResponseHead>,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Bytes used, framing and data, if the response came to its end.
    complete: Option<usize>,
    reusable: bool,
}

/// An arbitrary answer gives the same events in one piece and in any other.
///
/// Input: `H` for HEAD or anything else for GET; a byte that chooses the pieces; the answer.
pub fn h1_response(input: &[u8]) {
    let [method, pieces, answer @ ..] = input else {
        return;
    };
    let method = if *method == b'H' { Method::HEAD } else { Method::GET };
    agree(&method, answer, *pieces);
}

/// The same for an arbitrary chunked body, so that no time is lost on heads; and data that was
/// decoded comes back when it is encoded again.
///
/// Input: a byte that chooses the pieces; the body.
pub fn h1_chunked(input: &[u8]) {
    let [pieces, body @ ..] = input else { return };
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    answer.extend_from_slice(body);
    let seen = agree(&Method::GET, &answer, *pieces);
    if seen.complete.is_some() {
        let encoded = request::chunks(&seen.data, usize::from(*pieces) + 1);
        let mut again = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        again.extend_from_slice(&encoded);
        let again = read(&Method::GET, &again, usize::MAX, 0);
        assert_eq!(again.data, seen.data);
        assert!(again.complete.is_some() && again.reusable);
    }
}

fn agree(method: &Method, answer: &[u8], pieces: u8) -> Seen {
    let whole = read(method, answer, usize::MAX, 0);
    let most = usize::from(pieces % 32) + 1;
    let split = read(method, answer, most, u32::from(pieces));
    assert_eq!(whole, split, "in pieces of up to {most} bytes");
    check(method, &whole, answer.len());
    whole
}

/// Reads `answer` in pieces of one to `most` bytes, and then the end of the stream.
fn read(method: &Method, answer: &[u8], most: usize, mut seed: u32) -> Seen {
    let limits = HeadLimits { max_bytes: 4096, max_fields: 100 };
    let mut exchange = start(method);
    let mut buffer = Buffer::default();
    let mut seen =
        Seen { head: None, data: Vec::new(), trailers: None, complete: None, reusable: false };
    let (mut used, mut rest) = (0, answer);
    while !rest.is_empty() || used == 0 {
        // A linear congruence is random enough to cut in odd places, and the same each time.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = 1 + (seed >> 16) as usize % most;
        let (piece, behind) =
            rest.split_at(if most == usize::MAX { rest.len() } else { n.min(rest.len()) });
        rest = behind;
        buffer.put(piece);
        match advance(&mut exchange, &mut buffer, &limits, &mut seen, &mut used) {
            Advanced::Wants if !rest.is_empty() => {}
            Advanced::Wants => break,
            Advanced::Ended => {
                seen.complete = Some(used);
                seen.reusable = exchange.reusable();
                return seen;
            }
            Advanced::Failed => return seen,
        }
    }
    if seen.head.is_some() && exchange.end_of_stream() {
        seen.complete = Some(used);
        assert!(!exchange.reusable(), "a closed connection is not reusable");
    }
    seen
}

enum Advanced {
    Wants,
    Ended,
    Failed,
}

fn advance(
    exchange: &mut Exchange,
    buffer: &mut Buffer,
    limits: &HeadLimits,
    seen: &mut Seen,
    used: &mut usize,
) -> Advanced {
    let mut consume = |buffer: &mut Buffer, n: usize| {
        assert!(n <= buffer.len(), "more used than shown");
        buffer.consume(n);
        *used += n;
    };
    if seen.head.is_none() {
        let Ok((n, head)) = exchange.head(buffer.data(), limits) else {
            return Advanced::Failed;
        };
        consume(buffer, n);
        seen.head = head;
    }
    while seen.head.is_some() {
        let Ok((n, event)) = exchange.body(buffer.data()) else {
            return Advanced::Failed;
        };
        consume(buffer, n);
        match event {
            BodyEvent::More => break,
            BodyEvent::Data(n) => {
                assert!(n > 0 && n <= buffer.len(), "data that is not there");
                seen.data.extend_from_slice(&buffer.data()[..n]);
                consume(buffer, n);
                exchange.took(n);
            }
            BodyEvent::End(trailers) => {
                seen.trailers = trailers;
                return Advanced::Ended;
            }
        }
    }
    Advanced::Wants
}

fn start(method: &Method) -> Exchange {
    let headers = HeaderMap::new();
    let head = RequestHead {
        method,
        form: Form::Origin,
        base_path: "",
        path: "/",
        authority: "",
        headers: &headers,
    };
    let body = BodyHint { ended: true, size: SizeHint::with_exact(0) };
    Exchange::start(&mut Buffer::default(), &head, &body).expect("a plain request")
}

/// What must hold of any answer, said again in other words than the decoder's.
fn check(method: &Method, seen: &Seen, len: usize) {
    let Some(head) = &seen.head else {
        assert!(seen.data.is_empty() && seen.complete.is_none());
        return;
    };
    let status = head.status.as_u16();
    assert!(status >= 200, "an interim response is never the final one");
    assert!(head.headers.len() <= 100);
    assert!(seen.data.len() <= len);
    if method == Method::HEAD || status == 204 || status == 304 {
        assert!(seen.data.is_empty() && seen.complete.is_some());
        return;
    }
    let coded = head.headers.contains_key(header::TRANSFER_ENCODING);
    let lengths: Vec<_> = head.headers.get_all(header::CONTENT_LENGTH).iter().collect();
    if seen.reusable {
        assert!(coded != (lengths.len() == 1), "exactly one framing");
        let closes = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
        assert!(!head.headers.get_all(header::CONNECTION).iter().any(closes));
    }
    if seen.complete.is_some() && !coded && lengths.len() == 1 && seen.reusable {
        let stated: usize = lengths[0].to_str().expect("digits").parse().expect("a number");
        assert_eq!(stated, seen.data.len());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Runs a target over its committed corpus, and over each seed cut short at every byte.
    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus") {
            let path = entry.expect("an entry").path();
            let seed = fs::read(&path).expect("a seed");
            // The pieces are chosen by a byte of the input: let it choose many.
            for pieces in [0, 1, 2, 3, 7, 31] {
                let mut seed = seed.clone();
                let at = usize::from(target == "h1_response");
                if target != "h1_roundtrip" && seed.len() > at {
                    seed[at] = pieces;
                }
                run(&seed);
            }
            (0..seed.len()).for_each(|to| run(&seed[..to]));
            seeds += 1;
        }
        assert!(seeds >= 5, "{target} has only {seeds} seeds");
    }

    #[test]
    fn the_corpus_of_responses_holds() {
        replay("h1_response", super::h1_response);
    }

    #[test]
    fn the_corpus_of_chunks_holds() {
        replay("h1_chunked", super::h1_chunked);
    }

    #[test]
    fn the_corpus_of_requests_holds() {
        replay("h1_roundtrip", super::h1_roundtrip);
    }
}
