//! The strategies in a simulated world: the shipped pool, thousands of requests a second of
//! virtual time, HTTP bytes included.

mod draw;
mod outcome;
mod speed;
mod station;
mod world;
