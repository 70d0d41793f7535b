//! An arbitrary answer is read as hyper's client reads it, or is refused for a reason that is
//! listed here.
//!
//! Two decoders that differ about where a response ends can be played off against each other. So
//! whatever we take as whole, hyper must take as whole, with the same status, fields, data and
//! trailers; and whatever we would follow by another request, hyper would, too. [`STRICTER`] says
//! in what we are stricter, and why; [`differs`] where hyper is wrong.
//!
//! hyper parses heads with `httparse`, as we do; finding the length, the chunks, the trailers and
//! the end of the connection is its own.
//!
//! Input: `H` for HEAD, or anything else for GET; the answer.

#![no_main]

mod peer;

use evenkeel::fuzzing::{Reading, h1_reading};
use http::{HeaderValue, Method, header};

use self::peer::Theirs;

/// What we refuse and hyper takes, by the name of our error.
const STRICTER: &[(&str, &str)] = &[
    (
        "NotHttp1",
        "hyper skips empty lines before the status line: the tail of a response that was \
      longer than it said",
    ),
    (
        "TransferEncoding",
        "hyper takes any list that ends with chunked, and any other up to the \
      close; we offered no coding, and would hand on a coded body as if it were plain",
    ),
    ("Upgrade", "hyper takes a 101 that nobody asked for"),
    ("TooManyInterim", "hyper skips interim responses without end"),
    (
        "Chunk",
        "hyper takes control characters in extensions, and any number of leading zeros; hops \
      that read on to a bare CR or LF see other chunks",
    ),
    ("Trailers", "hyper takes lines that end with a bare LF"),
    ("TooManyFields", "hyper bounds trailers by more fields than ours are here"),
];

/// Whether hyper reads another body, and why it is wrong: RFC 9110 section 5.6.1.2 has recipients
/// ignore empty members of a list, and hyper takes `chunked,` for a coding other than chunked. We
/// do not use such a connection again.
fn differs(ours: &Reading) -> bool {
    let lines = ours.headers.get_all(header::TRANSFER_ENCODING);
    let members = |line: &HeaderValue| {
        line.as_bytes().split(|byte| *byte == b',').any(|member| member.trim_ascii().is_empty())
    };
    lines.iter().any(members)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [kind, answer @ ..] = input else { return };
    let method = if *kind == b'H' { Method::HEAD } else { Method::GET };
    compare(&h1_reading(&method, answer), &peer::read(&method, answer));
});

fn compare(ours: &Reading, theirs: &Theirs) {
    if differs(ours) {
        assert!(!ours.reusable, "we would go on: {ours:?} {theirs:?}");
        return;
    }
    if ours.complete && theirs.complete {
        assert_eq!(ours.status, theirs.status);
        assert_eq!(ours.data, theirs.data);
        assert_eq!(ours.trailers, theirs.trailers);
        for (name, value) in &theirs.headers {
            assert!(ours.headers.get_all(name).iter().any(|own| own == value), "{name}");
        }
        assert!(!ours.reusable || theirs.alive, "we would go on: {ours:?} {theirs:?}");
        return;
    }
    // What both saw before it ended is the same.
    let common = ours.data.len().min(theirs.data.len());
    assert_eq!(ours.data[..common], theirs.data[..common]);
    assert!(!ours.complete, "hyper refuses what we take: {ours:?} {theirs:?}");
    if theirs.complete {
        let Some(refused) = &ours.refused else {
            panic!("hyper has an end where we have none: {ours:?} {theirs:?}");
        };
        let known = STRICTER.iter().any(|(name, _)| refused == name);
        assert!(known, "we refuse what hyper takes: {ours:?} {theirs:?}");
    }
}
