//! The pool under a bare `block_on`: no executor at all. Sockets and timers are async-io's.

#[path = "support/server.rs"]
mod server;
#[path = "support/tour.rs"]
mod tour;

use std::error::Error;

use evenkeel::{Pool, Runtime};
use futures_lite::future::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    let server = server::MiniServer::start()?;
    let builder = Pool::builder().runtime(Runtime::async_io());
    block_on(tour::tour(builder, &server.url()))?;
    Ok(())
}
