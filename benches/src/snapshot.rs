//! What it costs to look at a pool: its metrics, its servers, its distributions, and all of it as
//! text.
//!
//! Each server has been used by several threads, so that its counters are spread; the looks come
//! from one thread, while nothing else runs, or while another checks out and in.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use evenkeel::{Pool, Select, Server, prometheus};

use crate::checkout::{Clock, builder};
use crate::options::Arguments;

/// How often each look is taken.
const LOOKS: u32 = 200;

/// Looks, and prints what a look took.
///
/// # Errors
/// Those of building a pool.
pub(crate) fn compare(arguments: &Arguments) -> io::Result<()> {
    let counts: Vec<usize> = arguments.list("--servers", "1,10,100");
    println!(
        "| µs of a look, median | metrics | server_stats | distributions | prometheus::encode |"
    );
    println!("|---|---|---|---|---|");
    for count in counts {
        let pool = pool(count)?;
        row(&format!("{count} servers"), &pool);
        let stop = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    cycle(&pool, 100);
                }
            });
            row(&format!("{count} servers, in use"), &pool);
            stop.store(true, Ordering::Relaxed);
        });
    }
    Ok(())
}

fn pool(count: usize) -> io::Result<Pool> {
    let servers = (0..count).map(|n| Server::new(format!("http://10.0.{}.{}", n / 250, n % 250)));
    let mut builder = builder(Clock::Coarse).max_idle_connections(2 * count);
    for server in servers {
        builder = builder.server(server.map_err(io::Error::other)?);
    }
    let pool = builder.build().map_err(io::Error::other)?;
    let held: Vec<_> =
        (0..count).map(|_| async_io::block_on(pool.checkout(Select::new()))).collect();
    drop(held);
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| cycle(&pool, 100 * count));
        }
    });
    Ok(pool)
}

fn cycle(pool: &Pool, cycles: usize) {
    let select = Select::new();
    (0..cycles).for_each(|_| drop(pool.try_checkout(&select)));
}

fn row(name: &str, pool: &Pool) {
    let looks: [&dyn Fn(); 4] = [
        &|| drop(black_box(pool.metrics())),
        &|| drop(black_box(pool.server_stats())),
        &|| drop(black_box(pool.distributions())),
        &|| drop(black_box(prometheus::encode(pool))),
    ];
    print!("| {name} |");
    for look in looks {
        print!(" {:.1} |", median(look).as_nanos() as f64 / 1e3);
    }
    println!();
}

fn median(look: &dyn Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..LOOKS)
        .map(|_| {
            let begun = Instant::now();
            look();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
