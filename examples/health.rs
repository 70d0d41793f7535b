//! A server dies, and comes back: what the pool notices, and when, and where requests go meanwhile.
//!
//! ```text
//! cargo run --release --example health             # quick: with short intervals
//! cargo run --release --example health -- --defaults
//! ```

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]

#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::time::{Duration, Instant};

use evenkeel::{Event, Health, HealthCheck, Pool, Server};
use smol::Timer;

use crate::server::MiniServer;

const PAUSE: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    let millis = Duration::from_millis;
    let mut check = HealthCheck::get("/health");
    let mut slow_start = Duration::from_secs(5);
    if !std::env::args().any(|arg| arg == "--defaults") {
        check = check.interval(millis(500)).timeout(millis(400));
        check = check.fast_interval(millis(100)).down_interval(millis(200));
        slow_start = millis(500);
    }
    let began = Instant::now();
    let mut servers = [MiniServer::start()?, MiniServer::start()?, MiniServer::start()?];
    let mut builder = Pool::builder().health_check(check).slow_start(slow_start);
    for server in &servers {
        builder = builder.server(Server::new(server.url())?);
    }
    let pool = builder
        .observer(move |event: &Event<'_>| {
            if let Event::HealthChanged { url, from, to, why, .. } = event {
                println!("{:6.2} s  {url}: {from} -> {to}, {why}", began.elapsed().as_secs_f64());
            }
        })
        .build()?;
    smol::block_on(async {
        pool.wait_ready().await?;
        tell(&pool, began, "all are well", |shares| shares.iter().all(|share| *share == 10))
            .await?;
        servers[0].stop();
        tell(&pool, began, "the first is dead", |shares| *shares == [0, 15, 15]).await?;
        while pool.server_stats()[0].health != Health::Down {
            pool.get("/").await?;
            Timer::after(PAUSE).await;
        }
        servers[0].restart()?;
        tell(&pool, began, "it is back", |shares| shares[0] == 10).await?;
        println!("{}", pool.explain(&evenkeel::Select::new()));
        let metrics = pool.metrics();
        println!(
            "{} requests, {} failed; {} checks, {} failed",
            metrics.total_requests,
            metrics.failed_requests,
            metrics.health_checks,
            metrics.health_checks_failed
        );
        Ok(())
    })
}

/// Sends requests, thirty at a time, until they are shared as wanted.
async fn tell(
    pool: &Pool,
    began: Instant,
    what: &str,
    wanted: impl Fn(&[u64]) -> bool,
) -> Result<(), evenkeel::Error> {
    println!("{:6.2} s  {what}", began.elapsed().as_secs_f64());
    let counts = || pool.server_stats().into_iter().map(|stats| stats.total_requests);
    loop {
        let before: Vec<u64> = counts().collect();
        for _ in 0..30 {
            pool.get("/").await?.into_body().bytes().await?;
            Timer::after(PAUSE).await;
        }
        let shares: Vec<u64> = counts().zip(before).map(|(now, before)| now - before).collect();
        if wanted(&shares) {
            println!("{:6.2} s  30 requests went {shares:?}", began.elapsed().as_secs_f64());
            return Ok(());
        }
    }
}
