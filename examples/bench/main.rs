//! Sends requests through a pool, and tells how long they took.
//!
//! ```text
//! cargo run --release --example bench                                  three servers of its own
//! cargo run --release --example bench -- --rate 500 http://10.0.0.1:8080 http://10.0.0.2:8080
//! ```
//!
//! At a rate, each request is sent when it is due, and its time counts from then: a server that
//! stands still for a second cannot hide from those that would have come meanwhile.

mod args;
mod figures;
#[path = "../support/latency.rs"]
mod latency;
mod load;
#[path = "../support/options.rs"]
mod options;
mod screen;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/state.rs"]
mod state;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use evenkeel::{Pool, Server};
use smol::channel::bounded;
use smol::{Executor, block_on, future};

use self::args::{Args, HELP};
use self::figures::Figures;
use self::load::Load;
use self::screen::Screen;
use self::server::MiniServer;

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    options::with_args("bench", HELP, args, |args| run(&args))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut own = Vec::new();
    if args.urls.is_empty() {
        own = [(); 3].map(|()| MiniServer::start()).into_iter().collect::<Result<_, _>>()?;
    }
    let urls = args.urls.iter().cloned().chain(own.iter().map(MiniServer::url));
    let servers = urls.map(Server::new).collect::<Result<Vec<_>, _>>()?;
    let pool = Pool::builder()
        .max_connections_per_server(args.connections)
        .max_total_connections(args.connections * servers.len())
        // At a rate that is too high a line forms. It is to be seen, and to have an end.
        .max_waiters(100_000)
        .request_timeout(args.timeout)
        .strategy(args.strategy)
        .servers(servers)
        .build()?;

    let load = Arc::new(Load::new(pool.clone(), args));
    let screen = Screen::new(args.json);
    send(&load, args.threads, &screen);
    let figures = Figures::now(&load);
    screen.finish(&figures);
    if args.json {
        println!("{}", figures.json(args));
    }
    if let Some(complaint) = figures.complaint() {
        eprintln!("bench: the first that failed: {complaint}");
    }
    block_on(pool.shutdown(Duration::from_secs(1)));
    Ok(if figures.ok() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends all requests, on so many threads.
fn send(load: &Arc<Load>, threads: usize, screen: &Screen) {
    let executor = Executor::new();
    let (running, ended) = bounded::<()>(1);
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| block_on(executor.run(ended.recv())));
        }
        let all = future::or(load.run(&executor), screen.follow(load));
        block_on(executor.run(all));
        // Nobody sends any more: the other threads end.
        drop(running);
    });
}
