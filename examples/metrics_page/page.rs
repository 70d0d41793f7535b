//! The page, its events and the text for Prometheus, over HTTP on loopback.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::{Pool, prometheus};

use crate::board::{Board, TICK};
use crate::server::{MiniServer, respond};

const PAGE: &str = include_str!("page.html");

/// Nothing from elsewhere is loaded, and the page is in no frame.
const PAGE_FIELDS: &str = "Content-Type: text/html; charset=utf-8\r\n\
    Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; \
    style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const PLAIN: &str = "Content-Type: text/plain";

/// How many pages are told of events at a time: each has a thread.
const MOST_LISTENERS: usize = 16;

/// Serves on this port, or on a free one for 0, until it is dropped.
pub(crate) fn serve(port: u16, board: Board, pool: Pool) -> io::Result<MiniServer> {
    let listeners = Arc::new(AtomicUsize::new(0));
    MiniServer::on(port, move |stream, path| match path {
        "/" => respond(stream, "200 OK", PAGE_FIELDS, PAGE),
        "/metrics" => {
            let kind = format!("Content-Type: {}", prometheus::CONTENT_TYPE);
            respond(stream, "200 OK", &kind, &prometheus::encode(&pool))
        }
        "/events" => {
            let others = listeners.fetch_add(1, Ordering::Relaxed);
            let result = if others < MOST_LISTENERS {
                tell(stream, &board)
            } else {
                respond(stream, "503 Service Unavailable", PLAIN, "too many pages are open\n")
            };
            listeners.fetch_sub(1, Ordering::Relaxed);
            result
        }
        _ => respond(stream, "404 Not Found", PLAIN, "there are /, /events and /metrics\n"),
    })
}

/// Sends samples as server-sent events, until the other side goes away or the server stops.
fn tell(mut stream: &TcpStream, board: &Board) -> io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    stream.set_read_timeout(Some(TICK))?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    loop {
        stream.write_all(format!("data: {}\n\n", board.newest()).as_bytes())?;
        // Nothing is to come from there: what comes is the end. Until then it is a clock.
        match stream.peek(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // The connection is good for nothing else, so it ends.
            _ => return Err(ErrorKind::ConnectionAborted.into()),
        }
    }
}
