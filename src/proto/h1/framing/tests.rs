//! RFC 9112 section 6.3, case by case.

use http::HeaderValue;

use super::*;

const GET: Asked = Asked { head: false, connect: false, upgrade: None };
const HEAD: Asked = Asked { head: true, connect: false, upgrade: None };
const CONNECT: Asked = Asked { head: false, connect: true, upgrade: None };

fn response(
    version: Version,
    status: u16,
    fields: &[(&'static str, &'static str)],
) -> ResponseHead {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    ResponseHead { version, status: StatusCode::from_u16(status).unwrap(), headers }
}

fn framing(fields: &[(&'static str, &'static str)]) -> Result<(BodyKind, bool), ProtocolError> {
    of_response(&GET, &response(Version::HTTP_11, 200, fields))
        .map(|framing| (framing.body, framing.persistent))
}

#[test]
fn responses_without_a_body_have_none_whatever_their_fields_say() {
    let fields = [
        (&[("content-length", "5")][..], true),
        (&[("transfer-encoding", "chunked")], true),
        (&[("transfer-encoding", "gzip")], true),
        // What is said twice or is nonsense frames nothing here, but is not trusted either.
        (&[("content-length", "junk")], false),
        (&[("transfer-encoding", "c,,k")], false),
        (&[("transfer-encoding", "chunked,")], false),
        (&[("content-length", "5"), ("transfer-encoding", "chunked")], false),
        (&[], true),
    ];
    for (fields, persistent) in fields {
        for (asked, status) in [(&HEAD, 200), (&HEAD, 404), (&GET, 204), (&GET, 304)] {
            let framing = of_response(asked, &response(Version::HTTP_11, status, fields)).unwrap();
            let expected = Framing { body: BodyKind::Empty, persistent, keep_alive: None };
            assert_eq!(framing, expected, "{status} {fields:?}");
        }
    }
    let keep = ("connection", "keep-alive");
    let old = response(Version::HTTP_10, 204, &[keep, ("transfer-encoding", "chunked")]);
    assert!(!of_response(&GET, &old).unwrap().persistent);
    let old = response(Version::HTTP_10, 204, &[keep]);
    assert!(of_response(&GET, &old).unwrap().persistent);
}

#[test]
fn a_connect_is_answered_by_a_tunnel_or_by_a_response() {
    let length = &[("content-length", "5")][..];
    let both = &[("content-length", "junk"), ("transfer-encoding", "gzip")];
    for (status, fields) in [(200, length), (200, both), (204, &[]), (299, &[])] {
        let answer = response(Version::HTTP_11, status, fields);
        let framing = of_response(&CONNECT, &answer).unwrap();
        assert_eq!((framing.body, framing.persistent), (BodyKind::Tunnel, false), "{status}");
    }
    for status in [300, 407, 502] {
        let framing = of_response(&CONNECT, &response(Version::HTTP_11, status, length)).unwrap();
        assert_eq!((framing.body, framing.persistent), (BodyKind::Length(5), true), "{status}");
    }
    let gzip = response(Version::HTTP_11, 407, &[("transfer-encoding", "gzip")]);
    assert_eq!(of_response(&CONNECT, &gzip), Err(ProtocolError::TransferEncoding));
}

#[test]
fn protocols_are_switched_only_to_one_that_was_offered() {
    let offers = |lines: &[&'static str]| {
        let upgrade = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        Asked { upgrade: Some(upgrade), ..GET }
    };
    let switch = |asked: &Asked, fields: &[_]| {
        of_response(asked, &response(Version::HTTP_11, 101, fields)).map(|framing| framing.body)
    };
    let (chat, h2c) = (("upgrade", "chat/1"), ("upgrade", "h2c"));
    let both = offers(&["CHAT/1, x", "h2c"]);
    assert_eq!(switch(&both, &[chat]), Ok(BodyKind::Tunnel));
    assert_eq!(switch(&both, &[chat, h2c]), Ok(BodyKind::Tunnel));
    for refused in
        [&[][..], &[("upgrade", "")], &[("upgrade", "chat/2")], &[chat, ("upgrade", "y")]]
    {
        assert_eq!(switch(&both, refused), Err(ProtocolError::Upgrade), "{refused:?}");
    }
    assert_eq!(switch(&GET, &[chat]), Err(ProtocolError::Upgrade));
    assert_eq!(switch(&HEAD, &[]), Err(ProtocolError::Upgrade));
    // An answer that does not switch is an ordinary one, whatever it says.
    let plain = response(Version::HTTP_11, 200, &[chat, ("content-length", "5")]);
    assert_eq!(of_response(&both, &plain).unwrap().body, BodyKind::Length(5));
}

#[test]
fn chunks_and_lengths_are_told_apart() {
    assert_eq!(framing(&[("transfer-encoding", "chunked")]), Ok((BodyKind::Chunked, true)));
    assert_eq!(framing(&[("transfer-encoding", "CHUNKED ")]), Ok((BodyKind::Chunked, true)));
    for odd in [", chunked", "chunked,", "chunked, ,"] {
        assert_eq!(framing(&[("transfer-encoding", odd)]), Ok((BodyKind::Chunked, false)), "{odd}");
    }
    assert_eq!(framing(&[("content-length", "5")]), Ok((BodyKind::Length(5), true)));
    assert_eq!(framing(&[("content-length", "0")]), Ok((BodyKind::Empty, true)));
    assert_eq!(framing(&[("content-length", "007")]), Ok((BodyKind::Length(7), true)));
    let most = ("content-length", "18446744073709551615");
    assert_eq!(framing(&[most]), Ok((BodyKind::Length(u64::MAX), true)));
    assert_eq!(framing(&[]), Ok((BodyKind::Close, false)));
}

