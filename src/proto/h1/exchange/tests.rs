//! Whole exchanges, both directions, on plain bytes.

use http::{HeaderValue, Method, StatusCode};

use super::*;
use crate::proto::h1::Form;

const LIMITS: HeadLimits = HeadLimits { max_bytes: 64 * 1024, max_fields: 512 };

fn start(method: Method, exact: Option<u64>) -> (Exchange, Buffer) {
    start_with(method, exact, &[])
}

fn start_with(
    method: Method,
    exact: Option<u64>,
    fields: &[(&'static str, &'static str)],
) -> (Exchange, Buffer) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let head = RequestHead {
        method: &method,
        form: if method == Method::CONNECT { Form::Authority } else { Form::Origin },
        base_path: "",
        path: "/",
        authority: "h:1",
        headers: &headers,
    };
    let size = exact.map_or_else(SizeHint::default, SizeHint::with_exact);
    let mut out = Buffer::default();
    let body = BodyHint { ended: exact == Some(0), size };
    let exchange = Exchange::start(&mut out, &head, &body).unwrap();
    out.clear();
    (exchange, out)
}

/// What a response comes to: status, data, trailers, bytes left over, reusable.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    status: StatusCode,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    left: usize,
    reusable: bool,
}

/// Feeds a response in pieces that end at `cuts`, then the end of the stream.
fn respond(
    method: Method,
    input: &[u8],
    cuts: impl Iterator<Item = usize>,
) -> Result<Option<Outcome>, ProtocolError> {
    let (mut exchange, _) = start(method, Some(0));
    let (mut head, mut data, mut at) = (None, Vec::new(), 0);
    let done = |exchange: &Exchange, head: &Option<ResponseHead>, data: &[u8], trailers, at| {
        head.as_ref().map(|head| Outcome {
            status: head.status,
            data: data.to_vec(),
            trailers,
            left: input.len() - at,
            reusable: exchange.reusable(),
        })
    };
    for to in cuts.chain([input.len()]) {
        if head.is_none() {
            let (used, found) = exchange.head(&input[at..to], &LIMITS)?;
            at += used;
            head = found;
        }
        while head.is_some() {
            let (used, event) = exchange.body(&input[at..to])?;
            at += used;
            match event {
                BodyEvent::More => break,
                BodyEvent::Data(n) => {
                    data.extend_from_slice(&input[at..at + n]);
                    exchange.took(n);
                    at += n;
                }
                BodyEvent::End(trailers) => {
                    return Ok(done(&exchange, &head, &data, trailers, at));
                }
            }
        }
    }
    let complete = exchange.end_of_stream();
    Ok(done(&exchange, &head, &data, None, at).filter(|_| complete))
}

fn whole(input: &[u8]) -> Result<Option<Outcome>, ProtocolError> {
    respond(Method::GET, input, std::iter::empty())
}

