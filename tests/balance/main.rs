//! The strategies in simulated worlds: the shipped pool over servers with workers and lines, under
//! an open load of thousands of requests a second of virtual time, HTTP bytes included. Everything
//! is seeded, so that a run comes out the same each time.
//!
//! `cargo test --release --test balance -- --nocapture` shows the figures behind the limits.

mod change;
mod contenders;
mod draw;
mod faults;
mod health;
mod itself;
mod latency;
mod memory;
mod outcome;
mod station;
mod turns;
mod world;

use std::time::Duration;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}
