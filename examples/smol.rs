//! The pool under smol: its background work is a task of the given executor.

#[path = "support/server.rs"]
mod server;
#[path = "support/tour.rs"]
mod tour;

use std::error::Error;
use std::sync::Arc;

use evenkeel::{Pool, Runtime};

fn main() -> Result<(), Box<dyn Error>> {
    let server = server::MiniServer::start()?;
    let executor = Arc::new(smol::Executor::new());
    let builder = Pool::builder().runtime(Runtime::smol(executor.clone()));
    smol::block_on(executor.run(tour::tour(builder, &server.url())))?;
    Ok(())
}