#[test]
fn any_split_gives_the_same_events() {
    let responses: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 204 No Content\r\n\r\nstray",
        b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\
          transfer-encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nx-t: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
    ];
    for input in responses {
        let text = String::from_utf8_lossy(input);
        let expected = whole(input).unwrap().expect("complete");
        // How much is left over depends on how much was shown: compare what is the same.
        let same = |outcome: Outcome| (outcome.status, outcome.data, outcome.trailers);
        let by_byte = respond(Method::GET, input, 1..input.len()).unwrap().unwrap();
        assert_eq!(same(by_byte), same(expected.clone()), "{text:?} byte by byte");
        for cut in 1..input.len() {
            let cut_once = respond(Method::GET, input, cut..=cut).unwrap().unwrap();
            assert_eq!(same(cut_once), same(expected.clone()), "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn a_response_cut_short_is_never_complete() {
    let responses: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    ];
    for input in responses {
        for to in 0..input.len() {
            assert_eq!(whole(&input[..to]), Ok(None), "{to}");
        }
        assert!(whole(input).unwrap().is_some_and(|outcome| outcome.reusable));
    }
}

#[test]
fn a_body_up_to_the_end_of_the_stream_is_complete_but_the_connection_is_not_reusable() {
    let outcome = whole(b"HTTP/1.1 200 OK\r\n\r\nabc").unwrap().unwrap();
    assert_eq!((outcome.data.as_slice(), outcome.reusable), (&b"abc"[..], false));
}

#[test]
fn a_head_request_has_no_body_whatever_the_fields_say() {
    let input = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let outcome = respond(Method::HEAD, input, std::iter::empty()).unwrap().unwrap();
    assert!(outcome.data.is_empty() && outcome.reusable);
}

#[test]
fn interim_responses_at_the_limit_are_skipped_and_one_over_is_refused() {
    let interim = |count: u32| {
        let mut input = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(count as usize);
        input.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
        whole(&input).map(|outcome| outcome.unwrap().status.as_u16())
    };
    assert_eq!(interim(MAX_INTERIM), Ok(204));
    assert_eq!(interim(MAX_INTERIM + 1), Err(ProtocolError::TooManyInterim));
    // Together they may have as many bytes as one head.
    let fat = |bytes: usize| {
        let filler = "x".repeat(bytes - "HTTP/1.1 103 E\r\na: \r\n\r\n".len());
        format!("HTTP/1.1 103 E\r\na: {filler}\r\n\r\n")
    };
    let two = |first, second| {
        let input = fat(first) + &fat(second) + "HTTP/1.1 204 No Content\r\n\r\n";
        whole(input.as_bytes()).map(|outcome| outcome.unwrap().status.as_u16())
    };
    assert_eq!(two(40_000, LIMITS.max_bytes - 40_000), Ok(204));
    assert_eq!(two(40_000, LIMITS.max_bytes - 39_999), Err(ProtocolError::TooManyInterim));
}

#[test]
fn a_fault_stays_a_fault() {
    let (mut exchange, _) = start(Method::GET, Some(0));
    let input = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let (used, head) = exchange.head(input, &LIMITS).unwrap();
    assert!(head.is_some());
    for _ in 0..2 {
        assert_eq!(exchange.body(&input[used..]), Err(ProtocolError::Chunk));
        assert_eq!(exchange.body(b"0\r\n\r\n"), Err(ProtocolError::Chunk));
    }
    assert!(!exchange.end_of_stream() && !exchange.reusable());
}

#[test]
fn a_stated_length_is_kept_to_the_byte() {
    let (mut exchange, mut out) = start(Method::POST, Some(5));
    exchange.begin_data(&mut out, 3).unwrap();
    exchange.end_data(&mut out);
    assert_eq!(exchange.end_body(&mut out, None), Err(BodyLengthError::Short { missing: 2 }));
    assert_eq!(exchange.begin_data(&mut out, 3), Err(BodyLengthError::Long));
    exchange.begin_data(&mut out, 2).unwrap();
    assert!(exchange.request_done());
    assert_eq!(exchange.begin_data(&mut out, 1), Err(BodyLengthError::Long));
    assert_eq!(exchange.end_body(&mut out, None), Ok(()));
    assert!(out.is_empty(), "nothing frames a body of stated length");
}

#[test]
fn a_body_of_unknown_length_goes_out_in_chunks() {
    let (mut exchange, mut out) = start(Method::POST, None);
    exchange.begin_data(&mut out, 3).unwrap();
    out.put(b"abc");
    exchange.end_data(&mut out);
    exchange.begin_data(&mut out, 0).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    exchange.end_body(&mut out, Some(&trailers)).unwrap();
    assert_eq!(out.data(), b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n");
    assert!(exchange.request_done());
}

#[test]
fn trailers_may_not_frame_route_authenticate_or_modify() {
    let names = "content-length transfer-encoding connection trailer te upgrade host max-forwards \
                 authorization proxy-authorization cookie expect cache-control pragma range \
                 if-match if-none-match if-modified-since if-unmodified-since if-range \
                 content-type content-encoding content-range";
    for name in names.split(' ') {
        let (mut exchange, mut out) = start(Method::POST, None);
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static("1"));
        assert_eq!(exchange.end_body(&mut out, Some(&trailers)), Err(BodyLengthError::Trailer));
    }
}

#[test]
fn a_request_that_was_not_sent_whole_leaves_nothing_reusable() {
    let input = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n";
    let (mut exchange, _) = start(Method::POST, Some(10));
    assert!(exchange.head(input, &LIMITS).unwrap().1.is_some());
    assert!(exchange.response_done() && !exchange.reusable());
    exchange.stop_sending();
    assert!(exchange.request_done() && !exchange.reusable());
}

#[test]
fn the_length_that_is_left_is_known() {
    let (mut exchange, _) = start(Method::GET, Some(0));
    assert_eq!(exchange.size_hint().exact(), None);
    let input = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    exchange.head(input, &LIMITS).unwrap();
    assert_eq!(exchange.size_hint().exact(), Some(5));
    exchange.took(3);
    assert_eq!(exchange.size_hint().exact(), Some(2));
    exchange.took(2);
    assert_eq!(exchange.size_hint().exact(), Some(0));
    assert!(exchange.reusable());
}

#[test]
fn a_head_with_a_bare_lf_or_an_interim_one_that_says_close_ends_the_connection() {
    let responses: [(&[u8], bool); 4] = [
        (b"HTTP/1.1 103 E\r\nconnection: close\r\n\r\nHTTP/1.1 204 N\r\n\r\n", false),
        (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\na: b\r\n\r\n", true),
        (b"HTTP/1.1 100 C\r\n\nHTTP/1.1 204 N\r\na: b\r\n\r\n", false),
        (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\na: b\n\r\n", false),
    ];
    for (input, reusable) in responses {
        let outcome = whole(input).unwrap().unwrap();
        assert_eq!((outcome.status.as_u16(), outcome.reusable), (204, reusable));
    }
}

#[test]
fn a_body_is_held_back_until_it_is_asked_for_or_refused() {
    let expect = &[("expect", "100-continue")][..];
    let (mut exchange, _) = start_with(Method::PUT, Some(5), expect);
    assert!(exchange.awaits_continue() && !exchange.request_done());
    exchange.head(b"HTTP/1.1 103 E\r\n\r\n", &LIMITS).unwrap();
    assert!(exchange.awaits_continue(), "only 100 is the leave");
    exchange.head(b"HTTP/1.1 100 C\r\n\r\n", &LIMITS).unwrap();
    assert!(!exchange.awaits_continue());

    let (mut exchange, _) = start_with(Method::PUT, Some(5), expect);
    let refused = b"HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n";
    assert!(exchange.head(refused, &LIMITS).unwrap().1.is_some());
    assert!(!exchange.awaits_continue() && !exchange.reusable());

    let (mut exchange, _) = start_with(Method::PUT, Some(5), expect);
    exchange.proceed();
    assert!(!exchange.awaits_continue() && exchange.awaits_head());
}

const UPGRADE: &[(&str, &str)] = &[("upgrade", "chat"), ("connection", "upgrade")];
const SWITCH: &[u8] = b"HTTP/1.1 101 S\r\nupgrade: chat\r\n\r\n\0\x01raw";

#[test]
fn a_tunnel_ends_the_exchange_and_leaves_what_is_behind_the_head() {
    for (method, fields, input) in [
        (Method::GET, UPGRADE, SWITCH),
        (Method::CONNECT, &[], b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\0\x01raw"),
    ] {
        let (mut exchange, _) = start_with(method, Some(0), fields);
        let (used, head) = exchange.head(input, &LIMITS).unwrap();
        assert!(head.is_some() && exchange.is_tunnel());
        assert_eq!(&input[used..], b"\0\x01raw");
        assert_eq!(exchange.body(&input[used..]), Ok((0, BodyEvent::End(None))));
        assert!(exchange.response_done() && exchange.request_done() && !exchange.reusable());
        assert_eq!(exchange.size_hint().exact(), Some(0));
    }
}

#[test]
fn a_switch_in_the_middle_of_the_request_is_refused() {
    let (mut exchange, mut out) = start_with(Method::POST, Some(2), UPGRADE);
    exchange.begin_data(&mut out, 1).unwrap();
    assert_eq!(exchange.head(SWITCH, &LIMITS), Err(ProtocolError::EarlyUpgrade));
    let (mut exchange, mut out) = start_with(Method::POST, Some(2), UPGRADE);
    exchange.begin_data(&mut out, 2).unwrap();
    assert!(exchange.head(SWITCH, &LIMITS).unwrap().1.is_some());
}

#[test]
fn a_switch_that_nobody_asked_for_is_refused() {
    assert_eq!(whole(SWITCH), Err(ProtocolError::Upgrade));
}

#[test]
fn the_peers_keep_alive_comes_with_the_head() {
    let (mut exchange, _) = start(Method::GET, Some(0));
    assert_eq!(exchange.keep_alive(), None);
    exchange.head(b"HTTP/1.1 204 N\r\nkeep-alive: timeout=7\r\n\r\n", &LIMITS).unwrap();
    assert_eq!(exchange.keep_alive(), Some(Duration::from_secs(7)));
}
