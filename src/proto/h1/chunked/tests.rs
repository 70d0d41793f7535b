//! The coding in one piece and in any other, its grammar, and its bounds.

use super::*;

/// All data, the trailers, and how many bytes the body took.
type Decoded = (Vec<u8>, Option<HeaderMap>, usize);

/// Decodes `input`, of which `more(from)` shows the end of the piece that begins at `from`.
/// `None`: it is not complete.
fn decode(input: &[u8], piece: impl Fn(usize) -> usize) -> Result<Option<Decoded>, ProtocolError> {
    let mut decoder = ChunkedDecoder::new(10);
    let (mut data, mut at) = (Vec::new(), 0);
    while at < input.len() {
        let shown = &input[at..piece(at).clamp(at + 1, input.len())];
        let (used, step) = decoder.step(shown)?;
        at += used;
        match step {
            Step::More => assert_eq!(used, shown.len()),
            Step::Data(n) => {
                assert!(n > 0);
                data.extend_from_slice(&input[at..at + n]);
                at += n;
                decoder.took(n);
            }
            Step::End(trailers) => return Ok(Some((data, trailers, at))),
        }
    }
    Ok(None)
}

fn whole(input: &[u8]) -> Result<Option<Decoded>, ProtocolError> {
    decode(input, |_| usize::MAX)
}

fn data(input: &[u8]) -> Vec<u8> {
    let (data, trailers, used) = whole(input).unwrap().unwrap();
    assert_eq!((trailers, used), (None, input.len()));
    data
}

const NICE: &[u8] = b"5;a=b\r\nhello\r\n00002 ; \"q\"\t\r\n, \r\nA\r\n0123456789\r\n\
    0\r\nx-sum: 1\r\nx-b:\r\n\r\nrest";

#[test]
fn chunks_are_joined_and_extensions_ignored() {
    assert_eq!(data(b"0\r\n\r\n"), b"");
    assert_eq!(data(b"1\r\na\r\n000\r\n\r\n"), b"a");
    assert_eq!(data(b"a\r\n0123456789\r\n0\r\n\r\n"), b"0123456789");
    assert_eq!(data(b"1  \r\na\r\n0;last\r\n\r\n"), b"a");
    let (data, trailers, used) = whole(NICE).unwrap().unwrap();
    assert_eq!(data, b"hello, 0123456789");
    assert_eq!(trailers.unwrap()["x-sum"], "1");
    assert_eq!(used, NICE.len() - 4);
}

#[test]
fn any_split_gives_the_same_body() {
    let expected = whole(NICE).unwrap();
    assert_eq!(decode(NICE, |at| at + 1), Ok(expected.clone()));
    for cut in 1..NICE.len() {
        let piece = |at| if at < cut { cut } else { usize::MAX };
        assert_eq!(decode(NICE, piece), Ok(expected.clone()), "{cut}");
    }
}

#[test]
fn a_body_that_is_cut_short_is_not_complete() {
    for to in 0..NICE.len() - 4 {
        assert_eq!(whole(&NICE[..to]), Ok(None), "{to}");
    }
}

#[test]
fn bad_framing_is_refused_in_any_split() {
    let bad: [&[u8]; 22] = [
        b"\r\n",
        b"x\r\n",
        b" 5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b";a\r\n",
        b"5\nhello\r\n",
        b"5\r\rhello",
        b"5\rhello",
        b"5 5\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\0b\r\nhello\r\n",
        b"5;\x7f\r\nhello\r\n",
        b"5\0\r\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n",
        b"fffffffffffffffff\r\n",
    ];
    for input in bad {
        let text = String::from_utf8_lossy(input);
        assert_eq!(whole(input), Err(ProtocolError::Chunk), "{text:?}");
        assert_eq!(decode(input, |at| at + 1), Err(ProtocolError::Chunk), "{text:?}");
    }
}

#[test]
fn bad_trailers_are_refused() {
    for trailers in [
        "a: b\n\r\n",
        "a: b\r\r\n",
        "\n",
        "\rx",
        "no colon\r\n\r\n",
        "a : b\r\n\r\n",
        "a: \0\r\n\r\n",
        " a: b\r\n\r\n",
        "a: b\r\n c\r\n\r\n",
        ": b\r\n\r\n",
    ] {
        let input = format!("0\r\n{trailers}");
        assert_eq!(whole(input.as_bytes()), Err(ProtocolError::Trailers), "{trailers:?}");
    }
}

#[test]
fn the_largest_size_is_read_and_the_data_begins() {
    let mut decoder = ChunkedDecoder::new(10);
    let input = b"ffffffffffffffff\r\nabc";
    assert_eq!(decoder.step(input), Ok((18, Step::Data(3))));
}

#[test]
fn extensions_are_bounded_but_data_pays_for_them() {
    let extended = |bytes: usize| {
        let mut input = b"1".to_vec();
        input.push(b';');
        input.resize(input.len() + bytes - 1, b'x');
        input.extend_from_slice(b"\r\na\r\n0\r\n\r\n");
        whole(&input).map(|body| body.is_some())
    };
    assert_eq!(extended(16 * 1024), Ok(true));
    assert_eq!(extended(16 * 1024 + 1), Err(ProtocolError::ChunkExtensions));
    // A signature on each chunk of a long stream.
    let mut input = Vec::new();
    for _ in 0..1000 {
        input.extend_from_slice(b"400;chunk-signature=0123456789abcdef0123456789abcdef\r\n");
        input.resize(input.len() + 0x400, b'd');
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(data(&input).len(), 1000 * 0x400);
}

#[test]
fn trailers_at_the_limits_are_accepted_and_one_over_refused() {
    let fields = |count: usize| {
        let lines: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        whole(format!("0\r\n{lines}\r\n").as_bytes()).map(|body| body.is_some())
    };
    assert_eq!(fields(10), Ok(true));
    assert_eq!(fields(11), Err(ProtocolError::TooManyFields));
    let bytes = |len: usize| {
        let value = "v".repeat(len - "x: \r\n".len());
        whole(format!("0\r\nx: {value}\r\n\r\n").as_bytes()).map(|body| body.is_some())
    };
    assert_eq!(bytes(MAX_TRAILER_BYTES), Ok(true));
    assert_eq!(bytes(MAX_TRAILER_BYTES + 1), Err(ProtocolError::TrailersTooLarge));
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut out = Buffer::default();
    for len in [1_usize, 9, 10, 15, 16, 255, 256, 70_000] {
        put_size(&mut out, len as u64);
        out.put(&vec![b'z'; len]);
        out.put(b"\r\n");
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("42"));
    put_end(&mut out, Some(&trailers));
    let (data, back, used) = whole(out.data()).unwrap().unwrap();
    assert_eq!(data.len(), 1 + 9 + 10 + 15 + 16 + 255 + 256 + 70_000);
    assert_eq!((back, used), (Some(trailers), out.len()));
}
