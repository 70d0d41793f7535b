//! Whole heads, heads in pieces, limits in pairs, and heads that must be refused.

use super::*;

const LIMITS: HeadLimits = HeadLimits { max_bytes: 64 * 1024, max_fields: 512 };

fn whole(input: &[u8]) -> Result<Decoded, ProtocolError> {
    HeadDecoder::default().decode(input, &LIMITS)
}

fn head(input: &[u8]) -> ResponseHead {
    match whole(input) {
        Ok(Decoded::Final { len, head, strict: true }) if len == input.len() => head,
        other => panic!("{other:?}"),
    }
}

fn with_fields(count: usize) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    for n in 0..count {
        bytes.extend_from_slice(format!("x-field-{n}: {n}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[test]
fn a_head_is_decoded() {
    let head = head(
        b"HTTP/1.0 404 Not Found\r\nServer: x\r\nX-Empty:\r\nset-cookie: a \r\n\
          Set-Cookie: \xe9\r\n\r\n",
    );
    assert_eq!((head.version, head.status), (Version::HTTP_10, StatusCode::NOT_FOUND));
    assert_eq!(head.headers["server"], "x");
    assert_eq!(head.headers["x-empty"], "");
    let cookies: Vec<_> = head.headers.get_all("set-cookie").iter().collect();
    assert_eq!(
        cookies,
        [&HeaderValue::from_static("a"), &HeaderValue::from_bytes(b"\xe9").unwrap()]
    );
}

#[test]
fn a_reason_may_be_missing_or_strange() {
    assert_eq!(head(b"HTTP/1.1 200\r\n\r\n").status, 200);
    assert_eq!(head(b"HTTP/1.1 200 \r\n\r\n").status, 200);
    assert_eq!(head(b"HTTP/1.1 299 Tout va bien \xe9\r\n\r\n").status, 299);
}

#[test]
fn heads_of_every_size_share_one_copy() {
    for len in [1, 200, 256, 400, 600, 1100, 5000, 16_000] {
        let value = "v".repeat(len);
        let text = format!("HTTP/1.1 200 OK\r\na: {value}\r\nb: {value}\r\n\r\n");
        let head = head(text.as_bytes());
        assert_eq!(head.headers["a"], value);
        assert_eq!(head.headers["b"], value);
    }
}

#[test]
fn any_split_gives_the_same_head() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\nhi";
    let expected = head(&bytes[..bytes.len() - 2]);
    for first in 1..bytes.len() {
        for second in first..=bytes.len() {
            let mut decoder = HeadDecoder::default();
            let found = [first, second, bytes.len()].into_iter().find_map(|to| {
                match decoder.decode(&bytes[..to], &LIMITS).unwrap() {
                    Decoded::Final { len, head, strict: true } => Some((len, head)),
                    Decoded::Final { .. } => panic!("every line ends with CRLF"),
                    Decoded::Partial => None,
                    Decoded::Interim { .. } => panic!(),
                }
            });
            let (len, head) = found.unwrap();
            assert_eq!(len, bytes.len() - 2);
            assert_eq!(head, expected);
        }
    }
}

#[test]
fn lines_that_end_with_a_bare_lf_are_the_same_in_any_split() {
    let bytes = b"HTTP/1.1 200 OK\na: b\n\n";
    let mut decoder = HeadDecoder::default();
    for to in 1..bytes.len() {
        assert!(matches!(decoder.decode(&bytes[..to], &LIMITS), Ok(Decoded::Partial)), "{to}");
    }
    let whole = decoder.decode(bytes, &LIMITS);
    assert!(matches!(whole, Ok(Decoded::Final { len, strict: false, .. }) if len == bytes.len()));
}

#[test]
fn more_than_a_hundred_fields_are_fine() {
    assert_eq!(head(&with_fields(64)).headers.len(), 64);
    assert_eq!(head(&with_fields(65)).headers.len(), 65);
    assert_eq!(head(&with_fields(300)).headers.len(), 300);
}

#[test]
fn fields_at_the_limit_are_accepted_and_one_over_refused() {
    assert_eq!(head(&with_fields(512)).headers.len(), 512);
    assert_eq!(whole(&with_fields(513)).unwrap_err(), ProtocolError::TooManyFields);
    let few = HeadLimits { max_fields: 3, ..LIMITS };
    let mut decoder = HeadDecoder::default();
    assert!(decoder.decode(&with_fields(3), &few).is_ok());
    let over = HeadDecoder::default().decode(&with_fields(4), &few);
    assert_eq!(over.unwrap_err(), ProtocolError::TooManyFields);
}

#[test]
fn bytes_at_the_limit_are_accepted_and_one_over_refused() {
    let bytes = with_fields(10);
    let limits = |max_bytes| HeadLimits { max_bytes, ..LIMITS };
    let at = HeadDecoder::default().decode(&bytes, &limits(bytes.len()));
    assert!(matches!(at, Ok(Decoded::Final { .. })));
    let over = HeadDecoder::default().decode(&bytes, &limits(bytes.len() - 1));
    assert_eq!(over.unwrap_err(), ProtocolError::HeadTooLarge);
    // A head without end is refused as soon as it passes the limit, in whatever pieces.
    let mut decoder = HeadDecoder::default();
    let refused_at =
        (1..bytes.len()).find(|to| decoder.decode(&bytes[..*to], &limits(40)).is_err());
    assert_eq!(refused_at, Some(41));
    // A body right behind the head does not count.
    let mut with_body = bytes.clone();
    with_body.extend_from_slice(&[b'x'; 100]);
    let at = HeadDecoder::default().decode(&with_body, &limits(bytes.len()));
    assert!(matches!(at, Ok(Decoded::Final { .. })));
}

#[test]
fn interim_heads_are_told_apart_and_101_is_the_last_one() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let decoded = whole(interim);
    assert!(matches!(decoded, Ok(Decoded::Interim { len, status, clean: true })
        if (len, status.as_u16()) == (interim.len(), 103)));
    assert!(matches!(whole(b"HTTP/1.1 199 ?\r\n\r\n"), Ok(Decoded::Interim { .. })));
    let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n";
    assert_eq!(head(upgrade).headers["upgrade"], "x");
}

#[test]
fn an_interim_head_that_asks_for_the_end_is_noticed() {
    for (lines, is_clean) in [
        ("connection: close\r\n", false),
        ("Connection: x\r\nCONNECTION: y ,Close\r\n", false),
        ("connection: closer\r\nx: close\r\n", true),
    ] {
        let text = format!("HTTP/1.1 103 E\r\n{lines}\r\n");
        let decoded = whole(text.as_bytes());
        assert!(
            matches!(decoded, Ok(Decoded::Interim { clean, .. }) if clean == is_clean),
            "{text:?}"
        );
    }
}

#[test]
fn a_line_that_ends_with_a_bare_lf_is_noticed_wherever_it_is() {
    let strict = |text: &str| match whole(text.as_bytes()) {
        Ok(Decoded::Final { strict, .. } | Decoded::Interim { clean: strict, .. }) => strict,
        other => panic!("{text:?}: {other:?}"),
    };
    for text in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 103 E\r\na: b \t\r\nc:\r\nd: \r\n\r\n"] {
        assert!(strict(text), "{text:?}");
        for (at, _) in text.match_indices("\r\n") {
            let bare = format!("{}{}", &text[..at], &text[at + 1..]);
            assert!(!strict(&bare), "{bare:?}");
        }
    }
    // A bare CR is none at all, and so is one too many.
    for text in ["HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\r\r\n\r\n"] {
        assert_eq!(whole(text.as_bytes()).unwrap_err(), ProtocolError::Head, "{text:?}");
    }
}

