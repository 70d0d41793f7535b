//! A page for Prometheus: the figures of a pool under load, served on loopback.
//!
//! ```text
//! cargo run --example prometheus             serves two hundred requests, scrapes itself, ends
//! cargo run --example prometheus -- --serve  goes on, until it is stopped
//! ```

#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::time::Duration;

use evenkeel::{Pool, Server, prometheus};
use futures_lite::future::block_on;

use self::server::{MiniServer, respond};

fn main() -> Result<(), Box<dyn Error>> {
    let serve = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--serve") => true,
        Some(other) => return Err(format!("{other}: only --serve is known").into()),
    };
    let servers = [MiniServer::start()?, MiniServer::start()?];
    let mut builder = Pool::builder();
    for server in &servers {
        builder = builder.server(Server::new(server.url())?);
    }
    let pool = builder.build()?;
    let told = pool.clone();
    let page = MiniServer::answering(move |stream, path| answer(&told, stream, path))?;
    println!("serving {}/metrics", page.url());
    loop {
        block_on(load(&pool, 200))?;
        if !serve {
            break;
        }
        block_on(smol::Timer::after(Duration::from_millis(500)));
    }
    // What Prometheus would see.
    let scraper = Pool::builder().server(Server::new(page.url())?).build()?;
    let text = block_on(async { scraper.get("/metrics").await?.into_body().text().await })?;
    let lines = ["evenkeel_pool_requests_succeeded_total 200", "evenkeel_pool_servers 2"];
    for line in lines {
        if !text.lines().any(|told| told == line) {
            return Err(format!("{line} is not in the page:\n{text}").into());
        }
        println!("{line}");
    }
    println!("{} lines in all", text.lines().count());
    Ok(())
}

async fn load(pool: &Pool, requests: u32) -> Result<(), evenkeel::Error> {
    for number in 0..requests {
        pool.get(format!("/item/{number}")).await?.into_body().bytes().await?;
    }
    Ok(())
}

/// Answers a scrape.
fn answer(pool: &Pool, stream: &TcpStream, path: &str) -> io::Result<()> {
    if path != "/metrics" {
        return respond(stream, "404 Not Found", "Content-Type: text/plain", "only /metrics\n");
    }
    let kind = format!("Content-Type: {}", prometheus::CONTENT_TYPE);
    respond(stream, "200 OK", &kind, &prometheus::encode(pool))
}
