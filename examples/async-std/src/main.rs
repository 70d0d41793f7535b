//! The pool under async-std: sockets and timers are async-io's, which async-std uses as well, and
//! background work is an async-std task.

#[path = "../../support/server.rs"]
mod server;
#[path = "../../support/tour.rs"]
mod tour;

use std::error::Error;

use async_std::task;
use evenkeel::{BoxFuture, Pool, Runtime};

fn main() -> Result<(), Box<dyn Error>> {
    let server = server::MiniServer::start()?;
    let runtime = Runtime::async_io().spawner(|background: BoxFuture<'static, ()>| {
        // A task that is dropped is detached, not ended.
        drop(task::spawn(background));
    });
    let builder = Pool::builder().runtime(runtime);
    task::block_on(tour::tour(builder, &server.url()))?;
    Ok(())
}
