//! The paths a test can ask for.
//!
//! | path | answer |
//! |---|---|
//! | `/b/N` | N bytes, with `Content-Length` |
//! | `/c/N` | N bytes, chunked |
//! | `/t/N` | N bytes, chunked, with the trailer `x-sum: N` |
//! | `/eof/N` | N bytes, ended by the close |
//! | `/close/N` | N bytes, with `Connection: close` |
//! | `/http10/N` | N bytes, as HTTP/1.0 |
//! | `/http10-keep/N` | N bytes, as HTTP/1.0 with `Connection: keep-alive` |
//! | `/status/S` | status S, without a body where it may have none |
//! | `/interim` | 103 and 102, then the echo |
//! | `/cut/N` | a promise of N bytes, half of them, and the close |
//! | `/stray` | the echo, and bytes that nobody asked for |
//! | `/gate` | the echo, once the test has opened the gate |
//! | `/upgrade` | 101 and some bytes, then each byte that comes, as a CONNECT is answered, too |
//! | `/hang` | nothing, until the connection ends |
//! | `/drop` | nothing but the close |
//! | any other | the echo: method, target and body |

use std::io::{self, Write};
use std::net::TcpStream;

use super::wire::Request;
use super::{Shared, hold};

/// Answers one request. Returns whether the connection stays open.
pub(super) fn answer(request: &Request, stream: &TcpStream, shared: &Shared) -> io::Result<bool> {
    if request.method == "CONNECT" {
        return tunnel(stream, "200 OK");
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let (name, number) = match path.rsplit_once('/') {
        Some((name, digits)) => (name, digits.parse::<usize>().ok()),
        None => (path, None),
    };
    let Some(number) = number else {
        return answer_by_name(path, request, stream, shared);
    };
    let sized = |version: &str, fields: &str| {
        let body = filler(number);
        format!("{version} 200 OK\r\n{fields}Content-Length: {number}\r\n\r\n{body}")
    };
    let (out, keep) = match name {
        "/b" => (sized("HTTP/1.1", ""), true),
        "/close" => (sized("HTTP/1.1", "Connection: close\r\n"), false),
        "/http10" => (sized("HTTP/1.0", ""), false),
        "/http10-keep" => (sized("HTTP/1.0", "Connection: keep-alive\r\n"), true),
        "/c" => (chunked(number, ""), true),
        "/t" => (chunked(number, &format!("x-sum: {number}\r\n")), true),
        "/eof" => (format!("HTTP/1.1 200 OK\r\n\r\n{}", filler(number)), false),
        "/status" => (with_status(number, request), true),
        "/cut" => {
            let half = filler(number / 2);
            (format!("HTTP/1.1 200 OK\r\nContent-Length: {number}\r\n\r\n{half}"), false)
        }
        _ => (echo(request), true),
    };
    send_for(request, stream, &out)?;
    Ok(keep && !wants_close(request))
}

fn answer_by_name(
    path: &str,
    request: &Request,
    stream: &TcpStream,
    shared: &Shared,
) -> io::Result<bool> {
    match path {
        "/upgrade" => return tunnel(stream, "101 Switching Protocols"),
        "/hang" => return Ok(hold(stream, shared)),
        "/drop" => return Ok(false),
        "/gate" if !shared.wait_at_gate() => return Ok(false),
        "/interim" => {
            send(stream, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
            send(stream, "HTTP/1.1 102 Processing\r\n\r\n")?;
        }
        _ => {}
    }
    // In the same segment, so that the client has them when it looks.
    let stray = if path == "/stray" { "HTTP/1.1 200 OK\r\n\r\n" } else { "" };
    send_for(request, stream, &(echo(request) + stray))?;
    Ok(!wants_close(request))
}

/// Switches, and gives back what comes until the client closes its side.
fn tunnel(stream: &TcpStream, status: &str) -> io::Result<bool> {
    let fields = "Upgrade: echo\r\nConnection: upgrade\r\n";
    send(stream, &format!("HTTP/1.1 {status}\r\n{fields}\r\nahead"))?;
    io::copy(&mut &*stream, &mut &*stream)?;
    Ok(false)
}

/// `N` bytes that show where they were cut or mixed up.
pub(crate) fn filler(number: usize) -> String {
    let mut text = "abcdefghijklmnopqrstuvwxyz".repeat(number / 26 + 1);
    text.truncate(number);
    text
}

fn echo(request: &Request) -> String {
    let Request { method, target, .. } = request;
    let body = format!("{method} {target}\n{}", String::from_utf8_lossy(&request.body));
    let host = request.header("host").unwrap_or_default();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nX-Host: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Chunks of changing size, the first one of a single byte.
fn chunked(number: usize, trailers: &str) -> String {
    let mut out = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let whole = filler(number);
    let (mut rest, mut size) = (whole.as_str(), 1);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        out.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        (rest, size) = (after, size * 3);
    }
    out + "0\r\n" + trailers + "\r\n"
}

fn with_status(status: usize, request: &Request) -> String {
    match status {
        204 => return "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        // The length is that of the body which a 200 would have.
        304 => return "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(),
        _ => {}
    }
    echo(request).replacen("200 OK", &format!("{status} As Asked"), 1)
}

fn wants_close(request: &Request) -> bool {
    request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// The answer to a `HEAD` is that to a `GET`, without the body.
fn send_for(request: &Request, stream: &TcpStream, text: &str) -> io::Result<()> {
    let head = text.find("\r\n\r\n").map_or(text.len(), |end| end + 4);
    send(stream, if request.method == "HEAD" { &text[..head] } else { text })
}

/// One write for the whole answer: the client must not see where the server's pieces end.
fn send(mut stream: &TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())
}
