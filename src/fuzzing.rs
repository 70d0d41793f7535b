//! What the fuzz targets call, and the replay of their corpus.
//!
//! Each function takes arbitrary bytes and panics if a promise is broken, one of `proto` or of the
//! lock-free core. The inputs are made to be written by hand, too: the first bytes choose a
//! variant, the rest is plain HTTP, or steps of two bytes.

#![allow(missing_docs, reason = "compiled for tests and fuzzing only; the module says it all")]
#![allow(clippy::missing_panics_doc, reason = "a panic is how a target reports what it found")]

mod core;
mod request;

use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode, header};
use http_body::SizeHint;

use crate::proto::h1::{
    BodyEvent, BodyHint, Buffer, Exchange, Form, HeadLimits, ProtocolError, RequestHead,
    ResponseHead,
};

pub use self::core::core;
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
    /// The connection is a plain byte stream from here on.
    tunnel: bool,
    /// A body that waits for leave would still wait.
    held: bool,
}

/// An answer as it was read, for a comparison with another decoder.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reading {
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub data: Vec<u8>,
    pub trailers: HeaderMap,
    pub complete: bool,
    /// Another request may follow. Bytes that are left over forbid it.
    pub reusable: bool,
    /// What was wrong with it.
    pub refused: Option<String>,
}

/// Reads an answer to a GET or a HEAD in one piece, and then the end of the stream.
#[must_use]
pub fn h1_reading(method: &Method, answer: &[u8]) -> Reading {
    let limits = HeadLimits { max_bytes: 64 * 1024, max_fields: 100 };
    let (seen, refused) = read_within(&limits, &ask(method), answer, usize::MAX, 0);
    let (status, headers) = match seen.head {
        Some(head) => (Some(head.status), head.headers),
        None => (None, HeaderMap::new()),
    };
    Reading {
        status,
        headers,
        data: seen.data,
        trailers: seen.trailers.unwrap_or_default(),
        complete: seen.complete.is_some(),
        reusable: seen.reusable && seen.complete == Some(answer.len()),
        refused: refused.map(|error| format!("{error:?}")),
    }
}

/// What is asked for.
#[derive(Clone)]
struct Ask {
    method: Method,
    headers: HeaderMap,
    length: u64,
}

fn ask(method: &Method) -> Ask {
    Ask { method: method.clone(), headers: HeaderMap::new(), length: 0 }
}

/// A request by the first byte of an input.
fn asked_by(kind: u8) -> Ask {
    let field = |name, value| (name, HeaderValue::from_static(value));
    let (method, fields, length) = match kind {
        b'H' => (Method::HEAD, vec![], 0),
        b'C' => (Method::CONNECT, vec![], 0),
        b'U' => {
            let offer = field(header::UPGRADE, "chat, x");
            (Method::GET, vec![offer, field(header::CONNECTION, "upgrade")], 0)
        }
        b'E' => (Method::PUT, vec![field(header::EXPECT, "100-continue")], 5),
        _ => (Method::GET, vec![], 0),
    };
    Ask { method, headers: fields.into_iter().collect(), length }
}

/// An arbitrary answer gives the same events in one piece and in any other.
///
/// Input: `H` for HEAD, `C` for CONNECT, `U` for a GET that offers to switch, `E` for a PUT that
/// waits for leave, or anything else for GET; a byte that chooses the pieces; the answer.
pub fn h1_response(input: &[u8]) {
    let [kind, pieces, answer @ ..] = input else {
        return;
    };
    agree(&asked_by(*kind), answer, *pieces);
}

/// The same for an arbitrary chunked body, so that no time is lost on heads; and data that was
/// decoded comes back when it is encoded again.
///
/// Input: a byte that chooses the pieces; the body.
pub fn h1_chunked(input: &[u8]) {
    let [pieces, body @ ..] = input else { return };
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    answer.extend_from_slice(body);
    let seen = agree(&ask(&Method::GET), &answer, *pieces);
    if seen.complete.is_some() {
        let encoded = request::chunks(&seen.data, usize::from(*pieces) + 1);
        let mut again = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        again.extend_from_slice(&encoded);
        let again = read(&Method::GET, &again, usize::MAX, 0);
        assert_eq!(again.data, seen.data);
        assert!(again.complete.is_some() && again.reusable);
    }
}

fn agree(ask: &Ask, answer: &[u8], pieces: u8) -> Seen {
    let limits = HeadLimits { max_bytes: 4096, max_fields: 100 };
    let (whole, _) = read_within(&limits, ask, answer, usize::MAX, 0);
    let most = usize::from(pieces % 32) + 1;
    let (split, _) = read_within(&limits, ask, answer, most, u32::from(pieces));
    assert_eq!(whole, split, "in pieces of up to {most} bytes");
    check(ask, &whole, answer.len());
    whole
}

/// Reads `answer` in pieces of one to `most` bytes, and then the end of the stream.
fn read(method: &Method, answer: &[u8], most: usize, seed: u32) -> Seen {
    let limits = HeadLimits { max_bytes: 4096, max_fields: 100 };
    read_within(&limits, &ask(method), answer, most, seed).0
}