#[test]
fn what_is_not_http_is_refused_at_its_first_wrong_byte() {
    for junk in
        ["SSH-2.0-x\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/2", "http/1.1 200", "\0", " "]
    {
        assert_eq!(whole(junk.as_bytes()).unwrap_err(), ProtocolError::NotHttp1, "{junk:?}");
    }
    assert_eq!(whole(b"HTTP/1.2 200 OK\r\n\r\n").unwrap_err(), ProtocolError::NotHttp1);
}

#[test]
fn malformed_heads_are_refused() {
    let bad: [&[u8]; 14] = [
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding\t: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \x7f\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\xc3\xa9: b\r\n\r\n",
    ];
    for bytes in bad {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(whole(bytes).unwrap_err(), ProtocolError::Head, "{text:?}");
        let mut decoder = HeadDecoder::default();
        let refused = (1..=bytes.len()).any(|to| decoder.decode(&bytes[..to], &LIMITS).is_err());
        assert!(refused, "{text:?}, byte by byte");
    }
}

#[test]
fn a_folded_field_is_refused_by_name() {
    for fold in ["a: b\r\n c", "a: b\r\n\tc", " a: b"] {
        let text = format!("HTTP/1.1 200 OK\r\n{fold}\r\n\r\n");
        assert_eq!(whole(text.as_bytes()).unwrap_err(), ProtocolError::Folded, "{fold:?}");
    }
}
