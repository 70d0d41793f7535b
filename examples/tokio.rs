//! The pool under tokio: tokio's own sockets and timers, background work as a tokio task.

#[path = "support/server.rs"]
mod server;
#[path = "support/tour.rs"]
mod tour;

use std::error::Error;

use evenkeel::{Pool, Runtime};

fn main() -> Result<(), Box<dyn Error>> {
    let server = server::MiniServer::start()?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let builder = Pool::builder().runtime(Runtime::tokio(tokio.handle().clone()));
    tokio.block_on(tour::tour(builder, &server.url()))?;
    Ok(())
}