fn read_within(
    limits: &HeadLimits,
    ask: &Ask,
    answer: &[u8],
    most: usize,
    mut seed: u32,
) -> (Seen, Option<ProtocolError>) {
    let mut exchange = start(ask);
    let mut buffer = Buffer::default();
    let mut seen = Seen {
        head: None,
        data: Vec::new(),
        trailers: None,
        complete: None,
        reusable: false,
        tunnel: false,
        held: false,
    };
    let (mut used, mut rest) = (0, answer);
    while !rest.is_empty() || used == 0 {
        // A linear congruence is random enough to cut in odd places, and the same each time.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = 1 + (seed >> 16) as usize % most;
        let (piece, behind) =
            rest.split_at(if most == usize::MAX { rest.len() } else { n.min(rest.len()) });
        rest = behind;
        buffer.put(piece);
        let advanced = advance(&mut exchange, &mut buffer, limits, &mut seen, &mut used);
        (seen.tunnel, seen.held) = (exchange.is_tunnel(), exchange.awaits_continue());
        match advanced {
            Advanced::Wants if !rest.is_empty() => {}
            Advanced::Wants => break,
            Advanced::Ended => {
                seen.complete = Some(used);
                seen.reusable = exchange.reusable();
                return (seen, None);
            }
            Advanced::Failed(error) => return (seen, Some(error)),
        }
    }
    if seen.head.is_some() && exchange.end_of_stream() {
        seen.complete = Some(used);
        assert!(!exchange.reusable(), "a closed connection is not reusable");
    }
    (seen, None)
}

enum Advanced {
    Wants,
    Ended,
    Failed(ProtocolError),
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
        let (n, head) = match exchange.head(buffer.data(), limits) {
            Ok(found) => found,
            Err(error) => return Advanced::Failed(error),
        };
        consume(buffer, n);
        seen.head = head;
    }
    while seen.head.is_some() {
        let (n, event) = match exchange.body(buffer.data()) {
            Ok(found) => found,
            Err(error) => return Advanced::Failed(error),
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

fn start(ask: &Ask) -> Exchange {
    let connect = ask.method == Method::CONNECT;
    let head = RequestHead {
        method: &ask.method,
        form: if connect { Form::Authority } else { Form::Origin },
        base_path: "",
        path: "/",
        authority: "far:1",
        headers: &ask.headers,
    };
    let body = BodyHint { ended: ask.length == 0, size: SizeHint::with_exact(ask.length) };
    Exchange::start(&mut Buffer::default(), &head, &body).expect("a plain request")
}

/// What must hold of any answer, said again in other words than the decoder's.
fn check(ask: &Ask, seen: &Seen, len: usize) {
    let Some(head) = &seen.head else {
        assert!(seen.data.is_empty() && seen.complete.is_none() && !seen.tunnel);
        return;
    };
    let status = head.status.as_u16();
    assert!(!seen.held, "whoever has the answer does not wait for leave");
    assert!(head.headers.len() <= 100);
    assert!(seen.data.len() <= len);
    let switched = status == 101;
    assert!(status >= 200 || switched, "an interim response is never the final one");
    assert!(!switched || ask.headers.contains_key(header::UPGRADE));
    let granted = ask.method == Method::CONNECT && (200..300).contains(&status);
    assert_eq!(seen.tunnel, switched || granted);
    if seen.tunnel {
        assert!(seen.complete.is_some() && !seen.reusable && seen.data.is_empty());
        return;
    }
    if ask.method == Method::HEAD || status == 204 || status == 304 {
        assert!(seen.data.is_empty() && seen.complete.is_some());
        return;
    }
    let coded = head.headers.contains_key(header::TRANSFER_ENCODING);
    let lengths: Vec<_> = head.headers.get_all(header::CONTENT_LENGTH).iter().collect();
    if seen.reusable {
        assert!(ask.length == 0, "the request was not sent whole");
        assert!(coded != (lengths.len() == 1), "exactly one framing");
        let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
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

    use super::{Method, h1_reading};

    /// Runs a target over its committed corpus, and over each seed cut short at every byte.
    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus") {
            let path = entry.expect("an entry").path();
            let seed = fs::read(&path).expect("a seed");
            // The pieces, or a limit, are chosen by a byte of the input: let it choose many.
            for pieces in [0, 1, 2, 3, 7, 31] {
                let mut seed = seed.clone();
                let at = usize::from(target == "h1_response");
                if ["h1_response", "h1_chunked"].contains(&target) && seed.len() > at {
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

    /// What the other decoder makes of it is the fuzzer's to see.
    #[test]
    fn the_corpus_of_differences_is_read() {
        let read = |input: &[u8]| {
            if let [kind, answer @ ..] = input {
                let method = if *kind == b'H' { Method::HEAD } else { Method::GET };
                let reading = h1_reading(&method, answer);
                assert!(!reading.reusable || (reading.complete && reading.refused.is_none()));
            }
        };
        replay("h1_differential", read);
    }

    #[test]
    fn the_corpus_of_chunks_holds() {
        replay("h1_chunked", super::h1_chunked);
    }

    #[test]
    fn the_corpus_of_the_core_holds() {
        replay("core", super::core);
    }

    /// Long runs of arbitrary steps, the same each time.
    #[test]
    fn the_core_agrees_with_its_model_over_long_runs() {
        for seed in 0..if cfg!(miri) { 2 } else { 300 } {
            let mut random = fastrand::Rng::with_seed(seed);
            let steps: Vec<u8> = (0..2_000).map(|_| random.u8(..)).collect();
            super::core(&steps);
        }
    }

    #[test]
    fn the_corpus_of_requests_holds() {
        replay("h1_roundtrip", super::h1_roundtrip);
    }
}
