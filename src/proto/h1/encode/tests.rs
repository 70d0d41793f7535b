//! Request heads as bytes, and who owns the framing.

use super::*;

fn hint(exact: Option<u64>) -> BodyHint {
    let size = exact.map_or_else(SizeHint::default, SizeHint::with_exact);
    BodyHint { ended: exact == Some(0), size }
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn encode(
    method: &Method,
    path: &str,
    pairs: &[(&'static str, &'static str)],
    body: &BodyHint,
) -> Result<(String, Encoded), EncodeError> {
    let headers = fields(pairs);
    let head = RequestHead {
        method,
        form: if method == Method::CONNECT { Form::Authority } else { Form::Origin },
        base_path: "/base",
        path,
        authority: "example.com:8080",
        headers: &headers,
    };
    let mut out = Buffer::default();
    let encoded = request(&mut out, &head, body)?;
    Ok((String::from_utf8(out.data().to_vec()).unwrap(), encoded))
}

fn text(method: &Method, pairs: &[(&'static str, &'static str)], exact: Option<u64>) -> String {
    encode(method, "/p?q", pairs, &hint(exact)).unwrap().0
}

#[test]
fn a_get_is_a_line_a_host_and_the_callers_fields() {
    let (text, encoded) =
        encode(&Method::GET, "/p?q", &[("x-a", "1"), ("x-a", "2")], &hint(Some(0))).unwrap();
    assert_eq!(
        text,
        "GET /base/p?q HTTP/1.1\r\nhost: example.com:8080\r\nx-a: 1\r\nx-a: 2\r\n\r\n"
    );
    let asked = Asked::default();
    assert_eq!(encoded, Encoded { sending: Sending::Done, close: false, expects: false, asked });
}

#[test]
fn the_callers_host_is_sent_alone_and_two_or_what_is_none_are_refused() {
    let one = text(&Method::GET, &[("host", "other")], Some(0));
    assert!(one.contains("\r\nhost: other\r\n"), "{one}");
    assert_eq!(one.matches("host").count(), 1);
    let two = encode(&Method::GET, "/", &[("host", "a"), ("host", "b")], &hint(Some(0)));
    assert_eq!(two.unwrap_err(), EncodeError::Host);
    for host in ["", "a:80", "[::1]:80", "a_b.c~", "%41,x"] {
        assert!(
            text(&Method::GET, &[("host", host)], Some(0)).contains(&format!("host: {host}\r"))
        );
    }
    for host in ["me:secret@a", "a/b", "a\\b", "a?b", "a#b", "a b", "a\tb"] {
        let refused = encode(&Method::GET, "/", &[("host", host)], &hint(Some(0)));
        assert_eq!(refused.unwrap_err(), EncodeError::Host, "{host}");
    }
}

#[test]
fn framing_is_derived_from_the_body() {
    for method in [Method::GET, Method::DELETE, Method::HEAD, Method::OPTIONS] {
        let empty = text(&method, &[], Some(0));
        assert!(!empty.contains("content-length") && !empty.contains("transfer"), "{empty}");
    }
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let empty = text(&method, &[], Some(0));
        assert!(empty.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{empty}");
    }
    for method in [Method::GET, Method::POST] {
        let known = text(&method, &[], Some(1234));
        assert!(known.ends_with("\r\ncontent-length: 1234\r\n\r\n"), "{known}");
        let unknown = text(&method, &[], None);
        assert!(unknown.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"), "{unknown}");
    }
    let most = text(&Method::PUT, &[], Some(u64::MAX));
    assert!(most.contains("content-length: 18446744073709551615\r\n"), "{most}");
}

#[test]
fn a_length_that_agrees_is_written_once() {
    let post = text(&Method::POST, &[("content-length", "5"), ("content-length", "5")], Some(5));
    assert_eq!(post.matches("content-length: 5\r\n").count(), 1, "{post}");
    let get = text(&Method::GET, &[("content-length", "0")], Some(0));
    assert_eq!(get.matches("content-length: 0\r\n").count(), 1, "{get}");
}

#[test]
fn a_length_may_be_stated_for_a_body_that_does_not_know_its_own() {
    let (text, encoded) =
        encode(&Method::PUT, "/", &[("content-length", "7")], &hint(None)).unwrap();
    assert!(text.contains("content-length: 7\r\n") && !text.contains("chunked"), "{text}");
    assert_eq!(encoded.sending, Sending::Length { left: 7 });
    let mut size = SizeHint::new();
    size.set_lower(8);
    size.set_upper(10);
    let between = BodyHint { ended: false, size };
    let put = |length| encode(&Method::PUT, "/", &[("content-length", length)], &between);
    let mismatch = |stated, actual| EncodeError::LengthMismatch { stated, actual };
    assert_eq!(put("7").unwrap_err(), mismatch(7, 8));
    assert!(put("8").is_ok());
    assert!(put("10").is_ok());
    assert_eq!(put("11").unwrap_err(), mismatch(11, 10));
}

#[test]
fn contradictory_framing_is_refused() {
    let post = |pairs: &[_], exact| {
        encode(&Method::POST, "/", pairs, &hint(exact)).map(|_| ()).unwrap_err()
    };
    let mismatch = |stated, actual| EncodeError::LengthMismatch { stated, actual };
    assert_eq!(post(&[("content-length", "4")], Some(5)), mismatch(4, 5));
    assert_eq!(post(&[("content-length", "6")], Some(5)), mismatch(6, 5));
    assert_eq!(post(&[("content-length", "6")], Some(0)), mismatch(6, 0));
    for junk in ["", "+5", "5x", "0x5", "5, 6", "99999999999999999999"] {
        assert_eq!(post(&[("content-length", junk)], Some(5)), EncodeError::ContentLength);
    }
    for coding in ["gzip", "identity", "", "gzip, chunked", "chunked, chunked"] {
        for exact in [Some(5), None] {
            let error = post(&[("transfer-encoding", coding)], exact);
            assert_eq!(error, EncodeError::TransferEncoding);
        }
    }
    let chunked = ("transfer-encoding", "chunked");
    assert_eq!(post(&[chunked], Some(0)), EncodeError::TransferEncoding);
    assert_eq!(post(&[chunked, ("content-length", "5")], Some(5)), EncodeError::TransferEncoding);
    assert_eq!(post(&[chunked, chunked], None), EncodeError::TransferEncoding);
}

#[test]
fn chunks_may_be_asked_for_and_are_announced_once() {
    for exact in [None, Some(5)] {
        let chunks = text(&Method::POST, &[("transfer-encoding", "Chunked")], exact);
        assert!(chunks.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"), "{chunks}");
        assert_eq!(chunks.to_ascii_lowercase().matches("chunked").count(), 1, "{chunks}");
        assert!(!chunks.contains("content-length"), "{chunks}");
    }
}

#[test]
fn announced_trailers_choose_chunks() {
    let chunks = text(&Method::POST, &[("trailer", "x-sum")], Some(5));
    assert!(chunks.ends_with("transfer-encoding: chunked\r\n\r\n"), "{chunks}");
    let nothing = text(&Method::GET, &[("trailer", "x-sum")], Some(0));
    assert!(!nothing.contains("chunked"), "{nothing}");
}

#[test]
fn close_is_noticed_in_any_case() {
    let close = |value| {
        encode(&Method::GET, "/", &[("connection", value)], &hint(Some(0))).unwrap().1.close
    };
    assert!(close("close") && close("Keep-Alive, CLOSE"));
    assert!(!close("keep-alive") && !close("enclosed"));
}

#[test]
fn a_trace_or_a_connect_with_a_body_is_refused() {
    let refused = |method, exact| encode(method, "/", &[], &hint(exact)).unwrap_err();
    for method in [&Method::TRACE, &Method::CONNECT] {
        assert_eq!(refused(method, Some(1)), EncodeError::Content);
        assert_eq!(refused(method, None), EncodeError::Content);
        let (_, encoded) = encode(method, "/", &[], &hint(Some(0))).unwrap();
        assert_eq!(encoded.asked.connect, method == Method::CONNECT);
    }
}

#[test]
fn the_target_of_connect_is_a_host_and_a_port() {
    let connect = |authority| {
        let headers = HeaderMap::new();
        let (method, form) = (&Method::CONNECT, Form::Authority);
        let head = RequestHead {
            method,
            form,
            base_path: "/base",
            path: "/",
            authority,
            headers: &headers,
        };
        let mut out = Buffer::default();
        request(&mut out, &head, &hint(Some(0)))?;
        Ok::<_, EncodeError>(String::from_utf8(out.data().to_vec()).unwrap())
    };
    for target in ["example.com:443", "[::1]:65535", "10.0.0.1:1"] {
        let text = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        assert_eq!(connect(target), Ok(text));
    }
    for bad in ["", "example.com", ":443", "a:", "a:0", "a:65536", "a:+1", "::1:443", "u@a:1"] {
        assert_eq!(connect(bad), Err(EncodeError::Connect), "{bad:?}");
    }
}

#[test]
fn a_target_is_a_url_where_that_is_asked_for() {
    let headers = fields(&[("host", "other")]);
    for (path, method, line) in [
        ("/p?q", Method::GET, "GET http://origin/base/p?q HTTP/1.1\r\n"),
        ("?q", Method::GET, "GET http://origin/base/?q HTTP/1.1\r\n"),
        ("*", Method::OPTIONS, "OPTIONS * HTTP/1.1\r\n"),
    ] {
        let (form, authority) = (Form::Absolute { https: false }, "origin");
        let mut head = RequestHead {
            method: &method,
            form,
            base_path: "/base",
            path,
            authority,
            headers: &HeaderMap::new(),
        };
        let mut out = Buffer::default();
        request(&mut out, &head, &hint(Some(0))).unwrap();
        assert_eq!(out.data(), format!("{line}host: origin\r\n\r\n").as_bytes());
        out.clear();
        head.headers = &headers;
        request(&mut out, &head, &hint(Some(0))).unwrap();
        assert_eq!(out.data(), format!("{line}host: other\r\n\r\n").as_bytes());
        out.clear();
        head.form = Form::Absolute { https: true };
        request(&mut out, &head, &hint(Some(0))).unwrap();
        let line = line.replace("http:", "https:");
        assert_eq!(out.data(), format!("{line}host: other\r\n\r\n").as_bytes());
    }
}

#[test]
fn a_body_waits_only_if_there_is_one() {
    let expect = |value, exact| {
        encode(&Method::PUT, "/", &[("expect", value)], &hint(exact)).map(|(_, put)| put.expects)
    };
    assert_eq!(expect("100-continue", Some(1)), Ok(true));
    assert_eq!(expect("100-Continue", None), Ok(true));
    assert_eq!(expect("100-continue", Some(0)), Err(EncodeError::Expect));
    assert_eq!(expect("something else", Some(0)), Ok(false));
    assert_eq!(expect("200-ok", Some(1)), Ok(false));
}

#[test]
fn an_upgrade_is_offered_with_the_connection_option_or_not_at_all() {
    let offer = |pairs: &[_]| {
        encode(&Method::GET, "/", pairs, &hint(Some(0))).map(|(_, get)| get.asked.upgrade)
    };
    let (websocket, upgrade) = (("upgrade", "websocket"), ("connection", "keep-alive, Upgrade"));
    assert_eq!(
        offer(&[websocket, upgrade]),
        Ok(Some([HeaderValue::from_static("websocket")].into()))
    );
    assert_eq!(offer(&[websocket]), Err(EncodeError::Upgrade));
    assert_eq!(offer(&[websocket, ("connection", "close")]), Err(EncodeError::Upgrade));
    assert_eq!(offer(&[upgrade]), Ok(None));
}

#[test]
fn trailers_are_all_that_may_be_offered_in_te() {
    let offer =
        |pairs: &[_]| encode(&Method::GET, "/", pairs, &hint(Some(0))).map(|(text, _)| text);
    let te = ("connection", "keep-alive, TE");
    let sent = offer(&[("te", "Trailers"), te]).unwrap();
    assert!(sent.contains("\r\nte: Trailers\r\n"), "{sent}");
    assert!(offer(&[("te", ""), te]).is_ok());
    assert_eq!(offer(&[("te", "trailers")]), Err(EncodeError::Te));
    assert_eq!(offer(&[("te", "trailers"), ("connection", "close")]), Err(EncodeError::Te));
    for coding in ["chunked", "gzip", "trailers, deflate;q=0.5", "trailers;q=1"] {
        assert_eq!(offer(&[("te", coding), te]), Err(EncodeError::TeCoding), "{coding}");
    }
}

#[test]
fn a_field_that_frames_or_routes_is_no_option_of_the_connection() {
    let option =
        |value| encode(&Method::POST, "/", &[("connection", value)], &hint(Some(5))).map(|_| ());
    for bad in ["content-length", "close, Host", "x,Transfer-Encoding ,y"] {
        assert_eq!(option(bad), Err(EncodeError::Connection), "{bad}");
    }
    assert_eq!(option("hosts, x-host"), Ok(()));
}

#[test]
fn targets_are_joined_encoded_or_refused() {
    let target = |method, path| {
        let line = encode(method, path, &[], &hint(Some(0)))?.0;
        Ok::<_, EncodeError>(line.split(' ').nth(1).unwrap().to_owned())
    };
    assert_eq!(target(&Method::GET, "/").unwrap(), "/base/");
    assert_eq!(target(&Method::GET, "?q=1").unwrap(), "/base/?q=1");
    assert_eq!(target(&Method::GET, "/a%20b/{}|^\"?x=[]").unwrap(), "/base/a%20b/{}|^\"?x=[]");
    assert_eq!(target(&Method::GET, "/é?ü").unwrap(), "/base/%C3%A9?%C3%BC");
    assert_eq!(target(&Method::OPTIONS, "*").unwrap(), "*");
    for (method, bad) in [
        (&Method::GET, "*"),
        (&Method::GET, "/a b"),
        (&Method::GET, "/a\r\nx: y"),
        (&Method::GET, "/a#b"),
        (&Method::GET, "/a\u{7f}"),
        (&Method::GET, "/é b"),
    ] {
        assert_eq!(target(method, bad).unwrap_err(), EncodeError::Target, "{bad:?}");
    }
}
