//! The strategies in a simulated world: the shipped pool, thousands of requests a second of
//! virtual time, HTTP bytes included.

mod change;
mod contenders;
mod draw;
mod faults;
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
