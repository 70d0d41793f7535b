//! What it costs to find a server among few and among many.
//!
//! A cycle takes an idle connection and gives it back, over transports in memory, as `checkout`
//! does. Each server has one, so the first look is a hit and the rest of the cycle is the same
//! whatever the strategy and the number of servers: what differs is the pick.

use std::io;

use evenkeel::{Pool, Select, Server, Strategy};

use crate::checkout::{Clock, builder};
use crate::measure::cpu_time;
use crate::options::Arguments;

const ALL: [Strategy; 8] = [
    Strategy::RoundRobin,
    Strategy::WeightedRoundRobin,
    Strategy::Random,
    Strategy::LeastConnections,
    Strategy::PowerOfTwoChoices,
    Strategy::PeakEwma,
    Strategy::IpHash,
    Strategy::BoundedLoadHash,
];

/// How many clients the requests come from, for strategies that send each client's to one server.
const CLIENTS: usize = 64;

/// Runs so many cycles of each strategy, or of one, and prints what one took.
///
/// # Errors
/// Those of building a pool.
pub(crate) fn compare(arguments: &Arguments) -> io::Result<()> {
    let counts: Vec<usize> = arguments.list("--servers", "10,100,1000,10000");
    let operations: usize = arguments.value("--operations", 1_000_000);
    let only = arguments.text("--only").unwrap_or_default();
    let heads = counts.iter().map(|count| format!(" {count} servers |"));
    println!("| CPU ns of a cycle |{}", heads.collect::<String>());
    println!("|---|{}", "---|".repeat(counts.len()));
    let chosen = |strategy: &Strategy| only.is_empty() || strategy.to_string() == only;
    for strategy in ALL.into_iter().filter(chosen) {
        print!("| {strategy} |");
        for count in &counts {
            let pool = pool(*count, strategy)?;
            let before = cpu_time();
            cycle(&pool, strategy, operations);
            let nanos = (cpu_time() - before).as_nanos() as f64 / operations as f64;
            print!(" {nanos:.1} |");
        }
        println!();
    }
    Ok(())
}

/// A pool of so many servers, each with an idle connection.
fn pool(count: usize, strategy: Strategy) -> io::Result<Pool> {
    let servers = (0..count).map(|n| Server::new(format!("http://10.0.{}.{}", n / 250, n % 250)));
    let mut builder = builder(Clock::Coarse)
        .strategy(strategy)
        .max_connections_per_server(2)
        .max_total_connections(count)
        .max_idle_connections(count);
    for server in servers {
        builder = builder.server(server.map_err(io::Error::other)?);
    }
    let pool = builder.build().map_err(io::Error::other)?;
    let mut loans = Vec::new();
    for server in pool.server_stats() {
        let loan = async_io::block_on(pool.checkout(Select::new().server(server.id)));
        loans.push(loan.map_err(io::Error::other)?);
    }
    drop(loans);
    Ok(pool)
}

fn cycle(pool: &Pool, strategy: Strategy, operations: usize) {
    let asks = matches!(strategy, Strategy::IpHash | Strategy::BoundedLoadHash);
    let wish = |n| match asks {
        true => Select::new().client_id(format!("10.1.0.{n}")),
        false => Select::new(),
    };
    let wishes: Vec<Select> = (0..CLIENTS).map(wish).collect();
    for wish in wishes.iter().cycle().take(operations) {
        let loan = pool.try_checkout(wish);
        drop(std::hint::black_box(loan.expect("one is idle")));
    }
}
