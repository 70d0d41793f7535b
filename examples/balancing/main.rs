//! Tries each strategy over eight loopback servers, some of which misbehave.
//!
//! ```text
//! cargo run --release --example balancing
//! ```
//!
//! Each row of a table is one run of one strategy over fresh servers. The load is open: requests
//! come at a rate, not when the last one has ended.

mod args;
mod fleet;
mod load;
#[path = "../support/options.rs"]
mod options;
#[path = "../support/server.rs"]
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use evenkeel::{Ejection, HealthCheck, Pool, Server, Strategy};

use self::args::{Args, HELP};
use self::fleet::{Fleet, SCENARIOS, Scenario};

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    options::with_args("balancing", HELP, args, |args| tables(&args).map(|()| ExitCode::SUCCESS))
}

fn tables(args: &Args) -> Result<(), Box<dyn Error>> {
    let scenarios = SCENARIOS.iter().filter(|scenario| scenario.name.contains(&args.scenario));
    let scenarios: Vec<&Scenario> = scenarios.collect();
    let strategies = Strategy::ALL.iter().copied();
    let strategies = strategies.filter(|strategy| strategy.to_string().contains(&args.strategy));
    let strategies: Vec<Strategy> = strategies.collect();
    if scenarios.is_empty() || strategies.is_empty() {
        let mut names: Vec<String> = SCENARIOS.iter().map(|known| known.name.into()).collect();
        names.extend(Strategy::ALL.iter().map(Strategy::to_string));
        return Err(format!("there is none of that name; there are: {}", names.join("; ")).into());
    }
    println!("{} requests a second, {} s for each row.", args.rate, args.seconds);
    for scenario in scenarios {
        let name = scenario.name;
        println!("\n| {name} | ok % | p50 ms | p99 ms | p99.9 ms | share of each server, % |");
        println!("|---|---|---|---|---|---|");
        for strategy in &strategies {
            println!("| {strategy} | {} |", row(args, scenario, *strategy)?);
        }
    }
    Ok(())
}

/// Runs one strategy through one scenario; its figures.
fn row(args: &Args, scenario: &Scenario, strategy: Strategy) -> Result<String, Box<dyn Error>> {
    let fleet = Fleet::start(scenario)?;
    let mut builder = Pool::builder()
        .strategy(strategy)
        // Lines are to form at the servers, not in the pool.
        .max_connections_per_server(1000)
        .request_timeout(Duration::from_secs(1));
    for (url, weight) in fleet.urls().zip(scenario.weights()) {
        builder = builder.server(Server::new(url)?.weight(weight));
    }
    if args.plain {
        builder = builder.health_check(HealthCheck::off()).ejection(Ejection::off());
    }
    let pool = builder.build()?;
    let [skip, length] = [args.skip, args.seconds].map(Duration::from_secs_f64);
    let outcome = load::run(&pool, args.rate, skip, length);
    let came = fleet.came();
    let all: u64 = came.iter().sum();
    let share = |came: &u64| format!("{:.1}", *came as f64 / all.max(1) as f64 * 100.0);
    let shares: Vec<String> = came.iter().map(share).collect();
    smol::block_on(pool.shutdown(Duration::from_secs(1)));
    Ok(format!(
        "{:.2} | {:.1} | {:.1} | {:.1} | {}",
        outcome.ok_percent(),
        outcome.within(500),
        outcome.within(990),
        outcome.within(999),
        shares.join(" ")
    ))
}
