use super::*;

#[test]
fn equal_servers_have_equal_urls() {
    for url in ["http://h", "HTTP://H", "http://h:80", "http://h:80/", "http://h:"] {
        assert_eq!(Server::new(url).unwrap().url(), "http://h", "{url}");
    }
    let server = Server::new("http://[::1]:8080/a/b/").unwrap();
    assert_eq!(server.url(), "http://[::1]:8080/a/b");
    assert_eq!((server.host(), server.port()), ("::1", 8080));
    assert_eq!(server.authority(), "[::1]:8080");
    assert_eq!((server.origin(), server.base_path()), ("http://[::1]:8080", "/a/b"));
}

#[test]
fn one_ipv6_address_is_one_server_however_it_is_written() {
    let short = Server::new("http://[2001:db8::1]:81").unwrap();
    for url in ["http://[2001:DB8:0:0:0:0:0:1]:81", "http://[2001:0db8::0001]:081/"] {
        assert_eq!(Server::new(url).unwrap(), short, "{url}");
    }
    assert_eq!(short.host(), "2001:db8::1");
    assert_eq!(Server::new("http://[::1]").unwrap().url(), "http://[::1]");
    assert_eq!(Server::new("http://[::1]:").unwrap().url(), "http://[::1]");
}

#[test]
fn https_has_a_port_of_its_own() {
    let server = |url| Server::new(url).expect(url);
    for url in ["https://Api.example", "HTTPS://api.example:443/", "https://api.example:"] {
        let api = server(url);
        assert!(api.is_https(), "{url}");
        assert_eq!((api.url(), api.port()), ("https://api.example", 443), "{url}");
        assert_eq!(api.authority(), "api.example", "{url}");
    }
    // The port that is usual for the other scheme is none to be left out.
    let odd = server("https://api.example:80");
    assert_eq!((odd.authority(), odd.origin()), ("api.example:80", "https://api.example:80"));
    let odd = server("http://api.example:443/x");
    assert!(!odd.is_https());
    assert_eq!((odd.authority(), odd.base_path()), ("api.example:443", "/x"));
}

#[test]
fn a_password_is_in_no_message_wherever_it_stands() {
    let urls = [
        "http://u:secret@h",
        "http://u:se#secret@h",
        "http://u:se/secret@h",
        "http://u:se?secret@h",
        "http://u:a@secret@h",
        "http:/u:secret@h",
        "http//u:secret@h",
        "u:secret@h",
        "http://h?token=secret",
        "http://h?who=a@b&token=secret",
        "http://h#who=a@b&token=secret",
        "http://a b?token=secret",
    ];
    for url in urls {
        let error = Server::new(url).expect_err(url);
        assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error}");
    }
}

#[test]
fn what_is_no_secret_is_shown_up_to_a_bound() {
    assert_eq!(redact("http://u:p@host:80/a b"), "\"…@host:80/a b\"");
    assert_eq!(redact("/a b?q"), "\"/a b?…\"");
    assert_eq!(redact("/a b#f"), "\"/a b#…\"");
    assert_eq!(redact("\n\"\u{7f}"), r#""\n\"\u{7f}""#);
    assert_eq!(redact(&"x".repeat(200)), format!("\"{}\"", "x".repeat(200)));
    assert_eq!(redact(&"x".repeat(201)), format!("\"{}…\"", "x".repeat(200)));
    assert_eq!(redact(&"\n".repeat(201)).chars().count(), 200 + "\"…\"".chars().count());
}

#[test]
fn junk_is_refused_with_a_reason() {
    let junk = [
        ("", "empty"),
        ("  ", "empty"),
        ("://:invalid-url", "invalid"),
        ("example.com", "no scheme"),
        ("localhost:8080", "invalid"),
        ("/path", "no scheme"),
        ("ftp://x", "scheme ftp"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http://?a=b", "no host"),
        ("http://:80", "no host"),
        ("http://[]", "not an IPv6 address"),
        ("http://[zz]", "not an IPv6 address"),
        ("http://[10.0.0.1]", "not an IPv6 address"),
        ("http://[v1.x]", "not an IPv6 address"),
        ("http://[::1]x:8080", "a colon and a port"),
        ("http://[::1]8080", "a colon and a port"),
        ("http://[::1]:+80", "a colon and a port"),
        ("http://h:+80", "a colon and a port"),
        ("http://h:8a", "a colon and a port"),
        ("http://x:0", "port"),
        ("http://x:65536", "port"),
        ("http://x?a=b", "query"),
        ("http://x/#f", "fragment"),
        ("http://u:secret@x", "user info"),
        ("http://exa mple", "invalid"),
        ("http://bücher.example", "xn--"),
    ];
    for (url, reason) in junk {
        let error = Server::new(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Url, "{url}");
        let text = error.to_string();
        assert!(text.contains(reason), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