#[test]
fn both_codings_mean_chunks_and_no_reuse() {
    let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
    assert_eq!(framing(&both), Ok((BodyKind::Chunked, false)));
    let junk = [("content-length", "junk"), ("transfer-encoding", "chunked")];
    assert_eq!(framing(&junk), Ok((BodyKind::Chunked, false)));
    let head = of_response(&HEAD, &response(Version::HTTP_11, 200, &both)).unwrap();
    assert!(!head.persistent);
}

#[test]
fn other_codings_are_refused_even_with_a_length() {
    let codings = [
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "",
        ",",
        "chunked;q=1",
        "\"chunked\"",
    ];
    for coding in codings {
        let mut response = response(Version::HTTP_11, 200, &[("content-length", "5")]);
        response.headers.insert("transfer-encoding", HeaderValue::from_static(coding));
        let refused = of_response(&GET, &response);
        assert_eq!(refused, Err(ProtocolError::TransferEncoding), "{coding:?}");
    }
    let two = [("transfer-encoding", "chunked"), ("transfer-encoding", "gzip")];
    assert_eq!(framing(&two), Err(ProtocolError::TransferEncoding));
    let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
    assert_eq!(framing(&twice), Err(ProtocolError::TransferEncoding));
}

#[test]
fn a_length_that_is_no_number_is_refused() {
    for length in [
        "",
        "+5",
        "-5",
        "0x5",
        "5a",
        "5 5",
        "5,",
        ",5",
        "5, 6",
        "1e3",
        "5.0",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        let refused = framing(&[("content-length", length)]);
        assert_eq!(refused, Err(ProtocolError::ContentLength), "{length:?}");
    }
    let differ = [("content-length", "5"), ("content-length", "6")];
    assert_eq!(framing(&differ), Err(ProtocolError::ContentLength));
}

#[test]
fn a_length_said_twice_counts_once_and_ends_the_connection() {
    assert_eq!(framing(&[("content-length", "5, 5")]), Ok((BodyKind::Length(5), false)));
    let lines = [("content-length", "5"), ("content-length", "5")];
    assert_eq!(framing(&lines), Ok((BodyKind::Length(5), false)));
}

#[test]
fn close_counts_on_any_line_and_in_any_case() {
    for lines in [
        &["close"][..],
        &["Close"],
        &["CLOSE"],
        &["keep-alive, close"],
        &["x", "y", " close\t"],
        &["keep-alive", "close"],
    ] {
        let mut response = response(Version::HTTP_11, 204, &[]);
        for line in lines {
            response.headers.append("connection", HeaderValue::from_static(line));
        }
        assert!(!of_response(&GET, &response).unwrap().persistent, "{lines:?}");
    }
    assert_eq!(
        framing(&[("content-length", "0"), ("connection", "closed")]),
        Ok((BodyKind::Empty, true))
    );
}

#[test]
fn http_1_0_persists_only_when_it_says_so() {
    let ten = |fields: &[_]| of_response(&GET, &response(Version::HTTP_10, 200, fields));
    let length = ("content-length", "3");
    assert!(!ten(&[length]).unwrap().persistent);
    assert!(ten(&[length, ("connection", "Keep-Alive")]).unwrap().persistent);
    assert!(!ten(&[length, ("connection", "keep-alive, close")]).unwrap().persistent);
    assert!(!ten(&[("connection", "keep-alive")]).unwrap().persistent);
    assert_eq!(ten(&[("transfer-encoding", "chunked")]), Err(ProtocolError::TransferEncoding));
}

#[test]
fn the_peers_keep_alive_is_read() {
    let read = |value| {
        let mut headers = HeaderMap::new();
        headers.insert("keep-alive", HeaderValue::from_static(value));
        (keep_alive(&headers, "timeout="), keep_alive(&headers, "max="))
    };
    assert_eq!(read("timeout=5"), (Some(5), None));
    assert_eq!(read("max=100, Timeout=15"), (Some(15), Some(100)));
    for junk in
        ["", "timeout", "timeout=", "timeout=-1", "timeout=5s", "timeout=99999999999999999999"]
    {
        assert_eq!(read(junk), (None, None), "{junk:?}");
    }
    assert_eq!(keep_alive(&HeaderMap::new(), "timeout="), None);
}

#[test]
fn a_peer_that_takes_no_more_requests_ends_the_connection() {
    for (max, persistent) in [("max=0", false), ("timeout=5, MAX=0", false), ("max=1", true)] {
        let fields = [("content-length", "5"), ("keep-alive", max)];
        let framing = of_response(&GET, &response(Version::HTTP_11, 200, &fields)).unwrap();
        assert_eq!(framing.persistent, persistent, "{max}");
    }
}
