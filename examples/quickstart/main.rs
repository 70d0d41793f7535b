//! Sends a few thousand requests through a pool and shows where they went.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Without arguments it starts three servers of its own, stops one of them midway and brings it
//! back. With URLs as arguments it works on those servers instead. The pool runs under a plain
//! `block_on`: no executor is involved.

mod args;
mod fleet;
#[path = "../support/join.rs"]
mod join;
mod load;
#[path = "../support/options.rs"]
mod options;
mod report;
#[path = "../support/server.rs"]
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::{Pool, Server};
use futures_lite::future::block_on;

use self::args::{Args, HELP};
use self::fleet::Fleet;
use self::load::Load;
use self::report::Report;

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    options::with_args("quickstart", HELP, args, |args| {
        let report = run(&args)?;
        print!("{report}");
        if args.json {
            println!("{}", report.json());
        }
        Ok::<_, Box<dyn Error>>(ExitCode::from(u8::from(report.failed() > 0)))
    })
}

fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let fleet = if args.urls.is_empty() { Some(Fleet::start()?) } else { None };
    let urls = fleet.as_ref().map_or_else(|| args.urls.clone(), Fleet::urls);

    let mut builder = Pool::builder().max_connections_per_server(16);
    for url in &urls {
        builder = builder.server(Server::new(url)?);
    }
    let pool = builder.build()?;

    let load = Arc::new(Load::new(pool.clone(), fleet, args.requests));
    let seconds = block_on(load.run(args.concurrency));
    let report = Report::new(&pool, &load, seconds);
    block_on(pool.shutdown(Duration::from_secs(5)));
    Ok(report)
}
