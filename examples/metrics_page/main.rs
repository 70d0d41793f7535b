//! Shows a pool at work on a page on loopback.
//!
//! ```text
//! cargo run --release --example metrics_page               shows the page until it is stopped
//! cargo run --release --example metrics_page -- --check    looks at the page by itself, and ends
//! ```
//!
//! The page is one file without anything from elsewhere; samples come to it as server-sent events.
//! What it shows are the figures of [`evenkeel::Pool::metrics`] and
//! [`evenkeel::Pool::server_stats`], and what an observer is told.

mod args;
mod board;
mod check;
mod events;
mod fleet;
#[path = "../support/latency.rs"]
mod latency;
mod load;
#[path = "../support/options.rs"]
mod options;
mod page;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/state.rs"]
mod state;

use std::error::Error;
use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::{Event, HealthCheck, Observer, Pool, Server, Strategy};
use futures_lite::future::or;
use smol::{LocalExecutor, Timer, block_on};

use self::args::{Args, HELP};
use self::board::Board;
use self::events::Events;
use self::fleet::{Fleet, Turns};
use self::load::Took;

const SECOND: Duration = Duration::from_secs(1);
const STRATEGY: Strategy = Strategy::PeakEwma;

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    options::with_args("metrics_page", HELP, args, |args| run(&args))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let fleet = Fleet::start()?;
    let urls = fleet.urls();
    let events = Arc::new(Events::new());
    let pool = pool(&urls, events.clone())?;
    let board = Board::new();
    let page = page::serve(args.port, board.clone(), pool.clone())
        .map_err(|error| format!("no page on port {}: {error}", args.port))?;
    println!("{}/", page.url());

    let (executor, took) = (LocalExecutor::new(), Took::default());
    let turns = if args.check { Turns::short() } else { Turns::long() };
    let work = async {
        let all =
            or(load::run(&executor, &pool, &took), board::keep(&board, &pool, &took, &events));
        let ended = or(async { Err(fleet.come_and_go(turns).await.into()) }, async {
            all.await;
            Ok(())
        });
        or(ended, end(args, &page.url(), urls.last().map_or("", String::as_str))).await
    };
    block_on(executor.run(work))?;
    // What is under way is driven to its end.
    let report = block_on(executor.run(pool.shutdown(2 * SECOND)));
    println!("shut down: {} idle closed, {} cut", report.idle_closed, report.cut);
    Ok(ExitCode::SUCCESS)
}

/// Ends when the user wants it to.
async fn end(args: &Args, url: &str, stopped: &str) -> Result<(), Box<dyn Error>> {
    match (args.check, args.seconds) {
        (true, _) => check::run(url, stopped).await,
        (false, Some(seconds)) => {
            Timer::after(Duration::from_secs_f64(seconds)).await;
            Ok(())
        }
        (false, None) => pending().await,
    }
}

fn pool(urls: &[String], events: Arc<Events>) -> Result<Pool, evenkeel::Error> {
    let mut builder = Pool::builder()
        .strategy(STRATEGY)
        .max_connections_per_server(3)
        .max_total_connections(12)
        .max_waiters(24)
        .request_timeout(Duration::from_secs(2))
        .health_check(HealthCheck::get("/health").interval(SECOND).timeout(SECOND / 2))
        .observer(move |event: &Event<'_>| events.observe(event));
    for url in urls {
        builder = builder.server(Server::new(url)?);
    }
    builder.build()
}
