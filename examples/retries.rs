//! Retries: a busy server, a good one, and what the pool makes of them.
//!
//! The first request begins at the busy server, which says 503, and the other is asked at once. The
//! second may have the busy one only: that is left alone for the second that it asks for, and then
//! it is well. The third cannot wait so long, and gets the 503.

#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use evenkeel::{Body, Event, Pool, ResponseInfo, Retry, Select, Server};
use futures_lite::future::block_on;
use http::Request;

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let asked = AtomicU32::new(0);
    let busy = server::MiniServer::answering(move |mut stream: &TcpStream, _| {
        // The third time it is well.
        match asked.fetch_add(1, Ordering::Relaxed) {
            2 => server::ok(stream, "well again"),
            _ => stream.write_all(BUSY),
        }
    })?;
    let good = server::MiniServer::start()?;
    let pool = Pool::builder()
        .server(Server::new(busy.url())?)
        .server(Server::new(good.url())?)
        .retry(Retry::new().on_status([429, 502, 503, 504]))
        .observer(|event: &Event<'_>| {
            if let Event::Retry { url, attempt, reason, pause, .. } = event {
                println!("  attempt {attempt} at {url}: {reason:?}; again in {pause:?}");
            }
        })
        .build()?;
    let busy = pool.server_stats()[0].id;
    let rather = Select::new().prefer(busy);
    let only = Select::new().server(busy);
    let impatient = only.clone().timeout(Duration::from_millis(500));
    for (select, status) in [(rather, 200), (only, 200), (impatient, 503)] {
        let mut request = Request::get("/").body(Body::empty())?;
        request.extensions_mut().insert(select);
        let response = block_on(pool.send(request))?;
        let attempts = response.extensions().get().map_or(0, |info: &ResponseInfo| info.attempts);
        println!("{}, attempts: {attempts}", response.status());
        if response.status() != status {
            return Err("that is not what was to be shown".into());
        }
    }
    println!("{} retries", pool.metrics().retries);
    Ok(())
}
